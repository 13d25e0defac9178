//! `stoa backup`: what can not be made again, copied while the registry runs.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use stoa_core::{digest::Digest, time::Time};
use stoa_store::{
    blobs::{BlobKey, Blobs as _},
    exclusive::{Exclusive, LOCK_FILE},
    folder::FolderBlobs,
    ledger::Ledger as _,
    sqlite::SqliteLedger,
};

use super::{
    keys,
    left::{Left, Named, put},
    registry::{Layout, Settings, write_file},
};
use crate::report::Failure;

/// The format of `backup.toml`.
const FORMAT: u32 = 1;

/// `backup.toml`: written last, so that a folder without it is no whole backup.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Note {
    pub(super) format: u32,
    /// What the registry is called on its pages.
    pub(super) name: String,
    /// The last event in it.
    pub(super) seq: u64,
    /// The hash of that event.
    pub(super) head: Digest,
    /// When it was made.
    pub(super) made_at: Time,
}

impl Note {
    pub(super) fn path(folder: &Path) -> PathBuf {
        folder.join("backup.toml")
    }

    /// Reads it; `None` where there is none.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>, Failure> {
        let path = Self::path(folder);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Failure::new(format!("`{}` can not be read: {e}", path.display()))),
        };
        let note: Self = toml::from_str(&text)
            .map_err(|e| Failure::new(format!("`{}` can not be read: {}", path.display(), e.message())))?;
        if note.format != FORMAT {
            let found = note.format;
            return Err(Failure::new(format!(
                "the backup in `{}` has format {found}, and this program knows format {FORMAT}",
                folder.display()
            )));
        }
        Ok(Some(note))
    }
}

/// What a backup holds now.
#[derive(Debug)]
pub(crate) struct BackedUp {
    /// The last event in it.
    pub(crate) seq: u64,
    /// Blobs of releases in it.
    pub(crate) blobs: usize,
    /// How many of them were copied this time.
    pub(crate) copied: u64,
    /// Their bytes.
    pub(crate) copied_bytes: u64,
    /// Whether the online keys are in it.
    pub(crate) keys: bool,
}

/// Brings the backup in `to` to where the registry in `dir` is.
pub(crate) async fn backup(dir: &Path, to: &Path, with_keys: bool, now: Time) -> Result<BackedUp, Failure> {
    let layout = Layout::new(dir);
    let settings = layout.read_settings()?;
    let root = layout.read_root()?;
    let before = prepare(dir, to, &root)?;
    let _alone = Exclusive::take(to)?;
    let target = Layout::new(to);
    write_file(&target.root(), &root)?;
    // First the ledger: whatever it names is in place already, and stays.
    let fresh = to.join("ledger.sqlite.new");
    remove_ledger(&fresh)?;
    SqliteLedger::copy(&layout.ledger(), &fresh).await?;
    let ledger = SqliteLedger::open(&fresh).await?;
    require_continued(&ledger, before.as_ref(), to).await?;
    let blobs = FolderBlobs::open(&target.blobs()).await?;
    let (named, head) = Named::by(&ledger, async |_| Ok(())).await?;
    let hint = "the registry itself has lost it: put a whole copy back, for instance from an earlier backup";
    let brought = named.bring(&[&Left::new(dir)], &blobs).await;
    let (copied, copied_bytes) = brought.map_err(|missing| missing.hint(hint))?;
    // After the blobs: an archived event that is in no ledger yet can be replayed already.
    let archive = async |event: &stoa_core::event::Sealed| {
        let key = BlobKey::Event(event.event().seq);
        match blobs.head(&key).await? {
            Some(meta) if meta.size == event.bytes().len() as u64 => Ok(()),
            _ => put(&blobs, &key, event.bytes().to_vec().into()).await,
        }
    };
    Named::by(&ledger, archive).await?;
    let keys = with_keys && keys::copy_online(dir, to)?;
    drop(ledger);
    // The last connection has folded everything into the one file.
    swap(&fresh, &target.ledger())?;
    let Settings { name, .. } = settings;
    let note = Note { format: FORMAT, name, seq: head.seq, head: head.hash, made_at: now };
    write_file(&Note::path(to), toml::to_string(&note)?.as_bytes())?;
    Ok(BackedUp { seq: head.seq, blobs: named.blobs.len(), copied, copied_bytes, keys })
}

/// Checks that `to` is empty or has a backup of the same registry. Gives what is noted there.
fn prepare(dir: &Path, to: &Path, root: &[u8]) -> Result<Option<Note>, Failure> {
    let shown = to.display();
    let failed = |e: std::io::Error| Failure::new(format!("the folder `{shown}` can not be used: {e}"));
    // A folder that is not there yet lies where its nearest ancestor that is there lies.
    let whole = std::path::absolute(to).map_err(failed)?;
    let there = whole.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    let (inner, outer) = (there.canonicalize().map_err(failed)?, dir.canonicalize().map_err(failed)?);
    let exists = there == whole;
    if inner.starts_with(&outer) || (exists && outer.starts_with(&inner)) {
        return Err(Failure::new(format!("`{shown}` and `{}` lie one in the other", dir.display()))
            .hint("a backup goes to a folder of its own, best on another disk"));
    }
    std::fs::create_dir_all(to).map_err(failed)?;
    if Layout::new(to).settings().exists() {
        return Err(Failure::new(format!("there is a registry in `{shown}`, and no backup")));
    }
    // The lock is all that is left of one that had only just begun.
    let entries: Vec<_> = std::fs::read_dir(to).map_err(failed)?.collect::<Result<_, _>>().map_err(failed)?;
    let empty = entries.iter().all(|entry| entry.file_name() == LOCK_FILE);
    match std::fs::read(Layout::new(to).root()) {
        Ok(there) if there == root => {}
        Ok(_) => {
            return Err(Failure::new(format!(
                "the backup in `{shown}` is of another registry: its first root differs"
            )));
        }
        Err(_) if empty => {}
        Err(_) => return Err(Failure::new(format!("the folder `{shown}` is not empty, and there is no backup in it"))),
    }
    // Hashes of keys, private parts and online keys will be in it.
    std::fs::set_permissions(to, std::os::unix::fs::PermissionsExt::from_mode(0o700)).map_err(failed)?;
    Note::read(to)
}

/// An older backup may be all that is left of events that this registry has given up: it is not overwritten.
async fn require_continued(ledger: &SqliteLedger, before: Option<&Note>, to: &Path) -> Result<(), Failure> {
    let Some(Note { seq, head, .. }) = before else { return Ok(()) };
    let there = ledger.events(seq.saturating_sub(1), 1).await?;
    if there.first().is_some_and(|event| event.event().seq == *seq && event.head().hash == *head) {
        return Ok(());
    }
    let shown = to.display();
    Err(Failure::new(format!("the backup in `{shown}` ends with event {seq}, which this registry does not have"))
        .hint("it may be the only copy of lost events: keep it, and begin another backup in a new folder"))
}

fn remove_ledger(path: &Path) -> Result<(), Failure> {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match std::fs::remove_file(&name) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(Failure::new(format!("`{}` can not be removed: {e}", Path::new(&name).display())));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Renames a ledger at rest. A log beside it would be taken for the log of whatever gets its name.
fn swap(from: &Path, to: &Path) -> Result<(), Failure> {
    let mut log = from.as_os_str().to_owned();
    log.push("-wal");
    if Path::new(&log).exists() {
        return Err(Failure::new(format!("`{}` is not at rest: it has a log beside it", from.display())));
    }
    let rename = || {
        std::fs::File::open(from)?.sync_all()?;
        std::fs::rename(from, to)?;
        to.parent().map_or(Ok(()), |folder| std::fs::File::open(folder)?.sync_all())
    };
    rename().map_err(|e: std::io::Error| Failure::new(format!("`{}` can not be put in place: {e}", to.display())))
}
