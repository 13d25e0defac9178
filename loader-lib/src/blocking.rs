//! The loader for programs without an async runtime.

use std::{sync::Arc, time::Duration};

use tokio::runtime::{Builder, Runtime};
use wasmtime::component::{ComponentNamedList, Lift, Lower, Val};

use crate::{
    apply::Applied,
    error::LoaderError,
    host::{self, HostBuilder, Offer},
    plan::Plan,
    plugin,
};

/// A host that owns a runtime. Its methods wait for what they start; they must not be called from async code.
pub struct Host<S: 'static> {
    host: host::Host<S>,
    runtime: Arc<Runtime>,
}

impl<S: Default + Send + 'static> Host<S> {
    /// Builds the host, on a runtime with two worker threads.
    ///
    /// # Errors
    ///
    /// As [`HostBuilder::build`]; [`LoaderError::Engine`] where no threads can be started.
    pub fn build(builder: HostBuilder<S>) -> Result<Self, LoaderError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("stoa-plugin")
            .enable_all()
            .build()
            .map_err(|e| LoaderError::Engine(Box::new(e)))?;
        let host = {
            let _inside = runtime.enter();
            builder.build()?
        };
        Ok(Self { host, runtime: Arc::new(runtime) })
    }
}

impl<S: Send + 'static> Host<S> {
    /// The same host for async code.
    pub fn host(&self) -> &host::Host<S> {
        &self.host
    }

    /// See [`host::Host::offer`].
    pub fn offer(&self) -> Offer {
        self.host.offer()
    }

    /// See [`host::Host::apply`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn apply(&self, plan: Plan) -> Result<Applied, LoaderError> {
        self.runtime.block_on(self.host.apply(plan))
    }

    /// See [`host::Host::plugin`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn plugin(&self, id: &str) -> Result<Plugin<S>, LoaderError> {
        Ok(Plugin { plugin: self.host.plugin(id)?, runtime: self.runtime.clone() })
    }

    /// See [`host::Host::shutdown`].
    pub fn shutdown(self, timeout: Duration) {
        self.runtime.block_on(self.host.shutdown(timeout));
    }
}

/// A plugin whose calls wait for their results.
pub struct Plugin<S: 'static> {
    plugin: plugin::Plugin<S>,
    runtime: Arc<Runtime>,
}

impl<S: Send + 'static> Plugin<S> {
    /// The function `name` of `interface`, as a closure; see [`plugin::Plugin::func`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn func<P, R>(
        &self,
        interface: &str,
        name: &str,
    ) -> Result<impl Fn(P) -> Result<R, LoaderError> + use<S, P, R>, LoaderError>
    where
        P: ComponentNamedList + Lower + Send + Sync + 'static,
        R: ComponentNamedList + Lift + Send + Sync + 'static,
    {
        let func = self.plugin.func::<P, R>(interface, name)?;
        let runtime = self.runtime.clone();
        Ok(move |params| runtime.block_on(func.call(params)))
    }

    /// See [`plugin::Plugin::call_dyn`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn call_dyn(&self, name: &str, params: &[Val]) -> Result<Vec<Val>, LoaderError> {
        self.runtime.block_on(self.plugin.call_dyn(name, params))
    }

    /// See [`plugin::Plugin::call_wave`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn call_wave(&self, call: &str) -> Result<Vec<Val>, LoaderError> {
        self.runtime.block_on(self.plugin.call_wave(call))
    }
}
