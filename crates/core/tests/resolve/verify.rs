//! A second opinion on resolutions, which shares no code with the resolver: one look at every edge.

use std::collections::{BTreeMap, BTreeSet};

use stoa_core::{
    document::{Listing, State},
    id::PluginId,
    resolve::{Documents, Known, Resolution},
    version::Version,
    wanted::Wanted,
};

/// Chosen versions.
pub(crate) type Choice = BTreeMap<PluginId, Version>;

fn listing<'a>(documents: &'a Documents, id: &PluginId, version: &Version) -> Result<&'a Listing, String> {
    match documents.get(id) {
        Some(Known::Document(document)) => document.releases.get(version).ok_or(format!("no {id} {version}")),
        _ => Err(format!("no {id}")),
    }
}

/// Whether a choice keeps all rules of versions (for graphs without interfaces, tracks and locks), and nothing in it
/// is there for nothing.
pub(crate) fn verify(wanted: &Wanted, documents: &Documents, choice: &Choice) -> Result<(), String> {
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
        if listing(documents, id, version)?.state != State::Listed {
            return Err(format!("{id} {version} is yanked"));
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
pub(crate) fn brute_force(wanted: &Wanted, documents: &Documents) -> bool {
    let columns: Vec<(&PluginId, Vec<Option<&Version>>)> = documents
        .iter()
        .filter_map(|(id, known)| match known {
            Known::Document(document) => {
                Some((id, std::iter::once(None).chain(document.releases.keys().map(Some)).collect()))
            }
            Known::Absent => None,
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
        verify(wanted, documents, &choice).is_ok()
    })
}
