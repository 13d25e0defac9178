//! The way through all targets roles: what a mirror copies, and what an auditor looks at.

use std::collections::BTreeSet;

use super::{Step, Updater, roles::Visit};
use crate::trust::{error::TrustError, root::TopRole, targets::Targets};

/// A pre-order walk through every role that is delegated to, each once, whatever paths it answers for.
///
/// Made by [`Updater::tour`], over one trusted snapshot: after another refresh, make another. A client that wants one
/// target needs none of this.
#[derive(Debug, Clone)]
pub struct Tour {
    generation: u64,
    /// What is still to be visited, the next one last.
    stack: Vec<Visit>,
    visited: BTreeSet<String>,
}

impl Tour {
    pub(super) fn of(generation: u64) -> Self {
        let (role, by) = (TopRole::Targets.name().to_owned(), TopRole::Root.name().to_owned());
        Self { generation, stack: vec![Visit { role, by }], visited: BTreeSet::new() }
    }

    /// What the tour wants next. `Done` has the names of all roles, in order; [`Updater::targets`] has what each says.
    ///
    /// Every role is listed by the snapshot, so their number is bounded by its size.
    ///
    /// # Errors
    /// [`TrustError::NotRefreshed`] before a refresh has ended well, or after another one;
    /// [`TrustError::NotListed`] for a role that the snapshot does not list.
    pub fn next(&mut self, updater: &mut Updater) -> Result<Step<Vec<String>>, TrustError> {
        if self.generation != updater.generation {
            return Err(TrustError::NotRefreshed);
        }
        while let Some(visit) = self.stack.last().cloned() {
            // Also where it was visited: this delegator has to name keys that signed it.
            if let Some(wanted) = updater.role_wanted(&visit)? {
                return Ok(wanted);
            }
            self.stack.pop();
            if self.visited.insert(visit.role.clone())
                && let Some(targets) = updater.targets(&visit.role)
            {
                let bound = updater.snapshot().map_or(0, |snapshot| snapshot.roles().len());
                self.stack.extend(delegated(&visit.role, targets, bound));
            }
        }
        Ok(Step::Done(self.visited.iter().cloned().collect()))
    }

    /// Takes the file that [`Tour::next`] asked for: its bytes, or `None` if there is none.
    ///
    /// # Errors
    /// The check that the bytes do not pass.
    pub fn receive(&mut self, updater: &mut Updater, answer: Option<&[u8]>) -> Result<(), TrustError> {
        let visit = self.stack.last().ok_or(TrustError::NothingAsked)?;
        updater.receive_role(visit, answer)
    }

    /// Tries a copy in place of the file that [`Tour::next`] asked for. `false`: it is not that file, get it.
    pub fn offer(&mut self, updater: &mut Updater, copy: &[u8]) -> bool {
        self.stack.last().is_some_and(|visit| updater.accept_role(visit, copy).is_ok())
    }
}

/// All that `role` delegates to, the first last. Of bins that are more than the snapshot lists, the first that it can
/// not list ends the tour, so no more than `bound` and one are named: 2^32 names would not fit into memory.
fn delegated(role: &str, targets: &Targets, bound: usize) -> Vec<Visit> {
    let Some(delegations) = targets.delegations() else { return Vec::new() };
    let roles = delegations.roles().iter().map(|delegated| delegated.name.clone());
    let bins = delegations.bins().into_iter().flat_map(|succinct| succinct.bins.names());
    let names = roles.chain(bins).take(bound.saturating_add(1));
    let mut visits: Vec<_> = names.map(|name| Visit { role: name, by: role.to_owned() }).collect();
    visits.reverse();
    visits
}
