//! A fourth opinion, by another algorithm of other authors: `resolvo` (CDCL over SAT) has to find an answer where ours does, and
//! none where ours finds none. It also comes along where trying every choice would not.
//!
//! A version set of resolvo's is a requirement together with the interfaces that its caller imports: a candidate is in it where
//! it meets the requirement and answers them all. An optional dependency is a constraint, as in our model.

use std::{cell::RefCell, collections::BTreeMap, fmt::Display};

use resolvo::{
    Candidates, Condition, ConditionId, ConditionalRequirement, Dependencies, DependencyProvider, Interner,
    KnownDependencies, NameId, Problem, SolvableId, Solver, SolverCache, StringId, UnsolvableOrCancelled, VersionSetId,
    VersionSetUnionId,
};
use stoa_core::{
    document::{Listing, State},
    id::PluginId,
    interface::InterfaceName,
    release::Provider,
    resolve::Known,
    version::{Version, VersionReq},
    wanted::Wanted,
};

use crate::{verify::Choice, world::World};

/// What a caller takes of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Set {
    id: PluginId,
    requirement: String,
    /// What has to be exported.
    imports: Vec<InterfaceName>,
}

/// Values by small numbers, each once.
#[derive(Debug)]
struct Table<T>(RefCell<Vec<T>>);

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self(RefCell::new(Vec::new()))
    }
}

impl<T: Clone + PartialEq> Table<T> {
    fn number(&self, value: &T) -> u32 {
        let mut all = self.0.borrow_mut();
        let at = all.iter().position(|known| known == value).unwrap_or_else(|| {
            all.push(value.clone());
            all.len() - 1
        });
        u32::try_from(at).expect("few")
    }

    fn get(&self, number: u32) -> T {
        self.0.borrow()[number as usize].clone()
    }
}

struct Universe<'w> {
    world: &'w World,
    names: Table<PluginId>,
    solvables: Table<(PluginId, Version)>,
    sets: Table<Set>,
}

impl<'w> Universe<'w> {
    fn of(world: &'w World) -> Self {
        Self { world, names: Table::default(), solvables: Table::default(), sets: Table::default() }
    }

    fn listing(&self, id: &PluginId, version: &Version) -> &'w Listing {
        match &self.world.documents[id] {
            Known::Document(document) => &document.releases[version],
            other => panic!("{id} is {other:?}"),
        }
    }

    fn set(&self, id: &PluginId, requirement: &VersionReq, caller: Option<&Listing>) -> VersionSetId {
        let of = |import: &InterfaceName| import.package().to_string() == id.to_string();
        let imports =
            caller.iter().flat_map(|caller| &caller.imports).filter(|import| import.from == Provider::Dependency);
        let imports = imports.map(|import| import.name.clone()).filter(of).collect();
        VersionSetId(self.sets.number(&Set { id: id.clone(), requirement: requirement.to_string(), imports }))
    }

    fn is_in(&self, id: SolvableId, set: &Set) -> bool {
        let (plugin, version) = self.solvables.get(id.into_raw());
        let requirement: VersionReq = set.requirement.parse().expect("a requirement");
        let exports = &self.listing(&plugin, &version).exports;
        let exported = || exports.iter().filter_map(|export| export.name.as_interface());
        requirement.matches(&version)
            && set.imports.iter().all(|import| exported().any(|export| answers(import, export)))
    }

    /// Whether a release may be chosen at all on this host.
    fn fits_host(&self, listing: &Listing) -> bool {
        let offer = &self.world.offer;
        let of_host = listing.imports.iter().filter(|import| import.from == Provider::Host);
        let offered = |import: &InterfaceName| offer.interfaces().keys().any(|offered| answers(import, offered));
        listing.state == State::Listed
            && listing.tracks.iter().all(|track| offer.tracks().contains(track))
            && of_host.map(|import| &import.name).all(offered)
    }
}

/// What semantic versioning calls compatible is what a caret requirement takes.
fn answers(import: &InterfaceName, export: &InterfaceName) -> bool {
    let least: semver::VersionReq = format!("^{}", import.version().expect("a version")).parse().expect("one");
    (export.package(), export.interface()) == (import.package(), import.interface())
        && least.matches(export.version().expect("a version"))
}

impl Interner for Universe<'_> {
    type NameId = NameId;
    type SolvableId = SolvableId;

    fn display_solvable(&self, solvable: SolvableId) -> impl Display + '_ {
        let (id, version) = self.solvables.get(solvable.into_raw());
        format!("{id} {version}")
    }

    fn display_name(&self, name: NameId) -> impl Display + '_ {
        self.names.get(name.into_raw())
    }

    fn display_version_set(&self, set: VersionSetId) -> impl Display + '_ {
        format!("{:?}", self.sets.get(set.0))
    }

    fn display_string(&self, _: StringId) -> impl Display + '_ {
        ""
    }

    fn version_set_name(&self, set: VersionSetId) -> NameId {
        NameId::from_raw(self.names.number(&self.sets.get(set.0).id))
    }

    fn solvable_name(&self, solvable: SolvableId) -> NameId {
        NameId::from_raw(self.names.number(&self.solvables.get(solvable.into_raw()).0))
    }

    fn version_sets_in_union(&self, _: VersionSetUnionId) -> impl Iterator<Item = VersionSetId> {
        std::iter::empty()
    }

    fn resolve_condition(&self, _: ConditionId) -> Condition {
        unreachable!("no requirement has a condition")
    }
}

impl DependencyProvider for Universe<'_> {
    async fn filter_candidates(&self, candidates: &[SolvableId], set: VersionSetId, inverse: bool) -> Vec<SolvableId> {
        let set = self.sets.get(set.0);
        candidates.iter().copied().filter(|candidate| self.is_in(*candidate, &set) != inverse).collect()
    }

    async fn get_candidates(&self, name: NameId) -> Option<Candidates> {
        let id = self.names.get(name.into_raw());
        let Some(Known::Document(document)) = self.world.documents.get(&id) else { return None };
        let fitting = document.releases.iter().filter(|(_, listing)| self.fits_host(listing));
        let number = |version: &Version| SolvableId::from_raw(self.solvables.number(&(id.clone(), version.clone())));
        Some(Candidates { candidates: fitting.map(|(version, _)| number(version)).collect(), ..Candidates::default() })
    }

    async fn sort_candidates(&self, _: &SolverCache<Self>, solvables: &mut [SolvableId]) {
        solvables.sort_by_key(|solvable| std::cmp::Reverse(self.solvables.get(solvable.into_raw()).1));
    }

    async fn get_dependencies(&self, solvable: SolvableId) -> Dependencies {
        let (id, version) = self.solvables.get(solvable.into_raw());
        let listing = self.listing(&id, &version);
        let mut known = KnownDependencies::default();
        for (dependency, wanted) in &listing.dependencies {
            let set = self.set(dependency, &wanted.version, Some(listing));
            match wanted.optional {
                true => known.constrains.push(set),
                false => known.requirements.push(set.into()),
            }
        }
        Dependencies::Known(known)
    }
}

/// What resolvo chooses, where there is an answer. Optional wishes are not its: all of `wanted` has to be required.
pub(crate) fn solve(wanted: &Wanted, world: &World) -> Option<Choice> {
    let universe = Universe::of(world);
    let mut requirements: Vec<ConditionalRequirement> = Vec::new();
    for want in wanted.plugins() {
        assert!(!want.optional, "{} is optional", want.id);
        let requirement = want.version.as_ref().expect("a wish with a version");
        requirements.push(universe.set(&want.id, requirement, None).into());
    }
    let mut solver = Solver::new(universe);
    match solver.solve(Problem::new().requirements(requirements)) {
        Ok(solvables) => {
            let chosen = solvables.into_iter().map(|solvable| solver.provider().solvables.get(solvable.into_raw()));
            Some(chosen.collect::<BTreeMap<_, _>>())
        }
        Err(UnsolvableOrCancelled::Unsolvable(_)) => None,
        Err(UnsolvableOrCancelled::Cancelled(_)) => unreachable!("nothing cancels it"),
    }
}
