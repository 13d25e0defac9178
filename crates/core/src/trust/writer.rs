//! The registry's side: documents from facts, the same bytes for the same facts.
//!
//! Nothing here knows a clock or a counter: version and expiry are always given. Documents are compact JSON
//! with sorted keys; ed25519 is deterministic; so a document is a function of its arguments and keys.
//!
//! The layout: offline keys sign `root`, `targets` and `index`. `targets` delegates, terminating,
//! `catalog` ([`CATALOG_PATHS`]) and `index` ([`INDEX_PATHS`]); `index` delegates to hash bins. The indexer's keys sign
//! the snapshot, and catalog and bins together with a key of the signer's; another of the signer's signs the timestamp.

use std::{collections::BTreeMap, num::NonZeroU64};

use serde_json::{Map, Value, json};

use super::{
    bins::Bins,
    key::{KeyId, PublicKey, SecretKey, Signature},
    root::TopRole,
    snapshot::Head,
};
use crate::{canonical, digest::Digest, time::Time};

/// The version of the TUF specification that documents name.
pub const SPEC_VERSION: &str = "1.0.33";
/// The role that lists the versions of all others.
pub const SNAPSHOT: &str = "snapshot";
/// The delegated role for bundles and logs.
pub const CATALOG: &str = "catalog";
/// What `catalog` answers for.
pub const CATALOG_PATHS: &[&str] = &["search/*", "log/*"];
/// The delegated role that holds the bins.
pub const INDEX: &str = "index";
/// What `index`, and so the bins, answer for.
pub const INDEX_PATHS: &[&str] = &["index/*/*"];

/// The version of a document and when it expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// The version, from 1.
    pub version: NonZeroU64,
    /// The first moment at which it is no longer good.
    pub expires: Time,
}

/// Why keys and a threshold do not go together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignersError {
    /// A threshold that no or any signature would meet.
    #[error("a threshold of {threshold} with {keys} keys: it has to be 1 to the number of keys")]
    Threshold {
        /// The threshold.
        threshold: u64,
        /// The number of keys.
        keys: u64,
    },
    /// A key that this build can not use.
    #[error("key {0} can not be used to verify")]
    Unusable(String),
    /// The same key twice.
    #[error("key {0} is given twice")]
    Repeated(KeyId),
}

/// The keys that are to sign a role, and how many of them have to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signers {
    keys: BTreeMap<KeyId, PublicKey>,
    threshold: u64,
}

impl Signers {
    /// `threshold` of `keys`.
    ///
    /// # Errors
    /// [`SignersError`] for a role that could not be signed, or by too few.
    pub fn new(keys: impl IntoIterator<Item = PublicKey>, threshold: u64) -> Result<Self, SignersError> {
        let mut known = BTreeMap::new();
        for key in keys {
            let id = key.id().filter(|_| key.is_usable());
            let id = id.ok_or_else(|| SignersError::Unusable(format!("{key:?}")))?;
            if known.insert(id.clone(), key).is_some() {
                return Err(SignersError::Repeated(id));
            }
        }
        let count = known.len() as u64;
        if threshold == 0 || threshold > count {
            return Err(SignersError::Threshold { threshold, keys: count });
        }
        Ok(Self { keys: known, threshold })
    }

    /// One key, which is enough.
    pub fn one(key: &SecretKey) -> Self {
        Self { keys: BTreeMap::from([(key.id().clone(), key.public().clone())]), threshold: 1 }
    }

    /// The keys by id.
    pub fn keys(&self) -> &BTreeMap<KeyId, PublicKey> {
        &self.keys
    }

    /// How many of them have to sign.
    pub fn threshold(&self) -> u64 {
        self.threshold
    }

    /// These keys, every one of which has to sign.
    ///
    /// # Errors
    /// [`SignersError`], as of [`Signers::new`].
    pub fn every<'a>(keys: impl IntoIterator<Item = &'a SecretKey>) -> Result<Self, SignersError> {
        let keys: Vec<_> = keys.into_iter().map(|key| key.public().clone()).collect();
        let threshold = keys.len() as u64;
        Self::new(keys, threshold)
    }

    fn fields(&self) -> Map<String, Value> {
        let ids: Vec<_> = self.keys.keys().map(KeyId::as_str).collect();
        fields(json!({"keyids": ids, "threshold": self.threshold}))
    }
}

/// Who signs the top-level roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootSigners {
    /// Signs roots.
    pub root: Signers,
    /// Signs the timestamp.
    pub timestamp: Signers,
    /// Signs snapshots.
    pub snapshot: Signers,
    /// Signs the top-level targets.
    pub targets: Signers,
}

/// A file that a role vouches for: its length in bytes and its SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// The length in bytes.
    pub length: u64,
    /// The SHA-256 digest.
    pub sha256: Digest,
}

impl Target {
    /// What there is to say about `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self { length: bytes.len() as u64, sha256: Digest::of(bytes) }
    }

    fn value(&self) -> Value {
        json!({"hashes": {"sha256": self.sha256}, "length": self.length})
    }
}

/// A document that is not signed yet, or not by all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsigned {
    signed: Value,
    signatures: BTreeMap<KeyId, Signature>,
}

impl Unsigned {
    fn new(kind: &str, terms: Terms, body: Value) -> Self {
        let mut signed = fields(body);
        signed.insert("_type".to_owned(), kind.into());
        signed.insert("expires".to_owned(), json!(terms.expires));
        signed.insert("spec_version".to_owned(), SPEC_VERSION.into());
        signed.insert("version".to_owned(), json!(terms.version));
        Self { signed: signed.into(), signatures: BTreeMap::new() }
    }

    /// The bytes to sign, for a signer elsewhere: canonical JSON.
    pub fn payload(&self) -> Vec<u8> {
        canonical::to_signed_bytes(&self.signed).expect("documents built here hold integers and text")
    }

    /// The signatures so far, by key id.
    pub fn signatures(&self) -> &BTreeMap<KeyId, Signature> {
        &self.signatures
    }

    /// Adds a signature over [`Unsigned::payload`] that was made elsewhere.
    #[must_use]
    pub fn signed_by(mut self, key: KeyId, signature: Signature) -> Self {
        self.signatures.insert(key, signature);
        self
    }

    /// Signs with every one of `keys` and gives the document's bytes.
    pub fn sign(self, keys: &[&SecretKey]) -> Vec<u8> {
        let payload = self.payload();
        keys.iter().fold(self, |document, key| document.signed_by(key.id().clone(), key.sign(&payload))).into_bytes()
    }

    /// The document's bytes with the signatures it has, in the order of their key ids.
    pub fn into_bytes(self) -> Vec<u8> {
        let signatures: Vec<_> =
            self.signatures.iter().map(|(keyid, sig)| json!({"keyid": keyid, "sig": sig})).collect();
        let document = json!({"signatures": signatures, "signed": self.signed});
        canonical::to_bytes(&document).expect("documents built here hold integers and text")
    }
}

/// A root. To be signed by a threshold of its own root keys and of those of the root before.
pub fn root(terms: Terms, signers: &RootSigners) -> Unsigned {
    let all = [
        (TopRole::Root, &signers.root),
        (TopRole::Timestamp, &signers.timestamp),
        (TopRole::Snapshot, &signers.snapshot),
        (TopRole::Targets, &signers.targets),
    ];
    let keys = keys_of(all.iter().map(|(_, signers)| *signers));
    let roles: Map<_, _> =
        all.iter().map(|(role, signers)| (role.name().to_owned(), signers.fields().into())).collect();
    Unsigned::new("root", terms, json!({"consistent_snapshot": true, "keys": keys, "roles": roles}))
}

/// The top-level targets: no files, only the delegations to `catalog` and `index`.
pub fn targets(terms: Terms, catalog: &Signers, index: &Signers) -> Unsigned {
    let delegated = |name: &str, paths: &[&str], signers: &Signers| {
        let mut role = signers.fields();
        role.extend(fields(json!({"name": name, "paths": paths, "terminating": true})));
        Value::from(role)
    };
    let delegations = json!({
        "keys": keys_of([catalog, index]),
        "roles": [delegated(CATALOG, CATALOG_PATHS, catalog), delegated(INDEX, INDEX_PATHS, index)],
    });
    targets_role(terms, TopRole::Targets.name(), &BTreeMap::new(), Some(delegations))
}

/// The role `index`: no files, only the delegation to `bins`, all of which `signers` sign.
pub fn index(terms: Terms, signers: &Signers, bins: &Bins) -> Unsigned {
    let mut succinct = signers.fields();
    succinct.extend(fields(json!({"bit_length": bins.bit_length().bits(), "name_prefix": bins.prefix()})));
    let delegations = json!({"keys": keys_of([signers]), "succinct_roles": succinct});
    targets_role(terms, INDEX, &BTreeMap::new(), Some(delegations))
}

/// The role `catalog`, which vouches for `targets`.
pub fn catalog(terms: Terms, targets: &BTreeMap<String, Target>) -> Unsigned {
    targets_role(terms, CATALOG, targets, None)
}

/// The bin `name`, which vouches for `targets`. Every bin has to exist, also without targets (TAP 15).
pub fn bin(terms: Terms, name: &str, targets: &BTreeMap<String, Target>) -> Unsigned {
    targets_role(terms, name, targets, None)
}

/// The snapshot that covers the events up to `head` and lists the version of every targets role by name.
pub fn snapshot(terms: Terms, head: &Head, roles: &BTreeMap<String, NonZeroU64>) -> Unsigned {
    let meta: Map<_, _> =
        roles.iter().map(|(role, version)| (format!("{role}.json"), json!({"version": version}))).collect();
    Unsigned::new("snapshot", terms, json!({"meta": meta, "stoa": head}))
}

/// The timestamp that points to the snapshot of this version and these bytes.
pub fn timestamp(terms: Terms, version: NonZeroU64, snapshot: &[u8]) -> Unsigned {
    let mut meta = fields(Target::of(snapshot).value());
    meta.insert("version".to_owned(), json!(version));
    Unsigned::new("timestamp", terms, json!({"meta": {"snapshot.json": meta}}))
}

/// Every targets role bears its own name: see [`Profile::Stoa`](super::Profile::Stoa).
fn targets_role(terms: Terms, name: &str, targets: &BTreeMap<String, Target>, delegations: Option<Value>) -> Unsigned {
    let targets: Map<_, _> = targets.iter().map(|(path, target)| (path.clone(), target.value())).collect();
    let mut body = fields(json!({"stoa": {"role": name}, "targets": targets}));
    body.extend(delegations.map(|value| ("delegations".to_owned(), value)));
    Unsigned::new("targets", terms, body.into())
}

fn keys_of<'a>(signers: impl IntoIterator<Item = &'a Signers>) -> Value {
    let keys: BTreeMap<_, _> = signers.into_iter().flat_map(|signers| &signers.keys).collect();
    json!(keys)
}

/// The fields of an object literal.
fn fields(object: Value) -> Map<String, Value> {
    match object {
        Value::Object(fields) => fields,
        other => Map::from_iter([("value".to_owned(), other)]),
    }
}
