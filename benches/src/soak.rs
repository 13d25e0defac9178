//! `soak loader`: ten minutes of everything at once, in one host, and then the sums.
//!
//! A hundred plugins are loaded: half of them count, half pass calls on to one that counts. Eight threads call them, let
//! them trap, run out of guest time and of memory, hurry, cancel and forget their calls, and change the plan: plugins get
//! other bytes, break, go, come back; one change in ten is cancelled on its way. At the end every plugin is mended and has
//! to answer, the host is shut down, and
//!
//! - no call and no plan took a minute, and no plugin keeps an instance busy: nothing is stuck;
//! - of what a host holds, all is returned: components, stores, instances, compilations, memory, the host itself;
//! - every life that an event tells of went through the phases in order and ended; there are as many events of a kind as
//!   outcomes of plans, and as many of lost instances as answers that tell of one;
//! - memory is flat: the resident set in the last quarter of the time is, in the middle, at most [`GROWTH`] or [`SLACK`]
//!   above that of the second quarter. A run of less than [`FLAT_FROM`] is too short to tell.

mod book;
mod callers;
mod garden;
mod guests;

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use fastrand::Rng;
use stoa_loader::{BreakerRules, Host, Limits, testing};
use tokio::sync::Mutex;

use self::{
    book::Book,
    callers::{Tally, all_answer},
    garden::Garden,
};

/// Why it can not go on, or what came out wrong.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Threads that act.
const THREADS: usize = 8;
/// By so much of itself the memory may grow.
const GROWTH: f64 = 0.05;
/// Or by so many bytes, if that is more.
const SLACK: u64 = 8 << 20;
/// Shorter runs say nothing about memory.
const FLAT_FROM: Duration = Duration::from_secs(60);
/// So often memory is looked at.
const SAMPLE: Duration = Duration::from_millis(250);

/// What is to be done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Order {
    pub(crate) lasting: Duration,
    pub(crate) plugins: usize,
    pub(crate) seed: u64,
}

/// What came out.
#[derive(Debug)]
pub(crate) struct Report {
    tally: Tally,
    book: Book,
    /// Bytes of the resident set, in the middle of the second quarter and of the last; none for a short run.
    memory: Option<(u64, u64)>,
}

/// Reads `loader SECONDS SEED`, runs it and prints the report.
pub(crate) fn run(args: &[&str]) -> Result<(), Failure> {
    let [seconds, seed] = args else { return Err("usage: stoa-benches soak SECONDS SEED".into()) };
    let order = Order { lasting: Duration::from_secs(seconds.parse()?), plugins: 100, seed: seed.parse()? };
    eprintln!("soak: {} plugins, {THREADS} threads, {} s, seed {}", order.plugins, seconds, order.seed);
    let report = soak(order)?;
    report.print();
    match report.book.defects.len() {
        0 => Ok(()),
        defects => Err(format!("{defects} things came out wrong; the same dice: seed {}", order.seed).into()),
    }
}

/// Limits that calls meet soon.
fn limits() -> Limits {
    Limits {
        memory: 1 << 20,
        guest_time: Duration::from_millis(10),
        deadline: Duration::from_secs(10),
        ..Limits::default()
    }
}

fn soak(order: Order) -> Result<Report, Failure> {
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build()?;
    let _inside = runtime.enter();
    let rules =
        BreakerRules { first: Duration::from_millis(50), longest: Duration::from_millis(200), ..Default::default() };
    let host = Host::<()>::builder()
        .limits(limits())
        .breaker(rules)
        .code_cache(folder.path().join("code"))
        .code_cache_bytes(8 << 20)
        .build()?;

    let mut events = host.events();
    let told = runtime.handle().clone();
    // A thread of its own, so that it hears all: it ends when nothing of the host is left.
    let listener = thread::Builder::new().name("listener".into()).spawn(move || {
        let mut book = Book::default();
        while let Some(event) = told.block_on(events.next()) {
            book.enter(&event);
        }
        book
    })?;

    let mut dice = Rng::with_seed(order.seed);
    let mut tally = Tally::default();
    let garden = Mutex::new(Garden::new(folder.path().to_owned(), order.plugins));
    // In parts, as a listener may lag by about a hundred plugins that load at once.
    for first in (0..order.plugins).step_by(20) {
        let mut garden = runtime.block_on(garden.lock());
        garden.plant(first..order.plugins.min(first + 20));
        runtime.block_on(garden.apply(&host, None, &mut tally.applied))?;
    }

    let over = Arc::new(AtomicBool::new(false));
    let weighing = thread::spawn({
        let over = over.clone();
        move || weigh(&over)
    });
    let until = Instant::now() + order.lasting;
    let acted = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                let dice = dice.fork();
                let (host, garden, runtime) = (&host, &garden, runtime.handle());
                scope.spawn(move || runtime.block_on(callers::act(host, garden, order.plugins, until, dice)))
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err("a thread panicked".into())))
            .collect::<Vec<_>>()
    });
    over.store(true, SeqCst);
    let samples = weighing.join().map_err(|_| "the thread that weighs panicked")?;
    for acted in acted {
        tally.add(acted?);
    }

    runtime.block_on(async {
        let mut garden = garden.lock().await;
        garden.mend();
        garden.apply(&host, None, &mut tally.applied).await
    })?;
    let mut defects = Vec::new();
    let answered = runtime.block_on(all_answer(&host, callers::STUCK))?;
    if answered != order.plugins {
        defects.push(format!("{answered} of {} plugins run after all were mended", order.plugins));
    }
    let busy = host.vitals().into_iter().filter(|vitals| vitals.busy > 0 || vitals.waiting > 0);
    defects.extend(
        busy.map(|vitals| format!("{} is stuck: {} busy, {} wait", vitals.plugin, vitals.busy, vitals.waiting)),
    );
    runtime.block_on(host.shutdown(Duration::from_secs(10)));
    // Compilations of cancelled plans, which nobody waits for, may yet be under way.
    let patience = Instant::now() + callers::STUCK;
    while testing::census(&host) != testing::Census::default() && Instant::now() < patience {
        thread::sleep(Duration::from_millis(10));
    }
    let left = testing::census(&host);
    if left != testing::Census::default() {
        defects.push(format!("after the shutdown something is left: {left:?}"));
    }
    drop(host);
    while !listener.is_finished() && Instant::now() < patience {
        thread::sleep(Duration::from_millis(10));
    }
    if !listener.is_finished() {
        return Err("the host is held by somebody after its shutdown: its events do not end".into());
    }
    let mut book = listener.join().map_err(|_| "the listener panicked")?;
    book.close(&tally, u64::try_from(answered)?);
    book.defects.append(&mut defects);

    let memory = (order.lasting >= FLAT_FROM).then(|| quarters(&samples)).flatten();
    if let Some((early, late)) = memory {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "bytes"
        )]
        let most = early + SLACK.max((early as f64 * GROWTH) as u64);
        if late > most {
            book.defects.push(format!("memory is not flat: {early} B in the second quarter, {late} B in the last"));
        }
    }
    Ok(Report { tally, book, memory })
}

/// The resident set from time to time, in bytes.
fn weigh(over: &AtomicBool) -> Vec<u64> {
    let mut samples = Vec::new();
    while !over.load(SeqCst) {
        samples.extend(resident());
        thread::sleep(SAMPLE);
    }
    samples
}

/// The resident set of this process, as Linux tells it.
fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// The medians of the second and of the last quarter.
fn quarters(samples: &[u64]) -> Option<(u64, u64)> {
    let quarter = samples.len() / 4;
    let median = |part: &[u64]| {
        let mut sorted = part.to_vec();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied()
    };
    Some((median(samples.get(quarter..2 * quarter)?)?, median(samples.get(3 * quarter..)?)?))
}

impl Report {
    fn print(&self) {
        let Self { tally, book, memory } = self;
        println!("\n{:>12} calls, by what was done and how it ended", tally.calls());
        for ((what, end), count) in &tally.ends {
            println!("{count:>12}   {what:<18} {end}");
        }
        let garden::Applied { plans, cancelled, loaded, reloaded, removed, failed } = &tally.applied;
        println!(
            "\n{plans:>12} plans: {loaded} loaded, {reloaded} reloaded, {removed} removed, {failed} failed, {cancelled} cancelled"
        );
        println!("\n{:>12} events, by kind", book.counts.values().sum::<u64>());
        for (kind, count) in &book.counts {
            println!("{count:>12}   {kind}");
        }
        match memory {
            Some((early, late)) => {
                println!("\n{:>8} KiB   resident in the second quarter, {} KiB in the last", early / 1024, late / 1024)
            }
            None => println!("\n             memory: the run was too short, or this system does not tell"),
        }
        println!(
            "\n{}",
            if book.defects.is_empty() {
                "Nothing is stuck, nothing is left, every event is accounted for."
            } else {
                "What came out wrong:"
            }
        );
        for defect in &book.defects {
            println!("- {defect}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_seconds_of_everything_leave_nothing_stuck_and_no_event_unaccounted_for() -> Result<(), Failure> {
        let report = soak(Order { lasting: Duration::from_secs(3), plugins: 24, seed: 7 })?;
        report.print();
        assert_eq!(report.book.defects, Vec::<String>::new());
        assert!(report.tally.calls() > 0 && report.tally.struck > 0 && report.tally.applied.plans > 2, "{report:?}");
        Ok(())
    }

    #[test]
    fn quarters_are_compared_by_their_middles() {
        let samples: Vec<u64> =
            [9, 9, 9, 9].into_iter().chain([1, 2, 3, 90]).chain([7; 4]).chain([5, 4, 6, 1]).collect();
        assert_eq!(quarters(&samples), Some((3, 5)));
        assert_eq!(quarters(&[]), None);
    }
}
