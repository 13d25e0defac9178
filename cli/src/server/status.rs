//! Every role with version, expiry, keys and threshold: the calendar of an operator.

use std::path::Path;

use serde::Deserialize;
use stoa_core::{
    path::{PublicPath, RoleFile},
    time::{DAY, Time},
    trust::{
        Envelope,
        ceremony::{KeyRole, OfflineDocument},
        writer::Signers,
    },
};
use stoa_store::blobs::BlobKey;

use super::{
    installed::installed,
    registry::{Layout, Registry},
};
use crate::report::Failure;

/// People who have to meet are told so long before, in seconds: 60 days.
const NOTICE: i64 = 60 * DAY;
/// The timestamp is good for 7 days and signed anew after one: with less than this something has stopped it.
const TIMESTAMP_NOTICE: i64 = 5 * DAY;
/// As clients read them.
const MAX_BYTES: u64 = 5_000_000;

/// How a role stands to its expiry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Due {
    Good,
    Soon,
    Expired,
}

/// A line of the calendar.
#[derive(Debug)]
pub(crate) struct RoleStatus {
    /// The role; of all bins, the one that expires first.
    pub(crate) role: String,
    pub(crate) version: u64,
    pub(crate) expires: Time,
    pub(crate) due: Due,
    pub(crate) signers: Signers,
}

#[derive(Deserialize)]
struct Signed {
    version: u64,
    expires: Time,
    meta: Option<std::collections::BTreeMap<String, Meta>>,
}

#[derive(Deserialize)]
struct Meta {
    version: u64,
}

/// The calendar of the registry in `dir`, as it stands at `at`.
pub(crate) async fn status(dir: &Path, at: Time) -> Result<Vec<RoleStatus>, Failure> {
    let layout = Layout::new(dir);
    layout.read_settings()?;
    let registry = Registry::open(&layout).await?;
    let standing = installed(&registry).await?;
    let signers = |role: KeyRole| standing.roster().signers(role).clone();
    let line = |role: String, version, expires, notice, signers| {
        let due = match expires {
            expires if expires <= at => Due::Expired,
            expires if expires <= at.plus(notice) => Due::Soon,
            _ => Due::Good,
        };
        RoleStatus { role, version, expires, due, signers }
    };
    let mut lines = Vec::new();
    for document in OfflineDocument::ALL {
        let of = if document == OfflineDocument::Root { KeyRole::Root } else { KeyRole::Targets };
        let terms = standing.terms(document);
        lines.push(line(document.name().to_owned(), terms.version.get(), terms.expires, NOTICE, signers(of)));
    }
    let timestamp = read(&registry, PublicPath::Timestamp).await?;
    let listed = |signed: &Signed, name: &str| -> Result<u64, Failure> {
        let found = signed.meta.as_ref().and_then(|meta| meta.get(name)).map(|meta| meta.version);
        found.ok_or_else(|| Failure::new(format!("`{name}` is listed nowhere")))
    };
    let snapshot = role(&registry, "snapshot", listed(&timestamp, "snapshot.json")?).await?;
    let catalog = role(&registry, "catalog", listed(&snapshot, "catalog.json")?).await?;
    let mut first: Option<(String, Signed)> = None;
    for (name, meta) in snapshot.meta.iter().flatten() {
        let Some(name) = name.strip_suffix(".json").filter(|name| name.starts_with("bin-")) else { continue };
        let bin = role(&registry, name, meta.version).await?;
        if first.as_ref().is_none_or(|(_, first)| bin.expires < first.expires) {
            first = Some((name.to_owned(), bin));
        }
    }
    let bins = standing.roster().bins().bit_length().bins();
    if let Some((name, bin)) = first {
        let name = format!("{name}, the first of {bins} bins");
        lines.push(line(name, bin.version, bin.expires, NOTICE, signers(KeyRole::Bins)));
    }
    lines.push(line("catalog".to_owned(), catalog.version, catalog.expires, NOTICE, signers(KeyRole::Catalog)));
    lines.push(line("snapshot".to_owned(), snapshot.version, snapshot.expires, NOTICE, signers(KeyRole::Snapshot)));
    let notice = TIMESTAMP_NOTICE;
    lines.push(line("timestamp".to_owned(), timestamp.version, timestamp.expires, notice, signers(KeyRole::Timestamp)));
    Ok(lines)
}

async fn role(registry: &Registry, role: &str, version: u64) -> Result<Signed, Failure> {
    read(registry, PublicPath::Role(RoleFile { version, role: role.to_owned() })).await
}

async fn read(registry: &Registry, path: PublicPath) -> Result<Signed, Failure> {
    let shown = path.to_string();
    let blob = registry.blobs.get(&BlobKey::Public(path), MAX_BYTES).await?;
    let blob = blob.ok_or_else(|| Failure::new(format!("`{shown}` is not there")))?;
    let envelope = Envelope::read(&shown, &blob.bytes)?;
    Signed::deserialize(envelope.signed()).map_err(|e| Failure::new(format!("`{shown}` can not be read: {e}")))
}
