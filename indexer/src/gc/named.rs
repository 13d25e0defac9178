//! The blobs that events name, and the releases that were killed.

use std::collections::{BTreeMap, BTreeSet};

use stoa_core::{
    attestation::Attestations,
    digest::Digest,
    event::{Fact, Sealed},
    id::PluginId,
    lock::Exact,
    standing::Measure,
    version::Version,
};

/// What events say of blobs, up to one place of the log.
#[derive(Debug, Default)]
pub(super) struct Named {
    plugins: BTreeMap<PluginId, Plugin>,
    /// How many releases that were not purged name each blob.
    needed: BTreeMap<Digest, u32>,
    /// Blobs that a purge named, and no release since.
    gone: BTreeSet<Digest>,
    /// The place.
    pub(super) seq: u64,
}

#[derive(Debug, Default)]
struct Plugin {
    /// The event that killed it as a whole.
    killed: Option<u64>,
    releases: BTreeMap<Version, Blobs>,
}

#[derive(Debug, Default)]
struct Blobs {
    blobs: BTreeSet<Digest>,
    /// The event that killed it by itself.
    killed: Option<u64>,
    purged: bool,
}

impl Named {
    pub(super) fn take(&mut self, events: &[Sealed]) {
        for event in events {
            self.seq = event.event().seq;
            match &event.event().fact {
                Fact::Released { releases, attestations } => {
                    for release in releases {
                        let attested = attestations.get(&release.id).into_iter().flat_map(Attestations::blobs);
                        let blobs: BTreeSet<Digest> = release.blobs().chain(attested).map(|blob| blob.digest).collect();
                        for digest in &blobs {
                            *self.needed.entry(*digest).or_default() += 1;
                            self.gone.remove(digest);
                        }
                        let plugin = self.plugins.entry(release.id.clone()).or_default();
                        plugin.releases.insert(release.version.clone(), Blobs { blobs, ..Blobs::default() });
                    }
                }
                Fact::TakenDown { id, version, measure: Measure::Kill, .. } => {
                    self.kill(id, version.as_ref(), Some(self.seq));
                }
                Fact::Restored { id, version, .. } => self.kill(id, version.as_ref(), None),
                Fact::Purged { releases, blobs } => {
                    releases.iter().for_each(|release| self.purge(release));
                    self.gone.extend(blobs);
                }
                _ => {}
            }
        }
    }

    fn kill(&mut self, id: &PluginId, version: Option<&Version>, killed: Option<u64>) {
        let plugin = self.plugins.entry(id.clone()).or_default();
        match version {
            None => plugin.killed = killed,
            Some(version) => {
                if let Some(release) = plugin.releases.get_mut(version) {
                    release.killed = killed;
                }
            }
        }
    }

    fn purge(&mut self, release: &Exact) {
        let named = self.plugins.get_mut(&release.id).and_then(|plugin| plugin.releases.get_mut(&release.version));
        let Some(named) = named.filter(|named| !named.purged) else { return };
        named.purged = true;
        for digest in &named.blobs {
            if let Some(count) = self.needed.get_mut(digest) {
                *count = count.saturating_sub(1);
            }
        }
    }

    /// Whether a release names it that was not purged.
    pub(super) fn needs(&self, digest: &Digest) -> bool {
        self.needed.get(digest).is_some_and(|count| *count > 0)
    }

    /// Whether it was purged, and no release names it since.
    pub(super) fn is_gone(&self, digest: &Digest) -> bool {
        self.gone.contains(digest) && !self.needs(digest)
    }

    /// The releases that a snapshot of place `floor` or later lists as killed, and that were not purged.
    pub(super) fn due(&self, floor: u64) -> Vec<Exact> {
        let mut due = Vec::new();
        for (id, plugin) in &self.plugins {
            for (version, release) in plugin.releases.iter().filter(|(_, release)| !release.purged) {
                let since = release.killed.into_iter().chain(plugin.killed).min();
                if since.is_some_and(|seq| seq <= floor) {
                    due.push(Exact { id: id.clone(), version: version.clone() });
                }
            }
        }
        due
    }

    /// The blobs that would be needed by nobody if these releases were purged.
    pub(super) fn only_of(&self, releases: &BTreeSet<Exact>) -> BTreeSet<Digest> {
        let mut less: BTreeMap<Digest, u32> = BTreeMap::new();
        let blobs = |release: &Exact| {
            let plugin = self.plugins.get(&release.id)?;
            plugin.releases.get(&release.version).map(|release| release.blobs.iter().copied())
        };
        for digest in releases.iter().filter_map(blobs).flatten() {
            *less.entry(digest).or_default() += 1;
        }
        let all = |(digest, count): &(Digest, u32)| self.needed.get(digest).is_some_and(|needed| needed <= count);
        less.into_iter().filter(all).map(|(digest, _)| digest).collect()
    }

    /// As if these releases were purged: for a rehearsal.
    pub(super) fn suppose(&mut self, releases: &BTreeSet<Exact>) {
        let blobs = self.only_of(releases);
        releases.iter().for_each(|release| self.purge(release));
        self.gone.extend(blobs);
    }
}
