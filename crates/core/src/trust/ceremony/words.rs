//! What a ceremony changes, in words that are computed from its documents.

use std::fmt;

use super::{KeyRole, Offer, OfflineDocument};
use crate::trust::{
    KeyId,
    writer::{Signers, Terms},
};

/// One thing that a ceremony changes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// A document is new.
    Document {
        /// The document.
        document: OfflineDocument,
        /// The version and expiry that it replaces.
        before: Option<Terms>,
        /// Its own.
        after: Terms,
    },
    /// Other keys sign a role, or another number of them.
    Keys {
        /// The role.
        role: KeyRole,
        /// Who signed it before.
        before: Option<Signers>,
        /// Who signs it now.
        after: Signers,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Document { document, before: None, after } => {
                write!(f, "{document} {}: new, good until {}", after.version, after.expires)
            }
            Self::Document { document, before: Some(before), after } => write!(
                f,
                "{document} {} -> {}: good until {} instead of {}",
                before.version, after.version, after.expires, before.expires
            ),
            Self::Keys { role, before, after } => {
                let none = std::collections::BTreeMap::new();
                let old = before.as_ref().map_or(&none, |before| before.keys());
                let differ = |these: Vec<&KeyId>, sign: char| {
                    these.into_iter().map(|id| format!("{sign}{}", id.short())).collect::<Vec<_>>()
                };
                let gone = differ(old.keys().filter(|id| !after.keys().contains_key(*id)).collect(), '-');
                let come = differ(after.keys().keys().filter(|id| !old.contains_key(*id)).collect(), '+');
                write!(f, "{role} is signed by {} of {} keys", after.threshold(), after.keys().len())?;
                if let Some(before) = before {
                    write!(f, ", before by {} of {}", before.threshold(), before.keys().len())?;
                }
                let keys: Vec<_> = gone.into_iter().chain(come).collect();
                if keys.is_empty() { Ok(()) } else { write!(f, ": {}", keys.join(" ")) }
            }
        }
    }
}

pub(super) fn changes(offer: &Offer) -> Vec<Change> {
    let before = offer.before();
    let documents = offer.documents().map(|(document, after)| Change::Document {
        document,
        before: before.map(|before| before.terms(document)),
        after,
    });
    let roles = changed_roles(offer).into_iter().map(|role| Change::Keys {
        role,
        before: before.map(|before| before.roster().signers(role).clone()),
        after: offer.roster().signers(role).clone(),
    });
    documents.chain(roles).collect()
}

fn changed_roles(offer: &Offer) -> Vec<KeyRole> {
    let same = |role: &KeyRole| {
        offer.before().is_some_and(|before| before.roster().signers(*role) == offer.roster().signers(*role))
    };
    KeyRole::ALL.into_iter().filter(|role| !same(role)).collect()
}

/// Whether a key that signed `role` does so no more.
fn takes_away(offer: &Offer, role: KeyRole) -> bool {
    let before = offer.before().map(|before| before.roster().signers(role));
    before.is_some_and(|before| before.keys().keys().any(|id| !offer.roster().signers(role).keys().contains_key(id)))
}

pub(super) fn effects(offer: &Offer) -> Vec<String> {
    let mut said = Vec::new();
    let mut say = |text: &str| said.push(text.to_owned());
    let changed = changed_roles(offer);
    if offer.before().is_none() {
        say("hosts: the root of this ceremony is what they pin, for good");
        say("signers: each keeps their key on a machine of their own; the registry never has it");
        return said;
    }
    match changed.is_empty() {
        true => say("hosts: they see later expiries and nothing else; no key changes"),
        false => say("hosts: nothing to do, whichever root they pin; they follow at their next refresh"),
    }
    if changed.contains(&KeyRole::Root) {
        say("signers of root: from now on the new keys sign; those that go can sign no later root");
    }
    if changed.contains(&KeyRole::Targets) {
        say("signers of targets: `targets` and `index` are signed anew by the new keys");
    }
    if takes_away(offer, KeyRole::Snapshot) || takes_away(offer, KeyRole::Timestamp) {
        say(
            "hosts: they forget the version floors that the old online keys had raised (recovery from a fast-forward); \
             what an old key signs is refused once they have seen the new root",
        );
    }
    if offer.documents().any(|(document, _)| document == OfflineDocument::Index) {
        say("hosts: all bins are signed anew, so each fetches the bins that it reads once more");
    }
    if changed.iter().any(|role| !role.is_offline()) {
        say("operator: the registry has to be stopped for the import, and goes on with its new online keys; \
             then back it up, since older backups have the old ones");
    }
    if changed.iter().any(|role| role.is_offline() && takes_away(offer, *role)) {
        say(
            "operator: keep the key files that go until every copy of the registry has the new root; then destroy them",
        );
    }
    said
}
