//! `cargo xtask soak loader`: the loader under everything at once, for minutes.

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::bench::release;
use crate::failure::Outcome;
use crate::phases::Phases;
use crate::tool::Tool;

/// Builds the driver as users build the loader, and lets it run.
pub(crate) fn run(minutes: u64, seed: Option<u64>) -> Outcome<ExitCode> {
    let mut phases = Phases::begin("soak loader");
    let built = phases.run("driver", release::build)?;
    let seed = seed.unwrap_or_else(moment);
    let soak = Tool::new(built.driver).args(["soak".to_owned(), (minutes * 60).to_string(), seed.to_string()]);
    phases.run("soaking", || soak.run())?;
    eprintln!("\n{}", phases.table());
    Ok(ExitCode::SUCCESS)
}

/// Dice that were not thrown before: the run says which.
fn moment() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
