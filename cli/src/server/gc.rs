//! `stoa gc`, and the same once a day while the registry is served.

use std::{fmt::Write as _, mem::ManuallyDrop, time::Duration};

use serde_json::json;
use stoa_indexer::gc::{Collector, GRACE, GcError, Group, Order, Others, Report, Tally};
use stoa_store::exclusive::{Exclusive, ExclusiveError};

use super::registry::{Layout, Registry};
use crate::{
    args::Gc,
    cmd::now,
    report::{DIM, Failure, GOOD, NAME, Output, chain, size},
};

/// A shorter grace cuts off hosts that are reading, in seconds: an hour.
const SHORTEST: i64 = 60 * 60;
/// A server collects so long after its start, and from then on once a day.
const FIRST: Duration = Duration::from_secs(10 * 60);
const DAILY: Duration = Duration::from_secs(24 * 60 * 60);

/// Collects once.
pub(crate) async fn gc(args: &Gc, output: Output) -> Result<(), Failure> {
    let layout = Layout::new(&args.dir);
    layout.read_settings()?;
    let grace = args.grace.0;
    if grace < SHORTEST && !args.cut_off_hosts {
        return Err(Failure::new("a grace of less than an hour cuts off hosts that are reading")
            .hint("give more, or `--cut-off-hosts` where nobody reads this registry"));
    }
    let root = layout.read_root()?;
    let collector = Registry::open(&layout).await?.collector(&root);
    let report = collect(&collector, &layout, grace, args.dry_run).await?;
    let value = json!({"rehearsed": args.dry_run, "grace_seconds": grace, "report": serde_json::to_value(&report)?});
    output.result(text(&report, args.dry_run), &value);
    Ok(())
}

/// Collects every day. A failure is the log's: nothing depends on it.
pub(super) async fn daily(collector: Collector, layout: Layout) {
    tokio::time::sleep(FIRST).await;
    loop {
        match collect(&collector, &layout, GRACE, false).await {
            Ok(report) => {
                let gone: Tally = report.collected.values().copied().sum();
                tracing::info!(files = gone.files, bytes = gone.bytes, "garbage was collected");
            }
            Err(failure) => tracing::warn!(error = failure.message, "no garbage was collected; tomorrow is a day too"),
        }
        tokio::time::sleep(DAILY).await;
    }
}

/// The right to collect, or to be sure that nobody does. Not the lock of the server: it serves meanwhile.
pub(super) fn alone(layout: &Layout) -> Result<Exclusive, Failure> {
    let folder = layout.gc();
    std::fs::create_dir_all(&folder)
        .map_err(|e| Failure::new(format!("the folder `{}` can not be made: {e}", folder.display())))?;
    Exclusive::take(&folder).map_err(|error| match error {
        ExclusiveError::InUse { .. } => Failure::new(chain(&error))
            .hint("garbage is being collected already: by another `stoa gc`, or by `stoa serve`, which does so daily"),
        error => error.into(),
    })
}

async fn collect(collector: &Collector, layout: &Layout, grace: i64, rehearse: bool) -> Result<Report, Failure> {
    // Whoever holds it knows that no other collector lives.
    // Where this future is dropped, a thread may be deleting still: then the lock is held until the process ends.
    let alone = ManuallyDrop::new(alone(layout)?);
    let order = Order { grace, rehearse, others: Others::Excluded };
    let report = collector.run(order, now()).await.map_err(failure);
    drop(ManuallyDrop::into_inner(alone));
    report
}

fn failure(error: GcError) -> Failure {
    let failure = Failure::new(chain(&error));
    match error {
        GcError::Clock { .. } => {
            failure.hint("set the clock; an index that ran out is signed anew when `stoa serve` starts")
        }
        GcError::Lost { .. } => {
            failure.hint("bring the events back with `stoa recover`, or give them up with its `--reason`")
        }
        GcError::Unsigned => failure.hint("`stoa serve` signs the index when it starts"),
        _ => failure,
    }
}

fn text(report: &Report, rehearsed: bool) -> String {
    let total =
        |tally: fn(&Report, Group) -> Tally| -> Tally { report.groups().map(|group| tally(report, group)).sum() };
    let (stays, goes) = (total(Report::stays), total(Report::goes));
    let mut text = String::new();
    let _infallible = writeln!(text, "{DIM}{:<18} {:>8} {:>19}{DIM:#}", "", "stays", "goes");
    for group in report.groups() {
        let _infallible = writeln!(text, "{}", row(group.name(), report.stays(group), report.goes(group)));
    }
    let _infallible = writeln!(text, "{NAME}{}{NAME:#}", row("together", stays, goes));
    let (verb, style) = if rehearsed { ("would free", DIM) } else { ("freed", GOOD) };
    let _infallible = write!(text, "{style}{verb}{style:#} {}", size(goes.bytes));
    let _infallible = match report.floor {
        0 => write!(text, "  {DIM}no look at the index is old enough: all its snapshots stay{DIM:#}"),
        floor => write!(text, "  {DIM}snapshots from {floor} to {} stay readable{DIM:#}", report.signed),
    };
    text
}

fn row(name: &str, stays: Tally, goes: Tally) -> String {
    let bytes = |tally: Tally| if tally.files == 0 { String::new() } else { size(tally.bytes) };
    let row = format!("{name:<18} {:>8} {:>10} {:>8} {:>10}", stays.files, bytes(stays), goes.files, bytes(goes));
    row.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_a_table_of_what_stays_and_what_goes() {
        use stoa_indexer::gc::Keep;
        let tally = |files, bytes| Tally { files, bytes };
        let report = Report {
            signed: 22,
            floor: 15,
            kept: [
                (Group::Snapshots, [(Keep::Served, tally(1, 700)), (Keep::Grace, tally(7, 4_900))].into()),
                (Group::Artifacts, [(Keep::Permanent, tally(80, 12_345_678))].into()),
            ]
            .into(),
            collected: [(Group::Snapshots, tally(3, 2_100)), (Group::Uploads, tally(1, 5))].into(),
        };
        let shown = |report: &Report, rehearsed| anstream::adapter::strip_str(&text(report, rehearsed)).to_string();
        let expected = "                      stays                goes\n\
            snapshots                 8     5.6 kB        3     2.1 kB\n\
            uploads                   0                   1        5 B\n\
            artifacts                80    12.3 MB        0\n\
            together                 88    12.4 MB        4     2.1 kB\n\
            freed 2.1 kB  snapshots from 15 to 22 stay readable";
        assert_eq!(shown(&report, false), expected);
        let first = Report { floor: 0, ..report };
        let last = shown(&first, true).lines().last().map(str::to_owned);
        let expected = "would free 2.1 kB  no look at the index is old enough: all its snapshots stay";
        assert_eq!(last.as_deref(), Some(expected));
    }
}
