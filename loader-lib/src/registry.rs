//! A registry as a host sees it: pinned by its first root, read lazily, verified, and kept for offline use.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use stoa_core::{
    attestation::AttestationError,
    digest::Digest,
    document::{Document, DocumentError},
    id::{Namespace, PluginId},
    path::{PublicPath, RoleFile},
    policy::Policy,
    publisher::{PublisherError, Publishers},
    release::BlobRef,
    resolve::{Documents, Known},
    time::Time,
    trust::{Attack, Config, Envelope, Outcome, Staleness, Step, TrustError, TrustFile, Updater},
    version::Version,
};

use crate::{
    cache::{Cache, CacheError, Kind, TrustFolder},
    consent::Consent,
    freshness::{Freshness, MAX_STALE},
    grant::Authority,
    transport::{self, Answer, NoConnection, Transport, TransportError},
};

/// How many files are fetched at a time: HTTP/2 carries them on one connection.
pub(crate) const PARALLEL: usize = 8;
/// A timestamp younger than this is not asked for again under [`Refresh::IfStale`]: its TTL at the edge.
const FRESH_SECONDS: i64 = 60;
/// The file with the entity tag of the kept pointer.
const TAG: &str = "timestamp.tag";
/// The file that says since when the registry shows older pointers than the kept one.
const OLDER_SINCE: &str = "older-since";

/// What is trusted without proof: the registry's first root.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrustRoot {
    /// The bytes of the first root, for instance compiled into the host.
    Bytes(Vec<u8>),
    /// The SHA-256 of the first root; the bytes are fetched and must have it.
    Sha256(Digest),
    /// Whatever root the registry shows the first time. A network that lies at that moment is believed for
    /// ever; show the fingerprint to a person who can compare it.
    OnFirstUse,
}

impl TrustRoot {
    /// The root in these bytes.
    pub fn pinned(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Bytes(bytes.into())
    }
}

/// When to ask the registry for news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresh {
    /// Where the last answer is older than a minute, or nothing is kept.
    IfStale,
    /// In any case.
    Always,
    /// Not at all: what is kept must do.
    Never,
}

/// Why a registry can not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// Bytes did not come.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The cache can not be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// What came is not what the registry's keys vouch for.
    #[error("`{file}` is refused")]
    Untrusted {
        /// The file, below the registry's address.
        file: String,
        /// The check that failed.
        #[source]
        source: Box<TrustError>,
    },
    /// Signed bytes that are not what they should be.
    #[error("`{file}` is refused")]
    Document {
        /// The file.
        file: String,
        /// What is wrong with it.
        #[source]
        source: Box<DocumentError>,
    },
    /// Signed bytes that are not the keys of a namespace.
    #[error("`{file}` is refused")]
    Publishers {
        /// The file.
        file: String,
        /// What is wrong with it.
        #[source]
        source: Box<PublisherError>,
    },
    /// The signature of a release does not hold.
    #[error("the signature of `{id}` {version} is refused")]
    Signature {
        /// The plugin.
        id: PluginId,
        /// The version.
        version: Version,
        /// What does not hold.
        #[source]
        source: Box<PublisherError>,
    },
    /// A release bears no signature, and its namespace demanded one before it was published.
    #[error("`{id}` {version} is refused")]
    Unsigned {
        /// The plugin.
        id: PluginId,
        /// The version.
        version: Version,
        /// What demands it, and since when.
        #[source]
        source: Box<PublisherError>,
    },
    /// What a publisher has signed of where a release was built is no such thing.
    #[error("the provenance of `{id}` {version} is refused")]
    Provenance {
        /// The plugin.
        id: PluginId,
        /// The version.
        version: Version,
        /// What is wrong with it.
        #[source]
        source: Box<AttestationError>,
    },
    /// A file has other bytes than the signed index says.
    #[error("`{file}` is refused: {check}: it should be {expected}, and is {found}")]
    Mismatch {
        /// The file.
        file: String,
        /// Which check: `length` or `SHA-256`.
        check: &'static str,
        /// What the signed index says.
        expected: String,
        /// What came.
        found: String,
    },
    /// The signed index names a file that the registry does not have.
    #[error("`{file}` is named by the signed index and is not there")]
    Missing {
        /// The file.
        file: String,
    },
    /// The first root is not the pinned one.
    #[error("the first root of {address} has the SHA-256 {found}, and {pinned} is pinned")]
    OtherRoot {
        /// The registry.
        address: String,
        /// What was found.
        found: Digest,
        /// What is trusted.
        pinned: Digest,
    },
    /// Nothing is kept of the registry, and no connection may be opened.
    #[error("nothing verified is kept of {address}: it was never read with this cache")]
    NothingKept {
        /// The registry.
        address: String,
    },
    /// The registry provably has no such plugin.
    #[error("{address} has no plugin `{id}`")]
    NoPlugin {
        /// The registry.
        address: String,
        /// The plugin.
        id: PluginId,
    },
}

impl RegistryError {
    /// What the refusal may be a sign of; `None` where nothing that came was refused.
    pub fn attack(&self) -> Option<Attack> {
        match self {
            Self::Untrusted { source, .. } => source.attack(),
            Self::Document { .. } | Self::Publishers { .. } => Some(Attack::Malformed),
            Self::Signature { .. } | Self::Unsigned { .. } | Self::Provenance { .. } => Some(Attack::Forgery),
            Self::Mismatch { .. } => Some(Attack::Forgery),
            Self::Missing { .. } => Some(Attack::Withholding),
            Self::OtherRoot { .. } => Some(Attack::Forgery),
            Self::Transport(TransportError::TooLong { .. }) => Some(Attack::EndlessData),
            Self::Transport(_) | Self::Cache(_) | Self::NothingKept { .. } | Self::NoPlugin { .. } => None,
        }
    }
}

fn refuse(file: impl Into<String>) -> impl FnOnce(TrustError) -> RegistryError {
    move |source| RegistryError::Untrusted { file: file.into(), source: Box::new(source) }
}

/// A registry, pinned and with a cache.
#[derive(Debug)]
pub struct Registry {
    address: String,
    transport: Arc<dyn Transport>,
    cache: Cache,
    root: Vec<u8>,
    trust: TrustFolder,
    updater: Mutex<Option<Updater>>,
    max_stale: i64,
    authority: Authority,
    /// Whether it was told that the cache can not be written.
    unkept: AtomicBool,
    now: fn() -> Time,
}

/// Verified bytes: where they lie, and themselves where they could not be kept there.
#[derive(Debug)]
pub(crate) struct Obtained {
    pub(crate) path: PathBuf,
    pub(crate) held: Option<Bytes>,
}

fn system_time() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::from_unix(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

impl Registry {
    /// The registry at `address` (`https://…`, `http://…`, or `file:///…` for a mirror in a folder).
    ///
    /// Opens a connection only where `root` is a fingerprint whose root is not kept yet.
    ///
    /// # Errors
    /// [`RegistryError`] where the address is none, the cache can not be used, or the root is another one.
    pub async fn open(address: &str, root: TrustRoot, cache: Cache) -> Result<Self, RegistryError> {
        Self::open_through(address, transport::by_address(address)?, root, cache).await
    }

    /// The registry at `address` as the cache has it: never opens a connection.
    ///
    /// # Errors
    /// As [`Registry::open`], and [`RegistryError::NothingKept`].
    pub async fn open_offline(address: &str, root: TrustRoot, cache: Cache) -> Result<Self, RegistryError> {
        Self::open_through(address, Arc::new(NoConnection), root, cache).await
    }

    /// The registry at `address`, read through `transport`.
    ///
    /// # Errors
    /// As [`Registry::open`].
    pub async fn open_through(
        address: &str,
        transport: Arc<dyn Transport>,
        root: TrustRoot,
        cache: Cache,
    ) -> Result<Self, RegistryError> {
        let address = address.trim_end_matches('/').to_owned();
        let root = first_root(&address, &*transport, &root, &cache).await?;
        let trust = cache.trust(Digest::of(&root));
        Ok(Self {
            address,
            transport,
            cache,
            root,
            trust,
            updater: Mutex::new(None),
            max_stale: MAX_STALE,
            authority: Authority::default(),
            unkept: AtomicBool::new(false),
            now: system_time,
        })
    }

    /// The registry with another clock, for tests of expiry.
    #[must_use]
    pub fn with_clock(self, now: fn() -> Time) -> Self {
        Self { now, ..self }
    }

    /// The registry with a shorter time, in seconds, for which new versions are chosen from an index that has
    /// expired. More than [`MAX_STALE`] is [`MAX_STALE`].
    #[must_use]
    pub fn with_max_stale(self, seconds: u64) -> Self {
        Self { max_stale: i64::try_from(seconds).unwrap_or(MAX_STALE).min(MAX_STALE), ..self }
    }

    /// The registry under a policy: what it refuses is not chosen ([`Snapshot::resolve`]) and not fetched
    /// ([`Registry::plan`]), whatever a lock says.
    #[must_use]
    pub fn with_policy(self, policy: Policy) -> Self {
        Self { authority: Authority { policy, ..self.authority }, ..self }
    }

    /// The registry with somebody who may agree to what plugins ask for and the policy leaves open. Without this nobody
    /// does, and [`Registry::plan`] refuses.
    #[must_use]
    pub fn with_consent(self, consent: impl Consent + 'static) -> Self {
        Self { authority: Authority { consent: Arc::new(consent), ..self.authority }, ..self }
    }

    pub(crate) fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.authority.policy
    }

    /// The time by this registry's clock.
    pub(crate) fn time(&self) -> Time {
        (self.now)()
    }

    /// The address.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The SHA-256 of the first root: what a host pins.
    pub fn fingerprint(&self) -> Digest {
        Digest::of(&self.root)
    }

    /// The SHA-256 of the registry's first root, by which publishers name it: the pinned one, unless that is a later one.
    pub fn first_root(&self) -> Option<Digest> {
        let root = Envelope::read("root", &self.root).ok()?;
        (root.signed().get("version").and_then(serde_json::Value::as_u64) == Some(1)).then(|| self.fingerprint())
    }

    /// Where verified copies are kept.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// Whether a component has to be fetched, and no connection may be opened: it can not be had.
    pub(crate) fn lacks(&self, component: BlobRef) -> bool {
        !self.transport.leads_anywhere() && !self.cache.artifact_path(component.digest).exists()
    }

    /// How many requests were made so far.
    pub fn requests(&self) -> u64 {
        self.transport.requests()
    }

    /// The signed index, as new as `refresh` asks for. Documents are not fetched yet: see [`Snapshot::documents`].
    ///
    /// # Errors
    /// [`RegistryError`]. What was kept before stays as it was.
    pub async fn sync(&self, refresh: Refresh) -> Result<Snapshot<'_>, RegistryError> {
        let held = self.updater.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (mut updater, outcome) = match self.asks(refresh, held.is_some()) {
            true => {
                let mut updater = match held {
                    Some(updater) => updater,
                    None => Updater::open(&self.root, self.trust.load(), (self.now)(), Config::default())
                        .map_err(refuse("the pinned root"))?,
                };
                let outcome = self.refresh(&mut updater).await?;
                (updater, Some(outcome))
            }
            false => (held.map_or_else(|| self.kept(), Ok)?, None),
        };
        updater.take_writes();
        *self.updater.lock().unwrap_or_else(PoisonError::into_inner) = Some(updater.clone());
        Ok(Snapshot { registry: self, updater: tokio::sync::Mutex::new(updater), outcome })
    }

    /// Whether `refresh` means to ask the registry.
    fn asks(&self, refresh: Refresh, held: bool) -> bool {
        let young = || {
            let age = self.checked_at().map(|at| (self.now)().unix() - at.unix());
            age.is_some_and(|age| (0..FRESH_SECONDS).contains(&age))
        };
        match refresh {
            Refresh::Never => false,
            Refresh::Always => true,
            Refresh::IfStale => !young() || (!held && self.kept().is_err()),
        }
    }

    /// What the cache holds, verified from the pinned root.
    fn kept(&self) -> Result<Updater, RegistryError> {
        match Updater::offline(&self.root, self.trust.load(), (self.now)(), Config::default()) {
            Err(TrustError::NotCached { .. }) => Err(RegistryError::NothingKept { address: self.address.clone() }),
            other => other.map_err(refuse("the kept index")),
        }
    }

    /// The index as it is kept. Never opens a connection.
    ///
    /// # Errors
    /// [`RegistryError::NothingKept`], or what a damaged cache gives.
    pub async fn cached(&self) -> Result<Snapshot<'_>, RegistryError> {
        self.sync(Refresh::Never).await
    }

    async fn refresh(&self, updater: &mut Updater) -> Result<Outcome, RegistryError> {
        updater.begin((self.now)());
        let mut keeps = true;
        loop {
            match updater.next() {
                Step::Done(outcome) => {
                    if keeps {
                        self.kept_at(|trust| trust.write("checked-at", (self.now)().to_string().as_bytes()));
                        self.note_older(&outcome);
                    }
                    return Ok(outcome);
                }
                Step::Fetch { file, max_bytes, .. } => {
                    let (bytes, tag) = match file.path() {
                        Some(PublicPath::Timestamp) => self.pointer(max_bytes).await?,
                        _ => (self.trust_file(&file, max_bytes).await?, None),
                    };
                    let received = updater.receive(bytes.as_deref());
                    // Also after a refusal: a newer root or timestamp may have been accepted before it.
                    keeps = self.keep(updater, keeps);
                    received.map_err(refuse(format!("trust/{file}")))?;
                    if let Some(tag) = tag.filter(|_| keeps) {
                        keeps = self.kept_at(|trust| trust.write(TAG, tag.as_bytes()));
                    }
                }
            }
        }
    }

    /// Writes down what the updater has accepted, in its order, while `keeps`. Gives whether it still does: what can
    /// not be written ends the writing, as a crash would, so that the folder never has a pointer without what it
    /// points at. The updater holds it all, and reading goes on.
    fn keep(&self, updater: &mut Updater, keeps: bool) -> bool {
        let writes = updater.take_writes();
        keeps && writes.iter().all(|write| self.kept_at(|trust| trust.apply(write)))
    }

    fn kept_at(&self, write: impl FnOnce(&TrustFolder) -> Result<(), CacheError>) -> bool {
        self.told(write(&self.trust)).is_some()
    }

    /// A cache that can not be written costs time, and fails nothing. That is told once.
    fn told<T>(&self, kept: Result<T, CacheError>) -> Option<T> {
        match kept {
            Ok(kept) => Some(kept),
            Err(error) => {
                if !self.unkept.swap(true, Ordering::Relaxed) {
                    let why = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                    tracing::warn!(%error, why, "the cache keeps nothing; what is verified is used from memory");
                }
                None
            }
        }
    }

    fn checked_at(&self) -> Option<Time> {
        self.noted("checked-at")
    }

    fn noted(&self, name: &str) -> Option<Time> {
        String::from_utf8(self.trust.read(name)?).ok()?.parse().ok()
    }

    /// Remembers, over processes, since when older pointers are served: a moment is an edge that lags, an hour is
    /// somebody who rolls the registry back.
    fn note_older(&self, outcome: &Outcome) {
        match (outcome, self.noted(OLDER_SINCE)) {
            (Outcome::OlderPointer { .. }, None) => {
                self.kept_at(|trust| trust.write(OLDER_SINCE, (self.now)().to_string().as_bytes()));
            }
            (Outcome::Fresh { .. } | Outcome::Unchanged, Some(_)) => {
                self.kept_at(|trust| trust.remove(OLDER_SINCE));
            }
            _ => {}
        }
    }

    /// How old an index is that expired at `since`, where that is older than new versions are chosen from.
    pub(crate) fn too_stale(&self, since: Time) -> Option<i64> {
        let age = (self.now)().unix().saturating_sub(since.unix());
        (age > self.max_stale).then_some(age)
    }

    pub(crate) fn max_stale(&self) -> i64 {
        self.max_stale
    }

    async fn trust_file(&self, file: &TrustFile, max_bytes: u64) -> Result<Option<Vec<u8>>, RegistryError> {
        let Some(path) = file.path() else {
            return Err(RegistryError::Missing { file: file.to_string() });
        };
        match self.transport.get(&path, max_bytes, None).await? {
            Answer::Found { bytes, .. } => Ok(Some(bytes.to_vec())),
            Answer::NotModified | Answer::Absent => Ok(None),
        }
    }

    /// The pointer, and what to keep of its tag once the pointer is accepted.
    async fn pointer(&self, max_bytes: u64) -> Result<(Option<Vec<u8>>, Option<String>), RegistryError> {
        let kept = self.trust.read("timestamp.json");
        let known = kept.as_deref().and_then(|kept| self.tag_of(kept));
        match self.transport.get(&PublicPath::Timestamp, max_bytes, known.as_deref()).await? {
            Answer::NotModified => Ok((kept, None)),
            Answer::Absent => Ok((None, None)),
            Answer::Found { bytes, tag } => {
                let tag = tag.map(|tag| format!("{} {tag}", Digest::of(&bytes)));
                Ok((Some(bytes.to_vec()), tag))
            }
        }
    }

    /// The tag that came with the pointer `kept`. A tag is kept together with the digest of the bytes that it
    /// came with: shown for other bytes (of another process with this cache, or of a mirror that forged the
    /// bytes and not the header) it would be answered with "not modified", and an old pointer would stay.
    fn tag_of(&self, kept: &[u8]) -> Option<String> {
        let tag = String::from_utf8(self.trust.read(TAG)?).ok()?;
        let (digest, tag) = tag.split_once(' ')?;
        (digest == Digest::of(kept).to_string()).then(|| tag.to_owned())
    }

    /// The bytes that `blob` names, from the cache or the registry. Returns where they lie, verified.
    ///
    /// # Errors
    /// [`RegistryError::Mismatch`] where the registry gives other bytes; [`RegistryError::Cache`] where they can not
    /// be kept: [`Registry::read`] gives them all the same.
    pub async fn fetch(&self, blob: BlobRef) -> Result<PathBuf, RegistryError> {
        if self.cache.content(Kind::Artifact, blob.digest).is_some() {
            return Ok(self.cache.artifact_path(blob.digest));
        }
        let bytes = self.checked(&PublicPath::Artifact(blob.digest), blob).await?;
        Ok(self.cache.keep(Kind::Artifact, blob.digest, &bytes)?)
    }

    /// As [`Registry::fetch`], and where the bytes can not be kept, themselves.
    pub(crate) async fn obtain(&self, blob: BlobRef) -> Result<Obtained, RegistryError> {
        let path = self.cache.artifact_path(blob.digest);
        if self.cache.content(Kind::Artifact, blob.digest).is_some() {
            return Ok(Obtained { path, held: None });
        }
        let bytes = self.checked(&PublicPath::Artifact(blob.digest), blob).await?;
        let kept = self.told(self.cache.keep(Kind::Artifact, blob.digest, &bytes));
        Ok(Obtained { path, held: kept.is_none().then(|| bytes.into()) })
    }

    /// Whether the bytes that `blob` names are kept here, whole.
    pub(crate) fn keeps(&self, blob: BlobRef) -> bool {
        self.cache.content(Kind::Artifact, blob.digest).is_some()
    }

    /// The bytes that `blob` names, kept where that is possible.
    ///
    /// # Errors
    /// [`RegistryError::Mismatch`] where the registry gives other bytes.
    pub async fn read(&self, blob: BlobRef) -> Result<Vec<u8>, RegistryError> {
        if let Some(bytes) = self.cache.content(Kind::Artifact, blob.digest) {
            return Ok(bytes);
        }
        let bytes = self.checked(&PublicPath::Artifact(blob.digest), blob).await?;
        self.told(self.cache.keep(Kind::Artifact, blob.digest, &bytes));
        Ok(bytes)
    }

    async fn checked(&self, path: &PublicPath, blob: BlobRef) -> Result<Vec<u8>, RegistryError> {
        let file = path.to_string();
        let bytes = match self.transport.get(path, blob.size, None).await? {
            Answer::Found { bytes, .. } => bytes,
            Answer::NotModified | Answer::Absent => return Err(RegistryError::Missing { file }),
        };
        let mismatch = |check, expected: String, found: String| {
            Err(RegistryError::Mismatch { file: file.clone(), check, expected, found })
        };
        if bytes.len() as u64 != blob.size {
            return mismatch("length", format!("{} bytes", blob.size), format!("{} bytes", bytes.len()));
        }
        let found = Digest::of(&bytes);
        if found != blob.digest {
            return mismatch("SHA-256", blob.digest.to_string(), found.to_string());
        }
        Ok(bytes.to_vec())
    }
}

/// The bytes of the first root: given, kept, or fetched and compared with the fingerprint.
async fn first_root(
    address: &str,
    transport: &dyn Transport,
    root: &TrustRoot,
    cache: &Cache,
) -> Result<Vec<u8>, RegistryError> {
    let pinned = match root {
        TrustRoot::Bytes(bytes) => return Ok(bytes.clone()),
        TrustRoot::Sha256(digest) => Some(*digest),
        // Remembered: it is the first use once.
        TrustRoot::OnFirstUse => cache.first_use(address),
    };
    if let Some(bytes) = pinned.and_then(|digest| cache.content(Kind::Artifact, digest)) {
        return Ok(bytes);
    }
    let path = PublicPath::Role(RoleFile { version: 1, role: "root".to_owned() });
    let limit = stoa_core::trust::Limits::default().root_bytes;
    let bytes = match transport.get(&path, limit, None).await? {
        Answer::Found { bytes, .. } => bytes.to_vec(),
        Answer::NotModified | Answer::Absent => return Err(RegistryError::Missing { file: path.to_string() }),
    };
    let found = Digest::of(&bytes);
    if let Some(pinned) = pinned.filter(|pinned| *pinned != found) {
        return Err(RegistryError::OtherRoot { address: address.to_owned(), found, pinned });
    }
    let kept = cache.keep(Kind::Artifact, found, &bytes);
    if *root == TrustRoot::OnFirstUse {
        // A root that is trusted unseen has to be remembered: otherwise every use is the first.
        kept?;
        cache.remember_first_use(address, found)?;
    }
    Ok(bytes)
}

/// The signed index at one moment.
#[derive(Debug)]
pub struct Snapshot<'r> {
    registry: &'r Registry,
    updater: tokio::sync::Mutex<Updater>,
    outcome: Option<Outcome>,
}

impl<'r> Snapshot<'r> {
    /// The registry that this is of.
    pub fn registry(&self) -> &'r Registry {
        self.registry
    }

    /// What the refresh found; `None` where the registry was not asked.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// The last event that the index covers.
    pub async fn seq(&self) -> u64 {
        let updater = self.updater.lock().await;
        updater.snapshot().and_then(|snapshot| snapshot.head()).map_or(0, |head| head.seq)
    }

    /// The versions of root and snapshot.
    pub async fn versions(&self) -> (u64, u64) {
        let updater = self.updater.lock().await;
        (updater.root().version(), updater.snapshot().map_or(0, |snapshot| snapshot.version()))
    }

    /// How new the index is, in the terms that a host acts on.
    pub async fn freshness(&self) -> Freshness {
        let older_since = self.registry.noted(OLDER_SINCE);
        Freshness::of(self.outcome(), self.staleness().await, older_since, (self.registry.now)())
    }

    /// How old the index is at this moment.
    pub async fn staleness(&self) -> Staleness {
        self.updater.lock().await.staleness((self.registry.now)())
    }

    /// The document of `id`, or `None` where the registry provably has no such plugin.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn document(&self, id: &PluginId) -> Result<Option<Document>, RegistryError> {
        let Some(blob) = self.locate(&PublicPath::target_path(id)).await? else { return Ok(None) };
        let path = PublicPath::Document(id.clone(), blob.digest);
        let bytes = self.listed(&path, blob).await?;
        let refuse = |source| RegistryError::Document { file: path.to_string(), source: Box::new(source) };
        Document::read(id, &bytes).map(Some).map_err(refuse)
    }

    /// The bytes of a file that a bin lists, from the cache or the registry.
    async fn listed(&self, path: &PublicPath, blob: BlobRef) -> Result<Vec<u8>, RegistryError> {
        let registry = self.registry;
        if let Some(bytes) = registry.cache.content(Kind::Document, blob.digest) {
            return Ok(bytes);
        }
        let bytes = registry.checked(path, blob).await?;
        registry.told(registry.cache.keep(Kind::Document, blob.digest, &bytes));
        Ok(bytes)
    }

    /// The keys of a namespace's publishers, or `None` where it provably never had any.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn publishers(&self, namespace: &Namespace) -> Result<Option<Publishers>, RegistryError> {
        let Some(blob) = self.locate(&PublicPath::publishers_path(namespace)).await? else { return Ok(None) };
        let path = PublicPath::Publishers(namespace.clone(), blob.digest);
        let bytes = self.listed(&path, blob).await?;
        let refuse = |source| RegistryError::Publishers { file: path.to_string(), source: Box::new(source) };
        Publishers::read(namespace, &bytes).map(Some).map_err(refuse)
    }

    /// What the index lists under `path`: digest and length.
    async fn locate(&self, path: &str) -> Result<Option<BlobRef>, RegistryError> {
        let mut updater = self.updater.lock().await;
        let mut lookup = updater.lookup(path);
        loop {
            match lookup.next(&mut updater).map_err(refuse(path.to_owned()))? {
                Step::Done(None) => return Ok(None),
                Step::Done(Some(target)) => {
                    let digest = target.hashes.sha256();
                    let digest = digest.ok_or_else(|| RegistryError::Missing { file: path.to_owned() })?;
                    return Ok(Some(BlobRef { digest, size: target.length }));
                }
                Step::Fetch { file, max_bytes, .. } => {
                    let kept = self.registry.trust.role(&file.role);
                    if kept.is_some_and(|kept| lookup.offer(&mut updater, &kept)) {
                        continue;
                    }
                    let bytes = self.registry.trust_file(&file, max_bytes).await?;
                    let received = lookup.receive(&mut updater, bytes.as_deref());
                    self.registry.keep(&mut updater, true);
                    received.map_err(refuse(format!("trust/{file}")))?;
                }
            }
        }
    }

    /// The documents that `reach` asks for, level by level, until it asks for no more.
    ///
    /// `reach` is given what is there so far and names what it needs next; so a resolution reads as much of the index as
    /// it can reach, and no more. Where no connection may be opened, what is not kept is [`Known::NotKept`].
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn documents(&self, reach: impl Fn(&Documents) -> Vec<PluginId>) -> Result<Documents, RegistryError> {
        let mut found = Documents::new();
        loop {
            let next: BTreeSet<PluginId> = reach(&found).into_iter().filter(|id| !found.contains_key(id)).collect();
            if next.is_empty() {
                return Ok(found);
            }
            let level = stream::iter(next).map(|id| async move {
                let known = match self.document(&id).await {
                    Err(RegistryError::Transport(TransportError::Offline { .. })) => Known::NotKept,
                    document => document?.map_or(Known::Absent, Known::Document),
                };
                Ok((id, known))
            });
            let level: Vec<_> =
                level.buffer_unordered(PARALLEL).try_collect::<Vec<_>>().await.map_err(|e: RegistryError| e)?;
            found.extend(level);
        }
    }
}
