//! What a transaction means in writes of single items, decided without doing any.
//!
//! An engine only has to write some items under conditions, all or nothing; everything that is particular to a
//! ledger (head, event, private part, operation) becomes such a write here, the same for every adapter.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use stoa_core::{
    canonical,
    digest::{Digest, Hasher},
    event::{Event, EventError, Head, Private, PrivatePart, Sealed},
    time::Time,
};

use super::{
    Action, Expect, ITEM_OVERHEAD, Item, ItemKey, LedgerError, MAX_KEYS, MAX_TRANSACTION, MAX_VALUE,
    OPERATION_LIFETIME, OperationId, Transaction, Write,
};

/// The partition of the log.
pub const EVENTS: &str = "!event";

/// Where the end of the chain is kept.
pub fn head_key() -> ItemKey {
    ItemKey::own("head", "head".into())
}

/// Where the event at this place is kept. Sort keys have twenty digits: their bytes sort as their numbers.
pub fn event_key(seq: u64) -> ItemKey {
    ItemKey::own("event", format!("{seq:020}"))
}

/// Where the private part of the event at this place is kept.
pub fn private_key(seq: u64) -> ItemKey {
    ItemKey::own("private", format!("{seq:020}"))
}

/// Where an operation's answer is kept: a partition each, so that no partition is hot.
pub fn operation_key(operation: &OperationId) -> ItemKey {
    ItemKey::own(&format!("operation/{operation}"), "answer".into())
}

/// The head together with the revision of its item: 0 where there is none yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadItem {
    /// The end of the chain.
    pub head: Head,
    /// The revision that the next event expects.
    pub revision: u64,
}

/// Reads the item at [`head_key`].
///
/// # Errors
/// [`LedgerError::Corrupt`] where it is not one that this program wrote.
pub fn read_head(item: Option<&Item>) -> Result<HeadItem, LedgerError> {
    let Some(item) = item else {
        return Ok(HeadItem { head: Head::none(), revision: 0 });
    };
    let head = serde_json::from_slice(&item.value).map_err(|e| LedgerError::corrupt("the head", e))?;
    Ok(HeadItem { head, revision: item.revision })
}

/// Reads an item of the log.
///
/// # Errors
/// [`LedgerError::Corrupt`] where it is no event, or one of another place.
pub fn read_event(key: &ItemKey, item: &Item) -> Result<Sealed, LedgerError> {
    let sealed = Sealed::read(&item.value).map_err(|e| LedgerError::corrupt(key.to_string(), e))?;
    if event_key(sealed.event().seq) != *key {
        return Err(LedgerError::corrupt(key.to_string(), format!("it holds event {}", sealed.event().seq)));
    }
    Ok(sealed)
}

/// Checks that each event follows the one before.
///
/// # Errors
/// [`LedgerError::Corrupt`] at the first that does not.
pub fn check_chain(events: &[Sealed]) -> Result<(), LedgerError> {
    events.windows(2).try_for_each(|pair| {
        let seq = pair[1].event().seq;
        pair[1].follows(&pair[0].head()).map_err(|e| LedgerError::corrupt(event_key(seq).to_string(), e))
    })
}

/// Reads the item at [`private_key`].
///
/// # Errors
/// [`LedgerError::Corrupt`] where it is no private part.
pub fn read_private(seq: u64, item: &Item) -> Result<PrivatePart, LedgerError> {
    serde_json::from_slice(&item.value).map_err(|e| LedgerError::corrupt(private_key(seq).to_string(), e))
}

/// What is kept of an operation: enough to recognize it and to answer again.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    transaction: Digest,
    seq: Option<u64>,
}

/// What an engine found out about one write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Its condition holds.
    Holds,
    /// Its condition does not; the item has this revision, or is absent.
    Failed(Option<u64>),
}

/// What to do about a transaction that an engine did not carry out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The operation has an answer already: read [`operation_key`], then [`answered`].
    Replay,
    /// Another event came first: plan again upon the new head.
    Again,
}

/// A transaction as writes of single items.
#[derive(Debug)]
pub struct Plan {
    /// The operation's own, then the caller's, then head, event and private part.
    writes: Vec<Write>,
    callers: usize,
    event: Option<Sealed>,
}

impl Plan {
    /// Plans `transaction` upon `head`.
    ///
    /// # Errors
    /// Any bound of the port that the transaction breaks. [`LedgerError::Event`] may be owed to what happened since the
    /// operation was answered, such as a genesis that is repeated: look for its answer before you report it.
    pub fn of(transaction: &Transaction, head: &HeadItem, now: Time) -> Result<Self, LedgerError> {
        let digest = digest(transaction)?;
        check_each(&transaction.writes)?;
        let event = transaction.draft.as_ref().map(|draft| Event::seal(draft, &head.head, now)).transpose()?;
        let answer = Answer { transaction: digest, seq: event.as_ref().map(|event| event.event().seq) };
        let mut writes = vec![Write {
            key: operation_key(&transaction.operation),
            expect: Expect::Absent,
            action: Action::Put { value: json(&answer)?, expires: Some(now.plus(OPERATION_LIFETIME)) },
        }];
        writes.extend(transaction.writes.iter().cloned());
        if let Some(event) = &event {
            writes.extend(append(event, head)?);
            let private = transaction.draft.as_ref().and_then(|draft| draft.private.as_ref());
            if let Some(private) = private.and_then(Private::kept) {
                writes.push(put_new(private_key(event.event().seq), json(private)?));
            }
        }
        check_all(&writes)?;
        Ok(Self { writes, callers: transaction.writes.len(), event })
    }

    /// The writes that the engine carries out, all or nothing.
    pub fn writes(&self) -> &[Write] {
        &self.writes
    }

    /// The event that these writes append.
    pub fn into_event(self) -> Option<Sealed> {
        self.event
    }

    /// Judges an engine's refusal from its verdicts, one for each of [`Plan::writes`].
    ///
    /// An answered operation goes first: its own writes are why its conditions fail now.
    ///
    /// # Errors
    /// [`LedgerError::Conflict`] where one of the caller's items is not as expected, and [`LedgerError::Corrupt`]
    /// where there is something beyond the head.
    pub fn judge(&self, verdicts: &[Verdict]) -> Result<Next, LedgerError> {
        let failed = |index: usize| match verdicts.get(index) {
            Some(Verdict::Failed(found)) => Some(*found),
            Some(Verdict::Holds) | None => None,
        };
        if failed(0).is_some() {
            return Ok(Next::Replay);
        }
        let (first, head) = (1, 1 + self.callers);
        for index in first..head {
            if let Some(found) = failed(index) {
                let Write { key, expect, .. } = &self.writes[index];
                return Err(LedgerError::Conflict { key: key.clone(), expected: *expect, found });
            }
        }
        if failed(head).is_some() {
            return Ok(Next::Again);
        }
        match (head + 1..self.writes.len()).find(|index| failed(*index).is_some()) {
            Some(index) => Err(LedgerError::corrupt(self.writes[index].key.to_string(), "it lies beyond the head")),
            // The engine refused without a reason: it can only have met another change.
            None => Ok(Next::Again),
        }
    }
}

/// The place of the event that an operation's kept answer names.
///
/// # Errors
/// [`LedgerError::OperationReused`] where it answered another transaction.
pub fn answered(transaction: &Transaction, item: &Item) -> Result<Option<u64>, LedgerError> {
    let damaged = |e| LedgerError::corrupt(operation_key(&transaction.operation).to_string(), e);
    let answer: Answer = serde_json::from_slice(&item.value).map_err(damaged)?;
    if answer.transaction != digest(transaction)? {
        return Err(LedgerError::OperationReused(transaction.operation.clone()));
    }
    Ok(answer.seq)
}

fn put_new(key: ItemKey, value: Vec<u8>) -> Write {
    Write { key, expect: Expect::Absent, action: Action::Put { value, expires: None } }
}

fn append(event: &Sealed, head: &HeadItem) -> Result<[Write; 2], LedgerError> {
    let expect = match head.revision {
        0 => Expect::Absent,
        revision => Expect::Revision(revision),
    };
    let action = Action::Put { value: json(&event.head())?, expires: None };
    let seq = event.event().seq;
    Ok([Write { key: head_key(), expect, action }, put_new(event_key(seq), event.bytes().to_vec())])
}

fn json<T: Serialize>(value: &T) -> Result<Vec<u8>, LedgerError> {
    canonical::to_bytes(value).map_err(|e| LedgerError::Event(e.into()))
}

fn length(action: &Action) -> usize {
    if let Action::Put { value, .. } = action { value.len() } else { 0 }
}

fn check_each(writes: &[Write]) -> Result<(), LedgerError> {
    let mut seen = BTreeSet::new();
    for Write { key, expect, action } in writes {
        if !seen.insert(key) {
            return Err(LedgerError::DuplicateKey(key.clone()));
        }
        if (expect, action) == (&Expect::Any, &Action::Check) {
            return Err(LedgerError::EmptyCheck(key.clone()));
        }
    }
    Ok(())
}

fn check_all(writes: &[Write]) -> Result<(), LedgerError> {
    if writes.len() > MAX_KEYS {
        return Err(LedgerError::TooManyKeys { found: writes.len() });
    }
    if let Some(Write { key, action, .. }) = writes.iter().find(|write| length(&write.action) > MAX_VALUE) {
        return Err(LedgerError::TooLarge { what: format!("`{key}`"), found: length(action), limit: MAX_VALUE });
    }
    let total = writes.iter().map(|write| write.key.len() + length(&write.action) + ITEM_OVERHEAD).sum();
    if total > MAX_TRANSACTION {
        return Err(LedgerError::TooLarge { what: "the transaction".into(), found: total, limit: MAX_TRANSACTION });
    }
    Ok(())
}

/// Names a transaction: its actor, fact and writes, each field behind its length. The id is what it is compared
/// under; the private part has a random salt and would make every repetition another transaction.
fn digest(transaction: &Transaction) -> Result<Digest, EventError> {
    let mut hasher = Hasher::new();
    let mut field = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_be_bytes());
        hasher.update(bytes);
    };
    field(b"stoa/transaction/1");
    match &transaction.draft {
        Some(draft) => {
            field(draft.actor.to_string().as_bytes());
            field(&canonical::to_bytes(&draft.fact)?);
        }
        None => field(b""),
    }
    for Write { key, expect, action } in &transaction.writes {
        field(key.partition().as_bytes());
        field(key.sort().as_bytes());
        field(expect.to_string().as_bytes());
        match action {
            Action::Put { value, expires } => {
                field(b"put");
                field(value);
                field(&expires.map_or_else(Vec::new, |time| time.unix().to_be_bytes().to_vec()));
            }
            Action::Delete => field(b"delete"),
            Action::Check => field(b"check"),
        }
    }
    Ok(hasher.finish())
}
