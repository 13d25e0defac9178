//! What is left of a registry: a folder that is read and never changed. A backup, the folder of another machine, or a
//! part of either.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use stoa_core::{
    attestation::Attestations,
    digest::Digest,
    event::{Fact, Head, OfflineRole, Sealed},
    index,
    path::{Cache, PublicPath, RoleFile},
    release::BlobRef,
};
use stoa_store::{
    blobs::{Area, BlobKey, Blobs, Precondition, Put},
    ledger::Ledger,
};

use crate::report::Failure;

/// Events that are in memory at a time.
const EVENTS_PER_PAGE: usize = 512;

/// A folder with `blobs/` in it.
#[derive(Debug, Clone)]
pub(super) struct Left(PathBuf);

impl Left {
    pub(super) fn new(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    fn path(&self, key: &BlobKey) -> Result<PathBuf, Failure> {
        Ok(self.0.join("blobs").join(key.path()?))
    }

    /// The bytes under a key, `None` where there are none.
    pub(super) fn read(&self, key: &BlobKey) -> Result<Option<Bytes>, Failure> {
        read(&self.path(key)?)
    }

    /// The content with this digest, wherever it lies. A copy with other bytes is none; it is named in `damaged`.
    pub(super) fn content(&self, digest: Digest, damaged: &mut Vec<String>) -> Result<Option<Bytes>, Failure> {
        for key in [BlobKey::Store(digest), BlobKey::Public(PublicPath::Artifact(digest))] {
            match self.read(&key)? {
                Some(bytes) if Digest::of(&bytes) == digest => return Ok(Some(bytes)),
                Some(_) => damaged.push(format!("`{}`", self.path(&key)?.display())),
                None => {}
            }
        }
        Ok(None)
    }

    /// The keys of an area, in order. What names no blob is not one.
    pub(super) fn keys(&self, area: Area) -> Result<Vec<BlobKey>, Failure> {
        let mut keys = Vec::new();
        let prefix = area.prefix().trim_end_matches('/');
        walk(&self.0.join("blobs").join(prefix), prefix, &mut keys)?;
        keys.sort_unstable();
        Ok(keys)
    }

    /// The places of the archived events, in order.
    pub(super) fn events(&self) -> Result<Vec<u64>, Failure> {
        let place = |key| if let BlobKey::Event(seq) = key { Some(seq) } else { None };
        Ok(self.keys(Area::Events)?.into_iter().filter_map(place).collect())
    }

    /// The archived event at a place. One that can not be read is as good as lost.
    pub(super) fn event(&self, seq: u64) -> Result<Option<Sealed>, Failure> {
        let Some(bytes) = self.read(&BlobKey::Event(seq))? else { return Ok(None) };
        match Sealed::read(&bytes) {
            Ok(event) if event.event().seq == seq => Ok(Some(event)),
            Ok(_) => Ok(None),
            Err(error) => {
                tracing::warn!(seq, %error, folder = %self.0.display(), "an archived event is damaged and not used");
                Ok(None)
            }
        }
    }

    /// The highest number that the index, or the log behind it, has ever given to a file that lies here.
    pub(super) fn highest(&self) -> Result<u64, Failure> {
        // Versions of root, targets and index are counted by their signers, all others by the log.
        let counted = |key: &BlobKey| match key {
            BlobKey::Public(PublicPath::Role(RoleFile { version, role }))
                if !["root", "targets", "index"].contains(&role.as_str()) =>
            {
                Some(*version)
            }
            _ => None,
        };
        let files = self.keys(Area::Public)?.iter().filter_map(counted).max();
        Ok(files.max(self.events()?.last().copied()).unwrap_or_default())
    }
}

fn read(path: &Path) -> Result<Option<Bytes>, Failure> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes.into())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Failure::new(format!("`{}` can not be read: {e}", path.display()))),
    }
}

fn walk(folder: &Path, prefix: &str, keys: &mut Vec<BlobKey>) -> Result<(), Failure> {
    let refuse = |e: io::Error| Failure::new(format!("the folder `{}` can not be read: {e}", folder.display()));
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(refuse(e)),
    };
    for entry in entries {
        let entry = entry.map_err(refuse)?;
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
        let path = format!("{prefix}/{name}");
        // A link is neither: none is followed.
        let kind = entry.file_type().map_err(refuse)?;
        if kind.is_dir() {
            walk(&entry.path(), &path, keys)?;
        } else if kind.is_file() {
            keys.extend(path.parse::<BlobKey>());
        }
    }
    Ok(())
}

/// Everything that the log of a ledger names, in the order of its places.
#[derive(Debug, Default)]
pub(super) struct Named {
    /// Blobs of releases, with the first event that names each.
    pub(super) blobs: BTreeMap<Digest, (BlobRef, u64)>,
    /// Offline trust files.
    pub(super) offline: Vec<OfflineRole>,
}

impl Named {
    fn take(&mut self, event: &Sealed) {
        match &event.event().fact {
            Fact::Genesis { offline, .. } | Fact::OfflineInstalled { offline } => self.offline.extend(offline.clone()),
            Fact::Released { releases, attestations } => {
                let attested = attestations.values().flat_map(Attestations::blobs);
                for blob in releases.iter().flat_map(|release| release.blobs()).chain(attested) {
                    self.blobs.entry(blob.digest).or_insert((blob, event.event().seq));
                }
            }
            // A later release may name the same bytes: then they are there again.
            Fact::Purged { blobs, .. } => self.blobs.retain(|digest, _| !blobs.contains(digest)),
            _ => {}
        }
    }

    /// Reads the whole log of `ledger`, checks that it is one chain that ends at its head, and gives each event to `each`.
    pub(super) async fn by(
        ledger: &dyn Ledger,
        mut each: impl AsyncFnMut(&Sealed) -> Result<(), Failure>,
    ) -> Result<(Self, Head), Failure> {
        let (mut named, mut head) = (Self::default(), Head::none());
        loop {
            let events = ledger.events(head.seq, EVENTS_PER_PAGE).await?;
            if events.is_empty() {
                break;
            }
            for event in &events {
                event.follows(&head)?;
                head = event.head();
                named.take(event);
                each(event).await?;
            }
        }
        if head != ledger.head().await? {
            return Err(Failure::new(format!("the log ends at event {}, and its head says another", head.seq)));
        }
        Ok((named, head))
    }

    /// Brings to `to` what it lacks of all that is named, out of what is left anywhere. Gives how many blobs and bytes
    /// were copied. All that is copied is compared with its digest.
    pub(super) async fn bring(&self, from: &[&Left], to: &dyn Blobs) -> Result<(u64, u64), Failure> {
        let (mut count, mut bytes) = (0, 0);
        for (blob, seq) in self.blobs.values() {
            if bring(*blob, *seq, from, to).await? {
                (count, bytes) = (count + 1, bytes + blob.size);
            }
        }
        for role in &self.offline {
            let key =
                BlobKey::Public(PublicPath::Role(RoleFile { version: role.version.get(), role: role.role.clone() }));
            let mut found = None;
            for left in from {
                found = found.or(left.read(&key)?.filter(|bytes| Digest::of(bytes) == role.digest));
            }
            let missing = || Failure::new(format!("`{key}`, which the log names, is nowhere, or has other bytes"));
            put(to, &key, found.ok_or_else(missing)?).await?;
        }
        Ok((count, bytes))
    }
}

/// Brings one blob to `to`. Gives whether it had to be.
async fn bring(blob: BlobRef, seq: u64, from: &[&Left], to: &dyn Blobs) -> Result<bool, Failure> {
    let key = BlobKey::Store(blob.digest);
    let there = to.head(&key).await?;
    if there.as_ref().is_some_and(|meta| meta.size == blob.size) {
        return Ok(false);
    }
    let mut damaged = Vec::new();
    for left in from {
        if let Some(bytes) = left.content(blob.digest, &mut damaged)? {
            if there.is_some() {
                // Named by its content, it can only be damaged.
                to.delete(&key).await?;
            }
            put(to, &key, bytes).await?;
            return Ok(true);
        }
    }
    let digest = blob.digest;
    let damaged = match damaged.is_empty() {
        true => String::new(),
        false => format!(" ({} is damaged)", damaged.join(", ")),
    };
    Err(Failure::new(format!("event {seq} names the blob {digest}, and no whole copy of it is left{damaged}")))
}

/// Puts bytes where nothing is, or where the same bytes are.
pub(super) async fn put(to: &dyn Blobs, key: &BlobKey, bytes: Bytes) -> Result<(), Failure> {
    if to.put_new(key, bytes.clone()).await? == Put::Created {
        return Ok(());
    }
    match to.get(key, u64::MAX).await? {
        Some(there) if there.bytes == bytes => Ok(()),
        _ => Err(Failure::new(format!("`{key}` is there already, with other bytes"))),
    }
}

/// Copies the signed index of `from`, and last its pointer, unless there is one: a start then sees how far clients may be.
/// Pages are not copied; they are made anew.
pub(super) async fn copy_index(from: &Left, to: &dyn Blobs) -> Result<(), Failure> {
    for key in from.keys(Area::Public)? {
        let immutable = matches!(&key, BlobKey::Public(path) if path.cache() == Cache::Immutable);
        if let (true, Some(bytes)) = (immutable, from.read(&key)?) {
            put(to, &key, bytes).await?;
        }
    }
    let pointer = BlobKey::Public(PublicPath::Timestamp);
    match from.read(&pointer)? {
        Some(bytes) if to.head(&pointer).await?.is_none() => {
            to.put_if(&pointer, bytes, &Precondition::Absent).await.map(drop)?;
            Ok(())
        }
        _ => Ok(()),
    }
}

/// What a replay did.
#[derive(Debug, Default)]
pub(super) struct Replayed {
    /// How many events were appended.
    pub(super) count: u64,
    /// Why the event that follows could not be, where there is one.
    pub(super) stopped: Option<String>,
}

impl Replayed {
    /// Appends to `ledger` every event in `left` that follows its head, from one folder after the other. What they
    /// name may lie in any of them.
    pub(super) async fn by(ledger: &dyn Ledger, blobs: &dyn Blobs, left: &[&Left]) -> Result<Self, Failure> {
        let mut replayed = Self::default();
        for archive in left {
            replayed.count += replay(ledger, blobs, archive, left, &mut replayed.stopped).await?;
        }
        Ok(replayed)
    }
}

/// Refuses a ledger that ends before files that it once made: it is an older copy.
pub(super) async fn require_whole(ledger: &dyn Ledger, own: &Left) -> Result<(), Failure> {
    let (head, highest) = (ledger.head().await?.seq, own.highest()?);
    if highest <= head {
        return Ok(());
    }
    Err(Failure::new(format!(
        "the ledger ends at event {head}, and files of event {highest} are there: it is an older copy"
    )))
}

/// The blobs that archived events purge, each with the last event that does.
fn purges(from: &[&Left]) -> Result<BTreeMap<Digest, u64>, Failure> {
    let mut purges = BTreeMap::new();
    for left in from {
        for seq in left.events()? {
            if let Some(Fact::Purged { blobs, .. }) = left.event(seq)?.map(|event| event.event().fact.clone()) {
                purges.extend(blobs.into_iter().map(|digest| (digest, seq)));
            }
        }
    }
    Ok(purges)
}

async fn replay(
    ledger: &dyn Ledger,
    blobs: &dyn Blobs,
    left: &Left,
    from: &[&Left],
    stopped: &mut Option<String>,
) -> Result<u64, Failure> {
    let mut head = ledger.head().await?;
    let mut epochs = BTreeMap::new();
    for seq in left.events()?.into_iter().filter(|seq| *seq > head.seq) {
        if let Some(event) = left.event(seq)?.filter(|event| index::is_epoch(event.event())) {
            epochs.insert(event.event().prev, event);
        }
    }
    let purges = purges(from)?;
    let mut count = 0;
    loop {
        // Where an epoch follows the head, whatever else follows it was given up.
        let next = match epochs.remove(&head.hash) {
            Some(epoch) => Some(epoch),
            None => left.event(head.seq.saturating_add(1))?,
        };
        let Some(event) = next.filter(|event| event.follows(&head).is_ok()) else { return Ok(count) };
        let mut named = Named::default();
        named.take(&event);
        let seq = event.event().seq;
        let gone: BTreeSet<Digest> =
            purges.iter().filter(|(_, purged)| **purged > seq).map(|(digest, _)| *digest).collect();
        named.blobs.retain(|digest, _| !gone.contains(digest));
        let appended = match named.bring(from, blobs).await {
            Ok(_) => stoa_api::replay::append(ledger, blobs, &event, &gone).await.map_err(Failure::from),
            Err(missing) => Err(missing),
        };
        if let Err(failure) = appended {
            *stopped = Some(failure.message);
            return Ok(count);
        }
        *stopped = None;
        (head, count) = (event.head(), count + 1);
    }
}
