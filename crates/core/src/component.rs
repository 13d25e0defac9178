//! Components from outside: what they import and export, and whether Stoa takes them at all.
//!
//! [`Inspection::of`] reads bytes that nobody vouches for. Cheap checks come first: size and first bytes, then a
//! scan that counts, then the validator with weights of types as they appear, then the WIT, then function bodies.
//! Everything a component can reach passes through its top-level imports, so the list of those is complete.

use wasmparser::{
    Validator,
    component_types::{ComponentAnyTypeId, ComponentEntityType, ComponentItem},
    types::TypesRef,
};

pub use self::{
    error::InspectError,
    limits::{InspectLimits, features},
    scan::Counts,
    shape::{CallError, FunctionShape, InterfaceShape},
};
use crate::interface::{ExternName, TypeHash};

mod error;
mod limits;
mod read;
mod scan;
mod shape;
mod weigh;
mod wit;

/// What the bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ComponentKind {
    /// A component that runs.
    Component,
    /// A WIT package in binary form: releases of `kind = "interface"`.
    WitPackage,
}

/// What an import or export is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExternShape {
    /// An instance: an interface with functions and types.
    Interface(InterfaceShape),
    /// A function.
    Function(FunctionShape),
    /// A type that is not a resource, with the hash of its structure: it needs no provider.
    Type(TypeHash),
    /// A resource.
    Resource,
}

/// An import or export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extern {
    name: ExternName,
    shape: ExternShape,
}

impl Extern {
    /// What it is called.
    pub fn name(&self) -> &ExternName {
        &self.name
    }

    /// What it looks like.
    pub fn shape(&self) -> &ExternShape {
        &self.shape
    }

    /// The hash of what it looks like.
    pub fn type_hash(&self) -> TypeHash {
        match &self.shape {
            ExternShape::Interface(interface) => interface.hash(),
            ExternShape::Function(function) => function.hash(),
            ExternShape::Type(hash) => *hash,
            ExternShape::Resource => TypeHash::of("resource"),
        }
    }

    /// Its functions with their names: those of an interface, or itself.
    pub fn functions(&self) -> impl Iterator<Item = (String, &FunctionShape)> {
        let (interface, function) = match &self.shape {
            ExternShape::Interface(interface) => (Some(interface), None),
            ExternShape::Function(function) => (None, Some((self.name.to_string(), function))),
            ExternShape::Type(_) | ExternShape::Resource => (None, None),
        };
        interface.into_iter().flat_map(|i| i.functions()).map(|(name, f)| (name.clone(), f)).chain(function)
    }
}

/// All that Stoa wants to know of a component without running it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    kind: ComponentKind,
    imports: Vec<Extern>,
    exports: Vec<Extern>,
    wit: String,
    name: Option<String>,
    version: Option<String>,
    tracks: Vec<String>,
    counts: Counts,
}

impl Inspection {
    /// Inspects `bytes`, in time and memory bounded by `limits`. Never panics.
    ///
    /// # Errors
    /// [`InspectError`]: not a component, not one that hosts accept (see [`features`]), or beyond a limit.
    pub fn of(bytes: &[u8], limits: &InspectLimits) -> Result<Self, InspectError> {
        check_start(bytes, limits)?;
        let counts = scan::scan(bytes, limits)?;
        let seen = read::read(bytes, limits)?;
        let (kind, imports, exports) = seen.externs(limits)?;
        let tracks = tracks(imports.iter().chain(&exports))?;
        let wit = wit::print(bytes, limits)?;
        // Function bodies come last: they take nearly all of the time, and most refusals need none of it.
        Validator::new_with_features(features()).validate_all(bytes)?;
        Ok(Self { kind, imports, exports, wit, name: seen.name, version: seen.version, tracks, counts })
    }

    /// What the bytes are.
    pub fn kind(&self) -> ComponentKind {
        self.kind
    }

    /// Imports at top level, sorted by name.
    pub fn imports(&self) -> &[Extern] {
        &self.imports
    }

    /// Exports at top level, sorted by name; for a WIT package the interfaces that it defines.
    pub fn exports(&self) -> &[Extern] {
        &self.exports
    }

    /// The export called `name`.
    pub fn export(&self, name: &ExternName) -> Option<&Extern> {
        self.exports.iter().find(|export| export.name == *name)
    }

    /// Imports and exports as WIT text, for people and tools. At most [`InspectLimits::wit_bytes`].
    pub fn wit(&self) -> &str {
        &self.wit
    }

    /// The name in the component's own metadata, at most 256 bytes. Tools write all kinds of names there.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The version in the component's own metadata, at most 256 bytes.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// What a host must offer beside interfaces, sorted: `wasi:0.2` or nothing.
    pub fn tracks(&self) -> &[String] {
        &self.tracks
    }

    /// How much of everything it has.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }
}

/// The checks that need no more than the first bytes.
fn check_start(bytes: &[u8], limits: &InspectLimits) -> Result<(), InspectError> {
    // Binary.md of the component model: magic, version 0x0d, layer 1. A core module has version 1, layer 0.
    const COMPONENT: u32 = 0x0001_000d;
    const MODULE: u32 = 0x0000_0001;
    let size = bytes.len() as u64;
    if size > limits.bytes {
        return Err(InspectError::TooLarge { bytes: size, max: limits.bytes });
    }
    if bytes.starts_with(b"\x7fELF") {
        return Err(InspectError::Precompiled);
    }
    let Some([a, b, c, d]) = bytes.strip_prefix(b"\0asm").and_then(|rest| rest.first_chunk()) else {
        let text = bytes.trim_ascii_start();
        return Err(if text.starts_with(b"(") || text.starts_with(b";;") {
            InspectError::Text
        } else {
            let start: Vec<_> = bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            InspectError::NotWasm(start.join(" "))
        });
    };
    match u32::from_le_bytes([*a, *b, *c, *d]) {
        COMPONENT => Ok(()),
        MODULE => Err(InspectError::CoreModule),
        other => Err(InspectError::Encoding(other, COMPONENT)),
    }
}

impl read::Seen {
    fn externs(&self, limits: &InspectLimits) -> Result<(ComponentKind, Vec<Extern>, Vec<Extern>), InspectError> {
        let types = self.types.as_ref();
        let imports: Vec<_> = items(&self.imports, |name| types.component_item_for_import(name));
        let exports: Vec<_> = items(&self.exports, |name| types.component_item_for_export(name));
        let mut scale = weigh::Scale::default();
        let mut nodes = 0_u64;
        for (name, item) in imports.iter().chain(&exports) {
            nodes = nodes.saturating_add(scale.item(types, item)?);
            if nodes > limits.type_nodes {
                return Err(InspectError::TypeTooComplex { name: (*name).clone(), max: limits.type_nodes });
            }
        }
        let is_package = !exports.is_empty() && imports.is_empty() && exports.iter().all(|(_, item)| is_wit(item));
        let (kind, exports) = match is_package {
            true => (ComponentKind::WitPackage, package_interfaces(types, &exports)?),
            false => (ComponentKind::Component, shapes(types, &exports)?),
        };
        Ok((kind, shapes(types, &imports)?, exports))
    }
}

fn items<'t>(
    names: &'t [String],
    item: impl Fn(&str) -> Option<&'t ComponentItem>,
) -> Vec<(&'t String, &'t ComponentItem)> {
    names.iter().filter_map(|name| item(name).map(|item| (name, item))).collect()
}

fn is_wit(item: &ComponentItem) -> bool {
    matches!(item.ty, ComponentEntityType::Type { created: ComponentAnyTypeId::Component(_), .. })
}

fn shapes(types: TypesRef<'_>, items: &[(&String, &ComponentItem)]) -> Result<Vec<Extern>, InspectError> {
    let mut texts = shape::Shapes::new(types, items.iter().copied());
    let mut externs = Vec::new();
    for (name, item) in items {
        let refuse = |kind| Err(InspectError::Kind { name: (*name).clone(), kind });
        let shape = match item.ty {
            ComponentEntityType::Instance(id) => {
                check_members(types, name, id)?;
                ExternShape::Interface(shape::Shapes::interface(types, id))
            }
            ComponentEntityType::Func(id) => ExternShape::Function(texts.function(name, id)),
            ComponentEntityType::Type { created, .. } => match created {
                ComponentAnyTypeId::Resource(_) => ExternShape::Resource,
                ComponentAnyTypeId::Defined(_) => ExternShape::Type(texts.named_type(created)),
                _ => return refuse("the type of a component, instance or function"),
            },
            ComponentEntityType::Module(_) => return refuse("a core module"),
            ComponentEntityType::Component(_) => return refuse("a component"),
            ComponentEntityType::Value(_) => return refuse("a value"),
        };
        let name: ExternName = name.parse()?;
        if matches!((&name, &shape), (ExternName::Interface(_), ExternShape::Function(_))) {
            return Err(InspectError::Kind {
                name: name.to_string(),
                kind: "a function that bears an interface's name",
            });
        }
        externs.push(Extern { name, shape });
    }
    externs.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(externs)
}

/// Interfaces hold functions and types, as in WIT; the binary format would also let them hold components.
fn check_members(
    types: TypesRef<'_>,
    name: &str,
    id: wasmparser::component_types::ComponentInstanceTypeId,
) -> Result<(), InspectError> {
    use ComponentAnyTypeId::{Defined, Resource};
    for (member, item) in &types[id].exports {
        let kind = match item.ty {
            ComponentEntityType::Func(_) | ComponentEntityType::Type { created: Defined(_) | Resource(_), .. } => {
                continue;
            }
            ComponentEntityType::Type { .. } => "the type of a component, instance or function",
            ComponentEntityType::Instance(_) => "an instance within an interface",
            ComponentEntityType::Module(_) => "a core module",
            ComponentEntityType::Component(_) => "a component",
            ComponentEntityType::Value(_) => "a value",
        };
        return Err(InspectError::Kind { name: format!("{name}#{member}"), kind });
    }
    Ok(())
}

/// The interfaces of a WIT package: each export is the type of a component whose one export is the interface, or
/// a world, which has no shape of its own.
fn package_interfaces(types: TypesRef<'_>, exports: &[(&String, &ComponentItem)]) -> Result<Vec<Extern>, InspectError> {
    let mut found = Vec::new();
    for (_, item) in exports {
        let ComponentEntityType::Type { created: ComponentAnyTypeId::Component(id), .. } = item.ty else { continue };
        let instances: Vec<_> = types[id].exports.iter().collect();
        found.extend(instances.into_iter().filter(|(_, item)| matches!(item.ty, ComponentEntityType::Instance(_))));
    }
    shapes(types, &found)
}

/// The WASI tracks among `externs`, all of which must be 0.2.
fn tracks<'e>(externs: impl Iterator<Item = &'e Extern>) -> Result<Vec<String>, InspectError> {
    let mut tracks = Vec::new();
    for name in externs.filter_map(|e| e.name.as_interface()).filter(|name| name.package().namespace() == "wasi") {
        let track = name.track().unwrap_or_else(|| "without a version".to_owned());
        if track != "0.2" {
            return Err(InspectError::Wasi { name: name.to_string(), track });
        }
        tracks.push(format!("wasi:{track}"));
    }
    tracks.dedup();
    Ok(tracks)
}
