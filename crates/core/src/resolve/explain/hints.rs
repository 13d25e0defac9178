//! What would work instead. A hint that names a change was tried: the search is made again with that change.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    id::PluginId,
    interface::InterfaceName,
    lock::Exact,
    offer::Offer,
    resolve::{
        Bar, Barred, ResolveOptions,
        assemble::assemble,
        explain::{
            MAX_ASKED, MAX_HINTS,
            facts::{Facts, Offered},
            tell::least,
            words::and,
        },
        solve::{Failure, Found, solve},
        universe::{Reason, Universe},
    },
    version::{Version, VersionReq},
    wanted::Want,
};

/// How often a host's offer, or the list of what is left out, is widened until the rest fits.
const MAX_ROUNDS: usize = 8;

/// What would work, the likeliest first.
pub(super) fn hints(universe: &Universe<'_>, facts: &Facts<'_>, budget: u64) -> Vec<String> {
    // A tenth each: hints must not take longer than the search that failed.
    let trial = Trial { universe, facts, budget: budget / 10 };
    let mut hints = trial.other_versions();
    hints.extend(trial.other_host());
    hints.extend(trial.other_bars());
    hints.extend(trial.other_program());
    hints.extend(trial.other_name());
    if hints.is_empty() {
        hints.extend(trial.without());
    }
    hints.truncate(MAX_HINTS);
    hints
}

struct Trial<'t, 'a> {
    universe: &'t Universe<'a>,
    facts: &'t Facts<'a>,
    budget: u64,
}

impl Trial<'_, '_> {
    /// For each plugin that the host asks for: a version that its wish passes over, or another one, with which everything
    /// else would do.
    fn other_versions(&self) -> Vec<String> {
        let wants = self.facts.asked.iter().filter(|want| want.path.is_none()).take(MAX_ASKED);
        let mut hints: Vec<String> =
            wants.flat_map(|want| [self.prerelease(want), self.other_version(want)]).flatten().collect();
        hints.truncate(2);
        hints
    }

    fn prerelease(&self, want: &Want) -> Option<String> {
        let id = &want.id;
        let version = self.universe.unnamed_prerelease(id, &self.facts.requirements(id))?;
        self.with(want, VersionReq::exactly(version))?;
        let set = format!("set \"{id}\" = \"={version}\" in plugins.toml");
        Some(format!("`{id}` {version}, a pre-release, would work: {set}"))
    }

    fn other_version(&self, want: &Want) -> Option<String> {
        let id = &want.id;
        let version = self.with(want, VersionReq::ANY)?;
        Some(format!("`{id}` {version} would work: set \"{id}\" = \"^{version}\" in plugins.toml"))
    }

    /// The version of a plugin that is chosen where the host asks for it otherwise.
    fn with(&self, want: &Want, version: VersionReq) -> Option<Version> {
        let other = Want { version: Some(version), ..want.clone() };
        let universe = self.universe.with_want(&other);
        let found = solve(&universe, self.budget).ok()?;
        universe.row(&want.id, *found.chosen.get(&want.id)?).map(|(version, _)| version.clone())
    }

    /// A host that offers what is missing. With one thing offered another may be found missing, so this goes on for
    /// some rounds.
    fn other_host(&self) -> Option<String> {
        let mut missing = BTreeSet::new();
        for _ in 0..MAX_ROUNDS {
            let offer = missing.iter().fold(self.universe.offer.clone(), |offer: Offer, what| match what {
                Missing::Interface(name) => offer.with_interface(name.clone(), None),
                Missing::Track(track) => offer.with_track(track),
            });
            let universe = self.universe.with_offer(&offer);
            let further = match solve(&universe, self.budget) {
                Ok(_) if missing.is_empty() => return None,
                Ok(_) => {
                    let told = missing.iter().map(Missing::told).collect();
                    return Some(format!("run it on a host that offers {}", and(told, usize::MAX)));
                }
                Err(Failure::GaveUp(_)) => return None,
                Err(Failure::Impossible(proof)) => {
                    let facts = Facts::of(&universe, &proof);
                    let wanted = facts.needs_host.iter().filter_map(|need| match &need.what {
                        Offered::Track(track) => Some(Missing::Track((*track).to_owned())),
                        Offered::Interface(name) => {
                            least(&universe, need, name).map(|(name, _)| Missing::Interface(name))
                        }
                    });
                    wanted.collect::<Vec<_>>()
                }
            };
            let before = missing.len();
            missing.extend(further);
            if missing.len() == before {
                return None;
            }
        }
        None
    }

    /// Fewer bars: another policy, a connection, no exact version.
    fn other_bars(&self) -> Vec<String> {
        let kinds: [fn(&Bar) -> bool; 3] = [
            |bar| matches!(bar, Bar::Policy { .. }),
            |bar| matches!(bar, Bar::NotKept),
            |bar| matches!(bar, Bar::Precise(_)),
        ];
        let mut hints: Vec<String> = kinds.into_iter().filter_map(|kind| self.without_bars(kind)).collect();
        // What is in the documents that are not here, nobody can try.
        if self.facts.reached().into_iter().any(|id| self.universe.not_kept(id)) {
            hints.push(CONNECT.to_owned());
        }
        hints.dedup();
        hints
    }

    /// The hint of what is then chosen and is barred by such a bar.
    fn without_bars(&self, kind: fn(&Bar) -> bool) -> Option<String> {
        let barred_so = |fact: &Reason| matches!(fact, Reason::Barred(bar) if kind(bar));
        if !self.facts.unusable.iter().any(|fact| barred_so(&fact.reason)) {
            return None;
        }
        let left: Barred = (self.universe.barred.iter())
            .map(|(id, bars)| {
                let left = bars.iter().filter(|(_, bar)| !kind(bar));
                (id.clone(), left.map(|(version, bar)| (version.clone(), bar.clone())).collect())
            })
            .collect();
        let universe = self.universe.with_barred(&left);
        let Found { chosen, .. } = solve(&universe, self.budget).ok()?;
        chosen.iter().find_map(|(id, place)| {
            let (version, _) = universe.row(id, *place)?;
            match self.universe.barred.get(*id)?.get(version)? {
                Bar::Policy { hint, .. } => Some(format!("{hint} (`{id}` {version})")),
                Bar::NotKept => Some(CONNECT.to_owned()),
                Bar::Precise(_) => Some(format!("`{id}` {version} would be chosen without `--precise`")),
            }
        })
    }

    /// A program that reads newer formats.
    fn other_program(&self) -> Option<String> {
        self.facts.reached().into_iter().find_map(|id| {
            let version = self.universe.newer(id, &self.facts.requirements(id)).pop()?;
            Some(format!("update this program: it does not read the format of `{id}` {version}"))
        })
    }

    fn other_name(&self) -> Vec<String> {
        let nothing = |id| {
            self.universe.rows(id).is_empty() && !self.universe.not_kept(id) && self.universe.newer(id, &[]).is_empty()
        };
        let unknown = self.facts.asked.iter().filter(|want| nothing(&want.id));
        unknown.map(|want| format!("check the name `{}`, and that this is its registry", want.id)).take(2).collect()
    }

    /// The last resort: what the host could do without. First one wish, then all that stand in each other's way.
    fn without(&self) -> Option<String> {
        let wants = self.facts.asked.iter().filter(|want| !want.optional);
        let mut asked: Vec<Want> = wants.map(|want| Want { optional: true, ..(*want).clone() }).collect();
        let alone =
            asked.iter().take(MAX_ASKED).find(|want| solve(&self.universe.with_want(want), self.budget).is_ok());
        if let Some(want) = alone {
            return Some(optional(&[&want.id]));
        }
        for _ in 0..MAX_ROUNDS {
            let universe = asked.iter().fold(self.universe.clone(), |universe, want| universe.with_want(want));
            let further = match solve(&universe, self.budget) {
                Ok(found) => return Some(optional(&found.refused)),
                Err(Failure::GaveUp(_)) => return None,
                Err(Failure::Impossible(proof)) => Facts::of(&universe, &proof).asked,
            };
            let further = further.into_iter().filter(|want| !want.optional);
            let further: Vec<_> = further.map(|want| Want { optional: true, ..want.clone() }).collect();
            if further.is_empty() {
                return None;
            }
            asked.extend(further);
        }
        None
    }
}

fn optional(ids: &[&PluginId]) -> String {
    let names = ids.iter().map(|id| format!("\"{id}\"")).collect();
    let it = if ids.len() == 1 { "it" } else { "them" };
    format!("add `optional = true` to {} in plugins.toml: this host then runs without {it}", and(names, usize::MAX))
}

/// A version of a plugin of the circle, or a wish less, with which no circle is left. Tried before it is said.
pub(in crate::resolve) fn out_of_the_circle(
    universe: &Universe<'_>,
    circle: &[Exact],
    options: &ResolveOptions,
) -> Option<String> {
    let budget = options.budget / 10;
    let works = |universe: &Universe<'_>| {
        let found = solve(universe, budget).ok()?;
        assemble(universe, &found.chosen, &options.registry).ok()?;
        Some(found.chosen.into_iter().map(|(id, place)| (id.clone(), place)).collect::<BTreeMap<_, _>>())
    };
    for Exact { id, version } in circle.iter().skip(1) {
        let mut barred = universe.barred.clone();
        barred.entry(id.clone()).or_default().insert(version.clone(), Bar::NotKept);
        let Some(chosen) = works(&universe.with_barred(&barred)) else { continue };
        let Some((other, _)) = chosen.get(id).and_then(|place| universe.row(id, *place)) else { continue };
        let asked = universe.wants.get(id).map_or_else(|| Want::new(id.clone(), VersionReq::ANY), |w| (*w).clone());
        let want = Want { version: Some(VersionReq::exactly(other)), ..asked };
        if want.path.is_none() && works(&universe.with_want(&want)).is_some() {
            return Some(format!("`{id}` {other} would work: set \"{id}\" = \"={other}\" in plugins.toml"));
        }
    }
    let mut wants = universe.wants.keys();
    let id = wants.find(|id| works(&universe.without_want(id)).is_some())?;
    Some(format!("set `enabled = false` on \"{id}\" in plugins.toml: without it there is no circle"))
}

const CONNECT: &str = "connect once, without `--offline`: what is missing is fetched then";

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Missing {
    Interface(InterfaceName),
    Track(String),
}

impl Missing {
    fn told(&self) -> String {
        match self {
            Self::Interface(name) => name.to_string(),
            Self::Track(track) => format!("the track {track}"),
        }
    }
}
