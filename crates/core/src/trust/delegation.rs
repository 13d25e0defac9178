//! Delegations: which role answers for which paths (section 4.5 and TAP 15).

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::{
    bins::{Bins, BitLength},
    config::Profile,
    error::{TrustError, shown},
    key::{KeyId, PublicKey},
    metadata::shape,
    root::{RoleKeys, RoleKeysWire, TopRole, check_key_ids},
};
use crate::digest::Digest;

/// The paths that a delegation covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Shell patterns: `*` and `?` match within one segment of a path; all else, `[` too, stands for itself.
    Paths(Vec<String>),
    /// Beginnings of the hexadecimal SHA-256 of the path.
    HashPrefixes(Vec<String>),
}

impl Scope {
    fn covers(&self, path: &str) -> bool {
        match self {
            Self::Paths(patterns) => patterns.iter().any(|pattern| path_matches(pattern, path)),
            Self::HashPrefixes(prefixes) => {
                let hash = Digest::of(path.as_bytes()).to_string();
                prefixes.iter().any(|prefix| hash.starts_with(prefix.as_str()))
            }
        }
    }
}

/// A delegation to one role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DelegatedRole {
    /// The role's name.
    pub name: String,
    /// Who signs it.
    pub keys: RoleKeys,
    /// The paths it answers for.
    pub scope: Scope,
    /// Whether a search for such a path ends here, found or not.
    pub terminating: bool,
}

/// A delegation to hash bins, all of the same keys (TAP 15, `succinct_roles`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Succinct {
    /// Who signs the bins.
    pub keys: RoleKeys,
    /// Their names and number.
    pub bins: Bins,
}

/// What a targets role delegates: roles in order of priority, or hash bins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegations {
    keys: BTreeMap<KeyId, PublicKey>,
    to: To,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum To {
    Roles(Vec<DelegatedRole>),
    Bins(Succinct),
}

/// A delegation that covers a path.
pub(super) struct Match {
    pub(super) role: String,
    pub(super) terminating: bool,
}

impl Delegations {
    /// The keys by id.
    pub fn keys(&self) -> &BTreeMap<KeyId, PublicKey> {
        &self.keys
    }

    /// The roles in order of priority; none where the delegation is to bins.
    pub fn roles(&self) -> &[DelegatedRole] {
        match &self.to {
            To::Roles(roles) => roles,
            To::Bins(_) => &[],
        }
    }

    /// The bins, if the delegation is to bins.
    pub fn bins(&self) -> Option<&Succinct> {
        match &self.to {
            To::Roles(_) => None,
            To::Bins(bins) => Some(bins),
        }
    }

    /// The delegations that cover `path`, in order (section 5.6.7.2). Bins never terminate a search (TAP 15).
    pub(super) fn covering(&self, path: &str) -> Vec<Match> {
        match &self.to {
            To::Bins(succinct) => vec![Match { role: succinct.bins.name_of(path), terminating: false }],
            To::Roles(roles) => roles
                .iter()
                .filter(|role| role.scope.covers(path))
                .map(|role| Match { role: role.name.clone(), terminating: role.terminating })
                .collect(),
        }
    }

    /// Who signs `role`, if it is delegated here.
    pub(super) fn keys_of(&self, role: &str) -> Option<&RoleKeys> {
        match &self.to {
            To::Roles(roles) => roles.iter().find(|delegated| delegated.name == role).map(|delegated| &delegated.keys),
            // A role is only ever asked for by a name that `covering` gave.
            To::Bins(succinct) => Some(&succinct.keys),
        }
    }

    /// Reads the delegations of `role`.
    pub(super) fn read(role: &str, value: &Value, profile: Profile) -> Result<Self, TrustError> {
        let wire: DelegationsWire = shape(role, value)?;
        check_key_ids(role, &wire.keys, profile)?;
        let to = match (wire.roles, wire.succinct_roles) {
            (Some(roles), None) => To::Roles(read_roles(role, roles, profile)?),
            (None, Some(succinct)) => To::Bins(read_succinct(role, succinct, profile)?),
            _ => {
                let (of, one, other) = ("the delegation".to_owned(), "roles", "succinct_roles");
                return Err(TrustError::Either { role: role.to_owned(), of, one, other });
            }
        };
        Ok(Self { keys: wire.keys, to })
    }
}

#[derive(Deserialize)]
struct DelegationsWire {
    keys: BTreeMap<KeyId, PublicKey>,
    roles: Option<Vec<DelegatedRoleWire>>,
    succinct_roles: Option<SuccinctWire>,
}

#[derive(Deserialize)]
struct DelegatedRoleWire {
    name: String,
    #[serde(flatten)]
    keys: RoleKeysWire,
    paths: Option<Vec<String>>,
    path_hash_prefixes: Option<Vec<String>>,
    terminating: bool,
}

#[derive(Deserialize)]
struct SuccinctWire {
    #[serde(flatten)]
    keys: RoleKeysWire,
    bit_length: u64,
    name_prefix: String,
}

fn read_roles(role: &str, wires: Vec<DelegatedRoleWire>, profile: Profile) -> Result<Vec<DelegatedRole>, TrustError> {
    let mut names = BTreeSet::new();
    let mut roles = Vec::with_capacity(wires.len());
    for wire in wires {
        let name = check_name(role, wire.name, profile)?;
        if !names.insert(name.clone()) {
            return Err(TrustError::RepeatedRole { role: role.to_owned(), name });
        }
        let scope = match (wire.paths, wire.path_hash_prefixes) {
            (Some(paths), None) => Scope::Paths(paths),
            (None, Some(prefixes)) => Scope::HashPrefixes(prefixes),
            _ => {
                let (of, one, other) = (format!("`{name}`"), "paths", "path_hash_prefixes");
                return Err(TrustError::Either { role: role.to_owned(), of, one, other });
            }
        };
        let keys = RoleKeys::check(role, &name, wire.keys)?;
        roles.push(DelegatedRole { name, keys, scope, terminating: wire.terminating });
    }
    Ok(roles)
}

fn read_succinct(role: &str, wire: SuccinctWire, profile: Profile) -> Result<Succinct, TrustError> {
    let prefix = check_name(role, wire.name_prefix, profile)?;
    let bits = BitLength::new(wire.bit_length)
        .map_err(|error| TrustError::BitLength { role: role.to_owned(), bits: error.0 })?;
    let keys = RoleKeys::check(role, &prefix, wire.keys)?;
    Ok(Succinct { keys, bins: Bins::new(&prefix, bits) })
}

/// A delegated role must not pass for a top-level one: its file would lie in that one's place.
fn check_name(role: &str, name: String, profile: Profile) -> Result<String, TrustError> {
    let top = TopRole::ALL.iter().any(|top| top.name() == name);
    let word = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if name.is_empty() || top || (profile == Profile::Stoa && !word) {
        return Err(TrustError::RoleName { role: role.to_owned(), name: shown(&name) });
    }
    Ok(name)
}

/// A separator is never matched by a wildcard (section 4.5), so paths are compared segment by segment.
fn path_matches(pattern: &str, path: &str) -> bool {
    let (mut patterns, mut segments) = (pattern.split('/'), path.split('/'));
    loop {
        match (patterns.next(), segments.next()) {
            (None, None) => return true,
            (Some(pattern), Some(segment)) if segment_matches(pattern, segment) => {}
            _ => return false,
        }
    }
}

/// Matches one segment. At a mismatch only the last `*` is widened, which is enough and keeps the time at
/// most the product of both lengths.
fn segment_matches(pattern: &str, segment: &str) -> bool {
    let (pattern, segment): (Vec<char>, Vec<char>) = (pattern.chars().collect(), segment.chars().collect());
    let (mut p, mut s, mut star) = (0, 0, None);
    while s < segment.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, s));
                p += 1;
            }
            Some(&c) if c == '?' || c == segment[s] => {
                p += 1;
                s += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, s) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stay_within_a_segment() {
        // The examples of section 4.5, and what lies around them.
        let matching = [
            ("targets/*.tgz", "targets/foo.tgz"),
            ("foo-version-?.tgz", "foo-version-a.tgz"),
            ("*.tgz", "foo.tgz"),
            ("foo.tgz", "foo.tgz"),
            ("index/*/*", "index/demo/markdown.json"),
            ("*a*b*", "xxaxxbxx"),
            ("*", ""),
            ("?", "é"),
        ];
        let other = [
            ("targets/*.tgz", "targets/foo.txt"),
            ("foo-version-?.tgz", "foo-version-alpha.tgz"),
            ("*.tgz", "targets/foo.tgz"),
            ("foo.tgz", "foo-tgz"),
            ("index/*/*", "index/demo"),
            ("index/*/*", "index/a/b/c"),
            ("*", "a/b"),
            ("*a*b", "xaxbx"),
            ("?", ""),
            ("[a]", "a"),
            ("A", "a"),
        ];
        for (pattern, path) in matching {
            assert!(path_matches(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in other {
            assert!(!path_matches(pattern, path), "{pattern} {path}");
        }
    }

    #[test]
    fn a_pattern_of_many_stars_takes_no_exponential_time() {
        assert!(!path_matches(&"*a".repeat(50).replace('a', "a*"), &"b".repeat(5_000)));
        assert!(!path_matches(&format!("{}b", "a*".repeat(100)), &"a".repeat(5_000)));
    }

    #[test]
    fn hash_prefixes_cover_the_paths_whose_hash_begins_so() {
        let scope = |prefix: &str| Scope::HashPrefixes(vec!["00".into(), prefix.into()]);
        assert!(scope("ba78").covers("abc"));
        assert!(!scope("ba79").covers("abc"));
    }
}
