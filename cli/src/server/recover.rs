//! `stoa recover`: a ledger that lacks what was signed is made whole, or what is lost is given up.

use std::path::Path;

use stoa_core::{
    event::{ActorId, Draft, Fact, check_reason},
    time::Time,
};
use stoa_indexer::IndexerError;
use stoa_store::{
    blobs::BlobKey,
    exclusive::Exclusive,
    ledger::{OperationId, Transaction},
};

use super::{
    keys::OnlineKeys,
    left::{Left, Replayed},
    registry::{Layout, Registry},
};
use crate::report::{Failure, chain};

/// What an operator says of the loss.
#[derive(Debug)]
pub(crate) struct Loss<'a> {
    /// What is left of a newer state.
    pub(crate) newer: Option<&'a Path>,
    /// Why events are given up. Without it nothing is.
    pub(crate) reason: Option<&'a str>,
    /// The last event that anybody may have seen signed, where the folder does not show it.
    pub(crate) lost_after: Option<u64>,
}

/// What came of a recovery.
#[derive(Debug)]
pub(crate) struct Recovered {
    /// The last event.
    pub(crate) seq: u64,
    /// How many events were replayed from an archive.
    pub(crate) replayed: u64,
    /// A new admin key, where nothing of the ledger, and so no key, was left.
    pub(crate) admin_key: Option<String>,
    /// The epoch that gives up what is lost, and the last event before it.
    pub(crate) epoch: Option<(u64, u64)>,
}

/// Makes the registry in `dir` whole.
pub(crate) async fn recover(dir: &Path, loss: &Loss<'_>, now: Time) -> Result<Recovered, Failure> {
    loss.reason.map_or(Ok(()), check_reason).map_err(Failure::new)?;
    let layout = Layout::new(dir);
    let settings = layout.read_settings()?;
    let root = layout.read_root()?;
    let _alone = Exclusive::take(dir)?;
    // What events name that are not replayed yet is garbage to a collector.
    let _uncollected = super::gc::alone(&layout)?;
    let _unsigned = super::signer::alone(&layout)?;
    let registry = Registry::open(&layout).await?;
    let (own, newer) = (Left::new(dir), loss.newer.map(Left::new));
    let left: Vec<&Left> = newer.iter().chain([&own]).collect();
    let empty = registry.ledger.head().await?.seq == 0;
    let Replayed { count: replayed, stopped } = Replayed::by(&*registry.ledger, &*registry.blobs, &left).await?;
    let follower = registry.follower(&settings.name, OnlineKeys::load(dir)?, &root, None);
    let head = registry.ledger.head().await?.seq;
    if head == 0 {
        return Err(Failure::new(stopped.unwrap_or_else(|| "nothing is left of the log".to_owned()))
            .hint("name another copy of the registry with `--newer DIR`, or restore a backup"));
    }
    let mut highest = head;
    for left in &left {
        highest = highest.max(left.highest()?);
    }
    // Nothing is signed before that is known: clients would see a rollback.
    let lost = match highest > head {
        true => Some(format!("the ledger ends at event {head}, and files of event {highest} are there")),
        false => match follower.catch_up(now).await {
            Ok(_) => None,
            Err(error @ (IndexerError::Behind { .. } | IndexerError::Forked { .. })) => Some(chain(&error)),
            Err(error) => return Err(error.into()),
        },
    };
    let mut recovered = Recovered { seq: head, replayed, admin_key: None, epoch: None };
    if lost.is_some() || loss.lost_after.is_some() {
        let reason = loss.reason.ok_or_else(|| {
            Failure::new(stopped.or(lost).unwrap_or_default()).hint(
                "if another copy may have the lost events, name it with `--newer DIR`; to give them up, say why with \
                 `--reason TEXT`",
            )
        })?;
        let lost_after = lost_after(loss.lost_after, highest)?;
        set_aside(&registry, &layout, &own).await?;
        recovered.seq = give_up(&registry, lost_after, reason, now).await?;
        recovered.epoch = Some((recovered.seq, head));
        follower.catch_up(now).await?;
    }
    follower.update_pages().await?;
    if empty {
        let key = stoa_api::recovery_admin_key(&*registry.ledger, now).await?;
        recovered.admin_key = Some(key.reveal().to_string());
    }
    Ok(recovered)
}

fn lost_after(asked: Option<u64>, highest: u64) -> Result<u64, Failure> {
    match asked {
        Some(asked) if asked < highest => {
            Err(Failure::new(format!("`--lost-after {asked}` is too low: files of event {highest} are there")))
        }
        asked => Ok(asked.unwrap_or(highest)),
    }
}

/// Moves archived events that the log does not have to `lost/`: the archive is the log's, and a replay of it must not
/// meet what was given up. A person may still want to read them.
async fn set_aside(registry: &Registry, layout: &Layout, own: &Left) -> Result<(), Failure> {
    let folder = layout.dir().join("lost").join("events");
    for seq in own.events()? {
        let bytes = own.read(&BlobKey::Event(seq))?;
        let there = registry.ledger.events(seq.saturating_sub(1), 1).await?;
        if there.first().is_some_and(|event| event.event().seq == seq && bytes.as_deref() == Some(event.bytes())) {
            continue;
        }
        let (from, name) = (layout.blobs().join(BlobKey::Event(seq).path()?), format!("{seq:010}.json"));
        let rename = || {
            std::fs::create_dir_all(&folder)?;
            std::fs::set_permissions(layout.dir().join("lost"), std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
            std::fs::rename(&from, folder.join(&name))
        };
        rename().map_err(|e: std::io::Error| {
            Failure::new(format!("`{}` can not be moved to `{}`: {e}", from.display(), folder.display()))
        })?;
    }
    Ok(())
}

async fn give_up(registry: &Registry, lost_after: u64, reason: &str, now: Time) -> Result<u64, Failure> {
    let fact = Fact::Epoch { lost_after, reason: reason.to_owned() };
    let draft = Draft { actor: ActorId::registry(), fact, private: None };
    let transaction = Transaction { operation: OperationId::random()?, draft: Some(draft), writes: Vec::new() };
    let committed = registry.ledger.commit(&transaction, now).await?;
    let event = committed.event.ok_or_else(|| Failure::new("the ledger gave no place to the epoch"))?;
    Ok(event.event().seq)
}
