//! A registry in memory, and plugins written as text.

use std::{
    collections::BTreeMap,
    num::NonZeroU64,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
};

use axum::{Router, body::Body};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use stoa_api::{
    ApiConfig, App, Bell, Clock,
    problem::Code,
    scope::Scope,
    state::{Item as _, KeyItem},
    token::Token,
};
use stoa_core::{
    component::{InspectLimits, Inspection},
    digest::Digest,
    event::{ActorId, Draft, Fact, OfflineRole},
    release::BlobRef,
    time::Time,
};
use stoa_store::{
    blobs::{Area, Blobs as _},
    ledger::{Action, Expect, Ledger as _, OperationId, Transaction, Write},
    memory::{MemoryBlobs, MemoryLedger},
    upload::UploadSecret,
};
use tower::ServiceExt as _;

/// 2026-11-23T08:00:00Z.
pub(crate) const NOW: i64 = 1_795_420_800;

#[derive(Default)]
pub(crate) struct CountingBell(AtomicUsize);

impl CountingBell {
    pub(crate) fn rung(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Bell for CountingBell {
    fn ring(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

pub(crate) struct TestClock(AtomicI64);

impl TestClock {
    pub(crate) fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Time {
        Time::from_unix(self.0.load(Ordering::SeqCst))
    }
}

/// A registry with a namespace `demo` and two keys, the same in every run.
pub(crate) struct Registry {
    pub(crate) ledger: Arc<MemoryLedger>,
    pub(crate) blobs: Arc<MemoryBlobs>,
    pub(crate) bell: Arc<CountingBell>,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) router: Router,
    /// A key with the scope `admin`.
    pub(crate) admin: Token,
    /// A key with the scopes `publish:demo` and `yank:demo`.
    pub(crate) demo: Token,
}

/// What came back.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// The body of a success.
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert!(self.status.is_success(), "{}", self.body);
        self.body
    }

    /// The body of a refusal with exactly this code.
    #[track_caller]
    pub(crate) fn refused(self, code: Code) -> Value {
        assert_eq!(self.body["code"], code.as_str(), "{}", self.body);
        assert_eq!(self.status, code.status());
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/problem+json");
        self.body
    }
}

impl Registry {
    pub(crate) async fn new() -> Self {
        Self::with(ApiConfig::default()).await
    }

    pub(crate) async fn with(config: ApiConfig) -> Self {
        let ledger = Arc::new(MemoryLedger::in_memory());
        let blobs = Arc::new(MemoryBlobs::new(UploadSecret::from_bytes([9; 32])));
        let (bell, clock) = (Arc::new(CountingBell::default()), Arc::new(TestClock(AtomicI64::new(NOW))));
        let app = App::new(ledger.clone(), blobs.clone(), bell.clone(), clock.clone(), config);
        let (admin, demo) = (Token::new([0xad; 6], [1; 32]), Token::new([0xde; 6], [2; 32]));
        let registry = Self { ledger, blobs, bell, clock, router: stoa_api::router(app), admin, demo };
        let genesis = Draft {
            actor: ActorId::registry(),
            fact: Fact::Genesis { bin_bits: 8, offline: vec![first_root()] },
            private: None,
        };
        registry.commit(Some(genesis), Vec::new()).await;
        registry.add_key(&registry.admin, &["admin"]).await;
        registry.add_key(&registry.demo, &["publish:demo", "yank:demo"]).await;
        let admin = registry.admin.clone();
        registry.post("/api/v1/namespaces", &admin, json!({"namespace": "demo"})).await.ok();
        registry
    }

    /// The same registry upon another ledger.
    pub(crate) fn upon(&self, ledger: Arc<MemoryLedger>) -> Self {
        let (blobs, bell, clock) = (self.blobs.clone(), self.bell.clone(), self.clock.clone());
        let app = App::new(ledger.clone(), blobs.clone(), bell.clone(), clock.clone(), ApiConfig::default());
        let (admin, demo) = (self.admin.clone(), self.demo.clone());
        Self { ledger, blobs, bell, clock, router: stoa_api::router(app), admin, demo }
    }

    async fn commit(&self, draft: Option<Draft>, writes: Vec<Write>) {
        let operation = OperationId::random().expect("randomness");
        let transaction = Transaction { operation, draft, writes };
        self.ledger.commit(&transaction, self.clock.now()).await.expect("a commit");
    }

    /// Keeps a key whose secret the test knows.
    pub(crate) async fn add_key(&self, token: &Token, scopes: &[&str]) {
        let item = KeyItem {
            format: 1,
            id: token.id().clone(),
            hash: token.hash(),
            last_four: token.last_four(),
            label: "of a test".to_owned(),
            scopes: scopes.iter().map(|scope| scope.parse::<Scope>().expect("a scope")).collect(),
            created_by: ActorId::registry(),
            created_at: self.clock.now(),
            expires_at: None,
            revoked_at: None,
        };
        let value = serde_json::to_vec(&item).expect("JSON");
        let key = KeyItem::key(token.id()).expect("a key");
        let write = Write { key, expect: Expect::Absent, action: Action::Put { value, expires: None } };
        self.commit(None, vec![write]).await;
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        send(self.router.clone(), request).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(request(Method::GET, path, None, None)).await
    }

    pub(crate) async fn get_as(&self, path: &str, key: &Token) -> Answer {
        self.send(request(Method::GET, path, Some(key), None)).await
    }

    pub(crate) async fn post(&self, path: &str, key: &Token, body: Value) -> Answer {
        self.send(request(Method::POST, path, Some(key), Some(body))).await
    }

    pub(crate) async fn finish(&self, id: &str) -> Answer {
        self.send(request(Method::POST, &format!("/api/v1/publishes/{id}/finish"), Some(&self.demo), None)).await
    }

    /// Sends a blob to where the answer to a begun publish says.
    pub(crate) async fn upload(&self, missing: &Value, bytes: &[u8]) -> Answer {
        let upload = &missing["upload"];
        let url = format!("/api{}", upload["url"].as_str().expect("an address"));
        let method: Method = upload["method"].as_str().expect("a method").parse().expect("a method");
        let mut builder = Request::builder().method(method).uri(url);
        for (name, value) in upload["headers"].as_object().expect("headers") {
            builder = builder.header(name, value.as_str().expect("text"));
        }
        self.send(builder.body(Body::from(bytes.to_vec())).expect("a request")).await
    }

    /// Publishes plugins in one request, as the key of `demo`.
    pub(crate) async fn publish(&self, plugins: &[&Plugin]) -> Answer {
        let demo = self.demo.clone();
        self.publish_as(plugins, &demo).await
    }

    pub(crate) async fn publish_as(&self, plugins: &[&Plugin], key: &Token) -> Answer {
        self.post("/api/v1/publishes/inline", key, inline(plugins)).await
    }

    /// Every stored object, a line each.
    pub(crate) async fn listing(&self) -> String {
        let mut lines = Vec::new();
        for area in Area::ALL {
            for row in self.blobs.list(area, None, 1_000).await.expect("a listing") {
                lines.push(format!("{} {}", row.key, row.size));
            }
        }
        lines.join("\n")
    }

    /// The facts of the log, a line each.
    pub(crate) async fn facts(&self) -> String {
        let events = self.ledger.events(0, 1_000).await.expect("events");
        let line = |event: &stoa_core::event::Event| {
            let fact = serde_json::to_value(&event.fact).expect("JSON");
            let names = match &event.fact {
                Fact::Released { releases, .. } => {
                    releases.iter().map(|r| format!("{} {}", r.id, r.version)).collect::<Vec<_>>().join(", ")
                }
                Fact::Yanked { id, version, .. }
                | Fact::Unyanked { id, version, .. }
                | Fact::Certified { id, version, .. } => format!("{id} {version}"),
                Fact::NamespaceCreated { namespace } => namespace.to_string(),
                Fact::TakenDown { id, version, .. }
                | Fact::Restored { id, version, .. }
                | Fact::Appealed { id, version, .. } => {
                    format!("{id} {}", version.as_ref().map(ToString::to_string).unwrap_or_default())
                }
                _ => String::new(),
            };
            format!("{} {} {} {names}", event.seq, event.actor, fact["type"].as_str().unwrap_or_default())
        };
        events.iter().map(|sealed| line(sealed.event()).trim().to_owned()).collect::<Vec<_>>().join("\n")
    }
}

/// What names the registry in what publishers sign.
pub(crate) fn first_root() -> OfflineRole {
    OfflineRole { role: "root".to_owned(), version: NonZeroU64::MIN, digest: Digest::of(b"the first root of a test") }
}

pub(crate) async fn send(router: Router, request: Request<Body>) -> Answer {
    let response = router.oneshot(request).await.expect("a router never fails");
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.expect("a body").to_bytes();
    let body = match bytes.is_empty() {
        true => Value::Null,
        false => serde_json::from_slice(&bytes).expect("every body is JSON"),
    };
    Answer { status: parts.status, headers: parts.headers, body }
}

pub(crate) fn request(method: Method, path: &str, key: Option<&Token>, body: Option<Value>) -> Request<Body> {
    let mut builder = Request::builder().method(method).uri(path);
    if let Some(key) = key {
        builder = builder.header(header::AUTHORIZATION, format!("Bearer {}", key.reveal()));
    }
    let body = match body {
        Some(body) => {
            builder = builder.header(header::CONTENT_TYPE, "application/json");
            Body::from(body.to_string())
        }
        None => Body::empty(),
    };
    builder.body(body).expect("a request")
}

/// The body of a publish in one request.
pub(crate) fn inline(plugins: &[&Plugin]) -> Value {
    let blobs: BTreeMap<String, String> = plugins
        .iter()
        .flat_map(|plugin| plugin.blobs())
        .map(|bytes| (Digest::of(&bytes).to_string(), STANDARD.encode(bytes)))
        .collect();
    json!({"releases": plugins.iter().map(|plugin| &plugin.record).collect::<Vec<_>>(), "blobs": blobs})
}

/// A plugin as its author has it: the component, and the record that tools made of it.
#[derive(Debug, Clone)]
pub(crate) struct Plugin {
    pub(crate) record: Value,
    pub(crate) wasm: Vec<u8>,
    pub(crate) wit: Vec<u8>,
    pub(crate) readme: Option<Vec<u8>>,
}

impl Plugin {
    /// The record and blobs of a component.
    pub(crate) fn of(id: &str, version: &str, wasm: Vec<u8>) -> Self {
        let seen = Inspection::of(&wasm, &InspectLimits::default()).expect("a component");
        let row = |e: &stoa_core::component::Extern| json!({"name": e.name(), "types": e.type_hash()});
        let imports = seen.imports().iter().map(|import| {
            let name = import.name().to_string();
            let from = if name.starts_with("wasi:") { "wasi" } else { "host" };
            let mut row = row(import);
            row["from"] = json!(from);
            row
        });
        let (imports, exports): (Vec<_>, Vec<_>) = (imports.collect(), seen.exports().iter().map(row).collect());
        let wit = seen.wit().as_bytes().to_vec();
        let mut record = json!({
            "format": 1,
            "id": id,
            "version": version,
            "kind": "plugin",
            "artifact": BlobRef::of(&wasm),
            "wit": BlobRef::of(&wit),
            "description": "A plugin of a test",
            "license": "MIT",
        });
        for (name, list) in [("imports", json!(imports)), ("exports", json!(exports)), ("tracks", json!(seen.tracks()))]
        {
            if list.as_array().is_some_and(|list| !list.is_empty()) {
                record[name] = list;
            }
        }
        Self { record, wasm, wit, readme: None }
    }

    /// A plugin that exports `demo:NAME/api@1.0.0` with one function.
    pub(crate) fn simple(id: &str, version: &str) -> Self {
        Self::of(id, version, component(&[], &[(&format!("{id}/api@1.0.0"), &["render"])]))
    }

    pub(crate) fn with(mut self, member: &str, value: Value) -> Self {
        self.record[member] = value;
        self
    }

    pub(crate) fn with_readme(mut self, text: &[u8]) -> Self {
        self.readme = Some(text.to_vec());
        self.with("readme", json!(BlobRef::of(text)))
    }

    pub(crate) fn blobs(&self) -> Vec<Vec<u8>> {
        [Some(self.wasm.clone()), Some(self.wit.clone()), self.readme.clone()].into_iter().flatten().collect()
    }

    /// The blob with this digest.
    pub(crate) fn blob(&self, digest: &Value) -> Vec<u8> {
        let found = self.blobs().into_iter().find(|bytes| *digest == Digest::of(bytes).to_string());
        found.expect("a blob of the plugin")
    }
}

/// A component as text: imported interfaces with one function each, and exported ones with functions that give
/// a number. A function written `name(u64)` takes a parameter.
pub(crate) fn component(imports: &[&str], exports: &[(&str, &[&str])]) -> Vec<u8> {
    let mut text = String::from("(component\n");
    for name in imports {
        text += &format!("(import \"{name}\" (instance (export \"get\" (func (result u32)))))\n");
    }
    text += "(core module $m\n";
    text += "(func (export \"none\") (result i32) i32.const 7)\n";
    text += "(func (export \"u64\") (param i64) (result i32) i32.const 7))\n";
    text += "(core instance $i (instantiate $m))\n";
    for (number, (name, functions)) in exports.iter().enumerate() {
        let mut members = String::new();
        for (place, function) in functions.iter().enumerate() {
            let (function, parameter, core) = match function.strip_suffix("(u64)") {
                Some(function) => (function, "(param \"x\" u64)", "u64"),
                None => (*function, "", "none"),
            };
            let symbol = format!("$f{number}-{place}");
            text += &format!("(func {symbol} {parameter} (result u32) (canon lift (core func $i \"{core}\")))\n");
            members += &format!("(export \"{function}\" (func {symbol}))");
        }
        text += &format!("(instance $e{number} {members})\n(export \"{name}\" (instance $e{number}))\n");
    }
    text += ")";
    wat::parse_str(&text).expect("a component")
}

/// A JSON value on lines of its own, for snapshots.
pub(crate) fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).expect("JSON")
}
