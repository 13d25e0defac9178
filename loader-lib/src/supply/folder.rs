//! The way from a root of the host to a folder below it.

use std::{
    io,
    os::fd::{AsRawFd as _, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, Mode, OFlags, openat};

/// An open folder, and a path that leads to it and to no other while it is open.
pub(super) struct Folder {
    path: PathBuf,
    _open: OwnedFd,
}

impl Folder {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Opens the folder that lies `parts` below `root`.
///
/// Attack: a plugin that may write puts a link in the way of another plugin's folder, to where that one may not read. So
/// links are not followed below the root, which itself may be one: it is the host's own word.
pub(super) fn below<'p>(root: &Path, parts: impl Iterator<Item = &'p str>) -> io::Result<Folder> {
    const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
    let mut open = openat(CWD, root, FOLDER, Mode::empty())?;
    let mut path = root.to_owned();
    for part in parts {
        open = openat(&open, part, FOLDER | OFlags::NOFOLLOW, Mode::empty())?;
        path.push(part);
    }
    // By its descriptor, where the system has a name for that: the way there could be another one by now.
    let path = if cfg!(target_os = "linux") { format!("/proc/self/fd/{}", open.as_raw_fd()).into() } else { path };
    Ok(Folder { path, _open: open })
}
