//! What a component imports, read from the code that will run.
//!
//! Compiled code bears the names and types of all that its component imports, also of what nothing in it uses. It is made
//! of verified bytes and sealed in the cache, so a warm load scans as well as a cold one, without a second copy of the
//! answer that could disagree with it.

use std::collections::BTreeMap;

use stoa_core::{
    capability::{Disagreement, Needs},
    classify::ImportClass,
    id::PluginId,
    interface::InterfaceName,
};
use wasmtime::{
    Engine,
    component::{
        Component,
        types::{ComponentInstance, ComponentItem},
    },
};

use crate::{
    error::LoaderError,
    grant::Charter,
    plan::{Edge, PlannedPlugin},
};

/// The imported interfaces of a component, and whether they have types alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scan {
    interfaces: BTreeMap<InterfaceName, bool>,
}

impl Scan {
    pub(crate) fn of(engine: &Engine, component: &Component) -> Self {
        let ty = component.component_type();
        let interface = |(name, item): (&str, ComponentItem)| match item {
            // What is imported without being an interface by name is linked to nobody: linking says so.
            ComponentItem::ComponentInstance(instance) => Some((name.parse().ok()?, only_types(engine, &instance))),
            _ => None,
        };
        Self { interfaces: ty.imports(engine).filter_map(|(name, item)| interface((name, item.ty))).collect() }
    }

    /// What these imports lead to where `edges` answer them: by the rules that publishing goes by.
    pub(crate) fn needs(&self, charter: &Charter, edges: &[Edge]) -> Needs {
        let serves = |name: &str| edges.iter().find(|edge| edge.bindings.iter().any(|binding| binding.import == name));
        let classes = self.interfaces.iter().map(|(name, only_types)| {
            let class = match (name.package().namespace(), serves(&name.to_string())) {
                ("wasi", _) => ImportClass::Wasi,
                _ if *only_types => ImportClass::Types,
                ("stoa", _) => ImportClass::Convention,
                (_, Some(edge)) => ImportClass::Dependency(edge.on.clone()),
                (_, None) => ImportClass::Host(name.package().clone()),
            };
            (name, class)
        });
        let classes: Vec<_> = classes.collect();
        charter.needs().without_imports().finding(classes.iter().map(|(name, class)| (*name, class)))
    }

    /// Compares with what the index lists.
    ///
    /// Attack: an index that lists fewer imports than a component has, so that grants are decided, and a person is asked,
    /// for less than what is linked.
    ///
    /// # Errors
    /// [`LoaderError::OtherImports`].
    pub(crate) fn agrees(&self, plugin: &PlannedPlugin, found: &Needs) -> Result<(), LoaderError> {
        if !plugin.charter.is_listed() {
            return Ok(());
        }
        match plugin.charter.needs().disagrees(found) {
            None => Ok(()),
            Some(disagreement) => Err(refused(&plugin.id, disagreement)),
        }
    }
}

fn refused(plugin: &PluginId, disagreement: Disagreement) -> LoaderError {
    LoaderError::OtherImports { plugin: plugin.clone(), disagreement }
}

pub(crate) fn only_types(engine: &Engine, instance: &ComponentInstance) -> bool {
    instance.exports(engine).all(|(_, item)| matches!(item.ty, ComponentItem::Type(_)))
}
