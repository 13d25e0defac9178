//! Pages come after the pointer and may lag; a later run mends them.

use stoa_core::{path::PublicPath, standing::Measure};
use stoa_store::{
    blobs::{Area, BlobKey, Blobs as _},
    memory::{Call, MemoryBlobs},
};

use crate::world::{World, files, id, namespace, released, restored, taken_down, yanked};

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

#[tokio::test]
async fn what_is_taken_down_is_told_on_its_page_and_found_on_the_front_page_until_it_is_killed() {
    let mut world = World::with([
        namespace("demo"),
        released(&[("demo:alpha", "1.0.0"), ("demo:beta", "0.1.0")]),
        released(&[("demo:alpha", "1.1.0")]),
    ])
    .await;
    let blobs = world.tree().await;
    let shown = async |world: &World| {
        world.follow(&blobs).await.expect("pages");
        (page(&blobs, PublicPath::Front).await, page(&blobs, PublicPath::Plugin(id("demo:alpha"))).await)
    };
    let (_, before) = shown(&world).await;

    world.commit(taken_down("demo:alpha", Some("1.1.0"), Measure::Kill)).await;
    let (front, alpha) = shown(&world).await;
    assert!(front.contains("/plugins/demo/alpha/"), "1.0.0 is left");
    assert!(alpha.contains("<title>demo:alpha 1.0.0"), "{alpha}");
    assert!(alpha.contains("malware: it mines coins") && alpha.contains("killed"), "{alpha}");
    assert!(!alpha.contains(r#"role="note""#), "nothing is to be said of 1.0.0: {alpha}");

    world.commit(taken_down("demo:alpha", Some("1.0.0"), Measure::Quarantine)).await;
    let (front, alpha) = shown(&world).await;
    assert!(front.contains("/plugins/demo/alpha/") && front.contains(">quarantined<"), "{front}");
    assert!(alpha.contains("Version 1.0.0 was quarantined") && !alpha.contains("plugins.toml"), "{alpha}");

    world.commit(taken_down("demo:alpha", None, Measure::Kill)).await;
    let (front, alpha) = shown(&world).await;
    assert!(!front.contains("/plugins/demo/alpha/") && front.contains("/plugins/demo/beta/"), "{front}");
    assert!(alpha.contains("demo:alpha was killed") && !alpha.contains("plugins.toml"), "{alpha}");

    for version in [None, Some("1.0.0"), Some("1.1.0")] {
        world.commit(restored("demo:alpha", version)).await;
    }
    let (front, alpha) = shown(&world).await;
    assert!(front.contains("/plugins/demo/alpha/"), "{front}");
    assert_eq!(alpha, before, "what was restored looks as before");
}
