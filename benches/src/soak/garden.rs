//! What is planted: the plan of the soak, which changes at random, and its way into the host.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use fastrand::Rng;
use stoa_loader::{
    ApplyOptions, CancelToken, Host, LoaderError, Outcome, Plan,
    plan::Reload,
    testing::{self, PlanBuilder},
};

use super::{Failure, guests};

/// So many components a plugin comes in: as many as are compiled at most, but for broken ones.
const SALTS: u8 = 4;

/// One place for a plugin.
#[derive(Debug, Clone)]
struct Bed {
    name: String,
    /// The counter that it passes calls on to; none for a counter.
    on: Option<usize>,
    planted: bool,
    broken: bool,
    stop_start: bool,
    salt: u8,
    /// The patch number of its version.
    version: u32,
}

/// The plan as it is to be. It belongs to one thread at a time: applying it is part of the turn.
pub(super) struct Garden {
    folder: PathBuf,
    beds: Vec<Bed>,
    versions: u32,
    components: BTreeMap<(usize, bool, u8), Vec<u8>>,
}

/// What came of applying plans, counted.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Applied {
    pub(super) plans: u64,
    pub(super) cancelled: u64,
    pub(super) loaded: u64,
    pub(super) reloaded: u64,
    pub(super) removed: u64,
    /// Kept an old one, or did not run at all.
    pub(super) failed: u64,
}

impl Garden {
    /// Beds for `size` plugins, none of them planted.
    pub(super) fn new(folder: PathBuf, size: usize) -> Self {
        let counters = size.div_ceil(2);
        let bed = |number: usize| Bed {
            name: format!("p{number}"),
            on: number.checked_sub(counters),
            planted: false,
            broken: false,
            stop_start: number.is_multiple_of(5),
            salt: 0,
            version: 0,
        };
        Self { folder, beds: (0..size).map(bed).collect(), versions: 0, components: BTreeMap::new() }
    }

    /// Plants a part of the beds, as good ones.
    pub(super) fn plant(&mut self, beds: impl Iterator<Item = usize>) {
        for number in beds {
            self.change(number, |bed| (bed.planted, bed.broken) = (true, false));
        }
    }

    /// Changes up to ten beds: most get other bytes, some go, some come back, some are broken.
    pub(super) fn tend(&mut self, dice: &mut Rng) {
        for _ in 0..dice.usize(1..=10) {
            let number = dice.usize(0..self.beds.len());
            let (kind, salt) = (dice.u8(0..100), dice.u8(0..SALTS));
            self.change(number, |bed| match kind {
                0..15 => bed.planted = false,
                15..30 => (bed.planted, bed.broken) = (true, true),
                _ => (bed.planted, bed.broken, bed.salt) = (true, false, salt),
            });
        }
    }

    /// Lets every bed be planted with something that runs.
    pub(super) fn mend(&mut self) {
        for number in 0..self.beds.len() {
            if !self.beds[number].planted || self.beds[number].broken {
                self.plant(std::iter::once(number));
            }
        }
    }

    fn change(&mut self, number: usize, change: impl FnOnce(&mut Bed)) {
        self.versions += 1;
        let version = self.versions;
        let bed = &mut self.beds[number];
        change(bed);
        bed.version = version;
    }

    fn component(&mut self, number: usize) -> Result<Vec<u8>, Failure> {
        let bed = &self.beds[number];
        let key = (number, bed.broken, bed.salt);
        if let Some(known) = self.components.get(&key) {
            return Ok(known.clone());
        }
        let made = match (bed.broken, bed.on) {
            (true, _) => guests::broken(bed.salt),
            (false, None) => guests::counter(&bed.name, bed.salt),
            (false, Some(on)) => guests::relay(&bed.name, &self.beds[on].name, bed.salt),
        }?;
        self.components.insert(key, made.clone());
        Ok(made)
    }

    fn plan(&mut self) -> Result<Plan, Failure> {
        let mut plan = PlanBuilder::new(&self.folder);
        for number in 0..self.beds.len() {
            let component = self.component(number)?;
            let bed = &self.beds[number];
            // Who passes calls on can not be without whom it passes them on to.
            if !bed.planted || bed.on.is_some_and(|on| !self.beds[on].planted) {
                continue;
            }
            plan = plan.plugin(&format!("soak:{}", bed.name), &format!("1.0.{}", bed.version), &component);
            if let (Some(on), false) = (bed.on, bed.broken) {
                let on = &self.beds[on].name;
                plan = plan.depends_on(&format!("soak:{on}"), &[&guests::interface(on)]);
            }
            if bed.stop_start {
                plan = plan.reload(Reload::StopStart);
            }
        }
        plan.build().map_err(|error: testing::Error| Failure::from(error.to_string()))
    }

    /// Brings the plan into the host, or is cancelled after `patience`.
    pub(super) async fn apply(
        &mut self,
        host: &Host<()>,
        patience: Option<Duration>,
        told: &mut Applied,
    ) -> Result<(), Failure> {
        let plan = self.plan()?;
        let token = CancelToken::new();
        let mut applying = std::pin::pin!(host.apply_with(plan, ApplyOptions::new().cancelled_by(&token)));
        let outcome = match patience {
            None => applying.await,
            Some(patience) => match tokio::time::timeout(patience, &mut applying).await {
                Ok(outcome) => outcome,
                Err(_) => {
                    token.cancel();
                    applying.await
                }
            },
        };
        told.plans += 1;
        let applied = match outcome {
            Ok(applied) => applied,
            Err(LoaderError::LoadCancelled) if patience.is_some() => {
                told.cancelled += 1;
                return Ok(());
            }
            Err(error) => return Err(error.to_string().into()),
        };
        for (plugin, outcome) in &applied.plugins {
            match outcome {
                Outcome::Loaded => told.loaded += 1,
                Outcome::Reloaded => told.reloaded += 1,
                Outcome::Removed => told.removed += 1,
                Outcome::Unchanged => {}
                Outcome::KeptOld(error) | Outcome::Failed(error) => {
                    told.failed += 1;
                    // A broken one fails to be linked, and blocks who depends on it.
                    if !["unknown-import", "blocked"].contains(&error.code()) {
                        return Err(format!("{plugin} failed by `{}`: {}", error.code(), error.chain()).into());
                    }
                }
            }
        }
        Ok(())
    }
}
