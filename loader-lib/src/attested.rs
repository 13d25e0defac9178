//! Who stands for a release: its publisher's signature, what its namespace demands, and where it was built.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use stoa_core::{
    attestation::{AttestationError, Envelope, MAX_ENVELOPE_BYTES, MAX_PROVENANCE_BYTES, Provenance},
    digest::Digest,
    document::Listing,
    id::{Namespace, PluginId},
    lock::{Exact, Publisher},
    policy::{Evidence, Policy},
    publisher::{PublisherError, Publishers, Signed},
    release::BlobRef,
    resolve::{Resolved, Source},
    standing::Standing,
    trust::KeyId,
    version::Version,
};

use crate::registry::{PARALLEL, RegistryError, Snapshot};

/// What was verified of a release beyond the registry's own signatures.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attested {
    /// Who signed it; `None` where it bears no signature.
    pub signed: Option<Signed>,
    /// Where it was built, as a provenance says that the publisher's signature covers. Whether the builder says so, too, is
    /// not looked at.
    pub provenance: Option<Provenance>,
}

impl Attested {
    /// The keys that have signed it and were not revoked since.
    pub fn keys(&self) -> BTreeSet<Digest> {
        let flagged = |signed: &Signed, key: &KeyId| signed.flagged.iter().any(|(flagged, _)| flagged == key);
        let signed = self.signed.iter();
        let good = signed.flat_map(|signed| signed.keys.iter().filter(move |key| !flagged(signed, key)));
        // The ids of publishers' keys are digests.
        good.filter_map(|key| key.as_str().parse().ok()).collect()
    }

    /// The key that stands for it. Of several, whoever knew one goes on naming that one.
    pub fn publisher(&self, known: Option<Publisher>) -> Publisher {
        let found = self.keys();
        let mut named = found.iter().copied().map(Publisher::Key);
        let first = found.first().copied().map_or(Publisher::None, Publisher::Key);
        named.find(|key| known == Some(*key)).unwrap_or(first)
    }

    /// What that is worth to a policy.
    pub(crate) fn evidence(&self, listing: &Listing, standing: &Standing) -> Evidence {
        let (publisher_keys, provenance) = (Some(self.keys()), Some(self.provenance.clone().into_iter().collect()));
        Evidence { publisher_keys, provenance, ..Evidence::of(listing, standing) }
    }
}

/// Which attestations are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// The signature, and the keys of the namespace.
    Signature,
    /// The provenance as well.
    Provenance,
}

impl Depth {
    /// What this policy has to know of each release.
    pub(crate) fn of(policy: &Policy) -> Self {
        if policy.asks_for_provenance() { Self::Provenance } else { Self::Signature }
    }
}

/// A release and what was verified of it.
pub(crate) type AllAttested = BTreeMap<Exact, Attested>;

impl Snapshot<'_> {
    /// Verifies what is attested of a release: its publisher's signature against the keys of its namespace, and whether that
    /// demands one. Reads the keys, then the attestations that there are, from the cache where it has them.
    ///
    /// # Errors
    /// [`RegistryError::Signature`] where the signature does not hold, [`RegistryError::Unsigned`] where there is none and
    /// the namespace demanded one before, [`RegistryError::Provenance`] where the provenance is none of this component.
    pub async fn attested(
        &self,
        id: &PluginId,
        version: &Version,
        listing: &Listing,
        depth: Depth,
    ) -> Result<Attested, RegistryError> {
        let keys = self.publishers(id.namespace()).await?;
        self.attested_by(keys.as_ref(), id, version, listing, depth).await
    }

    /// What the registry's policy may know of a release: attestations are read where it requires something of them.
    ///
    /// # Errors
    /// As [`Snapshot::attested`].
    pub async fn evidence(
        &self,
        release: &Exact,
        listing: &Listing,
        standing: &Standing,
    ) -> Result<Evidence, RegistryError> {
        let policy = self.registry().policy();
        let attested = self.attested(&release.id, &release.version, listing, Depth::of(policy)).await?;
        Ok(match policy.asks_for_signatures() {
            true => attested.evidence(listing, standing),
            false => Evidence::of(listing, standing),
        })
    }

    async fn attested_by(
        &self,
        keys: Option<&Publishers>,
        id: &PluginId,
        version: &Version,
        listing: &Listing,
        depth: Depth,
    ) -> Result<Attested, RegistryError> {
        admit(keys, id, version, listing)?;
        let Some(blob) = listing.attestations.signature else { return Ok(Attested::default()) };
        let signed = self.signed(keys, id, version, listing, blob).await?;
        let attested = Attested { signed: Some(signed), provenance: None };
        let provenance = listing.attestations.provenance.filter(|_| depth == Depth::Provenance);
        // Nobody who is trusted still stands for it where all of the keys were revoked.
        let Some(blob) = provenance.filter(|_| !attested.keys().is_empty()) else { return Ok(attested) };
        let refuse = |source| {
            let (id, version) = (id.clone(), version.clone());
            RegistryError::Provenance { id, version, source: Box::new(source) }
        };
        bounded(blob, MAX_PROVENANCE_BYTES).map_err(refuse)?;
        let provenance = self.registry().read(blob).await?;
        let provenance = Provenance::read(&provenance, &listing.artifact.digest).map_err(refuse)?;
        Ok(Attested { provenance: Some(provenance), ..attested })
    }

    async fn signed(
        &self,
        keys: Option<&Publishers>,
        id: &PluginId,
        version: &Version,
        listing: &Listing,
        blob: BlobRef,
    ) -> Result<Signed, RegistryError> {
        let refuse = |source: PublisherError| {
            let (id, version) = (id.clone(), version.clone());
            RegistryError::Signature { id, version, source: Box::new(source) }
        };
        bounded(blob, MAX_ENVELOPE_BYTES).map_err(|error| refuse(error.into()))?;
        let none = Publishers::none(self.registry().fingerprint(), id.namespace().clone());
        let keys = keys.unwrap_or(&none);
        let registry = self.registry().first_root().unwrap_or(keys.registry);
        let envelope = Envelope::read(&self.registry().read(blob).await?).map_err(|error| refuse(error.into()))?;
        let claim = listing.claim(registry, id, version);
        keys.verify(&claim, &envelope, listing.seq, listing.published_at).map_err(refuse)
    }

    /// Verifies the attestations of everything that a resolution takes from a registry. What its namespace demands is held
    /// against each; signatures are read of what is not in the lock, and of all of it where the policy asks for signatures:
    /// what is locked was verified when it was locked. Gives whether that told anything that `known` did not have.
    pub(crate) async fn verify(
        &self,
        plugins: &mut [Resolved],
        locked: impl Fn(&PluginId) -> Option<(Version, Publisher)>,
        known: &mut AllAttested,
    ) -> Result<bool, RegistryError> {
        let (all, depth) = (self.registry().policy().asks_for_signatures(), Depth::of(self.registry().policy()));
        let before = known.len();
        let keys = self.keys_of_all(plugins).await?;
        for plugin in plugins.iter_mut().filter(|plugin| matches!(plugin.source, Source::Registry(_))) {
            let (id, version) = (&plugin.id, &plugin.version);
            let keys = keys.get(id.namespace()).and_then(Option::as_ref);
            admit(keys, id, version, &plugin.listing)?;
            let locked = locked(id);
            let kept = locked.as_ref().filter(|(locked, _)| locked == version).map(|(_, publisher)| *publisher);
            if let Some(publisher) = kept.filter(|_| !all && plugin.listing.attestations.signature.is_some()) {
                plugin.publisher = publisher;
                continue;
            }
            let release = Exact { id: id.clone(), version: version.clone() };
            let attested = match known.get(&release) {
                Some(attested) => attested.clone(),
                None => self.attested_by(keys, id, version, &plugin.listing, depth).await?,
            };
            for (key, reason) in attested.signed.iter().flat_map(|signed| &signed.flagged) {
                tracing::warn!(%id, %version, %key, reason, "a key that signed the release was revoked since");
            }
            plugin.publisher = attested.publisher(locked.map(|(_, publisher)| publisher));
            plugin.publisher_keys = Some(attested.keys());
            plugin.provenance = Some(attested.provenance.clone().into_iter().collect());
            known.insert(release, attested);
        }
        Ok(known.len() > before)
    }

    /// The keys of every namespace that a resolution takes something of; `None` where it provably has none.
    async fn keys_of_all(
        &self,
        plugins: &[Resolved],
    ) -> Result<BTreeMap<Namespace, Option<Publishers>>, RegistryError> {
        let from_registry = plugins.iter().filter(|plugin| matches!(plugin.source, Source::Registry(_)));
        let namespaces: BTreeSet<Namespace> = from_registry.map(|plugin| plugin.id.namespace().clone()).collect();
        let read = |namespace| async move {
            let keys = self.publishers(&namespace).await?;
            Ok((namespace, keys))
        };
        stream::iter(namespaces).map(read).buffer_unordered(PARALLEL).try_collect().await
    }
}

/// Attack: whoever can write to the ledger or run the index past the rules of the API releases what its publisher has not
/// signed, in a namespace that said, signed, that it signs everything.
fn admit(keys: Option<&Publishers>, id: &PluginId, version: &Version, listing: &Listing) -> Result<(), RegistryError> {
    let admitted = keys.map_or(Ok(()), |keys| keys.admit(&listing.attestations, listing.seq));
    admitted.map_err(|source| {
        let (id, version) = (id.clone(), version.clone());
        RegistryError::Unsigned { id, version, source: Box::new(source) }
    })
}

fn bounded(blob: BlobRef, limit: u64) -> Result<(), AttestationError> {
    let size = usize::try_from(blob.size).unwrap_or(usize::MAX);
    if blob.size > limit { Err(AttestationError::TooLarge { size, limit }) } else { Ok(()) }
}
