//! Pages come after the pointer and may lag; a later run mends them.

use stoa_core::path::PublicPath;
use stoa_store::{
    blobs::{Area, BlobKey, Blobs as _},
    memory::{Call, MemoryBlobs},
};

use crate::world::{World, files, id, namespace, released, yanked};

async fn page(blobs: &MemoryBlobs, path: PublicPath) -> String {
    let blob = blobs.get(&BlobKey::Public(path), u64::MAX).await.expect("an answer").expect("a page");
    String::from_utf8(blob.bytes.to_vec()).expect("text")
}

#[tokio::test]
async fn pages_that_lag_are_mended_by_the_next_run() {
    let mut world = World::with([namespace("demo"), released(&[("demo:alpha", "1.0.0")])]).await;
    let blobs = world.tree().await;
    world.follow(&blobs).await.expect("an index");
    let steps =
        [released(&[("demo:alpha", "1.1.0")]), yanked("demo:alpha", "1.1.0"), released(&[("demo:beta", "0.1.0")])];
    for fact in steps {
        world.commit(fact).await;
        world.upload(&blobs).await;
        // The list of pages can not be read: the index goes on without its pages.
        blobs.hooks().fail(Call::Get, "public/pages.json");
        world.follow(&blobs).await.expect_err("no list of pages");
    }
    assert_eq!(world.read_as_client(&blobs).await, 6, "the index does not wait for pages");
    assert!(!page(&blobs, PublicPath::Plugin(id("demo:alpha"))).await.contains("1.1.0"), "the page lags");

    world.follow(&blobs).await.expect("pages");
    assert!(page(&blobs, PublicPath::Plugin(id("demo:alpha"))).await.contains("1.1.0"));
    assert!(page(&blobs, PublicPath::Front).await.contains("/plugins/demo/beta/"));
    let at_once = world.tree().await;
    world.follow(&at_once).await.expect("pages");
    let shown = |files: crate::world::Files| files.into_iter().filter(|(path, _)| path.ends_with(".html"));
    let (mended, fresh) = (files(&blobs, Area::Public).await, files(&at_once, Area::Public).await);
    assert_eq!(shown(mended).collect::<Vec<_>>(), shown(fresh).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_list_of_pages_that_can_not_be_read_is_written_anew() {
    let world = World::with([namespace("demo"), released(&[("demo:alpha", "1.0.0")])]).await;
    let blobs = world.tree().await;
    let key = BlobKey::Public(PublicPath::Pages);
    crate::world::put(&blobs, &key, b"not a list").await;
    world.follow(&blobs).await.expect("pages");
    assert!(page(&blobs, PublicPath::Front).await.contains("/plugins/demo/alpha/"));
    let list: serde_json::Value = serde_json::from_str(&page(&blobs, PublicPath::Pages).await).expect("JSON");
    assert_eq!(list["seq"], 3);
}

#[tokio::test]
async fn a_hostile_description_is_text_on_the_page() {
    let mut release = crate::world::release("demo:alpha", "1.0.0");
    release.description = "<script>alert(1)</script>".into();
    let world = World::with([
        namespace("demo"),
        stoa_core::event::Fact::Released { releases: vec![release], attestations: Default::default() },
    ])
    .await;
    let blobs = world.tree().await;
    world.follow(&blobs).await.expect("pages");
    for path in [PublicPath::Front, PublicPath::Plugin(id("demo:alpha"))] {
        let page = page(&blobs, path).await;
        assert!(page.contains("&lt;script&gt;alert(1)"), "{page}");
        assert!(!page.contains("<script>alert"), "{page}");
    }
}
