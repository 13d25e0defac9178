//! What a policy says of a release, rule by rule, and what would satisfy it.

use std::{collections::BTreeSet, fmt};

use crate::{
    digest::Digest,
    id::PluginId,
    lock::Exact,
    manifest::{ConfigKey, Reason},
    policy::{Advisory, Age, Certification, Evidence, Origin, Pattern, Provenance, Requirement, Rule, require::spell},
    reader::shown,
    time::Time,
};

/// What a policy says of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    release: Exact,
    file: String,
    checks: Vec<Check>,
    notices: Vec<Notice>,
}

/// What one rule, or the policy as a whole, says of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    rule: Option<(ConfigKey, usize, Option<Reason>)>,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The rule names the plugin as allowed.
    Allowed,
    /// The release shows what is required.
    Met(Requirement),
    /// It may not run.
    Refused(Why),
}

/// Why a release may not run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// A rule denies it.
    Denied {
        /// The plugins that the rule denies.
        pattern: Pattern,
    },
    /// No rule allows it, and the policy denies what no rule allows.
    Unlisted {
        /// The plugin.
        id: PluginId,
    },
    /// The index has no evidence of the kind that is required.
    Unknown {
        /// What is required.
        requirement: Requirement,
    },
    /// It bears no publisher's signature.
    Unsigned,
    /// It bears none of these keys' signatures.
    OtherKeys {
        /// The keys that are required.
        wanted: BTreeSet<Digest>,
        /// The keys that have signed it.
        found: BTreeSet<Digest>,
    },
    /// It was built elsewhere.
    OtherOrigin {
        /// Where it has to be built.
        wanted: Origin,
        /// Where it was.
        found: Vec<Provenance>,
    },
    /// It has not been public for long enough.
    TooNew {
        /// For how long it has to be.
        wanted: Age,
        /// Since when it is.
        published_at: Time,
        /// When it will do.
        from: Time,
    },
    /// Advisories that concern it are open.
    Advisories {
        /// Which.
        open: Vec<Advisory>,
    },
    /// It is quarantined.
    Quarantined,
    /// It is certified to a lower level, or not at all (0).
    Certification {
        /// The level that is required.
        wanted: Certification,
        /// Its level.
        found: u32,
    },
}

/// Something that its user should know of a release, and that refuses nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    release: Exact,
    advisory: Advisory,
}

/// One refusal, with the rule and what would satisfy it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Refusal {
    release: Exact,
    file: String,
    rule: Option<(ConfigKey, usize, Option<Reason>)>,
    why: Why,
}

impl Check {
    pub(super) fn of(rule: &Rule, outcome: Outcome) -> Self {
        Self { rule: Some((rule.id.clone(), rule.line, rule.reason.clone())), outcome }
    }

    pub(super) fn whole(outcome: Outcome) -> Self {
        Self { rule: None, outcome }
    }

    /// The rule's id and line; `None` for what the policy as a whole says.
    pub fn rule(&self) -> Option<(&ConfigKey, usize)> {
        self.rule.as_ref().map(|(id, line, _)| (id, *line))
    }
}

impl Verdict {
    pub(super) fn new(release: Exact, file: String, checks: Vec<Check>, evidence: &Evidence) -> Self {
        let open = evidence.advisories.iter().flatten();
        let notices = open.map(|advisory| Notice { release: release.clone(), advisory: advisory.clone() }).collect();
        Self { release, file, checks, notices }
    }

    /// The release.
    pub fn release(&self) -> &Exact {
        &self.release
    }

    /// Whether it may run.
    pub fn allows(&self) -> bool {
        !self.checks.iter().any(|check| matches!(check.outcome, Outcome::Refused(_)))
    }

    /// What each rule that matches it says.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// Every reason why it may not run; empty where it may.
    pub fn refusals(&self) -> Vec<Refusal> {
        let refusal = |check: &Check| {
            let Outcome::Refused(why) = &check.outcome else { return None };
            let (release, file) = (self.release.clone(), self.file.clone());
            Some(Refusal { release, file, rule: check.rule.clone(), why: why.clone() })
        };
        self.checks.iter().filter_map(refusal).collect()
    }

    /// What its user should know, also where it may run: open advisories, whatever the rules say of them.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }
}

impl Refusal {
    /// The release.
    pub fn release(&self) -> &Exact {
        &self.release
    }

    /// Why.
    pub fn why(&self) -> &Why {
        &self.why
    }

    /// Why, by which rule, of which file and line.
    pub fn reason(&self) -> String {
        match &self.rule {
            Some((id, line, reason)) => {
                let because = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
                format!("{}; so says the rule `{id}` ({}){because}", self.why, place(&self.file, *line))
            }
            None => format!("{} ({})", self.why, self.file),
        }
    }

    /// What would satisfy the rule.
    pub fn hint(&self) -> String {
        let id = &self.release.id;
        match &self.why {
            Why::Denied { .. } => "use another plugin; only a change of the rule lets it through".to_owned(),
            Why::Unlisted { id } => {
                format!("a rule with `match = {{ plugin = \"{id}\" }}` and `allow = true` would let it through")
            }
            Why::Unknown { requirement } => format!(
                "nothing that this index has can satisfy `{}`: take the requirement out of the rule, or except `{id}` from it",
                requirement.key()
            ),
            Why::Unsigned => "a release that its publisher has signed would do".to_owned(),
            Why::OtherKeys { .. } => {
                "a release that one of those keys has signed would do; if the publisher has a new key, compare it with \
                 what they announced and add its id to the rule"
                    .to_owned()
            }
            Why::OtherOrigin { .. } => {
                "a release that was built there would do, with a provenance that says so and that its publisher has signed"
                    .to_owned()
            }
            Why::TooNew { from, .. } => format!("wait until {from}, or ask for an older version"),
            Why::Advisories { open } => fixed(open),
            Why::Quarantined => "wait until it is restored, or lock another version".to_owned(),
            Why::Certification { wanted, .. } => {
                format!("a release that the registry's operator certified to level {wanted} or higher would do")
            }
        }
    }

    /// A stable code, for programs and for looking up.
    pub fn code(&self) -> &'static str {
        match self.why {
            Why::Denied { .. } => "P001",
            Why::Unlisted { .. } => "P002",
            Why::Unknown { .. } => "P003",
            Why::Unsigned => "P004",
            Why::OtherKeys { .. } => "P005",
            Why::OtherOrigin { .. } => "P006",
            Why::TooNew { .. } => "P007",
            Why::Advisories { .. } => "P008",
            Why::Certification { .. } => "P009",
            Why::Quarantined => "P020",
        }
    }
}

/// The version that has none of the flaws, where all have a fix.
fn fixed(open: &[Advisory]) -> String {
    let fixes: Option<Vec<_>> = open.iter().map(|advisory| advisory.fixed_in.as_ref()).collect();
    match fixes.and_then(|fixes| fixes.into_iter().max()) {
        Some(version) => format!("{version} is the first version without the flaw"),
        None => "no version without the flaw is known: use another plugin until there is one".to_owned(),
    }
}

/// `policy.toml:7`, for people who then go there.
pub(super) fn place(file: &str, line: usize) -> String {
    if file.is_empty() { format!("line {line}") } else { format!("{file}:{line}") }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` may not run: {}", self.release, self.reason())
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied { pattern } => write!(f, "`{pattern}` is denied"),
            Self::Unlisted { .. } => f.write_str("no rule allows it, and what no rule allows is denied"),
            Self::Unknown { requirement } => {
                write!(f, "it has to {requirement}, and the index has no evidence of that kind")
            }
            Self::Unsigned => write!(f, "it has to {}, and it bears none", Requirement::Signature),
            Self::OtherKeys { wanted, found } => {
                let found = if found.is_empty() { "nobody's".to_owned() } else { format!("that of {}", spell(found)) };
                write!(f, "it has to bear the signature of {}, and bears {found}", spell(wanted))
            }
            Self::OtherOrigin { wanted, found } => {
                let nothing = || "nothing that its publisher has signed says where it was built".to_owned();
                let was = found.first().map_or_else(nothing, |provenance| format!("it was built {provenance}"));
                write!(f, "it has to be built from {wanted}, and {was}")
            }
            Self::TooNew { wanted, published_at, .. } => {
                write!(f, "it has to be public for {wanted}, and was published at {published_at}")
            }
            Self::Advisories { open } => {
                let ids: Vec<_> = open.iter().take(3).map(|advisory| shown(&advisory.id)).collect();
                let more = open.len().saturating_sub(3);
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                write!(f, "it has to have no open advisory, and has {}{more}", ids.join(", "))
            }
            Self::Quarantined => write!(f, "it has to {}, and is quarantined", Requirement::NotQuarantined),
            Self::Certification { wanted, found: 0 } => {
                write!(f, "it has to be certified to level {wanted}, and is not certified")
            }
            Self::Certification { wanted, found } => {
                write!(f, "it has to be certified to level {wanted}, and is to level {found}")
            }
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Advisory { id, severity, summary, fixed_in } = &self.advisory;
        let fixed = fixed_in.as_ref().map(|version| format!("; fixed in {version}")).unwrap_or_default();
        write!(f, "`{}` has the open advisory {} ({severity}): {}{fixed}", self.release, shown(id), shown(summary))
    }
}
