//! From bytes to code: compiles components, and keeps what was compiled.

mod cache;
pub mod code;
mod evict;
mod file;
mod job;
mod key;
mod lease;
mod map;
mod read;
mod record;
mod scan;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use stoa_core::digest::Digest;
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep, timeout},
};
use wasmtime::{Engine, component::Component};

pub(crate) use self::cache::InUse;
use self::{
    cache::{Cache, Found},
    job::{Held, Job, Keeping, Waiting, blocking, pass},
    key::key,
    lease::Asked,
};
use crate::{
    census::Count,
    error::LoaderError,
    event::{Bell, Event},
    limits::{Totals, machine},
    plan::PlannedPlugin,
    testing::Faults,
};

/// How long a lease that another has is left alone, at first and at most.
const LOOKS: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(200)];

/// Turns planned plugins into components.
pub(crate) struct Compiler {
    engine: Engine,
    cache: Option<Arc<Cache>>,
    /// How many bytes the cache may have.
    most: u64,
    /// Why there is no cache where one was asked for.
    without: Option<String>,
    bell: Bell,
    totals: Totals,
    permits: Arc<Semaphore>,
    running: Count,
    given_up: Count,
    faults: Option<Faults>,
}

/// What a host chose of the cache.
pub(crate) struct Setup {
    /// Where it is, if anywhere.
    pub(crate) folder: Option<PathBuf>,
    /// How many bytes it may have.
    pub(crate) most: u64,
}

impl Default for Setup {
    fn default() -> Self {
        Self { folder: None, most: code::DEFAULT_BYTES }
    }
}

/// A component that can be linked.
pub(crate) struct Compiled {
    pub(crate) component: Component,
    /// Keeps its file in the cache, where it has one: to be held as long as the component is.
    pub(crate) in_use: Option<InUse>,
}

impl From<Component> for Compiled {
    fn from(component: Component) -> Self {
        Self { component, in_use: None }
    }
}

impl Compiler {
    /// Compiles for `engine`, keeps code as `setup` says, and counts what goes on in `running`.
    pub(crate) fn new(
        engine: &Engine,
        setup: Setup,
        totals: &Totals,
        bell: Bell,
        running: Count,
        faults: Option<Faults>,
    ) -> Result<Self, LoaderError> {
        let Setup { folder, most } = setup;
        let (cache, without) = match folder.map(|folder| (folder.display().to_string(), Cache::open(folder))) {
            None => (None, None),
            Some((_, Ok(cache))) => (Some(Arc::new(cache)), None),
            // Compiling each time is slow, and no reason not to run.
            Some((_, Err(source))) if cache::unwritable(&source) => (None, Some(source.to_string())),
            Some((path, Err(source))) => return Err(LoaderError::AotFolder { path, source }),
        };
        let permits = Arc::new(Semaphore::new(machine(totals.compilations)));
        let (engine, totals, given_up) = (engine.clone(), totals.clone(), Count::default());
        Ok(Self { engine, cache, most, without, bell, totals, permits, running, given_up, faults })
    }

    /// The component of `plugin`: from the cache, else compiled in the time that its size allows, and then kept.
    ///
    /// Given up, by its time or by dropping this future, a compilation goes on; its result is found in the cache
    /// next time.
    pub(crate) async fn component(&self, plugin: &PlannedPlugin) -> Result<Compiled, LoaderError> {
        let late = |size, limit| LoaderError::CompileTimeout { plugin: plugin.id.clone(), size, limit };
        let kept = async {
            let Some(cache) = &self.cache else { return Ok::<_, LoaderError>(None) };
            match self.find(cache, plugin).await? {
                Found::Code(component, in_use) => {
                    pass(self.faults.as_ref(), plugin).await?;
                    Ok(Some(Compiled { component, in_use: Some(in_use) }))
                }
                Found::Nothing | Found::Wrong(_) => Ok(None),
            }
        };
        if let Some(compiled) = timeout(self.allowed(0), kept).await.map_err(|_| late(0, self.allowed(0)))?? {
            return Ok(compiled);
        }
        let keeping = match self.lease(plugin).await? {
            Ok(compiled) => return Ok(compiled),
            Err(keeping) => keeping,
        };
        // Never closed, so never refused.
        let permit = self.permits.clone().acquire_owned().await.map_err(|_| LoaderError::ShutDown)?;
        let given_up = self.given_up.now();
        // Each holds the memory of a compiler and as many threads as find work.
        if given_up >= machine(self.totals.compilations).saturating_mul(2) {
            return Err(LoaderError::CompilerBusy { plugin: plugin.id.clone(), given_up });
        }
        let (bytes, scan) = read::read(plugin, &self.totals).await?;
        let size = bytes.len() as u64;
        let limit = self.allowed(size);
        let job = Job {
            engine: self.engine.clone(),
            keeping,
            most: self.most,
            bell: self.bell.clone(),
            plugin: plugin.clone(),
            bytes,
            scan,
            faults: self.faults.clone(),
            running: self.running.one(),
        };
        let held = Arc::new(Mutex::new(Held::Permit { _permit: permit }));
        let _waiting = Waiting { held: held.clone(), given_up: &self.given_up };
        let compiling = tokio::spawn(async move {
            let outcome = job.run().await;
            Held::end(&held);
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

    fn key(&self, artifact: Digest) -> Digest {
        key(&self.engine, artifact)
    }

    async fn find(&self, cache: &Arc<Cache>, plugin: &PlannedPlugin) -> Result<Found, LoaderError> {
        let (cache, engine, artifact) = (cache.clone(), self.engine.clone(), plugin.artifact);
        blocking(plugin, move || cache.find(&engine, &key(&engine, artifact), artifact)).await
    }

    /// Waits until nobody else compiles this component, and looks again. If nobody had done it meanwhile, it is to be
    /// compiled here.
    ///
    /// Who stands still for as long as a compilation may take loses nothing but its turn: it is not waited for any longer,
    /// and what is compiled then stays in memory, so that there is still one who writes.
    async fn lease(&self, plugin: &PlannedPlugin) -> Result<Result<Compiled, Keeping>, LoaderError> {
        let Some(cache) = &self.cache else {
            return Ok(Err(self.without.clone().map_or(Keeping::Nowhere, Keeping::Not)));
        };
        let allowed = self.allowed(read::size(plugin).await);
        let (until, [mut pause, longest]) = (Instant::now() + allowed, LOOKS);
        let mut told = false;
        loop {
            let (asking, key) = (cache.clone(), self.key(plugin.artifact));
            match blocking(plugin, move || asking.ask(key)).await? {
                Ok(Asked::Mine(lease)) => {
                    return Ok(match self.find(cache, plugin).await? {
                        Found::Code(component, in_use) => Ok(Compiled { component, in_use: Some(in_use) }),
                        Found::Nothing => Err(Keeping::Under(cache.clone(), lease)),
                        Found::Wrong(reason) => {
                            let rejecting = cache.clone();
                            let lease = blocking(plugin, move || {
                                rejecting.reject(&lease);
                                lease
                            });
                            let lease = lease.await?;
                            self.bell.ring(Event::CodeRejected { artifact: plugin.artifact, reason });
                            Err(Keeping::Under(cache.clone(), lease))
                        }
                    });
                }
                Ok(Asked::Taken(holder)) if Instant::now() >= until => {
                    let who = holder.map_or_else(|| "a process".to_owned(), |pid| format!("process {pid}"));
                    let reason = format!("{who} has been at it for more than {allowed:?}");
                    return Ok(Err(Keeping::Not(reason)));
                }
                Ok(Asked::Taken(holder)) => {
                    if !std::mem::replace(&mut told, true) {
                        let (plugin, artifact) = (plugin.id.clone(), plugin.artifact);
                        self.bell.ring(Event::CompilingElsewhere { plugin, artifact, process: holder });
                    }
                    sleep(pause).await;
                    pause = longest.min(pause * 2);
                }
                Err(error) => {
                    // What is there and wrong can not be put aside either, and is wrong the next time again.
                    if let Found::Wrong(reason) = self.find(cache, plugin).await? {
                        self.bell.ring(Event::CodeRejected { artifact: plugin.artifact, reason });
                    }
                    return Ok(Err(Keeping::Not(error.to_string())));
                }
            }
        }
    }
}
