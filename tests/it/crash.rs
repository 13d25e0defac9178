//! A process that dies at any write loses nothing that was accepted and shows nothing by halves; its successor ends
//! the work, and whoever asks again gets the answer that was lost.
//!
//! One mechanism for every operation and every store: the operation is run once to list its writes, and then once
//! more for each of them and each way in which it can go wrong.

mod audit;
pub(crate) mod machine;
mod power;

use std::{collections::BTreeMap, io::Write as _, time::Duration};

use bytes::Bytes;
use serde_json::{Value, json};
use stoa_api::ApiConfig;
use stoa_indexer::IndexerError;
use stoa_store::{
    blobs::{Area, BlobError},
    ledger::LedgerError,
};

use audit::{assert_kept, audit, immutable};
use machine::{Disk, Kind, Plugin, Process, Refusal};
use power::{Cut, Power};

/// What a process is doing when it dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    /// A set of two plugins in three steps.
    Publish,
    /// The same set in one request.
    PublishInline,
    Yank,
    /// A release is killed.
    Kill,
    /// A whole plugin is quarantined.
    Quarantine,
    /// A killed release is restored.
    Restore,
    /// A flaw is made known.
    Advise,
    /// A release is certified.
    Certify,
    /// Index, pointer and pages follow a release of that set.
    Index,
    /// The same follow a kill.
    IndexOfKill,
}

/// How an operation ended.
#[derive(Debug, PartialEq)]
enum Ended {
    Died,
    Answered(Result<Value, Refusal>),
}

/// One known plugin gets a version, and another begins.
fn set() -> [Plugin; 2] {
    [Plugin::new("alpha", "1.1.0", 2), Plugin::new("beta", "1.0.0", 3)]
}

impl Operation {
    /// A registry in which it can be done: `demo:alpha` 1.0.0 is published, indexed, and has its page.
    async fn stage(self, kind: Kind) -> Disk {
        let disk = Disk::new(kind);
        let process = Process::start(&disk, &Power::default()).await;
        process.begin().await;
        process.publish_inline(&[Plugin::new("alpha", "1.0.0", 1)]).await.expect("a publish");
        process.follow().await.expect("an index");
        match self {
            Self::Index => drop(process.publish_inline(&set()).await.expect("a publish")),
            Self::IndexOfKill => drop(process.take_down("kill", Some("1.0.0")).await.expect("a kill")),
            Self::Restore => {
                process.take_down("kill", Some("1.0.0")).await.expect("a kill");
                process.follow().await.expect("an index");
            }
            _ => {}
        }
        disk
    }

    /// Does it as a client would, or asks for it again.
    async fn run(self, process: &Process) -> Result<Value, Refusal> {
        match self {
            Self::Publish => process.publish(&set()).await,
            Self::PublishInline => process.publish_inline(&set()).await,
            Self::Yank => process.yank("alpha", "1.0.0").await,
            Self::Kill => process.take_down("kill", Some("1.0.0")).await,
            Self::Quarantine => process.take_down("quarantine", None).await,
            Self::Restore => process.restore("1.0.0").await,
            Self::Advise => process.advise().await,
            Self::Certify => process.certify("1.0.0").await,
            Self::Index | Self::IndexOfKill => match process.follow().await {
                Ok(seq) => Ok(json!(seq)),
                Err(
                    IndexerError::Blobs(BlobError::Engine { .. }) | IndexerError::Ledger(LedgerError::Engine { .. }),
                ) => Err(Refusal("unavailable".to_owned())),
                Err(error) => panic!("{error:?}"),
            },
        }
    }
}

/// What an operation leaves when nothing goes wrong.
struct Complete {
    /// The files with immutable names that were there before it.
    before: BTreeMap<String, Bytes>,
    writes: Vec<String>,
    answer: Value,
    /// The log's last event.
    head: u64,
    files: BTreeMap<String, Bytes>,
}

/// All that is stored but uploads, which expire.
const KEPT: [Area; 3] = [Area::Public, Area::Events, Area::Store];

async fn rehearsed(operation: Operation, disk: &Disk) -> Complete {
    let power = Power::default();
    let process = Process::start(disk, &power).await;
    let before = immutable(&process).await;
    let answer = operation.run(&process).await.expect("all goes well");
    let writes = power.writes();
    process.follow().await.expect("an index");
    audit(&process).await;
    assert_eq!(process.uploads().await.len(), 0, "a finished publish leaves no uploads");
    let head = process.ledger.head().await.expect("a head").seq;
    Complete { before, writes, answer, head, files: process.files(&KEPT).await }
}

/// Runs `operation` over `kind` with every write cut in each of these ways. Gives the list of writes.
async fn sweep(operation: Operation, kind: Kind, cuts: &[Cut]) -> Vec<String> {
    let staged = operation.stage(kind).await;
    let complete = rehearsed(operation, &staged.copied()).await;
    for (at, write) in complete.writes.iter().enumerate() {
        for cut in cuts {
            let disk = staged.copied();
            let case = Case(format!("{operation:?} over {kind:?}, {cut:?} at write {at}: {write}"));
            one(operation, &disk, at, *cut, &complete).await.unwrap_or_else(|wrong| panic!("{wrong}"));
            drop(case);
        }
    }
    let line = format!(
        "crash sweep: {operation:?} over {kind:?}: {} writes, each cut in {} ways\n",
        complete.writes.len(),
        cuts.len()
    );
    let _unseen = std::io::stderr().write_all(line.as_bytes());
    complete.writes
}

/// Names the case that a test panics in.
struct Case(String);

impl Drop for Case {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _unseen = writeln!(std::io::stderr(), "{}", self.0);
        }
    }
}

/// One crash, and what comes after it. `Err` says what is wrong.
async fn one(operation: Operation, disk: &Disk, at: usize, cut: Cut, complete: &Complete) -> Result<(), String> {
    let ended = {
        let power = Power::default();
        let process = Process::start(disk, &power).await;
        power.cut_at(at, cut);
        power.run(operation.run(&process)).await.map_or(Ended::Died, Ended::Answered)
    };
    let survives = matches!(cut, Cut::Refused | Cut::AnswerLost);
    let clearly = match &ended {
        Ended::Died => !survives,
        Ended::Answered(Ok(answer)) => survives && *answer == complete.answer,
        Ended::Answered(Err(Refusal(code))) => survives && code == "unavailable",
    };
    if !clearly {
        return Err(format!("it ended with {ended:?}"));
    }

    let process = Process::start(disk, &Power::default()).await;
    if disk.leftovers() != 0 {
        return Err("unfinished files are left".to_owned());
    }
    let left = audit(&process).await;
    let at_the_crash = immutable(&process).await;
    assert_kept(&complete.before, &at_the_crash);
    // As `stoa serve` does it: the index first, then requests.
    let head = process.ledger.head().await.map_err(|e| e.to_string())?.seq;
    let signed = process.follow().await.map_err(|e| e.to_string())?;
    if signed != head || left.seq > head {
        return Err(format!("the index stood at {}, comes to {signed}, and the log to {head}", left.seq));
    }
    if matches!(ended, Ended::Answered(Ok(_))) && head != complete.head {
        return Err(format!("it was accepted, and the log ends at {head}"));
    }
    let again = operation.run(&process).await;
    if again.as_ref() != Ok(&complete.answer) {
        return Err(format!("asked again, the answer is {again:?} and not {}", complete.answer));
    }
    process.follow().await.map_err(|e| e.to_string())?;
    audit(&process).await;
    let files = process.files(&KEPT).await;
    assert_kept(&at_the_crash, &files);
    if files != complete.files {
        let differs = |path: &&String| files.get(*path) != complete.files.get(*path);
        let paths: Vec<_> = files.keys().chain(complete.files.keys()).filter(differs).collect();
        return Err(format!("these files are not what they are without a crash: {paths:?}"));
    }
    Ok(())
}

/// Everything that can happen to a write.
const ALL: &[Cut] = &[Cut::Before, Cut::After, Cut::Overtaken, Cut::Refused, Cut::AnswerLost];
/// What can happen to a write of a store whose writes go on beside the process that asked for them.
const REAL: &[Cut] = &[Cut::Before, Cut::After, Cut::AnswerLost];

/// Digests stand for content, and differ with the tools that print it.
fn assert_writes(name: &str, count: usize, writes: &[String]) {
    assert_eq!(writes.len(), count, "{writes:#?}");
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"[0-9a-f]{64}", "DIGEST");
    settings.add_filter(r"upload/[0-9a-f]{32}", "upload/ID");
    settings.add_filter(r"assets/([a-z]+)\.[0-9a-f]+\.", "assets/$1.HASH.");
    settings.bind(|| insta::assert_snapshot!(name, writes.join("\n")));
}

async fn swept(operation: Operation, count: usize) {
    let name = format!("writes-of-{operation:?}");
    assert_writes(&name, count, &sweep(operation, Kind::Memory, ALL).await);
}

async fn swept_for_real(operation: Operation, count: usize) {
    let name = format!("writes-of-{operation:?}");
    assert_writes(&name, count, &sweep(operation, Kind::Folder, REAL).await);
}

#[tokio::test]
async fn a_publish_in_three_steps_survives_a_crash_at_any_write() {
    swept(Operation::Publish, 18).await;
}

#[tokio::test]
async fn a_publish_in_one_request_survives_a_crash_at_any_write() {
    swept(Operation::PublishInline, 6).await;
}

#[tokio::test]
async fn a_yank_survives_a_crash_at_any_write() {
    swept(Operation::Yank, 1).await;
}

#[tokio::test]
async fn what_takes_down_restores_and_warns_survives_a_crash_at_any_write() {
    for operation in [Operation::Kill, Operation::Quarantine, Operation::Restore, Operation::Advise, Operation::Certify]
    {
        swept(operation, 1).await;
    }
}

#[tokio::test]
async fn what_takes_down_restores_and_warns_survives_on_disk() {
    for operation in [Operation::Kill, Operation::Quarantine, Operation::Restore, Operation::Advise, Operation::Certify]
    {
        swept_for_real(operation, 1).await;
    }
}

#[tokio::test]
async fn an_index_run_that_follows_a_kill_survives_a_crash_at_any_write() {
    swept(Operation::IndexOfKill, 8).await;
}

#[tokio::test]
async fn an_index_run_with_its_pages_survives_a_crash_at_any_write() {
    swept(Operation::Index, 18).await;
}

#[tokio::test]
async fn a_publish_in_three_steps_survives_on_disk() {
    swept_for_real(Operation::Publish, 18).await;
}

#[tokio::test]
async fn a_publish_in_one_request_survives_on_disk() {
    swept_for_real(Operation::PublishInline, 6).await;
}

#[tokio::test]
async fn a_yank_survives_on_disk() {
    swept_for_real(Operation::Yank, 1).await;
}

#[tokio::test]
async fn an_index_run_with_its_pages_survives_on_disk() {
    swept_for_real(Operation::Index, 18).await;
}

#[tokio::test]
async fn a_store_that_hangs_times_a_publish_out_and_neither_reads_nor_the_next_try_wait_for_it() {
    let disk = Operation::PublishInline.stage(Kind::Memory).await;
    let complete = rehearsed(Operation::PublishInline, &disk.copied()).await;
    let config = ApiConfig { request_timeout: Duration::from_millis(100), ..ApiConfig::default() };
    for (at, write) in complete.writes.iter().enumerate() {
        let (disk, power) = (disk.copied(), Power::default());
        let process = Process::configured(&disk, &power, config.clone()).await;
        power.cut_at(at, Cut::Overtaken);
        let told = process.publish_inline(&set()).await;
        assert_eq!(told, Err(Refusal("timeout".to_owned())), "{write}");
        audit(&process).await;
        // The timeout of a test is short for a machine under load: what counts is that some try is not held up.
        let mut again = process.publish_inline(&set()).await;
        for _ in 0..20 {
            if again == Err(Refusal("timeout".to_owned())) {
                again = process.publish_inline(&set()).await;
            }
        }
        assert_eq!(again.as_ref(), Ok(&complete.answer), "{write}");
        assert_eq!(process.follow().await.expect("an index"), 4);
        audit(&process).await;
    }
}
