//! The keys of namespaces in the index: written, listed, and held against the ledger by the signer.

use stoa_core::{
    digest::Digest,
    event::Fact,
    path::PublicPath,
    publisher::{Change, Publishers, Statement},
    trust::SecretKey,
};
use stoa_indexer::IndexerError;
use stoa_store::blobs::{Area, BlobKey, Blobs as _};

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
