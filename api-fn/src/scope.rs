//! What an API key may do.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use stoa_core::id::{IdError, MAX_LABEL, Namespace, PluginId};

/// One permission: `admin`, `publish:NS`, `yank:NS`, or for some plugins of a namespace `publish:NS:PATTERN`,
/// where a pattern is a name or the beginning of one followed by `*`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Scope {
    /// Everything: namespaces, keys, and what the other scopes allow.
    Admin,
    /// Releasing plugins of a namespace.
    Publish(Namespace, Pattern),
    /// Yanking releases of a namespace, and taking that back.
    Yank(Namespace, Pattern),
}

/// Which plugins of a namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pattern {
    beginning: String,
    open: bool,
}

impl Pattern {
    /// All plugins.
    pub fn all() -> Self {
        Self { beginning: String::new(), open: true }
    }

    /// Whether it covers the plugin with this name.
    pub fn covers(&self, name: &str) -> bool {
        if self.open { name.starts_with(&self.beginning) } else { name == self.beginning }
    }
}

/// Why text is not a scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScopeError {
    /// It is none of the forms.
    #[error(
        "`{0}` is not a scope: write `admin`, `publish:NAMESPACE` or `yank:NAMESPACE`, the latter two also with `:PATTERN`"
    )]
    Form(String),
    /// The namespace is none.
    #[error(transparent)]
    Namespace(#[from] IdError),
    /// The pattern is none.
    #[error("`{0}` is not a pattern of names: 1 to {MAX_LABEL} characters of a-z, 0-9 and `-`, then perhaps `*`")]
    Pattern(String),
}

impl FromStr for Pattern {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let (beginning, open) = text.strip_suffix('*').map_or((text, false), |beginning| (beginning, true));
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if text.is_empty() || beginning.len() > MAX_LABEL || !beginning.bytes().all(plain) {
            return Err(ScopeError::Pattern(text.chars().take(80).collect()));
        }
        Ok(Self { beginning: beginning.to_owned(), open })
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let mut parts = text.splitn(3, ':');
        let (verb, namespace, pattern) = (parts.next(), parts.next(), parts.next());
        let pattern = pattern.map_or_else(|| Ok(Pattern::all()), str::parse);
        match (verb, namespace) {
            (Some("admin"), None) => Ok(Self::Admin),
            (Some("publish"), Some(namespace)) => Ok(Self::Publish(namespace.parse()?, pattern?)),
            (Some("yank"), Some(namespace)) => Ok(Self::Yank(namespace.parse()?, pattern?)),
            _ => Err(ScopeError::Form(text.chars().take(80).collect())),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.beginning, if self.open { "*" } else { "" })
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (verb, namespace, pattern) = match self {
            Self::Admin => return f.write_str("admin"),
            Self::Publish(namespace, pattern) => ("publish", namespace, pattern),
            Self::Yank(namespace, pattern) => ("yank", namespace, pattern),
        };
        write!(f, "{verb}:{namespace}")?;
        if *pattern == Pattern::all() { Ok(()) } else { write!(f, ":{pattern}") }
    }
}

impl TryFrom<String> for Scope {
    type Error = ScopeError;

    fn try_from(text: String) -> Result<Self, ScopeError> {
        text.parse()
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.to_string()
    }
}

/// What a request needs, to be measured against the scopes of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need<'a> {
    /// Administration.
    Admin,
    /// Releasing this plugin.
    Publish(&'a PluginId),
    /// Yanking or unyanking a release of this plugin.
    Yank(&'a PluginId),
    /// Changing the keys of this whole namespace: what publishes some of its plugins only may not.
    Namespace(&'a Namespace),
}

impl Need<'_> {
    /// Whether one of the scopes allows it.
    pub fn met_by(&self, scopes: &BTreeSet<Scope>) -> bool {
        scopes.iter().any(|scope| match (scope, self) {
            (Scope::Admin, _) => true,
            (Scope::Publish(namespace, pattern), Need::Publish(id))
            | (Scope::Yank(namespace, pattern), Need::Yank(id)) => {
                namespace == id.namespace() && pattern.covers(id.name().as_str())
            }
            (Scope::Publish(namespace, pattern), Need::Namespace(asked)) => {
                namespace == *asked && *pattern == Pattern::all()
            }
            _ => false,
        })
    }
}

/// The smallest scope that would do.
impl fmt::Display for Need<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Admin => f.write_str("admin"),
            Self::Publish(id) => write!(f, "publish:{id}"),
            Self::Yank(id) => write!(f, "yank:{id}"),
            Self::Namespace(namespace) => write!(f, "publish:{namespace}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> PluginId {
        text.parse().expect("an id")
    }

    #[test]
    fn a_scope_prints_as_it_was_read() {
        for text in ["admin", "publish:demo", "yank:demo", "publish:demo:markdown", "publish:demo:md-*"] {
            assert_eq!(text.parse::<Scope>().map(|s| s.to_string()), Ok(text.to_owned()));
        }
        assert_eq!("publish:demo:*".parse::<Scope>().map(|s| s.to_string()), Ok("publish:demo".to_owned()));
    }

    #[test]
    fn a_refusal_names_the_text_and_the_rule() {
        let form = "is not a scope: write `admin`, `publish:NAMESPACE` or `yank:NAMESPACE`, the latter two also with `:PATTERN`";
        let pattern = "is not a pattern of names: 1 to 64 characters of a-z, 0-9 and `-`, then perhaps `*`";
        for (text, message) in [
            ("", format!("`` {form}")),
            ("admin:demo", format!("`admin:demo` {form}")),
            ("publish", format!("`publish` {form}")),
            ("delete:demo", format!("`delete:demo` {form}")),
            ("publish:stoa", "`stoa` is a reserved word".to_owned()),
            ("publish:demo:", format!("`` {pattern}")),
            ("publish:demo:a*b", format!("`a*b` {pattern}")),
        ] {
            assert_eq!(text.parse::<Scope>().map_err(|e| e.to_string()), Err(message));
        }
    }

    #[test]
    fn a_scope_allows_what_it_names_and_no_more() {
        let scopes = |texts: &[&str]| texts.iter().map(|t| t.parse().expect("a scope")).collect::<BTreeSet<Scope>>();
        let (markdown, other) = (id("demo:markdown"), id("acme:markdown"));
        let cases: [(&[&str], Need<'_>, bool); 9] = [
            (&["admin"], Need::Admin, true),
            (&["admin"], Need::Publish(&markdown), true),
            (&["publish:demo"], Need::Publish(&markdown), true),
            (&["publish:demo"], Need::Publish(&other), false),
            (&["publish:demo"], Need::Yank(&markdown), false),
            (&["publish:demo", "yank:demo"], Need::Admin, false),
            (&["publish:demo:mark*"], Need::Publish(&markdown), true),
            (&["publish:demo:mark"], Need::Publish(&markdown), false),
            (&[], Need::Yank(&markdown), false),
        ];
        for (texts, need, expected) in cases {
            assert_eq!(need.met_by(&scopes(texts)), expected, "{texts:?} for {need}");
        }
    }
}
