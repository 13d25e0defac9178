//! Looking after compiled code.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use stoa_core::manifest::ByteSize;

#[derive(Debug, Args)]
pub(crate) struct CacheArgs {
    #[command(subcommand)]
    pub(crate) command: CacheCommand,
}

/// Which cache.
#[derive(Debug, Args)]
pub(crate) struct CacheAt {
    /// Where verified copies are kept, and in `aot/` the code compiled from them.
    #[arg(long, env = "STOA_CACHE", value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// List compiled components, what was used last first, and what was put aside.
    Ls {
        #[command(flatten)]
        at: CacheAt,
    },
    /// Check all compiled code as a host does before it runs it. What is not as it was written is put aside, and compiled
    /// again when it is needed; the command then ends with 5.
    Verify {
        #[command(flatten)]
        at: CacheAt,
    },
    /// Remove what was put aside, what crashes left behind, and what was used longest ago. Never what some process runs.
    Prune {
        /// Keep compiled code up to so many bytes, such as `512MiB`; `0B` keeps none.
        #[arg(long, value_name = "SIZE", default_value = "2GiB")]
        max_size: ByteSize,
        #[command(flatten)]
        at: CacheAt,
    },
}
