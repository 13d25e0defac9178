//! A registry as a process runs it, over stores that outlive the process.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU64,
    path::Path,
    sync::{Arc, LazyLock},
};

use axum::{Router, body::Body};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use stoa_api::{
    ApiConfig, App, Bell, Clock,
    state::{Item as _, KeyItem},
    token::Token,
};
use stoa_core::{
    component::{InspectLimits, Inspection},
    digest::Digest,
    event::{ActorId, Draft, Fact, OfflineRole},
    path::{PublicPath, RoleFile},
    proposal::{IndexKeys, SignerKeys},
    release::BlobRef,
    time::{DAY, Time},
    trust::{
        Bins, BitLength, SecretKey,
        writer::{self, RootSigners, Signers, Terms},
    },
};
use stoa_indexer::{
    Follower, IndexerError, Signing,
    site::{Site, SiteConfig},
};
use stoa_store::{
    blobs::{Area, BlobKey, Blobs, Put},
    folder::FolderBlobs,
    ledger::{Action, Expect, Ledger, OperationId, Transaction, Write},
    memory::{MemoryBlobs, MemoryLedger},
    sqlite::SqliteLedger,
    upload::UploadSecret,
};
use tower::ServiceExt as _;

use super::power::{Power, Powered};
use crate::process::{component, scratch};

/// 2026-11-23T08:00:00Z. Time stands still, so that the same changes make the same bytes.
const NOW: i64 = 1_795_420_800;
const BIN_BITS: u8 = 2;

pub(crate) fn now() -> Time {
    Time::from_unix(NOW)
}

#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Time {
        now()
    }
}

impl Bell for Still {
    fn ring(&self) {}
}

/// Where a registry lies: what is left when its process is gone.
pub(crate) enum Disk {
    Memory { ledger: MemoryLedger, blobs: MemoryBlobs },
    Folder(tempfile::TempDir),
}

/// Which stores a sweep goes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Memory,
    Folder,
}

impl Disk {
    /// An empty one.
    pub(crate) fn new(kind: Kind) -> Self {
        match kind {
            Kind::Memory => Self::Memory {
                ledger: MemoryLedger::in_memory(),
                blobs: MemoryBlobs::new(UploadSecret::from_bytes([7; 32])),
            },
            Kind::Folder => Self::Folder(scratch()),
        }
    }

    /// Another one with the same content. No process may be running on it.
    pub(crate) fn copied(&self) -> Self {
        match self {
            Self::Memory { ledger, blobs } => Self::Memory { ledger: ledger.fork(), blobs: blobs.fork() },
            Self::Folder(folder) => {
                let copy = scratch();
                copy_folder(folder.path(), copy.path());
                Self::Folder(copy)
            }
        }
    }

    async fn open(&self) -> (Arc<dyn Ledger>, Arc<dyn Blobs>) {
        match self {
            Self::Memory { ledger, blobs } => (Arc::new(ledger.clone()), Arc::new(blobs.clone())),
            Self::Folder(folder) => {
                let ledger = SqliteLedger::open(&folder.path().join("ledger.sqlite")).await.expect("a ledger");
                let blobs = FolderBlobs::open(&folder.path().join("blobs")).await.expect("blobs");
                (Arc::new(ledger), Arc::new(blobs))
            }
        }
    }

    /// What unfinished writes left beside the tree.
    pub(crate) fn leftovers(&self) -> usize {
        match self {
            Self::Memory { .. } => 0,
            Self::Folder(folder) => std::fs::read_dir(folder.path().join("blobs/.beside")).expect("a folder").count(),
        }
    }
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            std::fs::create_dir(&target).expect("a new folder");
            copy_folder(&path, &target);
        } else {
            std::fs::copy(&path, &target).expect("a copy");
        }
    }
}

fn secret(seed: u8) -> SecretKey {
    SecretKey::from_seed([seed; 32])
}

fn index_keys() -> IndexKeys {
    IndexKeys { snapshot: secret(3), catalog: secret(4) }
}

fn signer_keys() -> SignerKeys {
    SignerKeys { timestamp: secret(5), bins: secret(6) }
}

/// Root, targets and index, as a ceremony signed them.
static OFFLINE: LazyLock<[(&'static str, Vec<u8>); 3]> = LazyLock::new(ceremony);

fn ceremony() -> [(&'static str, Vec<u8>); 3] {
    let terms = Terms { version: NonZeroU64::MIN, expires: now().plus(365 * DAY) };
    let signers = RootSigners {
        root: Signers::one(&secret(1)),
        timestamp: Signers::one(&secret(5)),
        snapshot: Signers::one(&index_keys().snapshot),
        targets: Signers::one(&secret(2)),
    };
    let bins = Bins::new("bin", BitLength::new(u64::from(BIN_BITS)).expect("bits"));
    let both = |first| Signers::every([&first, &signer_keys().bins]).expect("two keys");
    let targets = writer::targets(terms, &both(index_keys().catalog), &Signers::one(&secret(2)));
    let index = writer::index(terms, &both(index_keys().snapshot), &bins);
    [
        ("root", writer::root(terms, &signers).sign(&[&secret(1)])),
        ("targets", targets.sign(&[&secret(2)])),
        ("index", index.sign(&[&secret(2)])),
    ]
}

/// What a client pins.
pub(crate) fn root() -> &'static [u8] {
    &OFFLINE[0].1
}

/// The author's key: scopes `publish:demo` and `yank:demo`.
fn author() -> Token {
    Token::new([0xde; 6], [2; 32])
}

/// The operator's key.
fn admin() -> Token {
    Token::new([0xad; 6], [1; 32])
}

/// Everything that `stoa serve` runs, without its address.
pub(crate) struct Process {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) blobs: Arc<dyn Blobs>,
    pub(crate) follower: Follower,
    router: Router,
}

/// An answer of the API that is none: its code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal(pub(crate) String);

impl Process {
    /// Starts on what the disk holds.
    pub(crate) async fn start(disk: &Disk, power: &Power) -> Self {
        Self::configured(disk, power, ApiConfig::default()).await
    }

    pub(crate) async fn configured(disk: &Disk, power: &Power, config: ApiConfig) -> Self {
        let (ledger, blobs) = disk.open().await;
        let ledger: Arc<dyn Ledger> = Arc::new(Powered(power.clone(), ledger));
        let blobs: Arc<dyn Blobs> = Arc::new(Powered(power.clone(), blobs));
        let site = SiteConfig { name: "Stoa".into(), base: "/".into(), url: None, api: None, root: None };
        let site = Site::new(site);
        let signing = Signing::Here(Box::new(signer_keys()));
        let follower = Follower::new(ledger.clone(), blobs.clone(), index_keys(), signing, root(), site);
        let app = App::new(ledger.clone(), blobs.clone(), Arc::new(Still), Arc::new(Still), config);
        Self { ledger, blobs, follower, router: stoa_api::router(app) }
    }

    /// Begins a registry: offline files, first event, a key, the namespace `demo`, the first signed index.
    pub(crate) async fn begin(&self) {
        let mut roles = Vec::new();
        for (role, bytes) in &*OFFLINE {
            let digest = Digest::of(bytes);
            roles.push(OfflineRole { role: (*role).into(), version: NonZeroU64::MIN, digest });
            let key = BlobKey::Public(PublicPath::Role(RoleFile { version: 1, role: (*role).into() }));
            assert_eq!(self.blobs.put_new(&key, bytes.clone().into()).await.expect("a put"), Put::Created);
        }
        self.commit("genesis", Some(Fact::Genesis { bin_bits: BIN_BITS, offline: roles }), vec![]).await;
        self.add_key(&admin(), &["admin"]).await;
        self.add_key(&author(), &["publish:demo", "yank:demo"]).await;
        let made =
            self.send(Method::POST, "/api/v1/namespaces", Some(&admin()), Some(json!({"namespace": "demo"}))).await;
        assert_eq!(made.0, StatusCode::CREATED, "{}", made.1);
        self.follow().await.expect("an index");
    }

    async fn commit(&self, operation: &str, fact: Option<Fact>, writes: Vec<Write>) {
        let draft = fact.map(|fact| Draft { actor: ActorId::registry(), fact, private: None });
        let operation: OperationId = operation.parse().expect("an id");
        self.ledger.commit(&Transaction { operation, draft, writes }, now()).await.expect("a commit");
    }

    async fn add_key(&self, token: &Token, scopes: &[&str]) {
        let item = KeyItem {
            format: 1,
            id: token.id().clone(),
            hash: token.hash(),
            last_four: token.last_four(),
            label: "of a test".to_owned(),
            scopes: scopes.iter().map(|scope| scope.parse().expect("a scope")).collect(),
            created_by: ActorId::registry(),
            created_at: now(),
            expires_at: None,
            revoked_at: None,
        };
        let action = Action::Put { value: serde_json::to_vec(&item).expect("JSON"), expires: None };
        let write = Write { key: KeyItem::key(token.id()).expect("a key"), expect: Expect::Absent, action };
        self.commit(&format!("key-{}", token.id()), None, vec![write]).await;
    }

    /// Index, pointer and pages at the ledger's head. Gives the last event that is signed.
    pub(crate) async fn follow(&self) -> Result<u64, IndexerError> {
        let seq = self.follower.catch_up(now()).await?;
        self.follower.update_pages().await?;
        Ok(seq)
    }

    async fn send(&self, method: Method, path: &str, key: Option<&Token>, body: Option<Value>) -> (StatusCode, Value) {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(key) = key {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", key.reveal()));
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        self.answer(request.header(header::CONTENT_TYPE, "application/json").body(body).expect("a request")).await
    }

    async fn answer(&self, request: Request<Body>) -> (StatusCode, Value) {
        let response = self.router.clone().oneshot(request).await.expect("a router never fails");
        let status = response.status();
        let bytes = response.into_body().collect().await.expect("a body").to_bytes();
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).expect("JSON") };
        (status, body)
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value, Refusal> {
        sorted_out(self.send(Method::GET, path, None, None).await)
    }

    async fn post(&self, path: &str, body: Value) -> Result<Value, Refusal> {
        sorted_out(self.send(Method::POST, path, Some(&author()), Some(body)).await)
    }

    /// Publishes as `stoa publish` does where a set is large: begins, sends what is missing, finishes.
    pub(crate) async fn publish(&self, plugins: &[Plugin]) -> Result<Value, Refusal> {
        let records: Vec<_> = plugins.iter().map(|plugin| &plugin.record).collect();
        let begun = self.post("/api/v1/publishes", json!({"releases": records})).await?;
        if begun["state"] == "published" {
            return Ok(begun);
        }
        let blobs: BTreeMap<String, &Bytes> =
            plugins.iter().flat_map(|plugin| &plugin.blobs).map(|blob| (Digest::of(blob).to_string(), blob)).collect();
        for missing in begun["missing"].as_array().expect("a list") {
            let upload = &missing["upload"];
            let url = format!("/api{}", upload["url"].as_str().expect("an address"));
            let mut request = Request::builder().method(upload["method"].as_str().expect("a method")).uri(url);
            for (name, value) in upload["headers"].as_object().expect("headers") {
                request = request.header(name, value.as_str().expect("text"));
            }
            let bytes = blobs[missing["digest"].as_str().expect("a digest")].clone();
            sorted_out(self.answer(request.body(Body::from(bytes)).expect("a request")).await)?;
        }
        let id = begun["id"].as_str().expect("an id");
        self.post(&format!("/api/v1/publishes/{id}/finish"), Value::Null).await
    }

    /// Publishes in one request.
    pub(crate) async fn publish_inline(&self, plugins: &[Plugin]) -> Result<Value, Refusal> {
        self.post("/api/v1/publishes/inline", inline(plugins)).await
    }

    pub(crate) async fn yank(&self, name: &str, version: &str) -> Result<Value, Refusal> {
        let path = format!("/api/v1/plugins/demo/{name}/{version}/yank");
        self.post(&path, json!({"reason": "it loses the last line"})).await
    }

    /// What the operator says of `demo:alpha`, or of a version of it.
    async fn operate(&self, verb: &str, body: Value) -> Result<Value, Refusal> {
        let path = format!("/api/v1/plugins/demo/alpha/{verb}");
        sorted_out(self.send(Method::POST, &path, Some(&admin()), Some(body)).await)
    }

    pub(crate) async fn take_down(&self, measure: &str, version: Option<&str>) -> Result<Value, Refusal> {
        let mut body = json!({"measure": measure, "cause": "malware", "reason": "it mines coins"});
        if let Some(version) = version {
            body["version"] = version.into();
        }
        self.operate("takedown", body).await
    }

    pub(crate) async fn restore(&self, version: &str) -> Result<Value, Refusal> {
        self.operate("restore", json!({"reason": "a false alarm", "version": version})).await
    }

    /// Its author makes a flaw known.
    pub(crate) async fn advise(&self) -> Result<Value, Refusal> {
        let body = json!({
            "id": "ALPHA-2026-1", "severity": "high", "summary": "It reads what it should not", "affected": ["<1.3"],
            "fixed": [], "link": "https://example.com/a", "aliases": [],
        });
        self.post("/api/v1/plugins/demo/alpha/advisories", body).await
    }

    /// Certifies a version of `demo:alpha`.
    pub(crate) async fn certify(&self, version: &str) -> Result<Value, Refusal> {
        self.operate(&format!("{version}/certify"), json!({"level": 2, "reason": "It was read"})).await
    }

    /// Everything that is stored in these areas.
    pub(crate) async fn files(&self, areas: &[Area]) -> BTreeMap<String, Bytes> {
        let mut files = BTreeMap::new();
        for area in areas {
            for listed in self.blobs.list(*area, None, 10_000).await.expect("a list") {
                let blob = self.blobs.get(&listed.key, u64::MAX).await.expect("an answer").expect("a listed blob");
                files.insert(listed.key.to_string(), blob.bytes);
            }
        }
        files
    }

    /// Which uploads wait.
    pub(crate) async fn uploads(&self) -> BTreeSet<String> {
        self.files(&[Area::Upload]).await.into_keys().collect()
    }
}

fn sorted_out((status, body): (StatusCode, Value)) -> Result<Value, Refusal> {
    if status.is_success() {
        return Ok(body);
    }
    assert_eq!(body["status"], status.as_u16(), "{body}");
    Err(Refusal(body["code"].as_str().expect("a code").to_owned()))
}

/// The body of a publish in one request.
pub(crate) fn inline(plugins: &[Plugin]) -> Value {
    let records: Vec<_> = plugins.iter().map(|plugin| &plugin.record).collect();
    let blobs = plugins.iter().flat_map(|plugin| &plugin.blobs);
    let blobs: BTreeMap<String, String> =
        blobs.map(|blob| (Digest::of(blob).to_string(), STANDARD.encode(blob))).collect();
    json!({"releases": records, "blobs": blobs})
}

/// A plugin as its author has it.
#[derive(Debug, Clone)]
pub(crate) struct Plugin {
    pub(crate) record: Value,
    blobs: Vec<Bytes>,
}

impl Plugin {
    /// `demo:NAME`, with a component, a WIT and a readme of its own.
    pub(crate) fn new(name: &str, version: &str, sum: u32) -> Self {
        let wasm = component(name, sum, 0);
        let seen = Inspection::of(&wasm, &InspectLimits::default()).expect("a component");
        let wit = seen.wit().as_bytes().to_vec();
        let readme = format!("# {name}\n\nReadme of {version}.\n").into_bytes();
        let exports: Vec<_> =
            seen.exports().iter().map(|e| json!({"name": e.name(), "types": e.type_hash()})).collect();
        let record = json!({
            "format": 1, "id": format!("demo:{name}"), "version": version, "kind": "plugin",
            "artifact": BlobRef::of(&wasm), "wit": BlobRef::of(&wit), "readme": BlobRef::of(&readme),
            "exports": exports, "description": format!("The {version} of {name}"), "license": "MIT",
        });
        Self { record, blobs: vec![wasm.into(), wit.into(), readme.into()] }
    }
}
