//! Engines that accept conditions and do not keep them are refused.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use stoa_store::{
    blobs::{Area, Blob, BlobError, BlobKey, BlobMeta, Blobs, ETag, Listed, Precondition, Put},
    memory::MemoryBlobs,
    upload::{PresignedUpload, UploadGrant, UploadSecret},
};

#[derive(Clone, Copy, PartialEq)]
enum Flaw {
    None,
    /// Puts over what is there although nothing is expected to be.
    IgnoresAbsent,
    /// Puts whatever the tag.
    IgnoresTag,
    /// Checks a tag only where there is something.
    CreatesForATag,
    /// Refuses every tag.
    RefusesTags,
    /// Refuses every put that expects nothing.
    RefusesAbsent,
    /// Puts over what is there although it says "if absent".
    Replaces,
    /// Reads what was there first.
    ReadsStale,
}

struct Flawed(MemoryBlobs, Flaw);

#[async_trait]
impl Blobs for Flawed {
    async fn put_new(&self, key: &BlobKey, bytes: Bytes) -> Result<Put, BlobError> {
        if self.1 == Flaw::Replaces {
            self.0.delete(key).await?;
        }
        self.0.put_new(key, bytes).await
    }

    async fn put_if(&self, key: &BlobKey, bytes: Bytes, expected: &Precondition) -> Result<ETag, BlobError> {
        let found = self.0.head(key).await?.map(|meta| meta.tag);
        let truth = found.clone().map_or(Precondition::Absent, Precondition::Tag);
        let refused =
            BlobError::Precondition { key: Box::new(key.clone()), expected: expected.clone(), found: found.clone() };
        let pretended = match (self.1, expected, found) {
            (Flaw::RefusesTags, Precondition::Tag(_), _) | (Flaw::RefusesAbsent, Precondition::Absent, _) => {
                return Err(refused);
            }
            (Flaw::IgnoresAbsent, Precondition::Absent, _)
            | (Flaw::IgnoresTag, Precondition::Tag(_), Some(_))
            | (Flaw::CreatesForATag, Precondition::Tag(_), None) => &truth,
            _ => expected,
        };
        self.0.put_if(key, bytes, pretended).await
    }

    async fn get(&self, key: &BlobKey, max_bytes: u64) -> Result<Option<Blob>, BlobError> {
        let blob = self.0.get(key, max_bytes).await?;
        let stale = |blob: Blob| Blob { bytes: Bytes::from_static(b"1"), ..blob };
        Ok(if self.1 == Flaw::ReadsStale { blob.map(stale) } else { blob })
    }

    async fn get_range(&self, key: &BlobKey, range: Range<u64>) -> Result<Option<Bytes>, BlobError> {
        self.0.get_range(key, range).await
    }

    async fn head(&self, key: &BlobKey) -> Result<Option<BlobMeta>, BlobError> {
        self.0.head(key).await
    }

    async fn list(&self, area: Area, after: Option<&BlobKey>, limit: usize) -> Result<Vec<Listed>, BlobError> {
        self.0.list(area, after, limit).await
    }

    async fn copy_new(&self, from: &BlobKey, tag: &ETag, to: &BlobKey) -> Result<Put, BlobError> {
        self.0.copy_new(from, tag, to).await
    }

    async fn delete(&self, key: &BlobKey) -> Result<(), BlobError> {
        self.0.delete(key).await
    }

    async fn presign_upload(&self, grant: &UploadGrant) -> Result<PresignedUpload, BlobError> {
        self.0.presign_upload(grant).await
    }

    fn upload_secret(&self) -> Option<&UploadSecret> {
        self.0.upload_secret()
    }
}

#[tokio::test]
async fn a_flaw_is_found_named_and_cleaned_up_after() {
    let cases = [
        (Flaw::None, None),
        (Flaw::IgnoresAbsent, Some("a put that expects nothing replaces what is there")),
        (Flaw::IgnoresTag, Some("a put that expects an older tag succeeds")),
        (Flaw::CreatesForATag, Some("a put that expects a tag succeeds where there is nothing")),
        (Flaw::RefusesTags, Some("a put that expects the present tag fails")),
        (Flaw::RefusesAbsent, Some("a put that expects nothing fails where there is nothing")),
        (Flaw::Replaces, Some("put-if-absent replaces what is there")),
        (Flaw::ReadsStale, Some("a read does not give what was put last")),
    ];
    for (flaw, rule) in cases {
        let blobs = Flawed(MemoryBlobs::new(UploadSecret::from_bytes([0; 32])), flaw);
        let found = blobs.probe().await.err().map(|error| error.to_string());
        assert_eq!(found, rule.map(|rule| format!("the engine can not hold a registry: {rule}")));
        assert_eq!(blobs.list(Area::Internal, None, 10).await.expect("a list"), []);
    }
}
