#![doc = include_str!("../README.md")]

pub mod blobs;
#[cfg(feature = "contract")]
pub mod contract;
pub mod exclusive;
pub mod folder;
pub mod ledger;
pub mod memory;
pub mod sqlite;
pub mod sweep;
pub mod upload;
