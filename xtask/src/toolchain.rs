//! A Rust compiler that can make WebAssembly.
//!
//! Asked in this order: the compiler in use, which has the target once rustup added it; a private
//! compiler that was made before; rustup; and where rustup can't reach its server, Debian's packages, out
//! of which [`debian`] makes a private compiler.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cache::Cache;
use crate::debian;
use crate::failure::{Failure, Outcome};
use crate::place;
use crate::tool::Tool;

/// What plugins are compiled for. It has no WASI to offer, so they import none.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// The oldest compiler that this workspace and the example plugins are written for.
pub(crate) const OLDEST: &str = env!("CARGO_PKG_RUST_VERSION");

/// The file that makes a private compiler's folder a whole one. Written last.
pub(crate) const STAMP: &str = "ready.json";

/// Goes up when [`debian`] makes another compiler of the same packages, or a stamp reads differently.
pub(crate) const RECIPE: u32 = 1;

/// rustup needs seconds, or fails at once; an answer that never comes must not hold up the rest.
const RUSTUP_LIMIT: Duration = Duration::from_secs(180);

/// A compiler that has the target.
#[derive(Debug)]
pub(crate) enum Toolchain {
    /// The one that compiles everything else, by what `rustc -V` says of it.
    InUse(String),
    /// One of our own.
    Private { dir: PathBuf, stamp: Stamp },
}

/// What a private compiler is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    /// [`RECIPE`] of its time.
    pub(crate) recipe: u32,
    /// Its version, as in `1.96.0`.
    pub(crate) rustc: String,
    /// The machine it runs on, as in `x86_64-unknown-linux-gnu`.
    pub(crate) host: String,
    /// Every package it was made of, as in `rustc-web=1.96.0+dfsg1-1~deb12u2`.
    pub(crate) packages: Vec<String>,
    /// Seconds since 1970 when it was made. Of the same packages a second one differs in this alone, and
    /// cargo would not notice that what it compiled with the first no longer fits.
    pub(crate) made: u64,
}

impl Toolchain {
    /// Whatever was compiled for the target under another identity must be compiled again.
    pub(crate) fn identity(&self) -> String {
        match self {
            Self::InUse(version) => version.clone(),
            Self::Private { dir, stamp } => format!("{} {}", dir.display(), stamp.made),
        }
    }

    /// Makes a target folder ready for it, by removing what another compiler made for the target. Cargo
    /// tells compilers apart by their version, so a private one that was made again would leave it with
    /// files that no longer fit.
    pub(crate) fn claim(&self, target: &Path) -> Outcome {
        claim_as(target, &self.identity())
    }

    /// Makes a cargo command compile with it.
    pub(crate) fn apply(&self, tool: Tool) -> Outcome<Tool> {
        match self {
            Self::InUse(_) => Ok(tool),
            Self::Private { dir, .. } => Ok(tool.env("RUSTC", compiler(dir)).env("PATH", path_with_linkers()?)),
        }
    }
}

/// The search path with the linkers of the compiler in use in front. Debian's packages have no component
/// linker, and that of any compiler serves every other.
fn path_with_linkers() -> Outcome<OsString> {
    let linkers = sysroot()?.join(format!("lib/rustlib/{}/bin", host()?));
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(std::iter::once(linkers).chain(std::env::split_paths(&path)))
        .map_err(|error| Failure::new(format!("the linkers' folder can't stand in PATH: {error}")))
}

fn claim_as(target: &Path, identity: &str) -> Outcome {
    let claim = target.join("toolchain.txt");
    if fs::read_to_string(&claim).is_ok_and(|made_by| made_by == identity) {
        return Ok(());
    }
    let stale = target.join(TARGET);
    if stale.exists() {
        fs::remove_dir_all(&stale).map_err(|error| Failure::io("remove", &stale, &error))?;
    }
    fs::create_dir_all(target).map_err(|error| Failure::io("make", target, &error))?;
    fs::write(&claim, identity).map_err(|error| Failure::io("write", &claim, &error))
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse(version) => write!(f, "{version} has {TARGET}"),
            Self::Private { dir, stamp } => {
                write!(f, "private rustc {} in {} has {TARGET}", stamp.rustc, dir.display())
            }
        }
    }
}

/// The program in a private compiler's folder.
pub(crate) fn compiler(dir: &Path) -> PathBuf {
    dir.join("bin/rustc")
}

/// A compiler with the target, made if need be.
pub(crate) fn ensure() -> Outcome<Toolchain> {
    let cache = Cache::open();
    let private_only = private_only(std::env::var("STOA_WASM_TOOLCHAIN").ok().as_deref())?;
    if !private_only && let Some(found) = in_use()? {
        return Ok(found);
    }
    if let Some(found) = private(&cache)? {
        return Ok(found);
    }
    let rustup = if private_only {
        "not asked, because STOA_WASM_TOOLCHAIN is `private`".to_owned()
    } else {
        match rustup()? {
            Ok(found) => return Ok(found),
            Err(why) => {
                eprintln!("setup: {why}");
                why.to_string()
            }
        }
    };
    debian::make(&cache).map_err(|failure| {
        Failure::new(format!("no compiler here can make {TARGET}\n  rustup: {rustup}\n  Debian's packages: {failure}"))
            .fix(format!("`rustup target add {TARGET}` where rustup can reach its server, or a Debian 12 with apt-get"))
    })?;
    private(&cache)?.ok_or_else(|| Failure::new("the compiler that was just made is not there"))
}

fn private_only(value: Option<&str>) -> Outcome<bool> {
    match value {
        None | Some("" | "auto") => Ok(false),
        Some("private") => Ok(true),
        Some(other) => Err(Failure::new(format!("STOA_WASM_TOOLCHAIN is `{other}`, but must be `auto` or `private`"))),
    }
}

/// The compiler in use, if it has the target.
fn in_use() -> Outcome<Option<Toolchain>> {
    if !sysroot()?.join("lib/rustlib").join(TARGET).join("lib").is_dir() {
        return Ok(None);
    }
    let version = Tool::rustc().arg("-V").read()?;
    Ok(Some(Toolchain::InUse(version.trim().to_owned())))
}

/// Asks rustup for the target. The inner failure is what rustup said.
fn rustup() -> Outcome<Result<Toolchain, Failure>> {
    eprintln!("setup: installing {TARGET} for the compiler in use (rustup, about 20 MB)");
    let rustup = Tool::new("rustup").args(["target", "add", TARGET]).env("RUST_BACKTRACE", "0");
    if let Err(failure) = rustup.run_within(RUSTUP_LIMIT) {
        return Ok(Err(failure));
    }
    Ok(in_use()?.ok_or_else(|| Failure::new(format!("rustup added {TARGET} to another toolchain than the one in use"))))
}

/// The newest whole and working private compiler of the cache.
fn private(cache: &Cache) -> Outcome<Option<Toolchain>> {
    let host = host()?;
    let stamped = cache.entries().into_iter().filter_map(|dir| {
        let stamp: Stamp = serde_json::from_slice(&fs::read(dir.join(STAMP)).ok()?).ok()?;
        usable(&stamp, &host).then_some((dir, stamp))
    });
    let mut found: Vec<_> = stamped.collect();
    found.sort_by_key(|(_, stamp)| (version(&stamp.rustc), stamp.made));
    // Run once: a cache can be copied to a machine that lacks a library, or lose a file to a cleaner.
    let works = |dir: &Path| Tool::new(compiler(dir)).arg("-V").read().is_ok();
    Ok(found.into_iter().rev().find(|(dir, _)| works(dir)).map(|(dir, stamp)| Toolchain::Private { dir, stamp }))
}

fn usable(stamp: &Stamp, host: &str) -> bool {
    stamp.recipe == RECIPE && stamp.host == host && version(&stamp.rustc) >= version(OLDEST)
}

/// The folder of the compiler in use.
fn sysroot() -> Outcome<PathBuf> {
    Ok(PathBuf::from(Tool::rustc().args(["--print", "sysroot"]).read()?.trim()))
}

/// The machine, in rustc's words.
pub(crate) fn host() -> Outcome<String> {
    let said = Tool::rustc().arg("-vV").read()?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| Failure::new("`rustc -vV` names no host"))
}

/// Numbers of a version such as `1.96.0` or `1.96.0+dfsg1-1~deb12u2`, for comparing. Missing ones are 0.
pub(crate) fn version(text: &str) -> [u32; 3] {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let mut numbers = text[..end].split('.').map(|number| number.parse().unwrap_or(0));
    std::array::from_fn(|_| numbers.next().unwrap_or(0))
}

/// Flags that keep the folders of registry crates, of this repository and of the user out of what is
/// compiled: panic messages name source files.
pub(crate) fn path_remaps() -> Outcome<Vec<String>> {
    let mut remaps = vec![format!("--remap-path-prefix={}=/stoa", place::root().display())];
    if let Some(cargo) = place::cargo_home() {
        remaps.push(format!("--remap-path-prefix={}=/cargo", cargo.display()));
        // Of several prefixes that fit the last one counts, so these come behind.
        for registry in fs::read_dir(cargo.join("registry/src")).into_iter().flatten().flatten() {
            remaps.push(format!("--remap-path-prefix={}=/crates", registry.path().display()));
        }
    }
    Ok(remaps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp() -> Stamp {
        Stamp {
            recipe: RECIPE,
            rustc: format!("{OLDEST}.0"),
            host: "x86_64-unknown-linux-gnu".into(),
            packages: vec!["rustc-web=1".into()],
            made: 7,
        }
    }

    #[test]
    fn versions_compare_by_number_and_ignore_what_a_distribution_adds() {
        assert_eq!(version("1.96.0+dfsg1-1~deb12u2"), [1, 96, 0]);
        assert_eq!(version("1.95"), [1, 95, 0]);
        assert!(version("1.100.0") > version("1.99.9"));
        assert_eq!(version(""), [0, 0, 0]);
    }

    #[test]
    fn only_a_compiler_of_this_recipe_machine_and_a_fitting_age_is_used() {
        let host = "x86_64-unknown-linux-gnu";
        assert!(usable(&stamp(), host));
        assert!(!usable(&stamp(), "aarch64-unknown-linux-gnu"));
        assert!(!usable(&Stamp { recipe: RECIPE + 1, ..stamp() }, host));
        assert!(!usable(&Stamp { rustc: "1.85.0".into(), ..stamp() }, host));
    }

    #[test]
    fn a_compiler_made_again_has_another_identity() {
        let private = |made| Toolchain::Private { dir: "/c/t".into(), stamp: Stamp { made, ..stamp() } };
        assert_eq!(private(7).identity(), "/c/t 7");
        assert_ne!(private(7).identity(), private(8).identity());
    }

    #[test]
    fn a_choice_that_is_none_is_refused() {
        assert!(!private_only(None).expect("auto") && !private_only(Some("auto")).expect("auto"));
        assert!(private_only(Some("private")).expect("private"));
        assert_eq!(
            private_only(Some("rustup")).expect_err("refused").to_string(),
            "STOA_WASM_TOOLCHAIN is `rustup`, but must be `auto` or `private`"
        );
    }

    #[test]
    fn what_another_compiler_made_is_removed_and_what_this_one_made_stays() {
        let target = std::env::temp_dir().join(format!("xtask-claim-{}", std::process::id()));
        let made = target.join(TARGET).join("x.wasm");
        let make = || {
            fs::create_dir_all(made.parent().expect("a folder")).expect("made");
            fs::write(&made, "x").expect("written");
        };
        make();
        claim_as(&target, "one").expect("claimed");
        assert!(!made.exists(), "made by an unknown compiler");
        make();
        claim_as(&target, "one").expect("claimed");
        assert!(made.exists(), "made by this compiler");
        claim_as(&target, "two").expect("claimed");
        assert!(!made.exists(), "made by another compiler");
        fs::remove_dir_all(&target).expect("removed");
    }
}
