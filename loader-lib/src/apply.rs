//! From one graph to the next: every plugin of a plan on its own way, at the same time.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use stoa_core::id::PluginId;
use tokio::task::JoinSet;

use crate::{
    cancel::CancelToken,
    error::LoaderError,
    event::{Bell, Event},
    graph::Graph,
    host::Shared,
    load::{Ascent, Settled, Way},
    plan::{Plan, PlannedPlugin},
    slot::Slot,
};

/// What a plugin has for all phases of loading together.
const DEADLINE: Duration = Duration::from_secs(30);

/// How a plan is applied.
#[derive(Debug, Clone)]
pub struct ApplyOptions {
    pub(crate) deadline: Duration,
    pub(crate) cancel: CancelToken,
}

impl Default for ApplyOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl ApplyOptions {
    /// 30 s for each plugin; not cancelled.
    pub fn new() -> Self {
        Self { deadline: DEADLINE, cancel: CancelToken::new() }
    }

    /// What each plugin has for all phases together, but for compiling, which has
    /// [a limit of its own](crate::limits::Totals::compile_time), and for waiting for those it depends on.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Ends it when `token` is cancelled: then what ran before goes on, and what was started is stopped again.
    #[must_use]
    pub fn cancelled_by(mut self, token: &CancelToken) -> Self {
        self.cancel = token.clone();
        self
    }
}

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

impl Outcome {
    /// Why it does not run as planned, if it does not.
    fn error(&self) -> Option<&Arc<LoaderError>> {
        match self {
            Self::KeptOld(error) | Self::Failed(error) => Some(error),
            Self::Loaded | Self::Reloaded | Self::Unchanged | Self::Removed => None,
        }
    }
}

impl Applied {
    /// The plugins of the plan that do not run as planned, and why.
    pub fn failures(&self) -> impl Iterator<Item = (&PluginId, &Arc<LoaderError>)> {
        self.plugins.iter().filter_map(|(plugin, outcome)| Some((plugin, outcome.error()?)))
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
    /// Whether it was cancelled before it was done.
    pub(crate) cancelled: bool,
}

/// Builds what `plan` asks for, sharing with `old` what did not change.
pub(crate) async fn build<S: Send + 'static>(
    shared: &Arc<Shared<S>>,
    old: &Arc<Graph<S>>,
    plan: &Plan,
    options: ApplyOptions,
) -> Built<S> {
    let ascent = Arc::new(Ascent::new(shared, old, plan, options));
    let mut ways = JoinSet::new();
    for (place, planned) in plan.plugins().iter().enumerate() {
        let way = Way::new(&ascent, place, planned);
        ways.spawn(async move { (place, way.go().await) });
    }
    let mut ends: Vec<Option<(Settled<S>, Outcome)>> = plan.plugins().iter().map(|_| None).collect();
    while let Some(ended) = ways.join_next().await {
        match ended {
            Ok((place, end)) => ends[place] = Some(end),
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Only the end of the runtime cancels, and then nobody asks what became of them.
                Err(_) => continue,
            },
        }
    }
    let mut built = Built { slots: Vec::new(), absent: HashMap::new(), applied: Applied::default(), cancelled: false };
    for (planned, end) in plan.plugins().iter().zip(ends) {
        let ended = || {
            let error = Arc::new(LoaderError::ShutDown);
            (Settled::Down(error.clone()), Outcome::Failed(error))
        };
        let (settled, outcome) = end.unwrap_or_else(ended);
        built.cancelled |= outcome.error().is_some_and(|error| matches!(**error, LoaderError::LoadCancelled));
        match settled {
            Settled::Up(up) => built.slots.push((up.slot.clone(), planned.rank)),
            Settled::Down(why) => {
                built.absent.insert(planned.id.clone(), why);
            }
        }
        built.applied.plugins.push((planned.id.clone(), outcome));
    }
    let planned: HashSet<_> = plan.plugins().iter().map(|plugin| &plugin.id).collect();
    let removed = old.in_order().map(|slot| slot.key().id()).filter(|id| !planned.contains(id));
    built.applied.plugins.extend(removed.map(|id| (id.clone(), Outcome::Removed)));
    built
}
