//! What is known of a release, when a policy judges it.

use std::collections::BTreeSet;

pub use crate::attestation::Provenance;
use crate::{
    advisory::Severity,
    digest::Digest,
    document::Listing,
    standing::{Open, Standing},
    time::Time,
    version::Version,
};

/// What is known of a release. All of it is verified by whoever fills it: this is where trust in bytes has become facts.
///
/// `None` means that the index has no evidence of that kind, or that nobody has verified it: a rule that requires it is
/// not met. An empty list means that it was looked for and there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// When the release became visible, as the signed document says.
    pub published_at: Time,
    /// The ids of the publisher's keys whose signatures over the release verify, and which are not revoked.
    pub publisher_keys: Option<BTreeSet<Digest>>,
    /// Where it was built, as the provenances say that its publisher's verified signature covers.
    pub provenance: Option<Vec<Provenance>>,
    /// The advisories that concern it and are open.
    pub advisories: Option<Vec<Advisory>>,
    /// Whether it is quarantined.
    pub quarantined: Option<bool>,
    /// The level to which the registry's operator certified it, as the signed document says; 0 is none.
    pub certification: Option<u32>,
}

impl Evidence {
    /// What a signed document says of a release, which has this `standing` in it.
    pub fn of(listing: &Listing, standing: &Standing) -> Self {
        Self {
            advisories: Some(standing.advisories.iter().map(Advisory::from).collect()),
            quarantined: Some(standing.quarantined().is_some()),
            certification: Some(listing.certified.as_ref().map_or(0, |certified| u32::from(certified.level))),
            ..Self::published(listing.published_at)
        }
    }

    /// Nothing but the time is known.
    pub fn published(published_at: Time) -> Self {
        let (publisher_keys, provenance, advisories, quarantined, certification) = Default::default();
        Self { published_at, publisher_keys, provenance, advisories, quarantined, certification }
    }
}

/// A known flaw of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advisory {
    /// Its name: `STOA-2026-0001`.
    pub id: String,
    /// How bad it is.
    pub severity: Severity,
    /// What it is, in one line.
    pub summary: String,
    /// The lowest version without the flaw, where there is one.
    pub fixed_in: Option<Version>,
}

impl From<&Open> for Advisory {
    fn from(open: &Open) -> Self {
        let Open { advisory, fixed_in } = open;
        Self {
            id: advisory.id.to_string(),
            severity: advisory.content.severity,
            summary: advisory.content.summary.to_string(),
            fixed_in: fixed_in.clone(),
        }
    }
}
