//! Signed releases over the API: which are taken, which not, and what a replay makes of them.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use stoa_api::{problem::Code, replay};
use stoa_core::{
    attestation::{Envelope, ReleaseClaim},
    digest::Digest,
    publisher::{COOLDOWN, Change, Statement},
    release::{BlobRef, Release},
    trust::SecretKey,
};
use stoa_store::{ledger::Ledger as _, memory::MemoryLedger};

use crate::support::{Answer, Plugin, Registry, first_root, inline};

const KEYS: &str = "/api/v1/namespaces/demo/publishers";

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed([seed; 32])
}

fn claim(plugin: &Plugin) -> ReleaseClaim {
    let release: Release = serde_json::from_value(plugin.record.clone()).expect("a record");
    ReleaseClaim {
        registry: first_root().digest,
        record: release.blob().expect("a record").digest,
        artifact: release.artifact.digest,
        id: release.id,
        version: release.version,
        provenance: None,
    }
}

fn attested(plugin: &Plugin, member: &str, bytes: &[u8]) -> Value {
    let mut body = inline(&[plugin]);
    let id = plugin.record["id"].as_str().expect("an id");
    body["attestations"] = json!({id: {member: BlobRef::of(bytes)}});
    body["blobs"][Digest::of(bytes).to_string()] = STANDARD.encode(bytes).into();
    body
}

async fn publish(registry: &Registry, plugin: &Plugin, envelope: &Envelope) -> Answer {
    let body = attested(plugin, "signature", &envelope.to_bytes().expect("bytes"));
    registry.post("/api/v1/publishes/inline", &registry.demo, body).await
}

async fn publish_by(registry: &Registry, plugin: &Plugin, keys: &[&SecretKey]) -> Answer {
    publish(registry, plugin, &claim(plugin).sign(keys).expect("a signature")).await
}

fn say(number: u64, change: Change, keys: &[&SecretKey]) -> Value {
    let namespace = "demo".parse().expect("a namespace");
    let statement = Statement { format: 1, registry: first_root().digest, namespace, number, change };
    serde_json::to_value(statement.sign(keys).expect("a statement")).expect("JSON")
}

async fn state(registry: &Registry, number: u64, change: Change, keys: &[&SecretKey]) -> Answer {
    registry.post(KEYS, &registry.demo, say(number, change, keys)).await
}

fn add(key: &SecretKey) -> Change {
    Change::Add { key: key.public().clone() }
}

/// A registry in whose `demo` this key counts.
async fn with_key(key: &SecretKey) -> Registry {
    let registry = Registry::new().await;
    state(&registry, 1, add(key), &[key]).await.ok();
    registry
}

fn plugin(minor: u32) -> Plugin {
    Plugin::simple("demo:markdown", &format!("1.{minor}.0"))
}

#[tokio::test]
async fn a_signed_release_is_taken_and_its_signature_is_in_the_log_and_in_the_store() {
    let first = key(1);
    let registry = with_key(&first).await;
    let answer = publish_by(&registry, &plugin(0), &[&first]).await.ok();
    assert_eq!(answer["releases"][0]["seq"], 4);
    let event = registry.ledger.events(3, 1).await.expect("events").remove(0);
    let signature = claim(&plugin(0)).sign(&[&first]).expect("a signature").to_bytes().expect("bytes");
    let fact = serde_json::to_value(&event.event().fact).expect("JSON");
    assert_eq!(fact["attestations"]["demo:markdown"]["signature"], json!(BlobRef::of(&signature)));
    assert!(registry.listing().await.contains(&format!("store/sha256/{}", Digest::of(&signature))));
}

#[tokio::test]
async fn a_signed_release_goes_also_in_three_steps() {
    let first = key(1);
    let registry = with_key(&first).await;
    let plugin = plugin(0);
    let signature = claim(&plugin).sign(&[&first]).expect("a signature").to_bytes().expect("bytes");
    let mut body = attested(&plugin, "signature", &signature);
    body.as_object_mut().expect("a body").remove("blobs");
    let open = registry.post("/api/v1/publishes", &registry.demo, body).await.ok();
    let missing = open["missing"].as_array().expect("missing");
    assert_eq!(missing.len(), 3);
    for blob in missing {
        let own = Digest::of(&signature).to_string() == blob["digest"];
        let bytes = if own { signature.clone() } else { plugin.blob(&blob["digest"]) };
        assert!(registry.upload(blob, &bytes).await.status.is_success());
    }
    let published = registry.finish(open["id"].as_str().expect("an id")).await.ok();
    assert_eq!(published["state"], "published");
}

#[tokio::test]
async fn signed_bytes_are_of_no_use_as_another_release_or_in_another_registry() {
    let first = key(1);
    let registry = with_key(&first).await;
    let old = claim(&plugin(0)).sign(&[&first]).expect("a signature");
    let other = Plugin::simple("demo:other", "1.0.0");
    for again in [plugin(1), other, plugin(0).with("license", json!("Apache-2.0"))] {
        let problem = publish(&registry, &again, &old).await.refused(Code::SignatureRefused);
        assert!(problem["detail"].as_str().expect("text").contains("what is signed has the"), "{problem}");
    }
    let mut elsewhere = claim(&plugin(0));
    elsewhere.registry = Digest::of(b"another root");
    let signed = elsewhere.sign(&[&first]).expect("a signature");
    let problem = publish(&registry, &plugin(0), &signed).await.refused(Code::SignatureRefused);
    assert!(problem["detail"].as_str().expect("text").contains("what is signed has the registry"), "{problem}");
    let bytes = b"{\"payload\":\"\",\"payload\":\"\"}";
    let body = attested(&plugin(0), "signature", bytes);
    registry.post("/api/v1/publishes/inline", &registry.demo, body).await.refused(Code::AttestationInvalid);
    assert_eq!(registry.ledger.head().await.expect("a head").seq, 3);
}

#[tokio::test]
async fn keys_that_are_unknown_waiting_replaced_or_revoked_sign_nothing() {
    let (first, second, third) = (key(1), key(2), key(3));
    let registry = with_key(&first).await;
    let detail = |problem: Value| problem["detail"].as_str().expect("text").to_owned();
    let refused = async |keys: &[&SecretKey]| {
        detail(publish_by(&registry, &plugin(0), keys).await.refused(Code::SignatureRefused))
    };
    assert!(refused(&[&second]).await.ends_with(&format!("`demo` has no key {}", second.id())));
    assert!(refused(&[&first, &second]).await.ends_with(&format!("`demo` has no key {}", second.id())));
    state(&registry, 2, add(&second), &[&second]).await.ok();
    assert!(refused(&[&second]).await.contains("counts from 2026-11-26T"));
    registry.clock.advance(COOLDOWN);
    // The registry waits a little longer than the index says.
    assert!(refused(&[&second]).await.contains("counts from 2026-11-26T"));
    registry.clock.advance(600);
    let rotate = Change::Rotate { key: third.public().clone(), replaces: first.id().clone() };
    state(&registry, 3, rotate, &[&third, &first]).await.ok();
    assert!(refused(&[&first]).await.contains("was replaced by event 5"));
    let revoke = Change::Revoke { key: third.id().clone(), reason: "it leaked".into() };
    state(&registry, 4, revoke, &[&second]).await.ok();
    assert!(refused(&[&third]).await.contains("was revoked by event 6"));
    publish_by(&registry, &plugin(0), &[&second]).await.ok();
}

#[tokio::test]
async fn a_namespace_that_demands_signatures_takes_no_release_without() {
    let first = key(1);
    let registry = with_key(&first).await;
    registry.publish(&[&plugin(0)]).await.ok();
    state(&registry, 2, Change::Demand { signatures: true }, &[&first]).await.ok();
    let problem = registry.publish(&[&plugin(1)]).await.refused(Code::SignatureMissing);
    assert_eq!(problem["detail"], "`demo` demands signatures, and `demo:markdown` 1.1.0 has none");
    let begin = json!({"releases": [plugin(1).record]});
    registry.post("/api/v1/publishes", &registry.demo, begin).await.refused(Code::SignatureMissing);
    publish_by(&registry, &plugin(1), &[&first]).await.ok();
    // What was published before it was demanded is answered as before.
    registry.publish(&[&plugin(0)]).await.ok();
}

#[tokio::test]
async fn a_statement_is_taken_once_and_answered_again() {
    let first = key(1);
    let registry = with_key(&first).await;
    let head = registry.ledger.head().await.expect("a head").seq;
    state(&registry, 1, add(&first), &[&first]).await.ok();
    let problem = state(&registry, 1, add(&key(2)), &[&key(2), &first]).await.refused(Code::StatementRefused);
    assert_eq!(problem["detail"], "what is signed has the number `1`, and this is `2`");
    assert_eq!(registry.ledger.head().await.expect("a head").seq, head);
    let shown = registry.get(KEYS).await.ok();
    assert_eq!(shown["keys"].as_object().expect("keys").len(), 1);
}

#[tokio::test]
async fn only_who_publishes_in_the_whole_namespace_changes_its_keys_and_only_an_operator_without_one() {
    let registry = Registry::new().await;
    let some = stoa_api::token::Token::new([0xaa; 6], [3; 32]);
    registry.add_key(&some, &["publish:demo:mark*", "yank:demo"]).await;
    let statement = say(1, add(&key(1)), &[&key(1)]);
    registry.post(KEYS, &some, statement.clone()).await.refused(Code::ScopeMissing);
    registry.post(KEYS, &registry.demo, statement).await.ok();
    let path = format!("{KEYS}/{}/revoke", key(1).id());
    let reason = json!({"reason": "its holder lost it"});
    registry.post(&path, &registry.demo, reason.clone()).await.refused(Code::ScopeMissing);
    let revoked = registry.post(&path, &registry.admin, reason.clone()).await.ok();
    assert_eq!(revoked["keys"][key(1).id().as_str()]["ended"]["revoked"], "its holder lost it");
    assert_eq!(registry.post(&path, &registry.admin, reason).await.ok(), revoked);
}

#[tokio::test]
async fn a_provenance_is_carried_and_bound_by_the_signature() {
    let first = key(1);
    let registry = with_key(&first).await;
    let plugin = plugin(0);
    let statement = json!({"_type": "https://in-toto.io/Statement/v1", "predicate": {},
        "predicateType": "https://slsa.dev/provenance/v1",
        "subject": [{"name": "plugin.wasm", "digest": {"sha256": plugin.record["artifact"]["digest"]}}]});
    let provenance = Envelope::sign("application/vnd.in-toto+json", statement.to_string().as_bytes(), &[&key(9)]);
    let provenance = provenance.to_bytes().expect("bytes");
    let send = async |signature: &Envelope| {
        let mut body = attested(&plugin, "signature", &signature.to_bytes().expect("bytes"));
        body["attestations"]["demo:markdown"]["provenance"] = json!(BlobRef::of(&provenance));
        body["blobs"][Digest::of(&provenance).to_string()] = STANDARD.encode(&provenance).into();
        registry.post("/api/v1/publishes/inline", &registry.demo, body).await
    };
    let without = claim(&plugin).sign(&[&first]).expect("a signature");
    let problem = send(&without).await.refused(Code::SignatureRefused);
    assert!(problem["detail"].as_str().expect("text").contains("the provenance `none`"), "{problem}");
    let bound = ReleaseClaim { provenance: Some(Digest::of(&provenance)), ..claim(&plugin) };
    send(&bound.sign(&[&first]).expect("a signature")).await.ok();
}

#[tokio::test]
async fn a_replay_of_the_archive_leaves_the_same_keys_and_takes_the_same_signatures() {
    let (first, second) = (key(1), key(2));
    let registry = with_key(&first).await;
    publish_by(&registry, &plugin(0), &[&first]).await.ok();
    state(&registry, 2, add(&second), &[&second]).await.ok();
    state(&registry, 3, Change::Demand { signatures: true }, &[&first]).await.ok();
    let path = format!("{KEYS}/{}/revoke", first.id());
    registry.post(&path, &registry.admin, json!({"reason": "lost"})).await.ok();
    let ledger = Arc::new(MemoryLedger::in_memory());
    for event in registry.ledger.events(0, 100).await.expect("events") {
        replay::append(&*ledger, &*registry.blobs, &event, &Default::default()).await.expect("it follows");
    }
    let again = registry.upon(ledger.clone());
    assert_eq!(again.get(KEYS).await.ok(), registry.get(KEYS).await.ok());
    let admin = again.admin.clone();
    again.add_key(&admin, &["admin"]).await;
    again.add_key(&again.demo, &["publish:demo"]).await;
    again.publish(&[&plugin(1)]).await.refused(Code::SignatureMissing);
    again.clock.advance(COOLDOWN + 600);
    publish_by(&again, &plugin(1), &[&second]).await.ok();
}
