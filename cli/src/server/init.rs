//! `stoa init`: keys, ledger, first signed index.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use stoa_core::{
    digest::Digest,
    event::{ActorId, Draft, Fact},
    path::{PublicPath, RoleFile},
    time::Time,
};
use stoa_store::{
    blobs::BlobKey,
    ledger::{OperationId, Transaction},
};

use super::{
    ceremony::{self, OfflineFile},
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
    /// The keys that belong on other machines.
    pub(crate) offline_keys: PathBuf,
}

/// Makes a registry in `dir`.
pub(crate) async fn init(dir: &Path, name: &str, now: Time) -> Result<Initialized, Failure> {
    let layout = Layout::new(dir);
    require_empty(dir)?;
    std::fs::create_dir_all(dir)
        .map_err(|e| Failure::new(format!("the folder `{}` can not be made: {e}", dir.display())))?;
    let (offline, online) = (OfflineKeys::generate(dir)?, OnlineKeys::generate(dir)?);
    let files = ceremony::begin(&offline, &online, now)?;
    let root = files.iter().find(|file| file.role.role == "root").map(|file| file.bytes.clone());
    let root = root.ok_or_else(|| Failure::new("the ceremony made no root"))?;
    let registry = Registry::open(&layout).await?;
    install(&registry, &files, now).await?;
    let admin_key = stoa_api::bootstrap_admin_key(&*registry.ledger, now).await?.reveal().to_string();
    let follower = registry.follower(name, online, &root, None);
    follower.catch_up(now).await?;
    follower.update_pages().await?;
    write_file(&layout.root(), &root)?;
    layout.write_settings(name)?;
    Ok(Initialized {
        admin_key,
        root: layout.root(),
        fingerprint: Digest::of(&root),
        offline_keys: OfflineKeys::folder(dir),
    })
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
async fn install(registry: &Registry, files: &[OfflineFile], now: Time) -> Result<(), Failure> {
    for file in files {
        let role = RoleFile { version: file.role.version.get(), role: file.role.role.clone() };
        let key = BlobKey::Public(PublicPath::Role(role));
        let put = registry.blobs.put_new(&key, Bytes::copy_from_slice(&file.bytes)).await?;
        if put != stoa_store::blobs::Put::Created {
            return Err(Failure::new(format!("`{key}` is there already: the folder is not a new one")));
        }
    }
    let offline = files.iter().map(|file| file.role.clone()).collect();
    let fact = Fact::Genesis { bin_bits: ceremony::BIN_BITS, offline };
    let draft = Draft { actor: ActorId::registry(), fact, private: None };
    let operation: OperationId = "genesis".parse()?;
    registry.ledger.commit(&Transaction { operation, draft: Some(draft), writes: Vec::new() }, now).await?;
    Ok(())
}
