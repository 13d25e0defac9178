//! The folder that keeps what is costly to make: beyond one clone, and safe to delete at any time.
//!
//! An entry is made in a folder of its own beside its place and renamed when it is whole, so whatever
//! interrupts the making leaves nothing that looks finished. Makers take turns by a file lock.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process;

use crate::failure::{Failure, Outcome};
use crate::place;

/// How the folder of an unfinished entry begins.
const UNFINISHED: &str = ".unfinished-";

/// A folder of entries.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cache(PathBuf);

impl Cache {
    /// The cache that the environment asks for, or else the user's, or else one in this clone.
    pub(crate) fn open() -> Self {
        let dir = choose(|name| std::env::var(name).ok()).unwrap_or_else(|| place::own().join("cache"));
        // A relative folder would be another one for each folder that cargo is called from.
        Self(place::root().join(dir))
    }

    /// A folder in it with entries and turns of its own, for what need not wait for the rest.
    pub(crate) fn part(&self, name: &str) -> Self {
        Self(self.0.join(name))
    }

    /// Its folder, which need not exist.
    pub(crate) fn dir(&self) -> &Path {
        &self.0
    }

    /// The folder of each whole entry. None where the cache is not there yet.
    pub(crate) fn entries(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(&self.0) else { return Vec::new() };
        let mut dirs: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
        dirs.retain(|dir| !is_unfinished(dir));
        dirs.sort();
        dirs
    }

    /// The entry of this name, made in an empty folder if it is not there. Of two who want it, one makes it.
    pub(crate) fn entry(&self, name: &str, make: impl FnOnce(&Path) -> Outcome) -> Outcome<PathBuf> {
        let dir = self.dir().join(name);
        if dir.is_dir() {
            return Ok(dir);
        }
        let turn = self.turn()?;
        if dir.is_dir() {
            return Ok(dir);
        }
        let unfinished = turn.begin()?;
        make(&unfinished)?;
        turn.finish(&unfinished, name)
    }

    /// Waits for its turn to make something. The turn ends when the result is dropped, or the process ends.
    pub(crate) fn turn(&self) -> Outcome<Turn<'_>> {
        fs::create_dir_all(&self.0).map_err(|error| {
            Failure::io("make the cache folder", &self.0, &error)
                .fix("set STOA_CACHE_DIR to a folder that can be written, with 1 GB free")
        })?;
        let path = self.0.join("lock");
        let lock = File::create(&path).map_err(|error| Failure::io("make", &path, &error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                eprintln!("setup: another process is at it in {}; waiting for it", self.0.display());
                lock.lock().map_err(|error| Failure::io("lock", &path, &error))?;
            }
            Err(TryLockError::Error(error)) => return Err(Failure::io("lock", &path, &error)),
        }
        Ok(Turn { cache: self, _lock: lock })
    }
}

/// The right to make entries, held by one process at a time.
pub(crate) struct Turn<'a> {
    cache: &'a Cache,
    _lock: File,
}

impl Turn<'_> {
    /// An empty folder to make an entry in. What earlier makers left unfinished goes first.
    pub(crate) fn begin(&self) -> Outcome<PathBuf> {
        if let Ok(entries) = fs::read_dir(self.cache.dir()) {
            for path in entries.flatten().map(|entry| entry.path()).filter(|path| is_unfinished(path)) {
                fs::remove_dir_all(&path).map_err(|error| Failure::io("remove", &path, &error))?;
            }
        }
        let dir = self.cache.dir().join(format!("{UNFINISHED}{}", process::id()));
        fs::create_dir(&dir).map_err(|error| Failure::io("make", &dir, &error))?;
        Ok(dir)
    }

    /// Puts a whole entry into its place, from which a broken one is removed.
    pub(crate) fn finish(&self, unfinished: &Path, name: &str) -> Outcome<PathBuf> {
        let dir = self.cache.dir().join(name);
        if dir.exists() {
            fs::remove_dir_all(&dir).map_err(|error| Failure::io("remove", &dir, &error))?;
        }
        fs::rename(unfinished, &dir).map_err(|error| Failure::io("put into place", &dir, &error))?;
        Ok(dir)
    }

    /// Removes the oldest of the entries whose names begin so, until no more than `kept` are left.
    pub(crate) fn forget_all_but(&self, kept: usize, prefix: &str) -> Outcome {
        let mut entries = self.cache.entries();
        entries.retain(|dir| dir.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)));
        entries.sort_by_key(|dir| fs::metadata(dir).and_then(|metadata| metadata.modified()).ok());
        let too_many = entries.len().saturating_sub(kept);
        for dir in &entries[..too_many] {
            fs::remove_dir_all(dir).map_err(|error| Failure::io("remove", dir, &error))?;
        }
        Ok(())
    }
}

fn is_unfinished(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(UNFINISHED))
}

/// The folder by the environment's word alone. A relative XDG_CACHE_HOME is invalid and to be ignored,
/// says the XDG base directory specification.
fn choose(variable: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let value = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    value("STOA_CACHE_DIR")
        .or_else(|| Some(value("XDG_CACHE_HOME").filter(|dir| dir.is_absolute())?.join("stoa")))
        .or_else(|| Some(value("HOME")?.join(".cache/stoa")))
}

/// A short name for a list of lines: FNV-1a of 64 bits. It tells inputs apart and guards against nothing.
pub(crate) fn fingerprint<'a>(lines: impl IntoIterator<Item = &'a str>) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for line in lines {
        for byte in line.bytes().chain([b'\n']) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(variables: &[(&str, &str)]) -> Option<PathBuf> {
        choose(|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    fn empty_cache(name: &str) -> Cache {
        let dir = std::env::temp_dir().join(format!("xtask-cache-{name}-{}", process::id()));
        fs::remove_dir_all(&dir).ok();
        Cache(dir)
    }

    #[test]
    fn the_folder_is_the_one_asked_for_or_the_users_or_none() {
        let user = [("HOME", "/h"), ("XDG_CACHE_HOME", "/x")];
        assert_eq!(chosen(&[("STOA_CACHE_DIR", "/c"), user[0], user[1]]), Some("/c".into()));
        assert_eq!(chosen(&[("STOA_CACHE_DIR", ""), user[0], user[1]]), Some("/x/stoa".into()));
        assert_eq!(chosen(&[user[0], ("XDG_CACHE_HOME", "relative")]), Some("/h/.cache/stoa".into()));
        assert_eq!(chosen(&[]), None);
    }

    #[test]
    fn an_entry_is_there_only_when_it_is_finished() {
        let cache = empty_cache("finish");
        assert_eq!(cache.entries(), Vec::<PathBuf>::new());
        let turn = cache.turn().expect("a turn");
        let left = turn.begin().expect("a folder");
        fs::write(left.join("half"), "x").expect("written");
        assert_eq!(cache.entries(), Vec::<PathBuf>::new());
        // As if that maker had been killed: the next one begins with an empty folder.
        let dir = turn.begin().expect("a folder");
        assert_eq!(fs::read_dir(&dir).expect("read").count(), 0);
        fs::write(dir.join("whole"), "x").expect("written");
        let entry = turn.finish(&dir, "thing-1").expect("finished");
        assert_eq!(cache.entries(), std::slice::from_ref(&entry));
        assert_eq!(fs::read_to_string(entry.join("whole")).expect("read"), "x");
        fs::remove_dir_all(cache.dir()).expect("removed");
    }

    #[test]
    fn an_entry_is_made_once_and_one_that_failed_is_made_again() {
        let cache = empty_cache("entry");
        let failure = cache.entry("thing", |_| Err(Failure::new("no"))).expect_err("fails");
        assert_eq!((failure.to_string(), cache.entries()), ("no".into(), Vec::new()));
        let make = |text| {
            cache.entry("thing", move |dir| {
                fs::write(dir.join("file"), text).map_err(|error| Failure::io("write", dir, &error))
            })
        };
        let made = [make("first"), make("second")].map(|entry| entry.expect("made"));
        assert_eq!(made[0], made[1]);
        assert_eq!(fs::read_to_string(made[1].join("file")).expect("read"), "first");
        fs::remove_dir_all(cache.dir()).expect("removed");
    }

    #[test]
    fn the_oldest_entries_of_a_kind_are_forgotten() {
        let cache = empty_cache("forget");
        let turn = cache.turn().expect("a turn");
        let dirs: Vec<_> = ["a-3", "a-1", "b-1", "a-2"]
            .into_iter()
            .enumerate()
            .map(|(age, name)| {
                let dir = turn.begin().expect("a folder");
                let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(age as u64);
                File::open(&dir).expect("opened").set_modified(time).expect("set");
                turn.finish(&dir, name).expect("finished")
            })
            .collect();
        turn.forget_all_but(2, "a-").expect("forgotten");
        let mut left = [dirs[1].clone(), dirs[2].clone(), dirs[3].clone()];
        left.sort();
        assert_eq!(cache.entries(), left);
        fs::remove_dir_all(cache.dir()).expect("removed");
    }

    #[test]
    fn a_second_maker_waits_for_the_first() {
        let cache = empty_cache("turn");
        let turn = cache.turn().expect("a turn");
        let path = cache.dir().join("lock");
        let other = File::options().write(true).open(&path).expect("opened");
        assert!(matches!(other.try_lock(), Err(TryLockError::WouldBlock)));
        drop(turn);
        other.try_lock().expect("free again");
        fs::remove_dir_all(cache.dir()).expect("removed");
    }

    #[test]
    fn a_fingerprint_depends_on_every_line_and_on_where_lines_end() {
        assert_eq!(fingerprint([]), "cbf29ce484222325");
        let all = [fingerprint(["ab"]), fingerprint(["a", "b"]), fingerprint(["b", "a"]), fingerprint(["ab", ""])];
        for (i, one) in all.iter().enumerate() {
            assert!(!all[i + 1..].contains(one), "{all:?}");
        }
    }
}
