//! `cargo xtask test`: every test of the repository, and what they need.

use std::fs;
use std::process::ExitCode;

use crate::checks::{self, snapshots};
use crate::demo;
use crate::embedded::{self, Language};
use crate::failure::{Failure, Outcome};
use crate::guests;
use crate::interop;
use crate::phases::Phases;
use crate::place;
use crate::tool::Tool;
use crate::toolchain;

/// Installs and builds what tests need, then runs those whose names contain a filter, or all.
pub(crate) fn run(filters: &[String]) -> Outcome<ExitCode> {
    let mut phases = Phases::begin("test");
    // At once, for they wait for the network while the rest compiles.
    let others = embedded::start(&Language::ALL);
    let clients = interop::start();
    let toolchain = phases.run("setup", toolchain::ensure)?;
    phases.run("guests", || guests::build(&toolchain))?;
    let stoa = phases.run("stoa", demo::build_stoa)?;
    phases.run("guests: js, py", || others.finish())?;
    let clients = phases.run("TUF clients", || clients.finish())?;
    forget_references()?;
    phases.check("tests", || {
        let tests = tests(filters)?.env("STOA_BIN", &stoa).env(snapshots::VARIABLE, snapshots::references());
        interop::apply(tests, &clients).run()
    });
    phases.check("doc tests", || doc_tests(filters).run());
    phases.check("example plugins", || example_tests(filters).run());
    phases.check("example plugins: js, py", || Language::ALL.iter().try_for_each(|language| language.test(filters)));
    // A part of the tests reads a part of the snapshots; failed ones may not have come to theirs.
    if filters.is_empty() && phases.all_ok() {
        phases.check("snapshots", || snapshots::refuse_orphans(&checks::texts()?));
    }
    eprintln!("\n{}", phases.table());
    Ok(if phases.all_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The runner with its arguments: nextest where it is, since it runs tests of different crates at once.
fn tests(filters: &[String]) -> Outcome<Tool> {
    let nextest = Tool::cargo().args(["nextest", "--version"]).read().is_ok();
    let tool = Tool::cargo().dir(place::root());
    if nextest {
        return Ok(tool.args(["nextest", "run", "--workspace", "--locked", "--no-fail-fast"]).args(filters));
    }
    eprintln!("test: no cargo-nextest here, so `cargo test` runs them; that is slower, and the same tests");
    let tool = tool.args(["test", "--workspace", "--all-targets", "--locked", "--no-fail-fast", "--"]);
    Ok(tool.args(filters))
}

/// Examples in documentation, which nextest does not know.
fn doc_tests(filters: &[String]) -> Tool {
    let tool = Tool::cargo().args(["test", "--doc", "--workspace", "--locked", "--no-fail-fast", "--"]);
    tool.args(filters).dir(place::root())
}

/// The example plugins' own tests, compiled for this machine. In release, as the plugins themselves are:
/// so the macros that write their bindings are compiled once for both.
fn example_tests(filters: &[String]) -> Tool {
    Tool::cargo()
        .args(["test", "--release", "--workspace", "--locked", "--no-fail-fast", "--"])
        .args(filters)
        .dir(place::plugins())
        .target(place::plugins().join("target"))
        .env("CARGO_PROFILE_RELEASE_LTO", "false")
}

/// insta only ever adds to the file.
fn forget_references() -> Outcome {
    let file = snapshots::references();
    fs::create_dir_all(place::own()).map_err(|error| Failure::io("make", &place::own(), &error))?;
    fs::write(&file, "").map_err(|error| Failure::io("write", &file, &error))
}
