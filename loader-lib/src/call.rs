//! The context that travels with a call: who is on the way, since when, until when.

use std::{
    any::Any,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use stoa_core::id::PluginId;
use tokio::time::Instant;

use crate::{breaker::Caller, cancel::CancelToken, error::LoaderError, limits::Limit, plan::SlotKey};

/// Plugins in one chain of calls. Deep enough for layers that people can still reason about; each level
/// costs a fiber with its own stack.
pub(crate) const MAX_DEPTH: usize = Limit::ChainDepth.row().default as usize;

tokio::task_local! {
    /// The call that the running task serves, so that it also passes through host functions.
    static CURRENT: Call;
}

/// Tells the hosts of one process apart: a chain may lead through several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HostId(u64);

impl HostId {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Relaxed))
    }
}

/// A call into one plugin, as part of a chain.
#[derive(Clone)]
pub(crate) struct Call {
    /// Names the whole chain in logs.
    pub(crate) trace: u64,
    /// When the root call began.
    began: Instant,
    /// When this call must have ended: never after its caller's deadline.
    pub(crate) deadline: Instant,
    /// The plugins on the way; the last is the one called.
    chain: Arc<Link>,
    /// The generation that the root call pinned, of whatever host.
    generation: Arc<dyn Any + Send + Sync>,
    /// Each of them ends the call: its own and those of its callers.
    tokens: Arc<[CancelToken]>,
}

struct Link {
    host: HostId,
    key: SlotKey,
    depth: usize,
    before: Option<Arc<Link>>,
    /// Calls that it waits for.
    below: AtomicUsize,
}

impl Link {
    fn path(&self) -> impl Iterator<Item = &Link> {
        std::iter::successors(Some(self), |link| link.before.as_deref())
    }
}

/// A wait of a call for one that it led to.
pub(crate) struct Below(Arc<Link>);

impl Drop for Below {
    fn drop(&mut self) {
        self.0.below.fetch_sub(1, Relaxed);
    }
}

impl Call {
    /// Who calls from here: the plugin that the running task serves, or the host.
    pub(crate) fn calls_from_here() -> Caller {
        let here = CURRENT.try_with(|call| call.chain.key.id().clone()).ok();
        here.map_or(Caller::Host, Caller::Plugin)
    }

    /// Who made this call.
    pub(crate) fn caller(&self) -> Caller {
        let before = self.chain.before.as_ref();
        before.map_or(Caller::Host, |before| Caller::Plugin(before.key.id().clone()))
    }

    /// Waits for another call, until this is dropped.
    pub(crate) fn waits(&self) -> Below {
        self.chain.below.fetch_add(1, Relaxed);
        Below(self.chain.clone())
    }

    /// Whether it waits for another one.
    pub(crate) fn is_waiting(&self) -> bool {
        self.chain.below.load(Relaxed) > 0
    }

    /// The call that the running task serves, if it serves one.
    pub(crate) fn current() -> Option<Self> {
        CURRENT.try_with(Self::clone).ok()
    }

    /// The first call of a chain.
    pub(crate) fn root(host: HostId, key: SlotKey, within: Duration, generation: Arc<dyn Any + Send + Sync>) -> Self {
        static TRACE: AtomicU64 = AtomicU64::new(1);
        let began = Instant::now();
        Self {
            trace: TRACE.fetch_add(1, Relaxed),
            began,
            deadline: began + within,
            chain: Arc::new(Link { host, key, depth: 1, before: None, below: AtomicUsize::new(0) }),
            generation,
            tokens: Arc::new([]),
        }
    }

    /// The next call of this chain, into `key`. It ends with this one at the latest, and within `within`.
    pub(crate) fn next(&self, host: HostId, key: SlotKey, within: Duration) -> Result<Self, LoaderError> {
        if self.chain.path().any(|link| link.host == host && link.key == key) {
            let path = self.path().into_iter().chain([key.id().clone()]).map(|id| id.to_string());
            let chain = path.collect::<Vec<_>>().join(" > ");
            return Err(LoaderError::Reentrant { plugin: key.id().clone(), chain });
        }
        let depth = self.chain.depth + 1;
        if depth > MAX_DEPTH {
            return Err(LoaderError::TooDeep { plugin: key.id().clone(), depth, limit: MAX_DEPTH });
        }
        Ok(Self {
            trace: self.trace,
            began: self.began,
            deadline: self.deadline.min(Instant::now() + within),
            chain: Arc::new(Link { host, key, depth, before: Some(self.chain.clone()), below: AtomicUsize::new(0) }),
            generation: self.generation.clone(),
            tokens: self.tokens.clone(),
        })
    }

    /// The plugins on the way, first to last.
    pub(crate) fn path(&self) -> Vec<PluginId> {
        let mut path: Vec<_> = self.chain.path().map(|link| link.key.id().clone()).collect();
        path.reverse();
        path
    }

    /// The same call in another generation: for a chain that comes from another host.
    pub(crate) fn pinned(self, generation: Arc<dyn Any + Send + Sync>) -> Self {
        Self { generation, ..self }
    }

    /// The same call, which `token` ends too.
    pub(crate) fn cancelled_by(self, token: &CancelToken) -> Self {
        let tokens = self.tokens.iter().chain([token]).cloned().collect();
        Self { tokens, ..self }
    }

    /// What ends it before its time.
    pub(crate) fn tokens(&self) -> Arc<[CancelToken]> {
        self.tokens.clone()
    }

    /// Whether one of its tokens was cancelled.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.tokens.iter().any(CancelToken::is_cancelled)
    }

    /// The pinned generation, if it is a `G` of the host that is called.
    pub(crate) fn generation<G: Any + Send + Sync>(&self) -> Option<Arc<G>> {
        self.generation.clone().downcast().ok()
    }

    /// From the start of the root call to this call's deadline.
    pub(crate) fn limit(&self) -> Duration {
        self.deadline - self.began
    }

    /// Runs `work` as this call.
    pub(crate) async fn scope<F: Future>(self, work: F) -> F::Output {
        CURRENT.scope(self, work).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str) -> SlotKey {
        SlotKey::new("test", id.parse().expect("an id"), 1)
    }

    #[tokio::test]
    async fn a_deadline_travels_and_only_shrinks() {
        let host = HostId::new();
        let root = Call::root(host, key("demo:a"), Duration::from_secs(1), Arc::new(()));
        let longer = root.next(host, key("demo:b"), Duration::from_secs(60)).expect("a new target");
        assert_eq!(longer.deadline, root.deadline);
        let shorter = root.next(host, key("demo:b"), Duration::from_millis(1)).expect("a new target");
        assert!(shorter.deadline < root.deadline);
    }

    #[tokio::test]
    async fn a_target_on_the_chain_is_refused_with_the_way_to_it() {
        let host = HostId::new();
        let call = Call::root(host, key("demo:a"), Duration::from_secs(1), Arc::new(()));
        let call = call.next(host, key("demo:b"), Duration::from_secs(1)).expect("a new target");
        let error = call.next(host, key("demo:a"), Duration::from_secs(1)).map(drop).expect_err("a is on the chain");
        assert_eq!(error.to_string(), "demo:a was called while it waits for that very call: demo:a > demo:b > demo:a");
        // The same name in another host is another instance.
        assert!(call.next(HostId::new(), key("demo:a"), Duration::from_secs(1)).is_ok());
    }

    #[tokio::test]
    async fn the_seventeenth_plugin_of_a_chain_is_refused() {
        let host = HostId::new();
        let mut call = Call::root(host, key("demo:a1"), Duration::from_secs(1), Arc::new(()));
        for n in 2..=MAX_DEPTH {
            call = call.next(host, key(&format!("demo:a{n}")), Duration::from_secs(1)).expect("16 may be called");
        }
        let error = call.next(host, key("demo:last"), Duration::from_secs(1)).map(drop).expect_err("17 are too many");
        assert_eq!(error.to_string(), "demo:last would be number 17 in a chain of calls; at most 16 are allowed");
    }
}
