//! Eight threads that call, cut off, forget and reload at random.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use fastrand::Rng;
use stoa_loader::{CancelToken, Host, LoaderError, component::Val};
use tokio::sync::Mutex;

use super::{
    Failure,
    garden::{self, Garden},
};

/// No call and no plan may take longer: what does is stuck. Far more than any limit, since the machine may be busy.
pub(super) const STUCK: Duration = Duration::from_secs(60);

/// How calls ended, by what was done and by the code of the error, `ok`, or what a plugin was told instead of an answer.
#[derive(Debug, Default, Clone)]
pub(super) struct Tally {
    pub(super) ends: BTreeMap<(&'static str, String), u64>,
    /// Answers from which it is certain that an instance was lost by a failure of its own.
    pub(super) struck: u64,
    /// Cancelled calls of which it is not: one that is cancelled as it fails may have cost an instance either way.
    pub(super) unsure: u64,
    pub(super) applied: garden::Applied,
}

impl Tally {
    pub(super) fn add(&mut self, other: Self) {
        for (end, count) in other.ends {
            *self.ends.entry(end).or_default() += count;
        }
        self.struck += other.struck;
        self.unsure += other.unsure;
        let (sum, more) = (&mut self.applied, other.applied);
        sum.plans += more.plans;
        sum.cancelled += more.cancelled;
        sum.loaded += more.loaded;
        sum.reloaded += more.reloaded;
        sum.removed += more.removed;
        sum.failed += more.failed;
    }

    pub(super) fn calls(&self) -> u64 {
        self.ends.values().sum()
    }

    fn count(&mut self, what: &'static str, end: &str) {
        *self.ends.entry((what, end.to_owned())).or_default() += 1;
    }
}

/// What a caller does with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    /// Waits for the answer.
    Call(&'static str),
    /// Gives it a deadline that it may miss.
    Hurry,
    /// Cancels it while it runs.
    Cancel,
    /// Stops waiting for it.
    Forget,
}

impl Deed {
    fn rolled(dice: &mut Rng) -> Self {
        match dice.u16(0..1000) {
            0..30 => Self::Call("trap"),
            30..40 => Self::Call("spin"),
            40..60 => Self::Call("hog"),
            60..80 => Self::Hurry,
            80..90 => Self::Cancel,
            90..110 => Self::Forget,
            _ => Self::Call("bump"),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Call(function) => function,
            Self::Hurry => "bump, hurried",
            Self::Cancel => "spin, cancelled",
            Self::Forget => "bump, forgotten",
        }
    }
}

/// One in so many deeds is a change of the plan.
const TENDING: u32 = 2000;

/// Does what the dice say until it is time.
pub(super) async fn act(
    host: &Host<()>,
    garden: &Mutex<Garden>,
    plugins: usize,
    until: Instant,
    mut dice: Rng,
) -> Result<Tally, Failure> {
    let mut tally = Tally::default();
    while Instant::now() < until {
        if dice.u32(0..TENDING) == 0 {
            let patience = (dice.u8(0..10) == 0).then(|| Duration::from_millis(dice.u64(0..20)));
            let turn = async {
                let mut garden = garden.lock().await;
                garden.tend(&mut dice);
                garden.apply(host, patience, &mut tally.applied).await
            };
            tokio::time::timeout(STUCK, turn).await.map_err(|_| "a plan is stuck: it took a minute")??;
        } else {
            let plugin = format!("soak:p{}", dice.usize(0..plugins));
            let deed = Deed::rolled(&mut dice);
            let called = tokio::time::timeout(STUCK, call(host, &plugin, deed, &mut dice));
            let end = called.await.map_err(|_| format!("{plugin} is stuck: {} took a minute", deed.name()))?;
            match deed {
                Deed::Call(_) | Deed::Cancel if is_struck(&end) => tally.struck += 1,
                Deed::Cancel => tally.unsure += 1,
                // Its deadline is no failure of the plugin's, and `bump` has none.
                Deed::Call(_) | Deed::Hurry | Deed::Forget => {}
            }
            tally.count(deed.name(), &end);
        }
    }
    Ok(tally)
}

/// A failure of the one that was called, or of the one behind it, that costs an instance.
fn is_struck(end: &str) -> bool {
    ["trapped", "guest-time", "limit-memory", "told: trapped", "told: timeout"].contains(&end)
}

async fn call(host: &Host<()>, plugin: &str, deed: Deed, dice: &mut Rng) -> String {
    let plugin = match host.plugin(plugin) {
        Ok(plugin) => plugin,
        Err(error) => return error.code().to_owned(),
    };
    let outcome = match deed {
        Deed::Call(function) => plugin.call_dyn(function, &[]).await,
        Deed::Hurry => plugin.within(Duration::from_micros(dice.u64(0..200))).call_dyn("bump", &[]).await,
        Deed::Cancel => {
            let token = CancelToken::new();
            let plugin = plugin.cancelled_by(&token);
            let pause = Duration::from_micros(dice.u64(0..5000));
            let cancelling = async {
                tokio::time::sleep(pause).await;
                token.cancel();
            };
            tokio::join!(plugin.call_dyn("spin", &[]), cancelling).0
        }
        Deed::Forget => {
            let pause = Duration::from_micros(dice.u64(0..50));
            match tokio::time::timeout(pause, plugin.call_dyn("bump", &[])).await {
                Ok(outcome) => outcome,
                Err(_) => return "forgotten".to_owned(),
            }
        }
    };
    end(outcome)
}

/// The end of a call in a word.
fn end(outcome: Result<Vec<Val>, LoaderError>) -> String {
    match outcome.as_deref() {
        Ok([Val::Result(Ok(_))]) => "ok".to_owned(),
        Ok([Val::Result(Err(Some(told)))]) => match &**told {
            Val::Variant(case, _) => format!("told: {case}"),
            other => format!("told: {other:?}"),
        },
        Ok(other) => format!("answered {other:?}"),
        Err(error) => error.code().to_owned(),
    }
}

/// Asks every plugin until it answers, at most for so long: who never does is named.
pub(super) async fn all_answer(host: &Host<()>, within: Duration) -> Result<usize, Failure> {
    let until = Instant::now() + within;
    let plugins = host.plugins();
    for id in &plugins {
        let plugin = host.plugin(&id.to_string()).map_err(|error| error.to_string())?;
        loop {
            let end = end(plugin.call_dyn("bump", &[]).await);
            if end == "ok" {
                break;
            }
            if Instant::now() > until {
                return Err(format!("{id} is stuck: its last call ended by `{end}`").into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    Ok(plugins.len())
}
