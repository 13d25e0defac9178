//! Versions and requirements on them: semver 2.0 as Cargo reads it.

use std::{fmt, str::FromStr};

/// A version is at most this long: `MAJOR.MINOR.PATCH` of three u64 has at most 62 characters.
pub const MAX_VERSION: usize = 64;
/// A requirement is at most this long: eight comparators of 30 characters.
pub const MAX_REQUIREMENT: usize = 256;

/// Why text is not a version or a requirement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VersionError {
    /// Longer than [`MAX_VERSION`] or [`MAX_REQUIREMENT`].
    #[error("`{0}…` is longer than {1} characters")]
    Length(String, usize),
    /// Build metadata: two versions that differ only there would be equal to a resolver.
    #[error("`{0}` has build metadata (`+…`), which a registry version must not have")]
    Build(String),
    /// Not semver 2.0.
    #[error("`{0}` is not a semantic version: {1}")]
    Version(String, String),
    /// Not a requirement as Cargo writes them.
    #[error("`{0}` is not a version requirement: {1}")]
    Requirement(String, String),
}

/// A version: semver 2.0 without build metadata, at most 64 characters. Ordered by precedence.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(semver::Version);

impl Version {
    /// The version in the form that solvers compare.
    pub fn as_semver(&self) -> &semver::Version {
        &self.0
    }

    /// Whether it is a pre-release such as `1.0.0-rc.1`.
    pub fn is_prerelease(&self) -> bool {
        !self.0.pre.is_empty()
    }
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        if text.len() > MAX_VERSION {
            return Err(VersionError::Length(text.chars().take(32).collect(), MAX_VERSION));
        }
        let version: semver::Version =
            text.parse().map_err(|e: semver::Error| VersionError::Version(text.to_owned(), e.to_string()))?;
        if version.build.is_empty() { Ok(Self(version)) } else { Err(VersionError::Build(text.to_owned())) }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A requirement on versions, as in Cargo: `^1.2`, `~1.2.3`, `>=1, <3`, `=1.0.0-rc.1`, `*`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct VersionReq(semver::VersionReq);

impl VersionReq {
    /// The requirement that any version but a pre-release meets.
    pub const ANY: Self = Self(semver::VersionReq::STAR);

    /// The requirement that only `version` meets.
    pub fn exactly(version: &Version) -> Self {
        Self(semver::VersionReq {
            comparators: vec![semver::Comparator {
                op: semver::Op::Exact,
                major: version.0.major,
                minor: Some(version.0.minor),
                patch: Some(version.0.patch),
                pre: version.0.pre.clone(),
            }],
        })
    }

    /// Whether `version` meets it. A pre-release does only where a comparator names one of the same
    /// major, minor and patch (Cargo's rule).
    pub fn matches(&self, version: &Version) -> bool {
        self.0.matches(&version.0)
    }

    /// The requirement in the form that solvers read.
    pub fn as_semver(&self) -> &semver::VersionReq {
        &self.0
    }
}

impl FromStr for VersionReq {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        if text.len() > MAX_REQUIREMENT {
            return Err(VersionError::Length(text.chars().take(32).collect(), MAX_REQUIREMENT));
        }
        text.parse().map(Self).map_err(|e: semver::Error| VersionError::Requirement(text.to_owned(), e.to_string()))
    }
}

impl fmt::Display for VersionReq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

text_type!(Version);
text_type!(VersionReq);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn build_metadata_is_refused() {
        assert_eq!("1.0.0+linux".parse::<Version>(), Err(VersionError::Build("1.0.0+linux".into())));
    }

    #[test]
    fn a_requirement_for_exactly_a_version_meets_only_that_one() -> Result<(), VersionError> {
        let rc: Version = "1.0.0-rc.1".parse()?;
        let exactly = VersionReq::exactly(&rc);
        assert_eq!(exactly.to_string(), "=1.0.0-rc.1");
        assert!(exactly.matches(&rc));
        assert!(!exactly.matches(&"1.0.0".parse()?));
        Ok(())
    }

    #[test]
    fn a_version_has_one_spelling() {
        for text in ["1.0.0", "0.1.0-rc.1", "18446744073709551615.0.0"] {
            assert_eq!(text.parse::<Version>().map(|v| v.to_string()), Ok(text.to_owned()));
        }
        for text in ["1.0", "v1.0.0", " 1.0.0", "1.0.0 ", "01.0.0", "1.0.0-é"] {
            assert!(matches!(text.parse::<Version>(), Err(VersionError::Version(shown, _)) if shown == text), "{text}");
        }
    }
}
