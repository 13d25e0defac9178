//! Interfaces: their names, and the hash of what they look like from outside.

use std::{fmt, str::FromStr};

use wasmparser::names::KebabStr;

use crate::{digest::Digest, id::PluginId};

/// The package `stoa:plugin@0.1.0`: what plugins and hosts say to each other beside their own interfaces.
pub const STOA_PLUGIN_WIT: &str = include_str!("../wit/stoa-plugin.wit");

/// A name is at most this many bytes: two labels, an interface and a version of 64 each.
pub const MAX_NAME: usize = 256;

/// Why text is not the name of an import, an export or a WIT package.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Longer than [`MAX_NAME`].
    #[error("`{0}…` has {1} bytes: the name of an import or export has at most {MAX_NAME}")]
    Length(String, usize),
    /// Not `namespace:package`.
    #[error("`{0}` is not a WIT package: write it `namespace:package`")]
    Package(String),
    /// Not `namespace:package/interface`, with or without `@version`.
    #[error("`{0}` is not an interface: write it `namespace:package/interface@1.2.0`, with or without the version")]
    Interface(String),
    /// A part is not kebab case as the component model defines it.
    #[error("`{part}` in `{name}` is not a WIT name: words of letters and digits joined by single `-`")]
    Kebab {
        /// The whole name.
        name: String,
        /// The offending part.
        part: String,
    },
    /// What follows `@` is not a version.
    #[error("`{version}` in `{name}` is not a semantic version: {reason}")]
    Version {
        /// The whole name.
        name: String,
        /// What follows `@`.
        version: String,
        /// What the parser of versions said.
        reason: String,
    },
}

fn short(text: &str) -> String {
    text.chars().take(80).collect()
}

fn check_length(text: &str) -> Result<(), NameError> {
    if text.len() > MAX_NAME { Err(NameError::Length(short(text), text.len())) } else { Ok(()) }
}

/// Kebab case as validators of components read it: more than our plugin ids allow (`acme-2d`, `get-URL`).
fn kebab(name: &str, part: &str, upper: bool) -> Result<Box<str>, NameError> {
    let cased = upper || !part.bytes().any(|b| b.is_ascii_uppercase());
    match KebabStr::new(part) {
        Some(_) if cased => Ok(part.into()),
        _ => Err(NameError::Kebab { name: name.to_owned(), part: part.to_owned() }),
    }
}

/// A WIT package without its version: `wasi:http`.
///
/// Each half is kebab case in lower case, as the component model defines it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WitPackage {
    namespace: Box<str>,
    name: Box<str>,
}

impl WitPackage {
    /// The half before the colon.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The half after the colon.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the package bears the id of `plugin`, which makes that plugin the provider of its interfaces.
    pub fn is(&self, plugin: &PluginId) -> bool {
        *self.namespace == *plugin.namespace().as_str() && *self.name == *plugin.name().as_str()
    }
}

impl fmt::Display for WitPackage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.namespace, self.name)
    }
}

impl FromStr for WitPackage {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        check_length(text)?;
        match text.split_once(':') {
            Some((namespace, name)) if !name.contains([':', '/', '@']) => {
                Ok(Self { namespace: kebab(text, namespace, false)?, name: kebab(text, name, false)? })
            }
            _ => Err(NameError::Package(short(text))),
        }
    }
}

text_type!(WitPackage);

/// An interface of a WIT package: `ns:pkg/iface@1.2.0`, the version being optional.
///
/// Ordered by package, interface, then version.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceName(Box<Parts>);

/// Boxed, because names travel in errors and sets, and a version alone is 40 bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Parts {
    package: WitPackage,
    interface: Box<str>,
    version: Option<semver::Version>,
}

impl InterfaceName {
    /// The package that defines it, without its version.
    pub fn package(&self) -> &WitPackage {
        &self.0.package
    }

    /// The interface within its package.
    pub fn interface(&self) -> &str {
        &self.0.interface
    }

    /// The version of its package, where one is named.
    pub fn version(&self) -> Option<&semver::Version> {
        self.0.version.as_ref()
    }

    /// The semver-compatible track of its version: `1` for 1.2.0, `0.2` for 0.2.6, `0.0.3` for itself, and a
    /// whole version for a pre-release. Versions of one track stand in for each other.
    pub fn track(&self) -> Option<String> {
        self.0.version.as_ref().map(wit_parser::PackageName::version_compat_track_string)
    }

    /// Whether an export or offer of this name answers an import called `import`: the same interface in the same or
    /// a higher version of one track, which is what the component model and the engine's linker call compatible.
    ///
    /// Types are not compared. Tools drop from an import what its component does not use, so that the hash of an
    /// import tells nothing of an export with another hash; that an export keeps its functions is checked at
    /// publish, and that an import's are among them at publish and by the linker.
    pub fn serves(&self, import: &Self) -> bool {
        let (ours, wanted) = (&self.0, &import.0);
        let higher = || ours.version > wanted.version && self.track() == import.track();
        ours.package == wanted.package
            && ours.interface == wanted.interface
            && (ours.version == wanted.version || higher())
    }

    /// The same interface of no particular version.
    #[must_use]
    pub fn unversioned(&self) -> Self {
        Self(Box::new(Parts { version: None, ..Parts::clone(&self.0) }))
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.0.package, self.0.interface)?;
        self.0.version.as_ref().map_or(Ok(()), |version| write!(f, "@{version}"))
    }
}

impl FromStr for InterfaceName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        check_length(text)?;
        let (path, version) = text.split_once('@').map_or((text, None), |(path, version)| (path, Some(version)));
        let (package, interface) = path.split_once('/').ok_or_else(|| NameError::Interface(short(text)))?;
        let (namespace, name) = package.split_once(':').ok_or_else(|| NameError::Interface(short(text)))?;
        let package = WitPackage { namespace: kebab(text, namespace, false)?, name: kebab(text, name, false)? };
        let version = version.map(|version| parse_version(text, version)).transpose()?;
        Ok(Self(Box::new(Parts { package, interface: kebab(text, interface, true)?, version })))
    }
}

fn parse_version(name: &str, version: &str) -> Result<semver::Version, NameError> {
    let refuse = |reason: semver::Error| NameError::Version {
        name: name.to_owned(),
        version: version.to_owned(),
        reason: reason.to_string(),
    };
    version.parse().map_err(refuse)
}

text_type!(InterfaceName);

/// A name without a package: a function exported at top level, as in `render`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlainName(Box<str>);

impl PlainName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PlainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for PlainName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        check_length(text)?;
        kebab(text, text, true).map(Self)
    }
}

text_type!(PlainName);

/// What an import or export is called: an interface of a package, or a plain name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExternName {
    /// `ns:pkg/iface@1.2.0`.
    Interface(InterfaceName),
    /// `render`.
    Plain(PlainName),
}

impl ExternName {
    /// The interface, unless it is a plain name.
    pub fn as_interface(&self) -> Option<&InterfaceName> {
        match self {
            Self::Interface(name) => Some(name),
            Self::Plain(_) => None,
        }
    }
}

impl From<InterfaceName> for ExternName {
    fn from(name: InterfaceName) -> Self {
        Self::Interface(name)
    }
}

impl fmt::Display for ExternName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interface(name) => name.fmt(f),
            Self::Plain(name) => name.fmt(f),
        }
    }
}

impl FromStr for ExternName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.contains([':', '/', '@']) { text.parse().map(Self::Interface) } else { text.parse().map(Self::Plain) }
    }
}

text_type!(ExternName);

/// A hash of the structure of an interface, a function or a type.
///
/// The first 8 bytes of the SHA-256 of a canonical text (see [`crate::component`]), as 16 lower-case
/// hexadecimal digits. It tells versions of an interface apart; it is no proof against someone who looks for
/// two interfaces with one hash (2^32 tries), so whoever links two components compares their types.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeHash([u8; 8]);

impl TypeHash {
    /// The hash of a canonical text.
    pub fn of(canonical: &str) -> Self {
        let mut short = [0; 8];
        short.copy_from_slice(&Digest::of(canonical.as_bytes()).as_bytes()[..8]);
        Self(short)
    }
}

impl fmt::Display for TypeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

/// Text that is not 16 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a type hash: it needs 16 lower-case hexadecimal digits")]
pub struct TypeHashError(String);

impl FromStr for TypeHash {
    type Err = TypeHashError;

    fn from_str(text: &str) -> Result<Self, TypeHashError> {
        let digits = text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        match u64::from_str_radix(text, 16) {
            Ok(number) if digits => Ok(Self(number.to_be_bytes())),
            _ => Err(TypeHashError(short(text))),
        }
    }
}

text_type!(TypeHash);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_prints_as_it_was_read() {
        for text in ["wasi:http/types@0.2.6", "demo:markdown/render", "a2:b-3d/get-URL@1.0.0-rc.1+x", "render", "a-B"] {
            assert_eq!(text.parse::<ExternName>().map(|name| name.to_string()), Ok(text.to_owned()));
        }
        assert_eq!("wasi:http".parse::<WitPackage>().map(|p| p.to_string()), Ok("wasi:http".to_owned()));
    }

    #[test]
    fn a_track_is_what_semver_lets_stand_in_for_each_other() {
        let cases = [
            ("a:b/c@1.2.3", Some("1")),
            ("a:b/c@0.2.6", Some("0.2")),
            ("a:b/c@0.0.3", Some("0.0.3")),
            ("a:b/c@1.0.0-rc.1", Some("1.0.0-rc.1")),
            ("a:b/c", None),
        ];
        for (text, track) in cases {
            assert_eq!(text.parse::<InterfaceName>().map(|name| name.track()), Ok(track.map(str::to_owned)), "{text}");
        }
    }

    #[test]
    fn an_export_serves_imports_of_its_track_that_are_not_newer() {
        let cases = [
            ("a:b/c@1.2.0", "a:b/c@1.2.0", true),
            ("a:b/c@1.2.0", "a:b/c@1.0.3", true),
            ("a:b/c@1.2.0", "a:b/c@1.3.0", false),
            ("a:b/c@2.0.0", "a:b/c@1.0.0", false),
            ("a:b/c@0.2.5", "a:b/c@0.2.0", true),
            ("a:b/c@0.3.0", "a:b/c@0.2.0", false),
            ("a:b/c@0.0.2", "a:b/c@0.0.1", false),
            ("a:b/c@1.0.0", "a:b/c@1.0.0-rc.1", false),
            ("a:b/c", "a:b/c", true),
            ("a:b/c@1.0.0", "a:b/c", false),
            ("a:b/d@1.0.0", "a:b/c@1.0.0", false),
            ("a:d/c@1.0.0", "a:b/c@1.0.0", false),
        ];
        let name = |text: &str| text.parse::<InterfaceName>().expect("an interface");
        for (export, import, serves) in cases {
            assert_eq!(name(export).serves(&name(import)), serves, "{export} for {import}");
        }
    }

    #[test]
    fn a_package_is_a_plugin_s_only_if_both_halves_agree() -> Result<(), crate::id::IdError> {
        let package = "demo:markdown/render@1.0.0".parse::<InterfaceName>().map(|name| name.package().clone());
        let package = package.unwrap();
        assert!(package.is(&"demo:markdown".parse()?));
        assert!(!package.is(&"demo:mark".parse()?));
        assert!(!package.is(&"acme:markdown".parse()?));
        Ok(())
    }

    #[test]
    fn a_refusal_names_the_text_and_the_rule() {
        let cases = [
            (
                "a:b",
                "`a:b` is not an interface: write it `namespace:package/interface@1.2.0`, with or without the version",
            ),
            (
                "a/b",
                "`a/b` is not an interface: write it `namespace:package/interface@1.2.0`, with or without the version",
            ),
            ("A:b/c", "`A` in `A:b/c` is not a WIT name: words of letters and digits joined by single `-`"),
            ("a:b/c/d", "`c/d` in `a:b/c/d` is not a WIT name: words of letters and digits joined by single `-`"),
            (
                "a:b/c@1",
                "`1` in `a:b/c@1` is not a semantic version: unexpected end of input while parsing major version number",
            ),
            ("", "`` in `` is not a WIT name: words of letters and digits joined by single `-`"),
            ("a--b", "`a--b` in `a--b` is not a WIT name: words of letters and digits joined by single `-`"),
        ];
        for (text, message) in cases {
            assert_eq!(text.parse::<ExternName>().map_err(|e| e.to_string()), Err(message.to_owned()));
        }
        let long = "x".repeat(257);
        assert_eq!(long.parse::<ExternName>(), Err(NameError::Length("x".repeat(80), 257)));
        assert_eq!("wasi".parse::<WitPackage>(), Err(NameError::Package("wasi".into())));
        assert_eq!("a:b/c".parse::<WitPackage>(), Err(NameError::Package("a:b/c".into())));
    }

    #[test]
    fn a_type_hash_is_the_beginning_of_a_sha_256() {
        // FIPS 180-4: SHA-256("abc") = ba7816bf 8f01cfea …
        assert_eq!(TypeHash::of("abc").to_string(), "ba7816bf8f01cfea");
        assert_eq!("ba7816bf8f01cfea".parse(), Ok(TypeHash::of("abc")));
        for text in ["", "BA7816BF8F01CFEA", "+a7816bf8f01cfea", "ba7816bf8f01cfe"] {
            assert_eq!(text.parse::<TypeHash>(), Err(TypeHashError(text.to_owned())));
        }
    }
}
