//! What a host reads, chooses, fetches and runs.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use stoa_core::{id::PluginId, version::Version};

use super::{PluginAt, Registry, Wanted};

#[derive(Debug, Args)]
pub(crate) struct Info {
    /// The plugin, such as `demo:markdown`.
    pub(crate) plugin: PluginId,
    #[command(flatten)]
    pub(crate) registry: Registry,
}

/// The files of a host.
#[derive(Debug, Clone, Args)]
pub(crate) struct HostFiles {
    /// What the host wants.
    #[arg(long, default_value = "plugins.toml", value_name = "FILE")]
    pub(crate) wanted: PathBuf,
    /// What was chosen.
    #[arg(long, default_value = "plugins.lock", value_name = "FILE")]
    pub(crate) lock: PathBuf,
    /// Where verified copies are kept.
    #[arg(long, env = "STOA_CACHE", value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,
    /// Use the verified copies only; open no connection.
    #[arg(long)]
    pub(crate) offline: bool,
    /// What this host demands of plugins; `policy.toml` beside the list of plugins, where there is one.
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Lock {
    #[command(flatten)]
    pub(crate) files: HostFiles,
    #[command(flatten)]
    pub(crate) locking: Locking,
    /// Agree to what is new in an update of this plugin: more capabilities, another publisher's key, no signature. May be
    /// given several times.
    #[arg(long, value_name = "PLUGIN", conflicts_with_all = ["locked", "frozen"])]
    pub(crate) accept: Vec<PluginId>,
}

/// What a script says that wants no surprise.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Locking {
    /// Change nothing: fail where the lock does not hold.
    #[arg(long)]
    pub(crate) locked: bool,
    /// Both `--locked` and `--offline`.
    #[arg(long)]
    pub(crate) frozen: bool,
}

impl Locking {
    /// The files, offline where that is said.
    pub(crate) fn of(self, files: &HostFiles) -> HostFiles {
        HostFiles { offline: files.offline || self.frozen, ..files.clone() }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Update {
    #[command(flatten)]
    pub(crate) files: HostFiles,
    /// Take the newest version of this plugin that fits, and keep the others where that is possible. May be given several
    /// times; without it everything is updated.
    #[arg(long, short, value_name = "PLUGIN")]
    pub(crate) plugin: Vec<PluginId>,
    /// Agree to what is new in an update of this plugin: more capabilities, another publisher's key, no signature. May be
    /// given several times.
    #[arg(long, value_name = "PLUGIN")]
    pub(crate) accept: Vec<PluginId>,
    /// Tell what would change, and change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Why {
    /// The plugin, such as `demo:markdown`.
    pub(crate) plugin: PluginId,
    #[command(flatten)]
    pub(crate) files: HostFiles,
}

#[derive(Debug, Args)]
pub(crate) struct Tree {
    #[command(flatten)]
    pub(crate) files: HostFiles,
}

#[derive(Debug, Args)]
pub(crate) struct Fetch {
    #[command(flatten)]
    pub(crate) files: HostFiles,
    /// It never changes the lock: `--locked` says what is so anyway.
    #[command(flatten)]
    pub(crate) locking: Locking,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The plugin, such as `demo:markdown@^1`.
    pub(crate) plugin: Wanted,
    /// The call, such as `render("# Hi")`, or `iface.render("# Hi")` where several interfaces have the function.
    /// Several are made one after the other, and each tells how it went.
    #[arg(long, value_name = "CALL", required = true)]
    pub(crate) invoke: Vec<String>,
    /// Tell in the end how each plugin did: calls, instances that were lost, and whether it is still called.
    #[arg(long)]
    pub(crate) vitals: bool,
    /// What this host demands of plugins; `policy.toml` in this folder, where there is one.
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) registry: Registry,
}

#[derive(Debug, Args)]
pub(crate) struct Caps {
    /// The plugin, such as `demo:markdown`, or a release of it, such as `demo:markdown@1.0.0`. Without a version it is the
    /// locked release, or else the newest.
    pub(crate) plugin: PluginAt,
    /// Show how it differs from this version.
    #[arg(long, value_name = "VERSION", conflicts_with_all = ["agree", "revoke"])]
    pub(crate) from: Option<Version>,
    /// Agree to what the policy leaves open. Later versions of the same publisher that ask for no more are not asked about.
    #[arg(long, conflicts_with = "revoke")]
    pub(crate) agree: bool,
    /// Take back all that was agreed to of the plugin.
    #[arg(long)]
    pub(crate) revoke: bool,
    #[command(flatten)]
    pub(crate) files: HostFiles,
}

#[derive(Debug, Args)]
pub(crate) struct Policy {
    #[command(subcommand)]
    pub(crate) command: PolicyCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Check a policy, and what `plugins.lock` names against it.
    Check {
        #[command(flatten)]
        files: HostFiles,
    },
    /// Show what each rule says of a plugin.
    Explain {
        /// The plugin, such as `demo:markdown`, or a release of it, such as `demo:markdown@1.0.0`. Without a version it is
        /// the locked release, or else the newest.
        plugin: PluginAt,
        #[command(flatten)]
        files: HostFiles,
    },
}
