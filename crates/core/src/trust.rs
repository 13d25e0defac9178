//! The signed index: TUF 1.0 metadata, how it is written, and how a client comes to trust it.
//!
//! Section numbers are those of the TUF specification 1.0.33; bins are those of TAP 15. Nothing here does
//! I/O: a client's [`Updater`] says which file it wants next and judges the bytes that it is given.
//!
//! ```no_run
//! # use std::collections::BTreeMap;
//! use stoa_core::trust::{CachedTrust, Config, Step, TrustError, TrustFile, Updater};
//! # fn get(_: &TrustFile, _: u64) -> Option<Vec<u8>> { None }
//! # let (pinned, now): (&[u8], _) = (b"", stoa_core::time::Time::MAX);
//! let mut updater = Updater::open(pinned, CachedTrust::default(), now, Config::default())?;
//! while let Step::Fetch { file, max_bytes, .. } = updater.next() {
//!     updater.receive(get(&file, max_bytes).as_deref())?;
//! }
//! let mut lookup = updater.lookup("index/demo/markdown.json");
//! let target = loop {
//!     match lookup.next(&mut updater)? {
//!         Step::Fetch { file, max_bytes, .. } => lookup.receive(&mut updater, get(&file, max_bytes).as_deref())?,
//!         Step::Done(target) => break target,
//!     }
//! };
//! assert!(target.is_none(), "no such plugin, and the registry's keys say so");
//! # Ok::<(), TrustError>(())
//! ```

mod attack;
mod bins;
pub mod ceremony;
mod client;
mod config;
mod delegation;
mod envelope;
mod error;
mod file;
mod hashes;
pub(crate) mod json;
mod key;
mod metadata;
mod root;
mod scheme;
mod snapshot;
mod targets;
pub mod writer;

pub use attack::Attack;
pub use bins::{Bins, BitLength, BitLengthError, bin_name};
pub use client::{CacheWrite, CachedTrust, Lookup, Outcome, Staleness, Step, Tour, Updater};
pub use config::{Config, Limits, Profile};
pub use delegation::{DelegatedRole, Delegations, Scope, Succinct};
pub use envelope::Envelope;
pub use error::TrustError;
pub use file::{TrustFile, quote};
pub use hashes::Hashes;
pub use key::{KeyId, KeyIdError, PublicKey, SecretKey, Signature};
pub use metadata::MetaFile;
pub use root::{RoleKeys, Root, TopRole};
pub use scheme::{Scheme, Verify};
pub use snapshot::{Head, Snapshot, Timestamp};
pub use targets::{TargetFile, Targets};
