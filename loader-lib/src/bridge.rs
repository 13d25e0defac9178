//! Calls from one plugin into another.
//!
//! An import that another plugin serves is a host function that looks up the provider in the generation
//! that the chain of calls pinned, and calls it in the provider's own store. What fails there comes back
//! as a value, since an error out of a host function would end the caller too.

use std::sync::Arc;

use stoa_core::id::PluginId;
use wasmtime::{
    StoreContextMut,
    component::{LinkerInstance, Val},
};

use crate::{
    call::Call,
    ctx::PluginCtx,
    error::LoaderError,
    graph::Graph,
    limits::Limit,
    plan::SlotKey,
    value::{self, Failure},
    work::Dynamic,
};

/// A function of another plugin, as an importer is bound to it.
#[derive(Debug)]
pub(crate) struct Target {
    /// The importer.
    pub(crate) caller: PluginId,
    /// The provider.
    pub(crate) key: SlotKey,
    /// The interface as the provider exports it.
    pub(crate) interface: String,
    /// The function.
    pub(crate) name: String,
    /// How the importer is told of a failure; none = by a trap.
    pub(crate) failure: Option<Failure>,
    /// Whether the importer may call it at all.
    pub(crate) granted: bool,
}

/// A call to a dependency failed, and the caller is to trap for it. Carried through the guest's stack.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{dependency}, which this plugin depends on, failed")]
pub(crate) struct DependencyTrap {
    pub(crate) dependency: PluginId,
    #[source]
    pub(crate) source: Arc<LoaderError>,
}

/// Defines the importing side of `target`.
pub(crate) fn define<S: Send + 'static>(
    instance: &mut LinkerInstance<'_, PluginCtx<S>>,
    target: Arc<Target>,
) -> wasmtime::Result<()> {
    let name = target.name.clone();
    instance.func_new_async(&name, move |mut cx: StoreContextMut<'_, PluginCtx<S>>, _, params, results| {
        let target = target.clone();
        Box::new(async move {
            let call = cx.data().call().cloned();
            let below = call.as_ref().map(Call::waits);
            let outcome = target.call::<S>(call, params, results).await;
            drop(below);
            // Waiting is free: the ticks that passed meanwhile belong to the callee.
            cx.set_epoch_deadline(1);
            target.answer(outcome, results)
        })
    })
}

impl Target {
    async fn call<S: Send + 'static>(
        &self,
        call: Option<Call>,
        params: &[Val],
        results: &mut [Val],
    ) -> Result<(), LoaderError> {
        if !self.granted {
            let (plugin, dependency) = (self.caller.clone(), Box::new(self.key.id().clone()));
            return Err(LoaderError::Denied { plugin, dependency });
        }
        let gone = || LoaderError::UnknownPlugin { plugin: self.key.to_string() };
        let call = call.ok_or_else(gone)?;
        let generation = call.generation::<Graph<S>>().ok_or_else(gone)?;
        let slot = generation.slot(&self.key).ok_or_else(gone)?;
        let function = slot.exports().get(&self.interface, &self.name).ok_or_else(gone)?.clone();
        let next = call.next(slot.host(), self.key.clone(), slot.limits().deadline)?;
        let size = slot.weigh(&function, Limit::CallBytes, params)?;
        let _under_way = slot.hold(&function, size)?;
        let pass = slot.ask(|| next.caller())?;
        slot.invoke(next, pass, &function, Dynamic { params, results }).await?;
        slot.weigh(&function, Limit::ResultBytes, results)?;
        Ok(())
    }

    /// Turns a failure into what the importer is to see.
    fn answer(&self, outcome: Result<(), LoaderError>, results: &mut [Val]) -> wasmtime::Result<()> {
        let Err(error) = outcome else { return Ok(()) };
        tracing::debug!(target: "stoa_loader", caller = %self.caller, callee = %self.key, %error, "a call between plugins failed");
        match (self.failure, results) {
            (Some(failure), [result]) => {
                *result = failure.value(&value::told(&error));
                Ok(())
            }
            _ => {
                let trap = DependencyTrap { dependency: self.key.id().clone(), source: Arc::new(error) };
                Err(wasmtime::Error::new(trap))
            }
        }
    }
}
