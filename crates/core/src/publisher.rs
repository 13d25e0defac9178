//! The keys that publishers of a namespace sign with: a fold of the log, and a signed target that clients read.
//!
//! A key enters by a statement that it signs itself. It counts at once where a key of the namespace that counts signs
//! too, or where the namespace never had one; otherwise after [`COOLDOWN`], in which everybody can see it.
//! Order is by place in the log and time by the time of events: no clock bears on it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    attestation::{AttestationError, Attestations, Envelope, ReleaseClaim, strict},
    canonical,
    digest::Digest,
    event::{Event, Fact, check_reason},
    id::Namespace,
    time::{DAY, Time},
    trust::{KeyId, PublicKey},
};

pub use self::{
    error::PublisherError,
    statement::{Change, Statement},
};

mod error;
mod statement;

/// The payload type of a [`Statement`].
pub const NAMESPACE_TYPE: &str = "application/vnd.stoa.namespace+json";
/// How long a key waits that no other vouches for: 3 days.
pub const COOLDOWN: i64 = 3 * DAY;
/// A namespace has at most this many keys, those included that do not count any more: releases name them for ever.
pub const MAX_KEYS: usize = 64;
/// The document of a namespace has at most this many bytes: 64 keys with the longest reasons take about 160 KiB.
pub const MAX_PUBLISHERS_BYTES: usize = 256 * 1024;

/// How a key ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ended {
    /// The event.
    pub seq: u64,
    /// Its time.
    pub at: Time,
    /// Why it was revoked; none where it was replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<String>,
}

/// A key of a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// It, in TUF's form.
    pub key: PublicKey,
    /// The event that added it.
    pub seq: u64,
    /// From when on it counts.
    pub usable_at: Time,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
}

/// A namespace's keys, and what it demands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Publishers {
    /// Always 1.
    format: u32,
    /// SHA-256 of the registry's first root.
    pub registry: Digest,
    /// The namespace.
    pub namespace: Namespace,
    /// The last event that touched it.
    pub seq: u64,
    /// How many statements were accepted.
    pub number: u64,
    /// The event since which each release has to be signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub demanded: Option<u64>,
    /// The keys.
    pub keys: BTreeMap<String, Key>,
}

/// Who signed a release, where that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The keys.
    pub keys: Vec<KeyId>,
    /// Those among them that were revoked later, with the reason.
    pub flagged: Vec<(KeyId, String)>,
}

/// The namespace whose keys `event` changes.
pub fn touched(event: &Event) -> Option<&Namespace> {
    match &event.fact {
        Fact::PublisherStated { namespace, .. } | Fact::PublisherKeyRevoked { namespace, .. } => Some(namespace),
        _ => None,
    }
}

impl Publishers {
    /// The state after `event`, which touches this namespace. Signatures are verified: an indexer can invent no key.
    ///
    /// # Errors
    /// [`PublisherError`] where the log is not one that the API wrote.
    pub fn apply(before: Option<Self>, event: &Event) -> Result<Option<Self>, PublisherError> {
        match &event.fact {
            Fact::PublisherStated { namespace, statement } => {
                let said = Statement::read(statement)?;
                let before = before.unwrap_or_else(|| Self::none(said.registry, namespace.clone()));
                before.state(statement, event.seq, event.time).map(Some)
            }
            Fact::PublisherKeyRevoked { namespace, key, reason } => {
                let unknown = || PublisherError::Unknown { namespace: namespace.clone(), key: key.clone() };
                before.ok_or_else(unknown)?.revoke(key, reason, event.seq, event.time).map(Some)
            }
            _ => Ok(before),
        }
    }

    /// A namespace that has never had a key.
    pub fn none(registry: Digest, namespace: Namespace) -> Self {
        Self { format: 1, registry, namespace, seq: 0, number: 0, demanded: None, keys: BTreeMap::new() }
    }

    fn rule<T>(&self, rule: impl Into<String>) -> Result<T, PublisherError> {
        Err(PublisherError::Rule { namespace: self.namespace.clone(), rule: rule.into() })
    }

    fn key(&self, id: &KeyId) -> Result<&Key, PublisherError> {
        let unknown = || PublisherError::Unknown { namespace: self.namespace.clone(), key: id.clone() };
        self.keys.get(id.as_str()).ok_or_else(unknown)
    }

    /// The key, where it counts for what event `seq` at `at` says.
    fn counting(&self, id: &KeyId, seq: u64, at: Time) -> Result<&Key, PublisherError> {
        let key = self.key(id)?;
        if let Some(ended) = key.ended.as_ref().filter(|ended| ended.seq < seq) {
            let how = if ended.revoked.is_some() { "revoked" } else { "replaced" };
            return Err(PublisherError::Ended { key: id.clone(), how, seq: ended.seq });
        }
        if key.seq >= seq {
            return self.rule(format!("the key {id} was added by event {}, after what it signs", key.seq));
        }
        if at < key.usable_at {
            return Err(PublisherError::Waiting { key: id.clone(), usable_at: key.usable_at, at });
        }
        Ok(key)
    }

    /// The state after a statement that event `seq` records at time `at`.
    ///
    /// # Errors
    /// [`PublisherError`] with the rule that does not hold.
    pub fn state(mut self, envelope: &Envelope, seq: u64, at: Time) -> Result<Self, PublisherError> {
        let Statement { registry, namespace, number, change, .. } = Statement::read(envelope)?;
        let differs =
            |member, found: String, expected: String| Err(AttestationError::Differs { member, found, expected }.into());
        if registry != self.registry {
            return differs("the registry", registry.to_string(), self.registry.to_string());
        }
        if namespace != self.namespace {
            return differs("the namespace", namespace.to_string(), self.namespace.to_string());
        }
        if number != self.number.saturating_add(1) {
            return differs("the number", number.to_string(), self.number.saturating_add(1).to_string());
        }
        let own = match &change {
            Change::Add { key } | Change::Rotate { key, .. } => Some((self.new_key(key)?, key.clone())),
            Change::Revoke { key, .. } => Some((key.clone(), self.key(key)?.key.clone())),
            Change::Demand { .. } => None,
        };
        let vouched = self.vouched(envelope, own.as_ref(), seq, at)?;
        let own_signs = own.as_ref().is_some_and(|(id, _)| envelope.signers().any(|signer| signer == id));
        let unsigned = || Err(PublisherError::Unsigned { namespace: self.namespace.clone() });
        match (&change, own) {
            (Change::Add { .. }, Some((id, key))) => {
                if !own_signs {
                    return self.rule(format!("the new key {id} has not signed: nobody registers what others hold"));
                }
                let usable_at = if vouched || self.keys.is_empty() { at } else { at.plus(COOLDOWN) };
                self.keys.insert(id.to_string(), Key { key, seq, usable_at, ended: None });
            }
            (Change::Rotate { replaces, .. }, Some((id, key))) => {
                if !own_signs {
                    return self.rule(format!("the new key {id} has not signed: nobody registers what others hold"));
                }
                if !vouched {
                    return unsigned();
                }
                self.counting(replaces, seq, at)?;
                self.keys.insert(id.to_string(), Key { key, seq, usable_at: at, ended: None });
                self.end(replaces, Ended { seq, at, revoked: None });
            }
            (Change::Revoke { key, reason }, _) => {
                if !vouched && !own_signs {
                    return unsigned();
                }
                self = self.revoke(key, reason, seq, at)?;
            }
            (Change::Demand { signatures }, _) => {
                if !vouched {
                    return unsigned();
                }
                if *signatures == self.demanded.is_some() {
                    return self.rule(if *signatures {
                        "signatures are demanded already"
                    } else {
                        "no signatures are demanded"
                    });
                }
                self.demanded = signatures.then_some(seq);
            }
            (Change::Add { .. } | Change::Rotate { .. }, None) => return unsigned(),
        }
        self.number = number;
        self.seq = seq;
        Ok(self)
    }

    /// The id of a key that is to be added.
    fn new_key(&self, key: &PublicKey) -> Result<KeyId, PublisherError> {
        let Some(id) = key.id().filter(|_| key.is_plain_ed25519()) else {
            return self.rule("a publisher's key is an ed25519 key without other members");
        };
        if self.keys.contains_key(id.as_str()) {
            return self.rule(format!("the key {id} is registered already, or was"));
        }
        if self.keys.len() >= MAX_KEYS {
            return self.rule(format!("there are {MAX_KEYS} keys, and there can be no more"));
        }
        Ok(id)
    }

    /// Checks every signature. Gives whether one is of a key that counts and is not the one that the change is about.
    fn vouched(
        &self,
        envelope: &Envelope,
        own: Option<&(KeyId, PublicKey)>,
        seq: u64,
        at: Time,
    ) -> Result<bool, PublisherError> {
        let mut vouched = false;
        for signer in envelope.signers() {
            match own {
                Some((id, key)) if id == signer => envelope.check(signer, key)?,
                _ => {
                    envelope.check(signer, &self.counting(signer, seq, at)?.key)?;
                    vouched = true;
                }
            }
        }
        Ok(vouched)
    }

    /// The state after a key was revoked, by a statement or by the registry's operator.
    ///
    /// # Errors
    /// [`PublisherError::Unknown`], or [`PublisherError::Rule`] where it is revoked already.
    pub fn revoke(mut self, id: &KeyId, reason: &str, seq: u64, at: Time) -> Result<Self, PublisherError> {
        if let Err(rule) = check_reason(reason) {
            return self.rule(rule);
        }
        let key = self.key(id)?;
        if key.ended.as_ref().is_some_and(|ended| ended.revoked.is_some()) {
            return self.rule(format!("the key {id} is revoked already"));
        }
        // What was refused since it was replaced stays refused.
        let (seq_ended, at_ended) = key.ended.as_ref().map_or((seq, at), |ended| (ended.seq, ended.at));
        self.end(id, Ended { seq: seq_ended, at: at_ended, revoked: Some(reason.to_owned()) });
        self.seq = seq;
        Ok(self)
    }

    fn end(&mut self, id: &KeyId, ended: Ended) {
        if let Some(key) = self.keys.get_mut(id.as_str()) {
            key.ended = Some(ended);
        }
    }

    /// Checks that a release which event `seq` made visible bears a signature where one was demanded before. Whether that
    /// holds, [`Publishers::verify`] tells.
    ///
    /// The API asks this before it accepts a release, the fold before it lists one, and a host before it takes one.
    ///
    /// # Errors
    /// [`PublisherError::Demanded`].
    pub fn admit(&self, attestations: &Attestations, seq: u64) -> Result<(), PublisherError> {
        match self.demanded.filter(|since| *since < seq) {
            Some(since) if attestations.signature.is_none() => {
                Err(PublisherError::Demanded { namespace: self.namespace.clone(), since })
            }
            _ => Ok(()),
        }
    }

    /// Checks the signature of a release that event `seq` made visible at `at`: every signature is of a key of the
    /// namespace that counted then, and verifies, and what is signed is `claim`.
    ///
    /// # Errors
    /// [`PublisherError`].
    pub fn verify(
        &self,
        claim: &ReleaseClaim,
        envelope: &Envelope,
        seq: u64,
        at: Time,
    ) -> Result<Signed, PublisherError> {
        let differs =
            |member, found: String, expected: String| Err(AttestationError::Differs { member, found, expected }.into());
        if claim.id.namespace() != &self.namespace {
            return differs("the namespace", self.namespace.to_string(), claim.id.namespace().to_string());
        }
        if claim.registry != self.registry {
            return differs("the registry", self.registry.to_string(), claim.registry.to_string());
        }
        claim.check(envelope)?;
        let mut signed = Signed { keys: Vec::new(), flagged: Vec::new() };
        for signer in envelope.signers() {
            let key = self.counting(signer, seq, at)?;
            envelope.check(signer, &key.key)?;
            signed.keys.push(signer.clone());
            if let Some(reason) = key.ended.as_ref().and_then(|ended| ended.revoked.clone()) {
                signed.flagged.push((signer.clone(), reason));
            }
        }
        if signed.keys.is_empty() {
            return Err(PublisherError::Unsigned { namespace: self.namespace.clone() });
        }
        Ok(signed)
    }

    /// The stored bytes: canonical JSON of format 1.
    ///
    /// # Errors
    /// [`PublisherError::Unreadable`], which the bounds of [`Publishers::state`] exclude.
    pub fn to_bytes(&self) -> Result<Vec<u8>, PublisherError> {
        let bytes = canonical::to_bytes(self).map_err(AttestationError::from)?;
        match bytes.len() {
            0..=MAX_PUBLISHERS_BYTES => Ok(bytes),
            size => Err(PublisherError::Unreadable(format!("{size} bytes, and {MAX_PUBLISHERS_BYTES} are possible"))),
        }
    }

    /// Reads the document of `namespace`.
    ///
    /// # Errors
    /// [`PublisherError::Unreadable`], also where it is of another namespace or a key is called what it is not.
    pub fn read(namespace: &Namespace, bytes: &[u8]) -> Result<Self, PublisherError> {
        let value = strict(bytes, MAX_PUBLISHERS_BYTES as u64)?;
        let read: Self =
            serde_json::from_value(value).map_err(|error| PublisherError::Unreadable(error.to_string()))?;
        if read.format != 1 || read.namespace != *namespace {
            let what = format!("it is of `{}` in format {}", read.namespace, read.format);
            return Err(PublisherError::Unreadable(what));
        }
        let lies = |(id, key): &(&String, &Key)| key.key.id().is_none_or(|own| own.as_str() != id.as_str());
        match read.keys.iter().find(lies) {
            Some((id, _)) => Err(PublisherError::Unreadable(format!("the key {} is another one", id.escape_default()))),
            None => Ok(read),
        }
    }
}
