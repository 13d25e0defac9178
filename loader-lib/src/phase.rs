//! The life of a plugin in a host, as one machine of states.
//!
//! ```text
//! discover ─▶ resolve ─▶ fetch ─▶ compile ─▶ wait ─▶ link ─▶ start ─▶ run ─▶ drain ─▶ stop ─▶ stopped
//!     └──────────┴──────────┴────────┴────────┴───────┴───────┤
//!                                             └▶ blocked      └▶ failed, cancelled
//! ```
//!
//! Discovering and resolving are done for a whole set of plugins, all or nothing, before there is a plan; a plugin
//! of a plan passes them at once. The rest each plugin goes through by itself, beside the others.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use stoa_core::{id::PluginId, version::Version};

use crate::{
    error::LoaderError,
    event::{Bell, Event},
};

/// What is done with a plugin, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// It was asked for, by the host or by another plugin.
    Discover,
    /// Its version was chosen.
    Resolve,
    /// Its bytes are brought here and verified.
    Fetch,
    /// It is compiled, or its compiled code is read.
    Compile,
    /// It waits for the plugins that it depends on to run.
    Wait,
    /// Its imports are tied to those who serve them, and their types compared.
    Link,
    /// It is instantiated, and told by `lifecycle.init`.
    Start,
    /// It serves calls.
    Run,
    /// It takes no new calls from outside; those under way may finish.
    Drain,
    /// It is told by `lifecycle.shutdown`, and its memory is returned.
    Stop,
}

impl Phase {
    /// All of them, in order.
    pub const ALL: [Self; 10] = [
        Self::Discover,
        Self::Resolve,
        Self::Fetch,
        Self::Compile,
        Self::Wait,
        Self::Link,
        Self::Start,
        Self::Run,
        Self::Drain,
        Self::Stop,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Discover => "discover",
            Self::Resolve => "resolve",
            Self::Fetch => "fetch",
            Self::Compile => "compile",
            Self::Wait => "wait",
            Self::Link => "link",
            Self::Start => "start",
            Self::Run => "run",
            Self::Drain => "drain",
            Self::Stop => "stop",
        }
    }

    fn next(self) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| *phase > self)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How the life of a plugin ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum End {
    /// It ran and was stopped.
    Stopped,
    /// It never ran: something of its own failed.
    Failed,
    /// It never ran: one that it depends on did not.
    Blocked,
    /// It never ran: loading was cancelled.
    Cancelled,
}

/// Where a plugin is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// In this phase.
    In(Phase),
    /// At its end.
    Ended(End),
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::In(phase) => phase.name(),
            Self::Ended(End::Stopped) => "stopped",
            Self::Ended(End::Failed) => "failed",
            Self::Ended(End::Blocked) => "blocked",
            Self::Ended(End::Cancelled) => "cancelled",
        })
    }
}

/// What moves a plugin from one state to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The phase is done.
    Done,
    /// The phase failed.
    Fail,
    /// A dependency does not run.
    Block,
    /// Loading was cancelled.
    Cancel,
    /// It is taken out of service.
    Retire,
}

impl State {
    /// Where every life begins.
    pub(crate) const BEGINNING: Self = Self::In(Phase::Discover);

    /// The state after `step`; none where the machine has no such step.
    pub(crate) fn after(self, step: Step) -> Option<Self> {
        let Self::In(phase) = self else { return None };
        match (phase, step) {
            (Phase::Run, Step::Retire) => Some(Self::In(Phase::Drain)),
            // Only by the one who takes it out of service does a plugin leave this.
            (Phase::Run, _) => None,
            (Phase::Stop, Step::Done) => Some(Self::Ended(End::Stopped)),
            (_, Step::Done) => phase.next().map(Self::In),
            (Phase::Wait, Step::Block) => Some(Self::Ended(End::Blocked)),
            // What goes wrong on the way down does not keep a plugin from going.
            (Phase::Drain | Phase::Stop, _) => None,
            (_, Step::Fail) => Some(Self::Ended(End::Failed)),
            (_, Step::Cancel) => Some(Self::Ended(End::Cancelled)),
            (_, Step::Block | Step::Retire) => None,
        }
    }
}

/// One plugin's way through the machine. Every step is told.
#[derive(Debug)]
pub(crate) struct Life {
    plugin: PluginId,
    version: Version,
    bell: Bell,
    at: Mutex<(State, Instant)>,
}

impl Life {
    pub(crate) fn begin(plugin: PluginId, version: Version, bell: Bell) -> Self {
        let life = Self { plugin, version, bell, at: Mutex::new((State::BEGINNING, Instant::now())) };
        life.tell(State::BEGINNING, Duration::ZERO);
        life
    }

    #[cfg(test)]
    pub(crate) fn state(&self) -> State {
        self.at.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    /// Takes a step and tells it.
    ///
    /// # Errors
    ///
    /// [`LoaderError::Internal`] where the machine has no such step: nothing is changed then.
    pub(crate) fn step(&self, step: Step) -> Result<State, LoaderError> {
        let (to, took) = {
            // Nothing panics while it holds the lock, so a poisoned one is whole.
            let mut at = self.at.lock().unwrap_or_else(PoisonError::into_inner);
            let (from, since) = *at;
            let Some(to) = from.after(step) else {
                let rule = format!("no step {step:?} leads out of the state {from}");
                return Err(LoaderError::Internal { plugin: self.plugin.clone(), rule });
            };
            let now = Instant::now();
            *at = (to, now);
            (to, now.duration_since(since))
        };
        self.tell(to, took);
        Ok(to)
    }

    fn tell(&self, state: State, took: Duration) {
        let (plugin, version) = (self.plugin.clone(), self.version.clone());
        self.bell.ring(Event::Entered { plugin, version, state, took });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn steps() -> impl Strategy<Value = Step> {
        // Most steps go on, so that all phases are met.
        prop_oneof![
            6 => Just(Step::Done),
            1 => Just(Step::Fail),
            1 => Just(Step::Block),
            1 => Just(Step::Cancel),
            2 => Just(Step::Retire),
        ]
    }

    /// All states that a life can be in.
    fn states() -> Vec<State> {
        let ends = [End::Stopped, End::Failed, End::Blocked, End::Cancelled].map(State::Ended);
        Phase::ALL.map(State::In).into_iter().chain(ends).collect()
    }

    #[test]
    fn every_step_of_the_machine() {
        let mut rows = Vec::new();
        for from in states() {
            for step in [Step::Done, Step::Fail, Step::Block, Step::Cancel, Step::Retire] {
                rows.extend(from.after(step).map(|to| format!("{from} --{step:?}--> {to}")));
            }
        }
        insta::assert_snapshot!(rows.join("\n"));
    }

    #[test]
    fn from_every_state_there_is_a_way_to_an_end() {
        for mut state in states() {
            for _ in Phase::ALL {
                state = state.after(Step::Done).or_else(|| state.after(Step::Retire)).unwrap_or(state);
            }
            assert!(matches!(state, State::Ended(_)), "stuck in {state}");
        }
    }

    proptest! {
        #[test]
        fn a_life_goes_through_the_phases_in_order_and_ends_once(steps in prop::collection::vec(steps(), 0..40)) {
            let mut state = State::BEGINNING;
            let mut went = vec![state];
            for step in steps {
                // A refused step changes nothing.
                if let Some(to) = state.after(step) {
                    prop_assert_ne!(to, state);
                    state = to;
                    went.push(to);
                }
            }
            let phases: Vec<_> = went.iter().filter_map(|state| match state {
                State::In(phase) => Some(*phase),
                State::Ended(_) => None,
            }).collect();
            prop_assert_eq!(&phases[..], &Phase::ALL[..phases.len()], "no phase is left out or met twice");
            let ends = went.iter().filter(|state| matches!(state, State::Ended(_))).count();
            prop_assert!(ends <= 1);
            let ran = phases.contains(&Phase::Run);
            match went.last() {
                Some(State::Ended(End::Stopped)) => prop_assert!(ran),
                Some(State::Ended(End::Blocked)) => prop_assert_eq!(phases.last(), Some(&Phase::Wait)),
                Some(State::Ended(_)) => prop_assert!(!ran),
                _ => {}
            }
        }
    }

    #[test]
    fn a_step_that_the_machine_does_not_have_is_an_error_and_changes_nothing() {
        let plugin = "demo:a".parse().expect("an id");
        let life = Life::begin(plugin, "1.0.0".parse().expect("a version"), Bell::new());
        let error = life.step(Step::Retire).expect_err("it does not run");
        assert_eq!(
            error.to_string(),
            "demo:a: the loader broke a rule of its own, which is a bug: no step Retire leads out of the state discover"
        );
        assert_eq!(life.state(), State::BEGINNING);
    }
}
