//! What a refusal may be a sign of.

use std::fmt;

use super::error::TrustError;

/// The attack that a failed check stands against: the names of the specification's list (section 1.5.2), and two
/// that Stoa adds. A refusal proves no attacker: a broken disk, a wrong clock or a careless operator looks the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Attack {
    /// Arbitrary software: bytes that the keys in charge did not sign.
    Forgery,
    /// Older than what was seen before.
    Rollback,
    /// Indefinite freeze: past its time and served all the same.
    Freeze,
    /// Mix and match: files that were signed, in places or combinations that were not.
    MixAndMatch,
    /// More bytes, roots or roles than there is any need for.
    EndlessData,
    /// A file that has to be there is kept back.
    Withholding,
    /// Another event in the place of one that was seen before.
    RewrittenHistory,
    /// Bytes, or a signed document, that break the format.
    Malformed,
}

impl Attack {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Forgery,
        Self::Rollback,
        Self::Freeze,
        Self::MixAndMatch,
        Self::EndlessData,
        Self::Withholding,
        Self::RewrittenHistory,
        Self::Malformed,
    ];

    /// A stable word for programs: `forgery`, `mix-and-match`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Forgery => "forgery",
            Self::Rollback => "rollback",
            Self::Freeze => "freeze",
            Self::MixAndMatch => "mix-and-match",
            Self::EndlessData => "endless-data",
            Self::Withholding => "withholding",
            Self::RewrittenHistory => "rewritten-history",
            Self::Malformed => "malformed",
        }
    }

    /// What it means for a person who meets it, in one sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Forgery => "these bytes are not signed by the keys that the pinned root leads to",
            Self::Rollback => "this is older than what was verified before, so somebody hides what came since",
            Self::Freeze => {
                "this has expired, so the registry stands still, somebody holds it back, or the clock here is wrong"
            }
            Self::MixAndMatch => "this file was signed, but not for this place in the registry",
            Self::EndlessData => "this is more than such a file may have, so reading was stopped",
            Self::Withholding => "the registry's signed files name this one, and it is not given out",
            Self::RewrittenHistory => "the log of the registry is another one than was verified before",
            Self::Malformed => "this is not what a registry's file looks like",
        }
    }
}

impl fmt::Display for Attack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl TrustError {
    /// What the refusal may be a sign of; `None` where nothing was refused: the caller asked out of order, or
    /// nothing is kept.
    pub fn attack(&self) -> Option<Attack> {
        Some(match self {
            Self::NotCached { .. } | Self::NotRefreshed | Self::NothingAsked => return None,
            Self::Threshold { .. } => Attack::Forgery,
            Self::RootVersion { .. } | Self::Rollback { .. } | Self::Vanished { .. } | Self::HeadRollback { .. } => {
                Attack::Rollback
            }
            Self::Expired { .. } => Attack::Freeze,
            Self::Type { .. }
            | Self::Version { .. }
            | Self::Length { .. }
            | Self::Hash { .. }
            | Self::WrongRole { .. } => Attack::MixAndMatch,
            Self::TooLarge { .. } | Self::TooManyRoots { .. } | Self::TooManyDelegations { .. } => Attack::EndlessData,
            Self::Absent { .. } | Self::NotListed { .. } => Attack::Withholding,
            Self::HeadFork { .. } => Attack::RewrittenHistory,
            Self::Json { .. }
            | Self::DuplicateKey { .. }
            | Self::TooDeep { .. }
            | Self::Shape { .. }
            | Self::SpecVersion { .. }
            | Self::ZeroThreshold { .. }
            | Self::RepeatedKey { .. }
            | Self::KeyId { .. }
            | Self::RepeatedSignature { .. }
            | Self::RoleName { .. }
            | Self::RepeatedRole { .. }
            | Self::Either { .. }
            | Self::BitLength { .. }
            | Self::Inconsistent { .. }
            | Self::NoSha256 { .. }
            | Self::NoHead { .. } => Attack::Malformed,
        })
    }
}
