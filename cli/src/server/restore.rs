//! `stoa restore`: a registry from a backup, or from what is left of one, and the events that came after.

use std::path::Path;

use stoa_core::time::Time;
use stoa_indexer::IndexerError;
use stoa_store::{blobs::BlobKey, exclusive::Exclusive, sqlite::SqliteLedger};

use super::{
    backup::Note,
    init::require_empty,
    keys::{self, OnlineKeys},
    left::{Left, Named, Replayed, copy_index, put},
    registry::{Layout, Registry, write_file},
};
use crate::report::{Failure, chain};

/// What came of a restore.
#[derive(Debug)]
pub(crate) struct Restored {
    /// The last event.
    pub(crate) seq: u64,
    /// How many events were replayed from an archive.
    pub(crate) replayed: u64,
    /// A new admin key, where the ledger, and with it every key, had to be made anew.
    pub(crate) admin_key: Option<String>,
    /// How far the index is signed.
    pub(crate) signed: Signing,
}

/// What became of the index.
#[derive(Debug)]
pub(crate) enum Signing {
    /// It is signed up to the last event.
    Done,
    /// The online keys are not there.
    NoKeys,
    /// The ledger does not have what was signed: events are lost.
    Lost(String),
}

/// Makes a registry in `to` of the one in `from`, and of what `newer` has besides.
pub(crate) async fn restore(from: &Path, to: &Path, newer: Option<&Path>, now: Time) -> Result<Restored, Failure> {
    let source = Layout::new(from);
    let name = match Note::read(from)? {
        Some(note) => note.name,
        None if source.settings().exists() => source.read_settings()?.name,
        None => "Stoa".to_owned(),
    };
    let root = source.read_root()?;
    require_empty(to)?;
    std::fs::create_dir_all(to)
        .map_err(|e| Failure::new(format!("the folder `{}` can not be made: {e}", to.display())))?;
    let layout = Layout::new(to);
    let _alone = Exclusive::take(to)?;
    write_file(&layout.root(), &root)?;
    let has_keys = keys::copy_online(from, to)?;
    let had_ledger = source.ledger().exists();
    if had_ledger {
        copy_ledger(&source, &layout).await?;
    }
    let registry = Registry::open(&layout).await?;
    let (from, newer) = (Left::new(from), newer.map(Left::new));
    let left: Vec<&Left> = std::iter::once(&from).chain(&newer).collect();
    let (named, _) = Named::by(&*registry.ledger, async |_| Ok(())).await?;
    let hint = "another copy of the registry may have it: name that folder with `--newer`";
    named.bring(&left, &*registry.blobs).await.map_err(|missing| missing.hint(hint))?;
    let Replayed { count, stopped } = Replayed::by(&*registry.ledger, &*registry.blobs, &left).await?;
    let seq = registry.ledger.head().await?.seq;
    if seq == 0 {
        return Err(Failure::new("nothing is left of the log: neither a ledger nor its first event was found"));
    }
    for left in left.iter().rev() {
        copy_index(left, &*registry.blobs).await?;
    }
    let admin_key = match had_ledger {
        true => None,
        false => Some(stoa_api::recovery_admin_key(&*registry.ledger, now).await?.reveal().to_string()),
    };
    let signed = match (stopped, has_keys) {
        (Some(why), _) => {
            keep_rest(&left, seq, &registry).await?;
            Signing::Lost(why)
        }
        (None, true) => sign(&registry, &layout, &name, &root, now).await?,
        (None, false) => Signing::NoKeys,
    };
    layout.write_settings(&name)?;
    Ok(Restored { seq, replayed: count, admin_key, signed })
}

/// Keeps the archived events that could not be replayed: they show how far the log once went, and a later copy of what
/// they name makes them whole.
async fn keep_rest(left: &[&Left], head: u64, registry: &Registry) -> Result<(), Failure> {
    for archive in left {
        for seq in archive.events()?.into_iter().filter(|seq| *seq > head) {
            let key = BlobKey::Event(seq);
            if let (Some(event), None) = (archive.event(seq)?, registry.blobs.head(&key).await?) {
                put(&*registry.blobs, &key, event.bytes().to_vec().into()).await?;
            }
        }
    }
    Ok(())
}

async fn copy_ledger(from: &Layout, to: &Layout) -> Result<(), Failure> {
    if Note::read(from.dir())?.is_none() {
        return Ok(SqliteLedger::copy(&from.ledger(), &to.ledger()).await?);
    }
    // At rest it is one file, which may lie where nothing can be written.
    let (from, to) = (from.ledger(), to.ledger());
    let copy = || {
        std::fs::copy(&from, &to)?;
        std::fs::set_permissions(&to, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        std::fs::File::open(&to)?.sync_all()
    };
    copy().map_err(|e: std::io::Error| Failure::new(format!("`{}` can not be copied: {e}", from.display())))
}

async fn sign(registry: &Registry, layout: &Layout, name: &str, root: &[u8], now: Time) -> Result<Signing, Failure> {
    let follower = registry.follower(name, OnlineKeys::load(layout.dir())?, root, None);
    match follower.catch_up(now).await {
        Ok(_) => {
            follower.update_pages().await?;
            Ok(Signing::Done)
        }
        Err(error @ (IndexerError::Behind { .. } | IndexerError::Forked { .. })) => Ok(Signing::Lost(chain(&error))),
        Err(error) => Err(error.into()),
    }
}
