//! The functions a component exports.

use std::{collections::HashMap, sync::Arc};

use stoa_core::id::PluginId;
use wasmtime::{
    Engine,
    component::{
        Component, ComponentExportIndex,
        types::{ComponentFunc, ComponentItem},
    },
};

use crate::{
    error::LoaderError,
    guest::{HEALTH, LIFECYCLE},
    interface::InterfaceName,
};

/// The package whose interfaces the loader calls itself; hosts and other plugins do not.
const OWN: &str = "stoa:plugin";

/// A function that a component exports.
#[derive(Debug)]
pub(crate) struct Function {
    /// The interface it is in; none for a function of the component itself.
    pub(crate) interface: Option<String>,
    /// Its own name.
    pub(crate) name: String,
    /// `demo:markdown/render@1.0.0.render`, or the bare name of a function in no interface.
    pub(crate) full_name: String,
    /// Its type.
    pub(crate) ty: ComponentFunc,
    /// Where instances have it.
    pub(crate) index: ComponentExportIndex,
}

impl Function {
    /// Whether `interface`, as people write it, means this function's: in full, without the version, or
    /// the last part alone.
    fn is_in(&self, interface: &str) -> bool {
        self.interface.as_deref().is_some_and(|full| {
            let name = InterfaceName::new(full);
            full == interface || name.path == interface || name.label() == interface
        })
    }
}

/// All functions of a component.
#[derive(Debug)]
pub(crate) struct Exports {
    /// In the order of the component.
    functions: Vec<Arc<Function>>,
    by_interface: HashMap<String, HashMap<String, Arc<Function>>>,
    /// `lifecycle.init`.
    pub(crate) init: Option<ComponentExportIndex>,
    /// `lifecycle.shutdown`.
    pub(crate) shutdown: Option<ComponentExportIndex>,
    /// `health.check`.
    pub(crate) health: Option<ComponentExportIndex>,
}

impl Exports {
    pub(crate) fn of(engine: &Engine, component: &Component) -> Self {
        let ty = component.component_type();
        let mut exports =
            Self { functions: Vec::new(), by_interface: HashMap::new(), init: None, shutdown: None, health: None };
        for (name, export) in ty.exports(engine) {
            let Some(index) = component.get_export_index(None, name) else { continue };
            match export.ty {
                ComponentItem::ComponentFunc(ty) => exports.add(None, name, ty, index),
                ComponentItem::ComponentInstance(instance) => {
                    for (function, item) in instance.exports(engine) {
                        let at = component.get_export_index(Some(&index), function);
                        if let (ComponentItem::ComponentFunc(ty), Some(at)) = (item.ty, at) {
                            exports.add(Some(name), function, ty, at);
                        }
                    }
                }
                _ => {}
            }
        }
        exports
    }

    fn add(&mut self, interface: Option<&str>, name: &str, ty: ComponentFunc, index: ComponentExportIndex) {
        if let Some(own) = interface.map(InterfaceName::new)
            && own.package() == OWN
        {
            if own.serves(&InterfaceName::new(LIFECYCLE)) {
                match name {
                    "init" => self.init = Some(index),
                    "shutdown" => self.shutdown = Some(index),
                    _ => {}
                }
            } else if own.serves(&InterfaceName::new(HEALTH)) && name == "check" {
                self.health = Some(index);
            }
            return;
        }
        let full_name = interface.map_or(name.to_owned(), |interface| format!("{interface}.{name}"));
        let interface = interface.map(str::to_owned);
        let function = Arc::new(Function { interface: interface.clone(), name: name.to_owned(), full_name, ty, index });
        if let Some(interface) = interface {
            let functions = self.by_interface.entry(interface).or_default();
            functions.insert(name.to_owned(), function.clone());
        }
        self.functions.push(function);
    }

    /// All functions, as `interface.function`.
    pub(crate) fn full_names(&self) -> Vec<String> {
        self.functions.iter().map(|function| function.full_name.clone()).collect()
    }

    /// The function `name` of `interface`, both in full.
    pub(crate) fn get(&self, interface: &str, name: &str) -> Option<&Arc<Function>> {
        self.by_interface.get(interface)?.get(name)
    }

    /// The exported interfaces that have functions, sorted.
    pub(crate) fn interfaces(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.by_interface.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    /// The function that `name` means: `render` if only one is called so, else `render.render`,
    /// `demo:markdown/render.render` or `demo:markdown/render@1.0.0.render`.
    pub(crate) fn find(&self, plugin: &PluginId, name: &str) -> Result<Arc<Function>, LoaderError> {
        // Versions have dots, names of functions do not.
        let (interface, bare) = match name.rsplit_once('.') {
            Some((interface, bare)) => (Some(interface), bare),
            None => (None, name),
        };
        let means = |function: &&Arc<Function>| {
            function.name == bare && interface.is_none_or(|interface| function.is_in(interface))
        };
        let found: Vec<_> = self.functions.iter().filter(means).collect();
        match found.as_slice() {
            [one] => Ok(Arc::clone(one)),
            [] => Err(LoaderError::UnknownFunction {
                plugin: plugin.clone(),
                function: name.to_owned(),
                exports: self.full_names(),
            }),
            several => Err(LoaderError::AmbiguousFunction {
                plugin: plugin.clone(),
                function: name.to_owned(),
                candidates: several.iter().map(|function| function.full_name.clone()).collect(),
            }),
        }
    }
}
