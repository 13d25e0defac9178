//! Writes one after the other.

use stoa_core::{
    digest::Digest,
    id::PluginId,
    path::{PublicPath, RoleFile},
    time::Time,
};

use super::{asset, internal, message, paths, read, stored, text, upload};
use crate::{
    blobs::{Area, BlobError, BlobKey, Blobs, ETag, Precondition, Put, UploadId},
    contract::Place,
    upload::{UploadError, UploadGrant},
};

pub async fn what_was_put_is_read(place: &impl Place<dyn Blobs>) {
    let (blobs, key) = (place.open().await, asset("a.css"));
    assert_eq!(blobs.put_new(&key, text("one")).await.expect("a put"), Put::Created);
    let blob = blobs.get(&key, 100).await.expect("a read").expect("content");
    let meta = blobs.head(&key).await.expect("a head").expect("content");
    assert_eq!((blob.bytes, meta.size, meta.tag), (text("one"), 3, blob.tag));
    assert!(meta.modified > Time::from_unix(1_700_000_000), "modified at {}", meta.modified);
    let empty = asset("empty.css");
    assert_eq!(blobs.put_new(&empty, text("")).await.expect("a put"), Put::Created);
    assert_eq!(read(&*blobs, &empty).await.as_deref(), Some(""));
}

pub async fn a_put_if_absent_keeps_what_is_there(place: &impl Place<dyn Blobs>) {
    let (blobs, key) = (place.open().await, stored("one"));
    assert_eq!(blobs.put_new(&key, text("one")).await.expect("a put"), Put::Created);
    assert_eq!(blobs.put_new(&key, text("two")).await.expect("a put"), Put::Exists);
    assert_eq!(place.open().await.put_new(&key, text("two")).await.expect("a put"), Put::Exists);
    assert_eq!(read(&*blobs, &key).await.as_deref(), Some("one"));
}

pub async fn a_put_that_expects_nothing_succeeds_once(place: &impl Place<dyn Blobs>) {
    let (blobs, key) = (place.open().await, BlobKey::Public(PublicPath::Timestamp));
    let tag = blobs.put_if(&key, text("one"), &Precondition::Absent).await.expect("a put");
    let refused = blobs.put_if(&key, text("two"), &Precondition::Absent).await;
    let Err(BlobError::Precondition { key: named, expected: Precondition::Absent, found }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!((*named, found), (key.clone(), Some(tag)));
    assert_eq!(read(&*blobs, &key).await.as_deref(), Some("one"));
}

pub async fn a_put_that_expects_a_tag_replaces_that_content_only(place: &impl Place<dyn Blobs>) {
    let (blobs, key) = (place.open().await, BlobKey::Public(PublicPath::Timestamp));
    assert_eq!(blobs.mark(&key).await.expect("a mark"), None);
    let first = blobs.put_if(&key, text("one"), &Precondition::Absent).await.expect("a put");
    let mark = blobs.mark(&key).await.expect("a mark");
    assert!(mark.is_some() && blobs.mark(&key).await.expect("a mark") == mark, "{mark:?}");
    let second = blobs.put_if(&key, text("two"), &Precondition::Tag(first.clone())).await.expect("a put");
    assert_ne!(first, second);
    assert_ne!(blobs.mark(&key).await.expect("a mark"), mark, "other content has another mark");
    assert_eq!(blobs.head(&key).await.expect("a head").expect("content").tag, second);
    let stale = blobs.put_if(&key, text("three"), &Precondition::Tag(first.clone())).await;
    let expected = format!("`public/trust/timestamp.json` has tag {second}, and tag {first} was expected");
    assert_eq!(message(stale), expected);
    assert_eq!(read(&*blobs, &key).await.as_deref(), Some("two"));
}

pub async fn a_put_that_expects_a_tag_creates_nothing(place: &impl Place<dyn Blobs>) {
    let (blobs, key) = (place.open().await, internal("cursor"));
    let tag = blobs.put_if(&key, text("one"), &Precondition::Absent).await.expect("a put");
    blobs.delete(&key).await.expect("a deletion");
    let refused = blobs.put_if(&key, text("two"), &Precondition::Tag(tag.clone())).await;
    assert_eq!(message(refused), format!("`internal/cursor` has nothing, and tag {tag} was expected"));
    assert_eq!(read(&*blobs, &key).await, None);
}

pub async fn a_copy_is_made_of_the_content_that_was_read(place: &impl Place<dyn Blobs>) {
    let (blobs, from, to) = (place.open().await, upload(1), stored("one"));
    let missing = blobs.copy_new(&from, &ETag::new("x"), &to).await;
    assert_eq!(message(missing), format!("`{from}` is not there to be copied"));
    assert_eq!(blobs.put_new(&from, text("one")).await.expect("a put"), Put::Created);
    let tag = blobs.get(&from, 100).await.expect("a read").expect("content").tag;
    // Someone replaces the upload after it was verified.
    let swapped = blobs.put_if(&from, text("evil"), &Precondition::Tag(tag.clone())).await.expect("a put");
    let refused = blobs.copy_new(&from, &tag, &to).await;
    assert_eq!(message(refused), format!("`{from}` has tag {swapped}, and tag {tag} was expected"));
    assert_eq!(read(&*blobs, &to).await, None);
    assert_eq!(blobs.copy_new(&from, &swapped, &to).await.expect("a copy"), Put::Created);
    assert_eq!(read(&*blobs, &to).await.as_deref(), Some("evil"));
}

pub async fn a_copy_keeps_what_is_there(place: &impl Place<dyn Blobs>) {
    let (blobs, from, to) = (place.open().await, upload(1), stored("one"));
    assert_eq!(blobs.put_new(&from, text("one")).await.expect("a put"), Put::Created);
    assert_eq!(blobs.put_new(&to, text("other")).await.expect("a put"), Put::Created);
    let tag = blobs.head(&from).await.expect("a head").expect("content").tag;
    assert_eq!(blobs.copy_new(&from, &tag, &to).await.expect("a copy"), Put::Exists);
    assert_eq!(read(&*blobs, &to).await.as_deref(), Some("other"));
}

pub async fn a_copy_outlives_its_source(place: &impl Place<dyn Blobs>) {
    let (blobs, from, to) = (place.open().await, internal("from"), internal("to"));
    let tag = blobs.put_if(&from, text("one"), &Precondition::Absent).await.expect("a put");
    assert_eq!(blobs.copy_new(&from, &tag, &to).await.expect("a copy"), Put::Created);
    blobs.put_if(&from, text("two"), &Precondition::Tag(tag)).await.expect("a put");
    assert_eq!(read(&*blobs, &to).await.as_deref(), Some("one"));
    blobs.delete(&from).await.expect("a deletion");
    assert_eq!(read(&*blobs, &to).await.as_deref(), Some("one"));
}

pub async fn what_was_deleted_is_gone(place: &impl Place<dyn Blobs>) {
    let (blobs, key) = (place.open().await, upload(1));
    assert_eq!(blobs.put_new(&key, text("one")).await.expect("a put"), Put::Created);
    for _ in 0..2 {
        blobs.delete(&key).await.expect("a deletion");
        assert_eq!(read(&*blobs, &key).await, None);
        assert_eq!(paths(&*blobs, Area::Upload).await, [""; 0]);
    }
    assert_eq!(blobs.put_new(&key, text("two")).await.expect("a put"), Put::Created);
    assert_eq!(read(&*blobs, &key).await.as_deref(), Some("two"));
}

pub async fn every_kind_of_key_has_a_place_of_its_own(place: &impl Place<dyn Blobs>) {
    let (blobs, digest) = (place.open().await, Digest::of(b"x"));
    let id: PluginId = "demo:markdown".parse().expect("an id");
    let role = RoleFile { version: 3, role: "bin-0f".into() };
    let public = [
        PublicPath::Timestamp,
        PublicPath::Role(role),
        PublicPath::Document(id.clone(), digest),
        PublicPath::Artifact(digest),
        PublicPath::Front,
        PublicPath::Plugin(id),
        PublicPath::NotFound,
        PublicPath::Pages,
        PublicPath::Asset("stoa.0f.css".into()),
        PublicPath::WellKnown,
    ];
    let mut keys: Vec<BlobKey> = public.into_iter().map(BlobKey::Public).collect();
    keys.extend([upload(1), BlobKey::Store(digest), BlobKey::Event(7), internal("state")]);
    for key in &keys {
        let put = blobs.put_new(key, text(&key.to_string())).await.expect("a put");
        assert_eq!(put, Put::Created, "{key}");
    }
    for key in &keys {
        assert_eq!(read(&*blobs, key).await, Some(key.to_string()));
        assert!(paths(&*blobs, key.area()).await.contains(&key.to_string()), "{key}");
    }
}

pub async fn a_key_that_is_none_is_refused(place: &impl Place<dyn Blobs>) {
    let (blobs, escape) = (place.open().await, asset("../../upload/x"));
    let expected = "`public/assets/../../upload/x` names no blob: it does not read back as the key that it was made of";
    let (tag, fine) = (ETag::new("x"), upload(1));
    assert_eq!(message(blobs.put_new(&escape, text("x")).await), expected);
    assert_eq!(message(blobs.put_if(&escape, text("x"), &Precondition::Absent).await), expected);
    assert_eq!(message(blobs.get(&escape, 10).await), expected);
    assert_eq!(message(blobs.get_range(&escape, 0..1).await), expected);
    assert_eq!(message(blobs.head(&escape).await), expected);
    assert_eq!(message(blobs.list(Area::Public, Some(&escape), 1).await), expected);
    assert_eq!(message(blobs.copy_new(&escape, &tag, &fine).await), expected);
    assert_eq!(message(blobs.copy_new(&fine, &tag, &escape).await), expected);
    assert_eq!(message(blobs.delete(&escape).await), expected);
}

pub async fn an_upload_address_is_accepted_as_it_was_given(place: &impl Place<dyn Blobs>) {
    let (blobs, now) = (place.open().await, Time::from_unix(1_700_000_000));
    let id = UploadId::from_bytes([3; 16]);
    let grant = UploadGrant { id, digest: Digest::of(b"one"), size: 3, expires: now.plus(900) };
    let address = blobs.presign_upload(&grant).await.expect("an address");
    assert_eq!(address.method, "PUT");
    if blobs.upload_secret().is_none() {
        // The engine takes uploads itself: its own tests send one.
        assert!(address.url.starts_with("http"), "{}", address.url);
        let refused = blobs.verify_upload(id, "", now);
        assert_eq!(message(refused), format!("upload {id} does not come through this process: the engine takes it"));
        return;
    }
    let (route, query) = address.url.split_once('?').expect("a query");
    assert_eq!(route, format!("/v1/uploads/{id}"));
    assert_eq!(address.headers, [("content-length".to_owned(), "3".to_owned())]);
    // Another process of the same registry takes it, too.
    let elsewhere = place.open().await;
    assert_eq!(elsewhere.verify_upload(id, query, now).expect("a grant"), grant);
    let refused = elsewhere.verify_upload(id, &query.replace("size=3", "size=4"), now);
    let Err(BlobError::Upload(UploadError::Forged(found))) = refused else { panic!("{refused:?}") };
    assert_eq!(found, id);
}

pub async fn what_was_put_is_there_after_a_restart(place: &impl Place<dyn Blobs>) {
    let (blobs, new, swapped) = (place.open().await, stored("one"), internal("cursor"));
    assert_eq!(blobs.put_new(&new, text("one")).await.expect("a put"), Put::Created);
    let tag = blobs.put_if(&swapped, text("1"), &Precondition::Absent).await.expect("a put");
    drop(blobs);
    let blobs = place.open().await;
    assert_eq!(read(&*blobs, &new).await.as_deref(), Some("one"));
    blobs.put_if(&swapped, text("2"), &Precondition::Tag(tag)).await.expect("a put");
    assert_eq!(read(&*blobs, &swapped).await.as_deref(), Some("2"));
}

pub async fn the_probe_holds_and_leaves_nothing(place: &impl Place<dyn Blobs>) {
    let blobs = place.open().await;
    let before = paths(&*blobs, Area::Internal).await;
    blobs.probe().await.expect("an engine that can hold a registry");
    assert_eq!(paths(&*blobs, Area::Internal).await, before);
}
