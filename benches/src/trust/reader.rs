//! The loader as a program of its own: what a host does when it starts, and when it looks for news.

use std::{collections::BTreeMap, fs, time::Instant};

use stoa_core::{id::PluginId, path::PublicPath, resolve::Known};
use stoa_loader::{Cache, Refresh, Registry, TrustRoot};

use super::{Outcome, clock};

/// Refreshes, reads the documents of these plugins, and prints what that took and what it saw.
pub(crate) fn run(args: &[&str]) -> Outcome<()> {
    let [root, state, url, ids @ ..] = args else {
        return Err("usage: stoa-benches trust-reader ROOT STATE URL NS:NAME...".into());
    };
    let root = fs::read(root)?;
    let ids = ids.iter().map(|id| id.parse()).collect::<Result<Vec<PluginId>, _>>()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let (began, cpu) = (Instant::now(), clock::process());
    let seen = runtime.block_on(read(root, state, url, &ids))?;
    let (wall, cpu) = (began.elapsed(), clock::process() - cpu);
    println!("{}", serde_json::json!({"wall_ns": wall.as_nanos(), "cpu_ns": cpu.as_nanos(), "seen": seen}));
    Ok(())
}

/// The event that touched each plugin last.
async fn read(root: Vec<u8>, state: &str, url: &str, ids: &[PluginId]) -> Outcome<BTreeMap<String, Option<u64>>> {
    let registry = Registry::open(url, TrustRoot::pinned(root), Cache::at(state)?).await?;
    let snapshot = registry.sync(Refresh::Always).await?;
    let documents = snapshot.documents(|_| ids.to_vec()).await?;
    let seq = |known: &Known| if let Known::Document(document) = known { Some(document.seq) } else { None };
    Ok(documents.iter().map(|(id, known)| (PublicPath::target_path(id), seq(known))).collect())
}

/// What is kept, verified from the pinned root without a connection: root, timestamp, snapshot, the roles on the way to
/// these plugins, and their documents.
pub(super) async fn read_kept(root: &[u8], state: &str, url: &str, ids: &[PluginId]) -> Outcome<()> {
    let registry = Registry::open_offline(url, TrustRoot::pinned(root), Cache::at(state)?).await?;
    let snapshot = registry.cached().await?;
    let documents = snapshot.documents(|_| ids.to_vec()).await?;
    match documents.iter().find(|(_, known)| !matches!(known, Known::Document(_))) {
        Some((id, _)) => Err(format!("`{id}` is not kept").into()),
        None => Ok(()),
    }
}
