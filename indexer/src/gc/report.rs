//! What a run found and did.

use std::collections::BTreeMap;

use serde::Serialize;

/// Files that are collected, or kept, by one rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// `trust/N.snapshot.json`.
    Snapshots,
    /// `trust/N.bin-….json` and `trust/N.catalog.json`.
    Bins,
    /// Index documents.
    Documents,
    /// Checked bytes in `store/`.
    Stored,
    /// What clients sent.
    Uploads,
    /// Components, WITs, readmes and records in the public tree.
    Artifacts,
    /// The pointer, and roles that are signed in ceremonies.
    Offline,
    /// Pages, assets and notes.
    Pages,
    /// The archive of the log.
    Events,
}

impl Group {
    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Snapshots => "snapshots",
            Self::Bins => "bins and catalog",
            Self::Documents => "documents",
            Self::Stored => "stored blobs",
            Self::Uploads => "uploads",
            Self::Artifacts => "artifacts",
            Self::Offline => "pointer and roots",
            Self::Pages => "pages",
            Self::Events => "events",
        }
    }
}

/// Why a file stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// The served snapshot reaches it.
    Served,
    /// A snapshot reaches it that may have been served within the grace period.
    Grace,
    /// It belongs to events that are not signed yet: a run may be under way.
    InFlight,
    /// A page was made from it.
    Pages,
    /// An event names it.
    Named,
    /// A begun publish names it.
    Claimed,
    /// It was put within the grace period.
    Young,
    /// What it is can not be told.
    Unknown,
    /// The run took long enough; the next one goes on.
    Later,
    /// Its kind is never collected.
    Permanent,
}

/// How many files, and how many bytes they have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// How many.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Tally {
    fn add(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes += bytes;
    }
}

impl std::iter::Sum for Tally {
    fn sum<I: Iterator<Item = Self>>(tallies: I) -> Self {
        tallies.fold(Self::default(), |a, b| Self { files: a.files + b.files, bytes: a.bytes + b.bytes })
    }
}

/// What a run found and did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The last event that the index had signed when the run began.
    pub signed: u64,
    /// Snapshots from this one on stay: hosts may be reading along them. 0 where no run looked long enough ago.
    pub floor: u64,
    /// What stays, by group and reason.
    pub kept: BTreeMap<Group, BTreeMap<Keep, Tally>>,
    /// What went, or would go, by group.
    pub collected: BTreeMap<Group, Tally>,
}

impl Report {
    pub(super) fn new(signed: u64, floor: u64) -> Self {
        Self { signed, floor, kept: BTreeMap::new(), collected: BTreeMap::new() }
    }

    pub(super) fn keep(&mut self, group: Group, why: Keep, bytes: u64) {
        self.kept.entry(group).or_default().entry(why).or_default().add(bytes);
    }

    pub(super) fn collect(&mut self, group: Group, bytes: u64) {
        self.collected.entry(group).or_default().add(bytes);
    }

    /// What stays of a group.
    pub fn stays(&self, group: Group) -> Tally {
        self.kept.get(&group).into_iter().flat_map(|reasons| reasons.values().copied()).sum()
    }

    /// What went, or would go, of a group.
    pub fn goes(&self, group: Group) -> Tally {
        self.collected.get(&group).copied().unwrap_or_default()
    }

    /// The groups that have files, in their order.
    pub fn groups(&self) -> impl Iterator<Item = Group> {
        self.kept.keys().chain(self.collected.keys()).copied().collect::<std::collections::BTreeSet<_>>().into_iter()
    }
}
