//! Builds the example plugins.
//!
//! One `cargo build` in their workspace makes components at the places that their `plugin.toml` name, as
//! it does for anyone who writes a plugin. What xtask adds is the compiler, flags that keep this machine's
//! folders out of the files, and a look at the result.

use std::fs;
use std::path::{Path, PathBuf};

use crate::component;
use crate::failure::{Failure, Outcome};
use crate::place;
use crate::tool::Tool;
use crate::toolchain::{self, TARGET, Toolchain};

/// Builds all of them where their manifests say, and looks at each; cargo skips what has not changed.
pub(crate) fn build(toolchain: &Toolchain) -> Outcome {
    let plugins = place::plugins();
    compile(toolchain, &plugins.join("target"))?;
    for manifest in manifests(&plugins)? {
        eprintln!("guests: {}", inspect(&manifest)?);
    }
    Ok(())
}

/// Compiles all of them into a target folder.
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
fn manifests(plugins: &Path) -> Outcome<Vec<PathBuf>> {
    let entries = fs::read_dir(plugins).map_err(|error| Failure::io("read", plugins, &error))?;
    let mut found: Vec<_> = entries.flatten().map(|entry| entry.path().join("plugin.toml")).collect();
    found.retain(|path| path.is_file());
    found.sort();
    Ok(found)
}

/// Looks at the component that a manifest names, and describes it in a line.
fn inspect(manifest: &Path) -> Outcome<String> {
    let text = fs::read_to_string(manifest).map_err(|error| Failure::io("read", manifest, &error))?;
    let named = component_of(&text)
        .ok_or_else(|| Failure::new(format!("{} has no `component` in [build]", manifest.display())))?;
    let path = manifest.with_file_name("").join(named);
    let bytes = fs::read(&path).map_err(|error| Failure::io("read the component", &path, &error))?;
    let broken = |what: &str| Failure::new(format!("{} {what}", path.display()));
    let outside = component::outside(&bytes).map_err(broken)?;
    if let Some(import) = outside.imports.iter().find(|name| name.starts_with("wasi:")) {
        return Err(broken(&format!("imports {import}, but the examples ask for nothing"))
            .fix(format!("build for {TARGET} and use no clock, file or randomness of std")));
    }
    let folders = [Some(place::root()), place::cargo_home(), place::home()];
    let folders = folders.into_iter().flatten().map(|folder| folder.display().to_string());
    if let Some(folder) = folders.filter(|folder| folder.len() > 1).find(|folder| contains(&bytes, folder.as_bytes())) {
        return Err(broken(&format!("has the folder {folder} of this machine in it"))
            .fix("add it to `path_remaps` in xtask/src/toolchain.rs"));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(format!("{name}: {} KB, imports {}", bytes.len().div_ceil(1000), outside.imports.join(", ")))
}

/// The value of `component` in the table `[build]`: as much TOML as a manifest of ours needs.
fn component_of(manifest: &str) -> Option<&str> {
    let build = manifest.split("\n[build]\n").nth(1)?.split("\n[").next()?;
    let value = build.lines().find_map(|line| line.strip_prefix("component = \""))?;
    value.strip_suffix('"')
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
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
    fn every_example_names_the_file_that_cargo_makes_for_it() {
        let manifests = manifests(&place::plugins()).expect("read");
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
