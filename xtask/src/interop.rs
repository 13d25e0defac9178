//! TUF clients that others wrote: the tests of interoperation run them over our files.

use std::path::PathBuf;

use crate::background::Background;
use crate::packages::Manager;
use crate::place;
use crate::tool::Tool;

/// The folder with their lock files, beside the scripts that use them.
const FOLDER: &str = "tests/interop";

/// Each manager, and the variable by which a test learns where its packages lie.
const CLIENTS: [(Manager, &str); 2] = [(Manager::Pip, "STOA_PYTHON_TUF"), (Manager::Npm, "STOA_TUF_JS")];

/// Where what pins their packages is.
pub(crate) fn folder() -> PathBuf {
    place::root().join(FOLDER)
}

/// Begins to install them.
pub(crate) fn start() -> Background<(&'static str, PathBuf)> {
    Background::start(
        CLIENTS.map(|(manager, variable)| move || Ok((variable, manager.modules(&manager.installed(&folder())?)))),
    )
}

/// A test run that finds them.
pub(crate) fn apply(tests: Tool, clients: &[(&'static str, PathBuf)]) -> Tool {
    clients.iter().fold(tests, |tests, (variable, folder)| tests.env(variable, folder))
}
