//! Who answers an import: the same rule for the author's tool, the registry and the resolver.

use std::collections::BTreeMap;

use super::{Dependency, Export, Import};
use crate::{id::PluginId, interface::InterfaceName};

impl Dependency {
    /// Whether it is said to be for the interface `name`, in this version or in any.
    pub fn is_for(&self, name: &InterfaceName) -> bool {
        let (exact, any) = (name.to_string(), name.unversioned().to_string());
        self.for_interfaces.iter().any(|said| *said == exact || *said == any)
    }
}

/// Who of `dependencies` answers an import called `name`, sorted: those that are said to be for it, else the one whose
/// id is its WIT package. More than one is a contradiction.
pub fn providers_of<'d>(dependencies: &'d BTreeMap<PluginId, Dependency>, name: &InterfaceName) -> Vec<&'d PluginId> {
    let said: Vec<_> = dependencies.iter().filter(|(_, said)| said.is_for(name)).map(|(id, _)| id).collect();
    if said.is_empty() { dependencies.keys().filter(|id| name.package().is(id)).collect() } else { said }
}

impl Import {
    /// Which of `exports` answers it: that of the same name, else among the compatible ones above it one with the very
    /// same types, else the highest.
    ///
    /// Other types are no reason against it: an import has only what the caller uses, so its hash equals the export's
    /// only where the caller uses all. Publishing sees to the rest: a minor release keeps what the one before exports,
    /// and a caller is taken only where its functions are found.
    pub fn answered_by<'e>(&self, exports: &'e [Export]) -> Option<&'e InterfaceName> {
        let interfaces = exports.iter().filter_map(|export| Some((export.name.as_interface()?, export.types)));
        let serving = interfaces.filter(|(name, _)| name.serves(&self.name));
        let best = serving.max_by_key(|(name, types)| (**name == self.name, *types == self.types, name.version()));
        best.map(|(name, _)| name)
    }
}
