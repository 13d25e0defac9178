//! Ceremonies begin at the registry: what is to be signed is made of what stands.

use std::path::Path;

use stoa_core::{
    time::{DAY, Time},
    trust::{
        PublicKey,
        ceremony::{KeyRole, Offer, OfflineDocument},
        writer::Signers,
    },
};

use super::{
    ceremony,
    installed::installed,
    keys::{Holder, ONLINE, OnlineKeys, next_online},
    registry::{Layout, Registry},
};
use crate::report::Failure;

/// What is to be changed.
#[derive(Debug)]
pub(crate) enum Change {
    /// Keys come to a role, or another threshold, or both.
    Add { role: KeyRole, keys: Vec<PublicKey>, threshold: Option<u64> },
    /// A key goes from a role.
    Remove { role: KeyRole, key: String, threshold: Option<u64> },
    /// A key takes the place of another one, wherever that signs.
    Replace { role: KeyRole, old: String, new: PublicKey },
    /// A new online key of the registry takes the place of the one that it has.
    RotateOnline { role: KeyRole },
    /// Nothing but the expiry.
    Renew { documents: Vec<OfflineDocument> },
}

/// Makes the online keys in `dir`, where they are not there yet, and the first documents of a registry.
pub(crate) fn begin(
    dir: &Path,
    root: Vec<PublicKey>,
    targets: Vec<PublicKey>,
    threshold: u64,
    expires: Time,
) -> Result<Offer, Failure> {
    let layout = Layout::new(dir);
    if layout.settings().exists() {
        return Err(Failure::new(format!("there is a registry in `{}` already", dir.display()))
            .hint("`stoa keys add`, `remove`, `rotate` and `renew` change its keys"));
    }
    let (root, targets) = (Signers::new(root, threshold)?, Signers::new(targets, threshold)?);
    let there = Holder::Signer.folder(dir).exists();
    let online = if there { OnlineKeys::load(dir)? } else { OnlineKeys::generate(dir)? };
    ceremony::offer(root, targets, &online, expires)
}

/// Makes the documents of a change. The registry may run; nothing of it is changed, but that a new online key waits in
/// its folder where one is asked for.
pub(crate) async fn propose(dir: &Path, change: Change, days: u32, now: Time) -> Result<Offer, Failure> {
    let layout = Layout::new(dir);
    layout.read_settings()?;
    let registry = Registry::open(&layout).await?;
    let standing = installed(&registry).await?;
    let mut roster = standing.roster().clone();
    let mut renewed = Vec::new();
    match change {
        Change::Add { role, keys, threshold } => roster.add(role, &keys, threshold)?,
        Change::Remove { role, key, threshold } => roster.remove(role, &key, threshold)?,
        Change::Replace { role, old, new } => {
            let old = roster.find(role, &old)?;
            roster.replace(&old, &new)?;
        }
        Change::RotateOnline { role } => {
            let name = online_name(role, dir, &standing)?;
            let old = OnlineKeys::id(dir, name)?;
            roster.replace(&old, next_online(dir, name)?.public())?;
        }
        Change::Renew { documents } => renewed = documents,
    }
    let expires = now.plus(i64::from(days) * DAY);
    Ok(Offer::change(standing, roster, &renewed, expires)?)
}

/// The online key of this registry that signs `role`: the one of that name, or another one that has two offices.
fn online_name(
    role: KeyRole,
    dir: &Path,
    standing: &stoa_core::trust::ceremony::Standing,
) -> Result<&'static str, Failure> {
    let signs = |name: &&&str| -> bool {
        OnlineKeys::id(dir, name).is_ok_and(|id| standing.roster().signers(role).keys().contains_key(&id))
    };
    let named = ONLINE.iter().find(|name| **name == role.name()).filter(signs);
    named.or_else(|| ONLINE.iter().find(signs)).copied().ok_or_else(|| {
        Failure::new(format!("no online key in this folder signs `{role}`"))
            .hint("an offline key is rotated with `--old KEY-ID --key FILE`")
    })
}
