//! What a client keeps, and how it comes to trust it again.

use std::collections::BTreeMap;

use super::{State, Updater, kept::Kept, steps};
use crate::{
    time::Time,
    trust::{config::Config, error::TrustError, root::TopRole},
};

/// The raw bytes that an earlier run was handed by [`Updater::take_writes`]; any of them may be absent or
/// damaged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CachedTrust {
    /// Roots by version, from the one after the pinned root on.
    pub roots: BTreeMap<u64, Vec<u8>>,
    /// Other roles by name. `timestamp` and `snapshot` have to be here; the rest may be, or may be offered one
    /// by one by [`Lookup::offer`](super::Lookup::offer), so that thousands of bins need not be read.
    pub roles: BTreeMap<String, Vec<u8>>,
}

impl CachedTrust {
    /// Does to this what a cache on disk does to its files.
    pub fn apply(&mut self, write: CacheWrite) {
        match write {
            CacheWrite::Root { version, bytes } => drop(self.roots.insert(version, bytes)),
            CacheWrite::Role { role, bytes } => drop(self.roles.insert(role, bytes)),
            CacheWrite::Remove { role } => drop(self.roles.remove(&role)),
        }
    }
}

/// A change to a client's cache. Role names come from signed documents of any repository: use
/// [`quote`](crate::trust::quote) before they become file names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheWrite {
    /// Add this root to the history.
    Root {
        /// Its version.
        version: u64,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// Keep these bytes for the role, in place of any before.
    Role {
        /// The role.
        role: String,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// Forget the role: a root took its keys out of use (section 5.3.11).
    Remove {
        /// The role.
        role: String,
    },
}

impl Updater {
    /// Section 5.2, and the cache from there on.
    pub(super) fn load(pinned: &[u8], cached: CachedTrust, now: Time, config: Config) -> Result<Self, TrustError> {
        let CachedTrust { roots, roles: mut cached_roles } = cached;
        let mut root = steps::pinned_root(pinned, config)?;
        let mut since = vec![root.clone()];
        while let Some(bytes) = roots.get(&root.version().saturating_add(1)) {
            // Damaged history ends here; the rest of the chain is fetched again.
            let Ok(next) = steps::next_root(&root, bytes, config) else { break };
            // What the cache has is newer than this rotation: `lower_floors` removed what was older.
            if steps::lowers_floors(&root, &next) {
                since.clear();
            }
            root = next;
            since.push(root.clone());
        }
        let mut cached = |role: TopRole| cached_roles.remove(role.name());
        let (timestamp, snapshot) = (cached(TopRole::Timestamp), cached(TopRole::Snapshot));
        let timestamp = timestamp.map(|bytes| Kept::cached(bytes, TopRole::Timestamp, &since, config));
        let snapshot = snapshot.map(|bytes| Kept::cached(bytes, TopRole::Snapshot, &since, config));
        Ok(Self {
            config,
            now,
            offline: false,
            state: State::Roots { followed: 0 },
            root,
            timestamp,
            unwritten_timestamp: None,
            snapshot,
            roles: BTreeMap::new(),
            cached_roles,
            writes: Vec::new(),
            generation: 0,
        })
    }
}
