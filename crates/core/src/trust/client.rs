//! The client's workflow (section 5) as a state machine: it names the next file, judges the bytes it is
//! given, and hands out what is to be kept.
//!
//! [`Updater`] brings root, timestamp and snapshot up to date; a [`Lookup`] finds one target among them and
//! fetches the roles on its way, each once. Both speak in [`Step`]s. No answer of a server, and nothing in a
//! cache, is believed before it is checked from the pinned root on.

mod cache;
mod kept;
mod lookup;
mod outcome;
mod roles;
mod steps;
mod tour;

use std::collections::BTreeMap;

pub use cache::{CacheWrite, CachedTrust};
pub use lookup::Lookup;
pub use outcome::{Outcome, Staleness, Step};
pub use tour::Tour;

use super::{
    config::Config,
    error::TrustError,
    file::TrustFile,
    root::Root,
    snapshot::{Snapshot, Timestamp},
};
use crate::time::Time;
use kept::Kept;
use roles::HeldRole;
use steps::Pointer;

/// The trusted set of a client, and the refresh that brings it up to date.
///
/// An error ends the refresh; what was accepted up to then stays (and is in [`Updater::take_writes`]), and
/// [`Updater::next`] begins anew.
#[derive(Debug, Clone)]
pub struct Updater {
    config: Config,
    now: Time,
    offline: bool,
    state: State,
    root: Root,
    timestamp: Option<Kept<Timestamp>>,
    /// The timestamp's bytes while its snapshot is not there yet: the pointer is written last.
    unwritten_timestamp: Option<Vec<u8>>,
    snapshot: Option<Kept<Snapshot>>,
    roles: BTreeMap<String, HeldRole>,
    cached_roles: BTreeMap<String, Vec<u8>>,
    writes: Vec<CacheWrite>,
    /// Counts snapshots, so that a lookup notices that it has to begin anew.
    generation: u64,
}

#[derive(Debug, Clone)]
enum State {
    Roots { followed: u32 },
    Timestamp,
    Snapshot { then: Then },
    Done(Outcome),
}

/// How a refresh ends once the snapshot of the timestamp is there.
#[derive(Debug, Clone)]
enum Then {
    Fresh,
    Outcome(Outcome),
}

impl Updater {
    /// Begins a refresh at the time `now` (section 5.1).
    ///
    /// The cache is verified from `pinned_root` on; what does not verify counts as absent. A cached
    /// timestamp or snapshot that has expired is not used, but nothing older than it will be accepted.
    ///
    /// # Errors
    /// Any that `pinned_root` deserves: it has to be signed by its own keys. Nothing that the cache holds is
    /// an error.
    pub fn open(pinned_root: &[u8], cached: CachedTrust, now: Time, config: Config) -> Result<Self, TrustError> {
        Self::load(pinned_root, cached, now, config)
    }

    /// Opens what the cache holds, without a refresh: [`Updater::next`] is `Done` at once. All checks are made
    /// but those of time; ask [`Updater::staleness`].
    ///
    /// Lookups still name the roles they want: answer from the cache ([`Lookup::offer`]) or with `None`.
    ///
    /// # Errors
    /// Any that `pinned_root` deserves; [`TrustError::NotCached`] without a verifiable timestamp and snapshot;
    /// [`TrustError::Hash`] or [`TrustError::Length`] where the snapshot is not the one the timestamp lists.
    pub fn offline(pinned_root: &[u8], cached: CachedTrust, now: Time, config: Config) -> Result<Self, TrustError> {
        let mut updater = Self::load(pinned_root, cached, now, config)?;
        let missing = |role: &str| TrustError::NotCached { role: role.to_owned() };
        let listed = updater.timestamp().ok_or_else(|| missing("timestamp"))?.snapshot();
        let held = updater.snapshot().ok_or_else(|| missing("snapshot"))?;
        if let Some(kept) = updater.snapshot.as_ref().filter(|_| held.version() == listed.version) {
            listed.check_bytes("snapshot", &kept.bytes)?;
        }
        updater.offline = true;
        updater.state = State::Done(match updater.staleness(now) {
            Staleness::Stale { since } => Outcome::Stale { since },
            _ => Outcome::Unchanged,
        });
        Ok(updater)
    }

    /// Begins another refresh of the same trusted set at a later time, online.
    pub fn begin(&mut self, now: Time) {
        self.now = now;
        self.offline = false;
        self.state = State::Roots { followed: 0 };
    }

    /// What the refresh wants next.
    pub fn next(&self) -> Step<Outcome> {
        let limits = &self.config.limits;
        let fetch = |role: &str, version, max_bytes, may_be_absent| {
            let file = TrustFile { role: role.to_owned(), version };
            Step::Fetch { file, max_bytes, may_be_absent }
        };
        match &self.state {
            State::Roots { .. } => fetch("root", Some(self.root.version().saturating_add(1)), limits.root_bytes, true),
            State::Timestamp => fetch("timestamp", None, limits.timestamp_bytes, false),
            State::Snapshot { .. } => {
                let (version, max_bytes) = self.wanted_snapshot();
                fetch("snapshot", version, max_bytes, false)
            }
            State::Done(outcome) => Step::Done(outcome.clone()),
        }
    }

    /// Takes the file that [`Updater::next`] asked for: its bytes, or `None` if there is none.
    ///
    /// # Errors
    /// The check that the bytes do not pass; the refresh has then ended.
    pub fn receive(&mut self, answer: Option<&[u8]>) -> Result<(), TrustError> {
        let Step::Fetch { file, max_bytes, may_be_absent } = self.next() else {
            return Err(TrustError::NothingAsked);
        };
        let begun = std::mem::replace(&mut self.state, State::Roots { followed: 0 });
        let taken = admit(file, max_bytes, may_be_absent, answer).and_then(|answer| match (begun, answer) {
            (State::Roots { followed }, Some(bytes)) => self.take_root(followed, bytes),
            (State::Roots { .. }, None) => self.end_of_roots(),
            (State::Timestamp, Some(bytes)) => self.take_timestamp(bytes),
            (State::Snapshot { then }, Some(bytes)) => self.take_snapshot(then, bytes),
            _ => Err(TrustError::NothingAsked),
        });
        self.state = taken.inspect_err(|_| self.write_timestamp())?;
        Ok(())
    }

    /// Sections 5.3.3 to 5.3.9: one more root.
    fn take_root(&mut self, followed: u32, bytes: &[u8]) -> Result<State, TrustError> {
        let max = self.config.limits.roots;
        if followed >= max {
            return Err(TrustError::TooManyRoots { max });
        }
        self.accept_root(bytes)?;
        self.writes.push(CacheWrite::Root { version: self.root.version(), bytes: bytes.to_vec() });
        Ok(State::Roots { followed: followed + 1 })
    }

    /// Sections 5.3.10 to 5.3.12: there is no newer root. (Floors fell in `accept_root`.)
    fn end_of_roots(&mut self) -> Result<State, TrustError> {
        self.check_expiry("root", self.root.version(), self.root.expires())?;
        Ok(State::Timestamp)
    }

    /// Section 5.4.
    fn take_timestamp(&mut self, bytes: &[u8]) -> Result<State, TrustError> {
        let expired = |held: &Timestamp| (held.expires() <= self.now).then(|| Outcome::Stale { since: held.expires() });
        let (then, otherwise) = match self.check_timestamp(bytes)? {
            Pointer::Newer(timestamp) => {
                self.timestamp = Some(Kept::current_now(timestamp, bytes));
                self.unwritten_timestamp = Some(bytes.to_vec());
                (Then::Fresh, Outcome::Unchanged)
            }
            Pointer::Same(held) => match expired(held) {
                Some(stale) => (Then::Outcome(stale.clone()), stale),
                None => (Then::Fresh, Outcome::Unchanged),
            },
            Pointer::Older { served, held } => {
                let older = Outcome::OlderPointer { served, held: held.version() };
                let outcome = expired(held).unwrap_or(older);
                (Then::Outcome(outcome.clone()), outcome)
            }
        };
        if !self.has_wanted_snapshot() {
            return Ok(State::Snapshot { then });
        }
        self.write_timestamp();
        Ok(State::Done(otherwise))
    }

    /// Section 5.5.
    fn take_snapshot(&mut self, then: Then, bytes: &[u8]) -> Result<State, TrustError> {
        let snapshot = self.check_snapshot(bytes)?;
        let head = snapshot.head().cloned();
        self.hold_snapshot(snapshot, bytes);
        self.writes.push(CacheWrite::Role { role: "snapshot".to_owned(), bytes: bytes.to_vec() });
        self.write_timestamp();
        Ok(State::Done(match then {
            Then::Fresh => Outcome::Fresh { head },
            Then::Outcome(outcome) => outcome,
        }))
    }

    /// The timestamp is handed out after its snapshot, or after that was refused: then it still raises the
    /// floor. A connection that breaks in between leaves the cache as it was.
    fn write_timestamp(&mut self) {
        if let Some(bytes) = self.unwritten_timestamp.take() {
            self.writes.push(CacheWrite::Role { role: "timestamp".to_owned(), bytes });
        }
    }

    /// A lookup of the target with this path, for instance `index/demo/markdown.json`.
    pub fn lookup(&self, target_path: &str) -> Lookup {
        Lookup::of(Some(target_path))
    }

    /// A lookup that finds nothing, but brings the top-level targets role up to date (sections 5.6.1 to 5.6.6).
    pub fn lookup_nothing(&self) -> Lookup {
        Lookup::of(None)
    }

    /// A walk through every targets role of the trusted snapshot.
    pub fn tour(&self) -> Tour {
        Tour::of(self.generation)
    }

    /// Everything accepted since the last call, byte for byte as it was served, to be persisted in this order.
    /// To be called after errors too: a root or a timestamp may have been accepted before.
    pub fn take_writes(&mut self) -> Vec<CacheWrite> {
        std::mem::take(&mut self.writes)
    }

    /// The trusted root.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// The trusted timestamp; it may have expired.
    pub fn timestamp(&self) -> Option<&Timestamp> {
        self.timestamp.as_ref().and_then(Kept::current)
    }

    /// The trusted snapshot; it may have expired, or not be the one that the timestamp lists.
    pub fn snapshot(&self) -> Option<&Snapshot> {
        self.snapshot.as_ref().and_then(Kept::current)
    }

    /// How old the trusted set is at `now`, with all roles that lookups have used so far.
    pub fn staleness(&self, now: Time) -> Staleness {
        let (Some(timestamp), Some(snapshot)) = (self.timestamp(), self.snapshot()) else { return Staleness::Empty };
        let (held, listed) = (snapshot.version(), timestamp.snapshot().version);
        if held < listed {
            return Staleness::Superseded { held, listed };
        }
        let roles = self.roles.values().map(HeldRole::expires);
        let first = roles.fold(self.root.expires().min(timestamp.expires()).min(snapshot.expires()), Time::min);
        if first <= now { Staleness::Stale { since: first } } else { Staleness::Current }
    }
}

/// What every answer has to be, whatever was asked.
fn admit(
    file: TrustFile,
    max_bytes: u64,
    may_be_absent: bool,
    answer: Option<&[u8]>,
) -> Result<Option<&[u8]>, TrustError> {
    match answer {
        None if !may_be_absent => Err(TrustError::Absent { file }),
        Some(bytes) if bytes.len() as u64 > max_bytes => {
            Err(TrustError::TooLarge { role: file.role, found: bytes.len() as u64, max: max_bytes })
        }
        answer => Ok(answer),
    }
}
