//! `cargo demo`: from a clone to a running registry.

use std::io::{BufReader, Read};
use std::path::PathBuf;
use std::process::ExitCode;

use cargo_metadata::Message;

use crate::embedded::{self, Language};
use crate::failure::{Failure, Outcome};
use crate::guests;
use crate::phases::Phases;
use crate::place;
use crate::tool::Tool;
use crate::toolchain;

/// Builds what is missing, runs `stoa demo`, and ends as that does.
pub(crate) fn run(passed_on: &[String]) -> Outcome<ExitCode> {
    let mut phases = Phases::begin("demo");
    let all = passed_on.iter().any(|arg| arg == "--all");
    let others = embedded::start(if all { &Language::ALL } else { &[] });
    let toolchain = phases.run("setup", toolchain::ensure)?;
    let stoa = phases.run("guests and stoa", || both(&toolchain))?;
    if all {
        phases.run("guests: js, py", || others.finish())?;
    }
    eprintln!("\n{}", phases.table());
    let status = Tool::new(stoa).args(["demo", "--plugins"]).arg(place::plugins()).args(passed_on).status()?;
    // Ended by a signal: as a shell would say it, without knowing which.
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(128);
    Ok(ExitCode::from(code))
}

/// Builds plugins and program at the same time: either has long stretches that use one core.
fn both(toolchain: &toolchain::Toolchain) -> Outcome<PathBuf> {
    std::thread::scope(|scope| {
        let guests = scope.spawn(|| guests::build(toolchain));
        let stoa = build_stoa();
        guests.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        stoa
    })
}

/// Builds the `stoa` program and says where it is: cargo knows, whatever folder it was told to use.
pub(crate) fn build_stoa() -> Outcome<PathBuf> {
    let build = Tool::cargo().args(["build", "--locked", "--package", "stoa-cli"]).dir(place::root());
    let [stoa] = build_programs(["stoa"], build)?;
    Ok(stoa)
}

/// Runs a build, and gives the paths of some of the programs that it made, in the order of their names here.
pub(crate) fn build_programs<const N: usize>(names: [&str; N], build: Tool) -> Outcome<[PathBuf; N]> {
    let mut build = build.args(["--message-format", "json-render-diagnostics"]).start()?;
    let Some(messages) = build.stdout.take() else { return Err(Failure::new("cargo has no output to read")) };
    let programs = programs_named(names, messages);
    let status = build.wait().map_err(|error| Failure::new(format!("cargo could not be waited for: {error}")))?;
    if !status.success() {
        return Err(Failure::new(format!("{} could not be built: {status}", names.join(" and "))));
    }
    let mut found = names.map(|_| PathBuf::new());
    for ((name, program), found) in names.iter().zip(programs?).zip(&mut found) {
        *found = program.ok_or_else(|| Failure::new(format!("the build made no program named {name}")))?;
    }
    Ok(found)
}

/// The paths of programs in what cargo says of a build, which is read to its end.
fn programs_named<const N: usize>(names: [&str; N], messages: impl Read) -> Outcome<[Option<PathBuf>; N]> {
    let mut programs = names.map(|_| None);
    for message in Message::parse_stream(BufReader::new(messages)) {
        let message = message.map_err(|error| Failure::new(format!("cargo's output can't be read: {error}")))?;
        if let Message::CompilerArtifact(artifact) = message
            && let Some(place) = names.iter().position(|name| artifact.target.name == *name)
            && let Some(path) = artifact.executable
        {
            programs[place] = Some(path.into_std_path_buf());
        }
    }
    Ok(programs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn artifact(name: &str, executable: &str) -> String {
        format!(
            r#"{{"reason":"compiler-artifact","package_id":"p","manifest_path":"/p/Cargo.toml","target":{{"kind":["bin"],"crate_types":["bin"],"name":"{name}","src_path":"/p/main.rs","edition":"2024","doc":true,"doctest":false,"test":true}},"profile":{{"opt_level":"0","debuginfo":0,"debug_assertions":true,"overflow_checks":true,"test":false}},"features":[],"filenames":[],"executable":{executable},"fresh":true}}"#
        ) + "\n"
    }

    #[test]
    fn a_program_is_the_artifact_of_that_name_that_can_be_run() {
        let said = [artifact("stoa", "null"), artifact("other", "\"/t/other\""), artifact("stoa", "\"/t/debug/stoa\"")]
            .concat();
        let named = |names, said: &str| programs_named(names, said.as_bytes()).expect("read");
        assert_eq!(named(["stoa", "other"], &said), [Some("/t/debug/stoa".into()), Some("/t/other".into())]);
        assert_eq!(named(["stoa", "third"], &artifact("stoa", "null")), [None, None]);
    }
}
