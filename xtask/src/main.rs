//! `cargo xtask`: everything that is done to this repository, through one door.
//!
//! Rules of this crate: it depends on no other crate of the workspace, since it must be able to look at
//! them while they are broken, and on few others, since it is the first thing that `cargo demo` compiles.
//! What it makes lies under `target/xtask`, or in the folder that [`cache`] names; it installs nothing
//! on the machine except a target of rustup's own, and says so before.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for people who read its output")]

mod args;
mod background;
mod bench;
mod cache;
mod checks;
mod ci;
mod component;
mod conformance;
mod debian;
mod demo;
mod embedded;
mod failure;
mod fresh;
mod fuzz;
mod guests;
mod interop;
mod packages;
mod phases;
mod place;
mod soak;
mod suite;
mod tool;
mod toolchain;
mod unpacked;

use std::process::ExitCode;
use std::time::Duration;

use args::{Command, USAGE};
use failure::Outcome;

fn main() -> ExitCode {
    let command = match args::parse(std::env::args().skip(1)) {
        Ok(command) => command,
        Err(message) => {
            eprintln!("error: {message}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(command) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("\nerror: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Outcome<ExitCode> {
    match command {
        Command::Help => {
            println!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        Command::Setup => toolchain::ensure().map(|toolchain| {
            eprintln!("setup: {toolchain}");
            ExitCode::SUCCESS
        }),
        Command::Guests { with } => {
            let others = embedded::start(&with);
            guests::build(&toolchain::ensure()?)?;
            others.finish().map(|_| ExitCode::SUCCESS)
        }
        Command::Demo { passed_on } => demo::run(&passed_on),
        Command::Test { filters } => suite::run(&filters),
        Command::Ci { only } => ci::run(&only),
        Command::Fresh => fresh::write().map(|()| ExitCode::SUCCESS),
        Command::Fuzz { seconds, only } => fuzz::run(Duration::from_secs(seconds), &only).map(|()| ExitCode::SUCCESS),
        Command::BenchBuild => bench::build::run(),
        Command::BenchCore { passed_on } => bench::core::run(&passed_on),
        Command::BenchDownloads { passed_on } => bench::downloads::run(&passed_on),
        Command::BenchTrust { passed_on } => bench::trust::run(&passed_on),
        Command::Soak { minutes, seed } => soak::run(minutes, seed),
        Command::Conformance { suite } => conformance::run(suite.as_deref()),
    }
}
