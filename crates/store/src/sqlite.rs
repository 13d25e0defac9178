//! The ledger in one SQLite file: the embedded default.

mod rows;

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use stoa_core::{
    event::{Head, PrivatePart, Sealed},
    time::Time,
};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::ledger::{
    Committed, Item, ItemKey, Ledger, LedgerError, MAX_KEYS, Transaction,
    plan::{self, HeadItem, Next, Plan, Verdict},
};

/// How many connections read at once. Reads do not wait for the writer (WAL), nor for each other.
const READERS: usize = 4;
/// How long to wait for another process that writes, such as a backup.
const BUSY: Duration = Duration::from_secs(5);
/// So many events, the last ones, are checked when the file is opened.
const CHECKED_EVENTS: usize = 100;

/// A ledger in an SQLite file.
///
/// A commit is one `IMMEDIATE` transaction under WAL with `synchronous=FULL`: it is on the disk when it is answered.
/// Within one process commits queue for the one connection that writes, so that none ever meets another at the head.
#[derive(Debug, Clone)]
pub struct SqliteLedger {
    readers: Arc<[Arc<Mutex<Connection>>]>,
    /// Behind the readers, so that it is dropped last: the last connection to close folds the write-ahead log into
    /// the file, and one that only reads can not. A ledger at rest is then one file.
    writer: Arc<Mutex<Connection>>,
    turn: Arc<AtomicUsize>,
}

impl SqliteLedger {
    /// Opens the ledger at `path`, or begins one there. Its folder has to exist.
    ///
    /// # Errors
    /// [`LedgerError::Newer`], [`LedgerError::Corrupt`] where the file is another program's or where its last events
    /// do not hang together, [`LedgerError::Engine`].
    pub async fn open(path: &Path) -> Result<Self, LedgerError> {
        let path = path.to_owned();
        blocking(move || {
            let writer = open_writer(&path)?;
            let reader = |_| Ok(Arc::new(Mutex::new(open_reader(&path)?)));
            let readers: Vec<_> = (0..READERS).map(reader).collect::<Result<_, LedgerError>>()?;
            Ok(Self { writer: Arc::new(Mutex::new(writer)), readers: readers.into(), turn: Arc::default() })
        })
        .await
    }

    /// Copies the ledger at `from` to the new file `to`, as it is at one moment, while another process may be writing to
    /// it and is not held up. The copy is one file, readable by its owner alone, and on the disk when this returns.
    ///
    /// # Errors
    /// [`LedgerError::Corrupt`] where `from` is another program's file, [`LedgerError::Engine`], also where `to` is there.
    pub async fn copy(from: &Path, to: &Path) -> Result<(), LedgerError> {
        let (from, to) = (from.to_owned(), to.to_owned());
        blocking(move || copy(&from, &to)).await
    }

    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.readers.len();
        let connection = Arc::clone(&self.readers[turn]).lock_owned().await;
        let reading = Reading { connection, _ledger: self.clone() };
        blocking(move || {
            let reading = reading;
            query(&reading.connection)
        })
        .await
    }

    async fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Connection) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        // The guard goes to the thread: a caller that drops this future lets the change finish undisturbed.
        let mut connection = Arc::clone(&self.writer).lock_owned().await;
        blocking(move || change(&mut connection)).await
    }
}

/// A connection that reads, with the ledger behind it: where whoever asked is gone, and the ledger besides, the one that
/// writes still is the last to close.
struct Reading {
    connection: OwnedMutexGuard<Connection>,
    _ledger: SqliteLedger,
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LedgerError> + Send + 'static,
) -> Result<T, LedgerError> {
    tokio::task::spawn_blocking(work).await.map_err(|e| LedgerError::engine("a thread for the file", e))?
}

/// Names what was tried. A busy file is told from a broken one and from a failure.
fn failed(what: &'static str) -> impl Fn(rusqlite::Error) -> LedgerError {
    move |error| match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => LedgerError::Busy { attempts: 1 },
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => LedgerError::corrupt("the file", error),
        // By the kind that a full disk has everywhere: whoever asks looks for that, and knows nothing of SQLite.
        Some(ErrorCode::DiskFull) => LedgerError::engine(what, io::Error::new(io::ErrorKind::StorageFull, error)),
        _ => LedgerError::engine(what, error),
    }
}

fn open_writer(path: &Path) -> Result<Connection, LedgerError> {
    create_private(path).map_err(|e| LedgerError::engine(format!("creating `{}`", path.display()), e))?;
    let opening = failed("opening the file");
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(&opening)?;
    connection.busy_timeout(BUSY).map_err(&opening)?;
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0)).map_err(&opening)?;
    if mode != "wal" {
        let why = format!("the file system of `{}` holds no write-ahead log", path.display());
        return Err(LedgerError::engine("opening the file", why));
    }
    // FULL also syncs at each commit; NORMAL would lose the last ones with the power.
    connection.pragma_update(None, "synchronous", "FULL").map_err(&opening)?;
    connection.pragma_update(None, "trusted_schema", "OFF").map_err(&opening)?;
    rows::begin_or_check_schema(&mut connection, path)?;
    check_tail(&connection)?;
    Ok(connection)
}

fn copy(from: &Path, to: &Path) -> Result<(), LedgerError> {
    let copying = failed("copying the file");
    // Not read-only: after a crash the write-ahead log has to be recovered before anything can be read.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut source = Connection::open_with_flags(from, flags).map_err(&copying)?;
    source.busy_timeout(BUSY).map_err(&copying)?;
    rows::check_schema(&mut source, from)?;
    let failed_io = |e| LedgerError::engine(format!("creating `{}`", to.display()), e);
    private().create_new(true).open(to).map_err(failed_io)?;
    // Not by the backup API, which copies pages: this is as consistent (one read transaction), leaves out what was
    // erased, and the copy needs no write-ahead log beside it.
    let name = to.to_str().ok_or_else(|| LedgerError::engine("copying the file", "its path is no text"))?;
    source.execute("VACUUM INTO ?1", [name]).map_err(&copying)?;
    let sync = || {
        std::fs::File::open(to)?.sync_all()?;
        to.parent().map_or(Ok(()), |folder| std::fs::File::open(folder)?.sync_all())
    };
    sync().map_err(failed_io)
}

fn open_reader(path: &Path) -> Result<Connection, LedgerError> {
    let opening = failed("opening the file to read");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(&opening)?;
    connection.busy_timeout(BUSY).map_err(&opening)?;
    Ok(connection)
}

/// The ledger has hashes of secrets and private parts: nobody else on the machine reads it. SQLite gives its other
/// files the same rights.
fn create_private(path: &Path) -> io::Result<()> {
    private().create(true).truncate(false).open(path).map(drop)
}

fn private() -> std::fs::OpenOptions {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

/// Checks that the last events hang together and end at the head.
fn check_tail(connection: &Connection) -> Result<(), LedgerError> {
    let head = read_head(connection)?.head;
    let events = rows::last(connection, plan::EVENTS, CHECKED_EVENTS)?;
    let events: Vec<Sealed> = events.iter().map(|(key, item)| plan::read_event(key, item)).collect::<Result<_, _>>()?;
    plan::check_chain(&events)?;
    let end = events.last().map_or_else(Head::none, Sealed::head);
    if end != head {
        return Err(LedgerError::corrupt("the head", format!("it names event {}, the last is {}", head.seq, end.seq)));
    }
    Ok(())
}

fn read_head(connection: &Connection) -> Result<HeadItem, LedgerError> {
    plan::read_head(rows::get(connection, &plan::head_key())?.as_ref())
}

fn commit(connection: &mut Connection, transaction: &Transaction, now: Time) -> Result<Committed, LedgerError> {
    let database =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed("beginning a commit"))?;
    let head = match transaction.draft {
        Some(_) => read_head(&database)?,
        None => HeadItem { head: Head::none(), revision: 0 },
    };
    let plan = match Plan::of(transaction, &head, now) {
        Ok(plan) => plan,
        Err(refused @ LedgerError::Event(_)) => return replay(&database, transaction, now)?.ok_or(refused),
        Err(refused) => return Err(refused),
    };
    let judge = |write: &crate::ledger::Write| {
        let item = rows::get(&database, &write.key)?.filter(|item| item.alive(now));
        let found = item.map(|item| item.revision);
        Ok(if write.expect.holds(found) { Verdict::Holds } else { Verdict::Failed(found) })
    };
    let verdicts: Vec<Verdict> = plan.writes().iter().map(judge).collect::<Result<_, LedgerError>>()?;
    if verdicts.iter().any(|verdict| *verdict != Verdict::Holds) {
        let again = || LedgerError::corrupt("the ledger", "an item changed within a transaction");
        return match plan.judge(&verdicts)? {
            Next::Replay => replay(&database, transaction, now)?.ok_or_else(again),
            Next::Again => Err(again()),
        };
    }
    for write in plan.writes() {
        rows::apply(&database, write)?;
    }
    rows::sweep(&database, now)?;
    database.commit().map_err(failed("ending a commit"))?;
    Ok(Committed { event: plan.into_event(), replayed: false })
}

/// The answer that was kept for the operation; `None` where there is none.
fn replay(connection: &Connection, transaction: &Transaction, now: Time) -> Result<Option<Committed>, LedgerError> {
    let kept = rows::get(connection, &plan::operation_key(&transaction.operation))?;
    let Some(kept) = kept.filter(|item| item.alive(now)) else {
        return Ok(None);
    };
    let event = plan::answered(transaction, &kept)?.map(|seq| {
        let key = plan::event_key(seq);
        let item = rows::get(connection, &key)?;
        let item = item.ok_or_else(|| LedgerError::corrupt(key.to_string(), "it is not there"))?;
        plan::read_event(&key, &item)
    });
    Ok(Some(Committed { event: event.transpose()?, replayed: true }))
}

#[async_trait]
impl Ledger for SqliteLedger {
    async fn commit(&self, transaction: &Transaction, now: Time) -> Result<Committed, LedgerError> {
        let transaction = transaction.clone();
        self.write(move |connection| commit(connection, &transaction, now)).await
    }

    async fn get_many(&self, keys: &[ItemKey], now: Time) -> Result<Vec<Option<Item>>, LedgerError> {
        if keys.len() > MAX_KEYS {
            return Err(LedgerError::TooManyKeys { found: keys.len() });
        }
        let keys = keys.to_vec();
        self.read(move |connection| {
            let one = |key| Ok(rows::get(connection, key)?.filter(|item| item.alive(now)));
            keys.iter().map(one).collect()
        })
        .await
    }

    async fn list(
        &self,
        partition: &str,
        after: Option<&str>,
        limit: usize,
        now: Time,
    ) -> Result<Vec<(ItemKey, Item)>, LedgerError> {
        ItemKey::new(partition, "any")?;
        let (partition, after) = (partition.to_owned(), after.unwrap_or_default().to_owned());
        self.read(move |connection| rows::page(connection, &partition, &after, limit, Some(now))).await
    }

    async fn head(&self) -> Result<Head, LedgerError> {
        self.read(|connection| Ok(read_head(connection)?.head)).await
    }

    async fn events(&self, after: u64, limit: usize) -> Result<Vec<Sealed>, LedgerError> {
        self.read(move |connection| {
            let rows = rows::page(connection, plan::EVENTS, plan::event_key(after).sort(), limit, None)?;
            let events: Vec<Sealed> =
                rows.iter().map(|(key, item)| plan::read_event(key, item)).collect::<Result<_, _>>()?;
            plan::check_chain(&events)?;
            Ok(events)
        })
        .await
    }

    async fn private_part(&self, seq: u64) -> Result<Option<PrivatePart>, LedgerError> {
        self.read(move |connection| {
            let item = rows::get(connection, &plan::private_key(seq))?;
            item.map(|item| plan::read_private(seq, &item)).transpose()
        })
        .await
    }

    async fn erase_private(&self, seq: u64) -> Result<(), LedgerError> {
        self.write(move |connection| rows::erase(connection, &plan::private_key(seq))).await
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use rusqlite::ffi;

    use super::*;

    #[test]
    fn a_full_disk_is_told_by_its_kind() {
        let full = rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_FULL), None);
        let error = failed("ending a commit")(full);
        let kind = error.source().and_then(|source| source.downcast_ref::<io::Error>()).map(io::Error::kind);
        assert_eq!(kind, Some(io::ErrorKind::StorageFull), "{error:?}");
    }
}
