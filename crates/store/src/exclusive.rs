//! One process a registry.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
};

/// The file that a running registry holds locked, in its folder.
pub const LOCK_FILE: &str = "lock";

/// The right to use a folder, held until it is dropped. The operating system takes it back from a process that
/// dies, so a file that was left behind locks nobody out.
#[derive(Debug)]
pub struct Exclusive {
    // Closing the file gives the lock back.
    _file: File,
}

/// Why a folder can not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExclusiveError {
    /// Another process has it.
    #[error("`{}` is in use by {}", folder.display(), holder_text(*.holder))]
    InUse {
        /// Which folder.
        folder: PathBuf,
        /// The id of the process; `None` in the instant in which it has not yet written it down.
        holder: Option<u32>,
    },
    /// The lock file can not be used.
    #[error("`{}` can not be locked", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn holder_text(holder: Option<u32>) -> String {
    holder.map_or_else(|| "another process".to_owned(), |id| format!("process {id}"))
}

impl Exclusive {
    /// Takes `folder`, which exists, for this process.
    ///
    /// # Errors
    /// [`ExclusiveError::InUse`] with the holder, also where that is this very process.
    pub fn take(folder: &Path) -> Result<Self, ExclusiveError> {
        let path = folder.join(LOCK_FILE);
        let io = |source| ExclusiveError::Io { path: path.clone(), source };
        // Not truncated at open: until the lock is held, what is in it is another's.
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = opened.map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(ExclusiveError::InUse { folder: folder.to_owned(), holder: holder(&mut file) });
            }
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        let mut note = || {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())?;
            file.flush()
        };
        note().map_err(io)?;
        Ok(Self { _file: file })
    }
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(20).read_to_string(&mut text).ok()?;
    text.trim_end().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_taker_is_refused_by_the_holders_id_until_the_first_lets_go() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = Exclusive::take(folder.path()).expect("nobody has it");
        let Err(refused) = Exclusive::take(folder.path()) else { panic!("two have it") };
        let id = std::process::id();
        assert_eq!(refused.to_string(), format!("`{}` is in use by process {id}", folder.path().display()));
        drop(first);
        Exclusive::take(folder.path()).expect("nobody has it any more");
    }

    #[test]
    fn a_file_left_behind_by_a_dead_process_locks_nobody_out() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(LOCK_FILE), "4000000000 and more than fits\n").expect("a file");
        let held = Exclusive::take(folder.path()).expect("nobody has it");
        let text = std::fs::read_to_string(folder.path().join(LOCK_FILE)).expect("the file");
        assert_eq!(text, format!("{}\n", std::process::id()));
        drop(held);
    }
}
