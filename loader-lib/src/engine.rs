//! The one configuration under which plugins are compiled and run.

use std::num::NonZeroUsize;

use wasmtime::{Config, Engine, InstanceAllocationStrategy, OptLevel};

use crate::error::LoaderError;

/// The name of this configuration in the keys of compiled code.
pub(crate) const PROFILE: &str = "resident";

/// Stack of a guest. What is left of [`FIBER`] is for the host functions it calls.
const GUEST_STACK: usize = 512 * 1024;
/// Stack of a call: the guest's, and the same three times over for host functions and WASI. Its pages
/// are touched lazily, so only address space is spent.
const FIBER: usize = 4 * GUEST_STACK;
/// Frames of a guest's backtrace: enough to find a bug, few enough to log.
const FRAMES: NonZeroUsize = NonZeroUsize::new(16).expect("16 is not 0");

/// The configuration `resident`: long-lived instances, allocated one by one.
///
/// Every switch is set here rather than left to the engine's defaults, which change between releases:
/// publish validates with the same set of features, and a plugin that was accepted must stay loadable.
pub(crate) fn config() -> Config {
    let mut config = Config::new();
    config
        .cranelift_opt_level(OptLevel::Speed)
        .allocation_strategy(InstanceAllocationStrategy::OnDemand)
        .memory_init_cow(true)
        // Guest time is counted in epochs: fuel costs two to three times as much.
        .epoch_interruption(true)
        .consume_fuel(false)
        // Calls with concurrency support cost more than twice as much, and no plugin of this track uses it.
        .concurrency_support(false)
        .max_wasm_stack(GUEST_STACK)
        .async_stack_size(FIBER)
        .wasm_backtrace_max_frames(Some(FRAMES))
        .generate_address_map(true)
        .native_unwind_info(false)
        .debug_info(false);
    features(&mut config);
    config
}

/// WebAssembly as `wasm32-wasip2` toolchains write it. What is off either lets guests escape an account
/// that the loader keeps (64-bit memories, pages of one byte) or is not settled yet. Reference
/// types are on as well, but for `externref`: that and exceptions come with garbage collection, which this build
/// of the engine does without.
fn features(config: &mut Config) {
    config
        .wasm_component_model(true)
        .wasm_bulk_memory(true)
        .wasm_multi_value(true)
        .wasm_simd(true)
        // As `stoa_core::component::features` says: results would differ between processors.
        .wasm_relaxed_simd(false)
        .wasm_tail_call(true)
        .wasm_extended_const(true)
        .wasm_multi_memory(true)
        .wasm_memory64(false)
        .wasm_custom_page_sizes(false)
        .wasm_wide_arithmetic(false);
}

/// An engine of the configuration `resident`.
pub(crate) fn engine() -> Result<Engine, LoaderError> {
    Engine::new(&config()).map_err(|e| LoaderError::Engine(e.into_boxed_dyn_error()))
}
