//! The search itself: pubgrub over the universe.

use std::{
    cell::{Cell, RefCell},
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use pubgrub::{
    Dependencies, DependencyConstraints, DependencyProvider, DerivationTree, PackageResolutionStatistics, PubGrubError,
    VersionSet as _,
};

use crate::{
    id::PluginId,
    interface::InterfaceName,
    resolve::{
        universe::{Reason, Universe},
        versions::Versions,
    },
};

/// What the solver decides on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Package<'a> {
    /// The host, with the one version 0.
    Host,
    /// Whether an optional wish is granted: 1, or else 0.
    Wish(&'a PluginId),
    /// A plugin; its versions are the places of its releases.
    Plugin(&'a PluginId),
    /// The version of a plugin that somebody depends on optionally: a place, or the number of releases for
    /// "not there". It holds requirements that apply only if the plugin is there at all.
    Presence(&'a PluginId),
    /// A host interface, by its name without the version. Only needs that this host does not answer reach the
    /// solver: those that it answers can not conflict, as one offered version answers each by itself.
    Interface(InterfaceName),
    /// A track that this host does not offer.
    Track(&'a str),
}

impl fmt::Display for Package<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("host"),
            Self::Wish(id) => write!(f, "wish for {id}"),
            Self::Plugin(id) => write!(f, "{id}"),
            Self::Presence(id) => write!(f, "presence of {id}"),
            Self::Interface(name) => write!(f, "{name}"),
            Self::Track(track) => f.write_str(track),
        }
    }
}

/// How a search without a solution ends: the proof.
pub(super) type Proof<'a> = DerivationTree<Package<'a>, Versions, Reason>;

/// What a search found.
pub(super) struct Found<'a> {
    /// The chosen releases, by place.
    pub(super) chosen: BTreeMap<&'a PluginId, u32>,
    /// The optional wishes that could not be granted.
    pub(super) refused: Vec<&'a PluginId>,
}

/// How a search ends without one.
pub(super) enum Failure<'a> {
    /// There is no solution.
    Impossible(Box<Proof<'a>>),
    /// The budget is used up.
    GaveUp(Explored),
}

/// How far a search came that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explored {
    /// The decisions that were allowed, and taken.
    pub decisions: u64,
    /// The plugins of which some release was tried.
    pub plugins: usize,
    /// The releases that were tried.
    pub releases: usize,
    /// The plugin at which most was tried, and how often; `None` where nothing was.
    pub most: Option<(PluginId, u64)>,
}

impl fmt::Display for Explored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = |count: u64, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        let of = |count: usize, what| counted(count as u64, what);
        let decisions = counted(self.decisions, "decision");
        write!(f, "gave up after {decisions}: whether a set of plugin versions satisfies this host is not known")?;
        let Some((id, times)) = &self.most else { return Ok(()) };
        let (releases, plugins) = (of(self.releases, "release"), of(self.plugins, "plugin"));
        write!(f, ". It tried {releases} of {plugins}, most often `{id}` ({})", counted(*times, "time"))
    }
}

/// Searches with at most `budget` decisions.
pub(super) fn solve<'a>(universe: &Universe<'a>, budget: u64) -> Result<Found<'a>, Failure<'a>> {
    let (optional, tried) = (optional_targets(universe), RefCell::default());
    let search = Search { universe, optional, budget: Cell::new(budget), tried };
    let solution = pubgrub::resolve(&search, Package::Host, 0u32).map_err(|error| match error {
        PubGrubError::NoSolution(proof) => Failure::Impossible(Box::new(proof)),
        // The other callbacks below have no error.
        _ => Failure::GaveUp(search.explored(budget)),
    })?;
    let mut found = Found { chosen: BTreeMap::new(), refused: Vec::new() };
    for (package, place) in solution {
        match package {
            Package::Plugin(id) => {
                found.chosen.insert(id, place);
            }
            Package::Wish(id) if place == 0 => found.refused.push(id),
            _ => {}
        }
    }
    found.refused.sort();
    Ok(found)
}

/// The plugins that some release depends on optionally.
fn optional_targets<'a>(universe: &Universe<'a>) -> BTreeSet<&'a PluginId> {
    let listings = universe.ids().flat_map(|id| universe.rows(id)).map(|(_, listing)| listing);
    let dependencies = listings.flat_map(|listing| &listing.dependencies);
    dependencies.filter(|(_, dependency)| dependency.optional).map(|(id, _)| id).collect()
}

struct Search<'s, 'a> {
    universe: &'s Universe<'a>,
    optional: BTreeSet<&'a PluginId>,
    budget: Cell<u64>,
    /// The releases that were tried, and how often: what is told of a search that is given up.
    tried: RefCell<BTreeMap<&'a PluginId, BTreeMap<u32, u64>>>,
}

/// The solver asked too often.
#[derive(Debug, thiserror::Error)]
#[error("the budget of decisions is used up")]
pub(super) struct OutOfBudget;

type Constraints<'a> = Vec<(Package<'a>, Versions)>;

impl<'a> Search<'_, 'a> {
    fn of_host(&self) -> Constraints<'a> {
        let wants = self.universe.wants.iter();
        wants
            .map(|(id, want)| match want.optional {
                true => (Package::Wish(id), Versions::of([0, 1])),
                false => (Package::Plugin(id), self.universe.asked(want)),
            })
            .collect()
    }

    fn of_wish(&self, id: &'a PluginId, place: u32) -> Constraints<'a> {
        let want = self.universe.wants.get(id).filter(|_| place == 1);
        want.map(|want| (Package::Plugin(id), self.universe.asked(want))).into_iter().collect()
    }

    fn of_plugin(&self, id: &'a PluginId, place: u32) -> Constraints<'a> {
        let Some((_, listing)) = self.universe.row(id, place) else { return Vec::new() };
        let mut constraints = Vec::new();
        let unanswered = self.universe.unanswered(listing);
        let missing: BTreeSet<_> = unanswered.iter().map(|(import, _)| import.name.unversioned()).collect();
        constraints.extend(missing.into_iter().map(|name| (Package::Interface(name), Versions::empty())));
        let tracks = self.universe.missing_tracks(listing);
        constraints.extend(tracks.map(|track| (Package::Track(track), Versions::empty())));
        for (id, dependency) in &listing.dependencies {
            let accepted = self.universe.accepted(listing, id, dependency);
            constraints.push(match dependency.optional {
                true => (Package::Presence(id), accepted.union(&Versions::singleton(self.absent(id)))),
                false => (Package::Plugin(id), accepted),
            });
        }
        if self.optional.contains(id) {
            constraints.push((Package::Presence(id), Versions::singleton(place)));
        }
        constraints
    }

    fn explored(&self, decisions: u64) -> Explored {
        let tried = self.tried.borrow();
        let times = tried.iter().map(|(id, places)| (places.values().sum::<u64>(), Reverse(*id)));
        Explored {
            decisions,
            plugins: tried.len(),
            releases: tried.values().map(BTreeMap::len).sum(),
            most: times.max().map(|(times, Reverse(id))| (id.clone(), times)),
        }
    }

    /// The version of [`Package::Presence`] that says "not there".
    fn absent(&self, id: &PluginId) -> u32 {
        u32::try_from(self.universe.rows(id).len()).unwrap_or(u32::MAX - 1)
    }

    fn choose_plugin(&self, id: &PluginId, set: &Versions) -> Option<u32> {
        let usable = |place: &u32| self.universe.unusable(id, *place).is_none();
        let kept = self.universe.kept(id).filter(|place| set.contains(place)).filter(usable);
        let newest = |wanted: &dyn Fn(&u32) -> bool| set.places(self.universe.rows(id).len()).rev().find(wanted);
        // An unusable release only where there is nothing else: then its reason becomes part of the proof.
        kept.or_else(|| newest(&usable)).or_else(|| newest(&|_| true))
    }
}

impl<'a> DependencyProvider for Search<'_, 'a> {
    type P = Package<'a>;
    type V = u32;
    type VS = Versions;
    type M = Reason;
    type Err = OutOfBudget;
    /// Class, conflicts so far, whether the host asks for it, fewest candidates.
    type Priority = (u8, u32, bool, Reverse<u32>);

    fn prioritize(&self, package: &Package<'a>, set: &Versions, seen: &PackageResolutionStatistics) -> Self::Priority {
        let conflicts = seen.conflict_count();
        match package {
            // First, so that a wish is refused only where nothing at all grants it.
            Package::Wish(_) => (2, 0, true, Reverse(0)),
            Package::Plugin(id) => {
                let candidates = set.rough_len(self.universe.rows(id).len());
                (1, conflicts, self.universe.wants.contains_key(id), Reverse(candidates))
            }
            // Last: once all plugins are decided, who is not there stays away.
            Package::Presence(_) => (0, 0, false, Reverse(0)),
            Package::Host | Package::Interface(_) | Package::Track(_) => (3, 0, true, Reverse(0)),
        }
    }

    fn choose_version(&self, package: &Package<'a>, set: &Versions) -> Result<Option<u32>, OutOfBudget> {
        Ok(match package {
            Package::Host => Some(0),
            Package::Wish(_) => set.places(2).next_back(),
            Package::Plugin(id) => {
                let chosen = self.choose_plugin(id, set);
                if let Some(place) = chosen {
                    *self.tried.borrow_mut().entry(*id).or_default().entry(place).or_default() += 1;
                }
                chosen
            }
            Package::Presence(id) => {
                let absent = self.absent(id);
                Some(absent).filter(|place| set.contains(place)).or_else(|| set.places(absent as usize).next_back())
            }
            Package::Interface(_) | Package::Track(_) => None,
        })
    }

    fn get_dependencies(
        &self,
        package: &Package<'a>,
        place: &u32,
    ) -> Result<Dependencies<Package<'a>, Versions, Reason>, OutOfBudget> {
        let constraints = match package {
            Package::Host => self.of_host(),
            Package::Wish(id) => self.of_wish(id, *place),
            Package::Plugin(id) => match self.universe.unusable(id, *place) {
                Some(reason) => return Ok(Dependencies::Unavailable(reason)),
                None => self.of_plugin(id, *place),
            },
            Package::Presence(_) | Package::Interface(_) | Package::Track(_) => Vec::new(),
        };
        Ok(Dependencies::Available(DependencyConstraints::from_iter(constraints)))
    }

    fn should_cancel(&self) -> Result<(), OutOfBudget> {
        match self.budget.get() {
            0 => Err(OutOfBudget),
            left => {
                self.budget.set(left - 1);
                Ok(())
            }
        }
    }
}
