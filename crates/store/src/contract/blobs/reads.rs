//! Reads and lists.

use stoa_core::{digest::Digest, id::PluginId, path::PublicPath};

use super::{asset, message, paths, stored, text, upload};
use crate::{
    blobs::{Area, BlobKey, Blobs, Put},
    contract::{Place, noise},
};

async fn put(blobs: &dyn Blobs, key: &BlobKey, content: &str) {
    assert_eq!(blobs.put_new(key, text(content)).await.expect("a put"), Put::Created, "{key}");
}

pub async fn what_is_not_there_is_no_error(place: &impl Place<dyn Blobs>) {
    let (blobs, key) = (place.open().await, stored("one"));
    assert_eq!(blobs.get(&key, 0).await.expect("a read"), None);
    assert_eq!(blobs.get_range(&key, 5..9).await.expect("a read"), None);
    assert_eq!(blobs.head(&key).await.expect("a head"), None);
    assert_eq!(blobs.list(Area::Store, None, 10).await.expect("a list"), []);
    blobs.delete(&key).await.expect("a deletion");
}

pub async fn content_above_the_limit_is_refused(place: &impl Place<dyn Blobs>) {
    let (blobs, key) = (place.open().await, asset("a.css"));
    put(&*blobs, &key, "12345").await;
    assert_eq!(message(blobs.get(&key, 4).await), "`public/assets/a.css` has 5 bytes, and at most 4 are taken");
    assert_eq!(blobs.get(&key, 5).await.expect("a read").expect("content").bytes, text("12345"));
}

pub async fn a_range_ends_with_the_content(place: &impl Place<dyn Blobs>) {
    let (blobs, key) = (place.open().await, asset("a.css"));
    put(&*blobs, &key, "0123456789").await;
    for (range, expected) in [(0..1, "0"), (3..6, "345"), (9..10, "9"), (8..99, "89"), (0..u64::MAX, "0123456789")] {
        let bytes = blobs.get_range(&key, range.clone()).await.expect("a read");
        assert_eq!(bytes, Some(text(expected)), "{range:?}");
    }
}

pub async fn a_range_that_is_none_is_refused(place: &impl Place<dyn Blobs>) {
    let (blobs, key) = (place.open().await, asset("a.css"));
    put(&*blobs, &key, "0123456789").await;
    for (start, end) in [(10, 11), (3, 3), (5, 2), (u64::MAX, u64::MAX)] {
        let refused = message(blobs.get_range(&key, start..end).await);
        assert_eq!(refused, format!("`public/assets/a.css` has 10 bytes: {start}..{end} is no range of it"));
    }
}

/// Blobs whose paths sort otherwise by part than by byte: `-` and `.` come before `/`.
fn tangled() -> Vec<BlobKey> {
    let plugin = |id: &str| BlobKey::Public(PublicPath::Plugin(id.parse::<PluginId>().expect("an id")));
    vec![
        BlobKey::Public(PublicPath::WellKnown),
        BlobKey::Public(PublicPath::NotFound),
        asset("a-b.css"),
        asset("a.css"),
        asset("ab.css"),
        BlobKey::Public(PublicPath::Front),
        BlobKey::Public(PublicPath::Pages),
        plugin("a-b:x"),
        plugin("a-b:x-y"),
        plugin("a:x"),
        plugin("a:y"),
        plugin("ab:x"),
        BlobKey::Public(PublicPath::Timestamp),
    ]
}

pub async fn a_list_is_in_order_of_bytes(place: &impl Place<dyn Blobs>) {
    let blobs = place.open().await;
    for key in tangled().iter().rev() {
        put(&*blobs, key, &key.to_string()).await;
    }
    for key in [upload(2), upload(1), BlobKey::Event(10), BlobKey::Event(9), BlobKey::Event(1_000_000)] {
        put(&*blobs, &key, "x").await;
    }
    let mut expected: Vec<String> = tangled().iter().map(ToString::to_string).collect();
    expected.sort_unstable();
    assert_eq!(paths(&*blobs, Area::Public).await, expected);
    assert_eq!(paths(&*blobs, Area::Upload).await, [upload(1), upload(2)].map(|key| key.to_string()));
    assert_eq!(
        paths(&*blobs, Area::Events).await,
        ["events/0000000009.json", "events/0000000010.json", "events/0001000000.json"]
    );
    assert_eq!(paths(&*blobs, Area::Store).await, [""; 0]);
    let sizes: Vec<u64> = blobs.list(Area::Public, None, 2).await.expect("a list").iter().map(|row| row.size).collect();
    assert_eq!(sizes, expected[..2].iter().map(|path| path.len() as u64).collect::<Vec<_>>());
}

pub async fn a_list_goes_on_after_a_key(place: &impl Place<dyn Blobs>) {
    let blobs = place.open().await;
    for key in tangled() {
        put(&*blobs, &key, "x").await;
    }
    let whole = paths(&*blobs, Area::Public).await;
    for limit in [1, 2, 5, 13, 14] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = blobs.list(Area::Public, after.as_ref(), limit).await.expect("a list");
            let full = page.len() == limit;
            after = page.last().map(|row| row.key.clone()).or(after);
            found.extend(page.into_iter().map(|row| row.key.to_string()));
            if !full {
                break;
            }
        }
        assert_eq!(found, whole, "in pages of {limit}");
    }
    assert_eq!(blobs.list(Area::Public, None, 0).await.expect("a list"), []);
    // A key that is not there, and keys of the areas before and after.
    let rest = |after: BlobKey| {
        let blobs = &blobs;
        async move { blobs.list(Area::Public, Some(&after), 100).await.expect("a list").len() }
    };
    assert_eq!(rest(asset("aa.css")).await, whole.iter().filter(|path| path.as_str() > "public/assets/aa.css").count());
    assert_eq!(rest(BlobKey::Event(1)).await, whole.len());
    assert_eq!(rest(stored("x")).await, 0);
}

pub async fn three_megabytes_come_back_as_they_were(place: &impl Place<dyn Blobs>) {
    let content = bytes::Bytes::from(noise(3, 3 << 20));
    let (blobs, key) = (place.open().await, BlobKey::Store(Digest::of(&content)));
    assert_eq!(blobs.put_new(&key, content.clone()).await.expect("a put"), Put::Created);
    let blob = blobs.get(&key, 3 << 20).await.expect("a read").expect("content");
    assert!(blob.bytes == content, "other bytes came back");
    let part = blobs.get_range(&key, 1_000_000..2_000_000).await.expect("a read");
    assert!(part == Some(content.slice(1_000_000..2_000_000)), "other bytes came back");
    assert_eq!(blobs.head(&key).await.expect("a head").map(|meta| (meta.size, meta.tag)), Some((3 << 20, blob.tag)));
}
