//! Debian packages that are unpacked into the cache: nothing is installed, and a machine without the right to install
//! has them too.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cache::{self, Cache};
use crate::failure::{Failure, Outcome};
use crate::tool::{self, Tool};

/// A folder with the files of a package, finished by `finish`. The package is the newest that apt knows.
pub(crate) fn entry(package: &str, finish: impl FnOnce(&Path) -> Outcome) -> Outcome<PathBuf> {
    let name = format!("unpacked-{package}-{}", cache::fingerprint(["1", std::env::consts::ARCH]));
    Cache::open().entry(&name, |dir| {
        eprintln!("unpacking Debian's {package}; nothing is installed");
        tool::again(|| {
            let get = Tool::new("apt-get").args(["-o", "APT::Sandbox::User=root", "-q", "download", package]);
            get.dir(dir).run().map_err(|failure| failure.fix(format!("`apt-get update`, or install {package}")))
        })?;
        let file = only_file(dir)?;
        Tool::new("dpkg-deb").arg("-x").arg(&file).arg(dir).read()?;
        fs::remove_file(&file).map_err(|error| Failure::io("remove", &file, &error))?;
        finish(dir)
    })
}

fn only_file(dir: &Path) -> Outcome<PathBuf> {
    let mut entries = fs::read_dir(dir).map_err(|error| Failure::io("read", dir, &error))?.flatten();
    entries.next().map(|entry| entry.path()).ok_or_else(|| Failure::new("apt-get downloaded nothing"))
}
