//! Capabilities: what a plugin can reach beyond its own memory, and how far.
//!
//! A [`Capability`] is a kind and, for most kinds, a scope: `http.out:https://*.example.com`, `fs.read:data:/photos`,
//! `clock:coarse`, `log`. Authors ask for those of [`CapabilityKind`] in a manifest. The others (`calls`, `config`,
//! `host`, `log`, `state`) nobody asks for: what a component imports needs them ([`Needs`]).
//!
//! Capabilities are ordered by what they reach: [`Capability::covers`]. Two of them share what both reach:
//! [`Capability::meet`]. So "asked for, and granted, and agreed to" is one operation, and it only narrows.
//!
//! Linking is another matter: a component's imports have to be linked to something whether or not they are ever used, and most
//! toolchains import files, environment and sockets always. Without a capability they are linked and lead nowhere.

use std::{fmt, str::FromStr};

pub use self::{
    address::Reach,
    grants::Grants,
    needs::{Disagreement, Needs, Oddity},
    pattern::CapabilityPattern,
    scope::{Access, Clock, HostName, Origin, Place, Random, Socket},
};
use crate::{
    id::PluginId,
    interface::{InterfaceName, WitPackage},
    manifest::{CapabilityKind, TextError},
    reader::shown,
};

mod address;
mod grants;
mod needs;
mod pattern;
mod scope;

/// Something that a plugin can reach.
///
/// Ordered for printing only; what reaches further is said by [`covers`](Self::covers).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// `args`: the command line of the host.
    Args,
    /// `calls:demo:markdown`: the functions of another plugin.
    Calls(PluginId),
    /// `clock:coarse`, `clock:real`.
    Clock(Clock),
    /// `config`: the settings that the host has for it.
    Config,
    /// `env:LANG`: one variable of the host's environment.
    Env(Box<str>),
    /// `fs.read:data:/photos`, `fs.write:data:/photos`: the files below a folder; who may write may also read.
    Files(Access, Place),
    /// `host:acme:web/kv`: an interface of the host, or with `host:acme:web` all of a package.
    Host(WitPackage, Option<Box<str>>),
    /// `http.out:https://api.example.com`: requests to an origin.
    HttpOut(Origin),
    /// `log`: lines for whoever runs the host.
    Log,
    /// `net.dns:example.com`: looking up a name.
    NetDns(HostName),
    /// `net.tcp:example.com:443`: connections.
    NetTcp(Socket),
    /// `net.udp:example.com:53`: datagrams.
    NetUdp(Socket),
    /// `random:secure`, `random:seeded`.
    Random(Random),
    /// `state`: what it keeps beyond the life of its memory.
    State,
}

/// All kinds by their names in policies, sorted.
pub(crate) const KINDS: [&str; 15] = [
    "args", "calls", "clock", "config", "env", "fs.read", "fs.write", "host", "http.out", "log", "net.dns", "net.tcp",
    "net.udp", "random", "state",
];

impl Capability {
    /// The name of its kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Args => "args",
            Self::Calls(_) => "calls",
            Self::Clock(_) => "clock",
            Self::Config => "config",
            Self::Env(_) => "env",
            Self::Files(Access::Read, _) => "fs.read",
            Self::Files(Access::Write, _) => "fs.write",
            Self::Host(..) => "host",
            Self::HttpOut(_) => "http.out",
            Self::Log => "log",
            Self::NetDns(_) => "net.dns",
            Self::NetTcp(_) => "net.tcp",
            Self::NetUdp(_) => "net.udp",
            Self::Random(_) => "random",
            Self::State => "state",
        }
    }

    /// The capability of an author's words in a manifest or record: `random:secure`, `args`.
    ///
    /// # Errors
    /// [`TextError`] where it is of a kind that authors do not ask for, or of none.
    pub fn asked(text: &str) -> Result<Self, TextError> {
        let kind = text.split_once(':').map_or(text, |(kind, _)| kind);
        kind.parse::<CapabilityKind>()?;
        text.parse()
    }

    /// Whether a plugin that is refused it can be told so by what it calls. An interface of a host has no word for it in
    /// general, and a stand-in for random numbers would be believed.
    pub fn can_be_told(&self) -> bool {
        !matches!(self, Self::Host(..) | Self::Random(Random::Secure))
    }

    /// What both reach; `None` where that is nothing.
    pub fn meet(&self, other: &Self) -> Option<Self> {
        Some(match (self, other) {
            (Self::Clock(a), Self::Clock(b)) => Self::Clock(*a.min(b)),
            (Self::Files(a, here), Self::Files(b, there)) => Self::Files(*a.min(b), here.meet(there)?),
            (Self::Host(a, None), Self::Host(b, interface)) | (Self::Host(b, interface), Self::Host(a, None))
                if a == b =>
            {
                Self::Host(b.clone(), interface.clone())
            }
            (Self::HttpOut(a), Self::HttpOut(b)) => Self::HttpOut(a.meet(b)?),
            (Self::NetDns(a), Self::NetDns(b)) => Self::NetDns(a.meet(b)?),
            (Self::NetTcp(a), Self::NetTcp(b)) => Self::NetTcp(a.meet(b)?),
            (Self::NetUdp(a), Self::NetUdp(b)) => Self::NetUdp(a.meet(b)?),
            (a, b) if a == b => a.clone(),
            _ => return None,
        })
    }

    /// Whether it reaches all that `other` does.
    pub fn covers(&self, other: &Self) -> bool {
        self.meet(other).as_ref() == Some(other)
    }

    /// Whether it could be used to reach something that `denied` names.
    ///
    /// Writing includes reading, and the exact time includes the coarse one: who may not have the lesser may not have the
    /// greater. The other way round, denying the greater leaves the lesser alone.
    pub fn touches(&self, denied: &Self) -> bool {
        match (self, denied) {
            (Self::Clock(ours), Self::Clock(theirs)) => ours >= theirs,
            (Self::Files(ours, here), Self::Files(theirs, there)) => ours >= theirs && here.meet(there).is_some(),
            _ => self.meet(denied).is_some(),
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())?;
        match self {
            Self::Args | Self::Config | Self::Log | Self::State => Ok(()),
            Self::Calls(id) => write!(f, ":{id}"),
            Self::Clock(clock) => write!(f, ":{}", clock.as_str()),
            Self::Env(name) => write!(f, ":{name}"),
            Self::Files(_, place) => write!(f, ":{place}"),
            Self::Host(package, None) => write!(f, ":{package}"),
            Self::Host(package, Some(interface)) => write!(f, ":{package}/{interface}"),
            Self::HttpOut(origin) => write!(f, ":{origin}"),
            Self::NetDns(name) => write!(f, ":{name}"),
            Self::NetTcp(socket) | Self::NetUdp(socket) => write!(f, ":{socket}"),
            Self::Random(random) => write!(f, ":{}", random.as_str()),
        }
    }
}

impl FromStr for Capability {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let (kind, scope) = text.split_once(':').map_or((text, None), |(kind, scope)| (kind, Some(scope)));
        let refuse = |what: String| Err(TextError(format!("`{}` {what}", shown(text))));
        let Some(scope) = scope else {
            return match kind {
                "args" => Ok(Self::Args),
                "config" => Ok(Self::Config),
                "log" => Ok(Self::Log),
                "state" => Ok(Self::State),
                _ if KINDS.contains(&kind) => {
                    refuse("has no scope: it is a kind, and this has to name one thing".into())
                }
                _ => refuse("is not a capability".into()),
            };
        };
        // The forms of scopes that authors write are checked in one place.
        if let Ok(kind) = kind.parse::<CapabilityKind>() {
            kind.check_scope(scope)?;
        }
        let read = match kind {
            "calls" => scope.parse().ok().map(Self::Calls),
            "clock" => Clock::parse(scope).map(Self::Clock),
            "env" => Some(Self::Env(scope.into())),
            "fs.read" => Place::parse(scope).map(|place| Self::Files(Access::Read, place)),
            "fs.write" => Place::parse(scope).map(|place| Self::Files(Access::Write, place)),
            "host" => host(scope),
            "http.out" => Origin::parse(scope).map(Self::HttpOut),
            "net.dns" => HostName::parse(scope).map(Self::NetDns),
            "net.tcp" => Socket::parse(scope).map(Self::NetTcp),
            "net.udp" => Socket::parse(scope).map(Self::NetUdp),
            "random" => Random::parse(scope).map(Self::Random),
            _ => return refuse("is not a capability".into()),
        };
        read.map_or_else(|| refuse(format!("is not a `{kind}` with a scope")), Ok)
    }
}

/// `acme:web/kv`, of no particular version: an interface that the host has in another version is the same reach.
fn host(scope: &str) -> Option<Capability> {
    if let Ok(package) = scope.parse() {
        return Some(Capability::Host(package, None));
    }
    let name = scope.parse::<InterfaceName>().ok().filter(|name| name.version().is_none())?;
    Some(Capability::Host(name.package().clone(), Some(name.interface().into())))
}

text_type!(Capability);

#[cfg(test)]
mod tests {
    use super::*;

    fn cap(text: &str) -> Capability {
        text.parse().unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn a_capability_prints_as_it_was_read() {
        let texts = [
            "args",
            "calls:demo:markdown",
            "clock:coarse",
            "config",
            "env:LANG",
            "fs.read:data:/",
            "fs.write:data:/a/b",
            "host:acme:web",
            "host:acme:web/kv",
            "http.out:https://*.a.example",
            "http.out:http://a.example:8080",
            "log",
            "net.dns:*.a.example",
            "net.tcp:*:443",
            "net.udp:a.example:*",
            "random:secure",
            "state",
        ];
        for text in texts {
            let read = cap(text);
            assert_eq!(read.to_string(), text);
            assert!(text.starts_with(read.kind()) && KINDS.contains(&read.kind()), "{text}");
        }
        assert!(KINDS.is_sorted());
        // The port that a scheme has anyway is not written, so that one origin has one spelling.
        assert_eq!(cap("http.out:https://a.example:443").to_string(), "http.out:https://a.example");
    }

    #[test]
    fn what_is_no_capability_is_refused_by_what_is_wrong() {
        let mut said = String::new();
        for text in [
            "",
            "root",
            "clock",
            "clock:fine",
            "log:x",
            "http.out:*",
            "http.out:https://A.example",
            "fs.read:data:/../x",
            "host:acme:web/kv@1.0.0",
            "calls:demo",
            "net.*",
            "env:A=B",
            "random:",
        ] {
            let error = text.parse::<Capability>().expect_err(text);
            said += &format!("{error}\n");
        }
        insta::assert_snapshot!(said);
        assert_eq!(Capability::asked("log").map_err(|e| e.to_string()), Err("`log` is not a capability".into()));
        assert_eq!(Capability::asked("args"), Ok(Capability::Args));
    }

    #[test]
    fn a_capability_covers_what_lies_within_its_scope() {
        let cases = [
            ("http.out:https://*.a.example", "http.out:https://b.a.example", true),
            ("http.out:https://*.a.example", "http.out:https://*.b.a.example", true),
            // The name itself is not below itself, and what only ends alike is another name.
            ("http.out:https://*.a.example", "http.out:https://a.example", false),
            ("http.out:https://*.a.example", "http.out:https://xa.example", false),
            ("http.out:https://a.example", "http.out:http://a.example", false),
            ("http.out:https://a.example", "http.out:https://a.example:8443", false),
            ("fs.read:data:/a", "fs.read:data:/a/b", true),
            ("fs.read:data:/a", "fs.read:data:/ab", false),
            ("fs.read:data:/", "fs.read:other:/", false),
            ("fs.write:data:/a", "fs.read:data:/a", true),
            ("fs.read:data:/a", "fs.write:data:/a", false),
            ("clock:real", "clock:coarse", true),
            ("clock:coarse", "clock:real", false),
            ("net.tcp:*:443", "net.tcp:a.example:443", true),
            ("net.tcp:a.example:*", "net.tcp:a.example:443", true),
            ("net.tcp:a.example:443", "net.udp:a.example:443", false),
            ("host:acme:web", "host:acme:web/kv", true),
            ("host:acme:web/kv", "host:acme:web", false),
            ("random:secure", "random:seeded", false),
            ("env:LANG", "env:LANGUAGE", false),
        ];
        for (ours, other, covers) in cases {
            assert_eq!(cap(ours).covers(&cap(other)), covers, "{ours} covers {other}");
        }
        assert_eq!(cap("net.tcp:*:443").meet(&cap("net.tcp:a.example:*")), Some(cap("net.tcp:a.example:443")));
        assert_eq!(cap("fs.write:data:/a").meet(&cap("fs.read:data:/a/b")), Some(cap("fs.read:data:/a/b")));
    }

    #[test]
    fn who_may_not_have_the_lesser_may_not_have_the_greater() {
        let cases = [
            ("fs.write:data:/", "fs.read:data:/secret", true),
            ("fs.read:data:/", "fs.write:data:/", false),
            ("fs.read:data:/a", "fs.read:data:/a/b", true),
            ("clock:real", "clock:coarse", true),
            ("clock:coarse", "clock:real", false),
            ("http.out:https://*.a.example", "http.out:https://b.a.example", true),
            ("http.out:https://a.example", "http.out:https://b.example", false),
        ];
        for (ours, denied, touches) in cases {
            assert_eq!(cap(ours).touches(&cap(denied)), touches, "{ours} touches {denied}");
        }
    }
}
