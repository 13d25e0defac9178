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
