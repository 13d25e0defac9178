//! The log: every accepted change, in order, chained by hash.

use std::{collections::BTreeMap, num::NonZeroU64};

use serde::{Deserialize, Serialize};

use crate::{
    advisory::{Advisory, AdvisoryId},
    attestation::{Attestations, Envelope},
    canonical::{self, CanonicalError},
    digest::Digest,
    id::{Namespace, PluginId},
    lock::Exact,
    release::Release,
    standing::{Cause, Measure, check_level},
    text::hidden,
    time::Time,
    trust::KeyId,
    version::Version,
};

/// An event's canonical bytes are at most this long (64 KiB): what a queue message or a table item carries
/// with room to spare. Larger facts are blobs that the event names by digest.
pub const MAX_EVENT_BYTES: usize = 64 * 1024;
/// One event makes at most this many releases visible at once.
pub const MAX_RELEASES_PER_EVENT: usize = 20;
/// A reason given by a person, in characters.
pub const MAX_REASON: usize = 500;

/// An epoch gives up events up to this place at most. What follows then still has all the numbers that JSON carries
/// exactly (2^53) before it.
pub const MAX_LOST_AFTER: u64 = 1 << 50;

/// Who did it: an opaque id such as an API key's. Never a name, an address or a mail.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActorId(String);

impl ActorId {
    /// The registry itself: genesis, recovery.
    pub fn registry() -> Self {
        Self("registry".to_owned())
    }
}

impl std::fmt::Display for ActorId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Text that is not an actor's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an actor id: 1 to 64 characters of a-z, 0-9 and `_`")]
pub struct ActorIdError(String);

impl std::str::FromStr for ActorId {
    type Err = ActorIdError;

    fn from_str(text: &str) -> Result<Self, ActorIdError> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if text.is_empty() || text.len() > 64 || !text.bytes().all(plain) {
            return Err(ActorIdError(text.chars().take(64).collect()));
        }
        Ok(Self(text.to_owned()))
    }
}

text_type!(ActorId);

/// What happened. Publishable by construction: nothing here is private.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Fact {
    /// The registry began. Always and only the first event.
    Genesis {
        /// How many bits of a path's digest name its bin: `2^bin_bits` bins (TAP 15's `bit_length`).
        bin_bits: u8,
        /// The offline metadata that the registry began with.
        offline: Vec<OfflineRole>,
    },
    /// New offline metadata was installed: a rotated key, a renewed expiry, a resize.
    OfflineInstalled {
        /// The files, each already in place.
        offline: Vec<OfflineRole>,
    },
    /// A namespace was created.
    NamespaceCreated {
        /// Its name.
        namespace: Namespace,
    },
    /// Releases became visible, all at once.
    Released {
        /// 1 to [`MAX_RELEASES_PER_EVENT`] records, in order of id.
        releases: Vec<Release>,
        /// What is attested of them, where something is; only for plugins among them.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        attestations: BTreeMap<PluginId, Attestations>,
    },
    /// The keys of a namespace changed, or what it demands: a [`crate::publisher::Statement`] with its signatures.
    PublisherStated {
        /// The namespace.
        namespace: Namespace,
        /// What was signed.
        statement: Envelope,
    },
    /// The operator revoked a key of a namespace whose holders can not, or will not.
    PublisherKeyRevoked {
        /// The namespace.
        namespace: Namespace,
        /// The key.
        key: KeyId,
        /// Why, for people.
        reason: String,
    },
    /// A release is no longer chosen by new resolutions; locks that name it still hold.
    Yanked {
        /// The plugin.
        id: PluginId,
        /// The version.
        version: Version,
        /// Why, for people: at most [`MAX_REASON`] characters.
        reason: String,
    },
    /// A yank was taken back.
    Unyanked {
        /// The plugin.
        id: PluginId,
        /// The version.
        version: Version,
        /// Why, for people.
        reason: String,
    },
    /// The operator took a release down, or a whole plugin: nobody chooses or fetches it any more.
    TakenDown {
        /// The plugin.
        id: PluginId,
        /// The version; all of them, those to come too, where none is named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<Version>,
        /// What was done.
        measure: Measure,
        /// Why, for programs.
        cause: Cause,
        /// Why, for people.
        reason: String,
    },
    /// What was taken down was restored.
    Restored {
        /// The plugin.
        id: PluginId,
        /// The version; the plugin as a whole, where none is named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<Version>,
        /// Why, for people.
        reason: String,
    },
    /// Its publisher contradicts that it was taken down.
    Appealed {
        /// The plugin.
        id: PluginId,
        /// The version; the plugin as a whole, where none is named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<Version>,
        /// What they say.
        reason: String,
    },
    /// A flaw is known, or something else is known of it than before.
    AdvisoryPublished {
        /// The plugin.
        id: PluginId,
        /// What is known.
        advisory: Advisory,
    },
    /// It was no flaw.
    AdvisoryWithdrawn {
        /// The plugin.
        id: PluginId,
        /// The advisory.
        advisory: AdvisoryId,
        /// Why, for people.
        reason: String,
    },
    /// The operator certified a release, or took that back.
    Certified {
        /// The plugin.
        id: PluginId,
        /// The version.
        version: Version,
        /// From 1 to [`crate::standing::MAX_CERTIFICATION`]; 0: it is certified no more.
        level: u8,
        /// On what ground, for people.
        reason: String,
    },
    /// A private part or a blob was erased for good; a rebuild expects the hole.
    Purged {
        /// The killed releases that are killed for good with their bytes; sorted, each once.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        releases: Vec<Exact>,
        /// The blobs that are gone.
        blobs: Vec<Digest>,
    },
    /// Events were truly lost; the sequence jumps past every version ever signed.
    Epoch {
        /// The last sequence number that the signed index had covered.
        lost_after: u64,
        /// Why, for people.
        reason: String,
    },
}

/// One offline-signed metadata file: `trust/VERSION.ROLE.json` with these bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfflineRole {
    /// `root`, `targets` or `index`.
    pub role: String,
    /// Its version, from 1.
    pub version: NonZeroU64,
    /// The digest of the file.
    pub digest: Digest,
}

/// What a caller asks the ledger to record; the ledger gives it its place in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Who did it.
    pub actor: ActorId,
    /// What happened.
    pub fact: Fact,
    /// What only the operator may read (an address, a user agent), if anything.
    pub private: Option<Private>,
}

/// What a draft says of its private part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Private {
    /// It is kept beside the event.
    Kept(PrivatePart),
    /// Only its commitment is known: the event is appended again from an archive, which has no private parts.
    Elsewhere(Digest),
}

impl Private {
    /// What the event says of it.
    pub fn commitment(&self) -> Digest {
        match self {
            Self::Kept(part) => part.commitment(),
            Self::Elsewhere(commitment) => *commitment,
        }
    }

    /// The part that is kept beside the event.
    pub fn kept(&self) -> Option<&PrivatePart> {
        match self {
            Self::Kept(part) => Some(part),
            Self::Elsewhere(_) => None,
        }
    }
}

impl From<PrivatePart> for Private {
    fn from(part: PrivatePart) -> Self {
        Self::Kept(part)
    }
}

/// The private part of an event, kept apart from it and erasable. The event commits to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrivatePart {
    /// 32 random bytes, so that a guess of the content can not be checked against the commitment.
    pub salt: [u8; 32],
    /// The content.
    pub content: String,
}

impl PrivatePart {
    /// `sha256("stoa/private/1" ‖ salt ‖ content)`.
    pub fn commitment(&self) -> Digest {
        let mut hasher = crate::digest::Hasher::new();
        hasher.update(b"stoa/private/1");
        hasher.update(&self.salt);
        hasher.update(self.content.as_bytes());
        hasher.finish()
    }
}

/// One link of the chain. Its canonical JSON is what `events/` archives and what the next event's `prev` names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// Always 1.
    pub format: u32,
    /// Its place, from 1, without gaps but for an [`Fact::Epoch`].
    pub seq: u64,
    /// When: never earlier than the event before.
    pub time: Time,
    /// [`Head::hash`] of the event before; that of [`Head::none`] for the first.
    pub prev: Digest,
    /// Who.
    pub actor: ActorId,
    /// [`PrivatePart::commitment`], where there is a private part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private: Option<Digest>,
    /// What.
    pub fact: Fact,
}

/// The end of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The last event's place; 0 before the first.
    pub seq: u64,
    /// SHA-256 of the last event's canonical JSON.
    pub hash: Digest,
    /// The last event's time.
    pub time: Time,
}

impl Head {
    /// The head of an empty log: seq 0, a hash of zeros.
    pub fn none() -> Self {
        Self { seq: 0, hash: Digest::from_bytes([0; 32]), time: Time::from_unix(0) }
    }
}

/// Why an event can not be, or does not belong to the chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EventError {
    /// Its canonical bytes are longer than [`MAX_EVENT_BYTES`].
    #[error("the event takes {0} bytes, and one event has at most {MAX_EVENT_BYTES}")]
    TooLarge(usize),
    /// It does not follow the head.
    #[error("event {found} follows event {head}: {rule}")]
    OutOfPlace {
        /// The head's seq.
        head: u64,
        /// The event's seq.
        found: u64,
        /// What does not hold.
        rule: &'static str,
    },
    /// It is not an event of a format that this program knows.
    #[error("not an event of format 1: {0}")]
    Unreadable(String),
    /// A fact breaks a bound of its own.
    #[error("event {seq}: {rule}")]
    Fact {
        /// The event's seq.
        seq: u64,
        /// What does not hold.
        rule: String,
    },
}

impl From<CanonicalError> for EventError {
    fn from(error: CanonicalError) -> Self {
        Self::Unreadable(error.to_string())
    }
}

impl Event {
    /// What has to be drafted, at this event's own time and upon the head that it followed, to get the same event
    /// again. Its private part is not in it.
    pub fn draft(&self) -> Draft {
        let private = self.private.map(Private::Elsewhere);
        Draft { actor: self.actor.clone(), fact: self.fact.clone(), private }
    }

    /// Gives `draft` its place after `head`. Its time is `now`, or the head's where a clock went backwards.
    ///
    /// # Errors
    /// [`EventError::TooLarge`], or [`EventError::Fact`] where a bound of the fact is broken.
    pub fn seal(draft: &Draft, head: &Head, now: Time) -> Result<Sealed, EventError> {
        let event = Self {
            format: 1,
            seq: draft.fact.seq_after(head),
            time: now.max(head.time),
            prev: head.hash,
            actor: draft.actor.clone(),
            private: draft.private.as_ref().map(Private::commitment),
            fact: draft.fact.clone(),
        };
        Sealed::new(event)
    }
}

/// An event together with its canonical bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    event: Event,
    bytes: Vec<u8>,
}

impl Sealed {
    fn new(event: Event) -> Result<Self, EventError> {
        event.check()?;
        let bytes = canonical::to_bytes(&event)?;
        if bytes.len() > MAX_EVENT_BYTES {
            return Err(EventError::TooLarge(bytes.len()));
        }
        Ok(Self { event, bytes })
    }

    /// Reads an event from its canonical bytes.
    ///
    /// # Errors
    /// [`EventError`] where the bytes are no event, are not canonical, or break a bound.
    pub fn read(bytes: &[u8]) -> Result<Self, EventError> {
        if bytes.len() > MAX_EVENT_BYTES {
            return Err(EventError::TooLarge(bytes.len()));
        }
        let event: Event = serde_json::from_slice(bytes).map_err(|e| EventError::Unreadable(e.to_string()))?;
        let sealed = Self::new(event)?;
        // Other bytes for the same event would hash differently: the chain would fork without a change.
        if sealed.bytes == bytes { Ok(sealed) } else { Err(EventError::Unreadable("not canonical".into())) }
    }

    /// The event.
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// Its place in the log as a version number: what the files that it touches are named by.
    pub fn place(&self) -> NonZeroU64 {
        NonZeroU64::new(self.event.seq).unwrap_or(NonZeroU64::MIN)
    }

    /// Its canonical bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The head that it makes.
    pub fn head(&self) -> Head {
        Head { seq: self.event.seq, hash: Digest::of(&self.bytes), time: self.event.time }
    }

    /// Checks that this event follows `head`.
    ///
    /// # Errors
    /// [`EventError::OutOfPlace`] where place, hash or time do not follow.
    pub fn follows(&self, head: &Head) -> Result<(), EventError> {
        let refuse = |rule| Err(EventError::OutOfPlace { head: head.seq, found: self.event.seq, rule });
        if self.event.prev != head.hash {
            return refuse("its `prev` is not the hash of the event before");
        }
        if self.event.seq != self.event.fact.seq_after(head) {
            return refuse("its place is not the next one");
        }
        if self.event.time < head.time {
            return refuse("its time is earlier");
        }
        Ok(())
    }
}

impl Fact {
    fn seq_after(&self, head: &Head) -> u64 {
        match self {
            // Every version ever signed is at most the last seq that the signed index covered.
            Self::Epoch { lost_after, .. } => head.seq.max(*lost_after).saturating_add(1),
            _ => head.seq.saturating_add(1),
        }
    }
}

impl Event {
    fn check(&self) -> Result<(), EventError> {
        let refuse = |rule: String| Err(EventError::Fact { seq: self.seq, rule });
        if self.format != 1 {
            return Err(EventError::Unreadable(format!("its format is {}", self.format)));
        }
        let genesis = matches!(self.fact, Fact::Genesis { .. });
        if genesis != (self.seq == 1) {
            return refuse("the first event, and no other, is the genesis".into());
        }
        match &self.fact {
            Fact::Genesis { bin_bits, .. } if !(1..=16).contains(bin_bits) => {
                refuse(format!("{bin_bits} bin bits: 1 to 16 are possible"))
            }
            Fact::Epoch { lost_after, .. } if *lost_after > MAX_LOST_AFTER => {
                refuse(format!("an epoch after event {lost_after}: {MAX_LOST_AFTER} is the last possible"))
            }
            Fact::Released { releases, attestations } => {
                check_releases(releases).and_then(|()| check_attestations(releases, attestations)).or_else(refuse)
            }
            Fact::PublisherKeyRevoked { reason, .. } => check_reason(reason).or_else(refuse),
            Fact::Certified { level, reason, .. } => {
                check_level(*level).and_then(|()| check_reason(reason)).or_else(refuse)
            }
            Fact::OfflineInstalled { offline } => check_offline(offline).or_else(refuse),
            Fact::Yanked { reason, .. }
            | Fact::Unyanked { reason, .. }
            | Fact::TakenDown { reason, .. }
            | Fact::Restored { reason, .. }
            | Fact::Appealed { reason, .. }
            | Fact::AdvisoryWithdrawn { reason, .. }
            | Fact::Epoch { reason, .. } => check_reason(reason).or_else(refuse),
            Fact::AdvisoryPublished { advisory, .. } => advisory.check().or_else(refuse),
            Fact::Purged { releases, .. } if !releases.is_sorted_by(|a, b| a < b) => {
                refuse("the purged releases are not sorted, or one stands twice".into())
            }
            _ => Ok(()),
        }
    }
}

/// Checks a reason that a person gave: one line of 1 to [`MAX_REASON`] characters, all of which can be seen.
///
/// # Errors
/// The rule that does not hold, as a sentence.
pub fn check_reason(reason: &str) -> Result<(), String> {
    let count = reason.chars().count();
    if count == 0 || count > MAX_REASON {
        return Err(format!("a reason of {count} characters: 1 to {MAX_REASON} are possible"));
    }
    match hidden(reason) {
        Some(c) if c.is_control() => Err("the reason has control characters: write it on one line".into()),
        Some(c) => Err(format!("the reason has the invisible character U+{:04X}", u32::from(c))),
        None => Ok(()),
    }
}

/// Any other role's versions are places of the log: a version that an event set by itself would outrun them.
fn check_offline(offline: &[OfflineRole]) -> Result<(), String> {
    if offline.is_empty() {
        return Err("no offline metadata: an event installs one document at least".into());
    }
    if offline.iter().any(|role| !["root", "targets", "index"].contains(&role.role.as_str())) {
        return Err("offline metadata of another role than root, targets and index".into());
    }
    match offline.windows(2).find(|pair| pair[0].role >= pair[1].role) {
        Some(pair) => Err(format!(
            "`{}` stands before `{}`: offline metadata is sorted by role, each once",
            pair[0].role, pair[1].role
        )),
        None => Ok(()),
    }
}

fn check_attestations(releases: &[Release], attestations: &BTreeMap<PluginId, Attestations>) -> Result<(), String> {
    let released = |id: &PluginId| releases.binary_search_by(|release| release.id.cmp(id)).is_ok();
    match attestations.iter().find(|(id, attested)| attested.is_empty() || !released(id)) {
        Some((id, _)) => Err(format!("`{id}` stands among the attestations, and has none or is not released")),
        None => Ok(()),
    }
}

fn check_releases(releases: &[Release]) -> Result<(), String> {
    if releases.is_empty() || releases.len() > MAX_RELEASES_PER_EVENT {
        return Err(format!("{} releases: one event has 1 to {MAX_RELEASES_PER_EVENT}", releases.len()));
    }
    match releases.windows(2).find(|pair| pair[0].id >= pair[1].id) {
        Some(pair) => {
            Err(format!("`{}` stands before `{}`: releases are sorted by id, each once", pair[0].id, pair[1].id))
        }
        None => Ok(()),
    }
}
