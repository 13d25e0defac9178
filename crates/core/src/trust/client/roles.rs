//! Targets roles: the top-level one and all that it delegates to (section 5.6).

use std::collections::BTreeSet;

use super::{CacheWrite, State, Step, Updater, admit, steps};
use crate::{
    time::Time,
    trust::{
        envelope::{Authority, Envelope},
        error::TrustError,
        file::TrustFile,
        metadata::{Document as _, MetaFile},
        root::TopRole,
        snapshot::Snapshot,
        targets::Targets,
    },
};

/// A verified role. Its envelope is kept, because another delegator may name other keys for it.
#[derive(Debug, Clone)]
pub(super) struct HeldRole {
    envelope: Envelope,
    targets: Targets,
    listed: MetaFile,
    /// The roles whose keys it was verified by; `root` for the top-level targets.
    delegators: BTreeSet<String>,
}

impl HeldRole {
    pub(super) fn expires(&self) -> Time {
        self.targets.expires()
    }

    pub(super) fn is_listed_by(&self, role: &str, snapshot: &Snapshot) -> bool {
        snapshot.roles().get(role) == Some(&self.listed)
    }

    pub(super) fn forget_delegators(&mut self) {
        self.delegators.clear();
    }
}

/// One edge of the delegation graph.
#[derive(Debug, Clone)]
pub(super) struct Visit {
    pub(super) role: String,
    /// The delegating role, or `root`, which no delegated role is ever named.
    pub(super) by: String,
}

impl Updater {
    /// The file that a visit needs, or `None` where the role is held, fit for this delegator.
    ///
    /// A role is never believed for having been believed on another way (section 5.6.3).
    pub(super) fn role_wanted<T>(&mut self, visit: &Visit) -> Result<Option<Step<T>>, TrustError> {
        if !matches!(self.state, State::Done(_)) {
            return Err(TrustError::NotRefreshed);
        }
        if self.is_held_for(visit)? {
            return Ok(None);
        }
        // Once: a copy that is damaged now is damaged for all.
        if let Some(bytes) = self.cached_roles.remove(&visit.role)
            && self.accept_role(visit, &bytes).is_ok()
        {
            return Ok(None);
        }
        let (file, max_bytes) = self.role_file(&visit.role)?;
        Ok(Some(Step::Fetch { file, max_bytes, may_be_absent: false }))
    }

    fn is_held_for(&mut self, visit: &Visit) -> Result<bool, TrustError> {
        let Some(held) = self.roles.get(&visit.role) else { return Ok(false) };
        if self.check_expiry(&visit.role, held.targets.version(), held.expires()).is_err() {
            return Ok(false);
        }
        if !held.delegators.contains(&visit.by) {
            self.verify_by_delegator(&held.envelope, visit)?;
            let held = self.roles.get_mut(&visit.role);
            held.map(|held| held.delegators.insert(visit.by.clone()));
        }
        Ok(true)
    }

    /// Takes the answer of a server.
    pub(super) fn receive_role(&mut self, visit: &Visit, answer: Option<&[u8]>) -> Result<(), TrustError> {
        let (file, max_bytes) = self.role_file(&visit.role)?;
        if self.offline && answer.is_none() {
            return Err(TrustError::NotCached { role: file.role });
        }
        let bytes = admit(file, max_bytes, false, answer)?.unwrap_or_default();
        self.accept_role(visit, bytes)?;
        self.writes.push(CacheWrite::Role { role: visit.role.clone(), bytes: bytes.to_vec() });
        Ok(())
    }

    /// Sections 5.6.2 to 5.6.5, for any targets role: trusts these bytes on the word of one delegator.
    pub(super) fn accept_role(&mut self, visit: &Visit, bytes: &[u8]) -> Result<(), TrustError> {
        let listed = self.listed(&visit.role)?;
        // 5.6.2, a mix-and-match attack.
        listed.check_bytes(&visit.role, bytes)?;
        let envelope = Envelope::read(&visit.role, bytes)?;
        // 5.6.3, an arbitrary software attack.
        self.verify_by_delegator(&envelope, visit)?;
        let targets = Targets::read(&visit.role, envelope.signed(), self.config.profile)?;
        // 5.6.4, a mix-and-match attack.
        listed.check_version(&visit.role, targets.version())?;
        // 5.6.5, a freeze attack.
        self.check_expiry(&visit.role, targets.version(), targets.expires())?;
        let (listed, delegators) = (listed.clone(), BTreeSet::from([visit.by.clone()]));
        self.roles.insert(visit.role.clone(), HeldRole { envelope, targets, listed, delegators });
        Ok(())
    }

    /// Takes a role that is wanted whatever it lists, such as a signer's new bin: `bytes` on the word of `by`, which is
    /// `root` for the top-level targets and has to be held otherwise.
    ///
    /// # Errors
    /// [`TrustError::NotRefreshed`] before a refresh has ended well, and the check that the bytes do not pass.
    pub fn receive_delegated(&mut self, role: &str, by: &str, bytes: &[u8]) -> Result<(), TrustError> {
        if !matches!(self.state, State::Done(_)) {
            return Err(TrustError::NotRefreshed);
        }
        self.accept_role(&Visit { role: role.to_owned(), by: by.to_owned() }, bytes)
    }

    /// All that a role says, `bin-0f` for instance, once a lookup has brought it in.
    pub fn targets(&self, role: &str) -> Option<&Targets> {
        self.roles.get(role).map(|held| &held.targets)
    }

    fn verify_by_delegator(&self, envelope: &Envelope, visit: &Visit) -> Result<(), TrustError> {
        if visit.by == TopRole::Root.name() {
            return steps::verify_by_root(envelope, TopRole::Targets, &self.root, self.config.schemes);
        }
        let delegations = self.targets(&visit.by).and_then(Targets::delegations);
        let Some((delegations, role)) = delegations.and_then(|given| Some((given, given.keys_of(&visit.role)?))) else {
            let (role, by) = (visit.role.clone(), visit.by.clone());
            return Err(TrustError::Threshold { role, by, valid: 0, needed: 1 });
        };
        let (keys, schemes) = (delegations.keys(), self.config.schemes);
        envelope.verify(&visit.role, Authority { by: &visit.by, keys, role, schemes })
    }

    fn listed(&self, role: &str) -> Result<&MetaFile, TrustError> {
        let snapshot = self.snapshot().ok_or(TrustError::NotRefreshed)?;
        let missing = || TrustError::NotListed { role: role.to_owned(), snapshot: snapshot.version() };
        snapshot.roles().get(role).ok_or_else(missing)
    }

    /// Section 5.6.1: the name of a role's file, and the most bytes it may have.
    fn role_file(&self, role: &str) -> Result<(TrustFile, u64), TrustError> {
        let (listed, limit) = (self.listed(role)?, self.config.limits.targets_bytes);
        let version = self.root.consistent_snapshot().then_some(listed.version);
        let file = TrustFile { role: role.to_owned(), version };
        Ok((file, listed.length.unwrap_or(limit).min(limit)))
    }
}
