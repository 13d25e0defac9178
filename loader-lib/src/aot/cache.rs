//! A folder of compiled code that only this user can have written.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use stoa_core::digest::Digest;
use wasmtime::{Engine, component::Component};

use super::{
    file::{Distrusted, Owner, Refusal, TEMPORARY, sync_folder, write_whole},
    lease::{Asked, Lease},
    map,
    record::{Keys, MAX_RECORD, Record},
    scan::Scan,
};

/// The file with the secret that authenticates all others.
const SECRET: &str = "mac.key";
/// Where rejected files are put: kept for whoever looks into it, never read again.
pub(super) const QUARANTINE: &str = "quarantine";
/// How exactly it is known when something was used last: a write to the disk for each use would be more than that is worth.
const USED: Duration = Duration::from_secs(60);

/// Compiled code by key: `KEY.code`, and `KEY.record` that says what it should be. The record is written
/// last, so code without one is an accident that nobody sees. Both are written, put aside and removed under `KEY.lease`.
pub(super) struct Cache {
    pub(super) folder: PathBuf,
    pub(super) owner: Owner,
    keys: Keys,
}

/// What the cache has.
pub(super) enum Found {
    /// The code, authenticated and mapped.
    Code(Component, InUse),
    /// None.
    Nothing,
    /// Something that fails this check.
    Wrong(String),
}

/// A file of code that is mapped here. As long as this lives, no process evicts it.
#[derive(Debug, Clone)]
pub(crate) struct InUse {
    _locked: Arc<File>,
}

/// Code that is what its record says.
pub(super) struct Authentic {
    pub(super) record: Record,
    file: File,
    path: PathBuf,
}

impl Cache {
    /// Opens `folder`, making it and the user's secret where they are missing.
    pub(super) fn open(folder: PathBuf) -> io::Result<Self> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&folder)?;
        builder.create(folder.join(QUARANTINE))?;
        let owner = Owner::of_this_process(&folder)?;
        owner.check_folder(&folder)?;
        sweep(&folder);
        let keys = Keys::derived(&secret(&folder, owner)?);
        Ok(Self { folder, owner, keys })
    }

    /// The code stored under `key` for `artifact`. Changes nothing: what is wrong may be what somebody is writing.
    pub(super) fn find(&self, engine: &Engine, key: &Digest, artifact: Digest) -> Found {
        let load = || {
            let Some(found) = self.authenticate(key)? else { return Ok(None) };
            // A sealed record under another name: an old one copied over a new one, say.
            if found.record.artifact != artifact {
                return Err("the record is about other code".into());
            }
            let refused = |e| format!("the engine refuses the code: {e:#}");
            let component = map::from_file(engine, &found.file, &found.path).map_err(refused)?;
            self.used(key);
            Ok(Some((component, InUse { _locked: Arc::new(found.file) })))
        };
        match load() {
            Ok(Some((component, in_use))) => Found::Code(component, in_use),
            Ok(None) => Found::Nothing,
            Err(reason) => Found::Wrong(reason),
        }
    }

    /// The code stored under `key`, checked against its record and locked against eviction, but not mapped.
    pub(super) fn authenticate(&self, key: &Digest) -> Result<Option<Authentic>, String> {
        let Some(record) = self.record(key)? else { return Ok(None) };
        let path = self.path(key, "code");
        let file = self.owner.open(&path, false).map_err(|refusal| format!("the code {refusal}"))?;
        match file.try_lock_shared() {
            // Where there are no locks nobody evicts either.
            Ok(()) | Err(TryLockError::Error(_)) => {}
            Err(TryLockError::WouldBlock) => return Err("the code is being evicted".into()),
        }
        let unreadable = |e: io::Error| format!("the code can not be read: {e}");
        let length = file.metadata().map_err(unreadable)?.len();
        if length != record.length {
            return Err(format!("the code has {length} bytes and should have {}", record.length));
        }
        let mac = self.keys.mac(&file).map_err(unreadable)?;
        let expected = blake3::Hash::from_hex(&record.mac).map_err(|_| "the record has no MAC of the code")?;
        if mac != expected {
            return Err("the code has a wrong MAC".into());
        }
        Ok(Some(Authentic { record, file, path }))
    }

    /// What is known of the code under `key`.
    pub(super) fn record(&self, key: &Digest) -> Result<Option<Record>, String> {
        let file = match self.owner.open(&self.path(key, "record"), false) {
            Ok(file) => file,
            Err(Refusal::Missing) => return Ok(None),
            Err(refusal) => return Err(format!("the record {refusal}")),
        };
        let mut bytes = Vec::new();
        // One byte more than may be there, to see that there is more.
        let most = MAX_RECORD as u64 + 1;
        file.take(most).read_to_end(&mut bytes).map_err(|e| format!("the record can not be read: {e}"))?;
        let record = Record::unseal(&bytes, &self.keys).map_err(|reason| format!("the record {reason}"))?;
        match record.key == *key {
            true => Ok(Some(record)),
            false => Err("the record is about other code".into()),
        }
    }

    /// Remembers that the code under `key` was used now.
    fn used(&self, key: &Digest) {
        // Who can not write that down uses it all the same.
        let Ok(record) = self.owner.open(&self.path(key, "record"), false) else { return };
        let before = record.metadata().and_then(|metadata| metadata.modified());
        if before.is_ok_and(|before| before.elapsed().is_ok_and(|age| age < USED)) {
            return;
        }
        let _ = record.set_modified(SystemTime::now());
    }

    /// Asks for the right to change what is stored under `key`.
    pub(super) fn ask(&self, key: Digest) -> io::Result<Asked> {
        Lease::ask(key, self.path(&key, "lease"))
    }

    /// Keeps `code`, compiled from `artifact`.
    pub(super) fn keep(&self, lease: &Lease, artifact: Digest, scan: Scan, code: &[u8]) -> io::Result<()> {
        let key = lease.key();
        let mac = self.keys.mac(code)?.to_hex().to_string();
        let record = Record { key: *key, artifact, length: code.len() as u64, mac, scan }.seal(&self.keys)?;
        // An older record first: between the two writes there is none, rather than one about other code.
        self.remove(key, "record")?;
        write_whole(&self.folder, &format!("{key}.code"), code)?;
        write_whole(&self.folder, &format!("{key}.record"), &record)
    }

    /// Puts both files aside, the record first, so that a crash between leaves no pair.
    pub(super) fn reject(&self, lease: &Lease) {
        let key = lease.key();
        for kind in ["record", "code"] {
            let aside = self.folder.join(QUARANTINE).join(format!("{key}.{kind}"));
            if fs::rename(self.path(key, kind), aside).is_err() {
                // What can not be moved must at least not be found again; if that fails too, it is rejected again.
                let _ = self.remove(key, kind);
            }
        }
        let _ = sync_folder(&self.folder);
    }

    pub(super) fn remove(&self, key: &Digest, kind: &str) -> io::Result<()> {
        match fs::remove_file(self.path(key, kind)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    pub(super) fn path(&self, key: &Digest, kind: &str) -> PathBuf {
        self.folder.join(format!("{key}.{kind}"))
    }
}

/// Whether nothing can be written, for a reason that has to do with the disk and not with who else writes there.
pub(super) fn unwritable(error: &io::Error) -> bool {
    use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    let distrusted = error.get_ref().is_some_and(|inner| inner.is::<Distrusted>());
    matches!(error.kind(), PermissionDenied | QuotaExceeded | ReadOnlyFilesystem | StorageFull) && !distrusted
}

/// Removes what processes left behind that ended while they wrote. A day is longer than any of them takes.
fn sweep(folder: &Path) {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let age = entry.metadata().and_then(|metadata| metadata.modified()).map(|time| time.elapsed());
        let left_behind = entry.file_name().to_string_lossy().starts_with(TEMPORARY);
        if left_behind && matches!(age, Ok(Ok(age)) if age > DAY) {
            // If it can not be removed it does no harm either.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The user's secret: 32 random bytes in a file that nobody else can read.
fn secret(folder: &Path, owner: Owner) -> io::Result<[u8; 32]> {
    let path = folder.join(SECRET);
    loop {
        match owner.open(&path, true) {
            Ok(mut file) => {
                let mut secret = [0; 32];
                file.read_exact(&mut secret)?;
                return Ok(secret);
            }
            Err(Refusal::Missing) => make_secret(folder, &path)?,
            Err(refusal) => {
                return Err(Distrusted(format!("{SECRET} {refusal}")).into());
            }
        }
    }
}

/// Makes the secret whole or not at all; of two processes that try, the second takes the first one's.
fn make_secret(folder: &Path, path: &Path) -> io::Result<()> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(io::Error::other)?;
    let mut file = tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(folder)?;
    io::Write::write_all(&mut file, &secret)?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Ok(_) => sync_folder(folder),
        Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(e.error),
    }
}
