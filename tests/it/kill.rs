//! `stoa serve` is killed at random instants while clients publish and yank, and while it starts, and is started again on its
//! folder.
//!
//! `STOA_SEED` repeats a run's instants; what the clients had done by then differs all the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::MetadataExt as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use stoa_core::{digest::Digest, document::State, path::PublicPath};
use stoa_loader::{Cache, Refresh, Registry, TrustRoot};

use crate::{
    crash::machine::{Plugin, inline},
    process::{Server, Stage, scratch, status},
};

const KILLS: u64 = 50;
const CLIENTS: u64 = 3;
/// A kill comes so long after the clients begin, in microseconds: from 5 ms on, within 150 ms.
const EARLIEST: u64 = 5_000;
const SPREAD: u64 = 145_000;
/// Every second restart is killed as well, within 100 ms: a start takes about as long.
const SPREAD_OF_STARTS: u64 = 100_000;
const PATIENCE: Duration = Duration::from_secs(20);

/// SplitMix64: a seed gives the same numbers everywhere.
struct Random(u64);

impl Random {
    fn seeded() -> Self {
        let given = std::env::var("STOA_SEED").ok().map(|text| text.parse().expect("STOA_SEED is a number"));
        let seed = given.unwrap_or_else(|| u64::from(std::process::id()) << 32 | u64::from(now().subsec_nanos()));
        let _unseen = writeln!(io::stderr(), "kills: STOA_SEED={seed} repeats these instants");
        Self(seed)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

fn now() -> Duration {
    std::time::UNIX_EPOCH.elapsed().expect("a clock")
}

/// One request of a client, and what it was told.
#[derive(Debug, Clone)]
struct Request {
    path: String,
    body: Value,
    /// `demo:NAME VERSION`, and whether it is a yank of it.
    release: String,
    yanks: bool,
    /// `None`: the server died before the answer was whole.
    answer: Option<Value>,
}

/// Posts to the API. An error, or half an answer, is what a client sees of a server that died.
fn post(address: &str, key: &str, path: &str, body: &Value) -> io::Result<(u16, Value)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let body = body.to_string();
    write!(
        stream,
        "POST /api/v1/{path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let cut = || io::Error::new(io::ErrorKind::UnexpectedEof, "the answer is not whole");
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").ok_or_else(cut)?;
    let value = serde_json::from_slice(&answer[end + 4..]).map_err(|_| cut())?;
    Ok((status(std::str::from_utf8(&answer[..end]).expect("text")), value))
}

/// Publishes version after version of a plugin of its own, and yanks every third, until the server is gone.
fn client(address: &str, key: &str, name: &str, over: &AtomicBool) -> Vec<Request> {
    let mut made = Vec::new();
    for patch in 0.. {
        let version = format!("1.0.{patch}");
        let release = format!("demo:{name} {version}");
        let publish = inline(&[Plugin::new(name, &version, patch)]);
        let mut requests = vec![(String::from("publishes/inline"), publish, false)];
        if patch % 3 == 0 {
            requests.push((format!("plugins/demo/{name}/{version}/yank"), json!({"reason": "a test"}), true));
        }
        for (path, body, yanks) in requests {
            let told = post(address, key, &path, &body);
            let answer = told.ok().map(|(status, answer)| {
                assert_eq!(status, 200, "{path}: {answer}");
                answer
            });
            let died = answer.is_none();
            made.push(Request { path, body, release: release.clone(), yanks, answer });
            if died || over.load(Ordering::SeqCst) {
                return made;
            }
        }
    }
    made
}

/// Starts the clients and kills the server under them. Gives what each had asked.
fn killed_under_load(server: Server, key: &str, round: u64, after: Duration) -> Vec<Request> {
    let address = server.url.trim_start_matches("http://").to_owned();
    let over = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|n| {
            let (address, key, over) = (address.clone(), key.to_owned(), over.clone());
            thread::spawn(move || client(&address, &key, &format!("round{round}-client{n}"), &over))
        })
        .collect();
    // The instant of the kill is what this test is about; nothing waits for it.
    thread::sleep(after);
    // SIGKILL.
    drop(server);
    over.store(true, Ordering::SeqCst);
    clients.into_iter().flat_map(|client| client.join().expect("a client that saw no wrong answer")).collect()
}

/// A file whose bytes may never change.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    digest: Digest,
    /// Inode, length, and when it was written last: who writes to a file changes one of them.
    stamp: (u64, u64, i64, i64),
}

/// All files whose bytes may never change. Those that have the stamp that they had are not read again. Where a name
/// says what the digest is, it has to be that.
fn immutable(registry: &Path, known: &BTreeMap<String, Kept>) -> BTreeMap<String, Kept> {
    let (blobs, mut found) = (registry.join("blobs"), BTreeMap::new());
    let mut folders = vec![blobs.join("public"), blobs.join("store"), blobs.join("events")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(&blobs).expect("a path below").to_str().expect("text").to_owned();
            let public = name.strip_prefix("public/").map(|path| path.parse::<PublicPath>().expect("a public path"));
            if public.as_ref().is_some_and(|path| path.cache() != stoa_core::path::Cache::Immutable) {
                continue;
            }
            let meta = fs::metadata(&path).expect("a file");
            let stamp = (meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec());
            if let Some(kept) = known.get(&name).filter(|kept| kept.stamp == stamp) {
                found.insert(name, kept.clone());
                continue;
            }
            let digest = Digest::of(&fs::read(&path).expect("a file"));
            let named = match &public {
                Some(PublicPath::Artifact(named) | PublicPath::Document(_, named)) => Some(*named),
                _ => name.strip_prefix("store/sha256/").map(|text| text.parse().expect("a digest")),
            };
            assert!(named.is_none_or(|named| named == digest), "`{name}` has other bytes than its name says");
            found.insert(name, Kept { digest, stamp });
        }
    }
    found
}

fn assert_kept(before: &BTreeMap<String, Kept>, after: &BTreeMap<String, Kept>) {
    for (path, kept) in before {
        let digest = after.get(path).map(|kept| kept.digest);
        assert_eq!(digest, Some(kept.digest), "`{path}` has changed or is gone");
    }
}

/// Nothing half written is left. What a living process is writing is there for an instant.
pub(crate) fn nothing_beside(blobs: &Path) {
    let beside = || fs::read_dir(blobs.join(".beside")).expect("a folder").count();
    let until = Instant::now() + PATIENCE;
    while beside() != 0 {
        assert!(Instant::now() < until, "unfinished files are left");
        thread::sleep(Duration::from_millis(5));
    }
}

/// What the log says: releases in their order, and which of them are yanked.
struct Log {
    head: u64,
    releases: Vec<String>,
    yanked: BTreeSet<String>,
}

fn log(server: &Server) -> Log {
    let mut log = Log { head: 0, releases: vec![], yanked: BTreeSet::new() };
    loop {
        let (_, body) = server.get(&format!("api/v1/events?after={}", log.head));
        let page: Value = serde_json::from_slice(&body).expect("JSON");
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        for event in page["events"].as_array().expect("a list") {
            log.head += 1;
            assert_eq!(event["seq"], log.head, "no event is missing");
            match event["fact"]["type"].as_str() {
                Some("released") => {
                    let releases = event["fact"]["releases"].as_array().expect("a list");
                    log.releases.extend(releases.iter().map(|r| format!("{} {}", text(&r["id"]), text(&r["version"]))));
                }
                Some("yanked") => {
                    let fact = &event["fact"];
                    log.yanked.insert(format!("{} {}", text(&fact["id"]), text(&fact["version"])));
                }
                _ => {}
            }
        }
        if page["events"].as_array().is_some_and(Vec::is_empty) {
            return log;
        }
    }
}

/// What was answered is in the log, once; what was not is asked again, and has one answer from then on.
/// Of what was answered one request is asked again as well.
fn settle(server: &Server, key: &str, before: &Log, requests: &mut [Request]) {
    for request in requests.iter().filter(|request| request.answer.is_some()) {
        assert!(before.releases.contains(&request.release), "{request:?} was accepted, and is lost");
        assert!(!request.yanks || before.yanked.contains(&request.release), "{request:?} was accepted, and is lost");
    }
    let repeated = requests.iter().rposition(|request| request.answer.is_some());
    for (place, request) in requests.iter_mut().enumerate() {
        if request.answer.is_some() && Some(place) != repeated {
            continue;
        }
        let (status, again) = server.post(&request.path, key, &request.body);
        assert_eq!(status, 200, "asked again: {again}");
        if let Some(first) = &request.answer {
            assert_eq!(*first, again, "asked again, the answer is another one");
        }
        request.answer = Some(again);
    }
    let after = log(server);
    let once: BTreeSet<_> = after.releases.iter().collect();
    assert_eq!(once.len(), after.releases.len(), "nothing is recorded twice");
    assert!(after.releases.starts_with(&before.releases), "the log only grows");
}

/// Reads these releases as a host does, and the newest component of each plugin, once the signed index covers `head`.
async fn verify(registry: &Registry, head: u64, releases: &BTreeSet<String>, yanked: &BTreeSet<String>) {
    let until = tokio::time::Instant::now() + PATIENCE;
    let snapshot = loop {
        let snapshot = registry.sync(Refresh::Always).await.expect("an index that the keys vouch for");
        if snapshot.seq().await >= head {
            break snapshot;
        }
        assert!(tokio::time::Instant::now() < until, "the signed index does not come to event {head}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let mut documents = BTreeMap::new();
    for release in releases {
        let (id, version) = release.split_once(' ').expect("a release");
        if !documents.contains_key(id) {
            let document = snapshot.document(&id.parse().expect("an id")).await.expect("a document");
            let document = document.unwrap_or_else(|| panic!("`{id}` is in the log, and not in the index"));
            let (_, listing) = document.releases.iter().next_back().expect("a release");
            registry.read(listing.artifact).await.expect("its component");
            documents.insert(id, document);
        }
        let listing = documents[id].releases.get(&version.parse().expect("a version"));
        let listing = listing.unwrap_or_else(|| panic!("{release} is in the log, and not in the index"));
        assert_eq!(matches!(listing.state, State::Yanked { .. }), yanked.contains(release), "{release}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_kills_under_load_lose_nothing_that_was_accepted() {
    let Some(stage) = Stage::at(scratch()) else { return };
    let mut random = Random::seeded();
    let registry = stage.dir.path().join("registry");
    let root = fs::read(stage.root()).expect("the root");
    let mut server = stage.serve();
    let key = stage.author(&server);
    // A host that lives through all of it, and would notice an index that goes back.
    let public = format!("file://{}", registry.join("blobs/public").display());
    let cache = Cache::at(stage.path("host")).expect("a cache");
    let host = Registry::open(&public, TrustRoot::pinned(root.clone()), cache).await.expect("a registry");
    let mut settled = BTreeSet::new();
    let (mut kept, mut asked, mut lost) = (BTreeMap::<String, Kept>::new(), 0, 0);
    for round in 0..KILLS {
        let after = Duration::from_micros(EARLIEST + random.below(SPREAD));
        let mut requests = killed_under_load(server, &key, round, after);
        asked += requests.len();
        lost += requests.iter().filter(|request| request.answer.is_none()).count();
        let left = immutable(&registry, &kept);
        assert_kept(&kept, &left);
        kept = left;
        if round % 2 == 1 {
            // A start ends what the index lacks: a kill within it meets an index run.
            let starting = stage.starting("", "127.0.0.1:0");
            thread::sleep(Duration::from_micros(random.below(SPREAD_OF_STARTS)));
            drop(starting);
        }
        server = stage.serve();
        nothing_beside(&registry.join("blobs"));
        // The start has brought the index to the head: what the round before asked again, and what this one was told.
        let told = requests.iter().filter(|request| request.answer.is_some());
        settled.extend(told.map(|request| request.release.clone()));
        let log = log(&server);
        verify(&host, log.head, &settled, &log.yanked).await;
        settle(&server, &key, &log, &mut requests);
        settled = requests.into_iter().map(|request| request.release).collect();
    }
    let _unseen = writeln!(io::stderr(), "kills: {KILLS}, under {asked} requests, {lost} of them without an answer");
    assert!(lost >= 25, "only {lost} requests were cut off by {KILLS} kills: the load is too low");
    // All of it read once more: a stamp may lie.
    assert_kept(&kept, &immutable(&registry, &BTreeMap::new()));
    // And a host that has seen nothing yet, over HTTP.
    let log = log(&server);
    let cache = Cache::at(stage.path("newcomer")).expect("a cache");
    let newcomer = Registry::open(&server.url, TrustRoot::pinned(root), cache).await.expect("a registry");
    verify(&newcomer, log.head, &log.releases.iter().cloned().collect(), &log.yanked).await;
    assert_eq!(server.stop().code(), Some(0));
}
