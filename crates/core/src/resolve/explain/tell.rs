//! The facts of a proof as sentences, hints and notes.

use crate::{
    id::PluginId,
    interface::InterfaceName,
    offer::{Parts, Unanswered},
    resolve::{
        explain::{
            MAX_ASKED, MAX_HINTS,
            facts::{Facts, Needs, NeedsHost, Offered, meet},
        },
        universe::{Reason, Universe, bind, imports_from},
        versions::Versions,
    },
    version::VersionReq,
};

/// Clauses in one sentence; the rest is counted.
const MAX_CLAUSES: usize = 4;
/// Notes of one kind; the rest is counted.
const MAX_NOTES: usize = 3;

/// What was asked, what that needs, where it ends: at most three sentences.
pub(super) fn sentences(universe: &Universe<'_>, facts: &Facts<'_>) -> Vec<String> {
    let asked = facts.asked.iter().map(|want| {
        let requirement = want.version.as_ref().map_or_else(String::new, |requirement| format!(" {requirement}"));
        let line = want.line.map_or_else(String::new, |line| format!(" (plugins.toml:{line})"));
        format!("`{}`{requirement}{line}", want.id)
    });
    let asked = format!("You asked for {}.", and(asked.collect(), MAX_ASKED, "plugins"));
    let needs = needs(universe, facts);
    let mut ends = ends(universe, facts);
    if ends.is_empty() {
        ends.push("no choice of versions meets all of this".to_owned());
    }
    let needs = (!needs.is_empty()).then(|| capital(&format!("{}.", and(needs, MAX_CLAUSES, "needs"))));
    let ends = capital(&format!("{}.", and(ends, MAX_CLAUSES, "obstacles")));
    [Some(asked), needs, Some(ends)].into_iter().flatten().collect()
}

/// Who needs what, a clause for each group of releases.
fn needs(universe: &Universe<'_>, facts: &Facts<'_>) -> Vec<String> {
    let mut groups: Vec<(&Needs<'_>, Vec<String>)> = Vec::new();
    for need in &facts.needs {
        let object = format!("`{}` {}", need.dependency, need.requirement);
        match groups.last_mut() {
            Some((last, objects))
                if (last.id, &last.places, last.optional) == (need.id, &need.places, need.optional) =>
            {
                objects.push(object);
            }
            _ => groups.push((need, vec![object])),
        }
    }
    let clause = |(need, objects): (&Needs<'_>, Vec<String>)| {
        let (subject, plural) = subject(universe, facts, need.id, &need.places);
        let verb = match (need.optional, plural) {
            (false, false) => "needs",
            (false, true) => "need",
            (true, false) => "works only beside",
            (true, true) => "work only beside",
        };
        format!("{subject} {verb} {}", and(objects, MAX_CLAUSES, "plugins"))
    };
    groups.into_iter().map(clause).collect()
}

/// Where the needs end: what is not there, or not together.
fn ends(universe: &Universe<'_>, facts: &Facts<'_>) -> Vec<String> {
    let reached = facts.reached();
    let mut ends: Vec<String> = reached.iter().filter_map(|id| end(universe, facts, id)).collect();
    ends.extend(facts.needs_host.iter().map(|need| host_end(universe, facts, need)));
    ends
}

fn end(universe: &Universe<'_>, facts: &Facts<'_>, id: &PluginId) -> Option<String> {
    let rows = universe.rows(id);
    if rows.is_empty() {
        // An optional dependency that does not exist is in nobody's way.
        let required = facts.asked.iter().any(|want| want.id == *id)
            || facts.needs.iter().any(|need| need.dependency == id && !need.optional);
        return required.then(|| format!("the registry has no plugin `{id}`"));
    }
    let incoming = facts.incoming(universe, id);
    let nothing = |set: &Versions| set.places(rows.len()).next().is_none();
    if let Some((text, _)) = incoming.iter().find(|(_, set)| nothing(set)) {
        let built_against = facts.needs.iter().filter(|need| need.dependency == id && nothing(&need.accepted));
        let built_against = built_against.filter(|need| !nothing(&universe.meeting(id, need.requirement)));
        if let Some(need) = built_against.into_iter().next() {
            let (caller, _) = subject(universe, facts, need.id, &need.places);
            return Some(format!("no version of `{id}` meets {text} and has the interfaces that {caller} imports"));
        }
        return Some(format!("no version of `{id}` meets {text} ({})", has(universe, id)));
    }
    let groups = by_source(universe, facts, id);
    let common = meet(&groups);
    if nothing(&common) {
        let texts: Vec<_> = groups.into_iter().map(|(text, _)| text).collect();
        let both = if texts.len() == 2 { "both " } else { "" };
        return Some(format!("no version of `{id}` meets {both}{}", and(texts, MAX_CLAUSES, "requirements")));
    }
    let unusable: Vec<_> = facts
        .unusable
        .iter()
        .filter(|fact| fact.id == id && common.places(rows.len()).any(|p| p == fact.place))
        .collect();
    let all = common.places(rows.len()).all(|place| unusable.iter().any(|fact| fact.place == place));
    let texts = and(groups.into_iter().map(|(text, _)| text).collect(), MAX_CLAUSES, "requirements");
    match (all, unusable.as_slice()) {
        (false, _) | (_, []) => None,
        (true, [only]) => {
            let version = universe.row(id, only.place)?.0;
            Some(match &only.reason {
                Reason::Yanked { .. } => format!("`{id}` {version}, the only version that meets {texts}, is yanked"),
                reason => format!("`{id}` {version}, the only version that meets {texts}, can not be used: {reason}"),
            })
        }
        (true, [first, ..]) => Some(match &first.reason {
            Reason::Yanked { .. } if unusable.iter().all(|fact| matches!(fact.reason, Reason::Yanked { .. })) => {
                format!("every version of `{id}` that meets {texts} is yanked")
            }
            reason => {
                let version = universe.row(id, first.place)?.0;
                format!("no version of `{id}` that meets {texts} can be used ({version}: {reason})")
            }
        }),
    }
}

/// The requirements on `id` by who has them: different releases of one plugin are alternatives.
fn by_source(universe: &Universe<'_>, facts: &Facts<'_>, id: &PluginId) -> Vec<(String, Versions)> {
    let asked = facts.asked.iter().filter(|want| want.id == *id);
    let mut groups: Vec<(Option<&PluginId>, Vec<String>, Versions)> = asked
        .map(|want| {
            let text = want.version.as_ref().map_or_else(|| "*".to_owned(), VersionReq::to_string);
            (None, vec![text], universe.asked(want))
        })
        .collect();
    for need in facts.needs.iter().filter(|need| need.dependency == id) {
        let text = need.requirement.to_string();
        match groups.iter_mut().find(|(source, ..)| *source == Some(need.id)) {
            Some((_, texts, set)) => {
                if !texts.contains(&text) {
                    texts.push(text);
                }
                *set = pubgrub::VersionSet::union(set, &need.accepted);
            }
            None => groups.push((Some(need.id), vec![text], need.accepted.clone())),
        }
    }
    let mut told: Vec<(String, Versions)> = Vec::new();
    for (_, texts, set) in groups {
        let text = texts.join(" or ");
        if !told.iter().any(|(known, other)| *known == text && *other == set) {
            told.push((text, set));
        }
    }
    told
}

fn host_end(universe: &Universe<'_>, facts: &Facts<'_>, need: &NeedsHost<'_>) -> String {
    let (subject, plural) = subject(universe, facts, need.id, &need.places);
    let verb = if plural { "need" } else { "needs" };
    match &need.what {
        Offered::Track(track) => {
            let offered: Vec<_> = universe.offer.tracks().iter().cloned().collect();
            let offered = if offered.is_empty() { "none".to_owned() } else { and(offered, MAX_CLAUSES, "tracks") };
            format!("{subject} {verb} the track {track} (this host offers {offered})")
        }
        Offered::Interface(base) => match least(universe, need, base) {
            Some((name, Unanswered::Types(_))) => {
                format!("{subject} {verb} {name} from the host, whose {name} has other types")
            }
            Some((name, Unanswered::Version(offered))) => {
                let offered = offered.iter().map(ToString::to_string).collect::<Vec<_>>();
                let offered = match offered.is_empty() {
                    true => "does not offer it".to_owned(),
                    false => format!("offers {}", and(offered, MAX_CLAUSES, "versions")),
                };
                format!("{subject} {verb} {name} from the host, which {offered}")
            }
            None => format!("{subject} {verb} {base} from the host"),
        },
    }
}

/// The lowest version of the interface `base` that the releases import and the host does not answer.
fn least(universe: &Universe<'_>, need: &NeedsHost<'_>, base: &str) -> Option<(InterfaceName, Unanswered)> {
    let listings = need.places.iter().filter_map(|place| universe.row(need.id, *place)).map(|(_, listing)| listing);
    let unanswered = listings.flat_map(|listing| universe.unanswered(listing));
    let of_base = unanswered.map(|(import, why)| (Parts::of(&import.name), import.name.clone(), why));
    let of_base = of_base.filter(|(parts, ..)| parts.base == base);
    of_base.min_by(|(a, ..), (b, ..)| a.version.cmp(&b.version)).map(|(_, name, why)| (name, why))
}

/// Other hosts on which it would work, and names to check.
pub(super) fn upgrades(universe: &Universe<'_>, facts: &Facts<'_>) -> Vec<String> {
    let mut hints = Vec::new();
    for need in &facts.needs_host {
        hints.extend(match &need.what {
            Offered::Track(track) => Some(format!("run it on a host that offers the track {track}")),
            Offered::Interface(base) => least(universe, need, base).map(|(name, why)| match why {
                Unanswered::Types(_) => format!("run it on a host whose {name} has the types that it imports"),
                Unanswered::Version(_) => format!("run it on a host that offers {name}"),
            }),
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

/// Some releases of a plugin as the subject of a sentence, and whether it is plural.
fn subject(universe: &Universe<'_>, facts: &Facts<'_>, id: &PluginId, places: &[u32]) -> (String, bool) {
    let incoming = facts.incoming(universe, id);
    if let ([(text, set)], true) = (incoming.as_slice(), places.len() > 1) {
        let mut usable = set.places(universe.rows(id).len()).filter(|place| universe.unusable(id, *place).is_none());
        if usable.all(|place| places.contains(&place)) {
            return (format!("every version of `{id}` that meets {text}"), false);
        }
    }
    (format!("`{id}` {}", spell(universe, id, places)), places.len() > 1)
}

/// What releases there are, for somebody who asked for another one.
fn has(universe: &Universe<'_>, id: &PluginId) -> String {
    let places = 0..u32::try_from(universe.rows(id).len()).unwrap_or(u32::MAX);
    let usable: Vec<u32> = places.filter(|place| universe.unusable(id, *place).is_none()).collect();
    let is_prerelease = |place: &u32| universe.row(id, *place).is_some_and(|(version, _)| version.is_prerelease());
    let (before, releases): (Vec<u32>, Vec<u32>) = usable.into_iter().partition(is_prerelease);
    match (before.as_slice(), releases.as_slice()) {
        ([], []) => "it has no version that can be used".to_owned(),
        (before, []) => format!("it has only pre-releases: {}", spell(universe, id, before)),
        (_, releases) => format!("it has {}", spell(universe, id, releases)),
    }
}

/// Versions, collapsed: up to three by name, then as a range of what there is.
fn spell(universe: &Universe<'_>, id: &PluginId, places: &[u32]) -> String {
    let name = |place: &u32| universe.row(id, *place).map_or_else(String::new, |(version, _)| version.to_string());
    match places {
        [] => "in no version".to_owned(),
        [.., _] if places.len() <= 3 => and(places.iter().map(name).collect(), 3, "versions"),
        [first, .., last] if (last - first) as usize + 1 == places.len() => {
            format!("{} to {}", name(first), name(last))
        }
        [first, .., last] => format!("{} versions from {} to {}", places.len(), name(first), name(last)),
        [only] => name(only),
    }
}

/// `a`, `a and b`, `a, b and c`; beyond `max` the rest is counted as `what`.
fn and(mut items: Vec<String>, max: usize, what: &str) -> String {
    let more = items.len().saturating_sub(max);
    if more > 0 {
        items.truncate(max);
        items.push(format!("{more} more {what}"));
    }
    let last = items.pop().unwrap_or_default();
    if items.is_empty() { last } else { format!("{} and {last}", items.join(", ")) }
}

fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}
