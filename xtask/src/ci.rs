//! `cargo xtask ci`: what a change must pass beside the tests. Every phase runs, whatever the others say.

use std::process::ExitCode;
use std::time::Duration;

use crate::checks::{self, Text, imports, lock, members, sans_io, snapshots, threats, words};
use crate::conformance;
use crate::failure::{Failure, Outcome};
use crate::fresh;
use crate::fuzz;
use crate::phases::Phases;
use crate::place;
use crate::tool::Tool;
use crate::toolchain::{self, TARGET};

/// A phase: its name, and what it does with the repository's texts.
type Phase = (&'static str, fn(&[Text]) -> Outcome);

/// All phases, those first that take no compiler.
const PHASES: [Phase; 16] = [
    ("format", |_| format()),
    ("import rules", imports::check),
    ("lock file", |_| lock::check()),
    ("tidy: lints", members::check),
    ("tidy: words", words::check),
    ("tidy: core", sans_io::check),
    ("tidy: threats", threats::check),
    ("tidy: faults", threats::check_faults),
    ("generated files", |_| fresh::check()),
    ("snapshots", |_| snapshots::refuse_pending()),
    ("clippy", |_| clippy().run()),
    ("clippy: examples", |_| example_clippy().run()),
    ("clippy: TUF client", |_| client_clippy().run()),
    ("docs", |_| docs().run()),
    ("core on wasm32", |_| core_on_wasm()),
    ("fuzz", |_| fuzz::run(FUZZ, &[])),
];

/// How long each fuzz target runs here: enough to find again what was found once, since the seeds are good inputs.
const FUZZ: Duration = Duration::from_secs(8);

/// Runs the phases whose names contain one of `only`, or all.
pub(crate) fn run(only: &[String]) -> Outcome<ExitCode> {
    let chosen = choose(only)?;
    let mut phases = Phases::begin("ci");
    let texts = checks::texts()?;
    for (name, check) in chosen {
        phases.check(name, || check(&texts));
    }
    eprintln!("\n{}", phases.table());
    Ok(if phases.all_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn choose(only: &[String]) -> Outcome<Vec<Phase>> {
    let chosen = |name: &str| only.is_empty() || only.iter().any(|part| name.contains(part.as_str()));
    let phases: Vec<_> = PHASES.into_iter().filter(|(name, _)| chosen(name)).collect();
    if phases.is_empty() {
        let names = PHASES.map(|(name, _)| name).join(", ");
        return Err(Failure::new(format!("no phase of ci has a name with `{}` in it", only.join("` or `")))
            .fix(format!("one of: {names}")));
    }
    Ok(phases)
}

fn format() -> Outcome {
    let fuzz = place::root().join("fuzz");
    for workspace in [place::root(), place::plugins(), fuzz, conformance::client_dir()] {
        Tool::cargo().args(["fmt", "--all", "--check"]).dir(workspace).run()?;
    }
    Ok(())
}

fn clippy() -> Tool {
    let tool = Tool::cargo().args(["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]);
    tool.dir(place::root())
}

fn example_clippy() -> Tool {
    let tool =
        Tool::cargo().args(["clippy", "--release", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]);
    tool.dir(place::plugins()).target(place::plugins().join("target"))
}

fn client_clippy() -> Tool {
    let tool = Tool::cargo().args(["clippy", "--all-targets", "--locked", "--", "-D", "warnings"]);
    tool.dir(conformance::client_dir()).target(conformance::client_target())
}

fn docs() -> Tool {
    let tool = Tool::cargo().args(["doc", "--workspace", "--no-deps", "--locked"]);
    tool.dir(place::root()).env("RUSTDOCFLAGS", "-D warnings")
}

/// Core compiles where there is nothing to read the world with. In a target folder of its own, since the
/// compiler can be another one.
fn core_on_wasm() -> Outcome {
    let toolchain = toolchain::ensure()?;
    let target = place::own().join("core-on-wasm");
    toolchain.claim(&target)?;
    let check = Tool::cargo().args(["check", "--package", "stoa-core", "--lib", "--locked", "--target", TARGET]);
    toolchain.apply(check.dir(place::root()))?.target(target).run()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_are_chosen_by_parts_of_their_names() {
        let names = |only: &[&str]| -> Vec<_> {
            let only: Vec<_> = only.iter().map(|part| (*part).to_owned()).collect();
            choose(&only).expect("chosen").iter().map(|(name, _)| *name).collect()
        };
        assert_eq!(
            names(&["tidy", "docs"]),
            ["tidy: lints", "tidy: words", "tidy: core", "tidy: threats", "tidy: faults", "docs"]
        );
        assert_eq!(names(&[]).len(), PHASES.len());
        let failure = choose(&["typo".to_owned()]).expect_err("refused").to_string();
        assert!(
            failure.starts_with("no phase of ci has a name with `typo` in it\n  fix: one of: format, import rules"),
            "{failure}"
        );
    }
}
