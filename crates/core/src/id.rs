//! Names of namespaces and plugins.

use std::{fmt, str::FromStr};

/// One half of a plugin id is at most this long: two halves, a version and a digest prefix then fit the
/// 255-byte file names of common file systems.
pub const MAX_LABEL: usize = 64;

/// Words that are folders on some system, routes of the registry, or namespaces with a meaning of their own.
const RESERVED: &[&str] = &[
    // Windows device names: a checkout or cache on Windows could not hold them.
    "aux",
    "com0",
    "com1",
    "com2",
    "com3",
    "com4",
    "com5",
    "com6",
    "com7",
    "com8",
    "com9",
    "con",
    "lpt0",
    "lpt1",
    "lpt2",
    "lpt3",
    "lpt4",
    "lpt5",
    "lpt6",
    "lpt7",
    "lpt8",
    "lpt9",
    "nul",
    "prn",
    // First words of public paths and API routes.
    "api",
    "artifacts",
    "assets",
    "events",
    "feeds",
    "index",
    "plugins",
    "search",
    "trust",
    "v1",
    "v2",
    "well-known",
    // Namespaces that mean something to every host.
    "host",
    "stoa",
    "wasi",
];

/// Why text is not a namespace, a plugin's name or a plugin id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdError {
    /// A half is empty or longer than [`MAX_LABEL`].
    #[error("`{0}` has {1} characters: a name has 1 to {MAX_LABEL}")]
    Length(String, usize),
    /// A half does not match `[a-z][a-z0-9]*(-[a-z][a-z0-9]*)*`.
    #[error("`{0}` is not a name: words of a-z and 0-9, each beginning with a letter, joined by single `-`")]
    Grammar(String),
    /// A half is a reserved word.
    #[error("`{0}` is a reserved word")]
    Reserved(String),
    /// A plugin id without exactly one `:`.
    #[error("`{0}` is not a plugin id: write it `namespace:name`")]
    Halves(String),
}

fn check(text: &str) -> Result<(), IdError> {
    let shown = || text.chars().take(80).collect::<String>();
    if text.is_empty() || text.len() > MAX_LABEL {
        return Err(IdError::Length(shown(), text.chars().count()));
    }
    let word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_lowercase())
            && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    if !text.split('-').all(word) {
        return Err(IdError::Grammar(shown()));
    }
    if RESERVED.contains(&text) {
        return Err(IdError::Reserved(shown()));
    }
    Ok(())
}

macro_rules! label {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                check(text).map(|()| Self(text.to_owned()))
            }
        }

        text_type!($name);
    };
}

label! {
    /// A namespace: who publishes. `[a-z][a-z0-9]*(-[a-z][a-z0-9]*)*`, 1 to 64 characters, not reserved.
    Namespace
}
label! {
    /// A plugin's name within its namespace; the same grammar as [`Namespace`].
    Name
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A plugin: `namespace:name`, for instance `demo:markdown`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PluginId {
    namespace: Namespace,
    name: Name,
}

impl PluginId {
    /// The id of `name` in `namespace`.
    pub fn new(namespace: Namespace, name: Name) -> Self {
        Self { namespace, name }
    }

    /// Who publishes it.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Its name there.
    pub fn name(&self) -> &Name {
        &self.name
    }
}

impl fmt::Display for PluginId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.namespace, self.name)
    }
}

impl FromStr for PluginId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        match text.split_once(':') {
            Some((namespace, name)) if !name.contains(':') => Ok(Self::new(namespace.parse()?, name.parse()?)),
            _ => Err(IdError::Halves(text.chars().take(160).collect())),
        }
    }
}

text_type!(PluginId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_prints_as_it_was_read() {
        for text in ["demo:markdown", "a:b", "acme-x2:b1-c2"] {
            let parsed = text.parse::<PluginId>().map(|id| id.to_string());
            assert_eq!(parsed, Ok(text.to_owned()));
        }
    }

    #[test]
    fn a_refusal_names_the_text_and_the_rule() {
        let cases = [
            (
                "Demo:x",
                "`Demo` is not a name: words of a-z and 0-9, each beginning with a letter, joined by single `-`",
            ),
            ("demo:-x", "`-x` is not a name: words of a-z and 0-9, each beginning with a letter, joined by single `-`"),
            (
                "demo:x--y",
                "`x--y` is not a name: words of a-z and 0-9, each beginning with a letter, joined by single `-`",
            ),
            (
                "demo:a-2",
                "`a-2` is not a name: words of a-z and 0-9, each beginning with a letter, joined by single `-`",
            ),
            (
                "demo:../x",
                "`../x` is not a name: words of a-z and 0-9, each beginning with a letter, joined by single `-`",
            ),
            ("demo:é", "`é` is not a name: words of a-z and 0-9, each beginning with a letter, joined by single `-`"),
            ("demo:", "`` has 0 characters: a name has 1 to 64"),
            ("wasi:io", "`wasi` is a reserved word"),
            ("demo:con", "`con` is a reserved word"),
            ("demo", "`demo` is not a plugin id: write it `namespace:name`"),
            ("a:b:c", "`a:b:c` is not a plugin id: write it `namespace:name`"),
        ];
        for (text, message) in cases {
            let error = text.parse::<PluginId>().err().map(|e| e.to_string());
            assert_eq!(error.as_deref(), Some(message));
        }
    }

    #[test]
    fn the_list_of_reserved_words_obeys_the_grammar() {
        for word in RESERVED {
            assert_eq!(check(word), Err(IdError::Reserved((*word).to_owned())), "a word nobody could register");
        }
    }
}
