//! `plugins.toml`: what a host asks for.

use std::collections::BTreeMap;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::Value;
use toml::Spanned;

use crate::{
    digest::Digest,
    id::{Name, PluginId},
    version::VersionReq,
};

/// A `plugins.toml` is at most this long (1 MiB): 2048 plugins with 512 bytes each.
pub const MAX_WANTED_BYTES: usize = 1024 * 1024;
/// It names at most this many plugins.
pub const MAX_WANTED_PLUGINS: usize = 2048;
/// It names at most this many registries.
pub const MAX_REGISTRIES: usize = 16;
/// The address of a registry is at most this long, in bytes.
pub const MAX_URL: usize = 2048;

/// What a host asks for: registries, and plugins in the order in which extension points call them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wanted {
    registries: BTreeMap<Name, Registry>,
    plugins: Vec<Want>,
}

/// Where a registry is, and the root of trust that it must show.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Registry {
    /// Its address: `https://…`, `http://…` for one on this machine, or `file:///…` for a mirror in a folder.
    pub url: String,
    /// SHA-256 of the root metadata that the host pins.
    pub root_sha256: Digest,
}

/// One plugin that a host asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Want {
    /// The plugin.
    pub id: PluginId,
    /// The versions that will do; `None` only beside a `path`, where the folder's one version does.
    pub version: Option<VersionReq>,
    /// The registry it is from, where that is not the host's first.
    pub registry: Option<Name>,
    /// A folder with the plugin, for development: its document comes from there and not from a registry.
    pub path: Option<String>,
    /// Settings that the plugin reads.
    pub config: BTreeMap<String, Value>,
    /// Whether the host also works without it.
    pub optional: bool,
    /// Whether it is to run; a plugin that is not is not resolved either.
    pub enabled: bool,
    /// The line in `plugins.toml`, from 1; `None` where no file asked.
    pub line: Option<usize>,
}

impl Want {
    /// Asks for `id` in a version that meets `version`.
    pub fn new(id: PluginId, version: VersionReq) -> Self {
        Self {
            id,
            version: Some(version),
            registry: None,
            path: None,
            config: BTreeMap::new(),
            optional: false,
            enabled: true,
            line: None,
        }
    }
}

/// Why text is not a `plugins.toml`, or a list of wishes not one that a host can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WantedError {
    /// Longer than [`MAX_WANTED_BYTES`].
    #[error("the file has {0} bytes, and a `plugins.toml` has at most {MAX_WANTED_BYTES}")]
    TooLarge(usize),
    /// Not TOML of this shape. Unknown keys are refused by name.
    #[error("line {line}: {message}")]
    Shape {
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// More than a file may name.
    #[error("the file names {count} {what}, and a `plugins.toml` names at most {max}")]
    TooMany {
        /// Plugins or registries.
        what: &'static str,
        /// How many.
        count: usize,
        /// The bound.
        max: usize,
    },
    /// An address that is not one of a registry.
    #[error(
        "`{url}` is not the address of a registry: it begins with `https://`, `http://` or `file:///` and has at most {MAX_URL} bytes"
    )]
    Url {
        /// The address.
        url: String,
    },
    /// Neither a version nor a path.
    #[error("line {line}: `{id}` has neither a version nor a path")]
    Versionless {
        /// The line, from 1; 0 where no file asked.
        line: usize,
        /// The plugin.
        id: PluginId,
    },
    /// A registry that the file does not declare.
    #[error("line {line}: `{id}` is from the registry `{registry}`, which the file does not declare")]
    Registry {
        /// The line, from 1; 0 where no file asked.
        line: usize,
        /// The plugin.
        id: PluginId,
        /// The registry.
        registry: Name,
    },
    /// The same plugin twice.
    #[error("`{0}` is asked for twice")]
    Twice(PluginId),
}

impl Wanted {
    /// Reads a `plugins.toml`.
    ///
    /// # Errors
    /// [`WantedError`], with the line.
    pub fn parse(text: &str) -> Result<Self, WantedError> {
        if text.len() > MAX_WANTED_BYTES {
            return Err(WantedError::TooLarge(text.len()));
        }
        let file: File = toml::from_str(text).map_err(|error| shape(text, &error))?;
        // A table has no order of its own, but the file has one, and it is the order of implementors.
        let mut plugins: Vec<_> = file.plugins.into_iter().collect();
        plugins.sort_by_key(|(_, entry)| entry.span().start);
        let plugins = plugins.into_iter().map(|(id, entry)| {
            let line = line_of(text, entry.span().start);
            entry.into_inner().into_want(id, line)
        });
        Self::new(file.registries, plugins.collect())
    }

    /// The wishes of a host that has no file.
    ///
    /// # Errors
    /// [`WantedError`] where a bound or a rule of the file is broken.
    pub fn new(registries: BTreeMap<Name, Registry>, plugins: Vec<Want>) -> Result<Self, WantedError> {
        bound("plugins", plugins.len(), MAX_WANTED_PLUGINS)?;
        bound("registries", registries.len(), MAX_REGISTRIES)?;
        for Registry { url, .. } in registries.values() {
            let scheme = ["https://", "http://", "file:///"].iter().any(|scheme| url.starts_with(scheme));
            if !scheme || url.len() > MAX_URL {
                return Err(WantedError::Url { url: url.chars().take(200).collect() });
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        for want in &plugins {
            let (line, id) = (want.line.unwrap_or(0), want.id.clone());
            if !seen.insert(&want.id) {
                return Err(WantedError::Twice(id));
            }
            if want.version.is_none() && want.path.is_none() {
                return Err(WantedError::Versionless { line, id });
            }
            if let Some(registry) = want.registry.clone().filter(|name| !registries.contains_key(name)) {
                return Err(WantedError::Registry { line, id, registry });
            }
        }
        Ok(Self { registries, plugins })
    }

    /// The declared registries, by name.
    pub fn registries(&self) -> &BTreeMap<Name, Registry> {
        &self.registries
    }

    /// The plugins, in the order of the file: that of implementors.
    pub fn plugins(&self) -> &[Want] {
        &self.plugins
    }

    /// The plugin with this id, enabled or not.
    pub fn get(&self, id: &PluginId) -> Option<&Want> {
        self.plugins.iter().find(|want| want.id == *id)
    }
}

fn bound(what: &'static str, count: usize, max: usize) -> Result<(), WantedError> {
    if count > max { Err(WantedError::TooMany { what, count, max }) } else { Ok(()) }
}

fn shape(text: &str, error: &toml::de::Error) -> WantedError {
    let span = error.span().unwrap_or(0..0);
    let message = match (error.message().trim(), text.get(span.clone())) {
        // The parser says what, and leaves the name to a picture of the line.
        ("duplicate key", Some(key)) => format!("duplicate key `{key}`"),
        (message, _) => message.to_owned(),
    };
    WantedError::Shape { line: line_of(text, span.start), message }
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    registries: BTreeMap<Name, Registry>,
    #[serde(default)]
    plugins: BTreeMap<PluginId, Spanned<Entry>>,
}

/// `"^1"` or a table.
struct Entry(Fields);

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    version: Option<VersionReq>,
    registry: Option<Name>,
    path: Option<String>,
    #[serde(default, deserialize_with = "settings")]
    config: BTreeMap<String, Value>,
    #[serde(default)]
    optional: bool,
    enabled: Option<bool>,
}

impl Entry {
    fn into_want(self, id: PluginId, line: usize) -> Want {
        let Fields { version, registry, path, config, optional, enabled } = self.0;
        Want { id, version, registry, path, config, optional, enabled: enabled.unwrap_or(true), line: Some(line) }
    }
}

// A visitor and not an untagged enum: that would lose the place and the cause of an error.
impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EntryVisitor)
    }
}

struct EntryVisitor;

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = Entry;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a requirement such as \"^1\", or a table with `version` or `path`")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Entry, E> {
        let version = text.parse().map_err(E::custom)?;
        Ok(Entry(Fields { version: Some(version), ..Fields::default() }))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Entry, A::Error> {
        Fields::deserialize(MapAccessDeserializer::new(map)).map(Entry)
    }
}

/// Settings are what JSON can say: a date or a number without value would reach the plugin as something else.
fn settings<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Value>, D::Error> {
    let table = BTreeMap::<String, toml::Value>::deserialize(deserializer)?;
    let plain = |(key, value)| match setting(value) {
        Ok(value) => Ok((key, value)),
        Err(what) => {
            Err(serde::de::Error::custom(format!("the setting `{key}` holds {what}, which no plugin can read")))
        }
    };
    table.into_iter().map(plain).collect()
}

fn setting(value: toml::Value) -> Result<Value, &'static str> {
    Ok(match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Boolean(yes) => Value::Bool(yes),
        toml::Value::Float(number) => {
            serde_json::Number::from_f64(number).map(Value::Number).ok_or("an infinite or undefined number")?
        }
        toml::Value::Datetime(_) => return Err("a date or time"),
        toml::Value::Array(items) => Value::Array(items.into_iter().map(setting).collect::<Result<_, _>>()?),
        toml::Value::Table(fields) => {
            let fields = fields.into_iter().map(|(key, value)| setting(value).map(|value| (key, value)));
            Value::Object(fields.collect::<Result<_, _>>()?)
        }
    })
}

#[cfg(test)]
mod tests;
