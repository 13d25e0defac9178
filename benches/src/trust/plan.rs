//! What `stoa trust plan` computes, beside what was counted.

use std::process::Command;

use serde::Deserialize;

use super::{
    Outcome,
    cases::{Case, Row},
    scene::Size,
};

/// By what part a computed number may be wrong: names and the log's order are not those of the registry at hand.
const TOLERANCE: f64 = 0.15;

#[derive(Debug, Deserialize)]
struct Wire {
    requests: Requests,
    rows: Vec<Computed>,
}

/// Requests in each case, whatever the number of bins.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Requests {
    unchanged: usize,
    changed: usize,
    cold: usize,
}

/// What a number of bins costs: bytes below `trust/`, compressed.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Computed {
    bins: u64,
    pub(super) snapshot: Bytes,
    pub(super) bin: Bytes,
    pub(super) changed: Bytes,
    pub(super) cold: Bytes,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Bytes {
    pub(super) gzip: u64,
}

/// The row of the table for this number of bins.
pub(super) fn computed(stoa: &str, size: Size) -> Outcome<(Requests, Computed)> {
    let mut command = Command::new(stoa);
    command.args(["trust", "plan", "--json", "--plugins", &size.plugins.to_string()]);
    let ran = command.output().map_err(|error| format!("`{stoa}`: {error}"))?;
    if !ran.status.success() {
        return Err(format!("`stoa trust plan`: {}\n{}", ran.status, String::from_utf8_lossy(&ran.stderr)).into());
    }
    let wire: Wire = serde_json::from_slice(&ran.stdout)?;
    let row = wire.rows.into_iter().find(|row| row.bins == size.bins());
    Ok((wire.requests, row.ok_or_else(|| format!("`stoa trust plan` has no row for {} bins", size.bins()))?))
}

/// A number that was computed, and what was counted.
#[derive(Debug)]
pub(super) struct Compared {
    pub(super) size: Size,
    pub(super) what: String,
    pub(super) computed: u64,
    pub(super) counted: u64,
    pub(super) agree: bool,
}

impl Compared {
    fn requests(size: Size, case: Case, computed: usize, row: &Row) -> Self {
        let (computed, counted) = (computed as u64, row.asked.requests as u64);
        Self { size, what: format!("{}: requests", case.name()), computed, counted, agree: computed == counted }
    }

    fn bytes(size: Size, case: Case, computed: u64, row: &Row) -> Self {
        // The answer about the next root is no part of what is planned.
        let counted = row.asked.trust_bytes;
        let agree = (computed as f64 / counted as f64 - 1.0).abs() <= TOLERANCE;
        Self { size, what: format!("{}: bytes below `trust/`", case.name()), computed, counted, agree }
    }
}

/// What the loader asked for, beside what was computed.
pub(super) fn compare(size: Size, (requests, computed): &(Requests, Computed), rows: &[Row]) -> Vec<Compared> {
    let of = |case| rows.iter().find(move |row| row.case == case && row.reader == "stoa");
    let asked = [(Case::Unchanged, requests.unchanged), (Case::Changed, requests.changed), (Case::Cold, requests.cold)];
    let bytes = [(Case::Changed, computed.changed.gzip), (Case::Cold, computed.cold.gzip)];
    let asked = asked.into_iter().filter_map(|(case, n)| Some(Compared::requests(size, case, n, of(case)?)));
    let bytes = bytes.into_iter().filter_map(|(case, n)| Some(Compared::bytes(size, case, n, of(case)?)));
    asked.chain(bytes).collect()
}
