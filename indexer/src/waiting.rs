//! Where a proposal waits for a signer in another process: one place, in the private part of the store.
//!
//! A newer proposal takes the place of an older one, which nobody needs any more: there is nothing to list and nothing to
//! collect.

use std::sync::Arc;

use bytes::Bytes;
use stoa_core::proposal::{MAX_PROPOSAL_BYTES, Proposal};
use stoa_store::blobs::{BlobError, BlobKey, Blobs, ETag, Precondition};

use crate::error::IndexerError;

/// Its name in the area for the registry's own state.
const NAME: &str = "proposal.json";

/// The place. Clones are of the same one.
#[derive(Clone)]
pub struct Waiting {
    blobs: Arc<dyn Blobs>,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Waiting")
    }
}

impl Waiting {
    /// The place in `blobs`.
    pub fn new(blobs: Arc<dyn Blobs>) -> Self {
        Self { blobs }
    }

    fn key() -> BlobKey {
        BlobKey::Internal(NAME.parse().expect("a name of letters and a dot"))
    }

    /// Puts `proposal` there. Where another indexer is faster its own is left: whichever a signer takes, the next look of
    /// either indexer goes on from what it signs.
    ///
    /// # Errors
    /// [`IndexerError::Blobs`].
    pub async fn offer(&self, proposal: &Proposal) -> Result<(), IndexerError> {
        let (key, bytes) = (Self::key(), proposal.to_bytes());
        let there = self.blobs.get(&key, u64::MAX).await?;
        if there.as_ref().is_some_and(|there| there.bytes == bytes) {
            return Ok(());
        }
        let expected = there.map_or(Precondition::Absent, |there| Precondition::Tag(there.tag));
        match self.blobs.put_if(&key, Bytes::from(bytes), &expected).await {
            Ok(_) | Err(BlobError::Precondition { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// What waits, if it is another one than `seen`, with its tag.
    ///
    /// # Errors
    /// [`IndexerError::Blobs`], and [`IndexerError::Proposal`] for bytes that are none.
    pub async fn take(&self, seen: Option<&ETag>) -> Result<Option<(ETag, Proposal)>, IndexerError> {
        let key = Self::key();
        let tag = self.blobs.head(&key).await?.map(|meta| meta.tag);
        if tag.is_none() || tag.as_ref() == seen {
            return Ok(None);
        }
        let Some(blob) = self.blobs.get(&key, MAX_PROPOSAL_BYTES).await? else { return Ok(None) };
        Ok(Some((blob.tag, Proposal::read(&blob.bytes)?)))
    }
}
