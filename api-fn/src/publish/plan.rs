//! What a publish writes: the last rules, the state and the event, without writing anything.

use std::collections::BTreeMap;

use stoa_core::{
    event::{ActorId, Draft, Fact},
    id::PluginId,
};
use stoa_store::ledger::{Expect, Write};

use crate::{
    items,
    problem::Problem,
    publish::{
        budget, compat, facts,
        gather::Gathered,
        known::{Known, skeleton},
        set::Candidate,
    },
    state::{Among, NameItem, PluginItem, ReleaseItem},
};

/// What each release's component has.
pub(crate) type Facts = BTreeMap<PluginId, facts::Facts>;

/// Checks that the new releases keep what older ones promised and fit into their documents.
pub(crate) fn check_history(fresh: &[&Candidate], known: &Known, facts: &Facts) -> Result<(), Problem> {
    fresh.iter().try_for_each(|candidate| {
        let release = &candidate.release;
        if let (Some(found), Some(before)) = (facts.get(&release.id), known.predecessors.get(&release.id)) {
            compat::check(release, &found.exports, before)?;
        }
        budget::check_release(&release.id, &release.version, document_bytes(candidate, known)?)
    })
}

/// The event, and the writes that go with it.
pub(crate) fn transaction(
    actor: ActorId,
    fresh: &[&Candidate],
    gathered: &Gathered,
    facts: &Facts,
) -> Result<(Draft, Vec<Write>), Problem> {
    let mut writes = Vec::new();
    for candidate in fresh {
        writes.extend(release_writes(candidate, gathered, facts)?);
    }
    let releases = fresh.iter().map(|candidate| candidate.release.clone()).collect();
    Ok((Draft { actor, fact: Fact::Released { releases }, private: None }, writes))
}

fn release_writes(candidate: &Candidate, gathered: &Gathered, facts: &Facts) -> Result<Vec<Write>, Problem> {
    let Gathered { known, revisions, head } = gathered;
    let release = &candidate.release;
    let (id, version) = (&release.id, &release.version);
    let mut versions = known.plugins.get(id).map(|plugin| plugin.versions.clone()).unwrap_or_default();
    versions.insert(version.clone());
    let document_bytes = document_bytes(candidate, known)?;
    let plugin = PluginItem { format: 1, id: id.clone(), kind: release.kind, versions, document_bytes };
    let expect = revisions.get(id).map_or(Expect::Absent, |revision| Expect::Revision(*revision));
    let item = ReleaseItem {
        format: 1,
        version: version.clone(),
        after: *head,
        record: candidate.record.digest,
        artifact: release.artifact,
        imports: release.imports.clone(),
        exports: release.exports.clone(),
        functions: facts.get(id).map(|found| found.exports.clone()).unwrap_or_default(),
        yanked: None,
    };
    let mut writes =
        vec![items::put(id, &plugin, expect, None)?, items::put((id, version), &item, Expect::Absent, None)?];
    if !known.names.contains_key(id) {
        let name = NameItem { format: 1, name: id.name().clone() };
        let key = (Among::Plugins(id.namespace()), &skeleton(id));
        writes.push(items::put(key, &name, Expect::Absent, None)?);
    }
    Ok(writes)
}

/// An upper bound of the length of the plugin's document with the new release.
fn document_bytes(candidate: &Candidate, known: &Known) -> Result<u64, Problem> {
    let release = &candidate.release;
    let before = known.plugins.get(&release.id).map_or(budget::FIXED, |plugin| plugin.document_bytes);
    let more =
        budget::of_release(release, known.neighbors.get(&release.id)).map_err(|error| Problem::internal(&error))?;
    Ok(before + more)
}
