//! Why a ceremony is refused.

use crate::{
    time::Time,
    trust::{BitLengthError, KeyId, TrustError, writer::SignersError},
};

use super::{KeyRole, OfflineDocument, offer::Quorum};

/// Why an offer can not be made, read, signed or completed. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CeremonyError {
    /// Not a file that a ceremony writes.
    #[error("this is no file of a ceremony: {0}")]
    Unreadable(String),
    /// A document that does not verify.
    #[error("a document of the ceremony is refused")]
    Trust(#[from] TrustError),
    /// Keys and a threshold that do not go together.
    #[error("`{role}`: {error}")]
    Signers {
        /// The role.
        role: KeyRole,
        /// What does not hold.
        error: SignersError,
    },
    /// A number of bins that can not be.
    #[error(transparent)]
    Bins(#[from] BitLengthError),
    /// The document is not the one after the document in place.
    #[error("the new `{document}` has version {found}, and {expected} is the next one")]
    Version {
        /// The document.
        document: OfflineDocument,
        /// The version after the one in place.
        expected: u64,
        /// The version found.
        found: u64,
    },
    /// The document says something that no ceremony writes, and that nobody would be shown.
    #[error("the new `{document}` is not what a ceremony writes: {rule}")]
    Layout {
        /// The document.
        document: OfflineDocument,
        /// What does not hold.
        rule: String,
    },
    /// A signature that does not fit: the document was changed after it was signed.
    #[error("the signature of key {key} does not fit the new `{document}`: one of them was changed afterwards")]
    BrokenSignature {
        /// The document.
        document: OfflineDocument,
        /// Whose signature it claims to be.
        key: KeyId,
    },
    /// A signature by a key that is not asked.
    #[error("key {key} has signed the new `{document}`, and is not among those that have to")]
    ForeignSignature {
        /// The document.
        document: OfflineDocument,
        /// The key.
        key: KeyId,
    },
    /// The key has nothing to sign.
    #[error("key {0} is not among those that have to sign this ceremony")]
    NotASigner(KeyId),
    /// Two files that are not of one ceremony.
    #[error("one file is of the ceremony {ours}, and another of {theirs}")]
    Other {
        /// The first file's.
        ours: String,
        /// The other file's.
        theirs: String,
    },
    /// Signatures are missing.
    #[error("the ceremony {id} is not signed by enough keys: {}", unmet(.quorums))]
    Unmet {
        /// The ceremony.
        id: String,
        /// What is not met.
        quorums: Vec<Quorum>,
    },
    /// Nothing would change.
    #[error("nothing would change")]
    Nothing,
    /// The key is not one of the role's.
    #[error("key {key} does not sign `{role}`: {}", listed(.there))]
    NoSuchKey {
        /// The role.
        role: KeyRole,
        /// The key.
        key: String,
        /// The keys that do.
        there: Vec<KeyId>,
    },
    /// The key signs nothing.
    #[error("key {0} signs no role")]
    Unused(KeyId),
    /// A new document would be of no use already.
    #[error("the new `{document}` expires at {expires}, and it is {now}")]
    Expired {
        /// The document.
        document: OfflineDocument,
        /// When it expires.
        expires: Time,
        /// The time.
        now: Time,
    },
}

fn unmet(quorums: &[Quorum]) -> String {
    quorums.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn listed(keys: &[KeyId]) -> String {
    let keys: Vec<_> = keys.iter().map(KeyId::short).collect();
    format!("{} do{}", keys.join(", "), if keys.len() == 1 { "es" } else { "" })
}
