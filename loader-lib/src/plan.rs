//! What the resolver hands to the runtime: which plugins to run, from which bytes, and who calls whom.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::PathBuf,
    sync::Arc,
};

use stoa_core::{digest::Digest, id::PluginId, standing::Takedown, version::Version};

pub use stoa_core::release::{OnFailure, Reload};

pub use crate::grant::Charter;

use crate::{error::Cause, limits::Wishes};

/// A set of plugins in load order: each comes after all it depends on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    plugins: Vec<PlannedPlugin>,
}

impl Plan {
    /// Checks that every dependency comes before its dependent, that no plugin comes twice, and that no
    /// import is bound twice.
    pub fn new(plugins: Vec<PlannedPlugin>) -> Result<Self, PlanError> {
        let mut before = BTreeSet::new();
        for plugin in &plugins {
            let mut bound = BTreeSet::new();
            for edge in &plugin.dependencies {
                if !before.contains(&edge.on) {
                    return Err(PlanError::Order { plugin: plugin.id.clone(), dependency: edge.on.clone() });
                }
                let mut imports = edge.bindings.iter().map(|binding| &binding.import);
                if let Some(twice) = imports.find(|name| !bound.insert(name.as_str())) {
                    return Err(PlanError::BoundTwice { plugin: plugin.id.clone(), import: twice.clone() });
                }
            }
            if !before.insert(plugin.id.clone()) {
                return Err(PlanError::Twice(plugin.id.clone()));
            }
        }
        Ok(Self { plugins })
    }

    /// The plugins in load order.
    pub fn plugins(&self) -> &[PlannedPlugin] {
        &self.plugins
    }
}

/// One plugin of a [`Plan`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedPlugin {
    /// The registry it comes from, as the host names it.
    pub registry: Arc<str>,
    /// Its name.
    pub id: PluginId,
    /// The version that was resolved.
    pub version: Version,
    /// The SHA-256 of the component.
    pub artifact: Digest,
    /// Where the component's bytes are. They are read only when no compiled form is cached, and hashed again then.
    pub origin: Origin,
    /// Which imports other plugins provide.
    pub dependencies: Vec<Edge>,
    /// What it needs, by who says so, and what of it was granted.
    pub charter: Charter,
    /// What its manifest wishes for.
    pub limits: Wishes,
    /// How it is run.
    pub runtime: RuntimeOptions,
    /// Its configuration, handed out by `stoa:plugin/config`.
    pub config: BTreeMap<String, ConfigValue>,
    /// Its place in the host's own list: the order of implementors.
    pub rank: u32,
    /// How it was quarantined, where it was: then it runs from what was kept before.
    pub quarantined: Option<Takedown>,
}

impl PlannedPlugin {
    /// The slot it is to fill.
    pub fn key(&self) -> SlotKey {
        SlotKey::new(self.registry.clone(), self.id.clone(), self.version.as_semver().major)
    }
}

/// Where the bytes of a component are.
#[derive(Debug, Clone)]
pub enum Origin {
    /// In this file.
    File(PathBuf),
    /// Here: they could not be kept in a file.
    Held(bytes::Bytes),
    /// Not here yet: loading brings them.
    Remote(Arc<dyn Fetch>),
}

impl PartialEq for Origin {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File(one), Self::File(other)) => one == other,
            (Self::Held(one), Self::Held(other)) => one == other,
            (Self::Remote(one), Self::Remote(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl Eq for Origin {}

/// Brings the bytes of one component here.
#[async_trait::async_trait]
pub trait Fetch: fmt::Debug + Send + Sync {
    /// Fetches and verifies them, and says where they are now.
    ///
    /// # Errors
    ///
    /// Whatever keeps them from being here as they should be.
    async fn fetch(&self) -> Result<Origin, Cause>;
}

/// A configured value, as `stoa:plugin/config` hands it out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigValue {
    /// Text.
    Text(String),
    /// An integer.
    Integer(i64),
    /// True or false.
    Boolean(bool),
}

/// One import and the export that answers it, both by their exact names: nothing chooses again after the resolver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// What the importer imports, such as `demo:markdown/render@1.0.0`.
    pub import: String,
    /// What the provider exports: the same name, or a compatible higher version such as `demo:markdown/render@1.2.0`.
    pub export: String,
}

/// A dependency as it is linked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// The plugin that provides.
    pub on: PluginId,
    /// Through what.
    pub bindings: Vec<Binding>,
    /// What the importer sees when a call to it fails.
    pub on_failure: OnFailure,
}

/// How a plugin is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RuntimeOptions {
    /// How a new version takes over.
    pub reload: Reload,
    /// How many instances may serve it.
    pub instances: Instances,
}

/// How many instances of a plugin may serve calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Instances {
    /// One: a call may depend on earlier calls.
    #[default]
    One,
    /// Several, since calls do not depend on each other: at most so many, or whatever the host gives.
    Stateless(Option<u32>),
}

impl Instances {
    /// How many there may be in a host that gives each plugin at most `ceiling`: at least one.
    pub fn at_most(self, ceiling: u32) -> u32 {
        match self {
            Self::One => 1,
            Self::Stateless(wish) => wish.map_or(ceiling, |wish| wish.min(ceiling)).max(1),
        }
    }
}

/// The place a plugin fills in a host, kept over reloads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotKey {
    registry: Arc<str>,
    id: PluginId,
    major: u64,
}

impl SlotKey {
    /// The slot of `id` from `registry` in its versions `major`.
    pub fn new(registry: impl Into<Arc<str>>, id: PluginId, major: u64) -> Self {
        Self { registry: registry.into(), id, major }
    }

    /// The plugin.
    pub fn id(&self) -> &PluginId {
        &self.id
    }

    /// The registry it comes from.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The major version of it.
    pub fn major(&self) -> u64 {
        self.major
    }
}

impl fmt::Display for SlotKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.id)
    }
}

/// Why a list of plugins is not a plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// A dependency is missing, or comes too late.
    #[error("{plugin} depends on {dependency}, which must come before it in the plan")]
    Order {
        /// The dependent.
        plugin: PluginId,
        /// What does not come before it.
        dependency: PluginId,
    },
    /// The same plugin in two versions: one host runs one.
    #[error("{0} is twice in the plan: a host runs one version of a plugin")]
    Twice(PluginId),
    /// One import has two providers.
    #[error("{plugin} imports {import}, which the plan binds twice")]
    BoundTwice {
        /// The importer.
        plugin: PluginId,
        /// The import.
        import: String,
    },
}
