//! Who answers each import of a component.
//!
//! Nothing is guessed: an import is of WASI, of the conventions `stoa:plugin`, of a declared dependency or of a
//! declared host package, or publishing refuses it. So a release never finds at load time that nobody provides
//! what it needs.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::LazyLock,
};

use crate::{
    component::{Extern, ExternShape, InspectLimits, Inspection, InterfaceShape},
    id::PluginId,
    interface::{ExternName, InterfaceName, STOA_PLUGIN_WIT, TypeHash, WitPackage},
    manifest::Manifest,
    release::{Dependency, OnFailure, Release, providers_of},
};

/// What is declared of who answers the imports of a component: by its author in a manifest, or in the record that was
/// made of one. Tools and registry judge by the same rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    dependencies: BTreeMap<PluginId, Dependency>,
    host: HostPackages,
}

/// The WIT packages that the host is to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
enum HostPackages {
    /// These: an import of any other is a mistake.
    Named(BTreeSet<WitPackage>),
    /// All that nobody else answers: a record does not repeat the list.
    Others,
}

impl From<&Manifest> for Declared {
    fn from(manifest: &Manifest) -> Self {
        let dependencies = manifest.dependencies().iter();
        Self {
            dependencies: dependencies.map(|(id, dependency)| (id.clone(), dependency.into())).collect(),
            host: HostPackages::Named(manifest.host().keys().cloned().collect()),
        }
    }
}

impl From<&Release> for Declared {
    fn from(release: &Release) -> Self {
        Self { dependencies: release.dependencies.clone(), host: HostPackages::Others }
    }
}

/// Who answers an import.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ImportClass {
    /// WASI 0.2: linked by every host, reaching what policy grants.
    Wasi,
    /// The host, through an interface of `stoa:plugin`.
    Convention,
    /// A plugin.
    Dependency(PluginId),
    /// The host, through a WIT package of its own.
    Host(WitPackage),
    /// Nobody: an interface of types alone, which only gives them names.
    Types,
}

/// An import with who answers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassifiedImport {
    /// Its name.
    pub name: InterfaceName,
    /// The hash of what the component uses of it.
    pub type_hash: TypeHash,
    /// Who answers it.
    pub class: ImportClass,
}

/// Something in a manifest that the component has no use for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unused {
    /// A dependency that is never imported.
    Dependency(PluginId),
    /// An interface that a dependency is said to be for, and that is never imported.
    For(PluginId, String),
    /// A host package that is never imported.
    Host(WitPackage),
}

impl fmt::Display for Unused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dependency(id) => {
                write!(f, "the dependency `{id}` is declared, but the component imports nothing of it")
            }
            Self::For(id, name) => write!(f, "`{id}` is declared for `{name}`, but the component does not import that"),
            Self::Host(package) => {
                write!(f, "the host package `{package}` is declared, but the component imports nothing of it")
            }
        }
    }
}

/// All imports of a component, classified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classified {
    /// Sorted by name.
    pub imports: Vec<ClassifiedImport>,
    /// Worth a warning.
    pub unused: Vec<Unused>,
}

/// Why an import can't be answered, or not the way its manifest says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClassifyError {
    /// Nothing in the manifest is for it.
    #[error("nobody is declared to answer the import `{name}`")]
    Undeclared {
        /// The import.
        name: InterfaceName,
    },
    /// Several dependencies are said to be for it.
    #[error("{} are all declared to answer the import `{name}`", plugins.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(" and "))]
    Ambiguous {
        /// The import.
        name: InterfaceName,
        /// The dependencies, sorted.
        plugins: Vec<PluginId>,
    },
    /// An import that is no interface of a package.
    #[error("the import `{name}` is no interface of a package, so nobody can be declared to answer it")]
    Plain {
        /// The import.
        name: ExternName,
    },
    /// An interface that `stoa:plugin` does not have, or not in that version.
    #[error("`{name}` is not among the conventions, which are {offered}")]
    Convention {
        /// The import or export.
        name: InterfaceName,
        /// What there is.
        offered: String,
    },
    /// An interface of `stoa:plugin` with other functions or types than hosts offer or call.
    #[error("`{name}` differs from the convention in `{function}`")]
    ConventionType {
        /// The import or export.
        name: InterfaceName,
        /// The first function that differs.
        function: String,
    },
    /// A resource, stream or the like between plugins.
    #[error("`{function}` of `{name}` can not be called on `{plugin}`: `{blocker}` does not cross between plugins")]
    NotValues {
        /// The import.
        name: InterfaceName,
        /// The dependency.
        plugin: PluginId,
        /// The function.
        function: String,
        /// What is in its type.
        blocker: String,
    },
    /// A function that has no way to say that the call failed.
    #[error("the result of `{function}` of `{name}` can not tell that `{plugin}` failed")]
    NoCallError {
        /// The import.
        name: InterfaceName,
        /// The dependency.
        plugin: PluginId,
        /// The function.
        function: String,
    },
}

impl ClassifyError {
    /// The import or export that it is about.
    pub fn name(&self) -> String {
        match self {
            Self::Plain { name } => name.to_string(),
            Self::Undeclared { name }
            | Self::Ambiguous { name, .. }
            | Self::Convention { name, .. }
            | Self::ConventionType { name, .. }
            | Self::NotValues { name, .. }
            | Self::NoCallError { name, .. } => name.to_string(),
        }
    }

    /// What to try.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Undeclared { name } => {
                let package = name.package();
                format!(
                    "if the plugin `{package}` answers, add `\"{package}\" = \"…\"` under [dependencies]; if another plugin \
                     does, add `for = [\"{}\"]` to it; if the host does, add `\"{package}\" = \"*\"` under [host]",
                    name.unversioned()
                )
            }
            Self::Ambiguous { .. } => "let one of them alone name it under `for`".to_owned(),
            Self::Plain { .. } => "import an interface of a package instead, as in `ns:pkg/iface`".to_owned(),
            Self::NotValues { .. } => {
                "pass ids or lists instead, or compose the two components into one before publishing".to_owned()
            }
            Self::NoCallError { plugin, .. } => format!(
                "let it return `result<T, E>` where E is `stoa:plugin/types.call-error` or has a case `call(call-error)`; or \
                 give `\"{plugin}\"` the key `on-failure = \"trap\"`, and this plugin traps with it"
            ),
            Self::Convention { .. } | Self::ConventionType { .. } => {
                format!("use the WIT of `{CONVENTIONS}` that comes with this program")
            }
        })
    }
}

const CONVENTIONS: &str = "stoa:plugin@0.1.0";
/// Interfaces that a plugin exports and a host calls: none can import them.
const HOOKS: [&str; 3] = ["health", "lifecycle", "migrate"];

/// Says who answers each import of `component`, as a manifest or a record declares.
///
/// Exports of `stoa:plugin` are checked as well: a host that finds one calls it.
///
/// # Errors
/// Every [`ClassifyError`], in the order of the imports, then of the exports.
pub fn classify(component: &Inspection, declared: impl Into<Declared>) -> Result<Classified, Vec<ClassifyError>> {
    let declared = declared.into();
    let mut errors = Vec::new();
    let mut imports = Vec::new();
    for import in component.imports() {
        match (import.name(), import.shape()) {
            // A single type needs nobody.
            (_, ExternShape::Type(_)) => {}
            (ExternName::Interface(name), ExternShape::Interface(shape)) => match class(name, shape, &declared) {
                Ok(class) => {
                    check_calls(name, shape, &class, &declared, &mut errors);
                    imports.push(ClassifiedImport { name: name.clone(), type_hash: import.type_hash(), class });
                }
                Err(error) => errors.push(*error),
            },
            (name, _) => errors.push(ClassifyError::Plain { name: name.clone() }),
        }
    }
    errors.extend(component.exports().iter().filter_map(check_hook));
    if errors.is_empty() { Ok(Classified { unused: unused(&imports, &declared), imports }) } else { Err(errors) }
}

/// Boxed on the way: an error names what it is about, and is large.
type Class = Result<ImportClass, Box<ClassifyError>>;

fn class(name: &InterfaceName, shape: &InterfaceShape, declared: &Declared) -> Class {
    match name.package().namespace() {
        "wasi" => return Ok(ImportClass::Wasi),
        "stoa" => return convention(name, shape),
        _ => {}
    }
    // Before dependencies and hosts: types alone need nobody who answers, and so nobody who has to be there.
    if only_types(shape) {
        return Ok(ImportClass::Types);
    }
    match (providers_of(&declared.dependencies, name).as_slice(), &declared.host) {
        ([id], _) => Ok(ImportClass::Dependency((*id).clone())),
        ([], HostPackages::Named(packages)) if !packages.contains(name.package()) => {
            Err(Box::new(ClassifyError::Undeclared { name: name.clone() }))
        }
        ([], _) => Ok(ImportClass::Host(name.package().clone())),
        (several, _) => {
            let plugins = several.iter().map(|id| (*id).clone()).collect();
            Err(Box::new(ClassifyError::Ambiguous { name: name.clone(), plugins }))
        }
    }
}

/// Whether it is an interface without functions and resources.
fn only_types(shape: &InterfaceShape) -> bool {
    shape.functions().is_empty() && shape.resources().is_empty()
}

/// The interfaces of `stoa:plugin`, read from the WIT that guests are given.
static CONVENTION: LazyLock<BTreeMap<InterfaceName, InterfaceShape>> = LazyLock::new(|| {
    // Tests read every interface of this constant, so that it is never unreadable here.
    read_conventions().unwrap_or_default()
});

fn read_conventions() -> Option<BTreeMap<InterfaceName, InterfaceShape>> {
    let mut resolve = wit_parser::Resolve::default();
    let package = resolve.push_str("stoa-plugin.wit", STOA_PLUGIN_WIT).ok()?;
    let bytes = wit_component::encode(&resolve, package).ok()?;
    let inspection = Inspection::of(&bytes, &InspectLimits::default()).ok()?;
    let named = |export: &Extern| match (export.name(), export.shape()) {
        (ExternName::Interface(name), ExternShape::Interface(shape)) => Some((name.clone(), shape.clone())),
        _ => None,
    };
    inspection.exports().iter().map(named).collect()
}

/// The convention that `name` means: versions of one semver track stand in for each other.
fn known(name: &InterfaceName, hooks: bool) -> Result<&'static InterfaceShape, Box<ClassifyError>> {
    let same = |known: &&InterfaceName| known.unversioned() == name.unversioned() && known.track() == name.track();
    let kind = |known: &&InterfaceName| hooks || !HOOKS.contains(&known.interface());
    let found = CONVENTION.keys().filter(kind).find(same).and_then(|known| CONVENTION.get(known));
    found.ok_or_else(|| {
        let offered: Vec<_> = CONVENTION.keys().filter(kind).map(ToString::to_string).collect();
        Box::new(ClassifyError::Convention { name: name.clone(), offered: offered.join(", ") })
    })
}

fn convention(name: &InterfaceName, shape: &InterfaceShape) -> Class {
    match shape.missing_from(known(name, false)?).first() {
        None if only_types(shape) => Ok(ImportClass::Types),
        None => Ok(ImportClass::Convention),
        Some(function) => {
            let function = (*function).to_owned();
            Err(Box::new(ClassifyError::ConventionType { name: name.clone(), function }))
        }
    }
}

/// A host finds hooks by name and calls all their functions.
fn check_hook(export: &Extern) -> Option<ClassifyError> {
    let name = export.name().as_interface().filter(|name| name.package().namespace() == "stoa")?;
    let ExternShape::Interface(shape) = export.shape() else { return None };
    match known(name, true) {
        Ok(known) => known
            .missing_from(shape)
            .first()
            .map(|function| ClassifyError::ConventionType { name: name.clone(), function: (*function).to_owned() }),
        Err(error) => Some(*error),
    }
}

/// Calls between plugins carry values, and can fail without the callee's doing.
fn check_calls(
    name: &InterfaceName,
    shape: &InterfaceShape,
    class: &ImportClass,
    declared: &Declared,
    errors: &mut Vec<ClassifyError>,
) {
    let ImportClass::Dependency(plugin) = class else { return };
    let on_failure = declared.dependencies.get(plugin).map_or(OnFailure::default(), |d| d.on_failure);
    let (name, plugin) = (name.clone(), plugin.clone());
    if let ([resource, ..], true) = (shape.resources(), shape.functions().is_empty()) {
        let (function, blocker) = (resource.clone(), format!("resource {resource}"));
        errors.push(ClassifyError::NotValues { name: name.clone(), plugin: plugin.clone(), function, blocker });
    }
    for (function, shape) in shape.functions() {
        let (name, plugin, function) = (name.clone(), plugin.clone(), function.clone());
        if let Some(blocker) = shape.blocker() {
            errors.push(ClassifyError::NotValues { name, plugin, function, blocker: blocker.to_owned() });
        } else if shape.call_error().is_none() && on_failure == OnFailure::Value {
            errors.push(ClassifyError::NoCallError { name, plugin, function });
        }
    }
}

fn unused(imports: &[ClassifiedImport], declared: &Declared) -> Vec<Unused> {
    let mut plugins = BTreeSet::new();
    let mut packages = BTreeSet::new();
    let names: BTreeSet<_> = imports.iter().map(|import| import.name.unversioned().to_string()).collect();
    for import in imports {
        match &import.class {
            ImportClass::Dependency(id) => {
                plugins.insert(id);
            }
            ImportClass::Host(package) => {
                packages.insert(package);
            }
            ImportClass::Wasi | ImportClass::Convention | ImportClass::Types => {}
        }
    }
    let mut unused = Vec::new();
    for (id, dependency) in &declared.dependencies {
        if plugins.contains(id) {
            let missing = dependency.for_interfaces.iter().filter(|name| !names.contains(*name));
            unused.extend(missing.map(|name| Unused::For(id.clone(), name.clone())));
        } else {
            unused.push(Unused::Dependency(id.clone()));
        }
    }
    if let HostPackages::Named(named) = &declared.host {
        unused.extend(named.iter().filter(|package| !packages.contains(package)).cloned().map(Unused::Host));
    }
    unused
}
