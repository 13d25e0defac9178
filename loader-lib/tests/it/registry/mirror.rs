//! A registry in memory, and a mirror of it that counts, and lies when it is told to.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU64,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use stoa_core::{
    digest::Digest,
    document::Document,
    event::{ActorId, Draft, Event, Fact, Head, OfflineRole, Sealed},
    id::PluginId,
    index::{self, Base, Revision, TIMESTAMP_LIFETIME},
    path::PublicPath,
    proposal::{IndexKeys, Proposal, SignerKeys},
    publisher::Publishers,
    release::Release,
    time::{DAY, Time},
    trust::{
        Bins, BitLength, SecretKey,
        writer::{self, RootSigners, Signers, Target, Terms},
    },
};
use stoa_loader::transport::{Answer, Transport, TransportError};

/// 2026-11-18T11:06:40Z: when the registry began.
pub(super) const BEGINNING: i64 = 1_795_000_000;
const BIN_BITS: u8 = 4;

pub(super) fn id(text: &str) -> PluginId {
    text.parse().expect("an id")
}

/// The bytes of a release's component. They are fetched and compared here, never compiled.
pub(super) fn component(name: &str, version: &str) -> Vec<u8> {
    format!("component {name}@{version}").into_bytes()
}

/// An error and its sources, as a program prints them.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text += &format!(": {source}");
        next = source.source();
    }
    text
}

pub(super) fn release(name: &str, version: &str) -> Release {
    let component = component(name, version);
    let record = serde_json::json!({
        "format": 1, "id": name, "version": version, "kind": "plugin",
        "artifact": {"digest": Digest::of(&component), "size": component.len()},
        "wit": {"digest": Digest::of(b"wit"), "size": 3},
        "exports": [{"name": format!("{name}/api@1.0.0"), "types": "00112233445566aa"}],
        "imports": [], "tracks": [], "description": format!("The {version} of {name}"), "license": "MIT",
    });
    Release::read(record.to_string().as_bytes()).expect("a record")
}

/// A log, and the keys of the registry that it is of.
struct Source {
    seed: u8,
    events: Vec<Sealed>,
    offline: Vec<(OfflineRole, Vec<u8>)>,
    /// Keys that the index lists though the log does not make them: the work of a thief of all online keys.
    forged: Option<Publishers>,
    /// Signatures and provenances.
    attestations: Vec<Vec<u8>>,
}

/// The public tree at the head of a log.
pub(super) struct Published {
    files: BTreeMap<String, Bytes>,
    /// The bins that list something.
    pub(super) bins: BTreeSet<String>,
}

impl Source {
    fn begin(seed: u8) -> Self {
        let mut source = Self { seed, events: vec![], offline: vec![], forged: None, attestations: vec![] };
        source.offline = source.ceremony();
        let offline = source.offline.iter().map(|(role, _)| role.clone()).collect();
        source.take(Fact::Genesis { bin_bits: BIN_BITS, offline });
        source
    }

    fn key(&self, n: u8) -> SecretKey {
        SecretKey::from_seed([self.seed + n; 32])
    }

    fn keys(&self) -> IndexKeys {
        IndexKeys { snapshot: self.key(3), catalog: self.key(4) }
    }

    fn signer_keys(&self) -> SignerKeys {
        SignerKeys { timestamp: self.key(5), bins: self.key(6) }
    }

    fn ceremony(&self) -> Vec<(OfflineRole, Vec<u8>)> {
        let terms = Terms { version: NonZeroU64::MIN, expires: Time::from_unix(BEGINNING + 365 * DAY) };
        let signers = RootSigners {
            root: Signers::one(&self.key(1)),
            timestamp: Signers::one(&self.key(5)),
            snapshot: Signers::one(&self.key(3)),
            targets: Signers::one(&self.key(2)),
        };
        let bins = Bins::new("bin", BitLength::new(u64::from(BIN_BITS)).expect("bits"));
        let both = |first| Signers::every([&first, &self.key(6)]).expect("two keys");
        let targets = writer::targets(terms, &both(self.key(4)), &Signers::one(&self.key(2)));
        let index = writer::index(terms, &both(self.key(3)), &bins);
        let files = [
            ("root", writer::root(terms, &signers).sign(&[&self.key(1)])),
            ("targets", targets.sign(&[&self.key(2)])),
            ("index", index.sign(&[&self.key(2)])),
        ];
        let file = |(role, bytes): (&str, Vec<u8>)| {
            (OfflineRole { role: role.into(), version: NonZeroU64::MIN, digest: Digest::of(&bytes) }, bytes)
        };
        files.into_iter().map(file).collect()
    }

    fn take(&mut self, fact: Fact) {
        let head = self.events.last().map_or(Head::none(), Sealed::head);
        let now = Time::from_unix(BEGINNING + self.events.len() as i64);
        let draft = Draft { actor: ActorId::registry(), fact, private: None };
        self.events.push(Event::seal(&draft, &head, now).expect("an event"));
    }

    /// The files at the head, with a pointer of this version.
    fn publish(&self, pointer: u64) -> Published {
        let revision = index::advance(Base::default(), &self.events).expect("an index");
        let proposal = Proposal::of(&revision, &self.keys());
        let mut files: BTreeMap<String, Bytes> = BTreeMap::new();
        files.extend(revision.files.iter().map(|(path, bytes)| (path.to_string(), Bytes::from(bytes.clone()))));
        let mut snapshot = Vec::new();
        for (file, document) in &revision.roles {
            let forged = self.forged(&file.role, &revision);
            let signed = match &forged {
                Some((document, _, _)) => document.clone().sign(&[&self.key(3), &self.key(6)]),
                None => proposal.complete(&file.role, document, &self.signer_keys()).expect("a signature"),
            };
            files.extend(forged.map(|(_, path, bytes)| (path.to_string(), bytes.into())));
            // The last one is the snapshot.
            snapshot.clone_from(&signed);
            files.insert(PublicPath::Role(file.clone()).to_string(), signed.into());
        }
        for (role, bytes) in &self.offline {
            files.insert(format!("trust/{}.{}.json", role.version, role.role), bytes.clone().into());
        }
        for document in &revision.documents {
            for version in document.releases.keys() {
                let bytes = component(&document.id.to_string(), &version.to_string());
                files.insert(PublicPath::Artifact(Digest::of(&bytes)).to_string(), bytes.into());
            }
        }
        let attested = self.attestations.iter();
        files.extend(attested.map(|b| (PublicPath::Artifact(Digest::of(b)).to_string(), Bytes::from(b.clone()))));
        let version = NonZeroU64::new(pointer).expect("a version");
        let terms = Terms { version, expires: Time::from_unix(BEGINNING + TIMESTAMP_LIFETIME) };
        let head = NonZeroU64::new(revision.cursor.head.seq).expect("a place");
        let timestamp = writer::timestamp(terms, head, &snapshot).sign(&[&self.key(5)]);
        files.insert(PublicPath::Timestamp.to_string(), timestamp.into());
        let bins = revision.documents.iter().map(|document| index::bin_of(&document.id, revision.cursor.bin_bits));
        Published { files, bins: bins.collect() }
    }
}

impl Source {
    /// The bin `role`, where it is the one that lists the forged keys: as it should be, and with these.
    fn forged(&self, role: &str, revision: &Revision) -> Option<(writer::Unsigned, PublicPath, Vec<u8>)> {
        let bits = revision.cursor.bin_bits;
        let keys = self.forged.as_ref().filter(|keys| index::bin_of_publishers(&keys.namespace, bits) == role)?;
        let bytes = keys.to_bytes().expect("keys");
        let documents = revision.documents.iter().filter(|document| index::bin_of(&document.id, bits) == role);
        let target = |document: &Document| {
            (PublicPath::target_path(&document.id), Target::of(&document.to_bytes().expect("a document")))
        };
        let mut targets: BTreeMap<String, Target> = documents.map(target).collect();
        targets.insert(PublicPath::publishers_path(&keys.namespace), Target::of(&bytes));
        let expires = Time::from_unix(BEGINNING + 365 * DAY);
        let terms = Terms { version: *revision.cursor.versions.get(role)?, expires };
        let path = PublicPath::Publishers(keys.namespace.clone(), Digest::of(&bytes));
        Some((writer::bin(terms, role, &targets), path, bytes))
    }
}

/// The tree of a registry with these releases, one event each.
pub(super) fn published(releases: &[(&str, &str)]) -> Published {
    let mut source = Source::begin(10);
    for (name, version) in releases {
        source.take(Fact::Released { releases: vec![release(name, version)], attestations: Default::default() });
    }
    source.publish(1)
}

/// How a mirror lies about files of one kind.
#[derive(Debug, Clone)]
pub(super) enum Tamper {
    /// One byte in the middle is another one; the tag is the good file's.
    Flip,
    /// These bytes in its place.
    Replace(Bytes),
    /// Bytes without end, of which the transport takes no more than it may.
    Endless,
    /// A hundred bytes more than the bound, handed on by a transport that does not count.
    EndlessAndUncut,
    /// It is not there.
    Gone,
}

/// A request that was answered.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) kind: &'static str,
    /// The bytes of the body.
    pub(super) body: usize,
    pub(super) not_modified: bool,
}

struct State {
    source: Source,
    versions: BTreeMap<String, u64>,
    pointer: u64,
    files: BTreeMap<String, Bytes>,
    lies: BTreeMap<&'static str, Tamper>,
    asked: Vec<Request>,
}

/// A mirror of a registry.
pub(super) struct Mirror {
    state: Mutex<State>,
    requests: AtomicU64,
}

impl std::fmt::Debug for Mirror {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mirror")
    }
}

impl Mirror {
    /// A mirror of a registry with these releases, one event each.
    pub(super) fn with(releases: &[(&str, &str)]) -> Arc<Self> {
        Self::seeded(10, releases)
    }

    /// The same releases, signed by other keys.
    pub(super) fn of_another(releases: &[(&str, &str)]) -> Arc<Self> {
        Self::seeded(100, releases)
    }

    fn seeded(seed: u8, releases: &[(&str, &str)]) -> Arc<Self> {
        let mut source = Source::begin(seed);
        for (name, version) in releases {
            source.take(Fact::Released { releases: vec![release(name, version)], attestations: Default::default() });
        }
        let files = source.publish(1).files;
        let versions = releases.iter().map(|(name, _)| ((*name).to_owned(), 0)).collect();
        let state = State { source, versions, pointer: 1, files, lies: BTreeMap::new(), asked: vec![] };
        Arc::new(Self { state: Mutex::new(state), requests: AtomicU64::new(0) })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One release more, indexed and signed.
    pub(super) fn publish(&self, name: &str, version: &str) {
        self.say(Fact::Released { releases: vec![release(name, version)], attestations: Default::default() });
    }

    /// One event more, indexed and signed.
    pub(super) fn say(&self, fact: Fact) {
        let mut state = self.lock();
        state.source.take(fact);
        state.pointer += 1;
        let files = state.source.publish(state.pointer).files;
        state.files.extend(files);
    }

    /// Records a fact, and publishes what it makes together with these attestations.
    pub(super) fn record(&self, fact: Fact, attestations: &[&[u8]]) {
        let mut state = self.lock();
        state.source.attestations.extend(attestations.iter().map(|bytes| bytes.to_vec()));
        state.source.take(fact);
        state.pointer += 1;
        let files = state.source.publish(state.pointer).files;
        state.files.extend(files);
    }

    /// Lists these keys from now on, whatever the log says, under an index that covers one event more.
    pub(super) fn forge(&self, keys: Publishers) {
        self.lock().source.forged = Some(keys);
        self.publish("other:plugin", "1.0.0");
    }

    /// The next minor version of `name`.
    pub(super) fn publish_next(&self, name: &str) {
        let minor = {
            let mut state = self.lock();
            let minor = state.versions.entry(name.to_owned()).or_default();
            *minor += 1;
            *minor
        };
        self.publish(name, &format!("1.{minor}.0"));
    }

    /// Lies about files of this kind from now on.
    pub(super) fn tamper(&self, kind: &'static str, tamper: Tamper) {
        self.lock().lies.insert(kind, tamper);
    }

    /// Lies no more.
    pub(super) fn honest(&self) {
        self.lock().lies.clear();
    }

    /// The requests since the last [`Mirror::forget`].
    pub(super) fn asked(&self) -> Vec<Request> {
        self.lock().asked.clone()
    }

    pub(super) fn forget(&self) {
        self.lock().asked.clear();
    }

    pub(super) fn root(&self) -> Vec<u8> {
        self.lock().files["trust/1.root.json"].to_vec()
    }

    pub(super) fn timestamp(&self) -> Bytes {
        self.lock().files["trust/timestamp.json"].clone()
    }

    /// The bytes of every file there is now.
    pub(super) fn published_files(&self) -> BTreeSet<Vec<u8>> {
        self.lock().files.values().map(|bytes| bytes.to_vec()).collect()
    }
}

fn kind(path: &PublicPath) -> &'static str {
    match path {
        PublicPath::Timestamp => "timestamp",
        PublicPath::Document(..) => "document",
        PublicPath::Publishers(..) => "keys",
        PublicPath::Artifact(_) => "artifact",
        PublicPath::Role(file) => match file.role.as_str() {
            "root" => "root",
            "snapshot" => "snapshot",
            "targets" => "targets",
            "index" => "index",
            bin if bin.starts_with("bin-") => "bin",
            other => panic!("{other} is asked for"),
        },
        other => panic!("{other} is asked for"),
    }
}

fn flip(bytes: &[u8]) -> Bytes {
    let mut flipped = bytes.to_vec();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    flipped.into()
}

#[async_trait]
impl Transport for Mirror {
    async fn get(&self, path: &PublicPath, max_bytes: u64, known: Option<&str>) -> Result<Answer, TransportError> {
        // Others run here, as they would while bytes travel.
        tokio::task::yield_now().await;
        self.requests.fetch_add(1, Ordering::Relaxed);
        let mut state = self.lock();
        let (kind, address) = (kind(path), path.to_string());
        let good = state.files.get(&address).cloned();
        let tagged = match state.lies.get(kind) {
            Some(Tamper::Replace(bytes)) => Some(bytes.clone()),
            _ => good.clone(),
        };
        let tag = tagged.map(|bytes| format!("\"{}\"", Digest::of(&bytes).short(16)));
        let bytes = match (state.lies.get(kind), good) {
            (None, good) => good,
            (Some(Tamper::Gone), _) | (_, None) => None,
            (Some(Tamper::Flip), Some(good)) => Some(flip(&good)),
            (Some(Tamper::Replace(bytes)), _) => Some(bytes.clone()),
            (Some(Tamper::Endless), _) => return Err(TransportError::TooLong { address, limit: max_bytes }),
            (Some(Tamper::EndlessAndUncut), Some(good)) => {
                let room = usize::try_from(max_bytes).expect("a bound");
                Some([&good[..], &vec![b' '; room + 100 - good.len().min(room)]].concat().into())
            }
        };
        let not_modified = bytes.is_some() && known.is_some() && known == tag.as_deref();
        let body = if not_modified { 0 } else { bytes.as_ref().map_or(0, Bytes::len) };
        state.asked.push(Request { kind, body, not_modified });
        Ok(match bytes {
            None => Answer::Absent,
            Some(_) if not_modified => Answer::NotModified,
            Some(bytes) => Answer::Found { bytes, tag },
        })
    }

    fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}
