//! What a plugin's store holds.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use stoa_core::{capability::Grants, id::PluginId, version::Version};
use wasmtime::{UpdateDeadline, component::ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::{
    budget::Account,
    call::Call,
    context::CallContext,
    error::LoaderError,
    limits::{Limits, machine},
    output::Output,
    plan::{ConfigValue, SlotKey},
    supply::Supply,
    ticker::TICK,
};

/// What a host may know of a plugin whose state it makes.
#[derive(Debug)]
pub struct PluginInfo {
    pub(crate) key: SlotKey,
    pub(crate) version: Version,
    pub(crate) config: BTreeMap<String, ConfigValue>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) grants: Grants,
}

impl PluginInfo {
    /// Its name.
    pub fn id(&self) -> &PluginId {
        self.key.id()
    }

    /// Its version.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// Its slot.
    pub fn key(&self) -> &SlotKey {
        &self.key
    }

    /// What it may reach. Host functions that lead further than their names say look here.
    pub fn grants(&self) -> &Grants {
        &self.grants
    }

    /// The limits it runs under.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }
}

/// The data of a plugin's store: the host's own state for it, and what the loader keeps.
pub struct PluginCtx<S> {
    state: S,
    info: Arc<PluginInfo>,
    output: Arc<Output>,
    wasi: WasiCtx,
    table: ResourceTable,
    pub(crate) account: Account,
    /// Guest time left to the running call, in ticks.
    ticks: u64,
    /// The call that runs; none while idle, so that an idle plugin pins no generation.
    call: Option<Call>,
}

impl<S> PluginCtx<S> {
    /// All of WASI is linked, and leads to what was granted: see [`Supply::wasi`].
    pub(crate) fn new(
        state: S,
        info: Arc<PluginInfo>,
        output: Arc<Output>,
        account: Account,
        supply: &Supply,
    ) -> Result<Self, LoaderError> {
        let wasi = supply.wasi(&info.grants, &output, info.limits.random_bytes)?;
        let mut table = ResourceTable::new();
        table.set_max_capacity(machine(info.limits.handles));
        Ok(Self { state, info, output, wasi, table, account, ticks: 0, call: None })
    }

    /// The host's own state for this plugin.
    pub fn state(&self) -> &S {
        &self.state
    }

    /// The same, to be changed.
    pub fn state_mut(&mut self) -> &mut S {
        &mut self.state
    }

    /// Which plugin this is.
    pub fn info(&self) -> &PluginInfo {
        &self.info
    }

    /// The call that this plugin serves now; none while it serves none.
    pub fn context(&self) -> Option<CallContext> {
        self.call.as_ref().map(CallContext::of)
    }

    pub(crate) fn output(&self) -> &Output {
        &self.output
    }

    /// The call that runs, if one does.
    pub(crate) fn call(&self) -> Option<&Call> {
        self.call.as_ref()
    }

    pub(crate) fn begin(&mut self, call: Call, guest_time: Duration) {
        // At least one tick, since the first can come at any moment.
        self.ticks = u64::try_from(guest_time.as_nanos() / TICK.as_nanos()).unwrap_or(u64::MAX).max(1);
        self.account.begin();
        self.call = Some(call);
    }

    pub(crate) fn end(&mut self) {
        self.call = None;
    }

    /// Charges one tick to the running call, and lets other tasks run; a trap when there is none left.
    pub(crate) fn tick(&mut self) -> UpdateDeadline {
        if self.ticks == 0 {
            return UpdateDeadline::Interrupt;
        }
        self.ticks -= 1;
        // The runtime's own yield: it lets timers fire, and so deadlines, before the guest goes on.
        UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now()))
    }
}

impl<S: Send> WasiView for PluginCtx<S> {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}
