//! From one graph to the next: compile, link, start, level by level.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use stoa_core::id::PluginId;
use tokio::task::{JoinHandle, JoinSet};
use wasmtime::component::Component;

use crate::{
    call::Call,
    error::LoaderError,
    event::{Bell, Event},
    exports::Exports,
    graph::Graph,
    guest::StartReason,
    host::{DRAIN, Shared},
    link::{self, Providers},
    plan::{Plan, PlannedPlugin, Reload},
    slot::Slot,
};

/// What became of the plugins of a plan, and of those that ran before.
#[derive(Debug, Clone, Default)]
#[must_use = "plugins that failed are named here only"]
pub struct Applied {
    /// In load order, then what was removed.
    pub plugins: Vec<(PluginId, Outcome)>,
}

/// What became of one plugin.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It runs, and did not before.
    Loaded,
    /// It runs in a new version or configuration.
    Reloaded,
    /// It runs as before, with its memory.
    Unchanged,
    /// The new version failed, and the one before it goes on.
    KeptOld(Arc<LoaderError>),
    /// It does not run.
    Failed(Arc<LoaderError>),
    /// The plan does not have it any more.
    Removed,
}

impl Applied {
    /// The plugins of the plan that do not run as planned, and why.
    pub fn failures(&self) -> impl Iterator<Item = (&PluginId, &Arc<LoaderError>)> {
        self.plugins.iter().filter_map(|(plugin, outcome)| match outcome {
            Outcome::KeptOld(error) | Outcome::Failed(error) => Some((plugin, error)),
            _ => None,
        })
    }

    /// The first failure as an error, for hosts that want all of a plan or to hear why not.
    ///
    /// # Errors
    ///
    /// [`LoaderError::NotLoaded`] for the first plugin, in load order, that does not run as planned.
    pub fn all(&self) -> Result<(), LoaderError> {
        match self.failures().next() {
            Some((plugin, source)) => Err(LoaderError::NotLoaded { plugin: plugin.clone(), source: source.clone() }),
            None => Ok(()),
        }
    }
}

/// Tells listeners what became of each plugin.
pub(crate) fn tell(
    bell: &Bell,
    applied: &Applied,
    versions: impl Fn(&PluginId) -> Option<stoa_core::version::Version>,
) {
    for (plugin, outcome) in &applied.plugins {
        let plugin = plugin.clone();
        let version = versions(&plugin);
        match (outcome, version) {
            (Outcome::Loaded, Some(version)) => bell.ring(Event::Loaded { plugin, version }),
            (Outcome::Reloaded, Some(version)) => bell.ring(Event::Reloaded { plugin, version }),
            (Outcome::KeptOld(error) | Outcome::Failed(error), _) => {
                bell.ring(Event::Failed { plugin, error: error.clone() });
            }
            (Outcome::Removed, _) => bell.ring(Event::Removed { plugin }),
            _ => {}
        }
    }
}

/// Tells listeners what runs of `plan` though it is quarantined.
pub(crate) fn warn(bell: &Bell, plan: &Plan, runs: impl Fn(&PlannedPlugin) -> bool) {
    for planned in plan.plugins().iter().filter(|planned| runs(planned)) {
        if let Some(takedown) = &planned.quarantined {
            let (plugin, version, takedown) = (planned.id.clone(), planned.version.clone(), takedown.clone());
            bell.ring(Event::Quarantined { plugin, version, takedown });
        }
    }
}

/// The makings of the next graph.
pub(crate) struct Built<S: 'static> {
    /// In load order, each with its rank.
    pub(crate) slots: Vec<(Arc<Slot<S>>, u32)>,
    pub(crate) absent: HashMap<PluginId, Arc<LoaderError>>,
    pub(crate) applied: Applied,
}

/// Builds what `plan` asks for, sharing with `old` what did not change.
pub(crate) async fn build<S: Send + 'static>(shared: &Arc<Shared<S>>, old: &Arc<Graph<S>>, plan: &Plan) -> Built<S> {
    let mut building = Building::start(shared, old, plan);
    for level in levels(plan) {
        building.level(level).await;
    }
    building.finish(plan)
}

/// The plugins by the length of the longest way to a plugin without dependencies: those of one level are
/// independent of each other.
fn levels(plan: &Plan) -> Vec<Vec<&PlannedPlugin>> {
    let mut height: HashMap<&PluginId, usize> = HashMap::new();
    let mut levels: Vec<Vec<&PlannedPlugin>> = Vec::new();
    for plugin in plan.plugins() {
        let below = plugin.dependencies.iter().filter_map(|edge| height.get(&edge.on)).max();
        let own = below.map_or(0, |below| below + 1);
        height.insert(&plugin.id, own);
        if levels.len() == own {
            levels.push(Vec::new());
        }
        levels[own].push(plugin);
    }
    levels
}

struct Building<'b, S: 'static> {
    shared: &'b Arc<Shared<S>>,
    old: &'b Arc<Graph<S>>,
    /// All compilations, begun at once.
    compiling: HashMap<PluginId, JoinHandle<Result<Component, LoaderError>>>,
    settled: HashMap<PluginId, Arc<Slot<S>>>,
    absent: HashMap<PluginId, Arc<LoaderError>>,
    outcomes: HashMap<PluginId, Outcome>,
}

impl<'b, S: Send + 'static> Building<'b, S> {
    fn start(shared: &'b Arc<Shared<S>>, old: &'b Arc<Graph<S>>, plan: &Plan) -> Self {
        let mut compiling = HashMap::new();
        for plugin in plan.plugins() {
            if unchanged(old, plugin).is_none() {
                let (shared, planned) = (shared.clone(), plugin.clone());
                let task = tokio::spawn(async move { shared.compiler.component(&planned).await });
                compiling.insert(plugin.id.clone(), task);
            }
        }
        Self { shared, old, compiling, settled: HashMap::new(), absent: HashMap::new(), outcomes: HashMap::new() }
    }

    async fn level(&mut self, level: Vec<&PlannedPlugin>) {
        let below = self.settled.values().map(|slot| (slot.clone(), 0)).collect();
        let graph = Arc::new(Graph::new(self.shared.id, below, HashMap::new()).0);
        let mut starting = JoinSet::new();
        let mut fresh = HashMap::new();
        for planned in level {
            match self.link(planned).await {
                Ok(Linked::Shared(slot)) => self.settle(planned, slot, Outcome::Unchanged),
                Ok(Linked::Fresh(slot)) => {
                    let within = slot.limits().init_deadline;
                    let call = Call::root(self.shared.id, slot.key().clone(), within, graph.clone());
                    starting.spawn(start(slot.clone(), self.old.clone(), call));
                    fresh.insert(planned.id.clone(), planned);
                }
                Err(error) => self.fall_back(planned, error),
            }
        }
        while let Some(started) = starting.join_next().await {
            let (slot, outcome) = match started {
                Ok(started) => started,
                Err(ended) => match ended.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(_) => continue,
                },
            };
            let Some(planned) = fresh.remove(slot.key().id()) else { continue };
            match outcome {
                Ok(()) => {
                    let reloaded = self.old.slot(slot.key()).is_some();
                    self.settle(planned, slot, if reloaded { Outcome::Reloaded } else { Outcome::Loaded });
                }
                Err(error) => self.fall_back(planned, error),
            }
        }
        // Only the end of the runtime leaves some.
        for planned in fresh.into_values() {
            self.fall_back(planned, LoaderError::ShutDown);
        }
    }

    /// Ties a plugin to what its dependencies have become.
    async fn link(&mut self, planned: &PlannedPlugin) -> Result<Linked<S>, LoaderError> {
        if let Some(edge) = planned.dependencies.iter().find(|edge| self.absent.contains_key(&edge.on)) {
            return Err(LoaderError::Blocked { plugin: planned.id.clone(), on: edge.on.clone() });
        }
        if let Some(slot) = unchanged(self.old, planned) {
            self.resolve(planned, slot.component())?;
            return Ok(Linked::Shared(slot.clone()));
        }
        let component = match self.compiling.remove(&planned.id) {
            Some(task) => task.await.unwrap_or(Err(LoaderError::ShutDown))?,
            None => return Err(LoaderError::ShutDown),
        };
        let bindings = self.resolve(planned, &component)?;
        let pre = link::link(&self.shared.base, &planned.id, &component, bindings)?;
        let exports = Exports::of(&self.shared.engine, &component);
        let reason = match self.old.slot(&planned.key()) {
            Some(_) => StartReason::Reload,
            None => StartReason::Start,
        };
        let slot = Slot::new(self.shared.clone(), planned.clone(), exports, pre, reason);
        if slot.planned().runtime.reload != Reload::StopStart {
            // In load order, so that it is always the same plugins that fit. One that stops first does so when its
            // memory is free again.
            slot.admit()?;
        }
        Ok(Linked::Fresh(Arc::new(slot)))
    }

    fn resolve(&self, planned: &PlannedPlugin, component: &Component) -> Result<Vec<link::Bound>, LoaderError> {
        let providers: Providers<'_> =
            self.settled.iter().map(|(id, slot)| (id, (slot.key().clone(), slot.exports()))).collect();
        link::resolve(&self.shared.engine, planned, component, &providers, &self.shared.offered)
    }

    /// Keeps the version that runs, where it still fits its dependencies; else the plugin is absent.
    fn fall_back(&mut self, planned: &PlannedPlugin, error: LoaderError) {
        let error = Arc::new(error);
        let old = self.old.slot(&planned.key()).cloned();
        let fits = |old: &Arc<Slot<S>>| {
            let planned = old.planned();
            let there = planned.dependencies.iter().all(|edge| self.settled.contains_key(&edge.on));
            !old.is_retired() && there && self.resolve(planned, old.component()).is_ok()
        };
        match old.filter(fits) {
            Some(old) => self.settle(planned, old, Outcome::KeptOld(error)),
            None => {
                self.absent.insert(planned.id.clone(), error.clone());
                self.outcomes.insert(planned.id.clone(), Outcome::Failed(error));
            }
        }
    }

    fn settle(&mut self, planned: &PlannedPlugin, slot: Arc<Slot<S>>, outcome: Outcome) {
        self.settled.insert(planned.id.clone(), slot);
        self.outcomes.insert(planned.id.clone(), outcome);
    }

    fn finish(mut self, plan: &Plan) -> Built<S> {
        let mut slots = Vec::new();
        let mut plugins = Vec::new();
        for planned in plan.plugins() {
            slots.extend(self.settled.remove(&planned.id).map(|slot| (slot, planned.rank)));
            plugins.extend(self.outcomes.remove(&planned.id).map(|outcome| (planned.id.clone(), outcome)));
        }
        let planned: HashSet<_> = plan.plugins().iter().map(|plugin| &plugin.id).collect();
        let removed = self.old.in_order().map(|slot| slot.key().id()).filter(|id| !planned.contains(id));
        plugins.extend(removed.map(|id| (id.clone(), Outcome::Removed)));
        Built { slots, absent: self.absent, applied: Applied { plugins } }
    }
}

enum Linked<S: 'static> {
    Shared(Arc<Slot<S>>),
    Fresh(Arc<Slot<S>>),
}

/// The slot that runs exactly what is planned.
fn unchanged<'g, S: Send + 'static>(old: &'g Graph<S>, planned: &PlannedPlugin) -> Option<&'g Arc<Slot<S>>> {
    let same = |slot: &&Arc<Slot<S>>| {
        let running = slot.planned();
        // Neither where the bytes lie, nor the place in the host's list, nor what others say of it changes what runs.
        *planned
            == PlannedPlugin {
                path: planned.path.clone(),
                held: planned.held.clone(),
                rank: planned.rank,
                quarantined: planned.quarantined.clone(),
                ..running.clone()
            }
    };
    old.slot(&planned.key()).filter(|slot| !slot.is_retired()).filter(same)
}

/// Starts a slot; where the plugin asks for it, after the one it replaces has ended.
async fn start<S: Send + 'static>(
    slot: Arc<Slot<S>>,
    old: Arc<Graph<S>>,
    call: Call,
) -> (Arc<Slot<S>>, Result<(), LoaderError>) {
    if slot.planned().runtime.reload == Reload::StopStart
        && let Some(before) = old.slot(slot.key())
    {
        before.retire(call.clone(), tokio::time::Instant::now() + DRAIN).await;
    }
    let outcome = match slot.admit() {
        Ok(()) => slot.activate(call).await,
        Err(error) => Err(error),
    };
    (slot, outcome)
}
