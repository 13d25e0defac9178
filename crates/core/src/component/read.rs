//! The second pass over a component: the validator, fed section by section, and what it knows at the end.

use wasmparser::{
    ComponentInstance, Instance, KnownCustom, Parser, Payload, ValidPayload, Validator,
    component_types::ComponentAnyTypeId, types::Types,
};

use super::{InspectError, InspectLimits, features, weigh::Scale};

/// What reading everything but function bodies leaves behind.
pub(super) struct Seen {
    pub(super) types: Types,
    pub(super) imports: Vec<String>,
    pub(super) exports: Vec<String>,
    pub(super) name: Option<String>,
    pub(super) version: Option<String>,
}

pub(super) fn read(bytes: &[u8], limits: &InspectLimits) -> Result<Seen, InspectError> {
    let mut validator = Validator::new_with_features(features());
    let mut parser = Parser::new(0);
    parser.set_features(features());
    let mut weights = Weights { scale: Scale::default(), instantiated: 0, limits };
    let (mut imports, mut exports) = (Vec::new(), Vec::new());
    let (mut name, mut version, mut types) = (None, None, None);
    let mut depth = 0;
    for payload in parser.parse_all(bytes) {
        let payload = payload?;
        weights.before(&validator, &payload)?;
        match validator.payload(&payload)? {
            ValidPayload::End(ended) => {
                depth -= 1;
                types = Some(ended);
            }
            // Bodies are left to the end of the inspection.
            ValidPayload::Ok | ValidPayload::Parser(_) | ValidPayload::Func(..) => {}
        }
        weights.after(&validator, &payload)?;
        match payload {
            Payload::Version { .. } => depth += 1,
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section {
                    imports.push(import?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                for export in section {
                    exports.push(export?.name.name.to_owned());
                }
            }
            Payload::CustomSection(section) if depth == 1 => match section.as_known() {
                KnownCustom::ComponentName(names) => name = name.or(component_name(names)),
                _ if section.name() == "version" => version = version.or(metadata(section.data())),
                _ => {}
            },
            _ => {}
        }
    }
    let types = types.ok_or(InspectError::Invalid { message: "nothing ends".into(), offset: bytes.len() })?;
    Ok(Seen { types, imports, exports, name, version })
}

/// Keeps the validator from walking more than limits allow.
struct Weights<'l> {
    scale: Scale,
    instantiated: u64,
    limits: &'l InspectLimits,
}

impl Weights<'_> {
    /// Weighs what a section instantiates: the validator compares all that each instance is given with all that it
    /// wants, and one component may be instantiated many times.
    fn before(&mut self, validator: &Validator, payload: &Payload<'_>) -> Result<(), InspectError> {
        let Some(types) = validator.types(0) else { return Ok(()) };
        match payload {
            Payload::InstanceSection(section) => {
                for instance in section.clone() {
                    if let Instance::Instantiate { module_index, .. } = instance?
                        && module_index < types.module_count()
                    {
                        let module = &types[types.module_at(module_index)];
                        self.instantiate((module.imports.len() + module.exports.len()) as u64)?;
                    }
                }
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section.clone() {
                    if let ComponentInstance::Instantiate { component_index, .. } = instance?
                        && component_index < types.component_count()
                    {
                        let id = ComponentAnyTypeId::Component(types.component_at(component_index));
                        let nodes = self.scale.any(types, id)?;
                        self.instantiate(nodes)?;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn instantiate(&mut self, nodes: u64) -> Result<(), InspectError> {
        self.instantiated = self.instantiated.saturating_add(nodes);
        if self.instantiated > self.limits.instantiated {
            let what = "imports, exports and nodes of their types in what it instantiates";
            return Err(InspectError::TooMany { what, count: self.instantiated, max: self.limits.instantiated });
        }
        Ok(())
    }

    /// Weighs the types that a section just defined, before anything refers to them.
    fn after(&mut self, validator: &Validator, payload: &Payload<'_>) -> Result<(), InspectError> {
        let (Payload::ComponentTypeSection(section), Some(types)) = (payload, validator.types(0)) else {
            return Ok(());
        };
        let all = types.component_type_count();
        for index in all.saturating_sub(section.count())..all {
            if self.scale.any(types, types.component_any_type_at(index))? > self.limits.type_nodes {
                let (name, max) = (format!("type {index}"), self.limits.type_nodes);
                return Err(InspectError::TypeTooComplex { name, max });
            }
        }
        Ok(())
    }
}

fn component_name(names: wasmparser::ComponentNameSectionReader<'_>) -> Option<String> {
    names.into_iter().find_map(|part| match part {
        Ok(wasmparser::ComponentName::Component { name, .. }) => metadata(name.as_bytes()),
        _ => None,
    })
}

/// Metadata is a claim of the toolchain, so a useless one counts as none.
fn metadata(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    let plain = !text.is_empty() && text.len() <= 256 && !text.chars().any(char::is_control);
    plain.then(|| text.to_owned())
}
