//! What small changes record and write. A request and a replay of the archive come through here, so that both make the
//! same of a fact; for a publish that place is [`crate::publish`].

use std::collections::BTreeSet;

use stoa_core::{
    event::{ActorId, Fact},
    id::{Name, Namespace, PluginId},
    publisher::{PublisherError, Publishers},
    time::Time,
    version::Version,
};
use stoa_store::ledger::{Expect, Write};

use crate::{
    items::{self, Kept},
    problem::Problem,
    publish::budget,
    skeleton::Skeleton,
    state::{Among, NameItem, NamespaceItem, PluginItem, PublishersItem, ReleaseItem, YankedItem},
};

/// A namespace as it begins.
pub(crate) fn namespace_item(namespace: &Namespace, by: ActorId, at: Time) -> NamespaceItem {
    NamespaceItem { format: 1, namespace: namespace.clone(), created_by: by, created_at: at }
}

/// What a new namespace writes.
pub(crate) fn namespace_writes(item: &NamespaceItem) -> Result<Vec<Write>, Problem> {
    let namespace = &item.namespace;
    // Namespaces and names of plugins have one grammar.
    let name: Name = namespace.as_str().parse().map_err(|error: stoa_core::id::IdError| Problem::internal(&error))?;
    let skeleton = Skeleton::of(namespace.as_str());
    Ok(vec![
        items::put(namespace, item, Expect::Absent, None)?,
        items::put((Among::Namespaces, &skeleton), &NameItem { format: 1, name }, Expect::Absent, None)?,
    ])
}

/// How much longer than the index says a key waits here, in seconds: the clocks of two requests may differ.
const CLOCK_SLACK: i64 = 10 * 60;

/// A change of a namespace's keys.
#[derive(Debug)]
pub(crate) struct Keys<'a> {
    pub(crate) fact: &'a Fact,
    /// The end of the log when it was decided.
    pub(crate) after: u64,
    /// The time of the event.
    pub(crate) at: Time,
}

impl Keys<'_> {
    /// The keys after it.
    pub(crate) fn changed(&self, before: Publishers) -> Result<Publishers, PublisherError> {
        let known: BTreeSet<String> = before.keys.keys().cloned().collect();
        // The end of the log lies after all that was recorded, and before what comes.
        let (seq, at) = (self.after.saturating_add(1), self.at);
        let mut changed = match self.fact {
            Fact::PublisherStated { statement, .. } => before.state(statement, seq, at)?,
            Fact::PublisherKeyRevoked { key, reason, .. } => before.revoke(key, reason, seq, at)?,
            _ => before,
        };
        let waiting = changed.keys.iter_mut().filter(|(id, key)| !known.contains(*id) && key.usable_at > at);
        waiting.for_each(|(_, key)| key.usable_at = key.usable_at.plus(CLOCK_SLACK));
        Ok(changed)
    }
}

/// The write of a namespace's keys.
pub(crate) fn publishers_write(publishers: &Publishers, expect: Expect) -> Result<Write, Problem> {
    let item = PublishersItem { format: 1, publishers: publishers.clone() };
    items::put(&publishers.namespace, &item, expect, None)
}

/// What becomes of a release's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Yank,
    Unyank,
}

/// A yank, or one that is taken back.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    pub(crate) id: &'a PluginId,
    pub(crate) version: &'a Version,
    pub(crate) verb: Verb,
    pub(crate) reason: &'a str,
    /// The end of the log when it was decided.
    pub(crate) after: u64,
}

impl Turn<'_> {
    /// The release after it.
    pub(crate) fn release(&self, before: &ReleaseItem) -> ReleaseItem {
        let yanked = YankedItem { reason: self.reason.to_owned(), after: self.after };
        ReleaseItem { yanked: (self.verb == Verb::Yank).then_some(yanked), ..before.clone() }
    }

    /// What the log records.
    pub(crate) fn fact(&self) -> Fact {
        let (id, version, reason) = (self.id.clone(), self.version.clone(), self.reason.to_owned());
        match self.verb {
            Verb::Yank => Fact::Yanked { id, version, reason },
            Verb::Unyank => Fact::Unyanked { id, version, reason },
        }
    }

    /// What it writes, where plugin and release are as they were read.
    pub(crate) fn writes(&self, plugin: Kept<PluginItem>, release: &Kept<ReleaseItem>) -> Result<Vec<Write>, Problem> {
        let Self { id, version, .. } = *self;
        let mut value = plugin.value;
        match (self.verb, &release.value.yanked) {
            (Verb::Yank, _) => {
                value.document_bytes += budget::of_yank(self.reason);
                budget::check_yank(id, version, value.document_bytes)?;
            }
            (Verb::Unyank, Some(yanked)) => value.document_bytes -= budget::of_yank(&yanked.reason),
            (Verb::Unyank, None) => {}
        }
        Ok(vec![
            items::put(id, &value, Expect::Revision(plugin.revision), None)?,
            items::put((id, version), &self.release(&release.value), Expect::Revision(release.revision), None)?,
        ])
    }
}
