//! `stoa trust plan`: what clients fetch of a registry of some size, for each number of bins.
//!
//! The files are written as the indexer and the signer would write them, and measured, so the numbers follow the formats.
//! The registry that is assumed: every plugin was released once, alone, the last one now. That makes the versions that a
//! snapshot lists as unlike as they get in a registry that is used: each is the place in the log where its bin was touched
//! last. `cargo xtask bench trust` compares what is computed here with what a client was given.

use std::{collections::BTreeMap, io::Write as _, num::NonZeroU64};

use flate2::{Compression, write::GzEncoder};
use serde_json::json;
use stoa_core::{
    digest::Digest,
    id::PluginId,
    path::PublicPath,
    time::{DAY, Time},
    trust::{
        Bins, BitLength, Head, Limits, SecretKey,
        writer::{self, Signers, Target, Terms},
    },
};

use crate::{
    args::TrustPlan,
    report::{DIM, Failure, GOOD, NAME, Output},
};

/// From 64 bins to 16,384, beyond which a snapshot is longer than any client of TUF reads.
const BITS: std::ops::RangeInclusive<u8> = 6..=14;
/// Plugins of a cold start.
const COLD: u64 = 10;
/// The gzip level of an edge that compresses on the way.
const LEVEL: u32 = 6;
/// Requests of every refresh: for the next root, which is not there, and for the timestamp.
const REFRESH: u64 = 2;
/// Requests for a plugin: its bin and its document.
const PLUGIN: u64 = 2;

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
    /// One's own plugin changed: timestamp, snapshot, bin.
    changed: Size,
    /// A first start with ten plugins in ten bins: also targets and index. The first root is pinned.
    cold: Size,
    /// Within what clients read.
    possible: bool,
}

/// Requests of a client, whatever the number of bins.
struct Requests {
    unchanged: u64,
    changed: u64,
    cold: u64,
}

impl Requests {
    fn of(plugins: u64) -> Self {
        // One snapshot for a change; targets and index too for a client that has nothing.
        Self { unchanged: REFRESH, changed: REFRESH + 1 + PLUGIN, cold: REFRESH + 3 + PLUGIN * COLD.min(plugins) }
    }
}

pub(crate) fn plan(args: &TrustPlan, output: Output) -> Result<(), Failure> {
    let rows = rows(args.plugins)?;
    let best = best(&rows);
    let requests = Requests::of(args.plugins);
    let json = json!({
        "plugins": args.plugins,
        "bins": best.map(|row| row.bins),
        "requests": {"unchanged": requests.unchanged, "changed": requests.changed, "cold": requests.cold},
        "rows": rows.iter().map(as_json).collect::<Vec<_>>(),
    });
    output.result(table(args.plugins, &rows, best, &requests), &json);
    Ok(())
}

fn rows(plugins: u64) -> Result<Vec<Row>, Failure> {
    let touched = Touched::by(plugins)?;
    BITS.map(|bits| row(bits, plugins, &touched)).collect()
}

/// The cheapest for a client whose plugin changed: it happens again and again, a cold start once.
fn best(rows: &[Row]) -> Option<&Row> {
    rows.iter().filter(|row| row.possible).min_by_key(|row| row.changed.gzip)
}

/// The n-th plugin.
fn plugin(n: u64) -> Result<PluginId, Failure> {
    Ok(format!("namespace-n{:03}:a-plugin-p{n:06}", n % 997).parse()?)
}

/// For each of the finest bins, the last plugin that was released into it; 0 where there is none.
struct Touched(Vec<u64>);

impl Touched {
    /// Looks from the newest plugin back until every bin was touched: of a million plugins, at some hundred thousand.
    fn by(plugins: u64) -> Result<Self, Failure> {
        let mut last = vec![0; 1 << BITS.end()];
        let mut untouched = last.len();
        for n in (1..=plugins).rev() {
            let [a, b, ..] = *Digest::of(PublicPath::target_path(&plugin(n)?).as_bytes()).as_bytes();
            let bin = &mut last[usize::from(u16::from_be_bytes([a, b]) >> (16 - BITS.end()))];
            if *bin == 0 {
                *bin = n;
                untouched -= 1;
            }
            if untouched == 0 {
                break;
            }
        }
        Ok(Self(last))
    }

    /// The version of each of `2^bits` bins, in their order: the event that touched it last. Event 1 makes all bins.
    fn versions(&self, bits: u8) -> impl Iterator<Item = NonZeroU64> {
        let finer = 1 << (BITS.end() - bits);
        let last = self.0.chunks(finer).map(|bins| bins.iter().max().copied().unwrap_or_default());
        last.map(|n| NonZeroU64::MIN.saturating_add(n))
    }
}

/// Writes the files of a registry of that size, and measures them.
fn row(bits: u8, plugins: u64, touched: &Touched) -> Result<Row, Failure> {
    let [online, second, offline] = [0, 1, 2].map(|seed| SecretKey::from_seed([seed; 32]));
    let both = Signers::every([&online, &second])?;
    let head = NonZeroU64::MIN.saturating_add(plugins);
    let terms = |version| Terms { version, expires: Time::from_unix(1_800_000_000).plus(3650 * DAY) };
    let bins = Bins::new("bin", BitLength::new(u64::from(bits))?);
    let mut versions: BTreeMap<_, _> = bins.names().zip(touched.versions(bits)).collect();
    versions.extend(["targets", "index", "catalog"].map(|role| (role.to_owned(), NonZeroU64::MIN)));
    let chain = Head { seq: head.get(), head: Digest::of(b"head"), format: 1 };
    let snapshot = writer::snapshot(terms(head), &chain, &versions).sign(&[&online]);
    let count = bins.bit_length().bins();
    let bin = writer::bin(terms(head), "bin-00", &listed(plugins, count)?).sign(&[&online, &second]);
    let timestamp = writer::timestamp(terms(head), head, &snapshot).sign(&[&second]);
    let first = terms(NonZeroU64::MIN);
    let targets = writer::targets(first, &both, &Signers::one(&offline)).sign(&[&offline]);
    let index = writer::index(first, &both, &bins).sign(&[&offline]);
    let limits = Limits::default();
    let possible = snapshot.len() as u64 <= limits.snapshot_bytes && bin.len() as u64 <= limits.targets_bytes;
    let (timestamp, snapshot, bin) = (Size::of(&timestamp)?, Size::of(&snapshot)?, Size::of(&bin)?);
    let pointers = timestamp.plus(snapshot);
    let cold = pointers.plus(Size::of(&targets)?).plus(Size::of(&index)?).plus(bin.times(COLD.min(plugins)));
    Ok(Row { bins: count, snapshot, bin, changed: pointers.plus(bin), cold, possible })
}

/// The bin of a plugin: itself, and its share of all others.
fn listed(plugins: u64, bins: u64) -> Result<BTreeMap<String, Target>, Failure> {
    let others = (plugins - 1 + bins / 2) / bins;
    // From all over the registry, as a hash picks them.
    let step = (plugins / (others + 1)).max(1);
    let entry = |n: u64| {
        let path = PublicPath::target_path(&plugin(n)?);
        let sha256 = Digest::of(path.as_bytes());
        // Documents have some thousand bytes, no two as many.
        let length = 1_000 + u64::from(sha256.as_bytes()[0]) * 13;
        Ok((path, Target { length, sha256 }))
    };
    (0..=others).map(|n| entry(1 + n * step)).collect()
}

fn as_json(row: &Row) -> serde_json::Value {
    let size = |size: Size| json!({"raw": size.raw, "gzip": size.gzip});
    json!({
        "bins": row.bins, "snapshot": size(row.snapshot), "bin": size(row.bin),
        "changed": size(row.changed), "cold": size(row.cold), "possible": row.possible,
    })
}

fn table(plugins: u64, rows: &[Row], best: Option<&Row>, requests: &Requests) -> String {
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
    let Requests { unchanged, changed, cold } = requests;
    lines.push(String::new());
    lines.push(format!(
        "{DIM}own changed: timestamp, snapshot and bin; with the next root, which is not there, and the document {changed} \
         requests.\ncold: also targets and index, and a bin for each plugin; {cold} requests.\n\
         nothing changed: {unchanged} requests and no body. Any publish costs every client that asks a snapshot.\n\
         Documents come on top, each once.{DIM:#}"
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

    #[test]
    fn more_plugins_want_more_bins() {
        let chosen = |plugins| best(&rows(plugins).expect("rows")).expect("one is possible").bins;
        assert_eq!([chosen(1), chosen(100), chosen(10_000), chosen(100_000)], [64, 64, 256, 1024]);
    }

    #[test]
    fn what_clients_do_not_read_is_not_recommended() {
        let rows = rows(3_000_000).expect("rows");
        assert!(!rows[0].possible, "{:?}: 46,875 plugins in one bin are more than 5 MB", rows[0]);
    }

    #[test]
    fn a_bin_has_the_place_of_the_last_plugin_that_was_released_into_it() {
        let plugins = 500;
        let touched = Touched::by(plugins).expect("places");
        for bits in [BITS.start(), BITS.end()] {
            let bins = Bins::new("bin", BitLength::new(u64::from(*bits)).expect("bits"));
            let mut slowly: BTreeMap<String, u64> = bins.names().map(|name| (name, 1)).collect();
            for n in 1..=plugins {
                slowly.insert(bins.name_of(&PublicPath::target_path(&plugin(n).expect("an id"))), n + 1);
            }
            let versions: Vec<u64> = touched.versions(*bits).map(NonZeroU64::get).collect();
            assert_eq!(versions, slowly.into_values().collect::<Vec<_>>(), "{bits} bits");
        }
    }

    #[test]
    fn sizes_are_read_at_a_glance() {
        assert_eq!([kb(0), kb(999), kb(12_345), kb(123_456)], ["0.0", "0.9", "12.3", "123"]);
    }
}
