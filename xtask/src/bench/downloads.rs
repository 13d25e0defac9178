//! `cargo xtask bench downloads`: `stoa serve` beside Debian's nginx.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::demo;
use crate::failure::{Failure, Outcome};
use crate::phases::Phases;
use crate::place;
use crate::tool::Tool;
use crate::unpacked;

/// Builds what is measured as users build it, and measures. `passed_on` goes to the driver.
pub(crate) fn run(passed_on: &[String]) -> Outcome<ExitCode> {
    let mut phases = Phases::begin("bench downloads");
    let nginx = phases.run("nginx", nginx)?;
    let stoa = phases.run("stoa", || release("stoa", Tool::cargo().args(["build", "--package", "stoa-cli"])))?;
    let driver = phases.run("driver", || {
        release("stoa-benches", Tool::cargo().arg("build").dir(dir()).target(place::own().join("benches")))
    })?;
    let conf = dir().join("nginx.conf");
    phases
        .run("measuring", || Tool::new(driver).arg("downloads").arg(stoa).arg(nginx).arg(conf).args(passed_on).run())?;
    eprintln!("\n{}", phases.table());
    Ok(ExitCode::SUCCESS)
}

/// The folder of the driver: a workspace of its own.
pub(crate) fn dir() -> PathBuf {
    place::root().join("benches")
}

fn release(name: &str, build: Tool) -> Outcome<PathBuf> {
    demo::build_program(name, build.args(["--release", "--locked", "--message-format", "json-render-diagnostics"]))
}

fn nginx() -> Outcome<PathBuf> {
    let program = unpacked::entry("nginx", |_| Ok(()))?.join("usr/sbin/nginx");
    // Its libraries are ones that every Debian has.
    let says = Tool::new(&program).arg("-V").status()?;
    says.success().then_some(program).ok_or_else(|| {
        Failure::new("Debian's nginx does not run here").fix("`apt-get install nginx`, for the libraries that it needs")
    })
}
