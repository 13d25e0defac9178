//! The signer: the only holder of the timestamp key, and the only one who moves the pointer.
//!
//! It believes nothing that the indexer wrote. It reads the new snapshot as a client would, recomputes what
//! differs from the one before, and makes the same of the ledger's events: what it gets must be what it reads.

use std::{collections::BTreeSet, num::NonZeroU64, sync::Arc};

use stoa_core::{
    document::{Document, Listing},
    event::{Fact, Sealed},
    id::{Namespace, PluginId},
    index::{self, Base, Fold, Listed, TIMESTAMP_LIFETIME},
    path::PublicPath,
    publisher::{self, Publishers},
    time::{DAY, Time},
    trust::{
        SecretKey,
        writer::{self, Target, Terms},
    },
};
use stoa_store::{
    blobs::{Blob, BlobError, BlobKey, Blobs, Precondition},
    ledger::Ledger,
};

use crate::{
    error::IndexerError,
    run::{Standing, continued, standing},
    tree::{Pointer, SnapshotFile, Tree},
};

/// How often the pointer is tried before another process's progress is enough.
const ATTEMPTS: u32 = 8;
/// Events read from the ledger at a time.
const EVENTS_PER_PAGE: usize = 512;
/// A clock this far behind the last signature is taken for wrong: 10 minutes.
const CLOCK_SLACK: i64 = 10 * 60;

/// Moves the pointer.
#[derive(Clone)]
pub struct Signer {
    ledger: Arc<dyn Ledger>,
    tree: Tree,
    key: Arc<SecretKey>,
    /// The first root: what a client pins.
    root: Arc<[u8]>,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("key", &self.key).finish_non_exhaustive()
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

impl Signer {
    /// A signer for the registry with this first root.
    pub fn new(ledger: Arc<dyn Ledger>, blobs: Arc<dyn Blobs>, key: SecretKey, root: &[u8]) -> Self {
        Self { ledger, tree: Tree::new(blobs), key: Arc::new(key), root: root.into() }
    }

    /// Points the timestamp at `snapshot`, if all that is new in it is in the ledger.
    ///
    /// # Errors
    /// [`IndexerError::Refused`] with the rule that does not hold, [`IndexerError::Forked`] or
    /// [`IndexerError::Behind`] where the ledger does not go on from what was signed.
    pub async fn sign(&self, snapshot: NonZeroU64, now: Time) -> Result<Signed, IndexerError> {
        let new = self.tree.snapshot(snapshot).await?;
        for _ in 0..ATTEMPTS {
            let old = self.tree.timestamp().await?;
            if old.as_ref().is_some_and(|(_, pointer)| pointer.snapshot >= snapshot) {
                return Ok(Signed::Already);
            }
            let pointer = old.as_ref().map(|(_, pointer)| pointer);
            self.check(pointer, snapshot, &new, now).await?;
            if let Some(version) = self.move_pointer(old, snapshot, &new, now).await? {
                return Ok(Signed::Moved(version));
            }
        }
        Err(IndexerError::Contended(ATTEMPTS))
    }

    /// Signs the same snapshot again where its timestamp is older than a day, so that it never runs out while
    /// nothing happens.
    ///
    /// # Errors
    /// As [`Signer::sign`].
    pub async fn refresh(&self, now: Time) -> Result<Signed, IndexerError> {
        let Some((blob, pointer)) = self.tree.timestamp().await? else { return Ok(Signed::Already) };
        if now < pointer.expires.plus(DAY - TIMESTAMP_LIFETIME) {
            return Ok(Signed::Already);
        }
        let snapshot = self.tree.snapshot(pointer.snapshot).await?;
        continued(&*self.ledger, snapshot.seq, snapshot.head).await?;
        let version = pointer.snapshot;
        // A lost race means that another process has just signed.
        match self.move_pointer(Some((blob, pointer)), version, &snapshot, now).await? {
            Some(version) => Ok(Signed::Moved(version)),
            None => Ok(Signed::Already),
        }
    }

    async fn move_pointer(
        &self,
        old: Option<(Blob, Pointer)>,
        snapshot: NonZeroU64,
        new: &SnapshotFile,
        now: Time,
    ) -> Result<Option<NonZeroU64>, IndexerError> {
        let (before, expected) = match old {
            Some((blob, pointer)) => (Some(pointer.version), Precondition::Tag(blob.tag)),
            None => (None, Precondition::Absent),
        };
        let genesis = self.ledger.events(0, 1).await?.into_iter().next();
        let began = genesis.map_or(now, |genesis| genesis.event().time);
        let version = index::timestamp_version(before, new.seq, began, now);
        let terms = Terms { version, expires: now.plus(TIMESTAMP_LIFETIME) };
        let bytes = writer::timestamp(terms, snapshot, &new.bytes).sign(&[&self.key]);
        self.check_as_client(&bytes, now).await?;
        let key = BlobKey::Public(PublicPath::Timestamp);
        match self.tree.blobs.put_if(&key, bytes.into(), &expected).await {
            Ok(_) => Ok(Some(version)),
            Err(BlobError::Precondition { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn check(
        &self,
        old: Option<&Pointer>,
        snapshot: NonZeroU64,
        new: &SnapshotFile,
        now: Time,
    ) -> Result<(), IndexerError> {
        let refuse = |rule: String| Err(IndexerError::Refused { snapshot: snapshot.get(), rule });
        if new.seq != snapshot.get() {
            return refuse(format!("it says that it covers event {}", new.seq));
        }
        continued(&*self.ledger, new.seq, new.head).await?;
        let Some(pointer) = old else { return self.check_difference(None, snapshot, new).await };
        let signed_at = pointer.expires.plus(-TIMESTAMP_LIFETIME);
        if now.plus(CLOCK_SLACK) < signed_at {
            return refuse(format!("the clock says {now}, and the last signature was made at {signed_at}"));
        }
        let before = self.tree.snapshot(pointer.snapshot).await?;
        let standing = standing(&*self.ledger, before.seq, before.head).await?;
        match standing {
            // Without the epoch it is a branch that clients of the lost one would take for a rollback.
            Standing::Lost { epoch } if epoch > new.seq => {
                return refuse(format!(
                    "event {} is signed and lost, and the epoch {epoch} is not covered",
                    before.seq
                ));
            }
            Standing::Lost { .. } | Standing::Continues(_) => {}
        }
        let older = |(role, old): &(&String, &NonZeroU64)| new.versions.get(*role).is_none_or(|version| version < *old);
        if let Some((role, old)) = before.versions.iter().find(older) {
            return refuse(format!("`{role}` was at version {old}, and is gone or older"));
        }
        match standing {
            Standing::Continues(_) => self.check_difference(Some(&before), snapshot, new).await,
            Standing::Lost { .. } => self.check_whole(snapshot, new).await,
        }
    }

    /// After an epoch, releases may be gone and documents older than they were. So nothing of what was signed before is
    /// a measure: the whole log is folded, and the snapshot has to list exactly what that makes.
    async fn check_whole(&self, snapshot: NonZeroU64, new: &SnapshotFile) -> Result<(), IndexerError> {
        let refuse = |rule: String| Err(IndexerError::Refused { snapshot: snapshot.get(), rule });
        let Listed { cursor, bins, documents, publishers } = self.fold(new.seq).await?;
        let roles: BTreeSet<&String> = cursor.versions.keys().chain(new.versions.keys()).collect();
        for role in roles {
            let (made, found) = (cursor.versions.get(role), new.versions.get(role));
            if made != found {
                let text = |version: Option<&NonZeroU64>| version.map_or("none".to_owned(), |v| format!("version {v}"));
                return refuse(format!("it lists {} of `{role}`, and the log makes {}", text(found), text(made)));
            }
        }
        for (role, made) in bins.iter().filter(|(role, _)| role.starts_with("bin-")) {
            let version = new.versions.get(role).ok_or_else(|| IndexerError::Missing(format!("{role}.json")))?;
            let found = self.tree.bin(role, *version).await?;
            let differs = |path: &&String| made.get(*path) != found.get(*path);
            if let Some(path) = made.keys().chain(found.keys()).find(differs) {
                return refuse(format!("`{path}` in `{role}` is not what the whole log makes of it"));
            }
        }
        for (id, document) in &documents {
            // Its digest is in the bin; that it is there is left to see.
            self.tree.document(id, &Target::of(&document.to_bytes()?)).await?;
        }
        for (namespace, keys) in &publishers {
            let bytes = keys.to_bytes().map_err(index::IndexError::from)?;
            self.tree.publishers(namespace, &Target::of(&bytes)).await?;
        }
        Ok(())
    }

    /// What the log lists at event `last`.
    async fn fold(&self, last: u64) -> Result<Listed, IndexerError> {
        let (mut fold, mut at) = (Fold::begin(Base::default()), 0);
        while at < last {
            let events = self.ledger.events(at, EVENTS_PER_PAGE).await?;
            let missing = || IndexerError::Missing(format!("event {last}"));
            at = events.last().ok_or_else(missing)?.event().seq;
            events.iter().filter(|event| event.event().seq <= last).try_for_each(|event| fold.take(event))?;
        }
        Ok(fold.listed()?)
    }

    async fn check_difference(
        &self,
        before: Option<&SnapshotFile>,
        snapshot: NonZeroU64,
        new: &SnapshotFile,
    ) -> Result<(), IndexerError> {
        let refuse = |rule: String| Err(IndexerError::Refused { snapshot: snapshot.get(), rule });
        let none = Default::default();
        let old_versions = before.map_or(&none, |before| &before.versions);
        let events = self.events(before.map_or(0, |before| before.seq), new.seq).await?;
        if events.iter().any(|event| index::is_epoch(event.event())) {
            return self.check_whole(snapshot, new).await;
        }
        let mut left_out = index::touched(&events);
        let mut keys_left_out = index::touched_namespaces(&events);
        for (role, version) in new.versions.iter().filter(|(role, _)| role.starts_with("bin-")) {
            let old_version = old_versions.get(role);
            if old_version == Some(version) {
                continue;
            }
            let new_bin = self.tree.bin(role, *version).await?;
            let old_bin = match old_version {
                Some(old) => self.tree.bin(role, *old).await?,
                None => Default::default(),
            };
            if let Some(path) = old_bin.keys().find(|path| !new_bin.contains_key(*path)) {
                return refuse(format!("`{path}` has vanished from `{role}`"));
            }
            for (path, target) in &new_bin {
                let old_target = old_bin.get(path);
                if old_target == Some(target) {
                    continue;
                }
                if let Some(namespace) = namespace_of(path) {
                    self.check_publishers(snapshot, &namespace, old_target, target, &events).await?;
                    keys_left_out.remove(&namespace);
                } else {
                    let id = self.check_document(snapshot, path, old_target, target, &events).await?;
                    left_out.remove(&id);
                }
            }
        }
        if let Some(namespace) = keys_left_out.first() {
            return refuse(format!(
                "the events up to {snapshot} change the keys of `{namespace}`, and the snapshot does not"
            ));
        }
        match left_out.first() {
            // A release kept from the readers, or a yank of one: a freeze of a single plugin.
            Some(id) => refuse(format!("the events up to {snapshot} change `{id}`, and the snapshot does not")),
            None => Ok(()),
        }
    }

    /// Checks keys of a namespace that are new or changed: they are what the log makes of those signed before.
    async fn check_publishers(
        &self,
        snapshot: NonZeroU64,
        namespace: &Namespace,
        old: Option<&Target>,
        new: &Target,
        events: &[Sealed],
    ) -> Result<(), IndexerError> {
        let new = self.tree.publishers(namespace, new).await?;
        let mut folded = match old {
            Some(target) => Some(self.tree.publishers(namespace, target).await?),
            None => None,
        };
        for event in events.iter().filter(|event| publisher::touched(event.event()) == Some(namespace)) {
            folded = Publishers::apply(folded, event.event()).map_err(index::IndexError::from)?;
        }
        if folded.as_ref() == Some(&new) {
            return Ok(());
        }
        let rule = format!("the keys of `{namespace}` are not what the events up to {snapshot} make of them");
        Err(IndexerError::Refused { snapshot: snapshot.get(), rule })
    }

    /// The events after place `after`, up to place `last`.
    async fn events(&self, mut after: u64, last: u64) -> Result<Vec<Sealed>, IndexerError> {
        let mut events = Vec::new();
        loop {
            let page = self.ledger.events(after, EVENTS_PER_PAGE).await?;
            let full = page.len() == EVENTS_PER_PAGE;
            events.extend(page.into_iter().filter(|event| event.event().seq <= last));
            match events.last().map(|event| event.event().seq) {
                Some(seq) if full && seq > after && seq < last => after = seq,
                _ => return Ok(events),
            }
        }
    }

    /// Checks a document that is new or changed. Gives the plugin.
    async fn check_document(
        &self,
        snapshot: NonZeroU64,
        path: &str,
        old: Option<&Target>,
        new: &Target,
        events: &[Sealed],
    ) -> Result<PluginId, IndexerError> {
        let refuse = |rule: String| Err(IndexerError::Refused { snapshot: snapshot.get(), rule });
        let Some(id) = plugin_of(path) else { return refuse(format!("`{path}` is not the document of a plugin")) };
        let new = self.tree.document(&id, new).await?;
        let old = match old {
            Some(target) => Some(self.tree.document(&id, target).await?),
            None => None,
        };
        let known = |version| old.as_ref().and_then(|old: &Document| old.releases.get(version));
        if let Some(version) = old.iter().flat_map(|old| old.releases.keys()).find(|v| !new.releases.contains_key(*v)) {
            return refuse(format!("`{id}` {version} has vanished"));
        }
        for (version, listing) in &new.releases {
            match known(version) {
                Some(before) if unchanged(before, listing) => {}
                Some(_) => return refuse(format!("`{id}` {version} has changed")),
                None => self.check_release(snapshot, &id, version, listing).await?,
            }
        }
        // What was checked so far says best what is wrong. This leaves nothing over: states, capabilities,
        // dependencies and words are what the log makes of the document that was signed before.
        let folded = events.iter().try_fold(old, |document, event| Document::apply(document, &id, event.event()))?;
        if folded.as_ref() != Some(&new) {
            return refuse(format!("the document of `{id}` is not what the events up to {snapshot} make of it"));
        }
        Ok(id)
    }

    /// A release is new: the ledger must have it, with these digests, in the event that the listing names.
    async fn check_release(
        &self,
        snapshot: NonZeroU64,
        id: &PluginId,
        version: &stoa_core::version::Version,
        listing: &Listing,
    ) -> Result<(), IndexerError> {
        let event = self.ledger.events(listing.seq.saturating_sub(1), 1).await?.into_iter().next();
        let released = event.as_ref().filter(|event| event.event().seq == listing.seq).is_some_and(|event| {
            let Fact::Released { releases, .. } = &event.event().fact else { return false };
            releases.iter().any(|release| {
                release.id == *id
                    && release.version == *version
                    && release.artifact == listing.artifact
                    && release.blob().is_ok_and(|record| record.digest == listing.record)
            })
        });
        if released && event.is_some_and(|event| event.event().time == listing.published_at) {
            return Ok(());
        }
        let rule = format!("event {} of the ledger does not release `{id}` {version} with these bytes", listing.seq);
        Err(IndexerError::Refused { snapshot: snapshot.get(), rule })
    }

    /// Reads the tree as a client with nothing but the first root would, with the new timestamp in place.
    async fn check_as_client(&self, timestamp: &[u8], now: Time) -> Result<(), IndexerError> {
        self.tree.read_as_client(&self.root, Some(timestamp), now).await?;
        Ok(())
    }
}

/// Whether a release is the one it was: all but its state, which may change.
fn unchanged(before: &Listing, after: &Listing) -> bool {
    Listing { state: before.state.clone(), ..after.clone() } == *before
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
