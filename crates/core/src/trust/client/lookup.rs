//! The search for one target (section 5.6.7).

use std::collections::BTreeSet;

use super::{Step, Updater, roles::Visit};
use crate::trust::{
    error::TrustError,
    root::TopRole,
    targets::{TargetFile, Targets},
};

/// A search for what the trusted roles say about one path: a pre-order walk through the delegations.
///
/// Made by [`Updater::lookup`]. It does not borrow the updater, so several may run side by side over one
/// trusted set; a role that one of them brought in is not fetched for the others. After another refresh it
/// begins anew by itself.
#[derive(Debug, Clone)]
pub struct Lookup {
    /// `None` looks for nothing and ends at the top-level targets.
    path: Option<String>,
    generation: Option<u64>,
    /// What is still to be visited, the next one last.
    stack: Vec<Visit>,
    visited: BTreeSet<String>,
    found: Option<TargetFile>,
}

impl Lookup {
    pub(super) fn of(path: Option<&str>) -> Self {
        let path = path.map(str::to_owned);
        Self { path, generation: None, stack: Vec::new(), visited: BTreeSet::new(), found: None }
    }

    /// What the search wants next. `Done(None)` is proof: the roles that answer for this path, all of them
    /// verified and current, do not list it.
    ///
    /// # Errors
    /// [`TrustError::NotRefreshed`] before a refresh has ended well; [`TrustError::NotListed`] for a delegated
    /// role that the snapshot does not list; [`TrustError::TooManyDelegations`]; [`TrustError::Threshold`] for a
    /// role that is held but not signed for this delegator.
    pub fn next(&mut self, updater: &mut Updater) -> Result<Step<Option<TargetFile>>, TrustError> {
        if self.generation != Some(updater.generation) {
            self.restart(updater.generation);
        }
        while let Some(visit) = self.stack.last().cloned() {
            // 5.6.7.1: cycles are passed over.
            if self.visited.contains(&visit.role) {
                self.stack.pop();
                continue;
            }
            self.check_bound(updater)?;
            if let Some(wanted) = updater.role_wanted(&visit)? {
                return Ok(wanted);
            }
            self.stack.pop();
            if let Some(targets) = updater.targets(&visit.role) {
                self.visit(&visit.role, targets);
            }
        }
        Ok(Step::Done(self.found.clone()))
    }

    /// Takes the file that [`Lookup::next`] asked for: its bytes, or `None` if there is none.
    ///
    /// # Errors
    /// The check that the bytes do not pass.
    pub fn receive(&mut self, updater: &mut Updater, answer: Option<&[u8]>) -> Result<(), TrustError> {
        if self.generation.is_some_and(|generation| generation != updater.generation) {
            // An answer about a snapshot of the past.
            return Ok(());
        }
        let visit = self.stack.last().ok_or(TrustError::NothingAsked)?;
        updater.receive_role(visit, answer)
    }

    /// Tries a copy from the caller's cache in place of the file that [`Lookup::next`] asked for. `false`: it
    /// is not that file, get it.
    pub fn offer(&mut self, updater: &mut Updater, cached: &[u8]) -> bool {
        let current = self.generation == Some(updater.generation);
        let visit = self.stack.last().filter(|_| current);
        visit.is_some_and(|visit| updater.accept_role(visit, cached).is_ok())
    }

    fn restart(&mut self, generation: u64) {
        let (role, by) = (TopRole::Targets.name().to_owned(), TopRole::Root.name().to_owned());
        *self =
            Self { generation: Some(generation), stack: vec![Visit { role, by }], ..Self::of(self.path.as_deref()) };
    }

    /// Section 5.6.7.1: no graph of delegations makes a client work without end. An answer beyond the bound
    /// would be no proof of absence, so it is an error.
    fn check_bound(&self, updater: &Updater) -> Result<(), TrustError> {
        let max = updater.config.limits.delegations;
        if self.visited.len() > max {
            return Err(TrustError::TooManyDelegations { target: self.path.clone().unwrap_or_default(), max });
        }
        Ok(())
    }

    /// Sections 5.6.7.1 and 5.6.7.2: this role's own word on the path, else what it delegates, in order.
    fn visit(&mut self, role: &str, targets: &Targets) {
        self.visited.insert(role.to_owned());
        let Some(path) = &self.path else { return };
        if let Some(found) = targets.targets().get(path) {
            self.found = Some(found.clone());
            self.stack.clear();
            return;
        }
        let mut covering = targets.delegations().map_or_else(Vec::new, |delegations| delegations.covering(path));
        // 5.6.7.2.1: behind a terminating delegation nothing is searched, here or further up.
        if let Some(last) = covering.iter().position(|delegation| delegation.terminating) {
            covering.truncate(last + 1);
            self.stack.clear();
        }
        let visits = covering.into_iter().rev().map(|next| Visit { role: next.role, by: role.to_owned() });
        self.stack.extend(visits);
    }
}
