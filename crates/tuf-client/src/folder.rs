//! The folder with trusted metadata: `root.json`, `timestamp.json`, `<quoted role>.json`, each byte for byte as it
//! was served.
//!
//! The suite counts the `*.json` files in it, so what else a start needs, the pinned root and the roots behind
//! it, lies in the folder `roots` within.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use stoa_core::trust::{CacheWrite, CachedTrust, quote};

use crate::Failure;

/// A metadata folder.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self(dir)
    }

    /// Pins a root. What an earlier pin led to is forgotten.
    pub(crate) fn init(&self, root: &Path) -> Result<(), Failure> {
        let bytes = fs::read(root).map_err(|error| failed("read", root, &error))?;
        let roots = self.0.join("roots");
        match fs::remove_dir_all(&roots) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("remove", &roots, &error)),
            _ => {}
        }
        fs::create_dir_all(&roots).map_err(|error| failed("make", &roots, &error))?;
        put(&self.pinned_path(), &bytes)?;
        put(&self.role_path("root"), &bytes)
    }

    /// The pinned root.
    pub(crate) fn pinned(&self) -> Result<Vec<u8>, Failure> {
        let path = self.pinned_path();
        fs::read(&path).map_err(|error| failed("read the pinned root", &path, &error))
    }

    /// What an update begins with. Targets roles are left where they are: lookups ask for them one by one.
    pub(crate) fn cached(&self) -> Result<CachedTrust, Failure> {
        let mut cached = CachedTrust::default();
        for role in ["timestamp", "snapshot"] {
            if let Some(bytes) = self.role(role)? {
                cached.roles.insert(role.to_owned(), bytes);
            }
        }
        cached.roots = self.roots()?;
        Ok(cached)
    }

    fn roots(&self) -> Result<BTreeMap<u64, Vec<u8>>, Failure> {
        let dir = self.0.join("roots");
        let entries = fs::read_dir(&dir).map_err(|error| failed("read", &dir, &error))?;
        let mut roots = BTreeMap::new();
        for path in entries.flatten().map(|entry| entry.path()) {
            let version = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".root.json")?.parse().ok());
            if let Some(version) = version {
                roots.insert(version, fs::read(&path).map_err(|error| failed("read", &path, &error))?);
            }
        }
        Ok(roots)
    }

    /// The bytes kept for a role.
    pub(crate) fn role(&self, role: &str) -> Result<Option<Vec<u8>>, Failure> {
        let path = self.role_path(role);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &path, &error)),
        }
    }

    /// Carries out what the client decided to keep, in order.
    pub(crate) fn apply(&self, writes: Vec<CacheWrite>) -> Result<(), Failure> {
        for write in writes {
            match write {
                CacheWrite::Root { version, bytes } => {
                    put(&self.0.join(format!("roots/{version}.root.json")), &bytes)?;
                    put(&self.role_path("root"), &bytes)?;
                }
                CacheWrite::Role { role, bytes } => put(&self.role_path(&role), &bytes)?,
                CacheWrite::Remove { role } => {
                    let path = self.role_path(&role);
                    match fs::remove_file(&path) {
                        Err(error) if error.kind() != io::ErrorKind::NotFound => {
                            return Err(failed("remove", &path, &error));
                        }
                        _ => {}
                    }
                }
            }
        }
        Ok(())
    }

    fn pinned_path(&self) -> PathBuf {
        self.0.join("roots/pinned.json")
    }

    fn role_path(&self, role: &str) -> PathBuf {
        self.0.join(format!("{}.json", quote(role)))
    }
}

/// Writes a whole file or none.
pub(crate) fn put(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let new = path.with_added_extension("new");
    fs::write(&new, bytes).map_err(|error| failed("write", &new, &error))?;
    fs::rename(&new, path).map_err(|error| failed("put into place", path, &error))
}

fn failed(did: &str, path: &Path, error: &io::Error) -> Failure {
    format!("can't {did} {}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with this root pinned, below the system's for temporary files.
    fn folder(name: &str, root: &str) -> Folder {
        let dir = std::env::temp_dir().join(format!("stoa-tuf-client-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).expect("made");
        let pinned = dir.join("given");
        fs::write(&pinned, root).expect("written");
        let folder = Folder::new(dir);
        folder.init(&pinned).expect("pinned");
        folder
    }

    fn role(role: &str, bytes: &str) -> CacheWrite {
        CacheWrite::Role { role: role.into(), bytes: bytes.into() }
    }

    #[test]
    fn what_was_kept_is_there_at_the_next_start_and_the_folder_shows_the_newest_root() {
        let folder = folder("kept", "one");
        let root = CacheWrite::Root { version: 2, bytes: b"two".to_vec() };
        folder.apply(vec![root, role("snapshot", "s"), role("timestamp", "t"), role("../x", "x")]).expect("written");
        assert_eq!(folder.pinned(), Ok(b"one".to_vec()));
        let cached = folder.cached().expect("read");
        assert_eq!(cached.roots, BTreeMap::from([(2, b"two".to_vec())]));
        assert_eq!(cached.roles.keys().collect::<Vec<_>>(), ["snapshot", "timestamp"]);
        assert_eq!(folder.role("../x"), Ok(Some(b"x".to_vec())));
        let mut shown: Vec<_> =
            fs::read_dir(&folder.0).expect("read").flatten().map(|entry| entry.file_name()).collect();
        shown.sort();
        assert_eq!(shown, ["..%2Fx.json", "given", "root.json", "roots", "snapshot.json", "timestamp.json"]);
        assert_eq!(fs::read(folder.role_path("root")).expect("read"), b"two");
        folder.apply(vec![CacheWrite::Remove { role: "timestamp".into() }]).expect("removed");
        folder.apply(vec![CacheWrite::Remove { role: "timestamp".into() }]).expect("nothing left to remove");
        assert_eq!(folder.role("timestamp"), Ok(None));
        fs::remove_dir_all(&folder.0).expect("removed");
    }

    #[test]
    fn another_pin_forgets_the_roots_of_the_first() {
        let folder = folder("again", "one");
        folder.apply(vec![CacheWrite::Root { version: 2, bytes: b"two".to_vec() }]).expect("written");
        folder.init(&folder.0.join("given")).expect("pinned again");
        assert_eq!(folder.cached().expect("read").roots, BTreeMap::new());
        assert_eq!(folder.role("root"), Ok(Some(b"one".to_vec())));
        fs::remove_dir_all(&folder.0).expect("removed");
    }
}
