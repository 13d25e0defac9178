//! What a component needs: what it imports has to be linked, and what it asks for it would like to reach.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::{Capability, Clock, Grants, Random};
use crate::{
    classify::{Classified, ImportClass},
    document::Listing,
    id::PluginId,
    interface::InterfaceName,
    release::{Dependency, Import, Provider, providers_of},
};

/// What a release needs, by what its record says or by what its bytes import.
///
/// Imports are an upper bound of what a component can do that no nesting dodges: what is inside is handed nothing but
/// what comes in at the top.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    asks: BTreeSet<Capability>,
    unknown: BTreeSet<String>,
    implied: BTreeSet<Capability>,
    imports: BTreeSet<InterfaceName>,
}

impl Needs {
    /// The needs of a release, by its signed document.
    pub fn of(listing: &Listing) -> Self {
        Self::default().asking(&listing.capabilities).importing(&listing.imports, &listing.dependencies)
    }

    /// These needs, and the capabilities that an author asks for. What is not known to this program is kept as it is
    /// written, and refused by whoever decides.
    #[must_use]
    pub fn asking<'t>(mut self, asks: impl IntoIterator<Item = &'t String>) -> Self {
        for text in asks {
            match Capability::asked(text) {
                Ok(capability) => drop(self.asks.insert(capability)),
                Err(_) => drop(self.unknown.insert(text.clone())),
            }
        }
        self
    }

    /// These needs, and the imports of a record.
    #[must_use]
    pub fn importing(mut self, imports: &[Import], dependencies: &BTreeMap<PluginId, Dependency>) -> Self {
        for Import { name, from, .. } in imports {
            let class = match from {
                Provider::Wasi => ImportClass::Wasi,
                Provider::Convention => ImportClass::Convention,
                Provider::Types => ImportClass::Types,
                Provider::Host => ImportClass::Host(name.package().clone()),
                Provider::Dependency => match providers_of(dependencies, name).as_slice() {
                    [id] => ImportClass::Dependency((*id).clone()),
                    // Publishing refuses this. Whom it would call can not be said, and so not be decided.
                    _ => {
                        self.unknown.insert(format!("calls:{name}"));
                        continue;
                    }
                },
            };
            self.import(name, &class);
        }
        self
    }

    /// The needs that the classified imports of a component amount to.
    pub fn scanned(classified: &Classified) -> Self {
        Self::default().finding(classified.imports.iter().map(|import| (&import.name, &import.class)))
    }

    /// These needs, and imports as they were found in a component.
    #[must_use]
    pub fn finding<'t>(mut self, imports: impl IntoIterator<Item = (&'t InterfaceName, &'t ImportClass)>) -> Self {
        for (name, class) in imports {
            self.import(name, class);
        }
        self
    }

    /// What is asked for, without what any imports lead to.
    #[must_use]
    pub fn without_imports(&self) -> Self {
        Self { imports: BTreeSet::new(), implied: BTreeSet::new(), ..self.clone() }
    }

    /// The first thing in which the imports that were listed are not those that were found.
    pub fn disagrees(&self, found: &Self) -> Option<Disagreement> {
        let beyond = |ours: &BTreeSet<InterfaceName>, theirs: &BTreeSet<InterfaceName>| {
            ours.difference(theirs).next().map(ToString::to_string)
        };
        let reach = || found.implied.difference(&self.implied).next().map(ToString::to_string);
        let unused = || self.implied.difference(&found.implied).next().map(ToString::to_string);
        beyond(&found.imports, &self.imports)
            .map(Disagreement::Unlisted)
            .or_else(|| beyond(&self.imports, &found.imports).map(Disagreement::Absent))
            .or_else(|| reach().map(Disagreement::Reaches))
            .or_else(|| unused().map(Disagreement::Other))
    }

    fn import(&mut self, name: &InterfaceName, class: &ImportClass) {
        self.implied.extend(implied(name, class));
        self.imports.insert(name.clone());
    }

    /// What its author asks for.
    pub fn asks(&self) -> impl Iterator<Item = &Capability> {
        self.asks.iter()
    }

    /// What it asks for and this program has no name for, as it is written. Never granted.
    pub fn unknown(&self) -> impl Iterator<Item = &str> {
        self.unknown.iter().map(String::as_str)
    }

    /// What its imports lead to without its author asking: other plugins, services of the host, log, settings, state, and
    /// the least of clocks and random numbers.
    pub fn implied(&self) -> impl Iterator<Item = &Capability> {
        self.implied.iter()
    }

    /// What is imported, by full names.
    pub fn imports(&self) -> impl Iterator<Item = &InterfaceName> {
        self.imports.iter()
    }

    /// All of the above as grants: what it would have if nobody refused anything.
    pub fn all(&self) -> Grants {
        self.asks.iter().chain(&self.implied).cloned().collect()
    }

    /// What is asked for and never imported, or imported and never asked for: worth a word when it is published.
    pub fn oddities(&self) -> Vec<Oddity> {
        let serves = |kind: &str, name: &InterfaceName| {
            let package = name.package().to_string();
            match kind {
                "args" | "env" => package == "wasi:cli" && name.interface() == "environment",
                "clock" => package == "wasi:clocks",
                "fs.read" | "fs.write" => package == "wasi:filesystem",
                "http.out" => package == "wasi:http" && name.interface() == "outgoing-handler",
                "net.dns" | "net.tcp" | "net.udp" => package == "wasi:sockets",
                "random" => package == "wasi:random",
                _ => true,
            }
        };
        let kinds: BTreeSet<_> = self.asks.iter().map(Capability::kind).collect();
        let unused = kinds.iter().filter(|kind| !self.imports.iter().any(|name| serves(kind, name)));
        let mut found: Vec<_> = unused.map(|kind| Oddity::Unused { kind }).collect();
        // Toolchains import files, environment and clocks whatever a program does. These two they do not.
        for (wanted, kinds_of_it) in [("http.out", &["http.out"][..]), ("net.tcp", &["net.dns", "net.tcp", "net.udp"])]
        {
            let asked = kinds_of_it.iter().any(|kind| kinds.contains(kind));
            let import = self.imports.iter().find(|name| serves(wanted, name)).filter(|_| !asked);
            found.extend(import.map(|import| Oddity::Unasked { import: import.clone(), kinds: kinds_of_it }));
        }
        found
    }
}

/// What an import leads to by itself.
fn implied(name: &InterfaceName, class: &ImportClass) -> Option<Capability> {
    match class {
        ImportClass::Types => None,
        ImportClass::Dependency(id) => Some(Capability::Calls(id.clone())),
        ImportClass::Host(package) => Some(Capability::Host(package.clone(), Some(name.interface().into()))),
        ImportClass::Convention => match name.interface() {
            "config" => Some(Capability::Config),
            "log" => Some(Capability::Log),
            "state" => Some(Capability::State),
            _ => None,
        },
        ImportClass::Wasi => match (name.package().name(), name.interface()) {
            ("clocks", "wall-clock" | "monotonic-clock") => Some(Capability::Clock(Clock::Coarse)),
            // What is printed goes where log lines go.
            ("cli", "stdout" | "stderr") => Some(Capability::Log),
            ("random", "random") => Some(Capability::Random(Random::Secure)),
            _ => None,
        },
    }
}

/// Something that an author may not have meant.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Oddity {
    /// It is asked for, and nothing is imported that could use it.
    Unused {
        /// The kind.
        kind: &'static str,
    },
    /// It is imported, and nothing is asked for, so that every use will be refused.
    Unasked {
        /// The import.
        import: InterfaceName,
        /// What could be asked for.
        kinds: &'static [&'static str],
    },
}

impl fmt::Display for Oddity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unused { kind } => write!(f, "`{kind}` is asked for, but the component imports nothing that uses it"),
            Self::Unasked { import, kinds } => write!(
                f,
                "the component imports `{import}`, but asks for none of {}: whatever it tries there will be refused",
                kinds.iter().map(|kind| format!("`{kind}`")).collect::<Vec<_>>().join(", ")
            ),
        }
    }
}

/// How a component is not what was listed of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disagreement {
    /// It imports this, which is not listed.
    Unlisted(String),
    /// This is listed, and it does not import it.
    Absent(String),
    /// Its imports lead to this capability, which by what is listed they do not.
    Reaches(String),
    /// By what is listed its imports lead to this capability, and they do not.
    Other(String),
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unlisted(name) => write!(f, "it imports {name}, which is not listed"),
            Self::Absent(name) => write!(f, "{name} is listed, and it does not import that"),
            Self::Reaches(capability) => write!(f, "its imports lead to `{capability}`, and the listed ones do not"),
            Self::Other(capability) => write!(f, "the listed imports lead to `{capability}`, and its own do not"),
        }
    }
}
