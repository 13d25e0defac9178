#![doc = include_str!("../README.md")]

pub mod blobs;
pub mod ledger;
pub mod memory;
pub mod upload;
