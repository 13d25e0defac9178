//! Releases and the keys that they are signed with.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Registry, ReleaseName};

#[derive(Debug, Args)]
pub(crate) struct Publish {
    /// Folders with a `plugin.toml`. Several become visible together or not at all.
    #[arg(default_value = ".", value_name = "DIR")]
    pub(crate) dirs: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) registry: Registry,
    /// The API key.
    #[arg(long, env = "STOA_API_KEY", hide_env_values = true, value_name = "KEY")]
    pub(crate) api_key: Option<String>,
    /// Sign the releases with the key in this file, which `stoa publisher new` made.
    #[arg(long, value_name = "FILE")]
    pub(crate) sign: Option<PathBuf>,
    /// A provenance that the build made of the component, in DSSE or as a bundle; for one folder only.
    #[arg(long, value_name = "FILE")]
    pub(crate) provenance: Option<PathBuf>,
    /// Wait until the signed index covers the release.
    #[arg(long)]
    pub(crate) wait: bool,
    /// Check everything that can be checked here, and send nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Whom a change of a namespace's keys is sent to.
#[derive(Debug, Clone, Args)]
pub(crate) struct PublisherAccess {
    #[command(flatten)]
    pub(crate) registry: Registry,
    /// An API key with the scope `publish:NAMESPACE`; `admin` to revoke without a signature.
    #[arg(long, env = "STOA_API_KEY", hide_env_values = true, value_name = "KEY")]
    pub(crate) api_key: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Publisher {
    #[command(subcommand)]
    pub(crate) command: PublisherCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PublisherCommand {
    /// Make a key in a new file that only its owner can read.
    New {
        /// The file.
        file: PathBuf,
        /// Do not encrypt it: whoever reads the file has the key.
        #[arg(long)]
        plain_for_demos: bool,
    },
    /// Show the keys of a namespace as the signed index has them.
    List {
        /// The namespace.
        namespace: stoa_core::id::Namespace,
        #[command(flatten)]
        registry: Registry,
    },
    /// Register a key: at once where a key that counts signs too, or where it is the first; else in 3 days.
    Add {
        /// The namespace.
        namespace: stoa_core::id::Namespace,
        /// The file of the new key.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// The file of a key that counts.
        #[arg(long, value_name = "FILE")]
        sign: Option<PathBuf>,
        #[command(flatten)]
        access: PublisherAccess,
    },
    /// Put a new key in the place of another. What the old one signed stays good.
    Rotate {
        /// The namespace.
        namespace: stoa_core::id::Namespace,
        /// The file of the new key.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// The file of the key that goes.
        #[arg(long, value_name = "FILE")]
        sign: PathBuf,
        #[command(flatten)]
        access: PublisherAccess,
    },
    /// Revoke a key: later releases are refused, earlier ones are flagged.
    Revoke {
        /// The namespace.
        namespace: stoa_core::id::Namespace,
        /// The id of the key.
        key: stoa_core::trust::KeyId,
        /// Why, in one line: everyone can read it.
        #[arg(long)]
        reason: String,
        /// The file of a key that counts, or of the key itself; without one the registry's operator revokes.
        #[arg(long, value_name = "FILE")]
        sign: Option<PathBuf>,
        #[command(flatten)]
        access: PublisherAccess,
    },
    /// Demand that every later release is signed, or no longer.
    Demand {
        /// The namespace.
        namespace: stoa_core::id::Namespace,
        /// No longer.
        #[arg(long)]
        off: bool,
        /// The file of a key that counts.
        #[arg(long, value_name = "FILE")]
        sign: PathBuf,
        #[command(flatten)]
        access: PublisherAccess,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Yank {
    /// The plugin and its version, such as `demo:markdown@1.0.0`.
    pub(crate) release: ReleaseName,
    /// Why, in one line: it is shown to everyone who meets the release.
    #[arg(long)]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) registry: Registry,
    /// The API key.
    #[arg(long, env = "STOA_API_KEY", hide_env_values = true, value_name = "KEY")]
    pub(crate) api_key: Option<String>,
}
