//! The keys of namespaces in the index: written, listed, and held against the ledger by the signer.

use serde_json::json;
use stoa_core::{
    digest::Digest,
    event::Fact,
    index::{Base, Fold, IndexError, advance, bin_of_publishers},
    path::PublicPath,
    proposal::Proposal,
    publisher::{Change, PublisherError, Publishers, Statement},
    trust::{SecretKey, writer::Target},
};
use stoa_indexer::IndexerError;
use stoa_store::{
    blobs::{Area, BlobKey, Blobs as _},
    ledger::Ledger as _,
};

use crate::world::{World, files, namespace, released};

fn demo() -> stoa_core::id::Namespace {
    "demo".parse().expect("a namespace")
}

fn stated(world: &World, number: u64, change: Change, keys: &[&SecretKey]) -> Fact {
    let registry = Digest::of(&world.root());
    let statement = Statement { format: 1, registry, namespace: demo(), number, change };
    Fact::PublisherStated { namespace: demo(), statement: statement.sign(keys).expect("a statement") }
}

/// A registry whose `demo` has a key, then a release, then a demand.
async fn world() -> World {
    let mut world = World::with([namespace("demo")]).await;
    let first = SecretKey::from_seed([1; 32]);
    world.commit(stated(&world, 1, Change::Add { key: first.public().clone() }, &[&first])).await;
    world.commit(released(&[("demo:alpha", "1.0.0")])).await;
    world.commit(stated(&world, 2, Change::Demand { signatures: true }, &[&first])).await;
    world
}

#[tokio::test]
async fn a_rebuild_and_each_step_by_itself_list_the_same_keys() {
    let whole = world().await;
    let at_once = whole.tree().await;
    assert_eq!(whole.follow(&at_once).await.expect("an index"), 5);
    let mut world = World::with([namespace("demo")]).await;
    let blobs = world.tree().await;
    world.follow(&blobs).await.expect("an index");
    let first = SecretKey::from_seed([1; 32]);
    let facts = [
        stated(&world, 1, Change::Add { key: first.public().clone() }, &[&first]),
        released(&[("demo:alpha", "1.0.0")]),
        stated(&world, 2, Change::Demand { signatures: true }, &[&first]),
    ];
    for fact in facts {
        world.commit(fact).await;
        world.upload(&blobs).await;
        world.follow(&blobs).await.expect("an index");
    }
    let (steps, once) = (files(&blobs, Area::Public).await, files(&at_once, Area::Public).await);
    let keys = |tree: &std::collections::BTreeMap<String, bytes::Bytes>| {
        let last = tree.iter().filter(|(path, _)| path.contains("@publishers"));
        last.map(|(path, bytes)| (Publishers::read(&demo(), bytes).expect("keys").seq, path.clone())).max()
    };
    assert_eq!(keys(&steps), keys(&once));
    assert_eq!(keys(&once).map(|(seq, _)| seq), Some(5));
    assert_eq!(steps["public/trust/5.snapshot.json"], once["public/trust/5.snapshot.json"]);
}

#[tokio::test]
async fn a_key_that_the_ledger_does_not_have_is_refused_by_the_signer() {
    let honest = world().await;
    let blobs = honest.tree().await;
    // The indexer of a thief folds another log: the same but for the key.
    let mut thief = World::with([namespace("demo")]).await;
    let stolen = SecretKey::from_seed([66; 32]);
    thief.commit(stated(&thief, 1, Change::Add { key: stolen.public().clone() }, &[&stolen])).await;
    thief.commit(released(&[("demo:alpha", "1.0.0")])).await;
    thief.commit(stated(&thief, 2, Change::Demand { signatures: true }, &[&stolen])).await;
    let run = thief.indexer(&blobs).run().await.expect("a run").expect("something new");
    let error = honest.signer(&blobs).sign(&run.proposal, honest.now()).await.expect_err("refused");
    // It names another chain; nothing else has to be looked at.
    assert!(matches!(error, IndexerError::Forked { seq: 5, .. }), "{error}");
    let pointer = blobs.get(&BlobKey::Public(PublicPath::Timestamp), 1 << 20).await.expect("an answer");
    assert!(pointer.is_none());
}

#[tokio::test]
async fn a_statement_that_no_key_signed_stops_the_index() {
    let mut world = world().await;
    let blobs = world.tree().await;
    world.follow(&blobs).await.expect("an index");
    let thief = SecretKey::from_seed([66; 32]);
    world.commit(stated(&world, 3, Change::Demand { signatures: false }, &[&thief])).await;
    let error = world.indexer(&blobs).run().await.expect_err("it stops");
    let IndexerError::Index(error) = error else { panic!("{error}") };
    let source = std::error::Error::source(&error).expect("a source").to_string();
    assert_eq!(source, format!("`demo` has no key {}", thief.id()));
}

/// What the thief of a ledger writes past the API: a release that nobody has signed.
async fn world_with_an_unsigned_release() -> (World, stoa_store::memory::MemoryBlobs) {
    let mut world = world().await;
    let blobs = world.tree().await;
    world.follow(&blobs).await.expect("an index");
    world.commit(released(&[("demo:alpha", "1.1.0")])).await;
    world.upload(&blobs).await;
    (world, blobs)
}

fn unsigned(error: &IndexerError) -> bool {
    let IndexerError::Index(IndexError::Unsigned { seq: 6, id, version, source }) = error else { return false };
    let since = PublisherError::Demanded { namespace: demo(), since: 5 };
    **source == since && *id == crate::world::id("demo:alpha") && version.to_string() == "1.1.0"
}

#[tokio::test]
async fn an_unsigned_release_in_a_namespace_that_demands_signatures_stops_the_indexer_and_the_signer() {
    let (world, blobs) = world_with_an_unsigned_release().await;
    let pointer = files(&blobs, Area::Public).await["public/trust/timestamp.json"].clone();
    let error = world.indexer(&blobs).run().await.expect_err("it stops");
    assert!(unsigned(&error), "{error:?}");
    // Whoever has the indexer's keys as well proposes it all the same.
    let head = world.ledger.head().await.expect("a head");
    let proposal = json!({"format": 1, "head": head.hash, "seq": head.seq, "signatures": {}});
    let proposal = Proposal::read(proposal.to_string().as_bytes()).expect("a proposal");
    let error = world.signer(&blobs).sign(&proposal, world.now()).await.expect_err("refused");
    assert!(unsigned(&error), "{error:?}");
    assert_eq!(files(&blobs, Area::Public).await["public/trust/timestamp.json"], pointer);
    // A fold of the whole log finds it as well.
    let mut fold = Fold::begin(Base::default());
    let events = world.ledger.events(0, 100).await.expect("events");
    let refused = events.iter().find_map(|event| fold.take(event).err()).expect("refused");
    assert!(matches!(refused, IndexError::Unsigned { seq: 6, .. }), "{refused:?}");
}

#[tokio::test]
async fn a_release_is_not_folded_without_the_keys_of_its_namespace() {
    let world = world().await;
    let events = world.ledger.events(0, 100).await.expect("events");
    let begun = advance(Base::default(), &events[..3]).expect("an index");
    let mut bins: std::collections::BTreeMap<_, _> =
        (0..4).map(|n| (format!("bin-{n}"), std::collections::BTreeMap::new())).collect();
    let bin = bin_of_publishers(&demo(), begun.cursor.bin_bits);
    let base = Base { snapshot: Some(begun.cursor.clone()), bins: bins.clone(), ..Base::default() };
    // The bin is there and lists no keys: there are none.
    assert!(advance(base, &events[3..4]).is_ok());
    let target = Target { length: 1, sha256: Digest::of(b"keys") };
    bins.get_mut(&bin).expect("a bin").insert(PublicPath::publishers_path(&demo()), target);
    let base = Base { snapshot: Some(begun.cursor.clone()), bins: bins.clone(), ..Base::default() };
    let not_loaded = Err(IndexError::NotLoaded("index/demo/@publishers.json".into()));
    assert_eq!(advance(base, &events[3..4]), not_loaded, "it lists some");
    bins.remove(&bin);
    let base = Base { snapshot: Some(begun.cursor), bins, ..Base::default() };
    assert_eq!(advance(base, &events[3..4]), not_loaded, "it was not read");
}
