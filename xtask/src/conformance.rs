//! `cargo xtask conformance`: the public suite tuf-conformance against our client.
//!
//! The suite is no part of the repository: whoever runs it names a checkout. Everything else that it needs is
//! kept in the cache: Python packages by a lock file with digests, and the library that shows a program another
//! time.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use serde::Deserialize;

use crate::demo;
use crate::failure::{Failure, Outcome};
use crate::packages::Manager;
use crate::phases::seconds;
use crate::place;
use crate::tool::Tool;
use crate::unpacked;

/// The folder with the lock file of what the suite imports.
const PACKAGES: &str = "xtask/conformance";
/// Tests that are expected to fail, one name a line.
const XFAILS: &str = "xtask/conformance/xfails.txt";
/// The tests of the suite when this was written. Fewer would mean that some were not found.
const AT_LEAST: u64 = 113;
/// How the command ends where nothing was run: neither success nor a failed test.
const NOT_RUN: u8 = 3;

/// Runs the suite of a checkout, or says that it was not run.
pub(crate) fn run(suite: Option<&str>) -> Outcome<ExitCode> {
    let Some(suite) = suite else {
        eprintln!(
            "conformance: NOT RUN: no suite was named\n  fix: `git clone` the suite theupdateframework/tuf-conformance \
             outside of this repository, then `cargo xtask conformance --suite DIR`"
        );
        return Ok(ExitCode::from(NOT_RUN));
    };
    let suite = checkout(Path::new(suite))?;
    let client = build_client()?;
    place_xfails(&client)?;
    let packages = Manager::Pip.modules(&Manager::Pip.installed(&place::root().join(PACKAGES))?);
    let path = path_with_faketime()?;
    let report = place::own().join("conformance.json");
    fs::remove_file(&report).ok();
    let python_path = std::env::join_paths([&packages, &suite])
        .map_err(|error| Failure::new(format!("a folder can't stand in PYTHONPATH: {error}")))?;
    let started = Instant::now();
    // pytest ends with a failure where a test fails; the report says more.
    Tool::new("python3")
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", "-rfx", "tuf_conformance", "--entrypoint"])
        .arg(&client)
        .args(["--json-report", "--json-report-file"])
        .arg(&report)
        .dir(&suite)
        .env("PYTHONPATH", python_path)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONNOUSERSITE", "1")
        .env("PATH", path)
        .status()?;
    let text = fs::read_to_string(&report).map_err(|error| Failure::io("read the report", &report, &error))?;
    let said = judge(&text, &expected()?)?;
    eprintln!("conformance: {said} in {}, suite at {}", seconds(started.elapsed()), commit(&suite));
    Ok(ExitCode::SUCCESS)
}

fn checkout(named: &Path) -> Outcome<PathBuf> {
    if !named.join("tuf_conformance").is_dir() {
        return Err(Failure::new(format!("{} has no folder tuf_conformance", named.display()))
            .fix("name a work tree of theupdateframework/tuf-conformance; a bare repository has to be cloned first"));
    }
    named.canonicalize().map_err(|error| Failure::io("find", named, &error))
}

fn commit(suite: &Path) -> String {
    let said = Tool::new("git").args(["rev-parse", "--short", "HEAD"]).dir(suite).read();
    said.map_or_else(|_| "an unknown commit".to_owned(), |said| said.trim().to_owned())
}

/// The folder of the client: a workspace of its own.
pub(crate) fn client_dir() -> PathBuf {
    place::root().join("crates/tuf-client")
}

/// Where it is compiled.
pub(crate) fn client_target() -> PathBuf {
    place::own().join("tuf-client")
}

/// Tests and builds the client.
fn build_client() -> Outcome<PathBuf> {
    let tool = |command| Tool::cargo().args([command, "--locked"]).dir(client_dir()).target(client_target());
    tool("test").arg("--quiet").run()?;
    let [client] = demo::build_programs(["stoa-tuf-client"], tool("build"))?;
    if client.to_string_lossy().contains(' ') {
        return Err(Failure::new(format!("{} has a space, at which the suite would cut it", client.display()))
            .fix("move the clone to a folder without spaces"));
    }
    Ok(client)
}

/// The suite looks for them beside the client.
fn place_xfails(client: &Path) -> Outcome {
    let beside = client.with_added_extension("xfails");
    let from = place::root().join(XFAILS);
    fs::copy(&from, &beside).map(drop).map_err(|error| Failure::io("copy", &from, &error))
}

fn expected() -> Outcome<Vec<String>> {
    let path = place::root().join(XFAILS);
    let text = fs::read_to_string(&path).map_err(|error| Failure::io("read", &path, &error))?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// The search path, with a `faketime` in front where the machine has none.
fn path_with_faketime() -> Outcome<std::ffi::OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|dir| dir.join("faketime").is_file()) {
        return Ok(path);
    }
    let dir = unpacked::entry("libfaketime", write_faketime)?;
    std::env::join_paths(std::iter::once(dir.join("bin")).chain(std::env::split_paths(&path)))
        .map_err(|error| Failure::new(format!("faketime's folder can't stand in PATH: {error}")))
}

/// The package's own program looks for its library where it would be installed; this one looks beside itself.
fn write_faketime(dir: &Path) -> Outcome {
    let script = "#!/bin/sh\n\
                  # faketime TIME PROGRAM [ARGUMENT...]\n\
                  d=$(dirname \"$(readlink -f \"$0\")\")/..\n\
                  at=$(date -u -d \"$1\" +%s) || exit 1\n\
                  shift\n\
                  now=$(date +%s)\n\
                  for library in \"$d\"/usr/lib/*/faketime/libfaketime.so.1; do :; done\n\
                  [ -f \"$library\" ] || { echo \"no libfaketime below $d\" >&2; exit 1; }\n\
                  LD_PRELOAD=$library FAKETIME=$(printf %+d $((at - now))) exec \"$@\"\n";
    let bin = dir.join("bin");
    let program = bin.join("faketime");
    fs::create_dir_all(&bin).map_err(|error| Failure::io("make", &bin, &error))?;
    fs::write(&program, script).map_err(|error| Failure::io("write", &program, &error))?;
    Tool::new("chmod").arg("+x").arg(&program).read()?;
    let shown = Tool::new(&program).args(["2031-02-03 04:05:06+00:00", "date", "-u", "+%Y-%m-%d"]).read()?;
    if shown.trim() != "2031-02-03" {
        return Err(Failure::new(format!("libfaketime shows {}, not the time it was told", shown.trim())));
    }
    Ok(())
}

#[derive(Deserialize)]
struct Report {
    summary: Summary,
    tests: Vec<Test>,
}

/// Outcomes without a test are left out of the report.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Summary {
    passed: u64,
    xfailed: u64,
    total: u64,
}

#[derive(Deserialize)]
struct Test {
    nodeid: String,
    outcome: String,
}

/// Passes where every test did but those that are expected to fail, and none of these is unnamed or missing.
fn judge(report: &str, expected: &[String]) -> Outcome<String> {
    let report: Report = serde_json::from_str(report)
        .map_err(|error| Failure::new(format!("the suite's report can't be read: {error}")))?;
    let name = |test: &Test| test.nodeid.rsplit_once("::").map_or(test.nodeid.clone(), |(_, name)| name.to_owned());
    let fits = |test: &&Test| match test.outcome.as_str() {
        "passed" => true,
        "xfailed" => expected.contains(&name(test)),
        _ => false,
    };
    let broken: Vec<_> = report
        .tests
        .iter()
        .filter(|test| !fits(test))
        .map(|test| format!("{}: {}", test.outcome, test.nodeid))
        .collect();
    if !broken.is_empty() {
        return Err(Failure::new(format!("the client does not conform:\n{}", broken.join("\n"))));
    }
    let Summary { passed, xfailed, total } = report.summary;
    if total < AT_LEAST || passed + xfailed != total || report.tests.len() as u64 != total {
        return Err(Failure::new(format!(
            "of {total} tests {passed} passed and {xfailed} failed as expected, but at least {AT_LEAST} have to be accounted for"
        ))
        .fix("name a whole checkout of the suite"));
    }
    Ok(format!("{passed} of {total} passed, {xfailed} failed as expected"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(outcomes: &[(&str, usize)]) -> String {
        let tests = outcomes.iter().flat_map(|(outcome, count)| (0..*count).map(move |n| (outcome, n)));
        let tests: Vec<_> =
            tests.map(|(o, n)| serde_json::json!({"nodeid": format!("a.py::{o}{n}"), "outcome": o})).collect();
        let mut summary = serde_json::json!({"total": tests.len()});
        for (outcome, count) in outcomes {
            summary[outcome] = (*count).into();
        }
        serde_json::json!({"summary": summary, "tests": tests}).to_string()
    }

    fn judged(outcomes: &[(&str, usize)]) -> Result<String, String> {
        judge(&report(outcomes), &["xfailed0".to_owned()]).map_err(|failure| failure.to_string())
    }

    #[test]
    fn all_passed_but_what_is_expected_to_fail_is_conformance() {
        assert_eq!(judged(&[("passed", 112), ("xfailed", 1)]), Ok("112 of 113 passed, 1 failed as expected".into()));
    }

    #[test]
    fn a_failed_an_erroneous_a_skipped_and_an_unnamed_test_are_refused_by_name() {
        for outcome in ["failed", "error", "skipped", "xpassed"] {
            let refused = format!("the client does not conform:\n{outcome}: a.py::{outcome}0");
            assert_eq!(judged(&[("passed", 113), (outcome, 1)]), Err(refused));
        }
        let refused = "the client does not conform:\nxfailed: a.py::xfailed1";
        assert_eq!(judged(&[("passed", 113), ("xfailed", 2)]), Err(refused.into()));
    }

    #[test]
    fn a_part_of_the_suite_is_no_conformance() {
        let refused = "of 3 tests 3 passed and 0 failed as expected, but at least 113 have to be accounted for\n  \
                       fix: name a whole checkout of the suite";
        assert_eq!(judged(&[("passed", 3)]), Err(refused.into()));
    }

    #[test]
    fn one_test_at_most_is_expected_to_fail() {
        assert_eq!(expected().expect("read"), ["test_keytype_and_scheme[rsa/rsassa-pss-sha256]"]);
    }
}
