//! The package `stoa:plugin`, as the host sees it: generated from the same text that plugins build against.

use std::collections::BTreeMap;

use stoa::plugin::{config, log};
use stoa_core::capability::Capability;

use crate::{
    ctx::PluginCtx,
    output::{self, Level},
    plan::ConfigValue,
};

wasmtime::component::bindgen!({
    path: "../crates/core/wit",
    inline: "
        package stoa:loader;
        world guest {
            import stoa:plugin/types@0.1.0;
            import stoa:plugin/log@0.1.0;
            import stoa:plugin/config@0.1.0;
            import stoa:plugin/lifecycle@0.1.0;
        }
    ",
    additional_derives: [PartialEq, Eq],
});

pub use stoa::plugin::types::CallError;
pub(crate) use stoa::plugin::{
    config::add_to_linker as add_config,
    lifecycle::{Context, StartReason},
    log::add_to_linker as add_log,
};

/// The interfaces of `stoa:plugin` that every host offers.
pub(crate) const OFFERED: [&str; 2] = ["stoa:plugin/log@0.1.0", "stoa:plugin/config@0.1.0"];
/// What a plugin may export to be asked whether it works.
pub(crate) const HEALTH: &str = "stoa:plugin/health@0.1.0";
/// What a plugin may export to be told when it starts and stops.
pub(crate) const LIFECYCLE: &str = "stoa:plugin/lifecycle@0.1.0";

impl std::fmt::Display for CallError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unavailable => f.write_str("the plugin is not running or has too many calls waiting"),
            Self::CircuitOpen(millis) => {
                write!(f, "the plugin failed too often; calls go through again in {millis} ms")
            }
            Self::Timeout => f.write_str("time ran out"),
            Self::Trapped => f.write_str("the plugin trapped"),
            Self::Denied => f.write_str("the call is not allowed"),
            Self::TooLarge(limit) => write!(f, "arguments or results have more than {limit} bytes"),
            Self::Reentrant => f.write_str("the plugin waits for the very call that calls it"),
        }
    }
}

impl std::error::Error for CallError {}

impl From<log::Level> for Level {
    fn from(level: log::Level) -> Self {
        match level {
            log::Level::Trace => Self::Trace,
            log::Level::Debug => Self::Debug,
            log::Level::Info => Self::Info,
            log::Level::Warn => Self::Warn,
            log::Level::Error => Self::Error,
        }
    }
}

impl<S: Send> log::Host for PluginCtx<S> {
    fn log(&mut self, level: log::Level, message: String, fields: Vec<(String, String)>) {
        if !self.info().grants.covers(&Capability::Log) {
            return;
        }
        self.output().line(level.into(), "log", &message, &fields);
    }

    fn threshold(&mut self) -> log::Level {
        match output::threshold().filter(|_| self.info().grants.covers(&Capability::Log)) {
            Some(Level::Trace) => log::Level::Trace,
            Some(Level::Debug) => log::Level::Debug,
            Some(Level::Info) => log::Level::Info,
            Some(Level::Warn) => log::Level::Warn,
            // The interface knows no level above: errors may be written, and are dropped here.
            Some(Level::Error) | None => log::Level::Error,
        }
    }
}

impl<S> PluginCtx<S> {
    /// Its settings, where it may have them.
    fn settings(&self) -> Option<&BTreeMap<String, ConfigValue>> {
        self.info().grants.covers(&Capability::Config).then_some(&self.info().config)
    }
}

impl<S: Send> config::Host for PluginCtx<S> {
    fn get(&mut self, key: String) -> Option<config::Value> {
        Some(match self.settings()?.get(&key)? {
            ConfigValue::Text(text) => config::Value::Text(text.clone()),
            ConfigValue::Integer(integer) => config::Value::Integer(*integer),
            ConfigValue::Boolean(boolean) => config::Value::Boolean(*boolean),
        })
    }

    fn keys(&mut self) -> Vec<String> {
        self.settings().into_iter().flat_map(BTreeMap::keys).cloned().collect()
    }
}
