//! Keys and signatures. Only ed25519 can sign or verify; other kinds are carried, and counted only by a client
//! that brings their [`Scheme`].

use std::{fmt, str::FromStr};

use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};
use zeroize::Zeroize as _;

use super::scheme::Scheme;
use crate::{canonical, digest::Digest};

/// The one scheme that is built in, and the type of its keys.
const ED25519: &str = "ed25519";

/// The name of a key, at most [`KeyId::MAX`] printable ASCII characters.
///
/// Stoa's own are the SHA-256 of the key's canonical JSON (section 4.2.1), 64 hexadecimal digits; other
/// repositories may name keys as they like.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(String);

impl KeyId {
    /// The longest id accepted: twice the longest digest in use.
    pub const MAX: usize = 128;

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Text that can not name a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a key id: it needs 1 to {max} printable ASCII characters", max = KeyId::MAX)]
pub struct KeyIdError(String);

impl FromStr for KeyId {
    type Err = KeyIdError;

    fn from_str(text: &str) -> Result<Self, KeyIdError> {
        if text.is_empty() || text.len() > Self::MAX || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(KeyIdError(text.chars().take(80).collect()));
        }
        Ok(Self(text.to_owned()))
    }
}

text_type!(KeyId);

/// A signature as its document carries it, in hexadecimal. Whether it means anything is only known by
/// [`PublicKey::verify`]: a document with one broken signature among enough good ones is valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Signature(String);

impl Signature {
    /// A signature from its raw bytes, 64 of them for ed25519.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(hex(bytes))
    }

    /// The hexadecimal text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A public key as a document describes it, with every field it has there (section 4.2).
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    described: Value,
    kind: Kind,
}

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    Ed25519(Box<VerifyingKey>),
    /// A type, scheme or value that this build can not use: its signatures never count.
    Unusable,
}

impl PublicKey {
    /// The ed25519 key of these 32 bytes (RFC 8032, section 5.1.5). A value that is no point of the curve
    /// gives a key that verifies nothing.
    pub fn ed25519(bytes: &[u8; 32]) -> Self {
        Self::read(json!({"keytype": "ed25519", "keyval": {"public": hex(bytes)}, "scheme": "ed25519"}))
    }

    fn read(described: Value) -> Self {
        let text = |field: &str| described.get(field).and_then(Value::as_str);
        let kind = match (text("keytype"), text("scheme")) {
            (Some(ED25519), Some(ED25519)) => ed25519(&described["keyval"]["public"]),
            _ => Kind::Unusable,
        };
        Self { described, kind }
    }

    /// The id that the key has by its content: SHA-256 of its canonical JSON with every field. `None` where
    /// it has no canonical form.
    pub fn id(&self) -> Option<KeyId> {
        let bytes = canonical::to_signed_bytes(&self.described).ok()?;
        Some(KeyId(Digest::of(&bytes).to_string()))
    }

    /// The 32 bytes of an ed25519 key, where it is described as [`PublicKey::ed25519`] describes it: with other fields, or
    /// other digits, the same key would have a second id.
    pub fn to_bytes(&self) -> Option<[u8; 32]> {
        let bytes = match &self.kind {
            Kind::Ed25519(key) => key.to_bytes(),
            Kind::Unusable => return None,
        };
        (Self::ed25519(&bytes) == *self).then_some(bytes)
    }

    /// Whether it is the ed25519 key that [`PublicKey::ed25519`] makes, with no other member: one key, one id.
    pub fn is_plain_ed25519(&self) -> bool {
        matches!(&self.kind, Kind::Ed25519(key) if !key.is_weak() && *self == Self::ed25519(&key.to_bytes()))
    }

    /// Whether this build can verify its signatures.
    pub fn is_usable(&self) -> bool {
        self.kind != Kind::Unusable
    }

    /// Whether `signature` over `message` is this key's.
    ///
    /// Strict: weak keys and the malleable forms that RFC 8032 leaves open are refused, so that all
    /// clients agree on what is signed.
    pub fn verify(&self, message: &[u8], signature: &Signature) -> bool {
        match &self.kind {
            Kind::Ed25519(key) => unhex(signature.as_str()).is_some_and(|bytes| {
                let signature = ed25519_dalek::Signature::from_bytes(&bytes);
                key.verify_strict(message, &signature).is_ok()
            }),
            Kind::Unusable => false,
        }
    }

    /// Who signed, if `signature` over `message` is this key's: what the key is, whatever it is called. Two ids
    /// of one key must not count as two keys.
    pub(super) fn signer(
        &self,
        schemes: &[Scheme],
        message: &[u8],
        signature: &Signature,
    ) -> Option<(&'static str, Vec<u8>)> {
        match &self.kind {
            Kind::Ed25519(key) => self.verify(message, signature).then(|| (ED25519, key.to_bytes().to_vec())),
            Kind::Unusable => {
                let text = |field: &str| self.described.get(field).and_then(Value::as_str);
                let scheme = schemes.iter().find(|scheme| scheme.is_for(text("keytype"), text("scheme")))?;
                let public = self.described["keyval"]["public"].as_str()?;
                let signature = unhex_any(signature.as_str())?;
                Some((scheme.name(), scheme.material(public, message, &signature)?))
            }
        }
    }
}

fn ed25519(public: &Value) -> Kind {
    let key = public.as_str().and_then(unhex::<32>).and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok());
    key.map_or(Kind::Unusable, |key| Kind::Ed25519(Box::new(key)))
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.described)
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.described.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let described = serde_json::Map::deserialize(deserializer)?;
        Ok(Self::read(Value::Object(described)))
    }
}

/// An ed25519 secret key. It leaves memory when dropped, and prints only the id of its public half.
pub struct SecretKey {
    signing: SigningKey,
    public: PublicKey,
    id: KeyId,
}

impl SecretKey {
    /// The key of a seed: 32 bytes from a good source of randomness (RFC 8032, section 5.1.5).
    pub fn from_seed(mut seed: [u8; 32]) -> Self {
        let signing = SigningKey::from_bytes(&seed);
        seed.zeroize();
        let public = PublicKey::ed25519(signing.verifying_key().as_bytes());
        let id = public.id().expect("a key described by strings has a canonical form");
        Self { signing, public, id }
    }

    /// The public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The id of the public half.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// Signs `message`. Deterministic: the same key and message give the same signature.
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature::from_bytes(&self.sign_raw(message))
    }

    /// As [`SecretKey::sign`]: the 64 bytes, which some formats write otherwise than in hexadecimal.
    pub(crate) fn sign_raw(&self, message: &[u8]) -> [u8; 64] {
        self.signing.sign(message).to_bytes()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {})", self.id)
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Exactly `N` bytes from lower- or upper-case hexadecimal.
pub(crate) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    unhex_any(text)?.try_into().ok()
}

/// Whole bytes from lower- or upper-case hexadecimal.
fn unhex_any(text: &str) -> Option<Vec<u8>> {
    let digit = |b: u8| (b as char).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let pairs = text.as_bytes().chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    pairs.map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8032, section 7.1, test 2.
    fn rfc_8032_test_2() -> SecretKey {
        SecretKey::from_seed(
            unhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb").expect("32 bytes"),
        )
    }

    #[test]
    fn a_signature_is_the_vector_of_rfc_8032() {
        let key = rfc_8032_test_2();
        let signature = key.sign(&[0x72]);
        assert_eq!(
            key.public().described["keyval"]["public"],
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
        );
        assert_eq!(
            signature.as_str(),
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
             085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        );
        assert!(key.public().verify(&[0x72], &signature));
        assert!(!key.public().verify(&[0x73], &signature));
    }

    #[test]
    fn a_signature_of_another_shape_does_not_verify() {
        let key = rfc_8032_test_2();
        for text in ["", "00", "zz", &"0".repeat(128), &format!("{}00", key.sign(b"x").as_str())] {
            assert!(!key.public().verify(b"x", &Signature(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn a_weak_key_verifies_nothing() {
        // The neutral element: under the lax rules of RFC 8032 the signature (neutral, 0) fits every message.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        let mut signature = [0; 64];
        signature[0] = 1;
        assert!(!PublicKey::ed25519(&neutral).verify(b"anything", &Signature::from_bytes(&signature)));
    }

    #[test]
    fn an_unknown_key_type_is_carried_whole_and_unusable() {
        let described = json!({"keytype": "lattice", "scheme": "x", "keyval": {"public": "y"}, "extra": [1]});
        let key = PublicKey::deserialize(&described).expect("an object");
        assert!(!key.is_usable());
        assert!(!key.verify(b"", &Signature(String::new())));
        assert_eq!(serde_json::to_value(&key).expect("a value"), described);
    }

    #[test]
    fn a_secret_key_prints_only_its_public_id() {
        let key = rfc_8032_test_2();
        assert_eq!(format!("{key:?}"), format!("SecretKey(of {})", key.id()));
        assert!(!format!("{key:?}").contains("4ccd089b"));
    }

    #[test]
    fn a_key_id_is_short_and_printable() {
        for text in ["", "a b", "é", &"a".repeat(129)] {
            assert_eq!(text.parse::<KeyId>(), Err(KeyIdError(text.chars().take(80).collect())));
        }
    }
}
