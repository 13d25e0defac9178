//! Many at once: all have decided before any of them commits, or one is stopped while another goes by.

use std::collections::BTreeSet;

use futures::future::join_all;
use serde_json::{Value, json};
use stoa_api::{problem::Code, token::Token};
use stoa_store::memory::Call;

use crate::support::{Answer, Plugin, Registry, component, inline, request, send};

/// Sixteen different components for one version.
fn contenders() -> Vec<Plugin> {
    let one = |number: usize| {
        let function = format!("f{}", ["a", "b"].concat().repeat(number + 1));
        Plugin::of("demo:markdown", "1.0.0", component(&[], &[("demo:markdown/api@1.0.0", &[&function])]))
    };
    (0..16).map(one).collect()
}

/// Publishes each plugin by its key; none commits before all have decided to.
async fn all_at_once<'a>(
    registry: &Registry,
    publishes: impl IntoIterator<Item = (&'a Plugin, &'a Token)>,
) -> Vec<Answer> {
    let requests = publishes.into_iter().map(|(plugin, key)| {
        request(http::Method::POST, "/api/v1/publishes/inline", Some(key), Some(inline(&[plugin])))
    });
    let requests: Vec<_> = requests.collect();
    registry.ledger.hooks().meet(Call::Transact, requests.len());
    let tasks = requests.into_iter().map(|request| tokio::spawn(send(registry.router.clone(), request)));
    join_all(tasks).await.into_iter().map(|answer| answer.expect("no panic")).collect()
}

fn by_one<'a>(registry: &'a Registry, plugins: &'a [Plugin]) -> impl Iterator<Item = (&'a Plugin, &'a Token)> {
    plugins.iter().map(|plugin| (plugin, &registry.demo))
}

/// Splits into those who succeeded and those who were refused.
fn split(answers: Vec<Answer>) -> (Vec<Answer>, Vec<Answer>) {
    answers.into_iter().partition(|answer| answer.status.is_success())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_sixteen_components_for_one_version_one_wins_and_the_others_learn_which() {
    let registry = Registry::new().await;
    let (won, lost) = split(all_at_once(&registry, by_one(&registry, &contenders())).await);
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
    let answers = all_at_once(&registry, by_one(&registry, &plugins)).await;
    let places: BTreeSet<_> = answers.into_iter().map(|answer| answer.ok()["seq"].to_string()).collect();
    assert_eq!(places, BTreeSet::from(["3".to_owned()]));
    assert_eq!(registry.facts().await.lines().count(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixteen_versions_of_one_plugin_are_all_published() {
    let registry = Registry::new().await;
    let plugin = |patch: usize| Plugin::simple("demo:markdown", &format!("1.0.{patch}"));
    let plugins: Vec<_> = (0..16).map(plugin).collect();
    for answer in all_at_once(&registry, by_one(&registry, &plugins)).await {
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
    let (won, lost) = split(all_at_once(&registry, by_one(&registry, &plugins)).await);
    assert_eq!(won.len(), 1);
    let body = lost.into_iter().next().expect("one lost").refused(Code::NameConfusable);
    assert_eq!(body["exists"], won[0].body["releases"][0]["id"]);
}

/// Keys of `demo` that no other test has.
async fn keys(registry: &Registry, count: u8) -> Vec<Token> {
    let keys: Vec<Token> = (0..count).map(|n| Token::new([n, 0, 0, 0, 0, 1], [n; 32])).collect();
    for key in &keys {
        registry.add_key(key, &["publish:demo", "yank:demo"]).await;
    }
    keys
}

#[tokio::test]
async fn of_two_releases_by_eight_keys_each_all_keys_of_the_one_that_won_succeed() {
    let registry = Registry::new().await;
    let keys = keys(&registry, 16).await;
    let pair = &contenders()[..2];
    let publishes = keys.iter().enumerate().map(|(n, key)| (&pair[n % 2], key));
    let answers = all_at_once(&registry, publishes).await;
    let shown = registry.get("/api/v1/plugins/demo/markdown/1.0.0").await.ok();
    let winner = &shown["artifact"]["digest"];
    for (n, answer) in answers.into_iter().enumerate() {
        if pair[n % 2].record["artifact"]["digest"] == *winner {
            assert_eq!(answer.ok()["seq"], 3, "one event, whoever of the eight came first");
        } else {
            assert_eq!(answer.refused(Code::VersionExists)["artifact"], *winner);
        }
    }
    assert_eq!(registry.facts().await.lines().count(), 3);
}

/// A publish of a large plugin whose uploads are all in place.
async fn ready_to_finish(registry: &Registry) -> (Plugin, String) {
    let plugin = Plugin::simple("demo:markdown", "1.0.0").with_readme(b"# Markdown\n");
    let begun = registry.post("/api/v1/publishes", &registry.demo, json!({"releases": [plugin.record]})).await.ok();
    for missing in begun["missing"].as_array().expect("a list") {
        let answer = registry.upload(missing, &plugin.blob(&missing["digest"])).await;
        assert_eq!(answer.status, http::StatusCode::NO_CONTENT);
    }
    (plugin, begun["id"].as_str().expect("an id").to_owned())
}

fn finish(registry: &Registry, id: &str) -> tokio::task::JoinHandle<Answer> {
    let path = format!("/api/v1/publishes/{id}/finish");
    let request = request(http::Method::POST, &path, Some(&registry.demo), None);
    tokio::spawn(send(registry.router.clone(), request))
}

#[tokio::test]
async fn one_who_finishes_a_publish_while_another_does_finds_it_finished_wherever_it_stood() {
    // What the slow one is stopped before: each call that finds nothing once the other has moved the uploads.
    let (plugin, id) = ready_to_finish(&Registry::new().await).await;
    let store = |member: &str| format!("store/sha256/{}", plugin.record[member]["digest"].as_str().expect("a digest"));
    let uploads: Vec<String> = {
        let registry = Registry::new().await;
        ready_to_finish(&registry).await;
        registry.listing().await.lines().filter_map(|line| line.split(' ').next().map(str::to_owned)).collect()
    };
    assert_eq!(uploads.len(), 3);
    let reads = uploads.into_iter().map(|path| (Call::Get, path));
    let copies = ["artifact", "wit", "readme"].map(|member| (Call::Copy, store(member)));
    for (call, path) in reads.chain(copies) {
        let registry = Registry::new().await;
        ready_to_finish(&registry).await;
        let mut stopped = registry.blobs.hooks().stop_before(call, &path);
        let slow = finish(&registry, &id);
        stopped.reached().await;
        let fast = finish(&registry, &id).await.expect("no panic").ok();
        stopped.release();
        assert_eq!(slow.await.expect("no panic").ok(), fast, "{call:?} of {path}");
        assert!(!registry.listing().await.contains("upload/"), "{call:?} of {path}");
        assert_eq!(registry.facts().await.lines().count(), 3);
    }
}

fn yank(registry: &Registry, version: &str) -> tokio::task::JoinHandle<Answer> {
    let path = format!("/api/v1/plugins/demo/markdown/{version}/yank");
    let body = json!({"reason": "It eats tables"});
    let request = request(http::Method::POST, &path, Some(&registry.demo), Some(body));
    tokio::spawn(send(registry.router.clone(), request))
}

fn publish(registry: &Registry, version: &str) -> tokio::task::JoinHandle<Answer> {
    let body = inline(&[&Plugin::simple("demo:markdown", version)]);
    let request = request(http::Method::POST, "/api/v1/publishes/inline", Some(&registry.demo), Some(body));
    tokio::spawn(send(registry.router.clone(), request))
}

/// The versions of the plugin with their states.
async fn states(registry: &Registry) -> Vec<(String, Value)> {
    let mut states = Vec::new();
    for version in ["1.0.0", "1.0.1"] {
        let shown = registry.get(&format!("/api/v1/plugins/demo/markdown/{version}")).await.ok();
        states.push((version.to_owned(), shown["state"].clone()));
    }
    states
}

#[tokio::test]
async fn a_yank_and_a_publish_of_one_plugin_that_meet_both_take_effect() {
    for _ in 0..8 {
        let registry = Registry::new().await;
        publish(&registry, "1.0.0").await.expect("no panic").ok();
        // Both write the plugin's own item: whoever comes second decides anew.
        registry.ledger.hooks().meet(Call::Transact, 2);
        let (yanked, published) = tokio::join!(yank(&registry, "1.0.0"), publish(&registry, "1.0.1"));
        let (yanked, published) = (yanked.expect("no panic").ok(), published.expect("no panic").ok());
        let places = BTreeSet::from([yanked["yanked_seq"].as_u64(), published["seq"].as_u64()]);
        assert_eq!(places, BTreeSet::from([Some(4), Some(5)]));
        assert_eq!(states(&registry).await, [("1.0.0".into(), json!("yanked")), ("1.0.1".into(), json!("listed"))]);
    }
}

#[tokio::test]
async fn a_yank_of_what_is_being_published_is_refused_before_the_commit_and_holds_after_it() {
    let registry = Registry::new().await;
    publish(&registry, "1.0.0").await.expect("no panic").ok();
    registry.ledger.hooks().forget();
    publish(&registry, "1.0.2").await.expect("no panic").ok();
    let commit = |registry: &Registry| {
        let calls = registry.ledger.hooks().calls().into_iter();
        calls.filter(|(call, _)| *call == Call::Transact).map(|(_, name)| name).next().expect("a commit")
    };
    // The same publish has the same operation wherever it is carried out.
    let operation = {
        let rehearsal = Registry::new().await;
        rehearsal.ledger.hooks().forget();
        publish(&rehearsal, "1.0.1").await.expect("no panic").ok();
        commit(&rehearsal)
    };
    let mut before = registry.ledger.hooks().stop_before(Call::Transact, &operation);
    let published = publish(&registry, "1.0.1");
    before.reached().await;
    yank(&registry, "1.0.1").await.expect("no panic").refused(Code::VersionUnknown);
    before.release();
    assert_eq!(published.await.expect("no panic").ok()["seq"], 5);

    let registry = Registry::new().await;
    let mut after = registry.ledger.hooks().stop_after(Call::Transact, &operation);
    let published = publish(&registry, "1.0.1");
    after.reached().await;
    let yanked = yank(&registry, "1.0.1").await.expect("no panic").ok();
    assert_eq!((&yanked["state"], &yanked["seq"], &yanked["yanked_seq"]), (&json!("yanked"), &json!(3), &json!(4)));
    after.release();
    // Its author learns what was true when it was recorded.
    assert_eq!(published.await.expect("no panic").ok()["seq"], 3);
    assert_eq!(registry.get("/api/v1/plugins/demo/markdown/1.0.1").await.ok(), yanked);
}
