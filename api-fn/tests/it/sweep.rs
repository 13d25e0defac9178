//! Publishing while somebody collects garbage. The collector here keeps the rules of `stoa_store::sweep` by hand, so that
//! it can be met at every one of its steps.

use std::collections::BTreeSet;

use serde_json::json;
use stoa_api::{OpenPublishes, problem::Code};
use stoa_core::digest::Digest;
use stoa_store::{
    blobs::{BlobKey, Blobs as _, Put},
    memory::Call,
    sweep::{Claims as _, Sweep},
};

use crate::support::{Answer, Plugin, Registry, inline, request, send};

fn plugin() -> Plugin {
    Plugin::simple("demo:markdown", "1.0.0")
}

/// Where the component of [`plugin`] is stored.
fn component() -> BlobKey {
    BlobKey::Store(Digest::of(&plugin().wasm))
}

/// A registry whose store has the component of [`plugin`], which no event names.
async fn with_an_orphan() -> Registry {
    let registry = Registry::new().await;
    let put = registry.blobs.put_new(&component(), plugin().wasm.into()).await.expect("a put");
    assert_eq!(put, Put::Created);
    registry
}

fn now(registry: &Registry) -> stoa_core::time::Time {
    stoa_api::Clock::now(&*registry.clock)
}

/// The collector's first step.
async fn condemn(registry: &Registry) -> Sweep {
    let sweep = Sweep::read(&*registry.ledger, now(registry)).await.expect("the sweep");
    let condemned = BTreeSet::from([Digest::of(&plugin().wasm)]);
    sweep.condemn(&*registry.ledger, condemned, now(registry).plus(60), now(registry)).await.expect("a sentence")
}

/// The collector's last steps.
async fn delete_and_lift(registry: &Registry, sweep: Sweep) {
    registry.blobs.delete(&component()).await.expect("a deletion");
    sweep.lift(&*registry.ledger, now(registry)).await.expect("the end");
}

fn publish(registry: &Registry, body: serde_json::Value) -> tokio::task::JoinHandle<Answer> {
    let request = request(http::Method::POST, "/api/v1/publishes/inline", Some(&registry.demo), Some(body));
    tokio::spawn(send(registry.router.clone(), request))
}

/// The body of a publish that leaves the component out, as a client does whom the registry told that it has it.
fn without_component() -> serde_json::Value {
    let mut body = inline(&[&plugin()]);
    body["blobs"].as_object_mut().expect("blobs").remove(&Digest::of(&plugin().wasm).to_string());
    body
}

/// The name of the transaction that publishes [`plugin`], learned from a registry where nobody collects.
async fn transaction() -> String {
    let registry = Registry::new().await;
    registry.ledger.hooks().forget();
    registry.publish(&[&plugin()]).await.ok();
    let calls = registry.ledger.hooks().calls();
    let names: Vec<_> = calls.into_iter().filter(|(call, _)| *call == Call::Transact).map(|(_, name)| name).collect();
    let [name] = names.try_into().expect("one transaction");
    name
}

/// Collects the orphan while a publish that found it stands before its commit.
async fn collect_before_the_commit(registry: &Registry, body: serde_json::Value) -> Answer {
    let mut stopped = registry.ledger.hooks().stop_before(Call::Transact, transaction().await);
    let publishing = publish(registry, body);
    stopped.reached().await;
    let sweep = condemn(registry).await;
    delete_and_lift(registry, sweep).await;
    stopped.release();
    publishing.await.expect("no panic")
}

#[tokio::test]
async fn bytes_that_went_before_the_commit_are_stored_anew_from_the_request() {
    let registry = with_an_orphan().await;
    collect_before_the_commit(&registry, inline(&[&plugin()])).await.ok();
    let stored = registry.blobs.get(&component(), u64::MAX).await.expect("an answer").expect("the component");
    assert_eq!(stored.bytes, plugin().wasm);
    assert_eq!(registry.facts().await.lines().last(), Some("3 key_dededededede released demo:markdown 1.0.0"));
}

#[tokio::test]
async fn bytes_that_went_before_the_commit_and_were_not_sent_are_asked_for() {
    let registry = with_an_orphan().await;
    let body = collect_before_the_commit(&registry, without_component()).await.refused(Code::BlobMissing);
    assert_eq!(body["blob"], Digest::of(&plugin().wasm).to_string());
    assert_eq!(registry.facts().await.lines().count(), 2, "nothing was released");
    registry.publish(&[&plugin()]).await.ok();
}

/// Waits until a publish has looked at the sweep `times` times.
async fn looked(registry: &Registry, times: usize) {
    let looks = || {
        let calls = registry.ledger.hooks().calls().into_iter();
        calls.filter(|call| *call == (Call::Read, "garbage/sweep".to_owned())).count()
    };
    let wait = async {
        while looks() < times {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), wait).await.expect("it looks at the sweep");
}

#[tokio::test]
async fn a_publish_waits_while_a_blob_of_its_own_is_condemned_and_then_goes_on() {
    let registry = with_an_orphan().await;
    let sweep = condemn(&registry).await;
    registry.ledger.hooks().forget();
    let publishing = publish(&registry, inline(&[&plugin()]));
    looked(&registry, 3).await;
    assert!(!publishing.is_finished());
    assert_eq!(registry.facts().await.lines().count(), 2, "nothing is released");
    delete_and_lift(&registry, sweep).await;
    publishing.await.expect("no panic").ok();
    assert!(registry.blobs.head(&component()).await.expect("an answer").is_some());
}

#[tokio::test]
async fn a_publish_of_other_blobs_does_not_wait() {
    let registry = with_an_orphan().await;
    condemn(&registry).await;
    registry.ledger.hooks().forget();
    registry.publish(&[&Plugin::simple("demo:other", "1.0.0")]).await.ok();
    let looks = registry.ledger.hooks().calls().into_iter().filter(|(_, name)| name == "garbage/sweep").count();
    assert_eq!(looks, 2, "once before it commits, once after");
}

#[tokio::test]
async fn a_publish_whose_blob_stays_condemned_is_told_to_come_again() {
    let registry = with_an_orphan().await;
    condemn(&registry).await;
    let body = registry.publish(&[&plugin()]).await.refused(Code::Contended);
    let digest = Digest::of(&plugin().wasm);
    let detail =
        format!("old bytes of the blob {digest} are just being removed, until 2026-11-23T08:01:00Z at the latest");
    assert_eq!(body["detail"], detail);
    assert_eq!(registry.facts().await.lines().count(), 2, "nothing was released");
}

#[tokio::test]
async fn a_condemned_blob_counts_as_missing_when_a_publish_begins() {
    let registry = with_an_orphan().await;
    let begin = async || {
        let begun =
            registry.post("/api/v1/publishes", &registry.demo, json!({"releases": [plugin().record]})).await.ok();
        let missing: Vec<_> =
            begun["missing"].as_array().expect("a list").iter().map(|m| m["digest"].clone()).collect();
        (begun, missing.contains(&json!(Digest::of(&plugin().wasm))))
    };
    assert!(!begin().await.1, "the registry has it");
    let sweep = condemn(&registry).await;
    let (begun, missing) = begin().await;
    assert!(missing, "it may be gone at any moment");
    for missing in begun["missing"].as_array().expect("a list") {
        registry.upload(missing, &plugin().blob(&missing["digest"])).await.ok();
    }
    delete_and_lift(&registry, sweep).await;
    registry.finish(begun["id"].as_str().expect("an id")).await.ok();
    assert!(registry.blobs.head(&component()).await.expect("an answer").is_some());
}

#[tokio::test]
async fn begun_publishes_claim_their_blobs_and_uploads_until_they_expire() {
    let registry = Registry::new().await;
    let open = OpenPublishes::new(registry.ledger.clone());
    // More than one page of them.
    for number in 0..65 {
        let plugin = Plugin::simple("demo:markdown", &format!("1.{number}.0"));
        let record = plugin.with("description", json!(format!("Number {number}"))).record;
        registry.post("/api/v1/publishes", &registry.demo, json!({"releases": [record]})).await.ok();
    }
    let claimed = open.claimed(now(&registry)).await.expect("an answer");
    // All versions have the same two blobs, and each publish an upload of its own for each.
    assert_eq!(claimed.blobs, plugin().blobs().iter().map(|bytes| Digest::of(bytes)).collect());
    assert_eq!(claimed.uploads.len(), 65 * 2);
    registry.clock.advance(24 * 60 * 60);
    assert_eq!(open.claimed(now(&registry)).await.expect("an answer"), stoa_store::sweep::Claimed::default());
}
