//! stoa-loader

pub mod cache;
pub mod registry;
pub mod transport;
