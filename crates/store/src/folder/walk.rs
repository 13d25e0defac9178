//! Listing a tree in the order of its paths' bytes.

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Dir, FileType};
use stoa_core::time::Time;

use super::tree::{Tree, failed};
use crate::blobs::{Area, BlobError, Listed};

struct Walk<'a> {
    after: &'a str,
    limit: usize,
    found: Vec<Listed>,
}

/// At most `limit` files of an area in order, those after the path `after`.
pub(super) fn list(tree: &Tree, area: Area, after: &str, limit: usize) -> Result<Vec<Listed>, BlobError> {
    let mut walk = Walk { after, limit, found: Vec::new() };
    if let Some(folder) = tree.folder(area.prefix().trim_end_matches('/'), false)? {
        walk.folder(folder, area.prefix())?;
    }
    Ok(walk.found)
}

impl Walk<'_> {
    /// Walks a folder whose path, slash included, is `prefix`.
    fn folder(&mut self, folder: OwnedFd, prefix: &str) -> Result<(), BlobError> {
        for path in entries(&folder, prefix)? {
            if self.found.len() >= self.limit {
                break;
            }
            let name = path[prefix.len()..].trim_end_matches('/');
            let stat = match rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
                // Deleted since the folder was read.
                Err(rustix::io::Errno::NOENT) => continue,
                stat => stat.map_err(failed("reading", &path))?,
            };
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => {
                    // All that is below begins with `path`: where `after` comes later and does not, all of it is past.
                    if self.after < path.as_str() || self.after.starts_with(&path) {
                        let below = rustix::fs::openat(&folder, name, below_flags(), rustix::fs::Mode::empty());
                        self.folder(below.map_err(failed("opening", &path))?, &path)?;
                    }
                }
                FileType::RegularFile if path.as_str() > self.after => self.found.push(Listed {
                    key: path.parse()?,
                    // The system's numbers are signed on some platforms; a length is never negative.
                    size: u64::try_from(stat.st_size).unwrap_or_default(),
                    modified: Time::from_unix(stat.st_mtime),
                }),
                FileType::RegularFile => {}
                FileType::Symlink => return Err(BlobError::Foreign { path, found: "a symbolic link" }),
                _ => return Err(BlobError::Foreign { path, found: "a device" }),
            }
        }
        Ok(())
    }
}

fn below_flags() -> rustix::fs::OFlags {
    use rustix::fs::OFlags;
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC
}

/// The paths of a folder's entries in order; those of folders end with a slash, for that is how what is below sorts.
fn entries(folder: &OwnedFd, prefix: &str) -> Result<Vec<String>, BlobError> {
    let what = failed("listing", prefix);
    let mut paths = Vec::new();
    for entry in Dir::read_from(folder).map_err(&what)? {
        let entry = entry.map_err(&what)?;
        let Ok(name) = entry.file_name().to_str() else {
            return Err(BlobError::Foreign { path: prefix.to_owned(), found: "a folder with a name that is no text" });
        };
        if matches!(name, "." | "..") {
            continue;
        }
        let is_folder = match entry.file_type() {
            FileType::Unknown => {
                let stat = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW);
                stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
            }
            known => known == FileType::Directory,
        };
        paths.push(format!("{prefix}{name}{}", if is_folder { "/" } else { "" }));
    }
    paths.sort_unstable();
    Ok(paths)
}
