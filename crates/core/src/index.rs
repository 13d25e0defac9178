//! The fold from events to the signed index: which files a stretch of the log makes.
//!
//! [`advance`] is pure and depends on nothing but the log: given the index as it stood at one event and the
//! events after it, it gives every file that the index needs to stand at the last of them. Name → bytes is
//! a function of the log's prefix, whoever runs it and however events are batched:
//! a bin's version is the seq of the last event that touched it, the snapshot's is the seq of the head,
//! expiry counts from event times, signatures are deterministic, and everything is sorted.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU64,
};

use crate::{
    attestation::Attestations,
    digest::Digest,
    document::{self, Document, DocumentError},
    event::{Event, EventError, Fact, Head, Sealed},
    id::{Namespace, PluginId},
    path::{PublicPath, RoleFile},
    publisher::{self, PublisherError, Publishers},
    release::Release,
    time::{DAY, Time},
    trust::{
        self, Bins, BitLength, BitLengthError, bin_name,
        writer::{self, Target, Terms, Unsigned},
    },
    version::Version,
};

/// Snapshot, bins and catalog live ten years: freshness comes from the timestamp, and short-lived bins would
/// have to be fetched again by every client (`research`: PEP 458's prototype moved from 1 to 7 days for that).
pub const INDEX_LIFETIME: i64 = 3650 * DAY;
/// The timestamp lives a week and is signed anew every day: that long can a mirror freeze a client.
pub const TIMESTAMP_LIFETIME: i64 = 7 * DAY;

/// The index as it stands at one event, as far as the next events touch it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Base {
    /// What the last snapshot says; `None` before the first.
    pub snapshot: Option<Cursor>,
    /// The content of the bins that will change, by role.
    pub bins: BTreeMap<String, BTreeMap<String, Target>>,
    /// The documents that will change, where there are any.
    pub documents: BTreeMap<PluginId, Document>,
    /// The keys of namespaces that will change, where there are any.
    pub publishers: BTreeMap<Namespace, Publishers>,
}

/// Where a snapshot stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The event that it covers last.
    pub head: Head,
    /// How many bits of a path's digest name its bin.
    pub bin_bits: BitLength,
    /// The version of each role that it lists.
    pub versions: BTreeMap<String, NonZeroU64>,
}

/// What a stretch of the log makes of the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// The blobs of new releases, to be copied to the public tree before anything names them.
    pub artifacts: BTreeSet<Digest>,
    /// Records and documents: files that are named by their content and that nobody signs.
    pub files: Vec<(PublicPath, Vec<u8>)>,
    /// Bins and catalog that are new, and then the snapshot, by the names that they get once they are signed.
    pub roles: Vec<(RoleFile, Unsigned)>,
    /// The documents that changed.
    pub documents: Vec<Document>,
    /// Where the new snapshot stands.
    pub cursor: Cursor,
}

/// Why the index can not follow the log. Each means that the log, or the index, is not what it claims to be:
/// stop and alarm, never skip.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// There is nothing to cover.
    #[error("there is no event after {0}")]
    Nothing(u64),
    /// The events are no chain, or do not follow the snapshot.
    #[error("the log does not continue the signed index")]
    Chain(#[from] EventError),
    /// A document can not take an event.
    #[error("a document can not follow the log")]
    Document(#[from] DocumentError),
    /// The keys of a namespace can not take an event.
    #[error("the keys of a namespace can not follow the log")]
    Publishers(#[from] PublisherError),
    /// A release that its namespace does not admit.
    #[error("event {seq} releases `{id}` {version}, which its namespace does not admit")]
    Unsigned {
        /// The event.
        seq: u64,
        /// The plugin.
        id: PluginId,
        /// The version.
        version: Version,
        /// What does not hold.
        source: Box<PublisherError>,
    },
    /// The registry has a number of bins that can not be.
    #[error(transparent)]
    Bins(#[from] BitLengthError),
    /// The caller did not load what the events change. Going on would drop every other plugin of that bin.
    #[error("`{0}` is changed by these events, and was not loaded")]
    NotLoaded(String),
    /// The index has not begun.
    #[error("event {0} needs a registry that has begun, and this one has not")]
    NotBegun(u64),
}

/// The plugins whose documents, and bins, must be in the [`Base`] of these events.
pub fn touched(events: &[Sealed]) -> BTreeSet<PluginId> {
    events.iter().flat_map(|event| document::touched(event.event())).collect()
}

/// The roles of the bins whose content must be in the [`Base`] of these events, sorted: those of the plugins that they
/// touch, and all where one is an epoch or installs another `index`.
pub fn touched_bins(events: &[Sealed], bin_bits: BitLength) -> BTreeSet<String> {
    if events.iter().any(|event| is_epoch(event.event()) || installs(event.event(), writer::INDEX)) {
        return Bins::new("bin", bin_bits).names().collect();
    }
    let documents = touched(events).into_iter().map(|id| bin_of(&id, bin_bits));
    documents.chain(touched_namespaces(events).iter().map(|namespace| bin_of_publishers(namespace, bin_bits))).collect()
}

/// The namespaces whose keys must be in the [`Base`] of these events: those that they change, and those that have a say
/// in what they release.
pub fn touched_namespaces(events: &[Sealed]) -> BTreeSet<Namespace> {
    let of = |event: &Sealed| match &event.event().fact {
        Fact::Released { releases, .. } => releases.iter().map(|release| release.id.namespace().clone()).collect(),
        _ => publisher::touched(event.event()).into_iter().cloned().collect::<Vec<_>>(),
    };
    events.iter().flat_map(of).collect()
}

/// The role of the bin that lists the keys of `namespace`.
pub fn bin_of_publishers(namespace: &Namespace, bin_bits: BitLength) -> String {
    bin_name(bin_bits, &PublicPath::publishers_path(namespace))
}

/// Whether the log goes on, at this event, from less than was signed: see [`Fact::Epoch`].
pub fn is_epoch(event: &Event) -> bool {
    matches!(event.fact, Fact::Epoch { .. })
}

/// Whether this event puts another version of this offline role in place, which may name other online keys.
pub fn installs(event: &Event, role: &str) -> bool {
    match &event.fact {
        Fact::OfflineInstalled { offline } => offline.iter().any(|installed| installed.role == role),
        _ => false,
    }
}

/// The role of the bin that lists the document of `id`.
pub fn bin_of(id: &PluginId, bin_bits: BitLength) -> String {
    bin_name(bin_bits, &PublicPath::target_path(id))
}

/// The version of the next timestamp, where the registry `began` with its first event, `seq` is the event that is
/// covered, and `before` the version in place.
///
/// Each signature covers a later event or comes a day after the one before, so places and days together bound how
/// many there were. Counting them instead of signatures, the version of a registry that was restored without its
/// newest pointer is still higher than what clients hold.
pub fn timestamp_version(before: Option<NonZeroU64>, seq: u64, began: Time, now: Time) -> NonZeroU64 {
    let days = u64::try_from((now.unix() - began.unix()).div_euclid(DAY)).unwrap_or_default();
    let counted = NonZeroU64::new(seq.saturating_add(days)).unwrap_or(NonZeroU64::MIN);
    before.map_or(counted, |before| counted.max(before.saturating_add(1)))
}

/// The index after `events`, from the index before.
///
/// # Errors
/// [`IndexError`]: nothing has been written, and nothing may be.
pub fn advance(base: Base, events: &[Sealed]) -> Result<Revision, IndexError> {
    let mut fold = Fold::begin(base);
    events.iter().try_for_each(|event| fold.take(event))?;
    fold.finish()
}

/// The fold itself, for a stretch that is too long to be in memory: it keeps documents and records, not events.
#[derive(Debug)]
pub struct Fold {
    /// Whether there was a snapshot before: then every bin that changes has content to be kept.
    began: bool,
    /// The event that it goes on from.
    from: u64,
    head: Head,
    /// `None` before the genesis.
    bin_bits: Option<BitLength>,
    versions: BTreeMap<String, NonZeroU64>,
    bins: BTreeMap<String, BTreeMap<String, Target>>,
    documents: BTreeMap<PluginId, Document>,
    publishers: BTreeMap<Namespace, Publishers>,
    dirty_publishers: BTreeSet<Namespace>,
    /// The roles that this stretch touches, by the last event that does.
    changed: BTreeMap<String, Terms>,
    dirty: BTreeSet<PluginId>,
    artifacts: BTreeSet<Digest>,
    records: BTreeMap<Digest, Vec<u8>>,
}

impl Fold {
    /// Goes on from `base`; from an empty one, with the first event.
    pub fn begin(base: Base) -> Self {
        let began = base.snapshot.is_some();
        let (head, bin_bits, versions) = match base.snapshot {
            Some(cursor) => (cursor.head, Some(cursor.bin_bits), cursor.versions),
            None => (Head::none(), None, BTreeMap::new()),
        };
        let Base { bins, documents, publishers, .. } = base;
        let (changed, dirty, artifacts, records) = Default::default();
        let (from, dirty_publishers) = (head.seq, BTreeSet::new());
        Self {
            began,
            from,
            head,
            bin_bits,
            versions,
            bins,
            documents,
            publishers,
            dirty_publishers,
            changed,
            dirty,
            artifacts,
            records,
        }
    }

    /// Takes the next event.
    ///
    /// # Errors
    /// [`IndexError`]: the fold is of no use any more.
    pub fn take(&mut self, event: &Sealed) -> Result<(), IndexError> {
        event.follows(&self.head)?;
        self.head = event.head();
        match &event.event().fact {
            Fact::Genesis { bin_bits, offline } => {
                let bits = BitLength::new(u64::from(*bin_bits))?;
                self.bin_bits = Some(bits);
                self.install(offline);
                for role in Bins::new("bin", bits).names().chain([writer::CATALOG.to_owned()]) {
                    self.touch(role, event);
                }
            }
            Fact::OfflineInstalled { offline } => {
                self.install(offline);
                // Who signs bins, `index` says, and who signs the catalog, `targets`: what they vouch for is signed anew,
                // for the keys may be others. The log does not say whether they are.
                if installs(event.event(), writer::INDEX) {
                    self.touch_bins(event)?;
                }
                if installs(event.event(), trust::TopRole::Targets.name()) {
                    self.touch(writer::CATALOG.to_owned(), event);
                }
            }
            Fact::Epoch { .. } => self.begin_epoch(event)?,
            Fact::Released { releases, attestations } => {
                let attested = attestations.values().flat_map(Attestations::blobs);
                self.artifacts.extend(attested.map(|blob| blob.digest));
                for release in releases {
                    self.admit(release, attestations.get(&release.id), event)?;
                    self.artifacts.extend(release.blobs().map(|blob| blob.digest));
                    let bytes = release.to_bytes().map_err(DocumentError::from)?;
                    self.records.insert(Digest::of(&bytes), bytes);
                }
            }
            // A later release may name the same bytes again: then they are there again.
            Fact::Purged { blobs, .. } => self.artifacts.retain(|digest| !blobs.contains(digest)),
            _ => {}
        }
        for id in document::touched(event.event()) {
            let role = self.loaded(&id, event)?;
            let before = self.documents.remove(&id);
            if let Some(after) = Document::apply(before, &id, event.event())? {
                self.documents.insert(id.clone(), after);
            }
            self.touch(role, event);
            self.dirty.insert(id);
        }
        match publisher::touched(event.event()) {
            Some(namespace) => self.take_publishers(namespace, event),
            None => Ok(()),
        }
    }

    /// Attack: whoever can write to the ledger past the API adds a release that its publisher never signed.
    fn admit(&self, release: &Release, attested: Option<&Attestations>, event: &Sealed) -> Result<(), IndexError> {
        let (namespace, seq) = (release.id.namespace(), event.event().seq);
        self.loaded_publishers(namespace, event)?;
        let Some(publishers) = self.publishers.get(namespace) else { return Ok(()) };
        publishers.admit(attested.unwrap_or(&Attestations::default()), seq).map_err(|source| IndexError::Unsigned {
            seq,
            id: release.id.clone(),
            version: release.version.clone(),
            source: Box::new(source),
        })
    }

    /// The bin of the keys of `namespace`, whose content is at hand, and the keys where there are any.
    fn loaded_publishers(&self, namespace: &Namespace, event: &Sealed) -> Result<String, IndexError> {
        let role = bin_of_publishers(namespace, self.bin_bits.ok_or(IndexError::NotBegun(event.event().seq))?);
        let path = PublicPath::publishers_path(namespace);
        let bin = self.bins.get(&role);
        if (self.began && bin.is_none())
            || (bin.is_some_and(|bin| bin.contains_key(&path)) && !self.publishers.contains_key(namespace))
        {
            return Err(IndexError::NotLoaded(path));
        }
        Ok(role)
    }

    fn take_publishers(&mut self, namespace: &Namespace, event: &Sealed) -> Result<(), IndexError> {
        let role = self.loaded_publishers(namespace, event)?;
        let before = self.publishers.remove(namespace);
        if let Some(after) = Publishers::apply(before, event.event())? {
            self.publishers.insert(namespace.clone(), after);
        }
        self.touch(role, event);
        self.dirty_publishers.insert(namespace.clone());
        Ok(())
    }

    /// Every online role gets the epoch's place as its version. Whatever clients hold of the branch that was lost has
    /// lower ones, so that none of their floors refuses what follows; what each role lists is what the log makes.
    fn begin_epoch(&mut self, event: &Sealed) -> Result<(), IndexError> {
        self.touch_bins(event)?;
        self.touch(writer::CATALOG.to_owned(), event);
        Ok(())
    }

    fn touch_bins(&mut self, event: &Sealed) -> Result<(), IndexError> {
        let bits = self.bin_bits.ok_or(IndexError::NotBegun(event.event().seq))?;
        for role in Bins::new("bin", bits).names() {
            if self.began && !self.bins.contains_key(&role) {
                return Err(IndexError::NotLoaded(role));
            }
            self.touch(role, event);
        }
        Ok(())
    }

    /// The bin of `id`, whose content and whose document of `id` are at hand.
    fn loaded(&self, id: &PluginId, event: &Sealed) -> Result<String, IndexError> {
        let role = bin_of(id, self.bin_bits.ok_or(IndexError::NotBegun(event.event().seq))?);
        let bin = self.bins.get(&role);
        if self.began && bin.is_none() {
            return Err(IndexError::NotLoaded(role));
        }
        let path = PublicPath::target_path(id);
        if bin.is_some_and(|bin| bin.contains_key(&path)) && !self.documents.contains_key(id) {
            return Err(IndexError::NotLoaded(path));
        }
        Ok(role)
    }

    /// Root is found by counting up, not through the snapshot (TUF 1.0, section 5.3).
    fn install(&mut self, offline: &[crate::event::OfflineRole]) {
        let listed = offline.iter().filter(|role| role.role != "root");
        self.versions.extend(listed.map(|role| (role.role.clone(), role.version)));
    }

    fn touch(&mut self, role: String, event: &Sealed) {
        self.versions.insert(role.clone(), event.place());
        let expires = event.event().time.plus(INDEX_LIFETIME);
        self.changed.insert(role, Terms { version: event.place(), expires });
    }

    /// Puts the documents that changed into their bins, and gives each with its bytes to `each`.
    fn list(&mut self, mut each: impl FnMut(Document, Vec<u8>)) -> Result<BitLength, IndexError> {
        if self.head.seq == self.from {
            return Err(IndexError::Nothing(self.from));
        }
        let bin_bits = self.bin_bits.ok_or(IndexError::NotBegun(self.head.seq))?;
        for id in std::mem::take(&mut self.dirty) {
            let Some(document) = self.documents.remove(&id) else { continue };
            let bytes = document.to_bytes()?;
            let bin = self.bins.entry(bin_of(&id, bin_bits)).or_default();
            bin.insert(PublicPath::target_path(&id), Target::of(&bytes));
            each(document, bytes);
        }
        Ok(bin_bits)
    }

    /// Puts the keys that changed into their bins, and gives each with its bytes.
    fn list_publishers(&mut self, bin_bits: BitLength) -> Result<Vec<(Publishers, Vec<u8>)>, IndexError> {
        let mut listed = Vec::new();
        for namespace in std::mem::take(&mut self.dirty_publishers) {
            let Some(publishers) = self.publishers.remove(&namespace) else { continue };
            let bytes = publishers.to_bytes()?;
            let bin = self.bins.entry(bin_of_publishers(&namespace, bin_bits)).or_default();
            bin.insert(PublicPath::publishers_path(&namespace), Target::of(&bytes));
            listed.push((publishers, bytes));
        }
        Ok(listed)
    }

    /// The files of the index after the events that were taken.
    ///
    /// # Errors
    /// [`IndexError`], and [`IndexError::Nothing`] where no event was taken.
    pub fn finish(mut self) -> Result<Revision, IndexError> {
        let records = std::mem::take(&mut self.records);
        let mut files: Vec<(PublicPath, Vec<u8>)> =
            records.into_iter().map(|(digest, bytes)| (PublicPath::Artifact(digest), bytes)).collect();
        let mut documents = Vec::new();
        let bin_bits = self.list(|document, bytes| {
            files.push((PublicPath::Document(document.id.clone(), Digest::of(&bytes)), bytes));
            documents.push(document);
        })?;
        for (publishers, bytes) in self.list_publishers(bin_bits)? {
            files.push((PublicPath::Publishers(publishers.namespace, Digest::of(&bytes)), bytes));
        }
        let mut roles: Vec<_> = self.changed.iter().map(|(role, terms)| self.role(role, *terms)).collect();
        let place = NonZeroU64::new(self.head.seq).ok_or(IndexError::Nothing(0))?;
        let terms = Terms { version: place, expires: self.head.time.plus(INDEX_LIFETIME) };
        let head = trust::Head { seq: self.head.seq, head: self.head.hash, format: 1 };
        roles.push((role_file(writer::SNAPSHOT, place), writer::snapshot(terms, &head, &self.versions)));
        let cursor = Cursor { head: self.head, bin_bits, versions: self.versions };
        Ok(Revision { artifacts: self.artifacts, files, roles, documents, cursor })
    }

    fn role(&self, role: &str, terms: Terms) -> (RoleFile, Unsigned) {
        let none = BTreeMap::new();
        let document = match role {
            // Nothing is in the catalog until there is a search bundle to vouch for.
            writer::CATALOG => writer::catalog(terms, &none),
            _ => writer::bin(terms, role, self.bins.get(role).unwrap_or(&none)),
        };
        (role_file(role, terms.version), document)
    }
}

fn role_file(role: &str, version: NonZeroU64) -> RoleFile {
    RoleFile { version: version.get(), role: role.to_owned() }
}
