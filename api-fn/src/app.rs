//! What the handlers stand on.

use std::{path::PathBuf, sync::Arc, time::Duration};

use stoa_core::{release::MAX_ARTIFACT_BYTES, time::Time};
use stoa_store::{blobs::Blobs, ledger::Ledger};
use tokio::sync::Semaphore;

use crate::{pulse::Pulse, spool::Transfers};

/// Wakes whoever waits for events. It carries nothing and promises nothing: an indexer that missed a ring finds
/// the events at the next one.
pub trait Bell: Send + Sync {
    /// Rings.
    fn ring(&self);
}

/// Tells the time.
pub trait Clock: Send + Sync {
    /// The present moment.
    fn now(&self) -> Time;
}

/// Bounds and addresses of an API.
#[derive(Debug, Clone)]
pub struct ApiConfig {
    /// A component is at most this long, in bytes: [`MAX_ARTIFACT_BYTES`] or less.
    pub max_artifact_bytes: u64,
    /// A body of JSON is at most this long, in bytes: 4 MiB. With the answer, headers and base64 that stays below
    /// the 6 MB that a Lambda function takes.
    pub max_inline_bytes: usize,
    /// What stands before `/v1/…` in the address of the API, without a slash at its end. Upload addresses that
    /// this process takes itself are made absolute with it; they stay relative where it is empty.
    pub api_base_url: String,
    /// The longest time between two pieces of a body: 30 s.
    pub body_idle: Duration,
    /// The longest time for a whole request other than an upload: 120 s.
    pub request_timeout: Duration,
    /// How many bytes of components may be in memory at once, over all requests: 512 MiB. A request that would
    /// exceed it waits. Nobody holds any of it while it waits for a client.
    pub memory_budget: u64,
    /// A folder on whose disk uploads lie while they come in, as files without names; the system's for temporary
    /// files. It should not be one that is kept in memory.
    pub spool: PathBuf,
}

impl Default for ApiConfig {
    fn default() -> Self {
        const MIB: u64 = 1024 * 1024;
        Self {
            max_artifact_bytes: MAX_ARTIFACT_BYTES,
            max_inline_bytes: 4 * 1024 * 1024,
            api_base_url: String::new(),
            body_idle: Duration::from_secs(30),
            request_timeout: Duration::from_secs(120),
            memory_budget: 512 * MIB,
            spool: std::env::temp_dir(),
        }
    }
}

/// What the handlers stand on. Clones share everything.
#[derive(Clone)]
pub struct App {
    /// The truth.
    pub ledger: Arc<dyn Ledger>,
    /// The bytes.
    pub blobs: Arc<dyn Blobs>,
    /// Rung after every event.
    pub bell: Arc<dyn Bell>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Bounds and addresses.
    pub config: Arc<ApiConfig>,
    /// How the registry is doing: told by whoever follows the log, shown by `/api/v1/health`.
    pub pulse: Pulse,
    pub(crate) memory: Arc<Semaphore>,
    pub(crate) transfers: Transfers,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("config", &self.config).finish_non_exhaustive()
    }
}

/// The unit in which memory is counted: a semaphore counts to 2^29 at least, which then is 512 TiB.
const PAGE: u64 = 1024 * 1024;

impl App {
    /// An API upon these.
    pub fn new(
        ledger: Arc<dyn Ledger>,
        blobs: Arc<dyn Blobs>,
        bell: Arc<dyn Bell>,
        clock: Arc<dyn Clock>,
        config: ApiConfig,
    ) -> Self {
        // At least one component of the largest size fits, or it could never be taken.
        let budget = config.memory_budget.max(config.max_artifact_bytes);
        let pages = usize::try_from(budget.div_ceil(PAGE)).unwrap_or(Semaphore::MAX_PERMITS);
        let memory = Arc::new(Semaphore::new(pages.min(Semaphore::MAX_PERMITS)));
        let config = Arc::new(config);
        let (pulse, transfers) = (Pulse::default(), Transfers::default());
        Self { ledger, blobs, bell, clock, config, pulse, memory, transfers }
    }

    /// Waits until `bytes` more may be held in memory; they may until the answer is dropped.
    pub(crate) async fn reserve(&self, bytes: u64) -> Option<tokio::sync::OwnedSemaphorePermit> {
        let pages = u32::try_from(bytes.div_ceil(PAGE).max(1)).unwrap_or(u32::MAX);
        // An error means that the semaphore is closed, which nobody does.
        Arc::clone(&self.memory).acquire_many_owned(pages).await.ok()
    }
}
