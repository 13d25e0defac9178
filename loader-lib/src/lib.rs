#![doc = include_str!("../README.md")]

mod aot;
mod apply;
mod attested;
pub mod blocking;
mod breaker;
mod bridge;
mod budget;
pub mod cache;
mod call;
mod cancel;
mod census;
pub mod consent;
mod context;
mod ctx;
mod engine;
mod error;
mod event;
mod exports;
mod fetch;
pub mod freshness;
mod grant;
mod graph;
mod guest;
mod host;
mod implementors;
mod interface;
pub mod limits;
mod link;
mod live;
mod load;
mod output;
mod phase;
pub mod plan;
mod plugin;
mod pool;
pub mod registry;
mod scan;
mod slot;
mod supply;
mod teardown;
pub mod testing;
mod ticker;
pub mod transport;
mod turn;
mod value;
mod vitals;
mod way;
mod work;

pub use wasmtime::component;

pub use self::aot::code;
pub use self::{
    apply::{Applied, ApplyOptions, Outcome},
    attested::{Attested, Depth},
    breaker::{BreakerReason, BreakerRules, BreakerState, Caller, CircuitVitals},
    budget::Admission,
    cache::{Cache, CacheError},
    cancel::CancelToken,
    context::CallContext,
    ctx::{PluginCtx, PluginInfo},
    error::{Cause, LoaderError},
    event::{Event, Events},
    fetch::{Fetched, PlanningError},
    freshness::Freshness,
    grant::{Charter, GrantError, Voucher},
    guest::CallError,
    host::{Host, HostBuilder, Offer},
    implementors::Implementor,
    limits::{Limits, Totals},
    phase::{End, Phase, State},
    plan::{Plan, PlannedPlugin},
    plugin::{Plugin, PluginFunc},
    registry::{Refresh, Registry, RegistryError, Snapshot, TrustRoot},
    transport::TransportError,
    vitals::Vitals,
};
