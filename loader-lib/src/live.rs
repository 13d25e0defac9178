//! An instance of a plugin, in a store of its own.

use wasmtime::{
    Store,
    component::{ComponentExportIndex, Instance},
};

use crate::{
    budget::Account,
    call::Call,
    census::Counted,
    ctx::PluginCtx,
    error::LoaderError,
    guest::Context,
    limits::{Exceeded, Lifting, Limits, machine},
    slot::Slot,
    work::{Stopped, Work},
};

/// Characters that are kept of what a plugin says when it refuses to start or does not work.
const MESSAGE: usize = 1000;

/// What a plugin says, as people may read it.
fn shown(message: &str) -> String {
    message.chars().take(MESSAGE).flat_map(char::escape_debug).collect()
}

/// An instance that can be called.
pub(crate) struct Live<S: 'static> {
    store: Store<PluginCtx<S>>,
    instance: Instance,
    /// How often circuits of the plugin had opened when it was made.
    pub(crate) openings: u64,
    /// Dropped after the store: what is counted as gone is gone.
    _counted: (Counted, Counted),
}

impl<S: Send + 'static> Live<S> {
    /// Makes an instance for `slot` and tells it by `lifecycle.init`, all as part of `call`.
    pub(crate) async fn start(slot: &Slot<S>, call: &Call) -> Result<Self, LoaderError> {
        let (shared, info) = (&slot.shared, &slot.info);
        let (counted, openings) = (shared.counts.stores.one(), slot.openings());
        let (plugin, limits) = (info.id().clone(), info.limits.clone());
        let account = Account::new(plugin, limits, shared.budget.clone(), slot.is_reserved(), shared.bell.clone());
        let state = (shared.make_state)(info);
        let data = PluginCtx::new(state, info.clone(), slot.output.clone(), account, &shared.supply)?;
        let mut store = Store::new(&shared.engine, data);
        store.limiter(|data| &mut data.account);
        store.epoch_deadline_callback(|mut cx| Ok(cx.data_mut().tick()));
        store.set_epoch_deadline(1);
        store.set_hostcall_fuel(slot.fuel(Lifting::Typed));
        store.set_max_component_handles(machine(info.limits.handles));
        store.data_mut().begin(call.clone(), info.limits.init_guest_time);
        let instance = match slot.pre.instantiate_async(&mut store).await {
            Ok(instance) => instance,
            Err(error) => {
                let refused = store.data().account.refused();
                return Err(match slot.explain("its start", info.limits.init_guest_time, refused, error) {
                    LoaderError::Trapped { plugin, source, .. } => LoaderError::Instantiate { plugin, source },
                    other => other,
                });
            }
        };
        let mut live = Self { store, instance, openings, _counted: (counted, shared.counts.instances.one()) };
        if let Some(init) = &slot.exports().init {
            live.init(slot, init).await?;
        }
        live.store.data_mut().end();
        Ok(live)
    }

    async fn init(&mut self, slot: &Slot<S>, init: &ComponentExportIndex) -> Result<(), LoaderError> {
        const INIT: &str = "lifecycle.init";
        let plugin = || slot.key().id().clone();
        let context = Context {
            plugin: slot.key().id().to_string(),
            version: slot.info.version().to_string(),
            host: slot.shared.name.clone(),
            reason: slot.reason(),
        };
        let typed = self.instance.get_typed_func::<(Context,), (Result<(), String>,)>(&mut self.store, init);
        let typed = typed.map_err(|e| LoaderError::Signature {
            plugin: plugin(),
            function: INIT.into(),
            reason: format!("{e:#}"),
        })?;
        match typed.call_async(&mut self.store, (context,)).await {
            Ok((Ok(()),)) => Ok(()),
            Ok((Err(message),)) => Err(LoaderError::Init { plugin: plugin(), message: shown(&message) }),
            Err(error) => Err(slot.explain(INIT, slot.limits().init_guest_time, self.refused(), error)),
        }
    }

    /// What the call that runs was refused first.
    pub(crate) fn refused(&self) -> Option<Exceeded> {
        self.store.data().account.refused()
    }

    /// Calls `function` as `call`.
    pub(crate) async fn call<W: Work<S>>(
        &mut self,
        slot: &Slot<S>,
        call: Call,
        function: &ComponentExportIndex,
        work: W,
    ) -> Result<W::Output, Stopped> {
        let func = self.instance.get_func(&mut self.store, function);
        let func = func.ok_or_else(|| Stopped::Signature("the instance has no such function".into()))?;
        self.store.set_hostcall_fuel(slot.fuel(W::LIFTING));
        self.store.data_mut().begin(call.clone(), slot.limits().guest_time);
        self.store.set_epoch_deadline(1);
        let outcome = call.scope(work.run(&mut self.store, func)).await;
        self.store.data_mut().end();
        outcome
    }

    /// Asks it by `health.check`, as part of `call`, whether it works. Only where it says so is it usable afterwards.
    pub(crate) async fn check(
        &mut self,
        slot: &Slot<S>,
        call: Call,
        check: &ComponentExportIndex,
    ) -> Result<Result<(), String>, Stopped> {
        let typed = self.instance.get_typed_func::<(), (Result<(), String>,)>(&mut self.store, check);
        let typed = typed.map_err(|e| Stopped::Signature(format!("{e:#}")))?;
        self.store.set_hostcall_fuel(slot.fuel(Lifting::Typed));
        self.store.data_mut().begin(call.clone(), slot.limits().guest_time);
        self.store.set_epoch_deadline(1);
        let said = call.scope(typed.call_async(&mut self.store, ())).await;
        self.store.data_mut().end();
        let (said,) = said.map_err(Stopped::Inside)?;
        Ok(said.map_err(|message| shown(&message)))
    }

    /// Tells it by `lifecycle.shutdown`.
    pub(crate) async fn shutdown(
        &mut self,
        call: Call,
        shutdown: &ComponentExportIndex,
        limits: &Limits,
    ) -> wasmtime::Result<()> {
        self.store.data_mut().begin(call, limits.guest_time);
        self.store.set_epoch_deadline(1);
        let typed = self.instance.get_typed_func::<(), ()>(&mut self.store, shutdown)?;
        typed.call_async(&mut self.store, ()).await
    }
}
