//! Names of publishes and of their uploads.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use stoa_core::digest::{Digest, Hasher};
use stoa_store::blobs::UploadId;

use crate::token::KeyId;

/// A publish by key and content: the first 32 hexadecimal digits of
/// `sha256("stoa/publish/1" ‖ key id ‖ record digests in order of plugin)`.
///
/// So beginning again with the same records and the same key is the same publish: a lost answer costs nothing
/// and uploads go on where they were.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublishId([u8; 16]);

/// Text that is not the id of a publish.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the id of a publish: it needs 32 lower-case hexadecimal digits")]
pub struct PublishIdError(String);

impl PublishId {
    /// The publish of the records with these digests by this key.
    pub fn of<'a>(key: &KeyId, records: impl IntoIterator<Item = &'a Digest>) -> Self {
        let mut hasher = Hasher::new();
        hasher.update(b"stoa/publish/1");
        hasher.update(key.to_string().as_bytes());
        for record in records {
            hasher.update(record.as_bytes());
        }
        Self(half(hasher.finish()))
    }

    /// Where the blob with this digest is uploaded to: the first half of
    /// `sha256("stoa/upload/1" ‖ publish ‖ digest)`. Each publish has places of its own, so that no publisher
    /// can fill, or learn from, another's.
    pub fn upload(&self, blob: &Digest) -> UploadId {
        let mut hasher = Hasher::new();
        hasher.update(b"stoa/upload/1");
        hasher.update(&self.0);
        hasher.update(blob.as_bytes());
        UploadId::from_bytes(half(hasher.finish()))
    }
}

fn half(digest: Digest) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.as_bytes()[..16]);
    bytes
}

impl FromStr for PublishId {
    type Err = PublishIdError;

    fn from_str(text: &str) -> Result<Self, PublishIdError> {
        let plain = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        match u128::from_str_radix(text, 16) {
            Ok(number) if text.len() == 32 && text.bytes().all(plain) => Ok(Self(number.to_be_bytes())),
            _ => Err(PublishIdError(text.chars().take(40).collect())),
        }
    }
}

impl TryFrom<String> for PublishId {
    type Error = PublishIdError;

    fn try_from(text: String) -> Result<Self, PublishIdError> {
        text.parse()
    }
}

impl From<PublishId> for String {
    fn from(id: PublishId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for PublishId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for PublishId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
