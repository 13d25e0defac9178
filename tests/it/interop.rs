//! TUF clients that others wrote read our registries, and refuse what was tampered with, as ours does.

mod peers;

use std::collections::BTreeMap;

use stoa_core::digest::Digest;

use crate::{
    process::Stage,
    tree::{Served, Tree},
};
use peers::{Ours, Peer, Seen};

/// The plugins that `stoa demo` publishes.
const DEMO: [&str; 3] = ["markdown", "site", "slugify"];

/// A registry as the demo makes it, with a plugin more whose release was taken back.
fn demo_registry(stage: &Stage) -> crate::process::Server {
    let server = stage.serve();
    let key = stage.author(&server);
    let folder = |name| format!("{}/../examples/plugins/{name}", env!("CARGO_MANIFEST_DIR"));
    let demo = DEMO.map(folder);
    stage.publish(&server.url, &key, &[&demo[0], &demo[1], &demo[2]]).json();
    stage.publish(&server.url, &key, &[&stage.plugin("answer", "1.0.0", 41, 0)]).json();
    let yank = ["yank", "--json", "demo:answer@1.0.0", "--reason", "adds too much", "--api-key", &key];
    stage.host(&server.url, &stage.path("cache-of-the-author"), &yank).json();
    server
}

/// The pointer's version and the snapshot's.
fn versions(tree: &Tree) -> BTreeMap<String, u64> {
    let pointer = tree.json("trust/timestamp.json");
    let version = |value: &serde_json::Value| value["version"].as_u64().expect("a version");
    let snapshot = version(&pointer["signed"]["meta"]["snapshot.json"]);
    BTreeMap::from([
        ("root".to_owned(), 1),
        ("timestamp".to_owned(), version(&pointer["signed"])),
        ("snapshot".to_owned(), snapshot),
    ])
}

#[test]
fn every_document_of_the_demo_registry_is_the_same_to_three_clients_and_an_absent_one_is_absent() {
    let Some(stage) = Stage::new() else { return };
    let peers = Peer::both();
    let server = demo_registry(&stage);
    let tree = Tree::settled(&stage, 5);
    let targets = tree.targets();
    let names = ["answer", "markdown", "site", "slugify"].map(|name| format!("index/demo/{name}.json"));
    assert_eq!(targets, names);
    let absent = ["index/demo/none.json", "index/none/absent.json"].map(str::to_owned);
    let asked: Vec<String> = targets.iter().chain(&absent).cloned().collect();

    let ours = Ours::new(&stage, "cache", &server.url).read(&asked);
    let Seen::Verified { targets: found, .. } = &ours else { panic!("{ours:?}") };
    for path in &targets {
        let digest = found[path].as_deref().unwrap_or_else(|| panic!("{path} is absent"));
        let (folder, name) = path.rsplit_once('/').expect("a folder");
        let bytes = tree.file(&format!("{folder}/{digest}.{name}"));
        assert_eq!(Digest::of(bytes).to_string(), digest, "{path}");
    }
    assert!(absent.iter().all(|path| found[path].is_none()), "{found:?}");
    for peer in &peers {
        assert_eq!(peer.read(&stage, "state", &server.url, &asked), ours, "{}", peer.name);
    }
    let Seen::Verified { versions: trusted, .. } = &ours else { unreachable!() };
    assert_eq!(trusted, &versions(&tree));
}

#[test]
fn a_client_that_comes_again_makes_two_requests_and_one_that_finds_its_plugin_changed_five() {
    let Some(stage) = Stage::new() else { return };
    let server = stage.serve();
    let key = stage.author(&server);
    stage.publish(&server.url, &key, &[&stage.plugin("answer", "1.0.0", 41, 0)]).json();
    let before = Tree::settled(&stage, 3);
    stage.publish(&server.url, &key, &[&stage.plugin("answer", "1.1.0", 42, 0)]).json();
    let after = Tree::settled(&stage, 4);
    let target = ["index/demo/answer.json".to_owned()];
    let bin = |tree: &Tree| tree.bin_of("demo:answer");
    let (root, pointer) = ("trust/2.root.json".to_owned(), "trust/timestamp.json".to_owned());
    for peer in Peer::both() {
        let served = Served::start(before.clone());
        let read = |asked: &[String]| match peer.read(&stage, "state", &served.url, asked) {
            Seen::Verified { targets, .. } => targets,
            refused => panic!("{}: {refused:?}", peer.name),
        };
        assert!(read(&target)["index/demo/answer.json"].is_some());
        served.asked();
        read(&[]);
        assert_eq!(served.asked(), [root.clone(), pointer.clone()], "{}", peer.name);

        served.serve(after.clone());
        let digest = read(&target)["index/demo/answer.json"].clone().expect("a document");
        let document = format!("index/demo/{digest}.answer.json");
        let expected = [root.clone(), pointer.clone(), "trust/4.snapshot.json".into(), bin(&after), document];
        assert_eq!(served.asked(), expected, "{}", peer.name);
    }
}

/// One flaw: its name, and what it does to a copy of the tree.
type Flaw = (&'static str, fn(&mut Tree));

const FLAWS: [Flaw; 6] = [
    ("a flipped byte in the document", |tree| {
        let path = tree.document_of("demo:answer");
        tree.edit(&path, |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        });
    }),
    ("another signature of the bin", |tree| {
        let path = tree.bin_of("demo:answer");
        tree.edit_text(&path, |text| {
            let at = text.find("\"sig\":\"").expect("a signature") + 10;
            let digit = if text.as_bytes()[at] == b'0' { "1" } else { "0" };
            text.replace_range(at..=at, digit);
        });
    }),
    ("a padded snapshot", |tree| {
        let path = tree.snapshot();
        tree.edit(&path, |bytes| bytes.push(b'\n'));
    }),
    ("another date in the timestamp", |tree| {
        tree.edit_text("trust/timestamp.json", |text| {
            let at = text.find("\"expires\":\"2").expect("a date") + 11;
            text.replace_range(at..=at, "3");
        });
    }),
    ("a document that is kept back", |tree| {
        let path = tree.document_of("demo:answer");
        tree.remove(&path);
    }),
    ("a bin that is kept back", |tree| {
        let path = tree.bin_of("demo:answer");
        tree.remove(&path);
    }),
];

#[test]
fn a_tampered_copy_is_refused_by_all_three_clients_each_for_its_own_reason() {
    let Some(stage) = Stage::new() else { return };
    let peers = Peer::both();
    let server = stage.serve();
    let key = stage.author(&server);
    stage.publish(&server.url, &key, &[&stage.plugin("answer", "1.0.0", 41, 0)]).json();
    let whole = Tree::settled(&stage, 3);
    let asked = ["index/demo/answer.json".to_owned()];
    let mut said = String::new();
    for (number, (flaw, tamper)) in FLAWS.iter().enumerate() {
        let mut tree = whole.clone();
        tamper(&mut tree);
        let served = Served::start(tree);
        said.push_str(&format!("{flaw}\n"));
        let state = format!("state-{number}");
        let seen = peers.iter().map(|peer| (peer.name, peer.read(&stage, &state, &served.url, &asked)));
        let ours = ("ours", Ours::new(&stage, &state, &served.url).read(&asked));
        for (name, seen) in seen.chain([ours]).collect::<Vec<_>>() {
            let Seen::Refused(why) = seen else { panic!("{flaw}: {name} accepts {seen:?}") };
            said.push_str(&format!("  {name}: {why}\n"));
        }
    }
    crate::process::assert_said("what-three-clients-say-of-a-tampered-copy", &said, &stage);
}

#[test]
fn a_pointer_that_was_rolled_back_moves_no_client_that_has_seen_the_newer_one() {
    let Some(stage) = Stage::new() else { return };
    let peers = Peer::both();
    let server = stage.serve();
    let key = stage.author(&server);
    stage.publish(&server.url, &key, &[&stage.plugin("answer", "1.0.0", 41, 0)]).json();
    let old = Tree::settled(&stage, 3);
    stage.publish(&server.url, &key, &[&stage.plugin("answer", "1.1.0", 42, 0)]).json();
    let new = Tree::settled(&stage, 4);
    let asked = ["index/demo/answer.json".to_owned()];
    let served = Served::start(new);
    let ours = Ours::new(&stage, "state", &served.url);
    let before = ours.read(&asked);
    for peer in &peers {
        assert_eq!(peer.read(&stage, "state", &served.url, &asked), before, "{}", peer.name);
    }
    served.serve(old);
    let refused = |peer: &Peer| match peer.read(&stage, "state", &served.url, &asked) {
        Seen::Refused(why) => why,
        seen => panic!("{} accepts {seen:?}", peer.name),
    };
    let [python, js] = [refused(&peers[0]), refused(&peers[1])];
    assert_eq!(python, "BadVersionNumberError: New timestamp version 3 must be >= 4");
    assert_eq!(js, "BadVersionError: New timestamp version 3 is less than current version 4");
    // Ours takes it for an edge that lags: it says so, and stays with what it has.
    assert_eq!(ours.read(&asked), before);
    assert_eq!(ours.freshness(), "older-pointer");
}

#[test]
fn a_bin_in_the_place_of_another_of_the_same_version_hides_a_plugin_from_other_clients_and_not_from_ours() {
    let Some(stage) = Stage::new() else { return };
    let server = stage.serve();
    let key = stage.author(&server);
    stage.publish(&server.url, &key, &[&stage.plugin("answer", "1.0.0", 41, 0)]).json();
    stage.publish(&server.url, &key, &[&stage.plugin("a", "1.0.0", 1, 0), &stage.plugin("b", "1.0.0", 2, 0)]).json();
    let mut tree = Tree::settled(&stage, 4);
    let [hidden, other] = ["demo:a", "demo:b"].map(|id| tree.bin_of(id));
    assert_ne!(hidden, other, "two bins of version 4");
    let swapped = tree.file(&other).to_vec();
    tree.edit(&hidden, |bytes| *bytes = swapped.clone());
    let served = Served::start(tree);
    let asked = ["index/demo/a.json".to_owned()];
    for peer in Peer::both() {
        let Seen::Verified { targets, .. } = peer.read(&stage, "state", &served.url, &asked) else {
            panic!("{} notices it, which docs/trust.md says it does not", peer.name)
        };
        assert_eq!(targets["index/demo/a.json"], None, "{} is told that there is no such plugin", peer.name);
    }
    let Seen::Refused(why) = Ours::new(&stage, "state", &served.url).read(&asked) else { panic!("ours accepts it") };
    crate::process::assert_said("what-ours-says-of-a-swapped-bin", &why, &stage);
}
