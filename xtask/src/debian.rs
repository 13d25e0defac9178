//! Makes a private compiler for [`TARGET`] out of Debian's packages.
//!
//! For machines that reach package registries but not rustup's server. Debian has a current rustc, built
//! for its browsers (`rustc-web`), and the library source of the very same version, but no library for
//! this target. So the packages are unpacked into a folder, without installing them, and the library
//! is compiled there from that source with its own lock file. Neither root nor a change to the machine
//! is needed: where apt's lists are too old, newer ones are fetched into that folder too.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::cache::{self, Cache};
use crate::failure::{Failure, Outcome};
use crate::phases::seconds;
use crate::place;
use crate::tool::Tool;
use crate::toolchain::{self, OLDEST, RECIPE, STAMP, Stamp, TARGET, version};

/// The package whose version decides all others.
const RUSTC: &str = "rustc-web";

/// Makes the compiler, unless another process did while this one waited for its turn.
pub(crate) fn make(cache: &Cache) -> Outcome {
    let turn = cache.turn()?;
    let started = Instant::now();
    let dir = turn.begin()?;
    let made = make_in(&dir, cache, started);
    match made {
        Ok(Some(name)) => {
            let entry = turn.finish(&dir, &name)?;
            eprintln!("setup: made in {}", seconds(started.elapsed()));
            link(&entry)
        }
        Ok(None) => remove(&dir),
        Err(failure) => remove(&dir).and(Err(failure)),
    }
}

/// Makes the compiler in an empty folder, and gives the name of its entry. None: the entry is there.
fn make_in(dir: &Path, cache: &Cache, started: Instant) -> Outcome<Option<String>> {
    let (apt, packages) = Apt::find(dir)?;
    let entry = cache.dir().join(entry_name(&packages));
    if entry.join(STAMP).exists() && Tool::new(toolchain::compiler(&entry)).arg("-V").read().is_ok() {
        return Ok(None);
    }
    eprintln!("setup: making a private compiler for {TARGET} in {}", entry.display());
    eprintln!("setup: nothing is installed on this machine; 140 MB are downloaded, 600 MB are used");
    eprintln!("setup: 1/3 downloading {}", packages.join(", "));
    let packages = apt.download(dir, packages)?;
    eprintln!("setup: 2/3 unpacking ({} so far)", seconds(started.elapsed()));
    unpack(dir)?;
    let rustc = write_wrapper(dir)?;
    eprintln!("setup: 3/3 compiling the library for {TARGET} ({} so far)", seconds(started.elapsed()));
    compile_library(dir, &rustc)?;
    try_out(dir, &rustc)?;
    for leftover in ["deb", "build", "apt", "try", "usr/src", "usr/share", "usr/include"] {
        remove(&dir.join(leftover))?;
    }
    write_stamp(dir, &rustc, &packages)?;
    Ok(Some(entry_name(&packages)))
}

/// Where the entry goes: its name depends on everything that it is made of.
fn entry_name(packages: &[String]) -> String {
    let recipe = format!("recipe {RECIPE} for {TARGET}");
    let lines = [recipe.as_str(), std::env::consts::ARCH].into_iter().chain(packages.iter().map(String::as_str));
    format!("wasm-toolchain-{}", cache::fingerprint(lines))
}

/// Apt with the lists it goes by.
struct Apt {
    options: Vec<String>,
}

impl Apt {
    /// Apt and the packages to get, after new lists if the machine's have no fitting compiler.
    fn find(dir: &Path) -> Outcome<(Self, Vec<String>)> {
        let machines = Self { options: Vec::new() };
        match machines.packages() {
            Ok(packages) => Ok((machines, packages)),
            Err(failure) => {
                eprintln!("setup: {failure}");
                let own = Self::with_new_lists(dir)?;
                let packages = own.packages()?;
                Ok((own, packages))
            }
        }
    }

    /// Apt with lists of its own, fetched now. The machine's lists stay as they are, and another apt
    /// that is running is no obstacle.
    fn with_new_lists(dir: &Path) -> Outcome<Self> {
        eprintln!("setup: fetching new package lists (the machine's own are left alone)");
        let own = dir.join("apt");
        for folder in ["lists/partial", "cache/archives/partial"] {
            let folder = own.join(folder);
            fs::create_dir_all(&folder).map_err(|error| Failure::io("make", &folder, &error))?;
        }
        let option = |name: &str, folder: &str| ["-o".to_owned(), format!("{name}={}/", own.join(folder).display())];
        let options = [option("Dir::State::Lists", "lists"), option("Dir::Cache", "cache")].concat();
        let apt = Self { options };
        // One of the machine's other sources may be out of reach; what matters is the candidate after this.
        if let Err(failure) = apt.tool("apt-get").args(["-q", "update"]).run() {
            eprintln!("setup: {failure}");
        }
        Ok(apt)
    }

    fn tool(&self, name: &str) -> Tool {
        // As root, apt would download as a user that can't write here.
        Tool::new(name).args(&self.options).args(["-o", "APT::Sandbox::User=root"]).env("LC_ALL", "C")
    }

    /// Everything that is needed, as `name=version`, sorted by need.
    fn packages(&self) -> Outcome<Vec<String>> {
        let rustc = self.candidate(RUSTC)?;
        if version(&rustc) < version(OLDEST) {
            return Err(Failure::new(format!("apt offers {RUSTC} {rustc}, but {OLDEST} or newer is needed")));
        }
        let [major, minor, _] = version(&rustc);
        let library = format!("libstd-rust-web-{major}.{minor}");
        let llvm = llvm_of(&self.tool("apt-cache").args(["show", &format!("{library}={rustc}")]).read()?)
            .ok_or_else(|| Failure::new(format!("{library} {rustc} names no LLVM library among its dependencies")))?;
        let llvm = format!("{llvm}={}", self.candidate(&llvm)?);
        let mut packages =
            [RUSTC, &library, "libstd-rust-web-dev", "rust-web-src"].map(|name| format!("{name}={rustc}")).to_vec();
        packages.push(llvm);
        Ok(packages)
    }

    /// The version that apt would install.
    fn candidate(&self, package: &str) -> Outcome<String> {
        let said = self.tool("apt-cache").args(["policy", package]).read()?;
        candidate_of(&said).ok_or_else(|| Failure::new(format!("apt knows no package {package}")))
    }

    /// Downloads into `dir/deb`. A list can name files that the server has replaced since: then once more
    /// with new lists. Gives back what was downloaded.
    fn download(&self, dir: &Path, packages: Vec<String>) -> Outcome<Vec<String>> {
        let deb = dir.join("deb");
        fs::create_dir_all(&deb).map_err(|error| Failure::io("make", &deb, &error))?;
        let download = |apt: &Self, packages: &[String]| {
            apt.tool("apt-get").args(["-q", "download"]).args(packages).dir(&deb).run()
        };
        match download(self, &packages) {
            Ok(()) => Ok(packages),
            Err(failure) if self.options.is_empty() => {
                eprintln!("setup: {failure}");
                let newer = Self::with_new_lists(dir)?;
                let packages = newer.packages()?;
                remove(&deb)?;
                newer.download(dir, packages)
            }
            Err(failure) => Err(failure),
        }
    }
}

/// The candidate in what `apt-cache policy` says of one package.
fn candidate_of(policy: &str) -> Option<String> {
    let candidate = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate: "))?;
    (candidate != "(none)").then(|| candidate.to_owned())
}

/// The LLVM library among the dependencies in what `apt-cache show` says, as in `libllvm22`.
fn llvm_of(shown: &str) -> Option<String> {
    let depends = shown.lines().find_map(|line| line.strip_prefix("Depends: "))?;
    let names = depends.split([',', '|']).filter_map(|one| one.split_whitespace().next());
    names.map(|name| name.split(':').next().unwrap_or(name)).find(|name| name.starts_with("libllvm")).map(str::to_owned)
}

/// Unpacks every package into `dir`; of the source only the library, for the compiler's is 20 times as large.
fn unpack(dir: &Path) -> Outcome {
    let deb = dir.join("deb");
    let entries = fs::read_dir(&deb).map_err(|error| Failure::io("read", &deb, &error))?;
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("rust-web-src_")) {
            unpack_library(&path, dir)?;
        } else {
            Tool::new("dpkg-deb").arg("-x").arg(&path).arg(dir).read()?;
        }
    }
    Ok(())
}

fn unpack_library(deb: &Path, dir: &Path) -> Outcome {
    let failed = |error: &dyn std::fmt::Display| Failure::new(format!("can't unpack {}: {error}", deb.display()));
    let mut archive = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(deb)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failed(&error))?;
    let Some(pipe) = archive.stdout.take() else { return Err(failed(&"no pipe")) };
    let unpacked = Command::new("tar")
        .arg("-C")
        .arg(dir)
        .args(["-x", "--wildcards", "./usr/src/rustc-*/library"])
        .stdin(pipe)
        .status()
        .map_err(|error| failed(&error))?;
    let read = archive.wait().map_err(|error| failed(&error))?;
    if unpacked.success() && read.success() {
        Ok(())
    } else {
        Err(failed(&format!("dpkg-deb: {read}, tar: {unpacked}")))
    }
}

/// A program that starts the unpacked compiler with the unpacked libraries, wherever the folder lies.
fn write_wrapper(dir: &Path) -> Outcome<PathBuf> {
    let libraries = libraries(dir)?;
    let script = format!(
        "#!/bin/sh\n\
         # rustc that finds the libraries it was unpacked with.\n\
         d=$(dirname \"$(readlink -f \"$0\")\")/..\n\
         LD_LIBRARY_PATH=\"$d/{libraries}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}\" exec \"$d/usr/bin/rustc\" \"$@\"\n"
    );
    let rustc = toolchain::compiler(dir);
    let bin = dir.join("bin");
    fs::create_dir_all(&bin).map_err(|error| Failure::io("make", &bin, &error))?;
    fs::write(&rustc, script).map_err(|error| Failure::io("write", &rustc, &error))?;
    Tool::new("chmod").arg("+x").arg(&rustc).read()?;
    Ok(rustc)
}

/// The folder, relative to `dir`, that has the compiler's driver: Debian names it for the architecture.
fn libraries(dir: &Path) -> Outcome<String> {
    let all = dir.join("usr/lib");
    let entries = fs::read_dir(&all).map_err(|error| Failure::io("read", &all, &error))?;
    let has_driver = |folder: &Path| {
        let files = fs::read_dir(folder).into_iter().flatten().flatten();
        files.map(|file| file.file_name()).any(|name| name.to_string_lossy().starts_with("librustc_driver-"))
    };
    let found = entries.flatten().find(|entry| has_driver(&entry.path()));
    let found = found.ok_or_else(|| Failure::new(format!("no folder of {} has librustc_driver", all.display())))?;
    Ok(format!("usr/lib/{}", found.file_name().to_string_lossy()))
}

/// Compiles the standard library and puts it where the compiler looks for it.
///
/// `-Zforce-unstable-if-unmarked` is what the library is always built with: without it, crates that
/// only it may use would be open to everyone, which it then refuses itself. The feature gives the target
/// `memcpy` and the like, which no C library brings here.
fn compile_library(dir: &Path, rustc: &Path) -> Outcome {
    let source = library_source(dir)?;
    let manifest = source.join("sysroot/Cargo.toml");
    let build = dir.join("build");
    // The library's own manifests use features of cargo and of rustc that are closed to others.
    let cargo = |command| Tool::cargo().args([command, "--locked"]).env("RUSTC", rustc).env("RUSTC_BOOTSTRAP", "1");
    // First all sources, so that the flags below can name the folders that they lie in.
    cargo("fetch").arg("--manifest-path").arg(&manifest).run()?;
    let mut flags = vec!["-Zforce-unstable-if-unmarked".to_owned(), "-Cembed-bitcode=yes".to_owned()];
    flags.extend(toolchain::path_remaps()?);
    flags.push(format!("--remap-path-prefix={}=/rust/library", source.display()));
    cargo("build")
        .args(["--release", "--target", TARGET, "-p", "std", "-p", "panic_abort"])
        .args(["--features", "std/compiler-builtins-mem", "--manifest-path"])
        .arg(&manifest)
        .target(&build)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        .run()?;
    let built = build.join(TARGET).join("release/deps");
    let place = dir.join("usr/lib/rustlib").join(TARGET).join("lib");
    fs::create_dir_all(&place).map_err(|error| Failure::io("make", &place, &error))?;
    let entries = fs::read_dir(&built).map_err(|error| Failure::io("read", &built, &error))?;
    for path in entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "rlib"))
    {
        let Some(name) = path.file_name() else { continue };
        fs::copy(&path, place.join(name)).map_err(|error| Failure::io("copy", &path, &error))?;
    }
    Ok(())
}

fn library_source(dir: &Path) -> Outcome<PathBuf> {
    let sources = dir.join("usr/src");
    let entries = fs::read_dir(&sources).map_err(|error| Failure::io("read", &sources, &error))?;
    let mut libraries = entries.flatten().map(|entry| entry.path().join("library"));
    let found = libraries.find(|library| library.join("sysroot/Cargo.toml").is_file());
    found.ok_or_else(|| Failure::new(format!("no folder of {} has the library's source", sources.display())))
}

/// Compiles a crate that uses the library, before anything relies on it.
fn try_out(dir: &Path, rustc: &Path) -> Outcome {
    let folder = dir.join("try");
    fs::create_dir_all(&folder).map_err(|error| Failure::io("make", &folder, &error))?;
    let source = folder.join("crate.rs");
    fs::write(&source, "pub fn words(text: &str) -> Vec<String> { text.split(' ').map(str::to_owned).collect() }\n")
        .map_err(|error| Failure::io("write", &source, &error))?;
    Tool::new(rustc)
        .args(["--crate-type", "rlib", "--edition", "2024", "-Cpanic=abort", "--target", TARGET, "crate.rs"])
        .dir(&folder)
        .read()
        .map(drop)
}

fn write_stamp(dir: &Path, rustc: &Path, packages: &[String]) -> Outcome {
    let said = Tool::new(rustc).arg("-vV").read()?;
    let value = |name: &str| said.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
    let made = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let stamp =
        Stamp { recipe: RECIPE, rustc: value("release: "), host: value("host: "), packages: packages.to_vec(), made };
    let text = serde_json::to_string_pretty(&stamp)
        .map_err(|error| Failure::new(format!("can't write the stamp: {error}")))?;
    let path = dir.join(STAMP);
    fs::write(&path, text + "\n").map_err(|error| Failure::io("write", &path, &error))
}

/// Shows the entry under target/xtask, where one looks for what a clone uses. Nothing depends on it.
fn link(entry: &Path) -> Outcome {
    let own = place::own();
    fs::create_dir_all(&own).map_err(|error| Failure::io("make", &own, &error))?;
    let Some(name) = entry.file_name() else { return Ok(()) };
    let link = own.join(name);
    if fs::symlink_metadata(&link).is_ok() {
        fs::remove_file(&link).map_err(|error| Failure::io("remove", &link, &error))?;
    }
    std::os::unix::fs::symlink(entry, &link).map_err(|error| Failure::io("link", &link, &error))
}

fn remove(dir: &Path) -> Outcome {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Failure::io("remove", dir, &error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_candidate_is_read_from_what_apt_says() {
        let policy = "rustc-web:\n  Installed: (none)\n  Candidate: 1.96.0+dfsg1-1~deb12u2\n  Version table:\n";
        assert_eq!(candidate_of(policy).as_deref(), Some("1.96.0+dfsg1-1~deb12u2"));
        assert_eq!(candidate_of("rustc-web:\n  Installed: (none)\n  Candidate: (none)\n"), None);
        assert_eq!(candidate_of(""), None);
    }

    #[test]
    fn the_llvm_library_is_found_among_the_dependencies() {
        let shown = "Package: x\nDepends: libc6 (>= 2.34), libllvm22 (>= 1:22.1), libstdc++6 (>= 11)\n";
        assert_eq!(llvm_of(shown).as_deref(), Some("libllvm22"));
        assert_eq!(llvm_of("Depends: libc6, libllvm19:amd64\n").as_deref(), Some("libllvm19"));
        assert_eq!(llvm_of("Depends: libc6\n"), None);
    }

    #[test]
    fn an_entry_of_other_packages_has_another_name() {
        let name = |packages: &[&str]| entry_name(&packages.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>());
        assert_eq!(name(&["a=1"]), name(&["a=1"]));
        assert_ne!(name(&["a=1"]), name(&["a=2"]));
        assert!(name(&["a=1"]).starts_with("wasm-toolchain-"));
    }
}
