//! Publishing: from records and bytes to one event.
//!
//! [`set`] and [`about`] read the records, [`known`] and [`rules`] judge them by what the ledger knows, [`facts`] by what the
//! bytes are, [`compat`] and [`budget`] by the history of the plugin, [`uses`] by what its dependencies export, [`bucket`] by
//! the room in the index; `plan` says what is written. These are pure. `gather`, `blobs`, `fence` and `flow` read and
//! write for them.

pub mod about;
pub(crate) mod blobs;
pub mod bucket;
pub mod budget;
pub mod compat;
pub mod facts;
pub(crate) mod fence;
pub(crate) mod flow;
pub(crate) mod gather;
pub mod id;
pub mod known;
pub(crate) mod plan;
pub mod rules;
pub mod set;
pub(crate) mod signing;
pub mod uses;
