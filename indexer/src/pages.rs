//! The second projection: pages for people, written after the pointer.
//!
//! Pages are outside of what the index vouches for, so they may lag and be mended: what was written last is
//! listed in `pages.json`, and a run writes what that list lacks. A run that dies half-way leaves the list as
//! it was, and the next run writes the same pages again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use stoa_core::{
    canonical,
    digest::Digest,
    document::{Document, Listing, State},
    event::Head,
    id::PluginId,
    path::PublicPath,
    release::{BlobRef, Import, Kind, MAX_README_BYTES, MAX_RECORD_BYTES, MAX_WIT_BYTES, Release},
    standing::Measure,
    time::Time,
    version::{Version, VersionReq},
};
use stoa_store::blobs::{BlobError, BlobKey, Blobs, Precondition};

use crate::{
    error::IndexerError,
    site::{
        Capabilities, Readme, Site, example_call,
        view::{Card, DependencyRow, Dependent, Featured, FrontPage, Mark, PluginPage, VersionRow},
    },
};

/// The format of the list. Of another one nothing is taken over.
const FORMAT: u32 = 2;

/// The list of pages is at most this long (64 MiB): about 1 KB a plugin.
const MAX_LIST_BYTES: u64 = 64 * 1024 * 1024;

/// What the pages show, and which documents they were made from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Pages {
    format: u32,
    /// The event that all pages cover.
    seq: u64,
    /// That event's time.
    time: Option<Time>,
    /// The digest of the templates and of what all pages share: another one makes all pages anew.
    look: Option<Digest>,
    plugins: BTreeMap<PluginId, Entry>,
}

/// One plugin, as the front page and other plugins' pages show it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Entry {
    document: BlobRef,
    seq: u64,
    version: Version,
    kind: Kind,
    description: String,
    #[serde(default)]
    keywords: Vec<String>,
    #[serde(default)]
    imports: Vec<Import>,
    versions: usize,
    updated: Time,
    /// A call to show, in WAVE.
    #[serde(default)]
    call: String,
    /// What is to be said of the shown version.
    #[serde(default)]
    mark: Option<Mark>,
    /// What the shown version depends on.
    #[serde(default)]
    dependencies: BTreeMap<PluginId, VersionReq>,
}

/// The version that a page describes: the one that new resolutions choose, else the highest of those that lost the least.
fn shown(document: &Document) -> Option<(&Version, &Listing)> {
    let measure = |version: &Version| document.takedown_of(version).map(|takedown| takedown.measure);
    document.newest().or_else(|| {
        let mut left: Vec<_> = document.releases.iter().collect();
        left.sort_by_key(|(version, _)| measure(version));
        let least = measure(left.first()?.0);
        left.into_iter().rfind(|(version, _)| measure(version) == least)
    })
}

fn mark(document: &Document, version: &Version, listing: &Listing) -> Option<Mark> {
    let standing = document.standing(version);
    let worst = standing.advisories.iter().map(|open| open.advisory.content.severity).max();
    match (standing.takedown.map(|takedown| takedown.measure), &listing.state) {
        (Some(Measure::Kill), _) => Some(Mark::Killed),
        (Some(Measure::Quarantine), _) => Some(Mark::Quarantined),
        (None, State::Listed) => worst.map(Mark::Advisory),
        (None, _) => Some(Mark::Yanked),
    }
}

impl Entry {
    fn of(document: &Document, blob: BlobRef, call: String) -> Option<Self> {
        let (version, listing) = shown(document)?;
        let mark = mark(document, version, listing);
        // What was killed is nobody's caller any more.
        let calls = listing.dependencies.iter().filter(|_| mark != Some(Mark::Killed));
        Some(Self {
            document: blob,
            seq: document.seq,
            version: version.clone(),
            kind: document.kind,
            description: document.about.description.clone(),
            keywords: document.about.keywords.clone(),
            imports: listing.imports.clone(),
            versions: document.releases.len(),
            updated: listing.published_at,
            call,
            dependencies: calls.map(|(id, dependency)| (id.clone(), dependency.version.clone())).collect(),
            mark,
        })
    }

    fn card(&self, id: &PluginId) -> Card {
        Card {
            id: id.clone(),
            description: self.description.clone(),
            version: self.version.clone(),
            kind: self.kind,
            capabilities: Capabilities::of(&self.imports),
            keywords: self.keywords.clone(),
            versions: self.versions,
            mark: self.mark,
            seq: self.seq,
            updated: self.updated,
        }
    }
}

/// The documents that the pages were made from: a page may be made from one again, also where a newer one is signed.
pub(crate) async fn documents(blobs: &dyn Blobs) -> Result<BTreeSet<Digest>, IndexerError> {
    Ok(load(blobs).await?.0.plugins.values().map(|entry| entry.document.digest).collect())
}

async fn load(blobs: &dyn Blobs) -> Result<(Pages, Precondition), IndexerError> {
    let key = BlobKey::Public(PublicPath::Pages);
    let blob = match blobs.get(&key, MAX_LIST_BYTES).await {
        Ok(Some(blob)) => blob,
        Ok(None) => return Ok((Pages::default(), Precondition::Absent)),
        // A list that nobody would read is replaced as well.
        Err(BlobError::TooLarge { .. }) => {
            let meta = blobs.head(&key).await?;
            let found = meta.map_or(Precondition::Absent, |meta| Precondition::Tag(meta.tag));
            return Ok((Pages::default(), found));
        }
        Err(error) => return Err(error.into()),
    };
    // A list that can not be read is a list from another time: everything is written anew.
    let pages: Pages = serde_json::from_slice(&blob.bytes).unwrap_or_default();
    let pages = if pages.format == FORMAT { pages } else { Pages::default() };
    Ok((pages, Precondition::Tag(blob.tag)))
}

/// Writes the pages.
#[derive(Clone)]
pub struct PagesProjection {
    blobs: Arc<dyn Blobs>,
    site: Arc<Site>,
    look: Digest,
}

impl std::fmt::Debug for PagesProjection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PagesProjection").field("look", &self.look).finish_non_exhaustive()
    }
}

impl PagesProjection {
    /// Pages that look like `site`, written to `blobs`.
    pub fn new(blobs: Arc<dyn Blobs>, site: Arc<Site>) -> Self {
        let look = site.look();
        Self { blobs, site, look }
    }

    /// Brings the pages to `head`, where `documents` are all that changed since they were written last.
    /// Gives how many pages were written.
    ///
    /// # Errors
    /// [`IndexerError`]: the pages stay as listed, the index is not touched.
    pub async fn update(&self, head: &Head, documents: &[Document]) -> Result<usize, IndexerError> {
        let (pages, found) = load(&*self.blobs).await?;
        self.write(pages, &found, head, documents).await
    }

    /// Writes all pages anew, where `documents` are all that there are, and removes those of plugins that are no more.
    ///
    /// # Errors
    /// [`IndexerError`], as of [`PagesProjection::update`].
    pub async fn rebuild(&self, head: &Head, documents: &[Document]) -> Result<usize, IndexerError> {
        let (before, found) = load(&*self.blobs).await?;
        let left: BTreeSet<&PluginId> = documents.iter().map(|document| &document.id).collect();
        // Before the list forgets them: a run that is cut off here is repeated.
        for id in before.plugins.keys().filter(|id| !left.contains(id)) {
            self.blobs.delete(&BlobKey::Public(PublicPath::Plugin(id.clone()))).await?;
        }
        self.write(Pages::default(), &found, head, documents).await
    }

    async fn write(
        &self,
        mut pages: Pages,
        found: &Precondition,
        head: &Head,
        documents: &[Document],
    ) -> Result<usize, IndexerError> {
        let mut stale: BTreeSet<PluginId> = BTreeSet::new();
        for document in documents {
            stale.extend(pages.take(document, self.call(document).await?)?);
        }
        let new_look = pages.look != Some(self.look);
        if new_look {
            stale.extend(pages.plugins.keys().cloned());
            self.write_shared().await?;
        } else if stale.is_empty() && pages.seq == head.seq {
            return Ok(0);
        }
        for id in &stale {
            self.write_plugin(&pages, id, documents).await?;
        }
        (pages.format, pages.seq, pages.time, pages.look) = (FORMAT, head.seq, Some(head.time), Some(self.look));
        let front = self.site.front(&pages.front())?;
        self.replace(&PublicPath::Front, front.into_bytes()).await?;
        let list = canonical::to_bytes(&pages).map_err(|e| IndexerError::Pages(e.to_string()))?;
        // Two indexers may write pages at once; the list of the one that comes second does not hold, and the
        // next run compares again.
        self.blobs.put_if(&BlobKey::Public(PublicPath::Pages), list.into(), found).await?;
        Ok(stale.len() + 1)
    }

    /// The plugins whose pages are older than `documents` say, by seq: what a run has to read again.
    ///
    /// # Errors
    /// [`IndexerError`].
    pub async fn seq(&self) -> Result<u64, IndexerError> {
        Ok(load(&*self.blobs).await?.0.seq)
    }

    async fn write_shared(&self) -> Result<(), IndexerError> {
        for (path, bytes) in self.site.assets() {
            self.replace(&path, bytes).await?;
        }
        self.replace(&PublicPath::WellKnown, self.site.well_known()).await?;
        self.replace(&PublicPath::NotFound, self.site.not_found()?.into_bytes()).await
    }

    async fn write_plugin(&self, pages: &Pages, id: &PluginId, fresh: &[Document]) -> Result<(), IndexerError> {
        let Some(entry) = pages.plugins.get(id) else { return Ok(()) };
        let document = match fresh.iter().find(|document| document.id == *id) {
            Some(document) => document.clone(),
            None => {
                let path = PublicPath::Document(id.clone(), entry.document.digest);
                let bytes = self.read(&BlobKey::Public(path.clone()), entry.document.size).await?;
                let bytes = bytes.ok_or_else(|| IndexerError::Missing(path.to_string()))?;
                Document::read(id, &bytes)?
            }
        };
        let Some(page) = self.page(pages, &document).await? else { return Ok(()) };
        self.replace(&PublicPath::Plugin(id.clone()), self.site.plugin(&page)?.into_bytes()).await
    }

    /// A call of the plugin to show on the front page; empty where none can be made up.
    async fn call(&self, document: &Document) -> Result<String, IndexerError> {
        let Some((_, listing)) = shown(document) else { return Ok(String::new()) };
        let wit = self.text(Some(document.about.wit), MAX_WIT_BYTES).await?.unwrap_or_default();
        Ok(example_call(&wit, &listing.exports).unwrap_or_default())
    }

    async fn page(&self, pages: &Pages, document: &Document) -> Result<Option<PluginPage>, IndexerError> {
        let Some((version, listing)) = shown(document) else { return Ok(None) };
        let record = BlobKey::Public(PublicPath::Artifact(listing.record));
        let record = self.read(&record, MAX_RECORD_BYTES as u64).await?;
        let record = record.and_then(|bytes| Release::read(&bytes).ok());
        let (wit, readme) = match &record {
            Some(record) => (Some(record.wit), record.readme),
            None => (None, None),
        };
        let readme = self.text(readme, MAX_README_BYTES).await?;
        let dependency = |(id, dependency): (&PluginId, &stoa_core::release::Dependency)| DependencyRow {
            id: id.clone(),
            dependency: dependency.clone(),
            listed: pages.plugins.contains_key(id),
        };
        let row = |(version, listing): (&Version, &Listing)| VersionRow {
            version: version.clone(),
            published_at: listing.published_at,
            seq: listing.seq,
            artifact: listing.artifact,
            record: listing.record,
            state: listing.state.clone(),
            standing: document.standing(version),
            certified: listing.certified.clone(),
        };
        Ok(Some(PluginPage {
            id: document.id.clone(),
            description: document.about.description.clone(),
            version: version.clone(),
            kind: document.kind,
            license: document.about.license.clone(),
            repository: document.about.repository.clone(),
            keywords: document.about.keywords.clone(),
            categories: document.about.categories.clone(),
            readme: readme.as_deref().map(Readme::from_markdown),
            wit: self.text(wit, MAX_WIT_BYTES).await?,
            call: None,
            exports: listing.exports.clone(),
            imports: listing.imports.clone(),
            tracks: listing.tracks.clone(),
            reasons: record.map(|record| record.capabilities).unwrap_or_default(),
            dependencies: listing.dependencies.iter().map(dependency).collect(),
            dependents: pages.dependents(&document.id),
            versions: document.releases.iter().map(row).collect(),
            takedown: document.takedown.clone(),
            advisories: document.advisories.values().cloned().collect(),
        }))
    }

    async fn text(&self, blob: Option<BlobRef>, limit: u64) -> Result<Option<String>, IndexerError> {
        let Some(blob) = blob else { return Ok(None) };
        let bytes = self.read(&BlobKey::Store(blob.digest), limit).await?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    async fn read(&self, key: &BlobKey, limit: u64) -> Result<Option<Bytes>, IndexerError> {
        Ok(self.blobs.get(key, limit).await?.map(|blob| blob.bytes))
    }

    /// Puts a page, unless it is there already.
    async fn replace(&self, path: &PublicPath, bytes: Vec<u8>) -> Result<(), IndexerError> {
        let key = BlobKey::Public(path.clone());
        let expected = match self.blobs.get(&key, bytes.len() as u64).await {
            Ok(Some(found)) if found.bytes == bytes => return Ok(()),
            Ok(Some(found)) => Precondition::Tag(found.tag),
            Ok(None) => Precondition::Absent,
            Err(BlobError::TooLarge { .. }) => match self.blobs.head(&key).await? {
                Some(meta) => Precondition::Tag(meta.tag),
                None => Precondition::Absent,
            },
            Err(error) => return Err(error.into()),
        };
        self.blobs.put_if(&key, bytes.into(), &expected).await?;
        Ok(())
    }
}

impl Pages {
    /// Takes a changed document; gives the plugins whose pages show something of it.
    fn take(&mut self, document: &Document, call: String) -> Result<BTreeSet<PluginId>, IndexerError> {
        let id = &document.id;
        let blob = BlobRef::of(&document.to_bytes()?);
        let before = self.plugins.get(id).cloned();
        let Some(after) = Entry::of(document, blob, call) else { return Ok(BTreeSet::new()) };
        let mut stale = BTreeSet::from([id.clone()]);
        // Their pages list who depends on them.
        stale.extend(before.iter().chain([&after]).flat_map(|entry| entry.dependencies.keys().cloned()));
        if before.is_none() {
            // Their pages link to what has a page.
            stale.extend(self.dependents(id).into_iter().map(|dependent| dependent.id));
        }
        self.plugins.insert(id.clone(), after);
        Ok(stale)
    }

    fn dependents(&self, id: &PluginId) -> Vec<Dependent> {
        let row = |(dependent, entry): (&PluginId, &Entry)| {
            let requirement = entry.dependencies.get(id)?.clone();
            Some(Dependent { id: dependent.clone(), version: entry.version.clone(), requirement })
        };
        self.plugins.iter().filter_map(row).collect()
    }

    fn front(&self) -> FrontPage {
        let featured = self.plugins.iter().filter(|(_, entry)| entry.mark.is_none()).min_by_key(|(_, entry)| entry.seq);
        // What was killed has a page, for who comes by its name; nobody is led there.
        let cards = self.plugins.iter().filter(|(_, entry)| entry.mark != Some(Mark::Killed));
        FrontPage {
            seq: self.seq,
            updated: self.time,
            featured: featured.map(|(id, entry)| Featured {
                id: id.clone(),
                version: entry.version.clone(),
                call: entry.call.clone(),
            }),
            cards: cards.map(|(id, entry)| entry.card(id)).collect(),
        }
    }
}
