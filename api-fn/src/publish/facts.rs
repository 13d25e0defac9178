//! Whether a component is what its record says. The registry believes the bytes.

use std::collections::{BTreeMap, BTreeSet};

use stoa_core::{
    classify::{Classified, ClassifyError, ImportClass, classify},
    component::{ComponentKind, Extern, InspectError, InspectLimits, Inspection},
    id::PluginId,
    interface::{InterfaceName, TypeHash},
    release::{BlobRef, Export, Import, Kind, Provider, Release},
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
    let uses = check_imports(release, &inspection)?;
    check_exports(release, &inspection)?;
    check_tracks(release, &inspection)?;
    check_wit(release, &inspection)?;
    Ok(Facts { exports: exports(&inspection), uses })
}

/// The functions that an accepted component exports. It is not judged again.
pub(crate) fn exported(component: &[u8]) -> Result<Functions, InspectError> {
    Inspection::of(component, &InspectLimits::default()).map(|inspection| exports(&inspection))
}

fn functions(of: &Extern) -> BTreeMap<String, TypeHash> {
    of.functions().map(|(name, function)| (name, function.hash())).collect()
}

fn exports(inspection: &Inspection) -> Functions {
    inspection.exports().iter().map(|export| (export.name().clone(), functions(export))).collect()
}

fn uses(classified: &Classified, inspection: &Inspection) -> Uses {
    let mut uses = Uses::new();
    for import in &classified.imports {
        let found = inspection.imports().iter().find(|found| found.name().as_interface() == Some(&import.name));
        if let (ImportClass::Dependency(id), Some(found)) = (&import.class, found) {
            uses.entry(id.clone()).or_default().insert(import.name.clone(), functions(found));
        }
    }
    uses
}

fn of(release: &Release) -> String {
    format!("`{}` {}", release.id, release.version)
}

fn inspect_problem(release: &Release, error: &InspectError) -> Problem {
    let code = match error {
        InspectError::NotWasm(_) | InspectError::Text | InspectError::Encoding(..) => Code::ArtifactNotWasm,
        InspectError::Precompiled => Code::ArtifactMachineCode,
        InspectError::CoreModule => Code::ArtifactCoreModule,
        InspectError::Wasi { .. } => Code::ImportUnsupported,
        InspectError::TooLarge { .. }
        | InspectError::TooDeep { .. }
        | InspectError::TooMany { .. }
        | InspectError::TypeTooComplex { .. }
        | InspectError::NameTooLong { .. } => Code::ComponentBounds,
        InspectError::Feature { .. } => Code::ComponentFeature,
        InspectError::Kind { .. } | InspectError::Name(_) | InspectError::NoWit(_) => Code::ComponentInterface,
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

/// Who answers each import follows from the component and the dependencies, by the rules that authors' tools go by. A
/// record can not say otherwise, or one plugin could be put in another's place.
fn check_imports(release: &Release, inspection: &Inspection) -> Result<Uses, Problem> {
    let classified = classify(inspection, release).map_err(|errors| classify_problem(release, &errors))?;
    let found = classified.imports.iter().map(|import| (&import.name, import.type_hash)).collect();
    let said = release.imports.iter().map(|import| (&import.name, import.types)).collect();
    compare(Code::ImportsDiffer, "imports", release, &found, &said)?;
    // Both are sorted and, as was just seen, have the same names.
    for (found, said) in classified.imports.iter().map(Import::from).zip(&release.imports) {
        check_provider(release, said, found.from)?;
    }
    Ok(uses(&classified, inspection))
}

fn classify_problem(release: &Release, errors: &[ClassifyError]) -> Problem {
    let Some(error) = errors.first() else {
        return Problem::internal(&std::io::Error::other("a component was refused without a reason"));
    };
    let code = match error {
        ClassifyError::Convention { .. } => Code::ConventionUnknown,
        ClassifyError::ConventionType { .. } => Code::ConventionDiffers,
        ClassifyError::NotValues { .. } => Code::CallNotValues,
        ClassifyError::NoCallError { .. } => Code::CallWithoutError,
        _ => Code::ImportUnclassified,
    };
    let member = if code == Code::ImportUnclassified { "import" } else { "interface" };
    Problem::new(code, format!("the component of {}: {error}", of(release))).with(member, error.name())
}

fn check_exports(release: &Release, inspection: &Inspection) -> Result<(), Problem> {
    let exports: Vec<Export> = inspection.exports().iter().filter_map(Export::of).collect();
    let found = exports.iter().map(|export| (&export.name, export.types)).collect();
    let said = release.exports.iter().map(|export| (&export.name, export.types)).collect();
    compare(Code::ExportsDiffer, "exports", release, &found, &said)
}

/// Compares what a component has with what its record lists, both by name.
fn compare<N: Ord + std::fmt::Display>(
    code: Code,
    verb: &str,
    release: &Release,
    found: &BTreeMap<&N, TypeHash>,
    said: &BTreeMap<&N, TypeHash>,
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

fn check_provider(release: &Release, import: &Import, expected: Provider) -> Result<(), Problem> {
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
