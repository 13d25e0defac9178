//! Making kills final: from here on their bytes may be deleted.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use async_trait::async_trait;
use stoa_core::{
    digest::Digest,
    event::{ActorId, Draft, Fact},
    id::PluginId,
    lock::Exact,
    standing::Measure,
    time::Time,
};
use stoa_store::{
    blobs::EngineError,
    ledger::{Expect, Ledger, Write},
    sweep::Kills,
};

use crate::{
    items::{self, Kept, Outcome, operation},
    problem::{Code, Problem},
    state::{PluginItem, ReleaseItem, TakedownItem},
};

/// The killed releases of a registry.
#[derive(Clone)]
pub struct KilledReleases(Arc<dyn Ledger>);

impl KilledReleases {
    /// Those in `ledger`.
    pub fn new(ledger: Arc<dyn Ledger>) -> Self {
        Self(ledger)
    }
}

impl std::fmt::Debug for KilledReleases {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KilledReleases")
    }
}

#[async_trait]
impl Kills for KilledReleases {
    async fn purge(
        &self,
        releases: &BTreeSet<Exact>,
        blobs: &BTreeSet<Digest>,
        now: Time,
    ) -> Result<bool, EngineError> {
        let planned = plan(&*self.0, releases, now).await;
        let Planned { writes, revisions } = match planned {
            Err(problem) if problem.code() == Code::TakedownNone => return Ok(false),
            planned => planned?,
        };
        let (releases, blobs) = (releases.iter().cloned().collect(), blobs.iter().copied().collect());
        let fact = Fact::Purged { releases, blobs };
        let draft = Draft { actor: ActorId::registry(), fact, private: None };
        let operation = operation("purge", &revisions)?;
        let outcome = items::commit(&*self.0, operation, Some(draft), writes, now).await?;
        Ok(matches!(outcome, Outcome::Done))
    }
}

/// What a purge writes, and the state that it starts from.
pub(crate) struct Planned {
    pub(crate) writes: Vec<Write>,
    revisions: Vec<String>,
}

/// Marks the kill of each release as final: its own, or else its plugin's. A release whose bytes are gone promises
/// nothing to later ones: its functions go as well.
///
/// # Errors
/// [`Code::TakedownNone`] where one of them is not killed.
pub(crate) async fn plan(ledger: &dyn Ledger, releases: &BTreeSet<Exact>, now: Time) -> Result<Planned, Problem> {
    let mut planned = Planned { writes: Vec::new(), revisions: Vec::new() };
    let mut plugins: BTreeMap<&PluginId, Kept<PluginItem>> = BTreeMap::new();
    for release in releases {
        let Exact { id, version } = release;
        let alive = || Problem::new(Code::TakedownNone, format!("`{release}` is not killed"));
        let Kept { mut value, revision } =
            items::get::<ReleaseItem>(ledger, (id, version), now).await?.ok_or_else(alive)?;
        value.functions = BTreeMap::new();
        if !finish(value.takedown.as_mut()) {
            let plugin = match plugins.remove(id) {
                Some(plugin) => plugin,
                None => items::get::<PluginItem>(ledger, id, now).await?.ok_or_else(alive)?,
            };
            let Kept { value, revision } = plugins.entry(id).or_insert(plugin);
            if !finish(value.takedown.as_mut()) {
                return Err(alive());
            }
            planned.revisions.push(format!("{id} {revision}"));
        }
        planned.revisions.push(format!("{release} {revision}"));
        planned.writes.push(items::put((id, version), &value, Expect::Revision(revision), None)?);
    }
    for (id, Kept { value, revision }) in plugins {
        planned.writes.push(items::put(id, &value, Expect::Revision(revision), None)?);
    }
    Ok(planned)
}

/// Gives whether it is a kill.
fn finish(takedown: Option<&mut TakedownItem>) -> bool {
    match takedown {
        Some(takedown) if takedown.measure == Measure::Kill => {
            takedown.purged = true;
            true
        }
        _ => false,
    }
}
