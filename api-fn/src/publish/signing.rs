//! Whether the releases of a set are signed as their namespaces have it.

use std::collections::BTreeMap;

use stoa_core::{
    attestation::{self, AttestationError, Envelope, MAX_ENVELOPE_BYTES, MAX_PROVENANCE_BYTES, ReleaseClaim},
    digest::Digest,
    id::PluginId,
    publisher::{PublisherError, Publishers},
    release::BlobRef,
    time::Time,
};

use crate::{
    problem::{Code, Problem},
    publish::{known::Known, set::Candidate},
};

/// What was found in the signatures of a set.
pub(crate) type Proofs = BTreeMap<PluginId, Envelope>;

/// A release is decided on before it has its place: all that was recorded so far lies before it.
const LATER: u64 = u64::MAX;

/// Checks the sizes of attestations.
pub(crate) fn check_sizes(candidate: &Candidate) -> Result<(), Problem> {
    let bound = |what: &str, blob: Option<BlobRef>, limit: u64| match blob {
        Some(blob) if !(1..=limit).contains(&blob.size) => {
            let detail = format!("the {what} has {} bytes: 1 to {limit} are accepted", blob.size);
            Err(invalid(candidate, &detail))
        }
        _ => Ok(()),
    };
    bound("signature", candidate.attestations.signature, MAX_ENVELOPE_BYTES)?;
    bound("provenance", candidate.attestations.provenance, MAX_PROVENANCE_BYTES)
}

fn invalid(candidate: &Candidate, rule: &dyn std::fmt::Display) -> Problem {
    let release = &candidate.release;
    Problem::new(Code::AttestationInvalid, format!("`{}` {}: {rule}", release.id, release.version))
}

/// Reads the signature of a release.
pub(crate) fn read(candidate: &Candidate, bytes: &[u8]) -> Result<Envelope, Problem> {
    Envelope::read(bytes).map_err(|error| invalid(candidate, &error))
}

/// Checks the provenance of a release.
pub(crate) fn check_provenance(candidate: &Candidate, bytes: &[u8]) -> Result<(), Problem> {
    attestation::check_provenance(bytes, &candidate.release.artifact.digest).map_err(|error| invalid(candidate, &error))
}

/// Refuses a release without a signature where its namespace demands one.
pub(crate) fn check_demand(candidate: &Candidate, known: &Known) -> Result<(), Problem> {
    let id = &candidate.release.id;
    let Some(publishers) = known.publishers.get(id.namespace()) else { return Ok(()) };
    publishers.admit(&candidate.attestations, LATER).map_err(|_| {
        let version = &candidate.release.version;
        let detail = format!("`{}` demands signatures, and `{id}` {version} has none", id.namespace());
        Problem::new(Code::SignatureMissing, detail)
    })
}

/// Checks all signatures against the keys that count at `at`.
pub(crate) fn judge(
    fresh: &[&Candidate],
    known: &Known,
    proofs: &Proofs,
    registry: Option<Digest>,
    at: Time,
) -> Result<(), Problem> {
    for candidate in fresh {
        check_demand(candidate, known)?;
        let release = &candidate.release;
        let Some(envelope) = proofs.get(&release.id) else { continue };
        let namespace = release.id.namespace();
        let registry = registry.ok_or_else(|| invalid(candidate, &"the registry has no first root to be named by"))?;
        let none = Publishers::none(registry, namespace.clone());
        let claim = ReleaseClaim {
            registry,
            id: release.id.clone(),
            version: release.version.clone(),
            artifact: release.artifact.digest,
            record: candidate.record.digest,
            provenance: candidate.attestations.provenance.map(|blob| blob.digest),
        };
        let judged = known.publishers.get(namespace).unwrap_or(&none).verify(&claim, envelope, LATER, at);
        judged.map_err(|error| match &error {
            PublisherError::Attestation(AttestationError::Malformed(_)) => invalid(candidate, &error),
            _ => {
                let detail = format!("the signature of `{}` {}: {error}", release.id, release.version);
                Problem::new(Code::SignatureRefused, detail)
            }
        })?;
    }
    Ok(())
}
