//! The SQLite file: what it refuses to open, and what survives.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use rusqlite::Connection;
use stoa_core::{
    digest::Digest,
    event::{ActorId, Draft, Fact},
    time::{DAY, Time},
};
use stoa_store::{
    ledger::{Action, Expect, ItemKey, Ledger, Transaction, Write},
    sqlite::SqliteLedger,
};
use tempfile::TempDir;

fn start() -> Time {
    Time::from_unix(1_700_000_000)
}

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger.db");
    (folder, path)
}

async fn open(path: &Path) -> SqliteLedger {
    SqliteLedger::open(path).await.expect("a ledger")
}

/// Why it is not opened, after `damage` was done to the closed file.
async fn refusal(path: &Path, damage: &str) -> String {
    Connection::open(path).expect("a file").execute_batch(damage).expect("damage");
    SqliteLedger::open(path).await.expect_err("it was opened").to_string()
}

async fn fill(ledger: &SqliteLedger, events: u64) {
    for number in 1..=events {
        let fact = match number {
            1 => Fact::Genesis { bin_bits: 8, offline: Vec::new() },
            _ => Fact::Purged { releases: Vec::new(), blobs: vec![Digest::of(&number.to_be_bytes())] },
        };
        let key = ItemKey::new("p", format!("{number:03}")).expect("a key");
        let action = Action::Put { value: b"v".to_vec(), expires: None };
        let change = Transaction {
            operation: number.to_string().parse().expect("an id"),
            draft: Some(Draft { actor: ActorId::registry(), fact, private: None }),
            writes: vec![Write { key, expect: Expect::Absent, action }],
        };
        ledger.commit(&change, start()).await.expect("a commit");
    }
}

async fn put(ledger: &SqliteLedger, operation: &str, sort: &str, expires: Option<Time>, now: Time) {
    let action = Action::Put { value: b"v".to_vec(), expires };
    let write = Write { key: ItemKey::new("p", sort).expect("a key"), expect: Expect::Any, action };
    let change = Transaction { operation: operation.parse().expect("an id"), draft: None, writes: vec![write] };
    ledger.commit(&change, now).await.expect("a commit");
}

#[tokio::test]
async fn a_file_of_a_newer_program_is_refused() {
    let (_folder, path) = place();
    drop(open(&path).await);
    let message = refusal(&path, "PRAGMA user_version = 2").await;
    assert_eq!(message, "the ledger has format 2, and this program knows up to 1");
}

#[tokio::test]
async fn another_programs_file_is_refused_and_left_as_it_is() {
    let (_folder, path) = place();
    let message = refusal(&path, "CREATE TABLE t (x)").await;
    let expected = format!("the ledger is damaged: `{}`: it is another program's SQLite file", path.display());
    assert_eq!(message, expected);
    let tables: i64 = Connection::open(&path)
        .and_then(|file| file.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)))
        .expect("a count");
    assert_eq!(tables, 1);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let (_folder, path) = place();
    fs::write(&path, [b'x'; 8192]).expect("a file");
    let message = SqliteLedger::open(&path).await.expect_err("it was opened").to_string();
    assert_eq!(message, "the ledger is damaged: the file: file is not a database");
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_named() {
    let (folder, _) = place();
    let path = folder.path().join("none/ledger.db");
    let message = SqliteLedger::open(&path).await.expect_err("it was opened").to_string();
    assert_eq!(message, format!("the ledger's engine failed at creating `{}`", path.display()));
}

#[tokio::test]
async fn a_changed_event_is_found_when_the_file_is_opened() {
    let (_folder, path) = place();
    fill(&open(&path).await, 5).await;
    let damage = "DROP TRIGGER an_event_stays_as_it_is;
        UPDATE items SET value = CAST(replace(CAST(value AS TEXT), '\"registry\"', '\"mallory\"') AS BLOB)
        WHERE partition = '!event' AND sort LIKE '%3'";
    let message = refusal(&path, damage).await;
    assert_eq!(
        message,
        "the ledger is damaged: !event/00000000000000000004: event 4 follows event 3: its `prev` is not the hash of \
         the event before"
    );
}

#[tokio::test]
async fn a_head_that_is_not_the_last_event_is_found_when_the_file_is_opened() {
    let (_folder, path) = place();
    fill(&open(&path).await, 5).await;
    let damage = "DROP TRIGGER an_event_stays; DELETE FROM items WHERE partition = '!event' AND sort LIKE '%5'";
    let message = refusal(&path, damage).await;
    assert_eq!(message, "the ledger is damaged: the head: it names event 5, the last is 4");
}

#[tokio::test]
async fn an_event_can_not_be_deleted_or_changed_by_hand() {
    let (_folder, path) = place();
    fill(&open(&path).await, 2).await;
    let file = Connection::open(&path).expect("a file");
    for (statement, message) in [
        ("DELETE FROM items WHERE partition = '!event'", "an event is never deleted"),
        ("UPDATE items SET revision = 9 WHERE partition = '!event'", "an event is never changed"),
    ] {
        let refused = file.execute(statement, []).map_err(|e| e.to_string());
        assert_eq!(refused, Err(message.to_owned()));
    }
}

#[tokio::test]
async fn only_the_owner_can_read_the_file() {
    let (folder, path) = place();
    let ledger = open(&path).await;
    fill(&ledger, 1).await;
    let mut modes: Vec<_> = fs::read_dir(folder.path())
        .expect("a folder")
        .map(|entry| entry.expect("an entry"))
        .map(|entry| (entry.file_name(), entry.metadata().expect("metadata").permissions().mode() & 0o777))
        .collect();
    modes.sort();
    assert_eq!(modes, ["ledger.db", "ledger.db-shm", "ledger.db-wal"].map(|name| (name.into(), 0o600)));
}

/// What a loss of power leaves: the file, and as much of the write-ahead log as had reached the disk.
#[tokio::test]
async fn after_a_loss_of_power_the_file_opens_at_a_whole_commit() {
    let (folder, path) = place();
    let ledger = open(&path).await;
    fill(&ledger, 12).await;
    let (file, log) = (fs::read(&path).expect("a file"), fs::read(path.with_extension("db-wal")).expect("a log"));
    let mut seen = Vec::new();
    for eighth in 0..=8 {
        let copy = folder.path().join(format!("copy-{eighth}.db"));
        fs::write(&copy, &file).expect("a copy");
        fs::write(copy.with_extension("db-wal"), &log[..log.len() * eighth / 8]).expect("a copy");
        let ledger = open(&copy).await;
        let events = ledger.events(0, 100).await.expect("events").len();
        let items = ledger.list("p", None, 100, start()).await.expect("a list").len();
        assert_eq!(items, events, "with {eighth} eighths of the log");
        seen.push(events);
        let last = events as u64;
        assert_eq!(ledger.head().await.expect("a head").seq, last);
    }
    assert!(seen.is_sorted() && seen[8] == 12 && seen[4] > 0 && seen[4] < 12, "{seen:?}");
}

#[tokio::test]
async fn expired_items_are_deleted_a_day_late_and_a_few_at_a_time() {
    let (_folder, path) = place();
    let (ledger, now) = (open(&path).await, Time::from_unix(1_700_000_000));
    for number in 0..20 {
        put(&ledger, &format!("w{number}"), &format!("{number:02}"), Some(now.plus(10)), now).await;
    }
    let stored = || -> i64 {
        let sql = "SELECT count(*) FROM items WHERE partition = 'p' AND expires IS NOT NULL";
        Connection::open(&path).and_then(|file| file.query_row(sql, [], |row| row.get(0))).expect("a count")
    };
    put(&ledger, "early", "x", None, now.plus(DAY)).await;
    assert_eq!(stored(), 20);
    put(&ledger, "first", "x", None, now.plus(DAY + 11)).await;
    assert_eq!(stored(), 4);
    put(&ledger, "second", "x", None, now.plus(DAY + 11)).await;
    assert_eq!(stored(), 0);
}

#[tokio::test]
async fn a_writer_waits_for_another_process_and_reads_do_not() {
    let (_folder, path) = place();
    let ledger = open(&path).await;
    fill(&ledger, 1).await;
    let other = Connection::open(&path).expect("a file");
    other.execute_batch("BEGIN IMMEDIATE").expect("a lock");
    let theirs = ledger.clone();
    let writer = tokio::spawn(async move { put(&theirs, "w", "waited", None, start()).await });
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert_eq!(ledger.head().await.expect("a head").seq, 1);
    assert!(!writer.is_finished());
    other.execute_batch("COMMIT").expect("a release");
    writer.await.expect("a commit");
    assert_eq!(ledger.list("p", None, 10, start()).await.expect("a list").len(), 2);
}

#[tokio::test]
async fn a_ledger_that_is_closed_is_one_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger.sqlite");
    let ledger = open(&path).await;
    fill(&ledger, 3).await;
    drop(ledger);
    let names: Vec<_> =
        fs::read_dir(folder.path()).expect("a folder").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(names, ["ledger.sqlite"], "a copy of this file is a backup of the ledger");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_taken_while_others_write_is_the_ledger_of_one_moment() {
    let (folder, path) = place();
    let ledger = open(&path).await;
    fill(&ledger, 3).await;
    let writing = tokio::spawn(async move {
        for number in 4..=60_u64 {
            let fact = Fact::Purged { releases: Vec::new(), blobs: vec![Digest::of(&number.to_be_bytes())] };
            let key = ItemKey::new("p", format!("{number:03}")).expect("a key");
            let action = Action::Put { value: vec![7; 2_000], expires: None };
            let change = Transaction {
                operation: number.to_string().parse().expect("an id"),
                draft: Some(Draft { actor: ActorId::registry(), fact, private: None }),
                writes: vec![Write { key, expect: Expect::Absent, action }],
            };
            ledger.commit(&change, start()).await.expect("a commit");
        }
        ledger
    });
    let mut seen = Vec::new();
    for number in 0..6 {
        let to = folder.path().join(format!("copy-{number}"));
        SqliteLedger::copy(&path, &to).await.expect("a copy");
        assert_eq!(fs::metadata(&to).expect("a file").permissions().mode() & 0o777, 0o600);
        let copy = open(&to).await;
        let head = copy.head().await.expect("a head").seq;
        // State and log are of the same moment: event n has written item n.
        let items = copy.list("p", None, 100, start()).await.expect("items");
        assert_eq!(items.last().map(|(key, _)| key.sort().to_owned()), Some(format!("{head:03}")));
        assert_eq!(copy.events(0, 100).await.expect("a whole chain").len() as u64, head);
        seen.push(head);
    }
    assert!(seen.is_sorted(), "{seen:?}");
    let ledger = writing.await.expect("a task");
    let to = folder.path().join("last");
    SqliteLedger::copy(&path, &to).await.expect("a copy");
    assert_eq!(open(&to).await.head().await.expect("a head"), ledger.head().await.expect("a head"));
}

#[tokio::test]
async fn a_copy_overwrites_nothing_and_takes_no_other_programs_file() {
    let (folder, path) = place();
    fill(&open(&path).await, 1).await;
    let to = folder.path().join("copy");
    fs::write(&to, "something").expect("a file");
    let error = SqliteLedger::copy(&path, &to).await.expect_err("it is there");
    assert_eq!(error.to_string(), format!("the ledger's engine failed at creating `{}`", to.display()));
    assert_eq!(fs::read(&to).expect("a file"), b"something");
    let other = folder.path().join("other");
    Connection::open(&other).expect("a file").execute_batch("CREATE TABLE t (x)").expect("a table");
    let error = SqliteLedger::copy(&other, &folder.path().join("new")).await.expect_err("another program's");
    let expected = format!("the ledger is damaged: `{}`: it is another program's SQLite file", other.display());
    assert_eq!(error.to_string(), expected);
}
