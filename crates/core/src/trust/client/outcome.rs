//! What the machines say.

use crate::{
    time::Time,
    trust::{file::TrustFile, snapshot::Head},
};

/// What a machine wants, or what it came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step<T> {
    /// Get this file, stop reading after `max_bytes` (of the decoded body), and call `receive` with what
    /// came, or with `None` if the server says that there is no such file. A server that does not answer is
    /// no answer: give up, or ask again.
    Fetch {
        /// The file.
        file: TrustFile,
        /// The most bytes that may be read.
        max_bytes: u64,
        /// Whether its absence is expected, so that it is not worth a retry.
        may_be_absent: bool,
    },
    /// The end.
    Done(T),
}

/// How a refresh ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A newer snapshot is trusted now.
    Fresh {
        /// The head of the event chain that it covers, if it bears one.
        head: Option<Head>,
    },
    /// The snapshot is the one that was trusted before.
    Unchanged,
    /// The server has an older, validly signed timestamp than was seen before, as an edge of a CDN may for
    /// some seconds. What is held stays. Where this lasts, somebody is rolling the registry back.
    OlderPointer {
        /// The version served.
        served: u64,
        /// The version held.
        held: u64,
    },
    /// The server has nothing newer than what is held, and that has expired (offline: it has expired).
    Stale {
        /// When it expired.
        since: Time,
    },
}

/// How old the trusted set is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Staleness {
    /// There is no trusted snapshot.
    Empty,
    /// Everything held is within its time.
    Current,
    /// Something held has expired.
    Stale {
        /// When the first did.
        since: Time,
    },
    /// A newer snapshot is known, but could not be had; since when the held one is outdated is not known.
    Superseded {
        /// The version held.
        held: u64,
        /// The version that the timestamp lists.
        listed: u64,
    },
}
