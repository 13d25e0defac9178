//! The main job: from publishing to visible, an index run, a load.
//!
//! `core STOA PLUGINS [--json]`, where `PLUGINS` is the folder of the example plugins, which are built. Each number stands
//! beside a lower bound that is taken in turn with it.

mod floor;
pub(crate) mod index;
pub(crate) mod load;
mod publish;

use std::{
    error::Error,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use crate::trust::clock::Spread;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// A number beside its lower bound.
struct Row {
    what: String,
    found: Vec<Duration>,
    bound: String,
    least: Vec<Duration>,
    /// What else is worth knowing: bytes, counts.
    note: String,
    /// What is wanted, and whether it is so.
    target: Option<(&'static str, bool)>,
}

impl Row {
    fn ratio(&self) -> f64 {
        spread(&self.found).median / spread(&self.least).median
    }
}

fn spread(times: &[Duration]) -> Spread {
    Spread::of(times.iter().copied())
}

pub(crate) fn run(args: &[&str]) -> Outcome<()> {
    let (args, json) = match args {
        [args @ .., "--json"] => (args, true),
        args => (args, false),
    };
    let [stoa, plugins] = args else { return Err("usage: stoa-benches core STOA PLUGINS [--json]".into()) };
    let mut rows = index::rows()?;
    rows.extend(publish::rows(stoa)?);
    rows.extend(load::rows(stoa, Path::new(plugins))?);
    if json {
        println!("{}", as_json(&rows));
    } else {
        println!("{}", table(&rows));
    }
    Ok(())
}

fn table(rows: &[Row]) -> String {
    let mut lines = vec!["| what | ms (spread) | lower bound | ms (spread) | ratio | |".to_owned()];
    lines.push("|---|--:|---|--:|--:|---|".to_owned());
    for row in rows {
        let shown = |times: &[Duration]| {
            let Spread { median, least, most } = spread(times);
            // Short times have a second digit.
            if median < 10.0 {
                format!("{median:.2} ({least:.2} to {most:.2})")
            } else {
                format!("{median:.1} ({least:.1} to {most:.1})")
            }
        };
        let target = row.target.map(|(what, met)| format!("{what}: {}", if met { "met" } else { "missed" }));
        let notes: Vec<String> =
            [Some(row.note.clone()).filter(|note| !note.is_empty()), target].into_iter().flatten().collect();
        lines.push(format!(
            "| {} | {} | {} | {} | {:.2} | {} |",
            row.what,
            shown(&row.found),
            row.bound,
            shown(&row.least),
            row.ratio(),
            notes.join("; ")
        ));
    }
    lines.join("\n")
}

fn as_json(rows: &[Row]) -> Value {
    let ms = |times: &[Duration]| times.iter().map(|time| time.as_secs_f64() * 1e3).collect::<Vec<_>>();
    let row = |row: &Row| {
        json!({
            "what": row.what, "ms": ms(&row.found), "bound": row.bound, "bound_ms": ms(&row.least), "ratio": row.ratio(),
            "note": row.note, "target": row.target.map(|(what, met)| json!({"what": what, "met": met})),
        })
    };
    json!({"bench": "core", "rows": rows.iter().map(row).collect::<Vec<_>>()})
}

/// This program once more, with these arguments: what it prints is JSON.
fn child(args: &[&str]) -> Outcome<Value> {
    let output = Command::new(std::env::current_exe()?).args(args).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("`{}` failed: {}", args.join(" "), output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Nanoseconds that a child told.
fn told(answer: &Value, member: &str) -> Outcome<Duration> {
    Ok(Duration::from_nanos(answer[member].as_u64().ok_or_else(|| format!("no `{member}` in {answer}"))?))
}

/// The most memory that this process has had, in bytes, as Linux tells it.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}
