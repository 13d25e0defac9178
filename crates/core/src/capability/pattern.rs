//! Capabilities as a policy names them.

use std::{fmt, str::FromStr};

use super::{Access, Capability, KINDS};
use crate::{
    manifest::TextError,
    reader::{nearest, shown},
};

/// Some capabilities: all of them, those of a family or kind, or one with all that lies within it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CapabilityPattern {
    /// `*`.
    Any,
    /// `net.*`, by what stands before the dot.
    Family(&'static str),
    /// `http.out`, or the same with `:*`.
    Kind(&'static str),
    /// `http.out:https://*.a.example`.
    One(Capability),
}

impl CapabilityPattern {
    /// What of `capability` is among them.
    pub fn meet(&self, capability: &Capability) -> Option<Capability> {
        match (self, capability) {
            (Self::One(one), _) => one.meet(capability),
            // Who may write may read, and not the other way round.
            (Self::Kind("fs.write"), Capability::Files(..)) => Some(capability.clone()),
            (Self::Kind("fs.read"), Capability::Files(_, place)) => {
                Some(Capability::Files(Access::Read, place.clone()))
            }
            _ => self.names(capability.kind()).then(|| capability.clone()),
        }
    }

    /// Whether `capability` could be used to reach something of them: see [`Capability::touches`].
    pub fn is_touched_by(&self, capability: &Capability) -> bool {
        match (self, capability) {
            (Self::One(one), _) => capability.touches(one),
            (Self::Kind("fs.read"), Capability::Files(..)) => true,
            _ => self.names(capability.kind()),
        }
    }

    fn names(&self, kind: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Family(family) => kind.split_once('.').is_some_and(|(before, _)| before == *family),
            Self::Kind(name) => *name == kind,
            Self::One(_) => false,
        }
    }
}

impl fmt::Display for CapabilityPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Family(family) => write!(f, "{family}.*"),
            Self::Kind(kind) => f.write_str(kind),
            Self::One(one) => one.fmt(f),
        }
    }
}

impl FromStr for CapabilityPattern {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        if text == "*" {
            return Ok(Self::Any);
        }
        if let Some(family) = text.strip_suffix(".*") {
            let families = KINDS.iter().filter_map(|kind| Some(kind.split_once('.')?.0));
            if let Some(family) = families.into_iter().find(|known| *known == family) {
                return Ok(Self::Family(family));
            }
        }
        let kind = text.strip_suffix(":*").unwrap_or(text);
        if let Some(kind) = KINDS.iter().find(|known| **known == kind) {
            return Ok(Self::Kind(kind));
        }
        text.parse().map(Self::One).map_err(|error: TextError| {
            let kind = text.split_once(':').map_or(text, |(kind, _)| kind);
            match nearest(kind, KINDS.into_iter()).filter(|known| *known != kind) {
                Some(near) => TextError(format!("`{}` is not a capability: did you mean `{near}`?", shown(text))),
                None => error,
            }
        })
    }
}

text_type!(CapabilityPattern);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_prints_as_it_was_read_and_takes_what_it_names() {
        let cases: [(&str, &[&str], &[&str]); 6] = [
            ("*", &["log", "net.tcp:*:443"], &[]),
            ("net.*", &["net.dns:a.example", "net.tcp:*:443"], &["http.out:https://a.example", "log"]),
            ("fs.read", &["fs.read:data:/", "fs.write:data:/"], &["env:LANG"]),
            ("fs.write", &["fs.write:data:/"], &["fs.read:data:/"]),
            ("http.out:https://*.a.example", &["http.out:https://b.a.example"], &["http.out:https://a.example"]),
            ("host:acme:web", &["host:acme:web/kv"], &["host:acme:other/kv"]),
        ];
        for (text, touched, others) in cases {
            let pattern: CapabilityPattern = text.parse().unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(pattern.to_string(), text);
            let is_touched_by = |text: &&str| pattern.is_touched_by(&text.parse().unwrap_or_else(|e| panic!("{e}")));
            assert!(touched.iter().all(is_touched_by) && !others.iter().any(is_touched_by), "{text}");
        }
        assert_eq!("http.out:*".parse(), Ok(CapabilityPattern::Kind("http.out")));
    }

    #[test]
    fn what_a_pattern_shares_with_a_capability_is_the_lesser_of_both() {
        let meet = |pattern: &str, capability: &str| {
            let pattern: CapabilityPattern = pattern.parse().unwrap_or_else(|e| panic!("{e}"));
            pattern.meet(&capability.parse().unwrap_or_else(|e| panic!("{e}"))).map(|met| met.to_string())
        };
        assert_eq!(meet("fs.read", "fs.write:data:/").as_deref(), Some("fs.read:data:/"));
        assert_eq!(meet("fs.write", "fs.read:data:/").as_deref(), Some("fs.read:data:/"));
        assert_eq!(meet("net.*", "http.out:https://a.example"), None);
        let narrower = meet("http.out:https://b.a.example", "http.out:https://*.a.example");
        assert_eq!(narrower.as_deref(), Some("http.out:https://b.a.example"));
    }

    #[test]
    fn a_pattern_of_no_capability_is_refused_with_the_nearest_there_is() {
        let said = |text: &str| text.parse::<CapabilityPattern>().map_err(|error| error.to_string());
        assert_eq!(said("http.ou"), Err("`http.ou` is not a capability: did you mean `http.out`?".into()));
        assert_eq!(said("disk.*"), Err("`disk.*` is not a capability".into()));
        assert_eq!(said("clock:fine"), Err("`fine` is not `coarse` or `real`".into()));
    }
}
