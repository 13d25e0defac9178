//! Namespaces, and names that look alike.

use http::StatusCode;
use serde_json::json;
use stoa_api::{problem::Code, token::Token};

use crate::support::{Plugin, Registry};

#[tokio::test]
async fn a_namespace_is_created_once_and_the_same_request_may_be_repeated() {
    let registry = Registry::new().await;
    let admin = registry.admin.clone();
    let create = |name: &'static str| registry.post("/api/v1/namespaces", &admin, json!({"namespace": name}));
    let first = create("acme").await;
    assert_eq!((first.status, &first.body["namespace"]), (StatusCode::CREATED, &json!("acme")));
    registry.clock.advance(60);
    let again = create("acme").await;
    assert_eq!((again.status, again.body), (StatusCode::OK, first.body.clone()));
    assert_eq!(registry.get("/api/v1/namespaces/acme").await.ok(), first.body);

    let other = Token::new([0xbb; 6], [3; 32]);
    registry.add_key(&other, &["admin"]).await;
    registry.post("/api/v1/namespaces", &other, json!({"namespace": "acme"})).await.refused(Code::NamespaceExists);
    assert_eq!(create("acrne").await.refused(Code::NamespaceConfusable)["exists"], "acme");
    let reserved = create("wasi").await.refused(Code::JsonShape);
    assert_eq!(reserved["detail"], "`wasi` is a reserved word");
    create("Acme").await.refused(Code::JsonShape);
    registry.post("/api/v1/namespaces", &registry.demo, json!({"namespace": "x"})).await.refused(Code::ScopeMissing);
    registry.get("/api/v1/namespaces/nobody").await.refused(Code::NamespaceUnknown);
}

#[tokio::test]
async fn a_plugin_whose_name_looks_like_another_s_is_refused_in_the_same_namespace_only() {
    let registry = Registry::new().await;
    registry.post("/api/v1/namespaces", &registry.admin, json!({"namespace": "acme"})).await.ok();
    registry.publish(&[&Plugin::simple("demo:markdown", "1.0.0")]).await.ok();
    for name in ["demo:mark-down", "demo:markd0wn", "demo:rnarkdown"] {
        let body = registry.publish(&[&Plugin::simple("demo:markdown", "1.0.0").with("id", json!(name))]).await;
        assert_eq!(body.refused(Code::NameConfusable)["exists"], "demo:markdown", "{name}");
    }
    let upper = Plugin::simple("demo:markdown", "1.0.0").with("id", json!("demo:Markdown"));
    registry.publish(&[&upper]).await.refused(Code::NameInvalid);
    registry.publish_as(&[&Plugin::simple("acme:mark-down", "1.0.0")], &registry.admin).await.ok();
}

#[tokio::test]
async fn two_names_of_one_set_that_look_alike_are_refused() {
    let registry = Registry::new().await;
    let (one, other) = (Plugin::simple("demo:hello", "1.0.0"), Plugin::simple("demo:helo", "1.0.0"));
    assert_eq!(registry.publish(&[&one, &other]).await.refused(Code::NameConfusable)["exists"], "demo:hello");
    assert_eq!(registry.listing().await, "");
}
