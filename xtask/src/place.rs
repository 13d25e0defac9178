//! Where things are.

use std::env;
use std::path::{Path, PathBuf};

/// The repository's folder.
pub(crate) fn root() -> PathBuf {
    // Known when xtask is compiled; a clone that was moved since has its xtask compiled again, because
    // cargo keeps the target folder's fingerprints by path.
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_owned()
}

/// The example plugins, a workspace of their own.
pub(crate) fn plugins() -> PathBuf {
    root().join("examples/plugins")
}

/// What xtask makes for this clone alone.
pub(crate) fn own() -> PathBuf {
    root().join("target/xtask")
}

/// Cargo's own folder, where the sources of registry crates lie.
pub(crate) fn cargo_home() -> Option<PathBuf> {
    folder_of("CARGO_HOME").or_else(|| Some(home()?.join(".cargo")))
}

/// The user's home folder.
pub(crate) fn home() -> Option<PathBuf> {
    folder_of("HOME")
}

fn folder_of(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}
