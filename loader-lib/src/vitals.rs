//! How plugins do, for whoever runs the host.

use std::fmt;

use stoa_core::{id::PluginId, version::Version};

use crate::breaker::{Caller, CircuitVitals};

/// How a plugin does at a moment. What is counted begins with its version, and ends with it.
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
    /// Calls that came to an instance so far.
    pub calls: u64,
    /// Instances that were lost so far.
    pub losses: u64,
    /// Its circuit for all callers.
    pub breaker: CircuitVitals,
    /// The circuits of callers that have met failures, each caller once.
    pub callers: Vec<(Caller, CircuitVitals)>,
}

impl fmt::Display for Vitals {
    /// One line, and one more for each caller that has met failures.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plugin, version, calls, losses, breaker, callers, .. } = self;
        write!(f, "{plugin} {version}: {calls} calls, {losses} instances lost, {breaker}")?;
        callers.iter().try_for_each(|(caller, circuit)| write!(f, "\n  {caller}: {circuit}"))
    }
}
