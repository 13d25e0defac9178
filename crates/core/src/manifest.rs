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

use std::{collections::BTreeMap, fmt, str::FromStr};

use toml::de::DeTable;

pub use self::{
    capability::{Capability, CapabilityKind},
    dependency::Dependency,
    setting::{Setting, SettingValue},
    text::{BuildPath, ConfigKey, Description, FilePath, Keyword, License, Reason, Repository, TextError},
    units::{ByteSize, Millis},
};
use self::{
    reader::{Reader, Section},
    text::refuse,
};
use crate::{
    id::PluginId,
    interface::{PlainName, WitPackage},
    release::{Kind, Reload},
    version::{Version, VersionReq},
};

mod capability;
mod dependency;
mod reader;
mod setting;
mod text;
mod units;

/// A manifest is at most this long (64 KiB): ten times the largest that its own bounds let anyone need.
pub const MAX_BYTES: usize = 64 * 1024;
/// At most so many dependencies, host packages, capabilities' scopes or settings, each.
pub const MAX_ENTRIES: usize = 64;

/// One thing wrong with a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// The key with its table: `plugin.license`. Empty for the file as a whole.
    pub at: String,
    /// What is wrong with it: a predicate of which `at` is the subject.
    pub message: String,
    /// What to try.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        match (self.at.as_str(), self.message.starts_with('`')) {
            ("", _) => f.write_str(&self.message)?,
            (at, true) => write!(f, "`{at}`: {}", self.message)?,
            (at, false) => write!(f, "`{at}` {}", self.message)?,
        }
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

/// Why text is not a manifest: every problem, by line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ManifestError {
    problems: Vec<Problem>,
}

impl ManifestError {
    /// The problems, at least one, by line.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.problems.iter().map(Problem::to_string).collect();
        write!(f, "the manifest is not valid: {}", lines.join("\n"))
    }
}

/// A shelf of the marketplace.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Category(&'static str);

impl Category {
    /// The shelves, sorted. A list that grows: none is ever taken away.
    pub const ALL: [&'static str; 20] = [
        "audio",
        "automation",
        "communication",
        "data",
        "developer-tools",
        "documents",
        "education",
        "finance",
        "games",
        "graphics",
        "integration",
        "language",
        "monitoring",
        "network",
        "science",
        "security",
        "storage",
        "text",
        "video",
        "web",
    ];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl FromStr for Category {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        match Self::ALL.iter().find(|name| **name == text) {
            Some(name) => Ok(Self(name)),
            None => refuse(text, format!("is not a category; there are {}", Self::ALL.join(", "))),
        }
    }
}

text_type!(Category);

/// `[plugin]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// Whose it is and what it is called.
    pub id: PluginId,
    /// The version being released.
    pub version: Version,
    /// A plugin unless said otherwise.
    pub kind: Kind,
    /// What it does.
    pub description: Description,
    /// Under which terms.
    pub license: License,
    /// Where its source is.
    pub repository: Option<Repository>,
    /// Words to be found by, at most 8, in the author's order.
    pub keywords: Vec<Keyword>,
    /// Shelves of the marketplace, at most 3, in the author's order.
    pub categories: Vec<Category>,
    /// A Markdown file.
    pub readme: Option<FilePath>,
    /// An SVG or PNG file.
    pub icon: Option<FilePath>,
}

/// `[build]`: where building leaves things. Not published.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Build {
    /// The component, or a core module that carries its world.
    pub component: Option<BuildPath>,
    /// The folder of its WIT.
    pub wit: Option<BuildPath>,
    /// The world in it.
    pub world: Option<PlainName>,
}

/// `[limits]`: what the plugin wishes to have at most. A host's policy decides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LimitWishes {
    /// Memory of an instance: 64 KiB to 4 GiB.
    pub memory: Option<ByteSize>,
    /// Time of a call: 1 ms to 10 min.
    pub call: Option<Millis>,
    /// Time of `lifecycle.init`: 1 ms to 10 min.
    pub init: Option<Millis>,
    /// Arguments or results of one call between plugins: 1 KiB to 1 GiB.
    pub message: Option<ByteSize>,
    /// Stored state: 1 KiB to 1 TiB.
    pub state: Option<ByteSize>,
}

/// `[runtime]`: how instances may be treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuntimeWishes {
    /// Calls do not depend on earlier calls.
    pub stateless: bool,
    /// How many instances at most: 1 to 64, above 1 only if stateless.
    pub pool: Option<u32>,
    /// How a newer version takes over.
    pub reload: Reload,
    /// The form of the plugin's stored state, from 1.
    pub state_schema: Option<u32>,
}

/// A whole `plugin.toml`, every bound of which holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    plugin: About,
    build: Build,
    dependencies: BTreeMap<PluginId, Dependency>,
    host: BTreeMap<WitPackage, VersionReq>,
    capabilities: BTreeMap<CapabilityKind, Capability>,
    limits: LimitWishes,
    runtime: RuntimeWishes,
    config: BTreeMap<ConfigKey, Setting>,
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// [`ManifestError`] with every problem found: one reading is enough to correct a file, unless it is not TOML.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let mut reader = Reader::new(text);
        let manifest = if text.len() > MAX_BYTES {
            reader.problem(1, "", format!("the manifest has {} bytes: at most {MAX_BYTES} are allowed", text.len()));
            None
        } else {
            let (table, errors) = DeTable::parse_recoverable(text);
            for error in &errors {
                let line = error.span().map_or(1, |span| reader.line(&span));
                reader.problem(line, "", format!("not TOML: {}", error.message()));
            }
            if errors.is_empty() { Self::read(&mut reader, Section::new("", table.get_ref(), 1)) } else { None }
        };
        match (manifest, reader.finish()) {
            (Some(manifest), problems) if problems.is_empty() => Ok(manifest),
            (_, problems) => Err(ManifestError { problems }),
        }
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
        let plugin = top.section(reader, "plugin").and_then(|section| read_about(reader, section));
        let build = top.section(reader, "build").map(|section| read_build(reader, section)).unwrap_or_default();
        let dependencies = top.section(reader, "dependencies");
        let dependencies = dependencies.map(|s| dependency::read(reader, &s, plugin.as_ref())).unwrap_or_default();
        let host = top.section(reader, "host").map(|s| read_host(reader, &s, &dependencies)).unwrap_or_default();
        let capabilities = top.section(reader, "capabilities");
        let capabilities = capabilities.map(|s| capability::read(reader, &s)).unwrap_or_default();
        let limits = top.section(reader, "limits").map(|s| read_limits(reader, s)).unwrap_or_default();
        let runtime = top.section(reader, "runtime");
        let runtime = read_runtime(reader, runtime);
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
    pub fn limits(&self) -> &LimitWishes {
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

fn read_about(reader: &mut Reader<'_>, mut section: Section<'_, '_>) -> Option<About> {
    let id = section.required(reader, "id");
    let version = section.required(reader, "version");
    let kind = choice(reader, &mut section, "kind", &[("plugin", Kind::Plugin), ("interface", Kind::Interface)]);
    let description = section.required(reader, "description");
    let license = section.required(reader, "license");
    let repository = section.parsed(reader, "repository");
    let keywords = bounded_list(reader, &mut section, "keywords", 8);
    let categories = bounded_list(reader, &mut section, "categories", 3);
    let readme = section.parsed(reader, "readme");
    let icon: Option<FilePath> = section.parsed(reader, "icon");
    if let (Some(icon), Some((line, _))) = (&icon, section.value(reader, "icon"))
        && ![".svg", ".png"].iter().any(|end| icon.as_str().ends_with(end))
    {
        reader.problem(line, "plugin.icon", format!("`{icon}` is not an .svg or .png file"));
    }
    section.finish(reader);
    Some(About {
        id: id?,
        version: version?,
        kind: kind.unwrap_or(Kind::Plugin),
        description: description?,
        license: license?,
        repository,
        keywords,
        categories,
        readme,
        icon,
    })
}

/// A list without repetition of at most `max` items.
fn bounded_list<T: FromStr<Err: fmt::Display> + Ord + fmt::Display>(
    reader: &mut Reader<'_>,
    section: &mut Section<'_, '_>,
    key: &'static str,
    max: usize,
) -> Vec<T> {
    let items: Vec<T> = section.list(reader, key);
    let line = section.value(reader, key).map_or(section.line(), |(line, _)| line);
    if items.len() > max {
        reader.problem(line, section.at(key), format!("has {} items: at most {max} are allowed", items.len()));
    }
    let mut sorted: Vec<_> = items.iter().collect();
    sorted.sort_unstable();
    for twice in sorted.windows(2).filter(|pair| pair[0] == pair[1]) {
        reader.problem(line, section.at(key), format!("names `{}` twice", twice[0]));
    }
    items
}

/// One of a few words.
fn choice<T: Copy>(
    reader: &mut Reader<'_>,
    section: &mut Section<'_, '_>,
    key: &'static str,
    choices: &[(&str, T)],
) -> Option<T> {
    let line = section.value(reader, key)?.0;
    let text: Verbatim = section.parsed(reader, key)?;
    if let Some((_, value)) = choices.iter().find(|(name, _)| *name == text.0) {
        return Some(*value);
    }
    let names: Vec<_> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    let message = format!("is \"{}\", not {}", reader::shown(&text.0), names.join(" or "));
    reader.problem(line, section.at(key), message);
    None
}

/// Any string.
struct Verbatim(String);

impl FromStr for Verbatim {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

fn read_build(reader: &mut Reader<'_>, mut section: Section<'_, '_>) -> Build {
    let build = Build {
        component: section.parsed(reader, "component"),
        wit: section.parsed(reader, "wit"),
        world: section.parsed(reader, "world"),
    };
    section.finish(reader);
    build
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

fn read_limits(reader: &mut Reader<'_>, mut section: Section<'_, '_>) -> LimitWishes {
    const KIB: u64 = 1024;
    let mut size = |reader: &mut Reader<'_>, key, least: u64, most: u64| {
        let bounds = (ByteSize::from_bytes(least), ByteSize::from_bytes(most));
        within(reader, &mut section, key, bounds)
    };
    let memory = size(reader, "memory", 64 * KIB, 4 * KIB * KIB * KIB);
    let message = size(reader, "message", KIB, KIB * KIB * KIB);
    let state = size(reader, "state", KIB, KIB * KIB * KIB * KIB);
    let bounds = (Millis::from_millis(1), Millis::from_millis(600_000));
    let call = within(reader, &mut section, "call", bounds);
    let init = within(reader, &mut section, "init", bounds);
    section.finish(reader);
    LimitWishes { memory, call, init, message, state }
}

fn within<T: FromStr<Err: fmt::Display> + Ord + fmt::Display + Copy>(
    reader: &mut Reader<'_>,
    section: &mut Section<'_, '_>,
    key: &'static str,
    (least, most): (T, T),
) -> Option<T> {
    let value: T = section.parsed(reader, key)?;
    if (least..=most).contains(&value) {
        return Some(value);
    }
    let line = section.value(reader, key)?.0;
    reader.problem(line, section.at(key), format!("is {value}, not from {least} to {most}"));
    None
}

fn read_runtime(reader: &mut Reader<'_>, section: Option<Section<'_, '_>>) -> RuntimeWishes {
    let mut wishes = RuntimeWishes { stateless: false, pool: None, reload: Reload::default(), state_schema: None };
    let Some(mut section) = section else { return wishes };
    wishes.stateless = section.flag(reader, "stateless");
    wishes.pool = section.number(reader, "pool", 1..65);
    let reloads = [("shadow", Reload::Shadow), ("stop-start", Reload::StopStart)];
    wishes.reload = choice(reader, &mut section, "reload", &reloads).unwrap_or_default();
    wishes.state_schema = section.number(reader, "state-schema", 1..u32::MAX);
    if let (Some(pool @ 2..), false, Some((line, _))) = (wishes.pool, wishes.stateless, section.value(reader, "pool")) {
        let message = format!("is {pool}, but without `stateless = true` there is one instance, which keeps its state");
        reader.problem(line, "runtime.pool", message);
    }
    section.finish(reader);
    wishes
}
