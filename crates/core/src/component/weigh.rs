//! How large types are when written out.
//!
//! Types share parts: `type b = tuple<a, a>; type c = tuple<b, b>; …` doubles at each line. Checks, hashes and the
//! printed WIT walk types as if nothing were shared, so each type is weighed, with memory, before anything walks it.

use std::collections::BTreeMap;

use wasmparser::{
    component_types::{
        ComponentAnyTypeId, ComponentDefinedType, ComponentDefinedTypeId, ComponentEntityType, ComponentItem,
        ComponentValType,
    },
    types::TypesRef,
};

use super::InspectError;
use crate::interface::MAX_NAME;

/// Weighs types of one validator. Only nodes of values are remembered: instances do not contain each other.
#[derive(Default)]
pub(super) struct Scale {
    known: BTreeMap<ComponentDefinedTypeId, u64>,
}

impl Scale {
    /// Nodes of a type in its written-out form, at least 1, saturating.
    pub(super) fn any(&mut self, types: TypesRef<'_>, id: ComponentAnyTypeId) -> Result<u64, InspectError> {
        Ok(match id {
            ComponentAnyTypeId::Resource(_) => 1,
            ComponentAnyTypeId::Defined(id) => self.defined(types, id)?,
            ComponentAnyTypeId::Func(id) => {
                let func = &types[id];
                let mut sum = 1;
                for (name, ty) in &func.params {
                    check_name(name.as_str())?;
                    add(&mut sum, self.value(types, *ty)?);
                }
                if let Some(ty) = func.result {
                    add(&mut sum, self.value(types, ty)?);
                }
                sum
            }
            ComponentAnyTypeId::Instance(id) => self.items(types, types[id].exports.iter())?,
            ComponentAnyTypeId::Component(id) => {
                self.items(types, types[id].imports.iter().chain(types[id].exports.iter()))?
            }
        })
    }

    /// Nodes of the type of an import or export.
    pub(super) fn item(&mut self, types: TypesRef<'_>, item: &ComponentItem) -> Result<u64, InspectError> {
        match item.ty {
            ComponentEntityType::Func(id) => self.any(types, ComponentAnyTypeId::Func(id)),
            ComponentEntityType::Instance(id) => self.any(types, ComponentAnyTypeId::Instance(id)),
            ComponentEntityType::Component(id) => self.any(types, ComponentAnyTypeId::Component(id)),
            ComponentEntityType::Type { referenced, .. } => self.any(types, referenced),
            ComponentEntityType::Value(ty) => self.value(types, ty),
            ComponentEntityType::Module(_) => Ok(1),
        }
    }

    fn items<'t>(
        &mut self,
        types: TypesRef<'_>,
        items: impl Iterator<Item = (&'t String, &'t ComponentItem)>,
    ) -> Result<u64, InspectError> {
        let mut sum = 1;
        for (name, item) in items {
            check_name(name)?;
            add(&mut sum, self.item(types, item)?);
        }
        Ok(sum)
    }

    fn value(&mut self, types: TypesRef<'_>, ty: ComponentValType) -> Result<u64, InspectError> {
        match ty {
            ComponentValType::Primitive(_) => Ok(1),
            ComponentValType::Type(id) => self.defined(types, id),
        }
    }

    /// Recursion ends: the validator allows types 100 deep.
    fn defined(&mut self, types: TypesRef<'_>, id: ComponentDefinedTypeId) -> Result<u64, InspectError> {
        if let Some(weight) = self.known.get(&id) {
            return Ok(*weight);
        }
        use ComponentDefinedType as T;
        let mut sum = 1;
        match &types[id] {
            T::Primitive(_) | T::Own(_) | T::Borrow(_) => {}
            T::Flags(names) | T::Enum(names) => {
                names.iter().try_for_each(|name| check_name(name.as_str()))?;
                add(&mut sum, names.len() as u64);
            }
            T::Record(record) => {
                for (name, ty) in &record.fields {
                    check_name(name.as_str())?;
                    add(&mut sum, self.value(types, *ty)?);
                }
            }
            T::Variant(variant) => {
                for (name, case) in &variant.cases {
                    check_name(name.as_str())?;
                    add(&mut sum, self.maybe(types, case.ty)?.max(1));
                }
            }
            T::Tuple(tuple) => {
                for ty in &tuple.types {
                    add(&mut sum, self.value(types, *ty)?);
                }
            }
            T::List { element, .. } | T::FixedLengthList { element, .. } => add(&mut sum, self.value(types, *element)?),
            T::Map { key, value, .. } => {
                add(&mut sum, self.value(types, *key)?);
                add(&mut sum, self.value(types, *value)?);
            }
            T::Option { ty, .. } => add(&mut sum, self.value(types, *ty)?),
            T::Result { ok, err, .. } => {
                add(&mut sum, self.maybe(types, *ok)?);
                add(&mut sum, self.maybe(types, *err)?);
            }
            T::Future { ty, .. } | T::Stream { ty, .. } => add(&mut sum, self.maybe(types, *ty)?),
        }
        self.known.insert(id, sum);
        Ok(sum)
    }

    fn maybe(&mut self, types: TypesRef<'_>, ty: Option<ComponentValType>) -> Result<u64, InspectError> {
        ty.map_or(Ok(0), |ty| self.value(types, ty))
    }
}

fn add(sum: &mut u64, more: u64) {
    *sum = sum.saturating_add(more);
}

/// Names are printed wherever they are used, so a long one is multiplied.
pub(super) fn check_name(name: &str) -> Result<(), InspectError> {
    if name.len() > MAX_NAME {
        let start = name.chars().take(80).collect();
        return Err(InspectError::NameTooLong { start, bytes: name.len(), max: MAX_NAME });
    }
    Ok(())
}
