//! The facts of a proof as sentences.

use crate::{
    id::PluginId,
    interface::InterfaceName,
    offer::Unanswered,
    resolve::{
        Bar,
        explain::{
            MAX_ASKED,
            facts::{Facts, Needs, NeedsHost, Offered, Unusable, meet},
            words::{and, capital, has, subject},
        },
        universe::{Reason, Universe},
        versions::Versions,
    },
    version::VersionReq,
};

/// Clauses in one sentence; the rest is counted.
const MAX_CLAUSES: usize = 4;

/// What was asked, what that needs, where it ends: at most three sentences.
pub(super) fn sentences(universe: &Universe<'_>, facts: &Facts<'_>) -> Vec<String> {
    let asked = facts.asked.iter().map(|want| {
        let requirement = want.version.as_ref().map_or_else(String::new, |requirement| format!(" {requirement}"));
        let line = want.line.map_or_else(String::new, |line| format!(" (plugins.toml:{line})"));
        format!("`{}`{requirement}{line}", want.id)
    });
    let asked = format!("You asked for {}.", and(asked.collect(), MAX_ASKED));
    let needs = needs(universe, facts);
    let mut ends = ends(universe, facts);
    if ends.is_empty() {
        ends.push("no choice of versions meets all of this".to_owned());
    }
    let needs = (!needs.is_empty()).then(|| capital(&format!("{}.", and(needs, MAX_CLAUSES))));
    let ends = capital(&format!("{}.", and(ends, MAX_CLAUSES)));
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
        format!("{subject} {verb} {}", and(objects, MAX_CLAUSES))
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
        let why = match (universe.not_kept(id), universe.newer(id, &[]).is_empty()) {
            (true, _) => format!("nothing is kept of `{id}`, and no connection may be opened"),
            (_, false) => format!("every version of `{id}` is in a newer format than this program reads"),
            _ => format!("the registry has no plugin `{id}`"),
        };
        return required.then_some(why);
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
        return Some(format!("no version of `{id}` meets {text} ({})", has(universe, facts, id)));
    }
    let groups = by_source(universe, facts, id);
    let common = meet(&groups);
    if nothing(&common) {
        let texts: Vec<_> = groups.into_iter().map(|(text, _)| text).collect();
        let both = if texts.len() == 2 { "both " } else { "" };
        return Some(format!("no version of `{id}` meets {both}{}", and(texts, MAX_CLAUSES)));
    }
    let texts = and(groups.into_iter().map(|(text, _)| text).collect(), MAX_CLAUSES);
    unusable_end(universe, facts, id, &common, &texts)
}

/// That all releases that meet `texts` are unusable, if they are.
fn unusable_end(
    universe: &Universe<'_>,
    facts: &Facts<'_>,
    id: &PluginId,
    common: &Versions,
    texts: &str,
) -> Option<String> {
    let fact = |place: u32| facts.unusable.iter().find(|fact| fact.id == id && fact.place == place);
    let unusable: Option<Vec<_>> = common.places(universe.rows(id).len()).map(fact).collect();
    let unusable = unusable?;
    let first = unusable.first()?;
    let version = universe.row(id, first.place)?.0;
    let yanked = |fact: &&Unusable<'_>| matches!(fact.reason, Reason::Yanked { .. });
    let precise = |fact: &&Unusable<'_>| matches!(fact.reason, Reason::Barred(Bar::Precise(_)));
    if unusable.iter().all(precise) {
        return Some(format!("every version of `{id}` that meets {texts} is passed over: {}", first.reason));
    }
    Some(match (unusable.len(), unusable.iter().all(yanked)) {
        (1, true) => format!("`{id}` {version}, the only version that meets {texts}, is yanked"),
        (1, false) => {
            format!("`{id}` {version}, the only version that meets {texts}, can not be used: {}", first.reason)
        }
        (_, true) => format!("every version of `{id}` that meets {texts} is yanked"),
        (_, false) => {
            format!("no version of `{id}` that meets {texts} can be used (one of them, {version}: {})", first.reason)
        }
    })
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
            let offered = if offered.is_empty() { "none".to_owned() } else { and(offered, MAX_CLAUSES) };
            format!("{subject} {verb} the track {track} (this host offers {offered})")
        }
        Offered::Interface(interface) => match least(universe, need, interface) {
            Some((name, Unanswered(offered))) => {
                let offered = offered.iter().map(ToString::to_string).collect::<Vec<_>>();
                let offered = match offered.is_empty() {
                    true => "does not offer it".to_owned(),
                    false => format!("offers {}", and(offered, MAX_CLAUSES)),
                };
                format!("{subject} {verb} {name} from the host, which {offered}")
            }
            None => format!("{subject} {verb} {interface} from the host"),
        },
    }
}

/// The lowest version of an interface that the releases import and the host does not answer.
pub(super) fn least(
    universe: &Universe<'_>,
    need: &NeedsHost<'_>,
    interface: &InterfaceName,
) -> Option<(InterfaceName, Unanswered)> {
    let listings = need.places.iter().filter_map(|place| universe.row(need.id, *place)).map(|(_, listing)| listing);
    let unanswered = listings.flat_map(|listing| universe.unanswered(listing));
    let of_it = unanswered.filter(|(import, _)| import.name.unversioned() == *interface);
    of_it.map(|(import, why)| (import.name.clone(), why)).min_by(|(a, _), (b, _)| a.cmp(b))
}
