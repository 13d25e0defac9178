//! How plugins do, for whoever runs the host.

use stoa_core::{id::PluginId, version::Version};

/// How a plugin does at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Vitals {
    /// The plugin.
    pub plugin: PluginId,
    /// Its version.
    pub version: Version,
    /// Instances that it may have at a time.
    pub pool: usize,
    /// How many of them are taken, each by one call.
    pub busy: usize,
    /// Calls that wait for one of them.
    pub waiting: usize,
}
