//! What takedowns, advisories and certifications record and write: for requests, and for a replay of the archive.

use stoa_core::{
    advisory::{Advisory, MAX_ADVISORIES},
    event::Fact,
    id::PluginId,
    standing::{Cause, Measure},
    version::Version,
};
use stoa_store::ledger::{Expect, Write};

use crate::{
    items::{self, Kept},
    problem::{Code, Problem},
    publish::budget,
    state::{AdvisoryItem, CertifiedItem, PluginItem, ReleaseItem, TakedownItem},
};

/// What becomes of a takedown.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Change<'a> {
    TakeDown { measure: Measure, cause: Cause, reason: &'a str },
    Restore { reason: &'a str },
    Appeal { reason: &'a str },
}

impl Change<'_> {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::TakeDown { measure: Measure::Quarantine, .. } => "quarantine",
            Self::TakeDown { measure: Measure::Kill, .. } => "kill",
            Self::Restore { .. } => "restore",
            Self::Appeal { .. } => "appeal",
        }
    }
}

/// Of what: a plugin as a whole, or one version of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) id: &'a PluginId,
    pub(crate) version: Option<&'a Version>,
}

/// The items that a takedown rests on: the plugin's, and the version's where one is meant.
#[derive(Debug, Clone)]
pub(crate) struct Ground {
    pub(crate) plugin: Kept<PluginItem>,
    pub(crate) release: Option<Kept<ReleaseItem>>,
}

impl Ground {
    /// How the subject was taken down.
    pub(crate) fn takedown(&self) -> Option<&TakedownItem> {
        match &self.release {
            Some(release) => release.value.takedown.as_ref(),
            None => self.plugin.value.takedown.as_ref(),
        }
    }

    /// Whether anything is to be recorded; what was done already stays as it is.
    ///
    /// # Errors
    /// [`Problem`] where it can not be done.
    pub(crate) fn changes(&self, subject: Subject<'_>, change: Change<'_>) -> Result<bool, Problem> {
        let what = subject.to_string();
        match (change, self.takedown()) {
            (Change::TakeDown { measure, .. }, Some(before)) if measure < before.measure => {
                Err(Problem::new(Code::TakedownStronger, format!("{what} is {}", before.measure.state())))
            }
            (Change::TakeDown { measure, .. }, before) => Ok(before.is_none_or(|before| before.measure < measure)),
            (Change::Restore { .. }, Some(before)) if before.purged => {
                Err(Problem::new(Code::TakedownFinal, format!("{what} was killed, and its bytes were deleted")))
            }
            (Change::Restore { .. }, before) => Ok(before.is_some()),
            (Change::Appeal { .. }, None) => {
                Err(Problem::new(Code::TakedownNone, format!("{what} was not taken down")))
            }
            (Change::Appeal { .. }, Some(before)) => Ok(!before.appealed),
        }
    }

    /// The items after it. `after` is the end of the log when it was decided.
    fn changed(&self, change: Change<'_>, after: u64) -> Self {
        let takedown = match change {
            Change::TakeDown { measure, cause, reason } => {
                let reason = reason.to_owned();
                Some(TakedownItem { measure, cause, reason, after, appealed: false, purged: false })
            }
            Change::Restore { .. } => None,
            Change::Appeal { .. } => self.takedown().map(|before| TakedownItem { appealed: true, ..before.clone() }),
        };
        let bytes = |takedown: Option<&TakedownItem>| takedown.map_or(0, |item| budget::of_takedown(&item.reason));
        let mut changed = self.clone();
        changed.plugin.value.document_bytes += bytes(takedown.as_ref());
        changed.plugin.value.document_bytes -= bytes(self.takedown());
        match &mut changed.release {
            Some(release) => release.value.takedown = takedown,
            None => changed.plugin.value.takedown = takedown,
        }
        changed
    }

    /// The items after it, and what it writes where they are as they were read.
    ///
    /// # Errors
    /// [`Code::DocumentFull`].
    pub(crate) fn writes(
        &self,
        subject: Subject<'_>,
        change: Change<'_>,
        after: u64,
    ) -> Result<(Self, Vec<Write>), Problem> {
        let changed = self.changed(change, after);
        if let Change::TakeDown { .. } = change {
            budget::check_takedown(subject.id, subject.version, changed.plugin.value.document_bytes)?;
        }
        let writes = changed.puts(subject.id)?;
        Ok((changed, writes))
    }

    fn puts(&self, id: &PluginId) -> Result<Vec<Write>, Problem> {
        let mut writes = vec![items::put(id, &self.plugin.value, Expect::Revision(self.plugin.revision), None)?];
        if let Some(Kept { value, revision }) = &self.release {
            writes.push(items::put((id, &value.version), value, Expect::Revision(*revision), None)?);
        }
        Ok(writes)
    }
}

impl Subject<'_> {
    /// What the log records.
    pub(crate) fn fact(self, change: Change<'_>) -> Fact {
        let (id, version) = (self.id.clone(), self.version.cloned());
        match change {
            Change::TakeDown { measure, cause, reason } => {
                Fact::TakenDown { id, version, measure, cause, reason: reason.to_owned() }
            }
            Change::Restore { reason } => Fact::Restored { id, version, reason: reason.to_owned() },
            Change::Appeal { reason } => Fact::Appealed { id, version, reason: reason.to_owned() },
        }
    }
}

impl std::fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.version {
            Some(version) => write!(f, "`{}` {version}", self.id),
            None => write!(f, "`{}`", self.id),
        }
    }
}

/// The writes of an advisory that becomes known, is known otherwise, or is withdrawn.
///
/// # Errors
/// [`Code::AdvisoriesFull`] or [`Code::DocumentFull`].
pub(crate) fn advisory_writes(
    plugin: Kept<PluginItem>,
    before: Option<&Kept<AdvisoryItem>>,
    item: &AdvisoryItem,
) -> Result<Vec<Write>, Problem> {
    let mut value = plugin.value;
    let id = value.id.clone();
    let bytes = |advisory: &Advisory| budget::of_advisory(advisory).map_err(|error| Problem::internal(&error));
    if let Some(open) = before.map(|kept| &kept.value).filter(|before| !before.withdrawn) {
        value.document_bytes -= bytes(&open.advisory)?;
        value.advisories -= 1;
    }
    if !item.withdrawn {
        value.document_bytes += bytes(&item.advisory)?;
        value.advisories += 1;
        if value.advisories > MAX_ADVISORIES as u64 {
            let detail = format!("`{id}` has {MAX_ADVISORIES} open advisories");
            return Err(Problem::new(Code::AdvisoriesFull, detail));
        }
        budget::check_advisory(&id, item.advisory.content.issuer, value.document_bytes)?;
    }
    let expect = before.map_or(Expect::Absent, |before| Expect::Revision(before.revision));
    Ok(vec![
        items::put(&id, &value, Expect::Revision(plugin.revision), None)?,
        items::put((&id, &item.advisory.id), item, expect, None)?,
    ])
}

/// The release after it was certified, or is certified no more, and the writes of that.
///
/// # Errors
/// [`Code::DocumentFull`].
pub(crate) fn certified(
    plugin: Kept<PluginItem>,
    release: &Kept<ReleaseItem>,
    certified: Option<CertifiedItem>,
) -> Result<(ReleaseItem, Vec<Write>), Problem> {
    let mut value = plugin.value;
    let (id, version) = (value.id.clone(), &release.value.version);
    if let Some(before) = &release.value.certified {
        value.document_bytes -= budget::of_certification(&before.reason);
    }
    if let Some(certified) = &certified {
        value.document_bytes += budget::of_certification(&certified.reason);
        budget::check_certification(&id, version, value.document_bytes)?;
    }
    let changed = ReleaseItem { certified, ..release.value.clone() };
    let writes = vec![
        items::put(&id, &value, Expect::Revision(plugin.revision), None)?,
        items::put((&id, version), &changed, Expect::Revision(release.revision), None)?,
    ];
    Ok((changed, writes))
}
