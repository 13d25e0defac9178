//! The port to the truth: conditions, state and exactly one event, in one transaction.

mod key;
pub mod optimistic;
pub mod plan;

use std::fmt;

use async_trait::async_trait;
use stoa_core::{
    event::{Draft, EventError, Head, PrivatePart, Sealed},
    time::{DAY, Time},
};

pub use key::{ItemKey, KeyError, MAX_OPERATION, MAX_PARTITION, MAX_SORT, OperationId, OperationIdError};

use crate::blobs::EngineError;

/// One transaction touches at most this many keys: DynamoDB's limit for `TransactWriteItems`. The head, the event,
/// its private part and the operation's own item count.
pub const MAX_KEYS: usize = 100;
/// An item's value is at most this long (350 KiB): DynamoDB's 400 KB for an item, less names and keys.
pub const MAX_VALUE: usize = 350 * 1024;
/// The keys and values of one transaction are at most this long together (1 MiB).
pub const MAX_TRANSACTION: usize = 1024 * 1024;
/// What an item counts besides its key and value: names of attributes, revision, expiry.
pub const ITEM_OVERHEAD: usize = 64;
/// How long an answer can be asked for again, in seconds: a day.
pub const OPERATION_LIFETIME: i64 = DAY;

/// A piece of state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The value: at most [`MAX_VALUE`] bytes.
    pub value: Vec<u8>,
    /// 1 for the first write, and one more for each that follows.
    ///
    /// A key that was deleted begins again at 1. One that expired begins again at 1 too, but for a write that
    /// expected nothing of it ([`Expect::Any`]), which may count on: engines delete late, and a write without a
    /// condition does not look.
    pub revision: u64,
    /// From this moment on the item is not there.
    pub expires: Option<Time>,
}

impl Item {
    /// Whether the item is there at `now`: `now < expires`.
    pub fn alive(&self, now: Time) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

/// What an item has to be for a transaction to take effect. An expired item is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// It is not there.
    Absent,
    /// It is there with this revision.
    Revision(u64),
    /// It is there.
    Present,
    /// Nothing is expected of it.
    Any,
}

impl Expect {
    /// Whether an item with this revision, `None` where there is none, is as expected.
    pub fn holds(self, found: Option<u64>) -> bool {
        match self {
            Self::Absent => found.is_none(),
            Self::Revision(revision) => found == Some(revision),
            Self::Present => found.is_some(),
            Self::Any => true,
        }
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("absent"),
            Self::Revision(revision) => write!(f, "at revision {revision}"),
            Self::Present => f.write_str("present"),
            Self::Any => f.write_str("anything"),
        }
    }
}

/// What becomes of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// It gets this value.
    Put {
        /// The value: at most [`MAX_VALUE`] bytes.
        value: Vec<u8>,
        /// From when on it is not there any more.
        expires: Option<Time>,
    },
    /// It is deleted; nothing happens where it is not there.
    Delete,
    /// It stays as it is: only the expectation matters.
    Check,
}

/// A condition and what follows from it, for one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Which item.
    pub key: ItemKey,
    /// What it has to be.
    pub expect: Expect,
    /// What becomes of it.
    pub action: Action,
}

/// A change: all of it takes effect, or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// Which attempt this is. The same id with the same transaction is answered again, not carried out again.
    pub operation: OperationId,
    /// What the log records; `None` for private state such as sessions and rate buckets.
    pub draft: Option<Draft>,
    /// The state, each key at most once.
    pub writes: Vec<Write>,
}

/// A change that took effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The event, in its place.
    pub event: Option<Sealed>,
    /// Whether it had taken effect before, and nothing was written this time.
    pub replayed: bool,
}

/// Why the ledger refused or failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// A key is none.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// An item is not as the transaction expects; nothing was written.
    #[error("`{key}` is {}, and it was expected to be {expected}", found_text(*.found))]
    Conflict {
        /// The first of the transaction's keys that is not as expected.
        key: ItemKey,
        /// What was expected.
        expected: Expect,
        /// The revision it has; `None` where it is absent.
        found: Option<u64>,
    },
    /// Too many keys at once.
    #[error("{found} keys in one request, the ledger's own included: at most {MAX_KEYS} are possible")]
    TooManyKeys {
        /// How many, the ledger's own included.
        found: usize,
    },
    /// A key is there twice.
    #[error("`{0}` is in the transaction twice: a condition rides on its write")]
    DuplicateKey(ItemKey),
    /// A check of nothing.
    #[error("the check of `{0}` expects nothing: leave it out")]
    EmptyCheck(ItemKey),
    /// Something is too long.
    #[error("{what} has {found} bytes: at most {limit} are possible")]
    TooLarge {
        /// What it is.
        what: String,
        /// How long it is.
        found: usize,
        /// The longest possible.
        limit: usize,
    },
    /// The event breaks a rule of its own.
    #[error(transparent)]
    Event(#[from] EventError),
    /// The id belongs to a different transaction.
    #[error("operation `{0}` was another transaction: an id is never used twice")]
    OperationReused(OperationId),
    /// What the engine holds can not have been written by this program.
    #[error("the ledger is damaged: {what}: {rule}")]
    Corrupt {
        /// Where.
        what: String,
        /// What does not hold.
        rule: String,
    },
    /// The ledger was written by a newer program.
    #[error("the ledger has format {found}, and this program knows up to {known}")]
    Newer {
        /// Its format.
        found: i64,
        /// The newest that this program knows.
        known: i64,
    },
    /// The engine failed. A commit may or may not have taken effect: repeat it with the same operation id.
    #[error("the ledger's engine failed at {what}")]
    Engine {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: EngineError,
    },
    /// Other commits came first every time; nothing was written.
    #[error("the ledger is busy: {attempts} attempts met other changes")]
    Busy {
        /// How many attempts were made.
        attempts: u32,
    },
}

impl LedgerError {
    /// The engine failed at `what`.
    pub fn engine(what: impl Into<String>, source: impl Into<EngineError>) -> Self {
        Self::Engine { what: what.into(), source: source.into() }
    }

    pub(crate) fn corrupt(what: impl Into<String>, rule: impl fmt::Display) -> Self {
        Self::Corrupt { what: what.into(), rule: rule.to_string() }
    }
}

fn found_text(found: Option<u64>) -> String {
    found.map_or_else(|| "absent".to_owned(), |revision| format!("at revision {revision}"))
}

/// The port to the truth. The contract that every adapter keeps (checked by `contract::ledger`):
///
/// - **Bounds.** At most [`MAX_KEYS`] distinct keys, each once; a value of at most [`MAX_VALUE`]; all keys and values
///   of at most [`MAX_TRANSACTION`] with [`ITEM_OVERHEAD`] each; one event of at most 64 KiB, or none. Every adapter
///   refuses what the strictest engine would.
/// - **All or nothing.** The head's check, the event, its private part, the state and the operation's item are one
///   transaction. No reader sees a part of it.
/// - **The chain.** An event follows the head it was sealed upon; there is one event for each place. Its time is
///   never earlier than that of the event before, whatever the clock says.
/// - **Once.** The same operation id with the same transaction gets the same answer for a day
///   ([`OPERATION_LIFETIME`]), and nothing is written. What an event keeps private does not count as a difference,
///   for its salt is random; everything else does.
/// - **Expiry.** An item is absent from its `expires` on, for reads, lists and conditions alike.
/// - **Contention.** Two changes that only meet at the head are both carried out: the ledger tries again, a bounded
///   number of times ([`LedgerError::Busy`]). An item that is not as expected is never tried again
///   ([`LedgerError::Conflict`]).
/// - **Durability.** An answer means that the change survives a loss of power. Reads see every change that was
///   answered before they began.
/// - A future that is dropped leaves the change undone or whole.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Carries a transaction out.
    ///
    /// # Errors
    /// [`LedgerError::Conflict`] with the first key that is not as expected, [`LedgerError::OperationReused`], one of
    /// the bounds, or a failure of the engine.
    async fn commit(&self, transaction: &Transaction, now: Time) -> Result<Committed, LedgerError>;

    /// The items with these keys, in their order: `None` for what is absent. At most [`MAX_KEYS`].
    ///
    /// # Errors
    /// [`LedgerError::TooManyKeys`], [`LedgerError::Engine`].
    async fn get_many(&self, keys: &[ItemKey], now: Time) -> Result<Vec<Option<Item>>, LedgerError>;

    /// The item with this key.
    ///
    /// # Errors
    /// [`LedgerError::Engine`].
    async fn get(&self, key: &ItemKey, now: Time) -> Result<Option<Item>, LedgerError> {
        let items = self.get_many(std::slice::from_ref(key), now).await?;
        Ok(items.into_iter().next().flatten())
    }

    /// At most `limit` items of a partition in order of their sort keys' bytes, those that come after `after`. Fewer
    /// than `limit` means that there are no more.
    ///
    /// # Errors
    /// [`LedgerError::Key`] where the partition is none.
    async fn list(
        &self,
        partition: &str,
        after: Option<&str>,
        limit: usize,
        now: Time,
    ) -> Result<Vec<(ItemKey, Item)>, LedgerError>;

    /// The end of the chain; [`Head::none`] before the first event.
    ///
    /// # Errors
    /// [`LedgerError::Corrupt`], [`LedgerError::Engine`].
    async fn head(&self) -> Result<Head, LedgerError>;

    /// At most `limit` events in order, those that come after place `after`. Each follows the one before in the answer.
    ///
    /// # Errors
    /// [`LedgerError::Corrupt`] where one is damaged or does not follow.
    async fn events(&self, after: u64, limit: usize) -> Result<Vec<Sealed>, LedgerError>;

    /// The private part of the event at this place; `None` where it has none or where it was erased.
    ///
    /// # Errors
    /// [`LedgerError::Corrupt`], [`LedgerError::Engine`].
    async fn private_part(&self, seq: u64) -> Result<Option<PrivatePart>, LedgerError>;

    /// Erases the private part of the event at this place, if there is one. The chain holds: the event only
    /// commits to it.
    ///
    /// # Errors
    /// [`LedgerError::Engine`].
    async fn erase_private(&self, seq: u64) -> Result<(), LedgerError>;
}
