//! The offline documents as they stand: what a ceremony begins from.

use super::{CeremonyError, OfflineDocument, Roster};
use crate::trust::{
    KeyId, Profile, Root, Targets, TopRole, TrustError,
    envelope::{Authority, Envelope},
    metadata::Document as _,
    writer::{INDEX, Terms},
};
use std::num::NonZeroU64;

/// More roots than a client follows in one refresh are no chain that anybody can be given.
const MAX_ROOTS: usize = 256;

/// The chain of roots from the first on, `targets` and `index`: verified, whatever the time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    roots: Vec<Vec<u8>>,
    targets: Vec<u8>,
    index: Vec<u8>,
    terms: [Terms; 3],
    roster: Roster,
}

impl Standing {
    /// Verifies the chain from its first root, and what the last one says of the others.
    ///
    /// # Errors
    /// [`CeremonyError::Trust`] with the check that fails; [`CeremonyError::Layout`] where the documents are not those of a
    /// registry of this kind.
    pub fn read(roots: Vec<Vec<u8>>, targets: Vec<u8>, index: Vec<u8>) -> Result<Self, CeremonyError> {
        let root = chain(&roots)?;
        let by = format!("root {}", root.version());
        let authority = Authority { by: &by, keys: root.keys(), role: root.role(TopRole::Targets), schemes: &[] };
        let targets_document = verified::<Targets>(TopRole::Targets.name(), &targets, authority)?;
        let by = format!("targets {}", targets_document.version());
        let no_index = || CeremonyError::Layout {
            document: OfflineDocument::Targets,
            rule: format!("it does not delegate to `{INDEX}`"),
        };
        let delegations = targets_document.delegations().ok_or_else(no_index)?;
        let role = delegations.keys_of(INDEX).ok_or_else(no_index)?;
        let authority = Authority { by: &by, keys: delegations.keys(), role, schemes: &[] };
        let index_document = verified::<Targets>(INDEX, &index, authority)?;
        let roster = Roster::of(&root, &targets_document, &index_document)?;
        let terms = [
            terms(root.version(), root.expires()),
            terms(targets_document.version(), targets_document.expires()),
            terms(index_document.version(), index_document.expires()),
        ];
        Ok(Self { roots, targets, index, terms, roster })
    }

    /// Who signs which role.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// Version and expiry of a document.
    pub fn terms(&self, document: OfflineDocument) -> Terms {
        self.terms[document as usize]
    }

    /// The bytes of a document; of root, the last one.
    pub fn bytes(&self, document: OfflineDocument) -> &[u8] {
        match document {
            OfflineDocument::Root => self.roots.last().map(Vec::as_slice).unwrap_or_default(),
            OfflineDocument::Targets => &self.targets,
            OfflineDocument::Index => &self.index,
        }
    }

    /// The chain of roots. The first one is what hosts pin.
    pub fn roots(&self) -> &[Vec<u8>] {
        &self.roots
    }

    /// Who signs the roots of the last root in the chain, as its document says it.
    pub(super) fn next(&self, document: OfflineDocument) -> NonZeroU64 {
        self.terms(document).version.saturating_add(1)
    }
}

pub(super) fn terms(version: u64, expires: crate::time::Time) -> Terms {
    Terms { version: NonZeroU64::new(version).unwrap_or(NonZeroU64::MIN), expires }
}

fn chain(roots: &[Vec<u8>]) -> Result<Root, CeremonyError> {
    if roots.len() > MAX_ROOTS {
        return Err(TrustError::TooManyRoots { max: MAX_ROOTS as u32 }.into());
    }
    let mut last: Option<Root> = None;
    for bytes in roots {
        let envelope = Envelope::read("root", bytes)?;
        let root = Root::read("root", envelope.signed(), Profile::Stoa)?;
        for trusted in last.iter().chain([&root]) {
            let by = format!("root {}", trusted.version());
            let role = trusted.role(TopRole::Root);
            envelope.verify("root", Authority { by: &by, keys: trusted.keys(), role, schemes: &[] })?;
        }
        let expected = last.as_ref().map_or(1, |last| last.version() + 1);
        if root.version() != expected {
            return Err(TrustError::RootVersion { expected, found: root.version() }.into());
        }
        last = Some(root);
    }
    last.ok_or_else(|| CeremonyError::Unreadable("it has no root".to_owned()))
}

fn verified<T: crate::trust::metadata::Document>(
    role: &str,
    bytes: &[u8],
    authority: Authority<'_>,
) -> Result<T, CeremonyError> {
    let envelope = Envelope::read(role, bytes)?;
    envelope.verify(role, authority)?;
    Ok(T::read(role, envelope.signed(), Profile::Stoa)?)
}

impl KeyId {
    /// Its first 12 characters: what people compare. Two keys of one registry never share them but by malice, which is why
    /// nothing is decided by it.
    pub fn short(&self) -> String {
        self.as_str().chars().take(12).collect()
    }
}
