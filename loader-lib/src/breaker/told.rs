//! What is told of circuits.

use std::{fmt, time::Duration};

use stoa_core::id::PluginId;

/// Who calls a plugin.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Caller {
    /// The host, of its own accord.
    Host,
    /// A plugin, be it through a function of the host.
    Plugin(PluginId),
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("the host"),
            Self::Plugin(plugin) => plugin.fmt(f),
        }
    }
}

/// Where a circuit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Calls go through.
    Closed,
    /// Calls are refused, or the next one tries whether it works again.
    Open,
    /// One call is trying that, and others are refused.
    HalfOpen,
}

impl fmt::Display for BreakerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        })
    }
}

/// Why a circuit opened, with the [code](crate::LoaderError::code) of the last failure.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BreakerReason {
    /// Calls failed one after the other.
    InARow {
        /// How many.
        count: u32,
        /// The last failure.
        code: &'static str,
    },
    /// Too many of the last calls failed.
    Often {
        /// How many of the last 20.
        count: u32,
        /// The last failure.
        code: &'static str,
    },
    /// More instances were lost to one caller than may be.
    Restarts {
        /// How many may be.
        allowed: u32,
        /// Within what time.
        within: Duration,
        /// The last failure.
        code: &'static str,
    },
    /// The caller cut off more calls that were inside than it may: each cost the plugin an instance.
    Impatience {
        /// How many may be.
        allowed: u32,
        /// Within what time.
        within: Duration,
    },
    /// The plugin could not be started.
    Starts {
        /// How often, one after the other.
        count: u32,
        /// The last failure.
        code: &'static str,
    },
    /// The circuits of several callers are open.
    Callers {
        /// Whose.
        callers: Vec<Caller>,
        /// The last failure.
        code: &'static str,
    },
    /// The call that tried whether it works again failed.
    Probe {
        /// How.
        code: &'static str,
    },
}

impl fmt::Display for BreakerReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InARow { count, code } => write!(f, "{count} calls in a row failed, the last by `{code}`"),
            Self::Often { count, code } => write!(f, "{count} of the last 20 calls failed, the last by `{code}`"),
            Self::Restarts { allowed, within, code } => {
                write!(f, "more than {allowed} instances were lost within {within:?}, the last by `{code}`")
            }
            Self::Impatience { allowed, within } => {
                write!(f, "more than {allowed} calls were cut off inside within {within:?}")
            }
            Self::Starts { count: 1, code } => write!(f, "it could not be started: `{code}`"),
            Self::Starts { count, code } => write!(f, "it could not be started {count} times, the last by `{code}`"),
            Self::Callers { callers, code } => {
                let callers: Vec<_> = callers.iter().map(ToString::to_string).collect();
                write!(f, "it fails for {}, the last time by `{code}`", callers.join(" and "))
            }
            Self::Probe { code } => write!(f, "the call that tried whether it works again failed by `{code}`"),
        }
    }
}

impl fmt::Display for CircuitVitals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { state, reason, retry_in, failures, refused, .. } = self;
        state.fmt(f)?;
        if let Some(wait) = retry_in {
            write!(f, " for {}ms", wait.as_millis())?;
        }
        if *failures > 0 || *refused > 0 {
            write!(f, " ({failures} failures, {refused} refused)")?;
        }
        reason.as_ref().map_or(Ok(()), |reason| write!(f, ": {reason}"))
    }
}

/// How a circuit does.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CircuitVitals {
    /// Where it is.
    pub state: BreakerState,
    /// Why it opened last; none where it never did.
    pub reason: Option<BreakerReason>,
    /// When a call is let through again; none where it is now.
    pub retry_in: Option<Duration>,
    /// Failures so far.
    pub failures: u64,
    /// Calls refused so far.
    pub refused: u64,
    /// How often it opened so far.
    pub opened: u64,
}
