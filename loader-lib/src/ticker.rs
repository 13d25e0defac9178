//! The clock of guest time: bumps the engine's epoch while guests run, and parks while none does.

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use wasmtime::{Engine, EngineWeak};

/// One unit of guest time. The engine's checks cost the same at any length; 5 ms bounds both how long a
/// guest keeps a worker thread before it yields and how far past its limit it can run.
pub(crate) const TICK: Duration = Duration::from_millis(5);

/// The thread that ticks. It ends when the last clone of this handle is dropped.
#[derive(Clone)]
pub(crate) struct Ticker(Arc<Handle>);

struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        *self.0.ended() = true;
        self.0.wake.notify_one();
    }
}

struct Shared {
    running: AtomicUsize,
    /// How often it has ticked, so that tests can see it park.
    ticks: AtomicUsize,
    /// Whether the thread should end. The condition variable goes with it and also wakes a parked thread.
    ended: Mutex<bool>,
    wake: Condvar,
}

impl Shared {
    fn ended(&self) -> MutexGuard<'_, bool> {
        // Nothing panics while it holds the lock, so a poisoned one is whole.
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Parks until a guest runs; `false` when the thread should end.
    fn wait_for_a_guest(&self) -> bool {
        let mut ended = self.ended();
        while self.running.load(SeqCst) == 0 && !*ended {
            ended = self.wake.wait(ended).unwrap_or_else(PoisonError::into_inner);
        }
        !*ended
    }
}

fn tick(shared: &Shared, engine: &EngineWeak) {
    while shared.wait_for_a_guest() {
        std::thread::sleep(TICK);
        match engine.upgrade() {
            Some(engine) => engine.increment_epoch(),
            None => return,
        }
        shared.ticks.fetch_add(1, SeqCst);
    }
}

impl Ticker {
    /// Starts the thread for `engine`, which it does not keep alive.
    pub(crate) fn start(engine: &Engine) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            running: AtomicUsize::new(0),
            ticks: AtomicUsize::new(0),
            ended: Mutex::new(false),
            wake: Condvar::new(),
        });
        let (ticking, engine) = (shared.clone(), engine.weak());
        std::thread::Builder::new().name("stoa-ticker".into()).spawn(move || tick(&ticking, &engine))?;
        Ok(Self(Arc::new(Handle(shared))))
    }

    /// Keeps the clock ticking until the guard is dropped.
    pub(crate) fn run(&self) -> Running {
        let shared = self.0.0.clone();
        if shared.running.fetch_add(1, SeqCst) == 0 {
            // Under the lock: the thread either has not looked at the count yet, or waits already.
            let _ended = shared.ended();
            shared.wake.notify_one();
        }
        Running(shared)
    }
}

/// A call that runs.
pub(crate) struct Running(Arc<Shared>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(ticker: &Ticker) -> usize {
        ticker.0.0.ticks.load(SeqCst)
    }

    #[test]
    fn the_clock_ticks_while_a_guest_runs_and_parks_after() {
        let engine = crate::engine::engine().expect("the engine starts");
        let ticker = Ticker::start(&engine).expect("a thread starts");
        std::thread::sleep(TICK * 4);
        assert_eq!(ticks(&ticker), 0, "it ticked though no guest ran");

        let running = ticker.run();
        while ticks(&ticker) < 3 {
            std::thread::sleep(TICK);
        }
        drop(running);

        std::thread::sleep(TICK * 4);
        let parked = ticks(&ticker);
        std::thread::sleep(TICK * 8);
        assert_eq!(ticks(&ticker), parked, "it goes on ticking though no guest runs");
    }
}
