//! The root: whose keys are trusted for what (section 4.3).

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::Deserialize;
use serde_json::Value;

use super::{
    config::Profile,
    error::TrustError,
    key::{KeyId, PublicKey},
    metadata::{Document, Header, shape},
};
use crate::time::Time;

/// The keys that may sign a role and how many of them have to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleKeys {
    key_ids: BTreeSet<KeyId>,
    threshold: u64,
}

#[derive(Deserialize)]
pub(super) struct RoleKeysWire {
    keyids: Vec<KeyId>,
    threshold: u64,
}

impl RoleKeys {
    /// The keys of the role `of` as the document of `role` gives them. A threshold above their number is
    /// let through: such a role can not be signed, and the document that says so may be right in all else.
    pub(super) fn check(role: &str, of: &str, wire: RoleKeysWire) -> Result<Self, TrustError> {
        let (role, of) = (|| role.to_owned(), || of.to_owned());
        if wire.threshold == 0 {
            return Err(TrustError::ZeroThreshold { role: role(), of: of() });
        }
        let mut key_ids = BTreeSet::new();
        for key in wire.keyids {
            if !key_ids.insert(key.clone()) {
                return Err(TrustError::RepeatedKey { role: role(), of: of(), key });
            }
        }
        Ok(Self { key_ids, threshold: wire.threshold })
    }

    /// The ids of the keys, in order.
    pub fn key_ids(&self) -> impl Iterator<Item = &KeyId> {
        self.key_ids.iter()
    }

    /// How many have to sign, at least 1.
    pub fn threshold(&self) -> u64 {
        self.threshold
    }
}

/// Checks that ids are what the profile wants of them (section 4.2: hashes of their keys).
pub(super) fn check_key_ids(role: &str, keys: &BTreeMap<KeyId, PublicKey>, profile: Profile) -> Result<(), TrustError> {
    for (listed, key) in keys {
        let computed = key.id();
        if profile == Profile::Stoa && computed.as_ref() != Some(listed) {
            let computed = computed.map_or_else(|| "none".to_owned(), |id| id.to_string());
            return Err(TrustError::KeyId { role: role.to_owned(), listed: listed.clone(), computed });
        }
    }
    Ok(())
}

/// The roles that a root names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TopRole {
    /// Signs roots.
    Root,
    /// Signs the timestamp.
    Timestamp,
    /// Signs snapshots.
    Snapshot,
    /// Signs the top-level targets.
    Targets,
}

impl TopRole {
    /// The role's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Timestamp => "timestamp",
            Self::Snapshot => "snapshot",
            Self::Targets => "targets",
        }
    }

    /// All of them.
    pub const ALL: [Self; 4] = [Self::Root, Self::Timestamp, Self::Snapshot, Self::Targets];
}

impl fmt::Display for TopRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The root: whose keys are trusted for what (section 4.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    header: Header,
    consistent_snapshot: bool,
    keys: BTreeMap<KeyId, PublicKey>,
    root: RoleKeys,
    timestamp: RoleKeys,
    snapshot: RoleKeys,
    targets: RoleKeys,
}

#[derive(Deserialize)]
struct RootWire {
    #[serde(default)]
    consistent_snapshot: bool,
    keys: BTreeMap<KeyId, PublicKey>,
    roles: RootRolesWire,
}

#[derive(Deserialize)]
struct RootRolesWire {
    root: RoleKeysWire,
    timestamp: RoleKeysWire,
    snapshot: RoleKeysWire,
    targets: RoleKeysWire,
}

impl Root {
    /// The version, from 1.
    pub fn version(&self) -> u64 {
        self.header.version
    }

    /// When it expires.
    pub fn expires(&self) -> Time {
        self.header.expires
    }

    /// Whether files carry their version in their name (section 6.2).
    pub fn consistent_snapshot(&self) -> bool {
        self.consistent_snapshot
    }

    /// The keys by id.
    pub fn keys(&self) -> &BTreeMap<KeyId, PublicKey> {
        &self.keys
    }

    /// Whether `newer` takes a key of `role` out of use (section 5.3.11). Adding one is no rotation, since what
    /// the old keys signed stays as good as it was. Where ids are no hashes, another key under the same id is
    /// another key.
    pub(super) fn rotates(&self, newer: &Self, role: TopRole) -> bool {
        let stays = |id: &KeyId| newer.role(role).key_ids.contains(id) && self.keys.get(id) == newer.keys.get(id);
        !self.role(role).key_ids().all(stays)
    }

    /// Who signs `role`.
    pub fn role(&self, role: TopRole) -> &RoleKeys {
        match role {
            TopRole::Root => &self.root,
            TopRole::Timestamp => &self.timestamp,
            TopRole::Snapshot => &self.snapshot,
            TopRole::Targets => &self.targets,
        }
    }
}

impl Document for Root {
    const TYPE: &'static str = "root";

    fn read_body(role: &str, header: Header, signed: &Value, profile: Profile) -> Result<Self, TrustError> {
        let RootWire { consistent_snapshot, keys, roles } = shape(role, signed)?;
        check_key_ids(role, &keys, profile)?;
        if profile == Profile::Stoa && !consistent_snapshot {
            return Err(TrustError::Inconsistent { version: header.version });
        }
        let of = |top: TopRole, wire| RoleKeys::check(role, top.name(), wire);
        Ok(Self {
            root: of(TopRole::Root, roles.root)?,
            timestamp: of(TopRole::Timestamp, roles.timestamp)?,
            snapshot: of(TopRole::Snapshot, roles.snapshot)?,
            targets: of(TopRole::Targets, roles.targets)?,
            header,
            consistent_snapshot,
            keys,
        })
    }
}
