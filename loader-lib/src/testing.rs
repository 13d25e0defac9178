//! For tests of hosts: plans made by hand from components' bytes, faults in the phases of plugins and in the cache
//! of compiled code, and a count of what a host holds.
//!
//! Components may be written as text and turned into bytes by the crate `wat`, so that a host's tests need
//! no WebAssembly toolchain.

mod faults;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use stoa_core::{capability::Needs, digest::Digest, lock::Publisher};

use crate::{
    grant::Voucher,
    host::Host,
    limits::Wishes,
    plan::{
        Binding, Charter, ConfigValue, Edge, Fetch, Instances, OnFailure, Origin, Plan, PlannedPlugin, Reload,
        RuntimeOptions,
    },
};

pub use self::faults::{FaultError, Faults, Gate};
pub use crate::{breaker::Clock, census::Census};

/// Counts what `host` holds.
pub fn census<S: Send + 'static>(host: &Host<S>) -> Census {
    host.shared().census()
}

/// The configuration of the engine of every host: what compares a host with bare wasmtime has to have the same.
pub fn engine_config() -> wasmtime::Config {
    crate::engine::config()
}

/// Why a plan could not be made.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// Makes a [`Plan`] of components given as bytes, which it writes to a folder.
///
/// What is said about a plugin holds for the one added last.
#[derive(Debug)]
pub struct PlanBuilder {
    folder: PathBuf,
    plugins: Vec<PlannedPlugin>,
    error: Option<Error>,
}

impl PlanBuilder {
    /// A plan without plugins. Components go to `folder`, which must exist.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), plugins: Vec::new(), error: None }
    }

    /// Adds a plugin after those it depends on.
    #[must_use]
    pub fn plugin(mut self, id: &str, version: &str, component: &[u8]) -> Self {
        match self.planned(id, version, component) {
            Ok(planned) => self.plugins.push(planned),
            Err(error) => self.error = self.error.or(Some(error)),
        }
        self
    }

    fn planned(&self, id: &str, version: &str, component: &[u8]) -> Result<PlannedPlugin, Error> {
        let artifact = Digest::of(component);
        let path = self.folder.join(format!("{artifact}.wasm"));
        fs::write(&path, component)?;
        Ok(PlannedPlugin {
            registry: "test".into(),
            id: id.parse()?,
            version: version.parse()?,
            artifact,
            origin: Origin::File(path),
            dependencies: Vec::new(),
            charter: Charter::default(),
            limits: Wishes::default(),
            runtime: RuntimeOptions::default(),
            config: Default::default(),
            rank: u32::try_from(self.plugins.len())?,
            quarantined: None,
        })
    }

    fn last(mut self, change: impl FnOnce(&mut PlannedPlugin) -> Result<(), Error>) -> Self {
        let outcome = match self.plugins.last_mut() {
            Some(last) => change(last),
            None => Err("the plan has no plugin yet".into()),
        };
        self.error = self.error.or(outcome.err());
        self
    }

    /// The last plugin imports `interfaces` from `on`, which exports them by the same names, and sees failures as
    /// values.
    #[must_use]
    pub fn depends_on(self, on: &str, interfaces: &[&str]) -> Self {
        self.edge(on, interfaces, OnFailure::Value)
    }

    /// The same, but a failure makes it trap.
    #[must_use]
    pub fn depends_or_traps_on(self, on: &str, interfaces: &[&str]) -> Self {
        self.edge(on, interfaces, OnFailure::Trap)
    }

    fn edge(self, on: &str, interfaces: &[&str], on_failure: OnFailure) -> Self {
        let same = |name: &&str| Binding { import: (*name).to_owned(), export: (*name).to_owned() };
        let bindings = interfaces.iter().map(same).collect();
        self.last(|last| {
            last.dependencies.push(Edge { on: on.parse()?, bindings, on_failure });
            Ok(())
        })
    }

    /// The import `import` of the last plugin is answered by the export of another name.
    #[must_use]
    pub fn answered_by(self, import: &str, export: &str) -> Self {
        self.last(|last| {
            let mut bindings = last.dependencies.iter_mut().flat_map(|edge| &mut edge.bindings);
            let binding = bindings.find(|binding| binding.import == import);
            binding.ok_or_else(|| format!("the last plugin does not import {import}"))?.export = export.to_owned();
            Ok(())
        })
    }

    /// What the last plugin asks for, as in a manifest: `http.out:https://api.example`.
    #[must_use]
    pub fn asks(self, capabilities: &[&str]) -> Self {
        self.last(|last| {
            let texts: Vec<String> = capabilities.iter().map(|text| (*text).to_owned()).collect();
            last.charter = Charter::asking(&Needs::default().asking(&texts));
            Ok(())
        })
    }

    /// What a signed index lists of the last plugin, for one that grants all that it needs.
    #[must_use]
    pub fn listed(self, needs: &Needs) -> Self {
        self.last(|last| {
            let by = Voucher { registry: Digest::of(b"test"), publisher: Publisher::None };
            last.charter = Charter::listed(needs.clone(), needs.all(), by);
            Ok(())
        })
    }

    /// What the last plugin wishes for.
    #[must_use]
    pub fn wishes(self, wishes: Wishes) -> Self {
        self.last(|last| {
            last.limits = wishes;
            Ok(())
        })
    }

    /// Sets a configured value of the last plugin.
    #[must_use]
    pub fn config(self, key: &str, value: ConfigValue) -> Self {
        self.last(|last| {
            last.config.insert(key.to_owned(), value);
            Ok(())
        })
    }

    /// How a new version of the last plugin takes over.
    #[must_use]
    pub fn reload(self, reload: Reload) -> Self {
        self.last(|last| {
            last.runtime.reload = reload;
            Ok(())
        })
    }

    /// How many instances of the last plugin may serve calls.
    #[must_use]
    pub fn instances(self, instances: Instances) -> Self {
        self.last(|last| {
            last.runtime.instances = instances;
            Ok(())
        })
    }

    /// The last plugin's component is fetched from there when it is loaded.
    #[must_use]
    pub fn fetched(self, from: Arc<dyn Fetch>) -> Self {
        self.last(|last| {
            last.origin = Origin::Remote(from);
            Ok(())
        })
    }

    /// The place of the last plugin in the host's own list; by default, the order in which they were added.
    #[must_use]
    pub fn rank(self, rank: u32) -> Self {
        self.last(|last| {
            last.rank = rank;
            Ok(())
        })
    }

    /// The plan.
    ///
    /// # Errors
    ///
    /// The first thing that went wrong: an id or version that is none, a file that could not be written, or
    /// plugins that make no plan.
    pub fn build(self) -> Result<Plan, Error> {
        match self.error {
            Some(error) => Err(error),
            None => Ok(Plan::new(self.plugins)?),
        }
    }
}

/// A fault in a folder of compiled code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// One bit of the byte at this place is turned over, or of the last byte where the file is shorter.
    Flip(File, usize),
    /// The second half is missing.
    Truncate(File),
    /// It is replaced by a symbolic link to the very same bytes.
    #[cfg(unix)]
    Link(File),
    /// Everybody may write it.
    #[cfg(unix)]
    WritableByAll(File),
}

/// A kind of file in the cache of compiled code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum File {
    /// Compiled code.
    Code,
    /// What is known about it.
    Record,
}

/// Puts `fault` into each such file of the cache in `folder`, and tells how many there were.
///
/// # Errors
///
/// Where a file can not be read or written.
pub fn inject(folder: &Path, fault: Fault) -> io::Result<usize> {
    type Hit<'h> = &'h dyn Fn(&Path) -> io::Result<()>;
    let (kind, hit): (File, Hit<'_>) = match fault {
        Fault::Flip(kind, at) => (kind, &move |path| flip(path, at)),
        Fault::Truncate(kind) => (kind, &|path| {
            let bytes = fs::read(path)?;
            fs::write(path, &bytes[..bytes.len() / 2])
        }),
        #[cfg(unix)]
        Fault::Link(kind) => (kind, &|path| {
            let moved = path.with_extension("moved");
            fs::rename(path, &moved)?;
            std::os::unix::fs::symlink(&moved, path)
        }),
        #[cfg(unix)]
        Fault::WritableByAll(kind) => {
            (kind, &|path| fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o666)))
        }
    };
    let extension = match kind {
        File::Code => "code",
        File::Record => "record",
    };
    let mut hits = 0;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|found| found == extension) {
            hit(&path)?;
            hits += 1;
        }
    }
    Ok(hits)
}

fn flip(path: &Path, at: usize) -> io::Result<()> {
    let mut bytes = fs::read(path)?;
    let at = at.min(bytes.len().saturating_sub(1));
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1;
    }
    fs::write(path, bytes)
}
