//! `cargo xtask bench downloads`: `stoa serve` beside Debian's nginx.

use std::path::PathBuf;
use std::process::ExitCode;

use super::release;
use crate::failure::{Failure, Outcome};
use crate::phases::Phases;
use crate::place;
use crate::tool::Tool;
use crate::unpacked;

/// Builds what is measured as users build it, and measures. `passed_on` goes to the driver.
pub(crate) fn run(passed_on: &[String]) -> Outcome<ExitCode> {
    let mut phases = Phases::begin("bench downloads");
    let nginx = phases.run("nginx", nginx)?;
    let built = phases.run("stoa and driver", release::build)?;
    let measure = Tool::new(built.driver).arg("downloads").arg(built.stoa).arg(nginx).arg(conf()).args(passed_on);
    phases.run("measuring", || measure.run())?;
    eprintln!("\n{}", phases.table());
    Ok(ExitCode::SUCCESS)
}

/// How nginx is set up.
pub(super) fn conf() -> PathBuf {
    place::root().join("benches/nginx.conf")
}

/// Debian's nginx.
pub(super) fn nginx() -> Outcome<PathBuf> {
    let program = unpacked::entry("nginx", |_| Ok(()))?.join("usr/sbin/nginx");
    // Its libraries are ones that every Debian has.
    let says = Tool::new(&program).arg("-V").status()?;
    says.success().then_some(program).ok_or_else(|| {
        Failure::new("Debian's nginx does not run here").fix("`apt-get install nginx`, for the libraries that it needs")
    })
}
