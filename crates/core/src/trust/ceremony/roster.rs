//! Who signs which role.

use std::{collections::BTreeMap, fmt, str::FromStr};

use super::{CeremonyError, OfflineDocument};
use crate::trust::{
    Bins, Delegations, KeyId, PublicKey, RoleKeys, Root, Targets, TopRole,
    writer::{self, RootSigners, Signers, SignersError, Terms, Unsigned},
};

/// A role whose keys a ceremony can change. Those of `index` are those of `targets`: the same people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyRole {
    /// Signs roots: says who signs all else.
    Root,
    /// Signs `targets` and `index`.
    Targets,
    /// Signs snapshots.
    Snapshot,
    /// Signs the timestamp.
    Timestamp,
    /// Signs the catalog.
    Catalog,
    /// Sign the bins.
    Bins,
}

impl KeyRole {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Root, Self::Targets, Self::Snapshot, Self::Timestamp, Self::Catalog, Self::Bins];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Targets => "targets",
            Self::Snapshot => "snapshot",
            Self::Timestamp => "timestamp",
            Self::Catalog => "catalog",
            Self::Bins => "bins",
        }
    }

    /// Whether its keys belong on other machines than the registry's.
    pub const fn is_offline(self) -> bool {
        matches!(self, Self::Root | Self::Targets)
    }
}

impl fmt::Display for KeyRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Text that names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no role with keys: there are root, targets, snapshot, timestamp, catalog and bins")]
pub struct KeyRoleError(String);

impl FromStr for KeyRole {
    type Err = KeyRoleError;

    fn from_str(text: &str) -> Result<Self, KeyRoleError> {
        let found = Self::ALL.into_iter().find(|role| role.name() == text);
        found.ok_or_else(|| KeyRoleError(text.chars().take(40).collect()))
    }
}

/// Who signs which role, and into which bins the index is divided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roster {
    signers: BTreeMap<KeyRole, Signers>,
    bins: Bins,
}

impl Roster {
    /// The roster of a registry that begins.
    pub fn new(top: RootSigners, catalog: Signers, bin_signers: Signers, bins: Bins) -> Self {
        let RootSigners { root, timestamp, snapshot, targets } = top;
        let signers = BTreeMap::from([
            (KeyRole::Root, root),
            (KeyRole::Targets, targets),
            (KeyRole::Snapshot, snapshot),
            (KeyRole::Timestamp, timestamp),
            (KeyRole::Catalog, catalog),
            (KeyRole::Bins, bin_signers),
        ]);
        Self { signers, bins }
    }

    /// What three documents say together.
    pub(super) fn of(root: &Root, targets: &Targets, index: &Targets) -> Result<Self, CeremonyError> {
        let refuse = |document, rule: &str| CeremonyError::Layout { document, rule: rule.to_owned() };
        let delegations = targets.delegations();
        let delegations = delegations.ok_or_else(|| refuse(OfflineDocument::Targets, "it delegates nothing"))?;
        let delegated = |name: &str| {
            let role = delegations.roles().iter().find(|role| role.name == name);
            role.ok_or_else(|| refuse(OfflineDocument::Targets, &format!("it does not delegate to `{name}`")))
        };
        let bins = index.delegations().and_then(Delegations::bins);
        let bins = bins.ok_or_else(|| refuse(OfflineDocument::Index, "it does not delegate to bins"))?;
        let index_keys = index.delegations().map(Delegations::keys).unwrap_or(root.keys());
        let top = |role: KeyRole, of: TopRole| signers(role, root.keys(), root.role(of));
        let found = Self {
            signers: BTreeMap::from([
                (KeyRole::Root, top(KeyRole::Root, TopRole::Root)?),
                (KeyRole::Targets, top(KeyRole::Targets, TopRole::Targets)?),
                (KeyRole::Snapshot, top(KeyRole::Snapshot, TopRole::Snapshot)?),
                (KeyRole::Timestamp, top(KeyRole::Timestamp, TopRole::Timestamp)?),
                (KeyRole::Catalog, signers(KeyRole::Catalog, delegations.keys(), &delegated(writer::CATALOG)?.keys)?),
                (KeyRole::Bins, signers(KeyRole::Bins, index_keys, &bins.keys)?),
            ]),
            bins: bins.bins.clone(),
        };
        let index = signers(KeyRole::Targets, delegations.keys(), &delegated(writer::INDEX)?.keys)?;
        if index != found.signers[&KeyRole::Targets] {
            return Err(refuse(
                OfflineDocument::Targets,
                "it names other keys for `index` than root names for `targets`",
            ));
        }
        Ok(found)
    }

    /// Who signs `role`.
    pub fn signers(&self, role: KeyRole) -> &Signers {
        &self.signers[&role]
    }

    /// The bins.
    pub fn bins(&self) -> &Bins {
        &self.bins
    }

    /// The roles that the key signs.
    pub fn roles_of(&self, key: &KeyId) -> Vec<KeyRole> {
        KeyRole::ALL.into_iter().filter(|role| self.signers(*role).keys().contains_key(key)).collect()
    }

    /// Adds a key to a role, or takes the threshold for another, or both.
    ///
    /// # Errors
    /// [`CeremonyError::Signers`] for a key that is there, or a threshold that can not be.
    pub fn add(&mut self, role: KeyRole, keys: &[PublicKey], threshold: Option<u64>) -> Result<(), CeremonyError> {
        let before = self.signers(role);
        let all = before.keys().values().chain(keys).cloned();
        self.set(role, all.collect(), threshold.unwrap_or(before.threshold()))
    }

    /// Takes a key from a role.
    ///
    /// # Errors
    /// [`CeremonyError::NoSuchKey`], or [`CeremonyError::Signers`] where too few would be left.
    pub fn remove(&mut self, role: KeyRole, key: &str, threshold: Option<u64>) -> Result<(), CeremonyError> {
        let before = self.signers(role);
        let gone = self.find(role, key)?;
        let left = before.keys().iter().filter(|(id, _)| **id != gone).map(|(_, key)| key.clone()).collect();
        self.set(role, left, threshold.unwrap_or(before.threshold()))
    }

    /// Puts a key in the place of another one, in every role that the other signs.
    ///
    /// # Errors
    /// [`CeremonyError::Unused`], or [`CeremonyError::Signers`] where the new one is there already.
    pub fn replace(&mut self, old: &KeyId, new: &PublicKey) -> Result<(), CeremonyError> {
        let roles = self.roles_of(old);
        if roles.is_empty() {
            return Err(CeremonyError::Unused(old.clone()));
        }
        for role in roles {
            let before = self.signers(role);
            let threshold = before.threshold();
            let keys = before.keys().iter().map(|(id, key)| if id == old { new.clone() } else { key.clone() });
            self.set(role, keys.collect(), threshold)?;
        }
        Ok(())
    }

    /// The id of the one key of `role` that begins so.
    ///
    /// # Errors
    /// [`CeremonyError::NoSuchKey`] where none or several do, or fewer than 8 digits are given.
    pub fn find(&self, role: KeyRole, key: &str) -> Result<KeyId, CeremonyError> {
        let keys = self.signers(role).keys();
        let mut found = keys.keys().filter(|id| key.len() >= 8 && id.as_str().starts_with(key));
        match (found.next(), found.next()) {
            (Some(id), None) => Ok(id.clone()),
            _ => Err(CeremonyError::NoSuchKey { role, key: key.to_owned(), there: keys.keys().cloned().collect() }),
        }
    }

    fn set(&mut self, role: KeyRole, keys: Vec<PublicKey>, threshold: u64) -> Result<(), CeremonyError> {
        let signers = Signers::new(keys, threshold).map_err(|error| CeremonyError::Signers { role, error })?;
        self.signers.insert(role, signers);
        Ok(())
    }

    /// Whether `document` says the same with the other roster.
    pub(super) fn same_in(&self, document: OfflineDocument, other: &Self) -> bool {
        let roles: &[KeyRole] = match document {
            OfflineDocument::Root => &[KeyRole::Root, KeyRole::Timestamp, KeyRole::Snapshot, KeyRole::Targets],
            // Who signs a document is a reason to sign it anew, too.
            OfflineDocument::Targets => &[KeyRole::Catalog, KeyRole::Targets],
            OfflineDocument::Index => &[KeyRole::Bins, KeyRole::Targets],
        };
        roles.iter().all(|role| self.signers(*role) == other.signers(*role))
            && (document != OfflineDocument::Index || self.bins == other.bins)
    }

    /// The document that says this.
    pub(super) fn document(&self, document: OfflineDocument, terms: Terms) -> Unsigned {
        let signers = |role: KeyRole| self.signers(role).clone();
        match document {
            OfflineDocument::Root => writer::root(
                terms,
                &RootSigners {
                    root: signers(KeyRole::Root),
                    timestamp: signers(KeyRole::Timestamp),
                    snapshot: signers(KeyRole::Snapshot),
                    targets: signers(KeyRole::Targets),
                },
            ),
            OfflineDocument::Targets => {
                writer::targets(terms, self.signers(KeyRole::Catalog), self.signers(KeyRole::Targets))
            }
            OfflineDocument::Index => writer::index(terms, self.signers(KeyRole::Bins), &self.bins),
        }
    }
}

fn signers(role: KeyRole, keys: &BTreeMap<KeyId, PublicKey>, of: &RoleKeys) -> Result<Signers, CeremonyError> {
    let refuse = |error| CeremonyError::Signers { role, error };
    let mut found = Vec::new();
    for id in of.key_ids() {
        // One key under two descriptions would count as two people.
        let key = keys.get(id).filter(|key| key.to_bytes().is_some());
        found.push(key.cloned().ok_or_else(|| refuse(SignersError::Unusable(id.to_string())))?);
    }
    Signers::new(found, of.threshold()).map_err(refuse)
}
