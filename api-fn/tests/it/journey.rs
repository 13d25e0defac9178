//! Publishing when all goes well, and when answers are lost.

use http::StatusCode;
use serde_json::{Value, json};
use stoa_api::problem::Code;
use stoa_store::memory::Call;

use crate::support::{Plugin, Registry, inline, pretty};

async fn begin(registry: &Registry, plugins: &[&Plugin]) -> Value {
    let records: Vec<_> = plugins.iter().map(|plugin| &plugin.record).collect();
    let demo = registry.demo.clone();
    registry.post("/api/v1/publishes", &demo, json!({"releases": records})).await.ok()
}

async fn upload_all(registry: &Registry, begun: &Value, plugin: &Plugin) {
    for missing in begun["missing"].as_array().expect("a list") {
        let answer = registry.upload(missing, &plugin.blob(&missing["digest"])).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.body);
    }
}

#[tokio::test]
async fn three_steps_publish_a_plugin_and_leave_its_blobs_and_nothing_else() {
    let registry = Registry::new().await;
    let plugin = Plugin::simple("demo:markdown", "1.0.0").with_readme(b"# Markdown\n");
    let rung = registry.bell.rung();

    let begun = begin(&registry, &[&plugin]).await;
    insta::assert_snapshot!("begun", pretty(&begun));
    insta::assert_snapshot!(registry.listing().await, @"");

    upload_all(&registry, &begun, &plugin).await;
    insta::assert_snapshot!("uploaded", registry.listing().await);
    let id = begun["id"].as_str().expect("an id");
    let shown = registry.get_as(&format!("/api/v1/publishes/{id}"), &registry.demo).await.ok();
    assert_eq!((&shown["state"], &shown["missing"]), (&json!("open"), &json!([])));

    assert_eq!(registry.bell.rung(), rung, "nothing has happened yet");
    let finished = registry.finish(id).await.ok();
    insta::assert_snapshot!("finished", pretty(&finished));
    insta::assert_snapshot!("stored", registry.listing().await);
    insta::assert_snapshot!(registry.facts().await, @r"
    1 registry genesis
    2 key_adadadadadad namespace-created demo
    3 key_dededededede released demo:markdown 1.0.0
    ");
    assert_eq!(registry.bell.rung(), rung + 1);
    assert_eq!(registry.get_as(&format!("/api/v1/publishes/{id}"), &registry.demo).await.ok(), finished);
}

#[tokio::test]
async fn one_request_publishes_a_set_as_one_event() {
    let registry = Registry::new().await;
    let slugify = Plugin::simple("demo:slugify", "0.1.0");
    let site = Plugin::simple("demo:site", "1.0.0").with("dependencies", json!({"demo:slugify": {"version": "^0.1"}}));
    let answer = registry.publish(&[&slugify, &site]).await.ok();
    insta::assert_snapshot!("inline", pretty(&answer));
    insta::assert_snapshot!("inline-stored", registry.listing().await);
    insta::assert_snapshot!(registry.facts().await, @r"
    1 registry genesis
    2 key_adadadadadad namespace-created demo
    3 key_dededededede released demo:site 1.0.0, demo:slugify 0.1.0
    ");
    insta::assert_snapshot!("plugin", pretty(&registry.get("/api/v1/plugins/demo/site").await.ok()));
    insta::assert_snapshot!("release", pretty(&registry.get("/api/v1/plugins/demo/site/1.0.0").await.ok()));
}

#[tokio::test]
async fn publishing_the_same_again_is_answered_the_same_and_records_nothing() {
    let registry = Registry::new().await;
    let plugin = Plugin::simple("demo:markdown", "1.0.0");
    let first = registry.publish(&[&plugin]).await.ok();
    let facts = registry.facts().await;
    assert_eq!(registry.publish(&[&plugin]).await.ok(), first);
    assert_eq!(begin(&registry, &[&plugin]).await, first);
    assert_eq!(registry.facts().await, facts);
}

#[tokio::test]
async fn a_set_that_is_published_in_part_is_completed() {
    let registry = Registry::new().await;
    let (one, two) = (Plugin::simple("demo:one", "1.0.0"), Plugin::simple("demo:two", "1.0.0"));
    registry.publish(&[&one]).await.ok();
    let answer = registry.publish(&[&one, &two]).await.ok();
    let places: Vec<_> = answer["releases"].as_array().expect("a list").iter().map(|row| &row["seq"]).collect();
    assert_eq!((places, &answer["seq"]), (vec![&json!(3), &json!(4)], &json!(4)));
}

#[tokio::test]
async fn blobs_that_the_registry_has_are_not_asked_for_again() {
    let registry = Registry::new().await;
    let first = Plugin::simple("demo:markdown", "1.0.0");
    registry.publish(&[&first]).await.ok();
    let second = first.clone().with("version", json!("1.0.1"));
    let begun = begin(&registry, &[&second]).await;
    assert_eq!(begun["missing"], json!([]));
    registry.finish(begun["id"].as_str().expect("an id")).await.ok();
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_answered_all_the_same() {
    let registry = Registry::new().await;
    let plugin = Plugin::simple("demo:markdown", "1.0.0");
    // The name of the transaction follows from the publish; learn it from a registry where all goes well.
    let rehearsal = Registry::new().await;
    rehearsal.publish(&[&plugin]).await.ok();
    let calls = rehearsal.ledger.hooks().calls();
    let name = calls.iter().rfind(|(call, _)| *call == Call::Transact).map(|(_, name)| name.clone());

    registry.ledger.hooks().lose_answer(Call::Transact, name.expect("a transaction"));
    let answer = registry.publish(&[&plugin]).await.ok();
    assert_eq!(answer["seq"], 3);
    assert_eq!(registry.facts().await, rehearsal.facts().await);
}

#[tokio::test]
async fn an_answer_that_the_client_loses_is_had_again_by_asking_again() {
    let registry = Registry::new().await;
    let plugin = Plugin::simple("demo:markdown", "1.0.0");
    let begun = begin(&registry, &[&plugin]).await;
    upload_all(&registry, &begun, &plugin).await;
    let id = begun["id"].as_str().expect("an id");
    let first = registry.finish(id).await.ok();
    assert_eq!(registry.finish(id).await.ok(), first);
    assert_eq!(begin(&registry, &[&plugin]).await, first);
}

#[tokio::test]
async fn beginning_again_keeps_the_uploads_that_are_there() {
    let registry = Registry::new().await;
    let plugin = Plugin::simple("demo:markdown", "1.0.0");
    let begun = begin(&registry, &[&plugin]).await;
    let missing = begun["missing"][0].clone();
    for _ in 0..2 {
        let answer = registry.upload(&missing, &plugin.blob(&missing["digest"])).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
    }
    let again = begin(&registry, &[&plugin]).await;
    assert_eq!(again["id"], begun["id"]);
    assert_eq!(again["missing"], json!([begun["missing"][1]]));
}

#[tokio::test]
async fn a_begun_publish_is_forgotten_after_a_day() {
    let registry = Registry::new().await;
    let plugin = Plugin::simple("demo:markdown", "1.0.0");
    let begun = begin(&registry, &[&plugin]).await;
    registry.clock.advance(24 * 60 * 60);
    let missing = begun["missing"][0].clone();
    registry.clock.advance(1);
    registry.upload(&missing, &plugin.blob(&missing["digest"])).await.refused(Code::UploadRefused);
    registry.finish(begun["id"].as_str().expect("an id")).await.refused(Code::PublishUnknown);
    assert_eq!(registry.listing().await, "");
}

#[tokio::test]
async fn nobody_else_sees_or_finishes_a_publish() {
    let registry = Registry::new().await;
    let begun = begin(&registry, &[&Plugin::simple("demo:markdown", "1.0.0")]).await;
    let path = format!("/api/v1/publishes/{}", begun["id"].as_str().expect("an id"));
    registry.get_as(&path, &registry.admin).await.refused(Code::PublishUnknown);
    registry.post(&format!("{path}/finish"), &registry.admin, json!({})).await.refused(Code::PublishUnknown);
}

#[tokio::test]
async fn events_are_given_page_by_page_as_they_were_hashed() {
    let registry = Registry::new().await;
    registry.publish(&[&Plugin::simple("demo:markdown", "1.0.0")]).await.ok();
    let all = registry.get("/api/v1/events").await.ok();
    assert_eq!(all["last"], 3);
    let first = registry.get("/api/v1/events?after=0&limit=2").await.ok();
    let second = registry.get("/api/v1/events?after=2&limit=2").await.ok();
    let joined: Vec<_> = [&first, &second].iter().flat_map(|page| page["events"].as_array().expect("a list")).collect();
    assert_eq!(joined, all["events"].as_array().expect("a list").iter().collect::<Vec<_>>());
    let bytes = stoa_core::canonical::to_bytes(&all["events"][1]).expect("canonical");
    assert_eq!(all["events"][2]["prev"], stoa_core::digest::Digest::of(&bytes).to_string());
    assert_eq!(registry.get("/api/v1/events?after=3").await.ok(), json!({"events": [], "last": 3}));
    let health = registry.get("/api/v1/health").await.ok();
    assert_eq!((&health["status"], &health["head"]["seq"]), (&json!("ok"), &json!(3)));
}

#[tokio::test]
async fn an_inline_publish_may_leave_out_blobs_that_the_registry_has() {
    let registry = Registry::new().await;
    let plugin = Plugin::simple("demo:markdown", "1.0.0");
    registry.publish(&[&plugin]).await.ok();
    let mut body = inline(&[&plugin.clone().with("version", json!("1.1.0"))]);
    body["blobs"] = json!({});
    assert_eq!(registry.post("/api/v1/publishes/inline", &registry.demo, body).await.ok()["seq"], 4);
}
