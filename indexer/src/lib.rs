#![doc = include_str!("../README.md")]

mod error;
mod follow;
pub mod gc;
mod pages;
mod run;
mod signer;
pub mod site;
mod tree;
mod waiting;

pub use error::IndexerError;
pub use follow::{Follower, Signing};
pub use pages::PagesProjection;
pub use run::{Indexer, Run};
pub use signer::{Signed, Signer};
pub use waiting::Waiting;
