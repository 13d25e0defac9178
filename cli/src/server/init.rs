//! `stoa init`: keys, ledger, first signed index.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use stoa_core::{
    digest::Digest,
    event::{ActorId, Draft, Fact},
    path::{PublicPath, RoleFile},
    time::Time,
    trust::ceremony::{KeyRole, Offer, OfflineDocument, Standing},
};
use stoa_store::{
    blobs::BlobKey,
    ledger::{OperationId, Transaction},
};

use super::{
    ceremony,
    keys::{OfflineKeys, OnlineKeys},
    registry::{Layout, Registry, write_file},
};
use crate::report::Failure;

/// What a new registry shows once.
#[derive(Debug)]
pub(crate) struct Initialized {
    /// The first API key, scope `admin`. It is not kept anywhere.
    pub(crate) admin_key: String,
    /// The first root, to be given to hosts.
    pub(crate) root: PathBuf,
    /// Its SHA-256.
    pub(crate) fingerprint: Digest,
    /// The keys that belong on other machines, where they were made here.
    pub(crate) offline_keys: Option<PathBuf>,
}

/// How a registry comes to its offline keys.
#[derive(Debug)]
pub(crate) enum Beginning {
    /// All are made here, as plain files: for a first look.
    KeysHere,
    /// People have signed the first documents elsewhere; the online keys lie in the folder.
    Signed(Box<Offer>),
}

/// Makes a registry in `dir`.
pub(crate) async fn init(dir: &Path, name: &str, beginning: Beginning, now: Time) -> Result<Initialized, Failure> {
    let layout = Layout::new(dir);
    let (standing, online, offline_keys) = match beginning {
        Beginning::KeysHere => {
            require_empty(dir)?;
            std::fs::create_dir_all(dir)
                .map_err(|e| Failure::new(format!("the folder `{}` can not be made: {e}", dir.display())))?;
            let (offline, online) = (OfflineKeys::generate(dir)?, OnlineKeys::generate(dir)?);
            (ceremony::begin(&offline, &online, now)?, online, Some(OfflineKeys::folder(dir)))
        }
        Beginning::Signed(offer) => {
            require_only_keys(dir)?;
            let online = OnlineKeys::load(dir)?;
            require_own(&offer, &online)?;
            (offer.complete(now)?, online, None)
        }
    };
    let root = standing.bytes(OfflineDocument::Root).to_vec();
    let registry = Registry::open(&layout).await?;
    install(&registry, &standing, now).await?;
    let admin_key = stoa_api::bootstrap_admin_key(&*registry.ledger, now).await?.reveal().to_string();
    let follower = registry.follower(name, online, &root, None);
    follower.catch_up(now).await?;
    follower.update_pages().await?;
    write_file(&layout.root(), &root)?;
    layout.write_settings(name)?;
    Ok(Initialized { admin_key, root: layout.root(), fingerprint: Digest::of(&root), offline_keys })
}

/// A folder in which only a ceremony has begun.
fn require_only_keys(dir: &Path) -> Result<(), Failure> {
    let shown = dir.display();
    let entries = std::fs::read_dir(dir)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| Failure::new(format!("the folder `{shown}` can not be read: {e}")))?;
    match entries.iter().any(|entry| entry.file_name() != "keys") {
        false => Ok(()),
        true => require_empty(dir),
    }
}

/// The first documents have to name the online keys of this folder: with others nothing could be signed.
fn require_own(offer: &Offer, online: &OnlineKeys) -> Result<(), Failure> {
    if offer.before().is_some() {
        return Err(Failure::new(format!("the ceremony {} changes a registry, and begins none", offer.id()))
            .hint("`stoa keys import` is for it"));
    }
    for (role, key) in [
        (KeyRole::Snapshot, &online.indexer.snapshot),
        (KeyRole::Bins, &online.indexer.snapshot),
        (KeyRole::Bins, &online.signer.bins),
        (KeyRole::Catalog, &online.indexer.catalog),
        (KeyRole::Catalog, &online.signer.bins),
        (KeyRole::Timestamp, &online.signer.timestamp),
    ] {
        if !offer.roster().signers(role).keys().contains_key(key.id()) {
            return Err(Failure::new(format!(
                "the ceremony {} names other keys for `{role}` than the one in this folder, {}",
                offer.id(),
                key.id().short()
            ))
            .hint("`stoa keys begin` made the online keys in one folder and the ceremony with it: use both"));
        }
    }
    Ok(())
}

pub(super) fn require_empty(dir: &Path) -> Result<(), Failure> {
    let shown = dir.display();
    match std::fs::read_dir(dir) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(Failure::new(format!("the folder `{shown}` can not be read: {e}"))),
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) if Layout::new(dir).settings().exists() => {
                Err(Failure::new(format!("there is a registry in `{shown}` already"))
                    .hint(format!("run it with `stoa serve --dir {shown}`")))
            }
            Some(_) => Err(Failure::new(format!("the folder `{shown}` is not empty"))
                .hint("a registry begins in a folder of its own; an unfinished one can be removed")),
        },
    }
}

/// Puts the offline files in place, then writes the first event, which names them.
async fn install(registry: &Registry, standing: &Standing, now: Time) -> Result<(), Failure> {
    for document in OfflineDocument::ALL {
        let key = file(standing, document);
        let put = registry.blobs.put_new(&key, Bytes::copy_from_slice(standing.bytes(document))).await?;
        if put != stoa_store::blobs::Put::Created {
            return Err(Failure::new(format!("`{key}` is there already: the folder is not a new one")));
        }
    }
    let offline = OfflineDocument::ALL.map(|document| ceremony::role(standing, document)).to_vec();
    let fact = Fact::Genesis { bin_bits: ceremony::BIN_BITS, offline };
    let draft = Draft { actor: ActorId::registry(), fact, private: None };
    let operation: OperationId = "genesis".parse()?;
    registry.ledger.commit(&Transaction { operation, draft: Some(draft), writes: Vec::new() }, now).await?;
    Ok(())
}

/// Where a document lies.
pub(super) fn file(standing: &Standing, document: OfflineDocument) -> BlobKey {
    let version = standing.terms(document).version.get();
    BlobKey::Public(PublicPath::Role(RoleFile { version, role: document.name().to_owned() }))
}
