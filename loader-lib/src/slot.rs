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
    budget::Account,
    call::{Call, HostId},
    ctx::{PluginCtx, PluginInfo},
    error::LoaderError,
    event::Event,
    exports::{Exports, Function},
    guest::{Context, StartReason},
    host::Shared,
    limits::Limits,
    output::Output,
    plan::{PlannedPlugin, SlotKey},
};

/// Handles that a component may hold on resources, its own and the host's.
const HANDLES: usize = 10_000;
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
            output: Arc::new(Output::new(planned.id.clone())),
            info: Arc::new(info),
            shared,
            planned,
            exports,
            pre,
            cell: Mutex::new(Cell { live: None, reason }),
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
            Some(live) => live.call(call, &function.index, self.limits(), work).await,
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
                drop(live);
                let error = self.explain(&function.full_name, error);
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
                let _place = Place::take(&self.waiting, self.limits().waiters).ok_or_else(|| {
                    LoaderError::Unavailable { plugin: self.planned.id.clone(), waiters: self.limits().waiters }
                })?;
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
        let account =
            Account::new(self.planned.id.clone(), self.info.limits.clone(), shared.budget.clone(), shared.bell.clone());
        let state = (shared.make_state)(&self.info);
        let data = PluginCtx::new(state, self.info.clone(), self.output.clone(), account);
        let mut store = Store::new(&shared.engine, data);
        store.limiter(|data| &mut data.account);
        store.epoch_deadline_callback(|mut cx| Ok(cx.data_mut().tick()));
        store.set_epoch_deadline(1);
        store.set_hostcall_fuel(self.limits().hostcall_fuel());
        store.set_max_component_handles(HANDLES);
        store.data_mut().begin(call.clone(), self.limits().init_guest_time);
        let instance = self.pre.instantiate_async(&mut store).await.map_err(|e| self.not_instantiated(e))?;
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
            Err(error) => Err(self.explain(INIT, error)),
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
        let Some(mut live) = cell.live.take() else { return };
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

    fn explain(&self, function: &str, error: wasmtime::Error) -> LoaderError {
        let (plugin, function) = (self.planned.id.clone(), function.to_owned());
        if let Some(trap) = error.downcast_ref::<DependencyTrap>() {
            let (dependency, source) = (Box::new(trap.dependency.clone()), trap.source.clone());
            return LoaderError::DependencyFailed { plugin, function, dependency, source };
        }
        // Only the end of guest time interrupts; see `PluginCtx::tick`.
        if error.downcast_ref::<Trap>() == Some(&Trap::Interrupt) {
            return LoaderError::GuestTime { plugin, function, limit: self.limits().guest_time };
        }
        LoaderError::Trapped { plugin, function, source: error.into_boxed_dyn_error() }
    }

    fn not_instantiated(&self, error: wasmtime::Error) -> LoaderError {
        match self.explain("its start", error) {
            LoaderError::Trapped { plugin, source, .. } => LoaderError::Instantiate { plugin, source },
            LoaderError::GuestTime { plugin, function, .. } => {
                LoaderError::GuestTime { plugin, function, limit: self.limits().init_guest_time }
            }
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
