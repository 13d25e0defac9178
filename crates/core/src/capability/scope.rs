//! How far a capability reaches. Whoever reads these has checked the form
//! ([`CapabilityKind::check_scope`](crate::manifest::CapabilityKind::check_scope)); here only parts are told apart.

use std::fmt;

/// What may be done with files. Ordered: who may write may also read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// Reading.
    Read,
    /// Reading, writing, making and removing.
    Write,
}

/// A clock. Ordered by how much it tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Clock {
    /// To the millisecond: of little use for measuring what other programs do.
    Coarse,
    /// As exact as the system's.
    Real,
}

/// A source of random numbers. Neither stands in for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Random {
    /// Fit for keys.
    Secure,
    /// The same each time, for tests.
    Seeded,
}

impl Clock {
    pub(super) fn parse(text: &str) -> Option<Self> {
        [Self::Coarse, Self::Real].into_iter().find(|clock| clock.as_str() == text)
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Coarse => "coarse",
            Self::Real => "real",
        }
    }
}

impl Random {
    pub(super) fn parse(text: &str) -> Option<Self> {
        [Self::Secure, Self::Seeded].into_iter().find(|random| random.as_str() == text)
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Secure => "secure",
            Self::Seeded => "seeded",
        }
    }
}

/// A folder, by the name of a root that the host gives and a path below it: `data:/photos`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    root: Box<str>,
    path: Box<[Box<str>]>,
}

impl Place {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (root, path) = text.split_once(":/")?;
        let parts = path.split('/').filter(|_| !path.is_empty());
        Some(Self { root: root.into(), path: parts.map(Into::into).collect() })
    }

    /// The name of the root.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// The folders below it that lead there; none for the root itself. None is `.`, `..` or empty.
    pub fn path(&self) -> impl Iterator<Item = &str> {
        self.path.iter().map(|part| &**part)
    }

    /// The deeper of two of which one lies in the other.
    pub(super) fn meet(&self, other: &Self) -> Option<Self> {
        let (outer, inner) = if self.path.len() <= other.path.len() { (self, other) } else { (other, self) };
        (outer.root == inner.root && inner.path.starts_with(&outer.path)).then(|| inner.clone())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:/{}", self.root, self.path.join("/"))
    }
}

/// A host name, or all names below one: `a.example`, `*.a.example`. The latter is not `a.example` itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName {
    below: bool,
    name: Box<str>,
}

impl HostName {
    pub(super) fn parse(text: &str) -> Option<Self> {
        Some(match text.strip_prefix("*.") {
            Some(name) => Self { below: true, name: name.into() },
            None => Self { below: false, name: text.into() },
        })
    }

    pub(super) fn meet(&self, other: &Self) -> Option<Self> {
        if self.holds(other) { Some(other.clone()) } else { other.holds(self).then(|| self.clone()) }
    }

    fn holds(&self, other: &Self) -> bool {
        let below = |name: &str| name.strip_suffix(&*self.name).is_some_and(|rest| rest.ends_with('.'));
        self == other || (self.below && below(&other.name))
    }

    /// Whether `name`, in lower case and without a dot at its end, is one of them.
    pub fn takes(&self, name: &str) -> bool {
        self.holds(&Self { below: false, name: name.into() })
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.below { "*." } else { "" }, self.name)
    }
}

/// An origin of the web, or those of all hosts below a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    secure: bool,
    host: HostName,
    port: u16,
}

impl Origin {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let secure = scheme == "https";
        let (host, port) = match rest.split_once(':') {
            Some((host, port)) => (host, port.parse().ok()?),
            None => (rest, Self::usual_port(secure)),
        };
        Some(Self { secure, host: HostName::parse(host)?, port })
    }

    fn usual_port(secure: bool) -> u16 {
        if secure { 443 } else { 80 }
    }

    pub(super) fn meet(&self, other: &Self) -> Option<Self> {
        let same = self.secure == other.secure && self.port == other.port;
        Some(Self { host: self.host.meet(&other.host).filter(|_| same)?, ..self.clone() })
    }

    /// Whether a request to this scheme, host (in lower case, no dot at its end) and port (`None`: the scheme's own)
    /// goes there.
    pub fn takes(&self, secure: bool, host: &str, port: Option<u16>) -> bool {
        let port = port.unwrap_or(Self::usual_port(secure));
        self.secure == secure && self.port == port && self.host.takes(host)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.secure { "https" } else { "http" }, self.host)?;
        if self.port == Self::usual_port(self.secure) { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

/// A host and a port, each of which may be any: `a.example:443`, `*:53`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Socket {
    host: Option<HostName>,
    port: Option<u16>,
}

impl Socket {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let host = if host == "*" { None } else { Some(HostName::parse(host)?) };
        Some(Self { host, port: if port == "*" { None } else { Some(port.parse().ok()?) } })
    }

    pub(super) fn meet(&self, other: &Self) -> Option<Self> {
        let host = match (&self.host, &other.host) {
            (Some(a), Some(b)) => Some(a.meet(b)?),
            (one, other) => one.as_ref().or(other.as_ref()).cloned(),
        };
        let port = match (self.port, other.port) {
            (Some(a), Some(b)) if a != b => return None,
            (one, other) => one.or(other),
        };
        Some(Self { host, port })
    }
}

impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Some(host) => write!(f, "{host}:")?,
            None => f.write_str("*:")?,
        }
        match self.port {
            Some(port) => write!(f, "{port}"),
            None => f.write_str("*"),
        }
    }
}
