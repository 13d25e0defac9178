//! Files of the cache: opened without following links, checked, and replaced whole.

use std::{
    fs::File,
    io::{self, Write as _},
    path::Path,
};

use super::cache::unwritable;

/// How the names of unfinished files begin.
pub(super) const TEMPORARY: &str = ".tmp-";

/// The user whose files are trusted. Files of others are not, whatever they contain: a folder in a shared
/// place may have been prepared by somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner {
    #[cfg(unix)]
    user: u32,
}

impl Owner {
    /// The user this process writes as, seen from a file it makes in `folder`.
    pub(super) fn of_this_process(folder: &Path) -> io::Result<Self> {
        let probe = tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(folder);
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt as _;
            match probe {
                Ok(probe) => Ok(Self { user: probe.as_file().metadata()?.uid() }),
                // What is there can be read, and no file of it can be taken for ours that is not.
                Err(error) if unwritable(&error) => Ok(Self { user: rustix::process::geteuid().as_raw() }),
                Err(error) => Err(error),
            }
        }
        #[cfg(not(unix))]
        {
            drop(probe?);
            Ok(Self {})
        }
    }

    /// Why a file or folder with this metadata is not trusted, if so. `others` are the permission bits
    /// that nobody else may have.
    #[cfg(unix)]
    fn distrusts(self, metadata: &std::fs::Metadata, others: u32) -> Option<String> {
        use std::os::unix::fs::MetadataExt as _;
        if metadata.uid() != self.user {
            return Some(format!("belongs to user {}, not {}", metadata.uid(), self.user));
        }
        (metadata.mode() & others != 0).then(|| format!("has the mode {:03o}", metadata.mode() & 0o777))
    }

    #[cfg(not(unix))]
    fn distrusts(self, _: &std::fs::Metadata, _: u32) -> Option<String> {
        None
    }

    /// Checks a folder: ours, and written by nobody else.
    pub(super) fn check_folder(self, folder: &Path) -> io::Result<()> {
        match self.distrusts(&std::fs::metadata(folder)?, 0o022) {
            Some(reason) => Err(Distrusted(format!("the folder {reason}")).into()),
            None => Ok(()),
        }
    }

    /// Opens a file of ours that nobody else can write, with `secret` that nobody else can read either.
    ///
    /// Refused: a symbolic link, anything but a plain file, a file of another user or with wider permissions.
    pub(super) fn open(self, path: &Path, secret: bool) -> Result<File, Refusal> {
        let file = open_no_follow(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(Refusal::Distrusted("is not a plain file".into()));
        }
        match self.distrusts(&metadata, if secret { 0o077 } else { 0o022 }) {
            Some(reason) => Err(Refusal::Distrusted(reason)),
            None => Ok(file),
        }
    }
}

/// A folder or secret that this loader refuses by itself, unlike what the system refuses.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Distrusted(pub(super) String);

impl From<Distrusted> for io::Error {
    fn from(refusal: Distrusted) -> Self {
        Self::new(io::ErrorKind::PermissionDenied, refusal)
    }
}

/// Why a file was not opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("does not exist")]
    Missing,
    #[error("{0}")]
    Distrusted(String),
    #[error("can not be read: {0}")]
    Unreadable(io::Error),
}

impl Refusal {
    fn link() -> Self {
        Self::Distrusted("is a symbolic link".into())
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            _ => Self::Unreadable(error),
        }
    }
}

#[cfg(unix)]
fn open_no_follow(path: &Path) -> Result<File, Refusal> {
    use rustix::{
        fs::{Mode, OFlags},
        io::Errno,
    };
    // Without blocking: a pipe put in the file's place would otherwise wait for a writer for ever.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => Ok(File::from(file)),
        Err(Errno::LOOP) => Err(Refusal::link()),
        Err(error) => Err(io::Error::from(error).into()),
    }
}

#[cfg(not(unix))]
fn open_no_follow(path: &Path) -> Result<File, Refusal> {
    if std::fs::symlink_metadata(path)?.is_symlink() {
        return Err(Refusal::link());
    }
    Ok(File::open(path)?)
}

/// Opens a file to lock it, making it where it is missing. For this user alone, and never through a link.
pub(super) fn open_to_lock(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        options.mode(0o600).custom_flags(i32::try_from(flags.bits()).unwrap_or_default());
    }
    options.open(path)
}

/// Whether `path` leads to the file that is open here, and not to nothing or to another one.
pub(super) fn still_named(file: &File, path: &Path) -> io::Result<bool> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let open = file.metadata()?;
        match std::fs::symlink_metadata(path) {
            Ok(named) => Ok((open.dev(), open.ino()) == (named.dev(), named.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
    #[cfg(not(unix))]
    {
        // An open file can be neither renamed nor removed there.
        let _ = (file, path);
        Ok(true)
    }
}

/// Writes a file so that it is either there with all its bytes, also after a power failure, or not at all.
/// It is readable by this user alone.
pub(super) fn write_whole(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(folder.join(name)).map_err(|e| e.error)?;
    sync_folder(folder)
}

/// Makes names in a folder durable: a rename alone is not.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}
