//! `stoa trust`: what the signed index costs, and when it expires.

use std::{collections::BTreeMap, io::Write as _, num::NonZeroU64, path::Path, process::ExitCode};

use flate2::{Compression, write::GzEncoder};
use serde_json::json;
use stoa_core::{
    digest::Digest,
    path::PublicPath,
    time::{DAY, Time},
    trust::{
        Bins, BitLength, Head, Limits, SecretKey,
        writer::{self, Target, Terms},
    },
};

use crate::{
    args::TrustPlan,
    report::{BAD, DIM, Failure, GOOD, NAME, Output, WARN},
    server::{self, Due, RoleStatus},
};

/// Something expires soon, for a monitor.
const SOON: u8 = 3;
/// Something has expired.
const EXPIRED: u8 = 4;

/// Prints the calendar of a registry as it stands at `at`.
pub(crate) async fn status(dir: &Path, at: Time, output: Output) -> Result<ExitCode, Failure> {
    let lines = server::status(dir, at).await?;
    let due = lines.iter().map(|line| line.due).max().unwrap_or(Due::Good);
    let mut text: Vec<String> = lines.iter().map(|line| status_line(line, at)).collect();
    text.push(String::new());
    text.push(match due {
        Due::Good => format!("{GOOD}all good{GOOD:#} at {at}"),
        Due::Soon => format!(
            "{WARN}something expires soon{WARN:#}: `stoa keys renew` is for root, targets and index; all else the \
             registry signs anew by itself, as long as it runs"
        ),
        Due::Expired => format!(
            "{BAD}something has expired{BAD:#}: clients keep what they hold and refuse anything newer, until it is renewed"
        ),
    });
    let json = json!({"at": at, "due": due_name(due), "roles": lines.iter().map(status_json).collect::<Vec<_>>()});
    output.result(text.join("\n"), &json);
    Ok(match due {
        Due::Good => ExitCode::SUCCESS,
        Due::Soon => ExitCode::from(SOON),
        Due::Expired => ExitCode::from(EXPIRED),
    })
}

fn due_name(due: Due) -> &'static str {
    match due {
        Due::Good => "good",
        Due::Soon => "soon",
        Due::Expired => "expired",
    }
}

fn status_line(line: &RoleStatus, at: Time) -> String {
    let RoleStatus { role, version, expires, due, signers } = line;
    let days = (expires.unix() - at.unix()).div_euclid(DAY);
    let (style, when) = match due {
        Due::Good => (GOOD, format!("{days} days left")),
        Due::Soon => (WARN, format!("{days} days left")),
        Due::Expired => (BAD, "expired".to_owned()),
    };
    let keys: Vec<String> = signers.keys().keys().map(|id| id.short()).collect();
    format!(
        "{NAME}{role}{NAME:#} {version}, {style}{when}{style:#} ({expires})\n  {DIM}signed by {} of {}: {}{DIM:#}",
        signers.threshold(),
        keys.len(),
        keys.join(" ")
    )
}

fn status_json(line: &RoleStatus) -> serde_json::Value {
    json!({
        "role": line.role, "version": line.version, "expires": line.expires, "due": due_name(line.due),
        "threshold": line.signers.threshold(), "keys": line.signers.keys().keys().collect::<Vec<_>>(),
    })
}

/// From 64 bins to 16,384, beyond which a snapshot is longer than any client of TUF reads.
const BITS: std::ops::RangeInclusive<u64> = 6..=14;
/// Plugins of a cold start.
const COLD: u64 = 10;
/// The gzip level of an edge that compresses on the way.
const LEVEL: u32 = 6;

/// Bytes as they are signed, and as they travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Size {
    raw: u64,
    gzip: u64,
}

impl Size {
    fn of(bytes: &[u8]) -> Result<Self, Failure> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::new(LEVEL));
        encoder.write_all(bytes)?;
        Ok(Self { raw: bytes.len() as u64, gzip: encoder.finish()?.len() as u64 })
    }

    fn times(self, count: u64) -> Self {
        Self { raw: self.raw * count, gzip: self.gzip * count }
    }

    fn plus(self, other: Self) -> Self {
        Self { raw: self.raw + other.raw, gzip: self.gzip + other.gzip }
    }
}

/// What one number of bins costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Row {
    bins: u64,
    snapshot: Size,
    bin: Size,
    /// One's own plugin changed: pointer, snapshot, bin.
    changed: Size,
    /// A first start with ten plugins in ten bins: also root, targets and index.
    cold: Size,
    /// Within what clients read.
    possible: bool,
}

pub(crate) fn plan(args: &TrustPlan, output: Output) -> Result<(), Failure> {
    let rows = BITS.map(|bits| row(bits, args.plugins)).collect::<Result<Vec<_>, _>>()?;
    let best = best(&rows);
    let json = json!({
        "plugins": args.plugins,
        "bins": best.map(|row| row.bins),
        "rows": rows.iter().map(as_json).collect::<Vec<_>>(),
    });
    output.result(table(args.plugins, &rows, best), &json);
    Ok(())
}

/// The cheapest for a client whose plugin changed: it happens again and again, a cold start once.
fn best(rows: &[Row]) -> Option<&Row> {
    rows.iter().filter(|row| row.possible).min_by_key(|row| row.changed.gzip)
}

/// Writes the files of a registry of that size, as the indexer would, and measures them.
fn row(bits: u64, plugins: u64) -> Result<Row, Failure> {
    let (key, second) = (SecretKey::from_seed([0; 32]), SecretKey::from_seed([1; 32]));
    let signers = writer::Signers::one(&key);
    let both = writer::Signers::every([&key, &second])?;
    let terms = |version: u64| Terms {
        version: NonZeroU64::new(version).unwrap_or(NonZeroU64::MIN),
        expires: Time::from_unix(1_800_000_000).plus(3650 * DAY),
    };
    let bins = Bins::new("bin", BitLength::new(bits)?);
    let names: Vec<String> = bins.names().collect();
    // The version of a bin is the event that touched it last: somewhere in the log, so it compresses badly.
    let version = |name: &str| scattered(name, plugins);
    let mut versions: BTreeMap<_, _> = names.iter().map(|name| (name.clone(), version(name))).collect();
    versions.extend(["targets", "index", "catalog"].map(|role| (role.to_owned(), NonZeroU64::MIN)));
    let head = Head { seq: plugins.max(1), head: Digest::of(b"head"), format: 1 };
    let snapshot = writer::snapshot(terms(plugins.max(1)), &head, &versions).sign(&[&key]);
    let targets = (0..plugins.div_ceil(names.len() as u64)).map(|n| {
        let id = format!("namespace-n{:03}:a-plugin-p{n:06}", n % 1000).parse();
        id.map(|id| (PublicPath::target_path(&id), Target::of(&n.to_be_bytes())))
    });
    let targets = targets.collect::<Result<BTreeMap<_, _>, _>>()?;
    let bin = writer::bin(terms(plugins.max(1)), &names[0], &targets).sign(&[&key, &second]);
    let timestamp = writer::timestamp(terms(plugins.max(1)), NonZeroU64::MIN, &snapshot).sign(&[&key]);
    let offline =
        [writer::targets(terms(1), &both, &signers).sign(&[&key]), writer::index(terms(1), &both, &bins).sign(&[&key])];
    let limits = Limits::default();
    let possible = snapshot.len() as u64 <= limits.snapshot_bytes && bin.len() as u64 <= limits.targets_bytes;
    let (timestamp, snapshot, bin) = (Size::of(&timestamp)?, Size::of(&snapshot)?, Size::of(&bin)?);
    let offline = Size::of(&offline[0])?.plus(Size::of(&offline[1])?);
    let pointers = timestamp.plus(snapshot);
    let cold = pointers.plus(offline).plus(bin.times(COLD.min(plugins)));
    Ok(Row { bins: names.len() as u64, snapshot, bin, changed: pointers.plus(bin), cold, possible })
}

/// A place in a log of `plugins` events that follows from the name alone.
fn scattered(name: &str, plugins: u64) -> NonZeroU64 {
    let digest = Digest::of(name.as_bytes()).to_string();
    let number = u64::from_str_radix(&digest[..12], 16).unwrap_or_default();
    NonZeroU64::new(number % plugins.max(1) + 1).unwrap_or(NonZeroU64::MIN)
}

fn as_json(row: &Row) -> serde_json::Value {
    let size = |size: Size| json!({"raw": size.raw, "gzip": size.gzip});
    json!({
        "bins": row.bins, "snapshot": size(row.snapshot), "bin": size(row.bin),
        "changed": size(row.changed), "cold": size(row.cold), "possible": row.possible,
    })
}

fn table(plugins: u64, rows: &[Row], best: Option<&Row>) -> String {
    let mut lines = vec![
        format!("what a client fetches of {NAME}{plugins}{NAME:#} plugins, in KB as signed / compressed"),
        String::new(),
        format!("{DIM}  bins      snapshot       one bin   own changed    cold, {COLD} plugins{DIM:#}"),
    ];
    for row in rows {
        let cell = |size: Size| format!("{} / {}", kb(size.raw), kb(size.gzip));
        let (mark, end) = match best {
            Some(best) if best == row => (format!("{GOOD}▸"), format!("{GOOD:#}")),
            _ if !row.possible => (format!("{DIM}✗"), format!(" more than clients read{DIM:#}")),
            _ => (" ".to_owned(), String::new()),
        };
        lines.push(format!(
            "{mark}{:>5} {:>13} {:>13} {:>13} {:>13}{end}",
            row.bins,
            cell(row.snapshot),
            cell(row.bin),
            cell(row.changed),
            cell(row.cold)
        ));
    }
    lines.push(String::new());
    lines.push(format!(
        "{DIM}own changed: pointer, snapshot and bin, in 5 requests with the next root and the document.\n\
         nothing changed: 2 requests and no body. Any publish costs every client a snapshot.{DIM:#}"
    ));
    lines.join("\n")
}

/// Thousands of bytes, with a digit behind the point where that says something.
fn kb(bytes: u64) -> String {
    match bytes {
        0..100_000 => format!("{}.{}", bytes / 1000, bytes % 1000 / 100),
        _ => format!("{}", bytes / 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(plugins: u64) -> u64 {
        let rows: Vec<_> = BITS.map(|bits| row(bits, plugins).expect("a row")).collect();
        best(&rows).expect("one is possible").bins
    }

    #[test]
    fn more_plugins_want_more_bins() {
        assert_eq!([chosen(100), chosen(10_000), chosen(100_000)], [64, 256, 1024]);
    }

    #[test]
    fn what_clients_do_not_read_is_not_recommended() {
        let row = row(6, 3_000_000).expect("a row");
        assert!(!row.possible, "{row:?}: 46,875 plugins in one bin are more than 5 MB");
    }

    #[test]
    fn sizes_are_read_at_a_glance() {
        assert_eq!([kb(0), kb(999), kb(12_345), kb(123_456)], ["0.0", "0.9", "12.3", "123"]);
    }
}
