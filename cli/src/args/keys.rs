//! Ceremonies of the keys that sign the index.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct Keys {
    #[command(subcommand)]
    pub(crate) command: KeysCommand,
}

/// Where a ceremony is written, and how long its documents are good.
#[derive(Debug, Clone, Args)]
pub(crate) struct OfferFile {
    /// The folder of the registry.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// The file that people sign: it is written anew.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// For how many days the new documents are good.
    #[arg(long, default_value_t = 365, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub(crate) days: u32,
    /// Write no file, and show what would be signed. A new online key is made all the same, and waits.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a key in a file that a passphrase opens.
    Generate {
        /// What it is for: `root`, `targets` …
        #[arg(long)]
        role: stoa_core::trust::ceremony::KeyRole,
        /// The new file.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Keep the key without a passphrase. Whoever reads the file has the key: for demonstrations alone.
        #[arg(long, conflicts_with = "work_factor")]
        plain_for_demos: bool,
        /// How much a guess of the passphrase costs: 2^N KiB of memory, and about half a second at 17.
        #[arg(long, value_name = "N", default_value_t = crate::keyfile::WORK, value_parser = clap::value_parser!(u8).range(10..=20))]
        work_factor: u8,
    },
    /// Print the public half of a key: what its holder gives to the registry.
    Public {
        /// The key file.
        key: PathBuf,
    },
    /// Begin a registry whose offline keys are elsewhere: make its online keys, and the first ceremony.
    Begin {
        /// The public half of a root key. Give all of them.
        #[arg(long = "root-key", required = true, value_name = "FILE")]
        root_keys: Vec<PathBuf>,
        /// The public half of a targets key. Give all of them.
        #[arg(long = "targets-key", required = true, value_name = "FILE")]
        targets_keys: Vec<PathBuf>,
        /// How many keys of each role have to sign.
        #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        threshold: u64,
        #[command(flatten)]
        offer: OfferFile,
    },
    /// Let more keys sign a role, or change how many have to.
    Add {
        /// The role.
        #[arg(long)]
        role: stoa_core::trust::ceremony::KeyRole,
        /// The public half of a new key.
        #[arg(long = "key", value_name = "FILE")]
        keys: Vec<PathBuf>,
        /// How many keys have to sign from now on.
        #[arg(long, value_name = "N")]
        threshold: Option<u64>,
        #[command(flatten)]
        offer: OfferFile,
    },
    /// Let a key sign a role no more.
    Remove {
        /// The role.
        #[arg(long)]
        role: stoa_core::trust::ceremony::KeyRole,
        /// The key's id, or at least its first 8 digits.
        #[arg(long, value_name = "ID")]
        key_id: String,
        /// How many keys have to sign from now on.
        #[arg(long, value_name = "N")]
        threshold: Option<u64>,
        #[command(flatten)]
        offer: OfferFile,
    },
    /// Put a new key in the place of another one, wherever that signs. An online key is made here.
    Rotate {
        /// The role.
        #[arg(long)]
        role: stoa_core::trust::ceremony::KeyRole,
        /// The id of an offline key that goes, or at least its first 8 digits.
        #[arg(long, value_name = "ID", requires = "key")]
        old: Option<String>,
        /// The public half of the offline key that comes.
        #[arg(long, value_name = "FILE", requires = "old")]
        key: Option<PathBuf>,
        #[command(flatten)]
        offer: OfferFile,
    },
    /// Sign the same documents for another year.
    Renew {
        /// Only this one of `root`, `targets`, `index`. May be given several times.
        #[arg(long = "document", value_name = "NAME", value_parser = ["root", "targets", "index"])]
        documents: Vec<String>,
        #[command(flatten)]
        offer: OfferFile,
    },
    /// Show what a ceremony changes, and who has signed it.
    Review {
        /// The file of the ceremony.
        ceremony: PathBuf,
    },
    /// Sign a ceremony, after showing what it changes. No registry is needed.
    Sign {
        /// The file of the ceremony: the signature is added to it.
        ceremony: PathBuf,
        /// The key file.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// The SHA-256 of the registry's first root: a ceremony of another registry is refused.
        #[arg(long, value_name = "HEX")]
        root_sha256: Option<stoa_core::digest::Digest>,
        /// Sign without being asked to confirm: for automation.
        #[arg(long)]
        yes: bool,
        /// Sign nothing, and show what would be signed.
        #[arg(long)]
        dry_run: bool,
    },
    /// Put a signed ceremony in place.
    Import {
        /// The signed copies.
        #[arg(required = true, value_name = "FILE")]
        ceremonies: Vec<PathBuf>,
        /// The folder of the registry.
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// Change nothing, and show what would be changed.
        #[arg(long)]
        dry_run: bool,
    },
}
