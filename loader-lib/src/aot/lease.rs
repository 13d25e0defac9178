//! Who may change what the cache has under a key: one at a time, of all threads and processes.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read as _, Write as _},
    path::PathBuf,
};

use stoa_core::digest::Digest;

use super::file::{open_to_lock, still_named};

/// The right to write, to put aside and to remove what is stored under a key. Readers need none.
///
/// It is the lock on a file, which the system takes back when the process ends, however it ends. It saves work and
/// keeps pairs of files whole; nobody trusts a file for it.
#[derive(Debug)]
pub(super) struct Lease {
    key: Digest,
    path: PathBuf,
    _locked: File,
}

/// What asking for a lease gave.
pub(super) enum Asked {
    /// It.
    Mine(Lease),
    /// Another has it: the process with this number, as far as it said so.
    Taken(Option<u32>),
}

impl Lease {
    /// Asks for the lease on `key`, whose file is `path`. Does not wait.
    pub(super) fn ask(key: Digest, path: PathBuf) -> io::Result<Asked> {
        loop {
            let mut file = open_to_lock(&path)?;
            match file.try_lock() {
                // Removed by who had it before, after this opened it: the lock is on a file that nobody else will find.
                Ok(()) if !still_named(&file, &path)? => {}
                Ok(()) => {
                    file.set_len(0)?;
                    file.write_all(std::process::id().to_string().as_bytes())?;
                    return Ok(Asked::Mine(Self { key, path, _locked: file }));
                }
                Err(TryLockError::WouldBlock) => {
                    let mut text = String::new();
                    // Whoever has it may not have written yet, or not be able to.
                    let _ = (&mut file).take(16).read_to_string(&mut text);
                    return Ok(Asked::Taken(text.parse().ok()));
                }
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }

    /// What it is about.
    pub(super) fn key(&self) -> &Digest {
        &self.key
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // While it is still locked, so that whoever opened it meanwhile sees that it is gone.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(folder: &tempfile::TempDir) -> Asked {
        Lease::ask(Digest::of(b"key"), folder.path().join("key.lease")).expect("a folder that can be written")
    }

    #[test]
    fn one_has_it_and_the_next_gets_it_when_it_is_given_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let Asked::Mine(first) = ask(&folder) else { panic!("nobody has it") };
        let Asked::Taken(holder) = ask(&folder) else { panic!("it is taken") };
        assert_eq!(holder, Some(std::process::id()));
        drop(first);
        assert!(matches!(ask(&folder), Asked::Mine(_)));
        assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 0, "no file stays");
    }

    #[test]
    fn a_file_that_somebody_left_behind_is_no_lease() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("key.lease"), "1").expect("a file");
        assert!(matches!(ask(&folder), Asked::Mine(_)));
    }

    #[test]
    fn of_many_threads_one_has_it_at_a_time() {
        use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
        let folder = tempfile::tempdir().expect("a folder");
        let (inside, turns) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while turns.load(SeqCst) < 200 {
                        let Asked::Mine(_lease) = ask(&folder) else { continue };
                        assert_eq!(inside.fetch_add(1, SeqCst), 0, "two have it");
                        turns.fetch_add(1, SeqCst);
                        inside.fetch_sub(1, SeqCst);
                    }
                });
            }
        });
    }
}
