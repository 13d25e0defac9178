//! One run of the indexer: from the signed head to the ledger's.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU64,
    sync::Arc,
};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use stoa_core::{
    digest::Digest,
    document::Document,
    event::{Fact, Head, Sealed},
    index::{self, Base, Cursor, Fold, Revision},
    path::PublicPath,
    proposal::{IndexKeys, Proposal},
    trust::writer::{CATALOG, INDEX},
};
use stoa_store::{
    blobs::{BlobKey, Blobs, Put},
    ledger::Ledger,
};
use tokio::sync::Mutex;

use crate::{
    error::IndexerError,
    tree::{PARALLEL, Tree},
};

/// Events that one run covers: a bound on memory, and on what is lost when a run is cut off.
const EVENTS_PER_RUN: usize = 512;

/// Proposes an index that follows the ledger. Holds one of the two keys of bins and catalog, and the snapshot's; the
/// other, and the pointer's, are the signer's. Under `trust/` it writes nothing.
#[derive(Clone)]
pub struct Indexer {
    ledger: Arc<dyn Ledger>,
    tree: Tree,
    keys: Arc<IndexKeys>,
    installed: Arc<Mutex<Installations>>,
}

/// The last event that put offline metadata in place, as far as the ledger was read for it.
#[derive(Debug, Default)]
struct Installations {
    read: u64,
    last: u64,
}

impl std::fmt::Debug for Indexer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Indexer").field("keys", &self.keys).finish_non_exhaustive()
    }
}

/// What a run made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// What the signer is asked to sign.
    pub proposal: Proposal,
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
        Self { ledger, tree: Tree::new(blobs), keys: Arc::new(keys), installed: Arc::default() }
    }

    /// Writes everything that the events after the signed head make and that is named by its content, and signs the
    /// index that names it. `None` where there is nothing new.
    ///
    /// Running it twice, or in two processes at once, writes the same bytes under the same names.
    ///
    /// # Errors
    /// [`IndexerError`]; what is published stays as it was.
    pub async fn run(&self) -> Result<Option<Run>, IndexerError> {
        let cursor = match self.signed().await? {
            Signed::Nothing => None,
            Signed::Before(cursor) => Some(cursor),
            Signed::Lost { epoch } => {
                let last = self.last_installation().await?;
                return self.rebuild(epoch.max(last)).await.map(Some);
            }
        };
        let signed = cursor.as_ref().map_or(Head::none(), |cursor| cursor.head);
        let events = self.ledger.events(signed.seq, EVENTS_PER_RUN).await?;
        let Some(last) = events.last().map(|event| event.event().seq) else { return Ok(None) };
        // What stood before new keys came, those keys can not sign: no run ends there.
        let installed = self.last_installation().await?;
        if installed > last {
            return self.rebuild(installed).await.map(Some);
        }
        self.archive(&events).await?;
        let base = self.base(cursor, &events).await?;
        self.propose(index::advance(base, &events)?).await.map(Some)
    }

    /// Folds the log from its first event up to the epoch or a little further: what is signed is of a branch that the
    /// log does not have, and nothing of it is built upon.
    async fn rebuild(&self, epoch: u64) -> Result<Run, IndexerError> {
        let (mut fold, mut at) = (Fold::begin(Base::default()), 0);
        while at < epoch {
            let events = self.ledger.events(at, EVENTS_PER_RUN).await?;
            self.archive(&events).await?;
            events.iter().try_for_each(|event| fold.take(event))?;
            let missing = || IndexerError::Missing(format!("event {epoch}"));
            at = events.last().ok_or_else(missing)?.event().seq;
        }
        self.propose(fold.finish()?).await
    }

    /// The place of the last event that put offline metadata in place; 0 where there is none after the first.
    async fn last_installation(&self) -> Result<u64, IndexerError> {
        let mut known = self.installed.lock().await;
        loop {
            let events = self.ledger.events(known.read, EVENTS_PER_RUN).await?;
            let Some(last) = events.last() else { return Ok(known.last) };
            let installs = |event: &&Sealed| matches!(event.event().fact, Fact::OfflineInstalled { .. });
            known.last = events.iter().rev().find(installs).map_or(known.last, |event| event.event().seq);
            known.read = last.event().seq;
        }
    }

    /// Nothing is proposed that clients would refuse.
    async fn check_keys(&self, versions: &BTreeMap<String, NonZeroU64>) -> Result<(), IndexerError> {
        for (delegator, role, key) in
            [(INDEX, "bins", self.keys.snapshot.id()), ("targets", CATALOG, self.keys.catalog.id())]
        {
            let version = versions.get(delegator).ok_or_else(|| IndexerError::Missing(format!("{delegator}.json")))?;
            if !self.tree.delegates_to(delegator, *version, role, key).await? {
                let (by, key) = (format!("{delegator} {version}"), key.to_string());
                return Err(IndexerError::OtherKeys { role: role.to_owned(), by, key });
            }
        }
        Ok(())
    }

    async fn propose(&self, revision: Revision) -> Result<Run, IndexerError> {
        self.check_keys(&revision.cursor.versions).await?;
        self.write(&revision).await?;
        let head = revision.cursor.head;
        let proposal = Proposal::of(&revision, &self.keys);
        let more = self.ledger.head().await?.seq > head.seq;
        Ok(Run { proposal, head, documents: revision.documents, more })
    }

    /// Where the signed index stands, and whether the ledger goes on from there.
    async fn signed(&self) -> Result<Signed, IndexerError> {
        let Some((_, pointer)) = self.tree.timestamp().await? else { return Ok(Signed::Nothing) };
        let snapshot = self.tree.snapshot(pointer.snapshot).await?;
        let head = match standing(&*self.ledger, snapshot.seq, snapshot.head).await? {
            Standing::Continues(head) => head,
            Standing::Lost { epoch } => return Ok(Signed::Lost { epoch }),
        };
        let index = snapshot.versions.get(INDEX).ok_or_else(|| IndexerError::Missing("index.json".to_owned()))?;
        let bin_bits = self.tree.bin_bits(*index).await?;
        Ok(Signed::Before(Cursor { head, bin_bits, versions: snapshot.versions }))
    }

    /// The log outlives the ledger's engine: every event lies in `events/` before anything shows it.
    async fn archive(&self, events: &[Sealed]) -> Result<(), IndexerError> {
        let put = |event: &Sealed| {
            let (key, bytes) = (BlobKey::Event(event.event().seq), event.bytes().to_vec());
            async move { self.tree.put(&key, &bytes).await }
        };
        stream::iter(events.iter().map(put).collect::<Vec<_>>()).buffer_unordered(PARALLEL).try_collect::<()>().await
    }

    /// Reads what the events will change.
    async fn base(&self, cursor: Option<Cursor>, events: &[Sealed]) -> Result<Base, IndexerError> {
        let mut base = Base { snapshot: cursor, ..Base::default() };
        let Some(cursor) = &base.snapshot else { return Ok(base) };
        for role in index::touched_bins(events, cursor.bin_bits) {
            let version = cursor.versions.get(&role).ok_or_else(|| IndexerError::Missing(format!("{role}.json")))?;
            let bin = self.tree.bin(&role, *version).await?;
            base.bins.insert(role, bin);
        }
        for id in index::touched(events) {
            let role = index::bin_of(&id, cursor.bin_bits);
            let target = base.bins.get(&role).and_then(|bin| bin.get(&PublicPath::target_path(&id)));
            if let Some(target) = target {
                let document = self.tree.document(&id, target).await?;
                base.documents.insert(id, document);
            }
        }
        for namespace in index::touched_namespaces(events) {
            let role = index::bin_of_publishers(&namespace, cursor.bin_bits);
            let path = PublicPath::publishers_path(&namespace);
            if let Some(target) = base.bins.get(&role).and_then(|bin| bin.get(&path)) {
                let publishers = self.tree.publishers(&namespace, target).await?;
                base.publishers.insert(namespace, publishers);
            }
        }
        Ok(base)
    }

    /// Nothing names any of these yet, so they are written in parallel: on a disk each costs a sync.
    async fn write(&self, revision: &Revision) -> Result<(), IndexerError> {
        let artifacts: Vec<_> = revision.artifacts.iter().map(|digest| self.publish_blob(*digest)).collect();
        let missing: Vec<Option<Digest>> = stream::iter(artifacts).buffer_unordered(PARALLEL).try_collect().await?;
        check_purged(&*self.ledger, revision, missing.into_iter().flatten().collect()).await?;
        self.tree.put_all(&revision.files).await
    }

    /// Copies a blob of a release from the private store to the public tree. Gives its digest where it is not there.
    async fn publish_blob(&self, digest: Digest) -> Result<Option<Digest>, IndexerError> {
        let (from, to) = (BlobKey::Store(digest), BlobKey::Public(PublicPath::Artifact(digest)));
        if self.tree.blobs.head(&to).await?.is_some() {
            return Ok(None);
        }
        let Some(meta) = self.tree.blobs.head(&from).await? else { return Ok(Some(digest)) };
        match self.tree.blobs.copy_new(&from, &meta.tag, &to).await? {
            // Named by its content, and copied from a verified blob: whoever came first wrote the same.
            Put::Created | Put::Exists => Ok(None),
        }
    }
}

/// Checks that artifacts of `revision` that are not there were purged by a later event: who makes the index of an old
/// stretch of the log again finds the holes of today.
pub(crate) async fn check_purged(
    ledger: &dyn Ledger,
    revision: &Revision,
    mut missing: BTreeSet<Digest>,
) -> Result<(), IndexerError> {
    let mut after = revision.cursor.head.seq;
    while let Some(digest) = missing.first() {
        let events = ledger.events(after, EVENTS_PER_RUN).await?;
        let unexplained = || IndexerError::Missing(PublicPath::Artifact(*digest).to_string());
        after = events.last().ok_or_else(unexplained)?.event().seq;
        for event in &events {
            if let Fact::Purged { blobs, .. } = &event.event().fact {
                missing.retain(|digest| !blobs.contains(digest));
            }
        }
    }
    Ok(())
}

/// What the ledger makes of the signed index.
enum Signed {
    Nothing,
    Before(Cursor),
    Lost { epoch: u64 },
}

/// How the ledger stands to an event that was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It has the event, and goes on from there.
    Continues(Head),
    /// It has not, and says so itself: the epoch at this place gives up all events from another branch up to the
    /// signed one.
    Lost { epoch: u64 },
}

/// How `ledger` stands to event `seq` with this hash.
///
/// Nothing but an epoch in the ledger itself lets the index go on from anything else than what was signed; neither
/// key of the index can write one.
pub(crate) async fn standing(ledger: &dyn Ledger, seq: u64, hash: Digest) -> Result<Standing, IndexerError> {
    let refused = match continued(ledger, seq, hash).await {
        Ok(head) => return Ok(Standing::Continues(head)),
        Err(error @ (IndexerError::Behind { .. } | IndexerError::Forked { .. })) => error,
        Err(error) => return Err(error),
    };
    let mut after = seq;
    loop {
        // An epoch lies beyond all that it gives up.
        let events = ledger.events(after, EVENTS_PER_RUN).await?;
        let Some(last) = events.last() else { return Err(refused) };
        after = last.event().seq;
        let gives_up =
            |event: &&Sealed| matches!(&event.event().fact, Fact::Epoch { lost_after, .. } if *lost_after >= seq);
        if let Some(epoch) = events.iter().find(gives_up) {
            return Ok(Standing::Lost { epoch: epoch.event().seq });
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
