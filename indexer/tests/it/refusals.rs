//! What stops a run before it publishes anything.

use stoa_core::digest::Digest;
use stoa_indexer::IndexerError;
use stoa_store::{
    blobs::{Area, BlobKey},
    memory::Call,
};

use crate::world::{World, files, namespace, put, released, writes};

const ALPHA: (&str, &str) = ("demo:alpha", "1.0.0");

#[tokio::test]
async fn other_bytes_under_an_immutable_name_stop_the_run() {
    let world = World::with([namespace("demo"), released(&[ALPHA])]).await;
    let good = world.tree().await;
    world.index(&good).await.expect("an index");
    let planned: Vec<_> = writes(&good).into_iter().filter(|(call, _)| *call == Call::PutNew).collect();
    // 3 events, the record, the document, 4 bins, the catalog, the snapshot.
    assert_eq!(planned.len(), 11, "{planned:#?}");
    let mut expected_files = files(&good, Area::Public).await;
    expected_files.extend(files(&good, Area::Events).await);
    for (_, path) in planned {
        let blobs = world.tree().await;
        put(&blobs, &path.parse::<BlobKey>().expect("a key"), b"other bytes").await;
        let error = world.index(&blobs).await.expect_err("it diverges");
        let (found, expected) =
            (Digest::of(b"other bytes").to_string(), Digest::of(&expected_files[&path]).to_string());
        assert!(
            matches!(&error, IndexerError::Diverged { path: p, found: f, expected: e }
                if (p, f, e) == (&path, &found, &expected)),
            "{error}"
        );
        let message = format!(
            "`{path}` has other bytes than the log gives it ({found} instead of {expected}): stopped, nothing was published"
        );
        assert_eq!(error.to_string(), message);
        assert!(!files(&blobs, Area::Public).await.contains_key("public/trust/timestamp.json"));
    }
}

#[tokio::test]
async fn a_ledger_that_was_restored_from_an_older_copy_is_refused() {
    let newer = World::with([namespace("demo"), released(&[ALPHA])]).await;
    let blobs = newer.tree().await;
    newer.index(&blobs).await.expect("an index");
    let before = files(&blobs, Area::Public).await;
    let older = World::with([namespace("demo")]).await;
    let behind = "the ledger ends at event 2, and the signed index covers 3: restore the later events before going on";
    let error = older.indexer(&blobs).run().await.expect_err("it is behind");
    assert!(matches!(error, IndexerError::Behind { ledger: 2, signed: 3 }), "{error:?}");
    assert_eq!(error.to_string(), behind);
    let error = older.follow(&blobs).await.expect_err("it is behind");
    assert_eq!(error.to_string(), behind);
    assert_eq!(files(&blobs, Area::Public).await, before);
}

#[tokio::test]
async fn a_ledger_with_another_past_is_refused() {
    let signed = World::with([namespace("demo"), released(&[ALPHA])]).await;
    let blobs = signed.tree().await;
    signed.index(&blobs).await.expect("an index");
    let other = World::with([namespace("demo"), released(&[("demo:alpha", "2.0.0")]), namespace("more")]).await;
    other.upload(&blobs).await;
    let before = files(&blobs, Area::Public).await;
    let error = other.indexer(&blobs).run().await.expect_err("it has forked");
    assert!(matches!(&error, IndexerError::Forked { seq: 3, ledger, signed } if ledger != signed), "{error:?}");
    assert!(error.to_string().starts_with("event 3 of the ledger is not the one that was signed ("), "{error}");
    assert_eq!(files(&blobs, Area::Public).await, before);
}

#[tokio::test]
async fn a_release_whose_blob_is_gone_is_not_published() {
    let world = World::with([namespace("demo"), released(&[ALPHA])]).await;
    let without = World::with([]).await.tree().await;
    let error = world.indexer(&without).run().await.expect_err("no blobs");
    assert!(matches!(&error, IndexerError::Missing(path) if path.starts_with("artifacts/sha256/")), "{error:?}");
}
