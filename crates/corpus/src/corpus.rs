//! Plugins and their releases.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stoa_core::{
    digest::{Digest, Hasher},
    event::{Fact, MAX_RELEASES_PER_EVENT},
    id::PluginId,
    release::Release,
};

/// Namespaces: a prime, so that neighbours share nothing.
const NAMESPACES: usize = 97;
/// How often 32 bytes repeat in a component: 2 KiB, so that ten thousand fit into memory and tests stay quick.
const REPEATS: usize = 64;

/// Plugins out of a seed, counted from 0. It holds none of them: each is made when it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Corpus {
    seed: u64,
    plugins: usize,
}

/// What a release names by digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blobs {
    /// Stands for a component. It is none: nothing that only follows the index looks into it.
    pub artifact: Vec<u8>,
    /// The interfaces as text.
    pub wit: Vec<u8>,
    /// A page about it, in Markdown.
    pub readme: Vec<u8>,
}

impl Corpus {
    /// `plugins` plugins whose content differs from that of every other seed. Names do not differ, so that a plugin is in
    /// the same bin for every seed.
    pub const fn new(seed: u64, plugins: usize) -> Self {
        Self { seed, plugins }
    }

    /// How many plugins there are.
    pub const fn plugins(&self) -> usize {
        self.plugins
    }

    /// The n-th plugin. Names are spread as names are: no two bins get the same share.
    ///
    /// # Panics
    /// Where a rule for names has changed so that these are none any more.
    pub fn id(&self, n: usize) -> PluginId {
        format!("space-n{}:plugin-n{n}", n % NAMESPACES).parse().expect("names of letters and digits")
    }

    /// What the release of a plugin holds.
    pub fn blobs(&self, n: usize, version: &str) -> Blobs {
        let (id, unlike) = (self.id(n), self.unlike(n, version));
        let interface =
            |name| format!("interface {name} {{\n  run: func(input: string) -> result<string, string>;\n}}\n");
        let wit = format!(
            "package {id}@1.0.0;\n\n{}\n{}\nworld plugin {{\n  export api;\n  export more;\n}}\n",
            interface("api"),
            interface("more")
        );
        let readme = format!(
            "# {id}\n\nDoes what number {n} does.\n\n## Use\n\n```\nstoa run {id} --invoke 'run(\"a\")'\n```\n\n\
             Built as `{}`.\n",
            unlike.short(16)
        );
        Blobs { artifact: unlike.as_bytes().repeat(REPEATS), wit: wit.into_bytes(), readme: readme.into_bytes() }
    }

    /// A record of common size, two exports, four imports, some words, that names [`Self::blobs`].
    ///
    /// # Panics
    /// Where `version` is none, or a rule for records has changed so that this is none any more.
    pub fn release(&self, n: usize, version: &str) -> Release {
        let (id, blobs) = (self.id(n), self.blobs(n, version));
        let types = |of: &str| Digest::of(of.as_bytes()).short(16);
        let wasi = ["cli/stdout", "clocks/wall-clock", "io/streams", "random/random"];
        let imports: Vec<_> = wasi
            .iter()
            .map(|name| json!({"name": format!("wasi:{name}@0.2.6"), "types": types(name), "from": "wasi"}))
            .collect();
        let exports: Vec<_> = ["api", "more"]
            .iter()
            .map(|name| json!({"name": format!("{id}/{name}@1.0.0"), "types": types(&format!("{id} {name}"))}))
            .collect();
        let record = json!({
            "format": 1, "id": id, "version": version, "kind": "plugin",
            "artifact": named(&blobs.artifact), "wit": named(&blobs.wit), "readme": named(&blobs.readme),
            "exports": exports, "imports": imports, "tracks": ["wasi:0.2"],
            "description": format!("Does what number {n} of {} plugins does, in one line", self.plugins),
            "license": "MIT OR Apache-2.0", "repository": format!("https://code.example/{n}"),
            "keywords": ["one", "two", "three"],
        });
        Release::read(record.to_string().as_bytes()).expect("a record as authors write it")
    }

    /// Releases of the plugins of these numbers, as the log takes them: as many in an event as one may have.
    pub fn released(&self, numbers: impl IntoIterator<Item = usize>, version: &str) -> impl Iterator<Item = Fact> {
        let mut numbers = numbers.into_iter();
        std::iter::from_fn(move || {
            let mut releases: Vec<_> =
                numbers.by_ref().take(MAX_RELEASES_PER_EVENT).map(|n| self.release(n, version)).collect();
            releases.sort_by(|a, b| a.id.cmp(&b.id));
            (!releases.is_empty()).then(|| Fact::Released { releases, attestations: BTreeMap::new() })
        })
    }

    /// What makes this release another one than any of another plugin, version or seed.
    fn unlike(&self, n: usize, version: &str) -> Digest {
        let mut hasher = Hasher::new();
        hasher.update(&self.seed.to_be_bytes());
        hasher.update(&(n as u64).to_be_bytes());
        hasher.update(version.as_bytes());
        hasher.finish()
    }
}

fn named(bytes: &[u8]) -> Value {
    json!({"digest": Digest::of(bytes), "size": bytes.len()})
}
