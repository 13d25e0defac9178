//! The first root, and what it delegates: made once, when a registry begins.

use stoa_core::{
    digest::Digest,
    event::OfflineRole,
    time::{DAY, Time},
    trust::{
        Bins, BitLength, PublicKey, SecretKey,
        ceremony::{Offer, OfflineDocument, Roster, Standing},
        writer::{RootSigners, Signers},
    },
};

use super::keys::{OFFLINE_THRESHOLD, OfflineKeys, OnlineKeys};
use crate::report::Failure;

/// Offline metadata lives a year: a ceremony a year.
pub(super) const OFFLINE_LIFETIME: i64 = 365 * DAY;
/// 256 bins: right for up to about ten thousand plugins (a refresh after one change takes 4.5 KB).
pub(super) const BIN_BITS: u8 = 8;

/// The first documents, to be signed by people with these keys.
pub(super) fn offer(root: Signers, targets: Signers, online: &OnlineKeys, expires: Time) -> Result<Offer, Failure> {
    let OnlineKeys { indexer, signer } = online;
    let top = RootSigners {
        root,
        timestamp: Signers::one(&signer.timestamp),
        snapshot: Signers::one(&indexer.snapshot),
        targets,
    };
    let bins = Bins::new("bin", BitLength::new(u64::from(BIN_BITS))?);
    // Neither the indexer nor the signer alone can make a file that vouches for a plugin.
    let catalog = Signers::every([&indexer.catalog, &signer.bins])?;
    let both = Signers::every([&indexer.snapshot, &signer.bins])?;
    Ok(Offer::begin(Roster::new(top, catalog, both, bins), expires)?)
}

/// The first documents, signed at once by keys that all lie here: for a first look, see decision 0008.
pub(super) fn begin(offline: &OfflineKeys, online: &OnlineKeys, now: Time) -> Result<Standing, Failure> {
    let people = |keys: &[SecretKey]| Signers::new(keys.iter().map(public), OFFLINE_THRESHOLD);
    let expires = now.plus(OFFLINE_LIFETIME);
    let mut offer = offer(people(&offline.root)?, people(&offline.targets)?, online, expires)?;
    for key in offline.root.iter().chain(&offline.targets) {
        offer.sign(key)?;
    }
    Ok(offer.complete(now)?)
}

fn public(key: &SecretKey) -> PublicKey {
    key.public().clone()
}

/// What an event says of a document.
pub(super) fn role(standing: &Standing, document: OfflineDocument) -> OfflineRole {
    let (version, digest) = (standing.terms(document).version, Digest::of(standing.bytes(document)));
    OfflineRole { role: document.name().to_owned(), version, digest }
}
