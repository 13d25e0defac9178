//! Keeping an index document within its bound before it exists.
//!
//! The indexer can not refuse an event: a document beyond [`MAX_DOCUMENT_BYTES`] would stop the whole registry.
//! So the API counts an upper bound of the document's length in the plugin's item, and refuses what would
//! exceed it.

use std::collections::{BTreeMap, BTreeSet};

use stoa_core::{
    advisory::{Advisory, Issuer},
    attestation::Attestations,
    canonical,
    digest::Digest,
    document::{Document, DocumentError, MAX_DOCUMENT_BYTES},
    event::{ActorId, Event, Fact},
    id::PluginId,
    interface::{ExternName, TypeHash},
    release::{MAX_RECORD_BYTES, Release},
    time::Time,
    version::Version,
};

use crate::{
    problem::{Code, Problem},
    state::ReleaseItem,
};

/// What a document takes without any release: its own members (at most 512 bytes), and what the newest release
/// says of itself, which is part of a record.
pub const FIXED: u64 = MAX_RECORD_BYTES as u64 + 512;
/// Room that releases leave for what is said of them later. A plugin that is full of releases must still be able to take
/// one back: half of it is for yanks and its publisher's advisories, some 100 yanks with a reason of 250 bytes and as many
/// with shorter ones.
pub const RESERVED_FOR_YANKS: u64 = 128 * 1024;
/// The other half is the operator's, whatever publishers fill the first with.
pub const RESERVED_FOR_OPERATOR: u64 = 64 * 1024;
/// And the last of it is for a takedown of the whole plugin, which therefore always fits.
const RESERVED_FOR_THE_WHOLE: u64 = 8 * 1024;
/// A place in the table of interfaces takes up to five digits and a comma; the measured release has the first
/// places, which take one digit.
const PLACE: u64 = 5;
/// The names of the lists in which places stand, brackets and commas between releases.
const SLACK: u64 = 128;

/// How many bytes `release` adds to the document of its plugin at the most. Interfaces that `neighbor` has, with
/// the same types, are in the document's table already.
///
/// # Errors
/// [`DocumentError`], which no valid record meets.
pub fn of_release(
    release: &Release,
    attestations: &Attestations,
    neighbor: Option<&ReleaseItem>,
) -> Result<u64, DocumentError> {
    let mut measured = release.clone();
    let places = (measured.imports.len() + measured.exports.len()) as u64;
    if let Some(neighbor) = neighbor {
        let imports = neighbor.imports.iter().map(|import| (import.name.clone().into(), import.types));
        let exports = neighbor.exports.iter().map(|export| (export.name.clone(), export.types));
        let known: BTreeSet<(ExternName, TypeHash)> = imports.chain(exports).collect();
        measured.imports.retain(|import| !known.contains(&(import.name.clone().into(), import.types)));
        measured.exports.retain(|export| !known.contains(&(export.name.clone(), export.types)));
    }
    let id = measured.id.clone();
    let attested =
        [(id.clone(), attestations.clone())].into_iter().filter(|(_, attested)| !attested.is_empty()).collect();
    let event = Event {
        format: 1,
        seq: u64::MAX,
        time: Time::MAX,
        prev: Digest::from_bytes([0; 32]),
        actor: ActorId::registry(),
        private: None,
        fact: Fact::Released { releases: vec![measured], attestations: attested },
    };
    let Some(mut document) = Document::apply(None, &id, &event)? else { return Ok(0) };
    let with = document.to_bytes()?.len() as u64;
    document.releases = BTreeMap::new();
    let without = document.to_bytes()?.len() as u64;
    // Interfaces of the release stand in the table, which is empty without it: they count in full.
    Ok(with.saturating_sub(without) + places * (PLACE + 1) + SLACK)
}

/// How many bytes a yank with this reason adds at the most: each character of a reason takes at most two bytes
/// for one in JSON, for no control characters are in it.
pub fn of_yank(reason: &str) -> u64 {
    2 * reason.len() as u64 + 64
}

/// How many bytes a takedown with this reason adds at the most, by itself and with an appeal.
pub fn of_takedown(reason: &str) -> u64 {
    2 * reason.len() as u64 + 320
}

/// How many bytes a certification with this reason adds at the most.
pub fn of_certification(reason: &str) -> u64 {
    2 * reason.len() as u64 + 128
}

/// How many bytes an advisory adds at the most: itself and two times.
///
/// # Errors
/// [`DocumentError`], which no valid advisory meets.
pub fn of_advisory(advisory: &Advisory) -> Result<u64, DocumentError> {
    Ok(canonical::to_bytes(advisory)?.len() as u64 + 160)
}

/// Checks that a document of `bytes` has room for a release more.
///
/// # Errors
/// [`Code::DocumentFull`].
pub fn check_release(id: &PluginId, version: &Version, bytes: u64) -> Result<(), Problem> {
    let limit = MAX_DOCUMENT_BYTES as u64 - RESERVED_FOR_YANKS;
    check(&format!("`{id}` with {version}"), bytes, limit)
}

/// Checks that a document of `bytes` has room for a yank more.
///
/// # Errors
/// [`Code::DocumentFull`].
pub fn check_yank(id: &PluginId, version: &Version, bytes: u64) -> Result<(), Problem> {
    check(&format!("`{id}` with the yank of {version}"), bytes, MAX_DOCUMENT_BYTES as u64 - RESERVED_FOR_OPERATOR)
}

/// Checks that a document of `bytes` has room for a takedown more: of one version, or of the whole plugin.
///
/// # Errors
/// [`Code::DocumentFull`].
pub fn check_takedown(id: &PluginId, version: Option<&Version>, bytes: u64) -> Result<(), Problem> {
    let limit = MAX_DOCUMENT_BYTES as u64;
    match version {
        Some(version) => {
            check(&format!("`{id}` with the takedown of {version}"), bytes, limit - RESERVED_FOR_THE_WHOLE)
        }
        None => check(&format!("`{id}` taken down"), bytes, limit),
    }
}

/// Checks that a document of `bytes` has room for an advisory more of this issuer's.
///
/// # Errors
/// [`Code::DocumentFull`].
pub fn check_advisory(id: &PluginId, issuer: Issuer, bytes: u64) -> Result<(), Problem> {
    let reserved = match issuer {
        Issuer::Registry => RESERVED_FOR_THE_WHOLE,
        Issuer::Publisher => RESERVED_FOR_OPERATOR,
    };
    check(&format!("`{id}` with the advisory"), bytes, MAX_DOCUMENT_BYTES as u64 - reserved)
}

/// Checks that a document of `bytes` has room for a certification more.
///
/// # Errors
/// [`Code::DocumentFull`].
pub fn check_certification(id: &PluginId, version: &Version, bytes: u64) -> Result<(), Problem> {
    let limit = MAX_DOCUMENT_BYTES as u64 - RESERVED_FOR_THE_WHOLE;
    check(&format!("`{id}` with the certification of {version}"), bytes, limit)
}

fn check(what: &str, bytes: u64, limit: u64) -> Result<(), Problem> {
    if bytes <= limit {
        return Ok(());
    }
    let detail = format!("the index document of {what} could take {bytes} bytes, and {limit} are possible");
    Err(Problem::new(Code::DocumentFull, detail))
}
