//! Reading from the ledger what the rules look at.

use std::collections::{BTreeMap, BTreeSet};

use stoa_core::{
    id::{Namespace, PluginId},
    time::Time,
    version::Version,
};
use stoa_store::ledger::{ItemKey, KeyError, Ledger};

use crate::{
    items::{self, Kept, ledger_problem},
    problem::Problem,
    publish::{
        bucket::Bucket,
        known::{Known, meeting, mentioned, neighbor, predecessor, skeleton},
        set::Set,
    },
    state::{Among, BucketItem, Item, NameItem, NamespaceItem, PluginItem, PublishersItem, ReleaseItem},
};

/// What the ledger knows, with what a transaction that rests on it has to expect.
#[derive(Debug)]
pub(crate) struct Gathered {
    pub(crate) known: Known,
    /// The revision of each plugin's item.
    pub(crate) revisions: BTreeMap<PluginId, u64>,
    /// The revision of the item of each bucket that gets a plugin.
    pub(crate) bucket_revisions: BTreeMap<Bucket, u64>,
    /// The revision of the keys of each namespace that has some.
    pub(crate) publisher_revisions: BTreeMap<Namespace, u64>,
    /// The end of the log before anything else was read.
    pub(crate) head: u64,
    /// No earlier time than this can the event have.
    pub(crate) at: Time,
}

/// Reads everything that bears on `set`.
///
/// The reads are no snapshot of one moment. They need not be: whatever could change and matters hangs on the
/// plugin's own item, which is read first, and on the item of its bucket; the transaction expects both unchanged.
pub(crate) async fn gather(ledger: &dyn Ledger, set: &Set, now: Time) -> Result<Gathered, Problem> {
    let head = ledger.head().await.map_err(|error| ledger_problem(&error))?;
    let mut known = Known::default();
    let mut revisions = BTreeMap::new();
    for (id, kept) in plugins(ledger, set, now).await? {
        revisions.insert(id.clone(), kept.revision);
        known.plugins.insert(id, kept.value);
    }
    let bucket_revisions = buckets(ledger, set, now, &mut known).await?;
    let own = |name: fn(&PluginId) -> Result<ItemKey, KeyError>| {
        keys(set.candidates().iter().map(|candidate| name(&candidate.release.id)))
    };
    let namespaces: Vec<Option<Kept<NamespaceItem>>> =
        items::get_many(ledger, &own(|id| NamespaceItem::key(id.namespace()))?, now).await?;
    known.namespaces = namespaces.into_iter().flatten().map(|kept| kept.value.namespace).collect();
    let publisher_revisions = publishers(ledger, set, now, &mut known).await?;
    let names: Vec<Option<Kept<NameItem>>> =
        items::get_many(ledger, &own(|id| NameItem::key((Among::Plugins(id.namespace()), &skeleton(id))))?, now)
            .await?;
    known.names = by_plugin(set, names.into_iter().map(|kept| kept.map(|kept| kept.value.name)));

    known.releases = releases(ledger, set, now, |_, version| Some(version.clone())).await?;
    let earlier = |choose: for<'p> fn(&'p PluginItem, &Version) -> Option<&'p Version>| {
        let plugins = &known.plugins;
        move |id: &PluginId, version: &Version| plugins.get(id).and_then(|plugin| choose(plugin, version)).cloned()
    };
    let predecessors = releases(ledger, set, now, earlier(predecessor)).await?;
    let neighbors = releases(ledger, set, now, earlier(neighbor)).await?;
    (known.predecessors, known.neighbors) = (predecessors, neighbors);
    known.dependencies = dependencies(ledger, set, &known.plugins, now).await?;
    let (head, at) = (head.seq, now.max(head.time));
    Ok(Gathered { known, revisions, bucket_revisions, publisher_revisions, head, at })
}

/// Reads the keys of the set's namespaces, and gives the revisions of their items.
async fn publishers(
    ledger: &dyn Ledger,
    set: &Set,
    now: Time,
    known: &mut Known,
) -> Result<BTreeMap<Namespace, u64>, Problem> {
    let namespaces: BTreeSet<&Namespace> = set.namespaces();
    let keys = keys(namespaces.iter().map(|namespace| PublishersItem::key(namespace)))?;
    let found: Vec<Option<Kept<PublishersItem>>> = items::get_many(ledger, &keys, now).await?;
    let mut revisions = BTreeMap::new();
    for Kept { value, revision } in found.into_iter().flatten() {
        let namespace = value.publishers.namespace.clone();
        known.publishers.insert(namespace.clone(), value.publishers);
        revisions.insert(namespace, revision);
    }
    Ok(revisions)
}

async fn plugins(ledger: &dyn Ledger, set: &Set, now: Time) -> Result<Vec<(PluginId, Kept<PluginItem>)>, Problem> {
    let ids = mentioned(set);
    let keys = keys(ids.iter().map(|id| PluginItem::key(id)))?;
    let found = items::get_many(ledger, &keys, now).await?;
    let pairs = ids.into_iter().cloned().zip(found);
    Ok(pairs.filter_map(|(id, kept)| Some((id, kept?))).collect())
}

/// Reads what the buckets of new plugins hold, and gives the revisions of their items.
async fn buckets(
    ledger: &dyn Ledger,
    set: &Set,
    now: Time,
    known: &mut Known,
) -> Result<BTreeMap<Bucket, u64>, Problem> {
    let wanted: BTreeSet<Bucket> = known.new_plugins(set.candidates()).into_iter().map(Bucket::of).collect();
    let keys = keys(wanted.iter().map(|bucket| BucketItem::key(*bucket)))?;
    let found: Vec<Option<Kept<BucketItem>>> = items::get_many(ledger, &keys, now).await?;
    let mut revisions = BTreeMap::new();
    for (bucket, kept) in wanted.into_iter().zip(found) {
        if let Some(Kept { value, revision }) = kept {
            known.buckets.insert(bucket, value.entry_bytes);
            revisions.insert(bucket, revision);
        }
    }
    Ok(revisions)
}

/// For each plugin of the set the release with the chosen version, where one is chosen and exists.
async fn releases(
    ledger: &dyn Ledger,
    set: &Set,
    now: Time,
    choose: impl Fn(&PluginId, &Version) -> Option<Version>,
) -> Result<BTreeMap<PluginId, ReleaseItem>, Problem> {
    let candidates = set.candidates().iter().map(|candidate| &candidate.release);
    let chosen: Vec<(&PluginId, Version)> =
        candidates.filter_map(|release| Some((&release.id, choose(&release.id, &release.version)?))).collect();
    let keys = keys(chosen.iter().map(|(id, version)| ReleaseItem::key((id, version))))?;
    let found: Vec<Option<Kept<ReleaseItem>>> = items::get_many(ledger, &keys, now).await?;
    let pairs = chosen.into_iter().map(|(id, _)| id.clone()).zip(found);
    Ok(pairs.filter_map(|(id, kept)| Some((id, kept?.value))).collect())
}

/// The releases that stand for what the set depends on.
async fn dependencies(
    ledger: &dyn Ledger,
    set: &Set,
    plugins: &BTreeMap<PluginId, PluginItem>,
    now: Time,
) -> Result<BTreeMap<PluginId, BTreeMap<Version, ReleaseItem>>, Problem> {
    let asked = set.candidates().iter().flat_map(|candidate| &candidate.release.dependencies);
    let asked = asked.filter_map(|(id, dependency)| Some((id, meeting(plugins.get(id)?, &dependency.version))));
    let chosen: BTreeSet<(&PluginId, &Version)> =
        asked.flat_map(|(id, versions)| versions.into_iter().map(move |version| (id, version))).collect();
    let keys = keys(chosen.iter().map(|name| ReleaseItem::key(*name)))?;
    let found: Vec<Option<Kept<ReleaseItem>>> = items::get_many(ledger, &keys, now).await?;
    let mut dependencies: BTreeMap<PluginId, BTreeMap<Version, ReleaseItem>> = BTreeMap::new();
    for ((id, version), kept) in chosen.into_iter().zip(found) {
        if let Some(kept) = kept {
            dependencies.entry(id.clone()).or_default().insert(version.clone(), kept.value);
        }
    }
    Ok(dependencies)
}

fn by_plugin<T>(set: &Set, values: impl Iterator<Item = Option<T>>) -> BTreeMap<PluginId, T> {
    let ids = set.candidates().iter().map(|candidate| candidate.release.id.clone());
    ids.zip(values).filter_map(|(id, value)| Some((id, value?))).collect()
}

fn keys(keys: impl Iterator<Item = Result<ItemKey, KeyError>>) -> Result<Vec<ItemKey>, Problem> {
    keys.collect::<Result<_, _>>().map_err(|error| Problem::internal(&error))
}
