//! The bound on index documents: counted before the event, because the indexer can not refuse one.

use serde_json::{Value, json};
use stoa_api::{
    problem::Code,
    publish::budget,
    state::{Item as _, PluginItem},
};
use stoa_core::{document::Document, id::PluginId, time::Time};
use stoa_store::ledger::{Action, Expect, Ledger as _, OperationId, Transaction, Write};

use crate::support::{NOW, Plugin, Registry, component};

async fn item(registry: &Registry, id: &PluginId) -> (PluginItem, u64) {
    let key = PluginItem::key(id).expect("a key");
    let item = registry.ledger.get(&key, Time::from_unix(NOW)).await.expect("a read").expect("an item");
    (serde_json::from_slice(&item.value).expect("an item"), item.revision)
}

async fn document(registry: &Registry, id: &PluginId) -> u64 {
    let events = registry.ledger.events(0, 1_000).await.expect("events");
    let mut document = None;
    for event in &events {
        document = Document::apply(document, id, event.event()).expect("it applies");
    }
    document.expect("a document").to_bytes().expect("bytes").len() as u64
}

/// A release with much in its record, and interfaces that change now and then.
fn release(number: usize) -> Plugin {
    let version = format!("{}.{}.{}", number / 10, number % 10, if number.is_multiple_of(3) { "0-rc.1" } else { "0" });
    let api = format!("demo:markdown/api@{}.0.0", number / 10 + 1);
    let imports: Vec<String> = (0..number % 4).map(|n| format!("acme:web/kv@{}.0.0", n + number / 5)).collect();
    let imports: Vec<&str> = imports.iter().map(String::as_str).collect();
    Plugin::of("demo:markdown", &version, component(&imports, &[(&api, &["render"])]))
        .with("description", json!(format!("\"Quoted\" {}", "é".repeat(number + 1))))
        .with("capabilities", json!({"random": "Because"}))
        .with("limits", json!({"memory": 64_000_000 + number}))
}

#[tokio::test]
async fn the_count_is_never_below_the_document_and_not_far_above() {
    let registry = Registry::new().await;
    let id: PluginId = "demo:markdown".parse().expect("an id");
    for number in 0..40 {
        registry.publish(&[&release(number)]).await.ok();
        let (counted, real) = (item(&registry, &id).await.0.document_bytes, document(&registry, &id).await);
        assert!(counted >= real, "after {number}: {counted} counted, {real} real");
    }
    for version in ["0.1.0", "1.1.0"] {
        let path = format!("/api/v1/plugins/demo/markdown/{version}/yank");
        let reason: Value = json!({"reason": "\"".repeat(500)});
        registry.post(&path, &registry.demo, reason).await.ok();
    }
    let reason = "\"".repeat(500);
    for version in [json!("0.1.0"), json!("1.0.0"), Value::Null] {
        let body = json!({"version": version, "measure": "kill", "cause": "impersonation", "reason": reason});
        registry.post("/api/v1/plugins/demo/markdown/takedown", &registry.admin, body).await.ok();
        let body = json!({"version": version, "reason": reason});
        registry.post("/api/v1/plugins/demo/markdown/appeal", &registry.demo, body).await.ok();
    }
    let body = json!({"level": 9, "reason": reason});
    registry.post("/api/v1/plugins/demo/markdown/1.0.0/certify", &registry.admin, body).await.ok();
    for summary in ["\"".repeat(200), "b".to_owned()] {
        let body = json!({
            "id": "CVE-2026-1", "severity": "critical", "summary": summary, "affected": ["*"], "link": "https://a.b/",
        });
        registry.post("/api/v1/plugins/demo/markdown/advisories", &registry.demo, body).await.ok();
        let (counted, real) = (item(&registry, &id).await.0.document_bytes, document(&registry, &id).await);
        assert!(counted >= real, "{counted} counted, {real} real");
    }
    let (counted, real) = (item(&registry, &id).await.0.document_bytes, document(&registry, &id).await);
    assert!(counted >= real, "{counted} counted, {real} real");
    assert!(counted - budget::FIXED < 2 * real, "{counted} counted, {real} real: a bound this loose wastes room");
}

#[tokio::test]
async fn a_full_document_takes_no_release_but_yanks() {
    let registry = Registry::new().await;
    let id: PluginId = "demo:markdown".parse().expect("an id");
    registry.publish(&[&Plugin::simple("demo:markdown", "1.0.0")]).await.ok();
    let full = 1024 * 1024 - budget::RESERVED_FOR_YANKS;
    registry.fill("demo:markdown", full).await;

    let listing = registry.listing().await;
    registry.publish(&[&Plugin::simple("demo:markdown", "1.0.1")]).await.refused(Code::DocumentFull);
    assert_eq!(registry.listing().await, listing);
    let yank = json!({"reason": "Full"});
    registry.post("/api/v1/plugins/demo/markdown/1.0.0/yank", &registry.demo, yank.clone()).await.ok();
    registry.post("/api/v1/plugins/demo/markdown/1.0.0/unyank", &registry.demo, yank).await.ok();
    assert_eq!(item(&registry, &id).await.0.document_bytes, full, "an unyank gives back what a yank took");
}

impl Registry {
    /// Lets the document of a plugin count as so long.
    pub(crate) async fn fill(&self, plugin: &str, bytes: u64) {
        let id: PluginId = plugin.parse().expect("an id");
        let (mut value, revision) = item(self, &id).await;
        value.document_bytes = bytes;
        let write = Write {
            key: PluginItem::key(&id).expect("a key"),
            expect: Expect::Revision(revision),
            action: Action::Put { value: serde_json::to_vec(&value).expect("JSON"), expires: None },
        };
        let operation = OperationId::random().expect("randomness");
        let transaction = Transaction { operation, draft: None, writes: vec![write] };
        self.ledger.commit(&transaction, Time::from_unix(NOW)).await.expect("a commit");
    }
}
