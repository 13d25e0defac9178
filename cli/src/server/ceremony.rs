//! The first root, and what it delegates: made once, when a registry begins.

use std::num::NonZeroU64;

use stoa_core::{
    digest::Digest,
    event::OfflineRole,
    time::{DAY, Time},
    trust::{
        Bins, BitLength, SecretKey,
        writer::{self, RootSigners, Signers, Terms},
    },
};

use super::keys::{OFFLINE_THRESHOLD, OfflineKeys, OnlineKeys};
use crate::report::Failure;

/// Offline metadata lives a year: a ceremony a year.
const OFFLINE_LIFETIME: i64 = 365 * DAY;
/// 256 bins: right for up to about ten thousand plugins (a refresh after one change takes 4.5 KB).
pub(super) const BIN_BITS: u8 = 8;

/// A file of the offline roles.
pub(super) struct OfflineFile {
    pub(super) role: OfflineRole,
    pub(super) bytes: Vec<u8>,
}

/// The first version of root, targets and index.
pub(super) fn begin(offline: &OfflineKeys, online: &OnlineKeys, now: Time) -> Result<Vec<OfflineFile>, Failure> {
    let terms = Terms { version: NonZeroU64::MIN, expires: now.plus(OFFLINE_LIFETIME) };
    let people = |keys: &[SecretKey]| Signers::new(keys.iter().map(|key| key.public().clone()), OFFLINE_THRESHOLD);
    let signers = RootSigners {
        root: people(&offline.root)?,
        timestamp: Signers::one(&online.timestamp),
        snapshot: Signers::one(&online.snapshot),
        targets: people(&offline.targets)?,
    };
    let bins = Bins::new("bin", BitLength::new(u64::from(BIN_BITS))?);
    let targets = writer::targets(terms, &Signers::one(&online.catalog), &people(&offline.targets)?);
    let index = writer::index(terms, &Signers::one(&online.snapshot), &bins);
    let root_keys: Vec<&SecretKey> = offline.root.iter().collect();
    let targets_keys: Vec<&SecretKey> = offline.targets.iter().collect();
    Ok(vec![
        file("root", writer::root(terms, &signers).sign(&root_keys)),
        file("targets", targets.sign(&targets_keys)),
        file("index", index.sign(&targets_keys)),
    ])
}

fn file(role: &str, bytes: Vec<u8>) -> OfflineFile {
    let role = OfflineRole { role: role.to_owned(), version: NonZeroU64::MIN, digest: Digest::of(&bytes) };
    OfflineFile { role, bytes }
}
