//! New offline metadata is in place: what the index signs anew, and with which keys.

use std::sync::Arc;

use stoa_core::{
    proposal::IndexKeys,
    trust::{
        SecretKey,
        ceremony::{Offer, OfflineDocument, Standing},
    },
};
use stoa_indexer::{Indexer, IndexerError};
use stoa_store::memory::MemoryBlobs;

use crate::world::{World, immutable, key, keys, namespace, public, put, released, signed};

/// Another key of bins and snapshot: 7 instead of 3.
fn rotated(world: &World) -> (Offer, Standing) {
    let standing = world.standing();
    let mut roster = standing.roster().clone();
    roster.replace(keys().snapshot.id(), key(7).public()).expect("a key");
    complete(world, Offer::change(standing, roster, &[], world.now().plus(1_000_000)).expect("an offer"))
}

fn renewed(world: &World, documents: &[OfflineDocument]) -> (Offer, Standing) {
    let standing = world.standing();
    let roster = standing.roster().clone();
    complete(world, Offer::change(standing, roster, documents, world.now().plus(1_000_000)).expect("an offer"))
}

/// Key 1 signs root, key 2 targets and index.
fn complete(world: &World, mut offer: Offer) -> (Offer, Standing) {
    let mut signed = 0;
    for n in [1, 2] {
        signed += offer.sign(&key(n)).map_or(0, |documents| documents.len());
    }
    assert_eq!(signed, offer.documents().count());
    let after = offer.complete(world.now()).expect("enough have signed");
    (offer, after)
}

fn indexer(world: &World, blobs: &MemoryBlobs, snapshot: SecretKey) -> Indexer {
    let keys = IndexKeys { snapshot, catalog: keys().catalog };
    Indexer::new(world.ledger.clone(), Arc::new(blobs.clone()), keys)
}

async fn versions(blobs: &MemoryBlobs, snapshot: u64) -> Vec<(String, u64)> {
    let snapshot = signed(blobs, &public(snapshot, "snapshot")).await;
    let meta = snapshot["meta"].as_object().expect("roles");
    let version = |(file, meta): (&String, &serde_json::Value)| {
        (file.trim_end_matches(".json").to_owned(), meta["version"].as_u64().expect("a version"))
    };
    meta.iter().map(version).collect()
}

#[tokio::test]
async fn a_new_index_signs_all_bins_anew_and_new_targets_the_catalog() {
    for (documents, bins, catalog) in [
        (&[OfflineDocument::Index][..], 4, 1),
        (&[OfflineDocument::Targets], 1, 4),
        (&[OfflineDocument::Root], 1, 1),
        (&OfflineDocument::ALL, 4, 4),
    ] {
        let mut world = World::with([namespace("demo"), released(&[("demo:alpha", "1.0.0")])]).await;
        let blobs = world.tree().await;
        world.index(&blobs).await.expect("an index");
        let (offer, after) = renewed(&world, documents);
        for (role, bytes) in world.install(&offer, &after).await {
            put(&blobs, &public(role.version.get(), &role.role), &bytes).await;
        }
        world.index(&blobs).await.expect("an index");
        assert_eq!(world.read_as_client(&blobs).await, 4);
        let listed = versions(&blobs, 4).await;
        let of = |name: &str| listed.iter().find(|(role, _)| role == name).expect("a role").1;
        assert_eq!(of("catalog"), catalog, "{documents:?}");
        let least = listed.iter().filter(|(role, _)| role.starts_with("bin-")).map(|(_, version)| *version).min();
        assert_eq!(least, Some(bins), "{documents:?}");
        // Whoever folds it from the first event makes the same.
        let whole = world.tree().await;
        world.index(&whole).await.expect("an index");
        let (whole, step) = (immutable(&whole).await, immutable(&blobs).await);
        assert!(whole.iter().all(|(path, bytes)| step.get(path) == Some(bytes)), "a rebuild makes nothing else");
    }
}

#[tokio::test]
async fn an_indexer_with_a_key_that_is_not_named_any_more_writes_nothing() {
    let mut world = World::with([namespace("demo"), released(&[("demo:alpha", "1.0.0")])]).await;
    let blobs = world.tree().await;
    world.index(&blobs).await.expect("an index");
    let (offer, after) = rotated(&world);
    for (role, bytes) in world.install(&offer, &after).await {
        put(&blobs, &public(role.version.get(), &role.role), &bytes).await;
    }
    let before = immutable(&blobs).await;
    let refused = indexer(&world, &blobs, key(3)).run().await.expect_err("an old key");
    let IndexerError::OtherKeys { role, by, key: named } = refused else { panic!("{refused:?}") };
    assert_eq!((role.as_str(), by.as_str(), named), ("bins", "index 2", key(3).id().to_string()));
    let mut after = immutable(&blobs).await;
    after.retain(|path, _| !path.starts_with("events/"));
    assert!(after.keys().all(|path| before.contains_key(path)), "the archive alone may grow");

    let run = indexer(&world, &blobs, key(7)).run().await.expect("the new key").expect("something new");
    assert_eq!(run.head.seq, 4);
    assert_eq!(world.signer(&blobs).sign(&run.proposal, world.now()).await.expect("a signature"), moved(4));
    assert_eq!(world.read_as_client(&blobs).await, 4);
}

fn moved(version: u64) -> stoa_indexer::Signed {
    stoa_indexer::Signed::Moved(std::num::NonZeroU64::new(version).expect("from 1"))
}

/// More events than a run covers lie before the new keys: no snapshot is made of what those did not sign.
#[tokio::test]
async fn no_run_ends_before_the_keys_of_today_are_in_place() {
    let mut world = World::begun().await;
    for n in 0..600 {
        world.commit(namespace(&format!("space-n{n}"))).await;
    }
    let (offer, after) = rotated(&world);
    world.install(&offer, &after).await;
    let blobs = world.tree().await;
    let run = indexer(&world, &blobs, key(7)).run().await.expect("a run").expect("something new");
    assert_eq!((run.head.seq, run.more), (602, false));
    world.signer(&blobs).sign(&run.proposal, world.now()).await.expect("a signature");
    let snapshots: Vec<String> = immutable(&blobs).await.into_keys().filter(|path| path.contains("snapshot")).collect();
    assert_eq!(snapshots, ["public/trust/602.snapshot.json"]);
    assert_eq!(world.read_as_client(&blobs).await, 602);
}
