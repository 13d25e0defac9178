//! Takedowns and advisories by the command line, from the operator to a host.

use std::{fs, path::Path};

use serde_json::Value;

use crate::{
    disk::health_when,
    policy::Host,
    process::{Ran, Server, Stage, assert_said},
};

/// A registry with an operator and an author.
struct Registry<'s> {
    stage: &'s Stage,
    server: &'s Server,
    author: String,
}

impl Registry<'_> {
    fn say(&self, key: &str, args: &[&str]) -> Ran {
        self.stage.run(args.iter().copied().chain(["--registry", &self.server.url, "--api-key", key]))
    }

    /// Says it as the operator, and waits until it is signed.
    fn done(&self, args: &[&str]) -> String {
        let text = self.say(&self.stage.admin_key, args).text();
        health_when(self.server, "signed", |health| health["signed"]["seq"] == health["head"]["seq"]);
        text
    }
}

/// As if a minute had passed: what was read less than that ago is not asked for again.
fn a_minute_later(cache: &Path) {
    for entry in fs::read_dir(cache).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            a_minute_later(&path);
        } else if path.file_name().is_some_and(|name| name == "checked-at") {
            fs::remove_file(path).expect("it is there");
        }
    }
}

#[test]
fn what_is_taken_down_or_flawed_is_told_refused_and_restored_from_the_operator_to_a_host() {
    let Some(stage) = Stage::new() else { return };
    let server = stage.serve();
    let author = stage.author(&server);
    let registry = Registry { stage: &stage, server: &server, author };
    for version in ["1.0.0", "1.1.0"] {
        let folder = stage.plugin("answer", version, 41, if version == "1.0.0" { 0 } else { 100 });
        stage.publish(&server.url, &registry.author, &[&folder]).json();
    }
    let host = Host::new(&stage, &server, "host", "\"demo:answer\" = \"^1\"");
    let stoa = |command: &[&str]| {
        a_minute_later(Path::new(&host.file("cache")));
        host.stoa(command)
    };
    let mut said = String::new();
    let mut case = |what: &str, text: &str| {
        // What is logged has a time of its own.
        let told = text.trim_end().lines().map(|line| line.split_once(" WARN ").map_or(line, |(_, told)| told));
        said += &format!("## {what}\n{}\n", told.collect::<Vec<_>>().join("\n"));
    };
    let audit = ["audit", "advisories"];
    host.stoa(&["lock"]).text();
    host.stoa(&["fetch"]).text();
    case("audit of what is good", &stoa(&audit).text());

    // A flaw, of which its publisher warns.
    let flaw = [
        "advisory",
        "publish",
        "demo:answer",
        "--severity",
        "high",
        "--summary",
        "It answers 41",
        "--affected",
        "=1.1.0",
        "--link",
        "https://example.com/41",
        "--id",
        "CVE-2026-41",
    ];
    case("an advisory", &registry.say(&registry.author, &flaw).text());
    let note = registry.done(&[
        "advisory",
        "publish",
        "demo:answer",
        "--severity",
        "none",
        "--summary",
        "Nobody maintains it",
        "--affected",
        "*",
        "--link",
        "https://example.com/none",
        "--id",
        "STOPPED-1",
    ]);
    case("a notice", &note);
    let flawed = stoa(&audit);
    assert_eq!(flawed.status.code(), Some(5), "{flawed:?}");
    case("audit of what is flawed", &flawed.stdout);
    let json: Value = serde_json::from_str(&stoa(&["audit", "advisories", "--json"]).stdout).expect("JSON");
    assert_eq!((&json["denied"], &json["findings"][0]["release"]), (&1.into(), &"demo:answer@1.1.0".into()), "{json}");
    assert_eq!(stoa(&["audit", "advisories", "--deny", "critical"]).status.code(), Some(0));
    assert_eq!(stoa(&["audit", "advisories", "--offline"]).status.code(), Some(5), "what is known is known offline");
    case("lock warns", &stoa(&["lock"]).stderr);
    host.policy("[[rule]]\nid = \"flawless\"\nmatch = { plugin = \"*\" }\nrequire = { advisories = \"none\" }\n");
    case("lock by a policy", &stoa(&["lock"]).refusal());
    fs::remove_file(host.file("policy.toml")).expect("a policy");

    // It is certified, for hosts that want that.
    host.policy("[[rule]]\nid = \"certified\"\nmatch = { plugin = \"*\" }\nrequire = { certification = 2 }\n");
    case("lock of what is not certified", &stoa(&["lock"]).refusal());
    let certify = |level: &str| {
        registry.done(&["certify", "demo:answer@1.1.0", "--level", level, "--reason", "Read by two of us"])
    };
    certify("1");
    case("lock of what is certified to less", &stoa(&["lock"]).refusal());
    case("certify", &certify("2"));
    stoa(&["lock"]).text();
    case("explain", &stoa(&["policy", "explain", "demo:answer"]).text());
    case("info of what is certified", &stage.host(&server.url, &stage.path("f"), &["info", "demo:answer"]).text());
    case("take it back", &certify("0"));
    case("lock again", &stoa(&["lock"]).refusal());
    fs::remove_file(host.file("policy.toml")).expect("a policy");

    // Somebody looks.
    let quarantine =
        ["takedown", "quarantine", "demo:answer@1.1.0", "--cause", "suspicion", "--reason", "It may be malware"];
    case("quarantine", &registry.done(&quarantine));
    let run = ["run", "demo:answer@=1.1.0", "--invoke", "add(1)"];
    case("run of what is quarantined", &stage.host(&server.url, &stage.path("c"), &run).refusal());
    assert!(stoa(&["fetch"]).stderr.contains("quarantined"), "it goes on, and says so");
    fs::remove_dir_all(host.file("cache")).expect("a cache");
    case("fetch of what is quarantined", &host.stoa(&["fetch"]).refusal());
    case("info", &stage.host(&server.url, &stage.path("d"), &["info", "demo:answer"]).text());
    let appeal = ["takedown", "appeal", "demo:answer@1.1.0", "--reason", "It is not"];
    case("appeal", &registry.say(&registry.author, &appeal).text());
    case("restore", &registry.done(&["takedown", "restore", "demo:answer@1.1.0", "--reason", "It is not"]));
    a_minute_later(Path::new(&host.file("cache")));
    host.stoa(&["fetch"]).text();

    // It was malware after all, and so is all of it.
    let kill = ["takedown", "kill", "demo:answer", "--cause", "malware", "--reason", "It answers 41"];
    case("not the operator", &registry.say(&registry.author, &kill).refusal());
    case("kill", &registry.done(&kill));
    case("fetch of what was killed", &stoa(&["fetch"]).refusal());
    case("offline too", &host.stoa(&["fetch", "--offline"]).refusal());
    case("lock", &host.stoa(&["lock"]).refusal());
    case("audit", &host.stoa(&audit).stdout);
    let next = stage.plugin("answer", "1.2.0", 42, 0);
    let publish = ["publish", next.as_str(), "--api-key", registry.author.as_str()];
    case("publish", &stage.host(&server.url, &stage.path("e"), &publish).refusal());
    registry.done(&["takedown", "restore", "demo:answer", "--reason", "It is a test"]);
    registry.done(&["advisory", "withdraw", "demo:answer", "CVE-2026-41", "--reason", "It answers 42"]);
    assert_eq!(stoa(&audit).status.code(), Some(0), "the notice is nothing to do");
    host.stoa(&["fetch"]).text();
    assert_said("takedowns-and-advisories", &said, &stage);
}

#[test]
fn killed_bytes_are_collected_and_mirrors_backups_and_hosts_of_the_rest_go_on() {
    let Some(stage) = Stage::new() else { return };
    let server = stage.serve();
    let author = stage.author(&server);
    let registry = Registry { stage: &stage, server: &server, author };
    let folders = [("1.0.0", 41), ("1.1.0", 42)].map(|(version, sum)| stage.plugin("answer", version, sum, 0));
    for folder in &folders {
        stage.publish(&server.url, &registry.author, &[folder]).json();
    }
    let artifact = |folder: &str| {
        let bytes = fs::read(format!("{folder}/answer.wasm")).expect("a component");
        format!("artifacts/sha256/{}", stoa_core::digest::Digest::of(&bytes))
    };
    let there = |folder: &str, root: &str| Path::new(&stage.path(root)).join(artifact(folder)).exists();
    let public = "registry/blobs/public";
    let pinned = ["--root-sha256", stage.fingerprint.as_str()];
    let with_root = |args: &[&str]| stage.run(args.iter().copied().chain(pinned));
    with_root(&["mirror", &server.url, "earlier"]).text();

    let kill = ["takedown", "kill", "demo:answer@1.0.0", "--cause", "malware", "--reason", "It answers 41"];
    registry.done(&kill);
    with_root(&["verify", &server.url]).text();
    let gc = ["gc", "--json", "--dir", "registry", "--grace", "0m", "--cut-off-hosts"];
    let collected: Value = serde_json::from_str(&stage.run(gc).text()).expect("JSON");
    // Component and readme; the WIT is the other release's as well.
    assert_eq!(collected["report"]["collected"]["artifacts"]["files"], 2, "{collected}");
    assert_eq!([&folders[0], &folders[1]].map(|folder| there(folder, public)), [false, true]);
    let restore = ["takedown", "restore", "demo:answer@1.0.0", "--reason", "Too late"];
    let late = registry.say(&stage.admin_key, &restore).refusal();
    assert!(late.starts_with("error[takedown-final]"), "{late}");

    // Copies of the registry leave out what is gone, and lose nothing else.
    with_root(&["verify", &server.url]).text();
    for mirror in ["earlier", "later"] {
        with_root(&["mirror", &server.url, mirror]).text();
        with_root(&["verify", mirror]).text();
        assert!(there(&folders[1], mirror), "{mirror}");
    }
    assert!(!there(&folders[0], "later"), "nobody copies what was killed");
    let call = ["run", "--json", "demo:answer", "--invoke", "add(1)"];
    assert_eq!(stage.host(&server.url, &stage.path("c"), &call).json()["result"], "43");
    stage.run(["backup", "--dir", "registry", "--to", "backup"]).text();
    server.stop();

    // A registry out of the archive alone, whose bytes are not all there.
    stage.run(["restore", "--from", "backup", "--to", "restored"]).text();
    fs::remove_file(stage.path("backup/ledger.sqlite")).expect("a ledger");
    stage.run(["restore", "--from", "backup", "--to", "replayed"]).text();
    for folder in ["restored", "replayed"] {
        fs::rename(stage.registry(), stage.path(&format!("before-{folder}"))).expect("a folder");
        fs::rename(stage.path(folder), stage.registry()).expect("a folder");
        let server = stage.serve();
        health_when(&server, "signed", |health| health["signed"]["seq"] == 6);
        with_root(&["verify", &server.url]).text();
        let cache = stage.path(&format!("cache-{folder}"));
        assert_eq!(stage.host(&server.url, &cache, &call).json()["result"], "43", "{folder}");
        let old = ["run", "--json", "demo:answer@=1.0.0", "--invoke", "add(1)"];
        let killed = stage.host(&server.url, &cache, &old).stdout;
        assert!(killed.contains("killed") && !there(&folders[0], public), "{folder}: {killed}");
    }
}
