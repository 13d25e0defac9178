//! One run of the indexer: from the signed head to the ledger's.

use std::{collections::BTreeMap, num::NonZeroU64, sync::Arc};

use bytes::Bytes;
use stoa_core::{
    digest::Digest,
    document::Document,
    event::{Head, Sealed},
    index::{self, Base, Cursor, IndexKeys, Revision},
    path::PublicPath,
    trust::writer::INDEX,
};
use stoa_store::{
    blobs::{BlobKey, Blobs, Put},
    ledger::Ledger,
};

use crate::{error::IndexerError, tree::Tree};

/// Events that one run covers: a bound on memory, and on what is lost when a run is cut off.
const EVENTS_PER_RUN: usize = 512;

/// Makes the signed index follow the ledger. Holds the online keys of bins, snapshot and catalog, and no way to
/// move the pointer: that is the signer's.
#[derive(Clone)]
pub struct Indexer {
    ledger: Arc<dyn Ledger>,
    tree: Tree,
    keys: Arc<IndexKeys>,
}

impl std::fmt::Debug for Indexer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Indexer").field("keys", &self.keys).finish_non_exhaustive()
    }
}

/// What a run made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The snapshot to be pointed at.
    pub snapshot: NonZeroU64,
    /// The event that it covers last.
    pub head: Head,
    /// The documents that changed.
    pub documents: Vec<Document>,
    /// Whether the ledger has more events already.
    pub more: bool,
}

impl Indexer {
    /// An indexer from `ledger` to `blobs`.
    pub fn new(ledger: Arc<dyn Ledger>, blobs: Arc<dyn Blobs>, keys: IndexKeys) -> Self {
        Self { ledger, tree: Tree::new(blobs), keys: Arc::new(keys) }
    }

    /// Writes everything that the events after the signed head make, up to a snapshot that nothing points at
    /// yet. `None` where there is nothing new.
    ///
    /// Running it twice, or in two processes at once, writes the same bytes under the same names.
    ///
    /// # Errors
    /// [`IndexerError`]; what is published stays as it was.
    pub async fn run(&self) -> Result<Option<Run>, IndexerError> {
        let cursor = self.cursor().await?;
        let signed = cursor.as_ref().map_or(Head::none(), |cursor| cursor.head);
        let events = self.ledger.events(signed.seq, EVENTS_PER_RUN).await?;
        let Some(last) = events.last() else { return Ok(None) };
        let (snapshot, more) = (last.place(), self.ledger.head().await?.seq > last.event().seq);
        self.archive(&events).await?;
        let base = self.base(cursor, &events).await?;
        let revision = index::advance(base, &events, &self.keys)?;
        self.write(&revision).await?;
        let head = revision.cursor.head;
        Ok(Some(Run { snapshot, head, documents: revision.documents, more }))
    }

    /// Where the signed index stands, after checking that the ledger goes on from there.
    async fn cursor(&self) -> Result<Option<Cursor>, IndexerError> {
        let Some((_, pointer)) = self.tree.timestamp().await? else { return Ok(None) };
        let snapshot = self.tree.snapshot(pointer.snapshot).await?;
        let head = continued(&*self.ledger, snapshot.seq, snapshot.head).await?;
        let index = snapshot.versions.get(INDEX).ok_or_else(|| IndexerError::Missing("index.json".to_owned()))?;
        let bin_bits = self.tree.bin_bits(*index).await?;
        Ok(Some(Cursor { head, bin_bits, versions: snapshot.versions }))
    }

    /// The log outlives the ledger's engine: every event lies in `events/` before anything shows it.
    async fn archive(&self, events: &[Sealed]) -> Result<(), IndexerError> {
        for event in events {
            self.put(&BlobKey::Event(event.event().seq), event.bytes()).await?;
        }
        Ok(())
    }

    /// Reads what the events will change.
    async fn base(&self, cursor: Option<Cursor>, events: &[Sealed]) -> Result<Base, IndexerError> {
        let mut base = Base { snapshot: cursor, bins: BTreeMap::new(), documents: BTreeMap::new() };
        let Some(cursor) = &base.snapshot else { return Ok(base) };
        for id in index::touched(events) {
            let role = index::bin_of(&id, cursor.bin_bits);
            if !base.bins.contains_key(&role) {
                let version =
                    cursor.versions.get(&role).ok_or_else(|| IndexerError::Missing(format!("{role}.json")))?;
                base.bins.insert(role.clone(), self.tree.bin(&role, *version).await?);
            }
            let target = base.bins.get(&role).and_then(|bin| bin.get(&PublicPath::target_path(&id)));
            if let Some(target) = target {
                let document = self.tree.document(&id, target).await?;
                base.documents.insert(id, document);
            }
        }
        Ok(base)
    }

    async fn write(&self, revision: &Revision) -> Result<(), IndexerError> {
        for digest in &revision.artifacts {
            self.publish(*digest).await?;
        }
        for (path, bytes) in &revision.files {
            self.put(&BlobKey::Public(path.clone()), bytes).await?;
        }
        Ok(())
    }

    /// Copies a blob of a release from the private store to the public tree.
    async fn publish(&self, digest: Digest) -> Result<(), IndexerError> {
        let (from, to) = (BlobKey::Store(digest), BlobKey::Public(PublicPath::Artifact(digest)));
        if self.tree.blobs.head(&to).await?.is_some() {
            return Ok(());
        }
        let meta = self.tree.blobs.head(&from).await?.ok_or_else(|| IndexerError::Missing(from.to_string()))?;
        match self.tree.blobs.copy_new(&from, &meta.tag, &to).await? {
            // Named by its content, and copied from a verified blob: whoever came first wrote the same.
            Put::Created | Put::Exists => Ok(()),
        }
    }

    /// Puts bytes under an immutable name. Other bytes already there are the one thing that must never be.
    async fn put(&self, key: &BlobKey, bytes: &[u8]) -> Result<(), IndexerError> {
        match self.tree.blobs.put_new(key, Bytes::copy_from_slice(bytes)).await? {
            Put::Created => Ok(()),
            Put::Exists => {
                let there = self.tree.blobs.get(key, u64::MAX).await?;
                let there = there.ok_or_else(|| IndexerError::Missing(key.to_string()))?;
                if there.bytes == bytes {
                    return Ok(());
                }
                let (found, expected) = (Digest::of(&there.bytes).to_string(), Digest::of(bytes).to_string());
                Err(IndexerError::Diverged { path: key.to_string(), found, expected })
            }
        }
    }
}

/// The head at event `seq`, after checking that the ledger has that event with that hash.
pub(crate) async fn continued(ledger: &dyn Ledger, seq: u64, hash: Digest) -> Result<Head, IndexerError> {
    let head = ledger.head().await?;
    if head.seq < seq {
        return Err(IndexerError::Behind { ledger: head.seq, signed: seq });
    }
    let event = ledger.events(seq.saturating_sub(1), 1).await?.into_iter().next();
    let found = event.map(|event| event.head()).filter(|found| found.seq == seq);
    let found = found.ok_or(IndexerError::Behind { ledger: head.seq, signed: seq })?;
    if found.hash != hash {
        let (ledger, signed) = (found.hash.to_string(), hash.to_string());
        return Err(IndexerError::Forked { seq, ledger, signed });
    }
    Ok(found)
}
