//! What a rule may require, and whether evidence shows it.

use std::{collections::BTreeSet, fmt, str::FromStr};

use crate::{
    digest::Digest,
    manifest::{FilePath, Repository, TextError},
    policy::{Evidence, Provenance, Why},
    reader::shown,
    time::{DAY, Time},
};

/// One thing that a release has to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requirement {
    /// `signature = true`: a publisher's signature, by whichever of the namespace's keys.
    Signature,
    /// `keys = […]`: the signature of one of these keys.
    Keys(BTreeSet<Digest>),
    /// `provenance = {…}`: it was built there.
    Provenance(Origin),
    /// `age = "3d"`: it has been public for so long.
    Age(Age),
    /// `advisories = "none"`: no open advisory concerns it.
    NoAdvisory,
    /// `quarantine = "none"`: it is not quarantined. Without it, what a host has of a quarantined release goes on.
    NotQuarantined,
    /// `certification = 2`: it is certified to this level or higher.
    Certification(Certification),
}

impl Requirement {
    /// Why `evidence` does not show it; `None` where it does.
    pub(super) fn unmet(&self, evidence: &Evidence, now: Time) -> Option<Why> {
        match self {
            Self::Signature => match &evidence.publisher_keys {
                None => Some(Why::Unknown { requirement: self.clone() }),
                Some(keys) if keys.is_empty() => Some(Why::Unsigned),
                Some(_) => None,
            },
            Self::Keys(wanted) => match &evidence.publisher_keys {
                None => Some(Why::Unknown { requirement: self.clone() }),
                Some(found) if found.is_disjoint(wanted) => {
                    Some(Why::OtherKeys { wanted: wanted.clone(), found: found.clone() })
                }
                Some(_) => None,
            },
            Self::Provenance(origin) => match &evidence.provenance {
                None => Some(Why::Unknown { requirement: self.clone() }),
                Some(found) if found.iter().any(|provenance| origin.is_of(provenance)) => None,
                Some(found) => Some(Why::OtherOrigin { wanted: origin.clone(), found: found.clone() }),
            },
            Self::Age(age) => age.unmet(evidence.published_at, now),
            Self::NoAdvisory => match &evidence.advisories {
                None => Some(Why::Unknown { requirement: self.clone() }),
                Some(open) if open.is_empty() => None,
                Some(open) => Some(Why::Advisories { open: open.clone() }),
            },
            Self::NotQuarantined => match evidence.quarantined {
                None => Some(Why::Unknown { requirement: self.clone() }),
                Some(false) => None,
                Some(true) => Some(Why::Quarantined),
            },
            Self::Certification(wanted) => match evidence.certification {
                None => Some(Why::Unknown { requirement: self.clone() }),
                Some(found) if found >= wanted.0 => None,
                Some(found) => Some(Why::Certification { wanted: *wanted, found }),
            },
        }
    }

    /// Its key in a policy.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::Keys(_) => "keys",
            Self::Provenance(_) => "provenance",
            Self::Age(_) => "age",
            Self::NoAdvisory => "advisories",
            Self::NotQuarantined => "quarantine",
            Self::Certification(_) => "certification",
        }
    }
}

/// What has to be so, as what follows "it has to".
impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signature => f.write_str("bear the signature of its publisher"),
            Self::Keys(keys) => write!(f, "bear the signature of {}", spell(keys)),
            Self::Provenance(origin) => write!(f, "be built from {origin}"),
            Self::Age(age) => write!(f, "be public for {age}"),
            Self::NoAdvisory => f.write_str("have no open advisory"),
            Self::NotQuarantined => f.write_str("be in no quarantine"),
            Self::Certification(level) => write!(f, "be certified to level {level}"),
        }
    }
}

/// Keys by the beginnings of their ids: at most three.
pub(super) fn spell(keys: &BTreeSet<Digest>) -> String {
    let shown: Vec<_> = keys.iter().take(3).map(|key| key.short(16)).collect();
    match (keys.len(), keys.len().saturating_sub(3)) {
        (1, _) => format!("the key {}…", shown.concat()),
        (_, 0) => format!("one of the keys {}…", shown.join("…, ")),
        (_, more) => format!("one of the keys {}… and {more} more", shown.join("…, ")),
    }
}

/// Where something was built. At least one is given, and all that are given have to be so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The repository, by its address.
    pub repository: Option<Repository>,
    /// The workflow, as a path in the repository.
    pub workflow: Option<FilePath>,
    /// The builder that attests it, by its address.
    pub builder: Option<Repository>,
}

impl Origin {
    /// Addresses are compared as they are written: two that lead to the same place today may not tomorrow.
    fn is_of(&self, found: &Provenance) -> bool {
        self.repository.as_ref().is_none_or(|wanted| wanted.as_str() == found.repository)
            && self.workflow.as_ref().is_none_or(|wanted| wanted.as_str() == found.workflow)
            && self.builder.as_ref().is_none_or(|wanted| wanted.as_str() == found.builder)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            self.repository.as_ref().map(|repository| format!("the repository {repository}")),
            self.workflow.as_ref().map(|workflow| format!("the workflow {workflow}")),
            self.builder.as_ref().map(|builder| format!("the builder {builder}")),
        ];
        f.write_str(&parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}

/// For how long a release has been public: `3d`. Units are min, h and d; at least a minute and at most 365 days.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Age(i64);

const UNITS: [(&str, i64); 3] = [("min", 60), ("h", 60 * 60), ("d", DAY)];
const MOST: i64 = 365 * DAY;

impl Age {
    /// In seconds.
    pub fn seconds(self) -> i64 {
        self.0
    }

    /// A clock that runs behind the registry's sees a release from the future, which is not old enough either.
    fn unmet(self, published_at: Time, now: Time) -> Option<Why> {
        let from = published_at.plus(self.0);
        // Held at the last moment there is, the sum would come too early.
        let old = from.unix() - published_at.unix() == self.0 && now >= from;
        (!old).then_some(Why::TooNew { wanted: self, published_at, from })
    }
}

impl FromStr for Age {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let unit = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, seconds)| *seconds);
        let seconds = number.parse::<i64>().ok().zip(unit).and_then(|(number, unit)| number.checked_mul(unit));
        seconds.filter(|seconds| (60..=MOST).contains(seconds)).map(Self).ok_or_else(|| {
            TextError(format!("`{}` is not a time from `1min` to `365d`, as in `3d`, `12h` or `30min`", shown(text)))
        })
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let largest = UNITS.iter().rev().find(|(_, seconds)| self.0 % seconds == 0);
        largest.map_or(Ok(()), |(name, seconds)| write!(f, "{}{name}", self.0 / seconds))
    }
}

text_type!(Age);

/// A level of certification, from 1 to 9.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Certification(pub(super) u32);

impl fmt::Display for Certification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
