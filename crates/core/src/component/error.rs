//! Why a component is refused.

/// Why bytes are not a component that Stoa publishes or loads.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InspectError {
    /// Neither WebAssembly nor anything near it.
    #[error("the file is not WebAssembly: it begins with `{0}`, not with `00 61 73 6d`")]
    NotWasm(String),
    /// WebAssembly text.
    #[error("the file is WebAssembly text: encode it first, for instance with `wasm-tools parse`")]
    Text,
    /// A core module.
    #[error("the file is a core module, not a component: wrap it, for instance with `wasm-tools component new`")]
    CoreModule,
    /// Code that an engine compiled for one machine. Running such a file means running whatever it says.
    #[error("the file is machine code that an engine compiled in advance: only portable components are accepted")]
    Precompiled,
    /// A version of WebAssembly or of the component model's encoding that nothing here reads.
    #[error("the file has the WebAssembly encoding {0:#010x}: components are {1:#010x}")]
    Encoding(u32, u32),
    /// More bytes than allowed.
    #[error("the file has {bytes} bytes: at most {max} are accepted")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The most accepted.
        max: u64,
    },
    /// Modules, components or types nested too deep.
    #[error("{what} are nested {depth} deep: at most {max} levels are accepted")]
    TooDeep {
        /// What is nested.
        what: &'static str,
        /// The depth at which reading stopped.
        depth: u32,
        /// The deepest accepted.
        max: u32,
    },
    /// More of something than allowed.
    #[error("the component has {count} {what}: at most {max} are accepted")]
    TooMany {
        /// What there is too much of, with its unit.
        what: &'static str,
        /// How much there is, at least.
        count: u64,
        /// The most accepted.
        max: u64,
    },
    /// A type that is small to write and huge to walk.
    #[error("the type of `{name}` has more than {max} nodes when written out")]
    TypeTooComplex {
        /// The import, export or type.
        name: String,
        /// The most accepted.
        max: u64,
    },
    /// A name that is too long.
    #[error("the name `{start}…` has {bytes} bytes: at most {max} are accepted")]
    NameTooLong {
        /// Its beginning.
        start: String,
        /// Its length.
        bytes: usize,
        /// The longest accepted.
        max: usize,
    },
    /// Not well-formed, or not valid.
    #[error("the component is not valid: {message} (at byte {offset})")]
    Invalid {
        /// What the validator said.
        message: String,
        /// Where, from the beginning of the file.
        offset: usize,
    },
    /// A feature of WebAssembly that hosts do not enable.
    #[error("the component uses a feature that hosts do not enable: {message} (at byte {offset})")]
    Feature {
        /// What the validator said.
        message: String,
        /// Where, from the beginning of the file.
        offset: usize,
    },
    /// An import or export that no host can use.
    #[error("`{name}` is {kind}: imports and exports are interfaces, functions and types")]
    Kind {
        /// Its name.
        name: String,
        /// What it is.
        kind: &'static str,
    },
    /// An import or export with a name that hosts do not resolve, such as `url=<…>`.
    #[error("the name of an import or export can not be used")]
    Name(#[from] crate::interface::NameError),
    /// WASI other than 0.2.
    #[error("`{name}` is of WASI {track}: hosts offer WASI 0.2")]
    Wasi {
        /// The interface.
        name: String,
        /// Its semver track.
        track: String,
    },
    /// A valid component whose interface WIT can't express.
    #[error("the component's interface has no WIT form: {0}")]
    NoWit(String),
}

impl From<wasmparser::Error> for InspectError {
    fn from(error: wasmparser::Error) -> Self {
        let (message, offset) = (error.message().to_owned(), error.offset());
        match error.missing_wasm_feature() {
            Some(_) => Self::Feature { message, offset },
            None => Self::Invalid { message, offset },
        }
    }
}
