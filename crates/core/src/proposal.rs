//! What the indexer asks the signer for: two keys over one index.
//!
//! The index is a pure function of the log, so a proposal need not carry it: it says which event is to be covered, and
//! has the indexer's signatures over the files that the log makes there. Whoever completes it makes those files of the
//! log itself. There is nothing in a proposal to lie with: a signature over any other content fits nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    canonical,
    digest::Digest,
    index::Revision,
    path::RoleFile,
    trust::{Head, KeyId, SecretKey, Signature, writer},
};

/// The format of a proposal.
const FORMAT: u32 = 1;
/// The most bytes that a proposal may have: 65,536 bins with 250 bytes each, and the rest of one.
pub const MAX_PROPOSAL_BYTES: u64 = 17 << 20;

/// The keys of the indexer. Alone they make no file that a client believes but a snapshot that nothing points at.
#[derive(Debug)]
pub struct IndexKeys {
    /// Signs snapshots, and bins as the first of two.
    pub snapshot: SecretKey,
    /// Signs the catalog as the first of two.
    pub catalog: SecretKey,
}

/// The keys of the signer. Alone they make no file that a client believes but a pointer to a snapshot that is there.
#[derive(Debug)]
pub struct SignerKeys {
    /// Signs the timestamp: the one pointer.
    pub timestamp: SecretKey,
    /// Signs bins and catalog as the second of two.
    pub bins: SecretKey,
}

/// The indexer's half of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    head: Head,
    /// By role: one signature over the version that this index makes anew.
    signatures: BTreeMap<String, Signed>,
}

/// A signature and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    keyid: KeyId,
    sig: Signature,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    format: u32,
    head: Digest,
    seq: u64,
    signatures: BTreeMap<String, Signed>,
}

/// Why a proposal is none, or can not be completed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProposalError {
    /// The bytes are no proposal.
    #[error("a proposal can not be read: {0}")]
    Malformed(String),
    /// A proposal of another program.
    #[error("a proposal has format {0}, and this program knows format {FORMAT}")]
    Format(u32),
    /// A file of the index that the indexer has not signed.
    #[error("the proposal for event {seq} has no signature for `{role}`, which the log changes")]
    Unsigned {
        /// The event.
        seq: u64,
        /// The role.
        role: String,
    },
}

impl Proposal {
    /// Signs what a stretch of the log makes of the index.
    pub fn of(revision: &Revision, keys: &IndexKeys) -> Self {
        let sign = |(file, document): &(RoleFile, writer::Unsigned)| {
            let key = if file.role == writer::CATALOG { &keys.catalog } else { &keys.snapshot };
            (file.role.clone(), Signed { keyid: key.id().clone(), sig: key.sign(&document.payload()) })
        };
        let head = &revision.cursor.head;
        Self {
            head: Head { seq: head.seq, head: head.hash, format: FORMAT },
            signatures: revision.roles.iter().map(sign).collect(),
        }
    }

    /// The event that is to be covered last.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The bytes of a role under both keys; the snapshot has one. `None` where there is no signature for it.
    ///
    /// Whether the indexer's signature is good is left to see: a client would tell.
    pub fn complete(&self, role: &str, document: &writer::Unsigned, keys: &SignerKeys) -> Option<Vec<u8>> {
        let Signed { keyid, sig } = self.signatures.get(role)?.clone();
        let document = document.clone().signed_by(keyid, sig);
        Some(if role == writer::SNAPSHOT { document.into_bytes() } else { document.sign(&[&keys.bins]) })
    }

    /// Canonical JSON.
    pub fn to_bytes(&self) -> Vec<u8> {
        let Head { seq, head, .. } = self.head;
        let wire = Wire { format: FORMAT, head, seq, signatures: self.signatures.clone() };
        canonical::to_bytes(&wire).expect("a proposal holds integers and text")
    }

    /// Reads what [`Proposal::to_bytes`] wrote. The caller bounds the length: [`MAX_PROPOSAL_BYTES`].
    ///
    /// # Errors
    /// [`ProposalError::Malformed`], [`ProposalError::Format`].
    pub fn read(bytes: &[u8]) -> Result<Self, ProposalError> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let malformed = |e: serde_json::Error| ProposalError::Malformed(e.to_string());
        let Format { format } = serde_json::from_slice(bytes).map_err(malformed)?;
        if format != FORMAT {
            return Err(ProposalError::Format(format));
        }
        let Wire { head, seq, signatures, .. } = serde_json::from_slice(bytes).map_err(malformed)?;
        Ok(Self { head: Head { seq, head, format: FORMAT }, signatures })
    }
}
