//! `plugin.toml`: what an author says of a plugin.
//!
//! ```toml
//! manifest = 1
//!
//! [plugin]
//! id = "demo:site"
//! version = "1.0.0"
//! kind = "plugin"                      # or "interface": WIT that hosts offer
//! description = "Builds pages out of Markdown"
//! license = "MIT OR Apache-2.0"
//! repository = "https://example.com/demo/site"
//! keywords = ["html", "markdown"]      # at most 8
//! categories = ["text", "web"]         # at most 3, of `Category::ALL`
//! readme = "README.md"
//! icon = "icon.svg"
//!
//! [build]                              # where building leaves things; not published
//! component = "target/site.wasm"
//! wit = "wit"
//! world = "site"
//!
//! [dependencies]
//! "demo:markdown" = "^1"
//! "acme:fmt" = { version = "^2", optional = true, for = ["demo:fmt/formatter"], on-failure = "trap" }
//!
//! [host]                               # imports that hosts answer, by WIT package; `*` adds nothing to the import
//! "acme:editor" = ">=1.4"
//!
//! [capabilities]
//! http.out = { allow = ["https://api.example.com"], reason = "Fetches feeds" }
//!
//! [limits]                             # wishes; a host's policy decides
//! memory = "64MiB"
//! call = "2s"
//!
//! [runtime]
//! stateless = true
//! pool = 4
//! reload = "shadow"                    # or "stop-start"
//! state-schema = 1
//!
//! [config.api-key]
//! type = "string"                      # or "integer", "boolean"
//! secret = true
//! ```

use std::collections::BTreeMap;

pub use self::{
    capability::{Capability, CapabilityKind},
    category::Category,
    dependency::Dependency,
    problem::ManifestError,
    setting::{Setting, SettingValue},
    tables::{About, Build, RuntimeWishes},
    text::{BuildPath, ConfigKey, Description, FilePath, Keyword, License, Reason, Repository, TextError},
    units::{ByteSize, Millis},
};
pub use crate::reader::Problem;
use crate::{
    id::PluginId,
    interface::WitPackage,
    limits::Wishes,
    reader::{self, Reader, Section},
    release::Kind,
    version::VersionReq,
};

mod capability;
mod category;
mod dependency;
mod problem;
mod setting;
mod tables;
mod text;
mod units;

/// A manifest is at most this long (64 KiB): ten times the largest that its own bounds let anyone need.
pub const MAX_BYTES: usize = 64 * 1024;
/// At most so many dependencies, host packages, capabilities' scopes or settings, each.
pub const MAX_ENTRIES: usize = 64;

/// A whole `plugin.toml`, every bound of which holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    plugin: About,
    build: Build,
    dependencies: BTreeMap<PluginId, Dependency>,
    host: BTreeMap<WitPackage, VersionReq>,
    capabilities: BTreeMap<CapabilityKind, Capability>,
    limits: Wishes,
    runtime: RuntimeWishes,
    config: BTreeMap<ConfigKey, Setting>,
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// [`ManifestError`] with every problem found: one reading is enough to correct a file, unless it is not TOML.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        Reader::whole(text, "plugin.toml", "manifest", MAX_BYTES, Self::read).map_err(ManifestError::new)
    }

    fn read(reader: &mut Reader<'_>, mut top: Section<'_, '_>) -> Option<Self> {
        match top.number(reader, "manifest", 0..u32::MAX) {
            Some(1) | None if top.value(reader, "manifest").is_some() => {}
            None => reader.problem(1, "manifest", "is missing: a manifest begins with `manifest = 1`"),
            Some(other) => reader.problem(1, "manifest", format!("is {other}: this program knows format 1")),
        }
        if top.value(reader, "plugin").is_none() {
            reader.problem(1, "plugin", "is missing: every manifest has a table [plugin]");
        }
        let plugin = top.section(reader, "plugin").and_then(|section| tables::read_about(reader, section));
        let build = top.section(reader, "build").map(|section| tables::read_build(reader, section)).unwrap_or_default();
        let dependencies = top.section(reader, "dependencies");
        let dependencies = dependencies.map(|s| dependency::read(reader, &s, plugin.as_ref())).unwrap_or_default();
        let host = top.section(reader, "host").map(|s| read_host(reader, &s, &dependencies)).unwrap_or_default();
        let capabilities = top.section(reader, "capabilities");
        let capabilities = capabilities.map(|s| capability::read(reader, &s)).unwrap_or_default();
        let limits = top.section(reader, "limits").map(|s| tables::read_limits(reader, s)).unwrap_or_default();
        let runtime = top.section(reader, "runtime");
        let runtime = tables::read_runtime(reader, runtime);
        let config = top.section(reader, "config").map(|s| setting::read(reader, &s)).unwrap_or_default();
        if plugin.as_ref().is_some_and(|plugin| plugin.kind == Kind::Interface) {
            for table in ["dependencies", "host", "capabilities", "limits", "runtime", "config"] {
                if let Some((line, _)) = top.value(reader, table) {
                    reader.problem(line, table, "is for plugins: an interface does not run");
                }
            }
        }
        top.finish(reader);
        Some(Self { plugin: plugin?, build, dependencies, host, capabilities, limits, runtime, config })
    }

    /// `[plugin]`.
    pub fn plugin(&self) -> &About {
        &self.plugin
    }

    /// `[build]`.
    pub fn build(&self) -> &Build {
        &self.build
    }

    /// `[dependencies]`: the plugins it calls.
    pub fn dependencies(&self) -> &BTreeMap<PluginId, Dependency> {
        &self.dependencies
    }

    /// `[host]`: the WIT packages that the host answers, and what their versions must meet beyond the import.
    pub fn host(&self) -> &BTreeMap<WitPackage, VersionReq> {
        &self.host
    }

    /// `[capabilities]`: what it asks to reach.
    pub fn capabilities(&self) -> &BTreeMap<CapabilityKind, Capability> {
        &self.capabilities
    }

    /// `[limits]`: what it wishes to use at most.
    pub fn limits(&self) -> &Wishes {
        &self.limits
    }

    /// `[runtime]`: how instances may be treated.
    pub fn runtime(&self) -> &RuntimeWishes {
        &self.runtime
    }

    /// `[config]`: its settings.
    pub fn config(&self) -> &BTreeMap<ConfigKey, Setting> {
        &self.config
    }
}

fn read_host(
    reader: &mut Reader<'_>,
    section: &Section<'_, '_>,
    dependencies: &BTreeMap<PluginId, Dependency>,
) -> BTreeMap<WitPackage, VersionReq> {
    let mut host = BTreeMap::new();
    let entries = section.entries(reader);
    if entries.len() > MAX_ENTRIES {
        let message = format!("has {} entries: at most {MAX_ENTRIES} are allowed", entries.len());
        reader.problem(section.line(), "host", message);
    }
    for (name, line, value) in entries {
        let at = section.at(&reader::shown(name));
        let package: Result<WitPackage, _> = name.parse();
        let requirement = reader::parse(reader, line, &at, value);
        match package {
            Err(error) => reader.problem(line, "host", error),
            Ok(package) if matches!(package.namespace(), "wasi" | "stoa") => {
                reader.problem(line, at, "needs no entry: every host answers for it");
            }
            Ok(package) if dependencies.keys().any(|id| package.is(id)) => {
                reader.problem(line, at, "is also a dependency: a plugin or the host answers, not both");
            }
            Ok(package) => host.extend(requirement.map(|requirement| (package, requirement))),
        }
    }
    host
}
