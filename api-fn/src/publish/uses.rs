//! Whether the dependencies of a release export the functions that its component calls.
//!
//! A resolver chooses by names and versions of interfaces alone: an import has only what its component uses, so that
//! its hash says nothing of an export with another one. What the functions look like is known here.

use std::collections::BTreeMap;

use stoa_core::{
    id::PluginId,
    interface::{ExternName, InterfaceName, TypeHash},
    release::{Export, Release},
    version::Version,
};

use crate::{
    problem::{Code, Problem},
    publish::{facts::Facts, known::Known, set::Candidate, set::Set},
    state::Functions,
};

/// Checks that for each dependency of the new releases some release meets the requirement and exports, with the same
/// types, every function that is called on it: in the registry, or in the set itself.
///
/// # Errors
/// [`Code::DependencyTypesDiffer`] with what the newest of those releases lacks.
pub fn check(fresh: &[&Candidate], set: &Set, known: &Known, facts: &BTreeMap<PluginId, Facts>) -> Result<(), Problem> {
    for candidate in fresh {
        let release = &candidate.release;
        for (id, interfaces) in facts.get(&release.id).into_iter().flat_map(|found| &found.uses) {
            let offers = offers(release, id, set, known, facts);
            let lacks = offers.iter().map(|offer| offer.lack(release, interfaces));
            // The first is that of the newest release. Where there is none, no release meets the requirement,
            // which another rule refuses.
            if let Some(lacks) = lacks.collect::<Option<Vec<_>>>() {
                lacks.into_iter().next().map_or(Ok(()), Err)?;
            }
        }
    }
    Ok(())
}

/// A release that meets the requirement on a dependency.
struct Offer<'k> {
    id: &'k PluginId,
    version: &'k Version,
    exports: &'k [Export],
    functions: &'k Functions,
}

/// The releases of `id` that stand for all that meet what `release` asks, highest first.
fn offers<'k>(
    release: &Release,
    id: &'k PluginId,
    set: &'k Set,
    known: &'k Known,
    facts: &'k BTreeMap<PluginId, Facts>,
) -> Vec<Offer<'k>> {
    let published = known.dependencies.get(id).into_iter().flatten();
    let published =
        published.map(|(version, item)| Offer { id, version, exports: &item.exports, functions: &item.functions });
    let beside = set.get(id).zip(facts.get(id)).map(|(beside, found)| {
        let beside = &beside.release;
        Offer { id, version: &beside.version, exports: &beside.exports, functions: &found.exports }
    });
    let meets =
        |offer: &Offer<'_>| release.dependencies.get(id).is_some_and(|asked| asked.version.matches(offer.version));
    let mut offers: Vec<_> = published.chain(beside).filter(meets).collect();
    offers.sort_by(|a, b| b.version.cmp(a.version));
    offers
}

impl Offer<'_> {
    /// The first of `interfaces` and its functions that it does not export as `release` calls it.
    fn lack(
        &self,
        release: &Release,
        interfaces: &BTreeMap<InterfaceName, BTreeMap<String, TypeHash>>,
    ) -> Option<Problem> {
        for (interface, wanted) in interfaces {
            let import = release.imports.iter().find(|import| import.name == *interface)?;
            let export = import.answered_by(self.exports);
            let has = export.and_then(|export| self.functions.get(&ExternName::Interface(export.clone())));
            for (function, types) in wanted {
                let why = match has.map(|has| has.get(function)) {
                    Some(Some(found)) if found == types => continue,
                    Some(Some(_)) => "exports with another type",
                    Some(None) => "does not export",
                    None => "does not export the interface of",
                };
                return Some(self.problem(release, interface, function, why));
            }
        }
        None
    }

    fn problem(&self, release: &Release, interface: &InterfaceName, function: &str, why: &str) -> Problem {
        let (from, version, id, newest) = (&release.id, &release.version, self.id, self.version);
        let requirement = release.dependencies.get(id).map(|asked| asked.version.to_string()).unwrap_or_default();
        let detail = format!(
            "`{from}` {version} calls `{function}` of `{interface}`, which `{id}` {newest}, the newest release that \
             meets {requirement}, {why}"
        );
        Problem::new(Code::DependencyTypesDiffer, detail)
            .with("dependency", id.to_string())
            .with("interface", interface.to_string())
            .with("function", function)
    }
}
