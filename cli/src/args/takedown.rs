//! What operators and publishers say of releases that are out, and what a host asks of it.

use clap::{Args, Subcommand};
use stoa_core::{
    advisory::{AdvisoryId, Severity},
    id::PluginId,
    standing::Cause,
    version::VersionReq,
};

use super::{Admin, HostFiles, PluginAt, ReleaseName};

/// What is to be taken down, and what to say of it.
#[derive(Debug, Clone, Args)]
pub(crate) struct Accusation {
    /// The release, such as `demo:markdown@1.0.0`, or the whole plugin, such as `demo:markdown`, with all versions to come.
    pub(crate) plugin: PluginAt,
    /// Why, for programs: `malware`, `suspicion`, `vulnerability`, `compromise`, `impersonation`, `legal`, `abuse`, `request`
    /// or `other`.
    #[arg(long, value_name = "CODE")]
    pub(crate) cause: Cause,
    /// Why, in one line: everyone can read it.
    #[arg(long)]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) admin: Admin,
}

/// What was taken down, and what to say of it.
#[derive(Debug, Clone, Args)]
pub(crate) struct Objection {
    /// The release, such as `demo:markdown@1.0.0`, or the plugin as a whole.
    pub(crate) plugin: PluginAt,
    /// Why, in one line: everyone can read it.
    #[arg(long)]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) registry: Speaker,
}

/// Whom a command speaks to, and as whom.
#[derive(Debug, Clone, Args)]
pub(crate) struct Speaker {
    /// The registry's address, such as `https://plugins.example`.
    #[arg(long, env = "STOA_REGISTRY", value_name = "URL")]
    pub(crate) registry: String,
    /// The API key.
    #[arg(long, env = "STOA_API_KEY", hide_env_values = true, value_name = "KEY")]
    pub(crate) api_key: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Takedown {
    #[command(subcommand)]
    pub(crate) command: TakedownCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TakedownCommand {
    /// Nobody chooses or fetches it any more. Hosts that have it go on, and are told.
    Quarantine(Accusation),
    /// Nobody loads it any more, offline too, once they have synced; its bytes are deleted later.
    Kill(Accusation),
    /// Restore what was taken down. What was killed comes back only until its bytes are deleted.
    Restore(Objection),
    /// Contradict, as its publisher: it is recorded, and the operator decides.
    Appeal(Objection),
}

#[derive(Debug, Args)]
pub(crate) struct Certify {
    /// The release, such as `demo:markdown@1.0.0`.
    pub(crate) release: ReleaseName,
    /// The level, from 1 to 9; 0 takes a certification back. What each stands for, you say to whom it may concern.
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=9))]
    pub(crate) level: u8,
    /// On what ground, in one line: everyone can read it.
    #[arg(long)]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) admin: Admin,
}

#[derive(Debug, Args)]
pub(crate) struct AdvisoryArgs {
    #[command(subcommand)]
    pub(crate) command: AdvisoryCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AdvisoryCommand {
    /// Make a flaw known, or say anew what is known of it.
    Publish(Box<NewAdvisory>),
    /// Withdraw what was no flaw.
    Withdraw {
        /// The plugin.
        plugin: PluginId,
        /// The advisory.
        id: AdvisoryId,
        /// Why, in one line: everyone can read it.
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        registry: Speaker,
    },
}

#[derive(Debug, Args)]
pub(crate) struct NewAdvisory {
    /// The plugin.
    pub(crate) plugin: PluginId,
    /// How bad it is: `none`, `low`, `medium`, `high` or `critical`.
    #[arg(long)]
    pub(crate) severity: Severity,
    /// What it is, in one line.
    #[arg(long)]
    pub(crate) summary: String,
    /// The versions that have the flaw, such as `>=1.2, <1.4.1`. May be given several times.
    #[arg(long, required = true, value_name = "REQUIREMENT")]
    pub(crate) affected: Vec<VersionReq>,
    /// Versions among them that have it no more. May be given several times.
    #[arg(long, value_name = "REQUIREMENT")]
    pub(crate) fixed: Vec<VersionReq>,
    /// Where more is to be read: an address that begins with `https://`.
    #[arg(long, value_name = "URL")]
    pub(crate) link: String,
    /// Its id, such as `CVE-2026-12345`; the registry makes one where none is given. An advisory that is known is changed.
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<AdvisoryId>,
    /// What others call it. May be given several times.
    #[arg(long, value_name = "ID")]
    pub(crate) alias: Vec<AdvisoryId>,
    #[command(flatten)]
    pub(crate) registry: Speaker,
}

#[derive(Debug, Args)]
pub(crate) struct Audit {
    #[command(subcommand)]
    pub(crate) command: AuditCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// List the open advisories and the takedowns of what `plugins.lock` names. Ends with 0 where there is nothing to do,
    /// and with 5 where there is.
    Advisories {
        #[command(flatten)]
        files: HostFiles,
        /// The least severity that is something to do.
        #[arg(long, default_value = "low", value_name = "SEVERITY")]
        deny: Severity,
    },
}
