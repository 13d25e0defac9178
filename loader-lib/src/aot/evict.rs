//! What has to go when the cache grows too large, and what is looked at when people look after it.

use std::{
    collections::BTreeMap,
    fs::{self, DirEntry},
    io,
    time::SystemTime,
};

use stoa_core::digest::Digest;

use super::{
    cache::{Cache, QUARANTINE},
    file::{Refusal, sync_folder},
    lease::{Asked, Lease},
};

/// What is stored under a key, by its files alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) bytes: u64,
    /// When it was used last, to the minute. Code without a record was never used.
    pub(super) used: SystemTime,
    /// Whether it has a record.
    pub(super) whole: bool,
}

/// A file that was put aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutAside {
    /// Its name.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// When it was written.
    pub since: SystemTime,
}

/// What a removal of entries gave.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Compiled components that were removed.
    pub entries: usize,
    /// Files that were removed beside those: what had been put aside, and what crashes had left behind.
    pub others: usize,
    /// Bytes of all of them.
    pub bytes: u64,
    /// Compiled components that would have had to go, but are in use or just being written.
    pub in_use: usize,
    /// Bytes that are left.
    pub left: u64,
}

/// What becomes of what was put aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aside {
    /// It goes before any code does, where something has to go.
    Bounded,
    /// All of it goes.
    Removed,
}

/// Who holds what is stored under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hold {
    /// Nobody.
    Free,
    /// Some process runs it.
    InUse,
    /// Some process writes it.
    Leased,
}

/// The right to remove what is stored under a key, and the lock on its code where it has some.
type Removal = (Lease, Option<fs::File>);

impl Cache {
    /// Everything that is stored, by its key.
    pub(super) fn stored(&self) -> io::Result<BTreeMap<Digest, Stored>> {
        let mut found = BTreeMap::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let Some((key, kind)) = named(&entry) else { continue };
            // Gone since it was listed.
            let Ok(metadata) = entry.metadata() else { continue };
            let none = Stored { bytes: 0, used: SystemTime::UNIX_EPOCH, whole: false };
            let stored = found.entry(key).or_insert(none);
            stored.bytes += metadata.len();
            if kind == Kind::Record {
                stored.used = metadata.modified()?;
                stored.whole = true;
            }
        }
        Ok(found)
    }

    /// What was put aside, oldest first.
    pub(super) fn put_aside(&self) -> io::Result<Vec<PutAside>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(self.folder.join(QUARANTINE))? {
            let entry = entry?;
            let Ok(metadata) = entry.metadata() else { continue };
            let name = entry.file_name().to_string_lossy().into_owned();
            found.push(PutAside { name, bytes: metadata.len(), since: metadata.modified()? });
        }
        found.sort_by(|a, b| (a.since, &a.name).cmp(&(b.since, &b.name)));
        Ok(found)
    }

    /// Removes what crashes left behind, and then what is worth least until no more than `most` bytes are left: what was
    /// put aside, then what was used longest ago. Never what is mapped or leased.
    ///
    /// By unlinking: whoever has it open goes on.
    pub(super) fn evict(&self, most: u64, aside: Aside) -> io::Result<Pruned> {
        let (mut stored, put_aside) = (Vec::from_iter(self.stored()?), self.put_aside()?);
        let sizes = stored.iter().map(|(_, stored)| stored.bytes).chain(put_aside.iter().map(|file| file.bytes));
        let mut pruned = Pruned { left: sizes.sum(), ..Pruned::default() };
        for file in put_aside {
            if aside == Aside::Removed || pruned.left > most {
                match fs::remove_file(self.folder.join(QUARANTINE).join(&file.name)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => pruned.gone(file.bytes).others += 1,
                }
            }
        }
        // Code without a record is the oldest of all. No code at all: a lease, or half of an eviction.
        stored.sort_by_key(|(key, stored)| (stored.used, *key));
        for (key, stored) in stored {
            if stored.whole && pruned.left <= most {
                break;
            }
            match self.removal(key)? {
                Err(Hold::Free) => {}
                Err(_) => pruned.in_use += usize::from(stored.whole),
                Ok((lease, _locked)) => {
                    // A crash between leaves code without a record, and no record without code.
                    self.remove(lease.key(), "record")?;
                    self.remove(lease.key(), "code")?;
                    let pruned = pruned.gone(stored.bytes);
                    match stored.whole {
                        true => pruned.entries += 1,
                        false => pruned.others += 1,
                    }
                }
            }
        }
        sync_folder(&self.folder)?;
        Ok(pruned)
    }

    /// Who holds what is stored under `key`.
    pub(super) fn hold(&self, key: Digest) -> Hold {
        match self.removal(key) {
            // Where nothing can be locked, nothing is known.
            Ok(Ok(_)) | Err(_) => Hold::Free,
            Ok(Err(hold)) => hold,
        }
    }

    /// Takes the right to remove what is stored under `key`, unless somebody holds it.
    fn removal(&self, key: Digest) -> io::Result<Result<Removal, Hold>> {
        let Asked::Mine(lease) = self.ask(key)? else { return Ok(Err(Hold::Leased)) };
        match self.owner.open(&self.path(&key, "code"), false) {
            // Locked by a reader, or on a file system that does not know locks.
            Ok(code) => Ok(match code.try_lock() {
                Ok(()) => Ok((lease, Some(code))),
                Err(_) => Err(Hold::InUse),
            }),
            // What is not trusted is not mapped either.
            Err(Refusal::Missing | Refusal::Distrusted(_)) => Ok(Ok((lease, None))),
            Err(Refusal::Unreadable(error)) => Err(error),
        }
    }
}

impl Pruned {
    fn gone(&mut self, bytes: u64) -> &mut Self {
        self.bytes += bytes;
        self.left = self.left.saturating_sub(bytes);
        self
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    Record,
    Lease,
}

/// The key and kind of a file of the cache, where it is one.
fn named(entry: &DirEntry) -> Option<(Digest, Kind)> {
    let name = entry.file_name();
    let (key, kind) = name.to_str()?.split_once('.')?;
    let kind = match kind {
        "code" => Kind::Code,
        "record" => Kind::Record,
        "lease" => Kind::Lease,
        _ => return None,
    };
    Some((key.parse().ok()?, kind))
}
