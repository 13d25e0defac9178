//! Who may call a plugin that fails, and when again.
//!
//! ```text
//! closed ──failures──▶ open ──its time is up──▶ half-open: one call, in a fresh instance ──it works──▶ closed
//!                       ▲                           │
//!                       └───────it fails────────────┘ twice as long
//! ```
//!
//! Each caller has a circuit of its own into a plugin, the host being one of them, so that what a caller provokes is
//! its own affair. The plugin has one for all, which opens when it can not be started, or when the circuits of two
//! callers are open.

mod circuit;
mod clock;
mod rules;
mod told;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use stoa_core::id::PluginId;

use self::circuit::{Circuit, Entry};
pub use self::{
    clock::Clock,
    rules::BreakerRules,
    told::{BreakerReason, BreakerState, Caller, CircuitVitals},
};
use crate::{
    error::LoaderError,
    event::{Bell, Event},
};

/// What a call says of the plugin that was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It answered.
    Good,
    /// It failed by itself, with this code.
    Bad(&'static str),
    /// It was inside for so long when the time of the call was up.
    Hung(Duration),
    /// Its caller cut it off inside.
    Cut,
    /// It could not be started.
    NotStarted(&'static str),
    /// Its start was not done when the time of the call was up, after so long.
    StartHung(Duration),
    /// Nothing: others ended the call, or kept it from being made.
    Neutral,
}

/// The breaker of one plugin.
pub(crate) struct Breaker {
    plugin: PluginId,
    rules: BreakerRules,
    clock: Clock,
    bell: Bell,
    /// What makes up one failure of calls, and of starts, that end with their time.
    own: (Duration, Duration),
    /// Whether a circuit is other than closed and without a failure. Where none is, calls go past the lock.
    alert: AtomicBool,
    /// Counts openings. An instance that was made after one is fresh.
    openings: AtomicU64,
    board: Mutex<Board>,
}

#[derive(Default)]
struct Board {
    whole: Circuit,
    edges: BTreeMap<Caller, Edge>,
    /// Starts that failed since one did not.
    starts: u32,
    start_hung: Duration,
}

#[derive(Default)]
struct Edge {
    circuit: Circuit,
    /// Time that calls were inside until their time was up, below what makes up a failure.
    hung: Duration,
}

impl Board {
    fn is_quiet(&self) -> bool {
        self.starts == 0 && self.whole.is_quiet() && self.edges.values().all(|edge| edge.circuit.is_quiet())
    }

    /// The callers for whom it fails now.
    fn failing(&self, rules: &BreakerRules, now: Instant) -> Vec<Caller> {
        let failing = self.edges.iter().filter(|(_, edge)| edge.circuit.is_failing(rules, now));
        failing.map(|(caller, _)| caller.clone()).collect()
    }
}

impl Breaker {
    /// A breaker of `plugin`, whose calls have `call` and whose starts have `start` of their own.
    ///
    /// What was inside for nine tenths of that has used it up: getting inside takes its part, too.
    pub(crate) fn new(
        plugin: PluginId,
        rules: BreakerRules,
        clock: Clock,
        bell: Bell,
        call: Duration,
        start: Duration,
    ) -> Arc<Self> {
        Arc::new(Self {
            plugin,
            rules,
            clock,
            bell,
            own: (call * 9 / 10, start * 9 / 10),
            alert: AtomicBool::new(false),
            openings: AtomicU64::new(0),
            board: Mutex::default(),
        })
    }

    /// How often a circuit opened so far.
    pub(crate) fn openings(&self) -> u64 {
        self.openings.load(SeqCst)
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        // Nothing panics while it holds the lock, so a poisoned one is whole.
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a call of `caller` through, or says when to come again.
    ///
    /// # Errors
    ///
    /// [`LoaderError::Breaker`].
    pub(crate) fn ask(self: &Arc<Self>, caller: impl FnOnce() -> Caller) -> Result<Pass, LoaderError> {
        if !self.alert.load(SeqCst) {
            return Ok(Pass { breaker: self.clone(), probe: None });
        }
        let (caller, now) = (caller(), self.clock.now());
        let mut board = self.board();
        let Board { whole, edges, .. } = &mut *board;
        let mut edge = edges.get_mut(&caller).map(|edge| &mut edge.circuit);
        // Both are asked before either is entered: who is refused by one does not probe the other.
        let enters = (whole.ask(now), edge.as_ref().map_or(Entry::Free, |edge| edge.ask(now)));
        let probes = (enters.0 == Entry::Probe, enters.1 == Entry::Probe);
        if let Entry::Refused(wait, reason) = enters.0 {
            whole.count_refusal();
            return Err(self.refusal(None, reason, wait));
        }
        if let (Entry::Refused(wait, reason), Some(edge)) = (enters.1, &mut edge) {
            edge.count_refusal();
            return Err(self.refusal(Some(caller), reason, wait));
        }
        let mut since = None;
        if probes.0 {
            since = Some(whole.probe());
            self.tell(None, whole, now);
        }
        if let Some(edge) = edge.filter(|_| probes.1) {
            since = since.max(Some(edge.probe()));
            self.tell(Some(&caller), edge, now);
        }
        let probe = since.map(|since| Box::new(Probe { caller, whole: probes.0, edge: probes.1, since }));
        Ok(Pass { breaker: self.clone(), probe })
    }

    fn refusal(&self, caller: Option<Caller>, reason: BreakerReason, wait: Duration) -> LoaderError {
        // Whole milliseconds, as callers are told, and not too few.
        let retry_in = Duration::from_millis(u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX));
        let (plugin, caller, reason) = (self.plugin.clone(), caller.map(Box::new), Box::new(reason));
        LoaderError::Breaker { plugin, caller, reason, retry_in }
    }

    fn tell(&self, caller: Option<&Caller>, circuit: &Circuit, now: Instant) {
        let (plugin, caller, circuit) = (self.plugin.clone(), caller.cloned(), circuit.vitals(now));
        let CircuitVitals { state, reason, retry_in, .. } = circuit;
        self.bell.ring(Event::Breaker { plugin, caller, state, reason, retry_in });
    }

    fn open(&self, circuit: &mut Circuit, caller: Option<&Caller>, reason: BreakerReason, now: Instant) {
        circuit.open(&self.rules, now, self.clock.luck(), self.openings.fetch_add(1, SeqCst) + 1, reason);
        self.tell(caller, circuit, now);
    }

    /// Notes what came of a call of `caller`, which had `probe`.
    fn note(&self, caller: Caller, probe: Option<&Probe>, verdict: Verdict) {
        let now = self.clock.now();
        let mut board = self.board();
        match verdict {
            Verdict::Good => self.good(&mut board, &caller, probe, now),
            Verdict::Bad(code) => self.bad(&mut board, &caller, probe, code, now),
            Verdict::Hung(spent) => {
                let edge = board.edges.entry(caller.clone()).or_default();
                edge.hung += spent;
                match edge.hung.checked_sub(self.own.0) {
                    Some(rest) => {
                        edge.hung = rest;
                        self.bad(&mut board, &caller, probe, "deadline", now);
                    }
                    None => self.cut(&mut board, &caller, probe, now),
                }
            }
            Verdict::Cut => self.cut(&mut board, &caller, probe, now),
            Verdict::NotStarted(code) => self.not_started(&mut board, probe, code, now),
            Verdict::StartHung(spent) => {
                board.start_hung += spent;
                match board.start_hung.checked_sub(self.own.1) {
                    Some(rest) => {
                        board.start_hung = rest;
                        self.not_started(&mut board, probe, "deadline", now);
                    }
                    None => self.release(&mut board, probe),
                }
            }
            Verdict::Neutral => self.release(&mut board, probe),
        }
        self.alert.store(!board.is_quiet(), SeqCst);
    }

    fn good(&self, board: &mut Board, caller: &Caller, probe: Option<&Probe>, now: Instant) {
        board.starts = 0;
        if probe.is_some_and(|probe| probe.whole) {
            board.whole.close();
            self.tell(None, &board.whole, now);
        }
        let Some(edge) = board.edges.get_mut(caller) else { return };
        if probe.is_some_and(|probe| probe.edge) {
            edge.circuit.close();
            self.tell(Some(caller), &edge.circuit, now);
        } else {
            edge.circuit.good();
        }
    }

    fn bad(&self, board: &mut Board, caller: &Caller, probe: Option<&Probe>, code: &'static str, now: Instant) {
        // It was started.
        board.starts = 0;
        let edge = board.edges.entry(caller.clone()).or_default();
        let probed = probe.is_some_and(|probe| probe.edge);
        let reason = edge.circuit.bad(&self.rules, now, code);
        let reason = if probed { Some(BreakerReason::Probe { code }) } else { reason };
        if let Some(reason) = reason {
            self.open(&mut edge.circuit, Some(caller), reason, now);
            let callers = board.failing(&self.rules, now);
            if callers.len() > 1 && (board.whole.is_closed() || probe.is_some_and(|probe| probe.whole)) {
                self.open(&mut board.whole, None, BreakerReason::Callers { callers, code }, now);
                return;
            }
        }
        if probe.is_some_and(|probe| probe.whole) {
            self.open(&mut board.whole, None, BreakerReason::Probe { code }, now);
        }
    }

    /// A caller cost the plugin an instance that had done nothing wrong. That is held against this caller alone.
    fn cut(&self, board: &mut Board, caller: &Caller, probe: Option<&Probe>, now: Instant) {
        self.release(board, probe);
        let edge = board.edges.entry(caller.clone()).or_default();
        if let Some(reason) = edge.circuit.cut(&self.rules, now) {
            self.open(&mut edge.circuit, Some(caller), reason, now);
        }
    }

    fn not_started(&self, board: &mut Board, probe: Option<&Probe>, code: &'static str, now: Instant) {
        board.starts = board.starts.saturating_add(1);
        board.whole.count_failure();
        if let Some(probe) = probe.filter(|probe| probe.edge) {
            // It says nothing of what this caller calls.
            self.release(board, Some(&Probe { whole: false, caller: probe.caller.clone(), ..*probe }));
        }
        if probe.is_some_and(|probe| probe.whole) || (board.whole.is_closed() && board.starts >= self.rules.starts()) {
            let reason = BreakerReason::Starts { count: board.starts, code };
            self.open(&mut board.whole, None, reason, now);
        }
    }

    /// A probe ended without saying anything: the next call is one.
    fn release(&self, board: &mut Board, probe: Option<&Probe>) {
        let Some(probe) = probe else { return };
        if probe.whole {
            board.whole.release();
        }
        if let Some(edge) = board.edges.get_mut(&probe.caller).filter(|_| probe.edge) {
            edge.circuit.release();
        }
    }

    /// How it does: the plugin's own circuit, and those of callers that have met failures.
    pub(crate) fn vitals(&self) -> (CircuitVitals, Vec<(Caller, CircuitVitals)>) {
        let now = self.clock.now();
        let board = self.board();
        let edges = board.edges.iter().map(|(caller, edge)| (caller.clone(), edge.circuit.vitals(now)));
        (board.whole.vitals(now), edges.collect())
    }
}

/// A call that was let through. What came of it is noted once; dropped without, it says nothing.
pub(crate) struct Pass {
    breaker: Arc<Breaker>,
    /// Set where it is the one call of a circuit that is half-open.
    probe: Option<Box<Probe>>,
}

/// The one call of a circuit, or of two of them.
#[derive(Debug)]
struct Probe {
    caller: Caller,
    whole: bool,
    edge: bool,
    /// The opening that it probes.
    since: u64,
}

impl Pass {
    /// Whether what it finds out decides over a circuit.
    pub(crate) fn is_probe(&self) -> bool {
        self.probe.is_some()
    }

    /// Whether it may be made in an instance that was made when so many openings had been: a probe needs a fresh one.
    pub(crate) fn may_use(&self, openings: u64) -> bool {
        self.probe.as_ref().is_none_or(|probe| openings >= probe.since)
    }

    /// Notes what came of it.
    pub(crate) fn note(mut self, caller: impl FnOnce() -> Caller, verdict: Verdict) {
        match (self.probe.take(), verdict) {
            (Some(probe), verdict) => self.breaker.note(probe.caller.clone(), Some(&probe), verdict),
            (None, Verdict::Neutral) => {}
            (None, Verdict::Good) if !self.breaker.alert.load(SeqCst) => {}
            (None, verdict) => self.breaker.note(caller(), None, verdict),
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if let Some(probe) = self.probe.take() {
            self.breaker.note(probe.caller.clone(), Some(&probe), Verdict::Neutral);
        }
    }
}

#[cfg(test)]
mod tests;
