//! Why there is no resolution, and what to try.

use std::fmt::Write as _;

use crate::{
    digest::Digest,
    id::{Name, PluginId},
    lock::Exact,
    resolve::{Explanation, Explored, Fault},
    standing::Takedown,
    version::{Version, VersionReq},
};

const UNSATISFIABLE: &str = "no set of plugin versions satisfies this host";

/// Why there is no resolution.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// No set of versions meets all requirements.
    #[error("{UNSATISFIABLE}: {}", running_on(.0))]
    Unsatisfiable(Box<Explanation>),
    /// The search took more decisions than it may. Whether there is an answer is not known.
    #[error("{0}")]
    GaveUp(Box<Explored>),
    /// Documents that a resolution needs and the caller did not give.
    #[error("not all documents are here: {} still to be fetched", list(.0))]
    Unfetched(Vec<PluginId>),
    /// A release is not what it was when it was locked.
    #[error("the registry changed {0}, and a release never changes")]
    Changed(Box<ChangedRelease>),
    /// Plugins that call each other in a circle: first and last are the same.
    #[error("plugins may not depend on each other in a circle: {}", arrows(.circle))]
    Cycle {
        /// The circle.
        circle: Vec<Exact>,
        /// What leads out of it, tried before it is said; `None` where nothing does that was tried.
        hint: Option<String>,
    },
    /// Only what a lock names was to be used, and there is no lock.
    #[error("there is no lock file, and only what a lock names was to be used")]
    NoLock,
    /// Only what a lock names was to be used, and nobody may load some of it any more.
    #[error("the lock names what nobody may load any more: {}", killed(.0))]
    Killed(Vec<Down>),
    /// The lock would have to change.
    #[error("the lock does not fit: {}", sentences(.0))]
    Stale(Vec<Stale>),
    /// A plugin that is asked for from a registry whose documents are not here.
    #[error("`{id}` is asked for from the registry `{registry}`, and this resolution has the documents of `{ours}`")]
    OtherRegistry {
        /// The plugin.
        id: PluginId,
        /// The registry it is from.
        registry: Name,
        /// The registry of the documents.
        ours: Name,
    },
    /// The solver and the check of its result disagree: a fault of this program.
    #[error("the solver's choice breaks a rule, which is a fault of this program: {0}")]
    Disagreement(String),
}

/// A release that is not what it was when it was locked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{release}`: its {what} was {locked} when it was locked and is {found} now")]
pub struct ChangedRelease {
    /// The release.
    pub release: Exact,
    /// `artifact` or `release record`.
    pub what: &'static str,
    /// The digest in the lock.
    pub locked: Digest,
    /// The digest in the index.
    pub found: Digest,
}

/// A release that was taken down.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{release}` was {takedown}")]
pub struct Down {
    /// The release.
    pub release: Exact,
    /// How and why.
    pub takedown: Takedown,
}

/// One reason why a lock does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Stale {
    /// The host offers other interfaces or tracks.
    #[error("it was made for the offer {locked}, and this host's is {found}")]
    Offer {
        /// The digest in the lock.
        locked: Digest,
        /// The digest of this host's offer.
        found: Digest,
    },
    /// A wish without an entry.
    #[error("it has no entry for `{0}`")]
    Missing(PluginId),
    /// An entry that nothing needs.
    #[error("nothing asks for its entry `{0}`")]
    Unneeded(Exact),
    /// A locked version that the host no longer asks for.
    #[error("it has `{release}`, and {by} asks for {requirement}")]
    Requirement {
        /// The locked release.
        release: Exact,
        /// Who asks.
        by: String,
        /// For what.
        requirement: VersionReq,
    },
    /// A locked version that the registry does not have.
    #[error("it has `{0}`, which the registry does not have")]
    Gone(Exact),
    /// A locked version that can not run here.
    #[error("its `{release}` can not be used: {why}")]
    Unusable {
        /// The release.
        release: Exact,
        /// Why.
        why: String,
    },
    /// The entry names other dependencies than the release has.
    #[error("its entry `{0}` names other dependencies than the release has in this lock")]
    Dependencies(Exact),
    /// The entry is of another registry.
    #[error("its entry `{release}` is from the registry `{locked}`, and this host's is `{found}`")]
    Registry {
        /// The release.
        release: Exact,
        /// The registry in the lock.
        locked: Name,
        /// The host's registry.
        found: Name,
    },
    /// The grants are not those of the lock.
    #[error("`{release}` would be granted something else (decision {found}, locked {locked})")]
    Decision {
        /// The release.
        release: Exact,
        /// The digest in the lock.
        locked: Digest,
        /// The digest of the grants now.
        found: Digest,
    },
    /// The entry names a publisher's key, which the index does not show.
    #[error("its entry `{0}` names a publisher's key, and the index has no signature of it")]
    Publisher(Exact),
}

impl ResolveError {
    /// A stable code, for programs and for looking up.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unsatisfiable(_) => "R001",
            Self::GaveUp(_) => "R002",
            Self::Unfetched(_) => "R003",
            Self::Changed(_) => "R004",
            Self::Cycle { .. } => "R005",
            Self::NoLock => "R006",
            Self::Stale(_) => "R007",
            Self::OtherRegistry { .. } => "R008",
            Self::Disagreement(_) => "R009",
            Self::Killed(_) => "R010",
        }
    }

    /// What to try, in the order of how likely it helps.
    pub fn hints(&self) -> Vec<String> {
        let hint = |text: &str| vec![text.to_owned()];
        match self {
            Self::Unsatisfiable(explanation) => explanation.hints().to_vec(),
            Self::GaveUp(explored) => {
                let more = explored.decisions.max(1).saturating_mul(10);
                vec![format!("allow more decisions: `--decisions {more}`")]
            }
            Self::Unfetched(_) => hint("fetch the documents that `reachable` names, and resolve again"),
            Self::Disagreement(_) => hint("report it, together with plugins.toml and plugins.lock"),
            Self::Changed(_) => hint(
                "do not use this registry until its operator has explained it: a mistake does not do this, a forger does",
            ),
            Self::Cycle { hint, .. } => hint.iter().cloned().collect(),
            Self::NoLock | Self::Stale(_) => {
                hint("run `stoa lock` without `--locked`, look at what changes, and keep the new lock")
            }
            Self::Killed(_) => hint(
                "stop what runs of it; resolve without the locked mode to get another version, and look at what it has done",
            ),
            Self::OtherRegistry { ours, .. } => {
                vec![format!("resolve it by itself, or ask for it from `{ours}`")]
            }
        }
    }

    /// What else may matter, such as releases that were passed over.
    pub fn notes(&self) -> Vec<String> {
        match self {
            Self::Unsatisfiable(explanation) => explanation.notes().to_vec(),
            _ => Vec::new(),
        }
    }

    /// The whole message for a terminal: `error[CODE]: …`, then a line each for sentences, hints and notes.
    pub fn report(&self) -> String {
        let (headline, sentences) = match self {
            Self::Unsatisfiable(explanation) => (UNSATISFIABLE.to_owned(), explanation.sentences()),
            other => (other.to_string(), &[][..]),
        };
        let mut out = format!("error[{}]: {headline}", self.code());
        for sentence in sentences {
            // Writing to a string can not fail.
            let _ = write!(out, "\n  {sentence}");
        }
        for hint in self.hints() {
            let _ = write!(out, "\n  help: {hint}");
        }
        for note in self.notes() {
            let _ = write!(out, "\n  note: {note}");
        }
        out
    }
}

/// The sentences after a colon: with the headline they are three and not four.
fn running_on(explanation: &Explanation) -> String {
    let text = explanation.to_string();
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}

fn list(ids: &[PluginId]) -> String {
    let shown: Vec<_> = ids.iter().take(5).map(|id| format!("`{id}`")).collect();
    let more = ids.len().saturating_sub(5);
    match more {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn arrows(cycle: &[Exact]) -> String {
    let names: Vec<_> = cycle.iter().map(|exact| format!("`{exact}`")).collect();
    names.join(" -> ")
}

fn killed(releases: &[Down]) -> String {
    let shown: Vec<_> = releases.iter().take(3).map(Down::to_string).collect();
    match releases.len().saturating_sub(3) {
        0 => shown.join("; "),
        more => format!("{}; and {more} more", shown.join("; ")),
    }
}

fn sentences(reasons: &[Stale]) -> String {
    let shown: Vec<_> = reasons.iter().take(3).map(Stale::to_string).collect();
    match reasons.len().saturating_sub(3) {
        0 => shown.join("; "),
        more => format!("{}; and {more} more reasons", shown.join("; ")),
    }
}

/// What the check of an answer found, some of it.
pub(super) fn disagreement(faults: Vec<Fault>) -> ResolveError {
    let told: Vec<_> = faults.iter().take(3).map(Fault::to_string).collect();
    ResolveError::Disagreement(told.join("; "))
}

/// `id@version`, from its parts.
pub(super) fn exact(id: &PluginId, version: &Version) -> Exact {
    Exact { id: id.clone(), version: version.clone() }
}
