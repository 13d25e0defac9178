//! What others than their authors say of releases: takedowns, advisories and certifications.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::{Value, json};
use stoa_api::{KilledReleases, problem::Code, publish::budget, replay, token::Token};
use stoa_core::{digest::Digest, lock::Exact};
use stoa_store::{
    blobs::{BlobKey, Blobs as _},
    ledger::Ledger as _,
    memory::MemoryLedger,
    sweep::Kills as _,
};

use crate::support::{Answer, Plugin, Registry, pretty};

const PLUGIN: &str = "/api/v1/plugins/demo/markdown";

async fn begun() -> Registry {
    let registry = Registry::new().await;
    registry.publish(&[&Plugin::simple("demo:markdown", "1.0.0")]).await.ok();
    registry
}

async fn take_down(registry: &Registry, version: Option<&str>, measure: &str, reason: &str) -> Answer {
    let mut body = json!({"measure": measure, "cause": "malware", "reason": reason});
    if let Some(version) = version {
        body["version"] = json!(version);
    }
    registry.post(&format!("{PLUGIN}/takedown"), &registry.admin, body).await
}

async fn say(registry: &Registry, verb: &str, key: &Token, version: Option<&str>) -> Answer {
    let mut body = json!({"reason": "It was looked at"});
    if let Some(version) = version {
        body["version"] = json!(version);
    }
    registry.post(&format!("{PLUGIN}/{verb}"), key, body).await
}

async fn state(registry: &Registry) -> Value {
    registry.get(&format!("{PLUGIN}/1.0.0")).await.ok()["state"].clone()
}

#[tokio::test]
async fn a_release_is_taken_down_appealed_and_restored_with_one_event_each() {
    let registry = begun().await;
    let one = Some("1.0.0");
    let down = take_down(&registry, one, "quarantine", "It may mine coins").await.ok();
    insta::assert_snapshot!(pretty(&down));
    assert_eq!(take_down(&registry, one, "quarantine", "Again").await.ok(), down, "it stays as it was");
    assert_eq!(state(&registry).await, "quarantined");

    let killed = take_down(&registry, one, "kill", "It mines coins").await.ok();
    assert_eq!((&killed["takedown"]["measure"], &killed["takedown"]["seq"]), (&json!("kill"), &json!(5)));
    take_down(&registry, one, "quarantine", "Less").await.refused(Code::TakedownStronger);
    let appealed = say(&registry, "appeal", &registry.demo, one).await.ok();
    assert_eq!(appealed["takedown"]["appealed"], true);
    assert_eq!(say(&registry, "appeal", &registry.demo, one).await.ok(), appealed, "once is enough");
    insta::assert_snapshot!(pretty(&registry.get(&format!("{PLUGIN}/1.0.0")).await.ok()));

    let restored = say(&registry, "restore", &registry.admin, one).await.ok();
    assert_eq!(restored["takedown"], Value::Null);
    assert_eq!(say(&registry, "restore", &registry.admin, one).await.ok(), restored);
    assert_eq!(state(&registry).await, "listed");
    say(&registry, "appeal", &registry.demo, one).await.refused(Code::TakedownNone);
    insta::assert_snapshot!(registry.facts().await, @r"
    1 registry genesis
    2 key_adadadadadad namespace-created demo
    3 key_dededededede released demo:markdown 1.0.0
    4 key_adadadadadad taken-down demo:markdown 1.0.0
    5 key_adadadadadad taken-down demo:markdown 1.0.0
    6 key_dededededede appealed demo:markdown 1.0.0
    7 key_adadadadadad restored demo:markdown 1.0.0
    ");
}

#[tokio::test]
async fn a_plugin_that_was_taken_down_takes_no_release_and_its_names_are_never_free_again() {
    let registry = begun().await;
    take_down(&registry, None, "kill", "It mines coins").await.ok();
    assert_eq!(state(&registry).await, "killed");
    let body = registry.publish(&[&Plugin::simple("demo:markdown", "1.0.1")]).await.refused(Code::PluginTakenDown);
    let detail = "`demo:markdown` is killed (It mines coins), and 1.0.1 would be a release of it";
    assert_eq!(body["detail"], detail);
    let other = Plugin::simple("demo:markdown", "1.0.0").with("description", json!("Another"));
    registry.publish(&[&other]).await.refused(Code::VersionExists);
    registry.publish(&[&Plugin::simple("demo:markd0wn", "1.0.0")]).await.refused(Code::NameConfusable);

    say(&registry, "restore", &registry.admin, None).await.ok();
    take_down(&registry, Some("1.0.0"), "kill", "This one does").await.ok();
    registry.publish(&[&Plugin::simple("demo:markdown", "1.0.1")]).await.ok();
    registry.publish(&[&other]).await.refused(Code::VersionExists);
}

#[tokio::test]
async fn only_the_operator_takes_down_and_restores_and_only_a_publisher_of_it_appeals() {
    let registry = begun().await;
    let body = json!({"measure": "kill", "cause": "malware", "reason": "I can"});
    let refused = registry.post(&format!("{PLUGIN}/takedown"), &registry.demo, body).await.refused(Code::ScopeMissing);
    assert_eq!(refused["scope"], "admin");
    say(&registry, "restore", &registry.demo, None).await.refused(Code::ScopeMissing);
    take_down(&registry, None, "kill", "It mines coins").await.ok();
    let stranger = Token::new([0xbb; 6], [3; 32]);
    registry.add_key(&stranger, &["publish:other", "yank:demo"]).await;
    let refused = say(&registry, "appeal", &stranger, None).await.refused(Code::ScopeMissing);
    assert_eq!(refused["scope"], "publish:demo:markdown");
}

#[tokio::test]
async fn a_takedown_names_what_is_there_and_says_why() {
    let registry = begun().await;
    take_down(&registry, Some("2.0.0"), "kill", "No").await.refused(Code::VersionUnknown);
    take_down(&registry, None, "ban", "No").await.refused(Code::ParameterInvalid);
    take_down(&registry, None, "kill", "two\nlines").await.refused(Code::ReasonInvalid);
    let body = json!({"measure": "kill", "cause": "sanctions", "reason": "No"});
    let refused = registry.post(&format!("{PLUGIN}/takedown"), &registry.admin, body.clone()).await;
    let detail = "`sanctions` is not a cause: malware, suspicion, vulnerability, compromise, impersonation, legal, \
                  abuse, request, other are";
    assert_eq!(refused.refused(Code::CauseInvalid)["detail"], detail);
    registry.post("/api/v1/plugins/demo/other/takedown", &registry.admin, body).await.refused(Code::CauseInvalid);
    say(&registry, "appeal", &registry.demo, Some("1.0.0")).await.refused(Code::TakedownNone);
}

fn flaw(change: impl FnOnce(&mut Value)) -> Value {
    let mut body = json!({
        "severity": "high", "summary": "It reads what it should not", "affected": ["<1.1"],
        "link": "https://example.com/a",
    });
    change(&mut body);
    body
}

async fn advise(registry: &Registry, key: &Token, body: Value) -> Answer {
    registry.post(&format!("{PLUGIN}/advisories"), key, body).await
}

async fn withdraw(registry: &Registry, key: &Token, id: &str) -> Answer {
    registry.post(&format!("{PLUGIN}/advisories/{id}/withdraw"), key, json!({"reason": "It was none"})).await
}

#[tokio::test]
async fn an_advisory_is_published_said_anew_and_withdrawn_with_one_event_each() {
    let registry = begun().await;
    let first = advise(&registry, &registry.demo, flaw(|_| ())).await.ok();
    insta::assert_snapshot!(pretty(&first));
    assert_eq!(advise(&registry, &registry.demo, flaw(|_| ())).await.ok(), first, "the same is the same");
    let id = first["advisory"]["id"].as_str().expect("an id").to_owned();
    let more = flaw(|body| {
        body["id"] = json!(id);
        body["fixed"] = json!(["^1.0.7"]);
    });
    let changed = advise(&registry, &registry.demo, more).await.ok();
    assert_eq!((&changed["advisory"]["id"], &changed["seq"]), (&json!(id), &json!(5)));
    let gone = withdraw(&registry, &registry.demo, &id).await.ok();
    assert_eq!((&gone["withdrawn"], &gone["seq"]), (&json!(true), &json!(6)));
    assert_eq!(withdraw(&registry, &registry.demo, &id).await.ok(), gone);
    assert_eq!(advise(&registry, &registry.demo, flaw(|_| ())).await.ok()["seq"], 7, "it is one after all");
}

#[tokio::test]
async fn what_the_registry_says_its_publisher_can_not_take_back() {
    let registry = begun().await;
    let body = flaw(|body| body["id"] = json!("CVE-2026-1"));
    advise(&registry, &registry.admin, body.clone()).await.ok();
    withdraw(&registry, &registry.demo, "CVE-2026-1").await.refused(Code::AdvisoryForeign);
    let less = flaw(|body| {
        body["id"] = json!("CVE-2026-1");
        body["severity"] = json!("none");
    });
    advise(&registry, &registry.demo, less).await.refused(Code::AdvisoryForeign);
    let reader = Token::new([0xbb; 6], [3; 32]);
    registry.add_key(&reader, &["yank:demo"]).await;
    advise(&registry, &reader, body).await.refused(Code::ScopeMissing);
    withdraw(&registry, &registry.admin, "CVE-2026-2").await.refused(Code::AdvisoryUnknown);
    withdraw(&registry, &registry.admin, "CVE-2026-1").await.ok();
}

#[tokio::test]
async fn an_advisory_has_a_shape_and_bounds() {
    let registry = begun().await;
    type Change = fn(&mut Value);
    let cases: [(Change, &str); 9] = [
        (
            |body| body["severity"] = json!("awful"),
            "`severity`: `awful` is not a severity: none, low, medium, high, critical are",
        ),
        (|body| body["summary"] = json!("a\nb"), "`summary`: has more than one line"),
        (|body| body["affected"] = json!([]), "it names no affected versions: `*` means all"),
        (|body| body["affected"] = json!(vec!["*"; 9]), "`affected` has 9 entries, and 8 are possible"),
        (
            |body| body["fixed"] = json!(["one"]),
            "`fixed`: `one` is not a version requirement: unexpected character \'o\' while parsing major version number",
        ),
        (
            |body| body["link"] = json!("http://example.com"),
            "`link`: `http://example.com` is not an address that begins with https://",
        ),
        (
            |body| body["aliases"] = json!(["CVE-2026-2", "CVE-2026-1"]),
            "its aliases are not sorted, or one stands twice",
        ),
        (
            |body| body["id"] = json!("cve"),
            "`id`: `cve` is not the id of an advisory: words of letters and digits joined by -, the first of A-Z and 0-9, at most 48 characters, as in `CVE-2026-12345`",
        ),
        (
            |body| body["id"] = json!("STOA-2026-0000-0000"),
            "`id`: the registry itself makes ids such as `STOA-2026-0000-0000`: give none",
        ),
    ];
    for (change, detail) in cases {
        let refused = advise(&registry, &registry.admin, flaw(change)).await.refused(Code::AdvisoryInvalid);
        assert_eq!(refused["detail"], detail);
    }
    advise(&registry, &registry.admin, flaw(|body| body["notes"] = json!("x"))).await.refused(Code::JsonShape);
    for number in 0..64 {
        let body = flaw(|body| body["id"] = json!(format!("CVE-2026-{number}")));
        advise(&registry, &registry.demo, body).await.ok();
    }
    let more = || flaw(|body| body["id"] = json!("CVE-2026-64"));
    advise(&registry, &registry.demo, more()).await.refused(Code::AdvisoriesFull);
    withdraw(&registry, &registry.demo, "CVE-2026-0").await.ok();
    advise(&registry, &registry.demo, more()).await.ok();
}

#[tokio::test]
async fn a_document_is_never_too_full_for_the_operator() {
    let registry = begun().await;
    let limit = 1024 * 1024;
    registry.fill("demo:markdown", limit - budget::RESERVED_FOR_OPERATOR).await;
    let yank = json!({"reason": "Full"});
    registry.post(&format!("{PLUGIN}/1.0.0/yank"), &registry.demo, yank).await.refused(Code::DocumentFull);
    advise(&registry, &registry.demo, flaw(|_| ())).await.refused(Code::DocumentFull);
    advise(&registry, &registry.admin, flaw(|_| ())).await.ok();
    take_down(&registry, Some("1.0.0"), "kill", "It mines coins").await.ok();
    say(&registry, "restore", &registry.admin, Some("1.0.0")).await.ok();

    registry.fill("demo:markdown", limit - 8 * 1024).await;
    take_down(&registry, Some("1.0.0"), "kill", "It mines coins").await.refused(Code::DocumentFull);
    take_down(&registry, None, "kill", &"\u{e9}".repeat(500)).await.ok();
}

fn exact(version: &str) -> Exact {
    format!("demo:markdown@{version}").parse().expect("a release")
}

async fn purge(registry: &Registry, version: &str, blobs: &[Digest]) -> bool {
    let (releases, blobs) = (BTreeSet::from([exact(version)]), blobs.iter().copied().collect());
    let now = stoa_api::Clock::now(&*registry.clock);
    KilledReleases::new(registry.ledger.clone()).purge(&releases, &blobs, now).await.expect("an answer")
}

#[tokio::test]
async fn a_kill_is_final_once_its_bytes_are_to_be_deleted_and_nothing_else_is() {
    let registry = begun().await;
    registry.publish(&[&Plugin::simple("demo:markdown", "1.1.0")]).await.ok();
    assert!(!purge(&registry, "1.0.0", &[]).await, "it is not killed");
    take_down(&registry, Some("1.0.0"), "quarantine", "It may mine coins").await.ok();
    assert!(!purge(&registry, "1.0.0", &[]).await, "it is quarantined");
    take_down(&registry, Some("1.0.0"), "kill", "It mines coins").await.ok();
    assert!(purge(&registry, "1.0.0", &[]).await);
    let body = say(&registry, "restore", &registry.admin, Some("1.0.0")).await.refused(Code::TakedownFinal);
    assert_eq!(body["detail"], "`demo:markdown` 1.0.0 was killed, and its bytes were deleted");
    let shown = registry.get(&format!("{PLUGIN}/1.0.0")).await.ok();
    assert_eq!((&shown["state"], &shown["takedown"]["purged"]), (&json!("killed"), &json!(true)));
    registry.publish(&[&Plugin::simple("demo:markdown", "1.0.0")]).await.ok();

    // With the plugin as a whole, and then that is final.
    take_down(&registry, None, "kill", "It mines coins").await.ok();
    assert!(purge(&registry, "1.1.0", &[]).await);
    say(&registry, "restore", &registry.admin, None).await.refused(Code::TakedownFinal);
}

#[tokio::test]
async fn an_archive_is_replayed_without_the_bytes_that_it_says_are_gone() {
    let registry = begun().await;
    let bytes: BTreeSet<Digest> = stored(&registry).await;
    registry.publish(&[&Plugin::simple("demo:other", "1.0.0")]).await.ok();
    take_down(&registry, Some("1.0.0"), "kill", "It mines coins").await.ok();
    let mine: Vec<Digest> = bytes.iter().copied().collect();
    assert!(purge(&registry, "1.0.0", &mine).await);
    let shared: BTreeSet<Digest> = needed_by_other(&registry).await;
    for digest in bytes.difference(&shared) {
        registry.blobs.delete(&BlobKey::Store(*digest)).await.expect("a deletion");
    }
    let events = registry.ledger.events(0, 1_000).await.expect("events");
    let replayed = MemoryLedger::in_memory();
    for event in &events[..2] {
        replay::append(&replayed, &*registry.blobs, event, &BTreeSet::new()).await.expect("it follows");
    }
    let lost = replay::append(&replayed, &*registry.blobs, &events[2], &BTreeSet::new()).await;
    assert!(matches!(lost, Err(replay::ReplayError::Missing { seq: 3, .. })), "{lost:?}");
    for event in &events[2..] {
        replay::append(&replayed, &*registry.blobs, event, &bytes).await.expect("what is gone is gone");
    }
    assert_eq!(replayed.events(0, 1_000).await.expect("events"), events);
    let now = stoa_api::Clock::now(&*registry.clock);
    for partition in ["plugin:demo:markdown", "plugin:demo:other"] {
        let before = registry.ledger.list(partition, None, 100, now).await.expect("items");
        assert_eq!(replayed.list(partition, None, 100, now).await.expect("items"), before, "{partition}");
    }
    let again = registry.upon(Arc::new(replayed));
    again.add_key(&again.admin, &["admin"]).await;
    say(&again, "restore", &again.admin, Some("1.0.0")).await.refused(Code::TakedownFinal);
}

async fn stored(registry: &Registry) -> BTreeSet<Digest> {
    let rows = registry.blobs.list(stoa_store::blobs::Area::Store, None, 100).await.expect("a list");
    rows.into_iter().filter_map(|row| if let BlobKey::Store(digest) = row.key { Some(digest) } else { None }).collect()
}

/// What `demo:other` names.
async fn needed_by_other(registry: &Registry) -> BTreeSet<Digest> {
    let events = registry.ledger.events(3, 1).await.expect("events");
    let stoa_core::event::Fact::Released { releases, .. } = &events[0].event().fact else { panic!("not a release") };
    releases[0].blobs().map(|blob| blob.digest).collect()
}

async fn certify(registry: &Registry, key: &Token, level: u64, reason: &str) -> Answer {
    registry.post(&format!("{PLUGIN}/1.0.0/certify"), key, json!({"level": level, "reason": reason})).await
}

#[tokio::test]
async fn the_operator_certifies_a_release_to_a_level_and_takes_that_back_with_one_event_each() {
    let registry = begun().await;
    let refused = certify(&registry, &registry.demo, 2, "I like it").await.refused(Code::ScopeMissing);
    assert_eq!(refused["scope"], "admin");
    let beyond = certify(&registry, &registry.admin, 10, "It is the best").await.refused(Code::LevelInvalid);
    assert_eq!(beyond["detail"], "a certification to level 10: 1 to 9 are possible, and 0 takes one back");
    certify(&registry, &registry.admin, 2, "two\nlines").await.refused(Code::ReasonInvalid);
    let unknown = format!("{PLUGIN}/1.0.1/certify");
    let body = json!({"level": 2, "reason": "Unseen"});
    registry.post(&unknown, &registry.admin, body).await.refused(Code::VersionUnknown);

    let certified = certify(&registry, &registry.admin, 2, "Two of us read it").await.ok();
    insta::assert_snapshot!(pretty(&certified));
    assert_eq!(certify(&registry, &registry.admin, 2, "Once more").await.ok(), certified, "it stays as it was");
    assert_eq!(registry.get(&format!("{PLUGIN}/1.0.0")).await.ok(), certified);
    let higher = certify(&registry, &registry.admin, 3, "Three of us").await.ok();
    assert_eq!((&higher["certified"]["level"], &higher["certified"]["seq"]), (&json!(3), &json!(5)));
    let back = certify(&registry, &registry.admin, 0, "None of us did").await.ok();
    assert_eq!(back["certified"], Value::Null);
    assert_eq!(certify(&registry, &registry.admin, 0, "Again").await.ok(), back);
    insta::assert_snapshot!(registry.facts().await, @r"
    1 registry genesis
    2 key_adadadadadad namespace-created demo
    3 key_dededededede released demo:markdown 1.0.0
    4 key_adadadadadad certified demo:markdown 1.0.0
    5 key_adadadadadad certified demo:markdown 1.0.0
    6 key_adadadadadad certified demo:markdown 1.0.0
    ");
}
