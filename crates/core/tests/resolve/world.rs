//! Small registries, written as text.

use std::collections::BTreeMap;

use stoa_core::{
    digest::Digest,
    document::{About, Document, Listing, State},
    id::PluginId,
    lock::{Header, Lock},
    offer::Offer,
    release::{BlobRef, Dependency, Export, Import, Kind, OnFailure, Provider, Runtime},
    resolve::{Documents, Known, Mode, Resolution, ResolveError, ResolveOptions, resolve},
    time::Time,
    version::Version,
    wanted::Wanted,
};

/// A registry and a host.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) documents: Documents,
    pub(crate) offer: Offer,
}

impl World {
    /// Reads releases, one a line (`id version [interface] [yanked REASON]`), each followed by indented lines:
    /// `needs ID REQ [optional] [trap] [for=NAME]`, `imports NAME HASH`, `exports NAME HASH`, `host NAME HASH`,
    /// `types NAME`, `convention NAME`, `track NAME`, `cap NAME`. A line `absent ID` proves a plugin's absence, `not-kept ID`
    /// leaves it open, and `newer ID VERSION` is a release in a newer format; lines `offers NAME [HASH]` and
    /// `offers-track NAME` speak of the host.
    pub(crate) fn of(text: &str) -> Self {
        let mut world = Self { documents: BTreeMap::new(), offer: Offer::new() };
        let mut current: Option<(PluginId, Version)> = None;
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let words: Vec<&str> = line.split_whitespace().collect();
            if let Some((id, version)) = current.as_ref().filter(|_| line.starts_with("    ")) {
                world.detail(id, version, &words);
                continue;
            }
            match words.as_slice() {
                ["absent", id] => {
                    world.documents.insert(parse(id), Known::Absent);
                }
                ["not-kept", id] => {
                    world.documents.insert(parse(id), Known::NotKept);
                }
                ["newer", id, version] => {
                    let empty = || Known::Document(document(parse(id), Kind::Plugin));
                    let Known::Document(document) = world.documents.entry(parse(id)).or_insert_with(empty) else {
                        panic!("{id} is absent")
                    };
                    document.newer.insert(parse(version), vec!["later".to_owned()]);
                }
                ["offers", name] => world.offer = world.offer.with_interface(parse(name), None),
                ["offers", name, hash] => world.offer = world.offer.with_interface(parse(name), Some(types(hash))),
                ["offers-track", name] => world.offer = world.offer.with_track(*name),
                [id, version, flags @ ..] => current = Some(world.release(id, version, flags)),
                other => panic!("what is {other:?}?"),
            }
        }
        world
    }

    fn release(&mut self, id: &str, version: &str, flags: &[&str]) -> (PluginId, Version) {
        let (id, version): (PluginId, Version) = (parse(id), parse(version));
        let seq = self.documents.len() as u64 + 1;
        let state = match flags {
            ["yanked", reason @ ..] => State::Yanked { reason: reason.join(" "), at: Time::from_unix(1_777_766_400) },
            _ => State::Listed,
        };
        let name = format!("{id}@{version}");
        let listing = Listing {
            artifact: BlobRef::of(name.as_bytes()),
            record: Digest::of(format!("record of {name}").as_bytes()),
            seq,
            published_at: Time::from_unix(0),
            dependencies: BTreeMap::new(),
            imports: Vec::new(),
            exports: Vec::new(),
            tracks: Vec::new(),
            capabilities: Vec::new(),
            limits: BTreeMap::new(),
            runtime: Runtime::default(),
            attestations: Default::default(),
            state,
            takedown: None,
            certified: None,
        };
        let kind = if flags.contains(&"interface") { Kind::Interface } else { Kind::Plugin };
        let empty = || Known::Document(document(id.clone(), kind));
        let Known::Document(document) = self.documents.entry(id.clone()).or_insert_with(empty) else {
            panic!("{id} is absent")
        };
        document.releases.insert(version.clone(), listing);
        (id, version)
    }

    /// What a program sees that knows the format of this release: one without dependencies.
    pub(crate) fn understand(&mut self, id: &PluginId, version: &Version) {
        self.release(&id.to_string(), &version.to_string(), &[]);
        let Some(Known::Document(document)) = self.documents.get_mut(id) else { panic!("no {id}") };
        document.newer.remove(version);
    }

    pub(crate) fn set_interface(&mut self, id: &str) {
        let Some(Known::Document(document)) = self.documents.get_mut(&parse::<PluginId>(id)) else { panic!("no {id}") };
        document.kind = Kind::Interface;
    }

    pub(crate) fn listing(&mut self, id: &str, version: &str) -> &mut Listing {
        let Some(Known::Document(document)) = self.documents.get_mut(&parse::<PluginId>(id)) else { panic!("no {id}") };
        document.releases.get_mut(&parse::<Version>(version)).expect("a release")
    }

    fn detail(&mut self, id: &PluginId, version: &Version, words: &[&str]) {
        let listing = self.listing(&id.to_string(), &version.to_string());
        let import = |name: &str, hash: &str, from| Import { name: parse(name), types: types(hash), from };
        match words {
            ["needs", id, requirement, flags @ ..] => {
                let said = flags.iter().filter_map(|flag| flag.strip_prefix("for=")).map(str::to_owned);
                let dependency = Dependency {
                    version: parse(requirement),
                    optional: flags.contains(&"optional"),
                    for_interfaces: said.collect(),
                    on_failure: if flags.contains(&"trap") { OnFailure::Trap } else { OnFailure::Value },
                };
                listing.dependencies.insert(parse(id), dependency);
            }
            ["imports", name, hash] => listing.imports.push(import(name, hash, Provider::Dependency)),
            ["host", name, hash] => listing.imports.push(import(name, hash, Provider::Host)),
            ["types", name] => listing.imports.push(import(name, "1", Provider::Types)),
            ["convention", name] => listing.imports.push(import(name, "1", Provider::Convention)),
            ["exports", name, hash] => listing.exports.push(Export { name: parse(name), types: types(hash) }),
            ["track", name] => listing.tracks.push((*name).to_owned()),
            ["cap", name] => listing.capabilities.push((*name).to_owned()),
            other => panic!("what is {other:?}?"),
        }
        listing.imports.sort();
        listing.exports.sort();
    }

    /// Resolves `wanted` (lines of the table `plugins`).
    pub(crate) fn resolve(&self, wanted: &str, lock: Option<&Lock>, mode: Mode) -> Result<Resolution, ResolveError> {
        let options = options().with_mode(mode);
        resolve(&wishes(wanted), lock, &self.offer, &self.documents, &options)
    }

    /// The names of what is chosen, in load order.
    pub(crate) fn chosen(&self, wanted: &str) -> Vec<String> {
        names(&self.resolve(wanted, None, Mode::Keep).unwrap_or_else(|error| panic!("{}", error.report())))
    }

    /// The message of a failure.
    pub(crate) fn failure(&self, wanted: &str) -> ResolveError {
        match self.resolve(wanted, None, Mode::Keep) {
            Ok(resolution) => panic!("resolved: {:?}", names(&resolution)),
            Err(error) => error,
        }
    }

    pub(crate) fn lock(&self, wanted: &str) -> Lock {
        let resolution = self.resolve(wanted, None, Mode::Keep);
        resolution.unwrap_or_else(|error| panic!("{}", error.report())).lock(self.header())
    }

    pub(crate) fn header(&self) -> Header {
        Header {
            url: "https://registry.example".into(),
            root_sha256: Digest::of(b"root"),
            root: 1,
            snapshot: 7,
            offer: self.offer.digest(),
        }
    }
}

fn document(id: PluginId, kind: Kind) -> Document {
    let about = About {
        version: parse("0.0.0"),
        description: String::new(),
        license: "MIT".into(),
        repository: None,
        keywords: Vec::new(),
        categories: Vec::new(),
        wit: BlobRef::of(b""),
        readme: None,
    };
    let (takedown, advisories, releases, newer) = Default::default();
    Document { id, kind, seq: 1, about, takedown, advisories, releases, newer }
}

pub(crate) fn options() -> ResolveOptions {
    ResolveOptions::new(parse("main"))
}

/// A `plugins.toml` with these lines in its table `plugins`; the first is line 1.
pub(crate) fn wishes(lines: &str) -> Wanted {
    let quoted = lines.lines().map(|line| match line.trim().split_once(' ') {
        Some((id, rest)) if rest.starts_with('{') => format!("plugins.\"{id}\" = {rest}\n"),
        Some((id, requirement)) => format!("plugins.\"{id}\" = \"{requirement}\"\n"),
        None => "\n".to_owned(),
    });
    Wanted::parse(&quoted.collect::<String>()).expect("a plugins.toml")
}

pub(crate) fn names(resolution: &Resolution) -> Vec<String> {
    resolution.plugins.iter().map(|plugin| format!("{}@{}", plugin.id, plugin.version)).collect()
}

pub(crate) fn parse<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

pub(crate) fn types(text: &str) -> stoa_core::interface::TypeHash {
    parse(&format!("{text:0>16}"))
}
