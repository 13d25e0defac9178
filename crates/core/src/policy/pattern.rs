//! Which plugins a rule is about.

use std::{fmt, str::FromStr};

use crate::{
    id::{Namespace, PluginId},
    manifest::TextError,
    reader::shown,
};

/// Plugins by name: `*`, `demo:*` or `demo:markdown`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pattern {
    /// All plugins.
    Any,
    /// All plugins of a namespace.
    Namespace(Namespace),
    /// One plugin.
    Plugin(PluginId),
}

impl Pattern {
    /// Whether `id` is one of them.
    pub fn takes(&self, id: &PluginId) -> bool {
        match self {
            Self::Any => true,
            Self::Namespace(namespace) => id.namespace() == namespace,
            Self::Plugin(plugin) => id == plugin,
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Namespace(namespace) => write!(f, "{namespace}:*"),
            Self::Plugin(id) => write!(f, "{id}"),
        }
    }
}

impl FromStr for Pattern {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let read = || match text.strip_suffix(":*") {
            _ if text == "*" => Some(Self::Any),
            Some(namespace) => namespace.parse().ok().map(Self::Namespace),
            None => text.parse().ok().map(Self::Plugin),
        };
        // A star anywhere else would look as if it matched by parts of names, which nobody can register safely.
        read().ok_or_else(|| TextError(format!("`{}` is not `*`, `namespace:*` or `namespace:name`", shown(text))))
    }
}

text_type!(Pattern);

/// The plugins that a rule is about: those of a pattern but for exceptions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// The plugins.
    pub plugin: Pattern,
    /// But not these.
    pub except: Vec<Pattern>,
}

impl Match {
    /// Whether the rule is about `id`.
    pub fn takes(&self, id: &PluginId) -> bool {
        self.plugin.takes(id) && !self.except.iter().any(|pattern| pattern.takes(id))
    }
}
