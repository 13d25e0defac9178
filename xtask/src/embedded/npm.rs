//! JavaScript: components by the plugin's own `build.mjs`, tests by node.

use std::fs;
use std::path::Path;

use crate::failure::{Failure, Outcome};
use crate::packages::Manager;
use crate::tool::Tool;

/// Builds the component.
pub(super) fn build(stage: &Path, tools: &Path, output: &Path) -> Outcome {
    let modules = stage.join("node_modules");
    std::os::unix::fs::symlink(Manager::Npm.modules(tools), &modules)
        .map_err(|error| Failure::io("link", &modules, &error))?;
    super::alone(Manager::Npm.interpreter()?, stage).arg("build.mjs").arg(output).read().map(drop)
}

/// Runs the plugin's tests. They are in JavaScript alone and need no tools.
pub(super) fn test(plugin: &Path, filters: &[String]) -> Outcome {
    let folder = plugin.join("test");
    let entries = fs::read_dir(&folder).map_err(|error| Failure::io("read", &folder, &error))?;
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.to_string_lossy().ends_with(".test.js"));
    files.sort();
    if files.is_empty() {
        return Err(Failure::new(format!("{} has no test", folder.display())));
    }
    let filters = filters.iter().map(|filter| format!("--test-name-pattern={filter}"));
    Tool::new(Manager::Npm.interpreter()?)
        .args(["--test", "--test-reporter=spec"])
        .args(filters)
        .args(files)
        .dir(plugin)
        .run()
}
