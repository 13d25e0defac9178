//! Writes at once.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::{internal, read, stored, text};
use crate::{
    blobs::{BlobError, BlobKey, Blobs, Precondition, Put},
    contract::Place,
};

const TASKS: u64 = 16;

/// Handles for sixteen tasks, each two of which share one.
async fn handles(place: &impl Place<dyn Blobs>) -> Vec<(u64, Arc<dyn Blobs>)> {
    let mut handles = Vec::new();
    for task in (0..TASKS).step_by(2) {
        let blobs = place.open().await;
        handles.push((task, Arc::clone(&blobs)));
        handles.push((task + 1, blobs));
    }
    handles
}

pub async fn of_sixteen_who_put_one_key_one_creates_it(place: &impl Place<dyn Blobs>) {
    let mut tasks = JoinSet::new();
    for (task, blobs) in handles(place).await {
        tasks.spawn(async move {
            let put = blobs.put_new(&stored("x"), text(&task.to_string())).await.expect("a put");
            (put == Put::Created).then_some(task)
        });
    }
    let winners: Vec<u64> = tasks.join_all().await.into_iter().flatten().collect();
    let [winner] = winners[..] else { panic!("{winners:?} all created it") };
    assert_eq!(read(&*place.open().await, &stored("x")).await, Some(winner.to_string()));
}

/// Reads a number and puts the next one in its place, until nobody came between.
async fn count_up(blobs: &dyn Blobs, key: &BlobKey) {
    loop {
        let (number, expected) = match blobs.get(key, 100).await.expect("a read") {
            None => (0, Precondition::Absent),
            Some(blob) => {
                let number: u64 = std::str::from_utf8(&blob.bytes).expect("text").parse().expect("a number");
                (number, Precondition::Tag(blob.tag))
            }
        };
        match blobs.put_if(key, text(&(number + 1).to_string()), &expected).await {
            Ok(_) => return,
            Err(BlobError::Precondition { .. }) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
}

pub async fn sixteen_who_count_up_lose_no_count(place: &impl Place<dyn Blobs>) {
    let mut tasks = JoinSet::new();
    for (_, blobs) in handles(place).await {
        tasks.spawn(async move {
            for _ in 0..4 {
                count_up(&*blobs, &internal("count")).await;
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(read(&*place.open().await, &internal("count")).await.as_deref(), Some("64"));
}

pub async fn a_reader_sees_all_of_a_content_or_another(place: &impl Place<dyn Blobs>) {
    let (blobs, key) = (place.open().await, internal("pages"));
    // Contents of one byte each, of very different lengths: a part, or a mixture, would show.
    let content =
        |round: u64| text(&char::from(b'a' + (round % 26) as u8).to_string().repeat(1 + 9_973 * (round as usize % 7)));
    let mut tag = blobs.put_if(&key, content(0), &Precondition::Absent).await.expect("a put");
    let mut readers = JoinSet::new();
    for (_, blobs) in handles(place).await.into_iter().take(4) {
        let key = key.clone();
        readers.spawn(async move {
            for _ in 0..50 {
                let bytes = blobs.get(&key, 1 << 20).await.expect("a read").expect("content").bytes;
                let whole = (0..100).any(|round| content(round) == bytes);
                assert!(whole, "{} bytes beginning with {:?}", bytes.len(), bytes.first());
            }
        });
    }
    for round in 1..100 {
        tag = blobs.put_if(&key, content(round), &Precondition::Tag(tag)).await.expect("a put");
    }
    readers.join_all().await;
}
