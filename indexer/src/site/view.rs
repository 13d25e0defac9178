//! What pages are made of. The indexer fills these from index documents and blobs; templates only lay them out.
//!
//! Everything is plain data with public fields, in the nouns of core. The two exceptions can not hold a lie:
//! a [`Readme`] is always sanitized, and [`Capabilities`] are always derived from imports.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use stoa_core::{
    advisory::{self, Severity},
    digest::Digest,
    document::State,
    id::PluginId,
    release::{BlobRef, Dependency, Export, Import, Kind},
    standing::{Certified, Standing, Takedown},
    time::Time,
    version::{Version, VersionReq},
};

use super::{capability::Capabilities, readme::Readme};

/// The front page: what this registry is, and every plugin in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrontPage {
    /// The last event that the page covers; 0 for an empty log.
    pub seq: u64,
    /// That event's time; `None` for an empty log.
    pub updated: Option<Time>,
    /// The plugin of the two-line example in the opening; `None` shows how to publish the first one.
    pub featured: Option<Featured>,
    /// Every plugin that readers are to find, in any order.
    pub cards: Vec<Card>,
}

/// The plugin that the front page's example runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Featured {
    /// The plugin.
    pub id: PluginId,
    /// Its newest version: the example asks for what is compatible with it.
    pub version: Version,
    /// A call in WAVE, such as `render("# Hi")`, for instance from [`example_call`](super::example_call).
    /// Empty where there is none: then the example only loads the plugin.
    pub call: String,
}

/// A plugin on the front page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// The plugin.
    pub id: PluginId,
    /// One line for people.
    pub description: String,
    /// The version that new resolutions choose, else the highest.
    pub version: Version,
    /// What it is for.
    pub kind: Kind,
    /// What that version asks of a host.
    pub capabilities: Capabilities,
    /// Words to be found by.
    pub keywords: Vec<String>,
    /// How many versions there are, from 1.
    pub versions: usize,
    /// What is to be said of `version`.
    pub mark: Option<Mark>,
    /// The last event that touched the plugin.
    pub seq: u64,
    /// When `version` was published.
    pub updated: Time,
}

/// What a reader has to know of a version before anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// Nobody loads it.
    Killed,
    /// Nobody chooses or fetches it.
    Quarantined,
    /// New resolutions do not choose it.
    Yanked,
    /// It has a known flaw, this bad.
    Advisory(Severity),
}

/// A plugin's page. It describes one version, `version`, and lists all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginPage {
    /// The plugin.
    pub id: PluginId,
    /// One line for people.
    pub description: String,
    /// The version described: the one that new resolutions choose, else the highest.
    pub version: Version,
    /// What it is for.
    pub kind: Kind,
    /// An SPDX license expression.
    pub license: String,
    /// Where the source is. Shown as a link only where it is an `https:` or `http:` address.
    pub repository: Option<String>,
    /// Words to be found by.
    pub keywords: Vec<String>,
    /// Shelves of the marketplace.
    pub categories: Vec<String>,
    /// The readme; `None` where the release has none, or where its blob was purged.
    pub readme: Option<Readme>,
    /// The WIT text that the component carries, as printed; `None` where its blob was purged.
    pub wit: Option<String>,
    /// A call in WAVE for the install line, such as `render("# Hi")`. `None` makes one up from the WIT
    /// ([`example_call`](super::example_call)).
    pub call: Option<String>,
    /// The interfaces exported.
    pub exports: Vec<Export>,
    /// The interfaces imported.
    pub imports: Vec<Import>,
    /// The tracks it needs, such as `wasi:0.2`.
    pub tracks: Vec<String>,
    /// The capabilities its manifest asks for, each with the author's reason.
    pub reasons: BTreeMap<String, String>,
    /// The plugins it calls.
    pub dependencies: Vec<DependencyRow>,
    /// The plugins whose shown version calls this one, in any order.
    pub dependents: Vec<Dependent>,
    /// All versions, in any order; one of them is `version`.
    pub versions: Vec<VersionRow>,
    /// How the plugin was taken down as a whole.
    pub takedown: Option<Takedown>,
    /// The known flaws of its versions, in any order.
    pub advisories: Vec<advisory::Listed>,
}

/// A plugin that the shown version calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DependencyRow {
    /// The plugin.
    pub id: PluginId,
    /// What the release says of it.
    pub dependency: Dependency,
    /// Whether this registry has a page for it.
    pub listed: bool,
}

/// A plugin that calls this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dependent {
    /// The plugin.
    pub id: PluginId,
    /// Its version that does.
    pub version: Version,
    /// The versions that will do for it.
    pub requirement: VersionReq,
}

/// One version of a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRow {
    /// The version.
    pub version: Version,
    /// When it was published.
    pub published_at: Time,
    /// The event that made it visible.
    pub seq: u64,
    /// The component.
    pub artifact: BlobRef,
    /// The digest of the author's release record.
    pub record: Digest,
    /// Whether its author lets new resolutions choose it.
    pub state: State,
    /// What others say of it.
    pub standing: Standing,
    /// To which level the operator certified it.
    pub certified: Option<Certified>,
}
