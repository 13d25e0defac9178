//! What a host gives to its plugins.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::{
    canonical,
    digest::Digest,
    interface::{InterfaceName, TypeHash},
};

/// The conventions between plugins and hosts (`stoa:plugin`) that this program has. Every host offers them.
pub const CONVENTION: &str = "stoa:plugin@0.1.0";

/// What a host gives: interfaces with their versions, and tracks such as `wasi:0.2`.
///
/// A host interface of one version answers imports of that version and of every lower one that semver calls
/// compatible with it (the same major, or the same minor below 1.0): an import says the least that a plugin needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offer {
    interfaces: BTreeMap<InterfaceName, Option<TypeHash>>,
    tracks: BTreeSet<String>,
}

impl Offer {
    /// An offer of nothing but the conventions.
    pub fn new() -> Self {
        Self::default()
    }

    /// This offer with the interface `name` as well, for instance `acme:web/kv@1.2.0`. `types` is the structural
    /// hash where the host knows it: an import of exactly this version must then have the same.
    #[must_use]
    pub fn with_interface(mut self, name: InterfaceName, types: Option<TypeHash>) -> Self {
        self.interfaces.insert(name, types);
        self
    }

    /// This offer with the track `name` as well, for instance `wasi:0.2`.
    #[must_use]
    pub fn with_track(mut self, name: impl Into<String>) -> Self {
        self.tracks.insert(name.into());
        self
    }

    /// The offered interfaces, with their structural hashes where the host knows them.
    pub fn interfaces(&self) -> &BTreeMap<InterfaceName, Option<TypeHash>> {
        &self.interfaces
    }

    /// The offered tracks.
    pub fn tracks(&self) -> &BTreeSet<String> {
        &self.tracks
    }

    /// The digest that a lock file names: of the canonical JSON
    /// `{"convention", "interfaces": {name: hash or null}, "multi-major": false, "tracks": […]}`.
    ///
    /// `multi-major` (several majors of a plugin side by side) is not on offer yet; it is written so that
    /// the digests of hosts without it stay when it is.
    pub fn digest(&self) -> Digest {
        let interfaces: BTreeMap<String, Option<String>> = self
            .interfaces
            .iter()
            .map(|(name, types)| (name.to_string(), types.map(|hash| hash.to_string())))
            .collect();
        let value = json!({
            "convention": CONVENTION, "interfaces": interfaces, "multi-major": false, "tracks": self.tracks,
        });
        // Strings, a flag and lists of them always have a canonical form.
        Digest::of(&canonical::to_bytes(&value).unwrap_or_default())
    }

    /// Whether the host answers an import of `name` whose types have the hash `types`.
    ///
    /// # Errors
    /// [`Unanswered`], with what the host offers instead.
    pub fn answers(&self, name: &InterfaceName, types: TypeHash) -> Result<(), Unanswered> {
        // The exact name goes first, as in the engine's linker: a higher version does not hide a wrong type.
        if let Some(known) = self.interfaces.get(name) {
            let same = known.is_none_or(|hash| hash == types);
            return if same { Ok(()) } else { Err(Unanswered::Types(name.clone())) };
        }
        let interface = name.unversioned();
        let offered: Vec<_> = self.interfaces.keys().filter(|ours| ours.unversioned() == interface).cloned().collect();
        if offered.iter().any(|ours| serves(ours, name)) {
            return Ok(());
        }
        Err(Unanswered::Version(offered))
    }

    /// Whether the conventions of this program answer an import of `name`.
    pub(crate) fn answers_convention(name: &InterfaceName) -> bool {
        let (package, version) = CONVENTION.split_once('@').unwrap_or((CONVENTION, ""));
        let ours = format!("{package}/{}@{version}", name.interface()).parse();
        ours.is_ok_and(|ours| serves(&ours, name))
    }
}

/// Why a host does not answer an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unanswered {
    /// It offers that very version with other types; the name.
    Types(InterfaceName),
    /// It offers these versions of the interface (none: it does not know it), and none of them is compatible and as
    /// high as the import's.
    Version(Vec<InterfaceName>),
}

/// Whether an export or offer called `ours` answers an import of `wanted`: the same interface in the same or a higher
/// version of one track, which is what the component model and the engine's linker call compatible.
pub(crate) fn serves(ours: &InterfaceName, wanted: &InterfaceName) -> bool {
    let higher = || ours.version() > wanted.version() && ours.track() == wanted.track();
    ours.unversioned() == wanted.unversioned() && (ours.version() == wanted.version() || higher())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> InterfaceName {
        text.parse().expect("an interface name")
    }

    fn hash(text: &str) -> TypeHash {
        text.parse().expect("a type hash")
    }

    fn offer() -> Offer {
        Offer::new()
            .with_interface(name("acme:web/kv@1.4.2"), Some(hash("00000000000000aa")))
            .with_interface(name("acme:web/kv@2.0.0"), None)
            .with_interface(name("acme:web/log"), None)
            .with_interface(name("acme:web/old@0.2.3"), None)
            .with_track("wasi:0.2")
    }

    #[test]
    fn a_higher_compatible_version_answers_an_import() {
        let any = hash("00000000000000bb");
        for text in
            ["acme:web/kv@1.0.0", "acme:web/kv@1.4.1", "acme:web/kv@2.0.0", "acme:web/log", "acme:web/old@0.2.1"]
        {
            assert_eq!(offer().answers(&name(text), any), Ok(()), "{text}");
        }
    }

    #[test]
    fn a_lower_or_incompatible_version_does_not() {
        let any = hash("00000000000000bb");
        let kv = || vec![name("acme:web/kv@1.4.2"), name("acme:web/kv@2.0.0")];
        for text in ["acme:web/kv@1.4.3", "acme:web/kv@3.0.0", "acme:web/kv@1.0.0-rc.1", "acme:web/kv"] {
            assert_eq!(offer().answers(&name(text), any), Err(Unanswered::Version(kv())), "{text}");
        }
        let old = vec![name("acme:web/old@0.2.3")];
        assert_eq!(offer().answers(&name("acme:web/old@0.1.0"), any), Err(Unanswered::Version(old)));
        assert_eq!(offer().answers(&name("acme:web/http@1.0.0"), any), Err(Unanswered::Version(vec![])));
    }

    #[test]
    fn the_same_version_with_other_types_does_not() {
        let kv = name("acme:web/kv@1.4.2");
        assert_eq!(offer().answers(&kv, hash("00000000000000aa")), Ok(()));
        assert_eq!(offer().answers(&kv, hash("00000000000000bb")), Err(Unanswered::Types(kv)));
    }

    #[test]
    fn the_conventions_are_on_every_offer() {
        assert!(Offer::answers_convention(&name("stoa:plugin/log@0.1.0")));
        assert!(!Offer::answers_convention(&name("stoa:plugin/log@0.1.1")));
        assert!(!Offer::answers_convention(&name("stoa:other/log@0.1.0")));
        assert!(crate::interface::STOA_PLUGIN_WIT.contains(&format!("\npackage {CONVENTION};\n")));
    }

    #[test]
    fn the_digest_of_an_offer_stays() {
        insta::assert_snapshot!(offer().digest(), @"31df02f35744a77c94bf1f6e0f2bb082d71c02009627d7bf5da6db25974e3a1e");
        assert_ne!(offer().digest(), offer().with_track("wasi:0.3").digest());
        assert_ne!(Offer::new().digest(), Digest::of(b""));
    }
}
