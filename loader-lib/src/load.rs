//! One plugin's way from a plan to where it runs.

use std::{collections::HashMap, sync::Arc, time::Duration};

use stoa_core::{
    capability::{Grants, Needs},
    id::PluginId,
    lock::Exact,
};
use tokio::{
    sync::{Semaphore, watch},
    time::{Instant, sleep_until},
};
use tracing::Instrument as _;
use wasmtime::component::Component;

use crate::{
    aot::Compiled,
    apply::{ApplyOptions, Outcome},
    budget::Reservation,
    call::Call,
    error::LoaderError,
    event::Event,
    exports::Exports,
    grant::Authority,
    graph::Graph,
    guest::StartReason,
    host::Shared,
    link::{self, Providers},
    phase::{Life, Phase, Step},
    plan::{Origin, Plan, PlannedPlugin, Reload},
    scan::Scan,
    slot::Slot,
    turn::DRAIN,
};

/// Components that are fetched at a time.
const FETCHES: usize = 8;

/// What all plugins of a plan share on their way.
pub(crate) struct Ascent<S: 'static> {
    shared: Arc<Shared<S>>,
    old: Arc<Graph<S>>,
    options: ApplyOptions,
    fetches: Semaphore,
    /// What has become of each, for those that depend on it, by its place in the plan.
    settled: Vec<watch::Sender<Option<Settled<S>>>>,
    places: HashMap<PluginId, usize>,
    /// How many have settled.
    count: watch::Sender<usize>,
}

/// What became of a plugin.
pub(crate) enum Settled<S: 'static> {
    /// It runs.
    Up(Arc<Up<S>>),
    /// It does not.
    Down(Arc<LoaderError>),
}

impl<S: 'static> Clone for Settled<S> {
    fn clone(&self) -> Self {
        match self {
            Self::Up(up) => Self::Up(up.clone()),
            Self::Down(why) => Self::Down(why.clone()),
        }
    }
}

/// A plugin that runs.
pub(crate) struct Up<S: 'static> {
    pub(crate) slot: Arc<Slot<S>>,
    /// All that it depends on, and itself.
    closure: HashMap<PluginId, Arc<Slot<S>>>,
}

impl<S: Send + 'static> Up<S> {
    fn new(slot: Arc<Slot<S>>, below: &[Arc<Self>]) -> Arc<Self> {
        let mut closure = closure(below);
        closure.insert(slot.key().id().clone(), slot.clone());
        Arc::new(Self { slot, closure })
    }
}

fn closure<S: 'static>(below: &[Arc<Up<S>>]) -> HashMap<PluginId, Arc<Slot<S>>> {
    below.iter().flat_map(|up| &up.closure).map(|(id, slot)| (id.clone(), slot.clone())).collect()
}

impl<S: Send + 'static> Ascent<S> {
    pub(crate) fn new(shared: &Arc<Shared<S>>, old: &Arc<Graph<S>>, plan: &Plan, options: ApplyOptions) -> Self {
        let ids = plan.plugins().iter().map(|plugin| plugin.id.clone());
        Self {
            shared: shared.clone(),
            old: old.clone(),
            options,
            fetches: Semaphore::new(FETCHES),
            settled: plan.plugins().iter().map(|_| watch::Sender::new(None)).collect(),
            places: ids.enumerate().map(|(place, id)| (id, place)).collect(),
            count: watch::Sender::new(0),
        }
    }

    /// Waits until it is known what became of the plugin in this place.
    async fn settled(&self, place: usize) -> Option<Settled<S>> {
        let mut watching = self.settled.get(place)?.subscribe();
        let settled = watching.wait_for(Option::is_some).await.ok()?;
        settled.clone()
    }

    fn settle(&self, place: usize, settled: Settled<S>) {
        if let Some(sender) = self.settled.get(place) {
            sender.send_replace(Some(settled));
        }
        // Told in the order of counting.
        self.count.send_modify(|count| {
            *count += 1;
            self.shared.bell.ring(Event::Progress { settled: *count, of: self.settled.len() });
        });
    }
}

/// A plugin on its way.
pub(crate) struct Way<S: 'static> {
    ascent: Arc<Ascent<S>>,
    place: usize,
    planned: PlannedPlugin,
    /// Its memory, where some is set aside.
    admitted: Result<Option<Reservation>, LoaderError>,
    /// What is left of its time, which runs neither while it is compiled nor while it waits for others.
    left: Duration,
}

impl<S: Send + 'static> Way<S> {
    pub(crate) fn new(ascent: &Arc<Ascent<S>>, place: usize, planned: &PlannedPlugin) -> Self {
        let (ascent, planned, left) = (ascent.clone(), planned.clone(), ascent.options.deadline);
        let mut way = Self { ascent, place, planned, admitted: Ok(None), left };
        // Here, where they are made in load order, so that it is always the same plugins that fit. One that stops first
        // does so when its memory is free again.
        if way.unchanged().is_none() && way.planned.runtime.reload != Reload::StopStart {
            way.admitted = Slot::reserve(&way.ascent.shared, &way.planned);
        }
        way
    }

    /// Goes it to the end, and tells the others.
    pub(crate) async fn go(mut self) -> (Settled<S>, Outcome) {
        let span = tracing::info_span!(target: "stoa_loader", "load", plugin = %self.planned.id, version = %self.planned.version);
        let (settled, outcome) = async {
            match self.arrive().await {
                Ok((up, outcome)) => (Settled::Up(up), outcome),
                Err(error) => self.fall_back(error).await,
            }
        }
        .instrument(span)
        .await;
        self.ascent.settle(self.place, settled.clone());
        (settled, outcome)
    }

    async fn arrive(&mut self) -> Result<(Arc<Up<S>>, Outcome), LoaderError> {
        if let Some(slot) = self.unchanged() {
            let below = self.below().await?;
            self.resolve(&self.planned, slot.component(), &below, slot.info.grants())?;
            return Ok((Up::new(slot, &below), Outcome::Unchanged));
        }
        let (id, version) = (self.planned.id.clone(), self.planned.version.clone());
        let life = Arc::new(Life::begin(id, version, self.ascent.shared.bell.clone()));
        let reloads = self.ascent.old.slot(&self.planned.key()).is_some();
        match self.climb(&life).await {
            Ok(up) => Ok((up, if reloads { Outcome::Reloaded } else { Outcome::Loaded })),
            Err(error) => {
                life.step(match &error {
                    LoaderError::Blocked { .. } => Step::Block,
                    LoaderError::LoadCancelled => Step::Cancel,
                    _ => Step::Fail,
                })?;
                Err(error)
            }
        }
    }

    /// Phase by phase.
    async fn climb(&mut self, life: &Arc<Life>) -> Result<Arc<Up<S>>, LoaderError> {
        // Both were done for the whole plan.
        self.enter(Phase::Discover).await?;
        life.step(Step::Done)?;
        self.enter(Phase::Resolve).await?;
        // Before anything is fetched or compiled for it.
        let reservation = std::mem::replace(&mut self.admitted, Ok(None))?;
        let listed = self.unless_cancelled(self.decide_listed()).await?;
        life.step(Step::Done)?;

        self.enter(Phase::Fetch).await?;
        self.fetch().await?;
        life.step(Step::Done)?;

        let compiled = self.compile().await?;
        life.step(Step::Done)?;

        self.enter(Phase::Wait).await?;
        let below = self.unless_cancelled(self.below()).await?;
        life.step(Step::Done)?;

        self.enter(Phase::Link).await?;
        let scan = Scan::of(&self.ascent.shared.engine, &compiled.component);
        let grants = self.unless_cancelled(self.decide_found(&scan, listed)).await?;
        let slot = self.link(compiled, &below, grants, life, reservation)?;
        life.step(Step::Done)?;

        self.enter(Phase::Start).await?;
        self.start(&slot, &below).await?;
        life.step(Step::Done)?;
        Ok(Up::new(slot, &below))
    }

    /// Where the faults of tests come in.
    async fn enter(&mut self, phase: Phase) -> Result<(), LoaderError> {
        let shared = self.ascent.shared.clone();
        let id = self.planned.id.clone();
        self.charged(phase, async move { shared.pass(&id, phase).await }).await
    }

    /// Does `work` within what is left of the plugin's time.
    async fn charged<T>(
        &mut self,
        phase: Phase,
        work: impl Future<Output = Result<T, LoaderError>>,
    ) -> Result<T, LoaderError> {
        let began = Instant::now();
        let end = began + self.left;
        let span = tracing::debug_span!(target: "stoa_loader", "phase", %phase);
        let outcome = tokio::select! {
            biased;
            () = self.ascent.options.cancel.cancelled() => Err(LoaderError::LoadCancelled),
            outcome = work.instrument(span) => outcome,
            () = sleep_until(end) => {
                let (plugin, limit) = (self.planned.id.clone(), self.ascent.options.deadline);
                Err(LoaderError::LoadDeadline { plugin, phase, limit })
            }
        };
        self.left = self.left.saturating_sub(began.elapsed());
        outcome
    }

    /// Does `work`, which has bounds of its own.
    async fn unless_cancelled<T>(&self, work: impl Future<Output = Result<T, LoaderError>>) -> Result<T, LoaderError> {
        tokio::select! {
            biased;
            () = self.ascent.options.cancel.cancelled() => Err(LoaderError::LoadCancelled),
            outcome = work => outcome,
        }
    }

    async fn fetch(&mut self) -> Result<(), LoaderError> {
        let Origin::Remote(remote) = self.planned.origin.clone() else { return Ok(()) };
        let ascent = self.ascent.clone();
        let turn = async { ascent.fetches.acquire().await.map_err(|_| LoaderError::ShutDown) };
        let _turn = self.unless_cancelled(turn).await?;
        let plugin = self.planned.id.clone();
        let fetching = async { remote.fetch().await.map_err(|source| LoaderError::Fetch { plugin, source }) };
        self.planned.origin = self.charged(Phase::Fetch, fetching).await?;
        Ok(())
    }

    async fn compile(&self) -> Result<Compiled, LoaderError> {
        let span = tracing::debug_span!(target: "stoa_loader", "phase", phase = %Phase::Compile);
        let compiling = self.ascent.shared.compiler.component(&self.planned);
        self.unless_cancelled(compiling.instrument(span)).await
    }

    /// What it is given by what the signed index lists of it, before anything is fetched; `None` where nothing is listed.
    async fn decide_listed(&self) -> Result<Option<Grants>, LoaderError> {
        let charter = &self.planned.charter;
        let Some(planned) = charter.grants() else { return Ok(None) };
        let Some(authority) = &self.ascent.shared.authority else { return Ok(Some(planned.clone())) };
        Ok(Some(self.decide(authority, charter.needs()).await?.meet(planned)))
    }

    /// What it is given by what its verified component imports. Where that is what was listed, so is what was decided, since
    /// a decision knows nothing else.
    async fn decide_found(&self, scan: &Scan, listed: Option<Grants>) -> Result<Grants, LoaderError> {
        let found = self.found(scan);
        match (listed, &self.ascent.shared.authority) {
            (Some(listed), _) => scan.agrees(&self.planned, &found).map(|()| listed),
            (None, Some(authority)) => self.decide(authority, &found).await,
            (None, None) => self.decide(&Authority::default(), &found).await,
        }
    }

    fn found(&self, scan: &Scan) -> Needs {
        scan.needs(&self.planned.charter, &self.planned.dependencies)
    }

    async fn decide(&self, authority: &Authority, needs: &Needs) -> Result<Grants, LoaderError> {
        let (id, version) = (self.planned.id.clone(), self.planned.version.clone());
        let decided = authority.decide(&Exact { id, version }, needs, self.planned.charter.voucher()).await;
        decided.map_err(|source| LoaderError::Grants { plugin: self.planned.id.clone(), source: Box::new(source) })
    }

    /// Waits for all that it depends on.
    async fn below(&self) -> Result<Vec<Arc<Up<S>>>, LoaderError> {
        let mut below = Vec::new();
        for edge in &self.planned.dependencies {
            let place = self.ascent.places.get(&edge.on).copied();
            let settled = match place {
                Some(place) => self.ascent.settled(place).await,
                None => None,
            };
            match settled {
                Some(Settled::Up(up)) => below.push(up),
                Some(Settled::Down(why)) => return Err(blocked(&self.planned.id, &edge.on, why)),
                None => {
                    let rule = format!("{} comes before it in the plan", edge.on);
                    return Err(LoaderError::Internal { plugin: self.planned.id.clone(), rule });
                }
            }
        }
        Ok(below)
    }

    fn link(
        &self,
        compiled: Compiled,
        below: &[Arc<Up<S>>],
        grants: Grants,
        life: &Arc<Life>,
        reservation: Option<Reservation>,
    ) -> Result<Arc<Slot<S>>, LoaderError> {
        let shared = &self.ascent.shared;
        let Compiled { component, in_use } = compiled;
        let bindings = self.resolve(&self.planned, &component, below, &grants)?;
        let pre = link::link(&shared.base, &shared.provided, &self.planned.id, &component, bindings, &grants)?;
        let exports = Exports::of(&shared.engine, &component);
        let reason = match self.ascent.old.slot(&self.planned.key()) {
            Some(_) => StartReason::Reload,
            None => StartReason::Start,
        };
        let planned = (self.planned.clone(), grants);
        let slot = Slot::new(shared.clone(), planned, exports, pre, reason, life.clone(), reservation);
        Ok(Arc::new(slot.keeping(in_use)))
    }

    fn resolve(
        &self,
        planned: &PlannedPlugin,
        component: &Component,
        below: &[Arc<Up<S>>],
        grants: &Grants,
    ) -> Result<Vec<link::Bound>, LoaderError> {
        let provider = |up: &'_ Arc<Up<S>>| (up.slot.key().clone(), up.slot.clone());
        let slots: Vec<_> = below.iter().map(provider).collect();
        let providers: Providers<'_> =
            slots.iter().map(|(key, slot)| (key.id(), (key.clone(), slot.exports()))).collect();
        let shared = &self.ascent.shared;
        link::resolve(&shared.engine, planned, component, &providers, &shared.offered, grants)
    }

    /// Starts the slot; where the plugin asks for it, after the one it replaces has ended.
    async fn start(&mut self, slot: &Arc<Slot<S>>, below: &[Arc<Up<S>>]) -> Result<(), LoaderError> {
        let shared = &self.ascent.shared;
        let mine = closure(below).into_values().map(|slot| (slot, 0)).collect();
        let graph = Arc::new(Graph::new(shared.id, mine, HashMap::new()).0);
        let within = slot.limits().init_deadline;
        let (host, old) = (shared.id, self.ascent.old.clone());
        let slot = slot.clone();
        self.charged(Phase::Start, async move {
            let call = || Call::root(host, slot.key().clone(), within, graph.clone());
            if slot.planned().runtime.reload == Reload::StopStart {
                if let Some(before) = old.slot(slot.key()) {
                    before.retire(call(), Instant::now() + DRAIN).await;
                }
                slot.admit()?;
            }
            slot.activate(call()).await
        })
        .await
    }

    /// Keeps the version that runs, where it still fits its dependencies; else the plugin is absent.
    async fn fall_back(&self, error: LoaderError) -> (Settled<S>, Outcome) {
        let error = Arc::new(error);
        match self.old_that_fits().await {
            Some(up) => (Settled::Up(up), Outcome::KeptOld(error)),
            None => (Settled::Down(error.clone()), Outcome::Failed(error)),
        }
    }

    async fn old_that_fits(&self) -> Option<Arc<Up<S>>> {
        let old = self.ascent.old.slot(&self.planned.key()).filter(|slot| !slot.is_retired())?;
        let mut below = Vec::new();
        for edge in &old.planned().dependencies {
            // Only those before it: those after it may wait for this one.
            let place = self.ascent.places.get(&edge.on).copied().filter(|place| *place < self.place)?;
            let Some(Settled::Up(up)) = self.ascent.settled(place).await else { return None };
            below.push(up);
        }
        self.resolve(old.planned(), old.component(), &below, old.info.grants()).ok()?;
        Some(Up::new(old.clone(), &below))
    }

    /// The slot that runs exactly what is planned.
    fn unchanged(&self) -> Option<Arc<Slot<S>>> {
        let planned = &self.planned;
        let same = |slot: &&Arc<Slot<S>>| {
            let running = slot.planned();
            // Neither where the bytes lie, nor the place in the host's list, nor what others say of it changes what runs.
            let (origin, quarantined) = (planned.origin.clone(), planned.quarantined.clone());
            *planned == PlannedPlugin { origin, rank: planned.rank, quarantined, ..running.clone() }
        };
        self.ascent.old.slot(&planned.key()).filter(|slot| !slot.is_retired()).filter(same).cloned()
    }
}

/// What `plugin` is told when `on`, which it depends on, does not run: who failed first, and the way there.
fn blocked(plugin: &PluginId, on: &PluginId, why: Arc<LoaderError>) -> LoaderError {
    let (root, rest, source) = match &*why {
        LoaderError::Blocked { root, chain, source, .. } => (root.clone(), chain.clone(), source.clone()),
        _ => (Box::new(on.clone()), vec![on.clone()], why),
    };
    let chain = std::iter::once(plugin.clone()).chain(rest).collect();
    LoaderError::Blocked { plugin: plugin.clone(), root, chain, source }
}
