//! Ceremonies: from the first key to the last renewal, and what a thief of each key is left with.

mod runbook;
mod thief;

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::{
    backup::{copy, versions},
    process::{Ran, Stage, assert_said},
};

impl Stage {
    /// Makes the ceremony that `args` ask for.
    fn offer(&self, args: &[&str]) -> Value {
        let more = ["--json", "--dir", "registry", "--out", "offer.json"];
        self.run(["keys"].iter().chain(args).chain(&more).copied()).json()
    }

    /// Signs it with these keys of `stoa init`.
    fn signs(&self, keys: &[&str]) {
        for key in keys {
            self.sign(&format!("registry/keys/offline/{key}.key")).json();
        }
    }

    fn sign(&self, key: &str) -> Ran {
        self.run(["keys", "sign", "--json", "--yes", "offer.json", "--key", key])
    }

    fn import(&self) -> Ran {
        self.run(["keys", "import", "--json", "--dir", "registry", "offer.json"])
    }

    fn import_refusal(&self) -> String {
        let said = self.run(["keys", "import", "--dir", "registry", "offer.json"]).refusal();
        said[said.find("error").expect("an error")..].to_owned()
    }

    /// The id of a key.
    fn key_id(&self, path: &str) -> String {
        let shown = self.run(["keys", "public", "--json", path]).json();
        shown["key_id"].as_str().expect("an id").to_owned()
    }

    /// A new key without a passphrase.
    fn new_key(&self, role: &str, out: &str) {
        self.run(["keys", "generate", "--json", "--plain-for-demos", "--role", role, "--out", out]).json();
    }

    fn file(&self, path: &str) -> std::path::PathBuf {
        self.dir.path().join(path)
    }

    /// Publishes `demo:answer` in this version, and stops the registry again.
    fn release(&self, key: &str, version: &str) {
        let server = self.serve();
        let plugin = self.plugin("answer", version, 41, 0);
        self.publish(&server.url, key, &[&plugin]).json();
        assert!(server.stop().success());
    }

    /// What a host with each of these caches sees.
    #[track_caller]
    fn hosts_see(&self, caches: &[&str], expected: &[&str]) {
        let server = self.serve();
        for cache in caches {
            assert_eq!(self.known(&server.url, cache).1, versions(expected), "{cache}");
        }
    }
}

#[test]
fn every_role_is_rotated_while_old_and_new_hosts_go_on() {
    let Some(stage) = Stage::new() else { return };
    let server = stage.serve();
    let key = stage.author(&server);
    stage.publish(&server.url, &key, &[&stage.plugin("answer", "1.0.0", 41, 0)]).json();
    assert_eq!(stage.known(&server.url, "old").1, versions(&["1.0.0"]));
    assert!(server.stop().success());

    // Made before any rotation, and brought up to date after all of them.
    stage.run(["backup", "--json", "--dir", "registry", "--to", "backup"]).json();
    stage.new_key("root", "root-4.key");
    stage.new_key("targets", "targets-4.key");
    let root_3 = stage.key_id("registry/keys/offline/root-3.key");
    let targets_3 = stage.key_id("registry/keys/offline/targets-3.key");
    let ceremonies: [(&[&str], &[&str], &[&str]); 8] = [
        (&["rotate", "--role", "timestamp"], &["root-1", "root-2"], &["root"]),
        (&["rotate", "--role", "snapshot"], &["root-1", "root-3", "targets-1", "targets-2"], &["index", "root"]),
        (&["rotate", "--role", "catalog"], &["targets-2", "targets-3"], &["targets"]),
        (&["rotate", "--role", "bins"], &["targets-1", "targets-3"], &["index", "targets"]),
        (&["rotate", "--role", "root", "--old", &root_3, "--key", "root-4.key"], &["root-1", "root-2"], &["root"]),
        (
            &["rotate", "--role", "targets", "--old", &targets_3, "--key", "targets-4.key"],
            &["root-1", "root-2", "targets-1", "targets-2"],
            &["index", "root", "targets"],
        ),
        (&["remove", "--role", "root", "--key-id", &root_3[..8]], &[], &[]),
        (&["renew"], &["root-1", "root-2", "targets-1", "targets-2"], &["index", "root", "targets"]),
    ];
    let mut published = vec!["1.0.0".to_owned()];
    for (number, (args, signers, documents)) in ceremonies.into_iter().enumerate() {
        if signers.is_empty() {
            // Its key went two ceremonies before.
            let more = ["--dir", "registry", "--out", "offer.json"];
            let said = stage.run(["keys"].iter().chain(args).chain(&more).copied()).refusal();
            assert!(said.contains(&format!("key {} does not sign `root`", &root_3[..8])), "{said}");
            continue;
        }
        let offered = stage.offer(args);
        let new: Vec<_> = offered["documents"].as_array().expect("documents").iter().map(|d| &d["document"]).collect();
        let mut new: Vec<_> = new.into_iter().map(|name| name.as_str().expect("a name")).collect();
        new.sort_unstable();
        assert_eq!(new, documents, "{args:?}");
        stage.signs(signers);
        let imported = stage.import().json();
        assert_eq!(imported["outcome"], "done", "{imported}");
        assert_eq!(stage.import().json()["outcome"], "already", "twice is once");

        let fresh = format!("fresh-{number}");
        stage.hosts_see(&["old", &fresh], &published.iter().map(String::as_str).collect::<Vec<_>>());
        let next = format!("1.{}.0", number + 1);
        stage.release(&key, &next);
        published.push(next);
        stage.hosts_see(&["old", &fresh], &published.iter().map(String::as_str).collect::<Vec<_>>());
    }
    // One that has seen nothing since the first root follows all of them at once, and so does a whole rebuild.
    let all: Vec<&str> = published.iter().map(String::as_str).collect();
    stage.run(["backup", "--json", "--dir", "registry", "--to", "backup"]).json();
    let restored = stage.run(["restore", "--json", "--from", "backup", "--to", "restored"]).json();
    assert_eq!(restored["signed"], true, "{restored}");
    fs::rename(stage.file("registry"), stage.file("lost")).expect("a folder");
    fs::rename(stage.file("restored"), stage.file("registry")).expect("a folder");
    stage.hosts_see(&["old", "last"], &all);
    let snapshot = |place: &str| {
        let pointer = fs::read(stage.file(&format!("{place}/blobs/public/trust/timestamp.json"))).expect("a pointer");
        let pointer: Value = serde_json::from_slice(&pointer).expect("JSON");
        let version = pointer["signed"]["meta"]["snapshot.json"]["version"].as_u64().expect("a version");
        fs::read(stage.file(&format!("{place}/blobs/public/trust/{version}.snapshot.json"))).expect("a snapshot")
    };
    assert_eq!(snapshot("registry"), snapshot("lost"), "the same bytes under the same name");
}

#[test]
fn a_ceremony_that_too_few_have_signed_is_refused_by_the_names_of_those_who_have_not() {
    let Some(stage) = Stage::new() else { return };
    stage.offer(&["renew", "--document", "root"]);
    stage.signs(&["root-2"]);
    let said = stage.import_refusal();
    let [one, two, three] = [1, 2, 3].map(|n| stage.key_id(&format!("registry/keys/offline/root-{n}.key")));
    let mut missing = [&one[..12], &three[..12]];
    missing.sort_unstable();
    let expected = format!(
        "`root` has 1 of 2 signatures that root 1 asks for ({}), still to sign: {}, {}",
        &two[..12],
        missing[0],
        missing[1]
    );
    assert!(said.contains(&expected), "{said}");
    let said = stage.run(["keys", "sign", "--yes", "offer.json", "--key", "registry/keys/offline/targets-1.key"]);
    assert!(said.refusal().contains("is not among those that have to sign this ceremony"));
    assert!(!stage.file("registry/blobs/public/trust/2.root.json").exists(), "nothing was changed");
    stage.signs(&["root-3"]);
    assert_eq!(stage.import().json()["outcome"], "done");
}

#[test]
fn copies_that_were_signed_apart_come_together() {
    let Some(stage) = Stage::new() else { return };
    stage.offer(&["renew", "--document", "root"]);
    fs::copy(stage.file("offer.json"), stage.file("copy.json")).expect("a copy");
    stage.signs(&["root-1"]);
    let sign = ["keys", "sign", "--json", "--yes", "copy.json", "--key", "registry/keys/offline/root-2.key"];
    stage.run(sign).json();
    let args = ["keys", "import", "--json", "--dir", "registry", "offer.json", "copy.json"];
    let rehearsed = stage.run(args.iter().copied().chain(["--dry-run"])).json();
    assert_eq!(rehearsed["outcome"], "rehearsed");
    assert!(!stage.file("registry/blobs/public/trust/2.root.json").exists(), "nothing was changed");
    assert_eq!(stage.run(args).json()["outcome"], "done");
}

#[test]
fn a_ceremony_that_was_changed_on_its_way_is_refused() {
    let Some(stage) = Stage::new() else { return };
    stage.offer(&["renew", "--document", "root"]);
    stage.signs(&["root-1"]);
    let text = fs::read_to_string(stage.file("offer.json")).expect("an offer");
    let offer: Value = serde_json::from_str(&text).expect("JSON");
    let root = offer["offer"]["root"].as_str().expect("a root");
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut document: Value = serde_json::from_str(root).expect("JSON");
        change(&mut document);
        let mut offer = offer.clone();
        offer["offer"]["root"] = document.to_string().into();
        fs::write(stage.file("offer.json"), offer.to_string()).expect("an offer");
        let said = stage.run(["keys", "review", "offer.json"]).refusal();
        assert_eq!(stage.run(["keys", "sign", "--yes", "offer.json", "--key", "x.key"]).refusal(), said);
        assert_eq!(stage.import_refusal(), said);
        said
    };
    let said = changed(&|root| root["signed"]["expires"] = "2099-01-01T00:00:00Z".into());
    assert!(said.contains("does not fit the new `root`"), "{said}");
    let said = changed(&|root| root["signed"]["roles"]["root"]["threshold"] = 1.into());
    assert!(said.contains("does not fit the new `root`"), "{said}");
    let said = changed(&|root| root["signed"]["note"] = "unseen".into());
    assert!(said.contains("it says more, or other things, than keys, thresholds and expiry"), "{said}");
    let said = changed(&|root| root["signed"]["version"] = 3.into());
    assert!(said.contains("the new `root` has version 3, and 2 is the next one"), "{said}");
    let said = changed(&|root| {
        let signed = root["signatures"][0].clone();
        root["signatures"] = json!([signed, {"keyid": "ab".repeat(32), "sig": "00"}]);
    });
    assert!(said.contains("is not among those that have to"), "{said}");

    // The chain of roots is what the number and the registry's name come from.
    let mut forged = offer.clone();
    let first = forged["before"]["roots"][0].as_str().expect("a root").replace("\"threshold\":2", "\"threshold\":1");
    forged["before"]["roots"][0] = first.into();
    fs::write(stage.file("offer.json"), forged.to_string()).expect("an offer");
    let said = stage.run(["keys", "review", "offer.json"]).refusal();
    assert!(said.contains("root: signed by 0 of the keys that root 1 names, 1 are needed"), "{said}");
}

#[test]
fn a_ceremony_of_another_registry_or_of_another_time_is_refused() {
    let Some(stage) = Stage::new() else { return };
    let Some(other) = Stage::new() else { return };
    other.offer(&["renew"]);
    other.signs(&["root-1", "root-2", "targets-1", "targets-2"]);
    fs::copy(other.file("offer.json"), stage.file("offer.json")).expect("a copy");
    assert!(stage.import_refusal().contains("is of another registry: its first root differs"));
    let args = ["keys", "sign", "offer.json", "--yes", "--key", "x.key", "--root-sha256", &stage.fingerprint];
    let said = stage.run(args).refusal();
    assert!(said.contains("and not of the one with root"), "{said}");

    stage.offer(&["renew", "--document", "root"]);
    stage.signs(&["root-1", "root-2"]);
    fs::rename(stage.file("offer.json"), stage.file("first.json")).expect("a file");
    stage.offer(&["renew", "--document", "root", "--days", "90"]);
    stage.signs(&["root-2", "root-3"]);
    assert_eq!(stage.import().json()["outcome"], "done");
    let said = stage.run(["keys", "import", "--dir", "registry", "first.json"]).refusal();
    assert!(said.contains("was made when `root` was at version 1, and it is at 2"), "{said}");
}

#[test]
fn a_running_registry_takes_renewals_and_refuses_new_online_keys() {
    let Some(stage) = Stage::new() else { return };
    let server = stage.serve();
    let key = stage.author(&server);
    stage.offer(&["rotate", "--role", "timestamp"]);
    stage.signs(&["root-1", "root-2"]);
    let said = stage.import_refusal();
    assert!(
        said.contains(&format!("online keys change, and `registry` is in use by process {}", server.pid())),
        "{said}"
    );
    assert!(!stage.file("registry/blobs/public/trust/2.root.json").exists(), "nothing was changed");

    stage.offer(&["renew"]);
    stage.signs(&["root-1", "root-2", "targets-1", "targets-2"]);
    let imported = stage.import().json();
    assert_eq!((&imported["outcome"], &imported["seq"]), (&json!("done"), &json!(3)), "{imported}");
    stage.publish(&server.url, &key, &[&stage.plugin("answer", "1.0.0", 41, 0)]).json();
    assert_eq!(stage.known(&server.url, "host"), (4, versions(&["1.0.0"])));
}

#[test]
fn an_import_that_is_cut_off_is_finished_by_the_next_start() {
    // Before anything but the ceremony itself was written down, and between the event and what follows from it.
    for written in [&[][..], &["ledger.sqlite", "blobs/public/trust/2.index.json"]] {
        let Some(stage) = Stage::new() else { return };
        let server = stage.serve();
        let key = stage.author(&server);
        stage.publish(&server.url, &key, &[&stage.plugin("answer", "1.0.0", 41, 0)]).json();
        stage.known(&server.url, "old");
        assert!(server.stop().success());
        stage.offer(&["rotate", "--role", "snapshot"]);
        stage.signs(&["root-1", "root-2", "targets-1", "targets-2"]);
        copy(&stage.file("registry"), &stage.file("before"));
        assert_eq!(stage.import().json()["outcome"], "done");
        let trust = |name: &str| stage.file(&format!("registry/blobs/public/trust/{name}"));
        let done = fs::read(trust("2.root.json")).expect("a root");
        for name in written {
            fs::copy(stage.file("registry").join(name), stage.file("before").join(name)).expect("a file");
        }
        fs::create_dir_all(stage.file("before/ceremony")).expect("a folder");
        fs::copy(stage.file("offer.json"), stage.file("before/ceremony/pending.json")).expect("a file");
        fs::remove_dir_all(stage.file("registry")).expect("a folder");
        fs::rename(stage.file("before"), stage.file("registry")).expect("a folder");
        private(&stage.file("registry"));
        assert!(!trust("2.root.json").exists());

        stage.hosts_see(&["old", "new"], &["1.0.0"]);
        assert_eq!(fs::read(trust("2.root.json")).expect("a root"), done, "the same bytes");
        assert!(trust("4.snapshot.json").exists() && !trust("5.snapshot.json").exists(), "one event and no more");
        assert!(!stage.file("registry/ceremony/pending.json").exists());
        assert!(!stage.file("registry/keys/indexer/snapshot.key.next").exists());
        assert_eq!(stage.import().json()["outcome"], "already");
    }
}

/// A copy has lost the modes of its files.
fn private(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    for path in ["keys", "keys/indexer", "keys/signer", "keys/offline"] {
        fs::set_permissions(folder.join(path), fs::Permissions::from_mode(0o700)).expect("a mode");
    }
}

#[test]
fn a_key_file_opens_with_its_passphrase_alone() {
    let Some(stage) = Stage::bare() else { return };
    fs::write(stage.file("right"), "correct horse battery staple\n").expect("a file");
    fs::write(stage.file("wrong"), "correct horse battery stapler\n").expect("a file");
    fs::write(stage.file("short"), "hunter2\n").expect("a file");
    let run = |passphrase: &str, args: &[&str]| {
        let mut command = stage.prepared("", args.iter().copied());
        if !passphrase.is_empty() {
            command.env("STOA_KEY_PASSPHRASE_FILE", stage.file(passphrase));
        }
        let output = command.output().expect("the program runs");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Ran { status: output.status, stdout: text(output.stdout), stderr: text(output.stderr) }
    };
    let generate = ["keys", "generate", "--role", "root", "--out", "root.key", "--work-factor", "10"];
    let said = run("short", &generate).refusal();
    assert!(said.contains("a passphrase of 7 characters: at least 12 are needed"), "{said}");
    let said = run("", &generate).refusal();
    assert!(said.contains("a passphrase is needed, and there is no terminal to ask at"), "{said}");
    assert!(run("right", &generate).status.success());
    let said = run("right", &generate).refusal();
    assert!(said.contains("`root.key` is there already, and a key is never overwritten"), "{said}");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(stage.file("root.key")).expect("a file").permissions());
    assert_eq!(mode & 0o777, 0o600);

    // Without a passphrase the public half can be read, and nothing else.
    let public = run("", &["keys", "public", "root.key"]);
    assert!(public.status.success() && !public.stdout.contains("AGE"), "{public:?}");
    fs::write(stage.file("root.pub"), &public.stdout).expect("a file");
    let begin = [
        "keys",
        "begin",
        "--dir",
        "registry",
        "--threshold",
        "1",
        "--root-key",
        "root.pub",
        "--targets-key",
        "root.pub",
        "--out",
        "first.json",
    ];
    assert!(run("", &begin).status.success());
    let sign = ["keys", "sign", "first.json", "--yes", "--key", "root.key"];
    let said = run("wrong", &sign).refusal();
    assert!(said.contains("`root.key` can not be opened: the passphrase is wrong, or the file was changed"), "{said}");
    let said = run("right", &["keys", "sign", "first.json", "--yes", "--key", "root.pub"]).refusal();
    assert!(said.contains("`root.pub` holds the public half of the key alone"), "{said}");
    assert!(run("right", &sign).status.success());
    assert!(run("", &["init", "--dir", "registry", "--ceremony", "first.json"]).status.success());
}

#[test]
fn the_calendar_tells_60_days_ahead_and_when_it_is_too_late() {
    let Some(stage) = Stage::new() else { return };
    let at = |time: &str| stage.run(["trust", "status", "--json", "--dir", "registry", "--at", time]);
    let now = stage.run(["trust", "status", "--json", "--dir", "registry"]);
    assert_eq!(now.status.code(), Some(0), "{now:?}");
    let calendar: Value = serde_json::from_str(&now.stdout).expect("JSON");
    let roles = calendar["roles"].as_array().expect("roles");
    let names: Vec<_> = roles.iter().map(|role| role["role"].as_str().expect("a name")).collect();
    let bins = "bin-00, the first of 256 bins";
    assert_eq!(names, ["root", "targets", "index", bins, "catalog", "snapshot", "timestamp"]);
    assert_eq!((&roles[0]["threshold"], roles[0]["keys"].as_array().map(Vec::len)), (&json!(2), Some(3)));
    let expires: stoa_core::time::Time = roles[0]["expires"].as_str().expect("a time").parse().expect("a time");
    let day = stoa_core::time::DAY;
    // The timestamp of a registry that stands still runs out first.
    let due = |time: stoa_core::time::Time| {
        let ran = at(&time.to_string());
        let calendar: Value = serde_json::from_str(&ran.stdout).expect("JSON");
        let of = |name: &str| {
            let role = calendar["roles"].as_array().expect("roles").iter().find(|role| role["role"] == name);
            role.expect("a role")["due"].as_str().expect("a word").to_owned()
        };
        (ran.status.code().expect("a code"), of("root"), of("timestamp"))
    };
    let word = |text: &str| text.to_owned();
    assert_eq!(due(expires.plus(-364 * day)), (0, word("good"), word("good")));
    assert_eq!(due(expires.plus(-362 * day)), (3, word("good"), word("soon")));
    assert_eq!(due(expires.plus(-61 * day)), (4, word("good"), word("expired")));
    assert_eq!(due(expires.plus(-60 * day)), (4, word("soon"), word("expired")));
    assert_eq!(due(expires), (4, word("expired"), word("expired")));

    stage.offer(&["renew", "--days", "400"]);
    stage.signs(&["root-1", "root-2", "targets-1", "targets-2"]);
    assert_eq!(stage.import().json()["outcome"], "done");
    assert_eq!(due(expires.plus(-60 * day)), (4, word("good"), word("expired")));
}

#[test]
fn every_step_says_what_it_does_to_whom_it_matters_and_what_hosts_see() {
    let Some(stage) = Stage::new() else { return };
    let run = |args: &[&str]| {
        let ran = stage.run(["keys"].iter().chain(args).copied());
        assert!(ran.status.success(), "{ran:?}");
        let text = format!("$ stoa keys {}\n{}{}", args.join(" "), ran.stderr, ran.stdout);
        // Key ids and numbers differ each time.
        let mut out = String::new();
        for word in text.split_inclusive([' ', '\n', ',', ')', ';', ':']) {
            let plain = word.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '-');
            let bare = plain.trim_start_matches('-');
            let hex = bare.bytes().all(|b| b.is_ascii_hexdigit());
            match bare.len() {
                12 if hex => out += &word.replace(bare, "KEY"),
                19 if bare.split('-').all(|four| four.len() == 4 && four.bytes().all(|b| b.is_ascii_hexdigit())) => {
                    out += &word.replace(bare, "CEREMONY");
                }
                _ => out += word,
            }
        }
        out
    };
    let dir = ["--dir", "registry", "--out", "offer.json"];
    let dry: Vec<&str> = ["rotate", "--role", "snapshot", "--dry-run"].iter().chain(&dir).copied().collect();
    let mut said = run(&dry);
    assert!(!stage.file("offer.json").exists(), "--dry-run writes no file");
    let renew: Vec<&str> = ["renew", "--document", "root"].iter().chain(&dir).copied().collect();
    said += &run(&renew);
    said += &run(&["sign", "offer.json", "--yes", "--dry-run", "--key", "registry/keys/offline/root-1.key"]);
    for key in ["root-1", "root-2"] {
        said += &run(&["sign", "offer.json", "--yes", "--key", &format!("registry/keys/offline/{key}.key")]);
    }
    said += &run(&["import", "--dir", "registry", "offer.json", "--dry-run"]);
    said += &run(&["import", "--dir", "registry", "offer.json"]);
    assert_said("ceremony_steps", &said, &stage);
}
