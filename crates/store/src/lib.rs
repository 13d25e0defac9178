#![doc = include_str!("../README.md")]

pub mod blobs;
pub mod exclusive;
pub mod folder;
pub mod ledger;
pub mod memory;
pub mod sqlite;
pub mod upload;
