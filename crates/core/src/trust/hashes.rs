//! What a document says about the bytes of another file.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de::Error as _};
use sha2::{Digest as _, Sha512};

use super::key::{hex, unhex};
use crate::digest::Digest;

/// The hashes of a file (sections 4.4 and 4.5). At least one is SHA-256 or SHA-512; others are passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hashes {
    sha256: Option<Digest>,
    sha512: Option<[u8; 64]>,
}

impl Hashes {
    /// The SHA-256 alone, which is what Stoa writes.
    pub fn sha256_only(digest: Digest) -> Self {
        Self { sha256: Some(digest), sha512: None }
    }

    /// The SHA-256 digest, if listed. Under [`Profile::Stoa`](super::Profile::Stoa) it is.
    pub fn sha256(&self) -> Option<Digest> {
        self.sha256
    }

    /// The SHA-512 digest as 128 hexadecimal digits, if listed.
    pub fn sha512(&self) -> Option<String> {
        self.sha512.map(|bytes| hex(&bytes))
    }

    /// Compares `bytes` with every hash listed.
    ///
    /// # Errors
    /// The hash listed and the one found, in hexadecimal, of the first that differs.
    pub fn check(&self, bytes: &[u8]) -> Result<(), (String, String)> {
        if let Some(listed) = self.sha256 {
            let found = Digest::of(bytes);
            if found != listed {
                return Err((listed.to_string(), found.to_string()));
            }
        }
        if let Some(listed) = self.sha512 {
            let found: [u8; 64] = Sha512::digest(bytes).into();
            if found != listed {
                return Err((hex(&listed), hex(&found)));
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Hashes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let listed = BTreeMap::<String, String>::deserialize(deserializer)?;
        let sha256 = listed.get("sha256").map(|text| text.parse().map_err(D::Error::custom)).transpose()?;
        let sha512 = match listed.get("sha512") {
            Some(text) => Some(unhex(text).ok_or_else(|| D::Error::custom("`sha512` is not 128 hexadecimal digits"))?),
            None => None,
        };
        if sha256.is_none() && sha512.is_none() {
            // To accept it would be to accept any bytes.
            let names: Vec<_> = listed.keys().map(String::as_str).collect();
            let names = names.join(", ");
            return Err(D::Error::custom(format!("no hash that can be checked: `{names}`, not sha256 or sha512")));
        }
        Ok(Self { sha256, sha512 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// FIPS 180-4, both of "abc".
    const SHA256: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    const SHA512: &str = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                          2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";

    fn hashes(listed: serde_json::Value) -> Hashes {
        Hashes::deserialize(listed).expect("hashes")
    }

    #[test]
    fn every_hash_listed_has_to_fit() {
        let other = "0".repeat(128);
        assert_eq!(hashes(json!({"sha256": SHA256})).check(b"abc"), Ok(()));
        assert_eq!(hashes(json!({"sha512": SHA512})).check(b"abc"), Ok(()));
        assert_eq!(hashes(json!({"sha256": SHA256, "sha512": SHA512, "blake3": "?"})).check(b"abc"), Ok(()));
        let check = hashes(json!({"sha256": SHA256, "sha512": other})).check(b"abc");
        assert_eq!(check, Err((other, SHA512.to_owned())));
        let check = hashes(json!({"sha256": SHA256})).check(b"");
        assert_eq!(check, Err((SHA256.to_owned(), Digest::of(b"").to_string())));
    }

    #[test]
    fn hashes_that_can_not_be_checked_are_none() {
        let error = |listed| Hashes::deserialize(listed).map_err(|e: serde_json::Error| e.to_string());
        let none = "no hash that can be checked: `md5`, not sha256 or sha512";
        assert_eq!(error(json!({"md5": "00"})), Err(none.to_owned()));
        assert_eq!(error(json!({"sha512": "00"})), Err("`sha512` is not 128 hexadecimal digits".to_owned()));
    }
}
