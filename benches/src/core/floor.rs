//! Lower bounds: the same bytes, without anything that a registry adds.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use sha2::{Digest as _, Sha256};

/// All files below `folder`.
pub(super) fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => found.extend(files(&entry.path())?),
            false => found.push(entry.path()),
        }
    }
    Ok(found)
}

/// Hashes each of these, writes it to a file of its own in `to`, and waits for the disk: at the file, and at the end at the
/// folder. One after the other.
pub(super) fn keep(contents: &[Vec<u8>], to: &Path) -> io::Result<Duration> {
    fs::create_dir_all(to)?;
    let began = Instant::now();
    for (n, bytes) in contents.iter().enumerate() {
        std::hint::black_box(Sha256::digest(bytes));
        let mut file = File::create(to.join(n.to_string()))?;
        file.write_all(bytes)?;
        file.sync_all()?;
    }
    File::open(to)?.sync_all()?;
    Ok(began.elapsed())
}
