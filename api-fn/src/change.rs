//! What small changes record and write. A request and a replay of the archive come through here, so that both make the
//! same of a fact; for a publish that place is [`crate::publish`].

use stoa_core::{
    event::{ActorId, Fact},
    id::{Name, Namespace, PluginId},
    time::Time,
    version::Version,
};
use stoa_store::ledger::{Expect, Write};

use crate::{
    items::{self, Kept},
    problem::Problem,
    publish::budget,
    skeleton::Skeleton,
    state::{Among, NameItem, NamespaceItem, PluginItem, ReleaseItem, YankedItem},
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
