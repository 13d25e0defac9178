//! Disks that are full, read-only, or another user's: under a running registry, and under a host's cache.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    crash::machine::{Plugin, inline},
    kill::nothing_beside,
    process::{Server, Stage, scratch, skip, status},
};

const PATIENCE: Duration = Duration::from_secs(30);
/// The folder of the registry is a small file system in memory.
const SMALL: &str = "cp -a registry seed; mount -t tmpfs -o size=6m none registry; cp -a seed/. registry/; exec \"$@\"";
/// The blobs are a mount of their own, which can become read-only while files of the ledger are open.
const BOUND: &str = "mount --bind registry/blobs registry/blobs; exec \"$@\"";
/// The program runs as a user that the system's rights hold for.
const NOBODY: &str = "chown -R 65534:65534 .; exec setpriv --reuid=65534 --regid=65534 --clear-groups \"$@\"";

/// A stage, where a process may have mounts of its own.
fn stage() -> Option<Stage> {
    let tried = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-ec", "mount -t tmpfs -o size=1m none /mnt"])
        .output();
    match tried {
        Ok(output) if output.status.success() => Stage::at(scratch()),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            skip(&format!("nothing can be mounted here: {said}"));
            None
        }
        Err(error) => {
            skip(&format!("there is no `unshare`: {error}"));
            None
        }
    }
}

fn health(server: &Server) -> Value {
    let (head, body) = server.get("api/v1/health");
    assert_eq!(status(&head), 200, "{}", String::from_utf8_lossy(&body));
    serde_json::from_slice(&body).expect("JSON")
}

/// The health as soon as it is as expected.
pub(crate) fn health_when(server: &Server, what: &str, expected: impl Fn(&Value) -> bool) -> Value {
    let until = Instant::now() + PATIENCE;
    loop {
        let health = health(server);
        if expected(&health) {
            return health;
        }
        assert!(Instant::now() < until, "{what}: {health}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn in_trouble(health: &Value, part: &str, code: &str) -> bool {
    let found = health["troubles"].as_array().expect("a list").iter().find(|trouble| trouble["part"] == part);
    health["status"] == "degraded" && found.is_some_and(|t| t["code"] == code && t["state"] == "failing")
}

fn publish(server: &Server, key: &str, version: &str) -> (u16, Value) {
    server.post("publishes/inline", key, &inline(&[Plugin::new("answer", version, 41)]))
}

/// What is read goes on, and the log is as it was.
fn reads_go_on(server: &Server, artifact: &str, head: u64) {
    for path in ["trust/timestamp.json", "index.html", &format!("artifacts/sha256/{artifact}"), "api/v1/events"] {
        assert_eq!(status(&server.get(path).0), 200, "{path}");
    }
    assert_eq!(health(server)["head"]["seq"], head, "what was refused is not in the log");
}

/// A publish fails as it should and whole, and the registry recovers by itself.
fn refused_until_mended(stage: &Stage, prepare: &str, code: &str, harm: impl Fn(&Server), mend: impl Fn(&Server)) {
    let server = stage.serve_prepared(prepare);
    let key = stage.author(&server);
    let (told, first) = publish(&server, &key, "1.0.0");
    assert_eq!(told, 200, "{first}");
    let artifact = first["releases"][0]["artifact"]["digest"].as_str().expect("a digest").to_owned();
    health_when(&server, "signed", |health| health["signed"]["seq"] == 3);
    let page = || status(&server.get("plugins/demo/answer/").0) == 200;
    let until = Instant::now() + PATIENCE;
    while !page() {
        assert!(Instant::now() < until, "the plugin gets a page");
        std::thread::sleep(Duration::from_millis(20));
    }

    harm(&server);
    let (told, refused) = publish(&server, &key, "1.1.0");
    assert_eq!((told, &refused["code"]), (if code == "storage-full" { 507 } else { 503 }, &json!(code)), "{refused}");
    let sick = health_when(&server, "sick", |health| in_trouble(health, "storage", code));
    assert!(!sick.to_string().contains("registry/"), "health names no file: {sick}");
    reads_go_on(&server, &artifact, 3);
    nothing_beside(&within(stage, &server, "blobs"));

    mend(&server);
    health_when(&server, "well again", |health| health["status"] == "ok");
    let (told, published) = publish(&server, &key, "1.1.0");
    assert_eq!((told, &published["seq"]), (200, &json!(4)), "{published}");
    health_when(&server, "signed again", |health| health["signed"]["seq"] == 4 && health["status"] == "ok");
    assert_eq!(server.stop().code(), Some(0));
}

/// Below the registry's folder as the server sees it.
fn within(stage: &Stage, server: &Server, name: &str) -> PathBuf {
    let root = Path::new("/proc").join(server.pid().to_string()).join("root");
    root.join(stage.registry().trim_start_matches('/')).join(name)
}

fn fill(path: &Path) {
    let mut file = File::create(path).expect("a file");
    let mut piece = vec![0; 64 * 1024];
    loop {
        match file.write(&piece) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::StorageFull && piece.len() > 1 => piece.truncate(1),
            Err(error) if error.kind() == io::ErrorKind::StorageFull => return,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_publish_to_a_full_disk_is_refused_and_works_again_when_there_is_room() {
    let Some(stage) = stage() else { return };
    let filler = |server: &Server| within(&stage, server, "filler");
    refused_until_mended(
        &stage,
        SMALL,
        "storage-full",
        |s| fill(&filler(s)),
        |s| {
            fs::remove_file(filler(s)).expect("room");
        },
    );
}

fn remount(stage: &Stage, server: &Server, how: &str) {
    let (mounts, blobs) = (format!("--mount=/proc/{}/ns/mnt", server.pid()), format!("{}/blobs", stage.registry()));
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let run = Command::new("nsenter").args([&mounts, "mount", "-o", how, &blobs]).output().expect("nsenter runs");
        if run.status.success() {
            return;
        }
        // Pages follow the index in a task of their own: while one is being written, nothing can be made read-only.
        let busy = String::from_utf8_lossy(&run.stderr).contains("busy");
        assert!(busy && Instant::now() < until, "{run:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_publish_to_a_read_only_disk_is_refused_and_works_again_when_it_can_be_written() {
    let Some(stage) = stage() else { return };
    let remount = |how: &'static str| {
        let stage = &stage;
        move |server: &Server| remount(stage, server, how)
    };
    refused_until_mended(&stage, BOUND, "unavailable", remount("remount,bind,ro"), remount("remount,bind,rw"));
}

#[test]
fn a_publish_to_what_belongs_to_another_user_is_refused_and_works_again_when_it_is_given_back() {
    let Some(stage) = stage() else { return };
    let chown = |user: u32| {
        let store = format!("{}/blobs/store", stage.registry());
        move |_: &Server| {
            let run =
                |program: &str, args: &[&str]| Command::new(program).args(args).status().expect("it runs").success();
            assert!(run("chown", &["-R", &user.to_string(), &store]) && run("chmod", &["-R", "go+rX", &store]));
        }
    };
    refused_until_mended(&stage, NOBODY, "unavailable", chown(0), chown(65534));
}

#[test]
fn an_index_that_can_not_be_written_is_told_and_follows_by_itself_once_it_can() {
    let Some(stage) = stage() else { return };
    let server = stage.serve_prepared(BOUND);
    let key = stage.author(&server);
    assert_eq!(publish(&server, &key, "1.0.0").0, 200);
    health_when(&server, "signed", |health| health["signed"]["seq"] == 3);
    remount(&stage, &server, "remount,bind,ro");
    // A yank is in the ledger alone, which can be written.
    let (told, yanked) = server.post("plugins/demo/answer/1.0.0/yank", &key, &json!({"reason": "a test"}));
    assert_eq!((told, &yanked["yanked_seq"]), (200, &json!(4)), "{yanked}");
    let sick = health_when(&server, "sick", |health| in_trouble(health, "index", "unavailable"));
    assert_eq!((&sick["head"]["seq"], &sick["signed"]["seq"]), (&json!(4), &json!(3)), "{sick}");
    assert_eq!(status(&server.get("trust/timestamp.json").0), 200);
    remount(&stage, &server, "remount,bind,rw");
    health_when(&server, "well again", |health| health["status"] == "ok" && health["signed"]["seq"] == 4);
}

#[test]
fn a_host_goes_on_with_a_cache_that_is_full_or_read_only() {
    let Some(stage) = stage() else { return };
    let server = stage.serve();
    let key = stage.author(&server);
    stage.publish(&server.url, &key, &[&stage.plugin("answer", "1.0.0", 41, 0)]).json();
    for name in ["full", "empty", "warm"] {
        fs::create_dir(stage.path(name)).expect("a folder");
    }
    let (root, url) = (stage.root(), server.url.clone());
    let call = |cache: &str, prepare: &str, more: &[&str]| {
        let args = ["run", "--json", "demo:answer", "--invoke", "add(1)", "--registry", &url, "--root", &root];
        let args: Vec<&str> = args.iter().chain(&["--cache", cache]).chain(more).copied().collect();
        stage.run_prepared(prepare, args).json()["result"].clone()
    };
    let full = "mount -t tmpfs -o size=16k none full; head -c 65536 /dev/zero > full/filler || true; exec \"$@\"";
    assert_eq!(call("full", full, &[]), "42", "from memory");
    let read_only = |name: &str| format!("mount --bind {name} {name}; mount -o remount,bind,ro {name}; exec \"$@\"");
    assert_eq!(call("empty", &read_only("empty"), &[]), "42", "from memory");
    assert_eq!(fs::read_dir(stage.path("empty")).expect("a folder").count(), 0);
    assert_eq!(call("warm", "", &[]), "42");
    server.stop();
    assert_eq!(call("warm", &read_only("warm"), &["--offline"]), "42", "from the cache, with nobody to ask");
}
