//! Measurements of Stoa beside what others reach on the same machine in the same run.
//!
//! `stoa-benches downloads STOA NGINX CONF [--json]` asks `stoa serve` and nginx for the same files in turn.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for people who read its output")]

mod downloads;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["downloads", stoa, nginx, conf] => downloads::run(stoa, nginx, conf, downloads::Report::Table),
        ["downloads", stoa, nginx, conf, "--json"] => downloads::run(stoa, nginx, conf, downloads::Report::Json),
        _ => Err("usage: stoa-benches downloads STOA NGINX CONF [--json]".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
