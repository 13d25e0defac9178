//! A plugin in its place: its store, and the one way into it.

use std::{
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
};

use tokio::{
    sync::{Mutex, MutexGuard, watch},
    time::{Instant, timeout_at},
};
use tracing::Instrument as _;
use wasmtime::{
    Store, Trap,
    component::{ComponentExportIndex, ComponentNamedList, Func, Instance, InstancePre, Lift, Lower, Val},
};

use crate::{
    bridge::DependencyTrap,
    budget::{Account, Admission, Reservation},
    call::{Call, HostId},
    ctx::{PluginCtx, PluginInfo},
    error::LoaderError,
    event::Event,
    exports::{Exports, Function},
    guest::{Context, StartReason},
    host::Shared,
    limits::{self, Exceeded, Lifting, Limit, Limits, Taken, machine},
    output::Output,
    plan::{PlannedPlugin, SlotKey},
    value,
};

/// Characters that are kept of what a plugin says when it refuses to start.
const MESSAGE: usize = 1000;

/// A plugin that is linked, with its instance when it has one.
pub(crate) struct Slot<S: 'static> {
    shared: Arc<Shared<S>>,
    planned: PlannedPlugin,
    info: Arc<PluginInfo>,
    output: Arc<Output>,
    exports: Exports,
    pre: InstancePre<PluginCtx<S>>,
    cell: Mutex<Cell<S>>,
    /// Memory that is set aside for it, from its admission to its end.
    reservation: std::sync::Mutex<Option<Reservation>>,
    /// Calls that wait for the cell.
    waiting: AtomicUsize,
    /// Set when running calls are to be cut off.
    stop: watch::Sender<bool>,
    /// Set, with the cell locked, when the plugin has ended for good.
    retired: AtomicBool,
}

/// What a call takes from the slot and puts back when it returns cleanly. A call that is cut off, by a
/// trap, its deadline or a dropped future, puts nothing back, so no poisoned store is ever met again.
struct Cell<S: 'static> {
    live: Option<Live<S>>,
    /// Why the next instance is made.
    reason: StartReason,
}

struct Live<S: 'static> {
    store: Store<PluginCtx<S>>,
    instance: Instance,
}

/// What a call does once it has the store.
pub(crate) trait Work<S: 'static>: Send {
    /// What it yields.
    type Output: Send;

    /// How values come out of the guest.
    const LIFTING: Lifting;

    /// Does it. Only [`Stopped::Signature`] leaves the store usable.
    fn run(
        self,
        store: &mut Store<PluginCtx<S>>,
        func: Func,
    ) -> impl Future<Output = Result<Self::Output, Stopped>> + Send;
}

/// Why a call did not return.
pub(crate) enum Stopped {
    /// It was not made: the types do not fit.
    Signature(String),
    /// The guest was entered and left by an error.
    Inside(wasmtime::Error),
}

/// A call with values of types known at run time. They were checked before.
pub(crate) struct Dynamic<'v> {
    pub(crate) params: &'v [Val],
    pub(crate) results: &'v mut [Val],
}

impl<S: Send + 'static> Work<S> for Dynamic<'_> {
    type Output = ();
    const LIFTING: Lifting = Lifting::Dynamic;

    async fn run(self, store: &mut Store<PluginCtx<S>>, func: Func) -> Result<(), Stopped> {
        func.call_async(store, self.params, self.results).await.map_err(Stopped::Inside)
    }
}

/// A call with Rust types.
pub(crate) struct Typed<P, R> {
    pub(crate) params: P,
    pub(crate) returns: PhantomData<fn() -> R>,
}

impl<S, P, R> Work<S> for Typed<P, R>
where
    S: Send + 'static,
    P: ComponentNamedList + Lower + Send + Sync + 'static,
    R: ComponentNamedList + Lift + Send + Sync + 'static,
{
    type Output = R;
    const LIFTING: Lifting = Lifting::Typed;

    async fn run(self, store: &mut Store<PluginCtx<S>>, func: Func) -> Result<R, Stopped> {
        let typed = func.typed::<P, R>(&mut *store).map_err(|e| Stopped::Signature(format!("{e:#}")))?;
        typed.call_async(store, self.params).await.map_err(Stopped::Inside)
    }
}

impl<S: Send + 'static> Slot<S> {
    pub(crate) fn new(
        shared: Arc<Shared<S>>,
        planned: PlannedPlugin,
        exports: Exports,
        pre: InstancePre<PluginCtx<S>>,
        reason: StartReason,
    ) -> Self {
        let info = PluginInfo {
            key: planned.key(),
            version: planned.version.clone(),
            config: planned.config.clone(),
            limits: Arc::new(shared.limits.narrowed(&planned.limits)),
        };
        Self {
            output: Arc::new(Output::new(
                planned.id.clone(),
                &info.limits,
                shared.log_rate.clone(),
                shared.bell.clone(),
            )),
            info: Arc::new(info),
            shared,
            planned,
            exports,
            pre,
            cell: Mutex::new(Cell { live: None, reason }),
            reservation: std::sync::Mutex::default(),
            waiting: AtomicUsize::new(0),
            stop: watch::Sender::new(false),
            retired: AtomicBool::new(false),
        }
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

    pub(crate) fn limits(&self) -> &Limits {
        &self.info.limits
    }

    /// Sets its memory aside, where it declares how much it needs or the host does so for everyone. Once is enough.
    pub(crate) fn admit(&self) -> Result<(), LoaderError> {
        let declared = self.planned.limits.memory.is_some() || self.shared.admission == Admission::Everyone;
        let mut reservation = self.reservation();
        if declared && reservation.is_none() {
            let refused = |exceeded| LoaderError::Admission { plugin: self.planned.id.clone(), exceeded };
            *reservation = Some(self.shared.budget.reserve(self.limits()).map_err(refused)?);
        }
        Ok(())
    }

    fn reservation(&self) -> std::sync::MutexGuard<'_, Option<Reservation>> {
        // Nothing panics while it holds the lock, so a poisoned one is whole.
        self.reservation.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
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

    /// Calls `function` as `call`, waiting for the store until the call's deadline.
    pub(crate) async fn invoke<W: Work<S>>(
        &self,
        call: Call,
        function: &Function,
        work: W,
    ) -> Result<W::Output, LoaderError> {
        let (deadline, limit) = (call.deadline, call.limit());
        let mut stop = self.stop.subscribe();
        let span = tracing::debug_span!(target: "stoa_loader", "call", trace = call.trace, plugin = %self.planned.id, function = function.full_name);
        tokio::select! {
            biased;
            outcome = timeout_at(deadline, self.turn(call, function, work).instrument(span)) => match outcome {
                Ok(outcome) => outcome,
                Err(_) => Err(self.deadline(&function.full_name, limit)),
            },
            _ = stop.wait_for(|stop| *stop) => Err(self.cut_off(&function.full_name)),
        }
    }

    /// One call from the queue to its end. Dropping this future cuts the call off.
    async fn turn<W: Work<S>>(&self, call: Call, function: &Function, work: W) -> Result<W::Output, LoaderError> {
        let mut cell = self.enter(&function.full_name).await?;
        let _running = self.shared.ticker.run();
        let live = match cell.live.take() {
            Some(live) => live,
            None => {
                let live = call.clone().scope(self.start(&call, cell.reason)).await?;
                cell.reason = StartReason::Restart;
                live
            }
        };
        let mut inside =
            Inside { slot: self, deadline: call.deadline, function: &function.full_name, live: Some(live) };
        let outcome = match inside.live.as_mut() {
            Some(live) => {
                live.store.set_hostcall_fuel(self.fuel(W::LIFTING));
                live.call(call, &function.index, self.limits(), work).await
            }
            None => return Err(self.cut_off(&function.full_name)),
        };
        let live = inside.live.take();
        match outcome {
            Ok(output) => {
                cell.live = live;
                Ok(output)
            }
            Err(Stopped::Signature(reason)) => {
                cell.live = live;
                let (plugin, function) = (self.planned.id.clone(), function.full_name.clone());
                Err(LoaderError::Signature { plugin, function, reason })
            }
            Err(Stopped::Inside(error)) => {
                let refused = live.as_ref().and_then(Live::refused);
                drop(live);
                let error = self.explain(&function.full_name, self.limits().guest_time, refused, error);
                self.lost(&error);
                Err(error)
            }
        }
    }

    /// Waits for the store, as one of a bounded number.
    async fn enter(&self, function: &str) -> Result<MutexGuard<'_, Cell<S>>, LoaderError> {
        let cell = match self.cell.try_lock() {
            Ok(cell) => cell,
            Err(_) => {
                let waiters = machine(self.limits().waiters);
                let full = || LoaderError::Unavailable { plugin: self.planned.id.clone(), waiters };
                let _place = Place::take(&self.waiting, waiters).ok_or_else(full)?;
                self.cell.lock().await
            }
        };
        if self.is_retired() { Err(self.cut_off(function)) } else { Ok(cell) }
    }

    /// Makes the instance before anybody calls it.
    pub(crate) async fn activate(&self, call: Call) -> Result<(), LoaderError> {
        let (deadline, limit) = (call.deadline, call.limit());
        let work = async {
            let mut cell = self.cell.lock().await;
            let _running = self.shared.ticker.run();
            cell.live = Some(call.clone().scope(self.start(&call, cell.reason)).await?);
            cell.reason = StartReason::Restart;
            Ok(())
        };
        timeout_at(deadline, work).await.unwrap_or_else(|_| Err(self.deadline("its start", limit)))
    }

    async fn start(&self, call: &Call, reason: StartReason) -> Result<Live<S>, LoaderError> {
        let shared = &self.shared;
        let (limits, reserved) = (self.info.limits.clone(), self.reservation().is_some());
        let account =
            Account::new(self.planned.id.clone(), limits, shared.budget.clone(), reserved, shared.bell.clone());
        let state = (shared.make_state)(&self.info);
        let data = PluginCtx::new(state, self.info.clone(), self.output.clone(), account);
        let mut store = Store::new(&shared.engine, data);
        store.limiter(|data| &mut data.account);
        store.epoch_deadline_callback(|mut cx| Ok(cx.data_mut().tick()));
        store.set_epoch_deadline(1);
        store.set_hostcall_fuel(self.fuel(Lifting::Typed));
        store.set_max_component_handles(machine(self.limits().handles));
        store.data_mut().begin(call.clone(), self.limits().init_guest_time);
        let instance = match self.pre.instantiate_async(&mut store).await {
            Ok(instance) => instance,
            Err(error) => return Err(self.not_instantiated(store.data().account.refused(), error)),
        };
        let mut live = Live { store, instance };
        if let Some(init) = &self.exports.init {
            self.init(&mut live, init, reason).await?;
        }
        live.store.data_mut().end();
        Ok(live)
    }

    async fn init(
        &self,
        live: &mut Live<S>,
        init: &ComponentExportIndex,
        reason: StartReason,
    ) -> Result<(), LoaderError> {
        const INIT: &str = "lifecycle.init";
        let plugin = || self.planned.id.clone();
        let context = Context {
            plugin: self.planned.id.to_string(),
            version: self.planned.version.to_string(),
            host: self.shared.name.clone(),
            reason,
        };
        let typed =
            live.instance.get_typed_func::<(Context,), (Result<(), String>,)>(&mut live.store, init).map_err(|e| {
                LoaderError::Signature { plugin: plugin(), function: INIT.into(), reason: format!("{e:#}") }
            })?;
        match typed.call_async(&mut live.store, (context,)).await {
            Ok((Ok(()),)) => Ok(()),
            Ok((Err(message),)) => {
                let message = message.chars().take(MESSAGE).flat_map(char::escape_debug).collect();
                Err(LoaderError::Init { plugin: plugin(), message })
            }
            Err(error) => Err(self.explain(INIT, self.limits().init_guest_time, live.refused(), error)),
        }
    }

    /// Ends the plugin: waits for the call that runs, at most until `until`, lets the guest say goodbye,
    /// and drops its store. Later calls are refused.
    pub(crate) async fn retire(&self, goodbye: Call, until: Instant) {
        let mut cell = match timeout_at(until, self.cell.lock()).await {
            Ok(cell) => cell,
            Err(_) => {
                self.stop.send_replace(true);
                self.cell.lock().await
            }
        };
        self.retired.store(true, SeqCst);
        if let Some(live) = cell.live.take() {
            self.say_goodbye(live, goodbye, until).await;
        }
        drop(self.reservation().take());
    }

    async fn say_goodbye(&self, mut live: Live<S>, goodbye: Call, until: Instant) {
        if let Some(shutdown) = &self.exports.shutdown {
            let _running = self.shared.ticker.run();
            let call = goodbye.clone().scope(live.shutdown(goodbye, shutdown, self.limits()));
            match timeout_at(until, call).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::warn!(target: "stoa_loader", plugin = %self.planned.id, error = format!("{error:#}"), "lifecycle.shutdown failed")
                }
                Err(_) => {
                    tracing::warn!(target: "stoa_loader", plugin = %self.planned.id, "lifecycle.shutdown was cut off")
                }
            }
        }
    }

    /// What a guest may hand to the host while a call runs whose results are lifted so. Calls into other plugins are
    /// lifted as `Val`s.
    fn fuel(&self, results: Lifting) -> usize {
        let bridged = !self.planned.dependencies.is_empty();
        limits::fuel(self.limits(), if bridged { Lifting::Dynamic } else { results })
    }

    /// Why a guest ended: `refused` is what it was refused before that, in the same call.
    fn explain(
        &self,
        function: &str,
        guest_time: std::time::Duration,
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

    fn not_instantiated(&self, refused: Option<Exceeded>, error: wasmtime::Error) -> LoaderError {
        match self.explain("its start", self.limits().init_guest_time, refused, error) {
            LoaderError::Trapped { plugin, source, .. } => LoaderError::Instantiate { plugin, source },
            other => other,
        }
    }

    fn deadline(&self, function: &str, limit: std::time::Duration) -> LoaderError {
        LoaderError::Deadline { plugin: self.planned.id.clone(), function: function.to_owned(), limit }
    }

    fn cut_off(&self, function: &str) -> LoaderError {
        LoaderError::CutOff { plugin: self.planned.id.clone(), function: function.to_owned() }
    }

    fn lost(&self, cause: &LoaderError) {
        let plugin = self.planned.id.clone();
        self.shared.bell.ring(Event::StateLost { plugin, code: cause.code(), cause: cause.chain() });
    }
}

impl<S: Send + 'static> Live<S> {
    /// What the call that runs was refused first.
    fn refused(&self) -> Option<Exceeded> {
        self.store.data().account.refused()
    }

    async fn call<W: Work<S>>(
        &mut self,
        call: Call,
        function: &ComponentExportIndex,
        limits: &Limits,
        work: W,
    ) -> Result<W::Output, Stopped> {
        let func = self.instance.get_func(&mut self.store, function);
        let func = func.ok_or_else(|| Stopped::Signature("the instance has no such function".into()))?;
        self.store.data_mut().begin(call.clone(), limits.guest_time);
        self.store.set_epoch_deadline(1);
        let outcome = call.scope(work.run(&mut self.store, func)).await;
        self.store.data_mut().end();
        outcome
    }

    async fn shutdown(&mut self, call: Call, shutdown: &ComponentExportIndex, limits: &Limits) -> wasmtime::Result<()> {
        self.store.data_mut().begin(call, limits.guest_time);
        self.store.set_epoch_deadline(1);
        let typed = self.instance.get_typed_func::<(), ()>(&mut self.store, shutdown)?;
        typed.call_async(&mut self.store, ()).await
    }
}

/// A call between entering the guest and leaving it. Dropped with the instance still in it, the call was
/// cut off, and the instance is lost.
struct Inside<'s, S: Send + 'static> {
    slot: &'s Slot<S>,
    deadline: Instant,
    function: &'s str,
    live: Option<Live<S>>,
}

impl<S: Send + 'static> Drop for Inside<'_, S> {
    fn drop(&mut self) {
        if self.live.take().is_some() {
            let plugin = self.slot.planned.id.clone();
            let function = self.function.to_owned();
            self.slot.lost(&match Instant::now() < self.deadline {
                true => LoaderError::CutOff { plugin, function },
                false => LoaderError::Deadline { plugin, function, limit: self.slot.limits().deadline },
            });
        }
    }
}

/// A place in the queue of a slot.
struct Place<'s>(&'s AtomicUsize);

impl<'s> Place<'s> {
    fn take(waiting: &'s AtomicUsize, limit: usize) -> Option<Self> {
        let one_more = |waiting: usize| (waiting < limit).then_some(waiting + 1);
        waiting.try_update(SeqCst, SeqCst, one_more).ok().map(|_| Self(waiting))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}
