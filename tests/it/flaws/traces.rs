//! What a request leaves behind: files, rows, memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::{Duration, Instant},
};

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

use crate::process::Stage;

/// All that a registry has stored, apart from the bytes in its database and their log.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stored {
    /// Files with their sizes, and rows of the ledger with their revisions and values.
    pub(super) lasting: BTreeMap<String, String>,
    /// Uploads that nobody has checked: they expire in a day.
    pub(super) uploads: usize,
    /// The partitions of rows that expire in a day: begun publishes, and operations that were answered.
    pub(super) expiring: BTreeSet<String>,
}

impl Stored {
    pub(super) fn of(stage: &Stage) -> Self {
        let mut stored = Self { lasting: BTreeMap::new(), uploads: 0, expiring: BTreeSet::new() };
        let folder = stage.dir.path().join("registry");
        stored.files(&folder, &folder);
        stored.rows(&folder.join("ledger.sqlite"));
        stored
    }

    fn files(&mut self, folder: &Path, below: &Path) {
        for entry in fs::read_dir(below).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(folder).expect("a path below").to_str().expect("text").to_owned();
            if path.is_dir() {
                self.files(folder, &path);
            } else if name.starts_with("blobs/upload/") {
                self.uploads += 1;
            } else if !name.starts_with("ledger.sqlite") {
                self.lasting.insert(name, format!("{} bytes", path.metadata().expect("a file").len()));
            }
        }
    }

    fn rows(&mut self, ledger: &Path) {
        let ledger = Connection::open_with_flags(ledger, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("a ledger");
        let sql = "SELECT partition, sort, revision, hex(value), expires IS NOT NULL FROM items";
        let mut query = ledger.prepare(sql).expect("a query");
        let mut rows = query.query([]).expect("rows");
        while let Some(row) = rows.next().expect("a row") {
            let text = |at: usize| row.get::<_, String>(at).expect("text");
            if row.get::<_, bool>(4).expect("a truth") {
                self.expiring.insert(text(0));
            } else {
                let revision: i64 = row.get(2).expect("a number");
                self.lasting.insert(format!("{}/{}", text(0), text(1)), format!("{revision} {}", text(3)));
            }
        }
    }
}

/// Waits until index and pages cover the event `seq`: from then on a server writes nothing of its own.
pub(crate) fn wait_for_pages(stage: &Stage, seq: u64) {
    let until = Instant::now() + Duration::from_secs(20);
    let pages = stage.dir.path().join("registry/blobs/public/pages.json");
    loop {
        let covered = fs::read(&pages).ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        if covered.is_some_and(|pages| pages["seq"].as_u64() >= Some(seq)) {
            return;
        }
        assert!(Instant::now() < until, "the pages do not come to event {seq}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The memory of a process. Elsewhere than on Linux nothing is measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Memory {
    pid: u32,
}

impl Memory {
    pub(super) fn of(pid: u32) -> Self {
        Self { pid }
    }

    /// Resident bytes now.
    pub(super) fn now(self) -> u64 {
        self.status("VmRSS:")
    }

    /// The most bytes that were resident since [`Memory::forget`].
    pub(super) fn peak(self) -> u64 {
        self.status("VmHWM:")
    }

    /// Lets the peak begin at what is resident now.
    pub(super) fn forget(self) {
        if cfg!(target_os = "linux") {
            // proc(5), /proc/pid/clear_refs: 5 resets the peak of the resident set.
            fs::write(format!("/proc/{}/clear_refs", self.pid), "5").expect("a process of ours");
        }
    }

    fn status(self, name: &str) -> u64 {
        if !cfg!(target_os = "linux") {
            return 0;
        }
        let text = fs::read_to_string(format!("/proc/{}/status", self.pid)).expect("a process");
        let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kilobytes * 1024
    }
}
