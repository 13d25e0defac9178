//! What a test can do to the adapters in memory.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{Barrier, oneshot};

/// A kind of call to an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Call {
    /// A read of some items by key.
    Read,
    /// A transaction; its name is the operation's id.
    Transact,
    /// A page of a partition; its name is the partition.
    Query,
    /// `put_new`; the name of this and all that follow is the blob's path.
    PutNew,
    /// `put_if`.
    PutIf,
    /// `get`.
    Get,
    /// `get_range`.
    GetRange,
    /// `head`.
    Head,
    /// `list`; its name is the area's prefix.
    List,
    /// `copy_new`; its name is the path copied to.
    Copy,
    /// `delete`.
    Delete,
}

enum Fault {
    /// Waits before it takes effect.
    Before(Gate),
    /// Takes effect, then waits before it answers.
    After(Gate),
    /// Waits for others to come as far.
    Meet(Arc<Barrier>),
    /// Answers an error and takes no effect.
    Fail,
    /// Takes effect and answers an error.
    LoseAnswer,
}

struct Gate {
    reached: oneshot::Sender<()>,
    release: oneshot::Receiver<()>,
}

impl Gate {
    async fn wait(self) {
        // Either side may be gone: a test that no longer watches, or one that dropped its handle to let go.
        let _ = self.reached.send(());
        let _ = self.release.await;
    }
}

/// A call that is, or will be, stopped. Dropping it lets the call go on.
#[derive(Debug)]
pub struct Stopped {
    reached: Option<oneshot::Receiver<()>>,
    release: oneshot::Sender<()>,
}

impl Stopped {
    /// Waits until the call stands at the barrier.
    pub async fn reached(&mut self) {
        if let Some(reached) = self.reached.take() {
            // An error means that the hooks were dropped: there is nothing left to wait for.
            let _ = reached.await;
        }
    }

    /// Lets the call go on.
    pub fn release(self) {
        // An error means that the call was dropped while it stood there.
        let _ = self.release.send(());
    }
}

#[derive(Default)]
struct State {
    /// Each is used once, in the order in which they were set.
    faults: Vec<(Call, String, Fault)>,
    /// Those that are still awaited, one entry a call.
    meetings: Vec<(Call, Arc<Barrier>)>,
    calls: Vec<(Call, String)>,
}

/// The strings on one memory adapter, or on several that share them. A clone holds the same strings.
#[derive(Clone, Default)]
pub struct Hooks(Arc<Mutex<State>>);

impl std::fmt::Debug for Hooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Hooks").field(&self.counts()).finish()
    }
}

impl Hooks {
    /// Stops the next call of this kind and name before it takes effect.
    pub fn stop_before(&self, call: Call, name: impl Into<String>) -> Stopped {
        let (gate, stopped) = gate();
        self.set(call, name, Fault::Before(gate));
        stopped
    }

    /// Stops the next call of this kind and name after it took effect, before its answer.
    pub fn stop_after(&self, call: Call, name: impl Into<String>) -> Stopped {
        let (gate, stopped) = gate();
        self.set(call, name, Fault::After(gate));
        stopped
    }

    /// Lets none of the next `count` calls of this kind, whatever their names, take effect before all of them have
    /// come: each was decided on what was there before any of the others.
    pub fn meet(&self, call: Call, count: usize) {
        let barrier = Arc::new(Barrier::new(count));
        self.lock().meetings.extend((0..count).map(|_| (call, Arc::clone(&barrier))));
    }

    /// Makes the next call of this kind and name fail; it takes no effect.
    pub fn fail(&self, call: Call, name: impl Into<String>) {
        self.set(call, name, Fault::Fail);
    }

    /// Makes the next call of this kind and name take effect and answer with a failure.
    pub fn lose_answer(&self, call: Call, name: impl Into<String>) {
        self.set(call, name, Fault::LoseAnswer);
    }

    /// How many calls of each kind began since the last [`Hooks::forget`].
    pub fn counts(&self) -> BTreeMap<Call, usize> {
        let mut counts = BTreeMap::new();
        for (call, _) in &self.lock().calls {
            *counts.entry(*call).or_default() += 1;
        }
        counts
    }

    /// How many calls of this kind began since the last [`Hooks::forget`].
    pub fn count(&self, call: Call) -> usize {
        self.lock().calls.iter().filter(|(found, _)| *found == call).count()
    }

    /// The calls that began since the last [`Hooks::forget`], with their names, in order.
    pub fn calls(&self) -> Vec<(Call, String)> {
        self.lock().calls.clone()
    }

    /// Forgets the calls made so far.
    pub fn forget(&self) {
        self.lock().calls.clear();
    }

    fn set(&self, call: Call, name: impl Into<String>, fault: Fault) {
        self.lock().faults.push((call, name.into(), fault));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries out `effect` as the tests want it; `failure` makes the error of a call that failed.
    pub(super) async fn run<T, E>(
        &self,
        call: Call,
        name: &str,
        effect: impl FnOnce() -> Result<T, E> + Send,
        failure: impl FnOnce(&'static str) -> E + Send,
    ) -> Result<T, E> {
        let fault = {
            let mut state = self.lock();
            state.calls.push((call, name.to_owned()));
            let found = state.faults.iter().position(|(kind, named, _)| *kind == call && named == name);
            let fault = found.map(|index| state.faults.remove(index).2);
            fault.or_else(|| {
                let met = state.meetings.iter().position(|(kind, _)| *kind == call)?;
                Some(Fault::Meet(state.meetings.remove(met).1))
            })
        };
        match fault {
            None => effect(),
            Some(Fault::Fail) => Err(failure("the test made it fail")),
            Some(Fault::LoseAnswer) => effect().and_then(|_| Err(failure("the test lost the answer"))),
            Some(Fault::Before(gate)) => {
                gate.wait().await;
                effect()
            }
            Some(Fault::Meet(barrier)) => {
                barrier.wait().await;
                effect()
            }
            Some(Fault::After(gate)) => {
                let answer = effect();
                gate.wait().await;
                answer
            }
        }
    }
}

fn gate() -> (Gate, Stopped) {
    let (reached, reached_here) = oneshot::channel();
    let (release_here, release) = oneshot::channel();
    (Gate { reached, release }, Stopped { reached: Some(reached_here), release: release_here })
}
