//! From bytes to code: compiles components, and keeps what was compiled.

mod cache;
mod file;
mod map;
mod record;

use std::{
    hash::{Hash, Hasher},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use stoa_core::{
    component::{Counts, InspectLimits},
    digest::{self, Digest},
};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
    time::timeout,
};
use wasmtime::{Engine, component::Component};

use self::cache::{Cache, Found};
use crate::{
    census::{Count, Counted},
    engine::PROFILE,
    error::LoaderError,
    event::{Bell, Event},
    limits::{Totals, machine},
    phase::Phase,
    plan::{Origin, PlannedPlugin},
    testing::Faults,
};

/// Turns planned plugins into components.
pub(crate) struct Compiler {
    engine: Engine,
    cache: Option<Arc<Cache>>,
    /// Why there is no cache where one was asked for.
    without: Option<String>,
    bell: Bell,
    totals: Totals,
    permits: Arc<Semaphore>,
    running: Count,
    given_up: Count,
    faults: Option<Faults>,
}

impl Compiler {
    /// Compiles for `engine`, keeps code in `folder`, and counts what goes on in `running`.
    pub(crate) fn new(
        engine: &Engine,
        folder: Option<PathBuf>,
        totals: &Totals,
        bell: Bell,
        running: Count,
        faults: Option<Faults>,
    ) -> Result<Self, LoaderError> {
        let (cache, without) = match folder.map(|folder| (folder.display().to_string(), Cache::open(folder))) {
            None => (None, None),
            Some((_, Ok(cache))) => (Some(Arc::new(cache)), None),
            // Compiling each time is slow, and no reason not to run.
            Some((_, Err(source))) if cache::unwritable(&source) => (None, Some(source.to_string())),
            Some((path, Err(source))) => return Err(LoaderError::AotFolder { path, source }),
        };
        let permits = Arc::new(Semaphore::new(machine(totals.compilations)));
        let (engine, totals, given_up) = (engine.clone(), totals.clone(), Count::default());
        Ok(Self { engine, cache, without, bell, totals, permits, running, given_up, faults })
    }

    /// The component of `plugin`: from the cache, else compiled in the time that its size allows, and then kept.
    ///
    /// Given up, by its time or by dropping this future, a compilation goes on; its result is found in the cache
    /// next time.
    pub(crate) async fn component(&self, plugin: &PlannedPlugin) -> Result<Component, LoaderError> {
        let late = |size, limit| LoaderError::CompileTimeout { plugin: plugin.id.clone(), size, limit };
        let kept = async {
            let component = self.cached(plugin.artifact).await;
            if component.is_some() {
                pass(self.faults.as_ref(), plugin).await?;
            }
            Ok::<_, LoaderError>(component)
        };
        if let Some(component) = timeout(self.allowed(0), kept).await.map_err(|_| late(0, self.allowed(0)))?? {
            return Ok(component);
        }
        // Never closed, so never refused.
        let permit = self.permits.clone().acquire_owned().await.map_err(|_| LoaderError::ShutDown)?;
        let given_up = self.given_up.now();
        // Each holds the memory of a compiler and as many threads as find work.
        if given_up >= machine(self.totals.compilations).saturating_mul(2) {
            return Err(LoaderError::CompilerBusy { plugin: plugin.id.clone(), given_up });
        }
        let bytes = read(plugin, &self.totals).await?;
        let size = bytes.len() as u64;
        let limit = self.allowed(size);
        let job = Job {
            engine: self.engine.clone(),
            cache: self.cache.clone(),
            without: self.without.clone(),
            bell: self.bell.clone(),
            plugin: plugin.clone(),
            faults: self.faults.clone(),
            _running: self.running.one(),
        };
        let held = Arc::new(Mutex::new(Held::Permit { _permit: permit }));
        let _waiting = Waiting { held: held.clone(), given_up: &self.given_up };
        let runtime = Handle::current();
        let compiling = spawn_blocking(move || {
            let outcome = job.compile(&bytes, &runtime);
            drop(job);
            held.lock().unwrap_or_else(PoisonError::into_inner).end();
            outcome
        });
        match timeout(limit, compiling).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(ended)) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(LoaderError::ShutDown),
            },
            Err(_) => Err(late(size, limit)),
        }
    }

    /// How long a component of `size` bytes may take: a start, and so much for each MiB of a slow machine. It takes 0.65 s
    /// of CPU for a MiB on a fast one.
    fn allowed(&self, size: u64) -> Duration {
        let Totals { compile_time, compile_time_per_mib, .. } = self.totals;
        compile_time.saturating_add(compile_time_per_mib.saturating_mul(u32::try_from(size >> 20).unwrap_or(u32::MAX)))
    }

    async fn cached(&self, artifact: Digest) -> Option<Component> {
        let cache = self.cache.clone()?;
        let engine = self.engine.clone();
        let found = spawn_blocking(move || cache.find(&engine, &key(&engine, artifact), artifact)).await.ok()?;
        match found {
            Found::Code(component) => Some(component),
            Found::Nothing => None,
            Found::Rejected(reason) => {
                self.bell.ring(Event::CodeRejected { artifact, reason });
                None
            }
        }
    }
}

/// What a compilation holds until it ends.
enum Held {
    /// Its turn: somebody waits for it.
    Permit { _permit: OwnedSemaphorePermit },
    /// A place among those that nobody waits for any more.
    GivenUp { _counted: Counted },
    /// Nothing: it ended.
    Ended,
}

impl Held {
    fn end(&mut self) {
        *self = Self::Ended;
    }
}

/// Whoever waits for a compilation. Dropped before it ended, the turn goes to the next: two endless compilations
/// would otherwise keep all others from ever beginning.
struct Waiting<'c> {
    held: Arc<Mutex<Held>>,
    given_up: &'c Count,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*held, Held::Permit { .. }) {
            *held = Held::GivenUp { _counted: self.given_up.one() };
        }
    }
}

/// Where the faults of tests come in.
async fn pass(faults: Option<&Faults>, plugin: &PlannedPlugin) -> Result<(), LoaderError> {
    match faults {
        Some(faults) => faults.pass(&plugin.id, Phase::Compile).await,
        None => Ok(()),
    }
}

/// One compilation, on a thread of its own.
struct Job {
    engine: Engine,
    cache: Option<Arc<Cache>>,
    without: Option<String>,
    bell: Bell,
    plugin: PlannedPlugin,
    faults: Option<Faults>,
    _running: Counted,
}

impl Job {
    fn compile(&self, bytes: &[u8], runtime: &Handle) -> Result<Component, LoaderError> {
        // On this thread, as a slow compilation would be.
        runtime.block_on(pass(self.faults.as_ref(), &self.plugin))?;
        let refused = |e: wasmtime::Error| LoaderError::Compile {
            plugin: self.plugin.id.clone(),
            source: e.into_boxed_dyn_error(),
        };
        let artifact = self.plugin.artifact;
        let began = Instant::now();
        let Some(cache) = &self.cache else {
            let component = Component::from_binary(&self.engine, bytes).map_err(refused)?;
            self.compiled(began);
            if let Some(reason) = self.without.clone() {
                self.bell.ring(Event::CodeNotKept { artifact, reason });
            }
            return Ok(component);
        };
        let code = self.engine.precompile_component(bytes).map_err(refused)?;
        self.compiled(began);
        let key = key(&self.engine, artifact);
        let kept = cache.keep(&key, artifact, &code).map_err(|e| e.to_string());
        // Loaded back rather than from memory: its pages are then shared with every other process that runs it.
        let reason = match kept.map(|()| cache.find(&self.engine, &key, artifact)) {
            Ok(Found::Code(component)) => return Ok(component),
            Ok(Found::Nothing) => "it was gone after it had been written".to_owned(),
            Ok(Found::Rejected(reason)) | Err(reason) => reason,
        };
        self.bell.ring(Event::CodeNotKept { artifact, reason });
        map::from_memory(&self.engine, &code).map_err(refused)
    }

    fn compiled(&self, began: Instant) {
        let (plugin, artifact) = (self.plugin.id.clone(), self.plugin.artifact);
        self.bell.ring(Event::Compiled { plugin, artifact, took: began.elapsed() });
    }
}

/// The component's bytes, if they are still those that were verified.
async fn read(plugin: &PlannedPlugin, totals: &Totals) -> Result<Bytes, LoaderError> {
    let unreadable = |path: &Path| {
        let (plugin, path) = (plugin.id.clone(), path.display().to_string());
        move |source| LoaderError::Artifact { plugin, path, source }
    };
    let (path, size) = match &plugin.origin {
        Origin::File(path) => {
            (path.display().to_string(), tokio::fs::metadata(path).await.map_err(unreadable(path))?.len())
        }
        Origin::Held(bytes) => ("memory".to_owned(), bytes.len() as u64),
        Origin::Remote(_) => {
            let rule = "a component is fetched before it is compiled".to_owned();
            return Err(LoaderError::Internal { plugin: plugin.id.clone(), rule });
        }
    };
    let limit = totals.component_bytes;
    if size > limit {
        return Err(LoaderError::ArtifactTooLarge { plugin: plugin.id.clone(), size, limit });
    }
    let bytes = match &plugin.origin {
        Origin::File(path) => tokio::fs::read(path).await.map_err(unreadable(path))?.into(),
        Origin::Held(bytes) => bytes.clone(),
        Origin::Remote(_) => Bytes::new(),
    };
    let found = Digest::of(&bytes);
    if found != plugin.artifact {
        let (plugin, expected) = (plugin.id.clone(), plugin.artifact);
        return Err(LoaderError::ArtifactChanged { plugin, path, expected, found: Box::new(found) });
    }
    // Before the compiler sees it: what it needs grows with these, and publish holds them too.
    let limits = InspectLimits { bytes: limit, functions: totals.functions, ..InspectLimits::default() };
    match Counts::of(&bytes, &limits) {
        Ok(_) => Ok(bytes),
        Err(source) => Err(LoaderError::Inspect { plugin: plugin.id.clone(), source: Box::new(source) }),
    }
}

/// Names compiled code by all that it depends on: the component, and whatever shapes the compiler's output.
/// The component alone is not enough: two builds would overwrite each other's code while it is mapped.
fn key(engine: &Engine, artifact: Digest) -> Digest {
    struct Feed(digest::Hasher);
    impl Hasher for Feed {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            0
        }
    }
    let mut feed = Feed(digest::Hasher::new());
    // `Hash` of text and slices ends or begins each part unmistakably.
    ("aot/1", artifact.as_bytes(), PROFILE, env!("CARGO_PKG_VERSION")).hash(&mut feed);
    (std::env::consts::ARCH, std::env::consts::OS).hash(&mut feed);
    // Engine version, target, CPU features, tunables and WebAssembly features.
    engine.precompile_compatibility_hash().hash(&mut feed);
    feed.0.finish()
}
