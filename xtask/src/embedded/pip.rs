//! Python: components by componentize-py, tests by unittest.

use std::path::Path;

use crate::failure::{Failure, Outcome};
use crate::packages::Manager;
use crate::tool::Tool;

/// What `python -m unittest` ends with where no test ran, from Python 3.12 on.
const NONE_RAN: i32 = 5;

/// Builds the component, without WASI: `--stub-wasi` makes a call of it a trap, and leaves no import.
pub(super) fn build(stage: &Path, tools: &Path, output: &Path) -> Outcome {
    // The installed script names the interpreter by its path, which may be gone tomorrow.
    let run = "import sys; from componentize_py import script; sys.exit(script())";
    let world = world(stage)?;
    super::alone(Manager::Pip.interpreter()?, stage)
        .env("PYTHONPATH", Manager::Pip.modules(tools))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .args(["-c", run, "-d", "wit", "-w", &world, "componentize", "--stub-wasi", "-p", "src", "plugin", "-o"])
        .arg(output)
        .read()
        .map(drop)
}

/// The world of the plugin, which is the one in `wit/`.
fn world(stage: &Path) -> Outcome<String> {
    let folder = stage.join("wit");
    let entries = std::fs::read_dir(&folder).map_err(|error| Failure::io("read", &folder, &error))?;
    let texts = entries.flatten().filter_map(|entry| std::fs::read_to_string(entry.path()).ok());
    let worlds = texts.filter_map(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("world ").map(str::to_owned))?;
        Some(line.trim_end_matches(" {").to_owned())
    });
    let worlds: Vec<_> = worlds.collect();
    match &worlds[..] {
        [world] => Ok(world.clone()),
        _ => Err(Failure::new(format!("{} should have one world, but has {}", folder.display(), worlds.len()))),
    }
}

/// Runs the plugin's tests. They are in Python alone and need no tools.
pub(super) fn test(plugin: &Path, filters: &[String]) -> Outcome {
    let filters_given = !filters.is_empty();
    let filters = filters.iter().flat_map(|filter| ["-k".to_owned(), filter.clone()]);
    let tests = Tool::new(Manager::Pip.interpreter()?)
        .args(["-B", "-m", "unittest", "discover", "-s", "tests"])
        .args(filters)
        .dir(plugin);
    let status = tests.status()?;
    if status.success() || (filters_given && status.code() == Some(NONE_RAN)) {
        return Ok(());
    }
    Err(Failure::new(format!("the tests of {} failed: {status}", plugin.display())))
}
