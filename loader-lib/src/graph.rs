//! The plugins of a host at one moment.

use std::{collections::HashMap, sync::Arc};

use stoa_core::id::PluginId;
use tokio::sync::oneshot;

use crate::{call::HostId, error::LoaderError, plan::SlotKey, slot::Slot};

/// All slots of a host, never changed after it is published. A chain of calls holds on to the graph it
/// began in, so that it meets the same plugins to its end.
pub(crate) struct Graph<S: 'static> {
    pub(crate) host: HostId,
    slots: HashMap<SlotKey, Arc<Slot<S>>>,
    keys: HashMap<PluginId, SlotKey>,
    /// In load order, each with its place in the host's own list.
    order: Vec<(SlotKey, u32)>,
    /// Whether the host was shut down.
    closed: bool,
    /// Why plugins of the plan are missing.
    absent: HashMap<PluginId, Arc<LoaderError>>,
    /// Dropped with the graph: then nobody calls through it any more.
    _alive: Option<oneshot::Sender<()>>,
}

impl<S: Send + 'static> Graph<S> {
    /// A graph of `slots` in load order, and what resolves when nobody holds it any more.
    pub(crate) fn new(
        host: HostId,
        slots: Vec<(Arc<Slot<S>>, u32)>,
        absent: HashMap<PluginId, Arc<LoaderError>>,
    ) -> (Self, oneshot::Receiver<()>) {
        let (alive, gone) = oneshot::channel();
        let graph = Self {
            host,
            keys: slots.iter().map(|(slot, _)| (slot.key().id().clone(), slot.key().clone())).collect(),
            order: slots.iter().map(|(slot, rank)| (slot.key().clone(), *rank)).collect(),
            slots: slots.into_iter().map(|(slot, _)| (slot.key().clone(), slot)).collect(),
            closed: false,
            absent,
            _alive: Some(alive),
        };
        (graph, gone)
    }

    /// The last graph of a host: empty, and it says why.
    pub(crate) fn closed(host: HostId) -> Self {
        Self { closed: true, ..Self::new(host, Vec::new(), HashMap::new()).0 }
    }

    pub(crate) fn slot(&self, key: &SlotKey) -> Option<&Arc<Slot<S>>> {
        self.slots.get(key)
    }

    /// Whether this very slot is in it.
    pub(crate) fn has(&self, slot: &Arc<Slot<S>>) -> bool {
        self.slots.get(slot.key()).is_some_and(|mine| Arc::ptr_eq(mine, slot))
    }

    /// The slot of a plugin, or why it has none.
    pub(crate) fn plugin(&self, id: &PluginId) -> Result<&Arc<Slot<S>>, LoaderError> {
        if let Some(slot) = self.keys.get(id).and_then(|key| self.slots.get(key)) {
            return Ok(slot);
        }
        if self.closed {
            return Err(LoaderError::ShutDown);
        }
        Err(match self.absent.get(id) {
            Some(why) => LoaderError::NotLoaded { plugin: id.clone(), source: why.clone() },
            None => LoaderError::UnknownPlugin { plugin: id.to_string() },
        })
    }

    /// All slots in load order.
    pub(crate) fn in_order(&self) -> impl DoubleEndedIterator<Item = &Arc<Slot<S>>> {
        self.order.iter().filter_map(|(key, _)| self.slots.get(key))
    }

    /// The same, each with its place in the host's own list.
    pub(crate) fn with_ranks(&self) -> impl Iterator<Item = (Arc<Slot<S>>, u32)> {
        self.order.iter().filter_map(|(key, rank)| Some((self.slots.get(key)?.clone(), *rank)))
    }

    /// All slots in the order of the host's own list.
    pub(crate) fn ranked(&self) -> Vec<&Arc<Slot<S>>> {
        let mut order: Vec<_> = self.order.iter().collect();
        order.sort_by_key(|(key, rank)| (*rank, key));
        order.into_iter().filter_map(|(key, _)| self.slots.get(key)).collect()
    }
}
