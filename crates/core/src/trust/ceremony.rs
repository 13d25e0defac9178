//! Ceremonies: how the keys of a registry change hands.
//!
//! `root`, `targets` and `index` are signed by people, away from the registry. A ceremony goes in three steps: the registry
//! makes an [`Offer`], the new documents without signatures; each person signs a copy of it on a machine of their own, after
//! reading what it changes; the registry puts the signatures together. Whatever people are shown is computed from the very
//! bytes that they sign, and bytes that a ceremony would not write are refused: nothing is signed that was not shown.
//!
//! ```
//! # use stoa_core::{time::Time, trust::{Bins, BitLength, SecretKey, writer::{RootSigners, Signers}}};
//! use stoa_core::trust::ceremony::{KeyRole, Offer, Roster, Standing};
//! # let key = |n: u8| SecretKey::from_seed([n; 32]);
//! # let (alice, bob, online, other) = (key(1), key(2), key(3), key(4));
//! # let people = Signers::new([alice.public().clone(), bob.public().clone()], 2)?;
//! # let one = Signers::one(&online);
//! # let top = RootSigners { root: people.clone(), targets: people, snapshot: one.clone(), timestamp: one.clone() };
//! # let roster = Roster::new(top, one.clone(), one, Bins::new("bin", BitLength::new(8)?));
//! # let (now, later) = (Time::from_unix(0), Time::from_unix(1000));
//! # let mut first = Offer::begin(roster, later)?;
//! # first.sign(&alice)?;
//! # first.sign(&bob)?;
//! # let standing: Standing = first.complete(now)?;
//! let mut roster = standing.roster().clone();
//! roster.replace(online.id(), other.public())?;
//! let offer = Offer::change(standing, roster, &[], later)?;
//!
//! let mut on_another_machine = Offer::read(&offer.to_bytes())?;
//! on_another_machine.sign(&alice)?;
//! on_another_machine.sign(&bob)?;
//!
//! let standing = on_another_machine.complete(now)?;
//! assert!(standing.roster().signers(KeyRole::Timestamp).keys().contains_key(other.id()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod offer;
mod roster;
mod standing;
mod words;

use std::fmt;

pub use error::CeremonyError;
pub use offer::{Offer, Quorum};
pub use roster::{KeyRole, KeyRoleError, Roster};
pub use standing::Standing;
pub use words::Change;

/// A document that people sign, away from the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OfflineDocument {
    /// Who signs what.
    Root,
    /// The delegations to `catalog` and `index`.
    Targets,
    /// The delegation to the bins.
    Index,
}

impl OfflineDocument {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Root, Self::Targets, Self::Index];

    /// Its name, which is its role's.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Targets => "targets",
            Self::Index => "index",
        }
    }
}

impl fmt::Display for OfflineDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
