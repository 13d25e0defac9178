//! One compilation, which goes on whether or not somebody waits for it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use bytes::Bytes;
use stoa_core::digest::Digest;
use tokio::{sync::OwnedSemaphorePermit, task::spawn_blocking};
use wasmtime::{Engine, component::Component};

use super::{
    Compiled,
    cache::{Cache, Found},
    evict::Aside,
    lease::Lease,
    map,
    scan::Scan,
};
use crate::{
    census::{Count, Counted},
    error::LoaderError,
    event::{Bell, Event},
    phase::Phase,
    plan::PlannedPlugin,
    testing::Faults,
};

/// What becomes of compiled code.
pub(super) enum Keeping {
    /// It goes to the cache.
    Under(Arc<Cache>, Lease),
    /// It stays in memory, since nobody asked for a cache.
    Nowhere,
    /// It stays in memory for this reason.
    Not(String),
}

/// A compilation.
pub(super) struct Job {
    pub(super) engine: Engine,
    pub(super) keeping: Keeping,
    /// How many bytes the cache may have.
    pub(super) most: u64,
    pub(super) bell: Bell,
    pub(super) plugin: PlannedPlugin,
    pub(super) bytes: Bytes,
    pub(super) scan: Scan,
    pub(super) faults: Option<Faults>,
    pub(super) running: Counted,
}

impl Job {
    pub(super) async fn run(self) -> Result<Compiled, LoaderError> {
        let Self { engine, keeping, most, bell, plugin, bytes, scan, faults, running } = self;
        let _running = running;
        pass(faults.as_ref(), &plugin).await?;
        let began = Instant::now();
        let refused =
            |e: wasmtime::Error| LoaderError::Compile { plugin: plugin.id.clone(), source: e.into_boxed_dyn_error() };
        let artifact = plugin.artifact;
        let compiled = || {
            let plugin = plugin.id.clone();
            bell.ring(Event::Compiled { plugin, artifact, took: began.elapsed() });
        };
        let not_kept = |reason| bell.ring(Event::CodeNotKept { artifact, reason });
        let (cache, lease) = match keeping {
            Keeping::Under(cache, lease) => (cache, lease),
            Keeping::Nowhere | Keeping::Not(_) => {
                let component = blocking(&plugin, move || Component::from_binary(&engine, &bytes)).await?;
                let component = component.map_err(refused)?;
                compiled();
                if let Keeping::Not(reason) = keeping {
                    not_kept(reason);
                }
                return Ok(component.into());
            }
        };
        let compiling = {
            let engine = engine.clone();
            move || engine.precompile_component(&bytes)
        };
        let code = blocking(&plugin, compiling).await?.map_err(refused)?;
        compiled();
        let keeping = move || {
            let kept = keep(&engine, &cache, lease, artifact, scan, &code);
            // What was just kept is in use. What can not be removed now may be removed the next time.
            (kept, cache.evict(most, Aside::Bounded).unwrap_or_default())
        };
        let ((component, trouble), evicted) = blocking(&plugin, keeping).await?;
        trouble.into_iter().for_each(not_kept);
        if evicted.entries > 0 {
            bell.ring(Event::CodeEvicted { entries: evicted.entries, bytes: evicted.bytes });
        }
        component.map_err(refused)
    }
}

/// Puts `code` into the cache and loads it back rather than from memory: its pages are then shared with every other
/// process that runs it. Where that fails, it is loaded from memory, and why is the second value.
fn keep(
    engine: &Engine,
    cache: &Cache,
    lease: Lease,
    artifact: Digest,
    scan: Scan,
    code: &[u8],
) -> (wasmtime::Result<Compiled>, Option<String>) {
    let kept = cache.keep(&lease, artifact, scan, code).map_err(|e| e.to_string());
    let trouble = match kept.map(|()| cache.find(engine, lease.key(), artifact)) {
        Ok(Found::Code(component, in_use)) => return (Ok(Compiled { component, in_use: Some(in_use) }), None),
        Ok(Found::Nothing) => "it was gone after it had been written".to_owned(),
        Ok(Found::Wrong(reason)) | Err(reason) => reason,
    };
    (map::from_memory(engine, code).map(Compiled::from), Some(trouble))
}

/// Does work that keeps a thread busy. Where it panics, that is an error of this plugin alone.
pub(super) async fn blocking<T: Send + 'static>(
    plugin: &PlannedPlugin,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, LoaderError> {
    spawn_blocking(work).await.map_err(|ended| match ended.try_into_panic() {
        Ok(panic) => {
            let said = panic.downcast_ref::<String>().map(String::as_str);
            let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
            LoaderError::Compiler { plugin: plugin.id.clone(), reason: format!("it panicked: {said}") }
        }
        // Ended by the end of the runtime.
        Err(_) => LoaderError::ShutDown,
    })
}

/// Where the faults of tests come in.
pub(super) async fn pass(faults: Option<&Faults>, plugin: &PlannedPlugin) -> Result<(), LoaderError> {
    match faults {
        Some(faults) => faults.pass(&plugin.id, Phase::Compile).await,
        None => Ok(()),
    }
}

/// What a compilation holds until it ends.
pub(super) enum Held {
    /// Its turn: somebody waits for it.
    Permit { _permit: OwnedSemaphorePermit },
    /// A place among those that nobody waits for any more.
    GivenUp { _counted: Counted },
    /// Nothing: it ended.
    Ended,
}

impl Held {
    pub(super) fn end(held: &Mutex<Self>) {
        *held.lock().unwrap_or_else(PoisonError::into_inner) = Self::Ended;
    }
}

/// Whoever waits for a compilation. Dropped before it ended, the turn goes to the next: two endless compilations
/// would otherwise keep all others from ever beginning.
pub(super) struct Waiting<'c> {
    pub(super) held: Arc<Mutex<Held>>,
    pub(super) given_up: &'c Count,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*held, Held::Permit { .. }) {
            *held = Held::GivenUp { _counted: self.given_up.one() };
        }
    }
}
