//! Every adapter of this crate passes the contracts of its port.

use std::sync::Arc;

use async_trait::async_trait;
use stoa_store::{
    blobs::Blobs,
    contract::Place,
    folder::FolderBlobs,
    ledger::Ledger,
    memory::{MemoryBlobs, MemoryLedger},
    sqlite::SqliteLedger,
    upload::UploadSecret,
};
use tempfile::TempDir;

/// A folder of its own, deleted when it is dropped.
struct OnDisk(TempDir);

impl OnDisk {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }
}

struct InMemory<T>(T);

#[async_trait]
impl Place<dyn Ledger> for OnDisk {
    async fn open(&self) -> Arc<dyn Ledger> {
        Arc::new(SqliteLedger::open(&self.0.path().join("ledger.db")).await.expect("a ledger"))
    }
}

#[async_trait]
impl Place<dyn Blobs> for OnDisk {
    async fn open(&self) -> Arc<dyn Blobs> {
        Arc::new(FolderBlobs::open(&self.0.path().join("blobs")).await.expect("a folder of blobs"))
    }
}

#[async_trait]
impl Place<dyn Ledger> for InMemory<MemoryLedger> {
    async fn open(&self) -> Arc<dyn Ledger> {
        Arc::new(self.0.clone())
    }
}

#[async_trait]
impl Place<dyn Blobs> for InMemory<MemoryBlobs> {
    async fn open(&self) -> Arc<dyn Blobs> {
        Arc::new(self.0.clone())
    }
}

fn ledger_in_memory() -> InMemory<MemoryLedger> {
    InMemory(MemoryLedger::in_memory())
}

fn blobs_in_memory() -> InMemory<MemoryBlobs> {
    InMemory(MemoryBlobs::new(UploadSecret::from_bytes([9; 32])))
}

mod sqlite_ledger {
    stoa_store::ledger_contract!(super::OnDisk::new());
}

mod memory_ledger {
    stoa_store::ledger_contract!(super::ledger_in_memory());
}

mod folder_blobs {
    stoa_store::blobs_contract!(super::OnDisk::new());
}

mod memory_blobs {
    stoa_store::blobs_contract!(super::blobs_in_memory());
}

/// Histories that are drawn at random, and shrunk where one fails.
mod histories {
    use proptest::prelude::*;
    use stoa_store::contract::{blobs, ledger};

    fn run(history: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(history);
    }

    fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(any::<u8>(), 0..most)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn of_the_ledger_in_memory_are_as_in_the_model(bytes in bytes(600)) {
            run(ledger::check_history(&super::ledger_in_memory(), &bytes));
        }

        #[test]
        fn of_the_blobs_in_memory_are_as_in_the_model(bytes in bytes(400)) {
            run(blobs::check_history(&super::blobs_in_memory(), &bytes));
        }
    }

    proptest! {
        // Fewer, for each of their writes waits for the disk.
        #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn of_the_ledger_in_sqlite_are_as_in_the_model(bytes in bytes(400)) {
            run(ledger::check_history(&super::OnDisk::new(), &bytes));
        }

        #[test]
        fn of_the_blobs_in_a_folder_are_as_in_the_model(bytes in bytes(200)) {
            run(blobs::check_history(&super::OnDisk::new(), &bytes));
        }
    }
}
