//! The offline documents that a registry's log has put in place.

use std::collections::BTreeMap;

use stoa_core::{
    digest::Digest,
    event::OfflineRole,
    path::{PublicPath, RoleFile},
    trust::ceremony::{OfflineDocument, Standing},
};
use stoa_store::blobs::BlobKey;

use super::{left::Named, registry::Registry};
use crate::report::Failure;

/// An offline document has at most this many bytes: what clients read of a root.
const MAX_BYTES: u64 = 512_000;

/// Reads and verifies them, from the first root on. The files are those that the log names, byte for byte.
pub(super) async fn installed(registry: &Registry) -> Result<Standing, Failure> {
    let (named, _) = Named::by(&*registry.ledger, async |_| Ok(())).await?;
    let mut roots = BTreeMap::new();
    let (mut targets, mut index) = (None, None);
    for role in named.offline {
        match role.role.as_str() {
            "root" => drop(roots.insert(role.version, role)),
            "targets" => targets = Some(role),
            _ => index = Some(role),
        }
    }
    let missing = |document| Failure::new(format!("the log names no `{document}`"));
    let mut chain = Vec::new();
    for role in roots.values() {
        chain.push(read(registry, role).await?);
    }
    let targets = targets.ok_or_else(|| missing(OfflineDocument::Targets))?;
    let index = index.ok_or_else(|| missing(OfflineDocument::Index))?;
    Ok(Standing::read(chain, read(registry, &targets).await?, read(registry, &index).await?)?)
}

async fn read(registry: &Registry, role: &OfflineRole) -> Result<Vec<u8>, Failure> {
    let key = BlobKey::Public(PublicPath::Role(RoleFile { version: role.version.get(), role: role.role.clone() }));
    let blob = registry.blobs.get(&key, MAX_BYTES).await?;
    let blob = blob.ok_or_else(|| Failure::new(format!("`{key}` is named by the log, and is not there")))?;
    if Digest::of(&blob.bytes) != role.digest {
        return Err(Failure::new(format!("`{key}` has other bytes than the log names: somebody has changed it"))
            .hint("put the file back from a backup, and find out who can write to the folder"));
    }
    Ok(blob.bytes.to_vec())
}
