//! What a plugin asks of its host, in words for people.

use std::collections::BTreeSet;

use serde::Serialize;
use stoa_core::release::{Import, Provider};

/// Something that a host can let a plugin do. Ordered: what matters most to a reader comes first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Power {
    Files,
    Network,
    Http,
    Host(String),
    Environment,
    State,
    Config,
    Log,
    Stdio,
    Random,
    Clock,
}

/// How much a reader should care.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Weight {
    /// No imports at all.
    Pure,
    /// Nothing that reaches data or machines outside the call.
    Quiet,
    /// Reaches files, the network, or something the host defines.
    Notable,
}

/// The capabilities that a component's imports amount to, each once.
///
/// An import is a request: what the host's policy refuses, the plugin does not get. Imports that a
/// dependency answers are no capabilities.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Capabilities(BTreeSet<Power>);

/// One capability as a page shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Line {
    pub(crate) title: String,
    pub(crate) words: String,
    pub(crate) weight: Weight,
}

impl Capabilities {
    /// What `imports` amount to.
    pub fn of(imports: &[Import]) -> Self {
        let asked = imports.iter().filter(|import| !matches!(import.from, Provider::Dependency | Provider::Types));
        Self(asked.filter_map(|import| power(&import.name.to_string())).collect())
    }

    pub(crate) fn weight(&self) -> Weight {
        self.0.iter().map(Power::weight).max().unwrap_or(Weight::Pure)
    }

    /// A few words for a badge.
    pub(crate) fn hint(&self) -> String {
        let notable = self.0.iter().filter(|power| power.weight() == Weight::Notable);
        let mut words: Vec<&str> = notable.map(Power::word).collect();
        words.dedup();
        match (self.weight(), words.as_slice()) {
            (Weight::Pure, _) => "pure computation".to_owned(),
            (_, []) => "no files, no network".to_owned(),
            (_, [one]) => format!("asks for {one}"),
            (_, [one, two]) => format!("asks for {one}, {two}"),
            (_, [one, two, more @ ..]) => format!("asks for {one}, {two} and {} more", more.len()),
        }
    }

    /// A sentence for the head of the section.
    pub(crate) fn sentence(&self) -> &'static str {
        match self.weight() {
            Weight::Pure => {
                "Pure computation. It reads no files, opens no connections, knows no time and draws no random \
                 numbers: what comes out depends on nothing but what goes in."
            }
            Weight::Quiet => "It reads no files and opens no connections. What it asks for is listed here.",
            Weight::Notable => "What it asks for is listed here.",
        }
    }

    pub(crate) fn lines(&self) -> Vec<Line> {
        self.0.iter().map(|power| Line { title: power.title(), words: power.words(), weight: power.weight() }).collect()
    }
}

/// The power behind an import; `None` for mere mechanics such as streams and types.
fn power(name: &str) -> Option<Power> {
    let unversioned = name.split('@').next().unwrap_or(name);
    let (package, interface) = unversioned.split_once('/').unwrap_or((unversioned, ""));
    Some(match (package, interface) {
        ("wasi:io", _) | ("wasi:cli", "exit") | ("stoa:plugin", "types") => return None,
        ("wasi:filesystem", _) => Power::Files,
        ("wasi:sockets", _) => Power::Network,
        ("wasi:http", _) => Power::Http,
        ("wasi:cli", "environment") => Power::Environment,
        ("wasi:cli", _) => Power::Stdio,
        ("wasi:clocks", _) => Power::Clock,
        ("wasi:random", _) => Power::Random,
        ("stoa:plugin", "log") => Power::Log,
        ("stoa:plugin", "config") => Power::Config,
        ("stoa:plugin", "state") => Power::State,
        _ => Power::Host(unversioned.to_owned()),
    })
}

impl Power {
    fn weight(&self) -> Weight {
        match self {
            Self::Files | Self::Network | Self::Http | Self::Host(_) => Weight::Notable,
            _ => Weight::Quiet,
        }
    }

    /// For the badge; host interfaces share one word.
    fn word(&self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Network => "network",
            Self::Http => "HTTP",
            _ => "host services",
        }
    }

    fn title(&self) -> String {
        match self {
            Self::Files => "Files",
            Self::Network => "Network connections",
            Self::Http => "HTTP",
            Self::Host(name) => return name.clone(),
            Self::Environment => "Environment",
            Self::State => "Lasting state",
            Self::Config => "Configuration",
            Self::Log => "Log",
            Self::Stdio => "Standard streams",
            Self::Random => "Random numbers",
            Self::Clock => "Clock",
        }
        .to_owned()
    }

    fn words(&self) -> String {
        match self {
            Self::Files => "Reads or writes files, in folders that the host opens for it. None by default.",
            Self::Network => {
                "Opens or accepts network connections, to addresses that the host allows. None by default."
            }
            Self::Http => "Makes or answers HTTP requests, with hosts that the policy names. None by default.",
            Self::Host(_) => "A service of the host program. It runs only in hosts that offer it.",
            Self::Environment => "Reads arguments and environment variables that the host passes. None by default.",
            Self::State => "Keeps values between calls, in a store of its own that no other plugin sees.",
            Self::Config => "Reads the settings that the host gives it.",
            Self::Log => "Writes lines to the host's log.",
            Self::Stdio => "Reads input or writes output through streams that the host connects.",
            Self::Random => "Draws random numbers.",
            Self::Clock => "Reads the time or waits for it.",
        }
        .to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[&str]) -> Capabilities {
        let import = |name: &&str| Import {
            name: name.parse().expect("an interface name"),
            types: "00000000000000aa".parse().expect("a hash"),
            from: if name.starts_with("demo:") { Provider::Dependency } else { Provider::Wasi },
        };
        Capabilities::of(&names.iter().map(import).collect::<Vec<_>>())
    }

    #[test]
    fn a_component_that_imports_only_its_dependencies_is_pure() {
        let pure = of(&["demo:slugify/slug@1.0.0", "stoa:plugin/types@0.1.0", "wasi:io/streams@0.2.6"]);
        assert_eq!((pure.hint().as_str(), pure.weight(), pure.lines()), ("pure computation", Weight::Pure, vec![]));
    }

    #[test]
    fn hints_name_what_reaches_outside() {
        let hint = |names: &[&str]| of(names).hint();
        assert_eq!(hint(&["wasi:clocks/wall-clock@0.2.6", "stoa:plugin/log@0.1.0"]), "no files, no network");
        assert_eq!(hint(&["wasi:filesystem/types@0.2.6", "wasi:filesystem/preopens@0.2.6"]), "asks for files");
        assert_eq!(hint(&["wasi:sockets/tcp@0.2.6", "wasi:filesystem/types@0.2.6"]), "asks for files, network");
        assert_eq!(
            hint(&["wasi:http/types@0.2.6", "wasi:sockets/tcp@0.2.6", "acme:kv/store@1.0.0", "acme:mq/queue@1.0.0"]),
            "asks for network, HTTP and 1 more"
        );
    }
}
