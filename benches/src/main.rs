//! Measurements of Stoa beside what others reach on the same machine in the same run.
//!
//! `stoa-benches downloads STOA NGINX CONF [--json]` asks `stoa serve` and nginx for the same files in turn.
//! `stoa-benches trust STOA …` has the loader and python-tuf read the same index; see [`trust::run`].
//! `stoa-benches core STOA PLUGINS [--json]` measures the main job; see [`core`].
//! `stoa-benches soak SECONDS SEED` has the loader do everything at once; see [`soak`].

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for people who read its output")]

mod core;
mod downloads;
mod soak;
mod trust;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["downloads", stoa, nginx, conf] => downloads::run(stoa, nginx, conf, downloads::Report::Table),
        ["downloads", stoa, nginx, conf, "--json"] => downloads::run(stoa, nginx, conf, downloads::Report::Json),
        ["core", rest @ ..] => core::run(rest),
        ["core-index", rest @ ..] => core::index::one_run(rest),
        ["core-load", rest @ ..] => core::load::one_load(rest),
        ["core-bare", rest @ ..] => core::load::one_bare(rest),
        ["soak", rest @ ..] => soak::run(rest),
        ["trust", rest @ ..] => trust::run(rest),
        ["trust-reader", rest @ ..] => trust::reader::run(rest),
        _ => Err("usage: stoa-benches downloads STOA NGINX CONF [--json], or stoa-benches core|soak|trust ...".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
