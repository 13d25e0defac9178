//! Why a statement, or a release, is refused by the keys of its namespace.

use crate::{attestation::AttestationError, id::Namespace, time::Time, trust::KeyId};

/// Why a statement, or a signed release, is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublisherError {
    /// The envelope, or what it says.
    #[error(transparent)]
    Attestation(#[from] AttestationError),
    /// A signature is of a key that the namespace does not have.
    #[error("`{namespace}` has no key {key}")]
    Unknown {
        /// The namespace.
        namespace: Namespace,
        /// The key.
        key: KeyId,
    },
    /// The key waits until others could have seen it.
    #[error("the key {key} counts from {usable_at} on, and it is {at}")]
    Waiting {
        /// The key.
        key: KeyId,
        /// When it counts.
        usable_at: Time,
        /// The time of the event.
        at: Time,
    },
    /// The key was rotated out or revoked.
    #[error("the key {key} was {how} by event {seq}")]
    Ended {
        /// The key.
        key: KeyId,
        /// `replaced` or `revoked`.
        how: &'static str,
        /// The event that did it.
        seq: u64,
    },
    /// Nobody signed whose word counts.
    #[error("no key of `{namespace}` that counts has signed")]
    Unsigned {
        /// The namespace.
        namespace: Namespace,
    },
    /// A release without a signature, of a namespace that demanded one before.
    #[error("it bears no signature, and event {since} demands one of every later release of `{namespace}`")]
    Demanded {
        /// The namespace.
        namespace: Namespace,
        /// The event that demands signatures.
        since: u64,
    },
    /// A rule of the namespace's history.
    #[error("`{namespace}`: {rule}")]
    Rule {
        /// The namespace.
        namespace: Namespace,
        /// What does not hold.
        rule: String,
    },
    /// The bytes are no document of a namespace.
    #[error("not a document of a namespace's keys in format 1: {0}")]
    Unreadable(String),
}
