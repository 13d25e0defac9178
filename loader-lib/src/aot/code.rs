//! The cache of compiled code as people look after it: what is in it, whether it is as it was written, and how large it
//! may be. Hosts use it by [`HostBuilder::code_cache`](crate::HostBuilder::code_cache).
//!
//! Several processes may do all of this at a time, beside hosts that load and compile.

use std::{path::PathBuf, time::SystemTime};

use stoa_core::digest::Digest;

use super::{cache::Cache, evict::Aside, lease::Asked};
pub use super::{
    evict::{Hold, Pruned, PutAside},
    scan::Scan,
};
use crate::error::LoaderError;

/// What a host keeps at most, where it says nothing else: 2 GiB.
pub const DEFAULT_BYTES: u64 = 2 * 1024 * 1024 * 1024;

/// A folder of compiled code.
pub struct CodeCache {
    cache: Cache,
    path: String,
}

/// A compiled component.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What it is stored under: all that the code depends on.
    pub key: Digest,
    /// The component it was compiled from, and what a scan of that said; or why its record says nothing.
    pub record: Result<(Digest, Scan), String>,
    /// Bytes of its files.
    pub bytes: u64,
    /// When it was used last, to the minute.
    pub used: SystemTime,
    /// Who holds it now.
    pub hold: Hold,
}

/// What was found out about a compiled component.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It is as it was written.
    Whole,
    /// It is not, for this reason, and was put aside.
    PutAside(String),
    /// It is being written or removed, and was not looked at.
    Busy,
}

impl CodeCache {
    /// The cache in `folder`, made where there is none.
    ///
    /// # Errors
    /// [`LoaderError::AotFolder`]: the folder is not this user's alone, or can not be made.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, LoaderError> {
        let folder = folder.into();
        let path = folder.display().to_string();
        match Cache::open(folder) {
            Ok(cache) => Ok(Self { cache, path }),
            Err(source) => Err(LoaderError::AotFolder { path, source }),
        }
    }

    /// Everything that is compiled, what was used last first.
    ///
    /// # Errors
    /// [`LoaderError::AotFolder`]: the folder can not be read.
    pub fn entries(&self) -> Result<Vec<Entry>, LoaderError> {
        let stored = self.told(self.cache.stored())?.into_iter().filter(|(_, stored)| stored.whole);
        let mut entries: Vec<_> = stored
            .map(|(key, stored)| {
                let record = match self.cache.record(&key) {
                    Ok(Some(record)) => Ok((record.artifact, record.scan)),
                    Ok(None) => Err("the record is gone".to_owned()),
                    Err(reason) => Err(reason),
                };
                Entry { key, record, bytes: stored.bytes, used: stored.used, hold: self.cache.hold(key) }
            })
            .collect();
        entries.sort_by_key(|entry| (std::cmp::Reverse(entry.used), entry.key));
        Ok(entries)
    }

    /// What was not as it was written and is kept for whoever looks into it, oldest first.
    ///
    /// # Errors
    /// [`LoaderError::AotFolder`]: the folder can not be read.
    pub fn put_aside(&self) -> Result<Vec<PutAside>, LoaderError> {
        self.told(self.cache.put_aside())
    }

    /// Checks everything that is compiled as a host would before it loads it. What is wrong is put aside.
    ///
    /// # Errors
    /// [`LoaderError::AotFolder`]: the folder can not be read, or what is wrong can not be put aside.
    pub fn verify(&self) -> Result<Vec<(Digest, Verdict)>, LoaderError> {
        let stored = self.told(self.cache.stored())?.into_iter().filter(|(_, stored)| stored.whole);
        let verdict = |key: Digest| match self.cache.authenticate(&key) {
            Ok(_) => Ok::<_, LoaderError>(Verdict::Whole),
            Err(_) => match self.told(self.cache.ask(key))? {
                Asked::Taken(_) => Ok(Verdict::Busy),
                // Once more, now that nobody changes it.
                Asked::Mine(lease) => Ok(match self.cache.authenticate(&key) {
                    Ok(_) => Verdict::Whole,
                    Err(reason) => {
                        self.cache.reject(&lease);
                        Verdict::PutAside(reason)
                    }
                }),
            },
        };
        stored.map(|(key, _)| Ok((key, verdict(key)?))).collect()
    }

    /// Removes what was put aside, what crashes left behind, and what was used longest ago until no more than `most` bytes
    /// are left. Never what some process runs or writes.
    ///
    /// # Errors
    /// [`LoaderError::AotFolder`]: something can not be removed.
    pub fn prune(&self, most: u64) -> Result<Pruned, LoaderError> {
        self.told(self.cache.evict(most, Aside::Removed))
    }

    fn told<T>(&self, outcome: std::io::Result<T>) -> Result<T, LoaderError> {
        outcome.map_err(|source| LoaderError::AotFolder { path: self.path.clone(), source })
    }
}
