//! The command line as it is typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

mod admin;
mod cache;
mod host;
mod keys;
mod mirror;
mod name;
mod operate;
mod publish;
mod takedown;

pub(crate) use self::{admin::*, cache::*, host::*, keys::*, mirror::*, name::*, operate::*, publish::*, takedown::*};

/// A registry of WebAssembly plugins whose index nobody can forge.
#[derive(Debug, Parser)]
#[command(name = "stoa", version, arg_required_else_help = true, propagate_version = true)]
pub(crate) struct Cli {
    /// Print results as JSON, and nothing else, on standard output.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say more on standard error; twice for everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a new registry in a folder: keys, ledger, first signed index.
    Init(Init),
    /// Run a whole registry in this process: API, indexer, signer, website.
    Serve(Serve),
    /// Run the signer of a registry that is served with `--no-signer`, as a process of its own.
    Signer(Signer),
    /// Copy a registry, which may be running, to a backup, or bring an earlier backup up to date.
    Backup(Backup),
    /// Make a registry of a backup, and of the events that came after it.
    Restore(Restore),
    /// Make a registry whole whose ledger lacks events that were signed, or give them up.
    Recover(Recover),
    /// Remove what no host needs any more from a registry's folder.
    Gc(Gc),
    /// Copy everything that a registry's pointer reaches to a folder that any web server can serve.
    Mirror(Mirror),
    /// Check everything that the pointer of a registry or of a mirror reaches, from the pinned root on.
    Verify(Verify),
    /// Fold an archive of events again and compare the result with a copy of the public tree.
    Replay(Replay),
    /// Make namespaces: who publishes under which name.
    Namespace(Namespace),
    /// Make and revoke API keys.
    Key(Key),
    /// Make, change and renew the keys that sign the index, in ceremonies.
    Keys(Keys),
    /// Make, register and revoke the keys that releases are signed with.
    Publisher(Publisher),
    /// Publish plugins from folders with a `plugin.toml`.
    Publish(Publish),
    /// Take a release out of new resolutions. Locks that name it still hold.
    Yank(Yank),
    /// Put a yanked release back.
    Unyank(Yank),
    /// Take releases and plugins down, contradict that, and restore them.
    Takedown(Takedown),
    /// Say to which level a release is certified: hosts can require one by policy.
    Certify(Certify),
    /// Make known flaws public, and withdraw what was none.
    Advisory(AdvisoryArgs),
    /// Hold what `plugins.lock` names against what is known of it.
    Audit(Audit),
    /// Show a plugin as the signed index has it.
    Info(Info),
    /// Resolve `plugins.toml` and write `plugins.lock`.
    Lock(Lock),
    /// Take newer versions into `plugins.lock`: of everything, or of what is named.
    Update(Update),
    /// Show why a plugin is in `plugins.lock`, and what decides its version.
    Why(Why),
    /// Show what `plugins.lock` names as a tree.
    Tree(Tree),
    /// Fetch and verify everything that `plugins.lock` names, so that it runs offline.
    Fetch(Fetch),
    /// Run one function of a plugin.
    Run(Run),
    /// Show what a plugin asks for and what this host gives it, or agree to it.
    Caps(Caps),
    /// Look at what this host's policy says.
    Policy(Policy),
    /// Look after the code that was compiled from plugins.
    Cache(CacheArgs),
    /// Look at what the signed index costs, and when it expires.
    Trust(Trust),
    /// Run the main job on this machine, from an empty folder to a verified call, and show each step.
    Demo(Demo),
    /// Print completions for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// Which registry to read, and how far to trust it.
#[derive(Debug, Clone, Args)]
pub(crate) struct Registry {
    /// The registry's address, such as `https://plugins.example`.
    #[arg(long, env = "STOA_REGISTRY", value_name = "URL")]
    pub(crate) registry: String,
    /// A file with the registry's first root, as `stoa init` wrote it.
    #[arg(long, env = "STOA_ROOT", value_name = "FILE", conflicts_with = "root_sha256")]
    pub(crate) root: Option<PathBuf>,
    /// The SHA-256 of the registry's first root.
    #[arg(long, env = "STOA_ROOT_SHA256", value_name = "HEX")]
    pub(crate) root_sha256: Option<stoa_core::digest::Digest>,
    /// Trust the root that the registry shows now, and print its fingerprint. Only for a first look.
    #[arg(long, conflicts_with_all = ["root", "root_sha256"])]
    pub(crate) trust_on_first_use: bool,
    /// Where verified copies are kept.
    #[arg(long, env = "STOA_CACHE", value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,
    /// Use the verified copies only; open no connection.
    #[arg(long)]
    pub(crate) offline: bool,
}

/// The root that is trusted.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Pin {
    /// A file with the registry's first root, as `stoa init` wrote it.
    #[arg(long, env = "STOA_ROOT", value_name = "FILE")]
    pub(crate) root: Option<PathBuf>,
    /// The SHA-256 of the registry's first root.
    #[arg(long, env = "STOA_ROOT_SHA256", value_name = "HEX")]
    pub(crate) root_sha256: Option<stoa_core::digest::Digest>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }
}
