//! The restore drill: a registry is backed up while it is written to, lost, and made whole again.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt as _, path::Path};

use serde_json::{Value, json};
use stoa_core::path::PublicPath;
use stoa_loader::{Cache, Refresh, Registry, TrustRoot};

use crate::process::{Ran, Server, Stage, assert_said};

impl Stage {
    fn backup(&self, to: &str) -> Value {
        self.run(["backup", "--json", "--dir", "registry", "--to", to]).json()
    }

    fn restore(&self, from: &str, to: &str, more: &[&str]) -> Ran {
        let args = ["restore", "--json", "--from", from, "--to", to];
        self.run(args.iter().chain(more).copied())
    }

    fn recover(&self, more: &[&str]) -> Ran {
        self.run(["recover", "--dir", "registry"].iter().chain(more).copied())
    }

    /// What a host with this cache knows of `demo:answer` after a refresh: the event that is signed, and the versions.
    pub(crate) fn known(&self, url: &str, cache: &str) -> (u64, Vec<String>) {
        let root = TrustRoot::pinned(fs::read(self.root()).expect("a root"));
        let cache = Cache::at(Path::new(&self.path(cache))).expect("a cache");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let registry = Registry::open(url, root, cache).await.expect("a registry");
            // The command line asks again only after a minute.
            let snapshot = registry.sync(Refresh::Always).await.expect("a refresh");
            let document = snapshot.document(&"demo:answer".parse().expect("an id")).await.expect("an answer");
            let versions = document.map(|document| document.releases.keys().map(ToString::to_string).collect());
            (snapshot.seq().await, versions.unwrap_or_default())
        })
    }

    fn remove(&self, path: &str) {
        let path = self.dir.path().join(path);
        match path.is_dir() {
            true => fs::remove_dir_all(path).expect("a folder"),
            false => fs::remove_file(path).expect("a file"),
        }
    }

    /// Nothing is left of the ledger.
    fn lose_ledger(&self) {
        for name in ["ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"] {
            let _not_there = fs::remove_file(self.dir.path().join("registry").join(name));
        }
    }

    /// The restored registry stands where the lost one stood.
    fn put_in_place(&self, restored: &str) {
        let place = |name: &str| self.dir.path().join(name);
        fs::rename(place("registry"), place("lost")).expect("the lost one");
        fs::rename(place(restored), place("registry")).expect("the restored one");
    }
}

pub(crate) fn versions(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// All files below a folder, by path.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(folder: &Path, prefix: &str, files: &mut BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry")) {
            let path = format!("{prefix}{}", entry.file_name().to_str().expect("text"));
            match entry.path().is_dir() {
                true => walk(&entry.path(), &format!("{path}/"), files),
                false => drop(files.insert(path, fs::read(entry.path()).expect("a file"))),
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(folder, "", &mut found);
    found
}

/// The files of a public tree that never change.
fn immutable(public: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = files(public);
    files.retain(|path, _| {
        path.parse::<PublicPath>().is_ok_and(|path| path.cache() == stoa_core::path::Cache::Immutable)
    });
    files
}

pub(crate) fn copy(from: &Path, to: &Path) {
    for (path, bytes) in files(from) {
        let to = to.join(path);
        fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
        fs::write(to, bytes).expect("a copy");
    }
}

/// Ends it at once, as a loss of power does.
fn kill(server: Server) -> String {
    let url = server.url.clone();
    drop(server);
    url
}

#[test]
fn a_backup_made_under_load_and_the_newer_archive_make_a_lost_registry_whole() {
    let Some(stage) = Stage::new() else { return };
    let server = stage.serve();
    let key = stage.author(&server);
    let plugin = |minor: u32| stage.plugin("answer", &format!("1.{minor}.0"), 41 + minor, 0);
    stage.publish(&server.url, &key, &[&plugin(0)]).json();

    // An author publishes while backups are made.
    let set: Vec<String> = (1..=4).map(plugin).collect();
    let backups: Vec<u64> = std::thread::scope(|scope| {
        let author = scope.spawn(|| set.iter().for_each(|dir| drop(stage.publish(&server.url, &key, &[dir]).json())));
        let mut backups = Vec::new();
        while !author.is_finished() {
            backups.push(stage.backup("backup")["seq"].as_u64().expect("a place"));
        }
        author.join().expect("an author");
        backups
    });
    assert!(backups.is_sorted() && (3..=7).contains(&backups[0]), "{backups:?}");
    let backed_up = *backups.last().expect("a backup");
    for key in ["indexer/snapshot", "indexer/catalog", "signer/timestamp", "signer/bins"] {
        let path = stage.dir.path().join(format!("backup/keys/{key}.key"));
        assert_eq!(fs::metadata(path).expect("a key").permissions().mode() & 0o777, 0o600);
    }
    assert!(!stage.dir.path().join("backup/keys/offline").exists(), "offline keys are never in a backup");

    stage.publish(&server.url, &key, &[&plugin(5), &stage.plugin("other", "1.0.0", 1, 0)]).json();
    let all = versions(&["1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.4.0", "1.5.0"]);
    assert_eq!(stage.known(&server.url, "old"), (8, all.clone()));
    let url = kill(server);
    stage.lose_ledger();

    let restored = stage.restore("backup", "restored", &["--newer", "registry"]).json();
    assert_eq!((&restored["seq"], &restored["replayed"]), (&json!(8), &json!(8 - backed_up)), "{restored}");
    assert_eq!((&restored["signed"], &restored["admin_key"]), (&json!(true), &Value::Null), "{restored}");

    // From the archive, the blobs and the keys alone everything is made again, byte for byte.
    let left = stage.dir.path().join("left");
    for part in ["keys/indexer", "keys/signer", "blobs/events", "blobs/store"] {
        copy(&stage.dir.path().join("registry").join(part), &left.join(part));
    }
    for file in ["root.json", "blobs/public/trust/1.root.json", "blobs/public/trust/1.targets.json"] {
        fs::create_dir_all(left.join(file).parent().expect("a folder")).expect("a folder");
        fs::copy(stage.dir.path().join("registry").join(file), left.join(file)).expect("a copy");
    }
    fs::copy(
        stage.dir.path().join("registry/blobs/public/trust/1.index.json"),
        left.join("blobs/public/trust/1.index.json"),
    )
    .expect("a copy");
    let rebuilt = stage.restore("left", "rebuilt", &[]).json();
    assert_eq!((&rebuilt["seq"], &rebuilt["replayed"]), (&json!(8), &json!(8)), "{rebuilt}");
    let new_admin = rebuilt["admin_key"].as_str().expect("the old ones are lost").to_owned();
    let before = immutable(&stage.dir.path().join("registry/blobs/public"));
    let after = immutable(&stage.dir.path().join("rebuilt/blobs/public"));
    assert!(after.contains_key("trust/8.snapshot.json") && after.len() > 20, "{:?}", after.keys());
    for (path, bytes) in after.iter().filter(|(path, _)| !path.starts_with("assets/")) {
        assert!(before.get(path) == Some(bytes), "{path} has other bytes");
    }

    // The restored registry takes the place of the lost one: for old clients, for new ones, for authors.
    stage.put_in_place("restored");
    let server = stage.serve_at(&url);
    assert_eq!(stage.known(&url, "old"), (8, all.clone()));
    assert_eq!(stage.known(&url, "new"), (8, all));
    stage.publish(&url, &key, &[&plugin(6)]).json();
    assert_eq!(stage.known(&url, "old").0, 9);
    let (status, made) = server.post("namespaces", &stage.admin_key, &json!({"namespace": "more"}));
    assert_eq!(status, 201, "{made}");
    kill(server);

    // So does the rebuilt one, as it was at event 8; only the keys are new.
    let call = ["run", "--json", "demo:answer@=1.5.0", "--invoke", "add(1)"];
    stage.put_rebuilt_in_place();
    let server = stage.serve();
    assert_eq!(stage.host(&server.url, &stage.path("third"), &call).json()["result"], "47");
    let (status, made) = server.post("namespaces", &new_admin, &json!({"namespace": "more"}));
    assert_eq!(status, 201, "{made}");
    let (status, _) = server.post("namespaces", &stage.admin_key, &json!({"namespace": "another"}));
    assert_eq!(status, 401, "keys are not in the log");
}

impl Stage {
    fn put_rebuilt_in_place(&self) {
        self.remove("lost");
        self.put_in_place("rebuilt");
    }
}

#[test]
fn events_that_no_archive_has_are_given_up_by_an_epoch_and_every_client_goes_on() {
    let Some(stage) = Stage::new() else { return };
    let server = stage.serve();
    let key = stage.author(&server);
    stage.publish(&server.url, &key, &[&stage.plugin("answer", "1.0.0", 41, 0)]).json();
    assert_eq!(stage.backup("backup")["seq"], 3);
    let lost_plugin = stage.plugin("answer", "1.1.0", 42, 0);
    stage.publish(&server.url, &key, &[&lost_plugin]).json();
    assert_eq!(stage.known(&server.url, "old"), (4, versions(&["1.0.0", "1.1.0"])));
    let call = ["run", "--json", "demo:answer@=1.1.0", "--invoke", "add(1)"];
    assert_eq!(stage.host(&server.url, &stage.path("old"), &call).json()["result"], "43");
    // A host locks the release that will be lost.
    let wanted = format!(
        "[registries.main]\nurl = \"{}\"\nroot-sha256 = \"{}\"\n\n[plugins]\n\"demo:answer\" = \"^1\"\n",
        server.url, stage.fingerprint
    );
    fs::write(stage.dir.path().join("plugins.toml"), wanted).expect("a list");
    let host = |args: &[&str]| stage.run(args.iter().copied().chain(["--json", "--cache", "cache-of-the-host"]));
    assert_eq!(host(&["lock"]).json()["added"], json!(["demo:answer@1.1.0"]));
    assert_eq!(host(&["fetch"]).json()["plugins"], 1);
    let url = kill(server);

    // The public tree is newer than the backup, and neither ledger nor archive is left.
    stage.lose_ledger();
    stage.remove("registry/blobs/events");
    let restored = stage.restore("backup", "restored", &["--newer", "registry"]).json();
    assert_eq!((&restored["seq"], &restored["signed"]), (&json!(3), &json!(false)), "{restored}");
    stage.put_in_place("restored");
    let refused = stage.run(["serve", "--listen", "127.0.0.1:0", "--dir", "registry"]).refusal();
    assert_said("a-ledger-behind-what-was-signed", &refused, &stage);
    assert_said("lost-events-are-given-up-with-a-reason-only", &stage.recover(&[]).refusal(), &stage);
    let too_low = stage.recover(&["--reason", "the disk was lost", "--lost-after", "3"]).refusal();
    assert_eq!(too_low, "error: `--lost-after 3` is too low: files of event 4 are there\n");

    let recovered = stage.recover(&["--json", "--reason", "the disk was lost"]).json();
    assert_eq!(recovered["epoch"], json!({"seq": 5, "last_before": 3}), "{recovered}");
    let again = stage.recover(&["--json"]).json();
    assert_eq!((&again["seq"], &again["epoch"]), (&json!(5), &Value::Null), "nothing more is lost: {again}");

    let server = stage.serve_at(&url);
    let running = format!("error: `registry` is in use by process {}\n", server.pid());
    assert_eq!(stage.recover(&["--reason", "none"]).refusal(), running);
    assert_eq!(stage.known(&url, "old"), (5, versions(&["1.0.0"])));
    assert_eq!(stage.known(&url, "new"), (5, versions(&["1.0.0"])));
    let call = ["run", "--json", "demo:answer", "--invoke", "add(1)"];
    assert_eq!(stage.host(&url, &stage.path("old"), &call).json()["result"], "42");
    // A lock that names the lost release is refused by name, until its author publishes the same bytes again.
    assert_eq!(stage.known(&url, "cache-of-the-host").0, 5);
    let refused = host(&["fetch"]);
    let error: Value = serde_json::from_str(&refused.stdout).expect("JSON");
    let message = "the lock does not fit: it has `demo:answer@1.1.0`, which the registry does not have";
    assert_eq!((&error["error"]["code"], &error["error"]["message"]), (&json!("R007"), &json!(message)));
    assert_eq!(stage.publish(&url, &key, &[&lost_plugin]).json()["seq"], 6);
    assert_eq!(stage.known(&url, "cache-of-the-host").0, 6);
    assert_eq!(host(&["fetch"]).json()["plugins"], 1);
    // The backup goes on; its archive has the log of what is left.
    assert_eq!(stage.backup("backup")["seq"], 6);
    let archived: Vec<String> = files(&stage.dir.path().join("backup/blobs/events")).into_keys().collect();
    let expected = ["0000000001.json", "0000000002.json", "0000000003.json", "0000000005.json", "0000000006.json"];
    assert_eq!(archived, expected);

    // The whole folder is lost, and only clients know how far the log went.
    stage.publish(&url, &key, &[&stage.plugin("answer", "1.3.0", 51, 0)]).json();
    assert_eq!(stage.known(&url, "old").0, 7);
    kill(server);
    let again = stage.restore("backup", "once-more", &[]).json();
    assert_eq!((&again["seq"], &again["signed"]), (&json!(6), &json!(true)), "{again}");
    stage.remove("lost");
    stage.put_in_place("once-more");
    let recovered = stage.recover(&["--json", "--reason", "all was lost", "--lost-after", "20"]).json();
    assert_eq!(recovered["epoch"], json!({"seq": 21, "last_before": 6}), "{recovered}");
    let server = stage.serve_at(&url);
    assert_eq!(stage.known(&url, "old"), (21, versions(&["1.0.0", "1.1.0"])));
    stage.publish(&url, &key, &[&stage.plugin("answer", "1.3.1", 52, 0)]).json();
    assert_eq!(stage.known(&url, "old"), (22, versions(&["1.0.0", "1.1.0", "1.3.1"])));
    drop(server);
}

#[test]
fn an_archive_whose_blobs_are_lost_is_replayed_as_far_as_it_goes() {
    let Some(stage) = Stage::new() else { return };
    let server = stage.serve();
    let key = stage.author(&server);
    stage.publish(&server.url, &key, &[&stage.plugin("answer", "1.0.0", 41, 0)]).json();
    stage.backup("backup");
    stage.publish(&server.url, &key, &[&stage.plugin("answer", "1.1.0", 42, 0)]).json();
    kill(server);
    // Only the archive is left of what came after.
    copy(&stage.dir.path().join("registry/blobs/events"), &stage.dir.path().join("archive/blobs/events"));
    let restored = stage.restore("backup", "restored", &["--newer", "archive"]).json();
    assert_eq!((&restored["seq"], &restored["signed"]), (&json!(3), &json!(false)), "{restored}");
    let why = restored["lost"].as_str().expect("a reason");
    assert!(why.starts_with("event 4 names the blob ") && why.ends_with("and no whole copy of it is left"), "{why}");
    stage.put_in_place("restored");
    // No pointer says so, but the archive does: the log once went further.
    let refused = stage.run(["serve", "--listen", "127.0.0.1:0", "--dir", "registry"]).refusal();
    assert_said("a-ledger-older-than-its-files", &refused, &stage);
    let refused = stage.recover(&[]).refusal();
    assert!(refused.starts_with("error: event 4 names the blob "), "{refused}");

    // A copy of the bytes makes it whole; without one it would be given up.
    let recovered = stage.recover(&["--json", "--newer", "lost"]).json();
    assert_eq!((&recovered["replayed"], &recovered["epoch"]), (&json!(1), &Value::Null), "{recovered}");
    let server = stage.serve();
    assert_eq!(stage.known(&server.url, "new"), (4, versions(&["1.0.0", "1.1.0"])));
}

#[test]
fn a_registry_without_any_ledger_recovers_from_its_own_archive_with_a_new_admin_key() {
    let Some(stage) = Stage::new() else { return };
    let server = stage.serve();
    stage.author(&server);
    kill(server);
    stage.lose_ledger();
    let refused = stage.run(["serve", "--listen", "127.0.0.1:0", "--dir", "registry"]).refusal();
    assert!(refused.starts_with("error: the ledger ends at event 0, and files of event "), "{refused}");
    let recovered = stage.recover(&["--json"]).json();
    assert_eq!((&recovered["replayed"], &recovered["epoch"]), (&recovered["seq"], &Value::Null), "{recovered}");
    let server = stage.serve();
    let body = json!({"namespace": "more"});
    assert_eq!(server.post("namespaces", &stage.admin_key, &body).0, 401, "keys are not in the log");
    let (status, made) = server.post("namespaces", recovered["admin_key"].as_str().expect("a key"), &body);
    assert_eq!(status, 201, "{made}");
    drop(server);

    // Without an archive nothing can be replayed, and nothing is invented.
    stage.lose_ledger();
    stage.remove("registry/blobs/events");
    let refused = stage.recover(&["--reason", "all is lost"]).refusal();
    assert_said("nothing-is-left-of-the-log", &refused, &stage);
}

#[test]
fn a_backup_that_was_cut_off_leaves_the_one_before_whole() {
    let Some(stage) = Stage::new() else { return };
    let server = stage.serve();
    let key = stage.author(&server);
    stage.publish(&server.url, &key, &[&stage.plugin("answer", "1.0.0", 41, 0)]).json();
    stage.backup("backup");
    copy(&stage.dir.path().join("backup"), &stage.dir.path().join("before"));
    stage.publish(&server.url, &key, &[&stage.plugin("answer", "1.1.0", 42, 0)]).json();
    stage.backup("backup");
    kill(server);
    // As it is after each step of the second one: blobs, events, the ledger beside its name, the ledger.
    let place = |name: &str| stage.dir.path().join(name);
    let steps = ["blobs/store", "blobs/events", "ledger.sqlite.new", "ledger.sqlite"];
    for (number, step) in steps.iter().enumerate() {
        match *step {
            "ledger.sqlite.new" => {
                fs::write(place("before/ledger.sqlite.new"), "half a led").expect("a file");
                fs::write(place("before/ledger.sqlite.new-wal"), "half a log").expect("a file");
            }
            "ledger.sqlite" => drop(fs::copy(place("backup/ledger.sqlite"), place("before/ledger.sqlite"))),
            folder => copy(&place("backup").join(folder), &place("before").join(folder)),
        }
        let to = format!("restored-{number}");
        let restored = stage.restore("before", &to, &[]).json();
        let seq = if number == 0 { 3 } else { 4 };
        assert_eq!((&restored["seq"], &restored["signed"]), (&json!(seq), &json!(true)), "after {step}: {restored}");
    }
    assert_eq!(stage.backup("before")["seq"], 4, "and the next one completes it");
    let left: Vec<String> = files(&place("before")).into_keys().filter(|name| name.contains(".new")).collect();
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn a_ledger_with_another_past_is_refused_and_can_be_gone_on_with_only_by_an_epoch() {
    let Some(stage) = Stage::new() else { return };
    let server = stage.serve();
    let key = stage.author(&server);
    assert_eq!(server.stop().code(), Some(0));
    copy(&stage.dir.path().join("registry"), &stage.dir.path().join("fork"));

    let server = stage.serve();
    stage.publish(&server.url, &key, &[&stage.plugin("answer", "1.0.0", 41, 0)]).json();
    assert_eq!(stage.backup("backup")["seq"], 3);
    let url = kill(server);
    stage.put_in_place("fork");
    let server = stage.serve_at(&url);
    stage.publish(&url, &key, &[&stage.plugin("answer", "2.0.0", 50, 0)]).json();
    assert_eq!(server.stop().code(), Some(0));

    // The ledger of one branch, the tree of the other.
    let place = |name: &str| stage.dir.path().join(name);
    fs::copy(place("registry/ledger.sqlite"), place("lost/ledger.sqlite")).expect("a copy");
    copy(&place("registry/blobs/store"), &place("lost/blobs/store"));
    fs::rename(place("registry"), place("other")).expect("a folder");
    fs::rename(place("lost"), place("registry")).expect("a folder");
    for name in ["registry/ledger.sqlite-wal", "registry/ledger.sqlite-shm"] {
        let _not_there = fs::remove_file(place(name));
    }
    let refused = stage.run(["serve", "--listen", "127.0.0.1:0", "--dir", "registry"]).refusal();
    assert_said("a-ledger-with-another-past", &refused, &stage);
    let overwritten = stage.run(["backup", "--dir", "registry", "--to", "backup"]).refusal();
    assert_said("a-backup-of-lost-events-is-not-overwritten", &overwritten, &stage);

    let recovered = stage.recover(&["--json", "--reason", "two copies ran at once"]).json();
    assert_eq!(recovered["epoch"], json!({"seq": 4, "last_before": 3}), "{recovered}");
    assert!(place("registry/lost/events/0000000003.json").exists(), "the other past can still be read");
    let server = stage.serve_at(&url);
    assert_eq!(stage.known(&url, "new"), (4, versions(&["2.0.0"])));
    drop(server);
}

#[test]
fn a_backup_goes_to_a_folder_of_its_own_and_of_its_own_registry() {
    let Some(stage) = Stage::new() else { return };
    let refusal = |to: &str| stage.run(["backup", "--dir", "registry", "--to", to]).refusal();
    let another = stage.run(["init", "--dir", "another"]);
    assert!(another.status.success(), "{another:?}");
    fs::create_dir(stage.dir.path().join("full")).expect("a folder");
    fs::write(stage.dir.path().join("full/notes.txt"), "mine").expect("a file");
    let made = stage.run(["backup", "--dir", "another", "--to", "of-another"]);
    assert!(made.status.success(), "{made:?}");
    let said: Vec<String> = ["registry/backup", "another", "full", "of-another"].map(refusal).into();
    assert_said("where-a-backup-does-not-go", &said.join(""), &stage);
    assert_eq!(files(&stage.dir.path().join("full")).into_keys().collect::<Vec<_>>(), ["notes.txt"]);

    // Without keys it can be kept where others read; what is restored of it waits for them.
    let made = stage.run(["backup", "--json", "--dir", "registry", "--to", "plain", "--without-keys"]).json();
    assert_eq!((&made["keys"], stage.dir.path().join("plain/keys").exists()), (&json!(false), false));
    let restored = stage.restore("plain", "restored", &[]).json();
    assert_eq!((&restored["seq"], &restored["signed"]), (&json!(1), &json!(false)), "{restored}");
    for holder in ["indexer", "signer"] {
        let keys = |of: &str| stage.dir.path().join(format!("{of}/keys/{holder}"));
        copy(&keys("registry"), &keys("restored"));
    }
    stage.put_in_place("restored");
    let server = stage.serve();
    assert_eq!(stage.known(&server.url, "c"), (1, Vec::new()));
}

#[test]
fn a_backup_that_lacks_bytes_is_not_restored() {
    let Some(stage) = Stage::new() else { return };
    let server = stage.serve();
    let key = stage.author(&server);
    stage.publish(&server.url, &key, &[&stage.plugin("answer", "1.0.0", 41, 0)]).json();
    stage.backup("backup");
    let store = stage.dir.path().join("backup/blobs/store/sha256");
    let name = files(&store).into_keys().next().expect("a blob");
    fs::write(store.join(&name), "other bytes").expect("a file");
    let refused = stage.run(["restore", "--from", "backup", "--to", "restored"]).refusal();
    assert_said("a-backup-with-a-damaged-blob", &refused, &stage);
    assert!(!stage.dir.path().join("restored/registry.toml").exists(), "what was not restored does not run");
    let whole = stage.restore("backup", "mended", &["--newer", "registry"]).json();
    assert_eq!((&whole["seq"], &whole["signed"]), (&json!(3), &json!(true)), "another copy has the bytes: {whole}");
    // The next backup mends it.
    let made = stage.backup("backup");
    assert_eq!((&made["seq"], &made["copied"]), (&json!(3), &json!(1)), "{made}");
    assert_eq!(stage.restore("backup", "whole", &[]).json()["signed"], true);
}
