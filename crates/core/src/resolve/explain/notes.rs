//! What was passed over, and may have been expected.

use crate::{
    id::PluginId,
    resolve::{
        explain::facts::{Facts, Needs},
        universe::{Reason, Universe, bind, imports_from},
    },
};

/// Notes of one kind; the rest is counted.
const MAX_NOTES: usize = 3;

/// Releases that were passed over and may have been expected.
pub(super) fn notes(universe: &Universe<'_>, facts: &Facts<'_>) -> Vec<String> {
    let gone = |reason: &Reason| matches!(reason, Reason::Yanked { .. } | Reason::TakenDown(_));
    let yanked = facts.unusable.iter().filter(|fact| gone(&fact.reason));
    let yanked = yanked.filter_map(|fact| {
        let (version, _) = universe.row(fact.id, fact.place)?;
        Some(format!("`{}` {version} was skipped: {}", fact.id, fact.reason))
    });
    let mismatches = facts.needs.iter().filter_map(|need| mismatch(universe, need));
    // Where nothing meets what is asked for, the sentence about it has these.
    let untold: Vec<_> = facts.reached().into_iter().filter(|id| !facts.nothing_meets(universe, id)).collect();
    let prereleases = untold.iter().filter_map(|id| prerelease(universe, facts, id));
    let newer = untold.iter().filter_map(|id| newer(universe, facts, id));
    let kinds: [Vec<String>; 4] = [yanked.collect(), mismatches.collect(), prereleases.collect(), newer.collect()];
    let mut notes = Vec::new();
    for kind in kinds {
        let more = kind.len().saturating_sub(MAX_NOTES);
        notes.extend(kind.into_iter().take(MAX_NOTES));
        if more > 0 {
            notes.push(format!("and {more} more of that kind"));
        }
    }
    notes
}

/// The newest release that meets a need but for its interfaces.
fn mismatch(universe: &Universe<'_>, need: &Needs<'_>) -> Option<String> {
    let count = universe.rows(need.dependency).len();
    let accepted: Vec<u32> = need.accepted.places(count).collect();
    let meeting = universe.meeting(need.dependency, need.requirement);
    let place = meeting.places(count).rev().find(|place| !accepted.contains(place))?;
    let (version, provider) = universe.row(need.dependency, place)?;
    let (caller_version, caller) = universe.row(need.id, *need.places.last()?)?;
    let mut imports = imports_from(caller, need.dependency).into_iter();
    let why = imports.find_map(|import| bind(import, &provider.exports).err())?;
    Some(format!("`{}` {version} does not answer `{}` {caller_version}: {why}", need.dependency, need.id))
}

fn prerelease(universe: &Universe<'_>, facts: &Facts<'_>, id: &PluginId) -> Option<String> {
    let version = universe.unnamed_prerelease(id, &facts.requirements(id))?;
    Some(format!("`{id}` {version} is a pre-release, which is chosen only where it is named, as in \"={version}\""))
}

fn newer(universe: &Universe<'_>, facts: &Facts<'_>, id: &PluginId) -> Option<String> {
    let version = universe.newer(id, &facts.requirements(id)).pop()?;
    Some(format!("`{id}` {version} was skipped: it is in a newer format than this program reads"))
}
