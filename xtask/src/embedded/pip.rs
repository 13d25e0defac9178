//! Python: tools by pip, components by componentize-py, tests by unittest.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::failure::{Failure, Outcome};
use crate::tool::{self, Tool};

/// The oldest Python that the tools are written for.
const OLDEST: [u32; 2] = [3, 10];
const FIX: &str = "install Python 3.10 or newer with pip (`apt install python3 python3-pip`)";
/// What an install may take; it takes 2 s with a fast network.
const LIMIT: Duration = Duration::from_secs(300);
/// What `python -m unittest` ends with where no test ran, from Python 3.12 on.
const NONE_RAN: i32 = 5;

fn python() -> Outcome<PathBuf> {
    let print = "import platform, sys; print(platform.python_version()); print(sys.executable)";
    super::interpreter("python3", &["-c", print], OLDEST, FIX)
}

/// Installs what the plugin's lock file pins into an empty folder. pip checks every digest; only wheels, so that nothing
/// that is installed runs anything of its own.
pub(super) fn install(plugin: &Path, dir: &Path) -> Outcome {
    let python = python()?;
    tool::again(|| {
        Tool::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--require-hashes", "--no-deps", "--only-binary", ":all:"])
            .args(["--no-compile", "--no-input", "--disable-pip-version-check", "--root-user-action", "ignore"])
            .arg("--target")
            .arg(dir.join("site"))
            .arg("-r")
            .arg(plugin.join("requirements.txt"))
            .run_within(LIMIT)
            .map_err(|failure| failure.or_fix(FIX))
    })
}

/// Builds the component, without WASI: `--stub-wasi` makes a call of it a trap, and leaves no import.
pub(super) fn build(stage: &Path, tools: &Path, output: &Path) -> Outcome {
    // The installed script names the interpreter by its path, which may be gone tomorrow.
    let run = "import sys; from componentize_py import script; sys.exit(script())";
    let world = world(stage)?;
    super::alone(python()?, stage)
        .env("PYTHONPATH", tools.join("site"))
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
    let tests =
        Tool::new(python()?).args(["-B", "-m", "unittest", "discover", "-s", "tests"]).args(filters).dir(plugin);
    let status = tests.status()?;
    if status.success() || (filters_given && status.code() == Some(NONE_RAN)) {
        return Ok(());
    }
    Err(Failure::new(format!("the tests of {} failed: {status}", plugin.display())))
}
