//! A third opinion: whether a choice of versions keeps all rules, and whether any choice at all does.
//!
//! The resolver's own check ([`stoa_core::resolve::verify`]) judges whole answers. This one judges bare choices, so that all of
//! them can be tried.

use std::collections::{BTreeMap, BTreeSet};

use stoa_core::{
    document::{Listing, State},
    id::PluginId,
    interface::InterfaceName,
    release::Provider,
    resolve::{Documents, Known, Resolution},
    version::Version,
    wanted::Wanted,
};

use crate::world::World;

/// Chosen versions.
pub(crate) type Choice = BTreeMap<PluginId, Version>;

fn listing<'a>(documents: &'a Documents, id: &PluginId, version: &Version) -> Result<&'a Listing, String> {
    match documents.get(id) {
        Some(Known::Document(document)) => document.releases.get(version).ok_or(format!("no {id} {version}")),
        _ => Err(format!("no {id}")),
    }
}

/// Whether a choice keeps all rules but those of locks, and nothing in it is there for nothing.
pub(crate) fn verify(wanted: &Wanted, world: &World, choice: &Choice) -> Result<(), String> {
    let documents = &world.documents;
    let mut needed: BTreeSet<&PluginId> = BTreeSet::new();
    let mut queue = Vec::new();
    for want in wanted.plugins() {
        let requirement = want.version.as_ref().ok_or("a wish without a version")?;
        match choice.get(&want.id) {
            Some(version) if requirement.matches(version) => queue.push(&want.id),
            Some(version) if !want.optional => return Err(format!("{} {version} is not {requirement}", want.id)),
            None if !want.optional => return Err(format!("{} is missing", want.id)),
            _ => {}
        }
    }
    while let Some(id) = queue.pop() {
        if !needed.insert(id) {
            continue;
        }
        let version = choice.get(id).ok_or(format!("{id} is missing"))?;
        for (dependency, want) in &listing(documents, id, version)?.dependencies {
            match choice.get(dependency) {
                None if want.optional => {}
                None => return Err(format!("{id} {version} lacks {dependency}")),
                Some(chosen) if !want.version.matches(chosen) => {
                    return Err(format!("{id} {version} has {dependency} {chosen} and not {}", want.version));
                }
                Some(_) if want.optional => {}
                Some(_) => queue.push(dependency),
            }
        }
    }
    for (id, version) in choice {
        if !needed.contains(id) {
            return Err(format!("{id} is there for nothing"));
        }
        let listing = listing(documents, id, version)?;
        if listing.state != State::Listed {
            return Err(format!("{id} {version} is yanked"));
        }
        if let Some(track) = listing.tracks.iter().find(|track| !world.offer.tracks().contains(*track)) {
            return Err(format!("{id} {version} needs {track}"));
        }
        answered(world, choice, id, listing)?;
    }
    Ok(())
}

/// Whether everything that a release imports is exported by what it calls, or offered by the host.
fn answered(world: &World, choice: &Choice, id: &PluginId, caller: &Listing) -> Result<(), String> {
    for import in &caller.imports {
        let answers = |name: &InterfaceName| {
            // What semantic versioning calls compatible is what a caret requirement takes.
            let least: semver::VersionReq =
                format!("^{}", import.name.version().expect("a version")).parse().expect("one");
            let same = (name.package(), name.interface()) == (import.name.package(), import.name.interface());
            same && least.matches(name.version().expect("a version"))
        };
        let found = match import.from {
            Provider::Host => world.offer.interfaces().keys().any(answers),
            _ => {
                let provider: PluginId = import.name.package().to_string().parse().expect("an id");
                let Some(version) = choice.get(&provider) else { continue };
                let exports = &listing(&world.documents, &provider, version)?.exports;
                exports.iter().filter_map(|export| export.name.as_interface()).any(answers)
            }
        };
        if !found {
            return Err(format!("{id} imports {}", import.name));
        }
    }
    Ok(())
}

/// Whether every plugin comes after all that it calls.
pub(crate) fn in_order(resolution: &Resolution) -> Result<(), String> {
    let mut loaded = BTreeSet::new();
    for plugin in &resolution.plugins {
        for edge in &plugin.edges {
            if !loaded.contains(&edge.dependency) {
                return Err(format!("{} is loaded before {}", plugin.id, edge.dependency));
            }
        }
        loaded.insert(plugin.id.clone());
    }
    Ok(())
}

/// Whether any choice at all passes [`verify`]: tries them all.
pub(crate) fn brute_force(wanted: &Wanted, world: &World) -> bool {
    let documents = &world.documents;
    let columns: Vec<(&PluginId, Vec<Option<&Version>>)> = documents
        .iter()
        .filter_map(|(id, known)| match known {
            Known::Document(document) => {
                Some((id, std::iter::once(None).chain(document.releases.keys().map(Some)).collect()))
            }
            Known::Absent | Known::NotKept => None,
        })
        .collect();
    let total: usize = columns.iter().map(|(_, versions)| versions.len()).product();
    (0..total).any(|mut number| {
        let mut choice = Choice::new();
        for (id, versions) in &columns {
            if let Some(version) = versions[number % versions.len()] {
                choice.insert((*id).clone(), version.clone());
            }
            number /= versions.len();
        }
        verify(wanted, world, &choice).is_ok()
    })
}
