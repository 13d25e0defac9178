//! Phases of a longer command: announced, timed, and summed up in a table.

use std::time::{Duration, Instant};

use crate::failure::Outcome;

/// The phases of one command, in their order.
pub(crate) struct Phases {
    command: &'static str,
    started: Instant,
    rows: Vec<Row>,
}

struct Row {
    name: &'static str,
    ok: bool,
    took: Duration,
}

impl Phases {
    /// Begins; `command` stands before every line.
    pub(crate) fn begin(command: &'static str) -> Self {
        Self { command, started: Instant::now(), rows: Vec::new() }
    }

    /// Does one phase and says how long it took.
    pub(crate) fn run<T>(&mut self, name: &'static str, work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
        eprintln!("\n==> {}: {name}", self.command);
        let started = Instant::now();
        let result = work();
        let row = Row { name, ok: result.is_ok(), took: started.elapsed() };
        eprintln!("==> {}: {name}: {} in {}", self.command, word(row.ok), seconds(row.took));
        self.rows.push(row);
        result
    }

    /// Does one phase, and shows its failure instead of giving it on: the next phases are still wanted.
    pub(crate) fn check(&mut self, name: &'static str, work: impl FnOnce() -> Outcome) {
        if let Err(failure) = self.run(name, work) {
            eprintln!("\n{failure}");
        }
    }

    /// Whether every phase so far succeeded.
    pub(crate) fn all_ok(&self) -> bool {
        self.rows.iter().all(|row| row.ok)
    }

    /// A table of the phases with their times, and of the time in all.
    pub(crate) fn table(&self) -> String {
        table(self.command, &self.rows, self.started.elapsed())
    }
}

fn table(command: &str, rows: &[Row], total: Duration) -> String {
    let ok = rows.iter().all(|row| row.ok);
    let lines = rows.iter().map(|row| (row.name, row.ok, row.took)).chain([(command, ok, total)]);
    let width = lines.clone().map(|(name, ..)| name.len()).max().unwrap_or(0);
    lines.map(|(name, ok, took)| format!("{name:width$}  {:6}  {:>9}\n", word(ok), seconds(took))).collect()
}

/// A time for people: tenths of a second are all that can be compared on a busy machine.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

fn word(ok: bool) -> &'static str {
    if ok { "ok" } else { "FAILED" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Failure;

    #[test]
    fn the_table_has_a_row_for_each_phase_and_the_sum_last() {
        let rows = [
            Row { name: "setup", ok: true, took: Duration::from_millis(60) },
            Row { name: "a long name", ok: false, took: Duration::from_secs(125) },
        ];
        assert_eq!(
            table("ci", &rows, Duration::from_secs(126)),
            "setup        ok          0.1 s\na long name  FAILED    125.0 s\nci           FAILED    126.0 s\n"
        );
    }

    #[test]
    fn a_failed_phase_gives_its_failure_on_and_is_remembered() {
        let mut phases = Phases::begin("ci");
        assert_eq!(phases.run("one", || Ok(7)).expect("succeeds"), 7);
        assert!(phases.all_ok());
        let failure = phases.run("two", || Err::<(), _>(Failure::new("no"))).expect_err("fails");
        assert_eq!(failure.to_string(), "no");
        assert!(!phases.all_ok());
    }

    #[test]
    fn a_failed_check_does_not_keep_the_next_from_running() {
        let mut phases = Phases::begin("ci");
        let mut ran = false;
        phases.check("one", || Err(Failure::new("no")));
        phases.check("two", || {
            ran = true;
            Ok(())
        });
        assert!(ran && !phases.all_ok());
    }
}
