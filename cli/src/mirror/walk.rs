//! The walk through everything that the pointer reaches.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use stoa_core::{
    attestation::Envelope,
    digest::Digest,
    document::{Document, Listing},
    id::{Namespace, PluginId},
    path::{PublicPath, RoleFile},
    publisher::Publishers,
    release::{BlobRef, MAX_RECORD_BYTES, Release},
    standing::Measure,
    time::Time,
    trust::{CachedTrust, Config, Outcome, Step, TrustError, TrustFile, Updater},
    version::Version,
};
use stoa_loader::transport::{Answer, Transport};

use super::{Fault, Folder, Pinned};
use crate::progress::Spinner;

/// Files fetched at a time. Each is in memory until it is verified.
const PARALLEL: usize = 4;
/// Roots that are read of the copy: a rotation a week for a hundred years and more.
const MAX_ROOTS: usize = 10_000;
/// No file of a registry is larger: the bound of a component, 128 MiB.
const MAX_BLOB_BYTES: u64 = 128 * 1024 * 1024;

/// What a walk came by.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// The last event that the pointer covers.
    pub(crate) seq: u64,
    pub(crate) trust: u64,
    pub(crate) documents: u64,
    pub(crate) blobs: u64,
    /// Files, and their bytes, that the copy did not have.
    pub(crate) copied: u64,
    pub(crate) copied_bytes: u64,
}

/// A release as its document lists it.
struct Listed<'d> {
    path: &'d PublicPath,
    document: &'d Document,
    version: &'d Version,
    listing: &'d Listing,
}

impl<'d> Listed<'d> {
    fn all(path: &'d PublicPath, document: &'d Document) -> impl Iterator<Item = Self> {
        document.releases.iter().map(move |(version, listing)| Self { path, document, version, listing })
    }

    /// Whether its bytes may be gone.
    fn killed(&self) -> bool {
        let takedown = self.document.takedown_of(self.version);
        takedown.is_some_and(|takedown| takedown.measure == Measure::Kill)
    }

    fn name(&self) -> String {
        format!("{}@{}", self.document.id, self.version)
    }
}

/// One walk, from a source, and into a copy where there is one.
pub(crate) struct Walk<'a> {
    source: Arc<dyn Transport>,
    copy: Option<&'a Folder>,
    spinner: &'a Spinner,
    copied: AtomicU64,
    copied_bytes: AtomicU64,
    /// Roots and the pointer, in the order in which they are put: last of all.
    last: Vec<(PublicPath, Vec<u8>)>,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(source: Arc<dyn Transport>, copy: Option<&'a Folder>, spinner: &'a Spinner) -> Self {
        let (copied, copied_bytes) = Default::default();
        Self { source, copy, spinner, copied, copied_bytes, last: Vec::new() }
    }

    /// Walks through everything; what the copy lacks is put there, and the pointer last.
    pub(crate) async fn run(mut self, root: &Pinned, now: Time) -> Result<Counts, Fault> {
        let mut updater = self.refresh(root, now).await?;
        let roles = self.roles(&mut updater).await?;
        let head = updater.snapshot().and_then(|snapshot| snapshot.head()).map_or(0, |head| head.seq);
        let targets = targets(&mut updater, &roles)?;
        let keys = self.publishers(&targets.publishers, head).await?;
        let documents = self.documents(targets.documents, head).await?;
        let blobs = self.blobs(&documents).await?;
        self.signatures(&documents, &keys, root).await?;
        self.finish()?;
        Ok(Counts {
            seq: head,
            trust: roles.len() as u64,
            documents: (documents.len() + keys.len()) as u64,
            blobs,
            copied: self.copied.into_inner(),
            copied_bytes: self.copied_bytes.into_inner(),
        })
    }

    /// Only the trust files: what they say, verified.
    pub(crate) async fn index(mut self, root: &Pinned, now: Time) -> Result<(Updater, Vec<String>), Fault> {
        let mut updater = self.refresh(root, now).await?;
        let roles = self.roles(&mut updater).await?;
        Ok((updater, roles))
    }

    /// Brings roots, pointer and snapshot up to date. What the copy has is where it begins, so that it never goes back.
    async fn refresh(&mut self, root: &Pinned, now: Time) -> Result<Updater, Fault> {
        self.spinner.say("the pointer");
        let refuse = |source| Fault::Trust { file: "the pinned root".to_owned(), source: Box::new(source) };
        let kept = self.copy.map(|copy| kept(copy, root.version())).unwrap_or_default();
        let mut updater = Updater::open(root.as_bytes(), kept, now, Config::default()).map_err(refuse)?;
        loop {
            match updater.next() {
                Step::Fetch { file, max_bytes, .. } => {
                    if let Some(further) = self.with_kept_snapshot(&updater, &file, max_bytes) {
                        updater = further;
                        continue;
                    }
                    let (path, bytes) = self.trust_file(&file, max_bytes).await?;
                    updater.receive(bytes.as_deref()).map_err(untrusted(&file))?;
                    let Some(bytes) = bytes else { continue };
                    match &*file.role {
                        "root" | "timestamp" => self.last.push((path, bytes)),
                        _ => self.put(&path, &bytes)?,
                    }
                }
                Step::Done(Outcome::Fresh { .. } | Outcome::Unchanged) => return Ok(updater),
                Step::Done(Outcome::OlderPointer { served, held }) => return Err(Fault::OlderPointer { served, held }),
                Step::Done(Outcome::Stale { since }) => return Err(Fault::Expired(since)),
            }
        }
    }

    /// The updater after the snapshot that a run left here which was cut off: the pointer did not come to it.
    fn with_kept_snapshot(&self, updater: &Updater, file: &TrustFile, max_bytes: u64) -> Option<Updater> {
        let path = file.path().filter(|_| file.role == "snapshot")?;
        let kept = self.copy?.read(&path, max_bytes)?;
        let mut further = updater.clone();
        further.receive(Some(&kept)).is_ok().then_some(further)
    }

    /// Visits every targets role.
    async fn roles(&self, updater: &mut Updater) -> Result<Vec<String>, Fault> {
        let mut tour = updater.tour();
        let mut seen = 0_u64;
        loop {
            let step = tour.next(updater);
            let (file, max_bytes) = match step.map_err(|source| refused("the signed index", source))? {
                Step::Done(roles) => return Ok(roles),
                Step::Fetch { file, max_bytes, .. } => (file, max_bytes),
            };
            seen += 1;
            self.spinner.say(format!("trust files: {seen}"));
            let kept = self.copy.zip(file.path()).and_then(|(copy, path)| copy.read(&path, max_bytes));
            if kept.is_some_and(|kept| tour.offer(updater, &kept)) {
                continue;
            }
            let (path, bytes) = self.trust_file(&file, max_bytes).await?;
            tour.receive(updater, bytes.as_deref()).map_err(untrusted(&file))?;
            self.put(&path, bytes.as_deref().unwrap_or_default())?;
        }
    }

    /// Every document, by its file.
    async fn documents(
        &self,
        targets: BTreeMap<PluginId, BlobRef>,
        head: u64,
    ) -> Result<BTreeMap<PublicPath, Document>, Fault> {
        let (done, all) = (AtomicU64::new(0), targets.len());
        let read = targets.into_iter().map(|(id, blob)| {
            let done = &done;
            async move {
                let path = PublicPath::Document(id.clone(), blob.digest);
                let bytes = self.content(&path, blob, "the signed index").await?;
                self.spinner.say(format!("documents: {} of {all}", 1 + done.fetch_add(1, Ordering::Relaxed)));
                let file = path.to_string();
                let document = Document::read(&id, &bytes)
                    .map_err(|source| Fault::Document { file: file.clone(), source: Box::new(source) })?;
                if document.seq > head {
                    return Err(Fault::BeyondHead { file, seq: document.seq, head });
                }
                Ok((path, document))
            }
        });
        // In order: the first of several faults is the same one whatever comes first.
        stream::iter(read.collect::<Vec<_>>()).buffered(PARALLEL).try_collect().await
    }

    /// The keys of every namespace that has some.
    async fn publishers(
        &self,
        targets: &BTreeMap<Namespace, BlobRef>,
        head: u64,
    ) -> Result<BTreeMap<Namespace, Publishers>, Fault> {
        let mut keys = BTreeMap::new();
        for (namespace, blob) in targets {
            let path = PublicPath::Publishers(namespace.clone(), blob.digest);
            let bytes = self.content(&path, *blob, "the signed index").await?;
            let file = path.to_string();
            let refuse = |source| Fault::Publishers { file: file.clone(), source: Box::new(source) };
            let publishers = Publishers::read(namespace, &bytes).map_err(refuse)?;
            if publishers.seq > head {
                return Err(Fault::BeyondHead { file, seq: publishers.seq, head });
            }
            keys.insert(namespace.clone(), publishers);
        }
        Ok(keys)
    }

    /// Every signature of a release holds for the keys of its namespace, and is there where they demand it.
    async fn signatures(
        &self,
        documents: &BTreeMap<PublicPath, Document>,
        keys: &BTreeMap<Namespace, Publishers>,
        root: &Pinned,
    ) -> Result<(), Fault> {
        for (path, document) in documents {
            for listed in Listed::all(path, document) {
                let Listed { version, listing, .. } = listed;
                let keys = keys.get(document.id.namespace());
                let unsigned = |source| Fault::Publishers { file: path.to_string(), source: Box::new(source) };
                keys.map_or(Ok(()), |keys| keys.admit(&listing.attestations, listing.seq)).map_err(unsigned)?;
                if listed.killed() {
                    continue;
                }
                let Some(blob) = listing.attestations.signature else { continue };
                let signature = PublicPath::Artifact(blob.digest);
                let refuse = |source| Fault::Publishers { file: signature.to_string(), source: Box::new(source) };
                let bytes = self.content(&signature, blob, &format!("`{path}`")).await?;
                let envelope = Envelope::read(&bytes).map_err(|error| refuse(error.into()))?;
                let none = Publishers::none(Digest::of(root.as_bytes()), document.id.namespace().clone());
                let keys = keys.unwrap_or(&none);
                // A later root does not tell the digest of the first; then what the index says of it has to do.
                let registry = if root.version() == 1 { Digest::of(root.as_bytes()) } else { keys.registry };
                let claim = listing.claim(registry, &document.id, version);
                keys.verify(&claim, &envelope, listing.seq, listing.published_at).map_err(refuse)?;
            }
        }
        Ok(())
    }

    /// Every record, and every blob that documents and records name. Gives how many there are.
    async fn blobs(&self, documents: &BTreeMap<PublicPath, Document>) -> Result<u64, Fault> {
        let listed: Vec<Listed<'_>> =
            documents.iter().flat_map(|(path, document)| Listed::all(path, document)).collect();
        let (done, all) = (AtomicU64::new(0), listed.len());
        let read = listed.iter().map(|listed| {
            let done = &done;
            async move {
                let named = self.record(listed).await?;
                self.spinner.say(format!("records: {} of {all}", 1 + done.fetch_add(1, Ordering::Relaxed)));
                Ok::<_, Fault>(named)
            }
        });
        let named: Vec<_> = stream::iter(read.collect::<Vec<_>>()).buffered(PARALLEL).try_collect().await?;
        let mut blobs: BTreeMap<BlobRef, String> = BTreeMap::new();
        for (path, document) in documents {
            // What a killed release says of itself may be gone with it.
            let speaks = |listed: &&Listed<'_>| listed.path == path && *listed.version == document.about.version;
            if listed.iter().find(speaks).is_some_and(Listed::killed) {
                continue;
            }
            for blob in std::iter::once(document.about.wit).chain(document.about.readme) {
                blobs.entry(blob).or_insert_with(|| format!("`{path}`"));
            }
        }
        for listed in listed.iter().filter(|listed| !listed.killed()) {
            for blob in listed.listing.attestations.blobs() {
                blobs.entry(blob).or_insert_with(|| format!("`{}`", listed.path));
            }
        }
        for (listed, named) in listed.iter().zip(named).filter(|(listed, _)| !listed.killed()) {
            for blob in named {
                blobs.entry(blob).or_insert_with(|| format!("the record of {}", listed.name()));
            }
        }
        let records: BTreeSet<Digest> = listed.iter().map(|listed| listed.listing.record).collect();
        let count = blobs.len() + records.len();
        let (done, all) = (AtomicU64::new(0), blobs.len());
        let read = blobs.into_iter().map(|(blob, by)| {
            let done = &done;
            async move {
                self.content(&PublicPath::Artifact(blob.digest), blob, &by).await?;
                let done = 1 + done.fetch_add(1, Ordering::Relaxed);
                self.spinner.say(format!("components and other blobs: {done} of {all}"));
                Ok::<_, Fault>(())
            }
        });
        stream::iter(read.collect::<Vec<_>>()).buffered(PARALLEL).try_collect::<()>().await?;
        Ok(count as u64)
    }

    /// A record, compared with what its document says. Gives the blobs that it names.
    async fn record(&self, listed: &Listed<'_>) -> Result<Vec<BlobRef>, Fault> {
        let (digest, bound) = (listed.listing.record, MAX_RECORD_BYTES as u64);
        let path = PublicPath::Artifact(digest);
        let (file, by) = (path.to_string(), format!("`{}`", listed.path));
        let kept = self.copy.and_then(|copy| copy.read(&path, bound)).filter(|bytes| Digest::of(bytes) == digest);
        let bytes = match kept {
            Some(bytes) => bytes,
            None => {
                let Some(bytes) = self.get(&path, bound).await? else { return Err(Fault::Missing { file, by }) };
                if Digest::of(&bytes) != digest {
                    return Err(Fault::Digest { file, by });
                }
                self.put(&path, &bytes)?;
                bytes
            }
        };
        let refuse = |rule: String| Fault::Record { file: file.clone(), release: listed.name(), rule };
        let release = Release::read(&bytes).map_err(|error| refuse(error.to_string()))?;
        if (&release.id, &release.version) != (&listed.document.id, listed.version) {
            return Err(refuse(format!("it is of {}@{}", release.id, release.version)));
        }
        if release.artifact != listed.listing.artifact {
            return Err(refuse(format!("it names the component {}", release.artifact.digest)));
        }
        Ok(release.blobs().collect())
    }

    /// The bytes of a file whose digest and length are known: from the copy where it has them, else from the source.
    async fn content(&self, path: &PublicPath, blob: BlobRef, by: &str) -> Result<Vec<u8>, Fault> {
        let (file, by) = (path.to_string(), by.to_owned());
        if blob.size > MAX_BLOB_BYTES {
            return Err(Fault::TooLarge { file, size: blob.size, limit: MAX_BLOB_BYTES });
        }
        let kept = self.copy.and_then(|copy| copy.read(path, blob.size));
        if let Some(kept) = kept.filter(|kept| BlobRef::of(kept) == blob) {
            return Ok(kept);
        }
        let Some(bytes) = self.get(path, blob.size).await? else { return Err(Fault::Missing { file, by }) };
        if bytes.len() as u64 != blob.size {
            return Err(Fault::Length { file, by, expected: blob.size, found: bytes.len() as u64 });
        }
        if BlobRef::of(&bytes) != blob {
            return Err(Fault::Digest { file, by });
        }
        self.put(path, &bytes)?;
        Ok(bytes)
    }

    async fn trust_file(&self, file: &TrustFile, max_bytes: u64) -> Result<(PublicPath, Option<Vec<u8>>), Fault> {
        let missing = || Fault::Missing { file: format!("trust/{file}"), by: "the signed index".to_owned() };
        let path = file.path().ok_or_else(missing)?;
        let bytes = self.get(&path, max_bytes).await?;
        Ok((path, bytes))
    }

    async fn get(&self, path: &PublicPath, max_bytes: u64) -> Result<Option<Vec<u8>>, Fault> {
        match self.source.get(path, max_bytes, None).await? {
            Answer::Found { bytes, .. } => Ok(Some(bytes.to_vec())),
            Answer::NotModified | Answer::Absent => Ok(None),
        }
    }

    fn put(&self, path: &PublicPath, bytes: &[u8]) -> Result<(), Fault> {
        let Some(copy) = self.copy else { return Ok(()) };
        copy.put(path, bytes)?;
        self.copied.fetch_add(1, Ordering::Relaxed);
        self.copied_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Roots, then the pointer: all that it leads to is there. One that is there already is left alone.
    fn finish(&mut self) -> Result<(), Fault> {
        for (path, bytes) in std::mem::take(&mut self.last) {
            let there = self.copy.and_then(|copy| copy.read(&path, bytes.len() as u64));
            if there.as_ref() != Some(&bytes) {
                self.put(&path, &bytes)?;
            }
        }
        Ok(())
    }
}

/// What the copy holds of roots, pointer and snapshot. All of it is verified again.
fn kept(copy: &Folder, pinned: u64) -> CachedTrust {
    let limits = Config::default().limits;
    let role = |version, role: &str| PublicPath::Role(RoleFile { version, role: role.to_owned() });
    let after = (pinned.saturating_add(1)..).take(MAX_ROOTS);
    let roots = after.map_while(|version| Some((version, copy.read(&role(version, "root"), limits.root_bytes)?)));
    let mut kept = CachedTrust { roots: roots.collect(), ..CachedTrust::default() };
    let Some(pointer) = copy.read(&PublicPath::Timestamp, limits.timestamp_bytes) else { return kept };
    // Which snapshot it points at; whether it may is for the updater to say.
    let listed: Option<u64> = serde_json::from_slice::<serde_json::Value>(&pointer)
        .ok()
        .and_then(|file| file["signed"]["meta"]["snapshot.json"]["version"].as_u64());
    let snapshot = listed.and_then(|version| copy.read(&role(version, "snapshot"), limits.snapshot_bytes));
    kept.roles.extend(snapshot.map(|bytes| ("snapshot".to_owned(), bytes)));
    kept.roles.insert("timestamp".to_owned(), pointer);
    kept
}

/// What the bins list.
#[derive(Default)]
struct Targets {
    documents: BTreeMap<PluginId, BlobRef>,
    publishers: BTreeMap<Namespace, BlobRef>,
}

/// Every document that the roles list. A target that no lookup leads to would be copied, and never be found.
fn targets(updater: &mut Updater, roles: &[String]) -> Result<Targets, Fault> {
    let mut found = Targets::default();
    for role in roles {
        let listed = updater.targets(role).map(|targets| targets.targets().clone()).unwrap_or_default();
        for (target, file) in listed {
            let unknown = || Fault::UnknownTarget { role: role.clone(), target: target.clone() };
            let digest = file.hashes.sha256().ok_or_else(unknown)?;
            let sought = updater.lookup(&target).next(updater).map_err(|source| refused(role, source))?;
            if sought != Step::Done(Some(file.clone())) {
                return Err(Fault::Misplaced { role: role.clone(), target });
            }
            let blob = BlobRef { digest, size: file.length };
            match namespace_of(&target) {
                Some(namespace) => found.publishers.insert(namespace, blob),
                None => found.documents.insert(plugin_of(&target).ok_or_else(unknown)?, blob),
            };
        }
    }
    Ok(found)
}

/// `index/NS/@publishers.json` has the keys of `NS`.
fn namespace_of(target: &str) -> Option<Namespace> {
    target.strip_prefix("index/")?.strip_suffix("/@publishers.json")?.parse().ok()
}

/// `index/NS/NAME.json` is the document of `NS:NAME`.
fn plugin_of(target: &str) -> Option<PluginId> {
    let (namespace, name) = target.strip_prefix("index/")?.strip_suffix(".json")?.split_once('/')?;
    let id = PluginId::new(namespace.parse().ok()?, name.parse().ok()?);
    (PublicPath::target_path(&id) == target).then_some(id)
}

fn refused(file: &str, source: TrustError) -> Fault {
    Fault::Trust { file: file.to_owned(), source: Box::new(source) }
}

fn untrusted(file: &TrustFile) -> impl FnOnce(TrustError) -> Fault {
    let file = format!("trust/{file}");
    move |source| Fault::Trust { file, source: Box::new(source) }
}
