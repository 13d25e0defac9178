//! A ceremony comes back, signed: it is put in place.
//!
//! Where online keys change, the order is this. First the ceremony is written down whole (`ceremony/pending.json`), so that
//! whoever starts the registry after a crash goes on with it. Then `targets` and `index`, which nothing names yet; the event;
//! the new online keys; everything that the index signs anew; then the new root; then the pointer. Clients see the old state
//! whole until the new root is there, and the new state whole once the pointer is.

use std::path::Path;

use bytes::Bytes;
use stoa_core::{
    event::{ActorId, Draft, Fact, OfflineRole, Sealed},
    path::{PublicPath, RoleFile},
    time::Time,
    trust::{
        KeyId,
        ceremony::{KeyRole, Offer, OfflineDocument, Standing},
    },
};
use stoa_store::{
    blobs::Put,
    exclusive::{Exclusive, ExclusiveError},
    ledger::{OperationId, Transaction},
};

use super::{
    ceremony,
    init::file,
    installed::installed,
    keys::{self, OnlineKeys},
    left::Named,
    registry::{Layout, Registry, write_file},
};
use crate::report::{Failure, chain};

/// What came of an import.
#[derive(Debug)]
pub(crate) enum Imported {
    /// It was put in place by this event, and so many online keys changed. Signed, where nobody serves meanwhile.
    Done { seq: u64, online: Vec<&'static str>, signed: bool },
    /// It had been put in place before.
    Already,
    /// It would be, and nothing was changed.
    Rehearsed,
}

/// Puts a signed ceremony in place.
pub(crate) async fn import(dir: &Path, offer: &Offer, dry_run: bool, now: Time) -> Result<Imported, Failure> {
    let layout = Layout::new(dir);
    let settings = layout.read_settings()?;
    let _alone = alone(&layout)?;
    let served = Exclusive::take(dir);
    let free = served.is_ok();
    let registry = Registry::open(&layout).await?;
    if !dry_run {
        resume(&layout, &registry, &settings.name, free, now).await?;
    }
    let standing = installed(&registry).await?;
    if offer.is_done_by(&standing) {
        return Ok(Imported::Already);
    }
    require_next(offer, &standing)?;
    let after = offer.complete(now)?;
    if changes_online(&standing, &after) {
        require_online_keys(dir, &after)?;
    }
    if dry_run {
        return Ok(Imported::Rehearsed);
    }
    match served {
        Err(error @ ExclusiveError::InUse { .. }) if changes_online(&standing, &after) => {
            return Err(Failure::new(format!("online keys change, and {}", chain(&error)))
                .hint("stop the registry, import, and start it again: it reads its keys once"));
        }
        Err(error @ ExclusiveError::Io { .. }) => return Err(error.into()),
        _ => {}
    }
    // From here on it is decided: whatever cuts it off, the next start or import goes on with it.
    write_file(&pending(&layout), &offer.to_bytes())?;
    let (seq, online) = apply(&layout, &registry, &settings.name, offer, &after, free, now).await?;
    Ok(Imported::Done { seq, online, signed: free })
}

/// Goes on with a ceremony that was being put in place. `free` says whether nobody serves the registry.
pub(super) async fn resume(
    layout: &Layout,
    registry: &Registry,
    name: &str,
    free: bool,
    now: Time,
) -> Result<(), Failure> {
    let path = pending(layout);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(Failure::new(format!("`{}` can not be read: {e}", path.display()))),
    };
    let offer = Offer::read(&bytes)?;
    // It was complete when it was written down; how old it is by now does not matter.
    let after = offer.complete(Time::from_unix(0))?;
    if event_of(registry, &offer, &after).await?.is_none() {
        require_next(&offer, &installed(registry).await?)?;
    }
    tracing::info!(ceremony = offer.id(), "going on with a ceremony that was cut off");
    apply(layout, registry, name, &offer, &after, free, now).await.map(drop)
}

/// Puts a ceremony in place that is written down. Doing it again does what is missing. Gives its event, and which online
/// keys changed.
async fn apply(
    layout: &Layout,
    registry: &Registry,
    name: &str,
    offer: &Offer,
    after: &Standing,
    free: bool,
    now: Time,
) -> Result<(u64, Vec<&'static str>), Failure> {
    if offer.before().is_some_and(|before| !changes_online(before, after)) {
        // The pointer is as good under the new root as under the old: there is no moment without one.
        put(registry, offer, after, OfflineDocument::Root).await?;
    }
    put(registry, offer, after, OfflineDocument::Targets).await?;
    put(registry, offer, after, OfflineDocument::Index).await?;
    let seq = match event_of(registry, offer, after).await? {
        Some(seq) => seq,
        None => commit(registry, offer, after, now).await?,
    };
    match free {
        true => Ok((seq, finish(layout, registry, name, offer, after, now).await?)),
        false => remove(&pending(layout)).map(|()| (seq, Vec::new())),
    }
}

/// The place of the event that put a ceremony in place, where there is one.
async fn event_of(registry: &Registry, offer: &Offer, after: &Standing) -> Result<Option<u64>, Failure> {
    let installed = roles(offer, after);
    let mut found = None;
    let look = async |event: &Sealed| {
        if matches!(&event.event().fact, Fact::OfflineInstalled { offline } if *offline == installed) {
            found = Some(event.event().seq);
        }
        Ok(())
    };
    Named::by(&*registry.ledger, look).await?;
    Ok(found)
}

fn roles(offer: &Offer, after: &Standing) -> Vec<OfflineRole> {
    let mut offline: Vec<_> = offer.documents().map(|(document, _)| ceremony::role(after, document)).collect();
    offline.sort_unstable();
    offline
}

/// All that follows the event.
async fn finish(
    layout: &Layout,
    registry: &Registry,
    name: &str,
    offer: &Offer,
    after: &Standing,
    now: Time,
) -> Result<Vec<&'static str>, Failure> {
    let named = |id: &KeyId| !after.roster().roles_of(id).is_empty();
    let online = keys::take_next_online(layout.dir(), named)?;
    let follower = registry.follower(name, OnlineKeys::load(layout.dir())?, &layout.read_root()?, None);
    let root = PublicPath::Role(RoleFile {
        version: after.terms(OfflineDocument::Root).version.get(),
        role: OfflineDocument::Root.name().to_owned(),
    });
    follower.prepare(&root, after.bytes(OfflineDocument::Root), now).await?;
    put(registry, offer, after, OfflineDocument::Root).await?;
    follower.catch_up(now).await?;
    follower.update_pages().await?;
    remove(&pending(layout))?;
    Ok(online)
}

/// A ceremony was made of what stood when it was made; another one may have come first.
fn require_next(offer: &Offer, standing: &Standing) -> Result<(), Failure> {
    let Some(before) = offer.before() else {
        return Err(Failure::new(format!("the ceremony {} begins a registry, and changes none", offer.id()))
            .hint("`stoa init --ceremony` is for it"));
    };
    if before.roots().first() != standing.roots().first() {
        return Err(Failure::new(format!(
            "the ceremony {} is of another registry: its first root differs",
            offer.id()
        )));
    }
    for document in OfflineDocument::ALL {
        if before.bytes(document) != standing.bytes(document) {
            let (made, there) = (before.terms(document).version, standing.terms(document).version);
            return Err(Failure::new(format!(
                "the ceremony {} was made when `{document}` was at version {made}, and it is at {there}, or another one",
                offer.id()
            ))
            .hint("make it again from what stands now"));
        }
    }
    Ok(())
}

fn changes_online(before: &Standing, after: &Standing) -> bool {
    let online = KeyRole::ALL.into_iter().filter(|role| !role.is_offline());
    online.into_iter().any(|role| before.roster().signers(role) != after.roster().signers(role))
}

/// A registry without a key that is named can sign nothing: that is found out before anything is changed.
fn require_online_keys(dir: &Path, after: &Standing) -> Result<(), Failure> {
    for role in KeyRole::ALL.into_iter().filter(|role| !role.is_offline()) {
        let signers = after.roster().signers(role);
        let mut there = 0;
        for id in OnlineKeys::all_ids(dir)? {
            there += u64::from(signers.keys().contains_key(&id));
        }
        if there < signers.threshold() {
            return Err(Failure::new(format!(
                "`{role}` would be signed by keys of which this folder has {there}, and {} are needed",
                signers.threshold()
            ))
            .hint("`stoa keys rotate` makes an online key in the registry's own folder"));
        }
    }
    Ok(())
}

/// Puts a document of the ceremony in place. What lies there already is never replaced.
async fn put(registry: &Registry, offer: &Offer, after: &Standing, document: OfflineDocument) -> Result<(), Failure> {
    if !offer.documents().any(|(changed, _)| changed == document) {
        return Ok(());
    }
    let key = file(after, document);
    let bytes = Bytes::copy_from_slice(after.bytes(document));
    if registry.blobs.put_new(&key, bytes.clone()).await? == Put::Created {
        return Ok(());
    }
    let there = registry.blobs.get(&key, u64::MAX).await?;
    if there.is_some_and(|there| there.bytes == bytes) {
        return Ok(());
    }
    Err(Failure::new(format!("`{key}` is there already, with other bytes than the ceremony {} has", offer.id())).hint(
        "if an import was cut off, import the same files again; otherwise find out who wrote it before anything else",
    ))
}

async fn commit(registry: &Registry, offer: &Offer, after: &Standing, now: Time) -> Result<u64, Failure> {
    let offline = roles(offer, after);
    let draft = Draft { actor: ActorId::registry(), fact: Fact::OfflineInstalled { offline }, private: None };
    let transaction = Transaction { operation: OperationId::random()?, draft: Some(draft), writes: Vec::new() };
    let committed = registry.ledger.commit(&transaction, now).await?;
    let event = committed.event.ok_or_else(|| Failure::new("the ledger gave no place to the ceremony"))?;
    Ok(event.event().seq)
}

/// Two imports at once would both be the next.
fn alone(layout: &Layout) -> Result<Exclusive, Failure> {
    let folder = layout.ceremony();
    std::fs::create_dir_all(&folder)
        .map_err(|e| Failure::new(format!("the folder `{}` can not be made: {e}", folder.display())))?;
    Ok(Exclusive::take(&folder)?)
}

fn pending(layout: &Layout) -> std::path::PathBuf {
    layout.ceremony().join("pending.json")
}

fn remove(path: &Path) -> Result<(), Failure> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::new(format!("`{}` can not be removed: {e}", path.display())))
        }
        _ => Ok(()),
    }
}
