//! A run that dies leaves what was published whole, and the next one ends its work.

use stoa_indexer::IndexerError;
use stoa_store::{
    blobs::{Area, BlobError},
    memory::{Call, MemoryBlobs},
};

use crate::world::{World, files, namespace, released, writes};

/// A registry with one plugin indexed, and a second version of it that is not.
async fn before_the_run() -> (World, MemoryBlobs) {
    let mut world = World::with([namespace("demo"), released(&[("demo:alpha", "1.0.0")])]).await;
    let blobs = world.tree().await;
    world.follow(&blobs).await.expect("an index");
    world.commit(released(&[("demo:alpha", "1.1.0"), ("demo:beta", "1.0.0")])).await;
    world.upload(&blobs).await;
    (world, blobs)
}

fn is_the_tests(error: &IndexerError, call: Call, path: &str) -> bool {
    matches!(error, IndexerError::Blobs(BlobError::Engine { what, .. }) if *what == format!("{call:?} of `{path}`"))
}

#[tokio::test]
async fn a_crash_at_any_write_leaves_the_index_whole_and_the_next_run_completes_it() {
    let (world, blobs) = before_the_run().await;
    world.follow(&blobs).await.expect("an index");
    let (planned, complete) = (writes(&blobs), files(&blobs, Area::Public).await);
    // 1 event, 5 blobs, 2 records, 2 documents, 2 bins, snapshot, pointer; 2 pages, the front page, their list.
    assert_eq!(planned.len(), 18, "{planned:#?}");

    for (at, (call, path)) in planned.iter().enumerate() {
        for effect_is_lost in [true, false] {
            let (world, blobs) = before_the_run().await;
            match effect_is_lost {
                true => blobs.hooks().fail(*call, path),
                false => blobs.hooks().lose_answer(*call, path),
            }
            let error = world.follow(&blobs).await.expect_err("the test breaks it");
            assert!(is_the_tests(&error, *call, path), "{error:?}");
            let pointer = planned.iter().position(|(_, path)| path.ends_with("timestamp.json")).expect("a pointer");
            let moved = at > pointer || (at == pointer && !effect_is_lost);
            assert_eq!(world.read_as_client(&blobs).await, if moved { 4 } else { 3 }, "{call:?} of {path}");
            assert_eq!(world.follow(&blobs).await.expect("the next run"), 4);
            assert_eq!(files(&blobs, Area::Public).await, complete, "{call:?} of {path}");
        }
    }
}
