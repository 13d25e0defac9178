//! Signed documents: what is signed, and by whom (section 4.2.1).

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::{
    error::{TrustError, shown},
    json::{self, Flaw},
    key::{KeyId, PublicKey, Signature},
    root::RoleKeys,
    scheme::Scheme,
};
use crate::canonical;

/// A document with its signatures, read strictly, nothing verified yet.
///
/// Signatures cover the canonical form of the JSON as it was served, with all fields that this client does
/// not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    signatures: BTreeMap<KeyId, Signature>,
    signed: Value,
    payload: Vec<u8>,
}

#[derive(Deserialize)]
struct EnvelopeWire {
    signatures: Vec<SignatureWire>,
    signed: serde_json::Map<String, Value>,
}

#[derive(Deserialize)]
struct SignatureWire {
    keyid: KeyId,
    sig: Signature,
}

/// Who may sign a role: what one document says about another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Authority<'a> {
    /// The document that says so, for messages.
    pub(super) by: &'a str,
    pub(super) keys: &'a BTreeMap<KeyId, PublicKey>,
    pub(super) role: &'a RoleKeys,
    /// What counts beside ed25519.
    pub(super) schemes: &'a [Scheme],
}

impl Envelope {
    /// Reads the document of `role`. The caller bounds the length of `bytes`.
    ///
    /// # Errors
    /// [`TrustError::Json`], [`TrustError::DuplicateKey`], [`TrustError::TooDeep`], [`TrustError::Shape`] or
    /// [`TrustError::RepeatedSignature`].
    pub fn read(role: &str, bytes: &[u8]) -> Result<Self, TrustError> {
        let role = || role.to_owned();
        let value = json::read(bytes).map_err(|flaw| match flaw {
            Flaw::Syntax(reason) => TrustError::Json { role: role(), reason: shown(&reason) },
            Flaw::Duplicate(key) => TrustError::DuplicateKey { role: role(), key: shown(&key) },
            Flaw::Depth => TrustError::TooDeep { role: role() },
        })?;
        if !value.is_object() {
            let reason = "a signed document is an object of `signatures` and `signed`".to_owned();
            return Err(TrustError::Shape { role: role(), reason });
        }
        let wire: EnvelopeWire = serde_json::from_value(value)
            .map_err(|e| TrustError::Shape { role: role(), reason: shown(&e.to_string()) })?;
        let mut signatures = BTreeMap::new();
        for SignatureWire { keyid, sig } in wire.signatures {
            if signatures.insert(keyid.clone(), sig).is_some() {
                return Err(TrustError::RepeatedSignature { role: role(), key: keyid });
            }
        }
        let signed = Value::Object(wire.signed);
        let payload = canonical::to_signed_bytes(&signed)
            .map_err(|e| TrustError::Json { role: role(), reason: shown(&e.to_string()) })?;
        Ok(Self { signatures, signed, payload })
    }

    /// The signed part.
    pub fn signed(&self) -> &Value {
        &self.signed
    }

    /// The bytes that signatures cover.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The signatures by key id.
    pub fn signatures(&self) -> &BTreeMap<KeyId, Signature> {
        &self.signatures
    }

    /// Checks for an arbitrary software attack: a threshold of distinct keys has to have signed.
    ///
    /// Unknown keys and broken signatures are passed over. One key under two ids counts once.
    pub(super) fn verify(&self, role: &str, authority: Authority<'_>) -> Result<(), TrustError> {
        let mut counted = BTreeSet::new();
        for id in authority.role.key_ids() {
            let (Some(key), Some(signature)) = (authority.keys.get(id), self.signatures.get(id)) else { continue };
            counted.extend(key.signer(authority.schemes, &self.payload, signature));
        }
        let (valid, needed) = (counted.len() as u64, authority.role.threshold());
        if valid < needed {
            let (role, by) = (role.to_owned(), authority.by.to_owned());
            return Err(TrustError::Threshold { role, by, valid, needed });
        }
        Ok(())
    }
}
