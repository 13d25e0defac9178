//! What a host has that plugins can be given, and how much of it each one sees.
//!
//! All of it is held below the versions of interfaces: an older or a newer `wasi:filesystem` meets the same folders.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use stoa_core::capability::{Access, Capability, Clock, Grants, Place, Random};
use wasmtime_wasi::{Deterministic, FsPerms, HostMonotonicClock, HostWallClock, WasiCtx};

use crate::{
    error::LoaderError,
    output::{Output, Stdio},
};

mod folder;

/// A coarse clock tells milliseconds: too little to time what other programs do, enough for dates.
const COARSE: Duration = Duration::from_millis(1);
/// What `random:seeded` gives, over and over: the bytes 0 to 255.
const SEED: std::ops::RangeInclusive<u8> = 0..=u8::MAX;

/// What a host has to give. What is not granted is not taken from here.
#[derive(Debug, Clone, Default)]
pub(crate) struct Supply {
    /// Folders by the names that capabilities call them.
    pub(crate) roots: BTreeMap<String, PathBuf>,
    /// The environment; `None` = that of the process.
    pub(crate) environment: Option<BTreeMap<String, String>>,
    /// The command line; `None` = that of the process.
    pub(crate) arguments: Option<Vec<String>>,
}

impl Supply {
    /// The WASI of one instance that was granted `grants`. Without any it has no files, no environment, no arguments, no
    /// network, and clocks that stand still; what it prints goes to `output`, or nowhere.
    pub(crate) fn wasi(
        &self,
        grants: &Grants,
        output: &Arc<Output>,
        random_bytes: u64,
    ) -> Result<WasiCtx, LoaderError> {
        let mut wasi = WasiCtx::builder();
        // Sockets could be made by default, though no address would be allowed.
        wasi.allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false).max_random_size(random_bytes);
        wasi.wall_clock(Hands(Clock::of(grants))).monotonic_clock(Hands(Clock::of(grants)));
        for capability in grants.capabilities() {
            match capability {
                Capability::Args => drop(wasi.args(&self.arguments())),
                Capability::Env(name) => {
                    if let Some(value) = self.variable(name) {
                        wasi.env(name, value);
                    }
                }
                Capability::Files(access, place) => {
                    // A root that this host does not have leads nowhere.
                    let Some(root) = self.roots.get(place.root()) else { continue };
                    self.open(&mut wasi, root, *access, place).map_err(|source| LoaderError::Folder {
                        plugin: output.plugin().clone(),
                        place: place.to_string(),
                        source,
                    })?;
                }
                Capability::Log => drop(wasi.stdout(Stdio::stdout(output)).stderr(Stdio::stderr(output))),
                Capability::Random(Random::Seeded) => drop(wasi.secure_random(Deterministic::new(SEED.collect()))),
                _ => {}
            }
        }
        Ok(wasi.build())
    }

    /// A folder `data:/photos` is `/data/photos` to the plugin.
    fn open(
        &self,
        wasi: &mut wasmtime_wasi::WasiCtxBuilder,
        root: &Path,
        access: Access,
        place: &Place,
    ) -> io::Result<()> {
        let folder = folder::below(root, place.path())?;
        let perms = match access {
            Access::Read => FsPerms::ReadOnly,
            Access::Write => FsPerms::ReadWrite,
        };
        let name =
            std::iter::once(place.root()).chain(place.path()).fold(String::new(), |name, part| name + "/" + part);
        wasi.preopened_dir(folder.path(), name, perms).map(drop).map_err(io::Error::other)
    }

    fn variable(&self, name: &str) -> Option<String> {
        match &self.environment {
            Some(environment) => environment.get(name).cloned(),
            None => std::env::var(name).ok(),
        }
    }

    fn arguments(&self) -> Vec<String> {
        let ours = || std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect();
        self.arguments.clone().unwrap_or_else(ours)
    }
}

/// Which clock a plugin looks at.
trait OfGrants: Sized {
    fn of(grants: &Grants) -> Option<Self>;
}

impl OfGrants for Clock {
    fn of(grants: &Grants) -> Option<Self> {
        [Self::Real, Self::Coarse].into_iter().find(|clock| grants.covers(&Capability::Clock(*clock)))
    }
}

/// A clock as exact as was granted; without a grant it stands at zero.
struct Hands(Option<Clock>);

impl Hands {
    fn shown(&self, exact: Duration) -> Duration {
        match self.0 {
            None => Duration::ZERO,
            Some(Clock::Real) => exact,
            Some(Clock::Coarse) => Duration::from_millis(u64::try_from(exact.as_millis()).unwrap_or(u64::MAX)),
        }
    }

    fn step(&self) -> Duration {
        if self.0 == Some(Clock::Real) { Duration::from_nanos(1) } else { COARSE }
    }
}

impl HostWallClock for Hands {
    fn resolution(&self) -> Duration {
        self.step()
    }

    fn now(&self) -> Duration {
        self.shown(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default())
    }
}

impl HostMonotonicClock for Hands {
    fn resolution(&self) -> u64 {
        u64::try_from(self.step().as_nanos()).unwrap_or(u64::MAX)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.shown(began().elapsed()).as_nanos()).unwrap_or(u64::MAX)
    }
}

/// The moment that all monotonic clocks count from.
fn began() -> std::time::Instant {
    static BEGAN: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    *BEGAN.get_or_init(std::time::Instant::now)
}
