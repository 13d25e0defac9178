//! Uploads while they come in: on the disk, so that a slow sender holds none of the memory that others wait for.

use std::{
    collections::BTreeMap,
    io::{self, SeekFrom},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use bytes::Bytes;
use stoa_core::digest::{Digest, Hasher};
use stoa_store::blobs::UploadId;
use tokio::{
    fs::File,
    io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _, BufWriter},
    sync::{Mutex as AsyncMutex, OwnedMutexGuard},
};

use crate::problem::{Code, Problem, storage_full};

/// Pieces are gathered to this length before they are written: each write is a trip to a thread.
const GATHERED: usize = 256 * 1024;

/// A file without a name, and the digest of what was written to it. The operating system frees it when it is
/// dropped, also where the process dies.
pub(crate) struct Spool {
    file: BufWriter<File>,
    hasher: Hasher,
    length: u64,
}

impl Spool {
    /// An empty one, on the disk of `folder`.
    pub(crate) async fn new(folder: &Path) -> Result<Self, Problem> {
        let folder: PathBuf = folder.to_owned();
        let made = tokio::task::spawn_blocking(move || tempfile::tempfile_in(folder)).await;
        let file = made.map_err(io::Error::other).flatten().map_err(|error| disk_problem(&error))?;
        Ok(Self { file: BufWriter::with_capacity(GATHERED, File::from_std(file)), hasher: Hasher::new(), length: 0 })
    }

    /// Takes the next piece.
    pub(crate) async fn push(&mut self, piece: &[u8]) -> Result<(), Problem> {
        self.hasher.update(piece);
        self.length += piece.len() as u64;
        self.file.write_all(piece).await.map_err(|error| disk_problem(&error))
    }

    /// How many bytes were taken.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// The digest of all that was taken.
    pub(crate) fn digest(&self) -> Digest {
        self.hasher.clone().finish()
    }

    /// All of it, in memory.
    pub(crate) async fn read(mut self) -> Result<Bytes, Problem> {
        let length = usize::try_from(self.length).map_err(|error| Problem::internal(&error))?;
        let read = async {
            self.file.flush().await?;
            let mut file = self.file.into_inner();
            file.seek(SeekFrom::Start(0)).await?;
            // Its length is known: a buffer that grows would take up to twice as much.
            let mut whole = vec![0; length];
            file.read_exact(&mut whole).await?;
            Ok::<_, io::Error>(Bytes::from(whole))
        };
        read.await.map_err(|error| disk_problem(&error))
    }
}

fn disk_problem(error: &io::Error) -> Problem {
    let code = if storage_full(error) { Code::StorageFull } else { Code::Unavailable };
    Problem::logged(code, error)
}

/// The addresses at which uploads are coming in, each with its lock.
///
/// One at a time: what the disk holds of an upload is then never more than what its address is good for, and an
/// address used a thousand times at once fills no disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct Transfers(Arc<Mutex<BTreeMap<UploadId, Weak<AsyncMutex<()>>>>>);

impl Transfers {
    /// Waits until nothing else comes in at this address; nothing does until the answer is dropped.
    pub(crate) async fn alone(&self, id: UploadId) -> OwnedMutexGuard<()> {
        let lock = {
            let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            open.retain(|_, lock| lock.strong_count() > 0);
            let held = open.get(&id).and_then(Weak::upgrade);
            held.unwrap_or_else(|| {
                let lock = Arc::default();
                open.insert(id, Arc::downgrade(&lock));
                lock
            })
        };
        lock.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_pushed_is_read_back_and_leaves_no_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut spool = Spool::new(folder.path()).await.expect("a spool");
        let piece: Vec<u8> = (0..GATHERED / 2 + 7).map(|n| (n % 251) as u8).collect();
        for _ in 0..5 {
            spool.push(&piece).await.expect("room");
        }
        let whole = piece.repeat(5);
        assert_eq!((spool.length(), spool.digest()), (whole.len() as u64, Digest::of(&whole)));
        assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), 0, "it has no name meanwhile either");
        assert_eq!(spool.read().await.expect("the bytes"), whole);
    }

    #[tokio::test]
    async fn a_folder_that_is_not_there_is_the_registry_s_fault() {
        let folder = tempfile::tempdir().expect("a folder");
        let Err(problem) = Spool::new(&folder.path().join("gone")).await else { panic!("a spool nowhere") };
        assert_eq!(problem.code(), Code::Unavailable);
    }

    #[tokio::test]
    async fn an_address_takes_one_upload_at_a_time_and_is_forgotten_afterwards() {
        let (transfers, id, other) =
            (Transfers::default(), UploadId::from_bytes([1; 16]), UploadId::from_bytes([2; 16]));
        let first = transfers.alone(id).await;
        let mut second = Box::pin(transfers.alone(id));
        assert!(futures::poll!(&mut second).is_pending());
        let _elsewhere = transfers.alone(other).await;
        drop(first);
        drop(second.await);
        drop(transfers.alone(other));
        let _third = transfers.alone(id).await;
        let open = transfers.0.lock().expect("no panic");
        assert_eq!(open.keys().copied().collect::<Vec<_>>(), [id, other]);
    }
}
