//! Versions and lists of them as words.

use crate::{
    id::PluginId,
    resolve::{explain::facts::Facts, universe::Universe},
};

/// Some releases of a plugin as the subject of a sentence, and whether it is plural.
pub(super) fn subject(universe: &Universe<'_>, facts: &Facts<'_>, id: &PluginId, places: &[u32]) -> (String, bool) {
    let incoming = facts.incoming(universe, id);
    if let ([(text, set)], true) = (incoming.as_slice(), places.len() > 1) {
        let mut usable = set.places(universe.rows(id).len()).filter(|place| universe.unusable(id, *place).is_none());
        if usable.all(|place| places.contains(&place)) {
            return (format!("every version of `{id}` that meets {text}"), false);
        }
    }
    (format!("`{id}` {}", spell(universe, id, places)), places.len() > 1)
}

/// What releases there are, for somebody who asked for another one, and those that were passed over.
pub(super) fn has(universe: &Universe<'_>, facts: &Facts<'_>, id: &PluginId) -> String {
    let mut all = has_usable(universe, id);
    let only_before = universe.rows(id).iter().all(|(version, _)| version.is_prerelease());
    if let Some(version) = universe.unnamed_prerelease(id, &facts.requirements(id)).filter(|_| !only_before) {
        all = format!("{all}; {version} is a pre-release, which has to be named");
    }
    if let Some(version) = universe.newer(id, &facts.requirements(id)).pop() {
        all = format!("{all}; {version} is in a newer format than this program reads");
    }
    all
}

fn has_usable(universe: &Universe<'_>, id: &PluginId) -> String {
    let places = 0..u32::try_from(universe.rows(id).len()).unwrap_or(u32::MAX);
    let usable: Vec<u32> = places.filter(|place| universe.unusable(id, *place).is_none()).collect();
    let is_prerelease = |place: &u32| universe.row(id, *place).is_some_and(|(version, _)| version.is_prerelease());
    let (before, releases): (Vec<u32>, Vec<u32>) = usable.into_iter().partition(is_prerelease);
    match (before.as_slice(), releases.as_slice()) {
        ([], []) => "it has no version that can be used".to_owned(),
        (before, []) => format!("it has only pre-releases, which have to be named: {}", spell(universe, id, before)),
        (_, releases) => format!("it has {}", spell(universe, id, releases)),
    }
}

/// Versions, collapsed: up to three by name, then as a range of what there is.
fn spell(universe: &Universe<'_>, id: &PluginId, places: &[u32]) -> String {
    let name = |place: &u32| universe.row(id, *place).map_or_else(String::new, |(version, _)| version.to_string());
    match places {
        [] => "in no version".to_owned(),
        [.., _] if places.len() <= 3 => and(places.iter().map(name).collect(), 3),
        [first, .., last] if (last - first) as usize + 1 == places.len() => {
            format!("{} to {}", name(first), name(last))
        }
        [first, .., last] => format!("{} versions from {} to {}", places.len(), name(first), name(last)),
        [only] => name(only),
    }
}

/// `a`, `a and b`, `a, b and c`; beyond `max` the rest is counted.
pub(super) fn and(mut items: Vec<String>, max: usize) -> String {
    let more = items.len().saturating_sub(max);
    if more > 0 {
        items.truncate(max);
        items.push(format!("{more} more"));
    }
    let last = items.pop().unwrap_or_default();
    if items.is_empty() { last } else { format!("{} and {last}", items.join(", ")) }
}

pub(super) fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}
