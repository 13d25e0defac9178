//! Items as rows.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, Row, TransactionBehavior, params};
use stoa_core::time::{DAY, Time};

use super::failed;
use crate::ledger::{Action, Expect, Item, ItemKey, LedgerError, Write};

/// `STOA` in ASCII: what `file` and a careful program see in the header.
const APPLICATION: i64 = 0x5354_4f41;
/// The newest schema that this program knows. A change adds a step, never edits one.
const SCHEMA: i64 = 1;

const STEP_1: &str = "
CREATE TABLE items (
    partition TEXT    NOT NULL,
    sort      TEXT    NOT NULL,
    value     BLOB    NOT NULL,
    revision  INTEGER NOT NULL CHECK (revision > 0),
    expires   INTEGER,
    PRIMARY KEY (partition, sort)
) STRICT;
CREATE INDEX items_by_expiry ON items (expires) WHERE expires IS NOT NULL;
CREATE TRIGGER an_event_stays BEFORE DELETE ON items WHEN OLD.partition = '!event'
    BEGIN SELECT RAISE(ABORT, 'an event is never deleted'); END;
CREATE TRIGGER an_event_stays_as_it_is BEFORE UPDATE ON items WHEN OLD.partition = '!event'
    BEGIN SELECT RAISE(ABORT, 'an event is never changed'); END;
";

/// Checks that a file that is there already is this program's and not newer.
pub(super) fn check_schema(connection: &mut Connection, path: &Path) -> Result<(), LedgerError> {
    let number = |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let application = number("application_id").map_err(failed("reading the schema"))?;
    known(application, number("user_version").map_err(failed("reading the schema"))?, path)
}

fn known(application: i64, version: i64, path: &Path) -> Result<(), LedgerError> {
    if application != APPLICATION {
        return Err(LedgerError::corrupt(format!("`{}`", path.display()), "it is another program's SQLite file"));
    }
    if version > SCHEMA {
        return Err(LedgerError::Newer { found: version, known: SCHEMA });
    }
    Ok(())
}

/// Makes the tables of a new file; of any other, checks that they are this program's and not newer.
pub(super) fn begin_or_check_schema(connection: &mut Connection, path: &Path) -> Result<(), LedgerError> {
    let opening = failed("reading the schema");
    // Two processes may begin the same file: one of them waits here.
    let database = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&opening)?;
    let number = |pragma: &str| database.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let application = number("application_id").map_err(&opening)?;
    let version = number("user_version").map_err(&opening)?;
    let tables: i64 =
        database.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(&opening)?;
    if (application, version, tables) == (0, 0, 0) {
        database.execute_batch(STEP_1).map_err(&opening)?;
        database.pragma_update(None, "application_id", APPLICATION).map_err(&opening)?;
        database.pragma_update(None, "user_version", SCHEMA).map_err(&opening)?;
    } else {
        known(application, version, path)?;
    }
    database.commit().map_err(&opening)
}

fn item(row: &Row<'_>) -> rusqlite::Result<Item> {
    let revision: i64 = row.get("revision")?;
    let expires: Option<i64> = row.get("expires")?;
    // The table's own check keeps revisions above zero.
    Ok(Item { value: row.get("value")?, revision: revision.unsigned_abs(), expires: expires.map(Time::from_unix) })
}

fn keyed(row: &Row<'_>) -> rusqlite::Result<(ItemKey, Item)> {
    Ok((ItemKey::stored(row.get("partition")?, row.get("sort")?), item(row)?))
}

/// The item as it is stored, expired or not.
pub(super) fn get(connection: &Connection, key: &ItemKey) -> Result<Option<Item>, LedgerError> {
    let sql = "SELECT value, revision, expires FROM items WHERE partition = ?1 AND sort = ?2";
    let read = || connection.prepare_cached(sql)?.query_row([key.partition(), key.sort()], item).optional();
    read().map_err(failed("reading an item"))
}

/// Items of a partition in order, after `after`; where there is a `now`, only those that are alive.
pub(super) fn page(
    connection: &Connection,
    partition: &str,
    after: &str,
    limit: usize,
    now: Option<Time>,
) -> Result<Vec<(ItemKey, Item)>, LedgerError> {
    let sql = "SELECT partition, sort, value, revision, expires FROM items
        WHERE partition = ?1 AND sort > ?2 AND (?4 IS NULL OR expires IS NULL OR expires > ?4)
        ORDER BY sort LIMIT ?3";
    let (limit, now) = (i64::try_from(limit).unwrap_or(i64::MAX), now.map(Time::unix));
    let read = || {
        connection
            .prepare_cached(sql)?
            .query_map(params![partition, after, limit, now], keyed)?
            .collect::<Result<_, _>>()
    };
    read().map_err(failed("reading a partition"))
}

/// The last items of a partition, in order.
pub(super) fn last(
    connection: &Connection,
    partition: &str,
    limit: usize,
) -> Result<Vec<(ItemKey, Item)>, LedgerError> {
    let sql = "SELECT partition, sort, value, revision, expires FROM items
        WHERE partition = ?1 ORDER BY sort DESC LIMIT ?2";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let read = || connection.prepare(sql)?.query_map(params![partition, limit], keyed)?.collect::<Result<Vec<_>, _>>();
    let mut rows = read().map_err(failed("reading a partition"))?;
    rows.reverse();
    Ok(rows)
}

/// Carries out one write whose condition holds.
pub(super) fn apply(connection: &Connection, write: &Write) -> Result<(), LedgerError> {
    let (partition, sort) = (write.key.partition(), write.key.sort());
    match &write.action {
        Action::Check => Ok(()),
        Action::Delete => erase(connection, &write.key),
        Action::Put { value, expires } => {
            // An item that is expected to be absent may still be stored, expired: it begins again.
            let again = write.expect == Expect::Absent;
            let sql = "INSERT INTO items (partition, sort, value, revision, expires) VALUES (?1, ?2, ?3, 1, ?4)
                ON CONFLICT (partition, sort) DO UPDATE SET value = excluded.value, expires = excluded.expires,
                revision = CASE WHEN ?5 THEN 1 ELSE revision + 1 END";
            let values = params![partition, sort, value, expires.map(Time::unix), again];
            let write = || connection.prepare_cached(sql)?.execute(values);
            write().map(drop).map_err(failed("writing an item"))
        }
    }
}

/// Deletes an item, if it is there.
pub(super) fn erase(connection: &Connection, key: &ItemKey) -> Result<(), LedgerError> {
    let sql = "DELETE FROM items WHERE partition = ?1 AND sort = ?2";
    let erase = || connection.prepare_cached(sql)?.execute([key.partition(), key.sort()]);
    erase().map(drop).map_err(failed("deleting an item"))
}

/// Deletes a few items that expired more than a day ago: late, so that a clock that ran ahead for a while costs
/// nothing, and few, so that no commit pays for many others.
pub(super) fn sweep(connection: &Connection, now: Time) -> Result<(), LedgerError> {
    let sql = "DELETE FROM items WHERE rowid IN
        (SELECT rowid FROM items WHERE expires IS NOT NULL AND expires < ?1 ORDER BY expires LIMIT 16)";
    let sweep = || connection.prepare_cached(sql)?.execute([now.plus(-DAY).unix()]);
    sweep().map(drop).map_err(failed("deleting expired items"))
}
