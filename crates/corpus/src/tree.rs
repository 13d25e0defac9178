//! The signed public tree, in memory.

use std::{collections::BTreeMap, fs, io, num::NonZeroU64, path::Path};

use stoa_core::{
    digest::Digest,
    event::{ActorId, Draft, Event, Fact, Head, OfflineRole, Sealed},
    index::{Base, TIMESTAMP_LIFETIME, advance, timestamp_version},
    path::PublicPath,
    proposal::{IndexKeys, Proposal, SignerKeys},
    time::{DAY, Time},
    trust::{
        Bins, BitLength, SecretKey,
        writer::{self, RootSigners, Signers, Terms},
    },
};

use crate::Corpus;

/// The first root.
const ROOT: &str = "trust/1.root.json";

/// A log and the files that it makes. Artifacts are left out: nothing of the index needs them.
///
/// Its keys come from numbers that everybody knows.
#[derive(Debug, Clone)]
pub struct Tree {
    began: Time,
    events: Vec<Sealed>,
    files: BTreeMap<String, Vec<u8>>,
    pointer: Option<NonZeroU64>,
}

impl Tree {
    /// A registry without a plugin, with `2^bin_bits` bins, whose log began at `began`. Its offline files expire a year
    /// later, its pointer a week later.
    ///
    /// # Panics
    /// Where there can be no such number of bins.
    pub fn begin(bin_bits: u8, began: Time) -> Self {
        let terms = Terms { version: NonZeroU64::MIN, expires: began.plus(365 * DAY) };
        let signers = RootSigners {
            root: Signers::one(&key(1)),
            timestamp: Signers::one(&key(5)),
            snapshot: Signers::one(&key(3)),
            targets: Signers::one(&key(2)),
        };
        let bins = Bins::new("bin", BitLength::new(u64::from(bin_bits)).expect("a number of bins"));
        let both = |first| Signers::every([&first, &key(6)]).expect("two keys");
        let targets = writer::targets(terms, &both(key(4)), &Signers::one(&key(2)));
        let offline = [
            ("root", writer::root(terms, &signers).sign(&[&key(1)])),
            ("targets", targets.sign(&[&key(2)])),
            ("index", writer::index(terms, &both(key(3)), &bins).sign(&[&key(2)])),
        ];
        let role = |(role, bytes): &(&str, Vec<u8>)| OfflineRole {
            role: (*role).into(),
            version: NonZeroU64::MIN,
            digest: Digest::of(bytes),
        };
        let fact = Fact::Genesis { bin_bits, offline: offline.iter().map(role).collect() };
        let files = offline.into_iter().map(|(role, bytes)| (format!("trust/1.{role}.json"), bytes)).collect();
        let mut tree = Self { began, events: Vec::new(), files, pointer: None };
        tree.take(fact);
        tree
    }

    /// A registry with one release, 1.0.0, of every plugin of `corpus`, published.
    pub fn of(corpus: &Corpus, bin_bits: u8, began: Time) -> Self {
        let mut tree = Self::begin(bin_bits, began);
        tree.take_all(corpus.released(0..corpus.plugins(), "1.0.0"));
        tree.publish();
        tree
    }

    /// Appends a fact to the log. No file changes before [`Self::publish`].
    ///
    /// # Panics
    /// Where the fact is none that an event may have.
    pub fn take(&mut self, fact: Fact) {
        let head = self.events.last().map_or(Head::none(), Sealed::head);
        let draft = Draft { actor: ActorId::registry(), fact, private: None };
        self.events.push(Event::seal(&draft, &head, self.began).expect("an event"));
    }

    /// [`Self::take`], one after the other.
    pub fn take_all(&mut self, facts: impl IntoIterator<Item = Fact>) {
        facts.into_iter().for_each(|fact| self.take(fact));
    }

    /// Puts the files at the log's head in place, and the pointer. What was there stays.
    ///
    /// # Panics
    /// Where the log makes no index.
    pub fn publish(&mut self) {
        let revision = advance(Base::default(), &self.events).expect("an index");
        let proposal = Proposal::of(&revision, &index_keys());
        let head = NonZeroU64::new(revision.cursor.head.seq).expect("a place");
        let version = timestamp_version(self.pointer, head.get(), self.began, self.began);
        let terms = Terms { version, expires: self.began.plus(TIMESTAMP_LIFETIME) };
        let mut snapshot = Vec::new();
        for (file, document) in &revision.roles {
            // The last one is the snapshot.
            snapshot = proposal.complete(&file.role, document, &signer_keys()).expect("a signature");
            self.files.insert(PublicPath::Role(file.clone()).to_string(), snapshot.clone());
        }
        let timestamp = writer::timestamp(terms, head, &snapshot).sign(&[&signer_keys().timestamp]);
        self.files.extend(revision.files.into_iter().map(|(path, bytes)| (path.to_string(), bytes)));
        self.files.insert(PublicPath::Timestamp.to_string(), timestamp);
        self.pointer = Some(version);
    }

    /// The first root: what clients pin.
    pub fn root(&self) -> &[u8] {
        self.files.get(ROOT).map_or(&[], Vec::as_slice)
    }

    /// Every file by its path.
    pub fn files(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.files
    }

    /// The log.
    pub fn events(&self) -> &[Sealed] {
        &self.events
    }

    /// Writes every file below `folder`.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        for (path, bytes) in &self.files {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap_or(folder))?;
            fs::write(path, bytes)?;
        }
        Ok(())
    }
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed([seed; 32])
}

fn index_keys() -> IndexKeys {
    IndexKeys { snapshot: key(3), catalog: key(4) }
}

fn signer_keys() -> SignerKeys {
    SignerKeys { timestamp: key(5), bins: key(6) }
}
