//! Namespaces and API keys.

use clap::{Args, Subcommand};

/// Whom an administrative command speaks to, and as whom.
#[derive(Debug, Clone, Args)]
pub(crate) struct Admin {
    /// The registry's address, such as `https://plugins.example`.
    #[arg(long, env = "STOA_REGISTRY", value_name = "URL")]
    pub(crate) registry: String,
    /// An API key with the scope `admin`, such as the one that `stoa init` printed.
    #[arg(long, env = "STOA_API_KEY", hide_env_values = true, value_name = "KEY")]
    pub(crate) api_key: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Namespace {
    #[command(subcommand)]
    pub(crate) command: NamespaceCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum NamespaceCommand {
    /// Make a namespace.
    Create {
        /// Its name.
        name: stoa_core::id::Namespace,
        #[command(flatten)]
        admin: Admin,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Key {
    #[command(subcommand)]
    pub(crate) command: KeyCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a key and print it, once.
    Create {
        /// What it is for, in one line: shown when keys are listed.
        #[arg(long)]
        label: String,
        /// What it may do: `publish:NAMESPACE`, `yank:NAMESPACE` or `admin`. May be given several times.
        #[arg(long = "scope", required = true, value_name = "SCOPE")]
        scopes: Vec<String>,
        /// When it expires, such as `2027-01-31T00:00:00Z`; never, where it is left out.
        #[arg(long, value_name = "TIME")]
        expires_at: Option<stoa_core::time::Time>,
        #[command(flatten)]
        admin: Admin,
    },
    /// Revoke a key for good.
    Revoke {
        /// Its id: the part between the first two `_`.
        id: String,
        #[command(flatten)]
        admin: Admin,
    },
}
