//! Who satisfies each import of a component.

use std::{collections::HashMap, sync::Arc};

use stoa_core::{
    capability::{Capability, Grants},
    id::PluginId,
};
use wasmtime::{
    Engine,
    component::{
        Component, InstancePre, Linker,
        types::{ComponentFunc, ComponentInstance, ComponentItem},
    },
};

use crate::{
    bridge::{self, Target},
    ctx::PluginCtx,
    error::LoaderError,
    exports::Exports,
    interface::InterfaceName,
    plan::{Edge, OnFailure, PlannedPlugin, SlotKey},
    scan,
    value::{self, Failure},
};

/// The parts of WASI 0.2 that are linked, all without authority.
const WASI: [&str; 6] = ["wasi:cli", "wasi:clocks", "wasi:filesystem", "wasi:io", "wasi:random", "wasi:sockets"];

/// Whether the loader links this import from its own WASI.
fn is_wasi(import: &InterfaceName<'_>) -> bool {
    let version = import.version.as_ref().map(|version| version.as_semver());
    WASI.contains(&import.package()) && version.is_some_and(|version| (version.major, version.minor) == (0, 2))
}

/// What a plugin's dependencies export, by plugin.
pub(crate) type Providers<'p> = HashMap<&'p PluginId, (SlotKey, &'p Exports)>;

/// An import that another plugin serves.
pub(crate) struct Bound {
    import: String,
    targets: Vec<Arc<Target>>,
}

/// Finds who serves each import, and checks the types of those that other plugins serve.
pub(crate) fn resolve<'p>(
    engine: &Engine,
    plugin: &'p PlannedPlugin,
    component: &Component,
    providers: &Providers<'_>,
    offered: &[String],
    grants: &Grants,
) -> Result<Vec<Bound>, LoaderError> {
    let mut bindings = Vec::new();
    let mut unknown = Vec::new();
    let ty = component.component_type();
    for (import, item) in ty.imports(engine) {
        let of = |edge: &'p Edge| edge.bindings.iter().find(|binding| binding.import == import).map(|b| (edge, b));
        let bound = plugin.dependencies.iter().find_map(of);
        let name = InterfaceName::new(import);
        match (item.ty, bound) {
            (ComponentItem::Type(_), _) => {}
            (ComponentItem::ComponentInstance(instance), _) if scan::only_types(engine, &instance) => {}
            (ComponentItem::ComponentInstance(instance), Some((edge, binding))) => {
                let granted = grants.covers(&Capability::Calls(edge.on.clone()));
                let linking = Linking { engine, plugin, edge, import, export: &binding.export, granted };
                bindings.push(linking.bind(&instance, providers)?);
            }
            _ if is_wasi(&name) => {}
            _ if offered.iter().any(|offer| InterfaceName::new(offer).serves(&name)) => {
                if !granted(import, grants) {
                    let rule = format!("{import} is granted before it is linked");
                    return Err(LoaderError::Internal { plugin: plugin.id.clone(), rule });
                }
            }
            _ => unknown.push(import.to_owned()),
        }
    }
    if unknown.is_empty() {
        return Ok(bindings);
    }
    unknown.sort_unstable();
    Err(LoaderError::UnknownImport { plugin: plugin.id.clone(), imports: unknown })
}

/// What a host offers under one name.
pub(crate) struct Provided<S: 'static> {
    pub(crate) interface: String,
    pub(crate) link: AddTo<S>,
}

/// Adds an interface to a plugin's linker.
type AddTo<S> = Box<dyn Fn(&mut Linker<PluginCtx<S>>) -> wasmtime::Result<()> + Send + Sync>;

/// Whether the interface `name` of the host may be linked. Those of `stoa:plugin` always are, and lead nowhere where that
/// was not granted.
fn granted(name: &str, grants: &Grants) -> bool {
    let Ok(name) = name.parse::<stoa_core::interface::InterfaceName>() else { return false };
    name.package().namespace() == "stoa"
        || grants.covers(&Capability::Host(name.package().clone(), Some(name.interface().into())))
}

/// Adds to what every plugin has the interfaces of the host that this one imports and was granted, and the bindings, and
/// ties the component to the result.
pub(crate) fn link<S: Send + 'static>(
    base: &Linker<PluginCtx<S>>,
    provided: &[Provided<S>],
    plugin: &PluginId,
    component: &Component,
    bindings: Vec<Bound>,
    grants: &Grants,
) -> Result<InstancePre<PluginCtx<S>>, LoaderError> {
    let refused = |e: wasmtime::Error| LoaderError::Link { plugin: plugin.clone(), source: e.into_boxed_dyn_error() };
    let mut linker = base.clone();
    let imports: Vec<_> = component.component_type().imports(base.engine()).map(|(name, _)| name.to_owned()).collect();
    for provided in provided {
        let name = InterfaceName::new(&provided.interface);
        let imported = imports.iter().any(|import| name.serves(&InterfaceName::new(import)));
        if imported && granted(&provided.interface, grants) {
            (provided.link)(&mut linker).map_err(refused)?;
        }
    }
    // A plugin that was resolved to serve an import goes before a host that offers the same name.
    linker.allow_shadowing(true);
    for binding in bindings {
        let mut instance = linker.instance(&binding.import).map_err(refused)?;
        for target in binding.targets {
            bridge::define(&mut instance, target).map_err(refused)?;
        }
    }
    linker.instantiate_pre(component).map_err(refused)
}

/// One import, on its way to the plugin that serves it.
struct Linking<'l> {
    engine: &'l Engine,
    plugin: &'l PlannedPlugin,
    edge: &'l Edge,
    import: &'l str,
    /// What the resolver bound it to. Looked up as it is: a lookup by semver could find another one, and does so in
    /// the engine's linker in both directions.
    export: &'l str,
    granted: bool,
}

impl Linking<'_> {
    fn bind(&self, instance: &ComponentInstance, providers: &Providers<'_>) -> Result<Bound, LoaderError> {
        let Some((key, exports)) = providers.get(&self.edge.on) else {
            let rule = format!("{} runs before its dependent is linked", self.edge.on);
            return Err(LoaderError::Internal { plugin: self.plugin.id.clone(), rule });
        };
        let interface = self.export;
        if !InterfaceName::new(interface).serves(&InterfaceName::new(self.import)) {
            let reason = format!("it is bound to {interface}, which does not serve it");
            return Err(self.incompatible(None, reason));
        }
        let has = exports.interfaces();
        if !has.contains(&interface) {
            let has = if has.is_empty() { "nothing".to_owned() } else { has.join(", ") };
            return Err(self.incompatible(None, format!("it is bound to {interface}, and the plugin exports {has}")));
        }
        let mut targets = Vec::new();
        for (name, item) in instance.exports(self.engine) {
            match item.ty {
                ComponentItem::ComponentFunc(wanted) => {
                    let failure = self.check(exports, interface, name, &wanted)?;
                    targets.push(Arc::new(Target {
                        caller: self.plugin.id.clone(),
                        key: key.clone(),
                        interface: interface.to_owned(),
                        name: name.to_owned(),
                        failure,
                        granted: self.granted,
                    }));
                }
                ComponentItem::Type(_) => {}
                ComponentItem::Resource(_) => return Err(self.incompatible(Some(name), stays("resource"))),
                _ => return Err(self.incompatible(Some(name), "only functions and types cross between plugins".into())),
            }
        }
        Ok(Bound { import: self.import.to_owned(), targets })
    }

    /// Checks one function and finds how the importer is told of a failure; none = by a trap.
    fn check(
        &self,
        exports: &Exports,
        interface: &str,
        name: &str,
        wanted: &ComponentFunc,
    ) -> Result<Option<Failure>, LoaderError> {
        let Some(function) = exports.get(interface, name) else {
            return Err(self.incompatible(Some(name), format!("{interface} has no such function")));
        };
        let has = &function.ty;
        let types = has.params().map(|(_, ty)| ty).chain(has.results());
        if let Some(kind) = types.filter_map(|ty| value::stays_home(&ty)).next() {
            return Err(self.incompatible(Some(name), stays(kind)));
        }
        if !wanted.params().eq(has.params()) {
            return Err(self.incompatible(Some(name), "its parameters have other names or types".into()));
        }
        if !wanted.results().eq(has.results()) {
            return Err(self.incompatible(Some(name), "its result has another type".into()));
        }
        match (self.edge.on_failure, Failure::of(has)) {
            (OnFailure::Trap, _) => Ok(None),
            (OnFailure::Value, Some(failure)) => Ok(Some(failure)),
            (OnFailure::Value, None) => Err(self.incompatible(
                Some(name),
                "its result can not hold a call-error, so the dependency needs on-failure = \"trap\"".into(),
            )),
        }
    }

    fn incompatible(&self, function: Option<&str>, reason: String) -> LoaderError {
        LoaderError::Incompatible {
            plugin: self.plugin.id.clone(),
            provider: Box::new(self.edge.on.clone()),
            import: function.map_or(self.import.to_owned(), |name| format!("{}.{name}", self.import)),
            reason,
        }
    }
}

fn stays(kind: &str) -> String {
    format!("a {kind} can not cross between plugins, only values can")
}
