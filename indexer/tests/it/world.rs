//! A registry in memory whose every time and key is fixed, so that the same facts make the same bytes.

use std::{collections::BTreeMap, num::NonZeroU64, sync::Arc};

use bytes::Bytes;
use stoa_core::{
    advisory::{Advisory, Content, Issuer, Severity},
    digest::Digest,
    event::{ActorId, Draft, Fact, OfflineRole, Sealed},
    id::PluginId,
    path::{Cache, PublicPath, RoleFile},
    proposal::{IndexKeys, SignerKeys},
    release::Release,
    standing::{Cause, Measure},
    time::{DAY, Time},
    trust::{
        Bins, BitLength, CachedTrust, Config, SecretKey, Step, Updater,
        ceremony::{Offer, OfflineDocument, Standing},
        writer::{self, RootSigners, Signers, Terms},
    },
};
use stoa_indexer::{
    Follower, Indexer, IndexerError, Signer, Signing,
    site::{Site, SiteConfig},
};
use stoa_store::{
    blobs::{Area, BlobKey, Blobs as _, Put},
    ledger::{Ledger as _, OperationId, Transaction},
    memory::{Call, MemoryBlobs, MemoryLedger},
    upload::UploadSecret,
};

/// 2026-11-18T11:06:40Z: when every registry here begins. Each event comes a minute after the one before.
pub(crate) const BEGINNING: i64 = 1_795_000_000;
/// Four bins: enough for two plugins to share one and for others not to.
pub(crate) const BIN_BITS: u8 = 2;

pub(crate) fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed([seed; 32])
}

pub(crate) fn keys() -> IndexKeys {
    IndexKeys { snapshot: key(3), catalog: key(4) }
}

pub(crate) fn signer_keys() -> SignerKeys {
    SignerKeys { timestamp: key(5), bins: key(6) }
}

pub(crate) fn id(text: &str) -> PluginId {
    text.parse().expect("an id")
}

/// The files of the public tree, and of the archive of the log, by path.
pub(crate) type Files = BTreeMap<String, Bytes>;

/// A ledger, and the blobs that its releases name.
pub(crate) struct World {
    pub(crate) ledger: Arc<MemoryLedger>,
    blobs: BTreeMap<Digest, Vec<u8>>,
    offline: Vec<(OfflineRole, Vec<u8>)>,
    events: i64,
    /// Seconds in which nothing happened.
    waited: i64,
}

impl World {
    /// A ledger without any event.
    pub(crate) fn empty() -> Self {
        Self {
            ledger: Arc::new(MemoryLedger::in_memory()),
            blobs: BTreeMap::new(),
            offline: offline(),
            events: 0,
            waited: 0,
        }
    }

    /// A registry that has begun.
    pub(crate) async fn begun() -> Self {
        let mut world = Self::empty();
        world.genesis().await;
        world
    }

    /// Records `facts` in a registry that has begun.
    pub(crate) async fn with(facts: impl IntoIterator<Item = Fact>) -> Self {
        let mut world = Self::begun().await;
        for fact in facts {
            world.commit(fact).await;
        }
        world
    }

    pub(crate) async fn genesis(&mut self) -> Sealed {
        let offline = self.offline.iter().map(|(role, _)| role.clone()).collect();
        self.commit(Fact::Genesis { bin_bits: BIN_BITS, offline }).await
    }

    /// Records `fact`, and keeps the blobs of its releases as the API would have.
    pub(crate) async fn commit(&mut self, fact: Fact) -> Sealed {
        if let Fact::Released { releases, .. } = &fact {
            let named = releases.iter().flat_map(|release| blobs_of(&release.id, &release.version.to_string()));
            self.blobs.extend(named.map(|bytes| (Digest::of(&bytes), bytes)));
        }
        let draft = Draft { actor: "key_1".parse::<ActorId>().expect("an actor"), fact, private: None };
        let operation: OperationId = format!("operation-{}", self.events).parse().expect("an id");
        let transaction = Transaction { operation, draft: Some(draft), writes: vec![] };
        let committed = self.ledger.commit(&transaction, self.now()).await.expect("a commit");
        self.events += 1;
        committed.event.expect("an event")
    }

    pub(crate) async fn ledger_head(&self) -> u64 {
        self.ledger.head().await.expect("a head").seq
    }

    /// Lets time pass in which nothing happens.
    pub(crate) fn wait(&mut self, seconds: i64) {
        self.waited += seconds;
    }

    /// When the next event happens.
    pub(crate) fn now(&self) -> Time {
        Time::from_unix(BEGINNING + self.events * 60 + self.waited)
    }

    /// A store with the checked blobs and the offline files, and nothing of the index yet.
    pub(crate) async fn tree(&self) -> MemoryBlobs {
        let blobs = MemoryBlobs::new(UploadSecret::from_bytes([7; 32]));
        for (digest, bytes) in &self.blobs {
            put(&blobs, &BlobKey::Store(*digest), bytes).await;
        }
        for (role, bytes) in &self.offline {
            put(&blobs, &public(role.version.get(), &role.role), bytes).await;
        }
        blobs.hooks().forget();
        blobs
    }

    /// Brings blobs that were published since into a store that was made before.
    pub(crate) async fn upload(&self, blobs: &MemoryBlobs) {
        for (digest, bytes) in &self.blobs {
            let _created_or_there: Put =
                blobs.put_new(&BlobKey::Store(*digest), bytes.clone().into()).await.expect("a put");
        }
        blobs.hooks().forget();
    }

    pub(crate) fn indexer(&self, blobs: &MemoryBlobs) -> Indexer {
        Indexer::new(self.ledger.clone(), Arc::new(blobs.clone()), keys())
    }

    pub(crate) fn signer(&self, blobs: &MemoryBlobs) -> Signer {
        Signer::new(self.ledger.clone(), Arc::new(blobs.clone()), signer_keys(), &self.root())
    }

    pub(crate) fn follower(&self, blobs: &MemoryBlobs) -> Follower {
        let config = SiteConfig { name: "Stoa".into(), base: "/".into(), url: None, api: None, root: None };
        let site = Site::new(config);
        let signing = Signing::Here(Box::new(signer_keys()));
        Follower::new(self.ledger.clone(), Arc::new(blobs.clone()), keys(), signing, &self.root(), site)
    }

    /// Index, pointer and pages at the ledger's head. Gives the last event that is signed.
    pub(crate) async fn follow(&self, blobs: &MemoryBlobs) -> Result<u64, IndexerError> {
        let follower = self.follower(blobs);
        let seq = follower.catch_up(self.now()).await?;
        follower.update_pages().await?;
        Ok(seq)
    }

    /// The offline documents that the registry began with.
    pub(crate) fn standing(&self) -> Standing {
        let bytes = |at: usize| self.offline[at].1.clone();
        Standing::read(vec![bytes(0)], bytes(1), bytes(2)).expect("what stands")
    }

    /// Records that these documents are in place; trees that are made from now on have them.
    pub(crate) async fn install(&mut self, offer: &Offer, after: &Standing) -> Vec<(OfflineRole, Vec<u8>)> {
        let file = |(document, terms): (OfflineDocument, Terms)| {
            let bytes = after.bytes(document).to_vec();
            let (role, digest) = (document.name().to_owned(), Digest::of(&bytes));
            (OfflineRole { role, version: terms.version, digest }, bytes)
        };
        let mut files: Vec<_> = offer.documents().map(file).collect();
        files.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        let offline = files.iter().map(|(role, _)| role.clone()).collect();
        self.commit(Fact::OfflineInstalled { offline }).await;
        self.offline.extend(files.clone());
        files
    }

    /// What a client pins.
    pub(crate) fn root(&self) -> Vec<u8> {
        self.offline[0].1.clone()
    }

    /// Index and pointer at the ledger's head; no pages.
    pub(crate) async fn index(&self, blobs: &MemoryBlobs) -> Result<(), IndexerError> {
        while let Some(run) = self.indexer(blobs).run().await? {
            self.signer(blobs).sign(&run.proposal, self.now()).await?;
        }
        Ok(())
    }

    /// Reads the index as a client does that has nothing but the root, and then every document that its bins
    /// list. Gives the event that it covers.
    pub(crate) async fn read_as_client(&self, blobs: &MemoryBlobs) -> u64 {
        let mut client =
            Updater::open(&self.root(), CachedTrust::default(), self.now(), Config::default()).expect("a root");
        while let Step::Fetch { file, max_bytes, .. } = client.next() {
            let path = file.path().expect("a public file");
            let blob = blobs.get(&BlobKey::Public(path), max_bytes).await.expect("an answer");
            client.receive(blob.map(|blob| blob.bytes).as_deref()).expect("a file that the keys vouch for");
        }
        let timestamp = signed(blobs, &BlobKey::Public(PublicPath::Timestamp)).await;
        let snapshot = timestamp["meta"]["snapshot.json"]["version"].as_u64().expect("a version");
        let snapshot = signed(blobs, &public(snapshot, "snapshot")).await;
        for (file, meta) in snapshot["meta"].as_object().expect("roles") {
            let role = file.strip_suffix(".json").expect("a file");
            let listed = signed(blobs, &public(meta["version"].as_u64().expect("a version"), role)).await;
            for (path, target) in listed["targets"].as_object().expect("targets") {
                let digest: Digest = target["hashes"]["sha256"].as_str().expect("a digest").parse().expect("a digest");
                let (namespace, name) = path["index/".len()..].split_once('/').expect("a document");
                let id = id(&format!("{namespace}:{}", name.trim_end_matches(".json")));
                let document = PublicPath::Document(id, digest);
                let found = blobs.get(&BlobKey::Public(document), 1 << 20).await.expect("an answer");
                assert_eq!(Digest::of(&found.expect("a listed document").bytes), digest, "{path}");
            }
        }
        snapshot["stoa"]["seq"].as_u64().expect("a place")
    }
}

fn offline() -> Vec<(OfflineRole, Vec<u8>)> {
    let expires = Time::from_unix(BEGINNING + 365 * DAY);
    let terms = Terms { version: NonZeroU64::MIN, expires };
    let signers = RootSigners {
        root: Signers::one(&key(1)),
        timestamp: Signers::one(&key(5)),
        snapshot: Signers::one(&keys().snapshot),
        targets: Signers::one(&key(2)),
    };
    let bins = Bins::new("bin", BitLength::new(u64::from(BIN_BITS)).expect("bits"));
    let every = |keys: [&SecretKey; 2]| Signers::every(keys).expect("two keys");
    let signer = signer_keys().bins;
    let targets = writer::targets(terms, &every([&keys().catalog, &signer]), &Signers::one(&key(2)));
    let index = writer::index(terms, &every([&keys().snapshot, &signer]), &bins);
    let files = [
        ("root", writer::root(terms, &signers).sign(&[&key(1)])),
        ("targets", targets.sign(&[&key(2)])),
        ("index", index.sign(&[&key(2)])),
    ];
    let file = |(role, bytes): (&str, Vec<u8>)| {
        (OfflineRole { role: role.into(), version: NonZeroU64::MIN, digest: Digest::of(&bytes) }, bytes)
    };
    files.into_iter().map(file).collect()
}

/// Artifact, WIT and readme of a release.
fn blobs_of(id: &PluginId, version: &str) -> [Vec<u8>; 3] {
    let (namespace, name) = (id.namespace(), id.name());
    [
        format!("component {id}@{version}").into_bytes(),
        format!("package {namespace}:{name}@1.0.0;\n\ninterface api {{ run: func(text: string) -> string; }}\n").into(),
        format!("# {name}\n\nReadme of {id} {version}.\n").into_bytes(),
    ]
}

/// A release whose three blobs are known to [`World::commit`].
pub(crate) fn release(name: &str, version: &str) -> Release {
    let blobs = blobs_of(&id(name), version).map(|bytes| {
        let (digest, size) = (Digest::of(&bytes), bytes.len());
        serde_json::json!({"digest": digest, "size": size})
    });
    let [artifact, wit, readme] = blobs;
    let record = serde_json::json!({
        "format": 1, "id": name, "version": version, "kind": "plugin",
        "artifact": artifact, "wit": wit, "readme": readme,
        "exports": [{"name": format!("{name}/api@1.0.0"), "types": "00112233445566aa"}],
        "imports": [{"name": "wasi:cli/stdout@0.2.6", "types": "ffee000000000000", "from": "wasi"}],
        "tracks": ["wasi:0.2"], "description": format!("The {version} of {name}"), "license": "MIT",
    });
    Release::read(record.to_string().as_bytes()).expect("a record")
}

pub(crate) fn namespace(name: &str) -> Fact {
    Fact::NamespaceCreated { namespace: name.parse().expect("a namespace") }
}

/// Releases, all in one event.
pub(crate) fn released(releases: &[(&str, &str)]) -> Fact {
    Fact::Released {
        releases: releases.iter().map(|(name, version)| release(name, version)).collect(),
        attestations: Default::default(),
    }
}

pub(crate) fn yanked(name: &str, version: &str) -> Fact {
    Fact::Yanked { id: id(name), version: version.parse().expect("a version"), reason: "it loses the last line".into() }
}

pub(crate) fn unyanked(name: &str, version: &str) -> Fact {
    Fact::Unyanked { id: id(name), version: version.parse().expect("a version"), reason: "a false alarm".into() }
}

pub(crate) fn taken_down(name: &str, version: Option<&str>, measure: Measure) -> Fact {
    let version = version.map(|version| version.parse().expect("a version"));
    Fact::TakenDown { id: id(name), version, measure, cause: Cause::Malware, reason: "it mines coins".into() }
}

pub(crate) fn restored(name: &str, version: Option<&str>) -> Fact {
    let version = version.map(|version| version.parse().expect("a version"));
    Fact::Restored { id: id(name), version, reason: "a false alarm".into() }
}

pub(crate) fn flawed(name: &str, advisory: &str) -> Fact {
    let content = Content {
        issuer: Issuer::Registry,
        severity: Severity::High,
        summary: "It reads what it should not".parse().expect("a line"),
        affected: vec!["<1.3".parse().expect("a requirement")],
        fixed: Vec::new(),
        link: "https://example.com/a".parse().expect("an address"),
        aliases: Vec::new(),
    };
    let advisory = Advisory { id: advisory.parse().expect("an id"), content };
    Fact::AdvisoryPublished { id: id(name), advisory }
}

pub(crate) fn flawless(name: &str, advisory: &str) -> Fact {
    Fact::AdvisoryWithdrawn { id: id(name), advisory: advisory.parse().expect("an id"), reason: "it was none".into() }
}

/// The key of `trust/VERSION.ROLE.json`.
pub(crate) fn public(version: u64, role: &str) -> BlobKey {
    BlobKey::Public(PublicPath::Role(RoleFile { version, role: role.to_owned() }))
}

pub(crate) async fn put(blobs: &MemoryBlobs, key: &BlobKey, bytes: &[u8]) {
    let put = blobs.put_new(key, Bytes::copy_from_slice(bytes)).await.expect("a put");
    assert_eq!(put, Put::Created, "{key}");
}

/// The part of a trust file that is signed.
pub(crate) async fn signed(blobs: &MemoryBlobs, key: &BlobKey) -> serde_json::Value {
    let blob = blobs.get(key, u64::MAX).await.expect("an answer").unwrap_or_else(|| panic!("{key} is not there"));
    serde_json::from_slice::<serde_json::Value>(&blob.bytes).expect("JSON")["signed"].take()
}

/// Everything in an area.
pub(crate) async fn files(blobs: &MemoryBlobs, area: Area) -> Files {
    let mut files = Files::new();
    for listed in blobs.list(area, None, usize::MAX).await.expect("a list") {
        let blob = blobs.get(&listed.key, u64::MAX).await.expect("an answer").expect("a listed blob");
        files.insert(listed.key.to_string(), blob.bytes);
    }
    files
}

/// What may never change: the files of the public tree with immutable names, and the archive of the log.
pub(crate) async fn immutable(blobs: &MemoryBlobs) -> Files {
    let mut found = files(blobs, Area::Public).await;
    found.retain(|path, _| {
        path["public/".len()..].parse::<PublicPath>().is_ok_and(|path| path.cache() == Cache::Immutable)
    });
    found.extend(files(blobs, Area::Events).await);
    found
}

/// The writes among the calls since the hooks last forgot.
pub(crate) fn writes(blobs: &MemoryBlobs) -> Vec<(Call, String)> {
    let mut calls = blobs.hooks().calls();
    calls.retain(|(call, _)| matches!(call, Call::PutNew | Call::PutIf | Call::Copy | Call::Delete));
    calls
}
