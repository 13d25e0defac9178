//! What a publisher signs of a release: a DSSE envelope over an in-toto statement.
//!
//! Sources: DSSE 1.0 (`protocol.md`: the pre-authentication encoding, `envelope.md`), in-toto Statement v1.
//! An envelope here is stricter than DSSE asks: all of its signatures have to verify, so that no reader can
//! take another one of them for the one that counts.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    canonical::{self, CanonicalError},
    digest::Digest,
    id::PluginId,
    release::BlobRef,
    trust::{KeyId, PublicKey, SecretKey, Signature, json},
    version::Version,
};

pub use self::provenance::{Provenance, check_provenance};

mod provenance;

/// The payload type of an in-toto statement.
pub const STATEMENT_TYPE: &str = "application/vnd.in-toto+json";
/// What a release statement says, by name.
pub const RELEASE_PREDICATE: &str = "urn:stoa:release:1";
/// An envelope has at most this many bytes (16 KiB): two subjects and some signatures take about 2.
pub const MAX_ENVELOPE_BYTES: u64 = 16 * 1024;
/// A supplied provenance has at most this many bytes (256 KiB): with certificates and log entries some 20.
pub const MAX_PROVENANCE_BYTES: u64 = 256 * 1024;
/// An envelope has at most this many signatures, each of another key.
pub const MAX_SIGNATURES: usize = 4;

/// Why an envelope, or what is in it, is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttestationError {
    /// It is longer than its bound.
    #[error("the attestation has {size} bytes, and {limit} are possible")]
    TooLarge {
        /// Its length.
        size: usize,
        /// The bound.
        limit: u64,
    },
    /// It is not what its format says.
    #[error("not an envelope: {0}")]
    Malformed(String),
    /// Its payload is of another type, perhaps signed for another purpose.
    #[error("the payload is of type `{found}`, not `{expected}`")]
    PayloadType {
        /// The type it has.
        found: String,
        /// The type that is read here.
        expected: &'static str,
    },
    /// It is signed for something else: another registry, plugin, version or other bytes.
    #[error("what is signed has {member} `{found}`, and this is `{expected}`")]
    Differs {
        /// Which part.
        member: &'static str,
        /// What is signed.
        found: String,
        /// What it is held against.
        expected: String,
    },
    /// A signature is not of the key that it names.
    #[error("the signature of key {0} does not verify")]
    Signature(KeyId),
}

impl From<CanonicalError> for AttestationError {
    fn from(error: CanonicalError) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// A DSSE envelope: a payload, its type, and 0 to [`MAX_SIGNATURES`] signatures of different keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct Envelope {
    payload_type: String,
    payload: Vec<u8>,
    signatures: Vec<(KeyId, [u8; 64])>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    payload: String,
    #[serde(rename = "payloadType")]
    payload_type: String,
    signatures: Vec<WireSignature>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireSignature {
    keyid: KeyId,
    sig: String,
}

/// What is signed: `DSSEv1`, type and payload, each with its length, so that no two pairs give the same bytes.
fn pre_authentication(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

impl Envelope {
    /// Signs `payload` with each of `keys`.
    pub fn sign(payload_type: &str, payload: &[u8], keys: &[&SecretKey]) -> Self {
        let message = pre_authentication(payload_type, payload);
        let one = |key: &&SecretKey| (key.id().clone(), key.sign_raw(&message));
        let signatures = keys.iter().map(one).collect();
        Self { payload_type: payload_type.to_owned(), payload: payload.to_vec(), signatures }
    }

    /// Reads an envelope: strict JSON, no unknown member, base64 of the standard alphabet with padding.
    ///
    /// # Errors
    /// [`AttestationError::TooLarge`] or [`AttestationError::Malformed`].
    pub fn read(bytes: &[u8]) -> Result<Self, AttestationError> {
        let value = strict(bytes, MAX_ENVELOPE_BYTES)?;
        serde_json::from_value(value).map_err(|error| AttestationError::Malformed(error.to_string()))
    }

    /// Its canonical JSON.
    ///
    /// # Errors
    /// [`AttestationError::Malformed`], which no envelope meets.
    pub fn to_bytes(&self) -> Result<Vec<u8>, AttestationError> {
        Ok(canonical::to_bytes(self)?)
    }

    /// The payload, where it is of this type.
    ///
    /// # Errors
    /// [`AttestationError::PayloadType`]: bytes that were signed for another purpose.
    pub fn payload(&self, expected: &'static str) -> Result<&[u8], AttestationError> {
        if self.payload_type == expected {
            return Ok(&self.payload);
        }
        let found = self.payload_type.chars().take(80).collect();
        Err(AttestationError::PayloadType { found, expected })
    }

    /// The keys that it says it is signed by. A hint: only [`Envelope::check`] tells.
    pub fn signers(&self) -> impl Iterator<Item = &KeyId> {
        self.signatures.iter().map(|(id, _)| id)
    }

    /// Checks that the signature which names `id` is one of `key`.
    ///
    /// # Errors
    /// [`AttestationError::Signature`], also where there is none.
    pub fn check(&self, id: &KeyId, key: &PublicKey) -> Result<(), AttestationError> {
        let message = pre_authentication(&self.payload_type, &self.payload);
        let signature = self.signatures.iter().find(|(signer, _)| signer == id);
        match signature.is_some_and(|(_, bytes)| key.verify(&message, &Signature::from_bytes(bytes))) {
            true => Ok(()),
            false => Err(AttestationError::Signature(id.clone())),
        }
    }
}

impl TryFrom<Wire> for Envelope {
    type Error = String;

    fn try_from(wire: Wire) -> Result<Self, String> {
        let decode = |what: &str, text: &str| STANDARD.decode(text).map_err(|e| format!("`{what}` is not base64: {e}"));
        let payload = decode("payload", &wire.payload)?;
        if wire.signatures.len() > MAX_SIGNATURES {
            return Err(format!("{} signatures: at most {MAX_SIGNATURES} are read", wire.signatures.len()));
        }
        let mut signatures: Vec<(KeyId, [u8; 64])> = Vec::new();
        for WireSignature { keyid, sig } in wire.signatures {
            if signatures.iter().any(|(id, _)| *id == keyid) {
                return Err(format!("key {keyid} signs twice"));
            }
            let bytes = decode("sig", &sig)?;
            let length = bytes.len();
            let bytes = bytes.try_into().map_err(|_| format!("a signature of {length} bytes: ed25519 makes 64"))?;
            signatures.push((keyid, bytes));
        }
        Ok(Self { payload_type: wire.payload_type, payload, signatures })
    }
}

impl From<Envelope> for Wire {
    fn from(envelope: Envelope) -> Self {
        let one = |(keyid, bytes): (KeyId, [u8; 64])| WireSignature { keyid, sig: STANDARD.encode(bytes) };
        Self {
            payload: STANDARD.encode(envelope.payload),
            payload_type: envelope.payload_type,
            signatures: envelope.signatures.into_iter().map(one).collect(),
        }
    }
}

/// JSON within `limit` bytes, no object of which names a member twice.
pub(crate) fn strict(bytes: &[u8], limit: u64) -> Result<Value, AttestationError> {
    if bytes.len() as u64 > limit {
        return Err(AttestationError::TooLarge { size: bytes.len(), limit });
    }
    json::read(bytes).map_err(|flaw| {
        AttestationError::Malformed(match flaw {
            json::Flaw::Syntax(what) => what,
            json::Flaw::Duplicate(name) => format!("the member `{}` stands twice", name.escape_default()),
            json::Flaw::Depth => format!("nested deeper than {}", json::MAX_DEPTH),
        })
    })
}

/// The attestations of a release, as the log and the index carry them: blobs by digest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attestations {
    /// The publisher's signature: an [`Envelope`] of a [`ReleaseClaim`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<BlobRef>,
    /// How it was built, as a builder says: see [`check_provenance`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<BlobRef>,
}

impl Attestations {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The blobs that have to be there.
    pub fn blobs(&self) -> impl Iterator<Item = BlobRef> + use<> {
        [self.signature, self.provenance].into_iter().flatten()
    }
}

/// What a publisher says when it signs: these bytes are this release, in this registry and no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseClaim {
    /// SHA-256 of the registry's first root.
    pub registry: Digest,
    /// The plugin.
    pub id: PluginId,
    /// The version.
    pub version: Version,
    /// The component.
    pub artifact: Digest,
    /// The release record.
    pub record: Digest,
    /// The provenance that goes with it: it can not be exchanged or left out unnoticed.
    pub provenance: Option<Digest>,
}

impl ReleaseClaim {
    /// The statement: canonical JSON of an in-toto Statement v1.
    ///
    /// # Errors
    /// [`AttestationError::Malformed`], which no claim meets.
    pub fn statement(&self) -> Result<Vec<u8>, AttestationError> {
        let name = format!("{}@{}", self.id, self.version);
        let mut predicate = json!({"registry": {"root": {"sha256": self.registry}}});
        if let Some(provenance) = &self.provenance {
            predicate["provenance"] = json!({"sha256": provenance});
        }
        Ok(canonical::to_bytes(&json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [
                {"name": name, "digest": {"sha256": self.artifact}},
                {"name": format!("{name}#record"), "digest": {"sha256": self.record}},
            ],
            "predicateType": RELEASE_PREDICATE,
            "predicate": predicate,
        }))?)
    }

    /// Signs it.
    ///
    /// # Errors
    /// As [`ReleaseClaim::statement`].
    pub fn sign(&self, keys: &[&SecretKey]) -> Result<Envelope, AttestationError> {
        Ok(Envelope::sign(STATEMENT_TYPE, &self.statement()?, keys))
    }

    /// Checks that `envelope` says exactly this, byte for byte. Whose signatures it has is not looked at.
    ///
    /// # Errors
    /// [`AttestationError::Differs`] with the first part that is another one: signed bytes that are replayed.
    pub fn check(&self, envelope: &Envelope) -> Result<(), AttestationError> {
        let (payload, own) = (envelope.payload(STATEMENT_TYPE)?, self.statement()?);
        if payload == own {
            return Ok(());
        }
        let (found, own) = (strict(payload, MAX_ENVELOPE_BYTES)?, strict(&own, MAX_ENVELOPE_BYTES)?);
        let parts = [
            ("the registry", "/predicate/registry/root/sha256"),
            ("the release", "/subject/0/name"),
            ("the component", "/subject/0/digest/sha256"),
            ("the record", "/subject/1/digest/sha256"),
            ("the provenance", "/predicate/provenance/sha256"),
            ("the predicate", "/predicateType"),
        ];
        let text = |value: &Value, pointer| match value.pointer(pointer).and_then(Value::as_str) {
            Some(text) => text.chars().take(140).collect(),
            None => "none".to_owned(),
        };
        let differs = |(_, pointer): &&(&str, &str)| found.pointer(pointer) != own.pointer(pointer);
        match parts.iter().find(differs) {
            Some((member, pointer)) => {
                let (found, expected) = (text(&found, pointer), text(&own, pointer));
                Err(AttestationError::Differs { member, found, expected })
            }
            None => Err(AttestationError::Malformed("the statement is not in its canonical form".to_owned())),
        }
    }
}
