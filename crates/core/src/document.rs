//! The index document of a plugin: all that a resolver, a loader and a page need to know of it.
//!
//! A document is a fold of the log: [`Document::apply`] takes the document before and one event, and gives
//! the document after. The indexer keeps no other state, so a rebuild from the first event and the
//! incremental path can only agree.

use std::collections::BTreeMap;

use crate::{
    advisory::{self, AdvisoryId},
    attestation::{Attestations, ReleaseClaim},
    canonical::{self, CanonicalError},
    digest::Digest,
    event::{Event, Fact},
    id::PluginId,
    release::{BlobRef, Dependency, Export, Import, Kind, Release, Runtime},
    standing::{Certified, Takedown},
    time::Time,
    version::Version,
};

mod standing;
mod wire;

/// A document is at most this long (1 MiB).
pub const MAX_DOCUMENT_BYTES: usize = 1024 * 1024;

/// One plugin with all its releases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The plugin.
    pub id: PluginId,
    /// What it is for: the same for all releases.
    pub kind: Kind,
    /// The last event that touched it. It makes the bytes of every revision unique.
    pub seq: u64,
    /// What its newest release says of itself.
    pub about: About,
    /// How it was taken down as a whole.
    pub takedown: Option<Takedown>,
    /// The known flaws of its releases.
    pub advisories: BTreeMap<AdvisoryId, advisory::Listed>,
    /// Its releases, those too that were taken down.
    pub releases: BTreeMap<Version, Listing>,
    /// Its releases in a newer format, each with what this program would have to understand of it and does not. They are
    /// not among `releases`, and a document with any can not be written.
    pub newer: BTreeMap<Version, Vec<String>>,
}

/// What people read of a plugin, from its newest release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// The release that this is from.
    pub version: Version,
    /// One line.
    pub description: String,
    /// An SPDX licence expression.
    pub license: String,
    /// Where the source is.
    pub repository: Option<String>,
    /// Words to be found by.
    pub keywords: Vec<String>,
    /// Shelves of the marketplace.
    pub categories: Vec<String>,
    /// The WIT.
    pub wit: BlobRef,
    /// The readme.
    pub readme: Option<BlobRef>,
}

/// The server's record of a release: where it stands in the log, and what affects resolving it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The component.
    pub artifact: BlobRef,
    /// The author's record: the digest of [`Release::to_bytes`].
    pub record: Digest,
    /// The event that made it visible.
    pub seq: u64,
    /// That event's time.
    pub published_at: Time,
    /// The plugins it calls.
    pub dependencies: BTreeMap<PluginId, Dependency>,
    /// The interfaces it imports.
    pub imports: Vec<Import>,
    /// The interfaces and functions it exports.
    pub exports: Vec<Export>,
    /// The tracks it needs, such as `wasi:0.2`.
    pub tracks: Vec<String>,
    /// The capabilities it asks for; the reasons are in the record.
    pub capabilities: Vec<String>,
    /// The limits it wishes for, in bytes and milliseconds.
    pub limits: BTreeMap<String, u64>,
    /// How instances may be treated.
    pub runtime: Runtime,
    /// What is attested of it.
    pub attestations: Attestations,
    /// Whether its author lets new resolutions choose it.
    pub state: State,
    /// How it was taken down by itself: [`Document::takedown_of`] counts its plugin in.
    pub takedown: Option<Takedown>,
    /// To which level the operator certified it.
    pub certified: Option<Certified>,
}

impl Listing {
    /// What a signature of this release has to say, in the registry with this first root.
    pub fn claim(&self, registry: Digest, id: &PluginId, version: &Version) -> ReleaseClaim {
        ReleaseClaim {
            registry,
            id: id.clone(),
            version: version.clone(),
            artifact: self.artifact.digest,
            record: self.record,
            provenance: self.attestations.provenance.map(|blob| blob.digest),
        }
    }
}

/// Whether its author lets new resolutions choose a release.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// They do.
    Listed,
    /// They do not; locks that name it hold.
    Yanked {
        /// Why.
        reason: String,
        /// Since when.
        at: Time,
    },
}

/// Why a document can not be, or can not take an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// The event speaks of a release that the document does not have. The ledger refuses such events, so the
    /// log or the document is not what it claims to be.
    #[error("event {seq} speaks of `{id}` {version}, which the document of `{id}` does not have")]
    Unknown {
        /// The event.
        seq: u64,
        /// The plugin.
        id: PluginId,
        /// The version.
        version: Version,
    },
    /// The event speaks of a plugin that has no document.
    #[error("event {seq} speaks of `{id}`, which has no document")]
    Absent {
        /// The event.
        seq: u64,
        /// The plugin.
        id: PluginId,
    },
    /// The event releases a version again.
    #[error("event {seq} releases `{id}` {version} again")]
    Again {
        /// The event.
        seq: u64,
        /// The plugin.
        id: PluginId,
        /// The version.
        version: Version,
    },
    /// The event is not newer than the document.
    #[error("event {seq} was already in the document of `{id}`, which covers {covered}")]
    Covered {
        /// The event.
        seq: u64,
        /// The plugin.
        id: PluginId,
        /// The document's seq.
        covered: u64,
    },
    /// The bytes are longer than [`MAX_DOCUMENT_BYTES`].
    #[error("the document of `{id}` takes {size} bytes, and a document has at most {MAX_DOCUMENT_BYTES}")]
    TooLarge {
        /// The plugin.
        id: PluginId,
        /// The length.
        size: usize,
    },
    /// A release is in a newer format, and would be lost if the document were written.
    #[error("`{id}` {version} is in a newer format than this program writes: update the program")]
    Newer {
        /// The plugin.
        id: PluginId,
        /// The version.
        version: Version,
    },
    /// The bytes are no document that this program knows.
    #[error("not an index document of format 1: {0}")]
    Unreadable(String),
}

impl From<CanonicalError> for DocumentError {
    fn from(error: CanonicalError) -> Self {
        Self::Unreadable(error.to_string())
    }
}

/// The plugins whose documents `event` changes, sorted, each once.
pub fn touched(event: &Event) -> Vec<PluginId> {
    match &event.fact {
        Fact::Released { releases, .. } => releases.iter().map(|release| release.id.clone()).collect(),
        Fact::Yanked { id, .. }
        | Fact::Unyanked { id, .. }
        | Fact::TakenDown { id, .. }
        | Fact::Restored { id, .. }
        | Fact::Appealed { id, .. }
        | Fact::Certified { id, .. }
        | Fact::AdvisoryPublished { id, .. }
        | Fact::AdvisoryWithdrawn { id, .. } => vec![id.clone()],
        _ => Vec::new(),
    }
}

impl Document {
    /// The document of `id` after `event`, from the one before (`None` where there was none).
    ///
    /// Events that do not touch `id` leave it as it was.
    ///
    /// # Errors
    /// [`DocumentError`] where the event does not fit the document: the log is not one that the API wrote.
    pub fn apply(before: Option<Self>, id: &PluginId, event: &Event) -> Result<Option<Self>, DocumentError> {
        if !touched(event).contains(id) {
            return Ok(before);
        }
        if let Some(document) = before.as_ref().filter(|document| document.seq >= event.seq) {
            return Err(DocumentError::Covered { seq: event.seq, id: id.clone(), covered: document.seq });
        }
        let changed = match &event.fact {
            Fact::Released { releases, attestations } => match releases.iter().find(|release| release.id == *id) {
                Some(release) => {
                    let attested = attestations.get(id).cloned().unwrap_or_default();
                    Self::with_release(before, release, attested, event)?
                }
                None => return Ok(before),
            },
            Fact::Yanked { version, reason, .. } => {
                let state = State::Yanked { reason: reason.clone(), at: event.time };
                Self::with_state(before, id, version, state, event)?
            }
            Fact::Unyanked { version, .. } => Self::with_state(before, id, version, State::Listed, event)?,
            _ => {
                let mut document = before.ok_or(DocumentError::Absent { seq: event.seq, id: id.clone() })?;
                document.stand(event)?;
                document
            }
        };
        Ok(Some(Self { seq: event.seq, ..changed }))
    }

    fn with_release(
        before: Option<Self>,
        release: &Release,
        attestations: Attestations,
        event: &Event,
    ) -> Result<Self, DocumentError> {
        let listing = Listing { attestations, ..Listing::of(release, event)? };
        let about = About::of(release);
        let Some(mut document) = before else {
            let releases = BTreeMap::from([(release.version.clone(), listing)]);
            let (takedown, advisories, newer) = Default::default();
            let (id, kind, seq) = (release.id.clone(), release.kind, event.seq);
            return Ok(Self { id, kind, seq, about, takedown, advisories, releases, newer });
        };
        if document.releases.insert(release.version.clone(), listing).is_some() {
            let (id, version) = (release.id.clone(), release.version.clone());
            return Err(DocumentError::Again { seq: event.seq, id, version });
        }
        // What was taken down does not speak for the plugin once there is another.
        let down = document.takedown_of(&document.about.version).is_some();
        if down || supersedes(&release.version, &document.about.version) {
            document.about = about;
        }
        Ok(document)
    }

    fn with_state(
        before: Option<Self>,
        id: &PluginId,
        version: &Version,
        state: State,
        event: &Event,
    ) -> Result<Self, DocumentError> {
        let unknown = || DocumentError::Unknown { seq: event.seq, id: id.clone(), version: version.clone() };
        let mut document = before.ok_or_else(unknown)?;
        document.releases.get_mut(version).ok_or_else(unknown)?.state = state;
        Ok(document)
    }

    /// The newest release that new resolutions may choose: a release before a pre-release, then the highest.
    pub fn newest(&self) -> Option<(&Version, &Listing)> {
        let chosen = |(version, listing): &(&Version, &Listing)| {
            listing.state == State::Listed && self.takedown_of(version).is_none()
        };
        let listed = || self.releases.iter().rev().filter(chosen);
        listed().find(|(version, _)| !version.is_prerelease()).or_else(|| listed().next())
    }

    /// The stored bytes: canonical JSON of format 1 (`docs/format/document.md`).
    ///
    /// # Errors
    /// [`DocumentError::TooLarge`], or [`DocumentError::Newer`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, DocumentError> {
        if let Some(version) = self.newer.keys().next() {
            // A program that does not know what a row says would write the document without it: the release were gone.
            return Err(DocumentError::Newer { id: self.id.clone(), version: version.clone() });
        }
        let bytes = canonical::to_bytes(&wire::Document::from(self))?;
        if bytes.len() > MAX_DOCUMENT_BYTES {
            return Err(DocumentError::TooLarge { id: self.id.clone(), size: bytes.len() });
        }
        Ok(bytes)
    }

    /// Reads a document. Releases in a newer format (`must_understand`) are among [`Document::newer`] alone.
    ///
    /// # Errors
    /// [`DocumentError::TooLarge`] or [`DocumentError::Unreadable`].
    pub fn read(id: &PluginId, bytes: &[u8]) -> Result<Self, DocumentError> {
        if bytes.len() > MAX_DOCUMENT_BYTES {
            return Err(DocumentError::TooLarge { id: id.clone(), size: bytes.len() });
        }
        let document: wire::Document =
            serde_json::from_slice(bytes).map_err(|e| DocumentError::Unreadable(e.to_string()))?;
        // A mirror that serves one plugin's signed document as another's is refused by the bin, which names
        // the digest; this catches an indexer that wrote it there.
        if document.id() != id {
            return Err(DocumentError::Unreadable(format!("it is the document of `{}`, not of `{id}`", document.id())));
        }
        document.try_into()
    }
}

/// Whether what a release says of itself replaces what the one before said: the highest version speaks for
/// the plugin, and a pre-release only while there is nothing else.
fn supersedes(new: &Version, old: &Version) -> bool {
    (!new.is_prerelease(), new) > (!old.is_prerelease(), old)
}

impl About {
    fn of(release: &Release) -> Self {
        Self {
            version: release.version.clone(),
            description: release.description.clone(),
            license: release.license.clone(),
            repository: release.repository.clone(),
            keywords: release.keywords.clone(),
            categories: release.categories.clone(),
            wit: release.wit,
            readme: release.readme,
        }
    }
}

impl Listing {
    fn of(release: &Release, event: &Event) -> Result<Self, CanonicalError> {
        Ok(Self {
            artifact: release.artifact,
            record: release.blob()?.digest,
            seq: event.seq,
            published_at: event.time,
            dependencies: release.dependencies.clone(),
            imports: release.imports.clone(),
            exports: release.exports.clone(),
            tracks: release.tracks.clone(),
            capabilities: release.capabilities.keys().cloned().collect(),
            limits: release.limits.clone(),
            runtime: release.runtime.clone(),
            attestations: Attestations::default(),
            state: State::Listed,
            takedown: None,
            certified: None,
        })
    }
}
