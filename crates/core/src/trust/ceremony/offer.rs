//! An offer: the new documents of a ceremony with the signatures so far.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Serialize};

use super::{CeremonyError, KeyRole, OfflineDocument, Roster, Standing, standing::terms, words};
use crate::{
    canonical,
    digest::Digest,
    time::Time,
    trust::{
        KeyId, Profile, Root, SecretKey, Targets, TrustError,
        envelope::Envelope,
        metadata::Document as _,
        writer::{Signers, Terms, Unsigned},
    },
};

/// The format of the file.
const FORMAT: u32 = 1;
/// A file is at most this long: 256 roots of 3 KB, and as much again for more keys.
const MAX_BYTES: usize = 2 * 1024 * 1024;

/// What a ceremony would change, with the signatures so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// `None` where the registry begins.
    before: Option<Standing>,
    roster: Roster,
    documents: BTreeMap<OfflineDocument, (Terms, Unsigned)>,
}

/// Who has to sign a document, on whose word, and who has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quorum {
    /// The document, in its new version.
    pub document: OfflineDocument,
    /// The root that names the keys: `root 1`.
    pub by: String,
    /// Who may sign, and how many have to.
    pub signers: Signers,
    /// Who has.
    pub signed: BTreeSet<KeyId>,
}

impl Quorum {
    /// Whether enough have signed.
    pub fn is_met(&self) -> bool {
        self.signed.len() as u64 >= self.signers.threshold()
    }

    /// Who may sign and has not.
    pub fn missing(&self) -> impl Iterator<Item = &KeyId> {
        self.signers.keys().keys().filter(|id| !self.signed.contains(*id))
    }
}

impl fmt::Display for Quorum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { document, by, signers, signed } = self;
        write!(f, "`{document}` has {} of {} signatures that {by} asks for", signed.len(), signers.threshold())?;
        let short = |ids: Vec<&KeyId>| ids.into_iter().map(KeyId::short).collect::<Vec<_>>().join(", ");
        if !signed.is_empty() {
            write!(f, " ({})", short(signed.iter().collect()))?;
        }
        if !self.is_met() {
            write!(f, ", still to sign: {}", short(self.missing().collect()))?;
        }
        Ok(())
    }
}

/// Documents are carried as the text that they are: the digest of the first root is what hosts pin.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    #[serde(rename = "type")]
    kind: String,
    format: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<BeforeWire>,
    offer: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BeforeWire {
    roots: Vec<String>,
    targets: String,
    index: String,
}

const KIND: &str = "stoa-ceremony";

impl Offer {
    /// The first documents of a registry.
    ///
    /// # Errors
    /// [`CeremonyError`] where the roster's documents would not read back.
    pub fn begin(roster: Roster, expires: Time) -> Result<Self, CeremonyError> {
        let document = |document| {
            let terms = terms(1, expires);
            (document, (terms, roster.document(document, terms)))
        };
        let documents = OfflineDocument::ALL.map(document).into_iter().collect();
        let offer = Self { before: None, roster, documents };
        Self::read(&offer.to_bytes())
    }

    /// The documents that have to be signed anew for `roster`, and those that are to be `renewed` as they are. They
    /// expire at `expires`.
    ///
    /// # Errors
    /// [`CeremonyError::Nothing`], or what makes the new documents no good.
    pub fn change(
        before: Standing,
        roster: Roster,
        renewed: &[OfflineDocument],
        expires: Time,
    ) -> Result<Self, CeremonyError> {
        let changes =
            |document: &OfflineDocument| renewed.contains(document) || !before.roster().same_in(*document, &roster);
        let documents: BTreeMap<_, _> = OfflineDocument::ALL
            .into_iter()
            .filter(changes)
            .map(|document| {
                let terms = Terms { version: before.next(document), expires };
                (document, (terms, roster.document(document, terms)))
            })
            .collect();
        if documents.is_empty() {
            return Err(CeremonyError::Nothing);
        }
        let offer = Self { before: Some(before), roster, documents };
        // What others will refuse to read is not handed out.
        Self::read(&offer.to_bytes())
    }

    /// Reads an offer, whoever wrote it, and believes nothing of it but what its documents say.
    ///
    /// # Errors
    /// [`CeremonyError`] with the rule that does not hold.
    pub fn read(bytes: &[u8]) -> Result<Self, CeremonyError> {
        let unreadable = |rule: String| CeremonyError::Unreadable(rule);
        if bytes.len() > MAX_BYTES {
            return Err(unreadable(format!("it has {} bytes, and at most {MAX_BYTES} are read", bytes.len())));
        }
        let wire: Wire = serde_json::from_slice(bytes).map_err(|e| unreadable(e.to_string()))?;
        if wire.kind != KIND || wire.format != FORMAT {
            return Err(unreadable(format!("its type or format is not `{KIND}`, {FORMAT}")));
        }
        let before = wire.before.map(|before| {
            let roots = before.roots.into_iter().map(String::into_bytes).collect();
            Standing::read(roots, before.targets.into_bytes(), before.index.into_bytes())
        });
        let before = before.transpose()?;
        let mut texts = BTreeMap::new();
        for (name, text) in wire.offer {
            let document = OfflineDocument::ALL.into_iter().find(|document| document.name() == name);
            let document = document.ok_or_else(|| unreadable(format!("it has a document `{name}`")))?;
            texts.insert(document, text.into_bytes());
        }
        if texts.is_empty() {
            return Err(CeremonyError::Nothing);
        }
        Self::of(before, &texts)
    }

    fn of(before: Option<Standing>, texts: &BTreeMap<OfflineDocument, Vec<u8>>) -> Result<Self, CeremonyError> {
        let text = |document: OfflineDocument| {
            let kept = before.as_ref().map(|before| before.bytes(document));
            let found = texts.get(&document).map(Vec::as_slice).or(kept);
            found.ok_or_else(|| CeremonyError::Unreadable(format!("it begins a registry without `{document}`")))
        };
        let envelope =
            |document: OfflineDocument| Ok::<_, CeremonyError>(Envelope::read(document.name(), text(document)?)?);
        let targets = |envelope: &Envelope, document: OfflineDocument| {
            Targets::read(document.name(), envelope.signed(), Profile::Stoa)
        };
        let root = envelope(OfflineDocument::Root)?;
        let (top, index) = (envelope(OfflineDocument::Targets)?, envelope(OfflineDocument::Index)?);
        let root = Root::read("root", root.signed(), Profile::Stoa)?;
        let (top, index) = (targets(&top, OfflineDocument::Targets)?, targets(&index, OfflineDocument::Index)?);
        let roster = Roster::of(&root, &top, &index)?;
        if let Some(before) = before.as_ref().filter(|before| before.roster().bins() != roster.bins()) {
            let (old, new) = (before.roster().bins().bit_length().bits(), roster.bins().bit_length().bits());
            let rule = format!("it divides the index by {new} bits and not {old}, or under another name");
            return Err(CeremonyError::Layout { document: OfflineDocument::Index, rule });
        }
        let found = [
            terms(root.version(), root.expires()),
            terms(top.version(), top.expires()),
            terms(index.version(), index.expires()),
        ];
        let envelopes = texts.keys().map(|document| Ok((*document, envelope(*document)?)));
        let envelopes = envelopes.collect::<Result<Vec<_>, CeremonyError>>()?;
        let mut offer = Self { before, roster, documents: BTreeMap::new() };
        for (document, envelope) in &envelopes {
            offer.take(*document, found[*document as usize], envelope)?;
        }
        Ok(offer)
    }

    /// Takes a document that says no more than a ceremony writes, with its signatures.
    fn take(&mut self, document: OfflineDocument, terms: Terms, envelope: &Envelope) -> Result<(), CeremonyError> {
        let expected = self.before.as_ref().map_or(1, |before| before.next(document).get());
        if terms.version.get() != expected {
            return Err(CeremonyError::Version { document, expected, found: terms.version.get() });
        }
        let unsigned = self.roster.document(document, terms);
        if unsigned.payload() != envelope.payload() {
            let rule = "it says more, or other things, than keys, thresholds and expiry".to_owned();
            return Err(CeremonyError::Layout { document, rule });
        }
        self.documents.insert(document, (terms, unsigned));
        for (key, signature) in envelope.signatures() {
            self.take_signature(document, key, signature)?;
        }
        Ok(())
    }

    fn take_signature(
        &mut self,
        document: OfflineDocument,
        key: &KeyId,
        signature: &crate::trust::Signature,
    ) -> Result<(), CeremonyError> {
        let asked = self.asked(document);
        let public = asked.iter().find_map(|(_, signers)| signers.keys().get(key));
        let public = public.ok_or_else(|| CeremonyError::ForeignSignature { document, key: key.clone() })?;
        let Some((_, unsigned)) = self.documents.get_mut(&document) else { return Ok(()) };
        if !public.verify(&unsigned.payload(), signature) {
            return Err(CeremonyError::BrokenSignature { document, key: key.clone() });
        }
        *unsigned = unsigned.clone().signed_by(key.clone(), signature.clone());
        Ok(())
    }

    /// Who is asked to sign a document, and by which root.
    fn asked(&self, document: OfflineDocument) -> Vec<(String, Signers)> {
        let after = match (self.documents.get(&OfflineDocument::Root), &self.before) {
            (Some((terms, _)), _) => terms.version.get(),
            (None, Some(before)) => before.terms(OfflineDocument::Root).version.get(),
            (None, None) => 1,
        };
        let after = format!("root {after}");
        match document {
            OfflineDocument::Root => {
                let old = self.before.as_ref().map(|before| {
                    let by = format!("root {}", before.terms(OfflineDocument::Root).version);
                    (by, before.roster().signers(KeyRole::Root).clone())
                });
                old.into_iter().chain([(after, self.roster.signers(KeyRole::Root).clone())]).collect()
            }
            OfflineDocument::Targets | OfflineDocument::Index => {
                vec![(after, self.roster.signers(KeyRole::Targets).clone())]
            }
        }
    }

    /// Its bytes, to be carried to another machine: one line of JSON.
    pub fn to_bytes(&self) -> Vec<u8> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let before = self.before.as_ref().map(|before| BeforeWire {
            roots: before.roots().iter().map(|root| text(root)).collect(),
            targets: text(before.bytes(OfflineDocument::Targets)),
            index: text(before.bytes(OfflineDocument::Index)),
        });
        let document = |(document, (_, unsigned)): (&OfflineDocument, &(Terms, Unsigned))| {
            (document.name().to_owned(), text(&unsigned.clone().into_bytes()))
        };
        let offer = self.documents.iter().map(document).collect();
        let wire = Wire { kind: KIND.to_owned(), format: FORMAT, before, offer };
        let mut bytes = canonical::to_bytes(&wire).expect("an offer is made of text");
        bytes.push(b'\n');
        bytes
    }

    /// What people compare, by telephone: the beginning of a SHA-256 over all that is to be signed and over the chain of
    /// roots that it follows.
    pub fn id(&self) -> String {
        let mut hasher = crate::digest::Hasher::new();
        hasher.update(b"stoa/ceremony/1");
        for root in self.before.iter().flat_map(Standing::roots) {
            hasher.update(Digest::of(root).to_string().as_bytes());
        }
        for (document, (_, unsigned)) in &self.documents {
            hasher.update(document.name().as_bytes());
            hasher.update(Digest::of(&unsigned.payload()).to_string().as_bytes());
        }
        let hex: Vec<char> = hasher.finish().to_string().chars().take(16).collect();
        hex.chunks(4).map(|four| four.iter().collect::<String>()).collect::<Vec<_>>().join("-")
    }

    /// The digest of the registry's first root, which hosts pin; `None` where the registry begins.
    pub fn registry(&self) -> Option<Digest> {
        self.before.as_ref().and_then(|before| before.roots().first()).map(|root| Digest::of(root))
    }

    /// What stands before it.
    pub fn before(&self) -> Option<&Standing> {
        self.before.as_ref()
    }

    /// Who signs which role after it.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// The new documents, with their versions and expiries.
    pub fn documents(&self) -> impl Iterator<Item = (OfflineDocument, Terms)> + '_ {
        self.documents.iter().map(|(document, (terms, _))| (*document, *terms))
    }

    /// What it changes.
    pub fn changes(&self) -> Vec<super::Change> {
        words::changes(self)
    }

    /// For whom it matters, and what they see: a sentence each.
    pub fn effects(&self) -> Vec<String> {
        words::effects(self)
    }

    /// Who has to sign what.
    pub fn quorums(&self) -> Vec<Quorum> {
        let mut quorums = Vec::new();
        for (document, (_, unsigned)) in &self.documents {
            for (by, signers) in self.asked(*document) {
                let has = |id: &&KeyId| unsigned.signatures().contains_key(*id);
                let signed = signers.keys().keys().filter(has).cloned().collect();
                quorums.push(Quorum { document: *document, by, signers, signed });
            }
        }
        quorums
    }

    /// Signs every document that asks for this key. Gives them.
    ///
    /// # Errors
    /// [`CeremonyError::NotASigner`].
    pub fn sign(&mut self, key: &SecretKey) -> Result<Vec<OfflineDocument>, CeremonyError> {
        let asked: Vec<OfflineDocument> = self.documents.keys().copied().collect();
        let asks = |document: &OfflineDocument| {
            self.asked(*document).iter().any(|(_, signers)| signers.keys().contains_key(key.id()))
        };
        let asked: Vec<_> = asked.into_iter().filter(asks).collect();
        if asked.is_empty() {
            return Err(CeremonyError::NotASigner(key.id().clone()));
        }
        for document in &asked {
            if let Some((_, unsigned)) = self.documents.get_mut(document) {
                let signature = key.sign(&unsigned.payload());
                *unsigned = unsigned.clone().signed_by(key.id().clone(), signature);
            }
        }
        Ok(asked)
    }

    /// Takes the signatures of another copy.
    ///
    /// # Errors
    /// [`CeremonyError::Other`] where it is not of the same ceremony.
    pub fn merge(&mut self, other: &Self) -> Result<(), CeremonyError> {
        if self.id() != other.id() {
            return Err(CeremonyError::Other { ours: self.id(), theirs: other.id() });
        }
        for (document, (_, unsigned)) in &other.documents {
            for (key, signature) in unsigned.signatures() {
                self.take_signature(*document, key, signature)?;
            }
        }
        Ok(())
    }

    /// What stands afterwards, where enough have signed: verified as clients verify it, from the first root on.
    ///
    /// # Errors
    /// [`CeremonyError::Unmet`] with who is missing, [`CeremonyError::Expired`].
    pub fn complete(&self, now: Time) -> Result<Standing, CeremonyError> {
        let late = self.documents().find(|(_, terms)| terms.expires <= now);
        if let Some((document, terms)) = late {
            return Err(CeremonyError::Expired { document, expires: terms.expires, now });
        }
        let quorums: Vec<_> = self.quorums().into_iter().filter(|quorum| !quorum.is_met()).collect();
        if !quorums.is_empty() {
            return Err(CeremonyError::Unmet { id: self.id(), quorums });
        }
        let mut roots = self.before.as_ref().map(|before| before.roots().to_vec()).unwrap_or_default();
        roots.extend(self.bytes(OfflineDocument::Root));
        let bytes = |document| {
            let kept = self.before.as_ref().map(|before| before.bytes(document).to_vec());
            self.bytes(document).or(kept).ok_or(CeremonyError::Nothing)
        };
        Standing::read(roots, bytes(OfflineDocument::Targets)?, bytes(OfflineDocument::Index)?)
    }

    /// The signed bytes of a new document.
    fn bytes(&self, document: OfflineDocument) -> Option<Vec<u8>> {
        self.documents.get(&document).map(|(_, unsigned)| unsigned.clone().into_bytes())
    }

    /// Whether `standing` is what this ceremony makes, whoever of its signers signed it.
    pub fn is_done_by(&self, standing: &Standing) -> bool {
        let same = |document: OfflineDocument, unsigned: &Unsigned| -> Result<bool, TrustError> {
            Ok(Envelope::read(document.name(), standing.bytes(document))?.payload() == unsigned.payload())
        };
        self.documents.iter().all(|(document, (_, unsigned))| same(*document, unsigned).unwrap_or(false))
    }
}
