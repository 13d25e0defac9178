//! Fuzzing: builds the targets of `fuzz/` with libFuzzer's instrumentation and runs each for a while.
//!
//! The instrumentation is the stable compiler's, so that no other toolchain is needed: it finds panics, hangs and
//! memory without bound, which is what safe Rust has left to find. For the address sanitizer, run `cargo fuzz`.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::failure::{Failure, Outcome};
use crate::phases::Phases;
use crate::place;
use crate::tool::Tool;

/// The targets, each with folders of good inputs to begin from: files that tests have anyway.
const TARGETS: [(&str, &[&str]); 8] = [
    ("client", &[]),
    ("signed", &["fuzz/seeds/signed"]),
    ("index", &["fuzz/seeds/index"]),
    ("files", &["crates/core/tests/component/manifests"]),
    ("attestation", &["fuzz/seeds/attestation"]),
    ("component", &["fuzz/seeds/component"]),
    ("policy", &["fuzz/seeds/policy"]),
    ("proposal", &["fuzz/seeds/proposal"]),
];

/// What `cargo fuzz` passes for `--sanitizer none`: edges and comparisons are counted.
const INSTRUMENTED: [&str; 8] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
    "--cfg",
    "fuzzing",
];

/// One input may take so long, in seconds, before it counts as a hang.
const HANG: u64 = 10;
/// A target may hold so much memory, and allocate so much at once, in MiB.
const MEMORY: [&str; 2] = ["-rss_limit_mb=1024", "-malloc_limit_mb=256"];

/// Runs the targets whose names contain one of `only`, or all, for so long each.
pub(crate) fn run(each: Duration, only: &[String]) -> Outcome {
    let chosen: Vec<_> = TARGETS
        .into_iter()
        .filter(|(name, _)| only.is_empty() || only.iter().any(|part| name.contains(part)))
        .collect();
    if chosen.is_empty() {
        let names = TARGETS.map(|(name, _)| name).join(", ");
        return Err(Failure::new(format!("no fuzz target has a name with `{}` in it", only.join("` or `")))
            .fix(format!("one of: {names}")));
    }
    let mut phases = Phases::begin("fuzz");
    let host = phases.run("build", build)?;
    for (name, seeds) in chosen {
        phases.check(name, || fuzz(&host, name, seeds, each));
    }
    eprintln!("\n{}", phases.table());
    if phases.all_ok() { Ok(()) } else { Err(Failure::new("fuzzing found something: see above")) }
}

fn folder() -> PathBuf {
    place::own().join("fuzz")
}

/// Compiles all targets; gives the name of this machine's own target.
fn build() -> Outcome<String> {
    let about = Tool::rustc().arg("-vV").read()?;
    let host = about.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.ok_or_else(|| Failure::new("`rustc -vV` names no host"))?.to_owned();
    // With a named target, flags do not reach build scripts and macros, which nobody fuzzes.
    Tool::cargo()
        .args(["build", "--release", "--bins", "--target", &host])
        .dir(place::root().join("fuzz"))
        .target(folder())
        .env("CARGO_ENCODED_RUSTFLAGS", INSTRUMENTED.join("\u{1f}"))
        .run()?;
    Ok(host)
}

fn fuzz(host: &str, name: &str, seeds: &[&str], each: Duration) -> Outcome {
    let (corpus, found) = (folder().join("corpus").join(name), folder().join("found").join(name));
    for made in [&corpus, &found] {
        fs::create_dir_all(made).map_err(|error| Failure::io("make", made, &error))?;
    }
    let seeds: Vec<_> = seeds.iter().map(|seed| place::root().join(seed)).collect();
    Tool::new(folder().join(host).join("release").join(name))
        .args([format!("-max_total_time={}", each.as_secs()), format!("-timeout={HANG}")])
        .args(MEMORY)
        .args(["-print_final_stats=1", "-verbosity=0"])
        .arg(format!("-artifact_prefix={}/", found.display()))
        .arg(&corpus)
        .args(seeds)
        // A target that does not come to its end is a failure of its own.
        .run_within(each + Duration::from_secs(HANG + 60))
        .map_err(|failure| failure.fix(format!("the input is in {}; run the target with that file", found.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_declared_and_its_seeds_are_there() {
        let manifest = fs::read_to_string(place::root().join("fuzz/Cargo.toml")).expect("read");
        let declared: Vec<_> = manifest
            .split("[[bin]]")
            .skip(1)
            .filter_map(|table| table.lines().find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"')))
            .collect();
        assert_eq!(declared, TARGETS.map(|(name, _)| name));
        for seed in TARGETS.iter().flat_map(|(_, seeds)| *seeds) {
            let mut files = fs::read_dir(place::root().join(seed)).expect(seed);
            assert!(files.next().is_some(), "{seed} has a file");
        }
    }

    #[test]
    fn a_target_that_is_not_there_is_named_with_those_that_are() {
        let failure = run(Duration::ZERO, &["nothing".to_owned()]).expect_err("refused").to_string();
        assert_eq!(
            failure,
            "no fuzz target has a name with `nothing` in it\n  fix: one of: client, signed, index, files, attestation, component, policy, proposal"
        );
    }
}
