//! Packages of other languages that a lock file pins by digest, installed into the cache.
//!
//! Nothing is installed on the machine, and nothing that is installed runs anything of its own while it is. An entry is
//! named by the lock file's text and by what would choose other files for it, so whoever changes nothing installs nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::cache::{self, Cache};
use crate::failure::{Failure, Outcome};
use crate::phases::seconds;
use crate::place;
use crate::tool::{self, Tool};
use crate::toolchain;

/// What an install may take; it takes 10 s with a fast network.
const LIMIT: Duration = Duration::from_secs(300);

/// Who installs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manager {
    Npm,
    Pip,
}

impl Manager {
    /// The file that pins packages.
    pub(crate) fn lock(self) -> &'static str {
        match self {
            Self::Npm => "package-lock.json",
            Self::Pip => "requirements.txt",
        }
    }

    /// The folder in the cache that has its entries, with a lock of its own: nobody waits for the other one.
    pub(crate) fn cache(self) -> Cache {
        Cache::open().part(match self {
            Self::Npm => "js",
            Self::Pip => "py",
        })
    }

    /// Below an entry, the folder that a program of the language looks for packages in.
    pub(crate) fn modules(self, entry: &Path) -> PathBuf {
        entry.join(match self {
            Self::Npm => "node_modules",
            Self::Pip => "site",
        })
    }

    /// The program that runs what is installed.
    pub(crate) fn interpreter(self) -> Outcome<PathBuf> {
        self.found().map(|found| found.path)
    }

    /// The entry with what the lock file in `folder` pins, made if need be.
    pub(crate) fn installed(self, folder: &Path) -> Outcome<PathBuf> {
        let lock = folder.join(self.lock());
        let text = fs::read_to_string(&lock).map_err(|error| Failure::io("read", &lock, &error))?;
        let found = self.found()?;
        let machine = format!("{} {} {}", std::env::consts::OS, std::env::consts::ARCH, found.abi(self));
        let name = format!("tools-{}", cache::fingerprint(["2", &machine, &text]));
        self.cache().entry(&name, |unfinished| {
            let started = Instant::now();
            let shown = lock.strip_prefix(place::root()).unwrap_or(&lock).display();
            eprintln!("packages: installing what {shown} pins");
            match self {
                Self::Npm => npm(folder, unfinished)?,
                Self::Pip => pip(&found.path, &lock, unfinished)?,
            }
            eprintln!("packages: {shown}: installed in {}", seconds(started.elapsed()));
            Ok(())
        })
    }

    fn found(self) -> Outcome<Interpreter> {
        match self {
            Self::Npm => {
                Interpreter::find("node", &["-p", "process.version + '\\n' + process.execPath"], [20, 0], NODE)
            }
            Self::Pip => {
                let print = "import platform, sys; print(platform.python_version()); print(sys.executable)";
                Interpreter::find("python3", &["-c", print], [3, 10], PYTHON)
            }
        }
    }
}

const NODE: &str =
    "install Node.js 20 or newer with npm; Debian 12 has an older one, Debian 13 has it (`apt install nodejs npm`)";
const PYTHON: &str = "install Python 3.10 or newer with pip (`apt install python3 python3-pip`)";

/// npm checks every digest.
fn npm(folder: &Path, dir: &Path) -> Outcome {
    for file in ["package.json", "package-lock.json"] {
        let from = folder.join(file);
        fs::copy(&from, dir.join(file)).map_err(|error| Failure::io("copy", &from, &error))?;
    }
    tool::again(|| {
        Tool::new("npm")
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel", "error"])
            .dir(dir)
            .run_within(LIMIT)
            .map_err(|failure| failure.or_fix(NODE))
    })
}

/// pip checks every digest; only wheels, since another package would be built here.
fn pip(python: &Path, lock: &Path, dir: &Path) -> Outcome {
    tool::again(|| {
        Tool::new(python)
            .args(["-m", "pip", "install", "--quiet", "--require-hashes", "--no-deps", "--only-binary", ":all:"])
            .args(["--no-compile", "--no-input", "--disable-pip-version-check", "--root-user-action", "ignore"])
            .arg("--target")
            .arg(Manager::Pip.modules(dir))
            .arg("-r")
            .arg(lock)
            .run_within(LIMIT)
            .map_err(|failure| failure.or_fix(PYTHON))
    })
}

/// A program that is there.
struct Interpreter {
    path: PathBuf,
    version: [u32; 3],
}

impl Interpreter {
    /// The program that a name stands for, if it is at least of a version. Wrappers that choose one are asked which.
    fn find(name: &str, print: &[&str], oldest: [u32; 2], fix: &str) -> Outcome<Self> {
        let said = Tool::new(name).args(print).read().map_err(|failure| failure.or_fix(fix))?;
        let mut lines = said.lines();
        let (shown, path) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
        let version = toolchain::version(shown.trim_start_matches('v'));
        if version[..2] < oldest[..] {
            let [major, minor] = oldest;
            return Err(Failure::new(format!("{name} is {shown}, but {major}.{minor} or newer is needed")).fix(fix));
        }
        Ok(Self { path: PathBuf::from(path), version })
    }

    /// The part of its version that files are chosen by: a wheel may be for one Python alone.
    fn abi(&self, manager: Manager) -> String {
        let [major, minor, _] = self.version;
        match manager {
            Manager::Npm => String::new(),
            Manager::Pip => format!("{major}.{minor}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_or_missing_interpreter_is_named_with_what_to_install() {
        let find = |name, print, oldest| {
            let found = Interpreter::find(name, &[print], oldest, "apt install it");
            found.map(|found| found.version).map_err(|failure| failure.to_string())
        };
        let refused = "echo is v3.9.2, but 3.10 or newer is needed\n  fix: apt install it";
        assert_eq!(find("echo", "v3.9.2", [3, 10]), Err(refused.into()));
        assert_eq!(find("echo", "v3.10.2", [3, 10]), Ok([3, 10, 2]));
        let missing = find("no-such-program", "-v", [1, 0]).expect_err("missing");
        assert!(missing.ends_with("\n  fix: apt install it"), "{missing}");
    }

    #[test]
    fn every_lock_file_pins_by_digest_and_names_no_host_or_folder() {
        let mut read = 0;
        for text in crate::checks::texts().expect("listed") {
            let digest = match text.path.rsplit('/').next() {
                Some("package-lock.json") => "\"integrity\": \"sha512-",
                Some("requirements.txt") => "--hash=sha256:",
                _ => continue,
            };
            read += 1;
            let (text, path) = (text.text, text.path);
            assert!(text.contains(digest), "{path}");
            assert!(!text.contains("\"resolved\""), "{path}: npm --omit-lockfile-registry-resolved");
            assert!(!text.contains("--find-links") && !text.contains("--index-url"), "{path}");
        }
        assert_eq!(read, 5, "highlight, wordcount, the conformance suite and two of tests/interop");
    }
}
