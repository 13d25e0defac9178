//! Stored blobs and uploads: what nobody relies on goes, and whoever commits in time is seen.

use std::collections::BTreeSet;

use stoa_core::{digest::Digest, time::DAY};
use stoa_indexer::gc::{GcError, Group, Keep, Order, Others};
use stoa_store::{
    blobs::{Area, BlobKey, Blobs as _, UploadId},
    ledger::{Ledger as _, LedgerError, OperationId, Transaction},
    memory::{Call, MemoryBlobs},
    sweep::{Claimed, Sweep},
};

use super::{AT_ONCE, Says, USUAL, claimed, collect, collector, deletions, index};
use crate::world::{World, files, namespace, put, release, released};

const ORPHAN: &[u8] = b"bytes of a publish that lost its race";

fn orphan() -> BlobKey {
    BlobKey::Store(Digest::of(ORPHAN))
}

/// A registry with one release, and some bytes in `store/` that no event names.
async fn with_an_orphan() -> (World, MemoryBlobs) {
    let world = World::with([namespace("demo"), released(&[("demo:alpha", "1.0.0")])]).await;
    let blobs = world.tree().await;
    index(&world, &blobs).await;
    put(&blobs, &orphan(), ORPHAN).await;
    (world, blobs)
}

async fn is_there(blobs: &MemoryBlobs, key: &BlobKey) -> bool {
    blobs.head(key).await.expect("an answer").is_some()
}

#[tokio::test]
async fn a_stored_blob_goes_once_it_is_old_and_neither_an_event_nor_a_begun_publish_names_it() {
    let (mut world, blobs) = with_an_orphan().await;
    let tally = |report: &stoa_indexer::gc::Report, why| {
        report.kept[&Group::Stored].get(&why).map_or(0, |tally: &stoa_indexer::gc::Tally| tally.files)
    };
    let young = collect(&world, &blobs, USUAL).await;
    assert_eq!((tally(&young, Keep::Named), tally(&young, Keep::Young), young.goes(Group::Stored).files), (3, 1, 0));

    world.wait(7 * DAY);
    index(&world, &blobs).await;
    let says = Says(Claimed { blobs: BTreeSet::from([Digest::of(ORPHAN)]), uploads: BTreeSet::new() });
    let claimed = claimed(&world, &blobs, says).run(USUAL, world.now()).await.expect("a collection");
    assert_eq!((tally(&claimed, Keep::Claimed), claimed.goes(Group::Stored).files), (1, 0));

    blobs.hooks().forget();
    let old = collect(&world, &blobs, USUAL).await;
    assert_eq!((tally(&old, Keep::Named), old.goes(Group::Stored).files), (3, 1));
    assert_eq!(old.goes(Group::Stored).bytes, ORPHAN.len() as u64);
    assert_eq!(deletions(&blobs), [orphan().to_string()]);
    let sweep = Sweep::read(&*world.ledger, world.now()).await.expect("the sweep");
    assert_eq!((sweep.condemned().len(), sweep.until()), (0, None), "the sentence was lifted");
}

/// The event that a publish commits which relies on the orphan, under the sweep that it read.
async fn rely(world: &World, sweep: &Sweep) -> Result<(), LedgerError> {
    let mut late = release("demo:late", "1.0.0");
    late.artifact = stoa_core::release::BlobRef::of(ORPHAN);
    let fact = stoa_core::event::Fact::Released { releases: vec![late], attestations: Default::default() };
    let actor = stoa_core::event::ActorId::registry();
    let draft = Some(stoa_core::event::Draft { actor, fact, private: None });
    let operation = OperationId::random().expect("randomness");
    let transaction = Transaction { operation, draft, writes: vec![sweep.unchanged()] };
    world.ledger.commit(&transaction, world.now()).await.map(drop)
}

/// The collector reads the log three times: where the signed index ends, what is named, and again after the sentence.
/// Stops it after it has read the log `nth` times.
async fn stopped_after_reading(
    world: &World,
    blobs: &MemoryBlobs,
    nth: usize,
) -> (stoa_store::memory::Stopped, tokio::task::JoinHandle<Result<stoa_indexer::gc::Report, GcError>>) {
    let mut stops: Vec<_> = (0..nth).map(|_| world.ledger.hooks().stop_after(Call::Query, "!event")).collect();
    let mut last = stops.pop().expect("a stop");
    drop(stops);
    let (collector, now) = (collector(world, blobs), world.now());
    let run = tokio::spawn(async move { collector.run(AT_ONCE, now).await });
    last.reached().await;
    (last, run)
}

#[tokio::test]
async fn a_publish_that_commits_before_the_sentence_keeps_its_blob() {
    let (world, blobs) = with_an_orphan().await;
    let sweep = Sweep::read(&*world.ledger, world.now()).await.expect("the sweep");
    // The collector has read the log, and the orphan is not in it.
    let (stopped, run) = stopped_after_reading(&world, &blobs, 2).await;
    rely(&world, &sweep).await.expect("nothing is condemned yet");
    stopped.release();
    let report = run.await.expect("a task").expect("a collection");
    assert_eq!(report.goes(Group::Stored).files, 0);
    assert_eq!(report.kept[&Group::Stored][&Keep::Named].files, 4);
    assert!(is_there(&blobs, &orphan()).await);
}

#[tokio::test]
async fn a_publish_that_saw_the_blob_before_the_sentence_can_not_commit_after_it() {
    let (world, blobs) = with_an_orphan().await;
    let sweep = Sweep::read(&*world.ledger, world.now()).await.expect("the sweep");
    // Condemned, and the log read once more: nothing saves the orphan now.
    let (stopped, run) = stopped_after_reading(&world, &blobs, 3).await;
    assert!(is_there(&blobs, &orphan()).await);
    let during = Sweep::read(&*world.ledger, world.now()).await.expect("the sweep");
    assert_eq!(*during.condemned(), BTreeSet::from([Digest::of(ORPHAN)]));
    let refused = rely(&world, &sweep).await.map_err(|error| error.to_string());
    assert_eq!(refused, Err("`garbage/sweep` is at revision 1, and it was expected to be absent".to_owned()));
    stopped.release();
    assert_eq!(run.await.expect("a task").expect("a collection").goes(Group::Stored).files, 1);
    let refused = rely(&world, &during).await.map_err(|error| error.to_string());
    assert_eq!(refused, Err("`garbage/sweep` is at revision 2, and it was expected to be at revision 1".to_owned()));
    assert!(!is_there(&blobs, &orphan()).await);
}

#[tokio::test]
async fn a_sentence_whose_collector_died_is_respected_for_a_day_or_until_a_lock_shows_it() {
    let (mut world, blobs) = with_an_orphan().await;
    blobs.hooks().lose_answer(Call::Delete, orphan().to_string());
    let died = collector(&world, &blobs).run(AT_ONCE, world.now()).await.expect_err("the test breaks it");
    let GcError::Index(error) = died else { panic!("{died:?}") };
    assert_eq!(error.to_string(), "the files can not be read or written");
    let until = world.now().plus(DAY);
    // Whether the deletion came true nobody knows: who relies on the blob waits.
    let sweep = Sweep::read(&*world.ledger, world.now()).await.expect("the sweep");
    assert_eq!((sweep.condemned().len(), sweep.until()), (1, Some(until)));

    put(&blobs, &BlobKey::Store(Digest::of(b"another")), b"another").await;
    let busy = collector(&world, &blobs).run(AT_ONCE, world.now()).await;
    assert!(matches!(busy, Err(GcError::Busy { until: found }) if found == until), "{busy:?}");
    assert!(is_there(&blobs, &BlobKey::Store(Digest::of(b"another"))).await);
    for others in [Others::Excluded, Others::Possible] {
        collect(&world, &blobs, Order { others, ..AT_ONCE }).await;
        let sweep = Sweep::read(&*world.ledger, world.now()).await.expect("the sweep");
        assert_eq!((sweep.condemned().len(), sweep.until()), (0, None));
        let sweep =
            sweep.condemn(&*world.ledger, BTreeSet::from([Digest::of(b"x")]), world.now().plus(DAY), world.now());
        sweep.await.expect("a sentence of another that dies");
        world.wait(DAY);
        index(&world, &blobs).await;
    }
}

#[tokio::test]
async fn an_upload_goes_after_two_days_unless_a_begun_publish_claims_it() {
    let (mut world, blobs) = with_an_orphan().await;
    let uploads = [1, 2].map(|n| UploadId::from_bytes([n; 16]));
    for id in uploads {
        put(&blobs, &BlobKey::Upload(id), b"sent").await;
    }
    world.wait(2 * DAY - 1);
    index(&world, &blobs).await;
    assert_eq!(collect(&world, &blobs, AT_ONCE).await.kept[&Group::Uploads][&Keep::Young].files, 2);
    world.wait(1);
    let says = Says(Claimed { blobs: BTreeSet::new(), uploads: BTreeSet::from([uploads[0]]) });
    let report = claimed(&world, &blobs, says).run(USUAL, world.now()).await.expect("a collection");
    assert_eq!(report.kept[&Group::Uploads][&Keep::Claimed].files, 1);
    assert_eq!(report.goes(Group::Uploads).files, 1);
    let left: Vec<_> = files(&blobs, Area::Upload).await.into_keys().collect();
    assert_eq!(left, [BlobKey::Upload(uploads[0]).to_string()]);
}

#[tokio::test]
async fn more_than_one_sentence_is_passed_where_much_is_to_go() {
    let (world, blobs) = with_an_orphan().await;
    for n in 0..299_u32 {
        put(&blobs, &BlobKey::Store(Digest::of(&n.to_be_bytes())), &n.to_be_bytes()).await;
    }
    let report = collect(&world, &blobs, AT_ONCE).await;
    assert_eq!((report.stays(Group::Stored).files, report.goes(Group::Stored).files), (3, 300));
    assert_eq!(files(&blobs, Area::Store).await.len(), 3);
}
