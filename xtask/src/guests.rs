//! Builds the example plugins.
//!
//! One `cargo build` in their workspace makes components at the places that their `plugin.toml` name, as
//! it does for anyone who writes a plugin in Rust; for those in other languages see [`crate::embedded`]. What xtask adds is the compiler, flags that keep this machine's
//! folders out of the files, and a look at the result.

use std::fs;
use std::path::{Path, PathBuf};

use crate::component;
use crate::failure::{Failure, Outcome};
use crate::place;
use crate::tool::Tool;
use crate::toolchain::{self, TARGET, Toolchain};

/// Builds all of them that are written in Rust where their manifests say, and looks at each; cargo skips what has not changed.
pub(crate) fn build(toolchain: &Toolchain) -> Outcome {
    let plugins = place::plugins();
    compile(toolchain, &plugins.join("target"))?;
    for manifest in manifests(&plugins)?.iter().filter(|manifest| is_rust(manifest)) {
        let folders = [Some(place::root()), place::cargo_home(), place::home()];
        refuse_folders(&component_at(manifest)?, folders.into_iter().flatten())?;
        eprintln!("guests: {}", inspect(manifest)?);
    }
    Ok(())
}

/// Compiles all that are written in Rust into a target folder.
pub(crate) fn compile(toolchain: &Toolchain, target: &Path) -> Outcome {
    let plugins = place::plugins();
    toolchain.claim(target)?;
    // First all sources, so that the flags can name the folders that they lie in.
    Tool::cargo().args(["fetch", "--quiet", "--locked"]).dir(&plugins).run()?;
    let build = Tool::cargo().args(["build", "--release", "--locked", "--target", TARGET]).dir(&plugins);
    toolchain
        .apply(build)?
        .target(target)
        .env("CARGO_ENCODED_RUSTFLAGS", toolchain::path_remaps()?.join("\u{1f}"))
        .run()
}

/// The `plugin.toml` of each plugin in a folder, sorted.
pub(crate) fn manifests(plugins: &Path) -> Outcome<Vec<PathBuf>> {
    let entries = fs::read_dir(plugins).map_err(|error| Failure::io("read", plugins, &error))?;
    let mut found: Vec<_> = entries.flatten().map(|entry| entry.path().join("plugin.toml")).collect();
    found.retain(|path| path.is_file());
    found.sort();
    Ok(found)
}

fn is_rust(manifest: &Path) -> bool {
    manifest.with_file_name("Cargo.toml").is_file()
}

/// The file that a manifest names as its component.
fn component_at(manifest: &Path) -> Outcome<PathBuf> {
    let text = fs::read_to_string(manifest).map_err(|error| Failure::io("read", manifest, &error))?;
    let named = component_of(&text)
        .ok_or_else(|| Failure::new(format!("{} has no `component` in [build]", manifest.display())))?;
    Ok(manifest.with_file_name("").join(named))
}

/// Looks at the component that a manifest names, and describes it in a line.
pub(crate) fn inspect(manifest: &Path) -> Outcome<String> {
    let path = component_at(manifest)?;
    let bytes = fs::read(&path).map_err(|error| Failure::io("read the component", &path, &error))?;
    let broken = |what: &str| Failure::new(format!("{} {what}", path.display()));
    let outside = component::outside(&bytes).map_err(broken)?;
    if let Some(import) = outside.imports.iter().find(|name| name.starts_with("wasi:")) {
        return Err(broken(&format!("imports {import}, but the examples ask for nothing"))
            .fix(format!("build for {TARGET} and use no clock, file or randomness of std")));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let imports = if outside.imports.is_empty() { "nothing".to_owned() } else { outside.imports.join(", ") };
    Ok(format!("{name}: {} KB, imports {imports}", bytes.len().div_ceil(1000)))
}

/// Refuses a component that has a folder of this machine in it.
pub(crate) fn refuse_folders(path: &Path, folders: impl IntoIterator<Item = PathBuf>) -> Outcome {
    let bytes = fs::read(path).map_err(|error| Failure::io("read the component", path, &error))?;
    let folders = folders.into_iter().map(|folder| folder.display().to_string());
    match folders.filter(|folder| folder.len() > 1).find(|folder| contains(&bytes, folder.as_bytes())) {
        None => Ok(()),
        Some(folder) => {
            let what = format!("{} has the folder {folder} of this machine in it", path.display());
            Err(Failure::new(what).fix("for Rust, add it to `path_remaps` in xtask/src/toolchain.rs"))
        }
    }
}

/// The value of `component` in the table `[build]`: as much TOML as a manifest of ours needs.
fn component_of(manifest: &str) -> Option<&str> {
    let build = manifest.split("\n[build]\n").nth(1)?.split("\n[").next()?;
    let value = build.lines().find_map(|line| line.strip_prefix("component = \""))?;
    value.strip_suffix('"')
}

/// By the first byte: comparing at every place of 18 MB takes seconds in a build that is not optimized.
fn contains(bytes: &[u8], part: &[u8]) -> bool {
    let Some(first) = part.first() else { return true };
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        if rest[at..].starts_with(part) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_component_is_the_one_of_the_build_table() {
        let manifest = "manifest = 1\n\n[plugin]\nid = \"a:b\"\n\n[build]\nwit = \"wit\"\ncomponent = \"../x.wasm\"\n\n[host]\ncomponent = \"no\"\n";
        assert_eq!(component_of(manifest), Some("../x.wasm"));
        assert_eq!(component_of("manifest = 1\n\n[host]\ncomponent = \"no\"\n"), None);
    }

    #[test]
    fn a_folder_in_a_component_is_found_wherever_it_stands() {
        for (bytes, found) in [("/a/b", true), ("x//a/b/c", true), ("/a/", false), ("", false), ("/a//a/b", true)] {
            assert_eq!(contains(bytes.as_bytes(), b"/a/b"), found, "{bytes}");
        }
        let path = std::env::temp_dir().join(format!("xtask-folders-{}", std::process::id()));
        fs::write(&path, "xx/home/me/.cargo/x").expect("written");
        refuse_folders(&path, ["/home/you".into(), "/".into()]).expect("none of these");
        let failure = refuse_folders(&path, ["/home/me".into()]).expect_err("refused").to_string();
        assert!(failure.contains(" has the folder /home/me of this machine in it\n"), "{failure}");
        fs::remove_file(&path).expect("removed");
    }

    #[test]
    fn every_example_in_another_language_names_a_file_in_its_own_target_folder() {
        let manifests = manifests(&place::plugins()).expect("read");
        let others = manifests.iter().filter(|manifest| !is_rust(manifest));
        let named: Vec<_> =
            others.map(|m| component_of(&fs::read_to_string(m).expect("read")).map(str::to_owned)).collect();
        assert_eq!(named, [Some("target/highlight.wasm".into()), Some("target/wordcount.wasm".into())]);
    }

    #[test]
    fn every_example_in_rust_names_the_file_that_cargo_makes_for_it() {
        let mut manifests = manifests(&place::plugins()).expect("read");
        manifests.retain(|manifest| is_rust(manifest));
        let folders: Vec<_> =
            manifests.iter().map(|path| path.parent().and_then(Path::file_name).expect("a folder")).collect();
        assert_eq!(folders, ["markdown", "site", "slugify"]);
        for (manifest, folder) in manifests.iter().zip(folders) {
            let text = fs::read_to_string(manifest).expect("read");
            let file = format!("../target/{TARGET}/release/demo_{}.wasm", folder.to_string_lossy());
            assert_eq!(component_of(&text), Some(file.as_str()));
        }
    }
}
