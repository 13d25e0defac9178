//! What a thief of each online key is left with after the ceremony that takes it out of use.

use std::{collections::BTreeMap, fs, num::NonZeroU64, path::Path};

use serde_json::Value;
use stoa_core::{
    path::PublicPath,
    time::{DAY, Time},
    trust::{
        CachedTrust, Config, Envelope, SecretKey, Step, TrustError, Updater,
        writer::{self, Target, Terms},
    },
};

use crate::{backup::versions, process::Stage};

/// A client of nothing but core: what it is refused with is the verdict itself.
fn look_up(stage: &Stage, path: &str) -> Result<Option<u64>, TrustError> {
    let root = fs::read(stage.root()).expect("a root");
    let public = stage.dir.path().join("registry/blobs/public");
    let get = |path: Option<PublicPath>| path.and_then(|path| fs::read(public.join(path.to_string())).ok());
    let mut updater = Updater::open(&root, CachedTrust::default(), now(), Config::default())?;
    while let Step::Fetch { file, .. } = updater.next() {
        updater.receive(get(file.path()).as_deref())?;
    }
    let mut lookup = updater.lookup(path);
    loop {
        match lookup.next(&mut updater)? {
            Step::Fetch { file, .. } => lookup.receive(&mut updater, get(file.path()).as_deref())?,
            Step::Done(target) => return Ok(target.map(|target| target.length)),
        }
    }
}

fn secret(path: &Path) -> SecretKey {
    let text = fs::read_to_string(path).expect("a key");
    let mut seed = [0; 32];
    for (byte, digits) in seed.iter_mut().zip(text.trim().as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).expect("text"), 16).expect("hexadecimal");
    }
    SecretKey::from_seed(seed)
}

fn terms(version: u64) -> Terms {
    Terms { version: NonZeroU64::new(version).expect("from 1"), expires: Time::from_unix(4_000_000_000) }
}

fn trust(stage: &Stage, name: &str) -> std::path::PathBuf {
    stage.dir.path().join("registry/blobs/public/trust").join(name)
}

/// The version that the snapshot lists of a role.
fn listed(stage: &Stage, role: &str) -> u64 {
    let read = |name: &str| -> Value {
        let bytes = fs::read(trust(stage, name)).expect("a file");
        Envelope::read("any", &bytes).expect("a document").signed().clone()
    };
    let snapshot = read("timestamp.json")["meta"]["snapshot.json"]["version"].as_u64().expect("a version");
    match role {
        "snapshot" => snapshot,
        _ => read(&format!("{snapshot}.snapshot.json"))["meta"][format!("{role}.json")]["version"]
            .as_u64()
            .expect("a version"),
    }
}

/// What is refused is refused for its signature, and nothing else.
#[track_caller]
fn assert_forged(found: Result<Option<u64>, TrustError>, role: &str) {
    match found {
        Err(TrustError::Threshold { role: of, valid, needed, .. }) => {
            assert_eq!(of, role);
            // What a second key signs, too, lacks the one that was rotated.
            assert_eq!((valid, needed), if role == "timestamp" { (0, 1) } else { (1, 2) });
        }
        other => panic!("`{role}` of a thief: {other:?}"),
    }
}

#[test]
fn what_a_stolen_online_key_signs_is_refused_after_its_rotation() {
    let Some(stage) = Stage::new() else { return };
    let server = stage.serve();
    let author = stage.author(&server);
    stage.publish(&server.url, &author, &[&stage.plugin("answer", "1.0.0", 41, 0)]).json();
    assert!(server.stop().success());
    let keys = stage.dir.path().join("registry/keys");
    let online = ["signer/timestamp", "indexer/snapshot", "indexer/catalog", "signer/bins"];
    let steal = || -> BTreeMap<_, _> {
        let name = |path: &'static str| path.split_once('/').expect("a folder").1;
        online.map(|path| (name(path), secret(&keys.join(format!("{path}.key"))))).into()
    };
    let answer = "index/demo/answer.json";
    let bin = stoa_core::trust::bin_name(stoa_core::trust::BitLength::new(8).expect("8 bits"), answer);
    let evil = BTreeMap::from([(answer.to_owned(), Target::of(b"evil"))]);
    let forge = |stolen: &BTreeMap<&str, SecretKey>, name: &str| -> (String, Vec<u8>, &'static str, String) {
        match name {
            "timestamp" => {
                let version = listed(&stage, "snapshot");
                let snapshot = fs::read(trust(&stage, &format!("{version}.snapshot.json"))).expect("a snapshot");
                let bytes = writer::timestamp(terms(1_000_000), terms(version).version, &snapshot)
                    .sign(&[&stolen["timestamp"]]);
                ("timestamp.json".to_owned(), bytes, answer, "timestamp".to_owned())
            }
            "snapshot" | "bins" => {
                let version = listed(&stage, &bin);
                let bytes = writer::bin(terms(version), &bin, &evil).sign(&[&stolen["snapshot"], &stolen["bins"]]);
                (format!("{version}.{bin}.json"), bytes, answer, bin.clone())
            }
            _ => {
                let version = listed(&stage, "catalog");
                let evil = BTreeMap::from([("search/evil".to_owned(), Target::of(b"evil"))]);
                let bytes = writer::catalog(terms(version), &evil).sign(&[&stolen["catalog"], &stolen["bins"]]);
                (format!("{version}.catalog.json"), bytes, "search/evil", "catalog".to_owned())
            }
        }
    };
    let look = |stolen: &BTreeMap<&str, SecretKey>, name: &str| {
        let (file, bytes, path, role) = forge(stolen, name);
        let there = fs::read(trust(&stage, &file)).expect("a file");
        fs::write(trust(&stage, &file), bytes).expect("a forgery");
        let found = look_up(&stage, path);
        fs::write(trust(&stage, &file), there).expect("what was there");
        (found, role)
    };
    for (name, signers) in [
        ("timestamp", &["root-1", "root-2"][..]),
        ("snapshot", &["root-1", "root-2", "targets-1", "targets-2"]),
        ("catalog", &["targets-1", "targets-2"]),
        ("bins", &["targets-1", "targets-2"]),
    ] {
        let stolen = steal();
        let (before, _) = look(&stolen, name);
        assert!(before.is_ok(), "until then the keys are as good as the registry's: {before:?}");
        stage.offer(&["rotate", "--role", name]);
        stage.signs(signers);
        stage.import().json();
        let (after, role) = look(&stolen, name);
        assert_forged(after, &role);
        for (key, now) in steal() {
            assert_eq!(now.id() == stolen[key].id(), key != name, "{key} after {name}");
        }
    }
    assert!(look_up(&stage, answer).expect("the true files are as good as ever").is_some());
}

#[test]
fn versions_that_a_thief_pushed_up_do_not_bind_after_the_ceremony() {
    let Some(stage) = Stage::new() else { return };
    let server = stage.serve();
    let author = stage.author(&server);
    stage.publish(&server.url, &author, &[&stage.plugin("answer", "1.0.0", 41, 0)]).json();
    let key = secret(&stage.dir.path().join("registry/keys/signer/timestamp.key"));
    let version = listed(&stage, "snapshot");
    let snapshot = fs::read(trust(&stage, &format!("{version}.snapshot.json"))).expect("a snapshot");
    let true_pointer = fs::read(trust(&stage, "timestamp.json")).expect("a pointer");
    let pushed = Terms { version: NonZeroU64::new(1 << 40).expect("from 1"), expires: now().plus(7 * DAY) };
    let pushed = writer::timestamp(pushed, terms(version).version, &snapshot).sign(&[&key]);
    // A mirror of the thief's: the host takes it, and from then on nothing older.
    fs::write(trust(&stage, "timestamp.json"), pushed).expect("a forgery");
    assert_eq!(stage.known(&server.url, "host").1, versions(&["1.0.0"]));
    fs::write(trust(&stage, "timestamp.json"), true_pointer).expect("what was there");
    stage.publish(&server.url, &author, &[&stage.plugin("answer", "1.1.0", 42, 0)]).json();
    assert_eq!(stage.known(&server.url, "host").1, versions(&["1.0.0"]), "held still");
    assert!(server.stop().success());

    stage.offer(&["rotate", "--role", "timestamp"]);
    stage.signs(&["root-1", "root-3"]);
    stage.import().json();
    stage.hosts_see(&["host", "new"], &["1.0.0", "1.1.0"]);
}

fn now() -> Time {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    Time::from_unix(since.as_secs() as i64)
}
