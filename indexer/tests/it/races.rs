//! Two indexers on one registry: one is stopped at each of its writes while the other goes by.

use stoa_core::path::PublicPath;
use stoa_indexer::Signed;
use stoa_store::{
    blobs::{Area, BlobKey},
    memory::{Call, MemoryBlobs},
};

use crate::world::{World, files, immutable, namespace, released, signed, writes};

/// A registry with one plugin indexed, and a second version of it that is not.
async fn before_the_run() -> (World, MemoryBlobs) {
    let mut world = World::with([namespace("demo"), released(&[("demo:alpha", "1.0.0")])]).await;
    let blobs = world.tree().await;
    world.index(&blobs).await.expect("an index");
    world.commit(released(&[("demo:alpha", "1.1.0"), ("demo:beta", "1.0.0")])).await;
    world.upload(&blobs).await;
    (world, blobs)
}

/// The version of the pointer: how often it has moved.
async fn moves(blobs: &MemoryBlobs) -> u64 {
    let timestamp = signed(blobs, &BlobKey::Public(PublicPath::Timestamp)).await;
    timestamp["version"].as_u64().expect("a version")
}

#[tokio::test]
async fn wherever_one_indexer_stands_while_another_goes_by_the_pointer_moves_once_to_the_same_bytes() {
    let (world, blobs) = before_the_run().await;
    let first = moves(&blobs).await;
    world.follower(&blobs).catch_up(world.now()).await.expect("an index");
    let (planned, complete) = (writes(&blobs), files(&blobs, Area::Public).await);
    // 1 event, 5 blobs, 2 records, 2 documents, 2 bins, snapshot, pointer.
    assert_eq!(planned.len(), 14, "{planned:#?}");
    assert_eq!(moves(&blobs).await, first + 1);

    for (call, path) in &planned {
        for takes_effect in [false, true] {
            let (world, blobs) = before_the_run().await;
            let mut stopped = match takes_effect {
                false => blobs.hooks().stop_before(*call, path),
                true => blobs.hooks().stop_after(*call, path),
            };
            let (slow, now) = (world.follower(&blobs), world.now());
            let slow = tokio::spawn(async move { slow.catch_up(now).await });
            stopped.reached().await;
            let fast = world.follower(&blobs).catch_up(now).await.expect("the one that goes by");
            assert_eq!((fast, moves(&blobs).await), (4, first + 1), "{call:?} of {path}");
            stopped.release();
            assert_eq!(slow.await.expect("a task").expect("the one that was stopped"), 4, "{call:?} of {path}");
            assert_eq!(moves(&blobs).await, first + 1, "{call:?} of {path}");
            assert_eq!(files(&blobs, Area::Public).await, complete, "{call:?} of {path}");
            assert_eq!(world.read_as_client(&blobs).await, 4);
        }
    }
}

#[tokio::test]
async fn an_indexer_that_was_overtaken_by_one_that_saw_more_never_moves_the_pointer_back() {
    let (mut world, blobs) = before_the_run().await;
    let first = moves(&blobs).await;
    let pointer = "public/trust/timestamp.json";
    let older = world.indexer(&blobs).run().await.expect("a run").expect("something new").proposal;
    let mut stopped = blobs.hooks().stop_before(Call::PutIf, pointer);
    let (slow, now) = (world.follower(&blobs), world.now());
    let slow = tokio::spawn(async move { slow.catch_up(now).await });
    // It has written all that snapshot 4 needs, and is about to point at it.
    stopped.reached().await;
    world.commit(released(&[("demo:beta", "1.1.0")])).await;
    world.upload(&blobs).await;
    let fast = world.follower(&blobs).catch_up(world.now()).await.expect("the one that saw more");
    // Two events by one move: the version counts events.
    assert_eq!((fast, moves(&blobs).await), (5, first + 2));
    let after = files(&blobs, Area::Public).await;
    stopped.release();
    assert_eq!(slow.await.expect("a task").expect("the one that was stopped"), 5, "it says what is signed");
    assert_eq!((moves(&blobs).await, world.read_as_client(&blobs).await), (first + 2, 5));
    assert_eq!(files(&blobs, Area::Public).await, after, "it wrote nothing more");

    let late = world.signer(&blobs).sign(&older, world.now()).await;
    assert_eq!(late.expect("an answer"), Signed::Already);

    // One after the other, without any race, makes the same files.
    let alone = world.tree().await;
    world.index(&alone).await.expect("a rebuild");
    let raced = immutable(&blobs).await;
    for (path, bytes) in immutable(&alone).await {
        assert_eq!(raced.get(&path), Some(&bytes), "{path}");
    }
}
