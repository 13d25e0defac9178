//! Reading and writing the items of [`crate::state`].

use stoa_core::{
    canonical,
    digest::Hasher,
    event::{Draft, Fact, Sealed},
    time::Time,
};
use stoa_store::ledger::{
    Action, Expect, Item as Raw, ItemKey, Ledger, LedgerError, MAX_KEYS, OperationId, Transaction, Write,
};

use crate::{
    problem::{Code, Problem},
    state::Item,
};

/// An item together with what a write that follows has to expect.
#[derive(Debug, Clone)]
pub(crate) struct Kept<T> {
    pub(crate) value: T,
    pub(crate) revision: u64,
}

/// What became of a transaction.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It took effect.
    Done,
    /// Something it rests on has changed: look again, decide again.
    Stale,
}

/// The item with this name.
pub(crate) async fn get<T: Item>(
    ledger: &dyn Ledger,
    name: T::Name<'_>,
    now: Time,
) -> Result<Option<Kept<T>>, Problem> {
    let key = T::key(name).map_err(|error| Problem::internal(&error))?;
    let raw = ledger.get(&key, now).await.map_err(|error| ledger_problem(&error))?;
    raw.map(|raw| read(&key, &raw)).transpose()
}

/// The items with these keys, in their order. Any number: the ledger is asked in pieces.
pub(crate) async fn get_many<T: Item>(
    ledger: &dyn Ledger,
    keys: &[ItemKey],
    now: Time,
) -> Result<Vec<Option<Kept<T>>>, Problem> {
    let mut found = Vec::with_capacity(keys.len());
    for keys in keys.chunks(MAX_KEYS) {
        let items = ledger.get_many(keys, now).await.map_err(|error| ledger_problem(&error))?;
        for (key, raw) in keys.iter().zip(items) {
            found.push(raw.map(|raw| read(key, &raw)).transpose()?);
        }
    }
    Ok(found)
}

/// At most `limit` items of a partition, those after `after`.
pub(crate) async fn list<T: Item>(
    ledger: &dyn Ledger,
    partition: &str,
    after: Option<&str>,
    limit: usize,
    now: Time,
) -> Result<Vec<Kept<T>>, Problem> {
    let rows = ledger.list(partition, after, limit, now).await.map_err(|error| ledger_problem(&error))?;
    rows.iter().map(|(key, raw)| read(key, raw)).collect()
}

fn read<T: Item>(key: &ItemKey, raw: &Raw) -> Result<Kept<T>, Problem> {
    let value = serde_json::from_slice(&raw.value).map_err(|error| {
        tracing::error!(%key, "an item of the ledger can not be read");
        Problem::internal(&error)
    })?;
    Ok(Kept { value, revision: raw.revision })
}

/// The write of an item that rests on `expect`.
pub(crate) fn put<T: Item>(
    name: T::Name<'_>,
    value: &T,
    expect: Expect,
    expires: Option<Time>,
) -> Result<Write, Problem> {
    let key = T::key(name).map_err(|error| Problem::internal(&error))?;
    let value = canonical::to_bytes(value).map_err(|error| Problem::internal(&error))?;
    Ok(Write { key, expect, action: Action::Put { value, expires } })
}

/// The condition that an item is still as it was read, without a write.
pub(crate) fn check<T: Item>(name: T::Name<'_>, expect: Expect) -> Result<Write, Problem> {
    let key = T::key(name).map_err(|error| Problem::internal(&error))?;
    Ok(Write { key, expect, action: Action::Check })
}

/// Carries a transaction out. Where the engine failed, nobody knows whether it took effect; so it is sent once
/// more under the same operation id, which the ledger then answers instead of carrying it out again.
pub(crate) async fn commit(
    ledger: &dyn Ledger,
    operation: OperationId,
    draft: Option<Draft>,
    writes: Vec<Write>,
    now: Time,
) -> Result<Outcome, Problem> {
    let transaction = Transaction { operation, draft, writes };
    let mut answer = ledger.commit(&transaction, now).await;
    if let Err(LedgerError::Engine { what, source }) = &answer {
        tracing::warn!(what, %source, "a commit is repeated");
        answer = ledger.commit(&transaction, now).await;
    }
    match answer {
        Ok(_) => Ok(Outcome::Done),
        // A reused operation is this very change, decided by another request upon another state: it is done.
        Err(LedgerError::Conflict { .. } | LedgerError::OperationReused(_)) => Ok(Outcome::Stale),
        Err(error) => Err(ledger_problem(&error)),
    }
}

/// A failure of the ledger as an answer.
pub(crate) fn ledger_problem(error: &LedgerError) -> Problem {
    match error {
        LedgerError::Busy { attempts } => {
            Problem::new(Code::Contended, format!("{attempts} attempts met changes by others"))
        }
        LedgerError::Engine { .. } if crate::problem::storage_full(error) => Problem::logged(Code::StorageFull, error),
        LedgerError::Engine { .. } => Problem::logged(Code::Unavailable, error),
        _ => Problem::internal(error),
    }
}

/// The id of an operation that follows from what it does: whoever tries the same again, in this process or
/// another, tries it under the same id. `parts` name the change and the state that it starts from.
pub(crate) fn operation(verb: &str, parts: &[String]) -> Result<OperationId, Problem> {
    let mut hasher = Hasher::new();
    hasher.update(b"stoa/operation/1");
    for part in std::iter::once(verb).chain(parts.iter().map(String::as_str)) {
        hasher.update(&(part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    // 32 hexadecimal digits: 128 bits, as many as a random id has.
    hasher.finish().short(32).parse().map_err(|error: stoa_store::ledger::OperationIdError| Problem::internal(&error))
}

/// The first event after place `after` that `fits`.
pub(crate) async fn event_after(
    ledger: &dyn Ledger,
    mut after: u64,
    fits: impl Fn(&Fact) -> bool,
) -> Result<Sealed, Problem> {
    const PAGE: usize = 16;
    loop {
        let events = ledger.events(after, PAGE).await.map_err(|error| ledger_problem(&error))?;
        let Some(last) = events.last() else {
            let error = std::io::Error::other(format!("no event after {after} is the one that an item speaks of"));
            return Err(Problem::internal(&error));
        };
        after = last.event().seq;
        if let Some(found) = events.into_iter().find(|event| fits(&event.event().fact)) {
            return Ok(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use super::*;

    #[test]
    fn failures_of_the_ledger_have_codes_of_their_own() {
        let engine = |kind: ErrorKind| LedgerError::engine("a commit", Error::from(kind));
        let cases = [
            (engine(ErrorKind::StorageFull), Code::StorageFull),
            (engine(ErrorKind::QuotaExceeded), Code::StorageFull),
            (engine(ErrorKind::PermissionDenied), Code::Unavailable),
            (LedgerError::Busy { attempts: 32 }, Code::Contended),
            (LedgerError::TooManyKeys { found: 101 }, Code::Internal),
        ];
        for (error, code) in cases {
            assert_eq!(ledger_problem(&error).code(), code, "{error}");
        }
    }
}
