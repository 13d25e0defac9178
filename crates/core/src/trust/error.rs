//! Every way in which metadata is refused, one variant a check.

use super::{file::TrustFile, json::MAX_DEPTH, key::KeyId, snapshot::Head};
use crate::time::Time;

/// Why bytes are not trusted, or a question can not be answered. `role` is the role whose document it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    // What the bytes are.
    /// More bytes than were asked for: endless data.
    #[error("{role}: {found} bytes, at most {max} are read")]
    TooLarge {
        /// The role.
        role: String,
        /// Bytes received.
        found: u64,
        /// Bytes allowed.
        max: u64,
    },
    /// Not JSON, or JSON with fractions.
    #[error("{role}: not the JSON that signed documents are made of: {reason}")]
    Json {
        /// The role.
        role: String,
        /// What the parser met, and where.
        reason: String,
    },
    /// A key appears twice in one object: parsers disagree on which counts.
    #[error("{role}: the key `{key}` is given twice in one object")]
    DuplicateKey {
        /// The role.
        role: String,
        /// The key.
        key: String,
    },
    /// Nested too deeply.
    #[error("{role}: nested deeper than {MAX_DEPTH} levels")]
    TooDeep {
        /// The role.
        role: String,
    },
    /// A field is missing or is not what it should be.
    #[error("{role}: {reason}")]
    Shape {
        /// The role.
        role: String,
        /// The field and the rule.
        reason: String,
    },
    /// A document of another type (section 4.3): a snapshot, say, that is served as a timestamp.
    #[error("{role}: the document is of type `{found}`, not `{expected}`")]
    Type {
        /// The role.
        role: String,
        /// The type that this role has.
        expected: &'static str,
        /// The type that the document says it has.
        found: String,
    },
    /// A specification that this client does not implement.
    #[error("{role}: written for version `{found}` of the TUF specification, this client reads 1.x")]
    SpecVersion {
        /// The role.
        role: String,
        /// The version named.
        found: String,
    },

    // What a document may say about keys and roles.
    /// A threshold of 0 would let anyone sign.
    #[error("{role}: the threshold of `{of}` is 0")]
    ZeroThreshold {
        /// The role whose document says so.
        role: String,
        /// The role whose threshold it is.
        of: String,
    },
    /// A key id appears twice among a role's keys.
    #[error("{role}: key `{key}` is listed twice for `{of}`")]
    RepeatedKey {
        /// The role whose document lists it.
        role: String,
        /// The role that the key may sign.
        of: String,
        /// The key id.
        key: KeyId,
    },
    /// A key id that is not the hash of its key (section 4.2; [`Profile::Stoa`](super::Profile::Stoa) only).
    #[error("{role}: key id `{listed}` is not the hash of its key, `{computed}`")]
    KeyId {
        /// The role whose document lists it.
        role: String,
        /// The id given.
        listed: KeyId,
        /// The id computed.
        computed: String,
    },
    /// Two signatures bear the same key id (section 4.2.1).
    #[error("{role}: key `{key}` has signed twice")]
    RepeatedSignature {
        /// The role.
        role: String,
        /// The key id.
        key: KeyId,
    },
    /// A delegated role's name is empty, or that of a top-level role, or not a word of a path.
    #[error("{role}: `{name}` can not be the name of a delegated role")]
    RoleName {
        /// The delegating role.
        role: String,
        /// The name.
        name: String,
    },
    /// Two delegations bear the same name.
    #[error("{role}: delegates to `{name}` twice")]
    RepeatedRole {
        /// The delegating role.
        role: String,
        /// The name.
        name: String,
    },
    /// A delegation that has both or neither of two fields of which it needs one.
    #[error("{role}: {of} needs either `{one}` or `{other}`, and only one of them")]
    Either {
        /// The delegating role.
        role: String,
        /// The delegation.
        of: String,
        /// One field.
        one: &'static str,
        /// The other.
        other: &'static str,
    },
    /// A number of bits that TAP 15 does not allow.
    #[error("{role}: a bit length of {bits}, hash bins take 1 to 32 bits")]
    BitLength {
        /// The delegating role.
        role: String,
        /// The bits.
        bits: u64,
    },
    /// The root does not promise consistent snapshots ([`Profile::Stoa`](super::Profile::Stoa) only).
    #[error("root {version}: `consistent_snapshot` is not set")]
    Inconsistent {
        /// The root's version.
        version: u64,
    },
    /// A target without SHA-256 ([`Profile::Stoa`](super::Profile::Stoa) only).
    #[error("{role}: no sha256 for `{target}`")]
    NoSha256 {
        /// The role.
        role: String,
        /// The target's path.
        target: String,
    },

    // Section 5: what the workflow checks.
    /// Too few good signatures: an arbitrary software attack (sections 5.3.4, 5.4.2, 5.5.3, 5.6.3).
    #[error("{role}: signed by {valid} of the keys that {by} names, {needed} are needed")]
    Threshold {
        /// The role.
        role: String,
        /// The document that names the keys.
        by: String,
        /// Good signatures, each of another key.
        valid: u64,
        /// Signatures needed.
        needed: u64,
    },
    /// The next root is not the next (section 5.3.5).
    #[error("root: version {found} is served as version {expected}")]
    RootVersion {
        /// The version after the trusted one.
        expected: u64,
        /// The version found.
        found: u64,
    },
    /// An endless chain of roots. Those accepted so far are kept; a later refresh goes on from there.
    #[error("root: still changing after {max} new versions")]
    TooManyRoots {
        /// The roots that one refresh follows.
        max: u32,
    },
    /// Past its time: a freeze attack, or a registry that nobody tends (sections 5.3.10, 5.4.4, 5.5.6, 5.6.5).
    #[error("{role}: version {version} expired at {expires}, and it is {now}")]
    Expired {
        /// The role.
        role: String,
        /// Its version.
        version: u64,
        /// When it expired.
        expires: Time,
        /// The time of the refresh.
        now: Time,
    },
    /// An older version than was seen before: a rollback attack (sections 5.4.3.2 and 5.5.5).
    #[error("{by}: lists version {found} of {role}, and {trusted} was trusted before")]
    Rollback {
        /// The role that went back.
        role: String,
        /// The document that lists it.
        by: String,
        /// The version trusted before.
        trusted: u64,
        /// The version listed now.
        found: u64,
    },
    /// A role that the trusted snapshot lists is not in the new one (section 5.5.5).
    #[error("snapshot: version {version} no longer lists {role}")]
    Vanished {
        /// The role.
        role: String,
        /// The new snapshot's version.
        version: u64,
    },
    /// The document's version is not the listed one: a mix-and-match attack (sections 5.5.4 and 5.6.4).
    #[error("{role}: version {found}, where {listed} is listed")]
    Version {
        /// The role.
        role: String,
        /// The version that timestamp or snapshot list.
        listed: u64,
        /// The version found.
        found: u64,
    },
    /// The document's length is not the listed one (sections 5.5.2 and 5.6.2).
    #[error("{role}: {found} bytes, where {listed} are listed")]
    Length {
        /// The role.
        role: String,
        /// Bytes listed.
        listed: u64,
        /// Bytes received.
        found: u64,
    },
    /// The document's hash is not the listed one (sections 5.5.2 and 5.6.2).
    #[error("{role}: its hash is {found}, where {listed} is listed")]
    Hash {
        /// The role.
        role: String,
        /// The hash listed.
        listed: String,
        /// The hash found.
        found: String,
    },
    /// A file that has to be there is not: the registry is broken, or somebody hides it.
    #[error("`{file}` is not there")]
    Absent {
        /// The file.
        file: TrustFile,
    },

    // What Stoa adds.
    /// The snapshot bears no head of the event chain ([`Profile::Stoa`](super::Profile::Stoa) only).
    #[error("snapshot: version {version} bears no head of the event chain")]
    NoHead {
        /// The snapshot's version.
        version: u64,
    },
    /// The head of the event chain went back.
    #[error("snapshot: its head is event {}, and event {} was trusted before", found.seq, trusted.seq)]
    HeadRollback {
        /// The head trusted before.
        trusted: Head,
        /// The head found.
        found: Head,
    },
    /// Another event where one was trusted before: history was rewritten.
    #[error("snapshot: event {} is {}, and {} was trusted before", found.seq, found.head, trusted.head)]
    HeadFork {
        /// The head trusted before.
        trusted: Head,
        /// The head found.
        found: Head,
    },
    /// A targets role that bears another role's name, or none: one bin in place of another.
    #[error("{role}: the document {}", named(found.as_deref()))]
    WrongRole {
        /// The role asked for.
        role: String,
        /// The role that the document names.
        found: Option<String>,
    },

    // Lookups.
    /// A delegated role is not in the snapshot, so no version of it can be trusted.
    #[error("{role}: not listed by snapshot {snapshot}")]
    NotListed {
        /// The role.
        role: String,
        /// The snapshot's version.
        snapshot: u64,
    },
    /// A lookup visited as many roles as it may, and the answer may lie beyond.
    #[error("`{target}`: not found in the first {max} delegated roles")]
    TooManyDelegations {
        /// The target's path.
        target: String,
        /// The roles that one lookup visits.
        max: usize,
    },
    /// Offline, and the cache does not hold a usable copy.
    #[error("{role}: not in the cache, or not as it was signed")]
    NotCached {
        /// The role.
        role: String,
    },

    // Misuse.
    /// A lookup before a refresh has ended well.
    #[error("the index is looked up before a refresh has ended well")]
    NotRefreshed,
    /// Bytes arrived when none were asked for.
    #[error("bytes arrived when none were asked for")]
    NothingAsked,
}

fn named(found: Option<&str>) -> String {
    found.map_or_else(|| "does not name its role".to_owned(), |name| format!("says that it is `{name}`"))
}

/// Text from a document, cut to what a message can bear.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(200).collect()
}
