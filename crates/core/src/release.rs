//! What an author releases: the record that a publisher signs and a digest names.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    canonical::{self, CanonicalError},
    digest::Digest,
    id::PluginId,
    interface::{ExternName, InterfaceName, NameError, TypeHash},
    version::{Version, VersionReq},
};

mod answer;
mod assemble;

pub use answer::providers_of;
pub use assemble::ReleaseBlobs;

/// A component is at most this long (128 MiB): an embedded Python or JavaScript runtime takes 12 to 18 MB.
pub const MAX_ARTIFACT_BYTES: u64 = 128 * 1024 * 1024;
/// A readme is at most this long (256 KiB).
pub const MAX_README_BYTES: u64 = 256 * 1024;
/// The printed WIT of a component is at most this long (1 MiB).
pub const MAX_WIT_BYTES: u64 = 1024 * 1024;
/// A record's canonical bytes are at most this long (16 KiB), so that an event holds at least three.
pub const MAX_RECORD_BYTES: usize = 16 * 1024;

/// Some bytes, by what they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobRef {
    /// SHA-256 of the bytes.
    pub digest: Digest,
    /// How many bytes.
    pub size: u64,
}

impl BlobRef {
    /// The reference to `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self { digest: Digest::of(bytes), size: bytes.len() as u64 }
    }
}

/// What a release is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A component that hosts run.
    Plugin,
    /// WIT that a host offers to its plugins: read by their authors, never run.
    Interface,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Plugin => "plugin",
            Self::Interface => "interface",
        })
    }
}

/// What becomes of a caller when the dependency it called fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// It gets a `call-error` as a value and goes on.
    #[default]
    Value,
    /// It traps as well: for functions whose result has no place for an error.
    Trap,
}

impl OnFailure {
    /// Whether it is the default, which documents leave out.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A plugin that a release calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dependency {
    /// The versions that will do.
    pub version: VersionReq,
    /// Whether the release also works without it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    /// The interfaces it is called through, where these are not of its own WIT package: `acme:fmt/formatter`.
    #[serde(default, rename = "for", skip_serializing_if = "Vec::is_empty")]
    pub for_interfaces: Vec<String>,
    /// What becomes of the caller when it fails.
    #[serde(default, skip_serializing_if = "OnFailure::is_default")]
    pub on_failure: OnFailure,
}

/// Who answers an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Provider {
    /// A dependency's export.
    Dependency,
    /// The host.
    Host,
    /// The host, through an interface of `stoa:plugin`.
    Convention,
    /// WASI, granted by policy.
    Wasi,
    /// Nobody: the interface has types alone, which only get their names from it.
    Types,
}

/// An interface that a component imports.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Import {
    /// Its name.
    pub name: InterfaceName,
    /// The structural hash of its types and functions.
    pub types: TypeHash,
    /// Who answers it.
    pub from: Provider,
}

/// An interface or a function that a component exports.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Export {
    /// Its name: an interface (`ns:pkg/iface@1.2.0`), or a function at top level (`render`), which hosts call and no
    /// plugin can import.
    pub name: ExternName,
    /// The structural hash of its types and functions, or of the function's type.
    pub types: TypeHash,
}

/// How instances of a plugin may be treated.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Runtime {
    /// Calls do not depend on earlier calls, so several instances may serve them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stateless: bool,
    /// How many instances at the most; only for stateless plugins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<u32>,
    /// How a newer version takes over.
    #[serde(default, skip_serializing_if = "Reload::is_default")]
    pub reload: Reload,
    /// The schema of the plugin's lasting state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_schema: Option<u32>,
}

/// How a newer version takes over from the running one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reload {
    /// The new one starts beside the old one.
    #[default]
    Shadow,
    /// The old one stops first.
    StopStart,
}

impl Reload {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What an author says of one version of a plugin. Canonical JSON; computable before any upload;
/// its digest is what a lock file and a signature name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// Always 1.
    pub format: u32,
    /// The plugin.
    pub id: PluginId,
    /// The version.
    pub version: Version,
    /// What it is for.
    pub kind: Kind,
    /// The component.
    pub artifact: BlobRef,
    /// The WIT that the component carries, as text.
    pub wit: BlobRef,
    /// The readme, as Markdown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readme: Option<BlobRef>,
    /// The plugins it calls.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dependencies: BTreeMap<PluginId, Dependency>,
    /// The interfaces the component imports, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub imports: Vec<Import>,
    /// The interfaces and functions that the component exports, sorted: interfaces first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exports: Vec<Export>,
    /// The tracks it needs, such as `wasi:0.2`, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tracks: Vec<String>,
    /// The capabilities it asks for, each with the author's reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub capabilities: BTreeMap<String, String>,
    /// The limits it wishes for, in bytes and milliseconds by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, u64>,
    /// How instances may be treated.
    #[serde(default, skip_serializing_if = "is_default")]
    pub runtime: Runtime,
    /// One line for people.
    pub description: String,
    /// An SPDX licence expression.
    pub license: String,
    /// Where the source is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// Words to be found by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keywords: Vec<String>,
    /// Shelves of the marketplace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
}

/// Checks an entry of `for`, by the rule of the manifest that it was made of.
fn check_for(name: &str) -> Result<(), String> {
    let name: InterfaceName = name.parse().map_err(|error: NameError| error.to_string())?;
    match name.version() {
        None => Ok(()),
        Some(_) => Err(format!("`{name}` has a version: write `{}`", name.unversioned())),
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Why text is not a release record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// Not JSON of the record's shape.
    #[error("not a release record of format 1: {0}")]
    Shape(String),
    /// Longer than [`MAX_RECORD_BYTES`].
    #[error("the record of `{id}` takes {size} bytes, and a record has at most {MAX_RECORD_BYTES}")]
    TooLarge {
        /// The plugin.
        id: PluginId,
        /// The length of the canonical bytes.
        size: usize,
    },
    /// A list is not sorted, or names something twice.
    #[error("the record of `{id}` lists its {list} out of order or twice")]
    Unsorted {
        /// The plugin.
        id: PluginId,
        /// Which list.
        list: &'static str,
    },
    /// A dependency's `for` names something else than an interface of no particular version.
    #[error("the record of `{id}`: the `for` of `{dependency}`: {rule}")]
    For {
        /// The plugin.
        id: PluginId,
        /// The dependency.
        dependency: PluginId,
        /// What is named, and why it can not be.
        rule: String,
    },
}

impl From<CanonicalError> for ReleaseError {
    fn from(error: CanonicalError) -> Self {
        Self::Shape(error.to_string())
    }
}

impl Release {
    /// Reads a record.
    ///
    /// # Errors
    /// [`ReleaseError`] where it is not one, or breaks a bound of the format.
    pub fn read(bytes: &[u8]) -> Result<Self, ReleaseError> {
        let record: Self = serde_json::from_slice(bytes).map_err(|e| ReleaseError::Shape(e.to_string()))?;
        record.check()?;
        Ok(record)
    }

    /// Checks the bounds that the type itself does not hold.
    ///
    /// # Errors
    /// [`ReleaseError`] naming the first that is broken.
    pub fn check(&self) -> Result<(), ReleaseError> {
        if self.format != 1 {
            return Err(ReleaseError::Shape(format!("its format is {}", self.format)));
        }
        let unsorted = |list| Err(ReleaseError::Unsorted { id: self.id.clone(), list });
        if !self.imports.is_sorted_by(|a, b| a.name < b.name) {
            return unsorted("imports");
        }
        if !self.exports.is_sorted_by(|a, b| a.name < b.name) {
            return unsorted("exports");
        }
        if !self.tracks.is_sorted_by(|a, b| a < b) {
            return unsorted("tracks");
        }
        for (dependency, Dependency { for_interfaces, .. }) in &self.dependencies {
            for_interfaces.iter().try_for_each(|name| check_for(name)).map_err(|rule| ReleaseError::For {
                id: self.id.clone(),
                dependency: dependency.clone(),
                rule,
            })?;
        }
        let size = canonical::to_bytes(self)?.len();
        if size > MAX_RECORD_BYTES {
            return Err(ReleaseError::TooLarge { id: self.id.clone(), size });
        }
        Ok(())
    }

    /// The canonical bytes, which [`Release::blob`] names.
    ///
    /// # Errors
    /// [`CanonicalError`], which no record that [`Release::read`] gave can meet.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CanonicalError> {
        canonical::to_bytes(self)
    }

    /// The record as a blob: what a listing and a lock file name it by.
    ///
    /// # Errors
    /// As [`Release::to_bytes`].
    pub fn blob(&self) -> Result<BlobRef, CanonicalError> {
        Ok(BlobRef::of(&self.to_bytes()?))
    }

    /// All blobs that must be in place before the release can be: component, WIT, readme.
    pub fn blobs(&self) -> impl Iterator<Item = BlobRef> {
        [Some(self.artifact), Some(self.wit), self.readme].into_iter().flatten()
    }
}
