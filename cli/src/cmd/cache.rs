//! `stoa cache`.

use std::{fmt::Write as _, process::ExitCode, time::SystemTime};

use serde_json::{Value, json};
use stoa_core::time::Time;
use stoa_loader::code::{CodeCache, Entry, Hold, PutAside, Verdict};

use crate::{
    args::{CacheAt, CacheCommand},
    host,
    report::{BAD, DIM, Failure, GOOD, NAME, Output, WARN, size},
};

/// How the program ends where something was found wrong: not 1, which says that it could not look.
const FOUND_WRONG: u8 = 5;
/// So many digits of a digest are shown to people.
const SHORT: usize = 12;

pub(crate) fn run(command: &CacheCommand, output: Output) -> Result<ExitCode, Failure> {
    match command {
        CacheCommand::Ls { at } => ls(at, output),
        CacheCommand::Verify { at } => verify(at, output),
        CacheCommand::Prune { max_size, at } => prune(at, max_size.bytes(), output),
    }
}

/// The cache of compiled code, and where it is.
fn open(at: &CacheAt) -> Result<(CodeCache, String), Failure> {
    let folder = host::cache(at.cache.as_deref())?.aot();
    Ok((CodeCache::open(&folder)?, folder.display().to_string()))
}

fn ls(at: &CacheAt, output: Output) -> Result<ExitCode, Failure> {
    let (cache, folder) = open(at)?;
    let (entries, aside) = (cache.entries()?, cache.put_aside()?);
    let mut text = String::new();
    for entry in &entries {
        let _infallible = writeln!(text, "{}", row(entry));
    }
    for file in &aside {
        let _infallible = writeln!(text, "{BAD}put aside{BAD:#}  {}  {:>9}", file.name, size(file.bytes));
    }
    let total: u64 = entries.iter().map(|entry| entry.bytes).chain(aside.iter().map(|file| file.bytes)).sum();
    let _infallible =
        write!(text, "{} compiled, {} put aside, {}  {DIM}{folder}{DIM:#}", entries.len(), aside.len(), size(total));
    let file = |file: &PutAside| json!({"name": file.name, "bytes": file.bytes, "since": time(file.since)});
    let aside: Vec<_> = aside.iter().map(file).collect();
    let entries: Vec<_> = entries.iter().map(value).collect();
    output.result(text, &json!({"folder": folder, "bytes": total, "entries": entries, "put_aside": aside}));
    Ok(ExitCode::SUCCESS)
}

fn row(entry: &Entry) -> String {
    let (key, used) = (entry.key.short(SHORT), time(entry.used));
    let hold = hold(entry.hold).map(|hold| format!("  {GOOD}{hold}{GOOD:#}")).unwrap_or_default();
    let of = match &entry.record {
        Ok((artifact, _)) => format!("of {}", artifact.short(SHORT)),
        Err(reason) => format!("{BAD}{reason}{BAD:#}"),
    };
    format!("{NAME}{key}{NAME:#}  {of}  {:>9}  {DIM}used {used}{DIM:#}{hold}", size(entry.bytes))
}

fn value(entry: &Entry) -> Value {
    let record = entry.record.as_ref();
    // What a scan said is JSON by itself, of the version that it bears.
    let scan = |scan: &stoa_loader::code::Scan| {
        let said: Value = serde_json::from_str(scan.text()).unwrap_or_else(|_| scan.text().into());
        json!({"version": scan.version(), "said": said})
    };
    json!({
        "key": entry.key, "bytes": entry.bytes, "used": time(entry.used), "hold": hold(entry.hold),
        "artifact": record.ok().map(|(artifact, _)| artifact), "scan": record.ok().map(|(_, said)| scan(said)),
        "wrong": record.err(),
    })
}

fn hold(hold: Hold) -> Option<&'static str> {
    match hold {
        Hold::InUse => Some("in use"),
        Hold::Leased => Some("being written"),
        _ => None,
    }
}

fn verify(at: &CacheAt, output: Output) -> Result<ExitCode, Failure> {
    let (cache, folder) = open(at)?;
    let verdicts = cache.verify()?;
    let mut text = String::new();
    let (mut wrong, mut busy) = (Vec::new(), 0);
    for (key, verdict) in &verdicts {
        match verdict {
            Verdict::PutAside(reason) => {
                let _infallible = writeln!(text, "{BAD}put aside{BAD:#}  {NAME}{}{NAME:#}: {reason}", key.short(SHORT));
                wrong.push(json!({"key": key, "reason": reason}));
            }
            Verdict::Busy => {
                let _infallible = writeln!(
                    text,
                    "{WARN}not looked at{WARN:#}  {NAME}{}{NAME:#}: it is being written",
                    key.short(SHORT)
                );
                busy += 1;
            }
            _ => {}
        }
    }
    let (checked, count) = (verdicts.len() - busy, wrong.len());
    let _infallible = match count {
        0 => write!(text, "{GOOD}as it was written{GOOD:#}: {checked} compiled components  {DIM}{folder}{DIM:#}"),
        _ => write!(
            text,
            "{BAD}{count} of {checked}{BAD:#} compiled components were not as they were written  {DIM}{folder}{DIM:#}"
        ),
    };
    output.result(text, &json!({"folder": folder, "checked": checked, "busy": busy, "put_aside": wrong}));
    Ok(if count == 0 { ExitCode::SUCCESS } else { ExitCode::from(FOUND_WRONG) })
}

fn prune(at: &CacheAt, most: u64, output: Output) -> Result<ExitCode, Failure> {
    let (cache, folder) = open(at)?;
    let pruned = cache.prune(most)?;
    let mut text = format!(
        "{GOOD}removed{GOOD:#} {} compiled, {} other files, {}; {} are left  {DIM}{folder}{DIM:#}",
        pruned.entries,
        pruned.others,
        size(pruned.bytes),
        size(pruned.left),
    );
    if pruned.in_use > 0 {
        let _infallible = write!(text, "\n{WARN}stayed{WARN:#}: {} that some process runs or writes", pruned.in_use);
    }
    let value = json!({
        "folder": folder, "entries": pruned.entries, "others": pruned.others, "bytes": pruned.bytes,
        "in_use": pruned.in_use, "left": pruned.left,
    });
    output.result(text, &value);
    Ok(ExitCode::SUCCESS)
}

fn time(time: SystemTime) -> Time {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Time::from_unix(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
