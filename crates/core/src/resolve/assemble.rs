//! From chosen versions to edges, load order and difference; and the check that the choice keeps every rule.

use std::collections::BTreeMap;

use petgraph::{
    algo::kosaraju_scc,
    graph::{DiGraph, NodeIndex},
};

use crate::{
    document::Listing,
    id::{Name, PluginId},
    lock::{Exact, Lock, Publisher},
    resolve::{
        Change, Diff, Edge, ResolveError, Resolved, Source,
        error::exact,
        universe::{NotExported, Universe, bind, imports_from},
    },
    version::VersionReq,
};

/// The chosen releases, by place.
pub(super) type Chosen<'a> = BTreeMap<&'a PluginId, u32>;

/// Why one edge does not hold.
pub(super) enum Broken<'a> {
    /// The dependency is not there.
    Missing(&'a PluginId),
    /// It is there in a version that the caller does not ask for.
    Version(&'a PluginId, &'a VersionReq),
    /// It does not export what the caller imports.
    Interface(&'a PluginId, NotExported<'a>),
}

impl std::fmt::Display for Broken<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing(id) => write!(f, "it needs `{id}`, which is not there"),
            Self::Version(id, requirement) => write!(f, "it needs `{id}` {requirement}"),
            Self::Interface(id, why) => write!(f, "`{id}` does not answer it: {why}"),
        }
    }
}

/// The edges of one release, given what else is chosen.
pub(super) fn edges<'a>(
    universe: &Universe<'a>,
    chosen: &Chosen<'a>,
    listing: &'a Listing,
) -> Result<Vec<Edge>, Broken<'a>> {
    let mut edges = Vec::new();
    for (id, dependency) in &listing.dependencies {
        let Some((version, provider)) = chosen.get(id).and_then(|place| universe.row(id, *place)) else {
            if dependency.optional {
                continue;
            }
            return Err(Broken::Missing(id));
        };
        if !dependency.version.matches(version) {
            return Err(Broken::Version(id, &dependency.version));
        }
        let imports = imports_from(listing, id);
        let bindings = imports.into_iter().map(|import| bind(import, &provider.exports));
        let mut bindings = bindings.collect::<Result<Vec<_>, _>>().map_err(|why| Broken::Interface(id, why))?;
        bindings.sort();
        edges.push(Edge { dependency: id.clone(), bindings, on_failure: dependency.on_failure });
    }
    Ok(edges)
}

/// The plugins in load order, with their edges.
pub(super) fn assemble<'a>(
    universe: &Universe<'a>,
    chosen: &Chosen<'a>,
    registry: &Name,
) -> Result<Vec<Resolved>, ResolveError> {
    let mut plugins = BTreeMap::new();
    for (id, place) in chosen {
        let Some((version, listing)) = universe.row(id, *place) else {
            return Err(ResolveError::Disagreement(format!("`{id}` has no release number {place}")));
        };
        let broken = |why: Broken<'_>| ResolveError::Disagreement(format!("`{}`: {why}", exact(id, version)));
        let edges = edges(universe, chosen, listing).map_err(broken)?;
        let path = universe.wants.get(id).and_then(|want| want.path.clone());
        let source = path.map_or_else(|| Source::Registry(registry.clone()), Source::Path);
        let (id, version, listing) = ((*id).clone(), version.clone(), listing.clone());
        let (publisher, publisher_keys, provenance) = (Publisher::None, None, None);
        let standing = universe.standing(&id, &version);
        let resolved =
            Resolved { id, version, source, listing, standing, publisher, publisher_keys, provenance, edges };
        plugins.insert(resolved.id.clone(), resolved);
    }
    in_load_order(plugins)
}

/// Each plugin after all that it calls. Nodes are added in the order of their ids, so one graph has one order.
fn in_load_order(mut plugins: BTreeMap<PluginId, Resolved>) -> Result<Vec<Resolved>, ResolveError> {
    let mut graph: DiGraph<PluginId, ()> = DiGraph::new();
    let nodes: BTreeMap<PluginId, NodeIndex> =
        plugins.keys().map(|id| (id.clone(), graph.add_node(id.clone()))).collect();
    for plugin in plugins.values() {
        let callees = plugin.edges.iter().filter_map(|edge| nodes.get(&edge.dependency));
        for callee in callees {
            graph.add_edge(nodes[&plugin.id], *callee, ());
        }
    }
    let mut order = Vec::new();
    // Kosaraju's and not Tarjan's: that one recurses, and a chain of plugins is as deep as strangers make it.
    // Its components come in reverse topological order, and so callees first.
    for component in kosaraju_scc(&graph) {
        match component.as_slice() {
            [node] => order.extend(plugins.remove(&graph[*node])),
            members => {
                let members: Vec<&PluginId> = members.iter().map(|node| &graph[*node]).collect();
                let circle = cycle_in(&plugins, &members);
                return Err(ResolveError::Cycle { circle, hint: None });
            }
        }
    }
    Ok(order)
}

/// A shortest circle through the first member, by name; first and last are the same.
fn cycle_in(plugins: &BTreeMap<PluginId, Resolved>, members: &[&PluginId]) -> Vec<Exact> {
    let Some(start) = members.iter().min() else { return Vec::new() };
    let mut came_from: BTreeMap<&PluginId, &PluginId> = BTreeMap::new();
    let mut queue = std::collections::VecDeque::from([*start]);
    'search: while let Some(id) = queue.pop_front() {
        let callees = plugins.get(id).map_or(&[][..], |plugin| &plugin.edges);
        for callee in callees.iter().map(|edge| &edge.dependency).filter(|callee| members.contains(callee)) {
            if !came_from.contains_key(callee) {
                came_from.insert(callee, id);
                queue.push_back(callee);
            }
            if callee == *start {
                break 'search;
            }
        }
    }
    let mut circle = vec![*start];
    while let Some(before) = circle.last().and_then(|id| came_from.get(id)) {
        circle.push(before);
        if before == start {
            break;
        }
    }
    circle.reverse();
    circle.into_iter().filter_map(|id| plugins.get(id)).map(|plugin| exact(&plugin.id, &plugin.version)).collect()
}

/// How `plugins` differ from the lock. Plugins from folders are not in locks, and so not in the difference.
pub(super) fn diff(plugins: &[Resolved], lock: Option<&Lock>) -> Diff {
    let locked = lock.map(|lock| &lock.entries);
    let from_registry = plugins.iter().filter(|plugin| matches!(plugin.source, Source::Registry(_)));
    let now: BTreeMap<_, _> = from_registry.map(|plugin| (&plugin.id, &plugin.version)).collect();
    let mut diff = Diff::default();
    for (id, version) in &now {
        match locked.and_then(|entries| entries.get(id)) {
            None => diff.added.push(exact(id, version)),
            Some(entry) if entry.version != **version => {
                let (id, from, to) = ((*id).clone(), entry.version.clone(), (*version).clone());
                diff.changed.push(Change { id, from, to });
            }
            Some(_) => {}
        }
    }
    let gone = locked.into_iter().flatten().filter(|(id, _)| !now.contains_key(id));
    diff.removed = gone.map(|(id, entry)| exact(id, &entry.version)).collect();
    diff
}
