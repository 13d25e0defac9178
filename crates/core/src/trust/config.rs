//! What a client is willing to take.

use super::scheme::Scheme;

/// How a client judges a repository.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Config {
    /// What the repository has to offer beyond TUF.
    pub profile: Profile,
    /// What the client is willing to read.
    pub limits: Limits,
    /// Signature schemes that this client counts beside ed25519. None by default, and none in production.
    pub schemes: &'static [Scheme],
}

impl Config {
    /// The default limits under `profile`.
    pub fn new(profile: Profile) -> Self {
        Self { profile, ..Self::default() }
    }
}

/// What a repository has to offer beyond TUF. Extra fields that are present are checked under both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// A Stoa registry. Every targets role names itself, so that none can stand in for another of the same
    /// version and keys; every snapshot bears the head of the event chain; snapshots are consistent; key
    /// ids are hashes; role names are words of a path; targets list a SHA-256.
    #[default]
    Stoa,
    /// Any TUF 1.0 repository, without those promises.
    AnyTuf,
}

/// Bounds on what is read. Sizes are bytes of decoded bodies; python-tuf, tuf-js and go-tuf have the same
/// defaults, so a repository that one of them can read can be read here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// A root: 512,000 bytes.
    pub root_bytes: u64,
    /// A timestamp: 16,384 bytes.
    pub timestamp_bytes: u64,
    /// A snapshot: 2,000,000 bytes, room for 16,384 bins without hashes.
    pub snapshot_bytes: u64,
    /// A targets role: 5,000,000 bytes, about 34,000 targets.
    pub targets_bytes: u64,
    /// Roots that one refresh follows: 256.
    pub roots: u32,
    /// Roles that one lookup visits, `targets` apart: 32.
    pub delegations: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            root_bytes: 512_000,
            timestamp_bytes: 16_384,
            snapshot_bytes: 2_000_000,
            targets_bytes: 5_000_000,
            roots: 256,
            delegations: 32,
        }
    }
}
