//! Everything that follows an event, in order: index, pointer, pages.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stoa_core::{
    document::Document,
    event::Head,
    index,
    path::PublicPath,
    proposal::{IndexKeys, SignerKeys},
    time::Time,
    trust::writer::INDEX,
};
use stoa_store::{blobs::Blobs, ledger::Ledger};

use crate::{
    Indexer, PagesProjection, Signer, Waiting,
    error::IndexerError,
    run::continued,
    signer::{namespace_of, plugin_of},
    site::Site,
    tree::Tree,
};

/// Events that one look at the log reads for the pages.
const EVENTS_PER_LOOK: usize = 512;

/// Indexer, pages and, where it is not a process of its own, the signer.
///
/// In one process they share what a stolen process would give away.
#[derive(Debug, Clone)]
pub struct Follower {
    indexer: Indexer,
    signing: By,
    pages: PagesProjection,
    source: Source,
}

/// Who signs.
#[derive(Debug)]
pub enum Signing {
    /// This process, which holds these keys as well.
    Here(Box<SignerKeys>),
    /// Another process, for which proposals wait.
    Elsewhere,
}

#[derive(Debug, Clone)]
enum By {
    Here(Signer),
    /// What was proposed last: the signed event and the ledger's last one.
    Elsewhere(Waiting, Arc<Mutex<Option<(u64, u64)>>>),
}

#[derive(Clone)]
struct Source {
    ledger: Arc<dyn Ledger>,
    tree: Tree,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Source")
    }
}

impl Follower {
    /// Everything that follows `ledger` into `blobs`.
    pub fn new(
        ledger: Arc<dyn Ledger>,
        blobs: Arc<dyn Blobs>,
        keys: IndexKeys,
        signing: Signing,
        root: &[u8],
        site: Site,
    ) -> Self {
        let signing = match signing {
            Signing::Here(keys) => By::Here(Signer::new(ledger.clone(), blobs.clone(), *keys, root)),
            Signing::Elsewhere => By::Elsewhere(Waiting::new(blobs.clone()), Arc::default()),
        };
        Self {
            indexer: Indexer::new(ledger.clone(), blobs.clone(), keys),
            signing,
            pages: PagesProjection::new(blobs.clone(), Arc::new(site)),
            source: Source { ledger, tree: Tree::new(blobs) },
        }
    }

    /// Brings the index to the ledger's head, and the pointer, or what is proposed to the signer. Gives the last event that
    /// is signed.
    ///
    /// # Errors
    /// [`IndexerError`]; what was published before stays, and the next call goes on from there.
    pub async fn catch_up(&self, now: Time) -> Result<u64, IndexerError> {
        match &self.signing {
            By::Here(signer) => {
                while let Some(run) = self.indexer.run().await? {
                    signer.sign(&run.proposal, now).await?;
                    if !run.more {
                        break;
                    }
                }
                signer.refresh(now).await?;
            }
            By::Elsewhere(waiting, proposed) => {
                let pointer = self.source.tree.timestamp().await?.map(|(_, pointer)| pointer.snapshot.get());
                let stand = (pointer.unwrap_or_default(), self.source.ledger.head().await?.seq);
                if *lock(proposed) != Some(stand) {
                    if let Some(run) = self.indexer.run().await? {
                        waiting.offer(&run.proposal).await?;
                    }
                    *lock(proposed) = Some(stand);
                }
            }
        }
        match (self.source.signed().await, &self.signing) {
            // An epoch gives it up, and the signer has not followed yet.
            (Err(IndexerError::Behind { .. } | IndexerError::Forked { .. }), By::Elsewhere(..)) => Ok(0),
            (signed, _) => Ok(signed?.map_or(0, |head| head.seq)),
        }
    }

    /// Writes what the ledger's new events make, and leaves the pointer where it is: what is ready before a new root, of
    /// this path and these bytes, comes into force shortens the moment in which the root is there and the pointer is not
    /// signed by its keys.
    ///
    /// # Errors
    /// [`IndexerError`], as of [`Follower::catch_up`].
    pub async fn prepare(&self, root: &PublicPath, bytes: &[u8], now: Time) -> Result<(), IndexerError> {
        match (&self.signing, self.indexer.run().await?) {
            (By::Here(signer), Some(run)) => signer.prepare(&run.proposal, root, bytes, now).await,
            _ => Ok(()),
        }
    }

    /// Brings the pages to the signed head: those that changed since they were last listed, also where an
    /// earlier run was cut off. Nothing waits for it, and it moves no pointer.
    ///
    /// # Errors
    /// [`IndexerError`]; the pages stay as they are listed.
    pub async fn update_pages(&self) -> Result<(), IndexerError> {
        let Some(head) = self.source.signed().await? else { return Ok(()) };
        let mut covered = self.pages.seq().await?;
        loop {
            let events = self.source.ledger.events(covered, EVENTS_PER_LOOK).await?;
            let events: Vec<_> = events.into_iter().filter(|event| event.event().seq <= head.seq).collect();
            if events.iter().any(|event| index::is_epoch(event.event())) {
                // What the pages show may be of events that were lost.
                return self.pages.rebuild(&head, &self.source.all_documents().await?).await.map(drop);
            }
            let documents = self.source.documents(&events).await?;
            let reached = events.last().map_or(head, |event| event.head());
            self.pages.update(&reached, &documents).await?;
            covered = reached.seq;
            if covered >= head.seq {
                return Ok(());
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Source {
    /// The head that the pointer points at.
    async fn signed(&self) -> Result<Option<Head>, IndexerError> {
        let Some((_, pointer)) = self.tree.timestamp().await? else { return Ok(None) };
        let snapshot = self.tree.snapshot(pointer.snapshot).await?;
        continued(&*self.ledger, snapshot.seq, snapshot.head).await.map(Some)
    }

    /// Every document, as they are signed now.
    async fn all_documents(&self) -> Result<Vec<Document>, IndexerError> {
        let mut documents = Vec::new();
        let Some((_, pointer)) = self.tree.timestamp().await? else { return Ok(documents) };
        let snapshot = self.tree.snapshot(pointer.snapshot).await?;
        for (role, version) in snapshot.versions.iter().filter(|(role, _)| role.starts_with("bin-")) {
            for (path, target) in self.tree.bin(role, *version).await? {
                if namespace_of(&path).is_some() {
                    continue;
                }
                let id = plugin_of(&path).ok_or_else(|| IndexerError::Missing(format!("a plugin for `{path}`")))?;
                documents.push(self.tree.document(&id, &target).await?);
            }
        }
        Ok(documents)
    }

    /// The documents that `events` touch, as they are signed now.
    async fn documents(&self, events: &[stoa_core::event::Sealed]) -> Result<Vec<Document>, IndexerError> {
        let mut documents = Vec::new();
        let ids = index::touched(events);
        let Some((_, pointer)) = self.tree.timestamp().await?.filter(|_| !ids.is_empty()) else {
            return Ok(documents);
        };
        let snapshot = self.tree.snapshot(pointer.snapshot).await?;
        let missing = |what: &str| IndexerError::Missing(what.to_owned());
        let bits = self.tree.bin_bits(*snapshot.versions.get(INDEX).ok_or_else(|| missing("index.json"))?).await?;
        for id in ids {
            let role = index::bin_of(&id, bits);
            let version = snapshot.versions.get(&role).ok_or_else(|| missing(&role))?;
            let bin = self.tree.bin(&role, *version).await?;
            let path = PublicPath::target_path(&id);
            let target = bin.get(&path).ok_or_else(|| missing(&path))?;
            documents.push(self.tree.document(&id, target).await?);
        }
        Ok(documents)
    }
}
