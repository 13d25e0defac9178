#![doc = include_str!("../README.md")]

mod aot;
mod apply;
pub mod blocking;
mod bridge;
mod budget;
mod call;
mod ctx;
mod engine;
mod error;
mod event;
mod exports;
mod graph;
mod guest;
mod host;
mod implementors;
mod interface;
pub mod limits;
mod link;
mod output;
pub mod plan;
mod plugin;
mod slot;
pub mod testing;
mod ticker;
mod value;

pub use wasmtime::component;

pub use self::{
    apply::{Applied, Outcome},
    ctx::{PluginCtx, PluginInfo},
    error::{Cause, LoaderError},
    event::{Event, Events},
    guest::CallError,
    host::{Host, HostBuilder, Offer},
    implementors::Implementor,
    limits::Limits,
    plan::{Plan, PlannedPlugin},
    plugin::{Plugin, PluginFunc},
};
