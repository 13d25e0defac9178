//! What each step does. Everything goes through doors that strangers have: the folder of a registry only for
//! its operator, HTTP for authors and hosts.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use stoa_core::{
    id::PluginId,
    lock::Lock,
    resolve::{Mode, Resolution, ResolveOptions},
    version::VersionReq,
    wanted::{Want, Wanted},
};
use stoa_loader::{Cache, Host, Plan, Refresh, Registry, RegistryError, TrustRoot, component::Val};

use super::server::Server;
use crate::{
    api::Api,
    cmd::{self, publish},
    host,
    package::Package,
    progress::Spinner,
    report::{BAD, DIM, Failure, NAME, Output, chain},
    server,
};

/// What the demo asks the plugins for.
pub(super) const PLUGIN: &str = "demo:site";
const CALL: &str = "page(\"Hello, Stoa!\", \"# Hello\\n\\nMade of *two* plugins.\\n\\n## What for\\n\\nTo show it.\")";

/// The places of one demo.
#[derive(Debug)]
pub(super) struct Stage {
    registry: PathBuf,
    cache: PathBuf,
    copy: PathBuf,
    plugins: Vec<PathBuf>,
    /// Where compiled code is kept, if not in the cache.
    code: Option<PathBuf>,
}

/// What the first step made.
#[derive(Debug)]
pub(super) struct Made {
    admin_key: String,
}

/// What a host chose while the server ran.
#[derive(Debug)]
pub(super) struct Online {
    pub(super) resolution: Resolution,
    lock: Lock,
    pub(super) wanted: Wanted,
}

pub(super) type Done<T> = Result<(T, String), Failure>;

impl Stage {
    pub(super) fn new(dir: &Path, plugins: Vec<PathBuf>, code: Option<PathBuf>) -> Self {
        let [registry, cache, copy] = ["registry", "cache", "copy"].map(|name| dir.join(name));
        Self { registry, cache, copy, plugins, code }
    }

    pub(super) async fn init(&self) -> Done<Made> {
        let made = server::init(&self.registry, "Stoa demo", server::Beginning::KeysHere, cmd::now()).await?;
        let detail = format!("2-of-3 root {DIM}{}{DIM:#}, 256 bins signed", made.fingerprint.short(16));
        Ok((Made { admin_key: made.admin_key }, detail))
    }

    pub(super) async fn serve(&self) -> Done<Server> {
        let server = Server::start(&self.registry).await?;
        let pid = server.pid().unwrap_or_default();
        let detail = format!("process {pid} at {NAME}{}{NAME:#}", server.url());
        Ok((server, detail))
    }

    pub(super) async fn namespace(&self, server: &Server, made: &Made) -> Done<String> {
        let admin = Api::new(&server.url(), Some(&made.admin_key))?;
        admin.post("namespaces", &json!({"namespace": "demo"})).await?;
        let body = json!({"label": "demo author", "scopes": ["publish:demo"]});
        let answer = admin.post("keys", &body).await?;
        let key = answer.get("key").and_then(Value::as_str);
        let key = key.ok_or_else(|| Failure::new("the API gave no key"))?.to_owned();
        Ok((key, "namespace demo, key with scope publish:demo".to_owned()))
    }

    pub(super) async fn publish(&self, server: &Server, key: &str) -> Done<u64> {
        let packages = publish::read(&self.plugins, Output::Json)?;
        let quiet = Spinner::start(Output::Json, "");
        let published = publish::publish(&Api::new(&server.url(), Some(key))?, &packages, &quiet).await?;
        let line = |package: &Package| {
            let release = &package.release;
            format!("{}@{} {DIM}{}{DIM:#}", release.id, release.version, size(release.artifact.size))
        };
        let detail: Vec<String> = packages.iter().map(line).collect();
        Ok((published.seq, format!("{}, one event: {}", detail.join(", "), published.seq)))
    }

    pub(super) async fn wait(&self, server: &Server, seq: u64) -> Done<()> {
        let registry = self.open(&server.url(), false).await?;
        let signed = publish::wait(&registry, seq).await?;
        // A host that begins with nothing is what the next steps are to show.
        std::fs::remove_dir_all(&self.cache)?;
        Ok(((), format!("the signed head covers event {signed}")))
    }

    /// The registry as a host opens it: pinned to the root that its operator published.
    pub(super) async fn open(&self, url: &str, offline: bool) -> Result<Registry, Failure> {
        let root = TrustRoot::pinned(std::fs::read(self.registry.join("root.json"))?);
        host::open_at(url, root, Cache::at(&self.cache)?, offline).await
    }

    /// A host of the demo.
    pub(super) fn host(&self, registry: &Registry) -> Result<Host<()>, Failure> {
        match &self.code {
            Some(folder) => host::host_with_code(folder),
            None => host::host(registry),
        }
    }

    pub(super) async fn resolve(&self, server: &Server) -> Done<Online> {
        let registry = self.open(&server.url(), false).await?;
        let online = choose(&registry, &[PLUGIN], Refresh::Always, None, Mode::Keep).await?;
        let detail = format!("{}, {} requests with an empty cache", chosen(&online.resolution), registry.requests());
        Ok((online, detail))
    }

    pub(super) async fn fetch(&self, server: &Server, online: &Online) -> Done<Plan> {
        let registry = self.open(&server.url(), false).await?;
        let plan = registry.plan(&online.resolution, &online.wanted, |_| ()).await.map_err(cmd::explain)?;
        let bytes: u64 = online.resolution.plugins.iter().map(|plugin| plugin.listing.artifact.size).sum();
        let count = online.resolution.plugins.len();
        let detail = format!("{count} components, {}, {} requests", size(bytes), registry.requests());
        Ok((plan, detail))
    }

    pub(super) async fn start(&self, plan: Plan) -> Done<Host<()>> {
        let registry = self.open("http://127.0.0.1", true).await?;
        let host = self.host(&registry)?;
        let applied = host.apply(plan).await?;
        let names: Vec<String> = applied.plugins.iter().map(|(id, _)| id.to_string()).collect();
        applied.all()?;
        Ok((host, format!("{}, each in a store of its own", names.join(" → "))))
    }

    pub(super) async fn call(&self, host: Host<()>) -> Done<Vec<String>> {
        let values = host.plugin(PLUGIN)?.call_wave(CALL).await;
        cmd::run::end(host).await;
        let values = values?;
        Ok((texts(&values)?, shown(&values)))
    }

    /// Everything again with the server gone: lock, index, components and compiled code are in the cache.
    pub(super) async fn offline(&self, server: &Server, expected: &[String]) -> Done<()> {
        let registry = self.open(&server.url(), true).await?;
        let online = choose(&registry, &[PLUGIN], Refresh::Never, None, Mode::Keep).await?;
        let locked = choose(&registry, &[PLUGIN], Refresh::Never, Some(online.lock), Mode::Locked).await?;
        let plan = registry.plan(&locked.resolution, &locked.wanted, |_| ()).await.map_err(cmd::explain)?;
        let host = self.host(&registry)?;
        host.apply(plan).await?.all()?;
        let values = host.plugin(PLUGIN)?.call_wave(CALL).await;
        cmd::run::end(host).await;
        if texts(&values?)? != expected {
            return Err(Failure::new("the answer differs from the one before"));
        }
        match registry.requests() {
            0 => Ok(((), "same answer from the cache, 0 requests".to_owned())),
            requests => Err(Failure::new(format!("{requests} requests were made without a server"))),
        }
    }

    /// Flips one byte in a copy of the tree, the way a bad mirror would, and reads it as a fresh host.
    pub(super) async fn tamper(&self) -> Done<()> {
        let public = self.registry.join("blobs").join("public");
        copy_tree(&public, &self.copy)?;
        let root = TrustRoot::pinned(std::fs::read(self.registry.join("root.json"))?);
        let cache = Cache::at(self.cache.with_extension("fresh"))?;
        let url = format!("file://{}", std::path::absolute(&self.copy)?.display());
        let registry = Registry::open(&url, root, cache).await?;
        let online = choose(&registry, &[PLUGIN], Refresh::Always, None, Mode::Keep).await?;
        let artifacts = online.resolution.plugins.iter().map(|plugin| plugin.listing.artifact);
        let largest =
            artifacts.max_by_key(|artifact| artifact.size).ok_or_else(|| Failure::new("nothing was chosen"))?;
        let victim = self.copy.join("artifacts").join("sha256").join(largest.digest.to_string());
        flip(&victim)?;
        match registry.plan(&online.resolution, &online.wanted, |_| ()).await {
            Err(stoa_loader::PlanningError::Registry(error @ RegistryError::Mismatch { .. })) => {
                Ok(((), format!("one byte flipped, and {BAD}refused{BAD:#}: {}", chain(&error))))
            }
            Err(error) => Err(cmd::explain(error)),
            Ok(_) => Err(Failure::new(format!("`{}` was changed, and was taken", victim.display()))),
        }
    }
}

/// What a host does to know what to run.
pub(super) async fn choose(
    registry: &Registry,
    plugins: &[&str],
    refresh: Refresh,
    lock: Option<Lock>,
    mode: Mode,
) -> Result<Online, Failure> {
    let snapshot = registry.sync(refresh).await?;
    let version: VersionReq = "^1".parse()?;
    let wants: Result<Vec<Want>, Failure> =
        plugins.iter().map(|id| Ok(Want::new(id.parse::<PluginId>()?, version.clone()))).collect();
    let wanted = Wanted::new(BTreeMap::new(), wants?)?;
    let offer = host::host(registry)?.offer().to_core();
    let options = ResolveOptions::new("main".parse()?).with_mode(mode);
    let resolution = snapshot.resolve(&wanted, lock.as_ref(), &offer, &options).await.map_err(cmd::explain)?;
    let lock = resolution.lock(snapshot.lock_header(&offer).await);
    Ok(Online { resolution, lock, wanted })
}

fn chosen(resolution: &Resolution) -> String {
    let names: Vec<String> = resolution.plugins.iter().map(|p| format!("{}@{}", p.id, p.version)).collect();
    names.join(", ")
}

fn texts(values: &[Val]) -> Result<Vec<String>, Failure> {
    values.iter().map(|value| cmd::run::wave(std::slice::from_ref(value))).collect()
}

/// A size for people.
pub(super) fn size(bytes: u64) -> String {
    match bytes / 1024 {
        kib @ 0..10_000 => format!("{kib} KB"),
        kib => format!("{}.{} MB", kib / 1024, kib % 1024 * 10 / 1024),
    }
}

/// The result for a table: on one line, and not too long.
pub(super) fn shown(values: &[Val]) -> String {
    let text = texts(values).unwrap_or_default().join(" ");
    let short: String = text.chars().take(160).collect();
    if short.len() < text.len() { format!("{short}{DIM}…{DIM:#}") } else { short }
}

fn copy_tree(from: &Path, to: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy_tree(&entry.path(), &target)?,
            false => drop(std::fs::copy(entry.path(), target)?),
        }
    }
    Ok(())
}

fn flip(path: &Path) -> Result<(), Failure> {
    let mut bytes = std::fs::read(path)?;
    let middle = bytes.len() / 2;
    let byte = bytes.get_mut(middle).ok_or_else(|| Failure::new(format!("`{}` is empty", path.display())))?;
    *byte ^= 1;
    // Files of the registry are read-only where the store makes them so; a mirror's owner can do as it likes.
    std::fs::remove_file(path)?;
    std::fs::write(path, bytes)?;
    Ok(())
}
