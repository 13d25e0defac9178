//! `cargo xtask bench core`: the main job in numbers.

use std::process::ExitCode;

use super::{downloads, release, trust};
use crate::failure::Outcome;
use crate::guests;
use crate::phases::Phases;
use crate::place;
use crate::tool::Tool;
use crate::toolchain;

/// Builds what is measured as users build it, and measures; then what belongs to it and is a bench of its own.
pub(crate) fn run(passed_on: &[String]) -> Outcome<ExitCode> {
    let mut phases = Phases::begin("bench core");
    phases.run("guests", || guests::build(&toolchain::ensure()?))?;
    let built = phases.run("stoa and driver", release::build)?;
    let measure = Tool::new(built.driver).arg("core").arg(built.stoa).arg(place::plugins()).args(passed_on);
    phases.run("measuring", || measure.run())?;
    eprintln!("\n{}", phases.table());
    downloads::run(passed_on)?;
    trust::run(passed_on)
}
