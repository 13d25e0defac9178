//! The start of `demo:site` with the plugins that it depends on, cold and warm, beside bare wasmtime.
//!
//! "bare" has the loader's own configuration of the engine, one hash pass over the bytes that are read (SHA-256 over
//! the component where it is compiled, BLAKE3 with a key over compiled code), `deserialize_file`, `instantiate_pre`,
//! `instantiate` of each, with what other plugins would answer left to trap. It links no plugin to another and verifies
//! no index. It is taken once more without hashing.
//!
//! Like is compared with like: `apply` finds an engine and a linker with WASI made, and so its bound is taken from when
//! those are made; where the making of the host counts, the making of engine and linker counts in the bound.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use stoa_core::{
    resolve::{Mode, ResolveOptions},
    wanted::{Want, Wanted},
};
use stoa_loader::{
    Cache, Host, Refresh, Registry, TrustRoot,
    plan::{Origin, Plan},
};
use wasmtime::{
    Engine, Store,
    component::{Component, Linker, ResourceTable},
};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::{
    Outcome, Row, child,
    publish::{member, said},
    told,
};
use crate::downloads;

/// What is started.
const WANTED: &str = "demo:site";
/// In the order in which they depend on each other.
const FOLDERS: [&str; 3] = ["slugify", "markdown", "site"];
/// Rounds that count, of each. One more goes before.
const ROUNDS: usize = 15;

pub(super) fn rows(stoa: &str, plugins: &Path) -> Outcome<Vec<Row>> {
    let dir = tempfile::tempdir()?;
    let registry = dir.path().join("registry");
    let made = said(std::process::Command::new(stoa).args(["init", "--json", "--dir"]).arg(&registry))?;
    let (root, cache) = (registry.join("root.json"), dir.path().join("cache"));
    let server = downloads::serve(stoa, &registry, &dir.path().join("address"))?;
    let url = format!("http://{}", server.address);
    let command = |key: &str, args: &[&str]| {
        let mut command = std::process::Command::new(stoa);
        command.args(args).env("STOA_REGISTRY", &url).env("STOA_ROOT", &root).env("STOA_API_KEY", key);
        command.env("STOA_CACHE", &cache);
        command
    };
    let admin = member(&made, "admin_key")?;
    said(&mut command(&admin, &["namespace", "create", "demo", "--json"]))?;
    let key = said(&mut command(&admin, &["key", "create", "--label", "bench", "--scope", "publish:demo", "--json"]))?;
    let folders = FOLDERS.map(|name| plugins.join(name));
    said(command(&member(&key, "key")?, &["publish", "--wait", "--json"]).args(folders))?;

    let text = |path: &Path| path.to_string_lossy().into_owned();
    let (root, kept) = (text(&root), text(&dir.path().join("kept")));
    let (code, bare) = (dir.path().join("code"), dir.path().join("bare"));
    // Brings everything into the cache; after this nothing is asked for any more.
    let first = child(&["core-load", "online", &url, &root, &kept, &text(&code)])?;
    let components = member_list(&first, "components")?;
    let mut times: BTreeMap<(&str, &str, &str), Vec<Duration>> = BTreeMap::new();
    for round in 0..=ROUNDS {
        for case in ["cold", "warm"] {
            if case == "cold" {
                for folder in [&code, &bare] {
                    if folder.exists() {
                        fs::remove_dir_all(folder)?;
                    }
                }
                fs::create_dir(&bare)?;
            }
            let bare = text(&bare);
            let bound = |hash: &str| {
                let args = ["core-bare", case, hash, &bare];
                let args: Vec<&str> = args.into_iter().chain(components.iter().map(String::as_str)).collect();
                child(&args)
            };
            let ours = child(&["core-load", "offline", &url, &root, &kept, &text(&code)])?;
            let hashing = bound("hash")?;
            if case == "cold" {
                fs::remove_dir_all(&bare)?;
                fs::create_dir(&bare)?;
            }
            let trusting = bound("trust")?;
            if round == 0 {
                continue;
            }
            for (who, answer) in [("loader", &ours), ("hash", &hashing), ("trust", &trusting)] {
                for part in ["load_ns", "whole_ns"] {
                    times.entry((case, who, part)).or_default().push(told(answer, part)?);
                }
            }
        }
    }
    let bytes: u64 = components.iter().map(|path| Ok(fs::metadata(path)?.len())).sum::<Outcome<u64>>()?;
    let note = format!("{} components, {bytes} B", components.len());
    let taken = |case, who, part| times.get(&(case, who, part)).cloned().unwrap_or_default();
    let mut rows = Vec::new();
    for case in ["warm", "cold"] {
        for part in ["load_ns", "whole_ns"] {
            for who in ["hash", "trust"] {
                let (what, from) = match part {
                    "load_ns" => ("`apply`", "engine and linker made before"),
                    _ => ("from the pinned root and the kept index", "with engine and linker"),
                };
                let hash = match (who, case) {
                    ("trust", _) => "no hash pass",
                    (_, "cold") => "a hash pass over components",
                    _ => "a hash pass over compiled code",
                };
                rows.push(Row {
                    what: format!("{case} load of `{WANTED}`: {what}"),
                    found: taken(case, "loader", part),
                    bound: format!("bare wasmtime, {from}, {hash}"),
                    least: taken(case, who, part),
                    note: note.clone(),
                    target: None,
                });
            }
        }
    }
    Ok(rows)
}

fn member_list(value: &Value, name: &str) -> Outcome<Vec<String>> {
    let list = value[name].as_array().ok_or_else(|| format!("no `{name}` in {value}"))?;
    list.iter().map(|item| Ok(item.as_str().ok_or("no text")?.to_owned())).collect()
}

/// `core-load online|offline URL ROOT CACHE CODE`: what a host does from its start until `demo:site` runs.
pub(crate) fn one_load(args: &[&str]) -> Outcome<()> {
    let [way, url, root, cache, code] = args else {
        return Err("usage: stoa-benches core-load online|offline URL ROOT CACHE CODE".into());
    };
    let runtime = tokio::runtime::Runtime::new()?;
    let root = TrustRoot::pinned(fs::read(root)?);
    let answer = runtime.block_on(async {
        let began = Instant::now();
        let host = Host::<()>::builder().code_cache(code).build()?;
        let cache = Cache::at(*cache)?;
        let registry = match *way {
            "online" => Registry::open(url, root, cache).await?,
            _ => Registry::open_offline(url, root, cache).await?,
        };
        let snapshot = match *way {
            "online" => registry.sync(Refresh::Always).await?,
            _ => registry.cached().await?,
        };
        let wanted = Wanted::new(BTreeMap::new(), vec![Want::new(WANTED.parse()?, "^1".parse()?)])?;
        let options = ResolveOptions::new("main".parse()?).with_mode(Mode::Keep);
        let resolution = snapshot.resolve(&wanted, None, &host.offer().to_core(), &options).await?;
        let plan: Plan = registry.plan(&resolution, &wanted, |_| ()).await?;
        let components: Vec<String> = plan.plugins().iter().filter_map(|planned| path(&planned.origin)).collect();
        let applying = Instant::now();
        host.apply(plan).await?.all()?;
        let (apply, whole) = (applying.elapsed(), began.elapsed());
        host.shutdown(Duration::from_secs(5)).await;
        let ns = |time: Duration| u64::try_from(time.as_nanos());
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(
            json!({"load_ns": ns(apply)?, "whole_ns": ns(whole)?, "components": components}),
        )
    })?;
    println!("{answer}");
    Ok(())
}

fn path(origin: &Origin) -> Option<String> {
    match origin {
        Origin::File(path) => Some(path.to_string_lossy().into_owned()),
        Origin::Held(_) | Origin::Remote(_) => None,
    }
}

/// What a bare store holds.
struct Bare {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Bare {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// `core-bare cold|warm hash|trust FOLDER COMPONENT...`: compiles each into the folder, or reads it from there, and
/// instantiates it; with a hash pass over what is read, or without.
pub(crate) fn one_bare(args: &[&str]) -> Outcome<()> {
    let [case, hash, folder, components @ ..] = args else {
        return Err("usage: stoa-benches core-bare cold|warm hash|trust FOLDER COMPONENT...".into());
    };
    let hash = *hash == "hash";
    let runtime = tokio::runtime::Runtime::new()?;
    let (load, whole) = runtime.block_on(async {
        let began = Instant::now();
        let engine = Engine::new(&stoa_loader::testing::engine_config())?;
        let mut linker = Linker::<Bare>::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        let loading = Instant::now();
        let mut kept = Vec::new();
        for (n, path) in components.iter().enumerate() {
            let compiled = Path::new(folder).join(n.to_string());
            let component = if *case == "cold" {
                let bytes = fs::read(path)?;
                if hash {
                    std::hint::black_box(Sha256::digest(&bytes));
                }
                let component = Component::new(&engine, &bytes)?;
                fs::write(&compiled, component.serialize()?)?;
                component
            } else {
                read(&engine, &compiled, hash)?
            };
            let mut linker = linker.clone();
            linker.define_unknown_imports_as_traps(&component)?;
            let before = linker.instantiate_pre(&component)?;
            let mut store = Store::new(&engine, Bare { wasi: WasiCtx::builder().build(), table: ResourceTable::new() });
            store.set_epoch_deadline(1_000);
            let instance = before.instantiate_async(&mut store).await?;
            kept.push((store, instance));
        }
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>((loading.elapsed(), began.elapsed()))
    })?;
    println!("{}", json!({"load_ns": u64::try_from(load.as_nanos())?, "whole_ns": u64::try_from(whole.as_nanos())?}));
    Ok(())
}

#[expect(unsafe_code, reason = "the file was written by this very program, for this bench, a moment ago")]
fn read(engine: &Engine, path: &Path, hash: bool) -> Outcome<Component> {
    if hash {
        let mut hasher = blake3::Hasher::new_keyed(&[7; 32]);
        hasher.update_reader(fs::File::open(path)?)?;
        std::hint::black_box(hasher.finalize());
    }
    // SAFETY: it is the output of `Component::serialize` of an engine of the same configuration and version.
    Ok(unsafe { Component::deserialize_file(engine, path)? })
}
