//! The tables, for people and for programs.

use serde_json::{Value, json};

use super::{
    cases::{Case, Row},
    clock::{Spread, Took, ms},
    inside::Work,
    plan::{Compared, Computed, Requests},
    scene::Size,
};

/// All that was found out.
pub(super) struct Report {
    pub(super) sizes: Vec<Measured>,
    /// A size that is too large to be made here.
    pub(super) planned: (Size, (Requests, Computed)),
    /// Why there is nobody to compare with.
    pub(super) no_peer: Option<String>,
}

/// One size.
pub(super) struct Measured {
    pub(super) size: Size,
    pub(super) rows: Vec<Row>,
    pub(super) work: Vec<Work>,
    pub(super) compared: Vec<Compared>,
}

/// Something that is to be, and what is.
struct Target {
    what: &'static str,
    most: f64,
    found: f64,
    unit: &'static str,
}

impl Target {
    fn met(&self) -> bool {
        self.found <= self.most
    }
}

/// The targets, which are for ten thousand plugins in 256 bins.
fn targets(measured: &Measured) -> Vec<Target> {
    let asked = |case| measured.rows.iter().find(|row| row.reader == "stoa" && row.case == case).map(|row| row.asked);
    let cpu = |beginning: &str| {
        let work = measured.work.iter().find(|work| work.by == "stoa" && work.what.starts_with(beginning));
        work.map(|work| Spread::of(work.took.iter().map(|took| took.cpu)).median)
    };
    let wall = |beginning: &str| {
        let work = measured.work.iter().find(|work| work.by == "stoa" && work.what.starts_with(beginning));
        work.map(|work| Spread::of(work.took.iter().map(|took| took.wall)).median)
    };
    let (unchanged, changed) = (asked(Case::Unchanged), asked(Case::Changed));
    let target = |what, most, unit, found: Option<f64>| found.map(|found| Target { what, most, found, unit });
    [
        target("nothing changed: requests", 2.0, "", unchanged.map(|asked| asked.requests as f64)),
        target("nothing changed: bodies", 1_000.0, " B", unchanged.map(|asked| asked.bytes as f64)),
        target("one changed: requests", 5.0, "", changed.map(|asked| asked.requests as f64)),
        target("one changed: bodies", 12_000.0, " B", changed.map(|asked| asked.bytes as f64)),
        target("verify what is kept of ten plugins, from files", 5.0, " ms", wall("verify")),
        target("sign 256 bins, CPU", 50.0, " ms", cpu("sign")),
    ]
    .into_iter()
    .flatten()
    .collect()
}

pub(super) fn table(report: &Report) -> String {
    let mut lines: Vec<String> = Vec::new();
    lines.push("| plugins, bins | case | client | requests | bodies | time, ms (spread) | CPU, ms |".into());
    lines.push("|--:|---|---|--:|--:|--:|--:|".into());
    for measured in &report.sizes {
        for row in &measured.rows {
            let (wall, cpu) = spreads(&row.took);
            lines.push(format!(
                "| {} | {} | {} | {} | {} B | {wall} | {:.1} |",
                shown(measured.size),
                row.case.name(),
                row.reader,
                row.asked.requests,
                thousands(row.asked.bytes),
                cpu.median
            ));
        }
    }
    lines.push(String::new());
    lines.push("| plugins, bins | work | by | time, ms (spread) | CPU, ms |".into());
    lines.push("|--:|---|---|--:|--:|".into());
    for measured in &report.sizes {
        for work in &measured.work {
            let (wall, cpu) = spreads(&work.took);
            let (size, Work { what, by, .. }) = (shown(measured.size), work);
            lines.push(format!("| {size} | {what} | {by} | {wall} | {:.1} |", cpu.median));
        }
    }
    lines.push(String::new());
    lines.push("| plugins, bins | `stoa trust plan` | computed | counted | |".into());
    lines.push("|--:|---|--:|--:|---|".into());
    for compared in report.sizes.iter().flat_map(|measured| &measured.compared) {
        let Compared { size, what, computed, counted, agree } = compared;
        let (computed, counted) = (thousands(*computed), thousands(*counted));
        let agree = if *agree { "agree" } else { "DIFFER" };
        lines.push(format!("| {} | {what} | {computed} | {counted} | {agree} |", shown(*size)));
    }
    let (size, (_, computed)) = &report.planned;
    for (what, bytes) in [
        ("a snapshot", computed.snapshot),
        ("a bin", computed.bin),
        ("one changed: bytes below `trust/`", computed.changed),
        ("cold: bytes below `trust/`", computed.cold),
    ] {
        lines.push(format!("| {} | {what} | {} | not made | |", shown(*size), thousands(bytes.gzip)));
    }
    lines.push(String::new());
    lines.push("| target | found | |".into());
    lines.push("|---|--:|---|".into());
    for target in report.sizes.first().map(targets).unwrap_or_default() {
        let met = if target.met() { "met" } else { "missed" };
        let Target { what, most, found, unit } = target;
        lines.push(format!("| {what} ≤ {most}{unit} | {}{unit} | {met} |", number(found)));
    }
    if let Some(why) = &report.no_peer {
        lines.push(format!("\npython-tuf: NOT RUN: {why}"));
    }
    lines.join("\n")
}

pub(super) fn json(report: &Report) -> Value {
    let times = |took: &[Took]| {
        json!({
            "wall_ms": took.iter().map(|took| ms(took.wall)).collect::<Vec<_>>(),
            "cpu_ms": took.iter().map(|took| ms(took.cpu)).collect::<Vec<_>>(),
        })
    };
    let size = |size: Size| json!({"plugins": size.plugins, "bins": size.bins()});
    let sizes = report.sizes.iter().map(|measured| {
        let rows = measured.rows.iter().map(|row| {
            json!({
                "case": row.case.name(), "client": row.reader, "requests": row.asked.requests,
                "bytes": row.asked.bytes, "trust_bytes": row.asked.trust_bytes, "took": times(&row.took),
            })
        });
        let work = measured.work.iter();
        let work = work.map(|work| json!({"work": work.what, "by": work.by, "took": times(&work.took)}));
        let compared = measured.compared.iter().map(|compared| {
            let Compared { what, computed, counted, agree, .. } = compared;
            json!({"what": what, "computed": computed, "counted": counted, "agree": agree})
        });
        let (rows, work): (Vec<_>, Vec<_>) = (rows.collect(), work.collect());
        json!({"size": size(measured.size), "cases": rows, "work": work, "plan": compared.collect::<Vec<_>>()})
    });
    let (planned, (_, computed)) = &report.planned;
    let targets = report.sizes.first().map(targets).unwrap_or_default();
    let targets = targets
        .iter()
        .map(|target| json!({"what": target.what, "most": target.most, "found": target.found, "met": target.met()}));
    json!({
        "bench": "trust", "sizes": sizes.collect::<Vec<_>>(), "targets": targets.collect::<Vec<_>>(),
        "planned": {
            "size": size(*planned), "snapshot": computed.snapshot.gzip, "bin": computed.bin.gzip,
            "changed": computed.changed.gzip, "cold": computed.cold.gzip,
        },
        "peer_not_run": report.no_peer,
    })
}

fn spreads(took: &[Took]) -> (Spread, Spread) {
    (Spread::of(took.iter().map(|took| took.wall)), Spread::of(took.iter().map(|took| took.cpu)))
}

fn shown(size: Size) -> String {
    format!("{}, {}", thousands(size.plugins as u64), thousands(size.bins()))
}

/// `12,345`.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let parts: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    parts.join(",")
}

/// Whole where it is whole.
fn number(found: f64) -> String {
    if found.fract() == 0.0 { format!("{found:.0}") } else { format!("{found:.1}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_at_a_glance() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([2.0, 4.25].map(number), ["2", "4.2"]);
    }
}
