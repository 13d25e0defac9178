//! Killed releases: their bytes go last, and an event goes before them.

use std::collections::BTreeSet;

use stoa_core::{
    digest::Digest,
    event::{ActorId, Draft, Fact, Sealed},
    path::PublicPath,
    release::Release,
    standing::Measure,
    time::DAY,
};
use stoa_indexer::{
    IndexerError,
    gc::{GcError, Group, Order},
};
use stoa_store::{
    blobs::{Area, BlobKey, Blobs as _},
    ledger::{Ledger as _, OperationId, Transaction},
    memory::{Call, MemoryBlobs},
    sweep::{Claimed, Sweep},
};

use super::{AT_ONCE, Says, USUAL, claimed, collect, collector, deletions, index, rebuilt};
use crate::world::{World, files, immutable, namespace, release, released, restored, taken_down};

const ALPHA: &str = "demo:alpha";

/// Two releases; they share their WIT, and nothing else.
async fn begun() -> (World, MemoryBlobs) {
    let world = World::with([namespace("demo"), released(&[(ALPHA, "1.0.0")]), released(&[(ALPHA, "1.1.0")])]).await;
    let blobs = stocked(&world).await;
    index(&world, &blobs).await;
    (world, blobs)
}

/// A store whose blobs are of the time of the registry, not of this test.
async fn stocked(world: &World) -> MemoryBlobs {
    let blobs = world.tree().await;
    blobs.stop_clock(world.now());
    for row in blobs.list(Area::Store, None, 1_000).await.expect("a list") {
        blobs.delete(&row.key).await.expect("a deletion");
    }
    world.upload(&blobs).await;
    blobs
}

/// As [`begun`], and 1.0.0 was killed and that is signed.
async fn killed() -> (World, MemoryBlobs) {
    let (mut world, blobs) = begun().await;
    world.commit(taken_down(ALPHA, Some("1.0.0"), Measure::Kill)).await;
    index(&world, &blobs).await;
    (world, blobs)
}

/// Component and readme, and then the WIT.
fn own(release: &Release) -> [Digest; 2] {
    [release.artifact.digest, release.readme.expect("a readme").digest]
}

/// How many copies there are of each: stored and public.
async fn copies(blobs: &MemoryBlobs, digests: &[Digest]) -> Vec<usize> {
    let mut found = Vec::new();
    for digest in digests {
        let keys = [BlobKey::Store(*digest), BlobKey::Public(PublicPath::Artifact(*digest))];
        let mut count = 0;
        for key in keys {
            count += usize::from(blobs.head(&key).await.expect("an answer").is_some());
        }
        found.push(count);
    }
    found
}

async fn purges(world: &World) -> Vec<(Vec<String>, BTreeSet<Digest>)> {
    let events = world.ledger.events(0, 1_000).await.expect("events");
    let purged = |event: &Sealed| match &event.event().fact {
        Fact::Purged { releases, blobs } => {
            Some((releases.iter().map(ToString::to_string).collect(), blobs.iter().copied().collect()))
        }
        _ => None,
    };
    events.iter().filter_map(purged).collect()
}

#[tokio::test]
async fn killed_bytes_go_once_no_host_reads_along_a_snapshot_that_offers_them_and_an_event_goes_first() {
    let (mut world, blobs) = begun().await;
    let (old, new) = (release(ALPHA, "1.0.0"), release(ALPHA, "1.1.0"));
    let mine = own(&old);
    collect(&world, &blobs, USUAL).await;
    world.commit(taken_down(ALPHA, Some("1.0.0"), Measure::Kill)).await;
    // Not signed yet: no host has heard of it, whatever the grace.
    collect(&world, &blobs, AT_ONCE).await;
    assert_eq!((copies(&blobs, &mine).await, purges(&world).await.len()), (vec![2, 2], 0));

    let mut days = 0;
    while purges(&world).await.is_empty() {
        assert_eq!(copies(&blobs, &mine).await, [2, 2], "day {days}");
        index(&world, &blobs).await;
        blobs.hooks().forget();
        collect(&world, &blobs, USUAL).await;
        world.wait(DAY);
        days += 1;
    }
    // A look is noted every six hours. The first that found the kill served was on day 1; on day 9 it is more than a week
    // and ten minutes old.
    assert_eq!(days, 10);
    assert_eq!(purges(&world).await, [(vec!["demo:alpha@1.0.0".to_owned()], BTreeSet::from(mine))]);
    assert_eq!(copies(&blobs, &mine).await, [0, 0]);
    assert_eq!(copies(&blobs, &own(&new)).await, [2, 2]);
    assert_eq!(copies(&blobs, &[old.wit.digest]).await, [2], "1.1.0 names it as well");
    let record = BlobKey::Public(PublicPath::Artifact(old.blob().expect("a record").digest));
    assert!(blobs.head(&record).await.expect("an answer").is_some(), "the record stays");
    // The public copy before the stored one: a collector that dies in between is repeated.
    let deleted = deletions(&blobs);
    for digest in mine {
        let at =
            |area: &str| deleted.iter().position(|path| path.starts_with(area) && path.contains(&digest.to_string()));
        assert!(at("public/").is_some() && at("public/") < at("store/"), "{deleted:#?}");
    }

    index(&world, &blobs).await;
    assert_eq!(world.read_as_client(&blobs).await, world.ledger_head().await);
    assert_eq!(collect(&world, &blobs, AT_ONCE).await.goes(Group::Artifacts).files, 0, "once");
    assert_eq!(immutable(&blobs).await, rebuilt(&world).await);
}

/// A place with everything that was ever stored but this, and nothing of the index.
async fn without(world: &World, lost: &[Digest]) -> MemoryBlobs {
    let tree = world.tree().await;
    for digest in lost {
        tree.delete(&BlobKey::Store(*digest)).await.expect("a deletion");
    }
    tree
}

#[tokio::test]
async fn a_rebuild_takes_the_hole_for_what_it_is_and_a_loss_for_a_loss() {
    let (mut world, blobs) = killed().await;
    collect(&world, &blobs, AT_ONCE).await;
    let mine = own(&release(ALPHA, "1.0.0"));
    let holes = without(&world, &mine).await;
    world.index(&holes).await.expect("a rebuild");
    assert_eq!(immutable(&holes).await, rebuilt(&world).await);

    let lost = release(ALPHA, "1.1.0").artifact.digest;
    let lossy = without(&world, &[lost]).await;
    let error = world.index(&lossy).await.expect_err("a component is lost");
    assert!(matches!(&error, IndexerError::Missing(path) if path.contains(&lost.to_string())), "{error:?}");

    // Later a release names the bytes again: then they have to be there.
    let mut again = release(ALPHA, "1.2.0");
    again.artifact = release(ALPHA, "1.0.0").artifact;
    world.commit(Fact::Released { releases: vec![again], attestations: Default::default() }).await;
    let holes = without(&world, &mine).await;
    let error = world.index(&holes).await.expect_err("they are named again");
    assert!(matches!(&error, IndexerError::Missing(path) if path.contains(&mine[0].to_string())), "{error:?}");
}

#[tokio::test]
async fn a_whole_plugin_and_many_releases_go_in_as_many_events_as_they_need() {
    let facts = (0..45).map(|minor| released(&[(ALPHA, &format!("1.{minor}.0"))]));
    let mut world = World::with([namespace("demo")].into_iter().chain(facts)).await;
    let blobs = stocked(&world).await;
    world.commit(taken_down(ALPHA, None, Measure::Kill)).await;
    world.commit(taken_down(ALPHA, Some("1.7.0"), Measure::Quarantine)).await;
    index(&world, &blobs).await;
    let rehearsed = collect(&world, &blobs, Order { rehearse: true, ..AT_ONCE }).await;
    assert_eq!(purges(&world).await.len(), 0, "a rehearsal records nothing");
    let report = collect(&world, &blobs, AT_ONCE).await;
    assert_eq!(rehearsed.collected[&Group::Stored], report.collected[&Group::Stored]);
    assert_eq!(rehearsed.collected[&Group::Artifacts], report.collected[&Group::Artifacts]);
    let purges = purges(&world).await;
    let sizes: Vec<_> = purges.iter().map(|(releases, blobs)| (releases.len(), blobs.len())).collect();
    // The WIT of all goes with the last.
    assert_eq!(sizes, [(20, 40), (20, 40), (5, 11)]);
    assert_eq!(files(&blobs, Area::Store).await.len(), 0);
    let sweep = Sweep::read(&*world.ledger, world.now()).await.expect("the sweep");
    assert_eq!((sweep.condemned().len(), sweep.until()), (0, None), "the sentence was lifted");
}

#[tokio::test]
async fn what_is_quarantined_or_restored_stays() {
    let (mut world, blobs) = killed().await;
    world.commit(restored(ALPHA, Some("1.0.0"))).await;
    world.commit(taken_down(ALPHA, Some("1.1.0"), Measure::Quarantine)).await;
    index(&world, &blobs).await;
    let report = collect(&world, &blobs, AT_ONCE).await;
    assert_eq!((report.goes(Group::Stored).files, report.goes(Group::Artifacts).files), (0, 0));
    assert_eq!(purges(&world).await, []);
}

#[tokio::test]
async fn a_collector_that_dies_at_any_deletion_is_completed_by_the_next() {
    let rehearsal = killed().await;
    rehearsal.1.hooks().forget();
    collect(&rehearsal.0, &rehearsal.1, AT_ONCE).await;
    let planned = deletions(&rehearsal.1);
    let bytes = planned.iter().filter(|path| !path.contains("trust/") && !path.contains("index/"));
    assert_eq!(bytes.clone().count(), 4, "{planned:#?}");
    for path in bytes {
        let (world, blobs) = killed().await;
        blobs.hooks().lose_answer(Call::Delete, path.clone());
        let error = collector(&world, &blobs).run(AT_ONCE, world.now()).await.expect_err("the test breaks it");
        assert!(matches!(error, GcError::Index(_)), "{error:?}");
        let order = Order { others: stoa_indexer::gc::Others::Excluded, ..AT_ONCE };
        collect(&world, &blobs, order).await;
        assert_eq!(copies(&blobs, &own(&release(ALPHA, "1.0.0"))).await, [0, 0], "{path}");
        assert_eq!(purges(&world).await.len(), 1, "{path}");
    }
}

/// A release of another plugin that names the component of 1.0.0, as a publish commits it that read this sweep.
async fn rely(world: &World, sweep: &Sweep) -> bool {
    let mut late = release("demo:late", "1.0.0");
    late.artifact = release(ALPHA, "1.0.0").artifact;
    let fact = Fact::Released { releases: vec![late], attestations: Default::default() };
    let draft = Some(Draft { actor: ActorId::registry(), fact, private: None });
    let operation = OperationId::random().expect("randomness");
    let transaction = Transaction { operation, draft, writes: vec![sweep.unchanged()] };
    world.ledger.commit(&transaction, world.now()).await.is_ok()
}

#[tokio::test]
async fn a_publish_that_names_the_same_bytes_is_seen_by_the_event_or_comes_after_it() {
    let component = release(ALPHA, "1.0.0").artifact.digest;
    // The collector reads the log: where the signed index ends, what is named, and again after the sentence.
    for (reads, committed) in [(2, true), (3, false)] {
        let (world, blobs) = killed().await;
        let sweep = Sweep::read(&*world.ledger, world.now()).await.expect("the sweep");
        let mut stops: Vec<_> = (0..reads).map(|_| world.ledger.hooks().stop_after(Call::Query, "!event")).collect();
        let mut last = stops.pop().expect("a stop");
        drop(stops);
        let (collector, now) = (collector(&world, &blobs), world.now());
        let run = tokio::spawn(async move { collector.run(AT_ONCE, now).await });
        last.reached().await;
        assert_eq!(rely(&world, &sweep).await, committed, "after {reads} reads");
        last.release();
        run.await.expect("a task").expect("a collection");
        let purged = &purges(&world).await[0].1;
        assert_eq!(purged.contains(&component), !committed, "after {reads} reads");
        assert_eq!(copies(&blobs, &[component]).await, [if committed { 2 } else { 0 }], "after {reads} reads");
    }
}

#[tokio::test]
async fn bytes_that_a_begun_publish_claims_are_left_for_another_day() {
    let (world, blobs) = killed().await;
    let mine = own(&release(ALPHA, "1.0.0"));
    let says = Says(Claimed { blobs: BTreeSet::from([mine[1]]), uploads: BTreeSet::new() });
    blobs.stop_clock(world.now());
    claimed(&world, &blobs, says).run(AT_ONCE, world.now()).await.expect("a collection");
    assert_eq!((copies(&blobs, &mine).await, purges(&world).await.len()), (vec![2, 2], 0));
    collect(&world, &blobs, AT_ONCE).await;
    assert_eq!(copies(&blobs, &mine).await, [0, 0]);
}
