//! How far a call came, and what its end says of the plugin that was called.

use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

use crate::{breaker::Verdict, call::Call, error::LoaderError, limits::Scope};

/// How far a call came.
#[derive(Debug, Default)]
pub(crate) struct Way {
    /// When it began to make an instance, where it did.
    starts: OnceLock<Instant>,
    /// When it had one.
    enters: OnceLock<Instant>,
}

impl Way {
    pub(crate) fn starts(&self) {
        let _ = self.starts.set(Instant::now());
    }

    pub(crate) fn enters(&self) {
        let _ = self.enters.set(Instant::now());
    }

    /// What the end of `call` says of the plugin: `error` is how it ended, if it did not answer.
    pub(crate) fn verdict(&self, error: Option<&LoaderError>, call: &Call) -> Verdict {
        let Some(error) = error else { return Verdict::Good };
        let spent = |since: &Instant| since.elapsed();
        match (self.enters.get().map(spent), self.starts.get().map(spent)) {
            (Some(inside), _) => of_call(error, inside, call),
            (None, Some(starting)) => of_start(error, starting, call),
            // Nobody was called.
            (None, None) => Verdict::Neutral,
        }
    }
}

fn of_call(error: &LoaderError, inside: Duration, call: &Call) -> Verdict {
    match error {
        // The time that goes by while it waits for another plugin is that plugin's.
        LoaderError::Deadline { .. } if !call.is_waiting() => Verdict::Hung(inside),
        LoaderError::Cancelled { .. } if !call.is_waiting() => Verdict::Cut,
        LoaderError::Trapped { .. } | LoaderError::GuestTime { .. } | LoaderError::Unhealthy { .. } => {
            Verdict::Bad(error.code())
        }
        // What all plugins share may have been taken by others.
        LoaderError::Limit { exceeded, source: Some(_), .. } if exceeded.limit.row().scope == Scope::Plugin => {
            Verdict::Bad(error.code())
        }
        _ => Verdict::Neutral,
    }
}

fn of_start(error: &LoaderError, starting: Duration, call: &Call) -> Verdict {
    match error {
        LoaderError::Deadline { .. } if !call.is_waiting() => Verdict::StartHung(starting),
        LoaderError::Trapped { .. }
        | LoaderError::GuestTime { .. }
        | LoaderError::Init { .. }
        | LoaderError::Instantiate { .. }
        | LoaderError::Signature { .. } => Verdict::NotStarted(error.code()),
        LoaderError::Limit { exceeded, .. } if exceeded.limit.row().scope == Scope::Plugin => {
            Verdict::NotStarted(error.code())
        }
        _ => Verdict::Neutral,
    }
}
