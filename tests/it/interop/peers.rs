//! Clients of the signed index: python-tuf and tuf-js, run as programs, and our loader.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use stoa_core::id::PluginId;
use stoa_loader::{Cache, Refresh, Registry, RegistryError, TrustRoot};

use crate::process::Stage;

/// What a client made of a registry.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It verified what it was asked for.
    Verified {
        /// The versions of root, timestamp and snapshot that it trusts.
        versions: BTreeMap<String, u64>,
        /// The SHA-256 of each target; `None` where the registry has none.
        targets: BTreeMap<String, Option<String>>,
    },
    /// It refused, with these words.
    Refused(String),
}

/// A client that others wrote.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    interpreter: &'static str,
    script: PathBuf,
    /// The variable that says where its packages lie, and where that is.
    packages: (&'static str, PathBuf),
}

impl Peer {
    /// python-tuf and tuf-js. A machine without them fails the test.
    pub(crate) fn both() -> [Self; 2] {
        let peer = |name, interpreter, script: &str, told: &str, told_to_it| {
            let packages = std::env::var_os(told).map(PathBuf::from).filter(|folder| folder.is_dir());
            let packages = packages.unwrap_or_else(|| {
                panic!("{told} names no folder with {name}: `cargo xtask test interop` installs it and says where")
            });
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop").join(script);
            Self { name, interpreter, script, packages: (told_to_it, packages) }
        };
        [
            peer("python-tuf", "python3", "client.py", "STOA_PYTHON_TUF", "PYTHONPATH"),
            peer("tuf-js", "node", "client.mjs", "STOA_TUF_JS", "STOA_TUF_JS"),
        ]
    }

    /// Reads targets of the registry at `url`, with what it keeps in `state`.
    #[track_caller]
    pub(crate) fn read(&self, stage: &Stage, state: &str, url: &str, targets: &[String]) -> Seen {
        let state = stage.path(&format!("{state}-of-{}", self.name));
        let mut command = Command::new(self.interpreter);
        command.arg(&self.script).args([&stage.root(), &state, url]).args(targets);
        command.env(self.packages.0, &self.packages.1).env("PYTHONDONTWRITEBYTECODE", "1");
        // An address of the machine itself is reached without a proxy.
        command.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
        let ran = command.output().unwrap_or_else(|error| panic!("`{}` can not be run: {error}", self.interpreter));
        let (said, complaint) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        assert!(ran.status.success(), "{}: {}\n{complaint}", self.name, ran.status);
        let said: Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}\n{complaint}"));
        if let Some(refused) = said["refused"].as_str() {
            return Seen::Refused(format!("{refused}: {}", said["message"].as_str().expect("a message")));
        }
        Seen::Verified {
            versions: serde_json::from_value(said["versions"].clone()).expect("versions"),
            targets: serde_json::from_value(said["targets"].clone()).expect("targets"),
        }
    }
}

/// Our loader, with a cache of its own.
pub(crate) struct Ours {
    url: String,
    root: Vec<u8>,
    cache: PathBuf,
}

impl Ours {
    pub(crate) fn new(stage: &Stage, cache: &str, url: &str) -> Self {
        let cache = PathBuf::from(stage.path(&format!("{cache}-of-ours")));
        Self { url: url.to_owned(), root: fs::read(stage.root()).expect("a root"), cache }
    }

    async fn open(&self) -> Result<Registry, RegistryError> {
        let cache = Cache::at(&self.cache).expect("a cache");
        Registry::open(&self.url, TrustRoot::pinned(self.root.clone()), cache).await
    }

    /// As [`Peer::read`].
    pub(crate) fn read(&self, targets: &[String]) -> Seen {
        run(async {
            match self.try_read(targets).await {
                Ok(targets) => Seen::Verified { versions: self.versions(), targets },
                Err(error) => Seen::Refused(words(&error)),
            }
        })
    }

    async fn try_read(&self, targets: &[String]) -> Result<BTreeMap<String, Option<String>>, RegistryError> {
        let registry = self.open().await?;
        let snapshot = registry.sync(Refresh::Always).await?;
        let mut found = BTreeMap::new();
        for target in targets {
            let document = snapshot.document(&id_of(target)).await?;
            found.insert(target.clone(), document.map(|document| self.kept(target, document.seq)));
        }
        Ok(found)
    }

    /// What the last answer of the registry was, in a word.
    pub(crate) fn freshness(&self) -> &'static str {
        run(async {
            let registry = self.open().await.expect("a registry");
            registry.sync(Refresh::Always).await.expect("an index").freshness().await.code()
        })
    }

    /// The digest by which the cache keeps the document of a plugin as it was after event `seq`.
    fn kept(&self, target: &str, seq: u64) -> String {
        let id = id_of(target).to_string();
        let entries = fs::read_dir(self.cache.join("index")).expect("documents");
        let is_it = |path: &Path| {
            let document: Value = serde_json::from_slice(&fs::read(path).expect("a document")).expect("JSON");
            document["id"] == id.as_str() && document["seq"] == seq
        };
        let mut kept = entries.map(|entry| entry.expect("an entry").path()).filter(|path| is_it(path));
        let path = kept.next().unwrap_or_else(|| panic!("{target} is kept"));
        path.file_name().and_then(|name| name.to_str()).expect("a digest").to_owned()
    }

    fn versions(&self) -> BTreeMap<String, u64> {
        let entries = fs::read_dir(self.cache.join("trust")).expect("a folder of trust files");
        let folder = entries.map(|entry| entry.expect("an entry").path()).find(|path| path.is_dir()).expect("a root");
        let version = |bytes: &[u8]| {
            let file: Value = serde_json::from_slice(bytes).expect("JSON");
            file["signed"]["version"].as_u64().expect("a version")
        };
        let role = |role: &str| version(&fs::read(folder.join(format!("{role}.json"))).expect("a role"));
        [("root", version(&self.root)), ("timestamp", role("timestamp")), ("snapshot", role("snapshot"))]
            .map(|(role, version)| (role.to_owned(), version))
            .into()
    }
}

/// `index/NS/NAME.json` is the target of `NS:NAME`.
fn id_of(target: &str) -> PluginId {
    let id = target.strip_prefix("index/").and_then(|rest| rest.strip_suffix(".json")).expect("a target path");
    id.replacen('/', ":", 1).parse().expect("an id")
}

/// The code of the refusal, and the messages from the outside in.
fn words(error: &RegistryError) -> String {
    let code = error.attack().map_or("no attack", |attack| attack.code());
    let mut words = format!("{code}: {error}");
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        words.push_str(&format!(": {inner}"));
        source = inner.source();
    }
    words
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().expect("a runtime").block_on(work)
}
