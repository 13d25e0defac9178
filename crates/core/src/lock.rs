//! `plugins.lock`: exactly what a host runs.
//!
//! It says nothing of the machine that wrote it, and one state of affairs has one file, byte for byte. What a
//! user consented to is kept per user and not here.

use std::{collections::BTreeMap, fmt, fmt::Write as _, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    canonical,
    digest::Digest,
    document::Listing,
    id::{Name, PluginId},
    release::BlobRef,
    version::Version,
    wanted::MAX_URL,
};

/// A lock file is at most this long (8 MiB): 8192 entries with 1 KiB each.
pub const MAX_LOCK_BYTES: usize = 8 * 1024 * 1024;
/// It has at most this many entries.
pub const MAX_LOCK_ENTRIES: usize = 8192;

/// One version of one plugin: `demo:markdown@0.1.0`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Exact {
    /// The plugin.
    pub id: PluginId,
    /// The version.
    pub version: Version,
}

impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.id, self.version)
    }
}

/// Text that is not `namespace:name@version`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not one version of a plugin: write it `namespace:name@1.2.3`")]
pub struct ExactError(String);

impl FromStr for Exact {
    type Err = ExactError;

    fn from_str(text: &str) -> Result<Self, ExactError> {
        let read = || {
            let (id, version) = text.split_once('@')?;
            Some(Self { id: id.parse().ok()?, version: version.parse().ok()? })
        };
        read().ok_or_else(|| ExactError(text.chars().take(200).collect()))
    }
}

text_type!(Exact);

/// Whose signature a release bears.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub enum Publisher {
    /// Nobody's but the registry's.
    #[default]
    None,
    /// That of the key with this id (SHA-256 of its canonical JSON, as in TUF).
    Key(Digest),
}

impl fmt::Display for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Key(id) => fmt::Display::fmt(id, f),
        }
    }
}

impl FromStr for Publisher {
    type Err = <Digest as FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "none" { Ok(Self::None) } else { text.parse().map(Self::Key) }
    }
}

text_type!(Publisher);

/// Against what a lock was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Header {
    /// The address of the registry.
    pub url: String,
    /// SHA-256 of the root metadata that the host pins.
    pub root_sha256: Digest,
    /// The version of the root metadata in force.
    pub root: u64,
    /// The version of the snapshot that was resolved against.
    pub snapshot: u64,
    /// What the host offered: [`crate::offer::Offer::digest`].
    pub offer: Digest,
}

/// One plugin of a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The chosen version.
    pub version: Version,
    /// The registry's name in `plugins.toml`.
    pub registry: Name,
    /// The component.
    pub artifact: BlobRef,
    /// SHA-256 of the release record.
    pub record: Digest,
    /// Whose signature it bears.
    pub publisher: Publisher,
    /// The plugins that it calls.
    pub dependencies: BTreeMap<PluginId, Version>,
    /// What it is granted: [`decision_digest`].
    pub decision: Digest,
}

/// A `plugins.lock`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// Against what it was made.
    pub header: Header,
    /// The plugins.
    pub entries: BTreeMap<PluginId, Entry>,
}

/// The digest of what a release is granted, which a lock names so that a change of it is seen.
///
/// Until policies narrow it, the grant is what the release asks for: SHA-256 of the canonical JSON
/// `{"capabilities": […], "format": 1, "tracks": […]}`, both lists sorted. The reasons that an author gives are
/// words and change nothing.
pub fn decision_digest(listing: &Listing) -> Digest {
    let sorted = |list: &[String]| {
        let mut list = list.to_vec();
        list.sort();
        list
    };
    let value = json!({
        "capabilities": sorted(&listing.capabilities), "format": 1, "tracks": sorted(&listing.tracks),
    });
    // Strings and an integer always have a canonical form.
    Digest::of(&canonical::to_bytes(&value).unwrap_or_default())
}

/// Why text is not a `plugins.lock`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Longer than [`MAX_LOCK_BYTES`].
    #[error("the file has {0} bytes, and a `plugins.lock` has at most {MAX_LOCK_BYTES}")]
    TooLarge(usize),
    /// More than [`MAX_LOCK_ENTRIES`].
    #[error("the file has {0} entries, and a `plugins.lock` has at most {MAX_LOCK_ENTRIES}")]
    TooMany(usize),
    /// Written by a newer program.
    #[error("the file is a `plugins.lock` of format {0}, and this program reads format 1")]
    Format(u64),
    /// Not TOML of this shape.
    #[error("line {line}: {message}")]
    Shape {
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// The same plugin twice, as after a merge.
    #[error("`{0}` has two entries")]
    Twice(PluginId),
    /// A dependency twice.
    #[error("the entry of `{0}` names the dependency `{1}` twice")]
    DependencyTwice(PluginId, PluginId),
    /// The marks of a merge that was not finished.
    #[error("line {0} is the mark of an unfinished merge")]
    Merge(usize),
    /// An address longer than a registry has.
    #[error("the address of the registry has {0} bytes, and an address has at most {MAX_URL}")]
    Url(usize),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "version")]
    _version: u64,
    registry: Header,
    #[serde(default, rename = "plugin")]
    plugins: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    id: PluginId,
    version: Version,
    registry: Name,
    artifact: Artifact,
    record: Digest,
    publisher: Publisher,
    #[serde(default)]
    dependencies: Vec<Exact>,
    decision: Digest,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Artifact {
    sha256: Digest,
    size: u64,
}

/// The one field that is read before the others: a newer format may have any other shape.
#[derive(Deserialize)]
struct Format {
    version: u64,
}

impl Lock {
    /// Reads a `plugins.lock`.
    ///
    /// # Errors
    /// [`LockError`], with the line.
    pub fn parse(text: &str) -> Result<Self, LockError> {
        if text.len() > MAX_LOCK_BYTES {
            return Err(LockError::TooLarge(text.len()));
        }
        if let Some(mark) = text.lines().position(|line| line.starts_with("<<<<<<< ")) {
            return Err(LockError::Merge(mark + 1));
        }
        let shape = |error: toml::de::Error| {
            let offset = error.span().map_or(0, |span| span.start);
            let line = 1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count();
            LockError::Shape { line, message: error.message().trim().to_owned() }
        };
        let Format { version } = toml::from_str(text).map_err(shape)?;
        if version != 1 {
            return Err(LockError::Format(version));
        }
        let file: File = toml::from_str(text).map_err(shape)?;
        if file.registry.url.len() > MAX_URL {
            return Err(LockError::Url(file.registry.url.len()));
        }
        if file.plugins.len() > MAX_LOCK_ENTRIES {
            return Err(LockError::TooMany(file.plugins.len()));
        }
        let mut entries = BTreeMap::new();
        for row in file.plugins {
            let id = row.id.clone();
            if entries.insert(id.clone(), row.into_entry()?).is_some() {
                return Err(LockError::Twice(id));
            }
        }
        Ok(Self { header: file.registry, entries })
    }

    /// The file: sorted, one spelling, no trace of the machine. [`Lock::parse`] gives this lock again.
    pub fn print(&self) -> String {
        let Header { url, root_sha256, root, snapshot, offer } = &self.header;
        let mut out = String::from("# Written by `stoa lock`. Edit plugins.toml instead.\nversion = 1\n");
        // Writing to a string can not fail.
        let _ = write!(
            out,
            "\n[registry]\nurl = {}\nroot-sha256 = \"{root_sha256}\"\nroot = {root}\nsnapshot = {snapshot}\n\
             offer = \"{offer}\"\n",
            quoted(url)
        );
        for (id, entry) in &self.entries {
            let Entry { version, registry, artifact, record, publisher, dependencies, decision } = entry;
            let BlobRef { digest, size } = artifact;
            let _ = write!(
                out,
                "\n[[plugin]]\nid = \"{id}\"\nversion = \"{version}\"\nregistry = \"{registry}\"\n\
                 artifact = {{ sha256 = \"{digest}\", size = {size} }}\nrecord = \"{record}\"\n\
                 publisher = \"{publisher}\"\n"
            );
            if !dependencies.is_empty() {
                let _ = writeln!(out, "dependencies = [");
                for (id, version) in dependencies {
                    let _ = writeln!(out, "    \"{id}@{version}\",");
                }
                let _ = writeln!(out, "]");
            }
            let _ = writeln!(out, "decision = \"{decision}\"");
        }
        out
    }
}

/// A TOML string. Addresses are the only text in a lock whose grammar is not ours.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

impl Row {
    fn into_entry(self) -> Result<Entry, LockError> {
        let mut dependencies = BTreeMap::new();
        for Exact { id, version } in self.dependencies {
            if dependencies.insert(id.clone(), version).is_some() {
                return Err(LockError::DependencyTwice(self.id, id));
            }
        }
        Ok(Entry {
            version: self.version,
            registry: self.registry,
            artifact: BlobRef { digest: self.artifact.sha256, size: self.artifact.size },
            record: self.record,
            publisher: self.publisher,
            dependencies,
            decision: self.decision,
        })
    }
}

#[cfg(test)]
mod tests;
