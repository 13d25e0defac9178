//! What the served snapshot reaches, and what those reach that it replaced lately. Judging is pure.

use std::{collections::BTreeMap, num::NonZeroU64};

use futures::{StreamExt as _, stream};
use stoa_core::{
    digest::Digest,
    path::{PublicPath, RoleFile},
    time::Time,
    trust::writer::CATALOG,
};
use stoa_store::blobs::{BlobKey, Listed};

use super::{GcError, Ground, Group, Keep, PARALLEL};
use crate::{error::IndexerError, pages, tree::Tree};

/// What stays of the index, and why.
#[derive(Debug)]
pub(super) struct Reach {
    signed: u64,
    floor: u64,
    served: u64,
    young: Time,
    roles: BTreeMap<RoleFile, Keep>,
    documents: BTreeMap<Digest, Keep>,
}

/// What becomes of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    Keep(Group, Keep),
    Collect(Group),
    /// A document that nothing reaches: only what is in it tells whether it belongs to a run that is not signed yet.
    Ask,
}

impl Reach {
    /// Follows the served snapshot, and those from `floor` on that lie there.
    pub(super) async fn of(tree: &Tree, ground: &Ground, floor: u64, rows: &[Listed]) -> Result<Self, GcError> {
        let (signed, served, young) = (ground.signed.seq, ground.snapshot, ground.young());
        let mut reach = Self { signed, floor, served, young, roles: BTreeMap::new(), documents: BTreeMap::new() };
        reach.follow(tree, served, Keep::Served).await?;
        let older = rows.iter().filter_map(|row| match &row.key {
            BlobKey::Public(PublicPath::Role(file)) if file.role == "snapshot" => Some(file.version),
            _ => None,
        });
        for version in older.filter(|version| (floor..served).contains(version)) {
            reach.follow(tree, version, Keep::Grace).await?;
        }
        for digest in pages::documents(&*tree.blobs).await? {
            reach.documents.entry(digest).or_insert(Keep::Pages);
        }
        Ok(reach)
    }

    async fn follow(&mut self, tree: &Tree, version: u64, why: Keep) -> Result<(), IndexerError> {
        let Some(version) = NonZeroU64::new(version) else { return Ok(()) };
        let listed = tree.snapshot(version).await?.versions;
        let mut bins = Vec::new();
        for (role, version) in listed {
            let file = RoleFile { version: version.get(), role };
            if file.role.starts_with("bin-") && !self.roles.contains_key(&file) {
                bins.push((file.role.clone(), version));
            }
            self.roles.entry(file).or_insert(why);
        }
        let bins = bins.into_iter().map(|(role, version)| async move { tree.bin(&role, version).await });
        let mut bins = stream::iter(bins.collect::<Vec<_>>()).buffer_unordered(PARALLEL);
        while let Some(bin) = bins.next().await {
            let bin = match bin {
                // Never served, or cut off by a collector that was told to: what it still has stays.
                Err(IndexerError::Missing(path)) if why == Keep::Grace => {
                    tracing::warn!(version, path, "an older snapshot has a hole");
                    continue;
                }
                bin => bin?,
            };
            for target in bin.into_values() {
                self.documents.entry(target.sha256).or_insert(why);
            }
        }
        Ok(())
    }

    pub(super) fn judge(&self, path: &PublicPath, modified: Time) -> Judgement {
        match path {
            PublicPath::Role(file) => self.judge_role(file, modified),
            PublicPath::Document(_, digest) | PublicPath::Publishers(_, digest) => match self.documents.get(digest) {
                Some(why) => Judgement::Keep(Group::Documents, *why),
                None if modified > self.young => Judgement::Keep(Group::Documents, Keep::Young),
                None => Judgement::Ask,
            },
            PublicPath::Timestamp => Judgement::Keep(Group::Offline, Keep::Permanent),
            // Each was put there because an event names it, and events are for ever. After a loss of the ledger it may
            // be the only copy of what somebody's lock file names.
            PublicPath::Artifact(_) => Judgement::Keep(Group::Artifacts, Keep::Permanent),
            // Of an asset no file says which pages use it: some may be of another program's making.
            _ => Judgement::Keep(Group::Pages, Keep::Permanent),
        }
    }

    fn judge_role(&self, file: &RoleFile, modified: Time) -> Judgement {
        let snapshot = file.role == "snapshot";
        let group = if snapshot { Group::Snapshots } else { Group::Bins };
        let online = snapshot || file.role == CATALOG || file.role.starts_with("bin-");
        let reached = match snapshot {
            true if file.version == self.served => Some(Keep::Served),
            true if file.version >= self.floor => Some(Keep::Grace),
            true => None,
            false => self.roles.get(file).copied(),
        };
        match reached {
            _ if !online => Judgement::Keep(Group::Offline, Keep::Permanent),
            _ if file.version > self.signed => Judgement::Keep(group, Keep::InFlight),
            Some(why) => Judgement::Keep(group, why),
            None if modified > self.young => Judgement::Keep(group, Keep::Young),
            None => Judgement::Collect(group),
        }
    }

    /// Why a document with this seq stays that nothing reaches; `None` where it goes.
    pub(super) fn document(&self, seq: u64) -> Option<Keep> {
        (seq > self.signed).then_some(Keep::InFlight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Events up to 20 are signed; snapshot 20 is served, those from 10 on may be read along.
    fn reach() -> Reach {
        let file = |version, role: &str| RoleFile { version, role: role.to_owned() };
        Reach {
            signed: 20,
            floor: 10,
            served: 20,
            young: Time::from_unix(1000),
            roles: [
                (file(4, "bin-0"), Keep::Served),
                (file(12, "bin-1"), Keep::Grace),
                (file(1, "index"), Keep::Served),
            ]
            .into(),
            documents: [(Digest::of(b"served"), Keep::Served), (Digest::of(b"grace"), Keep::Grace)].into(),
        }
    }

    fn judged(path: &str, modified: i64) -> String {
        let judgement = reach().judge(&path.parse().expect("a path"), Time::from_unix(modified));
        format!("{path} of {modified}: {judgement:?}")
    }

    #[test]
    fn every_file_of_the_tree_stays_for_a_reason_or_goes() {
        let document = |text: &[u8]| format!("index/demo/{}.a.json", Digest::of(text));
        let artifact = format!("artifacts/sha256/{}", Digest::of(b"artifact"));
        let (served, grace, lost) = (document(b"served"), document(b"grace"), document(b"lost"));
        let paths = [
            "trust/timestamp.json",
            "trust/1.root.json",
            "trust/1.targets.json",
            "trust/1.index.json",
            "trust/9.snapshot.json",
            "trust/10.snapshot.json",
            "trust/20.snapshot.json",
            "trust/21.snapshot.json",
            "trust/4.bin-0.json",
            "trust/3.bin-0.json",
            "trust/12.bin-1.json",
            "trust/11.bin-1.json",
            "trust/21.bin-1.json",
            "trust/1.catalog.json",
            "trust/5.other.json",
            &served,
            &grace,
            &lost,
            &artifact,
            "index.html",
            "404.html",
            "pages.json",
            "plugins/demo/a/index.html",
            "assets/stoa.0123abcd.css",
            ".well-known/stoa.json",
        ];
        let old: Vec<String> = paths.iter().map(|path| judged(path, 1000)).collect();
        insta::assert_snapshot!(old.join("\n"));
    }

    #[test]
    fn what_was_put_within_the_grace_period_stays() {
        let lost = format!("index/demo/{}.a.json", Digest::of(b"lost"));
        for (path, group) in [
            ("trust/9.snapshot.json", Group::Snapshots),
            ("trust/3.bin-0.json", Group::Bins),
            (lost.as_str(), Group::Documents),
        ] {
            let judge = |modified| reach().judge(&path.parse().expect("a path"), Time::from_unix(modified));
            assert_eq!(judge(1001), Judgement::Keep(group, Keep::Young), "{path}");
            assert_ne!(judge(1000), Judgement::Keep(group, Keep::Young), "{path}");
        }
    }

    #[test]
    fn a_document_of_events_that_are_not_signed_stays() {
        assert_eq!(reach().document(21), Some(Keep::InFlight));
        assert_eq!(reach().document(20), None);
    }
}
