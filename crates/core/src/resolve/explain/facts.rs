//! The leaves of a proof, as facts about releases.

use std::{collections::BTreeSet, sync::Arc};

use pubgrub::{DerivationTree, External, VersionSet as _};

use crate::{
    id::PluginId,
    interface::InterfaceName,
    resolve::{
        solve::{Package, Proof},
        universe::{Reason, Universe},
        versions::Versions,
    },
    version::VersionReq,
    wanted::Want,
};

/// Some releases of a plugin need another plugin.
pub(super) struct Needs<'a> {
    pub(super) id: &'a PluginId,
    /// The releases, ascending.
    pub(super) places: Vec<u32>,
    pub(super) dependency: &'a PluginId,
    /// What the newest of them asks for.
    pub(super) requirement: &'a VersionReq,
    /// The releases of the dependency that will do.
    pub(super) accepted: Versions,
    pub(super) optional: bool,
}

/// Some releases of a plugin need what this host does not offer.
pub(super) struct NeedsHost<'a> {
    pub(super) id: &'a PluginId,
    /// The releases, ascending.
    pub(super) places: Vec<u32>,
    pub(super) what: Offered<'a>,
}

/// What a host may offer.
pub(super) enum Offered<'a> {
    /// An interface, by its name without the version.
    Interface(InterfaceName),
    Track(&'a str),
}

/// A release that can not be chosen whatever else is.
pub(super) struct Unusable<'a> {
    pub(super) id: &'a PluginId,
    pub(super) place: u32,
    pub(super) reason: Reason,
}

/// What a proof rests on.
pub(super) struct Facts<'a> {
    /// In the order of the file.
    pub(super) asked: Vec<&'a Want>,
    /// From what is asked outwards.
    pub(super) needs: Vec<Needs<'a>>,
    pub(super) needs_host: Vec<NeedsHost<'a>>,
    pub(super) unusable: Vec<Unusable<'a>>,
}

impl<'a> Facts<'a> {
    pub(super) fn of(universe: &Universe<'a>, proof: &Proof<'a>) -> Self {
        let mut facts = Self { asked: Vec::new(), needs: Vec::new(), needs_host: Vec::new(), unusable: Vec::new() };
        for leaf in leaves(proof) {
            facts.add(universe, leaf);
        }
        facts.asked.sort_by_key(|want| (want.line, &want.id));
        facts.asked.dedup_by_key(|want| &want.id);
        facts.needs.sort_by(|a, b| (a.id, a.dependency, &b.places).cmp(&(b.id, b.dependency, &a.places)));
        facts.needs_host.sort_by(|a, b| (a.id, &b.places).cmp(&(b.id, &a.places)));
        facts.unusable.sort_by(|a, b| (a.id, b.place).cmp(&(b.id, a.place)));
        facts.unusable.dedup_by(|a, b| (a.id, a.place) == (b.id, b.place));
        facts.order();
        facts
    }

    fn add(&mut self, universe: &Universe<'a>, leaf: &External<Package<'a>, Versions, Reason>) {
        let places = |id: &PluginId, set: &Versions| set.places(universe.rows(id).len()).collect::<Vec<_>>();
        match leaf {
            External::FromDependencyOf(Package::Host | Package::Wish(_), _, Package::Plugin(id), _) => {
                self.asked.extend(universe.wants.get(id).copied());
            }
            External::FromDependencyOf(Package::Plugin(id), set, Package::Plugin(to), accepted) => {
                self.need(universe, id, places(id, set), to, accepted.clone());
            }
            External::FromDependencyOf(Package::Plugin(id), set, Package::Presence(to), accepted) if id != to => {
                self.need(universe, id, places(id, set), to, accepted.clone());
            }
            External::FromDependencyOf(Package::Plugin(id), set, Package::Interface(base), _) => {
                let what = Offered::Interface(base.clone());
                self.needs_host.push(NeedsHost { id, places: places(id, set), what });
            }
            External::FromDependencyOf(Package::Plugin(id), set, Package::Track(track), _) => {
                self.needs_host.push(NeedsHost { id, places: places(id, set), what: Offered::Track(track) });
            }
            External::Custom(Package::Plugin(id), set, reason) => {
                let unusable = places(id, set).into_iter();
                self.unusable.extend(unusable.map(|place| Unusable { id, place, reason: reason.clone() }));
            }
            // The start, and how the solver keeps its own books.
            _ => {}
        }
    }

    fn need(
        &mut self,
        universe: &Universe<'a>,
        id: &'a PluginId,
        places: Vec<u32>,
        to: &'a PluginId,
        accepted: Versions,
    ) {
        let newest = places.iter().rev().filter_map(|place| universe.row(id, *place)).next();
        let dependency = newest.and_then(|(_, listing)| listing.dependencies.get(to));
        if let Some(dependency) = dependency {
            let (requirement, optional) = (&dependency.version, dependency.optional);
            self.needs.push(Needs { id, places, dependency: to, requirement, accepted, optional });
        }
    }

    /// Needs in the order of a walk from what is asked; what the walk does not meet comes last.
    fn order(&mut self) {
        let mut order = self.reached();
        let rest: BTreeSet<_> = self.needs.iter().map(|need| need.id).collect();
        order.extend(rest);
        let rank = |id: &PluginId| order.iter().position(|known| *known == id).unwrap_or(usize::MAX);
        self.needs.sort_by_key(|need| rank(need.id));
        self.needs_host.sort_by_key(|need| rank(need.id));
    }

    /// The plugins that a walk from what is asked meets, nearest first.
    pub(super) fn reached(&self) -> Vec<&'a PluginId> {
        let mut order = super::unique(self.asked.iter().map(|want| &want.id));
        let mut next = 0;
        while let Some(id) = order.get(next).copied() {
            let further = self.needs.iter().filter(|need| need.id == id).map(|need| need.dependency);
            let further: Vec<_> = further.filter(|id| !order.contains(id)).collect();
            order.extend(super::unique(further.into_iter()));
            next += 1;
        }
        order
    }

    /// The requirements on `id` among the facts.
    pub(super) fn requirements(&self, id: &PluginId) -> Vec<&VersionReq> {
        let asked = self.asked.iter().filter(|want| want.id == *id).filter_map(|want| want.version.as_ref());
        let needs = self.needs.iter().filter(|need| need.dependency == id).map(|need| need.requirement);
        asked.chain(needs).collect()
    }

    /// Whether one of the requirements on `id` is met by none of its releases.
    pub(super) fn nothing_meets(&self, universe: &Universe<'a>, id: &PluginId) -> bool {
        let count = universe.rows(id).len();
        self.incoming(universe, id).iter().any(|(_, set)| set.places(count).next().is_none())
    }

    /// The requirements on `id` among the facts: each as text, with the releases that meet it.
    pub(super) fn incoming(&self, universe: &Universe<'a>, id: &PluginId) -> Vec<(String, Versions)> {
        let asked = self.asked.iter().filter(|want| want.id == *id);
        let asked = asked.map(|want| {
            let text = want.version.as_ref().map_or_else(|| "*".to_owned(), VersionReq::to_string);
            (text, universe.asked(want))
        });
        let needs = self.needs.iter().filter(|need| need.dependency == id);
        let needs = needs.map(|need| (need.requirement.to_string(), need.accepted.clone()));
        let mut incoming: Vec<(String, Versions)> = Vec::new();
        for (text, set) in asked.chain(needs) {
            if !incoming.iter().any(|(_, known)| *known == set) {
                incoming.push((text, set));
            }
        }
        incoming
    }
}

/// The facts of a proof, each once. Without recursion: a proof is as deep as the search was long.
fn leaves<'p, 'a>(proof: &'p Proof<'a>) -> Vec<&'p External<Package<'a>, Versions, Reason>> {
    let (mut leaves, mut seen, mut stack) = (Vec::new(), BTreeSet::new(), vec![proof]);
    while let Some(tree) = stack.pop() {
        match tree {
            DerivationTree::External(leaf) => leaves.push(leaf),
            DerivationTree::Derived(derived) => {
                for cause in [&derived.cause1, &derived.cause2] {
                    if seen.insert(Arc::as_ptr(cause) as usize) {
                        stack.push(cause);
                    }
                }
            }
        }
    }
    leaves
}

/// The releases that meet all of `sets`.
pub(super) fn meet(sets: &[(String, Versions)]) -> Versions {
    sets.iter().fold(Versions::full(), |all, (_, set)| all.intersection(set))
}
