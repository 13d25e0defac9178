//! The public tree as the indexer and the signer read it back: their only memory.

use std::{collections::BTreeMap, num::NonZeroU64, sync::Arc};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::Deserialize;
use stoa_core::{
    digest::Digest,
    document::{Document, MAX_DOCUMENT_BYTES},
    id::{Namespace, PluginId},
    index::IndexError,
    path::{PublicPath, RoleFile},
    publisher::{MAX_PUBLISHERS_BYTES, Publishers},
    time::Time,
    trust::{
        BitLength, CachedTrust, Config, Envelope, KeyId, Limits, Step, Updater,
        writer::{self, Target},
    },
};
use stoa_store::blobs::{Blob, BlobKey, Blobs, Put};

use crate::error::IndexerError;

/// Objects written at a time.
pub(crate) const PARALLEL: usize = 16;

/// The files of `trust/` and `index/`, read but not verified: the signer verifies as a client does.
#[derive(Clone)]
pub(crate) struct Tree {
    pub(crate) blobs: Arc<dyn Blobs>,
    limits: Limits,
}

/// What a timestamp says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pointer {
    pub(crate) version: NonZeroU64,
    pub(crate) expires: Time,
    pub(crate) snapshot: NonZeroU64,
}

/// What a snapshot says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SnapshotFile {
    pub(crate) bytes: Bytes,
    pub(crate) seq: u64,
    pub(crate) head: Digest,
    /// Versions by role.
    pub(crate) versions: BTreeMap<String, NonZeroU64>,
}

#[derive(Deserialize)]
struct Meta {
    version: NonZeroU64,
}

#[derive(Deserialize)]
struct TimestampWire {
    version: NonZeroU64,
    expires: Time,
    meta: BTreeMap<String, Meta>,
}

#[derive(Deserialize)]
struct SnapshotWire {
    meta: BTreeMap<String, Meta>,
    stoa: StoaWire,
}

#[derive(Deserialize)]
struct StoaWire {
    seq: u64,
    head: Digest,
}

#[derive(Deserialize)]
struct TargetsWire {
    targets: BTreeMap<String, TargetWire>,
}

#[derive(Deserialize)]
struct TargetWire {
    length: u64,
    hashes: HashesWire,
}

#[derive(Deserialize)]
struct HashesWire {
    sha256: Digest,
}

#[derive(Deserialize)]
struct DelegatorWire {
    delegations: DelegatedWire,
}

#[derive(Deserialize)]
struct DelegatedWire {
    #[serde(default)]
    roles: Vec<KeysWire>,
    succinct_roles: Option<KeysWire>,
}

#[derive(Deserialize)]
struct KeysWire {
    name: Option<String>,
    keyids: Vec<KeyId>,
}

#[derive(Deserialize)]
struct IndexWire {
    delegations: DelegationsWire,
}

#[derive(Deserialize)]
struct DelegationsWire {
    succinct_roles: SuccinctWire,
}

#[derive(Deserialize)]
struct SuccinctWire {
    bit_length: u64,
}

impl Tree {
    pub(crate) fn new(blobs: Arc<dyn Blobs>) -> Self {
        Self { blobs, limits: Limits::default() }
    }

    /// The pointer as it lies there, with the tag to replace it by.
    pub(crate) async fn timestamp(&self) -> Result<Option<(Blob, Pointer)>, IndexerError> {
        let key = BlobKey::Public(PublicPath::Timestamp);
        let Some(blob) = self.blobs.get(&key, self.limits.timestamp_bytes).await? else { return Ok(None) };
        let wire: TimestampWire = signed("timestamp", &blob.bytes)?;
        let snapshot = wire.meta.get("snapshot.json").map(|meta| meta.version);
        let snapshot = snapshot.ok_or_else(|| IndexerError::Missing("the snapshot in timestamp.json".to_owned()))?;
        Ok(Some((blob, Pointer { version: wire.version, expires: wire.expires, snapshot })))
    }

    pub(crate) async fn snapshot(&self, version: NonZeroU64) -> Result<SnapshotFile, IndexerError> {
        let bytes = self.role("snapshot", version, self.limits.snapshot_bytes).await?;
        let wire: SnapshotWire = signed("snapshot", &bytes)?;
        let role = |(file, meta): (String, Meta)| Some((file.strip_suffix(".json")?.to_owned(), meta.version));
        let versions = wire.meta.into_iter().filter_map(role).collect();
        Ok(SnapshotFile { bytes, seq: wire.stoa.seq, head: wire.stoa.head, versions })
    }

    /// What a bin lists.
    pub(crate) async fn bin(&self, role: &str, version: NonZeroU64) -> Result<BTreeMap<String, Target>, IndexerError> {
        let bytes = self.role(role, version, self.limits.targets_bytes).await?;
        let listed = signed::<TargetsWire>(role, &bytes)?.targets;
        Ok(listed
            .into_iter()
            .map(|(path, wire)| (path, Target { length: wire.length, sha256: wire.hashes.sha256 }))
            .collect())
    }

    /// How many bits of a path's digest name its bin, as the offline keys signed it.
    pub(crate) async fn bin_bits(&self, index_version: NonZeroU64) -> Result<BitLength, IndexerError> {
        let bytes = self.role("index", index_version, self.limits.targets_bytes).await?;
        let bits = signed::<IndexWire>("index", &bytes)?.delegations.succinct_roles.bit_length;
        BitLength::new(bits).map_err(|e| IndexerError::Index(e.into()))
    }

    /// Whether the document `delegator` names `key` for `role`: for one of its roles, or for its bins.
    pub(crate) async fn delegates_to(
        &self,
        delegator: &str,
        version: NonZeroU64,
        role: &str,
        key: &KeyId,
    ) -> Result<bool, IndexerError> {
        let bytes = self.role(delegator, version, self.limits.targets_bytes).await?;
        let DelegatorWire { delegations } = signed(delegator, &bytes)?;
        let of_role = |wire: &&KeysWire| wire.name.as_deref() == Some(role);
        let named = delegations.succinct_roles.as_ref().or(delegations.roles.iter().find(of_role));
        Ok(named.is_some_and(|wire| wire.keyids.contains(key)))
    }

    pub(crate) async fn document(&self, id: &PluginId, target: &Target) -> Result<Document, IndexerError> {
        let path = PublicPath::Document(id.clone(), target.sha256);
        let bytes = self.target(path, target, MAX_DOCUMENT_BYTES).await?;
        Ok(Document::read(id, &bytes)?)
    }

    /// The keys of a namespace.
    pub(crate) async fn publishers(&self, namespace: &Namespace, target: &Target) -> Result<Publishers, IndexerError> {
        let path = PublicPath::Publishers(namespace.clone(), target.sha256);
        let bytes = self.target(path, target, MAX_PUBLISHERS_BYTES).await?;
        Ok(Publishers::read(namespace, &bytes).map_err(IndexError::from)?)
    }

    async fn target(&self, path: PublicPath, target: &Target, limit: usize) -> Result<Bytes, IndexerError> {
        let blob = self.blobs.get(&BlobKey::Public(path.clone()), limit as u64).await?;
        let bytes = blob.ok_or_else(|| IndexerError::Missing(path.to_string()))?.bytes;
        let found = Digest::of(&bytes);
        if found != target.sha256 {
            let (found, expected) = (found.to_string(), target.sha256.to_string());
            return Err(IndexerError::Diverged { path: path.to_string(), found, expected });
        }
        Ok(bytes)
    }

    /// Reads and verifies the index as a client with nothing but the first root would: with `files` in place of those
    /// that lie there.
    pub(crate) async fn read_as_client(
        &self,
        root: &[u8],
        files: &BTreeMap<PublicPath, &[u8]>,
        now: Time,
    ) -> Result<Updater, IndexerError> {
        let mut client = Updater::open(root, CachedTrust::default(), now, Config::default())?;
        while let Step::Fetch { file, max_bytes, .. } = client.next() {
            let bytes = match file.path() {
                Some(path) => match files.get(&path) {
                    Some(bytes) => Some(Bytes::copy_from_slice(bytes)),
                    None => self.blobs.get(&BlobKey::Public(path), max_bytes).await?.map(|blob| blob.bytes),
                },
                None => None,
            };
            client.receive(bytes.as_deref())?;
        }
        Ok(client)
    }

    /// Reads and verifies what was signed, whether or not it has expired since: `timestamp` and the snapshot that it
    /// points at.
    pub(crate) async fn read_as_signed(
        &self,
        root: &[u8],
        timestamp: &Blob,
        snapshot: NonZeroU64,
        now: Time,
    ) -> Result<Updater, IndexerError> {
        let mut cached = CachedTrust::default();
        for version in 2..2 + u64::from(self.limits.roots) {
            let file = PublicPath::Role(RoleFile { version, role: "root".to_owned() });
            let Some(blob) = self.blobs.get(&BlobKey::Public(file), self.limits.root_bytes).await? else { break };
            cached.roots.insert(version, blob.bytes.to_vec());
        }
        let snapshot = self.role(writer::SNAPSHOT, snapshot, self.limits.snapshot_bytes).await?;
        let roles = [("timestamp", &timestamp.bytes), (writer::SNAPSHOT, &snapshot)];
        cached.roles = roles.map(|(role, bytes)| (role.to_owned(), bytes.to_vec())).into();
        Ok(Updater::offline(root, cached, now, Config::default())?)
    }

    /// Gives `client` the role that lies there in the version that its snapshot lists.
    pub(crate) async fn verify(&self, client: &mut Updater, role: &str, by: &str) -> Result<(), IndexerError> {
        let listed = client.snapshot().and_then(|snapshot| snapshot.roles().get(role)).map(|listed| listed.version);
        let version = listed.and_then(NonZeroU64::new).ok_or_else(|| IndexerError::Missing(format!("{role}.json")))?;
        let bytes = self.role(role, version, self.limits.targets_bytes).await?;
        Ok(client.receive_delegated(role, by, &bytes)?)
    }

    /// Checks that a file is there with these bytes.
    pub(crate) async fn check(&self, path: &PublicPath, bytes: &[u8]) -> Result<(), IndexerError> {
        self.compare(&BlobKey::Public(path.clone()), bytes).await
    }

    /// Puts files that nothing names yet, in parallel.
    pub(crate) async fn put_all(&self, files: &[(PublicPath, Vec<u8>)]) -> Result<(), IndexerError> {
        let put = |(path, bytes): &(PublicPath, Vec<u8>)| {
            let (key, bytes) = (BlobKey::Public(path.clone()), bytes.clone());
            async move { self.put(&key, &bytes).await }
        };
        stream::iter(files.iter().map(put).collect::<Vec<_>>()).buffer_unordered(PARALLEL).try_collect().await
    }

    /// Puts bytes under an immutable name. Other bytes already there are the one thing that must never be.
    pub(crate) async fn put(&self, key: &BlobKey, bytes: &[u8]) -> Result<(), IndexerError> {
        match self.blobs.put_new(key, Bytes::copy_from_slice(bytes)).await? {
            Put::Created => Ok(()),
            Put::Exists => self.compare(key, bytes).await,
        }
    }

    async fn compare(&self, key: &BlobKey, bytes: &[u8]) -> Result<(), IndexerError> {
        let there = self.blobs.get(key, u64::MAX).await?;
        let there = there.ok_or_else(|| IndexerError::Missing(key.to_string()))?;
        if there.bytes == bytes {
            return Ok(());
        }
        let (found, expected) = (Digest::of(&there.bytes).to_string(), Digest::of(bytes).to_string());
        Err(IndexerError::Diverged { path: key.to_string(), found, expected })
    }

    /// The bytes of `trust/VERSION.ROLE.json`.
    pub(crate) async fn role(&self, role: &str, version: NonZeroU64, limit: u64) -> Result<Bytes, IndexerError> {
        let path = PublicPath::Role(RoleFile { version: version.get(), role: role.to_owned() });
        let blob = self.blobs.get(&BlobKey::Public(path.clone()), limit).await?;
        Ok(blob.ok_or_else(|| IndexerError::Missing(path.to_string()))?.bytes)
    }
}

fn signed<T: serde::de::DeserializeOwned>(role: &str, bytes: &[u8]) -> Result<T, IndexerError> {
    let envelope = Envelope::read(role, bytes)?;
    T::deserialize(envelope.signed()).map_err(|e| IndexerError::Missing(format!("a field of {role}.json ({e})")))
}
