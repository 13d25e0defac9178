//! A second opinion on every answer, in code of its own: one look at each plugin, each edge and each import.
//!
//! Nothing here is shared with what found the answer. The search, the bindings and the load order come from one view of
//! the documents; a fault in that view would be in all of them, and in a check that used it as well. So the rules are
//! written down here once more, from the documents alone, and every resolution passes them before anybody sees it.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    document::{Listing, State},
    id::PluginId,
    interface::{ExternName, InterfaceName},
    lock::{Exact, Lock},
    offer::Offer,
    release::{Dependency, Kind, Provider},
    resolve::{Change, Diff, Documents, Edge, Known, Mode, Resolution, ResolveOptions, Resolved, Source},
    version::Version,
    wanted::{Want, Wanted},
};

/// One rule that an answer breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// A host runs one version of a plugin.
    #[error("`{0}` is chosen twice")]
    Twice(PluginId),
    /// The documents have no such release.
    #[error("the documents have no release `{0}`")]
    Unknown(Exact),
    /// What the answer says of a release is not what the documents say.
    #[error("`{0}` is not what its document says")]
    Altered(Exact),
    /// A plugin comes from a folder that was not asked for, or from a registry though a folder was.
    #[error("`{0}` comes from somewhere else than was asked for")]
    Source(Exact),
    /// Interface packages are read and never run.
    #[error("`{0}` is an interface package")]
    NotAPlugin(Exact),
    /// A yanked release holds only where the lock names exactly it.
    #[error("`{0}` is yanked, and the lock does not name it")]
    Yanked(Exact),
    /// A killed release holds nowhere, a quarantined one only where the lock names exactly it.
    #[error("`{0}` was taken down")]
    TakenDown(Exact),
    /// The host's policy, or another bar, speaks against it.
    #[error("`{0}` is barred")]
    Barred(Exact),
    /// The lock has other bytes under this version.
    #[error("`{0}` is not what the lock names")]
    Locked(Exact),
    /// A wish is not granted.
    #[error("the host asks for `{0}`, and does not get what it asks for")]
    Wish(PluginId),
    /// What is said to be left out is not an ungranted optional wish, or such a wish is not said to be.
    #[error("`{0}` is left out without a word, or is said to be left out and is not")]
    LeftOut(PluginId),
    /// A required plugin is not there, or one is there in a version that its caller does not take.
    #[error("`{caller}` does not get the `{dependency}` that it asks for")]
    Dependency {
        /// Who asks.
        caller: Exact,
        /// For what.
        dependency: PluginId,
    },
    /// The edges of a release are not those between it and what it calls.
    #[error("the edges of `{0}` are not those of its dependencies")]
    Edges(Exact),
    /// An import is not answered by exactly one export that is fit to.
    #[error("{import} of `{caller}` is not bound to an export that answers it")]
    Binding {
        /// Who imports.
        caller: Exact,
        /// What.
        import: InterfaceName,
    },
    /// The host does not give what a plugin imports from it.
    #[error("`{caller}` imports {import} from the host, which does not offer it")]
    Host {
        /// Who imports.
        caller: Exact,
        /// What.
        import: InterfaceName,
    },
    /// The host does not give a track.
    #[error("`{caller}` needs the track {track}, which this host does not offer")]
    Track {
        /// Who needs it.
        caller: Exact,
        /// Which.
        track: String,
    },
    /// A plugin is loaded before one that it calls.
    #[error("`{caller}` is loaded before `{dependency}`, which it calls")]
    Order {
        /// The caller.
        caller: Exact,
        /// Who is called.
        dependency: PluginId,
    },
    /// Nothing that was asked for needs it.
    #[error("`{0}` is there for nothing")]
    Unneeded(Exact),
    /// The difference to the lock is another one.
    #[error("the difference to the lock is not the one that is told")]
    Diff,
}

/// Every rule that `resolution` breaks; none, where it is an answer to `wanted`.
///
/// # Errors
/// The [`Fault`]s, at least one.
pub fn verify(
    resolution: &Resolution,
    wanted: &Wanted,
    lock: Option<&Lock>,
    offer: &Offer,
    documents: &Documents,
    options: &ResolveOptions,
) -> Result<(), Vec<Fault>> {
    let wants = wanted.plugins().iter().filter(|want| want.enabled).map(|want| (&want.id, want)).collect();
    let chosen = resolution.plugins.iter().map(|plugin| (&plugin.id, &plugin.version)).collect();
    let mut check = Check { resolution, wants, chosen, lock, offer, documents, options, faults: Vec::new() };
    check.plugins();
    check.wishes();
    check.needs();
    check.diff();
    check.faults.dedup();
    if check.faults.is_empty() { Ok(()) } else { Err(check.faults) }
}

struct Check<'a> {
    resolution: &'a Resolution,
    wants: BTreeMap<&'a PluginId, &'a Want>,
    chosen: BTreeMap<&'a PluginId, &'a Version>,
    lock: Option<&'a Lock>,
    offer: &'a Offer,
    documents: &'a Documents,
    options: &'a ResolveOptions,
    faults: Vec<Fault>,
}

fn named(plugin: &Resolved) -> Exact {
    Exact { id: plugin.id.clone(), version: plugin.version.clone() }
}

impl<'a> Check<'a> {
    /// Each plugin by itself, and beside those that are loaded before it.
    fn plugins(&mut self) {
        let mut loaded: BTreeSet<&PluginId> = BTreeSet::new();
        for plugin in &self.resolution.plugins {
            let early = plugin.edges.iter().filter(|edge| !loaded.contains(&edge.dependency));
            let early = early.map(|edge| Fault::Order { caller: named(plugin), dependency: edge.dependency.clone() });
            self.faults.extend(early);
            if !loaded.insert(&plugin.id) {
                self.faults.push(Fault::Twice(plugin.id.clone()));
            }
            let Some(Known::Document(document)) = self.documents.get(&plugin.id) else {
                self.faults.push(Fault::Unknown(named(plugin)));
                continue;
            };
            let Some(listing) = document.releases.get(&plugin.version) else {
                self.faults.push(Fault::Unknown(named(plugin)));
                continue;
            };
            let standing = document.standing(&plugin.version);
            if *listing != plugin.listing || document.id != plugin.id || standing != plugin.standing {
                self.faults.push(Fault::Altered(named(plugin)));
            }
            if document.kind != Kind::Plugin {
                self.faults.push(Fault::NotAPlugin(named(plugin)));
            }
            self.state(plugin, listing);
            self.host(plugin, listing);
            self.edges(plugin, listing);
        }
    }

    /// Whether the release may be chosen at all.
    fn state(&mut self, plugin: &Resolved, listing: &Listing) {
        let folder = self.wants.get(&plugin.id).and_then(|want| want.path.as_ref());
        let source = match folder {
            Some(path) => Source::Path(path.clone()),
            None => Source::Registry(self.options.registry.clone()),
        };
        if plugin.source != source {
            self.faults.push(Fault::Source(named(plugin)));
        }
        let entry = self.lock.and_then(|lock| lock.entries.get(&plugin.id));
        let entry = entry.filter(|entry| entry.version == plugin.version);
        let same = entry.is_some_and(|entry| entry.artifact == listing.artifact && entry.record == listing.record);
        if entry.is_some() && !same && folder.is_none() {
            self.faults.push(Fault::Locked(named(plugin)));
        }
        let updated = match &self.options.mode {
            Mode::Update(ids) => ids.contains(&plugin.id),
            mode => *mode == Mode::UpdateAll,
        };
        if listing.state != State::Listed && (updated || !same) {
            self.faults.push(Fault::Yanked(named(plugin)));
        }
        let killed = plugin.standing.killed().is_some();
        if killed || (plugin.standing.takedown.is_some() && (updated || !same)) {
            self.faults.push(Fault::TakenDown(named(plugin)));
        }
        let barred = self.options.barred.get(&plugin.id).is_some_and(|barred| barred.contains_key(&plugin.version));
        if barred && self.options.mode != Mode::Locked {
            self.faults.push(Fault::Barred(named(plugin)));
        }
    }

    /// What the release wants of the host.
    fn host(&mut self, plugin: &Resolved, listing: &Listing) {
        for import in &listing.imports {
            let hosts = matches!(import.from, Provider::Host | Provider::Convention);
            if hosts && !self.offer.interfaces().keys().any(|ours| answers(ours, &import.name)) {
                self.faults.push(Fault::Host { caller: named(plugin), import: import.name.clone() });
            }
        }
        for track in listing.tracks.iter().filter(|track| !self.offer.tracks().contains(*track)) {
            self.faults.push(Fault::Track { caller: named(plugin), track: track.clone() });
        }
    }

    /// What the release wants of other plugins, and whether it is bound to exactly that.
    fn edges(&mut self, plugin: &Resolved, listing: &Listing) {
        let mut expected: Vec<(&PluginId, &Dependency)> = Vec::new();
        for (id, dependency) in &listing.dependencies {
            match self.chosen.get(id) {
                Some(version) => {
                    expected.push((id, dependency));
                    if !dependency.version.matches(version) || *id == plugin.id {
                        self.faults.push(Fault::Dependency { caller: named(plugin), dependency: id.clone() });
                    }
                }
                None if dependency.optional => {}
                None => self.faults.push(Fault::Dependency { caller: named(plugin), dependency: id.clone() }),
            }
        }
        let told = |edge: &Edge| (edge.dependency.clone(), edge.on_failure);
        let due = |(id, dependency): &(&PluginId, &Dependency)| ((*id).clone(), dependency.on_failure);
        if !plugin.edges.iter().map(told).eq(expected.iter().map(due)) {
            self.faults.push(Fault::Edges(named(plugin)));
        }
        self.bindings(plugin, listing);
    }

    /// Each import from a plugin has one provider among the dependencies, and where that is there, one binding to one
    /// of its exports. No binding is of anything else.
    fn bindings(&mut self, plugin: &Resolved, listing: &Listing) {
        let bound = |id: &PluginId, import: &InterfaceName| {
            let edge = plugin.edges.iter().filter(move |edge| edge.dependency == *id);
            let bindings = edge.flat_map(|edge| &edge.bindings).filter(|binding| binding.import == *import);
            bindings.map(|binding| &binding.export).collect::<Vec<_>>()
        };
        let mut due = 0;
        for import in listing.imports.iter().filter(|import| import.from == Provider::Dependency) {
            let good = match providers(listing, &import.name).as_slice() {
                [id] if self.chosen.contains_key(*id) => {
                    due += 1;
                    match bound(id, &import.name).as_slice() {
                        [export] => answers(export, &import.name) && self.exports(id, export),
                        _ => false,
                    }
                }
                // An optional dependency that is not there: nothing answers, and that is what the caller is made for.
                [_] => true,
                _ => false,
            };
            if !good {
                self.faults.push(Fault::Binding { caller: named(plugin), import: import.name.clone() });
            }
        }
        if plugin.edges.iter().map(|edge| edge.bindings.len()).sum::<usize>() > due {
            self.faults.push(Fault::Edges(named(plugin)));
        }
    }

    fn exports(&self, id: &PluginId, export: &InterfaceName) -> bool {
        let Some(Known::Document(document)) = self.documents.get(id) else { return false };
        let listing = self.chosen.get(id).and_then(|version| document.releases.get(*version));
        let named = ExternName::Interface(export.clone());
        listing.is_some_and(|listing| listing.exports.iter().any(|export| export.name == named))
    }

    /// Every wish is granted, or is optional and said to be left out.
    fn wishes(&mut self) {
        let mut left_out: BTreeSet<&PluginId> = self.resolution.left_out.iter().map(|left| &left.id).collect();
        for (id, want) in &self.wants {
            match (self.granted(want), want.optional, left_out.remove(id)) {
                (true, _, false) | (false, true, true) => {}
                (true, _, true) | (false, true, false) => self.faults.push(Fault::LeftOut((*id).clone())),
                (false, false, _) => self.faults.push(Fault::Wish((*id).clone())),
            }
        }
        self.faults.extend(left_out.into_iter().map(|id| Fault::LeftOut(id.clone())));
    }

    fn granted(&self, want: &Want) -> bool {
        let version = self.chosen.get(&want.id);
        version.is_some_and(|version| want.version.as_ref().is_none_or(|requirement| requirement.matches(version)))
    }

    /// Nothing is there for nothing.
    fn needs(&mut self) {
        let plugins: BTreeMap<_, _> = self.resolution.plugins.iter().map(|plugin| (&plugin.id, plugin)).collect();
        let granted = self.wants.values().filter(|want| self.granted(want));
        let mut queue: Vec<&PluginId> = granted.map(|want| &want.id).collect();
        let mut needed = BTreeSet::new();
        while let Some(id) = queue.pop() {
            if let Some(plugin) = plugins.get(id).filter(|_| needed.insert(id)) {
                let required = plugin.listing.dependencies.iter().filter(|(_, dependency)| !dependency.optional);
                queue.extend(required.map(|(id, _)| id));
            }
        }
        let unneeded = self.resolution.plugins.iter().filter(|plugin| !needed.contains(&plugin.id));
        self.faults.extend(unneeded.map(|plugin| Fault::Unneeded(named(plugin))));
    }

    /// The difference to the lock is what it is said to be.
    fn diff(&mut self) {
        let from_folder = |id: &PluginId| self.wants.get(id).is_some_and(|want| want.path.is_some());
        let now: BTreeMap<_, _> =
            self.chosen.iter().filter(|(id, _)| !from_folder(id)).map(|(i, v)| (*i, *v)).collect();
        let exact = |id: &PluginId, version: &Version| Exact { id: id.clone(), version: version.clone() };
        let mut due = Diff::default();
        let locked = || self.lock.into_iter().flat_map(|lock| &lock.entries);
        for (id, entry) in locked() {
            match now.get(id) {
                None => due.removed.push(exact(id, &entry.version)),
                Some(to) if **to != entry.version => {
                    let (from, to) = (entry.version.clone(), (*to).clone());
                    due.changed.push(Change { id: id.clone(), from, to });
                }
                Some(_) => {}
            }
        }
        let known: BTreeSet<_> = locked().map(|(id, _)| id).collect();
        due.added.extend(now.iter().filter(|(id, _)| !known.contains(*id)).map(|(id, version)| exact(id, version)));
        if due != self.resolution.diff {
            self.faults.push(Fault::Diff);
        }
    }
}

/// Who of the caller's dependencies answers an import of `name`: those that it says are `for` that interface, and where
/// it says so of none, the one whose id is the interface's package.
fn providers<'l>(caller: &'l Listing, name: &InterfaceName) -> Vec<&'l PluginId> {
    let (exact, bare) = (name.to_string(), format!("{}/{}", name.package(), name.interface()));
    let said = |dependency: &Dependency| dependency.for_interfaces.iter().any(|said| *said == exact || *said == bare);
    let by_word = || caller.dependencies.iter().filter(|(_, dependency)| said(dependency)).map(|(id, _)| id);
    let by_name = || caller.dependencies.keys().filter(|id| id.to_string() == name.package().to_string());
    if by_word().next().is_some() { by_word().collect() } else { by_name().collect() }
}

/// Whether `offered` answers an import of `wanted`: the same interface, in the same version or in a higher one that
/// semantic versioning calls compatible.
fn answers(offered: &InterfaceName, wanted: &InterfaceName) -> bool {
    let versions = match (offered.version(), wanted.version()) {
        (None, None) => true,
        (Some(ours), Some(least)) => ours == least || (ours > least && compatible(ours, least)),
        _ => false,
    };
    versions && offered.package() == wanted.package() && offered.interface() == wanted.interface()
}

fn compatible(a: &semver::Version, b: &semver::Version) -> bool {
    let leading = |version: &semver::Version| match (version.major, version.minor) {
        (0, 0) => (0, 0, version.patch),
        (0, minor) => (0, minor, 0),
        (major, _) => (major, 0, 0),
    };
    a.pre.is_empty() && b.pre.is_empty() && leading(a) == leading(b)
}
