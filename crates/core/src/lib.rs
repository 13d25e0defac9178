#![doc = include_str!("../README.md")]

#[macro_use]
mod text;

pub mod canonical;
pub mod digest;
pub mod id;
pub mod path;
pub mod time;
pub mod trust;
pub mod version;
