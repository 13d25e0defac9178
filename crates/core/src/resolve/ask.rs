//! What an update brings that nobody has agreed to who agreed to the lock.
//!
//! Attack: somebody who got hold of a publisher's key for the API releases a next version that reaches further, or that the
//! publisher has not signed. Hosts take next versions; they do not take these without being asked.

use std::fmt;

use crate::{
    digest::Digest,
    document::Listing,
    lock::{Entry, Exact, Lock, Publisher, decision_digest},
    resolve::{Documents, Known, Resolved, Source, error::exact},
    version::Version,
    wanted::Wanted,
};

/// A plugin in which something is new that has to be agreed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The chosen release.
    pub release: Exact,
    /// The version in the lock; `None` where the plugin is not in it.
    pub from: Option<Version>,
    /// What is new, at least one thing.
    pub new: Vec<New>,
}

/// One thing that is new.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum New {
    /// It asks for capabilities or tracks that the locked release does not ask for, sorted.
    Wider(Vec<String>),
    /// It asks for these, and what was agreed to is not known: the index no longer has the locked release, or another
    /// decision was locked than its release asks for.
    Unknown(Vec<String>),
    /// It is not in the lock, the host does not ask for it by name, and it asks for these capabilities: what an update may
    /// not do itself it could do through a plugin that it brings along.
    Newcomer(Vec<String>),
    /// Another key has signed it.
    Key {
        /// The key in the lock.
        locked: Digest,
        /// The key that has signed the chosen release.
        found: Digest,
    },
    /// The locked release bears a publisher's signature, and this one none that verifies.
    Unsigned {
        /// The key in the lock.
        locked: Digest,
    },
}

/// What is new in `plugins` against `lock`, sorted by id. What asks for less, or is signed for the first time, is not.
///
/// A resolution has it for what documents tell; who verifies publishers' signatures writes the keys into
/// [`Resolved::publisher`], and asks again.
pub fn asks(wanted: &Wanted, plugins: &[Resolved], lock: Option<&Lock>, documents: &Documents) -> Vec<Ask> {
    let Some(lock) = lock else { return Vec::new() };
    let from_registry = plugins.iter().filter(|plugin| matches!(plugin.source, Source::Registry(_)));
    let ask = |plugin: &Resolved| {
        let release = exact(&plugin.id, &plugin.version);
        let Some(entry) = lock.entries.get(&plugin.id) else {
            let capabilities = plugin.listing.capabilities.clone();
            let silent = capabilities.is_empty() || wanted.get(&plugin.id).is_some();
            return (!silent).then(|| Ask { release, from: None, new: vec![New::Newcomer(capabilities)] });
        };
        let before = match documents.get(&plugin.id) {
            Some(Known::Document(document)) => document.releases.get(&entry.version),
            _ => None,
        };
        let grants = new_grants(entry, before, &plugin.listing);
        let new: Vec<New> = grants.into_iter().chain(new_publisher(entry.publisher, plugin.publisher)).collect();
        (!new.is_empty()).then(|| Ask { release, from: Some(entry.version.clone()), new })
    };
    let mut asks: Vec<Ask> = from_registry.filter_map(ask).collect();
    asks.sort_by(|a, b| a.release.cmp(&b.release));
    asks
}

fn new_grants(entry: &Entry, before: Option<&Listing>, now: &Listing) -> Option<New> {
    if entry.decision == decision_digest(now) {
        return None;
    }
    let wants = |listing: &Listing| -> Vec<String> {
        let mut all: Vec<_> = listing.capabilities.iter().chain(&listing.tracks).cloned().collect();
        all.sort();
        all
    };
    // The index tells what the locked release asks for; only the lock tells that this was agreed to.
    let agreed = before.filter(|before| decision_digest(before) == entry.decision).map(wants);
    let mut new = wants(now);
    new.retain(|grant| !agreed.as_ref().is_some_and(|agreed| agreed.contains(grant)));
    match (new.is_empty(), agreed) {
        (true, _) => None,
        (false, Some(_)) => Some(New::Wider(new)),
        (false, None) => Some(New::Unknown(new)),
    }
}

fn new_publisher(locked: Publisher, found: Publisher) -> Option<New> {
    match (locked, found) {
        (Publisher::None, _) => None,
        (Publisher::Key(locked), Publisher::None) => Some(New::Unsigned { locked }),
        (Publisher::Key(locked), Publisher::Key(found)) if locked == found => None,
        (Publisher::Key(locked), Publisher::Key(found)) => Some(New::Key { locked, found }),
    }
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let new: Vec<_> = self.new.iter().map(New::to_string).collect();
        match &self.from {
            Some(from) if *from != self.release.version => {
                write!(f, "`{}` in the place of {from}: {}", self.release, new.join("; "))
            }
            _ => write!(f, "`{}`: {}", self.release, new.join("; ")),
        }
    }
}

impl fmt::Display for New {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wider(grants) => write!(f, "it asks for {} as well", spell(grants)),
            Self::Unknown(grants) => {
                write!(f, "it asks for {}, and what the lock agreed to is not known", spell(grants))
            }
            Self::Newcomer(grants) => {
                write!(f, "it comes with an update, nobody asked for it by name, and it asks for {}", spell(grants))
            }
            Self::Key { locked, found } => {
                write!(f, "it is signed by the key {}…, and the lock has {}…", found.short(16), locked.short(16))
            }
            Self::Unsigned { locked } => {
                write!(f, "it bears no publisher's signature, and the lock has one by the key {}…", locked.short(16))
            }
        }
    }
}

/// Quoted as Rust quotes: these are words of the release's author.
fn spell(grants: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<_> = grants.iter().take(SHOWN).map(|grant| format!("{grant:?}")).collect();
    match grants.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
