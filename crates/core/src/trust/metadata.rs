//! The documents of the top-level roles: root, timestamp, snapshot (sections 4.3 to 4.4, 4.6).

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    num::NonZeroU64,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    config::Profile,
    error::{TrustError, shown},
    hashes::Hashes,
    key::{KeyId, PublicKey},
};
use crate::{digest::Digest, time::Time};

/// A kind of document: read from the signed part of an envelope.
pub(super) trait Document: Sized {
    /// The value of `_type`.
    const TYPE: &'static str;

    /// Reads the part that is particular to this kind; `_type` and `spec_version` were checked.
    fn read_body(role: &str, header: Header, signed: &Value, profile: Profile) -> Result<Self, TrustError>;

    /// Reads the document of `role`.
    fn read(role: &str, signed: &Value, profile: Profile) -> Result<Self, TrustError> {
        Self::read_body(role, Header::read(role, Self::TYPE, signed)?, signed, profile)
    }
}

/// What all documents say about themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) version: u64,
    pub(super) expires: Time,
}

#[derive(Deserialize)]
struct HeaderWire {
    version: NonZeroU64,
    expires: Time,
}

#[derive(Deserialize)]
struct KindWire {
    #[serde(rename = "_type")]
    kind: String,
    spec_version: String,
}

impl Header {
    fn read(role: &str, expected: &'static str, signed: &Value) -> Result<Self, TrustError> {
        let kind: KindWire = shape(role, signed)?;
        if kind.kind != expected {
            return Err(TrustError::Type { role: role.to_owned(), expected, found: shown(&kind.kind) });
        }
        if !kind.spec_version.starts_with("1.") {
            return Err(TrustError::SpecVersion { role: role.to_owned(), found: shown(&kind.spec_version) });
        }
        let HeaderWire { version, expires } = shape(role, signed)?;
        Ok(Self { version: version.get(), expires })
    }
}

/// Reads `value` as a `T`; unknown fields are passed over (section 4).
pub(super) fn shape<'a, T: Deserialize<'a>>(role: &str, value: &'a Value) -> Result<T, TrustError> {
    T::deserialize(value).map_err(|e| TrustError::Shape { role: role.to_owned(), reason: shown(&e.to_string()) })
}

/// The keys that may sign a role and how many of them have to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleKeys {
    key_ids: BTreeSet<KeyId>,
    threshold: u64,
}

#[derive(Deserialize)]
pub(super) struct RoleKeysWire {
    keyids: Vec<KeyId>,
    threshold: u64,
}

impl RoleKeys {
    /// The keys of the role `of` as the document of `role` gives them. A threshold above their number is
    /// let through: such a role can not be signed, and the document that says so may be right in all else.
    pub(super) fn check(role: &str, of: &str, wire: RoleKeysWire) -> Result<Self, TrustError> {
        let (role, of) = (|| role.to_owned(), || of.to_owned());
        if wire.threshold == 0 {
            return Err(TrustError::ZeroThreshold { role: role(), of: of() });
        }
        let mut key_ids = BTreeSet::new();
        for key in wire.keyids {
            if !key_ids.insert(key.clone()) {
                return Err(TrustError::RepeatedKey { role: role(), of: of(), key });
            }
        }
        Ok(Self { key_ids, threshold: wire.threshold })
    }

    /// The ids of the keys, in order.
    pub fn key_ids(&self) -> impl Iterator<Item = &KeyId> {
        self.key_ids.iter()
    }

    /// How many have to sign, at least 1.
    pub fn threshold(&self) -> u64 {
        self.threshold
    }

    /// Whether `newer` has dropped a key: a key was taken out of use. Adding one is no rotation, since what
    /// the old keys signed stays as good as it was.
    pub(super) fn rotated_in(&self, newer: &Self) -> bool {
        !self.key_ids.is_subset(&newer.key_ids)
    }
}

/// Checks that ids are what the profile wants of them (section 4.2: hashes of their keys).
pub(super) fn check_key_ids(role: &str, keys: &BTreeMap<KeyId, PublicKey>, profile: Profile) -> Result<(), TrustError> {
    for (listed, key) in keys {
        let computed = key.id();
        if profile == Profile::Stoa && computed.as_ref() != Some(listed) {
            let computed = computed.map_or_else(|| "none".to_owned(), |id| id.to_string());
            return Err(TrustError::KeyId { role: role.to_owned(), listed: listed.clone(), computed });
        }
    }
    Ok(())
}

/// The roles that a root names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TopRole {
    /// Signs roots.
    Root,
    /// Signs the timestamp.
    Timestamp,
    /// Signs snapshots.
    Snapshot,
    /// Signs the top-level targets.
    Targets,
}

impl TopRole {
    /// The role's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Timestamp => "timestamp",
            Self::Snapshot => "snapshot",
            Self::Targets => "targets",
        }
    }

    /// All of them.
    pub const ALL: [Self; 4] = [Self::Root, Self::Timestamp, Self::Snapshot, Self::Targets];
}

impl fmt::Display for TopRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The root: whose keys are trusted for what (section 4.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    header: Header,
    consistent_snapshot: bool,
    keys: BTreeMap<KeyId, PublicKey>,
    root: RoleKeys,
    timestamp: RoleKeys,
    snapshot: RoleKeys,
    targets: RoleKeys,
}

#[derive(Deserialize)]
struct RootWire {
    #[serde(default)]
    consistent_snapshot: bool,
    keys: BTreeMap<KeyId, PublicKey>,
    roles: RootRolesWire,
}

#[derive(Deserialize)]
struct RootRolesWire {
    root: RoleKeysWire,
    timestamp: RoleKeysWire,
    snapshot: RoleKeysWire,
    targets: RoleKeysWire,
}

impl Root {
    /// The version, from 1.
    pub fn version(&self) -> u64 {
        self.header.version
    }

    /// When it expires.
    pub fn expires(&self) -> Time {
        self.header.expires
    }

    /// Whether files carry their version in their name (section 6.2).
    pub fn consistent_snapshot(&self) -> bool {
        self.consistent_snapshot
    }

    /// The keys by id.
    pub fn keys(&self) -> &BTreeMap<KeyId, PublicKey> {
        &self.keys
    }

    /// Who signs `role`.
    pub fn role(&self, role: TopRole) -> &RoleKeys {
        match role {
            TopRole::Root => &self.root,
            TopRole::Timestamp => &self.timestamp,
            TopRole::Snapshot => &self.snapshot,
            TopRole::Targets => &self.targets,
        }
    }
}

impl Document for Root {
    const TYPE: &'static str = "root";

    fn read_body(role: &str, header: Header, signed: &Value, profile: Profile) -> Result<Self, TrustError> {
        let RootWire { consistent_snapshot, keys, roles } = shape(role, signed)?;
        check_key_ids(role, &keys, profile)?;
        if profile == Profile::Stoa && !consistent_snapshot {
            return Err(TrustError::Inconsistent { version: header.version });
        }
        let of = |top: TopRole, wire| RoleKeys::check(role, top.name(), wire);
        Ok(Self {
            root: of(TopRole::Root, roles.root)?,
            timestamp: of(TopRole::Timestamp, roles.timestamp)?,
            snapshot: of(TopRole::Snapshot, roles.snapshot)?,
            targets: of(TopRole::Targets, roles.targets)?,
            header,
            consistent_snapshot,
            keys,
        })
    }
}

/// What timestamp and snapshot say about another document (section 4.4, METAFILES).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetaFile {
    /// Its version, from 1.
    pub version: u64,
    /// Its length in bytes, if listed.
    pub length: Option<u64>,
    /// Its hashes, if listed.
    pub hashes: Option<Hashes>,
}

#[derive(Deserialize)]
struct MetaFileWire {
    version: NonZeroU64,
    length: Option<u64>,
    hashes: Option<Hashes>,
}

impl From<MetaFileWire> for MetaFile {
    fn from(wire: MetaFileWire) -> Self {
        Self { version: wire.version.get(), length: wire.length, hashes: wire.hashes }
    }
}

impl MetaFile {
    /// Checks the bytes of `role` against length and hashes, where they are listed (sections 5.5.2, 5.6.2).
    pub(super) fn check_bytes(&self, role: &str, bytes: &[u8]) -> Result<(), TrustError> {
        let found = bytes.len() as u64;
        if let Some(listed) = self.length.filter(|listed| *listed != found) {
            return Err(TrustError::Length { role: role.to_owned(), listed, found });
        }
        let checked = self.hashes.as_ref().map_or(Ok(()), |hashes| hashes.check(bytes));
        checked.map_err(|(listed, found)| TrustError::Hash { role: role.to_owned(), listed, found })
    }

    /// Checks the version of `role` (sections 5.5.4 and 5.6.4).
    pub(super) fn check_version(&self, role: &str, found: u64) -> Result<(), TrustError> {
        if found != self.version {
            return Err(TrustError::Version { role: role.to_owned(), listed: self.version, found });
        }
        Ok(())
    }
}

/// The timestamp: which snapshot is current (section 4.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timestamp {
    header: Header,
    snapshot: MetaFile,
}

#[derive(Deserialize)]
struct TimestampWire {
    meta: TimestampMetaWire,
}

#[derive(Deserialize)]
struct TimestampMetaWire {
    #[serde(rename = "snapshot.json")]
    snapshot: MetaFileWire,
}

impl Timestamp {
    /// The version, from 1.
    pub fn version(&self) -> u64 {
        self.header.version
    }

    /// When it expires.
    pub fn expires(&self) -> Time {
        self.header.expires
    }

    /// The snapshot that it points to.
    pub fn snapshot(&self) -> &MetaFile {
        &self.snapshot
    }
}

impl Document for Timestamp {
    const TYPE: &'static str = "timestamp";

    fn read_body(role: &str, header: Header, signed: &Value, _profile: Profile) -> Result<Self, TrustError> {
        let wire: TimestampWire = shape(role, signed)?;
        Ok(Self { header, snapshot: wire.meta.snapshot.into() })
    }
}

/// The head of the event chain that a snapshot covers: the signed field `stoa` of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The sequence number of the last event, from 1.
    pub seq: u64,
    /// The hash of that event.
    pub head: Digest,
    /// The version of the formats that were in use, from 1.
    pub format: u32,
}

/// The snapshot: the current version of every targets role (section 4.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    header: Header,
    roles: BTreeMap<String, MetaFile>,
    head: Option<Head>,
}

#[derive(Deserialize)]
struct SnapshotWire {
    meta: BTreeMap<String, MetaFileWire>,
    stoa: Option<Head>,
}

impl Snapshot {
    /// The version, from 1.
    pub fn version(&self) -> u64 {
        self.header.version
    }

    /// When it expires.
    pub fn expires(&self) -> Time {
        self.header.expires
    }

    /// What is current, by role: `targets`, `index`, `bin-0f` …
    pub fn roles(&self) -> &BTreeMap<String, MetaFile> {
        &self.roles
    }

    /// The head of the event chain. Under [`Profile::Stoa`] there is one.
    pub fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }
}

impl Document for Snapshot {
    const TYPE: &'static str = "snapshot";

    fn read_body(role: &str, header: Header, signed: &Value, profile: Profile) -> Result<Self, TrustError> {
        let SnapshotWire { meta, stoa } = shape(role, signed)?;
        if profile == Profile::Stoa && stoa.is_none() {
            return Err(TrustError::NoHead { version: header.version });
        }
        // Names of other files (section 4.4 has none) list no role.
        let roles =
            meta.into_iter().filter_map(|(file, meta)| Some((file.strip_suffix(".json")?.to_owned(), meta.into())));
        Ok(Self { header, roles: roles.collect(), head: stoa })
    }
}
