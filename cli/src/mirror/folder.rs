//! The folder of a mirror: a public tree that any web server can serve as it lies there.
//!
//! ```text
//! trust/ index/ artifacts/   the tree
//! .mirror/lock               held by whoever writes
//! .mirror/N                  a file that is being written; renamed when it is whole
//! ```
//!
//! Every file is written beside its place, through to the disk, and renamed. No link is followed, neither for reading
//! nor for writing: whoever may put a link into the folder gets no file outside of it overwritten.

use std::{
    io::{self, Read as _, Write as _},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use rustix::{
    fs::{AtFlags, CWD, FlockOperation, Mode, OFlags},
    io::Errno,
};
use stoa_core::path::PublicPath;

use super::{Fault, Pinned};

const OWN: &str = ".mirror";
const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// An open mirror. No other process writes to it meanwhile.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    root: OwnedFd,
    own: OwnedFd,
    _lock: OwnedFd,
    next: AtomicU64,
}

impl Folder {
    /// The mirror in `path`: made if it is not there; refused if it has files and none of them is this first root.
    pub(crate) fn open(path: &Path, pinned: &Pinned) -> Result<Self, Fault> {
        let disk = |did| move |source: io::Error| Fault::Disk { path: path.display().to_string(), did, source };
        std::fs::create_dir_all(path).map_err(disk("made"))?;
        // The folder itself may be a link: its owner named it.
        let open = rustix::fs::openat(CWD, path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        let folder = open.map_err(io::Error::from).map_err(disk("opened"))?;
        let (first, root) = (pinned.path(), pinned.as_bytes());
        let refuse = |rule| Fault::Folder { path: path.to_owned(), rule };
        match read_at(&folder, &first.to_string(), root.len() as u64) {
            Ok(Some(there)) if there == root => {}
            Ok(Some(_)) => return Err(refuse("is a mirror of another registry")),
            Ok(None) if is_new(path).map_err(disk("read"))? => {}
            Ok(None) => return Err(refuse("has files, and is no mirror")),
            Err(error) => return Err(disk("read")(error)),
        }
        let own = below(&folder, OWN).map_err(disk("written"))?;
        let lock = lock(&own).map_err(disk("locked"))?.ok_or_else(|| refuse("is being written by another process"))?;
        let made = Self { path: path.to_owned(), root: folder, own, _lock: lock, next: AtomicU64::new(0) };
        made.forget_unfinished().map_err(disk("written"))?;
        if made.read(&first, root.len() as u64).is_none() {
            made.put(&first, root)?;
        }
        Ok(made)
    }

    /// The file at `path`, where there is a plain one of at most `max_bytes`.
    pub(crate) fn read(&self, path: &PublicPath, max_bytes: u64) -> Option<Vec<u8>> {
        let bytes = read_at(&self.root, &path.to_string(), max_bytes).ok()??;
        (bytes.len() as u64 <= max_bytes).then_some(bytes)
    }

    /// Puts a file in place of what may be there, whole or not at all, also at a loss of power.
    pub(crate) fn put(&self, path: &PublicPath, bytes: &[u8]) -> Result<(), Fault> {
        let path = path.to_string();
        self.write(&path, bytes).map_err(|source| {
            let path = self.path.join(&path).display().to_string();
            Fault::Disk { path, did: "written", source }
        })
    }

    fn write(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut folder = self.root.try_clone()?;
        for part in folders.split('/').filter(|part| !part.is_empty()) {
            folder = below(&folder, part)?;
        }
        let beside = self.next.fetch_add(1, Ordering::Relaxed).to_string();
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.own, &beside, flags, Mode::from_bits_retain(0o644))?;
        let mut file = std::fs::File::from(file);
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        let placed = written.and_then(|()| Ok(rustix::fs::renameat(&self.own, &beside, &folder, name)?));
        if placed.is_err() {
            let _nothing_to_remove = rustix::fs::unlinkat(&self.own, &beside, AtFlags::empty());
        }
        placed?;
        Ok(rustix::fs::fsync(&folder)?)
    }

    /// What a process left that was killed.
    fn forget_unfinished(&self) -> io::Result<()> {
        for entry in rustix::fs::Dir::read_from(&self.own)? {
            let entry = entry?;
            if entry.file_name().to_bytes().iter().all(u8::is_ascii_digit) {
                rustix::fs::unlinkat(&self.own, entry.file_name(), AtFlags::empty())?;
            }
        }
        Ok(())
    }
}

/// Whether nothing but an earlier attempt's own folder is there.
fn is_new(path: &Path) -> io::Result<bool> {
    for entry in std::fs::read_dir(path)? {
        if entry?.file_name() != OWN {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The folder `name` in `folder`, made if need be. A link in its place is refused.
fn below(folder: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
    match rustix::fs::openat(folder, name, FOLDER, Mode::empty()) {
        Err(Errno::NOENT) => {}
        opened => return Ok(opened?),
    }
    match rustix::fs::mkdirat(folder, name, Mode::from_bits_retain(0o755)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    rustix::fs::fsync(folder)?;
    Ok(rustix::fs::openat(folder, name, FOLDER, Mode::empty())?)
}

fn lock(own: &OwnedFd) -> io::Result<Option<OwnedFd>> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(own, "lock", flags, Mode::from_bits_retain(0o600))?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A plain file below `folder`, and at most one byte more than `limit` of it. A link, or anything else that is no plain
/// file, is none.
fn read_at(folder: &OwnedFd, path: &str, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut at = folder.try_clone()?;
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    let absent = |error| matches!(error, Errno::NOENT | Errno::LOOP | Errno::NOTDIR);
    for part in folders.split('/').filter(|part| !part.is_empty()) {
        at = match rustix::fs::openat(&at, part, FOLDER, Mode::empty()) {
            Err(error) if absent(error) => return Ok(None),
            opened => opened?,
        };
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(&at, name, flags, Mode::empty()) {
        Err(error) if absent(error) => return Ok(None),
        opened => std::fs::File::from(opened?),
    };
    if !file.metadata()?.is_file() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}
