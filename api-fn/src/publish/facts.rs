//! Whether a component is what its record says. The registry believes the bytes.

use std::collections::{BTreeMap, BTreeSet};

use stoa_core::{
    component::{ComponentKind, Extern, ExternShape, InspectError, InspectLimits, Inspection},
    id::PluginId,
    interface::{InterfaceName, TypeHash},
    release::{BlobRef, Import, Kind, Provider, Release, providers_of},
    version::Version,
};

use crate::{
    problem::{Code, Problem},
    state::Functions,
};

/// What a component has beyond its record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The functions it exports.
    pub exports: Functions,
    /// The functions it calls on its dependencies.
    pub uses: Uses,
}

/// The functions that a component calls on each dependency, by the interface as it imports it, with the hash of each.
pub type Uses = BTreeMap<PluginId, BTreeMap<InterfaceName, BTreeMap<String, TypeHash>>>;

/// Inspects the component of a release and compares it with the record.
///
/// Takes time and memory in the order of the component's size; both are bounded ([`InspectLimits`]).
///
/// # Errors
/// The [`Problem`] of the first thing that does not agree.
pub fn check(release: &Release, component: &[u8]) -> Result<Facts, Problem> {
    let limits = InspectLimits::default();
    let inspection = Inspection::of(component, &limits).map_err(|error| inspect_problem(release, &error))?;
    check_kind(release, &inspection)?;
    check_claims(release, &inspection)?;
    check_imports(release, &inspection)?;
    check_exports(release, &inspection)?;
    check_tracks(release, &inspection)?;
    check_wit(release, &inspection)?;
    Ok(Facts { exports: exports(&inspection), uses: uses(release, &inspection) })
}

fn functions(of: &Extern) -> BTreeMap<String, TypeHash> {
    of.functions().map(|(name, function)| (name, function.hash())).collect()
}

fn exports(inspection: &Inspection) -> Functions {
    inspection.exports().iter().map(|export| (export.name().clone(), functions(export))).collect()
}

fn uses(release: &Release, inspection: &Inspection) -> Uses {
    let mut uses = Uses::new();
    for import in inspection.imports() {
        let Some(name) = import.name().as_interface() else { continue };
        for id in providers_of(&release.dependencies, name) {
            uses.entry(id.clone()).or_default().insert(name.clone(), functions(import));
        }
    }
    uses
}

fn of(release: &Release) -> String {
    format!("`{}` {}", release.id, release.version)
}

fn inspect_problem(release: &Release, error: &InspectError) -> Problem {
    let code = match error {
        InspectError::NotWasm(_) | InspectError::Text | InspectError::Precompiled | InspectError::Encoding(..) => {
            Code::ArtifactNotWasm
        }
        InspectError::CoreModule => Code::ArtifactCoreModule,
        InspectError::Wasi { .. } => Code::ImportUnsupported,
        _ => Code::ComponentInvalid,
    };
    // An inspection's error wraps the error of a name, which says what is wrong with it.
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    Problem::new(code, format!("the component of {}: {error}{cause}", of(release)))
}

fn check_kind(release: &Release, inspection: &Inspection) -> Result<(), Problem> {
    let kind = match inspection.kind() {
        ComponentKind::Component => Kind::Plugin,
        ComponentKind::WitPackage => Kind::Interface,
    };
    if kind == release.kind {
        return Ok(());
    }
    let (found, said) = match kind {
        Kind::Plugin => ("a component that runs", release.kind),
        Kind::Interface => ("a WIT package", release.kind),
    };
    let detail = format!("the artifact of {} is {found}, and the record says kind `{said}`", of(release));
    Err(Problem::new(Code::ArtifactKind, detail))
}

/// Tools write all kinds of names into components: crates, files, worlds. Only one that reads as a plugin's id,
/// and a version that reads as one, is a claim that could deceive.
fn check_claims(release: &Release, inspection: &Inspection) -> Result<(), Problem> {
    let differs = |what: &str, found: String| {
        let detail = format!("the component of {} names itself {what} `{found}`", of(release));
        Err(Problem::new(Code::NameDiffers, detail))
    };
    match inspection.name().and_then(|name| name.parse::<PluginId>().ok()) {
        Some(name) if name != release.id => return differs("the plugin", name.to_string()),
        _ => {}
    }
    match inspection.version().and_then(|version| version.parse::<Version>().ok()) {
        Some(version) if version != release.version => differs("version", version.to_string()),
        _ => Ok(()),
    }
}

fn check_imports(release: &Release, inspection: &Inspection) -> Result<(), Problem> {
    let (mut found, mut types) = (BTreeMap::new(), BTreeSet::new());
    for import in inspection.imports() {
        match (import.name().as_interface(), import.shape()) {
            (Some(name), ExternShape::Interface(shape)) => {
                if shape.functions().is_empty() && shape.resources().is_empty() {
                    types.insert(name);
                }
                found.insert(name, import.type_hash());
            }
            // A type needs nobody to answer it.
            (_, ExternShape::Type(_)) => {}
            _ => {
                let name = import.name();
                let detail =
                    format!("the component of {} imports `{name}`, which is no interface of a package", of(release));
                return Err(Problem::new(Code::ImportUnclassified, detail).with("import", name.to_string()));
            }
        }
    }
    let said = release.imports.iter().map(|import| (&import.name, import.types)).collect();
    compare(Code::ImportsDiffer, "imports", release, &found, &said)?;
    release.imports.iter().try_for_each(|import| check_provider(release, import, types.contains(&import.name)))
}

fn check_exports(release: &Release, inspection: &Inspection) -> Result<(), Problem> {
    let exports = inspection.exports().iter();
    let found = exports.filter_map(|export| Some((export.name().as_interface()?, export.type_hash()))).collect();
    let said = release.exports.iter().map(|export| (&export.name, export.types)).collect();
    compare(Code::ExportsDiffer, "exports", release, &found, &said)
}

type Interfaces<'a> = BTreeMap<&'a InterfaceName, TypeHash>;

fn compare(
    code: Code,
    verb: &str,
    release: &Release,
    found: &Interfaces<'_>,
    said: &Interfaces<'_>,
) -> Result<(), Problem> {
    let names: BTreeSet<_> = found.keys().chain(said.keys()).copied().collect();
    for name in names {
        let detail = match (found.get(name), said.get(name)) {
            (Some(found), Some(said)) if found == said => continue,
            (Some(found), Some(said)) => format!("{verb} `{name}` with the types {found}, and its record says {said}"),
            (Some(_), None) => format!("{verb} `{name}`, which its record does not list"),
            (None, _) => format!("does not have `{name}` among its {verb}, where its record lists it"),
        };
        let detail = format!("the component of {} {detail}", of(release));
        return Err(Problem::new(code, detail).with("interface", name.to_string()));
    }
    Ok(())
}

/// Who answers an import follows from its name, the dependencies and whether it is types alone; a record can not say otherwise, or one
/// plugin could be put in another's place.
fn check_provider(release: &Release, import: &Import, types: bool) -> Result<(), Problem> {
    let package = import.name.package();
    let by_dependency = !providers_of(&release.dependencies, &import.name).is_empty();
    let expected = match (package.namespace(), package.name()) {
        ("wasi", _) => Provider::Wasi,
        _ if types => Provider::Types,
        ("stoa", "plugin") => Provider::Convention,
        _ if by_dependency => Provider::Dependency,
        _ => Provider::Host,
    };
    if expected == import.from {
        return Ok(());
    }
    let name = |provider| match provider {
        Provider::Dependency => "a dependency",
        Provider::Host => "the host",
        Provider::Convention => "every host",
        Provider::Wasi => "WASI",
        Provider::Types => "nobody (it is types alone)",
    };
    let detail = format!(
        "the record of {} says that {} answers the import `{}`; by its name and the dependencies it is {}",
        of(release),
        name(import.from),
        import.name,
        name(expected),
    );
    Err(Problem::new(Code::ImportUnclassified, detail).with("import", import.name.to_string()))
}

fn check_tracks(release: &Release, inspection: &Inspection) -> Result<(), Problem> {
    if release.tracks == inspection.tracks() {
        return Ok(());
    }
    let (found, said) = (inspection.tracks().join(", "), release.tracks.join(", "));
    let detail = format!("the component of {} needs the tracks [{found}], and its record says [{said}]", of(release));
    Err(Problem::new(Code::TracksDiffer, detail))
}

fn check_wit(release: &Release, inspection: &Inspection) -> Result<(), Problem> {
    let found = BlobRef::of(inspection.wit().as_bytes());
    if found == release.wit {
        return Ok(());
    }
    let detail = format!(
        "the WIT of the component of {} prints as {} ({} bytes), and its record names {} ({} bytes)",
        of(release),
        found.digest,
        found.size,
        release.wit.digest,
        release.wit.size,
    );
    Err(Problem::new(Code::WitDiffers, detail))
}
