//! Format 1 of the index document, as it lies on disk. Frozen once released.
//!
//! Interfaces are written once, in a table, and rows name them by place: a plugin with a hundred releases
//! repeats a few numbers, not names and hashes.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{About, DocumentError, Listing, State};
use crate::{
    advisory,
    attestation::Attestations,
    digest::Digest,
    id::PluginId,
    interface::{ExternName, TypeHash},
    release::{BlobRef, Dependency, Export, Import, Kind, Provider, Runtime},
    standing::{Certified, Takedown},
    time::Time,
    version::Version,
};

/// Fields of a release that this program must know to judge it; any other name here means "newer format".
const UNDERSTOOD: &[&str] = &[];

#[derive(Serialize, Deserialize)]
pub(super) struct Document {
    format: u32,
    id: PluginId,
    kind: Kind,
    seq: u64,
    about: AboutRow,
    /// `[name, type hash]`, sorted: interfaces, then functions at top level.
    interfaces: Vec<(ExternName, TypeHash)>,
    releases: Vec<Row>,
    /// The releases that were taken down, by themselves or with the plugin. They stand apart, where a reader that does not
    /// know of it never finds them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    withheld: Vec<Row>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    takedown: Option<Takedown>,
    /// Sorted by id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    advisories: Vec<advisory::Listed>,
}

#[derive(Serialize, Deserialize)]
struct AboutRow {
    version: Version,
    description: String,
    license: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    repository: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    keywords: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    categories: Vec<String>,
    wit: BlobRef,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    readme: Option<BlobRef>,
}

#[derive(Serialize, Deserialize)]
struct Row {
    version: Version,
    artifact: Digest,
    size: u64,
    record: Digest,
    seq: u64,
    published_at: Time,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    dependencies: BTreeMap<PluginId, Dependency>,
    /// Imports by who answers them, as places in `interfaces`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    imports: BTreeMap<Provider, Vec<usize>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    exports: Vec<usize>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tracks: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    capabilities: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    limits: BTreeMap<String, u64>,
    #[serde(default, skip_serializing_if = "is_default")]
    runtime: Runtime,
    /// `[digest, size]`: a short form, for a row is counted in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature: Option<(Digest, u64)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    provenance: Option<(Digest, u64)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    yanked: Option<Yanked>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    takedown: Option<Takedown>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    certified: Option<Certified>,
    /// Names of fields of this row that a reader must know, or skip the release.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    must_understand: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Yanked {
    reason: String,
    at: Time,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Document {
    pub(super) fn id(&self) -> &PluginId {
        &self.id
    }
}

/// The table of interfaces, and the place of each in it.
struct Table(Vec<(ExternName, TypeHash)>);

impl Table {
    fn of(document: &super::Document) -> Self {
        let mut all = BTreeSet::new();
        for listing in document.releases.values() {
            all.extend(listing.imports.iter().map(|import| (ExternName::Interface(import.name.clone()), import.types)));
            all.extend(listing.exports.iter().map(|export| (export.name.clone(), export.types)));
        }
        Self(all.into_iter().collect())
    }

    fn place(&self, name: &ExternName, types: TypeHash) -> Option<usize> {
        self.0.binary_search_by(|(n, t)| (n, t).cmp(&(name, &types))).ok()
    }
}

impl From<&super::Document> for Document {
    fn from(document: &super::Document) -> Self {
        let table = Table::of(document);
        let row = |(version, listing): (&Version, &Listing)| Row::of(version, listing, &table);
        let (withheld, releases): (Vec<_>, Vec<_>) =
            document.releases.iter().partition(|(version, _)| document.takedown_of(version).is_some());
        Self {
            format: 1,
            id: document.id.clone(),
            kind: document.kind,
            seq: document.seq,
            about: AboutRow::of(&document.about),
            releases: releases.into_iter().map(row).collect(),
            withheld: withheld.into_iter().map(row).collect(),
            takedown: document.takedown.clone(),
            advisories: document.advisories.values().cloned().collect(),
            interfaces: table.0,
        }
    }
}

impl AboutRow {
    fn of(about: &About) -> Self {
        Self {
            version: about.version.clone(),
            description: about.description.clone(),
            license: about.license.clone(),
            repository: about.repository.clone(),
            keywords: about.keywords.clone(),
            categories: about.categories.clone(),
            wit: about.wit,
            readme: about.readme,
        }
    }
}

impl Row {
    fn of(version: &Version, listing: &Listing, table: &Table) -> Self {
        let mut imports: BTreeMap<Provider, Vec<usize>> = BTreeMap::new();
        for import in &listing.imports {
            imports
                .entry(import.from)
                .or_default()
                .extend(table.place(&ExternName::Interface(import.name.clone()), import.types));
        }
        Self {
            version: version.clone(),
            artifact: listing.artifact.digest,
            size: listing.artifact.size,
            record: listing.record,
            seq: listing.seq,
            published_at: listing.published_at,
            dependencies: listing.dependencies.clone(),
            imports,
            exports: listing.exports.iter().filter_map(|export| table.place(&export.name, export.types)).collect(),
            tracks: listing.tracks.clone(),
            capabilities: listing.capabilities.clone(),
            limits: listing.limits.clone(),
            runtime: listing.runtime.clone(),
            signature: listing.attestations.signature.map(|blob| (blob.digest, blob.size)),
            provenance: listing.attestations.provenance.map(|blob| (blob.digest, blob.size)),
            yanked: match &listing.state {
                State::Listed => None,
                State::Yanked { reason, at } => Some(Yanked { reason: reason.clone(), at: *at }),
            },
            takedown: listing.takedown.clone(),
            certified: listing.certified.clone(),
            must_understand: Vec::new(),
        }
    }

    /// What a reader has to know of the row, and this program does not.
    fn not_understood(&self) -> Vec<String> {
        self.must_understand.iter().filter(|field| !UNDERSTOOD.contains(&field.as_str())).cloned().collect()
    }

    fn into_listing(self, table: &[(ExternName, TypeHash)]) -> Result<(Version, Listing), DocumentError> {
        let version = self.version;
        let entry = |place: usize| {
            table.get(place).cloned().ok_or_else(|| {
                let count = table.len();
                DocumentError::Unreadable(format!("{version} names interface {place} of {count}"))
            })
        };
        let mut imports = Vec::new();
        for (from, places) in self.imports {
            for place in places {
                match entry(place)? {
                    (ExternName::Interface(name), types) => imports.push(Import { name, types, from }),
                    (other, _) => {
                        let what = format!("{version} imports `{other}`, which is no interface");
                        return Err(DocumentError::Unreadable(what));
                    }
                }
            }
        }
        imports.sort();
        let exports = self.exports.into_iter().map(|place| entry(place).map(|(name, types)| Export { name, types }));
        let exports = exports.collect::<Result<_, _>>()?;
        let listing = Listing {
            artifact: BlobRef { digest: self.artifact, size: self.size },
            record: self.record,
            seq: self.seq,
            published_at: self.published_at,
            dependencies: self.dependencies,
            imports,
            exports,
            tracks: self.tracks,
            capabilities: self.capabilities,
            limits: self.limits,
            runtime: self.runtime,
            attestations: Attestations {
                signature: self.signature.map(|(digest, size)| BlobRef { digest, size }),
                provenance: self.provenance.map(|(digest, size)| BlobRef { digest, size }),
            },
            state: match self.yanked {
                None => State::Listed,
                Some(Yanked { reason, at }) => State::Yanked { reason, at },
            },
            takedown: self.takedown,
            certified: self.certified,
        };
        Ok((version, listing))
    }
}

impl TryFrom<Document> for super::Document {
    type Error = DocumentError;

    fn try_from(wire: Document) -> Result<Self, DocumentError> {
        if wire.format != 1 {
            return Err(DocumentError::Unreadable(format!("its format is {}", wire.format)));
        }
        let (mut releases, mut newer) = (BTreeMap::new(), BTreeMap::new());
        let offered = wire.releases.into_iter().map(|row| (row, false));
        for (row, withheld) in offered.chain(wire.withheld.into_iter().map(|row| (row, true))) {
            let unknown = row.not_understood();
            if !unknown.is_empty() {
                newer.insert(row.version, unknown);
                continue;
            }
            // Whoever knows of takedowns and whoever does not have to see the same releases.
            if withheld != (row.takedown.is_some() || wire.takedown.is_some()) {
                let which = if withheld { "withheld, and was not taken down" } else { "offered, and was taken down" };
                return Err(DocumentError::Unreadable(format!("{} is {which}", row.version)));
            }
            let (version, listing) = row.into_listing(&wire.interfaces)?;
            if let Some(twice) = releases.insert(version.clone(), listing) {
                return Err(DocumentError::Unreadable(format!(
                    "{version} stands twice, first with record {}",
                    twice.record
                )));
            }
        }
        let AboutRow { version, description, license, repository, keywords, categories, wit, readme } = wire.about;
        let about = About { version, description, license, repository, keywords, categories, wit, readme };
        let mut advisories = BTreeMap::new();
        for listed in wire.advisories {
            let refuse = |rule| DocumentError::Unreadable(format!("the advisory {}: {rule}", listed.advisory.id));
            listed.advisory.check().map_err(refuse)?;
            if advisories.insert(listed.advisory.id.clone(), listed.clone()).is_some() {
                return Err(refuse("it stands twice".to_owned()));
            }
        }
        let takedowns =
            releases.values().filter_map(|listing: &Listing| listing.takedown.as_ref()).chain(&wire.takedown);
        if let Some(rule) = takedowns.filter_map(|takedown| takedown.check().err()).next() {
            return Err(DocumentError::Unreadable(format!("a takedown: {rule}")));
        }
        let certified = releases.values().filter_map(|listing: &Listing| listing.certified.as_ref());
        if let Some(rule) = certified.filter_map(|certified| certified.check().err()).next() {
            return Err(DocumentError::Unreadable(rule));
        }
        let Document { id, kind, seq, takedown, .. } = wire;
        Ok(Self { id, kind, seq, about, takedown, advisories, releases, newer })
    }
}
