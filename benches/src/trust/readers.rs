//! Clients as programs: ours and python-tuf.

use std::{collections::BTreeMap, path::Path, process::Command, time::Duration};

use serde::Deserialize;
use stoa_core::{id::PluginId, path::PublicPath};

use super::{Outcome, clock::Took};

/// A client that is measured from outside by what it asks, and from inside by what that takes.
#[derive(Debug, Clone)]
pub(super) enum Reader {
    /// This program, called once more.
    Loader,
    PythonTuf(Python),
}

/// python-tuf, where it is installed.
#[derive(Debug, Clone)]
pub(super) struct Python {
    pub(super) interpreter: String,
    /// The folder with its packages.
    pub(super) packages: String,
    pub(super) script: String,
}

/// What a client says it did.
#[derive(Debug, Deserialize)]
pub(super) struct Read {
    #[serde(flatten)]
    took: TookWire,
    /// The event that touched each target last; `None` where there is none.
    pub(super) seen: BTreeMap<String, Option<u64>>,
}

/// Rounds of work in one process.
#[derive(Debug, Deserialize)]
struct Rounds {
    rounds: Vec<TookWire>,
    signatures: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct TookWire {
    wall_ns: u64,
    cpu_ns: u64,
}

impl From<TookWire> for Took {
    fn from(wire: TookWire) -> Self {
        Self { wall: Duration::from_nanos(wire.wall_ns), cpu: Duration::from_nanos(wire.cpu_ns) }
    }
}

impl Read {
    pub(super) fn took(&self) -> Took {
        self.took.into()
    }
}

impl Reader {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Loader => "stoa",
            Self::PythonTuf(_) => "python-tuf",
        }
    }

    /// Refreshes with what is in `state`, and reads the documents of these plugins.
    pub(super) fn read(&self, root: &Path, state: &Path, url: &str, ids: &[PluginId]) -> Outcome<Read> {
        match self {
            Self::Loader => {
                let mut command = Command::new(std::env::current_exe()?);
                command.arg("trust-reader").arg(root).arg(state).arg(url).args(ids.iter().map(ToString::to_string));
                said(&mut command)
            }
            Self::PythonTuf(python) => {
                let mut command = python.command("read");
                command.arg(root).arg(state).arg(url).args(ids.iter().map(PublicPath::target_path));
                said(&mut command)
            }
        }
    }
}

impl Python {
    fn command(&self, task: &str) -> Command {
        let mut command = Command::new(&self.interpreter);
        command.arg(&self.script).arg(task).env("PYTHONPATH", &self.packages);
        // An address of the machine itself is reached without a proxy.
        command.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
        command
    }

    /// Verifies what a read kept in `state`: top-level roles and `index`, and these bins.
    pub(super) fn verify(&self, root: &Path, state: &Path, rounds: usize, bins: &[String]) -> Outcome<Vec<Took>> {
        let mut command = self.command("verify");
        command.arg(root).arg(state).arg(rounds.to_string()).args(bins);
        Ok(said::<Rounds>(&mut command)?.rounds.into_iter().map(Took::from).collect())
    }

    /// Signs every bin in `folder` with the keys of these seeds. Gives the SHA-256 of all signatures too.
    pub(super) fn sign(&self, folder: &Path, rounds: usize, seeds: [[u8; 32]; 2]) -> Outcome<(Vec<Took>, String)> {
        let seeds = seeds.map(|seed| seed.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        let mut command = self.command("sign");
        command.arg(folder).arg(rounds.to_string()).args(seeds);
        let said: Rounds = said(&mut command)?;
        Ok((said.rounds.into_iter().map(Took::from).collect(), said.signatures.unwrap_or_default()))
    }
}

/// What a program printed, which is one JSON value.
fn said<T: for<'de> Deserialize<'de>>(command: &mut Command) -> Outcome<T> {
    let ran = command.output().map_err(|error| format!("`{}`: {error}", command.get_program().display()))?;
    if !ran.status.success() {
        let complaint = String::from_utf8_lossy(&ran.stderr);
        return Err(format!("`{}`: {}\n{complaint}", command.get_program().display(), ran.status).into());
    }
    Ok(serde_json::from_slice(&ran.stdout)?)
}
