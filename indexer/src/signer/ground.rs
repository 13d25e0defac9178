//! What the signer builds on: what it signed itself, verified as a client would.
//!
//! Whoever can write to the tree can put anything there. What is not signed is no ground: then the whole log is folded.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU64,
};

use stoa_core::{
    event::{Head, Sealed},
    index::{self, Base, Cursor, TIMESTAMP_LIFETIME},
    path::PublicPath,
    time::Time,
    trust::{
        self, BitLength, Updater,
        writer::{INDEX, Target},
    },
};
use stoa_store::{blobs::Precondition, ledger::Ledger};

use crate::{error::IndexerError, tree::Tree};

/// Events read from the ledger at a time.
const EVENTS_PER_PAGE: usize = 512;

/// The pointer in place.
pub(super) struct Ground {
    /// What a new pointer replaces.
    pub(super) expected: Precondition,
    /// What it points at, where it is rightly signed.
    pub(super) signed: Option<Signed>,
}

/// A signed index.
pub(super) struct Signed {
    client: Updater,
    /// The version of its timestamp.
    pub(super) timestamp: NonZeroU64,
    /// When that was signed.
    pub(super) at: Time,
    /// The version of its snapshot.
    pub(super) snapshot: NonZeroU64,
    pub(super) head: trust::Head,
    pub(super) versions: BTreeMap<String, NonZeroU64>,
}

impl Ground {
    pub(super) async fn read(tree: &Tree, root: &[u8], now: Time) -> Result<Self, IndexerError> {
        let Some((blob, pointer)) = tree.timestamp().await? else {
            return Ok(Self { expected: Precondition::Absent, signed: None });
        };
        let signed = match tree.read_as_signed(root, &blob, pointer.snapshot, now).await {
            Ok(client) => Signed::of(client),
            Err(error @ (IndexerError::Trust(_) | IndexerError::Missing(_))) => {
                unsigned(&error);
                None
            }
            Err(error) => return Err(error),
        };
        Ok(Self { expected: Precondition::Tag(blob.tag), signed })
    }

    /// What the events after `head`, which is the signed one, up to `last` change. An empty base where any of it is not
    /// rightly signed.
    pub(super) async fn base(
        &mut self,
        tree: &Tree,
        ledger: &dyn Ledger,
        head: Head,
        last: u64,
    ) -> Result<Base, IndexerError> {
        let Some(signed) = &mut self.signed else { return Ok(Base::default()) };
        match signed.base(tree, ledger, head, last).await {
            Err(error @ (IndexerError::Trust(_) | IndexerError::Missing(_))) => {
                unsigned(&error);
                Ok(Base::default())
            }
            base => base,
        }
    }
}

/// Somebody has written to the tree, or another root names other keys.
fn unsigned(error: &IndexerError) {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    tracing::warn!(%error, cause, "what lies in the tree is not signed by the keys in charge: the whole log is folded");
}

impl Signed {
    fn of(client: Updater) -> Option<Self> {
        let (timestamp, snapshot) = (client.timestamp()?, client.snapshot()?);
        // Another snapshot than the listed one was not compared with its hash.
        let listed = timestamp.snapshot().version == snapshot.version();
        let roles = snapshot.roles().iter();
        let versions = roles.filter_map(|(role, listed)| Some((role.clone(), NonZeroU64::new(listed.version)?)));
        Some(Self {
            timestamp: NonZeroU64::new(timestamp.version())?,
            at: timestamp.expires().plus(-TIMESTAMP_LIFETIME),
            snapshot: NonZeroU64::new(snapshot.version()).filter(|_| listed)?,
            head: snapshot.head()?.clone(),
            versions: versions.collect(),
            client,
        })
    }

    async fn base(&mut self, tree: &Tree, ledger: &dyn Ledger, head: Head, last: u64) -> Result<Base, IndexerError> {
        tree.verify(&mut self.client, "targets", "root").await?;
        tree.verify(&mut self.client, INDEX, "targets").await?;
        let bin_bits = self.bin_bits()?;
        let (mut ids, mut namespaces, mut roles) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        each_event(ledger, head.seq, last, |event| {
            let event = std::slice::from_ref(event);
            ids.extend(index::touched(event));
            namespaces.extend(index::touched_namespaces(event));
            roles.extend(index::touched_bins(event, bin_bits));
            Ok(())
        })
        .await?;
        let mut base = Base::default();
        for role in roles {
            let listed = self.bin(tree, &role).await?;
            base.bins.insert(role, listed);
        }
        for id in ids {
            let bin = base.bins.get(&index::bin_of(&id, bin_bits));
            if let Some(target) = bin.and_then(|bin| bin.get(&PublicPath::target_path(&id))) {
                let document = tree.document(&id, target).await?;
                base.documents.insert(id, document);
            }
        }
        for namespace in namespaces {
            let bin = base.bins.get(&index::bin_of_publishers(&namespace, bin_bits));
            if let Some(target) = bin.and_then(|bin| bin.get(&PublicPath::publishers_path(&namespace))) {
                let publishers = tree.publishers(&namespace, target).await?;
                base.publishers.insert(namespace, publishers);
            }
        }
        base.snapshot = Some(Cursor { head, bin_bits, versions: self.versions.clone() });
        Ok(base)
    }

    fn bin_bits(&self) -> Result<BitLength, IndexerError> {
        let delegations = self.client.targets(INDEX).and_then(trust::Targets::delegations);
        let succinct = delegations.and_then(trust::Delegations::bins);
        let missing = || IndexerError::Missing("the bins in index.json".to_owned());
        Ok(succinct.ok_or_else(missing)?.bins.bit_length())
    }

    /// What a bin lists, under both keys.
    async fn bin(&mut self, tree: &Tree, role: &str) -> Result<BTreeMap<String, Target>, IndexerError> {
        tree.verify(&mut self.client, role, INDEX).await?;
        let listed = self.client.targets(role).map(trust::Targets::targets).into_iter().flatten();
        let target = |(path, file): (&String, &trust::TargetFile)| {
            let sha256 = file.hashes.sha256();
            let sha256 = sha256.ok_or_else(|| IndexerError::Missing(format!("the SHA-256 of `{path}` in {role}")))?;
            Ok((path.clone(), Target { length: file.length, sha256 }))
        };
        listed.map(target).collect()
    }
}

/// Gives the events after place `after`, up to place `last`, which has to be there.
pub(super) async fn each_event(
    ledger: &dyn Ledger,
    mut after: u64,
    last: u64,
    mut take: impl FnMut(&Sealed) -> Result<(), IndexerError>,
) -> Result<(), IndexerError> {
    while after < last {
        let events = ledger.events(after, EVENTS_PER_PAGE).await?;
        let missing = || IndexerError::Missing(format!("event {last}"));
        after = events.last().ok_or_else(missing)?.event().seq;
        events.iter().filter(|event| event.event().seq <= last).try_for_each(&mut take)?;
    }
    Ok(())
}
