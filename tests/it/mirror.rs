//! Mirrors: made, served, checked, damaged, cut off, carried to where there is no network.

mod keys;

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::symlink,
    path::Path,
    process::{Child, Stdio},
};

use serde_json::{Value, json};

use crate::{
    process::{Ran, Server, Stage, assert_said, stoa},
    readme::{blocks, repository},
    tree::{Served, Tree},
};

impl Stage {
    fn mirror(&self, url: &str, to: &str) -> Ran {
        self.run(["mirror", "--json", url, to, "--root-sha256", &self.fingerprint])
    }

    fn verify(&self, place: &str) -> Ran {
        self.run(["verify", "--json", place, "--root-sha256", &self.fingerprint])
    }

    fn replay(&self, events: &str, dir: &str) -> Ran {
        self.run(["replay", "--json", events, dir, "--root-sha256", &self.fingerprint])
    }

    fn mirroring(&self, url: &str, to: &str) -> Child {
        let args = ["mirror", url, to, "--root-sha256", &self.fingerprint];
        self.prepared("", args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program runs")
    }

    /// A registry with `demo:answer` at 1.0.0, then `demo:a` and `demo:b`: its server and the key of their author.
    fn with_three_plugins(&self) -> (Server, String) {
        let server = self.serve();
        let key = self.author(&server);
        self.publish(&server.url, &key, &[&self.plugin("answer", "1.0.0", 41, 0)]).json();
        let both = [self.plugin("a", "1.0.0", 1, 0), self.plugin("b", "1.0.0", 2, 0)];
        self.publish(&server.url, &key, &[&both[0], &both[1]]).json();
        (server, key)
    }
}

/// Code and message of a refusal.
#[track_caller]
fn refused(ran: &Ran) -> (String, String) {
    assert_eq!(ran.status.code(), Some(1), "{ran:?}");
    let error: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    let text = |key: &str| error["error"][key].as_str().unwrap_or_else(|| panic!("no {key}: {error}")).to_owned();
    (text("code"), text("message"))
}

#[test]
fn a_mirror_has_all_that_the_pointer_reaches_and_the_next_run_copies_only_what_changed() {
    let Some(stage) = Stage::new() else { return };
    let (server, key) = stage.with_three_plugins();
    let whole = Tree::settled(&stage, 4);
    let source = Served::start(whole.clone());
    let made = stage.mirror(&source.url, "mirror").json();
    // Targets, index, catalog and 256 bins; three documents; and of each plugin record, component, WIT and readme.
    let counts = ["seq", "roles", "documents", "blobs"].map(|key| made[key].as_u64().expect("a number"));
    assert_eq!(counts, [4, 259, 3, 12], "{made}");
    assert_eq!(made["skipped"][0]["what"], "pages");
    let mirror = Tree::of(&stage.dir.path().join("mirror"));
    assert_eq!(mirror.paths().len() as u64, 1 + 2 + 259 + 3 + 12, "root, pointer and snapshot beside them");
    for path in mirror.paths() {
        assert_eq!(mirror.file(&path), whole.file(&path), "{path}");
    }
    // All are copied in one run, each once; the root twice: to be pinned, and the next one, which is not there.
    let asked = source.asked();
    assert_eq!(asked.len() as u64, made["requests"].as_u64().expect("a number"));
    assert_eq!(asked.iter().collect::<BTreeSet<_>>().len(), asked.len(), "no file twice");

    let again = stage.mirror(&source.url, "mirror").json();
    assert_eq!((&again["copied"], &again["requests"]), (&json!(0), &json!(2)), "{again}");
    assert_eq!(source.asked(), ["trust/2.root.json", "trust/timestamp.json"]);

    stage.publish(&server.url, &key, &[&stage.plugin("answer", "1.1.0", 42, 0)]).json();
    let after = Tree::settled(&stage, 5);
    source.serve(after.clone());
    let news = stage.mirror(&source.url, "mirror").json();
    let (document, bin) = (after.document_of("demo:answer"), after.bin_of("demo:answer"));
    let asked = source.asked();
    assert_eq!(asked[..5], ["trust/2.root.json", "trust/timestamp.json", "trust/5.snapshot.json", &bin, &document]);
    // Record, component, readme; the WIT is the same.
    assert_eq!((asked.len(), news["copied"].as_u64()), (8, Some(7)), "{asked:?}");
    assert!(asked[5..].iter().all(|path| path.starts_with("artifacts/sha256/")), "{asked:?}");
    let now = Tree::of(&stage.dir.path().join("mirror"));
    let new: Vec<_> = now.paths().into_iter().filter(|path| !mirror.paths().contains(path)).collect();
    assert_eq!(new.iter().collect::<BTreeSet<_>>(), asked[2..].iter().collect());
    assert_eq!(stage.verify("mirror").json()["seq"], 5);
}

#[test]
fn a_mirror_serves_hosts_from_any_web_server_and_from_a_stick() {
    let Some(stage) = Stage::new() else { return };
    let (server, _) = stage.with_three_plugins();
    stage.mirror(&server.url, "mirror").json();
    assert_eq!(server.stop().code(), Some(0));
    let served = Served::start(Tree::of(&stage.dir.path().join("mirror")));
    let call = ["run", "--json", "demo:answer", "--invoke", "add(1)"];
    assert_eq!(stage.host(&served.url, &stage.path("cache-of-a-host"), &call).json()["result"], "42");

    // Behind the air gap there is a folder, and no network.
    let stick = format!("file://{}", stage.path("mirror"));
    let wanted = format!(
        "[registries.main]\nurl = \"{stick}\"\nroot-sha256 = \"{}\"\n\n[plugins]\n\"demo:answer\" = \"^1\"\n",
        stage.fingerprint
    );
    fs::write(stage.dir.path().join("plugins.toml"), wanted).expect("a list");
    let host = |args: &[&str]| stage.run(args.iter().copied().chain(["--json", "--cache", "cache-of-the-airgapped"]));
    assert_eq!(host(&["lock"]).json()["added"], json!(["demo:answer@1.0.0"]));
    assert_eq!(host(&["fetch"]).json()["plugins"], 1);
    assert_eq!(stage.host(&stick, &stage.path("cache-of-the-airgapped"), &call).json()["result"], "42");
    // A mirror can be mirrored on.
    let further = stage.mirror(&stick, "further").json();
    assert_eq!((&further["seq"], stage.verify("further").json()["blobs"].as_u64()), (&json!(4), Some(12)));
}

/// One flaw: its name, and what it does to a copy of the tree.
type Flaw = (&'static str, fn(&mut Tree));

const FLAWS: [Flaw; 10] = [
    ("a component with a flipped byte", |tree| flip(tree, |release| &release["artifact"])),
    ("a record with a flipped byte", |tree| flip(tree, |release| &release["record"])),
    ("a component that is not there", |tree| {
        let path = artifact(tree, |release| &release["artifact"]);
        tree.remove(&path);
    }),
    ("a component that is cut off", |tree| {
        let path = artifact(tree, |release| &release["artifact"]);
        tree.edit(&path, |bytes| bytes.truncate(bytes.len() - 1));
    }),
    ("an endless component", |tree| {
        let path = artifact(tree, |release| &release["artifact"]);
        tree.edit(&path, |bytes| bytes.resize(bytes.len() + 1_000_000, 0));
    }),
    ("a document with a flipped byte", |tree| {
        let path = tree.document_of("demo:answer");
        tree.edit(&path, |bytes| bytes[9] ^= 1);
    }),
    ("a bin in the place of another", |tree| {
        let other = tree.file(&tree.bin_of("demo:b")).to_vec();
        let path = tree.bin_of("demo:a");
        tree.edit(&path, |bytes| *bytes = other.clone());
    }),
    ("a bin that is not there", |tree| {
        let path = tree.bin_of("demo:a");
        tree.remove(&path);
    }),
    ("a snapshot with another byte", |tree| {
        let path = tree.snapshot();
        tree.edit(&path, |bytes| bytes[20] ^= 1);
    }),
    ("a pointer of another key", |tree| {
        tree.edit_text("trust/timestamp.json", |text| {
            let at = text.find("\"sig\":\"").expect("a signature") + 10;
            let digit = if text.as_bytes()[at] == b'0' { "1" } else { "0" };
            text.replace_range(at..=at, digit);
        });
    }),
];

/// The path of a blob that the document of `demo:answer` names.
fn artifact(tree: &Tree, named: fn(&Value) -> &Value) -> String {
    let document = tree.json(&tree.document_of("demo:answer"));
    let named = named(&document["releases"][0]);
    let digest = named.as_str().or_else(|| named["digest"].as_str()).unwrap_or_else(|| panic!("no digest: {document}"));
    format!("artifacts/sha256/{digest}")
}

fn flip(tree: &mut Tree, named: fn(&Value) -> &Value) {
    let path = artifact(tree, named);
    tree.edit(&path, |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    });
}

#[test]
fn every_flaw_of_a_copy_is_named_by_file_and_code_and_is_never_mirrored_on() {
    let Some(stage) = Stage::new() else { return };
    let (server, key) = stage.with_three_plugins();
    let old = Tree::settled(&stage, 4);
    let source = Served::start(old.clone());
    stage.mirror(&source.url, "mirror").json();
    // Another event, so that the mirror has something to copy, and every file of `demo:answer` is a new one.
    stage.publish(&server.url, &key, &[&stage.plugin("answer", "1.1.0", 42, 0)]).json();
    let whole = Tree::settled(&stage, 5);
    let mut said = String::new();
    for (number, (flaw, damage)) in FLAWS.iter().enumerate() {
        let mut tree = whole.clone();
        damage(&mut tree);
        let folder = format!("copy-{number}");
        tree.write(&stage.dir.path().join(&folder));
        let (code, message) = refused(&stage.verify(&folder));
        said.push_str(&format!("{flaw}\n  {code}: {message}\n"));

        // A new mirror comes to the same end, and one that is there stays what it was.
        source.serve(tree.clone());
        let fresh = format!("fresh-{number}");
        let (code, message) = refused(&stage.mirror(&source.url, &fresh));
        said.push_str(&format!("  mirror: {code}: {message}\n"));
        let fresh = Tree::of(&stage.dir.path().join(&fresh));
        assert!(!fresh.paths().contains(&"trust/timestamp.json".to_owned()), "{flaw}: nothing points at half a copy");
        for path in fresh.paths() {
            assert_eq!(fresh.file(&path), whole.file(&path), "{flaw}: {path} was not verified");
        }
    }
    assert_said("what-is-wrong-with-a-copy", &said, &stage);
    assert_eq!(stage.verify("mirror").json()["seq"], 4, "what was mirrored before is whole");
    source.serve(whole);
    assert_eq!(stage.mirror(&source.url, "mirror").json()["seq"], 5, "from a whole copy it goes on");
}

#[test]
fn a_mirror_heals_what_its_disk_has_lost_and_never_goes_back() {
    let Some(stage) = Stage::new() else { return };
    let (server, key) = stage.with_three_plugins();
    let old = Tree::settled(&stage, 4);
    stage.publish(&server.url, &key, &[&stage.plugin("answer", "1.1.0", 42, 0)]).json();
    let source = Served::start(Tree::settled(&stage, 5));
    stage.mirror(&source.url, "mirror").json();
    let mut damaged = Tree::of(&stage.dir.path().join("mirror"));
    let whole = damaged.clone();
    for (_, damage) in &FLAWS[..4] {
        damage(&mut damaged);
        damaged.write(&stage.dir.path().join("mirror"));
        damaged = whole.clone();
        for path in damaged.paths() {
            let there = fs::read(stage.dir.path().join("mirror").join(&path)).expect("a file");
            if there != damaged.file(&path) {
                let healed = stage.mirror(&source.url, "mirror").json();
                assert_eq!((&healed["copied"], &healed["requests"]), (&json!(1), &json!(3)), "{path}: {healed}");
                break;
            }
        }
        assert_eq!(stage.verify("mirror").json()["seq"], 5);
    }

    source.serve(old);
    let (code, message) = refused(&stage.mirror(&source.url, "mirror"));
    assert_eq!(code, "older-pointer", "{message}");
    assert_eq!(stage.verify("mirror").json()["seq"], 5);
}

#[test]
fn a_mirror_that_is_killed_at_any_request_leaves_the_pointer_before_and_goes_on_where_it_was() {
    let Some(stage) = Stage::new() else { return };
    let (server, key) = stage.with_three_plugins();
    let source = Served::start(Tree::settled(&stage, 4));
    stage.mirror(&source.url, "mirror").json();
    stage.publish(&server.url, &key, &[&stage.plugin("answer", "1.1.0", 42, 0)]).json();
    source.serve(Tree::settled(&stage, 5));
    source.asked();
    let mut killed = 0;
    loop {
        // One answer more each time than the last one had come to.
        source.answer_only(Some(3));
        let mut child = stage.mirroring(&source.url, "mirror");
        let stalled = source.stalled(|| child.try_wait().expect("a child").is_some());
        child.kill().expect("killed, or gone");
        let status = child.wait().expect("a child");
        let asked = source.asked();
        source.answer_only(None);
        if !stalled {
            assert!(status.success(), "{asked:?}");
            break;
        }
        killed += 1;
        assert_eq!(stage.verify("mirror").json()["seq"], 4, "after {asked:?}");
        assert!(killed < 20, "every run comes further: {asked:?}");
    }
    assert_eq!(stage.verify("mirror").json()["seq"], 5);
    assert!(killed >= 3, "snapshot, bin, document, blobs: {killed}");
    let left: Vec<_> = fs::read_dir(stage.dir.path().join("mirror/.mirror")).expect("a folder").flatten().collect();
    let names: Vec<_> = left.iter().map(|entry| entry.file_name()).collect();
    assert_eq!(names, ["lock"], "nothing unfinished is left");
}

#[test]
fn a_mirror_goes_to_a_folder_of_its_own_and_follows_no_link_out_of_it() {
    let Some(stage) = Stage::new() else { return };
    let (server, _) = stage.with_three_plugins();
    let dir = stage.dir.path();
    fs::create_dir(dir.join("full")).expect("a folder");
    fs::write(dir.join("full/notes.txt"), "mine").expect("a file");
    stage.run(["init", "--dir", "another"]);
    let of_another = dir.join("another/blobs/public");
    let said: Vec<_> = ["full", of_another.to_str().expect("text")]
        .into_iter()
        .map(|to| refused(&stage.mirror(&server.url, to)))
        .map(|(code, message)| format!("{code}: {message}\n"))
        .collect();
    assert_said("where-a-mirror-does-not-go", &said.concat(), &stage);
    assert_eq!(fs::read_dir(dir.join("full")).expect("a folder").count(), 1);

    // Links in it: one for a folder, one for a file that a document's name is given to.
    stage.mirror(&server.url, "mirror").json();
    fs::create_dir(dir.join("outside")).expect("a folder");
    fs::write(dir.join("outside/file"), "mine").expect("a file");
    let tree = Tree::of(&dir.join("mirror"));
    let document = dir.join("mirror").join(tree.document_of("demo:answer"));
    fs::remove_file(&document).expect("removed");
    symlink(dir.join("outside/file"), &document).expect("a link");
    assert_eq!(stage.mirror(&server.url, "mirror").json()["copied"], 1);
    assert!(!fs::symlink_metadata(&document).expect("there").is_symlink(), "the file is in the link's place");
    assert_eq!(fs::read_to_string(dir.join("outside/file")).expect("a file"), "mine");

    let artifacts = dir.join("mirror/artifacts");
    fs::remove_dir_all(&artifacts).expect("removed");
    symlink(dir.join("outside"), &artifacts).expect("a link");
    let (code, message) = refused(&stage.mirror(&server.url, "mirror"));
    assert_eq!(code, "disk", "{message}");
    assert_eq!(fs::read_dir(dir.join("outside")).expect("a folder").count(), 1, "nothing was written through it");
}

#[test]
fn two_mirrors_do_not_write_one_folder_at_a_time() {
    let Some(stage) = Stage::new() else { return };
    let server = stage.serve();
    let source = Served::start(Tree::settled(&stage, 1));
    source.answer_only(Some(5));
    let mut first = stage.mirroring(&source.url, "mirror");
    assert!(source.stalled(|| first.try_wait().expect("a child").is_some()), "the first is at it");
    let (code, message) = refused(&stage.mirror(&server.url, "mirror"));
    assert_eq!((code.as_str(), message.as_str()), ("other-folder", "`mirror` is being written by another process"));
    first.kill().expect("killed");
    first.wait().expect("a child");
    assert_eq!(stage.mirror(&server.url, "mirror").json()["seq"], 1);
}

#[test]
fn a_replay_of_the_archive_gives_what_the_copy_has_and_names_the_first_file_that_differs() {
    let Some(stage) = Stage::new() else { return };
    let (server, _) = stage.with_three_plugins();
    stage.mirror(&server.url, "mirror").json();
    let tree = Tree::settled(&stage, 4);
    let events = stage.path("registry/blobs/events");
    for dir in ["mirror", "registry/blobs/public"] {
        let seen = stage.replay(&events, dir).json();
        // Three records and three documents; 256 bins, the catalog and the snapshot.
        assert_eq!([&seen["seq"], &seen["events"], &seen["files"]], [&json!(4), &json!(4), &json!(264)], "{seen}");
    }
    let mut said = String::new();
    let mut tell = |what: &str, ran: &Ran| {
        let (code, message) = refused(ran);
        said.push_str(&format!("{what}\n  {code}: {message}\n"));
    };
    // A document that a thief of keys might have signed differs from the log's; here the file alone does.
    let mirror = stage.dir.path().join("mirror");
    let document = mirror.join(tree.document_of("demo:answer"));
    let bytes = fs::read(&document).expect("a document");
    fs::write(&document, String::from_utf8(bytes.clone()).expect("text").replacen("MIT", "BSD", 1)).expect("a file");
    tell("another document", &stage.replay(&events, "mirror"));
    fs::write(&document, bytes).expect("a file");

    let archive = stage.dir.path().join("archive");
    let copy = |change: &dyn Fn(&Path)| {
        let _not_there = fs::remove_dir_all(&archive);
        fs::create_dir(&archive).expect("a folder");
        for entry in fs::read_dir(&events).expect("events").flatten() {
            fs::copy(entry.path(), archive.join(entry.file_name())).expect("a copy");
        }
        change(&archive);
    };
    let third = |archive: &Path| archive.join("0000000003.json");
    copy(&|archive| fs::remove_file(third(archive)).expect("removed"));
    tell("an event that is lost", &stage.replay("archive", "mirror"));
    copy(&|archive| fs::remove_file(archive.join("0000000004.json")).expect("removed"));
    tell("an archive that ends early", &stage.replay("archive", "mirror"));
    copy(&|archive| {
        let text = fs::read_to_string(third(archive)).expect("an event");
        fs::write(third(archive), text.replacen("Adds 41", "Adds 42", 1)).expect("an event");
    });
    tell("an event that was rewritten", &stage.replay("archive", "mirror"));
    copy(&|archive| {
        let last = archive.join("0000000004.json");
        let text = fs::read_to_string(&last).expect("an event");
        fs::write(&last, text.replacen("Adds 1 ", "Adds 2 ", 1)).expect("an event");
    });
    tell("the last event rewritten", &stage.replay("archive", "mirror"));
    tell("no archive", &stage.replay("nothing", "mirror"));
    assert_said("what-a-replay-says", &said, &stage);
}

#[test]
fn the_page_about_mirrors_can_be_followed_line_by_line() {
    let Some(stage) = Stage::new() else { return };
    let (server, _) = stage.with_three_plugins();
    let page = fs::read_to_string(repository().join("docs/operating/mirrors.md")).expect("the page");
    let script = blocks(&page).into_iter().filter(|(language, _)| language == "sh").map(|(_, block)| block);
    let script: String = script.collect::<String>().replace("https://plugins.example", &server.url);
    assert_eq!(script.lines().filter(|line| line.starts_with("stoa ")).count(), 7, "{script}");
    let dir = stage.dir.path();
    fs::copy(stage.root(), dir.join("root.json")).expect("a root");
    let program = stoa().expect("the program");
    let path = format!("{}:/usr/bin:/bin", program.parent().expect("a folder").display());
    let mut shell = std::process::Command::new("sh");
    shell.args(["-exc", &script]).current_dir(dir).env_clear().env("PATH", path).env("HOME", dir);
    let ran = shell.output().expect("a shell");
    let (said, complaint) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{said}\n{complaint}");
    for word in ["mirrored", "verified", "the same", "demo:answer"] {
        assert!(said.contains(word), "`{word}` in: {said}");
    }
}
