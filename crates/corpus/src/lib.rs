//! Registries of any size out of a seed, for tests and measurements: the same seed gives the same bytes on every machine.
//!
//! [`Corpus`] says which plugins there are and what their releases hold; [`Tree`] makes the signed public tree of them in
//! memory, by the same fold as the indexer. Nothing that ships depends on this crate.

mod corpus;
mod tree;

pub use corpus::{Blobs, Corpus};
pub use tree::Tree;
