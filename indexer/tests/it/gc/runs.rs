//! Collectors beside indexers, and collectors that die.

use std::time::Duration;

use stoa_core::time::DAY;
use stoa_indexer::gc::{GcError, Group, Keep};
use stoa_store::{
    blobs::{Area, BlobError},
    memory::{Call, MemoryBlobs},
};

use super::{AT_ONCE, Files, USUAL, collect, collector, deletions, index, read_along, rebuilt, served, snapshots};
use crate::world::{World, files, immutable, namespace, released, writes};

/// Three heads were signed; two events more wait for a run.
async fn before_the_run() -> (World, MemoryBlobs) {
    let mut world = World::with([namespace("demo")]).await;
    let blobs = world.tree().await;
    for patch in 0..3 {
        world.commit(released(&[("demo:alpha", &format!("1.0.{patch}"))])).await;
        index(&world, &blobs).await;
    }
    world.commit(released(&[("demo:alpha", "1.1.0"), ("demo:beta", "1.0.0")])).await;
    world.commit(released(&[("demo:alpha", "1.2.0")])).await;
    world.upload(&blobs).await;
    (world, blobs)
}

/// The writes of a run, the pointer's included.
async fn planned() -> Vec<(Call, String)> {
    let (world, blobs) = before_the_run().await;
    world.index(&blobs).await.expect("an index");
    writes(&blobs)
}

/// Stops a run before its write `at`, collects without any grace, and lets the run go on.
async fn collect_within_a_run(world: &World, blobs: &MemoryBlobs, at: &(Call, String)) {
    let mut stopped = blobs.hooks().stop_before(at.0, at.1.clone());
    let (indexer, signer, now) = (world.indexer(blobs), world.signer(blobs), world.now());
    let run = tokio::spawn(async move {
        let run = indexer.run().await.expect("a run").expect("something new");
        signer.sign(&run.proposal, now).await.expect("a signature");
    });
    let reached = tokio::time::timeout(Duration::from_secs(60), stopped.reached()).await;
    reached.expect("the run comes to this write");
    let report = collect(world, blobs, AT_ONCE).await;
    assert_eq!(report.signed, 5, "{at:?}");
    stopped.release();
    run.await.expect("a task");
}

async fn holds(world: &World, blobs: &MemoryBlobs, at: &(Call, String), complete: &Files) {
    assert_eq!(world.read_as_client(blobs).await, 7, "{at:?}");
    let found = immutable(blobs).await;
    for (path, bytes) in complete {
        assert_eq!(found.get(path), Some(bytes), "{at:?}: {path}");
    }
    collect(world, blobs, AT_ONCE).await;
    assert_eq!(immutable(blobs).await, *complete, "{at:?}");
}

#[tokio::test]
async fn a_collector_between_any_two_writes_of_a_run_does_not_break_it() {
    let planned = planned().await;
    // 2 events, 7 blobs, 3 records, 2 documents, 2 bins, snapshot, pointer.
    assert_eq!(planned.len(), 18, "{planned:#?}");
    for at in &planned {
        let (world, blobs) = before_the_run().await;
        collect_within_a_run(&world, &blobs, at).await;
        holds(&world, &blobs, at, &rebuilt(&world).await).await;
    }
}

/// As [`before_the_run`], and a run that wrote everything but its snapshot died a month ago.
async fn a_month_after_a_death() -> (World, MemoryBlobs) {
    let (mut world, blobs) = before_the_run().await;
    blobs.stop_clock(world.now());
    blobs.hooks().fail(Call::PutNew, "public/trust/7.snapshot.json");
    world.index(&blobs).await.expect_err("the test breaks it");
    world.wait(30 * DAY);
    world.signer(&blobs).refresh(world.now()).await.expect("a fresh signature");
    collect(&world, &blobs, AT_ONCE).await;
    blobs.hooks().forget();
    (world, blobs)
}

#[tokio::test]
async fn a_run_that_died_a_month_ago_is_completed_while_a_collector_runs() {
    let (world, blobs) = a_month_after_a_death().await;
    world.index(&blobs).await.expect("an index");
    let planned = writes(&blobs);
    // As the first time, but for the blobs: they are found where they are.
    assert_eq!(planned.len(), 11, "{planned:#?}");
    for at in &planned {
        let (world, blobs) = a_month_after_a_death().await;
        collect_within_a_run(&world, &blobs, at).await;
        holds(&world, &blobs, at, &rebuilt(&world).await).await;
    }
}

#[tokio::test]
async fn a_snapshot_that_was_written_long_before_it_was_served_does_not_cut_off_the_one_before() {
    let (mut world, blobs) = before_the_run().await;
    blobs.stop_clock(world.now());
    let run = world.indexer(&blobs).run().await.expect("a run").expect("something new");
    // The run dies before the pointer moves. Nobody comes for nine days but the collector and the signer.
    for _ in 0..9 {
        world.wait(DAY);
        world.signer(&blobs).refresh(world.now()).await.expect("a fresh signature");
        collect(&world, &blobs, USUAL).await;
    }
    let synced = served(&blobs).await;
    assert_eq!((synced, run.head.seq), (5, 7));
    world.wait(60);
    world.signer(&blobs).sign(&run.proposal, world.now()).await.expect("a signature");
    let report = collect(&world, &blobs, USUAL).await;
    assert_eq!((report.signed, report.floor), (7, 5));
    read_along(&blobs, synced).await;
}

#[tokio::test]
async fn a_tree_that_was_put_back_keeps_what_it_served_again() {
    let (mut world, blobs) = before_the_run().await;
    let older = files(&blobs, Area::Public).await;
    world.index(&blobs).await.expect("an index");
    blobs.stop_clock(world.now());
    collect(&world, &blobs, USUAL).await;
    // The look above saw 7. Then a copy from before is put in place, which serves 5.
    let pointer = "public/trust/timestamp.json";
    let key = pointer.parse().expect("a key");
    stoa_store::blobs::Blobs::delete(&blobs, &key).await.expect("a deletion");
    crate::world::put(&blobs, &key, &older[pointer]).await;
    world.wait(6 * 60 * 60);
    collect(&world, &blobs, USUAL).await;
    world.wait(7 * DAY);
    index(&world, &blobs).await;
    let report = collect(&world, &blobs, USUAL).await;
    assert_eq!((report.signed, report.floor), (7, 5));
    read_along(&blobs, 5).await;
}

#[tokio::test]
async fn a_collector_that_dies_at_any_deletion_leaves_whole_what_it_left() {
    let (world, blobs) = before_the_run().await;
    blobs.hooks().forget();
    collect(&world, &blobs, AT_ONCE).await;
    let (planned, complete) = (deletions(&blobs), files(&blobs, Area::Public).await);
    assert_eq!(planned.len(), 6, "{planned:#?}");
    for path in &planned {
        for effect_is_lost in [true, false] {
            let (world, blobs) = before_the_run().await;
            match effect_is_lost {
                true => blobs.hooks().fail(Call::Delete, path),
                false => blobs.hooks().lose_answer(Call::Delete, path),
            }
            blobs.stop_clock(world.now());
            let error = collector(&world, &blobs).run(AT_ONCE, world.now()).await.expect_err("the test breaks it");
            let GcError::Index(stoa_indexer::IndexerError::Blobs(BlobError::Engine { what, .. })) = &error else {
                panic!("{error:?}")
            };
            assert_eq!(*what, format!("Delete of `{path}`"));
            for version in snapshots(&blobs).await {
                read_along(&blobs, version).await;
            }
            collect(&world, &blobs, AT_ONCE).await;
            assert_eq!(files(&blobs, Area::Public).await, complete, "{path}");
        }
    }
}

#[tokio::test]
async fn an_older_snapshot_with_a_hole_stops_no_collector() {
    let (world, blobs) = before_the_run().await;
    let hole = "public/trust/4.bin-".to_owned();
    let rows = files(&blobs, Area::Public).await;
    let hole = rows.keys().find(|path| path.starts_with(&hole)).expect("a bin of event 4");
    stoa_store::blobs::Blobs::delete(&blobs, &hole.parse().expect("a key")).await.expect("a deletion");
    let report = collect(&world, &blobs, USUAL).await;
    assert_eq!(report.kept[&Group::Snapshots][&Keep::Grace].files, 2);
    assert_eq!(world.read_as_client(&blobs).await, 5);
}
