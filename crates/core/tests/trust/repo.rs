//! A registry of signed files in memory, written with the crate's own writer.

use std::{collections::BTreeMap, num::NonZeroU64};

use serde_json::{Value, json};
use stoa_core::{
    canonical,
    digest::Digest,
    time::{DAY, Time},
    trust::{
        Bins, BitLength, Head, SecretKey,
        writer::{self, RootSigners, Signers, Target, Terms, Unsigned},
    },
};

/// 2026-11-23T08:00:00Z.
pub(crate) fn now() -> Time {
    Time::from_unix(1_795_420_800)
}

/// The key whose seed is this byte, over and over.
pub(crate) fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed([seed; 32])
}

pub(crate) fn number(version: u64) -> NonZeroU64 {
    NonZeroU64::new(version).expect("from 1")
}

pub(crate) fn signers(seeds: &[u8], threshold: u64) -> Signers {
    Signers::new(seeds.iter().map(|seed| key(*seed).public().clone()), threshold).expect("keys that can sign")
}

/// The seeds of the keys of every role.
#[derive(Clone)]
pub(crate) struct Seeds {
    pub(crate) root: Vec<u8>,
    pub(crate) threshold: u64,
    pub(crate) targets: u8,
    pub(crate) online: u8,
    pub(crate) timestamp: u8,
    /// The signer's key for bins and catalog, which `online` signs as well; `None` where one key is enough.
    pub(crate) bins: Option<u8>,
}

/// A registry with the files it serves, by name below `trust/`, old ones included.
#[derive(Clone)]
pub(crate) struct Repo {
    pub(crate) seeds: Seeds,
    pub(crate) bins: Bins,
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) targets: BTreeMap<String, Target>,
    /// The current version of every role.
    pub(crate) versions: BTreeMap<String, u64>,
    pub(crate) seq: u64,
}

impl Repo {
    /// A registry without plugins: root 1 (2 of 3), everything at version 1.
    pub(crate) fn new(bits: u64) -> Self {
        let mut repo = Self::without_bins(bits, Some(17));
        for bin in repo.bins.clone().names() {
            repo.put_bin(&bin, 1);
        }
        repo.put_pointers();
        repo
    }

    /// One that lists all its bins but has the files only of those for `paths`: signing thousands takes seconds.
    pub(crate) fn sparse(bits: u64, paths: &[&str]) -> Self {
        let mut repo = Self::without_bins(bits, Some(17));
        for bin in repo.bins.clone().names() {
            repo.versions.insert(bin, 1);
        }
        for path in paths {
            let bin = repo.bins.name_of(path);
            repo.put_bin(&bin, 1);
        }
        repo.put_pointers();
        repo
    }

    fn without_bins(bits: u64, bins_key: Option<u8>) -> Self {
        let seeds = Seeds { root: vec![1, 2, 3], threshold: 2, targets: 4, online: 5, timestamp: 6, bins: bins_key };
        let bins = Bins::new("bin", BitLength::new(bits).expect("1 to 32"));
        let mut repo =
            Self { seeds, bins, files: BTreeMap::new(), targets: BTreeMap::new(), versions: BTreeMap::new(), seq: 1 };
        repo.put_root(1, &[1, 2]);
        repo.put_targets(1);
        repo.put_index(1);
        repo.put_catalog(1, &BTreeMap::new());
        repo
    }

    /// The registry of most tests: 16 bins and one plugin, published by event 2; `targets` and `index`, which
    /// have the same key, are at version 5.
    pub(crate) fn with_markdown() -> Self {
        Self::new(4).and_markdown()
    }

    /// The same where one key signs all that is online, as registries of other programs are.
    pub(crate) fn with_one_online_key() -> Self {
        let mut repo = Self::without_bins(4, None);
        for bin in repo.bins.clone().names() {
            repo.put_bin(&bin, 1);
        }
        repo.put_pointers();
        repo.and_markdown()
    }

    fn and_markdown(self) -> Self {
        let mut repo = self;
        repo.put_targets(5);
        repo.put_index(5);
        repo.publish(MARKDOWN, b"markdown 1");
        repo
    }

    /// One event: a document is new or changed, its bin follows, then snapshot and timestamp.
    pub(crate) fn publish(&mut self, path: &str, document: &[u8]) {
        self.seq += 1;
        self.targets.insert(path.to_owned(), Target::of(document));
        let (bin, seq) = (self.bins.name_of(path), self.seq);
        self.put_bin(&bin, seq);
        self.put_pointers();
    }

    /// The hash that this test registry gives to event `seq`.
    pub(crate) fn head(&self) -> Head {
        Head { seq: self.seq, head: Digest::of(&self.seq.to_be_bytes()), format: 1 }
    }

    pub(crate) fn put(&mut self, role: &str, version: u64, bytes: Vec<u8>) {
        let name = if role == "timestamp" { "timestamp.json".to_owned() } else { format!("{version}.{role}.json") };
        self.versions.insert(role.to_owned(), version);
        self.files.insert(name, bytes);
    }

    /// Makes a role's next version, which the next snapshot will list.
    pub(crate) fn bump(&mut self, role: &str) {
        let version = self.versions[role] + 1;
        match role {
            "targets" => self.put_targets(version),
            "index" => self.put_index(version),
            "catalog" => self.put_catalog(version, &BTreeMap::new()),
            bin => self.put_bin(bin, version),
        }
    }

    /// What a good mirror serves to a client that trusts roots up to `root`: another root, newer versions of all
    /// roles, correct pointers.
    pub(crate) fn healed(&self, root: u64) -> Self {
        let mut good = self.clone();
        good.files.retain(|name, _| {
            let version = name.strip_suffix(".root.json").map(|version| version.parse::<u64>().expect("a number"));
            version.is_some_and(|version| version <= root)
        });
        good.put_root(root + 1, &self.seeds.root);
        let roles: Vec<_> = good.versions.keys().filter(|role| good.is_targets(role)).cloned().collect();
        roles.iter().for_each(|role| good.bump(role));
        good.seq += 10;
        good.put_pointers();
        good
    }

    fn is_targets(&self, role: &str) -> bool {
        !["root", "timestamp", "snapshot"].contains(&role)
    }

    /// Adds root `version`, signed by these seeds.
    pub(crate) fn put_root(&mut self, version: u64, signed_by: &[u8]) {
        let signers = RootSigners {
            root: signers(&self.seeds.root, self.seeds.threshold),
            timestamp: signers(&[self.seeds.timestamp], 1),
            snapshot: signers(&[self.seeds.online], 1),
            targets: signers(&[self.seeds.targets], 1),
        };
        let bytes = sign(writer::root(terms(version, 365), &signers), signed_by);
        self.put("root", version, bytes);
    }

    pub(crate) fn put_targets(&mut self, version: u64) {
        let (catalog, index) = (self.signers_of_bins(), signers(&[self.seeds.targets], 1));
        let bytes = sign(writer::targets(terms(version, 365), &catalog, &index), &[self.seeds.targets]);
        self.put("targets", version, bytes);
    }

    pub(crate) fn put_index(&mut self, version: u64) {
        let both = self.signers_of_bins();
        let bytes = sign(writer::index(terms(version, 365), &both, &self.bins), &[self.seeds.targets]);
        self.put("index", version, bytes);
    }

    pub(crate) fn put_catalog(&mut self, version: u64, targets: &BTreeMap<String, Target>) {
        let bytes = sign(writer::catalog(terms(version, 3650), targets), &self.signing("catalog"));
        self.put("catalog", version, bytes);
    }

    pub(crate) fn put_bin(&mut self, name: &str, version: u64) {
        let own = |path: &String| self.bins.name_of(path) == name;
        let targets = self.targets.iter().filter(|(path, _)| own(path)).map(|(path, target)| (path.clone(), *target));
        let bytes = sign(writer::bin(terms(version, 3650), name, &targets.collect()), &self.signing(name));
        self.put(name, version, bytes);
    }

    /// The snapshot of the current seq, then the timestamp.
    pub(crate) fn put_pointers(&mut self) {
        let roles = self.versions.iter().filter(|(role, _)| self.is_targets(role));
        let roles = roles.map(|(role, version)| (role.clone(), number(*version))).collect();
        let bytes = sign(writer::snapshot(terms(self.seq, 3650), &self.head(), &roles), &[self.seeds.online]);
        self.put("snapshot", self.seq, bytes);
        self.put_timestamp();
    }

    /// The next timestamp, for the current snapshot.
    pub(crate) fn put_timestamp(&mut self) {
        let version = self.versions.get("timestamp").map_or(1, |version| version + 1);
        let snapshot = self.versions["snapshot"];
        let bytes = writer::timestamp(terms(version, 7), number(snapshot), self.file("snapshot"));
        self.put("timestamp", version, sign(bytes, &[self.seeds.timestamp]));
    }

    /// The name of the current file of a role.
    pub(crate) fn name(&self, role: &str) -> String {
        match role {
            "timestamp" => "timestamp.json".to_owned(),
            _ => format!("{}.{role}.json", self.versions[role]),
        }
    }

    /// The current file of a role.
    pub(crate) fn file(&self, role: &str) -> &[u8] {
        &self.files[&self.name(role)]
    }

    fn signers_of_bins(&self) -> Signers {
        let seeds = self.signing("bin-0");
        signers(&seeds, seeds.len() as u64)
    }

    /// The seeds that sign a role.
    fn signing(&self, role: &str) -> Vec<u8> {
        match role {
            "root" => self.seeds.root.clone(),
            "targets" | "index" => vec![self.seeds.targets],
            "timestamp" => vec![self.seeds.timestamp],
            "snapshot" => vec![self.seeds.online],
            _ => std::iter::once(self.seeds.online).chain(self.seeds.bins).collect(),
        }
    }

    /// Changes the signed part of a role's current file and signs it again with the right keys; a changed
    /// snapshot gets its timestamp anew.
    pub(crate) fn edit(&mut self, role: &str, change: impl FnOnce(&mut Value)) {
        let mut document: Value = serde_json::from_slice(self.file(role)).expect("JSON");
        change(&mut document["signed"]);
        let bytes = sign_value(&document["signed"], &self.signing(role));
        self.files.insert(self.name(role), bytes);
        if role == "snapshot" {
            self.put_timestamp();
        }
    }

    /// Changes a role's current file as a whole, signatures and all, and signs nothing.
    pub(crate) fn tamper(&mut self, role: &str, change: impl FnOnce(&mut Value)) {
        let mut document: Value = serde_json::from_slice(self.file(role)).expect("JSON");
        change(&mut document);
        let bytes = canonical::to_bytes(&document).expect("integers");
        self.files.insert(self.name(role), bytes);
    }
}

pub(crate) const MARKDOWN: &str = "index/demo/markdown.json";

/// Good for so many days from [`now`].
pub(crate) fn terms(version: u64, days: i64) -> Terms {
    Terms { version: number(version), expires: now().plus(days * DAY) }
}

pub(crate) fn sign(document: Unsigned, seeds: &[u8]) -> Vec<u8> {
    let keys: Vec<SecretKey> = seeds.iter().map(|seed| key(*seed)).collect();
    document.sign(&keys.iter().collect::<Vec<_>>())
}

/// Signs any JSON, also what the writer would never write.
pub(crate) fn sign_value(signed: &Value, seeds: &[u8]) -> Vec<u8> {
    let payload = canonical::to_signed_bytes(signed).expect("integers");
    let keys = seeds.iter().map(|seed| key(*seed));
    let signatures: Vec<_> = keys.map(|key| json!({"keyid": key.id(), "sig": key.sign(&payload)})).collect();
    canonical::to_bytes(&json!({"signatures": signatures, "signed": signed})).expect("integers")
}
