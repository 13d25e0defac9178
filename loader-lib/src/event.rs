//! What happens in a host, told to whoever listens.

use std::{sync::Arc, time::Duration};

use stoa_core::{digest::Digest, id::PluginId, standing::Takedown, version::Version};
use tokio::sync::broadcast;

use crate::{
    breaker::{BreakerReason, BreakerState, Caller},
    error::LoaderError,
    limits::Exceeded,
    phase::State,
};

/// As many events as a slow listener may lag behind before it loses some: a plugin that loads tells about 10.
const BUFFER: usize = 1024;

/// Something that happened in a host.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// A plugin serves for the first time.
    Loaded {
        /// The plugin.
        plugin: PluginId,
        /// Its version.
        version: Version,
    },
    /// A plugin serves in place of another version or configuration of it.
    Reloaded {
        /// The plugin.
        plugin: PluginId,
        /// The version that serves now.
        version: Version,
    },
    /// A plugin serves, and its release is quarantined: it was kept here before, and is not fetched by anybody any more.
    Quarantined {
        /// The plugin.
        plugin: PluginId,
        /// Its version.
        version: Version,
        /// Since when, and why.
        takedown: Takedown,
    },
    /// A plugin does not serve any more.
    Removed {
        /// The plugin.
        plugin: PluginId,
    },
    /// A plugin of the plan could not be loaded; where an older one ran, it still does.
    Failed {
        /// The plugin.
        plugin: PluginId,
        /// Why.
        error: Arc<LoaderError>,
    },
    /// A plugin came to a new state of its life. Told as it happens, while what it is part of may yet fail.
    Entered {
        /// The plugin.
        plugin: PluginId,
        /// The version whose life it is.
        version: Version,
        /// Where it is now.
        state: State,
        /// How long it was in the state before.
        took: Duration,
    },
    /// So many plugins of a plan have come to where they run, or to where they will not.
    Progress {
        /// How many.
        settled: usize,
        /// Of how many.
        of: usize,
    },
    /// Another host, in this process or another one, compiles the very component. It is waited for, as long as compiling
    /// may take.
    CompilingElsewhere {
        /// The plugin that waits.
        plugin: PluginId,
        /// Its component.
        artifact: Digest,
        /// The number of the process that compiles, where it told.
        process: Option<u32>,
    },
    /// A plugin was compiled.
    Compiled {
        /// The plugin.
        plugin: PluginId,
        /// Its component.
        artifact: Digest,
        /// How long it took.
        took: Duration,
    },
    /// Compiled code was not what this loader had written. It was put aside and is compiled again.
    CodeRejected {
        /// The component whose code it should have been.
        artifact: Digest,
        /// Which check failed.
        reason: String,
    },
    /// Compiled code could not be kept; it runs from memory.
    CodeNotKept {
        /// The component.
        artifact: Digest,
        /// Why.
        reason: String,
    },
    /// The cache of compiled code had grown too large, and what was used longest ago was removed.
    CodeEvicted {
        /// Compiled components.
        entries: usize,
        /// Their bytes.
        bytes: u64,
    },
    /// A plugin lost its memory; its next call gets a fresh instance.
    StateLost {
        /// The plugin.
        plugin: PluginId,
        /// The [code](LoaderError::code) of what ended it.
        code: &'static str,
        /// What ended it, with all causes, in one line.
        cause: String,
    },
    /// A plugin was refused something that it can go on without: more memory, a longer table, more lines of its output.
    /// Told once a call or, of output, once a second, however often it tries.
    Limited {
        /// The plugin.
        plugin: PluginId,
        /// Which limit.
        exceeded: Exceeded,
    },
    /// A circuit of a plugin opened, lets one call try whether it works again, or closed.
    Breaker {
        /// The plugin that is called.
        plugin: PluginId,
        /// Whose calls it is about; none where it is about everybody's.
        caller: Option<Caller>,
        /// Where the circuit is now.
        state: BreakerState,
        /// Why it opened last.
        reason: Option<BreakerReason>,
        /// How long calls are refused.
        retry_in: Option<Duration>,
    },
    /// This listener was too slow and missed events.
    Lagged {
        /// How many.
        missed: u64,
    },
}

/// The sending half, shared by all parts of a host. Sending never waits.
#[derive(Debug, Clone)]
pub(crate) struct Bell(broadcast::Sender<Event>);

impl Bell {
    pub(crate) fn new() -> Self {
        Self(broadcast::channel(BUFFER).0)
    }

    pub(crate) fn ring(&self, event: Event) {
        tracing::debug!(target: "stoa_loader", ?event, "event");
        // An error means that nobody listens.
        let _ = self.0.send(event);
    }

    pub(crate) fn listen(&self) -> Events {
        Events(self.0.subscribe())
    }
}

/// The events of a host from the moment it was asked for them.
#[derive(Debug)]
pub struct Events(broadcast::Receiver<Event>);

impl Events {
    /// The next event; `None` after the host is gone. A listener that lags learns how much it missed.
    pub async fn next(&mut self) -> Option<Event> {
        match self.0.recv().await {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Event::Lagged { missed }),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }

    /// An event that has happened already, without waiting.
    pub fn try_next(&mut self) -> Option<Event> {
        match self.0.try_recv() {
            Ok(event) => Some(event),
            Err(broadcast::error::TryRecvError::Lagged(missed)) => Some(Event::Lagged { missed }),
            Err(broadcast::error::TryRecvError::Empty | broadcast::error::TryRecvError::Closed) => None,
        }
    }
}
