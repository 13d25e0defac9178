//! Timestamp and snapshot: what is current (sections 4.4 and 4.6).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    config::Profile,
    error::TrustError,
    metadata::{Document, Header, MetaFile, MetaFileWire, shape},
};
use crate::{digest::Digest, time::Time};

/// The timestamp: which snapshot is current (section 4.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timestamp {
    header: Header,
    snapshot: MetaFile,
}

#[derive(Deserialize)]
struct TimestampWire {
    meta: TimestampMetaWire,
}

#[derive(Deserialize)]
struct TimestampMetaWire {
    #[serde(rename = "snapshot.json")]
    snapshot: MetaFileWire,
}

impl Timestamp {
    /// The version, from 1.
    pub fn version(&self) -> u64 {
        self.header.version
    }

    /// When it expires.
    pub fn expires(&self) -> Time {
        self.header.expires
    }

    /// The snapshot that it points to.
    pub fn snapshot(&self) -> &MetaFile {
        &self.snapshot
    }
}

impl Document for Timestamp {
    const TYPE: &'static str = "timestamp";

    fn read_body(role: &str, header: Header, signed: &Value, _profile: Profile) -> Result<Self, TrustError> {
        let wire: TimestampWire = shape(role, signed)?;
        Ok(Self { header, snapshot: wire.meta.snapshot.into() })
    }
}

/// The head of the event chain that a snapshot covers: the signed field `stoa` of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The sequence number of the last event, from 1.
    pub seq: u64,
    /// The hash of that event.
    pub head: Digest,
    /// The version of the formats that were in use, from 1.
    pub format: u32,
}

/// The snapshot: the current version of every targets role (section 4.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    header: Header,
    roles: BTreeMap<String, MetaFile>,
    head: Option<Head>,
}

#[derive(Deserialize)]
struct SnapshotWire {
    meta: BTreeMap<String, MetaFileWire>,
    stoa: Option<Head>,
}

impl Snapshot {
    /// The version, from 1.
    pub fn version(&self) -> u64 {
        self.header.version
    }

    /// When it expires.
    pub fn expires(&self) -> Time {
        self.header.expires
    }

    /// What is current, by role: `targets`, `index`, `bin-0f` …
    pub fn roles(&self) -> &BTreeMap<String, MetaFile> {
        &self.roles
    }

    /// The head of the event chain. Under [`Profile::Stoa`] there is one.
    pub fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }
}

impl Document for Snapshot {
    const TYPE: &'static str = "snapshot";

    fn read_body(role: &str, header: Header, signed: &Value, profile: Profile) -> Result<Self, TrustError> {
        let SnapshotWire { meta, stoa } = shape(role, signed)?;
        if profile == Profile::Stoa && stoa.is_none() {
            return Err(TrustError::NoHead { version: header.version });
        }
        // Names of other files (section 4.4 has none) list no role.
        let roles =
            meta.into_iter().filter_map(|(file, meta)| Some((file.strip_suffix(".json")?.to_owned(), meta.into())));
        Ok(Self { header, roles: roles.collect(), head: stoa })
    }
}
