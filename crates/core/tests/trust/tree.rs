//! Repositories that are not Stoa's: graphs of delegations, roles of any name, other key ids.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use stoa_core::{
    digest::Digest,
    trust::{Config, Profile, Scheme, TrustError},
};

use crate::{
    client::Client,
    repo::{Repo, key, now, sign_value},
};

/// A delegation: from, to, the field and value that give its scope, terminating, the seed of its key.
type Edge = (&'static str, &'static str, Value, bool, u8);

fn edge(from: &'static str, to: &'static str, paths: &[&str]) -> Edge {
    (from, to, json!({"paths": paths}), false, 4)
}

/// A repository of plain TUF documents: these delegations, and these targets by role and path.
fn tree(edges: &[Edge], targets: &[(&str, &str)]) -> Repo {
    let mut repo = Repo::new(1);
    let names: BTreeSet<&str> = edges.iter().flat_map(|edge| [edge.0, edge.1]).chain(["targets"]).collect();
    let mut meta = serde_json::Map::new();
    for role in names {
        let own = targets.iter().filter(|(of, _)| *of == role);
        let listed: BTreeMap<_, _> =
            own.map(|(of, path)| (path, json!({"length": of.len(), "hashes": hashes(of)}))).collect();
        let given: Vec<_> = edges.iter().filter(|edge| edge.0 == role).collect();
        let mut signed = document("targets", json!({"targets": listed}));
        if !given.is_empty() {
            signed["delegations"] = delegations(&given);
        }
        // Signed by the key of the first way that leads here.
        let seed = edges.iter().find(|edge| edge.1 == role).map_or(repo.seeds.targets, |edge| edge.4);
        repo.files.insert(format!("1.{}.json", stoa_core::trust::quote(role)), sign_value(&signed, &[seed]));
        meta.insert(format!("{role}.json"), json!({"version": 1}));
    }
    let snapshot = sign_value(&document("snapshot", json!({"meta": meta})), &[repo.seeds.online]);
    repo.put("snapshot", 1, snapshot);
    repo.put_timestamp();
    repo
}

fn hashes(content: &str) -> Value {
    json!({"sha256": Digest::of(content.as_bytes())})
}

fn document(kind: &str, body: Value) -> Value {
    let mut signed = json!({"_type": kind, "spec_version": "1.0.31", "version": 1, "expires": now().plus(9)});
    signed.as_object_mut().expect("an object").extend(body.as_object().expect("an object").clone());
    signed
}

fn delegations(edges: &[&Edge]) -> Value {
    let keys: BTreeMap<_, _> =
        edges.iter().map(|edge| (key(edge.4).id().clone(), json!(key(edge.4).public()))).collect();
    let roles = edges.iter().map(|(_, to, scope, terminating, seed)| {
        let mut role = json!({"name": to, "keyids": [key(*seed).id()], "threshold": 1, "terminating": terminating});
        role.as_object_mut().expect("an object").extend(scope.as_object().expect("an object").clone());
        role
    });
    json!({"keys": keys, "roles": roles.collect::<Vec<_>>()})
}

fn client(repo: &Repo) -> Client {
    Client { config: Config::new(Profile::AnyTuf), ..Client::new(repo) }
}

/// The roles asked for after the top-level ones, and the role whose word was taken.
fn walk(repo: &Repo, path: &str) -> (Vec<String>, Option<String>) {
    let mut client = client(repo);
    let found = client.refresh_and_find(repo, path).expect("a good repository");
    let role = |name: &String| name.strip_prefix("1.").and_then(|name| name.strip_suffix(".json")).map(str::to_owned);
    let asked = client.log[4..].iter().filter_map(role).collect();
    let by = ["targets", "a", "b", "c", "d"]
        .iter()
        .find(|role| found.as_ref().is_some_and(|found| found.hashes.check(role.as_bytes()).is_ok()));
    (asked, by.map(|role| (*role).to_owned()))
}

#[test]
fn roles_are_searched_in_order_and_depth_first() {
    let edges =
        [edge("targets", "a", &["*"]), edge("targets", "b", &["*"]), edge("a", "c", &["*"]), edge("a", "d", &["*"])];
    let visited = |targets: &[(&str, &str)]| walk(&tree(&edges, targets), "x");
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(visited(&[]), (names(&["a", "c", "d", "b"]), None));
    assert_eq!(visited(&[("b", "x"), ("d", "x")]), (names(&["a", "c", "d"]), Some("d".into())));
    assert_eq!(visited(&[("targets", "x"), ("a", "x")]), (names(&[]), Some("targets".into())));
}

#[test]
fn behind_a_terminating_delegation_nothing_is_searched() {
    let mut edges = vec![
        edge("targets", "a", &["*"]),
        edge("targets", "b", &["*"]),
        edge("a", "c", &["*"]),
        edge("a", "d", &["*"]),
    ];
    edges[2].3 = true;
    assert_eq!(walk(&tree(&edges, &[("b", "x"), ("d", "x")]), "x"), (vec!["a".into(), "c".into()], None));
}

#[test]
fn a_cycle_of_delegations_ends() {
    let edges = [edge("targets", "a", &["*"]), edge("a", "b", &["*"]), edge("b", "a", &["*"]), edge("b", "b", &["*"])];
    assert_eq!(walk(&tree(&edges, &[]), "x"), (vec!["a".into(), "b".into()], None));
}

#[test]
fn a_path_has_to_be_delegated_on_the_whole_way() {
    let edges = [edge("targets", "a", &["in/*"]), edge("a", "b", &["*", "*/*"])];
    let repo = tree(&edges, &[("b", "x"), ("b", "in/x")]);
    assert_eq!(walk(&repo, "x"), (vec![], None));
    assert_eq!(walk(&repo, "in/x"), (vec!["a".into(), "b".into()], Some("b".into())));
}

#[test]
fn hash_prefixes_choose_among_explicit_bins() {
    // sha256("abc") begins with ba78.
    let scope = |prefix: &str| json!({"path_hash_prefixes": [prefix]});
    let edges = [("targets", "a", scope("ba79"), false, 4), ("targets", "b", scope("ba7"), true, 4)];
    assert_eq!(walk(&tree(&edges, &[("b", "abc")]), "abc"), (vec!["b".into()], Some("b".into())));
}

#[test]
fn a_role_is_not_believed_on_one_way_for_having_been_believed_on_another() {
    // Both a and b delegate to c, but name different keys for it; c is signed by the one that a names.
    let mut edges = vec![
        edge("targets", "a", &["a/*"]),
        edge("targets", "b", &["b/*"]),
        edge("a", "c", &["a/*"]),
        edge("b", "c", &["b/*"]),
    ];
    (edges[2].4, edges[3].4) = (21, 22);
    let repo = tree(&edges, &[("c", "a/x"), ("c", "b/x")]);
    let mut client = client(&repo);
    let (_, mut updater) = client.refresh(&repo).expect("a good repository");
    assert!(client.find(&repo, &mut updater, "a/x").expect("signed for a").is_some());
    let refused = TrustError::Threshold { role: "c".into(), by: "b".into(), valid: 0, needed: 1 };
    assert_eq!(client.find(&repo, &mut updater, "b/x"), Err(refused.clone()));
    // Nor from the cache of an earlier run.
    let (_, mut updater) = client.refresh(&repo).expect("a good repository");
    assert_eq!(client.find(&repo, &mut updater, "b/x"), Err(refused));
}

#[test]
fn a_role_with_an_unusual_name_is_asked_for_quoted() {
    let repo = tree(&[edge("targets", "../a?#", &["*"])], &[("../a?#", "x")]);
    let mut client = client(&repo);
    assert!(client.refresh_and_find(&repo, "x").expect("a good repository").is_some());
    assert_eq!(client.log.last().map(String::as_str), Some("1...%2Fa%3F%23.json"));
}

#[test]
fn another_key_under_the_same_id_is_a_rotation() {
    let mut repo = tree(&[], &[]);
    let rename = |signed: &mut Value, seed: u8| {
        signed["keys"]["timestamp-key"] = json!(key(seed).public());
        signed["roles"]["timestamp"]["keyids"] = json!(["timestamp-key"]);
    };
    let sign = |repo: &mut Repo, seed: u8| {
        let document: Value = serde_json::from_slice(repo.file("timestamp")).expect("JSON");
        let mut document: Value = serde_json::from_slice(&sign_value(&document["signed"], &[seed])).expect("JSON");
        document["signatures"][0]["keyid"] = json!("timestamp-key");
        repo.files.insert("timestamp.json".into(), document.to_string().into_bytes());
    };
    repo.edit("root", |signed| rename(signed, 6));
    let mut stolen = repo.clone();
    stolen.versions.insert("timestamp".into(), 900);
    stolen.put_timestamp();
    sign(&mut stolen, 6);
    let mut client = client(&repo);
    client.refresh(&stolen).expect("the thief has the key");
    repo.put_root(2, &[1, 2]);
    repo.edit("root", |signed| rename(signed, 16));
    sign(&mut repo, 16);
    client.refresh(&repo).expect("the floor fell");
    assert_eq!(client.cache.roles["timestamp"], repo.file("timestamp"));
}

#[test]
fn a_scheme_that_a_client_does_not_bring_is_never_counted_and_one_that_it_brings_counts_once_a_key() {
    fn verify(public: &str, message: &[u8], signature: &[u8]) -> Option<Vec<u8>> {
        (!message.is_empty() && signature == [0xab]).then(|| public.as_bytes().to_vec())
    }
    const SCHEMES: &[Scheme] = &[Scheme::new("toy", "toy-1", verify)];
    let mut repo = tree(&[], &[]);
    let toy = json!({"keytype": "toy", "scheme": "toy-1", "keyval": {"public": "p"}});
    repo.edit("root", |signed| {
        (signed["keys"]["a"], signed["keys"]["b"]) = (toy.clone(), toy.clone());
        signed["roles"]["timestamp"] = json!({"keyids": ["a", "b"], "threshold": 1});
    });
    repo.tamper("timestamp", |document| {
        document["signatures"] = json!([{"keyid": "a", "sig": "ab"}, {"keyid": "b", "sig": "ab"}]);
    });
    let refused =
        |valid, needed| TrustError::Threshold { role: "timestamp".into(), by: "root 1".into(), valid, needed };
    assert_eq!(client(&repo).refresh(&repo).err(), Some(refused(0, 1)));
    let mut bringing = client(&repo);
    bringing.config.schemes = SCHEMES;
    bringing.refresh(&repo).expect("counted");
    repo.edit("root", |signed| signed["roles"]["timestamp"]["threshold"] = json!(2));
    let mut bringing = client(&repo);
    bringing.config.schemes = SCHEMES;
    assert_eq!(bringing.refresh(&repo).err(), Some(refused(1, 2)));
}

#[test]
fn one_key_under_two_ids_counts_once() {
    let mut repo = tree(&[], &[]);
    repo.put_root(2, &[1, 2]);
    repo.edit("root", |signed| {
        signed["keys"]["alias"] = json!(key(6).public());
        signed["roles"]["timestamp"] = json!({"keyids": [key(6).id(), "alias"], "threshold": 2});
    });
    repo.tamper("timestamp", |document| {
        let mut again = document["signatures"][0].clone();
        again["keyid"] = json!("alias");
        document["signatures"].as_array_mut().expect("signatures").push(again);
    });
    let refused = TrustError::Threshold { role: "timestamp".into(), by: "root 2".into(), valid: 1, needed: 2 };
    assert_eq!(client(&repo).refresh(&repo).err(), Some(refused));
}

#[test]
fn without_consistent_snapshots_only_roots_bear_their_version() {
    let mut repo = tree(&[edge("targets", "a", &["*"])], &[("a", "x")]);
    repo.edit("root", |signed| signed["consistent_snapshot"] = json!(false));
    for role in ["snapshot", "targets", "a"] {
        let bytes = repo.files.remove(&format!("1.{role}.json")).expect("a file");
        repo.files.insert(format!("{role}.json"), bytes);
    }
    let mut client = client(&repo);
    assert!(client.refresh_and_find(&repo, "x").expect("a good repository").is_some());
    assert_eq!(client.log, ["2.root.json?", "timestamp.json", "snapshot.json", "targets.json", "a.json"]);
}

#[test]
fn a_lookup_of_nothing_brings_targets_up_to_date() {
    let repo = tree(&[edge("targets", "a", &["*"])], &[]);
    let mut client = client(&repo);
    let (_, mut updater) = client.refresh(&repo).expect("a good repository");
    let lookup = updater.lookup_nothing();
    assert_eq!(client.walk(&repo, &mut updater, lookup), Ok(None));
    assert_eq!(client.log, ["2.root.json?", "timestamp.json", "1.snapshot.json", "1.targets.json"]);
}

#[test]
fn a_lookup_goes_on_over_a_refresh() {
    let mut repo = Repo::with_markdown();
    let mut client = Client::new(&repo);
    let (_, mut updater) = client.refresh(&repo).expect("a good repository");
    let mut lookup = updater.lookup(crate::repo::MARKDOWN);
    lookup.next(&mut updater).expect("targets is wanted");
    repo.publish(crate::repo::MARKDOWN, b"markdown 2");
    updater.begin(now());
    client.run(&repo, &mut updater).expect("a good repository");
    // The answer to the question of before comes late and is dropped.
    lookup.receive(&mut updater, Some(b"late")).expect("no error");
    let found = client.walk(&repo, &mut updater, lookup).expect("found").expect("found");
    assert_eq!(found.hashes.check(b"markdown 2"), Ok(()));
}
