//! Adapters that keep everything in memory, for tests: as strict as the real ones, and a test can stop them, fail
//! them, lose their answers and count their calls.

mod blobs;
mod hooks;
mod ledger;

pub use blobs::MemoryBlobs;
pub use hooks::{Call, Hooks, Stopped};
pub use ledger::{MemoryEngine, MemoryLedger};
