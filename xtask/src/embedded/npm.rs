//! JavaScript: tools by npm, components by the plugin's own `build.mjs`, tests by node.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::failure::{Failure, Outcome};
use crate::tool::{self, Tool};

/// The oldest node that the tools are written for.
const OLDEST: [u32; 2] = [20, 0];
const FIX: &str =
    "install Node.js 20 or newer with npm; Debian 12 has an older one, Debian 13 has it (`apt install nodejs npm`)";
/// What an install may take; it takes 10 s with a fast network.
const LIMIT: Duration = Duration::from_secs(300);

fn node() -> Outcome<PathBuf> {
    super::interpreter("node", &["-p", "process.version + '\\n' + process.execPath"], OLDEST, FIX)
}

/// Installs what the plugin's lock file pins into an empty folder. npm checks every digest; nothing that is installed
/// runs anything of its own here.
pub(super) fn install(plugin: &Path, dir: &Path) -> Outcome {
    node()?;
    for file in ["package.json", "package-lock.json"] {
        let from = plugin.join(file);
        fs::copy(&from, dir.join(file)).map_err(|error| Failure::io("copy", &from, &error))?;
    }
    tool::again(|| {
        Tool::new("npm")
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel", "error"])
            .dir(dir)
            .run_within(LIMIT)
            .map_err(|failure| failure.or_fix(FIX))
    })
}

/// Builds the component.
pub(super) fn build(stage: &Path, tools: &Path, output: &Path) -> Outcome {
    let modules = stage.join("node_modules");
    std::os::unix::fs::symlink(tools.join("node_modules"), &modules)
        .map_err(|error| Failure::io("link", &modules, &error))?;
    super::alone(node()?, stage).arg("build.mjs").arg(output).read().map(drop)
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
    Tool::new(node()?).args(["--test", "--test-reporter=spec"]).args(filters).args(files).dir(plugin).run()
}
