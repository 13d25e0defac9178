//! Targets: the files that a role vouches for (section 4.5).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{
    config::Profile,
    delegation::Delegations,
    error::{TrustError, shown},
    hashes::Hashes,
    metadata::{Document, Header, shape},
};
use crate::time::Time;

/// What a role says about a file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TargetFile {
    /// The file's length in bytes.
    pub length: u64,
    /// Its hashes.
    pub hashes: Hashes,
}

/// The document of a targets role: `targets`, `index`, `catalog` or a bin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Targets {
    header: Header,
    targets: BTreeMap<String, TargetFile>,
    delegations: Option<Delegations>,
}

#[derive(Deserialize)]
struct TargetsWire<'a> {
    targets: BTreeMap<String, TargetFile>,
    #[serde(borrow)]
    stoa: Option<StoaWire<'a>>,
}

#[derive(Deserialize)]
struct StoaWire<'a> {
    role: Option<&'a str>,
}

impl Targets {
    /// The version, from 1.
    pub fn version(&self) -> u64 {
        self.header.version
    }

    /// When it expires.
    pub fn expires(&self) -> Time {
        self.header.expires
    }

    /// The files by path.
    pub fn targets(&self) -> &BTreeMap<String, TargetFile> {
        &self.targets
    }

    /// What it delegates.
    pub fn delegations(&self) -> Option<&Delegations> {
        self.delegations.as_ref()
    }
}

impl Document for Targets {
    const TYPE: &'static str = "targets";

    fn read_body(role: &str, header: Header, signed: &Value, profile: Profile) -> Result<Self, TrustError> {
        let wire: TargetsWire<'_> = shape(role, signed)?;
        check_own_name(role, wire.stoa.and_then(|stoa| stoa.role), profile)?;
        let unnamed = wire.targets.iter().find(|(_, file)| file.hashes.sha256().is_none());
        if let Some((target, _)) = unnamed.filter(|_| profile == Profile::Stoa) {
            return Err(TrustError::NoSha256 { role: role.to_owned(), target: shown(target) });
        }
        let delegations = signed.get("delegations").filter(|value| !value.is_null());
        let delegations = delegations.map(|value| Delegations::read(role, value, profile)).transpose()?;
        Ok(Self { header, targets: wire.targets, delegations })
    }
}

/// All bins have the same keys, and often the same version: without its own name in it, any of them could be
/// served in place of another, and the plugins of that other would seem not to exist.
fn check_own_name(role: &str, named: Option<&str>, profile: Profile) -> Result<(), TrustError> {
    match named {
        Some(named) if named == role => Ok(()),
        None if profile == Profile::AnyTuf => Ok(()),
        _ => Err(TrustError::WrongRole { role: role.to_owned(), found: named.map(shown) }),
    }
}
