//! What a host gives to its plugins.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::{
    canonical,
    digest::Digest,
    interface::{InterfaceName, TypeHash},
};

/// What a host gives: interfaces with their versions, those of `stoa:plugin` among them, and tracks such as `wasi:0.2`.
///
/// A host interface of one version answers imports of that version and of every lower one that semver calls
/// compatible with it (the same major, or the same minor below 1.0): an import says the least that a plugin needs.
/// Types decide nothing here: an import has only what its component uses of the interface, and so often another hash
/// than the whole. The linker compares function by function.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offer {
    interfaces: BTreeMap<InterfaceName, Option<TypeHash>>,
    tracks: BTreeSet<String>,
}

impl Offer {
    /// An offer of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// This offer with the interface `name` as well, for instance `acme:web/kv@1.2.0`. `types` is the structural
    /// hash where the host knows it: it makes the offer another one (see [`Offer::digest`]) when the types change.
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
    /// `{"interfaces": {name: hash or null}, "multi-major": false, "tracks": […]}`.
    ///
    /// `multi-major` (several majors of a plugin side by side) is not on offer yet; it is written so that
    /// the digests of hosts without it stay when it is.
    pub fn digest(&self) -> Digest {
        let interfaces: BTreeMap<String, Option<String>> = self
            .interfaces
            .iter()
            .map(|(name, types)| (name.to_string(), types.map(|hash| hash.to_string())))
            .collect();
        let value = json!({"interfaces": interfaces, "multi-major": false, "tracks": self.tracks});
        // Strings, a flag and lists of them always have a canonical form.
        Digest::of(&canonical::to_bytes(&value).unwrap_or_default())
    }

    /// Whether the host answers an import of `name`.
    ///
    /// # Errors
    /// [`Unanswered`], with what the host offers instead.
    pub fn answers(&self, name: &InterfaceName) -> Result<(), Unanswered> {
        let interface = name.unversioned();
        let offered: Vec<_> = self.interfaces.keys().filter(|ours| ours.unversioned() == interface).cloned().collect();
        if offered.iter().any(|ours| ours.serves(name)) { Ok(()) } else { Err(Unanswered(offered)) }
    }
}

/// Why a host does not answer an import: it offers these versions of the interface (none: it does not know it), and
/// none of them is compatible and as high as the import's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unanswered(pub Vec<InterfaceName>);

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
        for text in
            ["acme:web/kv@1.0.0", "acme:web/kv@1.4.1", "acme:web/kv@2.0.0", "acme:web/log", "acme:web/old@0.2.1"]
        {
            assert_eq!(offer().answers(&name(text)), Ok(()), "{text}");
        }
    }

    #[test]
    fn a_lower_or_incompatible_version_does_not() {
        let kv = || vec![name("acme:web/kv@1.4.2"), name("acme:web/kv@2.0.0")];
        for text in ["acme:web/kv@1.4.3", "acme:web/kv@3.0.0", "acme:web/kv@1.0.0-rc.1", "acme:web/kv"] {
            assert_eq!(offer().answers(&name(text)), Err(Unanswered(kv())), "{text}");
        }
        let old = vec![name("acme:web/old@0.2.3")];
        assert_eq!(offer().answers(&name("acme:web/old@0.1.0")), Err(Unanswered(old)));
        assert_eq!(offer().answers(&name("acme:web/http@1.0.0")), Err(Unanswered(vec![])));
    }

    #[test]
    fn conventions_are_offered_one_by_one() {
        let host = offer().with_interface(name("stoa:plugin/log@0.1.0"), None);
        assert_eq!(host.answers(&name("stoa:plugin/log@0.1.0")), Ok(()));
        assert_eq!(host.answers(&name("stoa:plugin/state@0.1.0")), Err(Unanswered(vec![])));
        assert_eq!(Offer::new().answers(&name("stoa:plugin/log@0.1.0")), Err(Unanswered(vec![])));
    }

    #[test]
    fn the_digest_of_an_offer_stays() {
        insta::assert_snapshot!(offer().digest(), @"f4aceee97649fa6da36e4829c9e7bc2c837aa9b98d42a52cb80fc8547296cf48");
        assert_ne!(offer().digest(), offer().with_track("wasi:0.3").digest());
        assert_ne!(Offer::new().digest(), Digest::of(b""));
    }
}
