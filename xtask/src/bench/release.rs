//! What is measured, and what measures, built as users build it.

use std::path::PathBuf;

use crate::demo;
use crate::failure::Outcome;
use crate::place;
use crate::tool::Tool;

/// Programs of the profile `release`.
pub(crate) struct Built {
    pub(crate) stoa: PathBuf,
    pub(crate) driver: PathBuf,
}

/// Builds both at once: what they share is built once (decision 0045).
pub(crate) fn build() -> Outcome<Built> {
    let build =
        Tool::cargo().args(["build", "--release", "--locked", "--package", "stoa-cli", "--package", "stoa-benches"]);
    let [stoa, driver] = demo::build_programs(["stoa", "stoa-benches"], build.dir(place::root()))?;
    Ok(Built { stoa, driver })
}
