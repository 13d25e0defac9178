//! From what a host asks for to exactly what it runs.
//!
//! [`resolve`] is pure: the same wishes, lock, offer and documents give the same answer, in whatever order they
//! were gathered. Documents are fetched lazily: call [`reachable`], fetch what it names, and repeat until it names
//! nothing.
//!
//! The rules:
//! - A host runs one version of a plugin.
//! - A pre-release is chosen only where a requirement names one (Cargo's rule), a yanked release only where the
//!   lock names exactly that artifact.
//! - What was taken down is not chosen. A quarantined release is kept where the lock names it, a killed one is not.
//! - A provider's version will do only if it exports the interfaces that the caller imports, in the same or a higher
//!   version of the same semver track. Hashes of types refuse nothing: an import has only what its caller uses.
//! - A requirement on an optional dependency applies if the plugin is there for another reason; by itself it
//!   brings nothing in. An optional *wish* of the host is granted wherever any set of versions grants it.
//! - What the host's policy bars is not chosen.
//! - What the lock names is kept where it fits.
//! - Plugins do not depend on each other in a circle.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    attestation::Provenance,
    digest::Digest,
    document::{Document, Listing},
    id::{Name, PluginId},
    interface::InterfaceName,
    lock::{Entry, Exact, Header, Lock, Publisher, decision_digest},
    offer::Offer,
    release::OnFailure,
    standing::Standing,
    version::Version,
    wanted::Wanted,
};

mod ask;
mod assemble;
mod error;
mod explain;
mod locked;
mod options;
mod reach;
mod solve;
mod universe;
mod verify;
mod versions;

pub use ask::{Ask, New, asks};
pub use error::{ChangedRelease, Down, ResolveError, Stale};
pub use explain::Explanation;
pub use options::{Bar, Barred, DEFAULT_BUDGET, Mode, ResolveOptions};
pub use reach::reachable;
pub use solve::Explored;
pub use verify::{Fault, verify};

/// What is known of the plugins that a resolution may reach.
pub type Documents = BTreeMap<PluginId, Known>;

/// What is known of one plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "nearly all are documents")]
pub enum Known {
    /// Its document.
    Document(Document),
    /// The signed index proves that the registry has no such plugin.
    Absent,
    /// Nobody knows: nothing is kept of it, and no connection may be opened.
    NotKept,
}

/// Where a plugin comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The registry of this name.
    Registry(Name),
    /// A folder: for development, and never in a lock.
    Path(String),
}

/// One import and the export that answers it, by their exact names: an engine that matches names by semver must
/// not choose again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Binding {
    /// What the caller imports.
    pub import: InterfaceName,
    /// What the provider exports: the same name, or a compatible higher version.
    pub export: InterfaceName,
}

/// One plugin that another calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// Who is called.
    pub dependency: PluginId,
    /// Through what, sorted by import; empty where the caller imports nothing of it.
    pub bindings: Vec<Binding>,
    /// What becomes of the caller when the call fails.
    pub on_failure: OnFailure,
}

/// One plugin of a resolution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The plugin.
    pub id: PluginId,
    /// The chosen version.
    pub version: Version,
    /// Where it comes from.
    pub source: Source,
    /// What the index says of that version: artifact, record, seq, imports, limits.
    pub listing: Listing,
    /// What others than its author say of it.
    pub standing: Standing,
    /// Whose verified signature it bears. A resolution reads documents, which name no keys, and so says nobody's.
    pub publisher: Publisher,
    /// The publisher's keys whose signatures were verified, and which were not revoked since; `None` where nobody looked.
    pub publisher_keys: Option<BTreeSet<Digest>>,
    /// Where it was built, as its publisher has signed; `None` where nobody looked.
    pub provenance: Option<Vec<Provenance>>,
    /// The plugins that it calls, sorted by id. An optional dependency that is not there has no edge.
    pub edges: Vec<Edge>,
}

/// An optional wish of the host that no set of versions grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The plugin.
    pub id: PluginId,
    /// Why, for people.
    pub why: String,
}

/// A plugin whose version changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The plugin.
    pub id: PluginId,
    /// The version in the lock.
    pub from: Version,
    /// The chosen version.
    pub to: Version,
}

/// How a resolution differs from the lock; without a lock everything is added. All lists are sorted by id.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diff {
    /// Not in the lock.
    pub added: Vec<Exact>,
    /// Only in the lock.
    pub removed: Vec<Exact>,
    /// In both, in other versions.
    pub changed: Vec<Change>,
}

impl Diff {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

/// Exactly what a host runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// The plugins in load order: each after all that it calls.
    pub plugins: Vec<Resolved>,
    /// Optional wishes that could not be granted, sorted by id.
    pub left_out: Vec<LeftOut>,
    /// How this differs from the lock.
    pub diff: Diff,
    /// What nobody has agreed to who agreed to the lock, sorted by id. Nothing is to be fetched while this is not empty:
    /// see [`Resolution::accept`].
    pub asks: Vec<Ask>,
}

impl Resolution {
    /// Agrees to what is new in a plugin. Gives whether there was anything.
    pub fn accept(&mut self, id: &PluginId) -> bool {
        let before = self.asks.len();
        self.asks.retain(|ask| ask.release.id != *id);
        self.asks.len() < before
    }

    /// The lock of this resolution. Plugins from folders are not in it: their bytes change with every build.
    pub fn lock(&self, header: Header) -> Lock {
        let versions: BTreeMap<&PluginId, &Version> = self.plugins.iter().map(|p| (&p.id, &p.version)).collect();
        let entry = |plugin: &Resolved| {
            let Source::Registry(registry) = &plugin.source else { return None };
            let dependencies = plugin.edges.iter().filter_map(|edge| {
                let version = versions.get(&edge.dependency)?;
                Some((edge.dependency.clone(), (*version).clone()))
            });
            let entry = Entry {
                version: plugin.version.clone(),
                registry: registry.clone(),
                artifact: plugin.listing.artifact,
                record: plugin.listing.record,
                publisher: plugin.publisher,
                dependencies: dependencies.collect(),
                decision: decision_digest(&plugin.listing),
            };
            Some((plugin.id.clone(), entry))
        };
        Lock { header, entries: self.plugins.iter().filter_map(entry).collect() }
    }
}

/// Chooses the versions that a host runs.
///
/// `documents` must hold all that [`reachable`] names, and for a plugin from a folder (`path`) the document that the
/// caller made of it.
///
/// # Errors
/// [`ResolveError`]. Only [`ResolveError::Unsatisfiable`] says that there is no answer.
pub fn resolve(
    wanted: &Wanted,
    lock: Option<&Lock>,
    offer: &Offer,
    documents: &Documents,
    options: &ResolveOptions,
) -> Result<Resolution, ResolveError> {
    check_registry(wanted, options)?;
    let folders = wanted.plugins().iter().filter(|want| want.enabled && want.path.is_some());
    let missing: Vec<_> = folders.map(|want| &want.id).filter(|id| !documents.contains_key(*id)).cloned().collect();
    if !missing.is_empty() {
        return Err(ResolveError::Unfetched(missing));
    }
    if let Some(lock) = lock {
        check_releases(wanted, lock, documents)?;
    }
    let options = &options.spelt_out(documents);
    let resolution = match options.mode {
        Mode::Locked => locked::check(wanted, lock.ok_or(ResolveError::NoLock)?, offer, documents, options)?,
        _ => choose(wanted, lock, offer, documents, options)?,
    };
    verify(&resolution, wanted, lock, offer, documents, options).map_err(error::disagreement)?;
    Ok(resolution)
}

/// The search, in every mode but the locked one.
fn choose(
    wanted: &Wanted,
    lock: Option<&Lock>,
    offer: &Offer,
    documents: &Documents,
    options: &ResolveOptions,
) -> Result<Resolution, ResolveError> {
    let missing = reachable(wanted, lock, documents);
    if !missing.is_empty() {
        return Err(ResolveError::Unfetched(missing));
    }
    let universe = universe::Universe::new(wanted, offer, documents, &options.barred, lock, |id| match &options.mode {
        Mode::Update(ids) => ids.contains(id),
        mode => *mode == Mode::UpdateAll,
    });
    let found = solve::solve(&universe, options.budget).map_err(|failure| match failure {
        solve::Failure::GaveUp(explored) => ResolveError::GaveUp(Box::new(explored)),
        solve::Failure::Impossible(proof) => {
            ResolveError::Unsatisfiable(Box::new(explain::explain(&universe, &proof, options.budget)))
        }
    })?;
    let left_out = found
        .refused
        .iter()
        .map(|id| LeftOut { id: (*id).clone(), why: explain::why_left_out(&universe, id, options.budget) });
    let plugins = assemble::assemble(&universe, &found.chosen, &options.registry).map_err(|error| match error {
        ResolveError::Cycle { circle, .. } => {
            let hint = explain::out_of_the_circle(&universe, &circle, options);
            ResolveError::Cycle { circle, hint }
        }
        other => other,
    })?;
    let diff = assemble::diff(&plugins, lock);
    let asks = asks(wanted, &plugins, lock, documents);
    Ok(Resolution { asks, diff, left_out: left_out.collect(), plugins })
}

/// One resolution has the documents of one registry: a name means the same plugin for everybody in it.
fn check_registry(wanted: &Wanted, options: &ResolveOptions) -> Result<(), ResolveError> {
    for want in wanted.plugins().iter().filter(|want| want.enabled && want.path.is_none()) {
        if let Some(registry) = want.registry.as_ref().filter(|name| **name != options.registry) {
            let (id, ours) = (want.id.clone(), options.registry.clone());
            return Err(ResolveError::OtherRegistry { id, registry: registry.clone(), ours });
        }
    }
    Ok(())
}

/// Attack: a registry that gives other bytes under a version that somebody already runs. A release never changes, so
/// this is refused in every mode, also for plugins that are updated.
fn check_releases(wanted: &Wanted, lock: &Lock, documents: &Documents) -> Result<(), ResolveError> {
    for (id, entry) in &lock.entries {
        let from_path = wanted.get(id).is_some_and(|want| want.path.is_some());
        let Some(Known::Document(document)) = documents.get(id).filter(|_| !from_path) else { continue };
        let Some(listing) = document.releases.get(&entry.version) else { continue };
        let (locked, found) = (entry.artifact, listing.artifact);
        let changed = |what, locked, found| {
            let release = Exact { id: id.clone(), version: entry.version.clone() };
            Err(ResolveError::Changed(Box::new(ChangedRelease { release, what, locked, found })))
        };
        if locked != found {
            return changed("artifact", locked.digest, found.digest);
        }
        if entry.record != listing.record {
            return changed("release record", entry.record, listing.record);
        }
    }
    Ok(())
}
