//! A folder of compiled code that only this user can have written.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
    time::Duration,
};

use stoa_core::digest::Digest;
use wasmtime::{Engine, component::Component};

use super::{
    file::{Distrusted, Owner, Refusal, TEMPORARY, sync_folder, write_whole},
    map,
    record::{Keys, MAX_RECORD, Record},
};

/// The file with the secret that authenticates all others.
const SECRET: &str = "mac.key";
/// Where rejected files are put: kept for whoever looks into it, never read again.
const QUARANTINE: &str = "quarantine";

/// Compiled code by key: `KEY.code`, and `KEY.record` that says what it should be. The record is written
/// last, so code without one is an accident that nobody sees.
pub(super) struct Cache {
    folder: PathBuf,
    owner: Owner,
    keys: Keys,
}

/// What the cache has.
pub(super) enum Found {
    /// The code, authenticated and mapped.
    Code(Component),
    /// None.
    Nothing,
    /// Something that failed this check, and was put aside.
    Rejected(String),
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

    /// The code stored under `key` for `artifact`.
    pub(super) fn find(&self, engine: &Engine, key: &Digest, artifact: Digest) -> Found {
        let record = match self.owner.open(&self.path(key, "record"), false) {
            Ok(file) => file,
            Err(Refusal::Missing) => return Found::Nothing,
            Err(refusal) => return self.reject(key, format!("the record {refusal}")),
        };
        match self.load(engine, key, artifact, &record) {
            Ok(component) => Found::Code(component),
            Err(reason) => self.reject(key, reason),
        }
    }

    fn load(&self, engine: &Engine, key: &Digest, artifact: Digest, record: &File) -> Result<Component, String> {
        let mut bytes = Vec::new();
        // One byte more than may be there, to see that there is more.
        record.take(MAX_RECORD + 1).read_to_end(&mut bytes).map_err(|e| format!("the record can not be read: {e}"))?;
        let record = Record::unseal(&bytes, &self.keys).map_err(|reason| format!("the record {reason}"))?;
        // A sealed record under another name: an old one copied over a new one, say.
        if (&record.key, record.artifact) != (key, artifact) {
            return Err("the record is about other code".into());
        }
        let path = self.path(key, "code");
        let file = self.owner.open(&path, false).map_err(|refusal| format!("the code {refusal}"))?;
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
        map::from_file(engine, &file, &path).map_err(|e| format!("the engine refuses the code: {e:#}"))
    }

    /// Keeps `code`, compiled from `artifact`, under `key`.
    pub(super) fn keep(&self, key: &Digest, artifact: Digest, code: &[u8]) -> io::Result<()> {
        let mac = self.keys.mac(code)?.to_hex().to_string();
        let record = Record { key: *key, artifact, length: code.len() as u64, mac };
        write_whole(&self.folder, &format!("{key}.code"), code)?;
        write_whole(&self.folder, &format!("{key}.record"), &record.seal(&self.keys)?)
    }

    /// Puts both files of `key` aside, the record first, so that a crash between leaves no pair.
    fn reject(&self, key: &Digest, reason: String) -> Found {
        for kind in ["record", "code"] {
            let path = self.path(key, kind);
            let aside = self.folder.join(QUARANTINE).join(format!("{key}.{kind}"));
            if fs::rename(&path, aside).is_err() {
                // What can not be moved must at least not be found again; if that fails too, it is rejected again.
                let _ = fs::remove_file(&path);
            }
        }
        let _ = sync_folder(&self.folder);
        Found::Rejected(reason)
    }

    fn path(&self, key: &Digest, kind: &str) -> PathBuf {
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
