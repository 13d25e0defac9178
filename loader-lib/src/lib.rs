#![doc = include_str!("../README.md")]

mod aot;
mod apply;
mod attested;
pub mod blocking;
mod bridge;
mod budget;
pub mod cache;
mod call;
mod ctx;
mod engine;
mod error;
mod event;
mod exports;
mod fetch;
pub mod freshness;
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
pub mod registry;
mod slot;
pub mod testing;
mod ticker;
pub mod transport;
mod value;

pub use wasmtime::component;

pub use self::{
    apply::{Applied, Outcome},
    attested::{Attested, Depth},
    budget::Admission,
    cache::{Cache, CacheError},
    ctx::{PluginCtx, PluginInfo},
    error::{Cause, LoaderError},
    event::{Event, Events},
    fetch::{Fetched, PlanningError},
    freshness::Freshness,
    guest::CallError,
    host::{Host, HostBuilder, Offer},
    implementors::Implementor,
    limits::{Limits, Totals},
    plan::{Plan, PlannedPlugin},
    plugin::{Plugin, PluginFunc},
    registry::{Refresh, Registry, RegistryError, Snapshot, TrustRoot},
    transport::TransportError,
};
