//! What others than its author say of a release, in its plugin's document.

use super::{Document, DocumentError, State};
use crate::{
    advisory::{Advisory, Listed},
    event::{Event, Fact},
    standing::{Certified, Open, Standing, Takedown},
    version::Version,
};

impl Document {
    /// What is said of a release; nothing of one that is not there.
    pub fn standing(&self, version: &Version) -> Standing {
        if !self.releases.contains_key(version) {
            return Standing::default();
        }
        let concerns = self.advisories.values().filter(|listed| listed.advisory.concerns(version));
        let open = concerns.map(|listed| Open {
            fixed_in: self.fixed_in(&listed.advisory, version),
            advisory: listed.advisory.clone(),
        });
        Standing { takedown: self.takedown_of(version).cloned(), advisories: open.collect() }
    }

    /// How a version was taken down, by itself or with its plugin: the stronger of the two, and its own where both are
    /// the same.
    pub fn takedown_of(&self, version: &Version) -> Option<&Takedown> {
        let own = self.releases.get(version).and_then(|listing| listing.takedown.as_ref());
        match (own, self.takedown.as_ref()) {
            (Some(own), Some(whole)) if whole.measure > own.measure => Some(whole),
            (None, whole) => whole,
            (own, _) => own,
        }
    }

    fn fixed_in(&self, advisory: &Advisory, version: &Version) -> Option<Version> {
        let higher = self.releases.iter().filter(|(other, _)| *other > version && !other.is_prerelease());
        let mut free = higher.filter(|(other, listing)| {
            listing.state == State::Listed && self.takedown_of(other).is_none() && !advisory.concerns(other)
        });
        free.next().map(|(other, _)| other.clone())
    }

    /// Takes an event that says something of the plugin, or of a release of it.
    pub(super) fn stand(&mut self, event: &Event) -> Result<(), DocumentError> {
        match &event.fact {
            Fact::TakenDown { version, measure, cause, reason, .. } => {
                let (measure, cause, reason) = (*measure, *cause, reason.clone());
                let takedown = Takedown { measure, cause, reason, seq: event.seq, at: event.time, appealed: None };
                *self.slot(version.as_ref(), event.seq)? = Some(takedown);
            }
            Fact::Restored { version, .. } => *self.slot(version.as_ref(), event.seq)? = None,
            Fact::Appealed { version, .. } => {
                if let Some(takedown) = self.slot(version.as_ref(), event.seq)? {
                    takedown.appealed = Some(event.time);
                }
            }
            Fact::Certified { version, level, reason, .. } => {
                let unknown =
                    || DocumentError::Unknown { seq: event.seq, id: self.id.clone(), version: version.clone() };
                let certified = Certified { level: *level, reason: reason.clone(), seq: event.seq, at: event.time };
                self.releases.get_mut(version).ok_or_else(unknown)?.certified = (*level > 0).then_some(certified);
            }
            Fact::AdvisoryPublished { advisory, .. } => {
                let before = self.advisories.get(&advisory.id);
                let listed = Listed {
                    advisory: advisory.clone(),
                    published_at: before.map_or(event.time, |before| before.published_at),
                    modified_at: before.map(|_| event.time),
                };
                self.advisories.insert(advisory.id.clone(), listed);
            }
            Fact::AdvisoryWithdrawn { advisory, .. } => {
                self.advisories.remove(advisory);
            }
            _ => {}
        }
        Ok(())
    }

    /// Where it stands how the plugin, or one version of it, was taken down.
    fn slot(&mut self, version: Option<&Version>, seq: u64) -> Result<&mut Option<Takedown>, DocumentError> {
        let Some(version) = version else { return Ok(&mut self.takedown) };
        match self.releases.get_mut(version) {
            Some(listing) => Ok(&mut listing.takedown),
            None => Err(DocumentError::Unknown { seq, id: self.id.clone(), version: version.clone() }),
        }
    }
}
