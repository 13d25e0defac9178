//! `cargo xtask bench build`: what `cargo demo` costs on a machine that has compiled nothing yet.

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use serde::Deserialize;

use crate::failure::{Failure, Outcome};
use crate::guests;
use crate::phases::{Phases, seconds};
use crate::place;
use crate::tool::Tool;
use crate::toolchain;

/// How many of the slowest units are shown.
const SHOWN: usize = 25;

/// Builds everything that `cargo demo` builds in an empty target folder, and prints the time of each phase
/// and of the slowest units. Sources and the WebAssembly toolchain are fetched before, in phases of their
/// own: they depend on the network.
pub(crate) fn run() -> Outcome<ExitCode> {
    let target = place::own().join("bench-build");
    if target.exists() {
        fs::remove_dir_all(&target).map_err(|error| Failure::io("remove", &target, &error))?;
    }
    let mut phases = Phases::begin("bench build");
    let fetch = |dir| Tool::cargo().args(["fetch", "--locked"]).dir(dir).run();
    phases.run("sources", || fetch(place::root()).and_then(|()| fetch(place::plugins())))?;
    let toolchain = phases.run("setup", toolchain::ensure)?;
    phases.run("xtask", || build_timed("xtask", &target).run())?;
    phases.run("guests", || guests::compile(&toolchain, &target.join("guests")))?;
    phases.run("stoa", || build_timed("stoa-cli", &target).run())?;
    let report = target.join("cargo-timings/cargo-timing.html");
    let text = fs::read_to_string(&report).map_err(|error| Failure::io("read", &report, &error))?;
    let units = units_of(&text)?;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    println!("{}", slowest(units));
    println!("{cores} cores; the report with its diagram: {}\n", report.display());
    print!("{}", phases.table());
    Ok(ExitCode::SUCCESS)
}

fn build_timed(package: &str, target: &Path) -> Tool {
    let build = Tool::cargo().args(["build", "--locked", "--timings", "--package", package]);
    build.dir(place::root()).target(target)
}

/// One call of a compiler or build script, as cargo's timing report has it.
#[derive(Debug, Deserialize, PartialEq)]
struct Unit {
    name: String,
    version: String,
    /// What of the package: empty for its library, as in ` build-script (run)` for others.
    target: String,
    /// Seconds since the build began.
    start: f64,
    /// Seconds.
    duration: f64,
}

/// The units in a timing report, which is a page with its data in a script. Cargo promises nothing about
/// that form, and has no other for its stable users.
fn units_of(report: &str) -> Outcome<Vec<Unit>> {
    let begin = "const UNIT_DATA = ";
    let data = report.split_once(begin).and_then(|(_, rest)| Some(rest.split_once("];")?.0));
    let data = data.ok_or_else(|| Failure::new(format!("cargo's timing report has no `{begin}` any more")))?;
    serde_json::from_str(&format!("{data}]"))
        .map_err(|error| Failure::new(format!("the units of cargo's timing report can't be read: {error}")))
}

/// A table of the slowest units, with when each began, and the sum of all.
fn slowest(mut units: Vec<Unit>) -> String {
    let time = |seconds_of: f64| seconds(Duration::from_secs_f64(seconds_of.max(0.0)));
    let sum: f64 = units.iter().map(|unit| unit.duration).sum();
    let count = units.len();
    units.sort_by(|a, b| b.duration.total_cmp(&a.duration).then_with(|| a.name.cmp(&b.name)));
    units.truncate(SHOWN);
    let name = |unit: &Unit| format!("{} {}{}", unit.name, unit.version, unit.target);
    let width = units.iter().map(|unit| name(unit).len()).max().unwrap_or(0);
    let mut table = format!("{:width$}  {:>9}  {:>9}\n", "slowest units", "began", "took");
    for unit in &units {
        table.push_str(&format!("{:width$}  {:>9}  {:>9}\n", name(unit), time(unit.start), time(unit.duration)));
    }
    table.push_str(&format!("{:width$}  {:>9}  {:>9}\n", format!("all {count} units"), "", time(sum)));
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "<script>\nDURATION = 3;\nconst UNIT_DATA = [\n  {\"i\": 0, \"name\": \"serde\", \"version\": \"1.0.1\", \"mode\": \"todo\", \"target\": \"\", \"features\": [\"std\"], \"start\": 0.5, \"duration\": 2.25, \"unblocked_units\": [], \"sections\": null},\n  {\"i\": 1, \"name\": \"ring\", \"version\": \"0.17.0\", \"mode\": \"run-custom-build\", \"target\": \" build-script (run)\", \"start\": 1, \"duration\": 10.0}\n];\nconst CONCURRENCY_DATA = [];\n";

    #[test]
    fn the_slowest_unit_comes_first_and_the_sum_last() {
        assert_eq!(
            slowest(units_of(REPORT).expect("read")),
            "slowest units                       began       took\n\
             ring 0.17.0 build-script (run)      1.0 s     10.0 s\n\
             serde 1.0.1                         0.5 s      2.2 s\n\
             all 2 units                                   12.2 s\n"
        );
    }

    #[test]
    fn a_report_of_another_form_is_refused() {
        assert_eq!(
            units_of("<html>").expect_err("refused").to_string(),
            "cargo's timing report has no `const UNIT_DATA = ` any more"
        );
    }
}
