//! A plugin in its place: its instances, and the one way into them.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Relaxed, SeqCst},
        },
    },
    time::Duration,
};

use stoa_core::capability::Grants;
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};
use tracing::Instrument as _;
use wasmtime::{
    Trap,
    component::{ComponentExportIndex, InstancePre, Val},
};

use crate::{
    aot::InUse,
    breaker::{Breaker, Caller, Pass},
    bridge::DependencyTrap,
    budget::{Admission, Reservation},
    call::{Call, HostId},
    cancel,
    census::Counted,
    ctx::{PluginCtx, PluginInfo},
    error::LoaderError,
    event::Event,
    exports::{Exports, Function},
    guest::StartReason,
    host::Shared,
    limits::{self, Exceeded, Lifting, Limit, Limits, Taken, machine},
    live::Live,
    output::Output,
    phase::{Life, Phase, Step},
    plan::{PlannedPlugin, SlotKey},
    pool::{Place, Pool, Refused},
    value,
    vitals::Vitals,
    way::Way,
    work::{Stopped, Work},
};

/// A plugin that is linked, with its instances when it has some.
///
/// What a call takes from the pool it puts back when it returns cleanly. A call that is cut off, by a trap, its
/// deadline, a token or a dropped future, puts nothing back, so no poisoned store is ever met again.
pub(crate) struct Slot<S: 'static> {
    pub(crate) shared: Arc<Shared<S>>,
    planned: PlannedPlugin,
    pub(crate) info: Arc<PluginInfo>,
    pub(crate) output: Arc<Output>,
    exports: Exports,
    pub(crate) pre: InstancePre<PluginCtx<S>>,
    life: Arc<Life>,
    pool: Pool<Live<S>>,
    breaker: Arc<Breaker>,
    /// Calls that were made so far.
    calls: AtomicU64,
    /// Instances that were lost so far.
    losses: AtomicU64,
    /// Memory that is set aside for it, from its admission to its end.
    reservation: Mutex<Option<Reservation>>,
    /// Why its first instances are made.
    reason: StartReason,
    /// Whether an instance was lost: what is made from then on is a restart.
    lost: AtomicBool,
    /// Which of what runs is to be cut off.
    stop: watch::Sender<Stop>,
    /// Set when the plugin has ended for good.
    retired: AtomicBool,
    /// Set when it has been taken out of service altogether.
    gone: Arc<watch::Sender<bool>>,
    /// Keeps the file of its code.
    _code: Option<InUse>,
    _counted: Counted,
}

/// What of a plugin is to be cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stop {
    Nothing,
    /// Running calls.
    Calls,
    /// Those, and its goodbye.
    All,
}

impl<S: Send + 'static> Slot<S> {
    pub(crate) fn new(
        shared: Arc<Shared<S>>,
        (planned, grants): (PlannedPlugin, Grants),
        exports: Exports,
        pre: InstancePre<PluginCtx<S>>,
        reason: StartReason,
        life: Arc<Life>,
        reservation: Option<Reservation>,
    ) -> Self {
        let limits = Arc::new(shared.limits.narrowed(&planned.limits));
        let size = pool_size(&planned, &limits);
        let breaker = Breaker::new(
            planned.id.clone(),
            shared.breaking.clone(),
            shared.clock.clone(),
            shared.bell.clone(),
            limits.deadline,
            limits.init_deadline,
        );
        let (key, version, config) = (planned.key(), planned.version.clone(), planned.config.clone());
        let info = PluginInfo { key, version, config, limits, grants };
        Self {
            output: Arc::new(Output::new(
                planned.id.clone(),
                &info.limits,
                shared.log_rate.clone(),
                shared.bell.clone(),
            )),
            info: Arc::new(info),
            _counted: shared.counts.components.one(),
            _code: None,
            shared,
            planned,
            exports,
            pre,
            life,
            pool: Pool::new(size),
            breaker,
            calls: AtomicU64::new(0),
            losses: AtomicU64::new(0),
            reservation: Mutex::new(reservation),
            reason,
            lost: AtomicBool::new(false),
            stop: watch::Sender::new(Stop::Nothing),
            retired: AtomicBool::new(false),
            gone: Arc::new(watch::Sender::new(false)),
        }
    }

    /// Keeps the file of its code in the cache, as long as it is linked.
    pub(crate) fn keeping(self, code: Option<InUse>) -> Self {
        Self { _code: code, ..self }
    }

    pub(crate) fn host(&self) -> HostId {
        self.shared.id
    }

    pub(crate) fn key(&self) -> &SlotKey {
        &self.info.key
    }

    pub(crate) fn planned(&self) -> &PlannedPlugin {
        &self.planned
    }

    pub(crate) fn exports(&self) -> &Exports {
        &self.exports
    }

    pub(crate) fn component(&self) -> &wasmtime::component::Component {
        self.pre.component()
    }

    /// Whether it has ended for good.
    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(SeqCst)
    }

    /// How it does.
    pub(crate) fn vitals(&self) -> Vitals {
        let (pool, busy, waiting) = self.pool.count();
        let (plugin, version) = (self.planned.id.clone(), self.planned.version.clone());
        let (calls, losses) = (self.calls.load(Relaxed), self.losses.load(Relaxed));
        let (breaker, callers) = self.breaker.vitals();
        Vitals { plugin, version, pool, busy, waiting, calls, losses, breaker, callers }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.info.limits
    }

    /// Sets the memory of a plugin aside that is to be loaded, where it declares how much it needs or the host does so for
    /// everyone.
    pub(crate) fn reserve(shared: &Shared<S>, planned: &PlannedPlugin) -> Result<Option<Reservation>, LoaderError> {
        if planned.limits.memory.is_none() && shared.admission != Admission::Everyone {
            return Ok(None);
        }
        let limits = shared.limits.narrowed(&planned.limits);
        let refused = |exceeded| LoaderError::Admission { plugin: planned.id.clone(), exceeded };
        shared.budget.reserve(&limits, pool_size(planned, &limits)).map(Some).map_err(refused)
    }

    /// The same for a plugin that was not loaded with its memory set aside already.
    pub(crate) fn admit(&self) -> Result<(), LoaderError> {
        let reservation = Self::reserve(&self.shared, &self.planned)?;
        *self.reservation() = reservation;
        Ok(())
    }

    /// Whether its memory is set aside.
    pub(crate) fn is_reserved(&self) -> bool {
        self.reservation().is_some()
    }

    fn reservation(&self) -> MutexGuard<'_, Option<Reservation>> {
        // Nothing panics while it holds the lock, so a poisoned one is whole.
        self.reservation.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many bytes `values` have, where they may cross.
    pub(crate) fn weigh(&self, function: &Function, limit: Limit, values: &[Val]) -> Result<u64, LoaderError> {
        let allowed = self.limits().of(limit).unwrap_or(0);
        let size = value::size(values, machine(allowed)) as u64;
        if size <= allowed {
            return Ok(size);
        }
        let (plugin, function) = (self.planned.id.clone(), function.full_name.clone());
        Err(LoaderError::TooLarge { plugin, function, limit, size, allowed })
    }

    /// Counts `size` bytes as under way between plugins until what it returns is dropped.
    pub(crate) fn hold(&self, function: &Function, size: u64) -> Result<Taken, LoaderError> {
        let (plugin, function) = (self.planned.id.clone(), function.full_name.clone());
        let refused = |exceeded| LoaderError::Limit { plugin, function, exceeded, source: None };
        self.shared.under_way.take(size).map_err(refused)
    }

    /// Why an instance that is made now is made.
    pub(crate) fn reason(&self) -> StartReason {
        if self.lost.load(SeqCst) { StartReason::Restart } else { self.reason }
    }

    /// Lets a call of `caller` through, or says when to come again.
    pub(crate) fn ask(&self, caller: impl FnOnce() -> Caller) -> Result<Pass, LoaderError> {
        self.breaker.ask(caller)
    }

    /// How often circuits opened so far.
    pub(crate) fn openings(&self) -> u64 {
        self.breaker.openings()
    }

    /// Calls `function` as `call`, which `pass` lets through, waiting for an instance until the call's deadline.
    pub(crate) async fn invoke<W: Work<S>>(
        &self,
        call: Call,
        pass: Pass,
        function: &Function,
        work: W,
    ) -> Result<W::Output, LoaderError> {
        let (deadline, limit) = (call.deadline, call.limit());
        let tokens = call.tokens();
        let mut stop = self.stop.subscribe();
        let span = tracing::debug_span!(target: "stoa_loader", "call", trace = call.trace, plugin = %self.planned.id, function = function.full_name);
        let way = Way::default();
        let (outcome, verdict) = {
            let turn = self.turn(call.clone(), &pass, &way, function, work).instrument(span);
            tokio::pin!(turn);
            let outcome = tokio::select! {
                biased;
                () = cancel::any_of(&tokens) => Err(self.cancelled(&function.full_name)),
                outcome = timeout_at(deadline, turn.as_mut()) => match outcome {
                    Ok(outcome) => outcome,
                    Err(_) => Err(self.deadline(&function.full_name, limit)),
                },
                _ = stop.wait_for(|stop| *stop >= Stop::Calls) => Err(self.cut_off(&function.full_name)),
            };
            // While the call is still as it was: what it waits for is seen only now.
            let verdict = way.verdict(outcome.as_ref().err(), &call);
            (outcome, verdict)
        };
        pass.note(|| call.caller(), verdict);
        outcome
    }

    /// One call from the queue to its end. Dropping this future cuts the call off.
    async fn turn<W: Work<S>>(
        &self,
        call: Call,
        pass: &Pass,
        way: &Way,
        function: &Function,
        work: W,
    ) -> Result<W::Output, LoaderError> {
        let mut place = self.enter(&function.full_name).await?;
        let _running = self.shared.ticker.run();
        let live = match place.take().filter(|live| pass.may_use(live.openings)) {
            Some(live) => live,
            None => {
                way.starts();
                call.clone().scope(Live::start(self, &call)).await?
            }
        };
        way.enters();
        self.calls.fetch_add(1, Relaxed);
        let mut inside = Inside { slot: self, call: call.clone(), function: &function.full_name, live: Some(live) };
        if let Some(check) = self.exports.health.as_ref().filter(|_| pass.is_probe()) {
            self.check(&mut inside, check).await?;
        }
        self.shared.pass(&self.planned.id, Phase::Run).await.map_err(|fault| {
            inside.live = None;
            self.fail(&function.full_name, None, wasmtime::Error::new(fault))
        })?;
        let outcome = match inside.live.as_mut() {
            Some(live) => live.call(self, call, &function.index, work).await,
            None => return Err(self.cut_off(&function.full_name)),
        };
        let Some(live) = inside.live.take() else { return Err(self.cut_off(&function.full_name)) };
        match outcome {
            Ok(output) => {
                place.leave(live);
                Ok(output)
            }
            Err(Stopped::Signature(reason)) => {
                place.leave(live);
                let (plugin, function) = (self.planned.id.clone(), function.full_name.clone());
                Err(LoaderError::Signature { plugin, function, reason })
            }
            Err(Stopped::Inside(error)) => {
                let refused = live.refused();
                drop(live);
                Err(self.fail(&function.full_name, refused, error))
            }
        }
    }

    /// Asks an instance whether it works. One that does not is lost.
    async fn check(&self, inside: &mut Inside<'_, S>, check: &ComponentExportIndex) -> Result<(), LoaderError> {
        const CHECK: &str = "health.check";
        let Some(live) = inside.live.as_mut() else { return Ok(()) };
        let plugin = || self.planned.id.clone();
        let error = match live.check(self, inside.call.clone(), check).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(message)) => LoaderError::Unhealthy { plugin: plugin(), message },
            Err(Stopped::Signature(reason)) => {
                LoaderError::Signature { plugin: plugin(), function: CHECK.into(), reason }
            }
            Err(Stopped::Inside(error)) => self.explain(CHECK, self.limits().guest_time, live.refused(), error),
        };
        inside.live = None;
        self.tell_loss(&error);
        Err(error)
    }

    /// Waits for an instance, as one of a bounded number.
    async fn enter(&self, function: &str) -> Result<Place<'_, Live<S>>, LoaderError> {
        let waiters = machine(self.limits().waiters);
        self.pool.enter(waiters).await.map_err(|refused| match refused {
            Refused::Full => LoaderError::Unavailable { plugin: self.planned.id.clone(), waiters },
            Refused::Closed => self.cut_off(function),
        })
    }

    /// Makes an instance before anybody calls it.
    pub(crate) async fn activate(&self, call: Call) -> Result<(), LoaderError> {
        const START: &str = "its start";
        let (deadline, limit) = (call.deadline, call.limit());
        let work = async {
            let place = self.enter(START).await?;
            let _running = self.shared.ticker.run();
            place.leave(call.clone().scope(Live::start(self, &call)).await?);
            Ok(())
        };
        timeout_at(deadline, work).await.unwrap_or_else(|_| Err(self.deadline(START, limit)))
    }

    /// Ends the plugin: waits for the calls that run, at most until `until`, lets the guest say goodbye, and drops
    /// its stores. Later calls are refused.
    ///
    /// Once begun it goes on to its end, also where whoever waits for it stops waiting, as does one whose plan is cancelled
    /// or out of time; whoever comes second waits for that end too.
    pub(crate) async fn retire(self: &Arc<Self>, goodbye: Call, until: Instant) {
        if !self.retired.swap(true, SeqCst) {
            let (gone, slot) = (Gone(self.gone.clone()), self.clone());
            self.shared.runtime.spawn(async move {
                // Told last, when this task holds the slot no more.
                let _gone = gone;
                let slot = slot;
                slot.leave(goodbye, until).await;
            });
        }
        // The sender is in this slot, so there is no error.
        let _ = self.gone.subscribe().wait_for(|gone| *gone).await;
    }

    async fn leave(&self, goodbye: Call, until: Instant) {
        self.step(Step::Retire);
        let drained = async {
            self.shared.pass(&self.planned.id, Phase::Drain).await?;
            Ok::<_, LoaderError>(self.pool.close().await)
        };
        let instances = match timeout_at(until, drained).await {
            Ok(Ok(instances)) => instances,
            _ => {
                self.cut(Stop::Calls);
                self.pool.close().await
            }
        };
        self.step(Step::Done);
        self.say_goodbye(instances, goodbye, until).await;
        drop(self.reservation().take());
        self.step(Step::Done);
    }

    /// Tells all instances by `lifecycle.shutdown`, at most until `until`, and drops them.
    async fn say_goodbye(&self, mut instances: Vec<Live<S>>, goodbye: Call, until: Instant) {
        let mut stop = self.stop.subscribe();
        let _running = self.shared.ticker.run();
        let each = instances.iter_mut().map(|live| {
            let goodbye = goodbye.clone();
            async move {
                let Some(shutdown) = &self.exports.shutdown else { return };
                let said = goodbye.clone().scope(live.shutdown(goodbye, shutdown, self.limits())).await;
                if let Err(error) = said {
                    let plugin = &self.planned.id;
                    tracing::warn!(target: "stoa_loader", %plugin, error = format!("{error:#}"), "lifecycle.shutdown failed");
                }
            }
        });
        let all = async {
            self.shared.pass(&self.planned.id, Phase::Stop).await?;
            futures::future::join_all(each).await;
            Ok::<_, LoaderError>(())
        };
        let outcome = tokio::select! {
            biased;
            outcome = timeout_at(until, all) => outcome.ok(),
            _ = stop.wait_for(|stop| *stop == Stop::All) => None,
        };
        let plugin = &self.planned.id;
        match outcome {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                tracing::warn!(target: "stoa_loader", %plugin, %error, "lifecycle.shutdown failed");
            }
            None => tracing::warn!(target: "stoa_loader", %plugin, "lifecycle.shutdown was cut off"),
        }
    }

    /// Cuts off all that still runs here, its goodbye too.
    pub(crate) fn cut_off_all(&self) {
        self.cut(Stop::All);
    }

    fn cut(&self, what: Stop) {
        self.stop.send_if_modified(|stop| {
            let more = *stop < what;
            *stop = what.max(*stop);
            more
        });
    }

    /// A step of its life that only a bug can refuse; its end goes on all the same.
    fn step(&self, step: Step) {
        if let Err(error) = self.life.step(step) {
            tracing::error!(target: "stoa_loader", %error, "a plugin's life is out of order");
        }
    }

    /// A call was left by an error: tells that the instance is lost.
    fn fail(&self, function: &str, refused: Option<Exceeded>, error: wasmtime::Error) -> LoaderError {
        let error = self.explain(function, self.limits().guest_time, refused, error);
        self.tell_loss(&error);
        error
    }

    /// What a guest may hand to the host while a call runs whose results are lifted so. Calls into other plugins are
    /// lifted as `Val`s.
    pub(crate) fn fuel(&self, results: Lifting) -> usize {
        let bridged = !self.planned.dependencies.is_empty();
        limits::fuel(self.limits(), if bridged { Lifting::Dynamic } else { results })
    }

    /// Why a guest ended: `refused` is what it was refused before that, in the same call.
    pub(crate) fn explain(
        &self,
        function: &str,
        guest_time: Duration,
        refused: Option<Exceeded>,
        error: wasmtime::Error,
    ) -> LoaderError {
        let (plugin, function) = (self.planned.id.clone(), function.to_owned());
        if let Some(trap) = error.downcast_ref::<DependencyTrap>() {
            let (dependency, source) = (Box::new(trap.dependency.clone()), trap.source.clone());
            return LoaderError::DependencyFailed { plugin, function, dependency, source };
        }
        // Only the end of guest time interrupts; see `PluginCtx::tick`.
        if error.downcast_ref::<Trap>() == Some(&Trap::Interrupt) {
            return LoaderError::GuestTime { plugin, function, limit: guest_time };
        }
        // Most guests trap when they are refused memory, and say no more than that.
        let exceeded = limits::engine::exceeded(&error, self.limits()).or(refused);
        let source = error.into_boxed_dyn_error();
        match exceeded {
            Some(exceeded) => LoaderError::Limit { plugin, function, exceeded, source: Some(source) },
            None => LoaderError::Trapped { plugin, function, source },
        }
    }

    fn deadline(&self, function: &str, limit: Duration) -> LoaderError {
        LoaderError::Deadline { plugin: self.planned.id.clone(), function: function.to_owned(), limit }
    }

    fn cut_off(&self, function: &str) -> LoaderError {
        LoaderError::CutOff { plugin: self.planned.id.clone(), function: function.to_owned() }
    }

    fn cancelled(&self, function: &str) -> LoaderError {
        LoaderError::Cancelled { plugin: self.planned.id.clone(), function: function.to_owned() }
    }

    fn tell_loss(&self, cause: &LoaderError) {
        self.lost.store(true, SeqCst);
        self.losses.fetch_add(1, Relaxed);
        let plugin = self.planned.id.clone();
        self.shared.bell.ring(Event::StateLost { plugin, code: cause.code(), cause: cause.chain() });
    }
}

/// How many instances a plugin may have.
fn pool_size(planned: &PlannedPlugin, limits: &Limits) -> u32 {
    planned.runtime.instances.at_most(u32::try_from(limits.pool).unwrap_or(u32::MAX))
}

/// Tells the end of a retirement, also where it panics: nobody waits for ever.
struct Gone(Arc<watch::Sender<bool>>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

/// A call between entering the guest and leaving it. Dropped with the instance still in it, the call was
/// cut off, and the instance is lost.
struct Inside<'s, S: Send + 'static> {
    slot: &'s Slot<S>,
    call: Call,
    function: &'s str,
    live: Option<Live<S>>,
}

impl<S: Send + 'static> Drop for Inside<'_, S> {
    fn drop(&mut self) {
        if self.live.take().is_some() {
            let (slot, function) = (self.slot, self.function);
            slot.tell_loss(&match Instant::now() < self.call.deadline {
                _ if self.call.is_cancelled() => slot.cancelled(function),
                true => slot.cut_off(function),
                false => slot.deadline(function, self.call.limit()),
            });
        }
    }
}
