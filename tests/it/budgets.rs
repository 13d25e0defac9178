//! What a host pays at ten thousand plugins: requests, and compressed bytes of bodies.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read as _, Write as _},
    num::NonZeroU64,
    path::Path,
    pin::Pin,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
};

use serde_json::json;
use stoa_core::{
    digest::Digest,
    event::{ActorId, Draft, Event, Fact, Head, OfflineRole, Sealed},
    id::PluginId,
    index::{Base, TIMESTAMP_LIFETIME, advance, bin_of},
    path::PublicPath,
    proposal::{IndexKeys, Proposal, SignerKeys},
    release::Release,
    time::{DAY, Time},
    trust::{
        Bins, BitLength, SecretKey,
        writer::{self, RootSigners, Signers, Terms},
    },
};
use stoa_loader::{
    Cache, Refresh, Registry, TrustRoot,
    transport::{Answer, Transport, TransportError},
};

const PLUGINS: usize = 10_000;
/// As many as one event may release, and as `stoa init` makes bins.
const AT_ONCE: usize = 20;
const BIN_BITS: u8 = 8;
const BEGINNING: i64 = 1_795_000_000;

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed([seed; 32])
}

fn keys() -> IndexKeys {
    IndexKeys { snapshot: key(3), catalog: key(4) }
}

fn signer_keys() -> SignerKeys {
    SignerKeys { timestamp: key(5), bins: key(6) }
}

/// The n-th plugin. Names are spread as names are: no two bins get the same share.
fn name(n: usize) -> String {
    format!("space-n{}:plugin-n{n}", n % 97)
}

/// A record of common size: two exports, four imports, some words.
fn release(n: usize, version: &str) -> Release {
    let (id, unlike) = (name(n), Digest::of(format!("{n} {version}").as_bytes()));
    let types = |of: &str| Digest::of(of.as_bytes()).short(16);
    let wasi = ["cli/stdout", "clocks/wall-clock", "io/streams", "random/random"];
    let imports: Vec<_> = wasi
        .iter()
        .map(|name| json!({"name": format!("wasi:{name}@0.2.6"), "types": types(name), "from": "wasi"}))
        .collect();
    let exports: Vec<_> = ["api", "more"]
        .iter()
        .map(|name| json!({"name": format!("{id}/{name}@1.0.0"), "types": types(&format!("{id} {name}"))}))
        .collect();
    let record = json!({
        "format": 1, "id": id, "version": version, "kind": "plugin",
        "artifact": {"digest": unlike, "size": 100_000 + n},
        "wit": {"digest": Digest::of(id.as_bytes()), "size": 900},
        "readme": {"digest": Digest::of(unlike.as_bytes()), "size": 2_000},
        "exports": exports, "imports": imports, "tracks": ["wasi:0.2"],
        "description": format!("Does what number {n} of ten thousand plugins does, in one line"),
        "license": "MIT OR Apache-2.0", "repository": format!("https://code.example/{n}"),
        "keywords": ["one", "two", "three"],
    });
    Release::read(record.to_string().as_bytes()).expect("a record")
}

/// A log and what it makes.
struct Source {
    events: Vec<Sealed>,
    files: BTreeMap<String, Vec<u8>>,
}

impl Source {
    fn begin() -> Self {
        let terms = Terms { version: NonZeroU64::MIN, expires: Time::from_unix(BEGINNING + 365 * DAY) };
        let signers = RootSigners {
            root: Signers::one(&key(1)),
            timestamp: Signers::one(&key(5)),
            snapshot: Signers::one(&key(3)),
            targets: Signers::one(&key(2)),
        };
        let bins = Bins::new("bin", BitLength::new(u64::from(BIN_BITS)).expect("bits"));
        let both = |first| Signers::every([&first, &key(6)]).expect("two keys");
        let targets = writer::targets(terms, &both(key(4)), &Signers::one(&key(2)));
        let offline = [
            ("root", writer::root(terms, &signers).sign(&[&key(1)])),
            ("targets", targets.sign(&[&key(2)])),
            ("index", writer::index(terms, &both(key(3)), &bins).sign(&[&key(2)])),
        ];
        let role = |(role, bytes): &(&str, Vec<u8>)| OfflineRole {
            role: (*role).into(),
            version: NonZeroU64::MIN,
            digest: Digest::of(bytes),
        };
        let fact = Fact::Genesis { bin_bits: BIN_BITS, offline: offline.iter().map(role).collect() };
        let files = offline.into_iter().map(|(role, bytes)| (format!("trust/1.{role}.json"), bytes)).collect();
        let mut source = Self { events: vec![], files };
        source.take(fact);
        source
    }

    /// Ten thousand plugins of one release each, published.
    fn with_all_plugins() -> Self {
        let mut source = Self::begin();
        for first in (0..PLUGINS).step_by(AT_ONCE) {
            source.release((first..first + AT_ONCE).map(|n| release(n, "1.0.0")).collect());
        }
        source.publish(1);
        source
    }

    fn serve(&self) -> Arc<Memory> {
        Arc::new(Memory { files: Mutex::new(self.files.clone()), bodies: Mutex::default() })
    }

    fn take(&mut self, fact: Fact) {
        let head = self.events.last().map_or(Head::none(), Sealed::head);
        let draft = Draft { actor: ActorId::registry(), fact, private: None };
        self.events.push(Event::seal(&draft, &head, Time::from_unix(BEGINNING)).expect("an event"));
    }

    fn release(&mut self, mut releases: Vec<Release>) {
        releases.sort_by(|a, b| a.id.cmp(&b.id));
        self.take(Fact::Released { releases, attestations: Default::default() });
    }

    /// Puts the files at the head in place, with a pointer of this version.
    fn publish(&mut self, pointer: u64) {
        let revision = advance(Base::default(), &self.events).expect("an index");
        let proposal = Proposal::of(&revision, &keys());
        let head = NonZeroU64::new(revision.cursor.head.seq).expect("a place");
        let version = NonZeroU64::new(pointer).expect("a version");
        let terms = Terms { version, expires: Time::from_unix(BEGINNING + TIMESTAMP_LIFETIME) };
        let mut snapshot = Vec::new();
        for (file, document) in &revision.roles {
            // The last one is the snapshot.
            snapshot = proposal.complete(&file.role, document, &signer_keys()).expect("a signature");
            self.files.insert(PublicPath::Role(file.clone()).to_string(), snapshot.clone());
        }
        let timestamp = writer::timestamp(terms, head, &snapshot).sign(&[&key(5)]);
        self.files.extend(revision.files.into_iter().map(|(path, bytes)| (path.to_string(), bytes)));
        self.files.insert(PublicPath::Timestamp.to_string(), timestamp);
    }
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

async fn open(source: &Source, memory: &Arc<Memory>, cache: &Path) -> Registry {
    let root = TrustRoot::pinned(source.files["trust/1.root.json"].clone());
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
    let mut source = Source::with_all_plugins();
    let (dir, memory) = (tempfile::tempdir().expect("a folder"), source.serve());
    let registry = open(&source, &memory, dir.path()).await;
    let own: PluginId = name(4321).parse().expect("an id");
    let snapshot = registry.sync(Refresh::Always).await.expect("an index");
    assert!(snapshot.document(&own).await.expect("a document").is_some());

    // A day of others' releases, then one's own: every one of a thousand plugins moves its bin.
    for first in (5000..6000).step_by(AT_ONCE) {
        source.release((first..first + AT_ONCE).map(|n| release(n, "1.1.0")).collect());
    }
    source.release(vec![release(4321, "1.1.0")]);
    source.publish(2);
    *memory.files.lock().expect("a lock") = source.files;
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
    let source = Source::with_all_plugins();
    let (dir, memory) = (tempfile::tempdir().expect("a folder"), source.serve());
    let own: Vec<PluginId> = (0..10).map(|n| name(n * 997).parse().expect("an id")).collect();
    let bits = BitLength::new(u64::from(BIN_BITS)).expect("bits");
    let bins: BTreeSet<_> = own.iter().map(|id| bin_of(id, bits)).collect();
    assert_eq!(bins.len(), 10, "ten that share no bin cost the most");

    read_all(&open(&source, &memory, dir.path()).await, &own).await;
    let bodies = std::mem::take(&mut *memory.bodies.lock().expect("a lock"));
    let paths: Vec<_> = bodies.iter().map(|(path, _)| path.as_str()).collect();
    // The next root, timestamp, snapshot, targets and index; then a bin and a document each.
    assert_eq!(bodies.len(), 5 + 2 * own.len(), "{paths:?}");

    // Another process, with the cache alone.
    read_all(&open(&source, &memory, dir.path()).await, &own).await;
    let bodies = memory.bodies.lock().expect("a lock").clone();
    assert_eq!(bodies, [("trust/2.root.json".to_owned(), vec![]), ("trust/timestamp.json".to_owned(), vec![])]);
}
