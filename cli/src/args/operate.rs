//! Running a registry, and looking after its folder.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The folder of the registry. It must be empty or not exist yet.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// What the registry is called on its pages.
    #[arg(long, default_value = "Stoa")]
    pub(crate) name: String,
    /// A copy of the first ceremony, made by `stoa keys begin` and signed. Without one, all keys are made here as plain
    /// files: for a first look, not for a registry that others trust. May be given several times.
    #[arg(long = "ceremony", value_name = "FILE")]
    pub(crate) ceremonies: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The folder of the registry, made by `stoa init`.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// The address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDR")]
    pub(crate) listen: SocketAddr,
    /// The address that others see, where a proxy stands in front.
    #[arg(long, value_name = "URL")]
    pub(crate) public_url: Option<String>,
    /// How many connections may be open at a time; one more is answered 503. Lower where the system allows fewer open files.
    #[arg(long, default_value_t = 4096, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1_000_000))]
    pub(crate) max_connections: usize,
    /// How many seconds a connection may neither take nor give a byte, and the head of a request may take to arrive.
    #[arg(long, default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) patience: u64,
    /// Leave signing to `stoa signer`: this process then needs none of the signer's keys.
    #[arg(long)]
    pub(crate) no_signer: bool,
    /// Write the address to this file once the registry is ready.
    #[arg(long, value_name = "FILE", hide = true)]
    pub(crate) ready_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Signer {
    /// The folder of the registry.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// Where the signer's keys are: `keys/signer` in the folder of the registry, where none is given.
    #[arg(long, value_name = "DIR")]
    pub(crate) keys: Option<PathBuf>,
    /// Write this file once it has looked for the first time.
    #[arg(long, value_name = "FILE", hide = true)]
    pub(crate) ready_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// The folder of the registry.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// The folder of the backup: empty, not there yet, or an earlier backup of the same registry.
    #[arg(long, value_name = "DIR")]
    pub(crate) to: PathBuf,
    /// Leave the online keys out. Without them a restored registry can not sign.
    #[arg(long)]
    pub(crate) without_keys: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// A backup, or what is left of the folder of a registry.
    #[arg(long, value_name = "DIR")]
    pub(crate) from: PathBuf,
    /// The folder of the new registry. It must be empty or not exist yet.
    #[arg(long, value_name = "DIR")]
    pub(crate) to: PathBuf,
    /// What is left of the folder of a newer state: its archive has the events that came after.
    #[arg(long, value_name = "DIR")]
    pub(crate) newer: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Recover {
    /// The folder of the registry. It must not be running.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// What is left of the folder of a newer state: its archive has the events that the ledger lacks.
    #[arg(long, value_name = "DIR")]
    pub(crate) newer: Option<PathBuf>,
    /// Why the events that no archive has are given up, in one line: everyone can read it in the log.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// The last event that anybody may have seen signed, where no file here shows it.
    #[arg(long, value_name = "SEQ", requires = "reason")]
    pub(crate) lost_after: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct Gc {
    /// The folder of the registry, made by `stoa init`. It may be served meanwhile.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// Remove nothing, and show what would go.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// For how long hosts that synced once go on reading what they synced: such as `7d`, `12h` or `90m`.
    #[arg(long, default_value = "7d", value_name = "TIME")]
    pub(crate) grace: Grace,
    /// Allow a grace of less than an hour: hosts that are reading are cut off until they sync again.
    #[arg(long)]
    pub(crate) cut_off_hosts: bool,
}

/// A grace period, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grace(pub(crate) i64);

impl Grace {
    /// The longest: 60 days.
    const MOST: i64 = 60 * 24 * 60 * 60;
}

impl std::str::FromStr for Grace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || format!("`{text}` is not a time of at most 60 days, such as `7d`, `12h` or `90m`");
        let unit = text.chars().next_back().ok_or_else(refuse)?;
        let seconds = match unit {
            'd' => 24 * 60 * 60,
            'h' => 60 * 60,
            'm' => 60,
            _ => return Err(refuse()),
        };
        let digits = &text[..text.len() - 1];
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        let count = digits.parse::<i64>().ok().filter(|_| plain).ok_or_else(refuse)?;
        count.checked_mul(seconds).filter(|total| *total <= Self::MOST).map(Self).ok_or_else(refuse)
    }
}

#[derive(Debug, Args)]
pub(crate) struct Trust {
    #[command(subcommand)]
    pub(crate) command: TrustCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TrustCommand {
    /// Print what clients fetch of a registry of some size, for each number of bins.
    Plan(TrustPlan),
    /// List every role with version, expiry, keys and threshold. Ends with 0 where all is good, 3 where something expires
    /// within 60 days (the timestamp: 5), 4 where something has expired.
    Status {
        /// The folder of the registry.
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// As it will stand at this time, such as `2027-01-31T00:00:00Z`; now, where it is left out.
        #[arg(long, value_name = "TIME")]
        at: Option<stoa_core::time::Time>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct TrustPlan {
    /// How many plugins the registry has.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub(crate) plugins: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// A folder whose subfolders are plugins to publish.
    #[arg(long, value_name = "DIR")]
    pub(crate) plugins: PathBuf,
    /// Where to work; a new temporary folder where none is given.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Publish and call every plugin of the folder, also those in other languages than Rust.
    #[arg(long)]
    pub(crate) all: bool,
    /// Where compiled code is kept; with the demo's other files where none is given.
    #[arg(long, value_name = "DIR")]
    pub(crate) code_cache: Option<PathBuf>,
    /// Exit after the steps, non-zero if any failed, instead of serving on.
    #[arg(long)]
    pub(crate) once: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grace_is_a_number_and_a_unit_of_at_most_60_days() {
        for (text, seconds) in [("7d", 604_800), ("12h", 43_200), ("90m", 5_400), ("0m", 0), ("60d", 5_184_000)] {
            assert_eq!(text.parse(), Ok(Grace(seconds)));
        }
        for text in ["", "d", "7", "7s", "-1d", "+1d", "1.5h", "61d", "99999999999999999999d", "7 d", "7é"] {
            let rule = format!("`{text}` is not a time of at most 60 days, such as `7d`, `12h` or `90m`");
            assert_eq!(text.parse::<Grace>(), Err(rule));
        }
    }
}
