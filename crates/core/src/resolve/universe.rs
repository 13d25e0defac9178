//! What can be chosen: the documents, the offer and the lock, as the solver, the checks and the messages see them.

use std::{collections::BTreeMap, fmt};

use crate::{
    digest::Digest,
    document::{Document, Listing, State},
    id::PluginId,
    interface::InterfaceName,
    lock::Lock,
    offer::{Offer, Unanswered},
    release::{Dependency, Export, Import, Kind, Provider, providers_of},
    resolve::{Bar, Barred, Binding, Documents, Known, versions::Versions},
    standing::{Measure, Standing, Takedown},
    time::Time,
    version::{Version, VersionReq},
    wanted::{Want, Wanted},
};

/// One release, where the solver looks for it.
pub(super) type Row<'a> = (&'a Version, &'a Listing);

/// All that a resolution depends on.
#[derive(Clone)]
pub(super) struct Universe<'a> {
    /// The releases of each plugin, ascending; none where there is no such plugin.
    plugins: BTreeMap<&'a PluginId, (Kind, Vec<Row<'a>>)>,
    documents: &'a Documents,
    /// The enabled wishes, by id: the order of a file decides nothing here.
    pub(super) wants: BTreeMap<&'a PluginId, &'a Want>,
    pub(super) offer: &'a Offer,
    /// The versions that are kept where they fit.
    kept: BTreeMap<&'a PluginId, Kept<'a>>,
    pub(super) barred: &'a Barred,
}

#[derive(Clone, Copy)]
struct Kept<'a> {
    version: &'a Version,
    artifact: Digest,
    record: Digest,
}

/// Why a release can not be chosen, whatever else is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reason {
    Yanked { reason: String, at: Time },
    TakenDown(Takedown),
    Barred(Bar),
    NotAPlugin,
    NeedsItself,
    Unprovided(InterfaceName),
    Ambiguous(InterfaceName),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Yanked { reason, at } => {
                let day: String = at.to_string().chars().take(10).collect();
                // Quoted as Rust quotes: what a stranger wrote must not reach a terminal as control characters.
                let reason: String = reason.chars().take(200).collect();
                write!(f, "yanked {day} ({reason:?})")
            }
            Self::TakenDown(takedown) => write!(f, "{takedown}"),
            Self::Barred(Bar::Policy { why, .. }) => f.write_str(why),
            Self::Barred(Bar::NotKept) => f.write_str("its component is not kept, and no connection may be opened"),
            Self::Barred(Bar::Precise(version)) => write!(f, "exactly {version} was asked for"),
            Self::NotAPlugin => f.write_str("it is an interface package, which is read and never run"),
            Self::NeedsItself => f.write_str("it depends on itself"),
            Self::Unprovided(name) => write!(f, "it imports {name}, and none of its dependencies provides that"),
            Self::Ambiguous(name) => {
                write!(f, "it imports {name}, which several of its dependencies are said to provide")
            }
        }
    }
}

/// A provider's version does not answer this import: it does not export the interface in a version that would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NotExported<'a>(&'a InterfaceName);

impl fmt::Display for NotExported<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it does not export {}", self.0)
    }
}

impl<'a> Universe<'a> {
    pub(super) fn new(
        wanted: &'a Wanted,
        offer: &'a Offer,
        documents: &'a Documents,
        barred: &'a Barred,
        kept: Option<&'a Lock>,
        updated: impl Fn(&PluginId) -> bool,
    ) -> Self {
        let rows = |known: &'a Known| match known {
            Known::Document(document) => (document.kind, document.releases.iter().collect()),
            Known::Absent | Known::NotKept => (Kind::Plugin, Vec::new()),
        };
        let entries = kept.iter().flat_map(|lock| &lock.entries).filter(|(id, _)| !updated(id));
        let kept = entries.map(|(id, entry)| {
            (id, Kept { version: &entry.version, artifact: entry.artifact.digest, record: entry.record })
        });
        let wants = wanted.plugins().iter().filter(|want| want.enabled).map(|want| (&want.id, want));
        Self {
            plugins: documents.iter().map(|(id, known)| (id, rows(known))).collect(),
            documents,
            wants: wants.collect(),
            offer,
            kept: kept.collect(),
            barred,
        }
    }

    /// The same, but for what the host asks of one plugin.
    pub(super) fn with_want(&self, want: &'a Want) -> Self {
        let mut wants = self.wants.clone();
        wants.insert(&want.id, want);
        Self { wants, ..self.clone() }
    }

    /// The same without what the host asks of one plugin.
    pub(super) fn without_want(&self, id: &PluginId) -> Self {
        let mut wants = self.wants.clone();
        wants.remove(id);
        Self { wants, ..self.clone() }
    }

    /// The same on a host with another offer.
    pub(super) fn with_offer(&self, offer: &'a Offer) -> Self {
        Self { offer, ..self.clone() }
    }

    /// The same with other releases barred.
    pub(super) fn with_barred(&self, barred: &'a Barred) -> Self {
        Self { barred, ..self.clone() }
    }

    /// Whether nothing is known of `id` since nothing of it is kept.
    pub(super) fn not_kept(&self, id: &PluginId) -> bool {
        self.documents.get(id) == Some(&Known::NotKept)
    }

    /// The newest usable pre-release of `id` that one of `requirements` passes over for being one.
    pub(super) fn unnamed_prerelease(&self, id: &PluginId, requirements: &[&VersionReq]) -> Option<&'a Version> {
        let places = 0..u32::try_from(self.rows(id).len()).unwrap_or(u32::MAX);
        let usable = places.rev().filter(|place| self.unusable(id, *place).is_none());
        let mut before = usable.filter_map(|place| self.row(id, place)).filter(|(version, _)| version.is_prerelease());
        let passed_over = |(version, _): &Row<'_>| {
            let released = semver::Version { pre: semver::Prerelease::EMPTY, ..version.as_semver().clone() };
            requirements.iter().any(|req| req.as_semver().matches(&released) && !req.matches(version))
        };
        before.find(passed_over).map(|(version, _)| version)
    }

    /// The releases of `id` in a newer format that would meet all of `requirements` by their version.
    pub(super) fn newer(&self, id: &PluginId, requirements: &[&VersionReq]) -> Vec<&'a Version> {
        let Some(Known::Document(document)) = self.documents.get(id) else { return Vec::new() };
        let meets = |version: &&Version| requirements.iter().all(|requirement| requirement.matches(version));
        document.newer.keys().filter(meets).collect()
    }

    fn document(&self, id: &PluginId) -> Option<&'a Document> {
        match self.documents.get(id) {
            Some(Known::Document(document)) => Some(document),
            _ => None,
        }
    }

    /// What is said of a release.
    pub(super) fn standing(&self, id: &PluginId, version: &Version) -> Standing {
        self.document(id).map(|document| document.standing(version)).unwrap_or_default()
    }

    /// How the release was taken down, where that keeps it from being chosen: whoever has a quarantined one locked may
    /// have its bytes as well, which nobody fetches any more.
    fn taken_down(&self, id: &PluginId, place: u32) -> Option<&'a Takedown> {
        let (version, _) = self.row(id, place)?;
        let takedown = self.document(id)?.takedown_of(version)?;
        (takedown.measure == Measure::Kill || self.kept(id) != Some(place)).then_some(takedown)
    }

    /// The releases of `id`, ascending.
    pub(super) fn rows(&self, id: &PluginId) -> &[Row<'a>] {
        self.plugins.get(id).map_or(&[], |(_, rows)| rows)
    }

    /// The plugins with a document, sorted.
    pub(super) fn ids(&self) -> impl Iterator<Item = &'a PluginId> {
        self.plugins.keys().copied()
    }

    pub(super) fn row(&self, id: &PluginId, place: u32) -> Option<Row<'a>> {
        self.rows(id).get(place as usize).copied()
    }

    /// The place of a version.
    pub(super) fn place(&self, id: &PluginId, version: &Version) -> Option<u32> {
        let place = self.rows(id).binary_search_by(|(known, _)| (*known).cmp(version)).ok()?;
        u32::try_from(place).ok()
    }

    /// The place of the version of `id` that is kept where it fits: exactly what the lock names.
    pub(super) fn kept(&self, id: &PluginId) -> Option<u32> {
        let kept = self.kept.get(id)?;
        let place = self.place(id, kept.version)?;
        let (_, listing) = self.row(id, place)?;
        (listing.artifact.digest == kept.artifact && listing.record == kept.record).then_some(place)
    }

    /// The releases of `id` that `accepts` takes.
    fn select(&self, id: &PluginId, accepts: impl Fn(Row<'a>) -> bool) -> Versions {
        let places = self.rows(id).iter().enumerate().filter(|(_, row)| accepts(**row));
        Versions::of(places.filter_map(|(place, _)| u32::try_from(place).ok()))
    }

    /// The releases that meet what the host asks.
    pub(super) fn asked(&self, want: &Want) -> Versions {
        // A folder without a requirement is itself the choice, also where its version is a pre-release.
        self.select(&want.id, |(version, _)| want.version.as_ref().is_none_or(|req| req.matches(version)))
    }

    /// The releases of `id` that meet `requirement`, whatever their interfaces.
    pub(super) fn meeting(&self, id: &PluginId, requirement: &VersionReq) -> Versions {
        self.select(id, |(version, _)| requirement.matches(version))
    }

    /// The releases of `id` that will do for `caller`: they meet the requirement and export what it imports.
    pub(super) fn accepted(&self, caller: &Listing, id: &PluginId, dependency: &Dependency) -> Versions {
        let imports = imports_from(caller, id);
        self.select(id, |(version, listing)| {
            dependency.version.matches(version) && imports.iter().all(|import| bind(import, &listing.exports).is_ok())
        })
    }

    /// Why the release can not be chosen, whatever else is.
    pub(super) fn unusable(&self, id: &PluginId, place: u32) -> Option<Reason> {
        let (version, listing) = self.row(id, place)?;
        if let Some(takedown) = self.taken_down(id, place) {
            return Some(Reason::TakenDown(takedown.clone()));
        }
        if let Some(why) = self.barred.get(id).and_then(|barred| barred.get(version)) {
            return Some(Reason::Barred(why.clone()));
        }
        if self.plugins.get(id).is_some_and(|(kind, _)| *kind != Kind::Plugin) {
            return Some(Reason::NotAPlugin);
        }
        if let State::Yanked { reason, at } = &listing.state
            && self.kept(id) != Some(place)
        {
            return Some(Reason::Yanked { reason: reason.clone(), at: *at });
        }
        if listing.dependencies.contains_key(id) {
            return Some(Reason::NeedsItself);
        }
        let imports = listing.imports.iter().filter(|import| import.from == Provider::Dependency);
        imports.filter_map(|import| provider(listing, import).err()).next()
    }

    /// The imports of a release that this host does not answer.
    pub(super) fn unanswered(&self, listing: &'a Listing) -> Vec<(&'a Import, Unanswered)> {
        let judge = |import: &'a Import| match import.from {
            // Conventions too: a host need not have `state`, for one.
            Provider::Host | Provider::Convention => self.offer.answers(&import.name).err().map(|why| (import, why)),
            // A dependency is another plugin's matter, WASI that of the tracks, types nobody's.
            Provider::Dependency | Provider::Wasi | Provider::Types => None,
        };
        listing.imports.iter().filter_map(judge).collect()
    }

    /// The tracks that a release needs and this host does not offer.
    pub(super) fn missing_tracks(&self, listing: &'a Listing) -> impl Iterator<Item = &'a str> {
        listing.tracks.iter().filter(|track| !self.offer.tracks().contains(*track)).map(String::as_str)
    }
}

/// Who of the dependencies of `caller` answers `import`.
fn provider<'a>(caller: &'a Listing, import: &Import) -> Result<&'a PluginId, Reason> {
    match providers_of(&caller.dependencies, &import.name).as_slice() {
        [id] => Ok(id),
        [] => Err(Reason::Unprovided(import.name.clone())),
        _ => Err(Reason::Ambiguous(import.name.clone())),
    }
}

/// The imports of `caller` that `id` answers.
pub(super) fn imports_from<'a>(caller: &'a Listing, id: &PluginId) -> Vec<&'a Import> {
    let imports = caller.imports.iter().filter(|import| import.from == Provider::Dependency);
    imports.filter(|import| provider(caller, import) == Ok(id)).collect()
}

/// The import and the export that answers it.
pub(super) fn bind<'a>(import: &'a Import, exports: &[Export]) -> Result<Binding, NotExported<'a>> {
    let export = import.answered_by(exports).ok_or(NotExported(&import.name))?;
    Ok(Binding { import: import.name.clone(), export: export.clone() })
}
