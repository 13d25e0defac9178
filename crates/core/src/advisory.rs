//! A known flaw of a plugin: which versions have it, and which have not.

use std::{fmt, str::FromStr};

use semver::{Comparator, Op, Prerelease};
use serde::{Deserialize, Serialize};

use crate::{
    canonical,
    digest::Digest,
    id::PluginId,
    manifest::{Description, Repository, TextError},
    reader::shown,
    time::Time,
    version::{Version, VersionReq},
};

/// An advisory has at most this many requirements of each kind, and other names.
pub const MAX_ADVISORY_LIST: usize = 8;
/// A plugin has at most this many open advisories.
pub const MAX_ADVISORIES: usize = 64;
/// An id is at most this long.
const MAX_ID: usize = 48;
/// Ids that registries make begin with this.
const OWN: &str = "STOA-";

/// The name of an advisory: `STOA-2026-3F9A-01C7`, or another's, such as `CVE-2026-12345` or `GHSA-xxxx-xxxx-xxxx`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AdvisoryId(String);

impl AdvisoryId {
    /// The id of what a registry says of `plugin` in the year of `at`: it follows from the content, so that the same
    /// advisory sent twice is one.
    pub fn made_of(plugin: &PluginId, content: &Content, at: Time) -> Self {
        let content = canonical::to_bytes(&(plugin, content)).unwrap_or_default();
        let hash = Digest::of(&content).short(8).to_ascii_uppercase();
        let year: String = at.to_string().chars().take_while(|c| *c != '-').collect();
        Self(format!("{OWN}{year}-{}-{}", &hash[..4], &hash[4..]))
    }

    /// Whether it is one that a registry makes.
    pub fn is_own(&self) -> bool {
        self.0.starts_with(OWN)
    }
}

impl fmt::Display for AdvisoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for AdvisoryId {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let mut words = text.split('-');
        let first = |word: &str| {
            word.starts_with(|c: char| c.is_ascii_uppercase())
                && word.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        };
        let begins = words.next().is_some_and(first);
        let mut rest = words.peekable();
        let more = rest.peek().is_some();
        let plain = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric());
        if begins && more && text.len() <= MAX_ID && rest.all(plain) {
            return Ok(Self(text.to_owned()));
        }
        let rule = "is not the id of an advisory: words of letters and digits joined by -, the first of A-Z and 0-9";
        Err(TextError(format!("`{}` {rule}, at most {MAX_ID} characters, as in `CVE-2026-12345`", shown(text))))
    }
}

text_type!(AdvisoryId);

/// How bad it is, as in CVSS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Worth knowing, and no flaw: it is not maintained any more, for instance.
    None,
    /// Low.
    Low,
    /// Medium.
    Medium,
    /// High.
    High,
    /// Critical. A reader takes what it does not know for this.
    #[serde(other)]
    Critical,
}

impl Severity {
    /// All of them, ascending.
    pub const ALL: [Self; 5] = [Self::None, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Severity {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        Self::ALL.into_iter().find(|severity| severity.as_str() == text).ok_or_else(|| {
            TextError(format!("`{}` is not a severity: {} are", shown(text), Self::ALL.map(Self::as_str).join(", ")))
        })
    }
}

/// Who says it. What the registry says, a publisher can not withdraw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Issuer {
    /// The registry's operator.
    Registry,
    /// Who publishes the plugin.
    Publisher,
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Registry => "the registry",
            Self::Publisher => "its publisher",
        })
    }
}

/// What an advisory says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Who says it.
    pub issuer: Issuer,
    /// How bad it is.
    pub severity: Severity,
    /// What it is, in one line.
    pub summary: Description,
    /// The versions that have the flaw: those that meet one of these, 1 to [`MAX_ADVISORY_LIST`].
    pub affected: Vec<VersionReq>,
    /// The versions among them that have it no more: those that meet one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fixed: Vec<VersionReq>,
    /// Where more is to be read.
    pub link: Repository,
    /// What others call it, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<AdvisoryId>,
}

/// A known flaw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advisory {
    /// Its name, unique in a plugin.
    pub id: AdvisoryId,
    /// What it says.
    pub content: Content,
}

/// An advisory as a document has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// It.
    pub advisory: Advisory,
    /// When it became visible.
    pub published_at: Time,
    /// When it was said anew, where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified_at: Option<Time>,
}

impl Advisory {
    /// Checks the bounds that the types do not hold.
    ///
    /// # Errors
    /// The rule that does not hold, as a sentence.
    pub fn check(&self) -> Result<(), String> {
        self.content.check()
    }

    /// Whether `version` has the flaw.
    ///
    /// A requirement takes a pre-release only where it names one. Here that would hide a flaw: a pre-release counts by
    /// its place, and also as what it came before.
    pub fn concerns(&self, version: &Version) -> bool {
        let Content { affected, fixed, .. } = &self.content;
        affected.iter().any(|requirement| covers(requirement, version))
            && !fixed.iter().any(|requirement| requirement.matches(version))
    }
}

impl Content {
    /// Checks the bounds that the types do not hold.
    ///
    /// # Errors
    /// The rule that does not hold, as a sentence.
    pub fn check(&self) -> Result<(), String> {
        if self.affected.is_empty() {
            return Err("it names no affected versions: `*` means all".to_owned());
        }
        for (what, count) in
            [("affected", self.affected.len()), ("fixed", self.fixed.len()), ("aliases", self.aliases.len())]
        {
            if count > MAX_ADVISORY_LIST {
                return Err(format!("`{what}` has {count} entries, and {MAX_ADVISORY_LIST} are possible"));
            }
        }
        match self.aliases.is_sorted_by(|a, b| a < b) {
            true => Ok(()),
            false => Err("its aliases are not sorted, or one stands twice".to_owned()),
        }
    }
}

fn covers(requirement: &VersionReq, version: &Version) -> bool {
    let (own, released) = (version.as_semver(), released(version.as_semver()));
    let comparators = &requirement.as_semver().comparators;
    comparators.iter().all(|comparator| holds(comparator, own) || holds(comparator, &released))
}

fn released(version: &semver::Version) -> semver::Version {
    semver::Version { pre: Prerelease::EMPTY, ..version.clone() }
}

/// Whether `version` lies in the stretch that a comparator means, by precedence alone.
fn holds(comparator: &Comparator, version: &semver::Version) -> bool {
    let Comparator { op, major, minor, patch, pre } = comparator;
    let at = |major, minor, patch| semver::Version::new(major, minor, patch);
    let first = semver::Version { pre: pre.clone(), ..at(*major, minor.unwrap_or(0), patch.unwrap_or(0)) };
    // The first version after all that begin with the numbers that are given.
    let after = match (minor, patch) {
        (None, _) => at(major.saturating_add(1), 0, 0),
        (Some(minor), None) => at(*major, minor.saturating_add(1), 0),
        (Some(minor), Some(patch)) => at(*major, *minor, patch.saturating_add(1)),
    };
    let whole = patch.is_some();
    match op {
        Op::Greater if whole => *version > first,
        Op::Greater => *version >= after,
        Op::GreaterEq => *version >= first,
        Op::Less => *version < first,
        Op::LessEq if whole => *version <= first,
        Op::LessEq => *version < after,
        Op::Exact if whole => *version == first,
        Op::Exact | Op::Wildcard => first <= *version && *version < after,
        Op::Tilde => first <= *version && *version < tilde_end(*major, *minor),
        Op::Caret => first <= *version && *version < caret_end(*major, *minor, *patch),
        // A comparator that a later semver has: nothing says that the version is free of the flaw.
        _ => true,
    }
}

fn tilde_end(major: u64, minor: Option<u64>) -> semver::Version {
    match minor {
        Some(minor) => semver::Version::new(major, minor.saturating_add(1), 0),
        None => semver::Version::new(major.saturating_add(1), 0, 0),
    }
}

fn caret_end(major: u64, minor: Option<u64>, patch: Option<u64>) -> semver::Version {
    match (major, minor, patch) {
        (0, Some(0), Some(patch)) => semver::Version::new(0, 0, patch.saturating_add(1)),
        (0, Some(minor), _) => semver::Version::new(0, minor.saturating_add(1), 0),
        _ => semver::Version::new(major.saturating_add(1), 0, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse<T: FromStr<Err: fmt::Debug>>(text: &str) -> T {
        text.parse().expect("it is one")
    }

    fn refusal(id: &str) -> String {
        id.parse::<AdvisoryId>().map_or_else(|error| error.to_string(), |id| format!("{id} is taken"))
    }

    fn advisory(affected: &[&str], fixed: &[&str]) -> Advisory {
        let content = Content {
            issuer: Issuer::Registry,
            severity: Severity::High,
            summary: parse("It reads what it should not"),
            affected: affected.iter().map(|text| parse(text)).collect(),
            fixed: fixed.iter().map(|text| parse(text)).collect(),
            link: parse("https://example.com/a"),
            aliases: Vec::new(),
        };
        Advisory { id: parse("CVE-2026-1"), content }
    }

    #[test]
    fn a_version_has_the_flaw_where_it_is_affected_and_not_fixed() {
        let flaw = advisory(&["<1.2.3", ">=2, <2.1"], &["^1.1.9"]);
        let concerned = |version| flaw.concerns(&parse(version));
        let having = ["0.1.0", "1.1.8", "2.0.0", "2.0.9"].map(concerned);
        let free = ["1.1.9", "1.2.0", "1.2.3", "1.9.0", "2.1.0"].map(concerned);
        assert_eq!((having, free), ([true; 4], [false; 5]));
    }

    #[test]
    fn a_pre_release_hides_no_flaw() {
        let concerned = |affected: &str, version| advisory(&[affected], &[]).concerns(&parse(version));
        for (affected, version) in [
            ("<1.2.3", "1.2.3-rc.1"),
            ("<1.2.3", "1.2.0-rc.1"),
            (">=1.0.0, <1.2", "1.0.0-rc.1"),
            ("^1", "1.4.0-beta"),
            ("=1.0.0", "1.0.0-rc.1"),
            ("~1.2", "1.2.9-a"),
            ("*", "3.0.0-a"),
            ("<=1", "1.9.0-a"),
            ("1.2.*", "1.2.0-a"),
        ] {
            assert!(concerned(affected, version), "{version} has what {affected} has");
        }
        for (affected, version) in
            [("<1.2.3", "1.2.4-rc.1"), ("^1", "2.0.1-a"), (">1.2", "1.2.9-a"), ("^0.3", "0.4.1-a")]
        {
            assert!(!concerned(affected, version), "{version} has not what {affected} has");
        }
    }

    #[test]
    fn releases_are_concerned_as_requirements_match_them() {
        let versions = ["0.0.1", "0.0.2", "0.1.0", "0.2.3", "1.0.0", "1.2.0", "1.2.3", "1.2.4", "1.3.0", "2.0.0"];
        let requirements = [
            "*",
            "1",
            "^1.2",
            "^0",
            "^0.0",
            "^0.0.1",
            "^0.1",
            "~1",
            "~1.2",
            "~1.2.3",
            "=1",
            "=1.2",
            "=1.2.3",
            ">1",
            ">1.2",
            ">1.2.3",
            ">=1.2",
            "<1",
            "<1.2",
            "<1.2.3",
            "<=1",
            "<=1.2",
            "<=1.2.3",
            "1.*",
            "1.2.*",
            ">=1.0.0, <1.3",
        ];
        for requirement in requirements {
            for version in versions {
                let (requirement, version): (VersionReq, Version) = (parse(requirement), parse(version));
                assert_eq!(covers(&requirement, &version), requirement.matches(&version), "{requirement} {version}");
            }
        }
    }

    #[test]
    fn an_id_is_words_of_letters_and_digits() {
        for id in ["CVE-2026-12345", "GHSA-x7qr-9f2m-hh3p", "STOA-2026-3F9A-01C7", "RUSTSEC-2026-0001"] {
            assert_eq!(id.parse::<AdvisoryId>().map(|id| id.to_string()), Ok(id.to_owned()));
        }
        let long = format!("C-{}", "1".repeat(47));
        for id in ["", "CVE", "CVE-", "cve-1", "CVE--1", "CVE-1/..", "-1", "CVE-\u{e9}", &long] {
            assert!(refusal(id).contains("is not the id of an advisory"), "{}", refusal(id));
        }
    }

    #[test]
    fn the_same_content_has_the_same_id_and_another_another() {
        let (a, b) = (advisory(&["<1"], &[]).content, advisory(&["<2"], &[]).content);
        let plugin: PluginId = parse("demo:a");
        let id = |content: &Content| AdvisoryId::made_of(&plugin, content, Time::from_unix(1_795_420_800));
        assert_eq!(id(&a), id(&a.clone()));
        assert_ne!(id(&a), id(&b));
        assert!(id(&a).is_own() && id(&a).to_string().starts_with("STOA-2026-"), "{}", id(&a));
        assert_eq!(id(&a).to_string().parse(), Ok(id(&a)));
    }
}
