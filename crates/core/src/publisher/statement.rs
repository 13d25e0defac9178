//! What the keys of a namespace say of themselves: a signed, numbered change.

use serde::{Deserialize, Serialize};

use super::{NAMESPACE_TYPE, PublisherError};
use crate::{
    attestation::{AttestationError, Envelope, MAX_ENVELOPE_BYTES, strict},
    canonical,
    digest::Digest,
    id::Namespace,
    trust::{KeyId, PublicKey, SecretKey},
};

/// What a statement changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Change {
    /// A new key.
    Add {
        /// It, in TUF's form.
        key: PublicKey,
    },
    /// A new key in the place of another, which signs no later release. What it has signed stays good.
    Rotate {
        /// The new one.
        key: PublicKey,
        /// The old one.
        replaces: KeyId,
    },
    /// A key in which nobody should trust: later releases are refused, earlier ones flagged.
    Revoke {
        /// The key.
        key: KeyId,
        /// Why, for people.
        reason: String,
    },
    /// Whether each later release has to be signed.
    Demand {
        /// Whether it has.
        signatures: bool,
    },
}

/// A change as its keys sign it: the payload of an [`Envelope`] of type [`NAMESPACE_TYPE`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// Always 1.
    pub format: u32,
    /// SHA-256 of the registry's first root.
    pub registry: Digest,
    /// The namespace.
    pub namespace: Namespace,
    /// One more than the statements before: none can be replayed.
    pub number: u64,
    /// The change.
    pub change: Change,
}

impl Statement {
    /// Signs it with each of `keys`.
    ///
    /// # Errors
    /// [`PublisherError::Attestation`], which no statement meets.
    pub fn sign(&self, keys: &[&SecretKey]) -> Result<Envelope, PublisherError> {
        let payload = canonical::to_bytes(self).map_err(AttestationError::from)?;
        Ok(Envelope::sign(NAMESPACE_TYPE, &payload, keys))
    }

    /// Reads what an envelope says; whose signatures it has is not looked at.
    ///
    /// # Errors
    /// [`PublisherError::Attestation`].
    pub fn read(envelope: &Envelope) -> Result<Self, PublisherError> {
        let payload = envelope.payload(NAMESPACE_TYPE)?;
        let malformed = |what: String| PublisherError::from(AttestationError::Malformed(what));
        let value = strict(payload, MAX_ENVELOPE_BYTES)?;
        let statement: Self = serde_json::from_value(value).map_err(|error| malformed(error.to_string()))?;
        if canonical::to_bytes(&statement).map_err(AttestationError::from)? != payload || statement.format != 1 {
            return Err(malformed("the statement is not in the canonical form of format 1".to_owned()));
        }
        Ok(statement)
    }
}
