//! What others than its author say of a release: that it was taken down, its known flaws, and to which level it was certified.
//!
//! | measure | new resolutions | fetching | what is locked and kept by a host | bytes |
//! |---|---|---|---|---|
//! | quarantine | pass it over | refused | goes on, and is told; a policy can refuse it | stay |
//! | kill | pass it over | refused | refused, offline too, once the host has synced | are deleted later |
//!
//! Both are the operator's, of one release or of a whole plugin, and both can be restored; a kill only until the bytes
//! are deleted. A version that was taken down is never free again.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    advisory::Advisory, event::check_reason, manifest::TextError, reader::shown, time::Time, version::Version,
};

/// What was done to a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// Nobody chooses or fetches it until somebody has looked.
    Quarantine,
    /// Nobody loads it.
    Kill,
}

impl Measure {
    /// What a release is that this was done to.
    pub const fn state(self) -> &'static str {
        match self {
            Self::Quarantine => "quarantined",
            Self::Kill => "killed",
        }
    }
}

/// Why something was taken down, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// It does harm on purpose.
    Malware,
    /// It may, and somebody is looking.
    Suspicion,
    /// It has a flaw that others exploit.
    Vulnerability,
    /// Somebody else than its publisher released it.
    Compromise,
    /// It passes itself off as another.
    Impersonation,
    /// A court, or the law.
    Legal,
    /// It breaks the rules of the registry.
    Abuse,
    /// Its publisher asked for it.
    Request,
    /// What the reason says. A document of a later program may have codes that this one does not know: it takes them
    /// for this. In an event that is a refusal, for an event has one sequence of bytes.
    #[serde(other)]
    Other,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Malware,
        Self::Suspicion,
        Self::Vulnerability,
        Self::Compromise,
        Self::Impersonation,
        Self::Legal,
        Self::Abuse,
        Self::Request,
        Self::Other,
    ];

    /// The code.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malware => "malware",
            Self::Suspicion => "suspicion",
            Self::Vulnerability => "vulnerability",
            Self::Compromise => "compromise",
            Self::Impersonation => "impersonation",
            Self::Legal => "legal",
            Self::Abuse => "abuse",
            Self::Request => "request",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Cause {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        Self::ALL.into_iter().find(|cause| cause.as_str() == text).ok_or_else(|| {
            let all = Self::ALL.map(Self::as_str).join(", ");
            TextError(format!("`{}` is not a cause: {all} are", shown(text)))
        })
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Quarantine => "quarantine",
            Self::Kill => "kill",
        })
    }
}

impl FromStr for Measure {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        match text {
            "quarantine" => Ok(Self::Quarantine),
            "kill" => Ok(Self::Kill),
            _ => Err(TextError(format!("`{}` is not a measure: quarantine and kill are", shown(text)))),
        }
    }
}

/// How a release, or a whole plugin, was taken down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Takedown {
    /// What was done.
    pub measure: Measure,
    /// Why, for programs.
    pub cause: Cause,
    /// Why, for people: at most [`crate::event::MAX_REASON`] characters.
    pub reason: String,
    /// The event that did it.
    pub seq: u64,
    /// Its time.
    pub at: Time,
    /// Since when its publisher contradicts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub appealed: Option<Time>,
}

impl Takedown {
    /// Checks the bound that the type itself does not hold.
    ///
    /// # Errors
    /// The rule that does not hold, as a sentence.
    pub fn check(&self) -> Result<(), String> {
        check_reason(&self.reason)
    }
}

/// `killed 2026-11-26 (malware: "it mines coins")`, quoted as Rust quotes, and bounded: a line of a terminal.
impl fmt::Display for Takedown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day: String = self.at.to_string().chars().take(10).collect();
        let reason: String = self.reason.chars().take(200).collect();
        write!(f, "{} {day} ({}: {reason:?})", self.measure.state(), self.cause)
    }
}

/// The highest level of certification; 1 is the lowest.
pub const MAX_CERTIFICATION: u8 = 9;

/// That the operator certified a release. What each level stands for, they say; hosts require one by policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certified {
    /// From 1 to [`MAX_CERTIFICATION`].
    pub level: u8,
    /// On what ground, for people: at most [`crate::event::MAX_REASON`] characters.
    pub reason: String,
    /// The event that did it.
    pub seq: u64,
    /// Its time.
    pub at: Time,
}

impl Certified {
    /// Checks the bounds that the type itself does not hold.
    ///
    /// # Errors
    /// The rule that does not hold, as a sentence.
    pub fn check(&self) -> Result<(), String> {
        if self.level == 0 {
            return Err(format!("a certification to level 0: 1 to {MAX_CERTIFICATION} are possible"));
        }
        check_level(self.level).and_then(|()| check_reason(&self.reason))
    }
}

/// Checks a level that an event gives: 0 takes a certification back.
///
/// # Errors
/// The rule that does not hold, as a sentence.
pub fn check_level(level: u8) -> Result<(), String> {
    match level {
        0..=MAX_CERTIFICATION => Ok(()),
        _ => Err(format!(
            "a certification to level {level}: 1 to {MAX_CERTIFICATION} are possible, and 0 takes one back"
        )),
    }
}

/// What is said of a release.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// How it was taken down, by itself or with its whole plugin; the stronger of the two.
    pub takedown: Option<Takedown>,
    /// Its known flaws, sorted by id.
    pub advisories: Vec<Open>,
}

impl Standing {
    /// Whether nobody may load it.
    pub fn killed(&self) -> Option<&Takedown> {
        self.takedown.as_ref().filter(|takedown| takedown.measure == Measure::Kill)
    }

    /// Whether nobody fetches it, and those who have it may go on.
    pub fn quarantined(&self) -> Option<&Takedown> {
        self.takedown.as_ref().filter(|takedown| takedown.measure == Measure::Quarantine)
    }
}

/// An advisory that concerns a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// It.
    pub advisory: Advisory,
    /// The lowest higher release that can be chosen and that it does not concern, where there is one.
    pub fixed_in: Option<Version>,
}
