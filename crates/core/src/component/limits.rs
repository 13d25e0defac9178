//! What a component may be made of.

use wasmparser::WasmFeatures;

/// Bounds on a component, all checked before the work that they bound.
///
/// The defaults hold guests that bring a language's runtime with room to spare: a Python one of 18 MB has 14
/// modules, 65 instances, 13,351 functions, 122 crossings and 50 KB of WIT. They keep an inspection to seconds and to
/// a few times the size of its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InspectLimits {
    /// Bytes of the whole component. 128 MiB: what the registry accepts as an artifact.
    pub bytes: u64,
    /// Modules and components within each other, and types within each other. 16: what toolchains write has 2, and
    /// each composition adds 1.
    pub depth: u32,
    /// Modules, components and instances in all. 2,000: hundreds of interfaces at three instances each.
    pub parts: u64,
    /// Functions in all modules. 250,000: nearly twenty times a Python interpreter.
    pub functions: u64,
    /// Types in all modules, and type declarations in all components, each. 50,000.
    pub types: u64,
    /// Functions that cross between a component and its modules. 20,000: each may cost a walk of its types.
    pub crossings: u64,
    /// Bytes of the sections that say what the component looks like from outside, and of its docs: the WIT it
    /// carries. 1 MiB: the whole of WASI 0.2 takes less than 50 KB.
    pub wit_bytes: u64,
    /// Nodes of one type, and of all imports and exports together, where a shared part counts each time it is
    /// used. 100,000: a guest that imports all of WASI 0.2 has less than 4,000. Keeps `type b = tuple<a, a>; type c = tuple<b, b>; …` from growing
    /// without end.
    pub type_nodes: u64,
    /// Imports and exports, with the nodes of their types, of everything that is instantiated, counted at each
    /// instance. 1,000,000: the Python guest has less than 8,000.
    pub instantiated: u64,
    /// Bytes of all data segments. 128 MiB: they are part of the component.
    pub data_bytes: u64,
    /// Bytes of memory that all modules ask for at their start. 1 GiB.
    pub initial_memory: u64,
    /// Elements of all tables at their start. 1,000,000 at 8 bytes each.
    pub table_elements: u64,
    /// Imports and exports at top level. 1,000.
    pub externs: u64,
}

impl Default for InspectLimits {
    fn default() -> Self {
        const MIB: u64 = 1024 * 1024;
        Self {
            bytes: 128 * MIB,
            depth: 16,
            parts: 2_000,
            functions: 250_000,
            types: 50_000,
            crossings: 20_000,
            wit_bytes: MIB,
            type_nodes: 100_000,
            instantiated: 1_000_000,
            data_bytes: 128 * MIB,
            initial_memory: 1024 * MIB,
            table_elements: 1_000_000,
            externs: 1_000,
        }
    }
}

/// The WebAssembly features a component may use: what publishing accepts, and what a loader tells its engine to
/// accept, so that neither knows more than the other.
///
/// In: what compilers use by default today (WebAssembly 2.0, extended constants), tail calls and several
/// memories, which cost an engine nothing when unused, and the component model. Out, each for a reason:
/// - garbage collection, `externref`, exceptions: need a collector in the engine;
/// - threads: a store has one thread, and shared memory outlives its limits;
/// - relaxed SIMD: results differ between processors, so a plugin would too;
/// - 64-bit memory: every access pays a bounds check, and limits are below 4 GiB anyway;
/// - async, streams, futures and `error-context` of the component model: WASI 0.3 is not offered yet;
/// - everything that is not yet standard (stack switching, wide arithmetic, custom page sizes, nested names,
///   maps, fixed-length lists, values).
pub fn features() -> WasmFeatures {
    // WASM2's pseudo-feature GC_TYPES gates `externref`.
    WasmFeatures::WASM2.difference(WasmFeatures::GC_TYPES)
        | WasmFeatures::EXTENDED_CONST
        | WasmFeatures::TAIL_CALL
        | WasmFeatures::MULTI_MEMORY
        | WasmFeatures::COMPONENT_MODEL
}
