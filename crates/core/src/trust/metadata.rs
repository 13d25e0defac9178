//! What all documents have in common (section 4.2), and what one says about another.

use std::num::NonZeroU64;

use serde::Deserialize;
use serde_json::Value;

use super::{
    config::Profile,
    error::{TrustError, shown},
    hashes::Hashes,
};
use crate::time::Time;

/// A kind of document: read from the signed part of an envelope.
pub(super) trait Document: Sized {
    /// The value of `_type`.
    const TYPE: &'static str;

    /// Reads the part that is particular to this kind; `_type` and `spec_version` were checked.
    fn read_body(role: &str, header: Header, signed: &Value, profile: Profile) -> Result<Self, TrustError>;

    /// Reads the document of `role`.
    fn read(role: &str, signed: &Value, profile: Profile) -> Result<Self, TrustError> {
        Self::read_body(role, Header::read(role, Self::TYPE, signed)?, signed, profile)
    }
}

/// What all documents say about themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) version: u64,
    pub(super) expires: Time,
}

#[derive(Deserialize)]
struct HeaderWire {
    version: NonZeroU64,
    expires: Time,
}

#[derive(Deserialize)]
struct KindWire {
    #[serde(rename = "_type")]
    kind: String,
    spec_version: String,
}

impl Header {
    fn read(role: &str, expected: &'static str, signed: &Value) -> Result<Self, TrustError> {
        let kind: KindWire = shape(role, signed)?;
        if kind.kind != expected {
            return Err(TrustError::Type { role: role.to_owned(), expected, found: shown(&kind.kind) });
        }
        if !kind.spec_version.starts_with("1.") {
            return Err(TrustError::SpecVersion { role: role.to_owned(), found: shown(&kind.spec_version) });
        }
        let HeaderWire { version, expires } = shape(role, signed)?;
        Ok(Self { version: version.get(), expires })
    }
}

/// Reads `value` as a `T`; unknown fields are passed over (section 4).
pub(super) fn shape<'a, T: Deserialize<'a>>(role: &str, value: &'a Value) -> Result<T, TrustError> {
    T::deserialize(value).map_err(|e| TrustError::Shape { role: role.to_owned(), reason: shown(&e.to_string()) })
}

/// What timestamp and snapshot say about another document (section 4.4, METAFILES).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetaFile {
    /// Its version, from 1.
    pub version: u64,
    /// Its length in bytes, if listed.
    pub length: Option<u64>,
    /// Its hashes, if listed.
    pub hashes: Option<Hashes>,
}

#[derive(Deserialize)]
pub(super) struct MetaFileWire {
    version: NonZeroU64,
    length: Option<u64>,
    hashes: Option<Hashes>,
}

impl From<MetaFileWire> for MetaFile {
    fn from(wire: MetaFileWire) -> Self {
        Self { version: wire.version.get(), length: wire.length, hashes: wire.hashes }
    }
}

impl MetaFile {
    /// Checks the bytes of `role` against length and hashes, where they are listed (sections 5.5.2, 5.6.2).
    pub(super) fn check_bytes(&self, role: &str, bytes: &[u8]) -> Result<(), TrustError> {
        let found = bytes.len() as u64;
        if let Some(listed) = self.length.filter(|listed| *listed != found) {
            return Err(TrustError::Length { role: role.to_owned(), listed, found });
        }
        let checked = self.hashes.as_ref().map_or(Ok(()), |hashes| hashes.check(bytes));
        checked.map_err(|(listed, found)| TrustError::Hash { role: role.to_owned(), listed, found })
    }

    /// Checks the version of `role` (sections 5.5.4 and 5.6.4).
    pub(super) fn check_version(&self, role: &str, found: u64) -> Result<(), TrustError> {
        if found != self.version {
            return Err(TrustError::Version { role: role.to_owned(), listed: self.version, found });
        }
        Ok(())
    }
}
