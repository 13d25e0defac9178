//! The folder of an embedded registry.
//!
//! ```text
//! registry.toml    format and name; written last, so a folder without it is no registry
//! root.json        the first root: what hosts pin
//! ledger.sqlite    the truth
//! blobs/           everything that is named: public/ is the tree that anyone may copy
//! keys/indexer/    the keys of whoever proposes an index
//! keys/signer/     the keys of whoever signs it, which may lie elsewhere
//! keys/offline/    the keys of the ceremonies; they belong on other machines
//! ceremony/        a ceremony that is being put in place
//! ```

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use stoa_api::{KilledReleases, OpenPublishes};
use stoa_core::{digest::Digest, proposal::IndexKeys};
use stoa_indexer::{
    Follower, Signing,
    gc::Collector,
    site::{Site, SiteConfig},
};
use stoa_store::{blobs::Blobs, folder::FolderBlobs, ledger::Ledger, sqlite::SqliteLedger};

use super::keys::OnlineKeys;
use crate::report::Failure;

/// The format of the folder.
const FORMAT: u32 = 1;

/// `registry.toml`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    pub(super) format: u32,
    /// What the registry is called on its pages.
    pub(super) name: String,
}

/// Where things lie.
#[derive(Debug, Clone)]
pub(super) struct Layout(PathBuf);

impl Layout {
    pub(super) fn new(dir: &Path) -> Self {
        Self(dir.to_owned())
    }

    pub(super) fn dir(&self) -> &Path {
        &self.0
    }

    pub(super) fn settings(&self) -> PathBuf {
        self.0.join("registry.toml")
    }

    pub(super) fn root(&self) -> PathBuf {
        self.0.join("root.json")
    }

    pub(super) fn ledger(&self) -> PathBuf {
        self.0.join("ledger.sqlite")
    }

    pub(super) fn blobs(&self) -> PathBuf {
        self.0.join("blobs")
    }

    /// Holds the lock of whoever imports a ceremony, and the one that is being put in place.
    pub(super) fn ceremony(&self) -> PathBuf {
        self.0.join("ceremony")
    }

    /// Holds the lock of whoever collects garbage.
    pub(super) fn gc(&self) -> PathBuf {
        self.0.join("gc")
    }

    /// Holds the lock of a signer that is a process of its own.
    pub(super) fn signer(&self) -> PathBuf {
        self.0.join("signer")
    }

    /// The first root: what hosts pin.
    pub(super) fn read_root(&self) -> Result<Vec<u8>, Failure> {
        let path = self.root();
        std::fs::read(&path).map_err(|e| Failure::new(format!("`{}` can not be read: {e}", path.display())))
    }

    pub(super) fn read_settings(&self) -> Result<Settings, Failure> {
        let path = self.settings();
        let text = std::fs::read_to_string(&path).map_err(|e| {
            Failure::new(format!("`{}` is not the folder of a registry: {e}", self.0.display()))
                .hint(format!("make one with `stoa init --dir {}`", self.0.display()))
        })?;
        let settings: Settings = toml::from_str(&text)
            .map_err(|e| Failure::new(format!("`{}` can not be read: {}", path.display(), e.message())))?;
        if settings.format != FORMAT {
            let found = settings.format;
            return Err(Failure::new(format!(
                "the registry in `{}` has format {found}, and this program knows format {FORMAT}",
                self.0.display()
            )));
        }
        Ok(settings)
    }

    pub(super) fn write_settings(&self, name: &str) -> Result<(), Failure> {
        let settings = Settings { format: FORMAT, name: name.to_owned() };
        let text = toml::to_string(&settings)?;
        write_file(&self.settings(), text.as_bytes())
    }
}

/// Writes a file through to the disk: it is there whole or not at all.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        std::io::Write::write_all(&mut file, bytes)?;
        file.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        std::fs::File::open(folder)?.sync_all()
    };
    write().map_err(|e: std::io::Error| Failure::new(format!("`{}` can not be written: {e}", path.display())))
}

/// An open registry. Clones share it.
#[derive(Clone)]
pub(super) struct Registry {
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) blobs: Arc<dyn Blobs>,
}

impl Registry {
    pub(super) async fn open(layout: &Layout) -> Result<Self, Failure> {
        let ledger = SqliteLedger::open(&layout.ledger()).await?;
        let blobs = FolderBlobs::open(&layout.blobs()).await?;
        Ok(Self { ledger: Arc::new(ledger), blobs: Arc::new(blobs) })
    }

    /// What collects garbage.
    pub(super) fn collector(&self, root: &[u8]) -> Collector {
        let claims = Arc::new(OpenPublishes::new(self.ledger.clone()));
        let kills = Arc::new(KilledReleases::new(self.ledger.clone()));
        Collector::new(self.ledger.clone(), self.blobs.clone(), claims, kills, root)
    }

    /// What follows an event, all of it in this process.
    pub(super) fn follower(&self, name: &str, keys: OnlineKeys, root: &[u8], url: Option<&str>) -> Follower {
        self.follower_signed_by(name, keys.indexer, Signing::Here(Box::new(keys.signer)), root, url)
    }

    /// What follows an event, with the signer here or elsewhere.
    pub(super) fn follower_signed_by(
        &self,
        name: &str,
        indexer: IndexKeys,
        signing: Signing,
        root: &[u8],
        url: Option<&str>,
    ) -> Follower {
        let site = Site::new(SiteConfig {
            name: name.to_owned(),
            base: "/".to_owned(),
            url: url.map(str::to_owned),
            api: url.map(str::to_owned),
            root: Some(Digest::of(root)),
        });
        let (ledger, blobs) = (self.ledger.clone(), self.blobs.clone());
        Follower::new(ledger, blobs, indexer, signing, root, site)
    }
}
