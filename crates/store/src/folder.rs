//! Blobs in a folder: the embedded default.

mod steps;
mod tree;
mod walk;

use std::{ops::Range, path::Path, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use stoa_core::{digest::Digest, path::PublicPath};

use crate::{
    blobs::{Area, Blob, BlobError, BlobKey, BlobMeta, Blobs, ETag, Listed, Mark, Precondition, Put},
    upload::{PresignedUpload, UploadGrant, UploadSecret},
};
#[cfg(feature = "testing")]
pub use steps::{Step, Steps};
use tree::Tree;

/// Blobs in a folder of a local file system, each in a file at its path.
///
/// Files are written beside the tree, synced, and then linked or renamed into place, so that a reader sees all or
/// nothing; nothing is ever changed in place. A tag is the SHA-256 of the content; where the name of a file is that
/// digest, [`Blobs::head`] takes it from there and reads nothing, so that a question costs the same whatever the length.
/// What is in `public/` shares no file with the rest: whoever may write there can not change what a rebuild reads.
/// Several processes may use one folder. Symbolic links are never followed. `upload/`, `store/`, `events/` and `internal/` can only be entered by
/// their owner.
#[derive(Debug, Clone)]
pub struct FolderBlobs {
    tree: Arc<Tree>,
    secret: UploadSecret,
}

impl FolderBlobs {
    /// Opens the folder, or makes it; deletes what crashed writers left beside the tree; checks that the file system
    /// can hold a registry. The secret of upload addresses is made once and kept in `internal/upload-secret`.
    ///
    /// # Errors
    /// [`BlobError::Unfit`], [`BlobError::Foreign`], [`BlobError::Engine`].
    pub async fn open(folder: &Path) -> Result<Self, BlobError> {
        let folder = folder.to_owned();
        let tree = blocking(move || Tree::open(&folder)).await?;
        // The secret is read below, through the same store.
        let opening = Self { tree: Arc::new(tree), secret: UploadSecret::from_bytes([0; 32]) };
        opening.probe().await?;
        let secret = opening.kept_secret().await?;
        Ok(Self { secret, ..opening })
    }

    /// What a test can do to its writes.
    #[cfg(feature = "testing")]
    pub fn steps(&self) -> &Steps {
        &self.tree.steps
    }

    async fn kept_secret(&self) -> Result<UploadSecret, BlobError> {
        let key = BlobKey::Internal("upload-secret".parse()?);
        let fresh = UploadSecret::random().map_err(|e| BlobError::engine("reading random bytes", e))?;
        // Whoever comes second gets the secret of whoever came first.
        let (Put::Created | Put::Exists) = self.put_new(&key, Bytes::copy_from_slice(fresh.as_bytes())).await?;
        let kept = self.get(&key, 1024).await?.ok_or_else(|| BlobError::Missing(Box::new(key.clone())))?;
        let bytes = kept.bytes.as_ref().try_into();
        let foreign = |_| BlobError::Foreign { path: key.to_string(), found: "a secret of other than 32 bytes" };
        bytes.map(UploadSecret::from_bytes).map_err(foreign)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Tree) -> Result<T, BlobError> + Send + 'static,
    ) -> Result<T, BlobError> {
        let tree = Arc::clone(&self.tree);
        blocking(move || work(&tree)).await
    }
}

/// The digest of the content, where the key is named by it.
fn named(key: &BlobKey) -> Option<Digest> {
    match key {
        BlobKey::Store(digest) | BlobKey::Public(PublicPath::Artifact(digest) | PublicPath::Document(_, digest)) => {
            Some(*digest)
        }
        _ => None,
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, BlobError> {
    tokio::task::spawn_blocking(work).await.map_err(|e| BlobError::engine("a thread for files", e))?
}

#[async_trait]
impl Blobs for FolderBlobs {
    async fn put_new(&self, key: &BlobKey, bytes: Bytes) -> Result<Put, BlobError> {
        let path = key.path()?;
        self.run(move |tree| {
            // Looked up first, to spare the writing; the link decides.
            if tree.open_file(&path)?.is_some() {
                tree.settle(&path)?;
                return Ok(Put::Exists);
            }
            tree.link_new(&tree.write_beside(&bytes)?, &path)
        })
        .await
    }

    async fn put_if(&self, key: &BlobKey, bytes: Bytes, expected: &Precondition) -> Result<ETag, BlobError> {
        let (path, key, expected) = (key.path()?, key.clone(), expected.clone());
        self.run(move |tree| {
            let beside = tree.write_beside(&bytes)?;
            let _alone = tree.lock()?;
            let found = tree.open_file(&path)?.map(|file| file.tag()).transpose()?;
            expected.check(&key, found)?;
            match &expected {
                Precondition::Tag(_) => tree.replace(beside, &path)?,
                // A `put_new` does not take the lock and may have come in between.
                Precondition::Absent => match tree.link_new(&beside, &path)? {
                    Put::Created => {}
                    Put::Exists => {
                        let found = tree.open_file(&path)?.map(|file| file.tag()).transpose()?;
                        return Err(BlobError::Precondition { key: Box::new(key), expected, found });
                    }
                },
            }
            Ok(tree::tag(&bytes))
        })
        .await
    }

    async fn get(&self, key: &BlobKey, max_bytes: u64) -> Result<Option<Blob>, BlobError> {
        let (path, key) = (key.path()?, key.clone());
        self.run(move |tree| {
            let Some(file) = tree.open_file(&path)? else { return Ok(None) };
            if file.size > max_bytes {
                return Err(BlobError::TooLarge { key: Box::new(key), size: file.size, limit: max_bytes });
            }
            let bytes = file.read(0..file.size)?;
            Ok(Some(Blob { tag: tree::tag(&bytes), bytes: bytes.into() }))
        })
        .await
    }

    async fn get_range(&self, key: &BlobKey, range: Range<u64>) -> Result<Option<Bytes>, BlobError> {
        let (path, key) = (key.path()?, key.clone());
        self.run(move |tree| {
            let Some(file) = tree.open_file(&path)? else { return Ok(None) };
            let Range { start, end } = range;
            if start >= end || start >= file.size {
                return Err(BlobError::Range { key: Box::new(key), start, end, size: file.size });
            }
            Ok(Some(file.read(start..end.min(file.size))?.into()))
        })
        .await
    }

    async fn head(&self, key: &BlobKey) -> Result<Option<BlobMeta>, BlobError> {
        let (path, named) = (key.path()?, named(key));
        self.run(move |tree| {
            let Some(file) = tree.open_file(&path)? else { return Ok(None) };
            let tag = named.map_or_else(|| file.tag(), |digest| Ok(ETag::new(digest.to_string())))?;
            Ok(Some(BlobMeta { size: file.size, tag, modified: file.modified }))
        })
        .await
    }

    async fn mark(&self, key: &BlobKey) -> Result<Option<Mark>, BlobError> {
        let path = key.path()?;
        self.run(move |tree| Ok(tree.open_file(&path)?.map(|file| file.mark))).await
    }

    async fn list(&self, area: Area, after: Option<&BlobKey>, limit: usize) -> Result<Vec<Listed>, BlobError> {
        let after = after.map(BlobKey::path).transpose()?.unwrap_or_default();
        self.run(move |tree| walk::list(tree, area, &after, limit)).await
    }

    async fn copy_new(&self, from: &BlobKey, tag: &ETag, to: &BlobKey) -> Result<Put, BlobError> {
        let (source, target, from, tag) = (from.path()?, to.path()?, from.clone(), tag.clone());
        let shared = matches!((&from, to), (BlobKey::Upload(_), BlobKey::Store(_)));
        self.run(move |tree| {
            // Whatever happens to `from` meanwhile, what is linked to `to` is the very file that was compared: a second
            // name of an upload, which only the owner reaches and which is deleted next; of all else a file of its own.
            let beside = if shared { tree.link_beside(&source)? } else { tree.copy_beside(&source)? };
            let Some((beside, file)) = beside else {
                return Err(BlobError::Missing(Box::new(from)));
            };
            Precondition::Tag(tag).check(&from, Some(file.tag()?))?;
            tree.link_new(&beside, &target)
        })
        .await
    }

    async fn delete(&self, key: &BlobKey) -> Result<(), BlobError> {
        let path = key.path()?;
        self.run(move |tree| {
            let _alone = tree.lock()?;
            tree.delete(&path)
        })
        .await
    }

    async fn presign_upload(&self, grant: &UploadGrant) -> Result<PresignedUpload, BlobError> {
        Ok(self.secret.presign(grant))
    }

    fn upload_secret(&self) -> Option<&UploadSecret> {
        Some(&self.secret)
    }
}
