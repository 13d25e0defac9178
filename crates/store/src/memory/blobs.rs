//! Blobs in memory.

use std::{
    collections::BTreeMap,
    ops::{Bound, Range},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use async_trait::async_trait;
use bytes::Bytes;
use stoa_core::{digest::Digest, time::Time};

use super::{Call, Hooks};
use crate::{
    blobs::{Area, Blob, BlobError, BlobKey, BlobMeta, Blobs, ETag, Listed, Precondition, Put},
    upload::{PresignedUpload, UploadGrant, UploadSecret},
};

#[derive(Debug, Clone)]
struct Stored {
    bytes: Bytes,
    modified: Time,
}

impl Stored {
    fn tag(&self) -> ETag {
        ETag::new(Digest::of(&self.bytes).to_string())
    }

    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }
}

/// The clock of this machine, in whole seconds.
pub(crate) fn clock() -> Time {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Time::from_unix(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

/// Blobs in memory. A clone holds the same blobs, as another process would.
#[derive(Debug, Clone)]
pub struct MemoryBlobs {
    /// By path, so that keys sort as their paths do.
    blobs: Arc<Mutex<BTreeMap<String, Stored>>>,
    secret: UploadSecret,
    hooks: Hooks,
    /// What the clock is stopped at, if a test has stopped it.
    stopped: Arc<Mutex<Option<Time>>>,
}

impl MemoryBlobs {
    /// An empty store whose upload addresses are signed with `secret`.
    pub fn new(secret: UploadSecret) -> Self {
        Self { blobs: Arc::default(), secret, hooks: Hooks::default(), stopped: Arc::default() }
    }

    /// A store of its own with the same blobs, as a copy of a disk has them, and with no strings on it.
    #[must_use]
    pub fn fork(&self) -> Self {
        let blobs = Arc::new(Mutex::new(self.lock().clone()));
        let stopped = Arc::new(Mutex::new(*self.stopped.lock().unwrap_or_else(PoisonError::into_inner)));
        Self { blobs, secret: self.secret.clone(), hooks: Hooks::default(), stopped }
    }

    /// What a test can do to it.
    pub fn hooks(&self) -> &Hooks {
        &self.hooks
    }

    /// Stops the engine's clock at `now`: what is put from here on was put then.
    pub fn stop_clock(&self, now: Time) {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    fn stored(&self, bytes: Bytes) -> Stored {
        let stopped = *self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        Stored { bytes, modified: stopped.unwrap_or_else(clock) }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Stored>> {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run<T>(
        &self,
        call: Call,
        path: &str,
        effect: impl FnOnce(&mut BTreeMap<String, Stored>) -> Result<T, BlobError> + Send,
    ) -> Result<T, BlobError> {
        let failure = |why: &'static str| BlobError::engine(format!("{call:?} of `{path}`"), why);
        self.hooks.run(call, path, || effect(&mut self.lock()), failure).await
    }
}

#[async_trait]
impl Blobs for MemoryBlobs {
    async fn put_new(&self, key: &BlobKey, bytes: Bytes) -> Result<Put, BlobError> {
        let path = key.path()?;
        let effect = |blobs: &mut BTreeMap<String, Stored>| {
            if blobs.contains_key(&path) {
                return Ok(Put::Exists);
            }
            blobs.insert(path.clone(), self.stored(bytes));
            Ok(Put::Created)
        };
        self.run(Call::PutNew, &path, effect).await
    }

    async fn put_if(&self, key: &BlobKey, bytes: Bytes, expected: &Precondition) -> Result<ETag, BlobError> {
        let path = key.path()?;
        let effect = |blobs: &mut BTreeMap<String, Stored>| {
            let found = blobs.get(&path).map(Stored::tag);
            expected.check(key, found)?;
            let stored = self.stored(bytes);
            let tag = stored.tag();
            blobs.insert(path.clone(), stored);
            Ok(tag)
        };
        self.run(Call::PutIf, &path, effect).await
    }

    async fn get(&self, key: &BlobKey, max_bytes: u64) -> Result<Option<Blob>, BlobError> {
        let path = key.path()?;
        let effect = |blobs: &mut BTreeMap<String, Stored>| {
            let Some(stored) = blobs.get(&path) else { return Ok(None) };
            if stored.size() > max_bytes {
                return Err(BlobError::TooLarge { key: Box::new(key.clone()), size: stored.size(), limit: max_bytes });
            }
            Ok(Some(Blob { bytes: stored.bytes.clone(), tag: stored.tag() }))
        };
        self.run(Call::Get, &path, effect).await
    }

    async fn get_range(&self, key: &BlobKey, range: Range<u64>) -> Result<Option<Bytes>, BlobError> {
        let path = key.path()?;
        let effect = |blobs: &mut BTreeMap<String, Stored>| {
            let Some(stored) = blobs.get(&path) else { return Ok(None) };
            let Range { start, end } = range;
            let size = stored.size();
            if start >= end || start >= size {
                return Err(BlobError::Range { key: Box::new(key.clone()), start, end, size });
            }
            // Both lie within the length of bytes in memory.
            let (start, end) = (start as usize, end.min(size) as usize);
            Ok(Some(stored.bytes.slice(start..end)))
        };
        self.run(Call::GetRange, &path, effect).await
    }

    async fn head(&self, key: &BlobKey) -> Result<Option<BlobMeta>, BlobError> {
        let path = key.path()?;
        let effect = |blobs: &mut BTreeMap<String, Stored>| {
            let meta = |stored: &Stored| BlobMeta { size: stored.size(), tag: stored.tag(), modified: stored.modified };
            Ok(blobs.get(&path).map(meta))
        };
        self.run(Call::Head, &path, effect).await
    }

    async fn list(&self, area: Area, after: Option<&BlobKey>, limit: usize) -> Result<Vec<Listed>, BlobError> {
        let after = after.map(BlobKey::path).transpose()?;
        let effect = |blobs: &mut BTreeMap<String, Stored>| {
            let start = after.filter(|path| path.as_str() > area.prefix());
            let from = start.map_or_else(|| Bound::Included(area.prefix().to_owned()), Bound::Excluded);
            let within = blobs.range((from, Bound::Unbounded)).take_while(|(path, _)| path.starts_with(area.prefix()));
            let row = |(path, stored): (&String, &Stored)| {
                Ok(Listed { key: path.parse()?, size: stored.size(), modified: stored.modified })
            };
            within.take(limit).map(row).collect()
        };
        self.run(Call::List, area.prefix(), effect).await
    }

    async fn copy_new(&self, from: &BlobKey, tag: &ETag, to: &BlobKey) -> Result<Put, BlobError> {
        let (source, path) = (from.path()?, to.path()?);
        let effect = |blobs: &mut BTreeMap<String, Stored>| {
            let stored = blobs.get(&source).cloned().ok_or_else(|| BlobError::Missing(Box::new(from.clone())))?;
            Precondition::Tag(tag.clone()).check(from, Some(stored.tag()))?;
            if blobs.contains_key(&path) {
                return Ok(Put::Exists);
            }
            blobs.insert(path.clone(), self.stored(stored.bytes));
            Ok(Put::Created)
        };
        self.run(Call::Copy, &path, effect).await
    }

    async fn delete(&self, key: &BlobKey) -> Result<(), BlobError> {
        let path = key.path()?;
        let effect = |blobs: &mut BTreeMap<String, Stored>| {
            blobs.remove(&path);
            Ok(())
        };
        self.run(Call::Delete, &path, effect).await
    }

    async fn presign_upload(&self, grant: &UploadGrant) -> Result<PresignedUpload, BlobError> {
        Ok(self.secret.presign(grant))
    }

    fn upload_secret(&self) -> Option<&UploadSecret> {
        Some(&self.secret)
    }
}
