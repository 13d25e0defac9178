//! Which limit the engine met, when it says so in words.
//!
//! The engine has no types for these errors. Each text is met by a guest in `tests/it/limits`, so that an
//! engine that says it otherwise fails a test and not a host.

use wasmtime::{WasmBacktrace, component::ResourceTableError};

use super::{Exceeded, Limit, Limits};

/// The limit that ended a guest with `error`, if it was one.
pub(crate) fn exceeded(error: &wasmtime::Error, limits: &Limits) -> Option<Exceeded> {
    if let Some(exceeded) = error.downcast_ref::<Exceeded>() {
        return Some(*exceeded);
    }
    if let Some(ResourceTableError::Full) = error.downcast_ref() {
        return Some(met(Limit::Handles, limits.handles));
    }
    error.chain().find_map(|cause| {
        let text = cause.to_string();
        if text.starts_with("too much data is being copied between the host and the guest") {
            // Arguments of a host function are copied under a guest's frames, its own results after they are gone.
            let results = error.downcast_ref::<WasmBacktrace>().is_none();
            return Some(match results {
                true => met(Limit::ResultBytes, limits.result_bytes),
                false => met(Limit::HostCallBytes, limits.host_call_bytes),
            });
        }
        if text.starts_with("cannot allocate another handle") {
            return Some(met(Limit::Handles, limits.handles));
        }
        if let Some(length) = text.strip_prefix("requested len ") {
            let wanted = length.split(' ').next().and_then(|length| length.parse().ok());
            return Some(Exceeded { wanted, ..met(Limit::RandomBytes, limits.random_bytes) });
        }
        if let Some(count) = text.strip_prefix("resource limit exceeded: ") {
            let wanted = count.rsplit(' ').next().and_then(|count| count.parse().ok());
            return Some(Exceeded { wanted, ..met(Limit::Instances, limits.instances) });
        }
        None
    })
}

fn met(limit: Limit, allowed: u64) -> Exceeded {
    Exceeded { limit, allowed, wanted: None }
}
