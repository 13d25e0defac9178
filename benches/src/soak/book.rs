//! Every event, entered in a book that has to come out even.

use std::collections::BTreeMap;

use stoa_loader::{BreakerState, Caller, End, Event, Phase, State};

use super::callers::Tally;

/// What was told, and what was told wrongly.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// By kind, and by code where there is one.
    pub(super) counts: BTreeMap<String, u64>,
    lives: BTreeMap<(String, String), State>,
    circuits: BTreeMap<(String, Option<Caller>), BreakerState>,
    /// At most ten, as sentences.
    pub(super) defects: Vec<String>,
}

impl Book {
    pub(super) fn enter(&mut self, event: &Event) {
        match event {
            Event::Entered { plugin, version, state, .. } => {
                self.count(format!("entered {state}"));
                let before = self.lives.insert((plugin.to_string(), version.to_string()), *state);
                if !follows(before, *state) {
                    let before = before.map_or("nothing".to_owned(), |state| state.to_string());
                    self.defect(format!("{plugin} {version} came from {before} to {state}"));
                }
            }
            Event::Breaker { plugin, caller, state, .. } => {
                self.count(format!("circuit {state}"));
                self.circuits.insert((plugin.to_string(), caller.clone()), *state);
            }
            Event::Loaded { .. } => self.count("loaded"),
            Event::Reloaded { .. } => self.count("reloaded"),
            Event::Removed { .. } => self.count("removed"),
            Event::Failed { .. } => self.count("failed"),
            Event::Progress { .. } => self.count("progress"),
            Event::Compiled { .. } => self.count("compiled"),
            // By the compilation of a plan that was cancelled.
            Event::CompilingElsewhere { .. } => self.count("compiling elsewhere"),
            Event::CodeEvicted { .. } => self.count("code evicted"),
            Event::StateLost { code, .. } => self.count(format!("state lost: {code}")),
            Event::Limited { exceeded, .. } => self.count(format!("limited: {}", exceeded.limit)),
            Event::Lagged { missed } => self.defect(format!("the listener missed {missed} events")),
            other => self.defect(format!("nobody expects {other:?}")),
        }
    }

    /// What does not come out even, now that all has ended: at last, `ran` plugins were shut down.
    pub(super) fn close(&mut self, tally: &Tally, ran: u64) {
        let open: Vec<_> = self
            .lives
            .iter()
            .filter(|(_, state)| !matches!(state, State::Ended(_)))
            .map(|(life, state)| (life.clone(), *state))
            .collect();
        for ((plugin, version), state) in open {
            self.defect(format!("the life of {plugin} {version} did not end: it was in {state}"));
        }
        let told = &tally.applied;
        for (event, outcomes) in [
            ("loaded", told.loaded),
            ("reloaded", told.reloaded),
            ("removed", told.removed + ran),
            ("failed", told.failed),
        ] {
            let told = self.counts.get(event).copied().unwrap_or_default();
            if told != outcomes {
                self.defect(format!("{told} events tell `{event}`, and {outcomes} outcomes do"));
            }
        }
        let lost = ["trapped", "guest-time", "limit-memory"]
            .map(|code| self.counts.get(&format!("state lost: {code}")).copied().unwrap_or_default());
        let lost: u64 = lost.iter().sum();
        if !(tally.struck..=tally.struck + tally.unsure).contains(&lost) {
            let Tally { struck, unsure, .. } = tally;
            self.defect(format!(
                "{lost} events tell that a failure cost an instance, {struck} answers do, and {unsure} may"
            ));
        }
    }

    fn count(&mut self, what: impl Into<String>) {
        *self.counts.entry(what.into()).or_default() += 1;
    }

    fn defect(&mut self, what: String) {
        if self.defects.len() < 10 {
            self.defects.push(what);
        }
    }
}

/// Whether a life may come from there to here; a version that failed may begin again.
fn follows(before: Option<State>, now: State) -> bool {
    let ordinary = |phase: Phase| Phase::ALL.into_iter().find(|next| *next > phase);
    match (before, now) {
        (None | Some(State::Ended(_)), now) => now == State::In(Phase::Discover),
        (Some(State::In(from)), State::In(to)) => ordinary(from) == Some(to),
        (Some(State::In(Phase::Stop)), State::Ended(end)) => end == End::Stopped,
        (Some(State::In(Phase::Run | Phase::Drain)), State::Ended(_)) => false,
        (Some(State::In(from)), State::Ended(End::Blocked)) => from == Phase::Wait,
        (Some(State::In(_)), State::Ended(end)) => end != End::Stopped,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn entered(state: State) -> Event {
        let plugin = "soak:p0".parse().expect("an id");
        Event::Entered { plugin, version: "1.0.0".parse().expect("a version"), state, took: Duration::ZERO }
    }

    #[test]
    fn a_life_that_is_told_whole_leaves_no_defect() {
        let mut book = Book::default();
        for phase in Phase::ALL {
            book.enter(&entered(State::In(phase)));
        }
        book.enter(&entered(State::Ended(End::Stopped)));
        book.close(&Tally::default(), 0);
        assert_eq!(book.defects, Vec::<String>::new());
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut book = Book::default();
        for state in [State::In(Phase::Discover), State::In(Phase::Fetch)] {
            book.enter(&entered(state));
        }
        book.enter(&Event::Lagged { missed: 3 });
        book.enter(&Event::Removed { plugin: "soak:p1".parse().expect("an id") });
        book.close(&Tally { struck: 2, unsure: 1, ..Tally::default() }, 0);
        assert_eq!(
            book.defects,
            [
                "soak:p0 1.0.0 came from discover to fetch",
                "the listener missed 3 events",
                "the life of soak:p0 1.0.0 did not end: it was in fetch",
                "1 events tell `removed`, and 0 outcomes do",
                "0 events tell that a failure cost an instance, 2 answers do, and 1 may",
            ]
        );
    }
}
