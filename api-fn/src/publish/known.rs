//! What the ledger knows that bears on a set of records.

use std::collections::{BTreeMap, BTreeSet};

use stoa_core::{
    id::{Name, Namespace, PluginId},
    publisher::Publishers,
    version::{Version, VersionReq},
};

use crate::{
    publish::{
        bucket::Bucket,
        set::{Candidate, Set},
    },
    skeleton::Skeleton,
    state::{PluginItem, ReleaseItem},
};

/// The state that the rules look at, as far as it exists.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The namespaces that exist.
    pub namespaces: BTreeSet<Namespace>,
    /// The keys of the set's namespaces, where they have some.
    pub publishers: BTreeMap<Namespace, Publishers>,
    /// The plugins that exist: those of the set and those that it depends on.
    pub plugins: BTreeMap<PluginId, PluginItem>,
    /// The releases of the set that exist already.
    pub releases: BTreeMap<PluginId, ReleaseItem>,
    /// For plugins of the set: the release that the new one must stay compatible with, see [`predecessor`].
    pub predecessors: BTreeMap<PluginId, ReleaseItem>,
    /// For plugins of the set: a release whose interfaces the document has already, see [`neighbor`].
    pub neighbors: BTreeMap<PluginId, ReleaseItem>,
    /// Releases of the plugins that the set depends on, see [`meeting`].
    pub dependencies: BTreeMap<PluginId, BTreeMap<Version, ReleaseItem>>,
    /// For plugins of the set: the name that took their skeleton in their namespace.
    pub names: BTreeMap<PluginId, Name>,
    /// For plugins of the set that are new: what their buckets hold without them; nothing where that is 0.
    pub buckets: BTreeMap<Bucket, u64>,
}

impl Known {
    /// Those of `candidates` whose plugin does not exist yet.
    pub fn new_plugins<'c>(&self, candidates: impl IntoIterator<Item = &'c Candidate>) -> Vec<&'c PluginId> {
        let ids = candidates.into_iter().map(|candidate| &candidate.release.id);
        ids.filter(|id| !self.plugins.contains_key(id)).collect()
    }
}

/// The plugins that a set mentions: its own, and those that it depends on.
pub fn mentioned(set: &Set) -> BTreeSet<&PluginId> {
    let candidates = set.candidates().iter();
    candidates
        .flat_map(|candidate| std::iter::once(&candidate.release.id).chain(candidate.release.dependencies.keys()))
        .collect()
}

/// The skeleton of a plugin's name.
pub fn skeleton(id: &PluginId) -> Skeleton {
    Skeleton::of(id.name().as_str())
}

/// The release that `version` must stay compatible with: the newest one below it that the same requirement
/// `^x` would choose. None where `version` begins a new major version (below 1: a new minor one), or where one
/// of the two is a pre-release, which nobody gets without asking for it by name.
pub fn predecessor<'p>(plugin: &'p PluginItem, version: &Version) -> Option<&'p Version> {
    let before = plugin.versions.range(..version).rev().find(|before| !before.is_prerelease())?;
    let (new, old) = (version.as_semver(), before.as_semver());
    let compatible = match (old.major, old.minor) {
        (0, 0) => false,
        (0, minor) => new.major == 0 && new.minor == minor,
        (major, _) => new.major == major,
    };
    (compatible && !version.is_prerelease()).then_some(before)
}

/// At most so many releases of a dependency are looked at.
const MAX_LOOKED_AT: usize = 8;

/// The releases of a dependency that stand for all that meet `requirement`: the newest of each major version (below 1:
/// of each minor one), highest first, at most 8. What older ones of it export, the newest exports too.
pub fn meeting<'p>(plugin: &'p PluginItem, requirement: &VersionReq) -> Vec<&'p Version> {
    let mut found: Vec<&Version> = Vec::new();
    for version in plugin.versions.iter().rev().filter(|version| requirement.matches(version)) {
        if !found.iter().any(|newer| track(newer) == track(version)) {
            found.push(version);
        }
    }
    found.truncate(MAX_LOOKED_AT);
    found
}

/// What `^` keeps together; a pre-release stands alone, for it promises nothing.
fn track(version: &Version) -> (u64, u64, u64, &str) {
    let version = version.as_semver();
    match (version.major, version.minor) {
        _ if !version.pre.is_empty() => (version.major, version.minor, version.patch, version.pre.as_str()),
        (0, 0) => (0, 0, version.patch, ""),
        (0, minor) => (0, minor, 0, ""),
        (major, _) => (major, 0, 0, ""),
    }
}

/// The release nearest to `version`: the one below it, or else the one above. Its interfaces are likely the
/// ones of the new release, so their names are in the index document already.
pub fn neighbor<'p>(plugin: &'p PluginItem, version: &Version) -> Option<&'p Version> {
    plugin.versions.range(..version).next_back().or_else(|| plugin.versions.range(version..).next())
}
