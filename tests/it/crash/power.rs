//! The power that a process runs on: it counts what is written, and can be cut at any write.

use std::{
    ops::Range,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use async_trait::async_trait;
use bytes::Bytes;
use stoa_core::{
    event::{Head, PrivatePart, Sealed},
    time::Time,
};
use stoa_store::{
    blobs::{Area, Blob, BlobError, BlobKey, BlobMeta, Blobs, ETag, Listed, Precondition, Put},
    ledger::{Committed, Item, ItemKey, Ledger, LedgerError, Transaction},
    upload::{PresignedUpload, UploadGrant, UploadSecret},
};

/// What becomes of one write, and of the process that makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The process dies before the write takes effect.
    Before,
    /// The write takes effect, and the process dies before it learns of it.
    After,
    /// The write never takes effect; what was under way beside it does, and then the process dies.
    Overtaken,
    /// The store answers with a failure and has done nothing. The process lives.
    Refused,
    /// The write takes effect, and the store answers with a failure. The process lives.
    AnswerLost,
}

#[derive(Debug, Default)]
struct State {
    writes: Vec<String>,
    cut: Option<(usize, Cut)>,
    out: bool,
    stuck: bool,
}

/// The power of one process. Clones are of the same one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Power {
    state: Arc<Mutex<State>>,
    /// Writes go one by one, so that the n-th is the same one in every run.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Power {
    /// Counts from here on, and cuts at write number `at`, counted from 0.
    pub(crate) fn cut_at(&self, at: usize, cut: Cut) {
        let mut state = self.lock();
        state.writes.clear();
        state.cut = Some((at, cut));
    }

    /// What was written so far, by kind and name, in order.
    pub(crate) fn writes(&self) -> Vec<String> {
        self.lock().writes.clone()
    }

    /// Runs `work` for as long as there is power. `None`: the process is gone, with all that it had under way.
    pub(crate) async fn run<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        std::future::poll_fn(|context| {
            let seen = Arc::new(Seen { woken: AtomicBool::new(false), outer: context.waker().clone() });
            let polled = work.as_mut().poll(&mut Context::from_waker(&Waker::from(seen.clone())));
            let State { out, stuck, .. } = *self.lock();
            match polled {
                _ if out => Poll::Ready(None),
                Poll::Ready(value) => Poll::Ready(Some(value)),
                // Nothing of it will go on by itself: all that did not wait for the stuck write is done.
                Poll::Pending if stuck && !seen.woken.load(Ordering::SeqCst) => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A process without power does nothing any more, not even read.
    async fn on(&self) {
        let out = self.lock().out;
        if out {
            std::future::pending().await
        }
    }

    async fn write<T, E>(
        &self,
        name: String,
        effect: impl Future<Output = Result<T, E>>,
        failure: impl FnOnce(&'static str) -> E,
    ) -> Result<T, E> {
        let turn = self.turn.lock().await;
        self.on().await;
        let cut = {
            let mut state = self.lock();
            let at = state.writes.len();
            state.writes.push(name);
            state.cut.filter(|(cut_at, _)| *cut_at == at).map(|(_, cut)| cut)
        };
        match cut {
            None => return effect.await,
            Some(Cut::Refused) => return Err(failure("the test refuses it")),
            Some(Cut::AnswerLost) => return effect.await.and_then(|_| Err(failure("the test lost the answer"))),
            Some(Cut::Before) => self.lock().out = true,
            Some(Cut::After) => {
                let _nobody_learns_of_it = effect.await;
                self.lock().out = true;
            }
            Some(Cut::Overtaken) => {
                self.lock().stuck = true;
                drop(turn);
            }
        }
        std::future::pending().await
    }
}

struct Seen {
    woken: AtomicBool,
    outer: Waker,
}

impl Wake for Seen {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        self.outer.wake_by_ref();
    }
}

/// A store on this power: the same store, for as long as there is some.
pub(crate) struct Powered<T: ?Sized>(pub(crate) Power, pub(crate) Arc<T>);

fn blob_failure(why: &'static str) -> BlobError {
    BlobError::engine("a write", why)
}

fn ledger_failure(why: &'static str) -> LedgerError {
    LedgerError::engine("a write", why)
}

#[async_trait]
impl Blobs for Powered<dyn Blobs> {
    async fn put_new(&self, key: &BlobKey, bytes: Bytes) -> Result<Put, BlobError> {
        self.0.write(format!("put {key}"), self.1.put_new(key, bytes), blob_failure).await
    }

    async fn put_if(&self, key: &BlobKey, bytes: Bytes, expected: &Precondition) -> Result<ETag, BlobError> {
        self.0.write(format!("replace {key}"), self.1.put_if(key, bytes, expected), blob_failure).await
    }

    async fn get(&self, key: &BlobKey, max_bytes: u64) -> Result<Option<Blob>, BlobError> {
        self.0.on().await;
        self.1.get(key, max_bytes).await
    }

    async fn get_range(&self, key: &BlobKey, range: Range<u64>) -> Result<Option<Bytes>, BlobError> {
        self.0.on().await;
        self.1.get_range(key, range).await
    }

    async fn head(&self, key: &BlobKey) -> Result<Option<BlobMeta>, BlobError> {
        self.0.on().await;
        self.1.head(key).await
    }

    async fn list(&self, area: Area, after: Option<&BlobKey>, limit: usize) -> Result<Vec<Listed>, BlobError> {
        self.0.on().await;
        self.1.list(area, after, limit).await
    }

    async fn copy_new(&self, from: &BlobKey, tag: &ETag, to: &BlobKey) -> Result<Put, BlobError> {
        self.0.write(format!("copy to {to}"), self.1.copy_new(from, tag, to), blob_failure).await
    }

    async fn delete(&self, key: &BlobKey) -> Result<(), BlobError> {
        self.0.write(format!("delete {key}"), self.1.delete(key), blob_failure).await
    }

    async fn presign_upload(&self, grant: &UploadGrant) -> Result<PresignedUpload, BlobError> {
        self.1.presign_upload(grant).await
    }

    fn upload_secret(&self) -> Option<&UploadSecret> {
        self.1.upload_secret()
    }
}

#[async_trait]
impl Ledger for Powered<dyn Ledger> {
    async fn commit(&self, transaction: &Transaction, now: Time) -> Result<Committed, LedgerError> {
        let name = if transaction.draft.is_some() { "commit with an event" } else { "commit" };
        self.0.write(name.to_owned(), self.1.commit(transaction, now), ledger_failure).await
    }

    async fn get_many(&self, keys: &[ItemKey], now: Time) -> Result<Vec<Option<Item>>, LedgerError> {
        self.0.on().await;
        self.1.get_many(keys, now).await
    }

    async fn list(
        &self,
        partition: &str,
        after: Option<&str>,
        limit: usize,
        now: Time,
    ) -> Result<Vec<(ItemKey, Item)>, LedgerError> {
        self.0.on().await;
        self.1.list(partition, after, limit, now).await
    }

    async fn head(&self) -> Result<Head, LedgerError> {
        self.0.on().await;
        self.1.head().await
    }

    async fn events(&self, after: u64, limit: usize) -> Result<Vec<Sealed>, LedgerError> {
        self.0.on().await;
        self.1.events(after, limit).await
    }

    async fn private_part(&self, seq: u64) -> Result<Option<PrivatePart>, LedgerError> {
        self.0.on().await;
        self.1.private_part(seq).await
    }

    async fn erase_private(&self, seq: u64) -> Result<(), LedgerError> {
        self.0.write("erase".to_owned(), self.1.erase_private(seq), ledger_failure).await
    }
}
