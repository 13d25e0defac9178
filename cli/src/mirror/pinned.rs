//! The root that everything is verified from.

use stoa_core::{
    digest::Digest,
    path::{PublicPath, RoleFile},
    time::Time,
    trust::{CachedTrust, Config, Updater},
};
use stoa_loader::transport::{Answer, Transport};

use super::Fault;

/// A root that is trusted, because its bytes or its digest came another way.
#[derive(Debug)]
pub(crate) struct Pinned {
    bytes: Vec<u8>,
    version: u64,
}

impl Pinned {
    /// The root in these bytes. It has to be signed by its own keys.
    pub(crate) fn bytes(bytes: Vec<u8>) -> Result<Self, Fault> {
        let refuse = |source| Fault::Trust { file: "the pinned root".to_owned(), source: Box::new(source) };
        let opened = Updater::open(&bytes, CachedTrust::default(), Time::from_unix(0), Config::default());
        let version = opened.map_err(refuse)?.root().version();
        Ok(Self { bytes, version })
    }

    /// The first root of a source, which has to have this digest.
    pub(crate) async fn fetched(digest: Digest, source: &dyn Transport) -> Result<Self, Fault> {
        let path = PublicPath::Role(RoleFile { version: 1, role: "root".to_owned() });
        let (file, by) = (path.to_string(), "the pinned fingerprint".to_owned());
        let bytes = match source.get(&path, Config::default().limits.root_bytes, None).await? {
            Answer::Found { bytes, .. } => bytes.to_vec(),
            Answer::NotModified | Answer::Absent => return Err(Fault::Missing { file, by }),
        };
        match Digest::of(&bytes) == digest {
            true => Self::bytes(bytes),
            false => Err(Fault::Digest { file, by }),
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// Where a tree has it.
    pub(super) fn path(&self) -> PublicPath {
        PublicPath::Role(RoleFile { version: self.version, role: "root".to_owned() })
    }
}
