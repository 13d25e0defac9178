//! Events that were truly lost: the ledger says so by an epoch, and the index goes on from what is left.

use std::{collections::BTreeMap, num::NonZeroU64};

use proptest::prelude::*;
use stoa_core::{
    event::Fact,
    path::PublicPath,
    time::DAY,
    trust::{CachedTrust, Config, Step, TrustError, Updater},
};
use stoa_indexer::{IndexerError, Signed};
use stoa_store::{
    blobs::{Area, BlobKey, Blobs as _},
    memory::MemoryBlobs,
};

use crate::world::{World, files, immutable, namespace, public, released, signed, yanked};

const ALPHA: (&str, &str) = ("demo:alpha", "1.0.0");

fn epoch(lost_after: u64) -> Fact {
    Fact::Epoch { lost_after, reason: "the disk was lost".into() }
}

/// A client that keeps what it has seen.
#[derive(Default)]
struct Client(CachedTrust);

impl Client {
    /// Refreshes, and gives the event that it then trusts.
    async fn refresh(&mut self, world: &World, blobs: &MemoryBlobs) -> Result<u64, TrustError> {
        let mut updater = Updater::open(&world.root(), self.0.clone(), world.now(), Config::default())?;
        while let Step::Fetch { file, max_bytes, .. } = updater.next() {
            let path = file.path().expect("a public file");
            let blob = blobs.get(&BlobKey::Public(path), max_bytes).await.expect("an answer");
            updater.receive(blob.map(|blob| blob.bytes).as_deref())?;
        }
        updater.take_writes().into_iter().for_each(|write| self.0.apply(write));
        Ok(updater.snapshot().and_then(|snapshot| snapshot.head()).expect("a head").seq)
    }
}

/// Everything that the current snapshot lists, by target path.
async fn listed(blobs: &MemoryBlobs) -> BTreeMap<String, String> {
    let timestamp = signed(blobs, &BlobKey::Public(PublicPath::Timestamp)).await;
    let snapshot = timestamp["meta"]["snapshot.json"]["version"].as_u64().expect("a version");
    let mut listed = BTreeMap::new();
    for (file, meta) in signed(blobs, &public(snapshot, "snapshot")).await["meta"].as_object().expect("roles") {
        let role = signed(blobs, &public(meta["version"].as_u64().expect("a version"), &file[..file.len() - 5])).await;
        let targets = role["targets"].as_object().expect("targets");
        listed.extend(targets.iter().map(|(path, target)| (path.clone(), target["hashes"]["sha256"].to_string())));
    }
    listed
}

/// The tree of a registry with two plugins, of whose log only the first two events are left.
async fn lost() -> (World, MemoryBlobs) {
    let newer = World::with([namespace("demo"), released(&[ALPHA]), released(&[("demo:beta", "1.0.0")])]).await;
    let blobs = newer.tree().await;
    newer.follow(&blobs).await.expect("an index");
    (World::with([namespace("demo")]).await, blobs)
}

#[tokio::test]
async fn without_an_epoch_nothing_goes_on_and_one_that_gives_up_too_little_changes_that_not() {
    let (mut left, blobs) = lost().await;
    let before = files(&blobs, Area::Public).await;
    left.commit(epoch(3)).await;
    let refused = left.follow(&blobs).await.expect_err("event 4 is signed");
    assert!(matches!(refused, IndexerError::Forked { seq: 4, .. }), "{refused:?}");
    assert_eq!(files(&blobs, Area::Public).await, before);
}

#[tokio::test]
async fn an_epoch_makes_the_index_whole_for_clients_old_and_new() {
    let (mut left, blobs) = lost().await;
    let (mut old, mut new) = (Client::default(), Client::default());
    assert_eq!(old.refresh(&left, &blobs).await, Ok(4));
    left.commit(epoch(4)).await;
    assert_eq!(left.follow(&blobs).await.expect("an index"), 5);
    assert_eq!(listed(&blobs).await, BTreeMap::new(), "what was lost is not listed any more");
    assert_eq!(old.refresh(&left, &blobs).await, Ok(5));
    assert_eq!(new.refresh(&left, &blobs).await, Ok(5));
    assert_eq!(left.read_as_client(&blobs).await, 5);

    // The lost version can be published again, with other bytes or the same.
    left.commit(released(&[ALPHA])).await;
    left.follow(&blobs).await.expect("an index");
    assert_eq!(listed(&blobs).await.keys().collect::<Vec<_>>(), ["index/demo/alpha.json"]);
    assert_eq!((old.refresh(&left, &blobs).await, new.refresh(&left, &blobs).await), (Ok(6), Ok(6)));
}

#[tokio::test]
async fn pages_of_lost_plugins_go_and_those_of_others_stay() {
    let beta = released(&[("demo:beta", "1.0.0")]);
    let newer = World::with([namespace("demo"), released(&[ALPHA]), released(&[("demo:alpha", "1.1.0")]), beta]).await;
    let blobs = newer.tree().await;
    newer.follow(&blobs).await.expect("an index");
    let mut left = World::with([namespace("demo"), released(&[ALPHA])]).await;
    left.commit(epoch(5)).await;
    left.follow(&blobs).await.expect("an index");
    let files = files(&blobs, Area::Public).await;
    let page = |name: &str| files.get(&format!("public/plugins/demo/{name}/index.html"));
    assert_eq!(page("beta"), None);
    let alpha = String::from_utf8_lossy(page("alpha").expect("a page"));
    assert!(alpha.contains("1.0.0") && !alpha.contains("1.1.0"), "{alpha}");
    let front = String::from_utf8_lossy(&files["public/index.html"]);
    assert!(front.contains("alpha") && !front.contains("beta"), "{front}");
}

#[tokio::test]
async fn an_epoch_within_what_was_signed_goes_on_too() {
    // A whole registry was restored, went on, and only then somebody saw that clients hold event 40.
    let mut world = World::with([namespace("demo"), released(&[ALPHA])]).await;
    let blobs = world.tree().await;
    world.follow(&blobs).await.expect("an index");
    let before = listed(&blobs).await;
    world.commit(epoch(40)).await;
    world.commit(yanked("demo:alpha", "1.0.0")).await;
    assert_eq!(world.follow(&blobs).await.expect("an index"), 42);
    assert_eq!(before.len(), 1);
    assert_eq!(listed(&blobs).await.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
    assert_eq!(world.read_as_client(&blobs).await, 42);
    let rebuilt = world.tree().await;
    world.follow(&rebuilt).await.expect("a rebuild");
    assert_eq!(listed(&rebuilt).await, listed(&blobs).await);
}

/// What the signer says to the snapshot that an indexer makes of `facts` after events were lost, where the ledger has
/// `truth` instead.
async fn verdict(truth: &[Fact], facts: &[Fact]) -> String {
    let (mut left, blobs) = lost().await;
    let mut lying = World::with([namespace("demo")]).await;
    for fact in truth {
        left.commit(fact.clone()).await;
    }
    for fact in facts {
        lying.commit(fact.clone()).await;
    }
    lying.upload(&blobs).await;
    let pointer = blobs.get(&BlobKey::Public(PublicPath::Timestamp), u64::MAX).await.expect("an answer");
    let run = lying.indexer(&blobs).run().await.expect("a run").expect("something new");
    let error = left.signer(&blobs).sign(&run.proposal, left.now()).await.expect_err("a refusal");
    let after = blobs.get(&BlobKey::Public(PublicPath::Timestamp), u64::MAX).await.expect("an answer");
    assert_eq!(after, pointer, "the pointer stays where it was");
    error.to_string()
}

#[tokio::test]
async fn an_indexer_that_makes_up_an_epoch_is_refused() {
    let behind = "the ledger ends at event 2, and the signed index covers 5: restore the later events before going on";
    assert_eq!(verdict(&[], &[epoch(4)]).await, behind);
    let other = verdict(&[epoch(4)], &[Fact::Epoch { lost_after: 4, reason: "another".into() }]).await;
    assert!(other.starts_with("event 5 of the ledger is not the one that was signed ("), "{other}");
}

#[tokio::test]
async fn a_branch_without_its_epoch_is_refused() {
    // The branch that is left is longer than what was signed: without the epoch, clients would see a rollback.
    let (mut left, blobs) = lost().await;
    for name in ["more", "and-more", "and-even-more"] {
        left.commit(namespace(name)).await;
    }
    let fresh = left.tree().await;
    let run = left.indexer(&fresh).run().await.expect("a run").expect("something new");
    for (path, bytes) in immutable(&fresh).await {
        if path.starts_with("public/trust/5.") {
            let _there = blobs.put_new(&path.parse().expect("a key"), bytes).await.expect("a put");
        }
    }
    left.commit(epoch(4)).await;
    let refused = left.signer(&blobs).sign(&run.proposal, left.now()).await.expect_err("a refusal");
    let rule = "the signer refuses snapshot 5: event 4 is signed and lost, and the epoch 6 is not covered";
    assert_eq!(refused.to_string(), rule);
}

#[tokio::test]
async fn the_timestamps_version_counts_events_and_days() {
    let world = World::with([namespace("demo"), released(&[ALPHA])]).await;
    let blobs = world.tree().await;
    world.index(&blobs).await.expect("an index");
    let signer = world.signer(&blobs);
    let moved = |n| Signed::Moved(NonZeroU64::new(n).expect("a version"));
    assert_eq!(signer.refresh(world.now().plus(5 * DAY)).await.expect("a signature"), moved(8));
    // The registry is restored without its pointer: what is signed next is newer than what clients hold.
    let restored = world.tree().await;
    let run = world.indexer(&restored).run().await.expect("a run").expect("something new");
    let later = world.now().plus(5 * DAY);
    assert_eq!(world.signer(&restored).sign(&run.proposal, later).await.expect("a signature"), moved(8));
}

fn fact(number: usize, kind: u8) -> Fact {
    let plugin = ["demo:alpha", "demo:beta", "other:gamma"][usize::from(kind) % 3];
    match kind {
        0..8 => released(&[(plugin, &format!("1.{number}.0"))]),
        _ => namespace(&format!("space-n{number}")),
    }
}

/// A log of `kept` events after the genesis, and the one that goes on from there and is lost.
async fn check(kinds: &[u8], kept: usize, after: &[u8]) {
    let facts: Vec<Fact> = kinds.iter().enumerate().map(|(number, kind)| fact(number, *kind)).collect();
    let newer = World::with(facts.clone()).await;
    let blobs = newer.tree().await;
    newer.follow(&blobs).await.expect("an index");
    let signed = facts.len() as u64 + 1;
    let (mut before, mut old) = (immutable(&blobs).await, Client::default());
    old.refresh(&newer, &blobs).await.expect("an index");

    let mut left = World::with(facts[..kept].to_vec()).await;
    left.commit(epoch(signed)).await;
    assert_eq!(left.follow(&blobs).await.expect("an index"), signed + 1);
    for (number, kind) in after.iter().enumerate() {
        left.commit(fact(100 + number, *kind)).await;
        left.upload(&blobs).await;
        left.follow(&blobs).await.expect("an index");
    }
    let head = signed + 1 + after.len() as u64;
    assert_eq!(old.refresh(&left, &blobs).await, Ok(head));
    assert_eq!(left.read_as_client(&blobs).await, head);

    let rebuilt = left.tree().await;
    left.follow(&rebuilt).await.expect("a rebuild");
    let incremental = immutable(&blobs).await;
    for (path, bytes) in immutable(&rebuilt).await {
        assert_eq!(incremental.get(&path), Some(&bytes), "{path}");
    }
    before.retain(|path, bytes| incremental.get(path) != Some(bytes));
    assert_eq!(before.keys().collect::<Vec<_>>(), Vec::<&String>::new(), "no immutable file changed or went");
    assert_eq!(listed(&rebuilt).await, listed(&blobs).await);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_rebuild_of_a_log_with_an_epoch_gives_every_file_the_same_bytes(
        kinds in prop::collection::vec(0u8..10, 1..8),
        kept in any::<prop::sample::Index>(),
        after in prop::collection::vec(0u8..10, 0..4),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(check(&kinds, kept.index(kinds.len()), &after));
    }
}
