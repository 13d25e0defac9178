//! The one place where bytes become code of this process.
#![expect(
    unsafe_code,
    reason = "running compiled code is unsafe by nature: it must be the engine's own output, unchanged. Callers \
              of this module have checked that under a key that only this user has"
)]

use std::{fs::File, path::Path};

use wasmtime::{Engine, component::Component};

/// Maps the compiled code that `file` holds. Its bytes were authenticated through this very descriptor;
/// `path` is where it was opened.
#[cfg(target_os = "linux")]
pub(super) fn from_file(engine: &Engine, file: &File, _path: &Path) -> wasmtime::Result<Component> {
    use std::os::fd::AsRawFd as _;
    // The descriptor's own link: it names the open file, whatever its path names by now (decision 0010).
    let through = format!("/proc/self/fd/{}", file.as_raw_fd());
    // SAFETY: the caller authenticated the bytes of this open file as this engine's output. The mapping is
    // private. Only a process of the same user could change the file in place; it could as well change this
    // program.
    unsafe { Component::deserialize_file(engine, through) }
}

/// Maps the compiled code at `path`, which is where `file` was opened and authenticated.
#[cfg(not(target_os = "linux"))]
pub(super) fn from_file(engine: &Engine, file: &File, path: &Path) -> wasmtime::Result<Component> {
    let same = || super::file::still_named(file, path);
    let replaced = || wasmtime::Error::msg("the file was replaced while it was loaded");
    if !same()? {
        return Err(replaced());
    }
    // SAFETY: as on Linux, but by name: the name led to the authenticated file before, and does after.
    let component = unsafe { Component::deserialize_file(engine, path)? };
    if same()? { Ok(component) } else { Err(replaced()) }
}

/// Loads code that `engine` has just compiled.
pub(super) fn from_memory(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: the only caller passes on what `precompile_component` of this engine returned.
    unsafe { Component::deserialize(engine, code) }
}
