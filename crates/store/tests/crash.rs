//! Crashes within one write: of the folder at every step, of the SQLite file at every byte of its log.

use std::{
    error::Error as _,
    fs, io,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use stoa_core::{
    digest::Digest,
    event::{ActorId, Draft, Fact},
    path::PublicPath,
    time::Time,
};
use stoa_store::{
    blobs::{Area, BlobError, BlobKey, Blobs, ETag, Precondition, Put, UploadId},
    folder::{FolderBlobs, Step},
    ledger::{Action, Expect, ItemKey, Ledger, Transaction, Write},
    sqlite::SqliteLedger,
};
use tempfile::TempDir;

const OLD: &[u8] = b"what was there before";
const NEW: &[u8] = b"what is written";

/// The writes of the port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    PutNew,
    PutIfAbsent,
    PutIfTag,
    /// Of an upload to the store: the file gets a second name.
    CopyUpload,
    /// Of the store to the public tree: a file of its own.
    CopyPublic,
    Delete,
}

const OPERATIONS: [Operation; 6] = [
    Operation::PutNew,
    Operation::PutIfAbsent,
    Operation::PutIfTag,
    Operation::CopyUpload,
    Operation::CopyPublic,
    Operation::Delete,
];

fn tag(bytes: &[u8]) -> ETag {
    ETag::new(Digest::of(bytes).to_string())
}

fn source() -> BlobKey {
    BlobKey::Upload(UploadId::from_bytes([1; 16]))
}

impl Operation {
    /// What it writes to.
    fn target(self) -> BlobKey {
        match self {
            Self::CopyUpload => BlobKey::Store(Digest::of(NEW)),
            Self::CopyPublic => BlobKey::Public(PublicPath::Artifact(Digest::of(NEW))),
            _ => BlobKey::Public(PublicPath::Front),
        }
    }

    /// What is there before.
    fn before(self) -> Option<&'static [u8]> {
        matches!(self, Self::PutIfTag | Self::Delete).then_some(OLD)
    }

    fn after(self) -> Option<&'static [u8]> {
        (self != Self::Delete).then_some(NEW)
    }

    async fn run(self, blobs: &FolderBlobs) -> Result<(), BlobError> {
        let (key, bytes) = (self.target(), Bytes::from_static(NEW));
        match self {
            Self::PutNew => blobs.put_new(&key, bytes).await.map(drop),
            Self::PutIfAbsent => blobs.put_if(&key, bytes, &Precondition::Absent).await.map(drop),
            Self::PutIfTag => blobs.put_if(&key, bytes, &Precondition::Tag(tag(OLD))).await.map(drop),
            Self::CopyUpload => blobs.copy_new(&source(), &tag(NEW), &key).await.map(drop),
            Self::CopyPublic => blobs.copy_new(&BlobKey::Store(Digest::of(NEW)), &tag(NEW), &key).await.map(drop),
            Self::Delete => blobs.delete(&key).await,
        }
    }
}

/// A folder in which `operation` can be done.
async fn staged(operation: Operation) -> (TempDir, FolderBlobs) {
    let folder = tempfile::tempdir().expect("a folder");
    let blobs = FolderBlobs::open(folder.path()).await.expect("blobs");
    if let Some(bytes) = operation.before() {
        put(&blobs, &operation.target(), bytes).await;
    }
    match operation {
        Operation::CopyUpload => put(&blobs, &source(), NEW).await,
        Operation::CopyPublic => put(&blobs, &BlobKey::Store(Digest::of(NEW)), NEW).await,
        _ => {}
    }
    blobs.steps().take();
    (folder, blobs)
}

async fn put(blobs: &FolderBlobs, key: &BlobKey, bytes: &'static [u8]) {
    assert_eq!(blobs.put_new(key, Bytes::from_static(bytes)).await.expect("a put"), Put::Created);
}

async fn content(blobs: &FolderBlobs, key: &BlobKey) -> Option<Vec<u8>> {
    blobs.get(key, 1000).await.expect("a read").map(|blob| blob.bytes.to_vec())
}

fn beside(folder: &Path) -> usize {
    fs::read_dir(folder.join(".beside")).expect("a folder").count()
}

#[tokio::test]
async fn content_is_durable_before_it_has_a_name_and_a_name_before_it_is_answered() {
    let mut text = String::new();
    for operation in OPERATIONS {
        let (_folder, blobs) = staged(operation).await;
        operation.run(&blobs).await.expect("a write");
        text += &format!("{operation:?}: {:?}\n", blobs.steps().take());
        // Whoever finds the name taken must not build upon it before it is durable.
        if operation != Operation::PutIfAbsent && operation != Operation::PutIfTag {
            operation.run(&blobs).await.expect("the same write");
            text += &format!("{operation:?} again: {:?}\n", blobs.steps().take());
        }
    }
    insta::assert_snapshot!(text);
}

#[tokio::test]
async fn a_process_that_is_killed_within_a_write_leaves_it_undone_or_whole() {
    let mut cut = 0;
    for operation in OPERATIONS {
        let (_folder, blobs) = staged(operation).await;
        operation.run(&blobs).await.expect("a write");
        let steps = blobs.steps().take().len();
        for step in 0..steps {
            let what = format!("{operation:?} before step {step}");
            let (folder, blobs) = staged(operation).await;
            blobs.steps().stop_after(step);
            // Only what cleans up may fail and not be noticed.
            match operation.run(&blobs).await {
                Ok(()) => assert_eq!(step, steps - 1, "{what}"),
                Err(error) => assert!(matches!(error, BlobError::Engine { .. }), "{what}: {error:?}"),
            }
            drop(blobs);

            let blobs = FolderBlobs::open(folder.path()).await.expect("blobs");
            assert_eq!(beside(folder.path()), 0, "{what}: what was left is swept");
            let left = content(&blobs, &operation.target()).await;
            let (before, after) = (operation.before(), operation.after());
            assert!(left.as_deref() == before || left.as_deref() == after, "{what}: {left:?}");
            let listed = blobs.list(Area::Public, None, 100).await.expect("a list");
            assert!(listed.len() <= 1, "{what}: nothing else got a name: {listed:?}");
            match operation.run(&blobs).await {
                Ok(()) => {}
                // It had taken effect: whoever repeats a replacement learns what is there.
                Err(BlobError::Precondition { found, .. }) => assert_eq!(found, Some(tag(NEW)), "{what}"),
                Err(error) => panic!("{what}: {error:?}"),
            }
            assert_eq!(content(&blobs, &operation.target()).await.as_deref(), after, "{what}");
            cut += 1;
        }
    }
    assert_eq!(cut, 44, "steps of all operations");
}

#[tokio::test]
async fn a_disk_that_can_not_sync_or_is_full_fails_the_write_and_keeps_nothing_of_it() {
    let cases = [
        (Step::Create, rustix::io::Errno::NOSPC, io::ErrorKind::StorageFull),
        (Step::Fill, rustix::io::Errno::NOSPC, io::ErrorKind::StorageFull),
        (Step::Fill, rustix::io::Errno::DQUOT, io::ErrorKind::QuotaExceeded),
        (Step::Sync, rustix::io::Errno::IO, io::Error::from(rustix::io::Errno::IO).kind()),
        (Step::Name, rustix::io::Errno::ROFS, io::ErrorKind::ReadOnlyFilesystem),
        (Step::Name, rustix::io::Errno::ACCESS, io::ErrorKind::PermissionDenied),
    ];
    for (step, errno, kind) in cases {
        let (folder, blobs) = staged(Operation::PutNew).await;
        blobs.steps().fail(step, errno.raw_os_error());
        let error = Operation::PutNew.run(&blobs).await.expect_err("it fails");
        let found = error.source().and_then(|source| source.downcast_ref::<io::Error>()).map(io::Error::kind);
        assert_eq!(found, Some(kind), "{step:?}: {error:?}");
        assert_eq!(content(&blobs, &Operation::PutNew.target()).await, None, "{step:?}");
        assert_eq!(beside(folder.path()), 0, "{step:?}: the part that was written does not keep the disk full");
        Operation::PutNew.run(&blobs).await.expect("the same write, once the disk is well");
        assert_eq!(content(&blobs, &Operation::PutNew.target()).await.as_deref(), Some(NEW));
    }
}

#[tokio::test]
async fn a_name_that_could_not_be_made_durable_is_no_success_and_is_made_durable_by_the_next_try() {
    let (_folder, blobs) = staged(Operation::PutNew).await;
    put(&blobs, &BlobKey::Public(PublicPath::NotFound), OLD).await;
    blobs.steps().take();
    blobs.steps().fail(Step::SyncFolder, rustix::io::Errno::IO.raw_os_error());
    let error = Operation::PutNew.run(&blobs).await.expect_err("it fails");
    assert_eq!(error.to_string(), "syncing the folder of `public/index.html` failed");
    blobs.steps().take();
    let again = blobs.put_new(&Operation::PutNew.target(), Bytes::from_static(NEW)).await.expect("a put");
    assert_eq!((again, blobs.steps().take()), (Put::Exists, vec![Step::SyncFolder]));
}

fn change(number: u8) -> Transaction {
    let fact = match number {
        1 => Fact::Genesis { bin_bits: 8, offline: Vec::new() },
        _ => Fact::Purged { releases: Vec::new(), blobs: vec![Digest::of(&[number])] },
    };
    let key = ItemKey::new("p", number.to_string()).expect("a key");
    let action = Action::Put { value: vec![number; 3000], expires: None };
    Transaction {
        operation: format!("operation-{number}").parse().expect("an id"),
        draft: Some(Draft { actor: ActorId::registry(), fact, private: None }),
        writes: vec![Write { key, expect: Expect::Absent, action }],
    }
}

/// The file and its log as they are now, with nobody closing them.
fn copied(from: &Path) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["ledger.sqlite", "ledger.sqlite-wal"] {
        fs::copy(from.join(name), folder.path().join(name)).expect("a copy");
    }
    let path = folder.path().join("ledger.sqlite");
    (folder, path)
}

#[tokio::test]
async fn a_commit_that_is_cut_off_at_any_place_of_its_log_is_undone_or_whole() {
    let now = Time::from_unix(1_700_000_000);
    let place = tempfile::tempdir().expect("a folder");
    let living = SqliteLedger::open(&place.path().join("ledger.sqlite")).await.expect("a ledger");
    living.commit(&change(1), now).await.expect("a commit");
    let log = place.path().join("ledger.sqlite-wal");
    let begin = fs::metadata(&log).expect("a log").len();
    let first = living.commit(&change(2), now).await.expect("a commit").event;
    let end = fs::metadata(&log).expect("a log").len();
    assert!(end > begin, "the commit is in the log");

    // Each frame: its whole length, its header alone, half of it; and one byte less than all.
    let mut cuts: Vec<u64> = (begin..end).step_by(512).collect();
    cuts.extend([begin + 24, end - 1, end]);
    let mut outcomes = [0, 0];
    for cut in cuts {
        for torn in [false, true] {
            let (_folder, path) = copied(place.path());
            let file = fs::OpenOptions::new().write(true).open(path.with_extension("sqlite-wal")).expect("a log");
            file.set_len(cut).expect("a cut");
            if torn && cut < end {
                // A loss of power may leave room for bytes that never arrived.
                file.set_len(end).expect("room");
            }
            drop(file);
            let ledger = SqliteLedger::open(&path).await.expect("a ledger whose events hang together");
            let head = ledger.head().await.expect("a head").seq;
            let whole = usize::from(head == 2);
            assert_eq!((head == 2, head == 1), (cut == end, cut < end), "cut at {cut} of {begin}..{end}");
            let item = ItemKey::new("p", "2").expect("a key");
            assert_eq!(ledger.get(&item, now).await.expect("a read").is_some(), head == 2, "item and event are one");
            let again = ledger.commit(&change(2), now).await.expect("the same commit");
            assert_eq!((again.replayed, &again.event), (head == 2, &first));
            outcomes[whole] += 1;
        }
    }
    assert!(outcomes[0] > 10 && outcomes[1] == 2, "{outcomes:?}");
}
