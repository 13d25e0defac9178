//! The call that is under way, for functions that a host provides.

use std::{fmt, time::Duration};

use stoa_core::id::PluginId;
use tokio::time::Instant;

use crate::{call::Call, cancel};

/// The call that a plugin serves, as part of its chain: who is on the way, until when, and what ends it before.
///
/// Calls that a host function makes to plugins belong to the chain by themselves, as long as they are made on the task
/// that the function runs on. Where it hands the work to another task, this carries the chain there: without it, the
/// calls of that task would begin a chain of their own, with a deadline of their own, and one that comes back to
/// a plugin on the way would wait for it until a deadline instead of being refused.
///
/// ```
/// # async fn f(host: stoa_loader::Host<()>) {
/// let context = stoa_loader::CallContext::current();
/// let work = async move { host.plugin("demo:markdown")?.call_wave(r##"render("# Hi")"##).await };
/// tokio::spawn(async move {
///     match context {
///         Some(context) => context.scope(work).await,
///         None => work.await,
///     }
/// });
/// # }
/// ```
#[derive(Clone)]
pub struct CallContext(Call);

impl CallContext {
    /// That of the call which the running task serves; none outside of calls.
    pub fn current() -> Option<Self> {
        Call::current().map(Self)
    }

    pub(crate) fn of(call: &Call) -> Self {
        Self(call.clone())
    }

    /// Names the whole chain in logs.
    pub fn trace(&self) -> u64 {
        self.0.trace
    }

    /// What is left until the call's deadline; nothing after it.
    pub fn left(&self) -> Duration {
        self.0.deadline.saturating_duration_since(Instant::now())
    }

    /// The plugins on the way, from the one that was called first to the one that serves the call.
    pub fn plugins(&self) -> Vec<PluginId> {
        self.0.path()
    }

    /// Whether a token of this call, or of one that led to it, was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits until such a token is cancelled; for ever where the chain has none.
    pub async fn cancelled(&self) {
        cancel::any_of(&self.0.tokens()).await;
    }

    /// Runs `work` as part of this call.
    pub async fn scope<F: Future>(self, work: F) -> F::Output {
        self.0.scope(work).await
    }
}

impl fmt::Debug for CallContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallContext")
            .field("trace", &self.trace())
            .field("plugins", &self.plugins())
            .finish_non_exhaustive()
    }
}
