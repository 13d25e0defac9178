//! The fold from events to the signed index: which files a stretch of the log makes.
//!
//! [`advance`] is pure and depends on nothing but the log: given the index as it stood at one event and the
//! events after it, it gives every file that the index needs to stand at the last of them. Name → bytes is
//! a function of the log's prefix, whoever runs it and however events are batched:
//! a bin's version is the seq of the last event that touched it, the snapshot's is the seq of the head,
//! expiry counts from event times, signatures are deterministic, and everything is sorted.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    digest::Digest,
    document::{self, Document, DocumentError},
    event::{EventError, Fact, Head, Sealed},
    id::PluginId,
    path::{PublicPath, RoleFile},
    release::BlobRef,
    time::{DAY, Time},
    trust::{
        TrustError,
        key::SecretKey,
        writer::{self, BinContent, SnapshotContent, TargetFile},
    },
};

/// Snapshot, bins and catalog live ten years: freshness comes from the timestamp, and short-lived bins would
/// have to be fetched again by every client (`research`: PEP 458's prototype moved from 1 to 7 days for that).
pub const INDEX_LIFETIME: i64 = 3650 * DAY;
/// The timestamp lives a week and is signed anew every day: that long can a mirror freeze a client.
pub const TIMESTAMP_LIFETIME: i64 = 7 * DAY;

/// The online keys of the indexer. The timestamp's key is not among them: it is the signer's alone.
#[derive(Debug)]
pub struct IndexKeys {
    /// Signs bins and snapshots.
    pub snapshot: SecretKey,
    /// Signs the catalog.
    pub catalog: SecretKey,
}

/// The index as it stands at one event, as far as the next events touch it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Base {
    /// What the last snapshot says; `None` before the first.
    pub snapshot: Option<Cursor>,
    /// The content of the bins that will change, by role.
    pub bins: BTreeMap<String, BTreeMap<String, TargetFile>>,
    /// The documents that will change, where there are any.
    pub documents: BTreeMap<PluginId, Document>,
}

/// Where a snapshot stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The event that it covers last.
    pub head: Head,
    /// How many bits of a path's digest name its bin.
    pub bin_bits: u8,
    /// The version of each role that it lists.
    pub versions: BTreeMap<String, u64>,
}

/// What a stretch of the log makes of the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// The blobs of new releases, to be copied to the public tree before anything names them.
    pub artifacts: BTreeSet<Digest>,
    /// The files, in the order in which they must be written. The snapshot is the last.
    pub files: Vec<(PublicPath, Vec<u8>)>,
    /// The documents that changed.
    pub documents: Vec<Document>,
    /// Where the new snapshot stands.
    pub cursor: Cursor,
}

/// Why the index can not follow the log. Each means that the log, or the index, is not what it claims to be:
/// stop and alarm, never skip.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// There is nothing to cover.
    #[error("there is no event after {0}")]
    Nothing(u64),
    /// The events are no chain, or do not follow the snapshot.
    #[error("the log does not continue the signed index")]
    Chain(#[from] EventError),
    /// A document can not take an event.
    #[error("a document can not follow the log")]
    Document(#[from] DocumentError),
    /// Metadata can not be written.
    #[error("the index can not be signed")]
    Trust(#[from] TrustError),
    /// The caller did not load what the events change. Going on would drop every other plugin of that bin.
    #[error("`{0}` is changed by these events, and was not loaded")]
    NotLoaded(String),
    /// The index has not begun.
    #[error("event {0} needs a registry that has begun, and this one has not")]
    NotBegun(u64),
}

/// The plugins whose documents, and bins, must be in the [`Base`] of these events.
pub fn touched(events: &[Sealed]) -> BTreeSet<PluginId> {
    events.iter().flat_map(|event| document::touched(event.event())).collect()
}

/// The role of the bin that lists the document of `id`.
pub fn bin_of(id: &PluginId, bin_bits: u8) -> String {
    writer::bin_name(bin_bits, &PublicPath::target_path(id))
}

/// The index after `events`, from the index before.
///
/// # Errors
/// [`IndexError`]: nothing has been written, and nothing may be.
pub fn advance(base: Base, events: &[Sealed], keys: &IndexKeys) -> Result<Revision, IndexError> {
    let mut fold = Fold::begin(base, events)?;
    for event in events {
        fold.take(event)?;
    }
    fold.finish(keys)
}

struct Fold {
    /// Whether there was a snapshot before: then every bin that changes has content to be kept.
    began: bool,
    head: Head,
    bin_bits: u8,
    versions: BTreeMap<String, u64>,
    bins: BTreeMap<String, BTreeMap<String, TargetFile>>,
    documents: BTreeMap<PluginId, Document>,
    /// The event that touched a role last, within this stretch.
    changed: BTreeMap<String, Time>,
    dirty: BTreeSet<PluginId>,
    artifacts: BTreeSet<Digest>,
    records: BTreeMap<Digest, Vec<u8>>,
}

impl Fold {
    fn begin(base: Base, events: &[Sealed]) -> Result<Self, IndexError> {
        let began = base.snapshot.is_some();
        let (head, bin_bits, versions) = match base.snapshot {
            Some(cursor) => (cursor.head, cursor.bin_bits, cursor.versions),
            None => (Head::none(), 0, BTreeMap::new()),
        };
        if events.is_empty() {
            return Err(IndexError::Nothing(head.seq));
        }
        let (bins, documents) = (base.bins, base.documents);
        let (changed, dirty, artifacts, records) = Default::default();
        Ok(Self { began, head, bin_bits, versions, bins, documents, changed, dirty, artifacts, records })
    }

    fn take(&mut self, event: &Sealed) -> Result<(), IndexError> {
        event.follows(&self.head)?;
        self.head = event.head();
        match &event.event().fact {
            Fact::Genesis { bin_bits, offline } => {
                self.bin_bits = *bin_bits;
                self.install(offline);
                for role in writer::bin_names(*bin_bits).chain(["catalog".to_owned()]) {
                    self.touch(role, event);
                }
            }
            Fact::OfflineInstalled { offline } => self.install(offline),
            Fact::Released { releases } => {
                for release in releases {
                    self.artifacts.extend(release.blobs().map(|blob| blob.digest));
                    let bytes = release.to_bytes().map_err(DocumentError::from)?;
                    self.records.insert(Digest::of(&bytes), bytes);
                }
            }
            _ => {}
        }
        for id in document::touched(event.event()) {
            let role = self.loaded(&id, event)?;
            let before = self.documents.remove(&id);
            if let Some(after) = Document::apply(before, &id, event.event())? {
                self.documents.insert(id.clone(), after);
            }
            self.touch(role, event);
            self.dirty.insert(id);
        }
        Ok(())
    }

    /// The bin of `id`, whose content and whose document of `id` are at hand.
    fn loaded(&self, id: &PluginId, event: &Sealed) -> Result<String, IndexError> {
        if self.versions.is_empty() {
            return Err(IndexError::NotBegun(event.event().seq));
        }
        let role = bin_of(id, self.bin_bits);
        let bin = self.bins.get(&role);
        if self.began && bin.is_none() {
            return Err(IndexError::NotLoaded(role));
        }
        let path = PublicPath::target_path(id);
        if bin.is_some_and(|bin| bin.contains_key(&path)) && !self.documents.contains_key(id) {
            return Err(IndexError::NotLoaded(path));
        }
        Ok(role)
    }

    /// Root is found by counting up, not through the snapshot (TUF 1.0, section 5.3).
    fn install(&mut self, offline: &[crate::event::OfflineRole]) {
        let listed = offline.iter().filter(|role| role.role != "root");
        self.versions.extend(listed.map(|role| (role.role.clone(), role.version)));
    }

    fn touch(&mut self, role: String, event: &Sealed) {
        self.versions.insert(role.clone(), event.event().seq);
        self.changed.insert(role, event.event().time);
    }

    fn finish(mut self, keys: &IndexKeys) -> Result<Revision, IndexError> {
        let mut files: Vec<(PublicPath, Vec<u8>)> = Vec::new();
        for (digest, bytes) in std::mem::take(&mut self.records) {
            files.push((PublicPath::Artifact(digest), bytes));
        }
        let mut documents = Vec::new();
        for id in std::mem::take(&mut self.dirty) {
            let Some(document) = self.documents.remove(&id) else { continue };
            let bytes = document.to_bytes()?;
            let blob = BlobRef::of(&bytes);
            let target = TargetFile { length: blob.size, sha256: blob.digest };
            let bin = self.bins.entry(bin_of(&id, self.bin_bits)).or_default();
            bin.insert(PublicPath::target_path(&id), target);
            files.push((PublicPath::Document(id, blob.digest), bytes));
            documents.push(document);
        }
        for (role, time) in &self.changed {
            files.push(self.role_file(role, *time, keys)?);
        }
        files.push(self.snapshot_file(keys)?);
        let cursor = Cursor { head: self.head, bin_bits: self.bin_bits, versions: self.versions };
        Ok(Revision { artifacts: self.artifacts, files, documents, cursor })
    }

    fn role_file(&self, role: &str, time: Time, keys: &IndexKeys) -> Result<(PublicPath, Vec<u8>), IndexError> {
        let version = self.versions.get(role).copied().unwrap_or_default();
        let expires = time.plus(INDEX_LIFETIME);
        let bytes = match role {
            "catalog" => writer::catalog(version, expires, &BTreeMap::new(), &keys.catalog)?,
            _ => {
                let targets = self.bins.get(role).cloned().unwrap_or_default();
                writer::bin(&BinContent { role, version, expires, targets: &targets }, &keys.snapshot)?
            }
        };
        Ok((PublicPath::Role(RoleFile { version, role: role.to_owned() }), bytes))
    }

    fn snapshot_file(&self, keys: &IndexKeys) -> Result<(PublicPath, Vec<u8>), IndexError> {
        let content = SnapshotContent {
            version: self.head.seq,
            expires: self.head.time.plus(INDEX_LIFETIME),
            versions: &self.versions,
            seq: self.head.seq,
            head: self.head.hash,
        };
        let bytes = writer::snapshot(&content, &keys.snapshot)?;
        Ok((PublicPath::Role(RoleFile { version: self.head.seq, role: "snapshot".to_owned() }), bytes))
    }
}
