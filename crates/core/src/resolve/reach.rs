//! Which documents a resolution may need.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::{
    document::{Document, Listing, State},
    id::PluginId,
    lock::Lock,
    resolve::{Documents, Known},
    version::{Version, VersionReq},
    wanted::Wanted,
};

/// The documents that a resolution may need and `documents` does not have, sorted.
///
/// Fetch them, add them (or [`Known::Absent`] where the index proves that there is none), and ask again until
/// nothing is named: each round is one level of the graph, and may be fetched in parallel. Only releases that some
/// requirement seen so far meets are followed, not all of history. What the lock needs is named in the first
/// round. A plugin from a folder is never named: its document comes from the caller.
pub fn reachable(wanted: &Wanted, lock: Option<&Lock>, documents: &Documents) -> Vec<PluginId> {
    let mut walk = Walk { lock, documents, seen: BTreeSet::new(), followed: BTreeMap::new(), queue: VecDeque::new() };
    let wants = || wanted.plugins().iter().filter(|want| want.enabled);
    for want in wants() {
        walk.ask(&want.id, want.version.as_ref());
    }
    walk.run();
    let mut missing = walk.missing();
    missing.extend(locked_ids(wanted, lock).into_iter().filter(|id| !documents.contains_key(id)).cloned());
    let from_folder = |id: &PluginId| wants().any(|want| want.id == *id && want.path.is_some());
    missing.into_iter().filter(|id| !from_folder(id)).collect()
}

/// The locked plugins that the host still asks for, and what they call: one round then names the whole graph.
fn locked_ids<'a>(wanted: &'a Wanted, lock: Option<&'a Lock>) -> BTreeSet<&'a PluginId> {
    let Some(lock) = lock else { return BTreeSet::new() };
    let mut queue: Vec<_> = wanted.plugins().iter().filter(|want| want.enabled).map(|want| &want.id).collect();
    let mut ids = BTreeSet::new();
    while let Some(id) = queue.pop() {
        if let Some(entry) = lock.entries.get(id)
            && ids.insert(id)
        {
            queue.extend(entry.dependencies.keys());
        }
    }
    ids
}

struct Walk<'a> {
    lock: Option<&'a Lock>,
    documents: &'a Documents,
    /// Requirements that were followed, by their text: many releases repeat one.
    seen: BTreeSet<(&'a PluginId, String)>,
    /// Releases that were followed.
    followed: BTreeMap<&'a PluginId, BTreeSet<&'a Version>>,
    queue: VecDeque<(&'a PluginId, Option<&'a VersionReq>)>,
}

impl<'a> Walk<'a> {
    fn ask(&mut self, id: &'a PluginId, requirement: Option<&'a VersionReq>) {
        if self.seen.insert((id, requirement.map_or_else(String::new, VersionReq::to_string))) {
            self.queue.push_back((id, requirement));
        }
    }

    fn run(&mut self) {
        while let Some((id, requirement)) = self.queue.pop_front() {
            let documents = self.documents;
            let Some(Known::Document(document)) = documents.get(id) else { continue };
            for (version, listing) in &document.releases {
                let meets = requirement.is_none_or(|requirement| requirement.matches(version));
                if meets
                    && self.usable(id, document, version, listing)
                    && self.followed.entry(id).or_default().insert(version)
                {
                    // An optional dependency brings nothing in, so its document is needed only if somebody else
                    // asks for the plugin.
                    let required = listing.dependencies.iter().filter(|(_, dependency)| !dependency.optional);
                    for (id, dependency) in required {
                        self.ask(id, Some(&dependency.version));
                    }
                }
            }
        }
    }

    fn usable(&self, id: &PluginId, document: &Document, version: &Version, listing: &Listing) -> bool {
        let locked = || self.lock.and_then(|lock| lock.entries.get(id)).is_some_and(|entry| entry.version == *version);
        (listing.state == State::Listed && document.takedown_of(version).is_none()) || locked()
    }

    fn missing(&self) -> BTreeSet<PluginId> {
        let asked = self.seen.iter().map(|(id, _)| *id);
        asked.filter(|id| !self.documents.contains_key(*id)).cloned().collect()
    }
}
