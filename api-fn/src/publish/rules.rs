//! Whether a set of records may become visible, from what the ledger knows. Nothing here does anything.

use std::collections::BTreeMap;

use stoa_core::{digest::Digest, id::PluginId, release::Release, version::VersionReq};

use crate::{
    problem::{Code, Problem},
    publish::{
        bucket,
        known::{Known, skeleton},
        set::{Candidate, Set},
        signing,
    },
    state::TakedownItem,
};

/// Decides on a set and gives the records that are new. Records that are published already, word for word,
/// are no fault: a client that lost the answer sends them again. If none is left the set is published.
///
/// # Errors
/// The [`Problem`] of the first record at fault.
pub fn fresh<'s>(set: &'s Set, known: &Known) -> Result<Vec<&'s Candidate>, Problem> {
    check_set_names(set)?;
    let mut fresh = Vec::new();
    for candidate in set.candidates() {
        if already_published(candidate, known)? {
            continue;
        }
        let release = &candidate.release;
        check_namespace(release, known)?;
        check_name(&release.id, known)?;
        check_kind(release, known)?;
        check_standing(release, known)?;
        check_dependencies(release, set, known)?;
        signing::check_demand(candidate, known)?;
        fresh.push(candidate);
    }
    bucket::with_new(known.new_plugins(fresh.iter().copied()), &known.buckets)?;
    Ok(fresh)
}

/// The refusal of a version that exists with another record: it names the component that won.
fn version_exists(candidate: &Candidate, record: Digest, artifact: Digest) -> Problem {
    let Release { id, version, .. } = &candidate.release;
    let detail = if artifact == candidate.release.artifact.digest {
        format!("`{id}` {version} was published with the same component {artifact} and another record, {record}")
    } else {
        format!("`{id}` {version} was published with the component {artifact}")
    };
    Problem::new(Code::VersionExists, detail)
        .with("id", id.to_string())
        .with("version", version.to_string())
        .with("artifact", artifact.to_string())
        .with("record", record.to_string())
}

fn already_published(candidate: &Candidate, known: &Known) -> Result<bool, Problem> {
    match known.releases.get(&candidate.release.id) {
        None => Ok(false),
        Some(found) if found.record == candidate.record.digest => Ok(true),
        Some(found) => Err(version_exists(candidate, found.record, found.artifact.digest)),
    }
}

fn check_namespace(release: &Release, known: &Known) -> Result<(), Problem> {
    let namespace = release.id.namespace();
    if known.namespaces.contains(namespace) {
        return Ok(());
    }
    Err(Problem::new(
        Code::NamespaceUnknown,
        format!("there is no namespace `{namespace}` to publish `{}` in", release.id),
    ))
}

fn check_name(id: &PluginId, known: &Known) -> Result<(), Problem> {
    match known.names.get(id) {
        Some(name) if name != id.name() => {
            let other = PluginId::new(id.namespace().clone(), name.clone());
            let detail = format!("`{id}` would be taken for `{other}`, which exists");
            Err(Problem::new(Code::NameConfusable, detail).with("exists", other.to_string()))
        }
        _ => Ok(()),
    }
}

/// Two names of one set are not in the ledger yet, but would both be.
fn check_set_names(set: &Set) -> Result<(), Problem> {
    let mut taken = BTreeMap::new();
    for candidate in set.candidates() {
        let id = &candidate.release.id;
        if let Some(other) = taken.insert((id.namespace(), skeleton(id)), id) {
            let detail = format!("`{id}` would be taken for `{other}`, which is in the same set");
            return Err(Problem::new(Code::NameConfusable, detail).with("exists", other.to_string()));
        }
    }
    Ok(())
}

fn check_kind(release: &Release, known: &Known) -> Result<(), Problem> {
    match known.plugins.get(&release.id) {
        Some(plugin) if plugin.kind != release.kind => {
            let (id, is, asked) = (&release.id, plugin.kind, release.kind);
            let detail = format!("`{id}` is of kind `{is}`, and the record of {} says `{asked}`", release.version);
            Err(Problem::new(Code::KindDiffers, detail))
        }
        _ => Ok(()),
    }
}

fn check_standing(release: &Release, known: &Known) -> Result<(), Problem> {
    let plugin = known.plugins.get(&release.id);
    match plugin.and_then(|plugin| plugin.takedown.as_ref()) {
        Some(TakedownItem { measure, reason, .. }) => {
            let (id, version, state) = (&release.id, &release.version, measure.state());
            let detail = format!("`{id}` is {state} ({reason}), and {version} would be a release of it");
            Err(Problem::new(Code::PluginTakenDown, detail))
        }
        None => Ok(()),
    }
}

/// A dependency has to exist, and some release of it has to meet the requirement: in the registry, yanked or
/// not, or in the set itself. Whether all requirements can be met together is for a resolver to say, which
/// knows the host.
fn check_dependencies(release: &Release, set: &Set, known: &Known) -> Result<(), Problem> {
    for (id, dependency) in &release.dependencies {
        let (from, version) = (&release.id, &release.version);
        let plugin = known.plugins.get(id);
        let beside = set.get(id).map(|candidate| &candidate.release.version);
        if plugin.is_none() && beside.is_none() {
            let detail = format!("`{from}` {version} depends on `{id}`, which does not exist");
            return Err(Problem::new(Code::DependencyUnknown, detail).with("dependency", id.to_string()));
        }
        let mut versions = plugin.into_iter().flat_map(|plugin| &plugin.versions).chain(beside);
        if !versions.any(|version| dependency.version.matches(version)) {
            return Err(unmet(release, id, &dependency.version));
        }
    }
    Ok(())
}

fn unmet(release: &Release, id: &PluginId, requirement: &VersionReq) -> Problem {
    let (from, version) = (&release.id, &release.version);
    let detail = format!("`{from}` {version} depends on `{id}` {requirement}, which no release of `{id}` meets");
    Problem::new(Code::DependencyUnmet, detail)
        .with("dependency", id.to_string())
        .with("requirement", requirement.to_string())
}
