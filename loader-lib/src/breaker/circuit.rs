//! One circuit: a machine without a clock and without luck of its own.

use std::time::{Duration, Instant};

use super::{
    rules::{BreakerRules, WINDOW},
    told::{BreakerReason, BreakerState, CircuitVitals},
};

/// What callers are told to wait for while one call tries whether it works again: nobody knows how long that takes.
const WHILE_PROBED: Duration = Duration::from_millis(100);

/// Whether a call goes through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    /// It does.
    Free,
    /// It does, and tries whether it works again.
    Probe,
    /// It does not, for so long.
    Refused(Duration, BreakerReason),
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Closed,
    Open(Opening),
    /// One call is trying. Where it says nothing, the next one tries.
    HalfOpen(Opening),
}

#[derive(Debug, Clone)]
struct Opening {
    until: Instant,
    /// Its number, over all circuits of the plugin.
    number: u64,
    reason: BreakerReason,
}

#[derive(Debug, Default)]
pub(super) struct Circuit {
    state: State,
    /// The last outcomes, the newest in the lowest bit; 1 is a failure. Before the first failure all were good, so nothing
    /// needs to be noted until then.
    last: u32,
    in_a_row: u32,
    /// When the budget of restarts is whole again: each one moves it on by its share.
    whole_at: Option<Instant>,
    last_failure: Option<Instant>,
    /// Openings in a row: how long the next one is.
    again: u32,
    /// Why it opened last.
    reason: Option<BreakerReason>,
    failures: u64,
    refused: u64,
    opened: u64,
}

impl Circuit {
    pub(super) fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// Whether it has nothing to note of a call that goes well.
    pub(super) fn is_quiet(&self) -> bool {
        self.is_closed() && self.last == 0 && self.in_a_row == 0
    }

    /// Whether it is not closed, for a failure of the plugin that is not long ago.
    pub(super) fn is_failing(&self, rules: &BreakerRules, now: Instant) -> bool {
        let failed = match &self.state {
            State::Closed => false,
            State::Open(opening) | State::HalfOpen(opening) => {
                !matches!(opening.reason, BreakerReason::Impatience { .. })
            }
        };
        failed && self.last_failure.is_some_and(|last| now.saturating_duration_since(last) <= rules.longest)
    }

    pub(super) fn ask(&self, now: Instant) -> Entry {
        match &self.state {
            State::Closed => Entry::Free,
            State::Open(opening) if opening.until <= now => Entry::Probe,
            State::Open(opening) => Entry::Refused(opening.until - now, opening.reason.clone()),
            State::HalfOpen(opening) => Entry::Refused(WHILE_PROBED, opening.reason.clone()),
        }
    }

    pub(super) fn count_refusal(&mut self) {
        self.refused += 1;
    }

    /// A call tries whether it works again; the number of the opening that it tries.
    pub(super) fn probe(&mut self) -> u64 {
        match std::mem::take(&mut self.state) {
            State::Open(opening) | State::HalfOpen(opening) => {
                let number = opening.number;
                self.state = State::HalfOpen(opening);
                number
            }
            State::Closed => 0,
        }
    }

    /// The call that tried says nothing. The time of the opening was up, and still is.
    pub(super) fn release(&mut self) {
        self.state = match std::mem::take(&mut self.state) {
            State::HalfOpen(opening) => State::Open(opening),
            other => other,
        };
    }

    /// It works again.
    pub(super) fn close(&mut self) {
        self.state = State::Closed;
        self.last = 0;
        self.in_a_row = 0;
    }

    /// A call went well. One that began before the circuit opened does not close it.
    pub(super) fn good(&mut self) {
        if self.is_closed() {
            self.push(0);
            self.in_a_row = 0;
        }
    }

    pub(super) fn count_failure(&mut self) {
        self.failures += 1;
    }

    /// A call failed; why the circuit is to open, if it is closed and is to open.
    pub(super) fn bad(&mut self, rules: &BreakerRules, now: Instant, code: &'static str) -> Option<BreakerReason> {
        self.count_failure();
        if self.last_failure.is_some_and(|last| now.saturating_duration_since(last) > rules.longest) {
            self.again = 0;
        }
        self.last_failure = Some(now);
        let spent = self.spend(rules, now);
        if !self.is_closed() {
            return None;
        }
        self.push(1);
        self.in_a_row = self.in_a_row.saturating_add(1);
        let often = self.last.count_ones();
        if self.in_a_row >= rules.in_a_row {
            return Some(BreakerReason::InARow { count: self.in_a_row, code });
        }
        if often >= rules.of_last_20.max(1) {
            return Some(BreakerReason::Often { count: often, code });
        }
        spent.then_some(BreakerReason::Restarts { allowed: rules.restarts, within: rules.restarts_within, code })
    }

    /// An instance was lost by the caller's doing; why the circuit is to open, if it is closed and is to open.
    pub(super) fn cut(&mut self, rules: &BreakerRules, now: Instant) -> Option<BreakerReason> {
        let spent = self.spend(rules, now);
        let reason = BreakerReason::Impatience { allowed: rules.restarts, within: rules.restarts_within };
        (spent && self.is_closed()).then_some(reason)
    }

    fn push(&mut self, bit: u32) {
        self.last = ((self.last << 1) | bit) & ((1 << WINDOW) - 1);
    }

    /// Takes one restart out of the budget; whether there was none left.
    fn spend(&mut self, rules: &BreakerRules, now: Instant) -> bool {
        let share = rules.restarts_within / rules.restarts.max(1);
        let whole = self.whole_at.map_or(now, |at| at.max(now)) + share;
        let spent = whole > now + share * rules.restarts;
        // What is over the budget is not held against the time to come.
        self.whole_at = Some(whole.min(now + share * rules.restarts));
        spent
    }

    /// Opens it, as the `number`th opening of all.
    pub(super) fn open(&mut self, rules: &BreakerRules, now: Instant, luck: f64, number: u64, reason: BreakerReason) {
        let until = now + rules.delay(self.again, luck);
        self.again = self.again.saturating_add(1);
        self.last_failure = Some(now);
        self.opened += 1;
        self.reason = Some(reason.clone());
        self.state = State::Open(Opening { until, number, reason });
    }

    pub(super) fn vitals(&self, now: Instant) -> CircuitVitals {
        let state = match self.state {
            State::Closed => BreakerState::Closed,
            State::Open(_) => BreakerState::Open,
            State::HalfOpen(_) => BreakerState::HalfOpen,
        };
        let retry_in = match self.ask(now) {
            Entry::Refused(wait, _) => Some(wait),
            Entry::Free | Entry::Probe => None,
        };
        let (reason, failures, refused, opened) = (self.reason.clone(), self.failures, self.refused, self.opened);
        CircuitVitals { state, reason, retry_in, failures, refused, opened }
    }
}
