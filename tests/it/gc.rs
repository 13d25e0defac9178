//! Garbage is collected from the folder of a registry while it is served.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::process::{Ran, Server, Stage, assert_said};

const GC: [&str; 4] = ["gc", "--json", "--dir", "registry"];

fn gc(stage: &Stage, more: &[&str]) -> Ran {
    stage.run(GC.iter().chain(more).copied())
}

/// How many files of a group stay and go.
fn tally(answer: &Value, group: &str) -> (u64, u64) {
    let report = &answer["report"];
    let stays = report["kept"][group].as_object().into_iter().flat_map(|reasons| reasons.values());
    (
        stays.map(|tally| tally["files"].as_u64().expect("a number")).sum(),
        report["collected"][group]["files"].as_u64().unwrap_or(0),
    )
}

/// Waits until the pages, which nothing else waits for, show the event at this place.
fn pages_cover(server: &Server, seq: u64) {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let (_, body) = server.get("pages.json");
        let pages: Value = serde_json::from_slice(&body).unwrap_or_default();
        if pages["seq"] == seq {
            return;
        }
        assert!(Instant::now() < until, "{pages}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Every file below the folder, with its bytes.
fn tree(folder: &Path) -> BTreeSet<(String, Vec<u8>)> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => found.extend(tree(&path)),
            false => drop(found.insert((path.display().to_string(), fs::read(&path).expect("a file")))),
        }
    }
    found
}

#[test]
fn a_served_registry_is_collected_and_goes_on_for_hosts_and_authors() {
    let Some(stage) = Stage::new() else { return };
    let server = stage.serve();
    let (url, key) = (server.url.clone(), stage.author(&server));
    stage.publish(&url, &key, &[&stage.plugin("answer", "1.0.0", 41, 0)]).json();
    let early = stage.path("early");
    let call = ["run", "--json", "demo:answer", "--invoke", "add(1)"];
    assert_eq!(stage.host(&url, &early, &call).json()["result"], "42");
    for (version, sum) in [("1.1.0", 42), ("1.2.0", 43)] {
        stage.publish(&url, &key, &[&stage.plugin("answer", version, sum, 0)]).json();
    }
    pages_cover(&server, 5);
    // What a publish that lost its race leaves: checked bytes that no event names.
    let orphan = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let orphan = stage.dir.path().join("registry/blobs/store/sha256").join(orphan);
    fs::write(&orphan, "abc").expect("a file");

    let usual = gc(&stage, &[]).json();
    assert_eq!((tally(&usual, "snapshots").1, tally(&usual, "stored")), (0, (8, 0)), "{usual}");
    let blobs = stage.dir.path().join("registry/blobs");
    let before = tree(&blobs);
    let at_once = ["--grace", "0m", "--cut-off-hosts"];
    let rehearsed = gc(&stage, &[&at_once[..], &["--dry-run"]].concat()).json();
    assert_eq!(tree(&blobs), before, "a rehearsal removes nothing");
    let mut done = gc(&stage, &at_once).json();
    assert_eq!(rehearsed["rehearsed"], json!(true));
    done["rehearsed"] = json!(true);
    assert_eq!(rehearsed, done, "what was announced went");
    assert_eq!((tally(&done, "documents"), tally(&done, "stored")), ((1, 2), (7, 1)), "{done}");
    assert_eq!(tally(&done, "snapshots").0, 1, "{done}");
    assert!(!orphan.exists());

    // One that synced less than a minute ago goes on with what it has; one that comes now reads what is served.
    assert_eq!(stage.host(&url, &early, &call).json()["result"], "42");
    assert_eq!(stage.host(&url, &stage.path("late"), &call).json()["result"], "44");
    stage.publish(&url, &key, &[&stage.plugin("answer", "1.3.0", 44, 0)]).json();
    assert_eq!(stage.host(&url, &stage.path("later"), &call).json()["result"], "45");
    pages_cover(&server, 6);
    assert_eq!(server.stop().code(), Some(0));
    // And without a server.
    let after = gc(&stage, &at_once).json();
    assert_eq!((tally(&after, "snapshots"), tally(&after, "documents")), ((1, 1), (1, 1)), "{after}");
}

#[test]
fn a_collection_that_can_not_be_is_refused_with_a_hint() {
    let Some(stage) = Stage::new() else { return };
    let mut said = String::new();
    let mut case =
        |what: &str, args: &[&str]| said += &format!("## {what}\n{}\n", stage.run(args.iter().copied()).refusal());
    case("no registry", &["gc", "--dir", "nowhere"]);
    case("a short grace", &["gc", "--dir", "registry", "--grace", "59m"]);
    let folder = stage.dir.path().join("registry/gc");
    fs::create_dir(&folder).expect("a folder");
    let held = stoa_store::exclusive::Exclusive::take(&folder).expect("nobody collects");
    case("another collector", &["gc", "--dir", "registry"]);
    drop(held);
    assert_said("refusals_of_gc", &said.replace(&std::process::id().to_string(), "ID"), &stage);
}
