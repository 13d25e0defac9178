//! The locked mode: one look at every entry and edge, and no search.

use std::collections::BTreeSet;

use crate::{
    document::Listing,
    id::PluginId,
    lock::{Entry, Exact, Lock, Publisher, decision_digest},
    offer::Offer,
    resolve::{
        Barred, Documents, Down, LeftOut, Resolution, ResolveError, ResolveOptions, Stale,
        assemble::{self, Broken, Chosen, assemble},
        error::exact,
        universe::Universe,
    },
    version::Version,
    wanted::{Want, Wanted},
};

/// The resolution that the lock names, if it is one for this host.
pub(super) fn check(
    wanted: &Wanted,
    lock: &Lock,
    offer: &Offer,
    documents: &Documents,
    options: &ResolveOptions,
) -> Result<Resolution, ResolveError> {
    let missing: Vec<_> = lock.entries.keys().filter(|id| !documents.contains_key(id)).cloned().collect();
    if !missing.is_empty() {
        return Err(ResolveError::Unfetched(missing));
    }
    // What the host's policy bars is the policy's to say, and no reason to make another lock.
    let barred = Barred::new();
    let universe = Universe::new(wanted, offer, documents, &barred, Some(lock), |_| false);
    let mut check = Check { universe, lock, options, chosen: Chosen::new(), stale: Vec::new() };
    check.header(offer);
    check.choose();
    // Before anything else that does not fit: this is no matter of another lock.
    let killed = check.killed();
    if !killed.is_empty() {
        return Err(ResolveError::Killed(killed));
    }
    let left_out = check.wants();
    let entries = check.entries();
    check.stale.extend(entries);
    check.need();
    if !check.stale.is_empty() {
        return Err(ResolveError::Stale(check.stale));
    }
    let plugins = assemble(&check.universe, &check.chosen, &options.registry)?;
    let diff = assemble::diff(&plugins, Some(lock));
    // Whatever could be asked makes the lock stale above: this mode asks nobody.
    Ok(Resolution { plugins, left_out, diff, asks: Vec::new() })
}

struct Check<'a> {
    universe: Universe<'a>,
    lock: &'a Lock,
    options: &'a ResolveOptions,
    chosen: Chosen<'a>,
    stale: Vec<Stale>,
}

impl<'a> Check<'a> {
    fn header(&mut self, offer: &Offer) {
        let (locked, found) = (self.lock.header.offer, offer.digest());
        if locked != found {
            self.stale.push(Stale::Offer { locked, found });
        }
    }

    /// The place of every entry, and of every plugin from a folder.
    fn choose(&mut self) {
        for (id, want) in &self.universe.wants {
            if want.path.is_some() {
                let places = self.universe.asked(want);
                let newest = places.places(self.universe.rows(id).len()).next_back();
                self.chosen.extend(newest.map(|place| (*id, place)));
            }
        }
        for (id, entry) in &self.lock.entries {
            match self.universe.place(id, &entry.version) {
                Some(place) => {
                    self.chosen.entry(id).or_insert(place);
                }
                None => self.stale.push(Stale::Gone(exact(id, &entry.version))),
            }
        }
    }

    fn killed(&self) -> Vec<Down> {
        let exact = self.lock.entries.iter().map(|(id, entry)| exact(id, &entry.version));
        let killed = |release: Exact| {
            let takedown = self.universe.standing(&release.id, &release.version).killed().cloned()?;
            Some(Down { release, takedown })
        };
        exact.filter_map(killed).collect()
    }

    /// The optional wishes that are not granted; the others must be.
    fn wants(&mut self) -> Vec<LeftOut> {
        let mut left_out = Vec::new();
        for (id, want) in &self.universe.wants {
            let chosen = self.chosen.get(id).and_then(|place| self.universe.row(id, *place));
            if self.granted(want) {
                continue;
            }
            if want.optional {
                left_out.push(LeftOut { id: (*id).clone(), why: "the lock was made without it".to_owned() });
            } else if let (Some((version, _)), Some(requirement)) = (chosen, &want.version) {
                let by = want.line.map_or_else(|| "this host".to_owned(), |line| format!("plugins.toml:{line}"));
                let (release, requirement) = (exact(id, version), requirement.clone());
                self.stale.push(Stale::Requirement { release, by, requirement });
            } else if !self.lock.entries.contains_key(*id) {
                // An entry without a release was reported as gone.
                self.stale.push(Stale::Missing((*id).clone()));
            }
        }
        left_out
    }

    fn granted(&self, want: &Want) -> bool {
        let version = self.chosen_version(&want.id);
        version.is_some_and(|version| want.version.as_ref().is_none_or(|requirement| requirement.matches(version)))
    }

    /// What is wrong with each chosen release and its entry.
    fn entries(&self) -> Vec<Stale> {
        let chosen = self.chosen.iter().filter_map(|(id, place)| Some((*id, *place, self.universe.row(id, *place)?)));
        let mut stale = Vec::new();
        for (id, place, (version, listing)) in chosen {
            let release = exact(id, version);
            stale.extend(self.runs(&release, place, listing));
            let entry = self.lock.entries.get(id).filter(|entry| entry.version == *version);
            stale.extend(entry.into_iter().flat_map(|entry| self.says(&release, listing, entry)));
        }
        stale
    }

    /// Why a chosen release can not run on this host beside the other ones.
    fn runs(&self, release: &Exact, place: u32, listing: &'a Listing) -> Vec<Stale> {
        let mut stale = Vec::new();
        let mut why: Vec<String> = self.universe.unusable(&release.id, place).iter().map(ToString::to_string).collect();
        let unanswered = self.universe.unanswered(listing);
        why.extend(unanswered.iter().map(|(import, _)| format!("this host does not offer {}", import.name)));
        let tracks = self.universe.missing_tracks(listing);
        why.extend(tracks.map(|track| format!("this host does not offer the track {track}")));
        match assemble::edges(&self.universe, &self.chosen, listing) {
            Err(Broken::Version(id, requirement)) => stale.extend(self.chosen_version(id).map(|version| {
                let (by, requirement) = (format!("`{release}`"), requirement.clone());
                Stale::Requirement { release: exact(id, version), by, requirement }
            })),
            Err(broken) => why.push(broken.to_string()),
            Ok(_) => {}
        }
        stale.extend(why.into_iter().map(|why| Stale::Unusable { release: release.clone(), why }));
        stale
    }

    /// What an entry says of its release that is not so.
    fn says(&self, release: &Exact, listing: &'a Listing, entry: &Entry) -> Vec<Stale> {
        let mut stale = Vec::new();
        if let Ok(edges) = assemble::edges(&self.universe, &self.chosen, listing)
            && !self.same(edges.iter().map(|edge| &edge.dependency), entry)
        {
            stale.push(Stale::Dependencies(release.clone()));
        }
        if entry.registry != self.options.registry {
            let (locked, found) = (entry.registry.clone(), self.options.registry.clone());
            stale.push(Stale::Registry { release: release.clone(), locked, found });
        }
        let (locked, found) = (entry.decision, decision_digest(listing));
        if locked != found {
            stale.push(Stale::Decision { release: release.clone(), locked, found });
        }
        if entry.publisher != Publisher::None && listing.attestations.signature.is_none() {
            stale.push(Stale::Publisher(release.clone()));
        }
        stale
    }

    fn chosen_version(&self, id: &PluginId) -> Option<&'a Version> {
        let place = self.chosen.get(id)?;
        self.universe.row(id, *place).map(|(version, _)| version)
    }

    /// Whether the entry names exactly these dependencies, in their chosen versions.
    fn same<'i>(&self, ids: impl Iterator<Item = &'i PluginId>, entry: &Entry) -> bool {
        let ids: BTreeSet<_> = ids.collect();
        let same_version = |(id, version): (&PluginId, _)| self.chosen_version(id) == Some(version);
        ids.iter().copied().eq(entry.dependencies.keys()) && entry.dependencies.iter().all(same_version)
    }

    /// Entries that nothing needs: a resolution would drop them.
    fn need(&mut self) {
        let mut needed = BTreeSet::new();
        // A wish that is not optional stands for its entry also where that entry has the wrong version.
        let wants = self.universe.wants.values().filter(|want| !want.optional || self.granted(want));
        let mut queue: Vec<&PluginId> = wants.map(|want| &want.id).collect();
        while let Some(id) = queue.pop() {
            let chosen = self.chosen.get(id).and_then(|place| self.universe.row(id, *place));
            if let Some((_, listing)) = chosen.filter(|_| needed.insert(id)) {
                let required = listing.dependencies.iter().filter(|(_, dependency)| !dependency.optional);
                queue.extend(required.map(|(id, _)| id));
            }
        }
        let unneeded = self.lock.entries.iter().filter(|(id, _)| !needed.contains(id) && self.chosen.contains_key(*id));
        self.stale.extend(unneeded.map(|(id, entry)| Stale::Unneeded(exact(id, &entry.version))));
    }
}
