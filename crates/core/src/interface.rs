//! Interfaces: their names, and what they look like from outside.

/// The package `stoa:plugin@0.1.0`: what plugins and hosts say to each other beside their own interfaces.
pub const STOA_PLUGIN_WIT: &str = include_str!("../wit/stoa-plugin.wit");
