//! Policy: what a host demands of the plugins that it runs, beyond the registry's own signatures.
//!
//! ```toml
//! version = 1
//! unlisted = "allow"                   # or "deny": only plugins that some rule with `allow` names
//!
//! [[rule]]
//! id = "settled"
//! match = { plugin = "*", except = ["acme:*"] }
//! require = { age = "3d", advisories = "none" }
//! reason = "Bad releases are mostly found within days"
//!
//! [[rule]]
//! id = "no-miners"
//! match = { plugin = "coin:*" }
//! deny = true
//! ```
//!
//! All rules that match a plugin count, in whatever order they stand: a rule that denies wins over all others, every
//! requirement has to be met, and nothing that a rule requires can be taken back by another rule. So more rules that
//! require or deny never let more through. Where the index has no evidence of what a rule requires, the rule is not
//! met: not knowing is no permission.
//!
//! [`Policy::judge`] says whether a release may run, and [`Policy::decide`] what it may reach then: together the one
//! evaluator. It is pure and needs the signed document of a plugin alone, so that it is asked before a component is
//! fetched, and offline.

use std::fmt;

pub use self::{
    decide::{By, CapabilityRules, Decided, Decision, Obstacle, Ruling, Ungranted},
    evidence::{Advisory, Evidence, Provenance},
    pattern::{Match, Pattern},
    require::{Age, Certification, Origin, Requirement},
    verdict::{Check, Notice, Outcome, Refusal, Verdict, Why},
};
use crate::{
    document::{Document, Listing},
    lock::Exact,
    manifest::{ConfigKey, Reason},
    reader::{Problem, Reader},
    resolve::{Bar, Barred, Documents, Known},
    time::Time,
};

mod decide;
mod evidence;
mod pattern;
mod read;
mod require;
mod verdict;

/// A policy is at most this long (256 KiB): 256 rules with 1 KiB each.
pub const MAX_POLICY_BYTES: usize = 256 * 1024;
/// It has at most this many rules.
pub const MAX_RULES: usize = 256;
/// A rule names at most this many exceptions, or keys.
pub const MAX_NAMES: usize = 64;

/// A whole `policy.toml`, every bound of which holds. The default has no rules, and allows everything that the registry
/// has signed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    file: String,
    unlisted: Unlisted,
    ungranted: Ungranted,
    rules: Vec<Rule>,
}

/// What becomes of a plugin that no rule allows by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unlisted {
    /// It is allowed, if it meets what is required.
    #[default]
    Allow,
    /// It is refused.
    Deny,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its name, unique in the file.
    pub id: ConfigKey,
    /// The line that begins it, from 1.
    pub line: usize,
    /// The plugins that it is about.
    pub matches: Match,
    /// Why there is such a rule, for those who meet it.
    pub reason: Option<Reason>,
    /// What it does.
    pub effect: Effect,
    /// What it says of capabilities.
    pub capabilities: CapabilityRules,
}

/// What a rule does to a plugin that it matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Refuses it, whatever other rules say.
    Deny,
    /// Demands something of it, and may also count as naming it.
    Require {
        /// Whether the plugin counts as named, where [`Unlisted::Deny`].
        allow: bool,
        /// What it has to show; empty only where `allow`, or where the rule speaks of capabilities alone.
        requirements: Vec<Requirement>,
    },
}

/// Why text is not a policy: every problem, by line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct PolicyError {
    file: String,
    problems: Vec<Problem>,
}

impl PolicyError {
    /// The problems, at least one, by line.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.problems.iter().map(Problem::to_string).collect();
        write!(f, "{} is not a policy: {}", self.file, lines.join("\n"))
    }
}

impl Policy {
    /// Reads a policy. `file` is what messages call it: `policy.toml`.
    ///
    /// # Errors
    /// [`PolicyError`] with every problem found.
    pub fn parse(file: &str, text: &str) -> Result<Self, PolicyError> {
        let file = crate::reader::shown(file);
        Reader::whole(text, "policy.toml", "file", MAX_POLICY_BYTES, |reader, top| {
            Some(read::policy(reader, top, &file))
        })
        .map_err(|problems| PolicyError { file: file.clone(), problems })
    }

    /// What messages call the file; empty for a policy that is none.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// What becomes of plugins that no rule allows by name.
    pub fn unlisted(&self) -> Unlisted {
        self.unlisted
    }

    /// What becomes of capabilities that plugins ask for and no rule speaks of.
    pub fn ungranted(&self) -> Ungranted {
        self.ungranted
    }

    /// The rules, in the order of the file, which decides nothing.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Whether any rule requires what only a publisher's signature can show: signatures of what is locked already are
    /// verified only then.
    pub fn asks_for_signatures(&self) -> bool {
        let signed = |requirement: &Requirement| matches!(requirement, Requirement::Signature | Requirement::Keys(_));
        self.requires(signed) || self.asks_for_provenance()
    }

    /// Whether any rule requires that a release is built somewhere: provenances are fetched only then.
    pub fn asks_for_provenance(&self) -> bool {
        self.requires(|requirement| matches!(requirement, Requirement::Provenance(_)))
    }

    fn requires(&self, what: impl Fn(&Requirement) -> bool) -> bool {
        self.rules.iter().any(|rule| match &rule.effect {
            Effect::Require { requirements, .. } => requirements.iter().any(&what),
            Effect::Deny => false,
        })
    }

    /// The releases among `documents` that may not run at `now`, by what `evidence` says of each, with the first reason:
    /// what a resolution passes over. Where `evidence` says nothing, because nobody has verified it yet, it is not judged.
    pub fn bars(
        &self,
        documents: &Documents,
        evidence: impl Fn(&Exact, &Listing, &Document) -> Option<Evidence>,
        now: Time,
    ) -> Barred {
        let mut barred = Barred::new();
        if self.rules.is_empty() && self.unlisted == Unlisted::Allow {
            return barred;
        }
        for (id, known) in documents {
            let Known::Document(document) = known else { continue };
            for (version, listing) in &document.releases {
                let release = Exact { id: id.clone(), version: version.clone() };
                let Some(evidence) = evidence(&release, listing, document) else { continue };
                let refusals = self.judge(&release, &evidence, now).refusals();
                if let Some(refusal) = refusals.first() {
                    let bar = Bar::Policy { why: refusal.reason(), hint: refusal.hint() };
                    barred.entry(id.clone()).or_default().insert(version.clone(), bar);
                }
            }
        }
        barred
    }

    /// Whether `release` may run, by what is known of it at `now`.
    pub fn judge(&self, release: &Exact, evidence: &Evidence, now: Time) -> Verdict {
        let matching: Vec<&Rule> = self.rules.iter().filter(|rule| rule.matches.takes(&release.id)).collect();
        let denies = |rule: &&&Rule| rule.effect == Effect::Deny;
        let mut checks: Vec<Check> = matching
            .iter()
            .filter(denies)
            .map(|rule| Check::of(rule, Outcome::Refused(Why::Denied { pattern: rule.matches.plugin.clone() })))
            .collect();
        let denied = !checks.is_empty();
        let named = matching.iter().any(|rule| matches!(rule.effect, Effect::Require { allow: true, .. }));
        if !denied && !named && self.unlisted == Unlisted::Deny {
            checks.push(Check::whole(Outcome::Refused(Why::Unlisted { id: release.id.clone() })));
        }
        // What is denied is denied: that it lacks something besides would lead its reader astray.
        for rule in matching.iter().filter(|_| !denied) {
            let Effect::Require { allow, requirements } = &rule.effect else { continue };
            if *allow {
                checks.push(Check::of(rule, Outcome::Allowed));
            }
            checks.extend(requirements.iter().map(|requirement| {
                let unmet = requirement.unmet(evidence, now);
                Check::of(rule, unmet.map_or_else(|| Outcome::Met(requirement.clone()), Outcome::Refused))
            }));
        }
        Verdict::new(release.clone(), self.file.clone(), checks, evidence)
    }
}
