//! The checks of a refresh, one function for each step of the specification.

use super::{Updater, kept::Kept};
use crate::{
    time::Time,
    trust::{
        client::CacheWrite,
        config::Config,
        envelope::{Authority, Envelope},
        error::TrustError,
        metadata::Document as _,
        root::{Root, TopRole},
        scheme::Scheme,
        snapshot::{Snapshot, Timestamp},
    },
};

/// Section 5.2: the pinned root. It came by another way and is believed; that its own keys signed it shows
/// that it is whole.
pub(super) fn pinned_root(bytes: &[u8], config: Config) -> Result<Root, TrustError> {
    let envelope = Envelope::read("root", bytes)?;
    let root = Root::read("root", envelope.signed(), config.profile)?;
    verify_by_root(&envelope, TopRole::Root, &root, config.schemes)?;
    Ok(root)
}

/// Sections 5.3.4 to 5.3.6: a root that follows `trusted`. Its expiry is no matter yet (5.3.6).
pub(super) fn next_root(trusted: &Root, bytes: &[u8], config: Config) -> Result<Root, TrustError> {
    let envelope = Envelope::read("root", bytes)?;
    // 5.3.4, an arbitrary software attack: the old keys pass the trust on, the new ones show they exist.
    verify_by_root(&envelope, TopRole::Root, trusted, config.schemes)?;
    let root = Root::read("root", envelope.signed(), config.profile)?;
    verify_by_root(&envelope, TopRole::Root, &root, config.schemes)?;
    check_root_version(trusted, &root)?;
    Ok(root)
}

/// Section 5.3.5, a rollback attack: the next root is the next, neither an older one nor one further on.
fn check_root_version(trusted: &Root, next: &Root) -> Result<(), TrustError> {
    let (expected, found) = (trusted.version().saturating_add(1), next.version());
    if found != expected || found == trusted.version() {
        return Err(TrustError::RootVersion { expected, found });
    }
    Ok(())
}

/// Section 5.3.11, a fast-forward attack: whether `next` takes a key of timestamp or snapshot out of use.
/// Versions that a stolen key pushed up must then not bind any longer; nothing else ever lowers a floor.
pub(super) fn lowers_floors(trusted: &Root, next: &Root) -> bool {
    trusted.rotates(next, TopRole::Timestamp) || trusted.rotates(next, TopRole::Snapshot)
}

/// Sections 5.3.4, 5.4.2, 5.5.3 and, of the top-level targets, 5.6.3: a threshold of the keys that `root`
/// names for `role` has signed.
pub(super) fn verify_by_root(
    envelope: &Envelope,
    role: TopRole,
    root: &Root,
    schemes: &[Scheme],
) -> Result<(), TrustError> {
    let by = format!("root {}", root.version());
    envelope.verify(role.name(), Authority { by: &by, keys: root.keys(), role: root.role(role), schemes })
}

/// A timestamp that is validly signed, against the one held.
pub(super) enum Pointer<'a> {
    Newer(Timestamp),
    Same(&'a Timestamp),
    Older { served: u64, held: &'a Timestamp },
}

impl Updater {
    /// Sections 5.3.4 to 5.3.7 and 5.3.11: trusts the next root.
    pub(super) fn accept_root(&mut self, bytes: &[u8]) -> Result<(), TrustError> {
        let root = next_root(&self.root, bytes, self.config)?;
        if lowers_floors(&self.root, &root) {
            self.lower_floors();
        }
        let kept = (self.timestamp.take(), self.snapshot.take());
        self.timestamp = kept.0.map(|kept| kept.follow(TopRole::Timestamp, &root, self.config));
        self.snapshot = kept.1.map(|kept| kept.follow(TopRole::Snapshot, &root, self.config));
        self.root = root;
        // Who may sign `targets` may have changed.
        self.roles.values_mut().for_each(|held| held.forget_delegators());
        Ok(())
    }

    /// Section 5.3.11: forgets timestamp and snapshot. The files are removed before the root is written: were
    /// it the other way round, a crash in between would leave floors that nothing lowers again.
    fn lower_floors(&mut self) {
        self.unwritten_timestamp = None;
        // What no root so far vouches for was not signed by the keys that go: the new ones may vouch for it.
        self.timestamp.take_if(|kept| kept.floor().is_some());
        self.snapshot.take_if(|kept| kept.floor().is_some());
        let gone = [(TopRole::Timestamp, self.timestamp.is_none()), (TopRole::Snapshot, self.snapshot.is_none())];
        let gone = gone.into_iter().filter(|(_, gone)| *gone);
        self.writes.extend(gone.map(|(role, _)| CacheWrite::Remove { role: role.name().to_owned() }));
    }

    /// Sections 5.4.2 to 5.4.4: a timestamp, not yet held.
    pub(super) fn check_timestamp(&self, bytes: &[u8]) -> Result<Pointer<'_>, TrustError> {
        let envelope = Envelope::read("timestamp", bytes)?;
        // 5.4.2, an arbitrary software attack.
        verify_by_root(&envelope, TopRole::Timestamp, &self.root, self.config.schemes)?;
        let timestamp = Timestamp::read("timestamp", envelope.signed(), self.config.profile)?;
        let timestamp = match self.check_timestamp_floor(timestamp)? {
            Pointer::Newer(timestamp) => timestamp,
            held => return Ok(held),
        };
        self.check_snapshot_floor(&timestamp)?;
        // 5.4.4, a freeze attack.
        self.check_expiry("timestamp", timestamp.version(), timestamp.expires())?;
        Ok(Pointer::Newer(timestamp))
    }

    /// Section 5.4.3.1, a rollback attack. An edge of a CDN that lags looks the same, so where what is held is
    /// trusted still, the caller is told apart. A floor that the trusted root's keys have not signed can
    /// not stay in use in place of what is served: then it is an error.
    fn check_timestamp_floor(&self, timestamp: Timestamp) -> Result<Pointer<'_>, TrustError> {
        let (served, floor) = (timestamp.version(), self.timestamp.as_ref().and_then(Kept::floor));
        Ok(match (floor.map(Timestamp::version), self.timestamp()) {
            (Some(trusted), Some(held)) if served < trusted => Pointer::Older { served, held },
            (Some(trusted), Some(held)) if served == trusted => Pointer::Same(held),
            (Some(trusted), None) if served < trusted => {
                let (role, by) = ("timestamp".to_owned(), "the registry".to_owned());
                return Err(TrustError::Rollback { role, by, trusted, found: served });
            }
            _ => Pointer::Newer(timestamp),
        })
    }

    /// Section 5.4.3.2: the snapshot that the timestamp lists is not older than the trusted one.
    fn check_snapshot_floor(&self, timestamp: &Timestamp) -> Result<(), TrustError> {
        let listed = self.timestamp.as_ref().and_then(Kept::floor).map(|held| held.snapshot().version);
        let held = self.snapshot.as_ref().and_then(Kept::floor).map(Snapshot::version);
        let found = timestamp.snapshot().version;
        match listed.max(held) {
            Some(trusted) if found < trusted => {
                let (role, by) = ("snapshot".to_owned(), format!("timestamp {}", timestamp.version()));
                Err(TrustError::Rollback { role, by, trusted, found })
            }
            _ => Ok(()),
        }
    }

    /// Section 5.5.1: the version in the name of the snapshot, and the most bytes it may have.
    pub(super) fn wanted_snapshot(&self) -> (Option<u64>, u64) {
        let limit = self.config.limits.snapshot_bytes;
        let Some(timestamp) = self.timestamp() else { return (None, limit) };
        let listed = timestamp.snapshot();
        let version = self.root.consistent_snapshot().then_some(listed.version);
        (version, listed.length.unwrap_or(limit).min(limit))
    }

    /// Whether the snapshot that the timestamp lists is held and within its time.
    pub(super) fn has_wanted_snapshot(&self) -> bool {
        let (Some(timestamp), Some(kept)) = (self.timestamp(), &self.snapshot) else { return false };
        let listed = timestamp.snapshot();
        let fits = |held: &Snapshot| listed.version == held.version() && held.expires() > self.now;
        kept.current().is_some_and(fits) && listed.check_bytes("snapshot", &kept.bytes).is_ok()
    }

    /// Sections 5.5.2 to 5.5.6: a snapshot, not yet held.
    pub(super) fn check_snapshot(&self, bytes: &[u8]) -> Result<Snapshot, TrustError> {
        let listed = self.timestamp().ok_or(TrustError::NothingAsked)?.snapshot();
        // 5.5.2, a mix-and-match attack.
        listed.check_bytes("snapshot", bytes)?;
        let envelope = Envelope::read("snapshot", bytes)?;
        // 5.5.3, an arbitrary software attack.
        verify_by_root(&envelope, TopRole::Snapshot, &self.root, self.config.schemes)?;
        let snapshot = Snapshot::read("snapshot", envelope.signed(), self.config.profile)?;
        // 5.5.4, a mix-and-match attack.
        listed.check_version("snapshot", snapshot.version())?;
        if let Some(held) = self.snapshot.as_ref().and_then(Kept::floor) {
            check_role_floors(held, &snapshot)?;
            check_head(held, &snapshot)?;
        }
        // 5.5.6, a freeze attack.
        self.check_expiry("snapshot", snapshot.version(), snapshot.expires())?;
        Ok(snapshot)
    }

    /// Section 5.5.6: the snapshot becomes the trusted one; roles that it lists as before stay.
    pub(super) fn hold_snapshot(&mut self, snapshot: Snapshot, bytes: &[u8]) {
        self.roles.retain(|role, held| held.is_listed_by(role, &snapshot));
        // A delegator may be another now, with other keys.
        self.roles.values_mut().for_each(|held| held.forget_delegators());
        self.snapshot = Some(Kept::current_now(snapshot, bytes));
        self.generation += 1;
    }

    /// Sections 5.3.10, 5.4.4, 5.5.6 and 5.6.5, a freeze attack. Offline, age is reported instead.
    pub(super) fn check_expiry(&self, role: &str, version: u64, expires: Time) -> Result<(), TrustError> {
        if !self.offline && expires <= self.now {
            return Err(TrustError::Expired { role: role.to_owned(), version, expires, now: self.now });
        }
        Ok(())
    }
}

/// Section 5.5.5, a rollback attack: no role goes back, none vanishes.
fn check_role_floors(held: &Snapshot, new: &Snapshot) -> Result<(), TrustError> {
    for (role, trusted) in held.roles() {
        let role = || role.clone();
        let Some(found) = new.roles().get(&role()) else {
            return Err(TrustError::Vanished { role: role(), version: new.version() });
        };
        if found.version < trusted.version {
            let by = format!("snapshot {}", new.version());
            return Err(TrustError::Rollback { role: role(), by, trusted: trusted.version, found: found.version });
        }
    }
    Ok(())
}

/// Stoa: the chain of events only grows. Whoever holds the keys of snapshot and timestamp can still not make
/// a client that saw an event take a history without it.
fn check_head(held: &Snapshot, new: &Snapshot) -> Result<(), TrustError> {
    let Some(trusted) = held.head() else { return Ok(()) };
    let Some(found) = new.head() else { return Err(TrustError::NoHead { version: new.version() }) };
    let (trusted, found) = (trusted.clone(), found.clone());
    if found.seq < trusted.seq {
        return Err(TrustError::HeadRollback { trusted, found });
    }
    if found.seq == trusted.seq && found.head != trusted.head {
        return Err(TrustError::HeadFork { trusted, found });
    }
    Ok(())
}
