//! Everything that can go wrong, with a stable code each.

use std::{sync::Arc, time::Duration};

use stoa_core::{capability::Disagreement, component::InspectError, digest::Digest, id::PluginId};

use crate::{
    breaker::{BreakerReason, Caller},
    grant::GrantError,
    limits::{Exceeded, Limit, OutOfBounds},
    phase::Phase,
    plan::PlanError,
};

/// The cause below a [`LoaderError`]: printed once, by whoever prints the chain.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// What the loader answers when it can not do what was asked.
///
/// `Display` names the thing, the rule and the value, and never prints the source. Each variant has a
/// [code](LoaderError::code) that does not change.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoaderError {
    /// The plan contradicts itself.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A limit of the host is beyond its hard maximum.
    #[error(transparent)]
    Limits(#[from] OutOfBounds),
    /// The engine does not start on this machine.
    #[error("the WebAssembly engine does not start with the loader's configuration")]
    Engine(#[source] Cause),
    /// A host was used outside an async runtime.
    #[error("no async runtime is running here: build the host inside one, or use stoa_loader::blocking::Host")]
    NoRuntime,
    /// The host was shut down.
    #[error("the host was shut down")]
    ShutDown,
    /// What the host offers can not be linked.
    #[error("the host interface {interface} can not be linked")]
    Provide {
        /// Its name as given to `provide`.
        interface: String,
        /// What the linker said.
        #[source]
        source: Cause,
    },

    /// The component's file can not be read.
    #[error("{plugin}: its component can not be read from {path}")]
    Artifact {
        /// The plugin.
        plugin: PluginId,
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The component's file has other bytes than were verified.
    #[error("{plugin}: its component should have the SHA-256 {expected}, but {path} has {found}")]
    ArtifactChanged {
        /// The plugin.
        plugin: PluginId,
        /// The file.
        path: String,
        /// The digest in the plan.
        expected: Digest,
        /// The digest of what was read.
        found: Box<Digest>,
    },
    /// The component is larger than is compiled.
    #[error("{plugin}: its component has {size} bytes, and at most {limit} are compiled")]
    ArtifactTooLarge {
        /// The plugin.
        plugin: PluginId,
        /// Its size.
        size: u64,
        /// The largest size.
        limit: u64,
    },
    /// The component is none, or made of more than is compiled.
    #[error("{plugin}: its component is not compiled")]
    Inspect {
        /// The plugin.
        plugin: PluginId,
        /// Which rule it breaks.
        #[source]
        source: Box<InspectError>,
    },
    /// The bytes are not a component that the engine accepts.
    #[error("{plugin}: the engine refuses its component")]
    Compile {
        /// The plugin.
        plugin: PluginId,
        /// What the compiler said.
        #[source]
        source: Cause,
    },
    /// The compiler ended without an answer: a fault of its own, or of what it was given.
    #[error("{plugin}: the compiler failed: {reason}")]
    Compiler {
        /// The plugin.
        plugin: PluginId,
        /// How it ended.
        reason: String,
    },
    /// Compilation takes longer than it may. It goes on in the background, into the cache.
    #[error(
        "{plugin}: compiling its {size} bytes took longer than {limit:?}; it goes on, so a later try may find it done"
    )]
    CompileTimeout {
        /// The plugin.
        plugin: PluginId,
        /// The size of the component.
        size: u64,
        /// How long was waited.
        limit: Duration,
    },
    /// The folder of compiled code can not be used.
    #[error("the folder of compiled code {path} can not be used")]
    AotFolder {
        /// The folder.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },

    /// Too many compilations that were given up still go on: one more could take what memory and processors are left.
    #[error("{plugin}: it is not compiled while {given_up} compilations that were given up still go on")]
    CompilerBusy {
        /// The plugin.
        plugin: PluginId,
        /// How many.
        given_up: usize,
    },
    /// The component could not be brought here, or is not what the index says.
    #[error("{plugin}: its component can not be fetched")]
    Fetch {
        /// The plugin.
        plugin: PluginId,
        /// Why.
        #[source]
        source: Cause,
    },
    /// A plugin took longer to load than it may.
    #[error("{plugin} took longer than {limit:?} to load, and was in the phase `{phase}` when its time was up")]
    LoadDeadline {
        /// The plugin.
        plugin: PluginId,
        /// Where it was.
        phase: Phase,
        /// What it had, without compiling and without waiting for other plugins.
        limit: Duration,
    },
    /// Loading was cancelled. What ran before goes on.
    #[error("loading was cancelled")]
    LoadCancelled,
    /// A test had asked for this.
    #[error("{plugin}: a fault was injected in the phase `{phase}`")]
    Fault {
        /// The plugin.
        plugin: PluginId,
        /// The phase.
        phase: Phase,
    },
    /// The loader did what its own rules forbid.
    #[error("{plugin}: the loader broke a rule of its own, which is a bug: {rule}")]
    Internal {
        /// The plugin.
        plugin: PluginId,
        /// The rule.
        rule: String,
    },

    /// It is not given what it can not do without.
    #[error("{plugin} is not linked")]
    Grants {
        /// The plugin.
        plugin: PluginId,
        /// Why.
        #[source]
        source: Box<GrantError>,
    },
    /// A component imports something else than the signed index lists, so that what was decided is of another one.
    #[error("{plugin} is not what the signed index lists: {disagreement}")]
    OtherImports {
        /// The plugin.
        plugin: PluginId,
        /// The first difference.
        disagreement: Disagreement,
    },
    /// A folder that was granted can not be opened.
    #[error("{plugin} was granted the folder {place}, which can not be opened")]
    Folder {
        /// The plugin.
        plugin: PluginId,
        /// The folder, as capabilities name it.
        place: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A component imports what nobody provides.
    #[error("{plugin} imports {}, which neither this host nor a plugin it depends on provides", .imports.join(", "))]
    UnknownImport {
        /// The importer.
        plugin: PluginId,
        /// All such imports, sorted.
        imports: Vec<String>,
    },
    /// A dependency lacks what is imported from it, or has it with another type.
    #[error("{plugin} imports {import} from {provider}: {reason}")]
    Incompatible {
        /// The importer.
        plugin: PluginId,
        /// The provider. (Boxed, as others below are, to keep all results small.)
        provider: Box<PluginId>,
        /// The import, with its function where one is at fault.
        import: String,
        /// The rule that is broken.
        reason: String,
    },
    /// The linker refuses for another reason.
    #[error("{plugin} can not be linked")]
    Link {
        /// The plugin.
        plugin: PluginId,
        /// What the linker said.
        #[source]
        source: Cause,
    },
    /// The component can not be instantiated.
    #[error("{plugin} can not be instantiated")]
    Instantiate {
        /// The plugin.
        plugin: PluginId,
        /// What the engine said.
        #[source]
        source: Cause,
    },
    /// `lifecycle.init` said no.
    #[error("{plugin} refuses to start: {message}")]
    Init {
        /// The plugin.
        plugin: PluginId,
        /// What it said, at most 1000 characters, control characters escaped.
        message: String,
    },
    /// A plugin is not loaded since one it needs is not.
    #[error("{plugin} is not loaded because {root}, which it depends on{}, is not", through(.chain))]
    Blocked {
        /// The plugin.
        plugin: PluginId,
        /// The plugin that failed first.
        root: Box<PluginId>,
        /// The way there: from this plugin to that one, each depending on the next.
        chain: Vec<PluginId>,
        /// How that one failed.
        #[source]
        source: Arc<LoaderError>,
    },

    /// The plan had a plugin of this name, but it could not be loaded.
    #[error("{plugin} is not loaded")]
    NotLoaded {
        /// The plugin.
        plugin: PluginId,
        /// Why.
        #[source]
        source: Arc<LoaderError>,
    },
    /// No plugin of this name is part of the host.
    #[error("this host has no plugin {plugin}")]
    UnknownPlugin {
        /// The name as given.
        plugin: String,
    },
    /// A plugin has no such function.
    #[error("{plugin} has no function {function}; it exports {}", list(.exports))]
    UnknownFunction {
        /// The plugin.
        plugin: PluginId,
        /// The function as asked for.
        function: String,
        /// All functions it has, as `interface.function`.
        exports: Vec<String>,
    },
    /// A bare function name that several interfaces have.
    #[error("{plugin} has several functions {function}: write one of {}", list(.candidates))]
    AmbiguousFunction {
        /// The plugin.
        plugin: PluginId,
        /// The name as given.
        function: String,
        /// The full names.
        candidates: Vec<String>,
    },
    /// A pattern of `implementors` that is not `namespace:package/interface` or that with `@requirement`.
    #[error("`{pattern}` is not a pattern of interfaces: write `namespace:package/interface@requirement`")]
    Pattern {
        /// The pattern as given.
        pattern: String,
    },
    /// A call in text form can not be read.
    #[error("`{call}` is not a call in WAVE: {reason}")]
    Wave {
        /// The text.
        call: String,
        /// What the parser said.
        reason: String,
    },
    /// Arguments or results do not have the function's types.
    #[error("{plugin}: {function} has other types than the call: {reason}")]
    Signature {
        /// The plugin.
        plugin: PluginId,
        /// The function.
        function: String,
        /// Which.
        reason: String,
    },

    /// Another call into this plugin is on the way that led here.
    #[error("{plugin} was called while it waits for that very call: {chain}")]
    Reentrant {
        /// The plugin.
        plugin: PluginId,
        /// The plugins on the way, first to last.
        chain: String,
    },
    /// A plugin may not call this one.
    #[error("{plugin} may not call {dependency}: that was not granted")]
    Denied {
        /// The caller.
        plugin: PluginId,
        /// Whom it may not call.
        dependency: Box<PluginId>,
    },
    /// Too many plugins in a chain of calls.
    #[error("{plugin} would be number {depth} in a chain of calls; at most {limit} are allowed")]
    TooDeep {
        /// The plugin.
        plugin: PluginId,
        /// Its place in the chain.
        depth: usize,
        /// The longest chain.
        limit: usize,
    },
    /// A plugin has too many calls waiting.
    #[error("{plugin} is busy and {waiters} calls wait for it already")]
    Unavailable {
        /// The plugin.
        plugin: PluginId,
        /// How many wait.
        waiters: usize,
    },
    /// A plugin failed too often: it is not called before some time is over.
    #[error("{plugin} takes no calls{} for another {retry_in:?}: {reason}", from(.caller.as_deref()))]
    Breaker {
        /// The plugin.
        plugin: PluginId,
        /// Whose calls; none where it takes nobody's.
        caller: Option<Box<Caller>>,
        /// Why.
        reason: Box<BreakerReason>,
        /// For how long, in whole milliseconds. Then one call tries whether it works again.
        retry_in: Duration,
    },
    /// `health.check` said no. The instance is replaced.
    #[error("{plugin} says that it does not work: {message}")]
    Unhealthy {
        /// The plugin.
        plugin: PluginId,
        /// What it said, at most 1000 characters, control characters escaped.
        message: String,
    },
    /// Too many bytes in a call: [`Limit::CallBytes`] or [`Limit::ResultBytes`].
    #[error("{plugin}: {function} {} {size} bytes or more: the limit `{limit}` is {}", carried(*.limit), .limit.show(*.allowed))]
    TooLarge {
        /// The plugin.
        plugin: PluginId,
        /// The function.
        function: String,
        /// Which way they went.
        limit: Limit,
        /// How many were counted before counting stopped.
        size: u64,
        /// How many may cross.
        allowed: u64,
    },
    /// A plugin wanted more than a limit allows, and its start or its call ended by that.
    #[error("{plugin}: {function} met a limit: {exceeded}")]
    Limit {
        /// The plugin.
        plugin: PluginId,
        /// The function; `its start` where it could not be started.
        function: String,
        /// Which limit, and by how much.
        exceeded: Exceeded,
        /// How the engine ended it, with its WebAssembly backtrace; none where it was not entered.
        #[source]
        source: Option<Cause>,
    },
    /// The plugins that are loaded leave too little memory for what this one declares.
    #[error("{plugin} does not fit: {exceeded}")]
    Admission {
        /// The plugin.
        plugin: PluginId,
        /// The host's limit, and what all would need together.
        exceeded: Exceeded,
    },
    /// The wall clock ran out.
    #[error("{plugin}: {function} did not finish before its deadline ({limit:?} after the call began)")]
    Deadline {
        /// The plugin.
        plugin: PluginId,
        /// The function.
        function: String,
        /// From the start of the root call to the deadline.
        limit: Duration,
    },
    /// The call was cancelled, by a token that it was given.
    #[error("{plugin}: {function} was cancelled")]
    Cancelled {
        /// The plugin.
        plugin: PluginId,
        /// The function.
        function: String,
    },
    /// The call was cut off from outside: the plugin was taken away, or the call it served was cut off.
    #[error("{plugin}: {function} was cut off")]
    CutOff {
        /// The plugin.
        plugin: PluginId,
        /// The function.
        function: String,
    },
    /// The plugin's own code ran too long.
    #[error("{plugin}: {function} ran for more than {limit:?} of guest time")]
    GuestTime {
        /// The plugin.
        plugin: PluginId,
        /// The function.
        function: String,
        /// The limit.
        limit: Duration,
    },
    /// The plugin trapped. Its memory is lost; the next call gets a fresh instance.
    #[error("{plugin}: {function} trapped")]
    Trapped {
        /// The plugin.
        plugin: PluginId,
        /// The function.
        function: String,
        /// The trap, with its WebAssembly backtrace.
        #[source]
        source: Cause,
    },
    /// A plugin trapped because one it depends on failed and it had asked for that (`on-failure = "trap"`).
    #[error("{plugin}: {function} trapped because {dependency}, which it depends on, failed")]
    DependencyFailed {
        /// The caller, which lost its memory.
        plugin: PluginId,
        /// The function of the caller.
        function: String,
        /// The plugin that failed first.
        dependency: Box<PluginId>,
        /// How.
        #[source]
        source: Arc<LoaderError>,
    },
}

fn from(caller: Option<&Caller>) -> String {
    caller.map(|caller| format!(" from {caller}")).unwrap_or_default()
}

fn carried(limit: Limit) -> &'static str {
    if limit == Limit::ResultBytes { "gave" } else { "was handed" }
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// The plugins between the first and the last of a chain of dependencies.
fn through(chain: &[PluginId]) -> String {
    let between: Vec<_> =
        chain.get(1..chain.len().saturating_sub(1)).unwrap_or_default().iter().map(ToString::to_string).collect();
    if between.is_empty() { String::new() } else { format!(" through {}", between.join(" and ")) }
}

impl LoaderError {
    /// This message and those of all causes below it, in one line, for logs and events.
    pub fn chain(&self) -> String {
        let causes = std::iter::successors(std::error::Error::source(self), |error| error.source());
        std::iter::once(self.to_string()).chain(causes.map(ToString::to_string)).collect::<Vec<_>>().join(": ")
    }

    /// A short name that does not change between versions: for logs, exit codes and `--json`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Plan(_) => "plan",
            Self::Limits(_) => "limits",
            Self::Engine(_) => "engine",
            Self::NoRuntime => "no-runtime",
            Self::ShutDown => "shut-down",
            Self::Provide { .. } => "provide",
            Self::Artifact { .. } => "artifact",
            Self::ArtifactChanged { .. } => "artifact-changed",
            Self::ArtifactTooLarge { .. } => "artifact-too-large",
            Self::Inspect { .. } => "inspect",
            Self::Compile { .. } => "compile",
            Self::Compiler { .. } => "compiler",
            Self::CompileTimeout { .. } => "compile-timeout",
            Self::AotFolder { .. } => "aot-folder",
            Self::CompilerBusy { .. } => "compiler-busy",
            Self::Fetch { .. } => "fetch",
            Self::LoadDeadline { .. } => "load-deadline",
            Self::LoadCancelled => "load-cancelled",
            Self::Fault { .. } => "fault",
            Self::Internal { .. } => "internal",
            Self::Grants { source, .. } => source.code(),
            Self::OtherImports { .. } => "other-imports",
            Self::Folder { .. } => "folder",
            Self::Denied { .. } => "denied",
            Self::UnknownImport { .. } => "unknown-import",
            Self::Incompatible { .. } => "incompatible",
            Self::Link { .. } => "link",
            Self::Instantiate { .. } => "instantiate",
            Self::Init { .. } => "init",
            Self::Blocked { .. } => "blocked",
            Self::NotLoaded { .. } => "not-loaded",
            Self::UnknownPlugin { .. } => "unknown-plugin",
            Self::UnknownFunction { .. } => "unknown-function",
            Self::AmbiguousFunction { .. } => "ambiguous-function",
            Self::Pattern { .. } => "pattern",
            Self::Wave { .. } => "wave",
            Self::Signature { .. } => "signature",
            Self::Reentrant { .. } => "reentrant",
            Self::TooDeep { .. } => "too-deep",
            Self::Unavailable { .. } => "unavailable",
            Self::Breaker { .. } => "circuit-open",
            Self::Unhealthy { .. } => "unhealthy",
            Self::TooLarge { .. } => "too-large",
            Self::Limit { exceeded, .. } => exceeded.limit.row().code,
            Self::Admission { .. } => "admission",
            Self::Deadline { .. } => "deadline",
            Self::Cancelled { .. } => "cancelled",
            Self::CutOff { .. } => "cut-off",
            Self::GuestTime { .. } => "guest-time",
            Self::Trapped { .. } => "trapped",
            Self::DependencyFailed { .. } => "dependency-failed",
        }
    }
}
