//! `stoa-tuf-client`: core's TUF client behind the command line that the public suite tuf-conformance drives.
//!
//! ```text
//! stoa-tuf-client --metadata-dir D init TRUSTED_ROOT
//! stoa-tuf-client --metadata-dir D --metadata-url U refresh
//! stoa-tuf-client --metadata-dir D --metadata-url U --target-name P… --target-base-url B --target-dir T download
//! ```
//!
//! It ends with 0 where everything succeeded and with 1 otherwise, and says why on its error output.
//!
//! For repositories under test alone: plain HTTP from this machine, any TUF 1.0 repository instead of a
//! registry with Stoa's promises, and ECDSA P-256 beside ed25519. It is a thin shell: whatever decides
//! about trust is in `stoa-core`, the same code that the loader runs.
#![expect(clippy::print_stderr, reason = "a program for people who read its output")]

mod args;
mod client;
mod ecdsa;
mod folder;
mod http;

use std::{
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

use stoa_core::time::Time;

use args::Command;
use client::Client;
use folder::Folder;

/// What went wrong, for people.
type Failure = String;

fn main() -> ExitCode {
    match args::parse(std::env::args().skip(1)).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Init { metadata_dir, root } => Folder::new(metadata_dir).init(&root),
        Command::Refresh { metadata_dir, metadata_url } => {
            Client::refresh(Folder::new(metadata_dir), &metadata_url, now()?).map(drop)
        }
        Command::Download { metadata_dir, metadata_url, targets } => {
            let mut client = Client::refresh(Folder::new(metadata_dir), &metadata_url, now()?)?;
            targets.names.iter().try_for_each(|name| client.download(name, &targets.base_url, &targets.dir))
        }
    }
}

/// The C library's clock, which `faketime` can set. Asked once: an update has one time (section 5.1).
fn now() -> Result<Time, Failure> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|_| "the clock is before 1970")?;
    let seconds = i64::try_from(since.as_secs()).map_err(|_| "the clock is too far ahead")?;
    Ok(Time::from_unix(seconds))
}
