#![doc = include_str!("../README.md")]

#[macro_use]
mod text;

pub mod advisory;
pub mod attestation;
pub mod canonical;
pub mod capability;
pub mod classify;
pub mod component;
pub mod digest;
pub mod document;
pub mod event;
pub mod id;
pub mod index;
pub mod interface;
pub mod limits;
pub mod lock;
pub mod manifest;
pub mod offer;
pub mod path;
pub mod policy;
pub mod proposal;
pub mod publisher;
mod reader;
pub mod release;
pub mod resolve;
pub mod standing;
pub mod time;
pub mod trust;
pub mod version;
pub mod wanted;
