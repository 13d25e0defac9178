//! The bound on the lists of the index: counted before the event, because the indexer can not refuse one.

use futures::future::join_all;
use serde_json::json;
use stoa_api::{
    problem::Code,
    publish::bucket::{Bucket, MAX_BYTES, entry_bytes},
    state::{BucketItem, Item as _},
};
use stoa_core::{id::PluginId, time::Time};
use stoa_store::ledger::{Action, Expect, Ledger as _, OperationId, Transaction, Write};

use crate::support::{NOW, Plugin, Registry, inline, request, send};

/// Ids that nobody takes for one another: no letter stands twice in a row.
fn ids() -> impl Iterator<Item = PluginId> {
    let syllables = || ["ba", "de", "fi", "go", "ku", "pa", "se", "ti", "zo"].into_iter();
    let words = move || syllables().flat_map(move |a| syllables().map(move |b| format!("{a}{b}")));
    let names = words().flat_map(move |a| words().map(move |b| format!("demo:{a}{b}")));
    names.map(|id| id.parse::<PluginId>().expect("an id"))
}

fn neighbors(bucket: Bucket, count: usize) -> Vec<PluginId> {
    ids().filter(|id| Bucket::of(id) == bucket).take(count).collect()
}

fn bucket_of(id: &str) -> Bucket {
    Bucket::of(&id.parse().expect("an id"))
}

async fn held(registry: &Registry, bucket: Bucket) -> Option<(u64, u64)> {
    let key = BucketItem::key(bucket).expect("a key");
    let item = registry.ledger.get(&key, Time::from_unix(NOW)).await.expect("a read")?;
    let value: BucketItem = serde_json::from_slice(&item.value).expect("an item");
    Some((value.entry_bytes, item.revision))
}

/// Sets what the plugins of a bucket take, as if as many had been published.
async fn fill(registry: &Registry, bucket: Bucket, entry_bytes: u64) {
    let expect = held(registry, bucket).await.map_or(Expect::Absent, |(_, revision)| Expect::Revision(revision));
    let value = serde_json::to_vec(&BucketItem { format: 1, entry_bytes }).expect("JSON");
    let key = BucketItem::key(bucket).expect("a key");
    let write = Write { key, expect, action: Action::Put { value, expires: None } };
    let operation = OperationId::random().expect("randomness");
    let transaction = Transaction { operation, draft: None, writes: vec![write] };
    registry.ledger.commit(&transaction, Time::from_unix(NOW)).await.expect("a commit");
}

#[tokio::test]
async fn a_full_part_of_the_index_takes_no_new_plugin_but_new_versions() {
    let registry = Registry::new().await;
    let bucket = bucket_of("demo:markdown");
    registry.publish(&[&Plugin::simple("demo:markdown", "1.0.0")]).await.ok();
    let ids = neighbors(bucket, 2);
    let plugins: Vec<Plugin> = ids.iter().map(|id| Plugin::simple(&id.to_string(), "1.0.0")).collect();
    // Room for one of the two, and one byte short of room for both.
    fill(&registry, bucket, MAX_BYTES - entry_bytes(&ids[0]) - entry_bytes(&ids[1]) + 1).await;
    let (facts, listing) = (registry.facts().await, registry.listing().await);

    let body = registry.publish(&[&plugins[0], &plugins[1]]).await.refused(Code::IndexFull);
    let detail =
        format!("part {bucket} of the index could take 4000001 bytes with `{}`, and 4000000 are possible", ids[1]);
    assert_eq!(body["detail"], detail);
    let begin = json!({"releases": [plugins[0].record, plugins[1].record]});
    registry.post("/api/v1/publishes", &registry.demo, begin).await.refused(Code::IndexFull);
    assert_eq!((registry.facts().await, registry.listing().await), (facts, listing), "nothing stays");

    registry.publish(&[&plugins[0]]).await.ok();
    registry.publish(&[&plugins[1]]).await.refused(Code::IndexFull);
    let (before, _) = held(&registry, bucket).await.expect("an item");
    registry.publish(&[&Plugin::simple("demo:markdown", "1.0.1"), &plugins[0]]).await.ok();
    assert_eq!(held(&registry, bucket).await.expect("an item").0, before, "a new version takes nothing");
}

#[tokio::test]
async fn twenty_new_plugins_in_twenty_parts_of_the_index_are_one_publish() {
    let registry = Registry::new().await;
    let mut buckets = std::collections::BTreeSet::new();
    let ids = ids().filter(|id| buckets.insert(Bucket::of(id))).take(20);
    let plugins: Vec<Plugin> = ids.map(|id| Plugin::simple(&id.to_string(), "1.0.0")).collect();
    registry.publish(&plugins.iter().collect::<Vec<_>>()).await.ok();
    assert_eq!(registry.facts().await.lines().count(), 3, "the genesis, the namespace and one set");
    for id in plugins.iter().filter_map(|plugin| plugin.record["id"].as_str()) {
        let id: PluginId = id.parse().expect("an id");
        assert_eq!(held(&registry, Bucket::of(&id)).await.map(|(bytes, _)| bytes), Some(entry_bytes(&id)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_new_plugins_of_one_bucket_at_once_are_all_published_and_counted() {
    let registry = Registry::new().await;
    let bucket = bucket_of("demo:markdown");
    let ids = neighbors(bucket, 8);
    assert_eq!(ids.len(), 8);
    let tasks = ids.iter().map(|id| {
        let body = inline(&[&Plugin::simple(&id.to_string(), "1.0.0")]);
        let request = request(http::Method::POST, "/api/v1/publishes/inline", Some(&registry.demo), Some(body));
        tokio::spawn(send(registry.router.clone(), request))
    });
    for answer in join_all(tasks).await {
        answer.expect("no panic").ok();
    }
    let expected: u64 = ids.iter().map(entry_bytes).sum();
    assert_eq!(held(&registry, bucket).await.map(|(bytes, _)| bytes), Some(expected));
}
