#![doc = include_str!("../README.md")]

pub mod blobs;
pub mod upload;
