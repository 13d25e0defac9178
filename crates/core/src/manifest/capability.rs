//! `[capabilities]`: what a plugin asks to reach, each with its reason.

use std::{collections::BTreeMap, fmt, str::FromStr};

use super::{
    MAX_ENTRIES,
    text::{Reason, TextError, refuse},
};
use crate::reader::{self, Reader, Section, nearest};

/// Something that a plugin can be granted. Logging, and WASI interfaces that lead nowhere, need no grant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CapabilityKind {
    /// `args`: the command line of the host.
    Args,
    /// `clock`: `coarse` (to the millisecond) or `real`.
    Clock,
    /// `env`: environment variables by name.
    Env,
    /// `fs.read`: files under a root that the host names, `data:/photos`.
    FsRead,
    /// `fs.write`: the same, for writing.
    FsWrite,
    /// `http.out`: requests to origins, `https://api.example.com`, `https://*.example.com`.
    HttpOut,
    /// `net.dns`: looking up host names.
    NetDns,
    /// `net.tcp`: connections to `host:port`; `*` for any port.
    NetTcp,
    /// `net.udp`: datagrams to `host:port`; `*` for any port.
    NetUdp,
    /// `random`: `secure`, or `seeded` for tests.
    Random,
}

impl CapabilityKind {
    /// All of them, sorted by name.
    pub const ALL: [Self; 10] = [
        Self::Args,
        Self::Clock,
        Self::Env,
        Self::FsRead,
        Self::FsWrite,
        Self::HttpOut,
        Self::NetDns,
        Self::NetTcp,
        Self::NetUdp,
        Self::Random,
    ];

    /// Its name in manifests and policies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Args => "args",
            Self::Clock => "clock",
            Self::Env => "env",
            Self::FsRead => "fs.read",
            Self::FsWrite => "fs.write",
            Self::HttpOut => "http.out",
            Self::NetDns => "net.dns",
            Self::NetTcp => "net.tcp",
            Self::NetUdp => "net.udp",
            Self::Random => "random",
        }
    }

    /// Whether it is granted for named things only.
    pub const fn has_scope(self) -> bool {
        !matches!(self, Self::Args)
    }

    /// Checks one entry of `allow`.
    ///
    /// # Errors
    /// [`TextError`] naming the text and the form that this capability's scopes have.
    pub fn check_scope(self, text: &str) -> Result<(), TextError> {
        let (fits, form) = match self {
            Self::Args => (false, "nothing: it has no scope"),
            Self::Clock => (matches!(text, "coarse" | "real"), "`coarse` or `real`"),
            Self::Random => (matches!(text, "secure" | "seeded"), "`secure` or `seeded`"),
            Self::Env => (is_variable(text), "the name of a variable such as `LANG`"),
            Self::FsRead | Self::FsWrite => (is_place(text), "a root and a path such as `data:/photos`"),
            Self::HttpOut => {
                (is_origin(text), "an origin such as `https://api.example.com` or `https://*.example.com`")
            }
            Self::NetDns => (is_host(text), "a host name such as `example.com` or `*.example.com`"),
            Self::NetTcp | Self::NetUdp => (is_address(text), "a host and a port such as `example.com:443` or `*:443`"),
        };
        if fits && text.len() <= 256 { Ok(()) } else { refuse(text, format!("is not {form}")) }
    }
}

impl fmt::Display for CapabilityKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for CapabilityKind {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let known = Self::ALL.iter().find(|kind| kind.as_str() == text);
        known.copied().map_or_else(|| refuse(text, "is not a capability"), Ok)
    }
}

text_type!(CapabilityKind);

/// What a plugin asks of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capability {
    allow: Vec<String>,
    reason: Reason,
}

impl Capability {
    /// The scopes asked for, sorted; at least one unless the kind has none.
    pub fn allow(&self) -> &[String] {
        &self.allow
    }

    /// Why.
    pub fn reason(&self) -> &Reason {
        &self.reason
    }
}

/// `http.out = {…}` and `[capabilities."http.out"]` mean the same.
pub(super) fn read(reader: &mut Reader<'_>, section: &Section<'_, '_>) -> BTreeMap<CapabilityKind, Capability> {
    let mut found = BTreeMap::new();
    let mut entries = Vec::new();
    for (name, line, value) in section.entries(reader) {
        let family = format!("{name}.");
        if !CapabilityKind::ALL.iter().any(|kind| kind.as_str().starts_with(&family)) {
            entries.push((name.to_owned(), line, value));
        } else if let Some(inner) = reader::table(reader, line, section.at(name), value) {
            let members = inner.entries(reader).into_iter();
            entries.extend(members.map(|(member, line, value)| (format!("{family}{member}"), line, value)));
        }
    }
    for (name, line, value) in entries {
        let at = section.at(&reader::shown(&name));
        let Ok(kind) = name.parse::<CapabilityKind>() else {
            let nearest = nearest(&name, CapabilityKind::ALL.iter().map(|kind| kind.as_str()));
            let known: Vec<_> = CapabilityKind::ALL.iter().map(|kind| kind.as_str()).collect();
            let hint =
                nearest.map_or_else(|| format!("there are {}", known.join(", ")), |n| format!("did you mean `{n}`?"));
            reader.hinted(line, at, "is not a capability", Some(hint));
            continue;
        };
        let Some(mut table) = reader::table(reader, line, at.clone(), value) else { continue };
        let capability = capability(reader, kind, &mut table, line);
        table.finish(reader);
        if let Some(capability) = capability
            && found.insert(kind, capability).is_some()
        {
            reader.problem(line, at, "is asked for twice");
        }
    }
    found
}

fn capability(
    reader: &mut Reader<'_>,
    kind: CapabilityKind,
    table: &mut Section<'_, '_>,
    line: usize,
) -> Option<Capability> {
    let reason = table.required(reader, "reason");
    let listed = table.value(reader, "allow").is_some();
    let scopes: Vec<reader::Verbatim> = table.list(reader, "allow");
    let mut allow: Vec<String> = scopes.into_iter().map(|scope| scope.0).collect();
    for scope in &allow {
        if let Err(error) = kind.check_scope(scope) {
            reader.problem(line, table.at("allow"), error);
        }
    }
    if allow.len() > MAX_ENTRIES {
        let message = format!("has {} items: at most {MAX_ENTRIES} are allowed", allow.len());
        reader.problem(line, table.at("allow"), message);
    }
    if kind.has_scope() && allow.is_empty() {
        reader.problem(line, table.at("allow"), if listed { "is empty" } else { "is missing" });
    }
    allow.sort_unstable();
    allow.dedup();
    Some(Capability { allow, reason: reason? })
}

fn is_variable(text: &str) -> bool {
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    begins && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn is_place(text: &str) -> bool {
    let Some((root, path)) = text.split_once(":/") else { return false };
    let named = root.starts_with(|c: char| c.is_ascii_lowercase())
        && root.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let inside = path.is_empty() || path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    named && inside && !path.contains('\\') && !path.chars().any(char::is_control)
}

/// RFC 1123 host names in lower case, where the first label may be `*`.
fn is_host(text: &str) -> bool {
    let rest = text.strip_prefix("*.").unwrap_or(text);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    rest.split('.').all(label)
}

fn is_port(text: &str) -> bool {
    !text.starts_with(['0', '+']) && text.parse::<u16>().is_ok()
}

fn is_origin(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else { return false };
    rest.split_once(':').map_or_else(|| is_host(rest), |(host, port)| is_host(host) && is_port(port))
}

fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    (host == "*" || is_host(host)) && (port == "*" || is_port(port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_own_form_of_scope() {
        use CapabilityKind as K;
        let cases: [(K, &[&str], &[&str]); 7] = [
            (K::Clock, &["coarse", "real"], &["fine", ""]),
            (K::Env, &["LANG", "_x1"], &["1X", "A=B", ""]),
            (K::FsRead, &["data:/", "data:/a/b"], &["data", "/a", "data:/../x", "data:/a//b", "Data:/x"]),
            (
                K::HttpOut,
                &["https://a.example", "http://localhost:8080", "https://*.a.example"],
                &[
                    "a.example",
                    "https://a.example/",
                    "https://a.example:0",
                    "https://*",
                    "https://u@a.example",
                    "ftp://a",
                ],
            ),
            (K::NetTcp, &["a.example:443", "*:53", "a.example:*"], &["a.example", "a.example:99999", ":80"]),
            (K::NetDns, &["a.example", "*.a.example"], &["-a.example", "a..b", "*"]),
            (K::Args, &[], &["x"]),
        ];
        for (kind, good, bad) in cases {
            for scope in good {
                assert_eq!(kind.check_scope(scope), Ok(()), "{kind} {scope}");
            }
            for scope in bad {
                let message = kind.check_scope(scope).map_err(|error| error.to_string());
                assert!(message.is_err_and(|m| m.starts_with(&format!("`{scope}` is not "))), "{kind} {scope}");
            }
        }
    }

    #[test]
    fn a_name_prints_as_it_was_read_and_the_list_is_sorted() {
        for kind in CapabilityKind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert!(CapabilityKind::ALL.is_sorted_by_key(|kind| kind.as_str()));
    }
}
