//! What changes a host as a whole, one after the other: applying a plan, and the end.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, timeout_at},
};

use crate::{
    apply::{self, Applied, ApplyOptions},
    call::Call,
    error::LoaderError,
    event::Event,
    graph::Graph,
    host::Host,
    plan::Plan,
    slot::Slot,
    teardown::tear_down,
};

/// How long calls that began before a reload may still use a plugin that was replaced or removed.
pub(crate) const DRAIN: Duration = Duration::from_secs(5);

/// What whoever has the turn knows.
pub(crate) struct Turn<S: 'static> {
    /// Tells when nobody calls through the published graph any more.
    gone: oneshot::Receiver<()>,
    /// Whether the host was shut down.
    closed: bool,
    /// Those on their way out.
    leaving: Vec<Leaving<S>>,
}

/// Slots that were replaced or removed, and the task that takes them out of service.
struct Leaving<S: 'static> {
    /// Weak: it is the task that keeps them, and no longer than it needs.
    slots: Vec<Weak<Slot<S>>>,
    task: JoinHandle<()>,
}

impl<S: 'static> Turn<S> {
    pub(crate) fn new(gone: oneshot::Receiver<()>) -> Self {
        Self { gone, closed: false, leaving: Vec::new() }
    }
}

impl<S: Send + 'static> Host<S> {
    /// Makes the running plugins those of `plan`. Loading and reloading are the same.
    ///
    /// Plugins whose bytes, dependencies, limits and configuration did not change keep running with their
    /// memory. The others are compiled and started beside what runs, each as soon as those that it depends on run;
    /// then all change at once. Calls that began before finish with the plugins they began with.
    ///
    /// A plugin that fails keeps none but its own dependents from loading: the result tells what became of
    /// each. Where an older version of it runs, that one goes on.
    ///
    /// # Errors
    ///
    /// [`LoaderError::ShutDown`] after a shutdown.
    pub async fn apply(&self, plan: Plan) -> Result<Applied, LoaderError> {
        self.apply_with(plan, ApplyOptions::new()).await
    }

    /// The same, with other deadlines, or so that it can be cancelled.
    ///
    /// # Errors
    ///
    /// [`LoaderError::ShutDown`] after a shutdown, [`LoaderError::LoadCancelled`] where it was cancelled before it was
    /// done: then what ran before goes on, but for plugins that had to stop before their successors could start.
    pub async fn apply_with(&self, plan: Plan, options: ApplyOptions) -> Result<Applied, LoaderError> {
        let host = self.clone();
        // Spawned, so that an impatient caller does not leave it half done.
        self.spawn(async move { host.apply_in_turn(plan, options).await }).await
    }

    async fn apply_in_turn(&self, plan: Plan, options: ApplyOptions) -> Result<Applied, LoaderError> {
        let mut turn = self.0.turn.lock().await;
        if turn.closed {
            return Err(LoaderError::ShutDown);
        }
        let old = self.0.graph.load_full();
        let built = apply::build(self.shared(), &old, &plan, options).await;
        if built.cancelled {
            self.undo(&mut turn, &old, built.slots).await;
            return Err(LoaderError::LoadCancelled);
        }
        let graph = self.publish(&mut turn, &old, built.slots, built.absent);
        drop(turn);
        let version = |id: &_| Some(graph.plugin(id).ok()?.planned().version.clone());
        apply::tell(&self.shared().bell, &built.applied, version);
        apply::warn(&self.shared().bell, &plan, |planned| graph.slot(&planned.key()).is_some());
        Ok(built.applied)
    }

    /// Takes back what was started for a plan that was cancelled.
    async fn undo(&self, turn: &mut Turn<S>, old: &Arc<Graph<S>>, slots: Vec<(Arc<Slot<S>>, u32)>) {
        let fresh: Vec<_> = slots.into_iter().map(|(slot, _)| slot).filter(|slot| !old.has(slot)).collect();
        tear_down(&fresh, Instant::now() + DRAIN, |slot| self.goodbye(slot, old), |_| ()).await;
        // Those that had to stop before their successors could start are gone.
        let (stay, stopped): (Vec<_>, Vec<_>) = old.with_ranks().partition(|(slot, _)| !slot.is_retired());
        if !stopped.is_empty() {
            let why = Arc::new(LoaderError::LoadCancelled);
            let absent = stopped.into_iter().map(|(slot, _)| (slot.key().id().clone(), why.clone())).collect();
            self.publish(turn, old, stay, absent);
        }
    }

    /// Makes a new graph the one that is called through, and sees off what only the old one has.
    fn publish(
        &self,
        turn: &mut Turn<S>,
        old: &Arc<Graph<S>>,
        slots: Vec<(Arc<Slot<S>>, u32)>,
        absent: HashMap<stoa_core::id::PluginId, Arc<LoaderError>>,
    ) -> Arc<Graph<S>> {
        let (graph, gone) = Graph::new(self.shared().id, slots, absent);
        let graph = Arc::new(graph);
        self.0.graph.store(graph.clone());
        let gone = std::mem::replace(&mut turn.gone, gone);
        let slots: Vec<_> = old.in_order().filter(|slot| !graph.has(slot)).cloned().collect();
        turn.leaving.retain(|leaving| !leaving.task.is_finished());
        if !slots.is_empty() {
            let leave = slots.iter().map(Arc::downgrade).collect();
            let (host, graph) = (self.clone(), graph.clone());
            let task = self.shared().runtime.spawn(async move {
                let until = Instant::now() + DRAIN;
                // Whichever comes first: nobody calls through the old graph any more, or its time is up.
                let _ = timeout_at(until, gone).await;
                tear_down(&slots, until, |slot| host.goodbye(slot, &graph), |_| ()).await;
            });
            turn.leaving.push(Leaving { slots: leave, task });
        }
        graph
    }

    /// The call in which a plugin says goodbye: it may still call those that remain.
    fn goodbye(&self, slot: &Slot<S>, graph: &Arc<Graph<S>>) -> Call {
        Call::root(self.shared().id, slot.key().clone(), slot.limits().deadline, graph.clone())
    }

    /// Ends all plugins, each after all that depend on it: running calls may finish and `lifecycle.shutdown` is
    /// called, for at most `timeout` together; what runs then is cut off. Later calls are refused. When this
    /// returns, all memory of plugins is returned.
    pub async fn shutdown(&self, timeout: Duration) {
        let until = Instant::now() + timeout;
        let mut turn = self.0.turn.lock().await;
        turn.closed = true;
        let last = self.0.graph.load_full();
        self.0.graph.store(Arc::new(Graph::closed(self.shared().id)));
        let slots: Vec<_> = last.in_order().cloned().collect();
        let told = |slot: &Slot<S>| self.shared().bell.ring(Event::Removed { plugin: slot.key().id().clone() });
        tear_down(&slots, until, |slot| self.goodbye(slot, &last), told).await;
        for mut leaving in std::mem::take(&mut turn.leaving) {
            if timeout_at(until, &mut leaving.task).await.is_err() {
                leaving.slots.iter().filter_map(Weak::upgrade).for_each(|slot| slot.cut_off_all());
                // It ends by itself now. An error means that it panicked, and then there is nothing to wait for.
                let _ = leaving.task.await;
            }
        }
    }
}
