//! The signer: holds the pointer's key and the second key of every bin, and is the only one who writes to `trust/`.
//!
//! It believes nothing that the indexer wrote. From what it signed before, which it verifies as a client would, it
//! follows the ledger's own events and makes the index of them. The indexer's signatures have to fit that, byte for byte.

mod ground;

use std::{collections::BTreeMap, num::NonZeroU64, sync::Arc};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use stoa_core::{
    id::{Namespace, PluginId},
    index::{self, Base, Fold, Revision, TIMESTAMP_LIFETIME},
    path::{PublicPath, RoleFile},
    proposal::{Proposal, ProposalError, SignerKeys},
    time::{DAY, Time},
    trust::{
        Envelope, Limits,
        writer::{self, INDEX, SNAPSHOT, Terms, Unsigned},
    },
};
use stoa_store::{
    blobs::{BlobError, BlobKey, Blobs},
    ledger::Ledger,
};

use crate::{
    error::IndexerError,
    run::{Standing, check_purged, continued, standing},
    tree::{PARALLEL, Tree},
};
use ground::Ground;

/// How often the pointer is tried before another process's progress is enough.
const ATTEMPTS: u32 = 8;
/// A clock this far behind the last signature is taken for wrong: 10 minutes.
const CLOCK_SLACK: i64 = 10 * 60;

/// Completes proposals, and moves the pointer.
#[derive(Clone)]
pub struct Signer {
    ledger: Arc<dyn Ledger>,
    tree: Tree,
    keys: Arc<SignerKeys>,
    /// The first root: what a client pins.
    root: Arc<[u8]>,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("keys", &self.keys).finish_non_exhaustive()
    }
}

/// What became of the pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed {
    /// It points at the snapshot now, by this version of the timestamp.
    Moved(NonZeroU64),
    /// It pointed there already, or further.
    Already,
}

/// A file of a role, signed.
type File = (PublicPath, Vec<u8>);

/// Bins and catalog that are new, and then the snapshot.
struct Index {
    version: NonZeroU64,
    files: Vec<File>,
}

impl Index {
    fn snapshot(&self) -> Result<&[u8], IndexerError> {
        self.files.last().map(|(_, bytes)| bytes.as_slice()).ok_or_else(no_snapshot)
    }
}

fn no_snapshot() -> IndexerError {
    IndexerError::Missing("a snapshot".to_owned())
}

/// A signed timestamp.
struct Pointer {
    version: NonZeroU64,
    bytes: Vec<u8>,
}

impl Signer {
    /// A signer for the registry with this first root.
    pub fn new(ledger: Arc<dyn Ledger>, blobs: Arc<dyn Blobs>, keys: SignerKeys, root: &[u8]) -> Self {
        Self { ledger, tree: Tree::new(blobs), keys: Arc::new(keys), root: root.into() }
    }

    /// Writes the index that `proposal` has half of the signatures for, and points the timestamp at it.
    ///
    /// # Errors
    /// [`IndexerError::Trust`] where the indexer's signatures are not over what the log makes,
    /// [`IndexerError::Refused`] with the rule that does not hold, [`IndexerError::Forked`] or
    /// [`IndexerError::Behind`] where the ledger does not go on from what was signed or has not what is proposed,
    /// [`IndexerError::Diverged`] where a name has other bytes already. The pointer is then where it was.
    pub async fn sign(&self, proposal: &Proposal, now: Time) -> Result<Signed, IndexerError> {
        for _ in 0..ATTEMPTS {
            let Some((ground, index)) = self.index(proposal, now).await? else { return Ok(Signed::Already) };
            let pointer = self.pointer(&ground, index.version, index.snapshot()?, now).await?;
            self.check_as_client(&pointer.bytes, &index.files, None, now).await?;
            self.write(&index).await?;
            if let Some(version) = self.move_pointer(&ground, pointer).await? {
                return Ok(Signed::Moved(version));
            }
        }
        Err(IndexerError::Contended(ATTEMPTS))
    }

    /// Writes the index that `proposal` has half of the signatures for, as clients will believe it once the root with this
    /// path and these bytes is in place, and leaves the pointer where it is.
    ///
    /// # Errors
    /// As [`Signer::sign`].
    pub async fn prepare(
        &self,
        proposal: &Proposal,
        root: &PublicPath,
        bytes: &[u8],
        now: Time,
    ) -> Result<(), IndexerError> {
        let Some((ground, index)) = self.index(proposal, now).await? else { return Ok(()) };
        let pointer = self.pointer(&ground, index.version, index.snapshot()?, now).await?;
        self.check_as_client(&pointer.bytes, &index.files, Some((root, bytes)), now).await?;
        self.write(&index).await
    }

    /// The index that is proposed, under both keys, and what it is built upon. `None` where it is signed already.
    async fn index(&self, proposal: &Proposal, now: Time) -> Result<Option<(Ground, Index)>, IndexerError> {
        let mut ground = Ground::read(&self.tree, &self.root, now).await?;
        if ground.signed.as_ref().is_some_and(|signed| signed.head.seq >= proposal.head().seq) {
            return Ok(None);
        }
        let revision = self.revision(&mut ground, proposal, now).await?;
        self.check_there(&revision).await?;
        let version = NonZeroU64::new(revision.cursor.head.seq).ok_or_else(no_snapshot)?;
        let files = self.complete(proposal, revision.roles).await?;
        Ok(Some((ground, Index { version, files })))
    }

    /// Signs the same snapshot again where its timestamp is older than a day, so that it never runs out while
    /// nothing happens.
    ///
    /// # Errors
    /// As [`Signer::sign`].
    pub async fn refresh(&self, now: Time) -> Result<Signed, IndexerError> {
        let ground = Ground::read(&self.tree, &self.root, now).await?;
        let Some(signed) = ground.signed.as_ref().filter(|signed| now >= signed.at.plus(DAY)) else {
            return Ok(Signed::Already);
        };
        let head = continued(&*self.ledger, signed.head.seq, signed.head.head).await?;
        let left_out = self.ledger.events(head.seq, 1).await?.into_iter().next();
        if let Some(event) = left_out.filter(|event| now >= event.event().time.plus(DAY)) {
            let (seq, time) = (event.event().seq, event.event().time);
            tracing::error!(seq, %time, "the indexer keeps events back: what is signed anew does not cover them");
        }
        let snapshot = self.tree.role(SNAPSHOT, signed.snapshot, Limits::default().snapshot_bytes).await?;
        let pointer = self.pointer(&ground, signed.snapshot, &snapshot, now).await?;
        self.check_as_client(&pointer.bytes, &[], None, now).await?;
        // A lost race means that another process has just signed.
        match self.move_pointer(&ground, pointer).await? {
            Some(version) => Ok(Signed::Moved(version)),
            None => Ok(Signed::Already),
        }
    }

    /// What the log makes of the index at the proposed event.
    async fn revision(&self, ground: &mut Ground, proposal: &Proposal, now: Time) -> Result<Revision, IndexerError> {
        let last = proposal.head().seq;
        let refuse = |rule: String| Err(IndexerError::Refused { snapshot: last, rule });
        if last == 0 {
            return refuse("it covers no event".to_owned());
        }
        continued(&*self.ledger, last, proposal.head().head).await?;
        let Some(signed) = &ground.signed else { return self.fold(Base::default(), last).await };
        if now.plus(CLOCK_SLACK) < signed.at {
            return refuse(format!("the clock says {now}, and the last signature was made at {}", signed.at));
        }
        let base = match standing(&*self.ledger, signed.head.seq, signed.head.head).await? {
            // Without the epoch it is a branch that clients of the lost one would take for a rollback.
            Standing::Lost { epoch } if epoch > last => {
                let seq = signed.head.seq;
                return refuse(format!("event {seq} is signed and lost, and the epoch {epoch} is not covered"));
            }
            // Releases may be gone and documents older than they were: nothing of what was signed is a measure.
            Standing::Lost { .. } => Base::default(),
            Standing::Continues(head) => ground.base(&self.tree, &*self.ledger, head, last).await?,
        };
        let versions = ground.signed.as_ref().map(|signed| signed.versions.clone()).unwrap_or_default();
        let revision = self.fold(base, last).await?;
        let new = &revision.cursor.versions;
        let older = |(role, old): &(&String, &NonZeroU64)| new.get(*role).is_none_or(|version| version < *old);
        if let Some((role, old)) = versions.iter().find(older) {
            return refuse(format!("`{role}` was at version {old}, and is gone or older"));
        }
        Ok(revision)
    }

    async fn fold(&self, base: Base, last: u64) -> Result<Revision, IndexerError> {
        let after = base.snapshot.as_ref().map_or(0, |cursor| cursor.head.seq);
        let mut fold = Fold::begin(base);
        ground::each_event(&*self.ledger, after, last, |event| Ok(fold.take(event)?)).await?;
        Ok(fold.finish()?)
    }

    /// Whatever the index will name has to be there, with the bytes that the log gives it: else a thief of the indexer's
    /// keys could keep a plugin from everyone.
    async fn check_there(&self, revision: &Revision) -> Result<(), IndexerError> {
        let files = revision.files.iter().map(|(path, bytes)| self.tree.check(path, bytes)).collect::<Vec<_>>();
        stream::iter(files).buffer_unordered(PARALLEL).try_collect::<()>().await?;
        let artifacts = revision.artifacts.iter().map(|digest| async move {
            let path = PublicPath::Artifact(*digest);
            let there = self.tree.blobs.head(&BlobKey::Public(path)).await?;
            Ok::<_, IndexerError>(there.is_none().then_some(*digest))
        });
        let artifacts = artifacts.collect::<Vec<_>>();
        let missing: Vec<_> = stream::iter(artifacts).buffer_unordered(PARALLEL).try_collect().await?;
        check_purged(&*self.ledger, revision, missing.into_iter().flatten().collect()).await
    }

    /// The index under both keys. Its last file is the snapshot.
    async fn complete(&self, proposal: &Proposal, roles: Vec<(RoleFile, Unsigned)>) -> Result<Vec<File>, IndexerError> {
        let mut files = Vec::with_capacity(roles.len());
        for (file, document) in roles {
            let bytes = match proposal.complete(&file.role, &document, &self.keys) {
                Some(bytes) => bytes,
                // Where the whole log was folded, it also makes what was signed before and has not changed.
                None => self.signed_before(proposal, &file, &document).await?,
            };
            files.push((PublicPath::Role(file), bytes));
        }
        Ok(files)
    }

    async fn signed_before(
        &self,
        proposal: &Proposal,
        file: &RoleFile,
        document: &Unsigned,
    ) -> Result<Vec<u8>, IndexerError> {
        let missing = || ProposalError::Unsigned { seq: proposal.head().seq, role: file.role.clone() };
        let key = BlobKey::Public(PublicPath::Role(file.clone()));
        let blob = self.tree.blobs.get(&key, Limits::default().targets_bytes).await?.ok_or_else(missing)?;
        match Envelope::read(&file.role, &blob.bytes)?.payload() == document.payload() {
            true => Ok(blob.bytes.to_vec()),
            false => Err(missing().into()),
        }
    }

    /// A timestamp for the snapshot of this version and these bytes.
    async fn pointer(
        &self,
        ground: &Ground,
        snapshot: NonZeroU64,
        bytes: &[u8],
        now: Time,
    ) -> Result<Pointer, IndexerError> {
        let genesis = self.ledger.events(0, 1).await?.into_iter().next();
        let began = genesis.map_or(now, |genesis| genesis.event().time);
        let before = ground.signed.as_ref().map(|signed| signed.timestamp);
        let version = index::timestamp_version(before, snapshot.get(), began, now);
        let terms = Terms { version, expires: now.plus(TIMESTAMP_LIFETIME) };
        let bytes = writer::timestamp(terms, snapshot, bytes).sign(&[&self.keys.timestamp]);
        Ok(Pointer { version, bytes })
    }

    /// The snapshot is the last, so that a folder with a snapshot has all that it names.
    async fn write(&self, index: &Index) -> Result<(), IndexerError> {
        let Some((snapshot, others)) = index.files.split_last() else { return Ok(()) };
        self.tree.put_all(others).await?;
        self.tree.put_all(std::slice::from_ref(snapshot)).await
    }

    /// `None`: the pointer is not where it was.
    async fn move_pointer(&self, ground: &Ground, pointer: Pointer) -> Result<Option<NonZeroU64>, IndexerError> {
        let key = BlobKey::Public(PublicPath::Timestamp);
        match self.tree.blobs.put_if(&key, pointer.bytes.into(), &ground.expected).await {
            Ok(_) => Ok(Some(pointer.version)),
            Err(BlobError::Precondition { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads the tree as a client with nothing but the first root would, with the new files in place, each of which it has
    /// to believe. Nothing is written before: a name has its bytes for ever.
    async fn check_as_client(
        &self,
        timestamp: &[u8],
        files: &[File],
        root: Option<(&PublicPath, &[u8])>,
        now: Time,
    ) -> Result<(), IndexerError> {
        let mut overlay: BTreeMap<PublicPath, &[u8]> = BTreeMap::from([(PublicPath::Timestamp, timestamp)]);
        overlay.extend(files.iter().map(|(path, bytes)| (path.clone(), bytes.as_slice())));
        overlay.extend(root.map(|(path, bytes)| (path.clone(), bytes)));
        let mut client = self.tree.read_as_client(&self.root, &overlay, now).await?;
        self.tree.verify(&mut client, "targets", "root").await?;
        self.tree.verify(&mut client, INDEX, "targets").await?;
        for (path, bytes) in files {
            match path {
                PublicPath::Role(file) if file.role == SNAPSHOT => {}
                PublicPath::Role(file) if file.role == writer::CATALOG => {
                    client.receive_delegated(&file.role, "targets", bytes)?;
                }
                PublicPath::Role(file) => client.receive_delegated(&file.role, INDEX, bytes)?,
                _ => {}
            }
        }
        Ok(())
    }
}

/// The namespace whose keys have this target path.
pub(crate) fn namespace_of(path: &str) -> Option<Namespace> {
    path.strip_prefix("index/")?.strip_suffix("/@publishers.json")?.parse().ok()
}

/// The plugin whose document has this target path.
pub(crate) fn plugin_of(path: &str) -> Option<PluginId> {
    let (namespace, name) = path.strip_prefix("index/")?.strip_suffix(".json")?.split_once('/')?;
    Some(PluginId::new(namespace.parse().ok()?, name.parse().ok()?))
}
