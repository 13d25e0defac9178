//! What the targets share.

pub mod registry;
