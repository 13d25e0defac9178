//! Extension points: all plugins that export an interface.

use std::sync::Arc;

use stoa_core::version::VersionReq;
use wasmtime::component::{ComponentNamedList, Lift, Lower, Val};

use crate::{
    error::LoaderError,
    interface::InterfaceName,
    plugin::{Plugin, PluginFunc},
};

/// `acme:web/filter@^1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    path: Arc<str>,
    requirement: Option<VersionReq>,
}

impl Pattern {
    pub(crate) fn parse(text: &str) -> Result<Self, LoaderError> {
        let refuse = || LoaderError::Pattern { pattern: text.chars().take(160).collect() };
        let (path, requirement) = match text.split_once('@') {
            Some((path, requirement)) => (path, Some(requirement.parse().map_err(|_| refuse())?)),
            None => (text, None),
        };
        match path.split_once('/') {
            Some((package, label)) if package.contains(':') && !label.is_empty() => {
                Ok(Self { path: path.into(), requirement })
            }
            _ => Err(refuse()),
        }
    }

    pub(crate) fn matches(&self, interface: &str) -> bool {
        InterfaceName::new(interface).matches(&self.path, self.requirement.as_ref())
    }
}

/// A plugin that exports an interface, seen through that interface.
pub struct Implementor<S: 'static> {
    plugin: Plugin<S>,
    interface: String,
}

impl<S: Send + 'static> Implementor<S> {
    pub(crate) fn new(plugin: Plugin<S>, interface: String) -> Self {
        Self { plugin, interface }
    }

    /// The plugin.
    pub fn plugin(&self) -> &Plugin<S> {
        &self.plugin
    }

    /// The interface as it exports it, with the version.
    pub fn interface(&self) -> &str {
        &self.interface
    }

    /// The function `name` of the interface; see [`Plugin::func`].
    ///
    /// # Errors
    ///
    /// As [`Plugin::func`].
    pub fn func<P, R>(&self, name: &str) -> Result<PluginFunc<S, P, R>, LoaderError>
    where
        P: ComponentNamedList + Lower + Send + Sync + 'static,
        R: ComponentNamedList + Lift + Send + Sync + 'static,
    {
        self.plugin.func(&self.interface, name)
    }

    /// Calls the function `name` of the interface; see [`Plugin::call_dyn`].
    ///
    /// # Errors
    ///
    /// As [`Plugin::call_dyn`].
    pub async fn call_dyn(&self, name: &str, params: &[Val]) -> Result<Vec<Val>, LoaderError> {
        self.plugin.call_dyn(&format!("{}.{name}", self.interface), params).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_names_an_interface_and_the_versions_of_it() {
        let pattern = Pattern::parse("acme:web/filter@^1").expect("a pattern");
        assert!(pattern.matches("acme:web/filter@1.4.0"));
        assert!(!pattern.matches("acme:web/filter@2.0.0"));
        assert!(!pattern.matches("acme:web/filter"));
        assert!(!pattern.matches("acme:web/other@1.0.0"));
        assert!(Pattern::parse("acme:web/filter").expect("a pattern").matches("acme:web/filter@2.0.0"));
    }

    #[test]
    fn other_text_is_refused_by_name() {
        for text in ["filter", "acme:web", "acme:web/", "acme:web/filter@one"] {
            let error = Pattern::parse(text).map(drop).expect_err(text).to_string();
            assert_eq!(
                error,
                format!("`{text}` is not a pattern of interfaces: write `namespace:package/interface@requirement`")
            );
        }
    }
}
