//! Verified copies on disk. They are verified again whenever they are read: a disk is not trusted either.
//!
//! ```text
//! trust/ROOT/N.root.json    the chain of roots after the pinned one, by which ROOT is named (16 digits)
//! trust/ROOT/ROLE.json      the newest verified file of each role, byte for byte as it was served
//! trust/ROOT/timestamp.tag  the entity tag that the timestamp came with, behind the digest of that timestamp
//! trust/ROOT/checked-at     when the registry was asked last
//! trust/first-use-ADDRESS   the root that an address showed when it was trusted on first use
//! index/SHA256              documents
//! artifacts/SHA256          components and other blobs
//! aot/                      compiled code, kept by the runtime
//! ```

use std::{
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

use stoa_core::{
    digest::Digest,
    trust::{CacheWrite, CachedTrust, quote},
};

/// Where verified copies are kept. Several processes may share one folder: files are named by content or are
/// replaced whole, and nothing read from it is believed.
#[derive(Debug, Clone)]
pub struct Cache {
    path: PathBuf,
}

/// Why the cache can not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// A file or folder of it.
    #[error("`{path}` in the cache can not be {what}")]
    Io {
        /// Where.
        path: PathBuf,
        /// What was tried: `read`, `written`, `made`.
        what: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The user has no folder for caches.
    #[error("there is no folder for caches: neither XDG_CACHE_HOME nor HOME is set")]
    NoFolder,
}

impl CacheError {
    fn io(path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), what, source }
    }
}

impl Cache {
    /// The cache in `path`, made where it does not exist.
    ///
    /// # Errors
    /// [`CacheError::Io`].
    pub fn at(path: impl Into<PathBuf>) -> Result<Self, CacheError> {
        let path = path.into();
        fs::create_dir_all(&path).map_err(CacheError::io(&path, "made"))?;
        Ok(Self { path })
    }

    /// The user's cache: `$XDG_CACHE_HOME/stoa`, or `~/.cache/stoa`.
    ///
    /// # Errors
    /// [`CacheError`].
    pub fn user() -> Result<Self, CacheError> {
        let folder = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let base = folder("XDG_CACHE_HOME").or_else(|| folder("HOME").map(|home| home.join(".cache")));
        Self::at(base.ok_or(CacheError::NoFolder)?.join("stoa"))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder for compiled code.
    pub fn aot(&self) -> PathBuf {
        self.path.join("aot")
    }

    /// Where the blob with this digest lies, if it is there.
    pub fn artifact_path(&self, digest: Digest) -> PathBuf {
        self.path.join("artifacts").join(digest.to_string())
    }

    /// The document or blob with this digest, where a copy is there and still has it. A copy that does not is
    /// removed: the next fetch replaces it.
    pub(crate) fn content(&self, kind: Kind, digest: Digest) -> Option<Vec<u8>> {
        let path = self.content_path(kind, digest);
        let bytes = fs::read(&path).ok()?;
        if Digest::of(&bytes) == digest {
            return Some(bytes);
        }
        tracing::warn!(path = %path.display(), "a cached copy has changed on disk; it is fetched again");
        let _already_gone = fs::remove_file(&path);
        None
    }

    /// Keeps `bytes` under their digest.
    pub(crate) fn keep(&self, kind: Kind, digest: Digest, bytes: &[u8]) -> Result<PathBuf, CacheError> {
        let path = self.content_path(kind, digest);
        self.replace(&path, bytes)?;
        Ok(path)
    }

    fn content_path(&self, kind: Kind, digest: Digest) -> PathBuf {
        match kind {
            Kind::Document => self.path.join("index").join(digest.to_string()),
            Kind::Artifact => self.artifact_path(digest),
        }
    }

    /// The root that `address` showed when it was first used.
    pub(crate) fn first_use(&self, address: &str) -> Option<Digest> {
        let text = fs::read_to_string(self.first_use_path(address)).ok()?;
        text.trim().parse().ok()
    }

    /// Remembers the root that `address` showed.
    pub(crate) fn remember_first_use(&self, address: &str, root: Digest) -> Result<(), CacheError> {
        self.replace(&self.first_use_path(address), root.to_string().as_bytes())
    }

    fn first_use_path(&self, address: &str) -> PathBuf {
        self.path.join("trust").join(format!("first-use-{}", Digest::of(address.as_bytes()).short(16)))
    }

    /// The folder of what is trusted from the registry with this first root.
    pub(crate) fn trust(&self, root: Digest) -> TrustFolder {
        TrustFolder { cache: self.clone(), path: self.path.join("trust").join(root.short(16)) }
    }

    /// Replaces a file whole: a reader sees the old bytes or the new ones, also after a power loss.
    fn replace(&self, path: &Path, bytes: &[u8]) -> Result<(), CacheError> {
        let folder = path.parent().unwrap_or(&self.path);
        fs::create_dir_all(folder).map_err(CacheError::io(folder, "made"))?;
        let write = || {
            let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
            temporary.write_all(bytes)?;
            temporary.as_file().sync_all()?;
            temporary.persist(path).map_err(|error| error.error)?;
            fs::File::open(folder)?.sync_all()
        };
        write().map_err(CacheError::io(path, "written"))
    }
}

/// What is kept under its digest.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Document,
    Artifact,
}

/// The trust files of one registry.
#[derive(Debug, Clone)]
pub(crate) struct TrustFolder {
    cache: Cache,
    path: PathBuf,
}

impl TrustFolder {
    /// The file of this name, where there is one that can be read.
    pub(crate) fn read(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.path.join(name)).ok()
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), CacheError> {
        self.cache.replace(&self.path.join(name), bytes)
    }

    /// The kept copy of a role's metadata.
    pub(crate) fn role(&self, role: &str) -> Option<Vec<u8>> {
        self.read(&format!("{}.json", quote(role)))
    }

    /// What an updater starts from: the chain of roots, the pointer and its snapshot. Other roles are offered
    /// when a lookup asks for them, so that thousands of bins need not be read.
    pub(crate) fn load(&self) -> CachedTrust {
        let roots = (2..).map_while(|version: u64| Some((version, self.read(&format!("{version}.root.json"))?)));
        let roles = ["timestamp", "snapshot"].into_iter();
        let roles = roles.filter_map(|role| Some((role.to_owned(), self.role(role)?)));
        CachedTrust { roots: roots.collect(), roles: roles.collect() }
    }

    /// Does what an updater has decided.
    pub(crate) fn apply(&self, write: &CacheWrite) -> Result<(), CacheError> {
        match write {
            CacheWrite::Root { version, bytes } => self.write(&format!("{version}.root.json"), bytes),
            CacheWrite::Role { role, bytes } => self.write(&format!("{}.json", quote(role)), bytes),
            CacheWrite::Remove { role } => self.remove(&format!("{}.json", quote(role))),
        }
    }

    /// Removes the file of this name, if there is one.
    pub(crate) fn remove(&self, name: &str) -> Result<(), CacheError> {
        let path = self.path.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(CacheError::io(&path, "removed")(error)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_that_changed_on_disk_is_not_given_out() {
        let dir = tempfile::tempdir().expect("a folder");
        let cache = Cache::at(dir.path().join("deep/cache")).expect("a cache");
        let digest = Digest::of(b"abc");
        let path = cache.keep(Kind::Artifact, digest, b"abc").expect("a copy");
        assert_eq!(cache.content(Kind::Artifact, digest), Some(b"abc".to_vec()));
        fs::write(&path, b"abd").expect("a change");
        assert_eq!(cache.content(Kind::Artifact, digest), None);
        assert!(!path.exists(), "the damaged copy is gone");
    }

    #[test]
    fn a_folder_that_can_not_be_made_is_named() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("file");
        fs::write(&file, b"").expect("a file");
        let error = Cache::at(file.join("cache")).expect_err("no folder below a file");
        assert_eq!(error.to_string(), format!("`{}` in the cache can not be made", file.join("cache").display()));
    }

    #[test]
    fn what_an_updater_decided_is_there_the_next_time() {
        let dir = tempfile::tempdir().expect("a folder");
        let cache = Cache::at(dir.path()).expect("a cache");
        let trust = cache.trust(Digest::of(b"root"));
        let role = |role: &str| CacheWrite::Role { role: role.to_owned(), bytes: role.as_bytes().to_vec() };
        for version in [2, 3, 5] {
            trust.apply(&CacheWrite::Root { version, bytes: vec![version as u8] }).expect("a root");
        }
        for name in ["timestamp", "snapshot", "bin-0f", "../x"] {
            trust.apply(&role(name)).expect("a role");
        }
        let loaded = trust.load();
        assert_eq!(loaded.roots.keys().copied().collect::<Vec<_>>(), [2, 3], "a chain has no gaps");
        assert_eq!(loaded.roles.keys().collect::<Vec<_>>(), ["snapshot", "timestamp"]);
        assert_eq!(trust.role("../x"), Some(b"../x".to_vec()), "a role's name never leaves its folder");
        trust.apply(&CacheWrite::Remove { role: "snapshot".into() }).expect("a removal");
        trust.apply(&CacheWrite::Remove { role: "snapshot".into() }).expect("a removal, again");
        assert_eq!(trust.role("snapshot"), None);
    }
}
