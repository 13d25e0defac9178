//! Taking releases back.

use serde_json::{Value, json};
use stoa_api::{problem::Code, token::Token};

use crate::support::{Answer, Plugin, Registry, pretty};

async fn change(registry: &Registry, verb: &str, reason: &str) -> Answer {
    let path = format!("/api/v1/plugins/demo/markdown/1.0.0/{verb}");
    registry.post(&path, &registry.demo, json!({"reason": reason})).await
}

#[tokio::test]
async fn a_release_is_yanked_and_unyanked_with_one_event_each() {
    let registry = Registry::new().await;
    registry.publish(&[&Plugin::simple("demo:markdown", "1.0.0")]).await.ok();
    let yanked = change(&registry, "yank", "It eats tables").await.ok();
    insta::assert_snapshot!(pretty(&yanked));
    assert_eq!(change(&registry, "yank", "Another reason").await.ok(), yanked, "it stays as it was");
    assert_eq!(registry.get("/api/v1/plugins/demo/markdown/1.0.0").await.ok(), yanked);
    let listed = change(&registry, "unyank", "It does not").await.ok();
    assert_eq!((&listed["state"], &listed["reason"]), (&json!("listed"), &Value::Null));
    assert_eq!(change(&registry, "unyank", "It does not").await.ok(), listed);
    assert_eq!(change(&registry, "yank", "It does").await.ok()["yanked_seq"], 6);
    insta::assert_snapshot!(registry.facts().await, @r"
    1 registry genesis
    2 key_adadadadadad namespace-created demo
    3 key_dededededede released demo:markdown 1.0.0
    4 key_dededededede yanked demo:markdown 1.0.0
    5 key_dededededede unyanked demo:markdown 1.0.0
    6 key_dededededede yanked demo:markdown 1.0.0
    ");
}

#[tokio::test]
async fn a_yank_needs_a_release_a_reason_and_a_scope() {
    let registry = Registry::new().await;
    change(&registry, "yank", "No").await.refused(Code::PluginUnknown);
    registry.publish(&[&Plugin::simple("demo:markdown", "1.1.0")]).await.ok();
    change(&registry, "yank", "No").await.refused(Code::VersionUnknown);
    registry.get("/api/v1/plugins/demo/markdown/1.0.0").await.refused(Code::VersionUnknown);
    registry.get("/api/v1/plugins/demo/nothing").await.refused(Code::PluginUnknown);
    for reason in ["", "two\nlines", &"x".repeat(501)] {
        change(&registry, "yank", reason).await.refused(Code::ReasonInvalid);
    }
    let publisher = Token::new([0xbb; 6], [3; 32]);
    registry.add_key(&publisher, &["publish:demo"]).await;
    let path = "/api/v1/plugins/demo/markdown/1.1.0/yank";
    let body = registry.post(path, &publisher, json!({"reason": "No"})).await.refused(Code::ScopeMissing);
    assert_eq!(body["scope"], "yank:demo:markdown");
}

#[tokio::test]
async fn a_yanked_release_still_answers_for_its_version_and_for_those_who_depend_on_it() {
    let registry = Registry::new().await;
    let plugin = Plugin::simple("demo:markdown", "1.0.0");
    let first = registry.publish(&[&plugin]).await.ok();
    change(&registry, "yank", "It eats tables").await.ok();
    assert_eq!(registry.publish(&[&plugin]).await.ok(), first);
    let other = plugin.with("description", json!("Another"));
    registry.publish(&[&other]).await.refused(Code::VersionExists);
}
