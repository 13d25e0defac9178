//! Public files in memory, as they are and in each coding that was asked for.

use std::{
    collections::HashMap,
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use axum::body::Body;
use bytes::Bytes;
use stoa_core::path::{Cache, PublicPath};
use stoa_store::blobs::{BlobError, BlobKey, Blobs, ETag, Mark};
use tokio::sync::{OnceCell, Semaphore};

use super::coding::Coding;

/// A file up to this length is held in memory (16 MiB). A longer one is read in pieces for each request.
const MAX_HELD: u64 = 16 << 20;
/// What all held files take at most (128 MiB).
const MAX_SHELF: u64 = 128 << 20;
/// A longer file is read from the store in pieces of this size (256 KiB): memory per download stays small.
const PIECE: u64 = 256 << 10;
/// Files that are read, or coded, at a time: a crowd that asks for one file has it read once.
const AT_ONCE: usize = 4;
/// What is shorter than a packet gets no shorter on the wire.
const WORTH_CODING: usize = 256;
/// An immutable file is looked at again after so many milliseconds: it may have been collected or taken down.
const LOOK_AGAIN: u64 = 1000;

/// The public tree, with what was asked for lately in memory.
pub(super) struct Shelf {
    blobs: Arc<dyn Blobs>,
    held: Mutex<Generations>,
    loading: Semaphore,
    began: Instant,
}

/// A file as it was when it was last looked at.
pub(super) struct Held {
    mark: Mark,
    tag: ETag,
    size: u64,
    /// `None` where it is too long to be held.
    bytes: Option<Bytes>,
    coded: [OnceCell<Option<Bytes>>; Coding::ALL.len()],
    /// When it was last looked at, in milliseconds of the shelf.
    looked: AtomicU64,
}

/// What was used lately, and what was used before that. When the younger half is full the older one goes, with what was
/// not used since: about the least recently used, without an order to keep.
#[derive(Default)]
struct Generations {
    young: HashMap<PublicPath, Arc<Held>>,
    old: HashMap<PublicPath, Arc<Held>>,
    /// What `young` takes, in bytes.
    weight: u64,
}

impl Generations {
    fn get(&mut self, path: &PublicPath) -> Option<Arc<Held>> {
        if let Some(held) = self.young.get(path) {
            return Some(held.clone());
        }
        let held = self.old.remove(path)?;
        self.put(path.clone(), held.clone());
        Some(held)
    }

    fn put(&mut self, path: PublicPath, held: Arc<Held>) {
        if self.weight + held.weight() > MAX_SHELF / 2 {
            self.old = std::mem::take(&mut self.young);
            self.weight = 0;
        }
        self.weight += held.weight();
        if let Some(before) = self.young.insert(path, held) {
            self.weight -= before.weight();
        }
    }

    fn remove(&mut self, path: &PublicPath) {
        if let Some(held) = self.young.remove(path) {
            self.weight -= held.weight();
        }
        self.old.remove(path);
    }
}

impl Held {
    /// What it takes in memory, about: its codings are shorter than itself, each.
    fn weight(&self) -> u64 {
        256 + self.bytes.as_ref().map_or(0, |bytes| 2 * bytes.len() as u64)
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The tag of the file in a coding: other bytes, so another tag (RFC 9110, section 8.8.3.3).
    pub(super) fn tag(&self, coding: Option<Coding>) -> String {
        match coding {
            Some(coding) => format!("\"{}-{}\"", self.tag, coding.name()),
            None => format!("\"{}\"", self.tag),
        }
    }
}

impl Shelf {
    pub(super) fn new(blobs: Arc<dyn Blobs>) -> Self {
        Self { blobs, held: Mutex::default(), loading: Semaphore::new(AT_ONCE), began: Instant::now() }
    }

    /// The file as it is now; an immutable one as it was within the last second.
    pub(super) async fn find(&self, path: &PublicPath) -> Result<Option<Arc<Held>>, BlobError> {
        if let Some(held) = self.held().get(path)
            && path.cache() == Cache::Immutable
            && self.now().saturating_sub(held.looked.load(Ordering::Relaxed)) < LOOK_AGAIN
        {
            return Ok(Some(held));
        }
        // The mark before the bytes: if the file is replaced in between, the next look sees another mark.
        let key = BlobKey::Public(path.clone());
        let Some(mark) = self.blobs.mark(&key).await? else {
            self.held().remove(path);
            return Ok(None);
        };
        if let Some(held) = self.current(path, &mark) {
            return Ok(Some(held));
        }
        let _turn = self.loading.acquire().await;
        // Another request may have read it meanwhile.
        if let Some(held) = self.current(path, &mark) {
            return Ok(Some(held));
        }
        let Some(held) = self.load(&key, mark).await? else { return Ok(None) };
        let held = Arc::new(held);
        self.held().put(path.clone(), held.clone());
        Ok(Some(held))
    }

    async fn load(&self, key: &BlobKey, mark: Mark) -> Result<Option<Held>, BlobError> {
        let looked = AtomicU64::new(self.now());
        let coded = Default::default();
        match self.blobs.get(key, MAX_HELD).await {
            Ok(Some(blob)) => {
                let size = blob.bytes.len() as u64;
                Ok(Some(Held { mark, tag: blob.tag, size, bytes: Some(blob.bytes), coded, looked }))
            }
            Ok(None) => Ok(None),
            Err(BlobError::TooLarge { .. }) => {
                let meta = self.blobs.head(key).await?;
                Ok(meta.map(|meta| Held { mark, tag: meta.tag, size: meta.size, bytes: None, coded, looked }))
            }
            Err(error) => Err(error),
        }
    }

    fn current(&self, path: &PublicPath, mark: &Mark) -> Option<Arc<Held>> {
        let held = self.held().get(path).filter(|held| held.mark == *mark)?;
        held.looked.store(self.now(), Ordering::Relaxed);
        Some(held)
    }

    /// The file in this coding. Nothing where that is no shorter, or where the file is not one to be coded: components are
    /// coded badly, and what is not held would be coded for each request.
    pub(super) async fn coded(&self, path: &PublicPath, held: &Held, coding: Coding) -> Option<Bytes> {
        let bytes = held.bytes.clone()?;
        if bytes.len() < WORTH_CODING || path.content_type() == "application/octet-stream" {
            return None;
        }
        let cell = &held.coded[coding as usize];
        let code = async {
            let _turn = self.loading.acquire().await;
            let length = bytes.len();
            let coded = tokio::task::spawn_blocking(move || coding.encode(&bytes)).await;
            match coded.map_err(std::io::Error::other).flatten() {
                Ok(coded) => (coded.len() < length).then(|| coded.into()),
                Err(error) => {
                    tracing::error!(%path, coding = coding.name(), %error, "a file could not be coded; it goes as it is");
                    None
                }
            }
        };
        cell.get_or_init(|| code).await.clone()
    }

    /// These bytes of the file: from memory, or piece by piece.
    pub(super) fn body(&self, path: &PublicPath, held: &Held, range: Range<u64>) -> Body {
        let in_memory =
            |bytes: &Bytes| Some(bytes.slice(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?));
        match held.bytes.as_ref().and_then(in_memory) {
            Some(bytes) => Body::from(bytes),
            None => pieces(self.blobs.clone(), BlobKey::Public(path.clone()), range),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Generations> {
        // Nothing that holds it can panic half-way through a change that matters: at worst a file is read again.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pieces(blobs: Arc<dyn Blobs>, key: BlobKey, range: Range<u64>) -> Body {
    let stream = futures::stream::try_unfold(range, move |rest| {
        let (blobs, key) = (blobs.clone(), key.clone());
        async move {
            if rest.is_empty() {
                return Ok(None);
            }
            let end = rest.end.min(rest.start + PIECE);
            let piece = blobs.get_range(&key, rest.start..end).await.map_err(std::io::Error::other)?;
            // Removed while it is read: cutting the connection tells the client that the body is not whole.
            let piece = piece.ok_or_else(|| std::io::Error::other(format!("`{key}` is gone")))?;
            Ok::<_, std::io::Error>(Some((piece, end..rest.end)))
        }
    });
    Body::from_stream(stream)
}

#[cfg(test)]
mod tests {
    use super::*;
    use stoa_store::{blobs::Put, memory::MemoryBlobs, upload::UploadSecret};

    async fn put(blobs: &MemoryBlobs, path: &PublicPath, bytes: &[u8]) {
        let key = BlobKey::Public(path.clone());
        blobs.delete(&key).await.expect("deleted");
        assert_eq!(blobs.put_new(&key, bytes.to_vec().into()).await.expect("put"), Put::Created);
    }

    async fn text(shelf: &Shelf, path: &PublicPath) -> Option<Vec<u8>> {
        let held = shelf.find(path).await.expect("looked")?;
        let body = shelf.body(path, &held, 0..held.size());
        Some(axum::body::to_bytes(body, 1 << 20).await.expect("a body").to_vec())
    }

    #[tokio::test]
    async fn a_pointer_is_always_the_one_that_lies_there() {
        let blobs = Arc::new(MemoryBlobs::new(UploadSecret::from_bytes([7; 32])));
        let shelf = Shelf::new(blobs.clone());
        assert_eq!(text(&shelf, &PublicPath::Timestamp).await, None);
        for version in [b"first", b"later"] {
            put(&blobs, &PublicPath::Timestamp, version).await;
            assert_eq!(text(&shelf, &PublicPath::Timestamp).await.as_deref(), Some(&version[..]));
        }
        blobs.delete(&BlobKey::Public(PublicPath::Timestamp)).await.expect("deleted");
        assert_eq!(text(&shelf, &PublicPath::Timestamp).await, None);
    }

    #[tokio::test]
    async fn a_file_is_coded_once_where_that_makes_it_shorter() {
        let blobs = Arc::new(MemoryBlobs::new(UploadSecret::from_bytes([7; 32])));
        let shelf = Shelf::new(blobs.clone());
        put(&blobs, &PublicPath::Pages, "[1, 2, 3] ".repeat(100).as_bytes()).await;
        let held = shelf.find(&PublicPath::Pages).await.expect("looked").expect("there");
        let first = shelf.coded(&PublicPath::Pages, &held, Coding::Gzip).await.expect("shorter");
        let again = shelf.find(&PublicPath::Pages).await.expect("looked").expect("there");
        let second = shelf.coded(&PublicPath::Pages, &again, Coding::Gzip).await.expect("shorter");
        assert_eq!(first.as_ptr(), second.as_ptr());
        assert!(first.len() < 100, "{}", first.len());
        put(&blobs, &PublicPath::Pages, b"[]").await;
        let short = shelf.find(&PublicPath::Pages).await.expect("looked").expect("there");
        assert_eq!(shelf.coded(&PublicPath::Pages, &short, Coding::Gzip).await, None);
    }

    #[tokio::test]
    async fn what_is_held_stays_within_its_bound_and_what_is_used_stays() {
        let blobs = Arc::new(MemoryBlobs::new(UploadSecret::from_bytes([7; 32])));
        let shelf = Shelf::new(blobs.clone());
        let path = |n: u8| PublicPath::Artifact(stoa_core::digest::Digest::of(&[n]));
        for n in 0..20 {
            put(&blobs, &path(n), &vec![n; 8 << 20]).await;
            shelf.find(&path(n)).await.expect("looked").expect("there");
            shelf.find(&path(0)).await.expect("looked").expect("there");
        }
        let held = shelf.held();
        let weight: u64 = held.young.values().chain(held.old.values()).map(|held| held.weight()).sum();
        assert!(weight <= MAX_SHELF, "{weight}");
        assert!(
            held.young.contains_key(&path(0)) && !held.young.contains_key(&path(1)) && !held.old.contains_key(&path(1))
        );
    }
}
