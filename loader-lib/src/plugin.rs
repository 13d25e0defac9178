//! Handles to plugins: names, never instances.

use std::{marker::PhantomData, sync::Arc, time::Duration};

use stoa_core::{id::PluginId, version::Version};
use wasmtime::component::{ComponentNamedList, Lift, Lower, Type, Val, wasm_wave::untyped::UntypedFuncCall};

use crate::{
    breaker::Pass,
    call::Call,
    cancel::CancelToken,
    error::LoaderError,
    exports::Function,
    graph::Graph,
    host::Host,
    limits::Limit,
    slot::Slot,
    value,
    vitals::Vitals,
    work::{Dynamic, Typed},
};

/// A plugin of a host, by name. It stays valid over reloads and traps; whether the plugin is still there
/// is found out by calling it.
///
/// Calls run as tasks of their own: a caller that stops waiting does not cut its call off, which would cost
/// the plugin its memory. The call then ends by itself, at the latest at its deadline.
pub struct Plugin<S: 'static> {
    host: Host<S>,
    id: PluginId,
    within: Option<Duration>,
    token: Option<CancelToken>,
}

impl<S: 'static> Clone for Plugin<S> {
    fn clone(&self) -> Self {
        Self { host: self.host.clone(), id: self.id.clone(), within: self.within, token: self.token.clone() }
    }
}

/// A call that is about to be made: in this graph, into this slot.
struct Ready<S: 'static> {
    graph: Arc<Graph<S>>,
    slot: Arc<Slot<S>>,
}

impl<S: Send + 'static> Plugin<S> {
    pub(crate) fn new(host: Host<S>, id: PluginId) -> Self {
        Self { host, id, within: None, token: None }
    }

    /// Its name.
    pub fn id(&self) -> &PluginId {
        &self.id
    }

    /// The version that runs now.
    ///
    /// # Errors
    ///
    /// [`LoaderError::UnknownPlugin`], [`LoaderError::NotLoaded`].
    pub fn version(&self) -> Result<Version, LoaderError> {
        Ok(self.ready()?.slot.planned().version.clone())
    }

    /// The functions it exports, as `interface.function`.
    ///
    /// # Errors
    ///
    /// [`LoaderError::UnknownPlugin`], [`LoaderError::NotLoaded`].
    pub fn functions(&self) -> Result<Vec<String>, LoaderError> {
        Ok(self.ready()?.slot.exports().full_names())
    }

    /// How it does now.
    ///
    /// # Errors
    ///
    /// [`LoaderError::UnknownPlugin`], [`LoaderError::NotLoaded`].
    pub fn vitals(&self) -> Result<Vitals, LoaderError> {
        Ok(self.ready()?.slot.vitals())
    }

    /// The same plugin, with a deadline for each call made through this handle. The plugin's own limit and
    /// the deadline of a call that is under way still hold.
    #[must_use]
    pub fn within(mut self, deadline: Duration) -> Self {
        self.within = Some(deadline);
        self
    }

    /// The same plugin, whose calls made through this handle end when `token` is cancelled, and with them all calls
    /// that they lead to. A call that still waits costs nothing then; one that is inside costs the plugin its
    /// memory.
    #[must_use]
    pub fn cancelled_by(mut self, token: &CancelToken) -> Self {
        self.token = Some(token.clone());
        self
    }

    /// The function `name` of `interface`, with Rust types: tuples of parameters and of results.
    ///
    /// The types are compared when it is called, since another version may run by then.
    ///
    /// # Errors
    ///
    /// [`LoaderError::UnknownFunction`].
    pub fn func<P, R>(&self, interface: &str, name: &str) -> Result<PluginFunc<S, P, R>, LoaderError>
    where
        P: ComponentNamedList + Lower + Send + Sync + 'static,
        R: ComponentNamedList + Lift + Send + Sync + 'static,
    {
        let name = format!("{interface}.{name}");
        self.ready()?.find(&name)?;
        Ok(PluginFunc { plugin: self.clone(), name, types: PhantomData })
    }

    /// Calls the function `name`: bare if only one is called so, else `interface.function`.
    ///
    /// # Errors
    ///
    /// [`LoaderError::Signature`] where `params` do not fit, and whatever becomes of the call.
    pub async fn call_dyn(&self, name: &str, params: &[Val]) -> Result<Vec<Val>, LoaderError> {
        let ready = self.ready()?;
        let pass = ready.ask()?;
        let function = ready.find(name)?;
        let types: Vec<Type> = function.ty.params().map(|(_, ty)| ty).collect();
        if types.len() != params.len() {
            let reason = format!("parameters: {}, given: {}", types.len(), params.len());
            return Err(self.signature(&function, reason));
        }
        if let Some(reason) = params.iter().zip(&types).find_map(|(value, ty)| value::mismatch(value, ty)) {
            return Err(self.signature(&function, reason));
        }
        self.run_dyn(ready, pass, function, params.to_vec()).await
    }

    /// Makes a call written in WAVE, such as `render("# Hi")`. The name is bare if only one function is called
    /// so, else `interface.function`.
    ///
    /// # Errors
    ///
    /// [`LoaderError::Wave`] where the text is not a call that fits, and whatever becomes of the call.
    pub async fn call_wave(&self, call: &str) -> Result<Vec<Val>, LoaderError> {
        let refuse = |reason: String| LoaderError::Wave { call: call.chars().take(200).collect(), reason };
        let text = call.trim();
        let Some(open) = text.find('(') else {
            return Err(refuse("it has no `(`".into()));
        };
        let ready = self.ready()?;
        let pass = ready.ask()?;
        let function = ready.find(text[..open].trim())?;
        // The parser knows plain names only, and this one was used up already. One of the same length keeps the
        // positions that its messages tell.
        let plain = format!("{}{}", "f".repeat(open.max(1)), &text[open..]);
        let parsed = UntypedFuncCall::parse(&plain).map_err(|e| refuse(e.to_string()))?;
        let types: Vec<Type> = function.ty.params().map(|(_, ty)| ty).collect();
        let params = parsed.to_wasm_params::<Val>(&types).map_err(|e| refuse(e.to_string()))?;
        self.run_dyn(ready, pass, function, params).await
    }

    async fn run_dyn(
        &self,
        ready: Ready<S>,
        pass: Pass,
        function: Arc<Function>,
        params: Vec<Val>,
    ) -> Result<Vec<Val>, LoaderError> {
        ready.slot.weigh(&function, Limit::CallBytes, &params)?;
        let call = self.call(&ready)?;
        let work = async move {
            let mut results = vec![Val::Bool(false); function.ty.results().len()];
            let work = Dynamic { params: &params, results: &mut results };
            ready.slot.invoke(call, pass, &function, work).await?;
            ready.slot.weigh(&function, Limit::ResultBytes, &results)?;
            Ok(results)
        };
        self.host.spawn_below(work).await
    }

    fn ready(&self) -> Result<Ready<S>, LoaderError> {
        let graph = self.host.pinned()?;
        let slot = graph.plugin(&self.id)?.clone();
        Ok(Ready { graph, slot })
    }

    /// The context of a call: the next of the chain that runs here, or the first of a new one.
    fn call(&self, ready: &Ready<S>) -> Result<Call, LoaderError> {
        let own = ready.slot.limits().deadline;
        let within = self.within.map_or(own, |within| within.min(own));
        let (host, key) = (self.host.shared().id, ready.slot.key().clone());
        let call = match Call::current() {
            Some(current) => current.next(host, key, within)?.pinned(ready.graph.clone()),
            None => Call::root(host, key, within, ready.graph.clone()),
        };
        Ok(match &self.token {
            Some(token) => call.cancelled_by(token),
            None => call,
        })
    }

    fn signature(&self, function: &Function, reason: String) -> LoaderError {
        LoaderError::Signature { plugin: self.id.clone(), function: function.full_name.clone(), reason }
    }
}

impl<S: Send + 'static> Ready<S> {
    /// Before anything else is done for a call: one that is refused costs next to nothing.
    fn ask(&self) -> Result<Pass, LoaderError> {
        self.slot.ask(Call::calls_from_here)
    }

    fn find(&self, name: &str) -> Result<Arc<Function>, LoaderError> {
        self.slot.exports().find(self.slot.key().id(), name)
    }
}

/// A function of a plugin, with Rust types.
pub struct PluginFunc<S: 'static, P, R> {
    plugin: Plugin<S>,
    name: String,
    types: PhantomData<fn(P) -> R>,
}

impl<S, P, R> PluginFunc<S, P, R>
where
    S: Send + 'static,
    P: ComponentNamedList + Lower + Send + Sync + 'static,
    R: ComponentNamedList + Lift + Send + Sync + 'static,
{
    /// Calls it.
    ///
    /// # Errors
    ///
    /// [`LoaderError::Signature`] where the plugin's types are not `P` and `R`, and whatever becomes of the call.
    pub async fn call(&self, params: P) -> Result<R, LoaderError> {
        let ready = self.plugin.ready()?;
        let pass = ready.ask()?;
        let function = ready.find(&self.name)?;
        let call = self.plugin.call(&ready)?;
        let work = async move {
            let work = Typed { params, returns: PhantomData };
            ready.slot.invoke(call, pass, &function, work).await
        };
        self.plugin.host.spawn_below(work).await
    }
}
