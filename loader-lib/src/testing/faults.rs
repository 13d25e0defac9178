//! Faults in the phases of a plugin's life, without clocks and without luck.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use stoa_core::id::PluginId;
use tokio::sync::watch;

use crate::{error::LoaderError, phase::Phase};

/// Makes chosen phases of chosen plugins fail or wait, for tests of hosts and of the loader itself.
///
/// ```
/// # use stoa_loader::{Host, Phase, testing::{Faults, PlanBuilder}};
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// # let folder = tempfile::tempdir()?;
/// # let component = wat::parse_str("(component)")?;
/// # let plan = || PlanBuilder::new(folder.path()).plugin("demo:a", "1.0.0", &component).build();
/// let faults = Faults::new();
/// let host = Host::<()>::builder().faults(faults.clone()).build()?;
///
/// faults.fail("demo:a", Phase::Link)?;
/// let applied = host.apply(plan()?).await?;
/// assert_eq!(applied.failures().next().map(|(_, error)| error.code()), Some("fault"));
///
/// faults.clear();
/// host.apply(plan()?).await?.all()?;
/// # Ok(())
/// # }
/// ```
///
/// A fault meets its phase when the phase begins, each time. What it means there:
///
/// | phase | failing | held |
/// |---|---|---|
/// | discover to start | the plugin fails in that phase | it stays there, and its time runs |
/// | run | each call traps before it enters the guest | each call stays inside, and its deadline runs |
/// | drain | calls under way are cut off at once | the drain takes as long as it may |
/// | stop | as if `lifecycle.shutdown` had trapped | as if it did not return |
///
/// A compilation is held on the thread that compiles, as a slow one would be: it goes on after its time is up.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Mutex<BTreeMap<(PluginId, Phase), Fault>>>);

#[derive(Debug, Clone)]
enum Fault {
    Fails,
    Waits(Arc<watch::Sender<Gates>>),
}

/// Why a fault could not be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no id of a plugin")]
pub struct FaultError(String);

/// How many arrived at a gate, and whether it is open.
#[derive(Debug, Default)]
struct Gates {
    arrived: usize,
    open: bool,
}

/// Where a plugin is held, until this is opened or dropped.
#[derive(Debug)]
#[must_use = "dropped, it lets everybody through"]
pub struct Gate(Arc<watch::Sender<Gates>>);

impl Faults {
    /// No faults yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// `plugin` fails in `phase`, from now on.
    ///
    /// # Errors
    ///
    /// [`FaultError`] where `plugin` is no id.
    pub fn fail(&self, plugin: &str, phase: Phase) -> Result<(), FaultError> {
        self.set(plugin, phase, Fault::Fails)
    }

    /// `plugin` waits at the beginning of `phase` until the gate is opened: a delay, and where it never is, a hang.
    ///
    /// # Errors
    ///
    /// [`FaultError`] where `plugin` is no id.
    pub fn hold(&self, plugin: &str, phase: Phase) -> Result<Gate, FaultError> {
        let gates = Arc::new(watch::Sender::new(Gates::default()));
        self.set(plugin, phase, Fault::Waits(gates.clone()))?;
        Ok(Gate(gates))
    }

    /// Takes all faults away. What is held already stays held.
    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn set(&self, plugin: &str, phase: Phase, fault: Fault) -> Result<(), FaultError> {
        let id = plugin.parse().map_err(|_| FaultError(plugin.chars().take(160).collect()))?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert((id, phase), fault);
        Ok(())
    }

    /// Where the phases pass.
    pub(crate) async fn pass(&self, plugin: &PluginId, phase: Phase) -> Result<(), LoaderError> {
        let fault = {
            let faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if faults.is_empty() {
                return Ok(());
            }
            faults.get(&(plugin.clone(), phase)).cloned()
        };
        match fault {
            None => Ok(()),
            Some(Fault::Fails) => Err(LoaderError::Fault { plugin: plugin.clone(), phase }),
            Some(Fault::Waits(gates)) => {
                let mut watching = gates.subscribe();
                gates.send_modify(|gates| gates.arrived += 1);
                // An error means that the gate is gone, and then nobody is held.
                let _ = watching.wait_for(|gates| gates.open).await;
                Ok(())
            }
        }
    }
}

impl Gate {
    /// Waits until `count` have come to this gate since it was made, whether or not they still wait.
    pub async fn arrived(&self, count: usize) {
        let mut watching = self.0.subscribe();
        // The sender is held by `self`, so this can not fail.
        let _ = watching.wait_for(|gates| gates.arrived >= count).await;
    }

    /// How many have come so far.
    pub fn count(&self) -> usize {
        self.0.borrow().arrived
    }

    /// Lets through who waits, and who comes later.
    pub fn open(&self) {
        self.0.send_modify(|gates| gates.open = true);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.open();
    }
}
