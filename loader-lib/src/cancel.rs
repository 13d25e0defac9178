//! The one way to stop what is under way.

use std::sync::Arc;

use tokio::sync::watch;

/// Cancels calls and loading. Clones are handles to the same token; once cancelled, it stays so.
///
/// Nothing else does: who stops waiting for a call lets it go on. Cancelling a call that is inside a plugin costs
/// the plugin its memory, since a guest can not be taken out of the middle of its own code and go on later.
#[derive(Debug, Clone)]
pub struct CancelToken(Arc<watch::Sender<bool>>);

impl Default for CancelToken {
    fn default() -> Self {
        Self::new()
    }
}

impl CancelToken {
    /// A token that is not cancelled.
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// Cancels all that this token was given to, and all that it will be.
    pub fn cancel(&self) {
        self.0.send_replace(true);
    }

    /// Whether it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it is cancelled.
    pub async fn cancelled(&self) {
        let mut watching = self.0.subscribe();
        // The sender is held by `self`, so this can not fail.
        let _ = watching.wait_for(|cancelled| *cancelled).await;
    }
}

/// Waits until one of `tokens` is cancelled; for ever where there is none.
pub(crate) async fn any_of(tokens: &[CancelToken]) {
    match tokens {
        [] => std::future::pending().await,
        [one] => one.cancelled().await,
        several => {
            let waits = several.iter().map(|token| Box::pin(token.cancelled()));
            futures::future::select_all(waits).await;
        }
    }
}
