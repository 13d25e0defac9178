//! What else would work, and what was passed over.

use crate::{
    id::PluginId,
    resolve::{
        explain::{
            MAX_HINTS,
            facts::{Facts, Needs, Offered},
            tell::least,
        },
        universe::{Reason, Universe, bind, imports_from},
    },
    version::VersionReq,
};

/// Notes of one kind; the rest is counted.
const MAX_NOTES: usize = 3;

/// Other hosts on which it would work, and names to check.
pub(super) fn upgrades(universe: &Universe<'_>, facts: &Facts<'_>) -> Vec<String> {
    let mut hints = Vec::new();
    for need in &facts.needs_host {
        hints.extend(match &need.what {
            Offered::Track(track) => Some(format!("run it on a host that offers the track {track}")),
            Offered::Interface(interface) => {
                least(universe, need, interface).map(|(name, _)| format!("run it on a host that offers {name}"))
            }
        });
    }
    let unknown = facts.asked.iter().filter(|want| universe.rows(&want.id).is_empty());
    hints.extend(unknown.map(|want| format!("check the name `{}`, and that this is its registry", want.id)));
    hints.dedup();
    hints.truncate(MAX_HINTS);
    hints
}

/// Releases that were passed over and may have been expected.
pub(super) fn notes(universe: &Universe<'_>, facts: &Facts<'_>) -> Vec<String> {
    let yanked = facts.unusable.iter().filter(|fact| matches!(fact.reason, Reason::Yanked { .. }));
    let yanked = yanked.filter_map(|fact| {
        let (version, _) = universe.row(fact.id, fact.place)?;
        Some(format!("`{}` {version} was skipped: {}", fact.id, fact.reason))
    });
    let mismatches = facts.needs.iter().filter_map(|need| mismatch(universe, need));
    let prereleases = facts.reached().into_iter().filter_map(|id| prerelease(universe, facts, id));
    let kinds: [Vec<String>; 3] = [yanked.collect(), mismatches.collect(), prereleases.collect()];
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

/// The newest pre-release that would do if it were named.
fn prerelease(universe: &Universe<'_>, facts: &Facts<'_>, id: &PluginId) -> Option<String> {
    let asked = facts.asked.iter().filter(|want| want.id == *id).filter_map(|want| want.version.as_ref());
    let needs = facts.needs.iter().filter(|need| need.dependency == id).map(|need| need.requirement);
    let requirements: Vec<&VersionReq> = asked.chain(needs).collect();
    let places = 0..u32::try_from(universe.rows(id).len()).unwrap_or(u32::MAX);
    let mut newest = places.rev().filter(|place| universe.unusable(id, *place).is_none());
    newest.find_map(|place| {
        let (version, _) = universe.row(id, place)?;
        let mut released = version.as_semver().clone();
        released.pre = semver::Prerelease::EMPTY;
        let passed_over =
            |requirement: &&&VersionReq| requirement.as_semver().matches(&released) && !requirement.matches(version);
        let found = version.is_prerelease() && requirements.iter().any(|requirement| passed_over(&requirement));
        found.then(|| {
            format!("`{id}` {version} is a pre-release, which is chosen only where it is named, as in \"={version}\"")
        })
    })
}
