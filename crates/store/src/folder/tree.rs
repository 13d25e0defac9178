//! Files below one folder, reached step by step without following a link.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Write as _},
    ops::Range,
    os::{
        fd::OwnedFd,
        unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _},
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags},
    io::Errno,
};
use stoa_core::{
    digest::{Digest, Hasher},
    time::Time,
};

use super::steps::{Step, Steps};
use crate::blobs::{BlobError, ETag, Mark, Put};

/// Where files are written before they get their name. No area has this name.
const BESIDE: &str = ".beside";
/// The file whose lock makes compare-and-swap one step.
const LOCK: &str = ".lock";
/// What only the owner may enter.
const PRIVATE: Mode = Mode::from_bits_retain(0o700);
const OPEN: Mode = Mode::from_bits_retain(0o755);

/// The tag of these bytes.
pub(super) fn tag(bytes: &[u8]) -> ETag {
    ETag::new(Digest::of(bytes).to_string())
}

/// Names what was tried with which path.
pub(super) fn failed(what: &'static str, path: &str) -> impl Fn(Errno) -> BlobError {
    let text = format!("{what} `{path}`");
    move |errno| BlobError::engine(text.clone(), io::Error::from(errno))
}

fn failed_io(what: &'static str, path: &str) -> impl Fn(io::Error) -> BlobError {
    let text = format!("{what} `{path}`");
    move |error| BlobError::engine(text.clone(), error)
}

/// The folder.
#[derive(Debug)]
pub(super) struct Tree {
    root: OwnedFd,
    beside: OwnedFd,
    pub(super) steps: Steps,
}

/// A file beside the tree that has no name in it yet. Dropping it deletes it; the names it got stay.
pub(super) struct Beside<'tree> {
    tree: &'tree Tree,
    name: String,
    // Locked while it is in use, so that another process that opens the folder leaves it alone.
    _file: File,
}

impl Drop for Beside<'_> {
    fn drop(&mut self) {
        // What can not be deleted now is deleted when the folder is opened next.
        let _ = self.tree.unlink_beside(&self.name);
    }
}

/// An open file of the tree.
pub(super) struct OpenFile {
    file: File,
    path: String,
    /// Its length in bytes; it never changes.
    pub(super) size: u64,
    /// When it was written.
    pub(super) modified: Time,
    /// Every write makes a file of its own, so another content is another file, made at another time.
    pub(super) mark: Mark,
}

impl OpenFile {
    fn new(file: File, path: &str) -> Result<Self, BlobError> {
        let meta = file.metadata().map_err(failed_io("reading", path))?;
        if !meta.is_file() {
            let found = if meta.is_dir() { "a folder" } else { "a device" };
            return Err(BlobError::Foreign { path: path.to_owned(), found });
        }
        let mark = format!("{}:{}:{}:{}.{:09}", meta.dev(), meta.ino(), meta.len(), meta.ctime(), meta.ctime_nsec());
        let (size, modified) = (meta.len(), Time::from_unix(meta.mtime()));
        Ok(Self { path: path.to_owned(), size, modified, mark: Mark::new(mark), file })
    }

    /// The bytes of a range that lies within the file.
    pub(super) fn read(&self, range: Range<u64>) -> Result<Vec<u8>, BlobError> {
        let what = failed_io("reading", &self.path);
        let length = usize::try_from(range.end - range.start).map_err(|e| what(io::Error::other(e)))?;
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, range.start).map_err(what)?;
        Ok(bytes)
    }

    /// The tag of the content, which is read for it in pieces.
    pub(super) fn tag(&self) -> Result<ETag, BlobError> {
        let (mut hasher, mut piece, mut at) = (Hasher::new(), vec![0; 64 * 1024], 0);
        loop {
            let length = self.file.read_at(&mut piece, at).map_err(failed_io("reading", &self.path))?;
            if length == 0 {
                return Ok(ETag::new(hasher.finish().to_string()));
            }
            hasher.update(&piece[..length]);
            at += length as u64;
        }
    }
}

impl Tree {
    pub(super) fn open(folder: &Path) -> Result<Self, BlobError> {
        let shown = folder.display().to_string();
        let mut make = DirBuilder::new();
        make.recursive(true).mode(0o755).create(folder).map_err(failed_io("making", &shown))?;
        let root = rustix::fs::openat(CWD, folder, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        let root = root.map_err(failed("opening", &shown))?;
        let steps = Steps::default();
        let beside =
            enter(&root, BESIDE, Some(PRIVATE), &steps)?.ok_or(Errno::NOENT).map_err(failed("opening", BESIDE))?;
        sweep(&folder.join(BESIDE))?;
        Ok(Self { root, beside, steps })
    }

    /// The folder that `path` lies in and its name there; `None` where there is no such folder.
    fn parent<'a>(&self, path: &'a str, make: bool) -> Result<Option<(OwnedFd, &'a str)>, BlobError> {
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
        Ok(self.folder(folders, make)?.map(|folder| (folder, name)))
    }

    /// The folder at `path`; `None` where there is none and none is to be made.
    pub(super) fn folder(&self, path: &str, make: bool) -> Result<Option<OwnedFd>, BlobError> {
        let mode = if path.starts_with("public") { OPEN } else { PRIVATE };
        let mut at = self.root.try_clone().map_err(failed_io("opening", path))?;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            match enter(&at, name, make.then_some(mode), &self.steps)? {
                Some(next) => at = next,
                None => return Ok(None),
            }
        }
        Ok(Some(at))
    }

    /// Opens a file of the tree; `None` where there is none.
    pub(super) fn open_file(&self, path: &str) -> Result<Option<OpenFile>, BlobError> {
        let Some((folder, name)) = self.parent(path, false)? else { return Ok(None) };
        open_file(&folder, name, path)
    }

    /// Writes bytes beside the tree, durably.
    pub(super) fn write_beside(&self, bytes: &[u8]) -> Result<Beside<'_>, BlobError> {
        self.fill_beside(|file| file.write_all(bytes))
    }

    /// Copies the file at `path` to one of its own beside the tree, durably; `None` where there is none. File systems
    /// that can share blocks until one of the files changes do so (`copy_file_range`, within the standard library).
    pub(super) fn copy_beside(&self, path: &str) -> Result<Option<(Beside<'_>, OpenFile)>, BlobError> {
        let Some(source) = self.open_file(path)? else { return Ok(None) };
        let beside = self.fill_beside(|file| io::copy(&mut &source.file, file).map(drop))?;
        let copy = open_file(&self.beside, &beside.name, path)?.ok_or(Errno::NOENT).map_err(failed("opening", path))?;
        Ok(Some((beside, copy)))
    }

    fn fill_beside(&self, fill: impl FnOnce(&mut File) -> io::Result<()>) -> Result<Beside<'_>, BlobError> {
        let name = random_name()?;
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let create = || {
            self.steps.before(Step::Create)?;
            rustix::fs::openat(&self.beside, &name, flags, Mode::from_bits_retain(0o644))
        };
        let mut file = File::from(create().map_err(failed("creating", &name))?);
        let write = || {
            file.lock_shared()?;
            self.steps.before(Step::Fill)?;
            fill(&mut file)?;
            self.steps.before(Step::Sync)?;
            file.sync_all()
        };
        let written = write();
        // Made before the outcome is looked at, so that a full disk does not keep the part that was written.
        let beside = Beside { tree: self, name, _file: file };
        written.map_err(failed_io("writing", &beside.name))?;
        Ok(beside)
    }

    /// Gives the file at `path` a second name beside the tree; `None` where there is none.
    pub(super) fn link_beside(&self, path: &str) -> Result<Option<(Beside<'_>, OpenFile)>, BlobError> {
        let Some((folder, source)) = self.parent(path, false)? else { return Ok(None) };
        let name = random_name()?;
        let link = || {
            self.steps.before(Step::LinkBeside)?;
            rustix::fs::linkat(&folder, source, &self.beside, &name, AtFlags::empty())
        };
        match link() {
            Ok(()) => {}
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(failed("linking", path)(errno)),
        }
        let opened = open_file(&self.beside, &name, path).and_then(|file| match file {
            Some(file) => {
                let held = file.file.try_clone().and_then(|held| held.lock_shared().map(|()| held));
                Ok((held.map_err(failed_io("opening", path))?, file))
            }
            None => Err(failed("opening", path)(Errno::NOENT)),
        });
        match opened {
            Ok((held, file)) => Ok(Some((Beside { tree: self, name, _file: held }, file))),
            Err(error) => {
                let _ = self.unlink_beside(&name);
                Err(error)
            }
        }
    }

    /// Gives a file its name in the tree unless that is taken. A link never replaces, whoever else tries.
    pub(super) fn link_new(&self, beside: &Beside<'_>, path: &str) -> Result<Put, BlobError> {
        let (folder, name) = self.parent(path, true)?.ok_or(Errno::NOENT).map_err(failed("making", path))?;
        let link = || {
            self.steps.before(Step::Name)?;
            rustix::fs::linkat(&self.beside, &beside.name, &folder, name, AtFlags::empty())
        };
        let put = match link() {
            Ok(()) => Put::Created,
            Err(Errno::EXIST) => {
                // Refuses a link or a folder under the name.
                open_file(&folder, name, path)?;
                Put::Exists
            }
            Err(errno) => return Err(failed("linking", path)(errno)),
        };
        self.sync_folder(&folder, path)?;
        Ok(put)
    }

    /// Gives a file its name in the tree in place of the one that has it.
    pub(super) fn replace(&self, beside: Beside<'_>, path: &str) -> Result<(), BlobError> {
        let (folder, name) = self.parent(path, true)?.ok_or(Errno::NOENT).map_err(failed("making", path))?;
        let rename = || {
            self.steps.before(Step::Replace)?;
            rustix::fs::renameat(&self.beside, &beside.name, &folder, name)
        };
        rename().map_err(failed("renaming to", path))?;
        self.sync_folder(&folder, path)
    }

    /// Makes sure that a name that was found survives a loss of power: whoever made it may not be that far yet.
    pub(super) fn settle(&self, path: &str) -> Result<(), BlobError> {
        match self.parent(path, false)? {
            Some((folder, _)) => self.sync_folder(&folder, path),
            None => Ok(()),
        }
    }

    /// Deletes the file at `path`, if there is one.
    pub(super) fn delete(&self, path: &str) -> Result<(), BlobError> {
        let Some((folder, name)) = self.parent(path, false)? else { return Ok(()) };
        let unlink = || {
            self.steps.before(Step::Delete)?;
            rustix::fs::unlinkat(&folder, name, AtFlags::empty())
        };
        match unlink() {
            Ok(()) => self.sync_folder(&folder, path),
            Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(failed("deleting", path)(errno)),
        }
    }

    fn sync_folder(&self, folder: &OwnedFd, path: &str) -> Result<(), BlobError> {
        let sync = || {
            self.steps.before(Step::SyncFolder)?;
            rustix::fs::fsync(folder)
        };
        sync().map_err(failed("syncing the folder of", path))
    }

    fn unlink_beside(&self, name: &str) -> Result<(), Errno> {
        self.steps.before(Step::Clean)?;
        rustix::fs::unlinkat(&self.beside, name, AtFlags::empty())
    }

    /// Waits until no other process or thread compares and swaps in this folder, and keeps them out until the file
    /// is dropped.
    pub(super) fn lock(&self) -> Result<File, BlobError> {
        let flags = OFlags::CREATE | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.root, LOCK, flags, Mode::from_bits_retain(0o600));
        let file = File::from(file.map_err(failed("opening", LOCK))?);
        file.lock().map_err(failed_io("locking", LOCK))?;
        Ok(file)
    }
}

fn random_name() -> Result<String, BlobError> {
    let random = getrandom::u64().map_err(|e| BlobError::engine("reading random bytes", e))?;
    Ok(format!("{}-{random:016x}", std::process::id()))
}

/// Opens a file by name, not through a link; `None` where there is none.
pub(super) fn open_file(folder: &OwnedFd, name: &str, path: &str) -> Result<Option<OpenFile>, BlobError> {
    // NONBLOCK: to open a pipe that somebody put there would wait for its other end.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    match rustix::fs::openat(folder, name, flags, Mode::empty()) {
        Ok(file) => OpenFile::new(File::from(file), path).map(Some),
        Err(Errno::NOENT) => Ok(None),
        Err(Errno::LOOP) => Err(BlobError::Foreign { path: path.to_owned(), found: "a symbolic link" }),
        Err(errno) => Err(failed("opening", path)(errno)),
    }
}

/// Opens the folder `name`, not through a link. Where there is none, it is made with `mode`, or `None`.
fn enter(at: &OwnedFd, name: &str, mode: Option<Mode>, steps: &Steps) -> Result<Option<OwnedFd>, BlobError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = || rustix::fs::openat(at, name, flags, Mode::empty());
    let opened = match (open(), mode) {
        (Err(Errno::NOENT), Some(mode)) => {
            let make = || {
                steps.before(Step::MakeFolder)?;
                rustix::fs::mkdirat(at, name, mode)
            };
            match make() {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(failed("making", name)(errno)),
            }
            // A new folder is lost with the power unless the one above is synced.
            let sync = || {
                steps.before(Step::SyncFolder)?;
                rustix::fs::fsync(at)
            };
            sync().map_err(failed("syncing the folder of", name))?;
            open()
        }
        (opened, _) => opened,
    };
    match opened {
        Ok(folder) => Ok(Some(folder)),
        Err(Errno::NOENT) => Ok(None),
        // With DIRECTORY and NOFOLLOW, Linux calls a link a thing that is not a folder.
        Err(Errno::LOOP | Errno::NOTDIR) => Err(BlobError::Foreign {
            path: name.to_owned(),
            found: "a symbolic link or a file, and a folder is needed",
        }),
        Err(errno) => Err(failed("opening", name)(errno)),
    }
}

/// Deletes what crashed writers left. What a living one writes is locked, and stays.
fn sweep(beside: &Path) -> Result<(), BlobError> {
    let shown = beside.display().to_string();
    let what = failed_io("sweeping", &shown);
    let entries: Vec<PathBuf> = fs::read_dir(beside)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
        .map_err(&what)?;
    for path in entries {
        let abandoned = File::open(&path).is_ok_and(|file| file.try_lock().is_ok());
        if abandoned {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(what(error)),
                _ => {}
            }
        }
    }
    Ok(())
}
