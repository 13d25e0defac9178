//! What plugins may use: the table of core, and what the loader adds to hold it.

use std::fmt;

use wasmtime::component::Val;

pub use self::meter::{Gauge, Meter, Taken};
pub use stoa_core::limits::{Limit, Limits, OutOfBounds, Row, Scope, Totals, Unit, Wishes};

pub(crate) mod engine;
mod meter;
mod rate;

pub(crate) use self::rate::{Rate, TOLD_EVERY};

/// A limit that was met: what it allows, and what was wanted where that is known.
///
/// A host function that returns it as its error ends the guest, and the call gives
/// [`LoaderError::Limit`](crate::LoaderError::Limit) with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceeded {
    /// The limit.
    pub limit: Limit,
    /// What it allows, in its unit.
    pub allowed: u64,
    /// What was wanted, in the same unit.
    pub wanted: Option<u64>,
}

impl Exceeded {
    /// `limit` allows `allowed`, and `wanted` was wanted.
    pub fn new(limit: Limit, allowed: u64, wanted: u64) -> Self {
        Self { limit, allowed, wanted: Some(wanted) }
    }
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, allowed, wanted } = self;
        write!(f, "the limit `{limit}` is {}", limit.show(*allowed))?;
        wanted.map_or(Ok(()), |wanted| write!(f, ", and {} would be needed", limit.show(wanted)))
    }
}

impl std::error::Error for Exceeded {}

/// A limit as a number of this machine.
pub(crate) fn machine(limit: u64) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// How values come out of a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lifting {
    /// As Rust types: a byte is a byte.
    Typed,
    /// As `Val`s, where even a byte has the size of the largest kind.
    Dynamic,
}

/// The engine's fuel for what a guest hands to the host in one call, as arguments of a host function or as results of its
/// own.
///
/// Of `Val`s it is twice what the limits allow, so that what is somewhat too large is counted and answered by the bridge.
/// What is far too large is stopped here before it is allocated, by a trap: 160 MiB with the default limits (a `Val` has
/// 40 bytes).
pub(crate) fn fuel(limits: &Limits, lifting: Lifting) -> usize {
    let typed = machine(limits.host_call_bytes.max(limits.result_bytes));
    match lifting {
        Lifting::Typed => typed,
        Lifting::Dynamic => {
            let most = machine(limits.call_bytes.max(limits.result_bytes));
            typed.max(most.saturating_mul(2 * size_of::<Val>()))
        }
    }
}
