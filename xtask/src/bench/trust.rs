//! `cargo xtask bench trust`: the loader beside python-tuf, on the same index.

use std::process::ExitCode;

use super::release;
use crate::failure::Outcome;
use crate::interop;
use crate::packages::Manager;
use crate::phases::Phases;
use crate::place;
use crate::tool::Tool;

/// Builds what is measured, and measures. `passed_on` goes to the driver. A machine without Python measures all but
/// python-tuf, and says so.
pub(crate) fn run(passed_on: &[String]) -> Outcome<ExitCode> {
    let mut phases = Phases::begin("bench trust");
    let built = phases.run("stoa and driver", release::build)?;
    let peer = match python_tuf() {
        Ok(peer) => peer,
        Err(failure) => {
            eprintln!("\nbench trust: python-tuf can not be had, so nothing is compared with it\n{failure}");
            vec!["no-peer".to_owned(), failure.to_string().lines().collect::<Vec<_>>().join("; ")]
        }
    };
    let measure = Tool::new(built.driver).arg("trust").arg(built.stoa).args(peer).args(passed_on);
    phases.run("measuring", || measure.run())?;
    eprintln!("\n{}", phases.table());
    Ok(ExitCode::SUCCESS)
}

/// How the driver calls python-tuf: the version that the tests of interoperation use.
fn python_tuf() -> Outcome<Vec<String>> {
    let packages = Manager::Pip.modules(&Manager::Pip.installed(&interop::folder())?);
    let (python, script) = (Manager::Pip.interpreter()?, place::root().join("benches/trust.py"));
    let paths = [python, packages, script].map(|path| path.to_string_lossy().into_owned());
    Ok(["peer".to_owned()].into_iter().chain(paths).collect())
}
