//! Many at once.

use std::collections::BTreeSet;

use futures::future::join_all;
use serde_json::json;
use stoa_api::problem::Code;

use crate::support::{Answer, Plugin, Registry, component, inline, request, send};

/// Sixteen different components for one version.
fn contenders() -> Vec<Plugin> {
    let one = |number: usize| {
        let function = format!("f{}", ["a", "b"].concat().repeat(number + 1));
        Plugin::of("demo:markdown", "1.0.0", component(&[], &[("demo:markdown/api@1.0.0", &[&function])]))
    };
    (0..16).map(one).collect()
}

async fn all_at_once(registry: &Registry, plugins: &[Plugin]) -> Vec<Answer> {
    let tasks = plugins.iter().map(|plugin| {
        let body = inline(&[plugin]);
        let request = request(http::Method::POST, "/api/v1/publishes/inline", Some(&registry.demo), Some(body));
        tokio::spawn(send(registry.router.clone(), request))
    });
    join_all(tasks).await.into_iter().map(|answer| answer.expect("no panic")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_sixteen_components_for_one_version_one_wins_and_the_others_learn_which() {
    let registry = Registry::new().await;
    let answers = all_at_once(&registry, &contenders()).await;
    let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status.is_success());
    assert_eq!((won.len(), lost.len()), (1, 15));
    let winner = &won[0].body["releases"][0]["artifact"]["digest"];
    for answer in lost {
        assert_eq!(answer.refused(Code::VersionExists)["artifact"], *winner);
    }
    assert_eq!(registry.facts().await.lines().filter(|line| line.contains("released")).count(), 1);
    let shown = registry.get("/api/v1/plugins/demo/markdown/1.0.0").await.ok();
    assert_eq!(shown["artifact"]["digest"], *winner);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixteen_who_publish_the_very_same_all_succeed_with_one_event() {
    let registry = Registry::new().await;
    let plugins = vec![Plugin::simple("demo:markdown", "1.0.0"); 16];
    let places: BTreeSet<_> =
        all_at_once(&registry, &plugins).await.into_iter().map(|answer| answer.ok()["seq"].to_string()).collect();
    assert_eq!(places, BTreeSet::from(["3".to_owned()]));
    assert_eq!(registry.facts().await.lines().count(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixteen_versions_of_one_plugin_are_all_published() {
    let registry = Registry::new().await;
    let plugin = |patch: usize| Plugin::simple("demo:markdown", &format!("1.0.{patch}"));
    let plugins: Vec<_> = (0..16).map(plugin).collect();
    for answer in all_at_once(&registry, &plugins).await {
        answer.ok();
    }
    let versions = registry.get("/api/v1/plugins/demo/markdown").await.ok()["versions"].clone();
    let expected: Vec<_> = (0..16).map(|patch| json!(format!("1.0.{patch}"))).collect();
    assert_eq!(versions, json!(expected));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_names_that_look_alike_one_is_published() {
    let registry = Registry::new().await;
    let plugins = [Plugin::simple("demo:hello", "1.0.0"), Plugin::simple("demo:he11o", "1.0.0")];
    let answers = all_at_once(&registry, &plugins).await;
    let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status.is_success());
    assert_eq!(won.len(), 1);
    let body = lost.into_iter().next().expect("one lost").refused(Code::NameConfusable);
    assert_eq!(body["exists"], won[0].body["releases"][0]["id"]);
}
