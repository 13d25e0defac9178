//! What a call does once it is inside a plugin.

use std::marker::PhantomData;

use wasmtime::{
    Store,
    component::{ComponentNamedList, Func, Lift, Lower, Val},
};

use crate::{ctx::PluginCtx, limits::Lifting};

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
