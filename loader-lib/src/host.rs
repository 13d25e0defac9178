//! A host: a program's set of running plugins.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};

use arc_swap::ArcSwap;
use stoa_core::{id::PluginId, policy::Policy};
use tokio::runtime::Handle;
use wasmtime::{Engine, component::Linker};

use crate::{
    aot::{Compiler, Setup},
    breaker::{BreakerRules, Clock},
    budget::{Admission, Budget},
    call::{Call, HostId},
    census::{Census, Counts},
    consent::Consent,
    ctx::{PluginCtx, PluginInfo},
    engine,
    error::LoaderError,
    event::{Bell, Events},
    grant::Authority,
    graph::Graph,
    guest,
    implementors::{Implementor, Pattern},
    limits::{Gauge, Limit, Limits, Rate, Totals},
    link::Provided,
    output::Output,
    phase::Phase,
    plugin::Plugin,
    supply::Supply,
    testing::Faults,
    ticker::Ticker,
    turn::Turn,
    vitals::Vitals,
};

/// Makes the host's own state for a plugin's store.
type MakeState<S> = Box<dyn Fn(&PluginInfo) -> S + Send + Sync>;

/// What all slots of a host share.
pub(crate) struct Shared<S: 'static> {
    pub(crate) id: HostId,
    /// The host program's name and version, as plugins are told.
    pub(crate) name: String,
    pub(crate) engine: Engine,
    pub(crate) ticker: Ticker,
    pub(crate) bell: Bell,
    pub(crate) budget: Arc<Budget>,
    pub(crate) admission: Admission,
    /// Bytes of calls between plugins.
    pub(crate) under_way: Gauge,
    /// What all plugins log together.
    pub(crate) log_rate: Arc<Mutex<Rate>>,
    pub(crate) limits: Limits,
    pub(crate) base: Linker<PluginCtx<S>>,
    /// What the host offers beside WASI and `stoa:plugin`.
    pub(crate) provided: Vec<Provided<S>>,
    pub(crate) offered: Vec<String>,
    /// Who decides where plans bring no decision, and beside it where they do; `None` = plans are gone by.
    pub(crate) authority: Option<Authority>,
    pub(crate) supply: Supply,
    pub(crate) make_state: MakeState<S>,
    pub(crate) compiler: Compiler,
    pub(crate) runtime: Handle,
    pub(crate) counts: Counts,
    pub(crate) breaking: BreakerRules,
    pub(crate) clock: Clock,
    faults: Option<Faults>,
}

impl<S: 'static> Shared<S> {
    /// Where the faults of tests come in.
    pub(crate) async fn pass(&self, plugin: &PluginId, phase: Phase) -> Result<(), LoaderError> {
        match &self.faults {
            Some(faults) => faults.pass(plugin, phase).await,
            None => Ok(()),
        }
    }

    pub(crate) fn census(&self) -> Census {
        let Counts { components, stores, instances, compilations } = &self.counts;
        Census {
            components: components.now(),
            stores: stores.now(),
            instances: instances.now(),
            compilations: compilations.now(),
            memory: self.budget.used(),
        }
    }
}

/// What a host offers to plugins: the resolver takes only versions whose imports it covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The interfaces it provides, sorted, each with its version.
    pub interfaces: Vec<String>,
    /// The track of WASI it links, without authority.
    pub wasi: &'static str,
}

/// A set of running plugins. Clones are handles to the same one.
pub struct Host<S: 'static>(pub(crate) Arc<Inner<S>>);

pub(crate) struct Inner<S: 'static> {
    pub(crate) shared: Arc<Shared<S>>,
    pub(crate) graph: ArcSwap<Graph<S>>,
    /// One `apply` or `shutdown` at a time.
    pub(crate) turn: tokio::sync::Mutex<Turn<S>>,
}

impl Offer {
    /// The offer as a resolver reads it. Types are not compared here: linking does that.
    ///
    /// Interfaces whose names are no interface names of the component model can not be imported, and are left out.
    pub fn to_core(&self) -> stoa_core::offer::Offer {
        let names = self.interfaces.iter().filter_map(|name| name.parse().ok());
        let offer = names.fold(stoa_core::offer::Offer::new(), |offer, name| offer.with_interface(name, None));
        offer.with_track(format!("wasi:{}", self.wasi))
    }
}

impl<S: 'static> Clone for Host<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: Send + 'static> Host<S> {
    /// Begins a host whose plugins' stores each hold an `S`.
    pub fn builder() -> HostBuilder<S> {
        HostBuilder {
            name: concat!("stoa-loader/", env!("CARGO_PKG_VERSION")).to_owned(),
            provides: Vec::new(),
            authority: None,
            supply: Supply::default(),
            limits: Limits::default(),
            totals: Totals::default(),
            admission: Admission::default(),
            make_state: None,
            code: Setup::default(),
            breaking: BreakerRules::default(),
            clock: None,
            faults: None,
        }
    }

    /// What it offers to plugins.
    pub fn offer(&self) -> Offer {
        Offer { interfaces: self.0.shared.offered.clone(), wasi: "0.2" }
    }

    /// What happens from now on.
    pub fn events(&self) -> Events {
        self.0.shared.bell.listen()
    }

    /// Bytes of memories and tables that its plugins use together.
    pub fn memory_used(&self) -> usize {
        self.0.shared.budget.used()
    }

    /// A handle to the plugin `id`, such as `demo:markdown`. It outlives reloads and traps.
    ///
    /// # Errors
    ///
    /// [`LoaderError::UnknownPlugin`], or [`LoaderError::NotLoaded`] with the reason.
    pub fn plugin(&self, id: &str) -> Result<Plugin<S>, LoaderError> {
        let parsed = id.parse().map_err(|_| LoaderError::UnknownPlugin { plugin: id.to_owned() })?;
        self.pinned()?.plugin(&parsed)?;
        Ok(Plugin::new(self.clone(), parsed))
    }

    /// The ids of all running plugins, in load order.
    pub fn plugins(&self) -> Vec<PluginId> {
        self.0.graph.load().in_order().map(|slot| slot.key().id().clone()).collect()
    }

    /// How each plugin does, in load order.
    pub fn vitals(&self) -> Vec<Vitals> {
        self.0.graph.load().in_order().map(|slot| slot.vitals()).collect()
    }

    /// The plugins that export an interface, in the order of the host's own list. `acme:web/filter@^1` means
    /// any version that the requirement allows, `acme:web/filter` any at all.
    ///
    /// # Errors
    ///
    /// [`LoaderError::Pattern`].
    pub fn implementors(&self, pattern: &str) -> Result<Vec<Implementor<S>>, LoaderError> {
        let pattern = Pattern::parse(pattern)?;
        let graph = self.pinned()?;
        let mut found = Vec::new();
        for slot in graph.ranked() {
            let interfaces = slot.exports().interfaces().into_iter().filter(|name| pattern.matches(name));
            found.extend(
                interfaces
                    .map(|name| Implementor::new(Plugin::new(self.clone(), slot.key().id().clone()), name.to_owned())),
            );
        }
        Ok(found)
    }

    /// The graph of the chain of calls that runs here, else the newest.
    pub(crate) fn pinned(&self) -> Result<Arc<Graph<S>>, LoaderError> {
        let chain = Call::current().and_then(|call| call.generation::<Graph<S>>());
        Ok(match chain.filter(|graph| graph.host == self.0.shared.id) {
            Some(graph) => graph,
            None => self.0.graph.load_full(),
        })
    }

    pub(crate) fn shared(&self) -> &Arc<Shared<S>> {
        &self.0.shared
    }

    /// The same for a call, for which the one that the running task serves waits, if it serves one.
    pub(crate) async fn spawn_below<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, LoaderError>> + Send + 'static,
    ) -> Result<T, LoaderError> {
        let _below = Call::current().map(|call| call.waits());
        self.spawn(work).await
    }

    /// Runs `work` to its end, whether or not the caller waits for it.
    pub(crate) async fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, LoaderError>> + Send + 'static,
    ) -> Result<T, LoaderError> {
        match self.0.shared.runtime.spawn(work).await {
            Ok(outcome) => outcome,
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Tasks are cancelled only by the end of their runtime.
                Err(_) => Err(LoaderError::ShutDown),
            },
        }
    }
}

/// A host on its way.
pub struct HostBuilder<S: 'static> {
    name: String,
    provides: Vec<Provided<S>>,
    authority: Option<Authority>,
    supply: Supply,
    limits: Limits,
    totals: Totals,
    admission: Admission,
    make_state: Option<MakeState<S>>,
    code: Setup,
    breaking: BreakerRules,
    clock: Option<Clock>,
    faults: Option<Faults>,
}

impl<S: Send + 'static> HostBuilder<S> {
    /// The host program's name and version, such as `editor/3.1.0`: told to plugins in `lifecycle.init`.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Offers `interface`, such as `acme:web/kv@1.2.0`, which `link` adds to the linker.
    #[must_use]
    pub fn provide(
        mut self,
        interface: impl Into<String>,
        link: impl Fn(&mut Linker<PluginCtx<S>>) -> wasmtime::Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.provides.push(Provided { interface: interface.into(), link: Box::new(link) });
        self
    }

    /// What this host grants plugins. A plan of a registry brings what that one's policy has granted: then both have to.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.authority.get_or_insert_default().policy = policy;
        self
    }

    /// Who may agree to what the policy leaves open. Without this nobody does, and it is refused.
    #[must_use]
    pub fn consent(mut self, consent: impl Consent + 'static) -> Self {
        self.authority.get_or_insert_default().consent = Arc::new(consent);
        self
    }

    /// A folder that plugins may be granted, by the name that capabilities call it: `data` in `fs.read:data:/photos`.
    #[must_use]
    pub fn root(mut self, name: impl Into<String>, folder: impl Into<PathBuf>) -> Self {
        self.supply.roots.insert(name.into(), folder.into());
        self
    }

    /// The environment that plugins may be granted variables of, in place of the process's own.
    #[must_use]
    pub fn environment(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        self.supply.environment = Some(variables.into_iter().collect());
        self
    }

    /// The command line that plugins may be granted, in place of the process's own.
    #[must_use]
    pub fn arguments(mut self, arguments: impl IntoIterator<Item = String>) -> Self {
        self.supply.arguments = Some(arguments.into_iter().collect());
        self
    }

    /// Ceilings for each plugin.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Ceilings for all plugins together, and for loading them.
    #[must_use]
    pub fn totals(mut self, totals: Totals) -> Self {
        self.totals = totals;
        self
    }

    /// [`Totals::memory`] alone, in bytes. Default 1 GiB.
    #[must_use]
    pub fn total_memory(mut self, bytes: u64) -> Self {
        self.totals.memory = bytes;
        self
    }

    /// Whose memory is set aside when they are loaded.
    #[must_use]
    pub fn admission(mut self, admission: Admission) -> Self {
        self.admission = admission;
        self
    }

    /// Makes the host's own state for each new instance of a plugin.
    #[must_use]
    pub fn state(mut self, make: impl Fn(&PluginInfo) -> S + Send + Sync + 'static) -> Self {
        self.make_state = Some(Box::new(make));
        self
    }

    /// Keeps compiled code in `folder`, which is created if missing and must belong to this user alone.
    /// Without it plugins are compiled each time they are loaded.
    #[must_use]
    pub fn code_cache(mut self, folder: impl Into<PathBuf>) -> Self {
        self.code.folder = Some(folder.into());
        self
    }

    /// As many bytes as compiled code may have in its folder; default [`code::DEFAULT_BYTES`](crate::code::DEFAULT_BYTES).
    /// What was used longest ago is removed when more is kept, except what some process runs.
    #[must_use]
    pub fn code_cache_bytes(mut self, most: u64) -> Self {
        self.code.most = most;
        self
    }

    /// When plugins that fail are not called any more, and for how long.
    #[must_use]
    pub fn breaker(mut self, rules: BreakerRules) -> Self {
        self.breaking = rules;
        self
    }

    /// Lets breakers go by `clock`: for tests.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Lets `faults` come over the phases of its plugins: for tests.
    #[must_use]
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = Some(faults);
        self
    }

    fn build_with(self, make_state: MakeState<S>) -> Result<Host<S>, LoaderError> {
        let runtime = Handle::try_current().map_err(|_| LoaderError::NoRuntime)?;
        self.limits.check()?;
        self.totals.check()?;
        let engine = engine::engine()?;
        let ticker = Ticker::start(&engine).map_err(|e| LoaderError::Engine(Box::new(e)))?;
        let bell = Bell::new();
        let (base, offered) = base(&engine, &self.provides)?;
        let id = HostId::new();
        let counts = Counts::default();
        let shared = Shared {
            id,
            name: self.name,
            compiler: Compiler::new(
                &engine,
                self.code,
                &self.totals,
                bell.clone(),
                counts.compilations.clone(),
                self.faults.clone(),
            )?,
            engine,
            ticker,
            bell,
            budget: Arc::new(Budget::new(self.totals.memory)),
            admission: self.admission,
            under_way: Gauge::new(Limit::TotalCallBytes, self.totals.call_bytes),
            log_rate: Output::shared_rate(&self.totals),
            limits: self.limits,
            base,
            provided: self.provides,
            offered,
            authority: self.authority,
            supply: self.supply,
            make_state,
            runtime,
            counts,
            breaking: self.breaking,
            clock: self.clock.unwrap_or_else(Clock::real),
            faults: self.faults,
        };
        let (graph, gone) = Graph::new(id, Vec::new(), Default::default());
        Ok(Host(Arc::new(Inner {
            shared: Arc::new(shared),
            graph: ArcSwap::from_pointee(graph),
            turn: tokio::sync::Mutex::new(Turn::new(gone)),
        })))
    }
}

impl<S: Default + Send + 'static> HostBuilder<S> {
    /// The host, with no plugins yet. Where [`state`](Self::state) was not given, states are `S::default()`.
    ///
    /// # Errors
    ///
    /// [`LoaderError::NoRuntime`] outside a tokio runtime, [`LoaderError::Limits`], [`LoaderError::Provide`],
    /// [`LoaderError::AotFolder`], [`LoaderError::Engine`].
    pub fn build(mut self) -> Result<Host<S>, LoaderError> {
        let make = self.make_state.take().unwrap_or_else(|| Box::new(|_| S::default()));
        self.build_with(make)
    }
}

/// The linker that each plugin's begins with, and the names that can be linked beside WASI.
fn base<S: Send + 'static>(
    engine: &Engine,
    provides: &[Provided<S>],
) -> Result<(Linker<PluginCtx<S>>, Vec<String>), LoaderError> {
    use wasmtime::component::HasSelf;

    let mut linker = Linker::new(engine);
    let own = |linker: &mut Linker<PluginCtx<S>>| {
        wasmtime_wasi::p2::add_to_linker_async(linker)?;
        guest::add_log::<_, HasSelf<PluginCtx<S>>>(linker, |cx| cx)?;
        guest::add_config::<_, HasSelf<PluginCtx<S>>>(linker, |cx| cx)
    };
    let refused = |interface: &str, e: wasmtime::Error| LoaderError::Provide {
        interface: interface.to_owned(),
        source: e.into_boxed_dyn_error(),
    };
    own(&mut linker).map_err(|e| refused("stoa:plugin", e))?;
    let mut offered: Vec<String> = guest::OFFERED.map(str::to_owned).into();
    // Linked once to see that they can be; each plugin has only those of them that it was granted.
    let mut trial = linker.clone();
    for Provided { interface, link } in provides {
        link(&mut trial).map_err(|e| refused(interface, e))?;
        offered.push(interface.clone());
    }
    offered.sort_unstable();
    Ok((linker, offered))
}
