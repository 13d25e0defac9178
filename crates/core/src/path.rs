//! Every public file: its path, content type and cache rule, decided here and nowhere else.

use std::{fmt, str::FromStr};

use crate::{
    digest::Digest,
    id::{Namespace, PluginId},
};

/// How long a copy may be reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cache {
    /// The name never gets other bytes: a year, `immutable`.
    Immutable,
    /// The pointer: 60 s. How long a takedown takes to reach everyone.
    Pointer,
    /// A page or another projection that is rewritten: 60 s.
    Projection,
    /// Rarely changed, small: an hour.
    Hour,
}

impl Cache {
    /// The `Cache-Control` header. No `stale-while-revalidate`: a takedown must be effective within the TTL.
    pub fn header(self) -> &'static str {
        match self {
            Self::Immutable => "public, max-age=31536000, immutable",
            Self::Pointer | Self::Projection => "public, max-age=60",
            Self::Hour => "public, max-age=3600",
        }
    }
}

/// The `Cache-Control` header of an answer "not found" below `trust/`: a new root or a new bin must be
/// visible at once, and every refresh asks for a root that does not exist yet.
pub const NOT_FOUND_CACHE: &str = "public, max-age=5";

/// A name of a trust file other than the timestamp: `N.ROLE.json`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleFile {
    /// The version in the name, from 1.
    pub version: u64,
    /// The role: `root`, `targets`, `snapshot`, `index`, `catalog` or a bin such as `bin-0f`.
    pub role: String,
}

/// A file of the public tree.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum PublicPath {
    /// `trust/timestamp.json`: the one pointer.
    Timestamp,
    /// `trust/N.ROLE.json`.
    Role(RoleFile),
    /// `index/NS/HASH.NAME.json`: the document of a plugin, named by its own digest (TUF consistent snapshots).
    Document(PluginId, Digest),
    /// `index/NS/HASH.@publishers.json`: the keys of a namespace. No plugin can have a name with `@`.
    Publishers(Namespace, Digest),
    /// `artifacts/sha256/HEX`: a component, or another blob that a document names.
    Artifact(Digest),
    /// `index.html`: the front page.
    Front,
    /// `plugins/NS/NAME/index.html`: a plugin's page.
    Plugin(PluginId),
    /// `404.html`.
    NotFound,
    /// `pages.json`: what the pages projection wrote last, with path, digest and seq.
    Pages,
    /// `assets/NAME`: style sheets, icons and scripts; the name carries a digest.
    Asset(String),
    /// `.well-known/stoa.json`: where the API and the index of this registry are.
    WellKnown,
}

impl PublicPath {
    /// The `Content-Type` header.
    pub fn content_type(&self) -> &'static str {
        match self {
            Self::Timestamp
            | Self::Role(_)
            | Self::Document(..)
            | Self::Publishers(..)
            | Self::Pages
            | Self::WellKnown => "application/json",
            Self::Artifact(_) => "application/octet-stream",
            Self::Front | Self::Plugin(_) | Self::NotFound => "text/html; charset=utf-8",
            Self::Asset(name) => match name.rsplit('.').next() {
                Some("css") => "text/css; charset=utf-8",
                Some("js") => "text/javascript; charset=utf-8",
                Some("svg") => "image/svg+xml",
                Some("wasm") => "application/wasm",
                Some("woff2") => "font/woff2",
                _ => "application/octet-stream",
            },
        }
    }

    /// How long a copy may be reused.
    pub fn cache(&self) -> Cache {
        match self {
            Self::Role(_) | Self::Document(..) | Self::Publishers(..) | Self::Artifact(_) | Self::Asset(_) => {
                Cache::Immutable
            }
            Self::Timestamp => Cache::Pointer,
            Self::Front | Self::Plugin(_) | Self::NotFound | Self::Pages => Cache::Projection,
            Self::WellKnown => Cache::Hour,
        }
    }

    /// Security headers, as name and value, besides `X-Content-Type-Options: nosniff`, which every file has.
    pub fn security_headers(&self) -> &'static [(&'static str, &'static str)] {
        match self {
            // Bytes from strangers: never rendered, never run, whatever a browser thinks they are.
            Self::Artifact(_) => {
                &[("content-disposition", "attachment"), ("content-security-policy", "default-src 'none'; sandbox")]
            }
            Self::Front | Self::Plugin(_) | Self::NotFound => &[
                (
                    "content-security-policy",
                    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; font-src 'self'; \
                     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
                ),
                ("referrer-policy", "strict-origin-when-cross-origin"),
            ],
            _ => &[],
        }
    }

    /// The TUF target path of a plugin's document, `index/NS/NAME.json`: what its bin lists. The file
    /// itself lies at [`PublicPath::Document`].
    pub fn target_path(id: &PluginId) -> String {
        format!("index/{}/{}.json", id.namespace(), id.name())
    }

    /// The TUF target path of a namespace's keys, `index/NS/@publishers.json`, at [`PublicPath::Publishers`].
    pub fn publishers_path(namespace: &Namespace) -> String {
        format!("index/{namespace}/@publishers.json")
    }
}

impl fmt::Display for PublicPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timestamp => f.write_str("trust/timestamp.json"),
            Self::Role(file) => write!(f, "trust/{}.{}.json", file.version, file.role),
            Self::Document(id, digest) => write!(f, "index/{}/{digest}.{}.json", id.namespace(), id.name()),
            Self::Publishers(namespace, digest) => write!(f, "index/{namespace}/{digest}.@publishers.json"),
            Self::Artifact(digest) => write!(f, "artifacts/sha256/{digest}"),
            Self::Front => f.write_str("index.html"),
            Self::Plugin(id) => write!(f, "plugins/{}/{}/index.html", id.namespace(), id.name()),
            Self::NotFound => f.write_str("404.html"),
            Self::Pages => f.write_str("pages.json"),
            Self::Asset(name) => write!(f, "assets/{name}"),
            Self::WellKnown => f.write_str(".well-known/stoa.json"),
        }
    }
}

/// Text that names no public file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a path of the public tree")]
pub struct PathError(String);

impl FromStr for PublicPath {
    type Err = PathError;

    /// Reads a path without its leading slash. Nothing is decoded or normalised: a path has one spelling.
    fn from_str(text: &str) -> Result<Self, PathError> {
        let refuse = || PathError(text.chars().take(200).collect());
        let parts: Vec<&str> = text.split('/').collect();
        let found = match parts.as_slice() {
            ["trust", "timestamp.json"] => Some(Self::Timestamp),
            ["trust", file] => role_file(file).map(Self::Role),
            ["index", namespace, file] => document(namespace, file),
            ["artifacts", "sha256", hex] => hex.parse().ok().map(Self::Artifact),
            ["index.html"] => Some(Self::Front),
            ["plugins", namespace, name, "index.html"] => plugin(namespace, name).map(Self::Plugin),
            ["404.html"] => Some(Self::NotFound),
            ["pages.json"] => Some(Self::Pages),
            ["assets", name] => asset(name).then(|| Self::Asset((*name).to_owned())),
            [".well-known", "stoa.json"] => Some(Self::WellKnown),
            _ => None,
        };
        found.ok_or_else(refuse)
    }
}

fn plugin(namespace: &str, name: &str) -> Option<PluginId> {
    Some(PluginId::new(namespace.parse().ok()?, name.parse().ok()?))
}

fn role_file(file: &str) -> Option<RoleFile> {
    let (version, role) = file.strip_suffix(".json")?.split_once('.')?;
    // `01` would be a second spelling of `1`.
    let plain = !version.starts_with('0') && version.bytes().all(|b| b.is_ascii_digit());
    let word = !role.is_empty() && role.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    (plain && word).then_some(())?;
    Some(RoleFile { version: version.parse().ok()?, role: role.to_owned() })
}

fn document(namespace: &str, file: &str) -> Option<PublicPath> {
    let (digest, name) = file.strip_suffix(".json")?.split_once('.')?;
    if name == "@publishers" {
        return Some(PublicPath::Publishers(namespace.parse().ok()?, digest.parse().ok()?));
    }
    Some(PublicPath::Document(plugin(namespace, name)?, digest.parse().ok()?))
}

fn asset(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    !name.is_empty() && !name.starts_with('.') && name.len() <= 128 && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_variant() -> Vec<PublicPath> {
        let id: PluginId = "demo:markdown".parse().expect("an id");
        let digest = Digest::of(b"abc");
        let role = |version, role: &str| PublicPath::Role(RoleFile { version, role: role.into() });
        vec![
            PublicPath::Timestamp,
            role(1, "root"),
            role(7, "snapshot"),
            role(7, "bin-0f"),
            PublicPath::Document(id.clone(), digest),
            PublicPath::Publishers(id.namespace().clone(), digest),
            PublicPath::Artifact(digest),
            PublicPath::Front,
            PublicPath::Plugin(id),
            PublicPath::NotFound,
            PublicPath::Pages,
            PublicPath::Asset("stoa.0123abcd.css".into()),
            PublicPath::WellKnown,
        ]
    }

    #[test]
    fn every_variant_has_one_path_type_and_cache_rule() {
        let rows: Vec<String> = every_variant()
            .iter()
            .map(|path| {
                let headers: Vec<_> = path.security_headers().iter().map(|(name, _)| *name).collect();
                format!("{path} | {} | {} | {}", path.content_type(), path.cache().header(), headers.join(" "))
            })
            .collect();
        insta::assert_snapshot!(rows.join("\n"));
    }

    #[test]
    fn a_path_reads_back_as_itself() {
        for path in every_variant() {
            assert_eq!(path.to_string().parse(), Ok(path));
        }
    }

    #[test]
    fn other_spellings_are_no_paths() {
        for text in [
            "",
            "/",
            "trust/../trust/timestamp.json",
            "trust/01.root.json",
            "trust/0.root.json",
            "trust/1.ROOT.json",
            "trust//timestamp.json",
            "index/demo/x.json",
            "artifacts/sha256/abc",
            "assets/.htaccess",
            "assets/../x",
            "plugins/demo/markdown",
            "plugins/wasi/io/index.html",
            "events/1.json",
            "store/sha256/00",
        ] {
            assert_eq!(text.parse::<PublicPath>(), Err(PathError(text.to_owned())));
        }
    }
}
