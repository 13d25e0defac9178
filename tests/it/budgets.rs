//! What a host pays at ten thousand plugins: requests, and compressed bytes of bodies; and what `stoa trust plan` says it pays.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read as _, Write as _},
    path::Path,
    pin::Pin,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
};

use stoa_core::{digest::Digest, id::PluginId, index::bin_of, path::PublicPath, time::Time, trust::BitLength};
use stoa_corpus::{Corpus, Tree};
use stoa_loader::{
    Cache, Refresh, Registry, TrustRoot,
    transport::{Answer, Transport, TransportError},
};

use crate::process::Stage;

const PLUGINS: usize = 10_000;
/// As many bins as `stoa init` makes.
const BIN_BITS: u8 = 8;
const BEGINNING: i64 = 1_795_000_000;

fn corpus() -> Corpus {
    Corpus::new(1, PLUGINS)
}

/// Ten thousand plugins of one release each, published.
fn ten_thousand() -> Tree {
    Tree::of(&corpus(), BIN_BITS, Time::from_unix(BEGINNING))
}

fn serve(tree: &Tree) -> Arc<Memory> {
    Arc::new(Memory { files: Mutex::new(tree.files().clone()), bodies: Mutex::default() })
}

/// A registry in memory that keeps the bodies it gave.
struct Memory {
    files: Mutex<BTreeMap<String, Vec<u8>>>,
    bodies: Mutex<Vec<(String, Vec<u8>)>>,
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Memory")
    }
}

impl Memory {
    fn answer(&self, path: &PublicPath, known: Option<&str>) -> Answer {
        let path = path.to_string();
        let files = self.files.lock().expect("a lock");
        let Some(bytes) = files.get(&path) else {
            self.bodies.lock().expect("a lock").push((path, vec![]));
            return Answer::Absent;
        };
        let tag = Digest::of(bytes).to_string();
        let same = known == Some(tag.as_str());
        self.bodies.lock().expect("a lock").push((path, if same { vec![] } else { bytes.clone() }));
        if same { Answer::NotModified } else { Answer::Found { bytes: bytes.clone().into(), tag: Some(tag) } }
    }
}

impl Transport for Memory {
    fn get<'s, 'p, 'k, 'f>(
        &'s self,
        path: &'p PublicPath,
        _max_bytes: u64,
        known: Option<&'k str>,
    ) -> Pin<Box<dyn Future<Output = Result<Answer, TransportError>> + Send + 'f>>
    where
        's: 'f,
        'p: 'f,
        'k: 'f,
        Self: 'f,
    {
        Box::pin(std::future::ready(Ok(self.answer(path, known))))
    }

    fn requests(&self) -> u64 {
        self.bodies.lock().expect("a lock").len() as u64
    }
}

/// How long `bytes` are after gzip, which every CDN and client has; `None` where this machine has no gzip.
fn gzipped(bytes: &[u8]) -> Option<usize> {
    let mut command = Command::new("gzip");
    let mut child = command.args(["-6", "-n", "-c"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
    let mut input = child.stdin.take().expect("a pipe");
    let bytes = bytes.to_vec();
    let writing = std::thread::spawn(move || input.write_all(&bytes));
    let mut compressed = Vec::new();
    child.stdout.take().expect("a pipe").read_to_end(&mut compressed).expect("its output");
    writing.join().expect("a thread").expect("its input");
    assert!(child.wait().expect("a child").success());
    Some(compressed.len())
}

/// Headers apart, what these bodies are on the way to a client.
fn gzipped_all(bodies: &[(String, Vec<u8>)]) -> Option<usize> {
    bodies.iter().map(|(_, body)| if body.is_empty() { Some(0) } else { gzipped(body) }).sum()
}

async fn open(tree: &Tree, memory: &Arc<Memory>, cache: &Path) -> Registry {
    let root = TrustRoot::pinned(tree.root().to_vec());
    let cache = Cache::at(cache).expect("a cache");
    let registry = Registry::open_through("https://plugins.example", memory.clone(), root, cache).await;
    registry.expect("a registry").with_clock(now)
}

/// Asks for news, and for the documents of these plugins.
async fn read_all(registry: &Registry, ids: &[PluginId]) {
    let snapshot = registry.sync(Refresh::Always).await.expect("an index");
    for id in ids {
        assert!(snapshot.document(id).await.expect("a document").is_some(), "{id}");
    }
}

fn now() -> Time {
    Time::from_unix(BEGINNING + 3600)
}

#[tokio::test]
async fn ones_own_plugin_changed_among_ten_thousand_takes_5_requests_and_12_kb() {
    let mut tree = ten_thousand();
    let (dir, memory) = (tempfile::tempdir().expect("a folder"), serve(&tree));
    let registry = open(&tree, &memory, dir.path()).await;
    let own = corpus().id(4321);
    let snapshot = registry.sync(Refresh::Always).await.expect("an index");
    assert!(snapshot.document(&own).await.expect("a document").is_some());

    // A day of others' releases, then one's own: every one of a thousand plugins moves its bin.
    tree.take_all(corpus().released(5000..6000, "1.1.0"));
    tree.take_all(corpus().released([4321], "1.1.0"));
    tree.publish();
    *memory.files.lock().expect("a lock") = tree.files().clone();
    memory.bodies.lock().expect("a lock").clear();

    let snapshot = registry.sync(Refresh::Always).await.expect("an index");
    let document = snapshot.document(&own).await.expect("a document").expect("a plugin");
    assert_eq!(document.releases.len(), 2);
    let bodies = memory.bodies.lock().expect("a lock").clone();
    let paths: Vec<_> = bodies.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(bodies.len(), 5, "{paths:?}");
    let Some(total) = gzipped_all(&bodies) else { return crate::process::skip("there is no gzip on this machine") };
    assert!(total <= 12_000, "{total} bytes: {paths:?}");
}

#[tokio::test]
async fn ten_plugins_of_ten_thousand_take_25_requests_cold_and_2_without_a_body_when_nothing_changed() {
    let tree = ten_thousand();
    let (dir, memory) = (tempfile::tempdir().expect("a folder"), serve(&tree));
    let own: Vec<_> = (0..10).map(|n| corpus().id(n * 997)).collect();
    let bits = BitLength::new(u64::from(BIN_BITS)).expect("bits");
    let bins: BTreeSet<_> = own.iter().map(|id| bin_of(id, bits)).collect();
    assert_eq!(bins.len(), 10, "ten that share no bin cost the most");

    read_all(&open(&tree, &memory, dir.path()).await, &own).await;
    let bodies = std::mem::take(&mut *memory.bodies.lock().expect("a lock"));
    let paths: Vec<_> = bodies.iter().map(|(path, _)| path.as_str()).collect();
    // The next root, timestamp, snapshot, targets and index; then a bin and a document each.
    assert_eq!(bodies.len(), 5 + 2 * own.len(), "{paths:?}");

    // Another process, with the cache alone.
    read_all(&open(&tree, &memory, dir.path()).await, &own).await;
    let bodies = memory.bodies.lock().expect("a lock").clone();
    assert_eq!(bodies, [("trust/2.root.json".to_owned(), vec![]), ("trust/timestamp.json".to_owned(), vec![])]);
}

#[tokio::test]
async fn what_a_plan_computes_is_what_a_client_asks_for_and_is_given() {
    const PLUGINS: usize = 2_000;
    const BIN_BITS: u8 = 6;
    let Some(stage) = Stage::bare() else { return };
    let plan = stage.run(["trust", "plan", "--plugins", &PLUGINS.to_string(), "--json"]).json();
    let row = plan["rows"].as_array().expect("rows").iter().find(|row| row["bins"] == 1 << BIN_BITS).expect("64 bins");

    let corpus = Corpus::new(1, PLUGINS);
    let mut tree = Tree::begin(BIN_BITS, Time::from_unix(BEGINNING));
    // One by one, as a plan assumes.
    tree.take_all((0..PLUGINS).flat_map(|n| corpus.released([n], "1.0.0")));
    tree.publish();
    let bits = BitLength::new(u64::from(BIN_BITS)).expect("bits");
    let mut bins: BTreeMap<String, Vec<PluginId>> = BTreeMap::new();
    (0..PLUGINS).map(|n| corpus.id(n)).for_each(|id| bins.entry(bin_of(&id, bits)).or_default().push(id));
    // Bins as long as a plan assumes: a plugin and its share of the others, 32.
    bins.retain(|_, ids| (31..=33).contains(&ids.len()));
    let own: Vec<_> = bins.into_values().map(|mut ids| ids.remove(0)).take(10).collect();
    assert_eq!(own.len(), 10);
    let (dir, memory) = (tempfile::tempdir().expect("a folder"), serve(&tree));
    let asked = async || {
        read_all(&open(&tree, &memory, dir.path()).await, &own).await;
        std::mem::take(&mut *memory.bodies.lock().expect("a lock"))
    };
    let (cold, unchanged) = (asked().await, asked().await);
    let number = own[0].name().as_str().trim_start_matches("plugin-n").parse().expect("a number");
    let mut changed = tree.clone();
    changed.take_all(corpus.released([number], "1.1.0"));
    changed.publish();
    *memory.files.lock().expect("a lock") = changed.files().clone();
    let changed = asked().await;

    for (case, bodies) in [("cold", &cold), ("unchanged", &unchanged), ("changed", &changed)] {
        let paths: Vec<_> = bodies.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(plan["requests"][case], bodies.len(), "{case}: {paths:?}");
        // A plan has no bytes of an answer without any, and leaves documents out.
        let Some(computed) = row[case]["gzip"].as_u64() else { continue };
        let trust: Vec<_> = bodies.iter().filter(|(path, _)| path.starts_with("trust/")).cloned().collect();
        let Some(given) = gzipped_all(&trust) else { return crate::process::skip("there is no gzip on this machine") };
        let off = computed as f64 / given as f64 - 1.0;
        assert!(off.abs() <= 0.15, "{case}: {computed} computed, {given} given: {paths:?}");
    }
}
