//! The archive of the log, appended to an empty ledger, leaves the state that the API had left.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;
use stoa_api::{
    problem::Code,
    replay::{self, ReplayError},
};
use stoa_core::event::{ActorId, Draft, Event, Fact, PrivatePart, Sealed};
use stoa_store::{
    blobs::{BlobKey, Blobs as _},
    ledger::{Item, ItemKey, Ledger as _, OperationId, Transaction},
    memory::MemoryLedger,
};

use crate::support::{Plugin, Registry, component};

const NAMES: [&str; 3] = ["alpha", "beta", "gamma"];

/// A request, most of which succeed; what is refused records nothing.
#[derive(Debug, Clone)]
enum Deed {
    Namespace(u8),
    /// Publishes the next version of each plugin whose bit is set, all at once.
    Publish(u8),
    Yank(u8, u8),
    Unyank(u8, u8),
    /// Does this to a version of a plugin, or to the plugin.
    Stand(&'static str, u8, Option<u8>),
    /// Certifies a version to a level, or to none.
    Certify(u8, u8, u8),
    /// Makes one of two flaws known, or withdraws it.
    Flaw(bool, u8, bool),
    /// The clock goes on, or back.
    Wait(i8),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        1 => (0u8..4).prop_map(Deed::Namespace),
        4 => (1u8..8).prop_map(Deed::Publish),
        2 => (0u8..3, 0u8..3).prop_map(|(name, version)| Deed::Yank(name, version)),
        2 => (0u8..3, 0u8..3).prop_map(|(name, version)| Deed::Unyank(name, version)),
        3 => (prop::sample::select(vec!["quarantine", "kill", "restore", "appeal"]), 0u8..3, prop::option::of(0u8..2))
            .prop_map(|(verb, name, version)| Deed::Stand(verb, name, version)),
        2 => (any::<bool>(), 0u8..3, any::<bool>()).prop_map(|(known, name, which)| Deed::Flaw(known, name, which)),
        2 => (0u8..3, 0u8..2, 0u8..3).prop_map(|(name, version, level)| Deed::Certify(name, version, level)),
        1 => any::<i8>().prop_map(Deed::Wait),
    ]
}

/// `demo:NAME` 1.`minor`.0: each version exports a function more.
fn plugin(name: &str, minor: u32) -> Plugin {
    let functions: Vec<String> = (0..=minor).map(|number| format!("render{number}")).collect();
    let functions: Vec<&str> = functions.iter().map(String::as_str).collect();
    let interface = format!("demo:{name}/api@1.0.0");
    Plugin::of(&format!("demo:{name}"), &format!("1.{minor}.0"), component(&[], &[(&interface, &functions)]))
}

async fn carry_out(registry: &Registry, deed: &Deed, published: &mut [u32; 3]) {
    match deed {
        Deed::Namespace(number) => {
            let body = json!({"namespace": format!("space{}", ["a", "b", "c", "d"][usize::from(*number)])});
            registry.post("/api/v1/namespaces", &registry.admin, body).await.ok();
        }
        Deed::Publish(bits) => {
            let chosen: Vec<usize> = (0..NAMES.len()).filter(|at| bits & (1 << at) != 0).collect();
            let set: Vec<Plugin> = chosen.iter().map(|at| plugin(NAMES[*at], published[*at])).collect();
            let answer = registry.publish(&set.iter().collect::<Vec<_>>()).await;
            if answer.body["code"] == "plugin-taken-down" {
                return;
            }
            answer.ok();
            chosen.iter().for_each(|at| published[*at] += 1);
        }
        Deed::Yank(name, version) => turn(registry, "yank", *name, *version).await,
        Deed::Unyank(name, version) => turn(registry, "unyank", *name, *version).await,
        Deed::Stand(verb, name, version) => {
            let path = format!("/api/v1/plugins/demo/{}/", NAMES[usize::from(*name)]);
            let version = version.map(|minor| format!("1.{minor}.0"));
            let reason = format!("because of {name}");
            let (path, body) = match *verb {
                "restore" | "appeal" => (format!("{path}{verb}"), json!({"version": version, "reason": reason})),
                measure => (
                    format!("{path}takedown"),
                    json!({"version": version, "measure": measure, "cause": "malware", "reason": reason}),
                ),
            };
            registry.post(&path, &registry.admin, body).await;
        }
        Deed::Certify(name, minor, level) => {
            let path = format!("/api/v1/plugins/demo/{}/1.{minor}.0/certify", NAMES[usize::from(*name)]);
            registry.post(&path, &registry.admin, json!({"level": level, "reason": format!("{level} read it")})).await;
        }
        Deed::Flaw(known, name, which) => {
            let path = format!("/api/v1/plugins/demo/{}/advisories", NAMES[usize::from(*name)]);
            let (id, reason) = (if *which { "CVE-2026-1" } else { "CVE-2026-2" }, "It was none");
            let flaw = json!({
                "id": id, "severity": "low", "summary": format!("Of {published:?}"), "affected": ["*"],
                "link": "https://example.com/",
            });
            match known {
                true => registry.post(&path, &registry.demo, flaw).await,
                false => {
                    registry.post(&format!("{path}/{id}/withdraw"), &registry.demo, json!({"reason": reason})).await
                }
            };
        }
        Deed::Wait(seconds) => registry.clock.advance(i64::from(*seconds)),
    }
}

async fn turn(registry: &Registry, verb: &str, name: u8, version: u8) {
    let path = format!("/api/v1/plugins/demo/{}/1.{version}.0/{verb}", NAMES[usize::from(name)]);
    let answer = registry.post(&path, &registry.demo, json!({"reason": format!("because of {version}")})).await;
    let there = answer.status.is_success();
    assert!(there || answer.body["code"].as_str().is_some_and(|code| code.ends_with("-unknown")), "{}", answer.body);
}

/// Everything that the API writes beside events, key by key.
async fn state(registry: &Registry, ledger: &MemoryLedger) -> Vec<(ItemKey, Item)> {
    let mut partitions = vec!["namespaces".to_owned(), "namespace-skeletons".into(), "index-buckets".into()];
    partitions.push("names:demo".to_owned());
    partitions.extend(NAMES.iter().map(|name| format!("plugin:demo:{name}")));
    partitions.extend(NAMES.iter().map(|name| format!("advisories:demo:{name}")));
    let mut items = Vec::new();
    for partition in partitions {
        let now = stoa_api::Clock::now(&*registry.clock);
        items.extend(ledger.list(&partition, None, 1_000, now).await.expect("items"));
    }
    items
}

/// `created_at` of a namespace is by the request's clock, which may be behind its event.
fn without_clocks(mut items: Vec<(ItemKey, Item)>) -> Vec<(ItemKey, Item)> {
    for (_, item) in items.iter_mut().filter(|(key, _)| key.partition() == "namespaces") {
        let mut value: serde_json::Value = serde_json::from_slice(&item.value).expect("JSON");
        value["created_at"] = json!("");
        item.value = value.to_string().into_bytes();
    }
    items
}

async fn replayed(registry: &Registry) -> (MemoryLedger, Vec<Sealed>) {
    let ledger = MemoryLedger::in_memory();
    let events = registry.ledger.events(0, 1_000).await.expect("events");
    for event in &events {
        replay::append(&ledger, &*registry.blobs, event, &Default::default()).await.expect("it follows");
    }
    (ledger, events)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn a_replay_of_the_archive_leaves_the_same_log_and_the_same_state(deeds in prop::collection::vec(deed(), 1..16)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let (registry, mut published) = (Registry::new().await, [0; 3]);
            for deed in &deeds {
                carry_out(&registry, deed, &mut published).await;
            }
            let (ledger, events) = replayed(&registry).await;
            assert_eq!(ledger.events(0, 1_000).await.expect("events"), events);
            let (before, after) = (state(&registry, &registry.ledger).await, state(&registry, &ledger).await);
            assert_eq!(without_clocks(after), without_clocks(before));
        });
    }
}

/// A registry with one release, and its events.
async fn one_release() -> (Registry, Vec<Sealed>) {
    let registry = Registry::new().await;
    registry.publish(&[&plugin("alpha", 0)]).await.ok();
    let events = registry.ledger.events(0, 1_000).await.expect("events");
    (registry, events)
}

#[tokio::test]
async fn a_registry_goes_on_after_a_replay_as_if_nothing_had_happened() {
    let (registry, _) = one_release().await;
    let (ledger, _) = replayed(&registry).await;
    let ledger = Arc::new(ledger);
    let again = registry.upon(ledger.clone());
    again.add_key(&again.demo, &["publish:demo", "yank:demo"]).await;
    let changed = plugin("alpha", 0).with("description", json!("Another"));
    again.publish(&[&changed]).await.refused(Code::VersionExists);
    let broken = Plugin::of("demo:alpha", "1.1.0", component(&[], &[("demo:alpha/api@1.0.0", &["other"])]));
    again.publish(&[&broken]).await.refused(Code::ApiBroken);
    again.publish(&[&plugin("alpha", 1)]).await.ok();
    assert_eq!(again.get("/api/v1/plugins/demo/alpha/1.1.0").await.ok()["seq"], 4);
}

#[tokio::test]
async fn an_event_out_of_place_or_without_its_blobs_is_not_appended() {
    let (registry, events) = one_release().await;
    let ledger = MemoryLedger::in_memory();
    let error =
        replay::append(&ledger, &*registry.blobs, &events[1], &Default::default()).await.expect_err("not the first");
    let rule = "event 2 follows event 0: its `prev` is not the hash of the event before";
    assert_eq!(error.to_string(), rule);
    for event in &events[..2] {
        replay::append(&ledger, &*registry.blobs, event, &Default::default()).await.expect("it follows");
    }
    let Fact::Released { releases, .. } = &events[2].event().fact else { panic!("not a release") };
    let wit = releases[0].wit.digest;
    let bytes = registry.blobs.get(&BlobKey::Store(wit), 1 << 20).await.expect("an answer").expect("a WIT").bytes;
    registry.blobs.delete(&BlobKey::Store(wit)).await.expect("it is gone");
    let error = replay::append(&ledger, &*registry.blobs, &events[2], &Default::default()).await.expect_err("no WIT");
    assert!(matches!(error, ReplayError::Missing { seq: 3, digest } if digest == wit), "{error:?}");
    assert_eq!(ledger.head().await.expect("a head"), events[1].head(), "nothing was written");
    let _created = registry.blobs.put_new(&BlobKey::Store(wit), bytes).await.expect("a put");
    replay::append(&ledger, &*registry.blobs, &events[2], &Default::default()).await.expect("all is there");
    let error =
        replay::append(&ledger, &*registry.blobs, &events[2], &Default::default()).await.expect_err("it is there");
    assert_eq!(error.to_string(), "event 3 follows event 3: its `prev` is not the hash of the event before");
}

#[tokio::test]
async fn an_event_whose_private_part_is_elsewhere_keeps_its_commitment() {
    let (registry, mut events) = one_release().await;
    let part = PrivatePart { salt: [7; 32], content: "198.51.100.7".into() };
    let fact = Fact::NamespaceCreated { namespace: "other".parse().expect("a namespace") };
    let draft = Draft { actor: ActorId::registry(), fact, private: Some(part.into()) };
    let transaction =
        Transaction { operation: OperationId::random().expect("randomness"), draft: Some(draft), writes: Vec::new() };
    let now = events[2].event().time.plus(1);
    let event = registry.ledger.commit(&transaction, now).await.expect("a commit").event.expect("an event");
    assert!(registry.ledger.private_part(4).await.expect("an answer").is_some());
    events.push(event);
    let (ledger, same) = replayed(&registry).await;
    assert_eq!(same, events);
    assert_eq!(ledger.private_part(4).await.expect("an answer"), None);
}

#[tokio::test]
async fn an_archive_that_yanks_what_is_not_there_is_refused() {
    let (registry, events) = one_release().await;
    let (ledger, _) = replayed(&registry).await;
    let (id, version) = ("demo:alpha".parse().expect("an id"), "9.0.0".parse().expect("a version"));
    let fact = Fact::Yanked { id, version, reason: "no".into() };
    let draft = Draft { actor: ActorId::registry(), fact, private: None };
    let forged = Event::seal(&draft, &events[2].head(), events[2].event().time).expect("an event");
    let error =
        replay::append(&ledger, &*registry.blobs, &forged, &Default::default()).await.expect_err("there is no 9.0.0");
    assert_eq!(error.to_string(), "event 4 speaks of `demo:alpha` 9.0.0, which is not there");
    assert_eq!(ledger.head().await.expect("a head"), events[2].head());
}
