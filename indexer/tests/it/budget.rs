//! What a publish costs.

use stoa_core::path::PublicPath;
use stoa_store::memory::Call;

use crate::world::{World, namespace, released, writes};

/// Whether the call writes an object of the index: pages and what they share have their own budget.
fn is_index(path: &str) -> bool {
    let Some(public) = path.strip_prefix("public/") else { return true };
    !matches!(
        public.parse(),
        Ok(PublicPath::Front
            | PublicPath::Plugin(_)
            | PublicPath::NotFound
            | PublicPath::Pages
            | PublicPath::Asset(_)
            | PublicPath::WellKnown)
    )
}

#[tokio::test]
async fn a_publish_writes_its_artifacts_and_at_most_8_objects_lists_nothing_and_deletes_nothing() {
    let mut world =
        World::with([namespace("demo"), released(&[("demo:alpha", "1.0.0"), ("demo:beta", "1.0.0")])]).await;
    let blobs = world.tree().await;
    world.follow(&blobs).await.expect("an index");
    world.commit(released(&[("demo:alpha", "1.1.0")])).await;
    world.upload(&blobs).await;
    world.follow(&blobs).await.expect("an index");

    let written: Vec<_> = writes(&blobs).into_iter().filter(|(_, path)| is_index(path)).collect();
    let copies = written.iter().filter(|(call, _)| *call == Call::Copy).count();
    // Component and readme are new; the WIT is the one of the version before, and lies there already.
    assert_eq!(copies, 2, "{written:?}");
    // The archived event, the record, the document, its bin, the snapshot, the pointer.
    assert_eq!(written.len() - copies, 6, "{written:?}");
    assert!(written.len() <= copies + 8);
    assert_eq!(blobs.hooks().count(Call::List), 0);
    assert_eq!(blobs.hooks().count(Call::Delete), 0);
}

#[tokio::test]
async fn a_look_at_an_unchanged_log_writes_nothing() {
    let world = World::with([namespace("demo"), released(&[("demo:alpha", "1.0.0")])]).await;
    let blobs = world.tree().await;
    world.follow(&blobs).await.expect("an index");
    blobs.hooks().forget();
    assert_eq!(world.follow(&blobs).await.expect("a look"), 3);
    assert_eq!(writes(&blobs), vec![]);
    assert_eq!(blobs.hooks().count(Call::List), 0);
}
