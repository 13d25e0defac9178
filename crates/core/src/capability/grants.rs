//! What a plugin was given.

use std::{collections::BTreeSet, fmt};

use serde_json::json;

use super::{Capability, Clock, Random, Reach};
use crate::{canonical, digest::Digest};

/// What a plugin may reach: the outcome of asking, policy and consent. Nothing else is linked or opened for it.
///
/// Kept without repetition: what another one covers is left out, so that two that reach the same are equal and have one
/// digest.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Grants {
    capabilities: BTreeSet<Capability>,
    reach: BTreeSet<Reach>,
}

impl Grants {
    /// Nothing at all.
    pub fn none() -> Self {
        Self::default()
    }

    /// These capabilities.
    pub fn new(capabilities: impl IntoIterator<Item = Capability>) -> Self {
        let all: BTreeSet<Capability> = capabilities.into_iter().collect();
        let covered = |one: &Capability| all.iter().any(|other| other != one && other.covers(one));
        let capabilities = all.iter().filter(|one| !covered(one)).cloned().collect();
        Self { capabilities, reach: BTreeSet::new() }
    }

    /// What a plugin has that asks for nothing, and reaches no data and no machine: log, configuration, state, a coarse
    /// clock and random numbers.
    pub fn usual() -> Self {
        Self::new([
            Capability::Clock(Clock::Coarse),
            Capability::Config,
            Capability::Log,
            Capability::Random(Random::Secure),
            Capability::State,
        ])
    }

    /// These, and requests to addresses of these kinds as well. [`Reach::Public`] needs no saying, and
    /// [`Reach::Never`] is never let through: both are passed over.
    #[must_use]
    pub fn reaching(mut self, reach: impl IntoIterator<Item = Reach>) -> Self {
        self.reach.extend(reach.into_iter().filter(|reach| matches!(reach, Reach::Private | Reach::Loopback)));
        self
    }

    /// Both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let capabilities = self.capabilities.iter().chain(&other.capabilities).cloned();
        Self::new(capabilities).reaching(self.reach.iter().chain(&other.reach).copied())
    }

    /// What both reach.
    #[must_use]
    pub fn meet(&self, other: &Self) -> Self {
        let met = |one: &Capability| other.capabilities.iter().filter_map(|two| one.meet(two)).collect::<Vec<_>>();
        Self::new(self.capabilities.iter().flat_map(met)).reaching(self.reach.intersection(&other.reach).copied())
    }

    /// The capabilities, none of which covers another.
    pub fn capabilities(&self) -> impl Iterator<Item = &Capability> {
        self.capabilities.iter()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.capabilities.is_empty()
    }

    /// Whether `capability` is granted: some one grant reaches all of it.
    pub fn covers(&self, capability: &Capability) -> bool {
        self.capabilities.iter().any(|ours| ours.covers(capability))
    }

    /// Whether requests may go to addresses of this kind.
    pub fn reaches(&self, reach: Reach) -> bool {
        reach == Reach::Public || self.reach.contains(&reach)
    }

    /// Whether these reach nothing that `other` does not.
    pub fn within(&self, other: &Self) -> bool {
        self.capabilities.iter().all(|one| other.covers(one)) && self.reach.is_subset(&other.reach)
    }

    /// The capabilities that `other` does not have.
    pub fn beyond(&self, other: &Self) -> Self {
        Self::new(self.capabilities.iter().filter(|one| !other.covers(one)).cloned())
    }

    /// SHA-256 of the canonical JSON `{"addresses": […], "capabilities": […], "format": 1}`, both lists sorted.
    pub fn digest(&self) -> Digest {
        let reach: Vec<_> = self.reach.iter().map(|reach| reach.as_str()).collect();
        let capabilities: BTreeSet<_> = self.capabilities.iter().map(ToString::to_string).collect();
        let value = json!({"addresses": reach, "capabilities": capabilities, "format": 1});
        // Strings and an integer always have a canonical form.
        Digest::of(&canonical::to_bytes(&value).unwrap_or_default())
    }
}

impl FromIterator<Capability> for Grants {
    fn from_iter<I: IntoIterator<Item = Capability>>(capabilities: I) -> Self {
        Self::new(capabilities)
    }
}

impl fmt::Debug for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(&self.capabilities).entries(&self.reach).finish()
    }
}

/// The capabilities, separated by commas.
impl fmt::Display for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.capabilities.iter().map(ToString::to_string).collect();
        f.write_str(&if words.is_empty() { "nothing".to_owned() } else { words.join(", ") })
    }
}
