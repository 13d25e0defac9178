//! `cargo xtask bench`: measurements, each beside a lower bound or a peer of the same run.

pub(crate) mod build;
pub(crate) mod core;
pub(crate) mod downloads;
pub(crate) mod release;
pub(crate) mod trust;
