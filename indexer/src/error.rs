//! Why the index can not follow the log.

use stoa_core::{
    document::DocumentError, event::EventError, index::IndexError, proposal::ProposalError, trust::TrustError,
};
use stoa_store::{blobs::BlobError, ledger::LedgerError};

use crate::site::SiteError;

/// Why a run of the indexer, the signer or the pages ended early. Whatever was published before stays whole.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexerError {
    /// The ledger.
    #[error("the ledger can not be read")]
    Ledger(#[from] LedgerError),
    /// The blobs.
    #[error("the files can not be read or written")]
    Blobs(#[from] BlobError),
    /// The fold.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A document in the tree.
    #[error("a document in the public tree is refused")]
    Document(#[from] DocumentError),
    /// An event in the ledger.
    #[error("an event in the ledger is refused")]
    Event(#[from] EventError),
    /// A trust file in the tree.
    #[error("a trust file in the public tree is refused")]
    Trust(#[from] TrustError),
    /// A page.
    #[error("a page can not be rendered")]
    Site(#[from] SiteError),
    /// The list of pages.
    #[error("the list of pages can not be written: {0}")]
    Pages(String),
    /// A file that the index or the log names is not there.
    #[error("`{0}` is named by the index or the log, and is not there")]
    Missing(String),
    /// An immutable name has other bytes. Somebody has written to the tree, or two programs fold the log
    /// differently. Nothing may go on before a person has looked.
    #[error(
        "`{path}` has other bytes than the log gives it ({found} instead of {expected}): stopped, nothing was published"
    )]
    Diverged {
        /// The file.
        path: String,
        /// SHA-256 of what lies there.
        found: String,
        /// SHA-256 of what the log gives.
        expected: String,
    },
    /// The program has other online keys than the offline ones name. What it signed, clients would refuse.
    #[error("`{role}` is signed by the keys that {by} names, and key {key} is none of them: nothing was published")]
    OtherKeys {
        /// What was to be signed.
        role: String,
        /// The document that names the keys.
        by: String,
        /// The key at hand.
        key: String,
    },
    /// The ledger ends before what was already signed: it was restored from an old copy.
    #[error(
        "the ledger ends at event {ledger}, and the signed index covers {signed}: restore the later events before going on"
    )]
    Behind {
        /// The ledger's head.
        ledger: u64,
        /// The signed head.
        signed: u64,
    },
    /// The ledger has another event where the signed index ends.
    #[error(
        "event {seq} of the ledger is not the one that was signed ({ledger} instead of {signed}): the log has forked"
    )]
    Forked {
        /// The event.
        seq: u64,
        /// Its hash in the ledger.
        ledger: String,
        /// Its hash in the signed index.
        signed: String,
    },
    /// A proposal of the indexer.
    #[error(transparent)]
    Proposal(#[from] ProposalError),
    /// The signer refuses to point at a snapshot.
    #[error("the signer refuses snapshot {snapshot}: {rule}")]
    Refused {
        /// The snapshot's version.
        snapshot: u64,
        /// What does not hold.
        rule: String,
    },
    /// Another process moved the pointer first, again and again.
    #[error("the pointer was moved by another process {0} times in a row")]
    Contended(u32),
}
