//! The table of steps.

use super::{REFUSED, Step};
use crate::report::{DIM, GOOD};

/// The column of names is as wide as the longest.
const NAMES: usize = 28;

/// One row: mark, name, time, detail.
pub(super) fn row(step: &Step) -> String {
    let (style, mark) = if step.ok { (GOOD, "✓") } else { (REFUSED, "✗") };
    let time = time(step.ms);
    let name = step.name;
    let indent = " ".repeat(NAMES + 14);
    let detail = step.detail.replace('\n', &format!("\n{indent}"));
    format!("{style}{mark}{style:#} {name:<NAMES$} {DIM}{time:>9}{DIM:#}  {detail}")
}

/// The last line.
pub(super) fn verdict(steps: &[Step]) -> String {
    let total = time(steps.iter().map(|step| step.ms).sum());
    let done = steps.iter().filter(|step| step.ok).count();
    match steps.iter().find(|step| !step.ok) {
        None => format!("\n{GOOD}all {done} steps{GOOD:#} {DIM}in {total}{DIM:#}"),
        Some(step) => format!("\n{REFUSED}failed{REFUSED:#} at `{}` {DIM}after {done} steps, {total}{DIM:#}", step.name),
    }
}

fn time(ms: u64) -> String {
    match ms {
        0..10_000 => format!("{ms} ms"),
        _ => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(name: &'static str, ok: bool, ms: u64, detail: &str) -> Step {
        Step { name, ok, ms, detail: detail.to_owned() }
    }

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn rows_line_up_and_long_details_stay_in_their_column() {
        let rows = [
            row(&step("make a registry", true, 41, "256 bins")),
            row(&step("pin the root, sync, resolve", true, 12_345, "two\nlines")),
        ];
        let expected = "✓ make a registry                  41 ms  256 bins\n\
                        ✓ pin the root, sync, resolve     12.3 s  two\n                                          lines";
        assert_eq!(plain(&rows.join("\n")), expected);
    }

    #[test]
    fn the_verdict_names_the_step_that_failed() {
        let steps = [step("a", true, 1, ""), step("b", false, 2, "no")];
        assert_eq!(plain(&verdict(&steps)), "\nfailed at `b` after 1 steps, 3 ms");
        assert_eq!(plain(&verdict(&steps[..1])), "\nall 1 steps in 1 ms");
    }
}
