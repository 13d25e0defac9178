//! Timestamp and snapshot as a client keeps them: what is trusted now, and what is only a floor.

use crate::trust::{
    config::Config,
    envelope::Envelope,
    metadata::Document,
    root::{Root, TopRole},
};

use super::steps;

/// The bytes of a timestamp or snapshot, and what the chain of roots makes of them.
#[derive(Debug, Clone)]
pub(super) struct Kept<T> {
    pub(super) bytes: Vec<u8>,
    standing: Standing<T>,
}

#[derive(Debug, Clone)]
enum Standing<T> {
    /// No root so far names keys that signed it. A later one may, where history was damaged.
    Unknown,
    /// An earlier root's keys signed it and no root since took one of them out of use, but the trusted root
    /// asks for more: nothing older is accepted, and it is not used.
    Floor(T),
    /// The trusted root's keys signed it.
    Current(T),
}

impl<T: Document> Kept<T> {
    /// What was checked against the trusted root just now.
    pub(super) fn current_now(document: T, bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec(), standing: Standing::Current(document) }
    }

    /// What a cache has, under the roots since the last one that took a key of timestamp or snapshot out of
    /// use. Expiry plays no part: it lowers no floor.
    pub(super) fn cached(bytes: Vec<u8>, role: TopRole, since: &[Root], config: Config) -> Self {
        let mut kept = Self { bytes, standing: Standing::Unknown };
        let Some((trusted, earlier)) = since.split_last() else { return kept };
        let Some((envelope, document)) = kept.read(role, config) else { return kept };
        let signed = |root: &Root| steps::verify_by_root(&envelope, role, root, config.schemes).is_ok();
        if signed(trusted) {
            kept.standing = Standing::Current(document);
        } else if earlier.iter().any(signed) {
            kept.standing = Standing::Floor(document);
        }
        kept
    }

    /// Judges it again under a new root that took none of its keys out of use.
    pub(super) fn follow(self, role: TopRole, root: &Root, config: Config) -> Self {
        let read = self.read(role, config);
        let signed = read.filter(|(envelope, _)| steps::verify_by_root(envelope, role, root, config.schemes).is_ok());
        let standing = match (signed, self.standing) {
            (Some((_, document)), _) => Standing::Current(document),
            (None, Standing::Current(document) | Standing::Floor(document)) => Standing::Floor(document),
            (None, Standing::Unknown) => Standing::Unknown,
        };
        Self { standing, ..self }
    }

    /// The document, if it is trusted.
    pub(super) fn current(&self) -> Option<&T> {
        match &self.standing {
            Standing::Current(document) => Some(document),
            Standing::Floor(_) | Standing::Unknown => None,
        }
    }

    /// The document that nothing older may follow.
    pub(super) fn floor(&self) -> Option<&T> {
        match &self.standing {
            Standing::Current(document) | Standing::Floor(document) => Some(document),
            Standing::Unknown => None,
        }
    }

    fn read(&self, role: TopRole, config: Config) -> Option<(Envelope, T)> {
        let envelope = Envelope::read(role.name(), &self.bytes).ok()?;
        let document = T::read(role.name(), envelope.signed(), config.profile).ok()?;
        Some((envelope, document))
    }
}
