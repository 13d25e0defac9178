//! What compiled code is named by.

use std::hash::{Hash, Hasher};

use stoa_core::digest::{self, Digest};
use wasmtime::Engine;

use super::scan;
use crate::engine::PROFILE;

/// Names compiled code by all that it depends on: the component, and whatever shapes the compiler's output and its
/// record. The component alone is not enough: two builds would overwrite each other's code while it is mapped.
pub(super) fn key(engine: &Engine, artifact: Digest) -> Digest {
    let mut feed = Feed::new();
    // `Hash` of text and slices ends or begins each part unmistakably.
    ("aot/2", artifact.as_bytes(), PROFILE, scan::VERSION).hash(&mut feed);
    platform(engine, &mut feed);
    feed.0.finish()
}

fn platform(engine: &Engine, feed: &mut Feed) {
    (env!("CARGO_PKG_VERSION"), std::env::consts::ARCH, std::env::consts::OS).hash(feed);
    // Engine version, target, CPU features, tunables and WebAssembly features.
    engine.precompile_compatibility_hash().hash(feed);
}

/// Hashes with SHA-256 what was made for the hash tables of one process.
struct Feed(digest::Hasher);

impl Feed {
    fn new() -> Self {
        Self(digest::Hasher::new())
    }
}

impl Hasher for Feed {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
    fn finish(&self) -> u64 {
        0
    }
}
