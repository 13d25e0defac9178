//! Copies of a registry.

use std::path::PathBuf;

use clap::Args;

use super::Pin;

#[derive(Debug, Args)]
pub(crate) struct Mirror {
    /// The address of a registry, or of another mirror; a folder is one too.
    #[arg(value_name = "URL")]
    pub(crate) from: String,
    /// The folder of the mirror: empty, not there yet, or an earlier mirror of the same registry.
    #[arg(value_name = "DIR")]
    pub(crate) to: PathBuf,
    #[command(flatten)]
    pub(crate) pin: Pin,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The address of a registry or a mirror, or the folder of a mirror.
    #[arg(value_name = "URL|DIR")]
    pub(crate) place: String,
    #[command(flatten)]
    pub(crate) pin: Pin,
}

#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// The folder with the archived events: `blobs/events` of a registry or of its backup.
    #[arg(value_name = "EVENTS")]
    pub(crate) events: PathBuf,
    /// The folder of a mirror, or `blobs/public` of a registry.
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
    #[command(flatten)]
    pub(crate) pin: Pin,
}
