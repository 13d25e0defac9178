//! How new a synced index is, in the terms that a host acts on.

use std::fmt;

use stoa_core::{
    time::{DAY, Time},
    trust::{Outcome, Staleness},
};

/// An edge of a CDN may serve an older pointer for as long as the pointer lives there, 60 s. Where it lasts ten times
/// as long, in seconds, it is no longer an edge that lags.
pub const OLDER_POINTER_LASTS: i64 = 10 * 60;
/// So long after the index expired, in seconds, new versions are still chosen from it: 30 days. What a lock names
/// runs for ever.
pub const MAX_STALE: i64 = 30 * DAY;

/// How new an index is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Freshness {
    /// The registry has shown a newer index, and it is trusted now.
    Fresh,
    /// The registry has nothing newer.
    Unchanged,
    /// The registry was not asked; what is kept is within its time.
    Kept,
    /// The registry shows an older pointer than was verified before. What is held stays. For a while that is normal
    /// behind a CDN: see [`Freshness::lasts`].
    OlderPointer {
        /// The version served.
        served: u64,
        /// The version held.
        held: u64,
        /// When this cache saw it first, with no newer pointer since.
        since: Time,
    },
    /// What is held has expired, and there is nothing newer. What a lock names still runs.
    Stale {
        /// When it expired.
        since: Time,
    },
    /// A newer index is known to exist, and could not be had.
    Superseded {
        /// The version held.
        held: u64,
        /// The version that the pointer lists.
        listed: u64,
    },
}

impl Freshness {
    /// From what a refresh came to, how old the trusted set is, and since when older pointers were served.
    pub(crate) fn of(outcome: Option<&Outcome>, staleness: Staleness, older_since: Option<Time>, now: Time) -> Self {
        match (staleness, outcome) {
            (Staleness::Stale { since }, _) => Self::Stale { since },
            (_, Some(Outcome::Stale { since })) => Self::Stale { since: *since },
            (Staleness::Superseded { held, listed }, _) => Self::Superseded { held, listed },
            (_, Some(Outcome::OlderPointer { served, held })) => {
                Self::OlderPointer { served: *served, held: *held, since: older_since.unwrap_or(now) }
            }
            (_, Some(Outcome::Fresh { .. })) => Self::Fresh,
            (_, Some(Outcome::Unchanged)) => Self::Unchanged,
            (_, None) => Self::Kept,
        }
    }

    /// Whether a person should be told at `now`: what has expired or is outdated, and an older pointer that lasts
    /// longer than [`OLDER_POINTER_LASTS`].
    pub fn lasts(&self, now: Time) -> bool {
        match self {
            Self::Fresh | Self::Unchanged | Self::Kept => false,
            Self::OlderPointer { since, .. } => now.unix() - since.unix() > OLDER_POINTER_LASTS,
            Self::Stale { .. } | Self::Superseded { .. } => true,
        }
    }

    /// A stable word for programs: `fresh`, `older-pointer`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Unchanged => "unchanged",
            Self::Kept => "kept",
            Self::OlderPointer { .. } => "older-pointer",
            Self::Stale { .. } => "stale",
            Self::Superseded { .. } => "superseded",
        }
    }
}

/// One sentence for people.
impl fmt::Display for Freshness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fresh => f.write_str("the registry has news, and they are verified"),
            Self::Unchanged => f.write_str("the registry has nothing new"),
            Self::Kept => f.write_str("the verified copy is used; the registry was not asked"),
            Self::OlderPointer { served, held, since } => write!(
                f,
                "since {since} the registry shows version {served} of its index, and version {held} was verified \
                 before; the newer copy stays in use"
            ),
            Self::Stale { since } => write!(
                f,
                "the verified index expired at {since}, and there is no newer one; locked plugins run as before"
            ),
            Self::Superseded { held, listed } => {
                write!(f, "version {listed} of the index is known and could not be had; version {held} is used")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_pointer_is_worth_a_word_when_it_outlasts_ten_lives_of_the_pointer() {
        let since = Time::from_unix(1_000);
        let older = Freshness::OlderPointer { served: 1, held: 2, since };
        assert!(!older.lasts(since));
        assert!(!older.lasts(since.plus(600)));
        assert!(older.lasts(since.plus(601)));
        assert!(!older.lasts(since.plus(-601)), "a clock that was set back is no attack");
    }

    #[test]
    fn what_has_expired_says_more_than_an_older_pointer() {
        let (since, now) = (Time::from_unix(5), Time::from_unix(9));
        let older = Outcome::OlderPointer { served: 1, held: 2 };
        let of = |staleness| Freshness::of(Some(&older), staleness, None, now);
        assert_eq!(of(Staleness::Stale { since }), Freshness::Stale { since });
        assert_eq!(of(Staleness::Superseded { held: 3, listed: 4 }), Freshness::Superseded { held: 3, listed: 4 });
        assert_eq!(of(Staleness::Current), Freshness::OlderPointer { served: 1, held: 2, since: now });
    }
}
