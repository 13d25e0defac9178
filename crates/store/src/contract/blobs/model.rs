//! Random histories, carried out by an adapter and by a map.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{asset, internal, upload};
use crate::{
    blobs::{Area, BlobError, BlobKey, Blobs, ETag, Precondition, Put},
    contract::{Choices, Place, noise},
};

/// Runs a history that is the same each time.
pub async fn random_histories_are_as_in_the_model(place: &impl Place<dyn Blobs>) {
    check_history(place, &noise(2, 600)).await;
}

/// None that is named by its content: what is put here is drawn at random.
fn keys() -> Vec<BlobKey> {
    vec![upload(1), upload(2), asset("b.css"), asset("a.css"), asset("a-b.css"), BlobKey::Event(1), internal("model")]
}

/// Carries out the history that `bytes` choose, and compares every answer and all that is there with a map.
///
/// # Panics
/// Where they differ.
pub async fn check_history(place: &impl Place<dyn Blobs>, bytes: &[u8]) {
    let (mut choices, mut blobs, keys) = (Choices::new(bytes), place.open().await, keys());
    // What each key has, and every tag that any of them ever had.
    let (mut model, mut tags) = (BTreeMap::<BlobKey, Bytes>::new(), vec![ETag::new("none")]);
    while !choices.is_over() {
        let key = &keys[usize::from(choices.pick(7))];
        let content = Bytes::from(vec![b'0' + choices.pick(4); usize::from(choices.pick(5))]);
        let there = model.get(key).cloned();
        match choices.pick(8) {
            0 => blobs = place.open().await,
            1 => {
                blobs.delete(key).await.expect("a deletion");
                model.remove(key);
            }
            2 | 3 => {
                let expected = if there.is_some() { Put::Exists } else { Put::Created };
                assert_eq!(blobs.put_new(key, content.clone()).await.expect("a put"), expected);
                model.entry(key.clone()).or_insert(content);
            }
            4 | 5 => {
                let tag = blobs.head(key).await.expect("a head").map(|meta| meta.tag);
                assert_eq!(tag.is_some(), there.is_some());
                let precondition = match choices.pick(4) {
                    0 => Precondition::Absent,
                    1 => Precondition::Tag(tags[usize::from(choices.pick(255)) % tags.len()].clone()),
                    _ => tag.clone().map_or(Precondition::Absent, Precondition::Tag),
                };
                let holds = match &precondition {
                    Precondition::Absent => tag.is_none(),
                    Precondition::Tag(expected) => tag.as_ref() == Some(expected),
                };
                match (blobs.put_if(key, content.clone(), &precondition).await, holds) {
                    (Ok(new), true) => {
                        tags.push(new);
                        model.insert(key.clone(), content);
                    }
                    (Err(BlobError::Precondition { found, .. }), false) => assert!(found.is_none() || found == tag),
                    (outcome, _) => panic!("{outcome:?} where {precondition:?} met {tag:?} at {key}"),
                }
            }
            _ => {
                let from = &keys[usize::from(choices.pick(7))];
                let Some(source) = blobs.head(from).await.expect("a head") else {
                    assert!(!model.contains_key(from));
                    continue;
                };
                let expected = if there.is_some() { Put::Exists } else { Put::Created };
                assert_eq!(blobs.copy_new(from, &source.tag, key).await.expect("a copy"), expected);
                let copied = model[from].clone();
                model.entry(key.clone()).or_insert(copied);
            }
        }
        let found = blobs.get(key, 100).await.expect("a read").map(|blob| blob.bytes);
        assert_eq!(found.as_ref(), model.get(key), "{key}");
    }
    for key in &keys {
        let found = blobs.get(key, 100).await.expect("a read").map(|blob| blob.bytes);
        assert_eq!(found.as_ref(), model.get(key), "{key}");
    }
    for area in [Area::Upload, Area::Store, Area::Public, Area::Events] {
        let mut expected: Vec<String> =
            model.keys().filter(|key| key.area() == area).map(ToString::to_string).collect();
        expected.sort_unstable();
        assert_eq!(super::paths(&*blobs, area).await, expected);
    }
}
