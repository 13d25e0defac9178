//! The port to bytes: named once, put whole, compared before they are replaced.

mod key;

use std::{fmt, ops::Range};

use async_trait::async_trait;
use bytes::Bytes;
use stoa_core::time::Time;

pub use key::{Area, BlobKey, BlobKeyError, InternalName, UploadId};

use crate::upload::{PresignedUpload, UploadError, UploadGrant, UploadSecret};

/// An error of an engine, whatever its type.
pub type EngineError = Box<dyn std::error::Error + Send + Sync>;

/// An engine's tag for the content that a key has. Opaque: compared with another tag of the same engine for the
/// same key, nothing else. Equal content may or may not have equal tags.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ETag(String);

impl ETag {
    /// The tag that an engine gave, as it gave it.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The tag as the engine gave it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What put-if-absent found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "where other bytes may lie under the key, `Exists` has to be looked into"]
pub enum Put {
    /// Nothing was there: the key has the given bytes now.
    Created,
    /// The key had bytes, which it keeps. They may or may not be the given ones.
    Exists,
}

/// What a key has to be for its content to be replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precondition {
    /// It has no content.
    Absent,
    /// It has the content with this tag.
    Tag(ETag),
}

impl Precondition {
    /// Compares with the tag that `key` has, `None` where it has no content.
    pub(crate) fn check(&self, key: &BlobKey, found: Option<ETag>) -> Result<(), BlobError> {
        let holds = match self {
            Self::Absent => found.is_none(),
            Self::Tag(tag) => found.as_ref() == Some(tag),
        };
        if holds {
            Ok(())
        } else {
            Err(BlobError::Precondition { key: Box::new(key.clone()), expected: self.clone(), found })
        }
    }
}

impl fmt::Display for Precondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("nothing"),
            Self::Tag(tag) => write!(f, "tag {tag}"),
        }
    }
}

/// What an engine tells at once of the content that a key has, without reading it: two equal marks of one key are of the
/// same content. Other than a tag it lasts no longer than the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark(String);

impl Mark {
    /// The mark that an engine made.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// Content with its tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// The content.
    pub bytes: Bytes,
    /// Its tag.
    pub tag: ETag,
}

/// What is known of content without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobMeta {
    /// Its length in bytes.
    pub size: u64,
    /// Its tag.
    pub tag: ETag,
    /// When it was put, by the engine's clock.
    pub modified: Time,
}

/// A row of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Which blob.
    pub key: BlobKey,
    /// Its length in bytes.
    pub size: u64,
    /// When it was put, by the engine's clock; a copy may keep the time of its source.
    pub modified: Time,
}

/// Why an operation on blobs failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlobError {
    /// The key has no path.
    #[error(transparent)]
    Key(#[from] BlobKeyError),
    /// The key does not have the content that the caller expected; nothing was written.
    #[error("`{key}` has {}, and {expected} was expected", found_text(found.as_ref()))]
    Precondition {
        /// Which blob.
        key: Box<BlobKey>,
        /// What the caller expected.
        expected: Precondition,
        /// What is there: `None` where the key has no content, or where the engine does not say.
        found: Option<ETag>,
    },
    /// The source of a copy has no content.
    #[error("`{0}` is not there to be copied")]
    Missing(Box<BlobKey>),
    /// The content is longer than the caller takes.
    #[error("`{key}` has {size} bytes, and at most {limit} are taken")]
    TooLarge {
        /// Which blob.
        key: Box<BlobKey>,
        /// Its length.
        size: u64,
        /// The caller's limit.
        limit: u64,
    },
    /// The range begins at or after the end of the content, or is empty.
    #[error("`{key}` has {size} bytes: {start}..{end} is no range of it")]
    Range {
        /// Which blob.
        key: Box<BlobKey>,
        /// Where the range begins.
        start: u64,
        /// Where it ends.
        end: u64,
        /// The length of the content.
        size: u64,
    },
    /// An address of an upload does not hold.
    #[error(transparent)]
    Upload(#[from] UploadError),
    /// Uploads do not come through this process: the engine takes them itself.
    #[error("upload {0} does not come through this process: the engine takes it")]
    UploadElsewhere(UploadId),
    /// The engine does not keep a promise that the registry rests on.
    #[error("the engine can not hold a registry: {0}")]
    Unfit(&'static str),
    /// Something lies where a blob would, and is none: a link, a folder, a device.
    #[error("`{path}` is no blob of a registry: it is {found}")]
    Foreign {
        /// The path below the store's folder.
        path: String,
        /// What was found.
        found: &'static str,
    },
    /// The engine failed. A write may or may not have taken effect; every write here can be repeated.
    #[error("{what} failed")]
    Engine {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: EngineError,
    },
}

impl BlobError {
    /// The engine failed at `what`.
    pub fn engine(what: impl Into<String>, source: impl Into<EngineError>) -> Self {
        Self::Engine { what: what.into(), source: source.into() }
    }
}

fn found_text(found: Option<&ETag>) -> String {
    found.map_or_else(|| "nothing".to_owned(), |tag| format!("tag {tag}"))
}

/// The port to bytes. The contract that every adapter keeps (checked by `contract::blobs`):
///
/// - A put takes effect whole or not at all: no reader ever sees a part, also not after a crash.
/// - An answer means that the bytes survive a loss of power.
/// - Reads see every put that was answered before they began.
/// - Of any number of concurrent [`Blobs::put_new`] on one key exactly one is [`Put::Created`]; of concurrent
///   [`Blobs::put_if`] with one precondition exactly one succeeds.
/// - Keys sort by the bytes of their paths.
/// - A future that is dropped leaves the write undone or whole.
#[async_trait]
pub trait Blobs: Send + Sync {
    /// Puts `bytes` unless the key has content.
    ///
    /// # Errors
    /// [`BlobError::Key`], [`BlobError::Engine`].
    async fn put_new(&self, key: &BlobKey, bytes: Bytes) -> Result<Put, BlobError>;

    /// Puts `bytes` if the key is as expected, and answers the tag it has now.
    ///
    /// # Errors
    /// [`BlobError::Precondition`] where it is not: nothing was written.
    async fn put_if(&self, key: &BlobKey, bytes: Bytes, expected: &Precondition) -> Result<ETag, BlobError>;

    /// The content of at most `max_bytes`, or `None` where there is none.
    ///
    /// # Errors
    /// [`BlobError::TooLarge`] where there is more; nothing above the limit is held in memory.
    async fn get(&self, key: &BlobKey, max_bytes: u64) -> Result<Option<Blob>, BlobError>;

    /// A part of the content: from `range.start`, up to `range.end` or the end of the content.
    ///
    /// # Errors
    /// [`BlobError::Range`] where the range is empty or begins at or after the end.
    async fn get_range(&self, key: &BlobKey, range: Range<u64>) -> Result<Option<Bytes>, BlobError>;

    /// What is known of the content, or `None` where there is none.
    ///
    /// # Errors
    /// [`BlobError::Engine`].
    async fn head(&self, key: &BlobKey) -> Result<Option<BlobMeta>, BlobError>;

    /// The mark of the content, or `None` where there is none. Where a tag takes reading, this does not.
    ///
    /// # Errors
    /// [`BlobError::Engine`].
    async fn mark(&self, key: &BlobKey) -> Result<Option<Mark>, BlobError> {
        Ok(self.head(key).await?.map(|meta| Mark::new(meta.tag.as_str())))
    }

    /// At most `limit` blobs of an area in order of their paths, those that come after `after`. Fewer than
    /// `limit` means that there are no more.
    ///
    /// # Errors
    /// [`BlobError::Foreign`] where something in the area is no blob.
    async fn list(&self, area: Area, after: Option<&BlobKey>, limit: usize) -> Result<Vec<Listed>, BlobError>;

    /// Copies `from`, if it still has the content with this tag, to `to`, unless that has content.
    ///
    /// The tag is what makes "read, verify, copy" safe: an upload that is replaced after it was verified is not
    /// what gets copied.
    ///
    /// # Errors
    /// [`BlobError::Missing`] where `from` has no content, [`BlobError::Precondition`] where it has another.
    async fn copy_new(&self, from: &BlobKey, tag: &ETag, to: &BlobKey) -> Result<Put, BlobError>;

    /// Deletes the content, if there is any.
    ///
    /// # Errors
    /// [`BlobError::Engine`].
    async fn delete(&self, key: &BlobKey) -> Result<(), BlobError>;

    /// An address at which a client can put `upload/ID` once, with exactly the bytes of the grant.
    ///
    /// # Errors
    /// [`BlobError::Engine`].
    async fn presign_upload(&self, grant: &UploadGrant) -> Result<PresignedUpload, BlobError>;

    /// The secret that signs addresses at which this process itself takes uploads; `None` where the engine does.
    fn upload_secret(&self) -> Option<&UploadSecret>;

    /// Reads and checks the address of an upload that arrived at this process. The caller then takes at most
    /// `size` bytes, checks their digest and puts them with [`Blobs::put_new`].
    ///
    /// # Errors
    /// [`BlobError::Upload`]; [`BlobError::UploadElsewhere`] where uploads do not arrive here.
    fn verify_upload(&self, id: UploadId, query: &str, now: Time) -> Result<UploadGrant, BlobError> {
        let secret = self.upload_secret().ok_or(BlobError::UploadElsewhere(id))?;
        Ok(secret.verify(id, query, now)?)
    }

    /// Checks that put-if-absent and compare-and-swap really work. Adapters call it when they open: some engines
    /// accept the conditions and ignore them, and two indexers would then overwrite each other's pointer.
    ///
    /// # Errors
    /// [`BlobError::Unfit`] where they do not.
    async fn probe(&self) -> Result<(), BlobError> {
        let id = UploadId::random().map_err(|e| BlobError::engine("reading random bytes", e))?;
        let key = BlobKey::Internal(format!("probe-{id}").parse()?);
        let outcome = probe(self, &key).await;
        // The probe's own outcome says more than a failure to clean up after it.
        let cleaned = self.delete(&key).await;
        outcome.and(cleaned)
    }
}

async fn probe<B: Blobs + ?Sized>(blobs: &B, key: &BlobKey) -> Result<(), BlobError> {
    let put = |text: &'static str, expected: Precondition| async move {
        match blobs.put_if(key, Bytes::from_static(text.as_bytes()), &expected).await {
            Ok(tag) => Ok(Some(tag)),
            Err(BlobError::Precondition { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    };
    let rule = |holds: bool, rule| if holds { Ok(()) } else { Err(BlobError::Unfit(rule)) };

    let absent = put("0", Precondition::Tag(ETag::new("\"00000000000000000000000000000000\""))).await?;
    rule(absent.is_none(), "a put that expects a tag succeeds where there is nothing")?;
    let first = put("1", Precondition::Absent).await?;
    let first = first.ok_or(BlobError::Unfit("a put that expects nothing fails where there is nothing"))?;
    rule(put("2", Precondition::Absent).await?.is_none(), "a put that expects nothing replaces what is there")?;
    let exists = blobs.put_new(key, Bytes::from_static(b"2")).await?;
    rule(exists == Put::Exists, "put-if-absent replaces what is there")?;
    let second = put("3", Precondition::Tag(first.clone())).await?;
    rule(second.is_some(), "a put that expects the present tag fails")?;
    rule(put("4", Precondition::Tag(first)).await?.is_none(), "a put that expects an older tag succeeds")?;
    let read = blobs.get(key, 16).await?;
    rule(read.is_some_and(|blob| blob.bytes == "3"), "a read does not give what was put last")
}
