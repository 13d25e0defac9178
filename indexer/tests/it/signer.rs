//! The signer believes nothing: what a thief of the indexer's keys could write, and what becomes of it.

use std::{collections::BTreeMap, num::NonZeroU64};

use stoa_core::{
    digest::Digest,
    document::{Document, State},
    index::bin_of,
    path::PublicPath,
    time::DAY,
    trust::{
        BitLength, Head,
        writer::{self, Target, Terms},
    },
};
use stoa_indexer::{IndexerError, Signed};
use stoa_store::{
    blobs::{BlobKey, Blobs as _},
    memory::MemoryBlobs,
};

use crate::world::{BIN_BITS, World, id, key, keys, namespace, public, put, released, signed, unyanked, yanked};

/// The last snapshot as the log makes it, taken apart, to be written again with a difference.
struct Forged {
    head: Head,
    /// Versions by role.
    versions: BTreeMap<String, u64>,
    /// What each bin lists.
    bins: BTreeMap<String, BTreeMap<String, Target>>,
    documents: BTreeMap<String, Document>,
    /// What is signed with the keys of the indexer, or of somebody else.
    seed: u8,
}

fn bin(name: &str) -> String {
    bin_of(&id(name), BitLength::new(u64::from(BIN_BITS)).expect("bits"))
}

impl Forged {
    /// Reads what an honest indexer writes.
    async fn from(world: &World) -> Self {
        let honest = world.tree().await;
        world.index(&honest).await.expect("an index");
        let pointer = signed(&honest, &BlobKey::Public(PublicPath::Timestamp)).await;
        let version = pointer["meta"]["snapshot.json"]["version"].as_u64().expect("a version");
        let snapshot = signed(&honest, &public(version, "snapshot")).await;
        let head = serde_json::from_value(snapshot["stoa"].clone()).expect("a head");
        let (mut versions, mut bins, mut documents) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for (file, meta) in snapshot["meta"].as_object().expect("roles") {
            let role = file.trim_end_matches(".json").to_owned();
            let version = meta["version"].as_u64().expect("a version");
            let mut listed = BTreeMap::new();
            for (path, target) in
                signed(&honest, &public(version, &role)).await["targets"].as_object().expect("targets")
            {
                let sha256: Digest = serde_json::from_value(target["hashes"]["sha256"].clone()).expect("a digest");
                listed.insert(path.clone(), Target { length: target["length"].as_u64().expect("a length"), sha256 });
                let name = path.trim_start_matches("index/").trim_end_matches(".json").replace('/', ":");
                let key = BlobKey::Public(PublicPath::Document(id(&name), sha256));
                let blob = honest.get(&key, u64::MAX).await.expect("an answer").expect("a document");
                documents.insert(name.clone(), Document::read(&id(&name), &blob.bytes).expect("a document"));
            }
            versions.insert(role.clone(), version);
            bins.insert(role, listed);
        }
        Self { head, versions, bins, documents, seed: 3 }
    }

    /// The document of `name`, for a change; its bin is written anew.
    fn document(&mut self, name: &str, change: impl FnOnce(&mut Document)) {
        let document = self.documents.get_mut(name).expect("a document");
        change(document);
        let bytes = document.to_bytes().expect("bytes");
        self.rebin(&bin(name)).insert(PublicPath::target_path(&id(name)), Target::of(&bytes));
    }

    /// What `role` lists, for a change; it gets the version of this snapshot.
    fn rebin(&mut self, role: &str) -> &mut BTreeMap<String, Target> {
        self.versions.insert(role.to_owned(), self.head.seq);
        self.bins.get_mut(role).expect("a bin")
    }

    /// Writes everything but the pointer.
    async fn write(&self, blobs: &MemoryBlobs) -> NonZeroU64 {
        let version = NonZeroU64::new(self.head.seq).expect("a version");
        let terms = |version| Terms {
            version,
            expires: stoa_core::time::Time::from_unix(crate::world::BEGINNING + 3650 * DAY),
        };
        for document in self.documents.values() {
            let bytes = document.to_bytes().expect("bytes");
            let path = PublicPath::Document(document.id.clone(), Digest::of(&bytes));
            write_new(blobs, &BlobKey::Public(path), &bytes).await;
        }
        let roles: BTreeMap<String, NonZeroU64> = self
            .versions
            .iter()
            .map(|(role, version)| (role.clone(), NonZeroU64::new(*version).expect("a version")))
            .collect();
        for (role, version) in roles.iter().filter(|(role, _)| role.starts_with("bin-")) {
            let bytes = writer::bin(terms(*version), role, &self.bins[role]).sign(&[&key(self.seed)]);
            write_new(blobs, &public(version.get(), role), &bytes).await;
        }
        let catalog = writer::catalog(terms(roles["catalog"]), &BTreeMap::new()).sign(&[&keys().catalog]);
        write_new(blobs, &public(roles["catalog"].get(), "catalog"), &catalog).await;
        let snapshot = writer::snapshot(terms(version), &self.head, &roles).sign(&[&key(self.seed)]);
        put(blobs, &public(version.get(), "snapshot"), &snapshot).await;
        version
    }
}

async fn write_new(blobs: &MemoryBlobs, key: &BlobKey, bytes: &[u8]) {
    let _created_or_there = blobs.put_new(key, bytes.to_vec().into()).await.expect("a put");
}

/// What the signer says to the last snapshot of a registry when `forge` has changed it. Events up to 4 are
/// signed; events 5 and 6, a second version of `demo:alpha` and a new plugin, are what the forger has to tell.
async fn verdict(forge: impl FnOnce(&mut Forged)) -> IndexerError {
    let alpha = released(&[("demo:alpha", "1.0.0"), ("demo:beta", "1.0.0")]);
    let mut world = World::with([namespace("demo"), alpha, yanked("demo:beta", "1.0.0")]).await;
    let blobs = world.tree().await;
    world.index(&blobs).await.expect("an index");
    world.commit(released(&[("demo:alpha", "1.1.0")])).await;
    world.commit(released(&[("demo:gamma", "1.0.0")])).await;
    world.upload(&blobs).await;
    let pointer = blobs.get(&BlobKey::Public(PublicPath::Timestamp), u64::MAX).await.expect("an answer");
    let mut forged = Forged::from(&world).await;
    forge(&mut forged);
    let version = forged.write(&blobs).await;
    let error = world.signer(&blobs).sign(version, world.now()).await.expect_err("a refusal");
    let after = blobs.get(&BlobKey::Public(PublicPath::Timestamp), u64::MAX).await.expect("an answer");
    assert_eq!(after, pointer, "the pointer stays where it was");
    error
}

/// The rule of a refusal of snapshot 6.
async fn rule(forge: impl FnOnce(&mut Forged)) -> String {
    match verdict(forge).await {
        IndexerError::Refused { snapshot: 6, rule } => rule,
        other => panic!("{other:?}"),
    }
}

fn version(text: &str) -> stoa_core::version::Version {
    text.parse().expect("a version")
}

fn relist(document: &mut Document, text: &str, change: impl FnOnce(&mut stoa_core::document::Listing)) {
    change(document.releases.get_mut(&version(text)).expect("a release"));
}

#[tokio::test]
async fn what_the_log_makes_is_signed() {
    let mut world = World::with([namespace("demo"), released(&[("demo:alpha", "1.0.0")])]).await;
    let blobs = world.tree().await;
    world.index(&blobs).await.expect("an index");
    world.commit(released(&[("demo:alpha", "1.1.0"), ("demo:gamma", "1.0.0")])).await;
    world.commit(unyanked("demo:alpha", "1.0.0")).await;
    world.upload(&blobs).await;
    let snapshot = Forged::from(&world).await.write(&blobs).await;
    let signed = world.signer(&blobs).sign(snapshot, world.now()).await.expect("a signature");
    assert_eq!(signed, Signed::Moved(NonZeroU64::new(5).expect("a version")));
    assert_eq!(world.read_as_client(&blobs).await, 5);
}

#[tokio::test]
async fn a_release_that_is_not_in_the_ledger_is_refused() {
    let rule = rule(|forged| {
        forged.document("demo:gamma", |document| {
            let listing = document.releases[&version("1.0.0")].clone();
            document.releases.insert(version("6.6.6"), listing);
        });
    });
    let expected = "event 6 of the ledger does not release `demo:gamma` 6.6.6 with these bytes";
    assert_eq!(rule.await, expected);
}

#[tokio::test]
async fn a_new_release_with_other_bytes_or_at_another_time_is_refused() {
    let expected = "event 5 of the ledger does not release `demo:alpha` 1.1.0 with these bytes";
    let other = Digest::of(b"other bytes");
    let change = |change: fn(&mut stoa_core::document::Listing, Digest)| {
        rule(move |forged| forged.document("demo:alpha", |d| relist(d, "1.1.0", |listing| change(listing, other))))
    };
    assert_eq!(change(|listing, other| listing.artifact.digest = other).await, expected);
    assert_eq!(change(|listing, _| listing.artifact.size += 1).await, expected);
    assert_eq!(change(|listing, other| listing.record = other).await, expected);
    assert_eq!(change(|listing, _| listing.published_at = listing.published_at.plus(1)).await, expected);
}

#[tokio::test]
async fn a_new_release_that_is_listed_as_asking_for_less_than_its_record_is_refused() {
    let rule = rule(|forged| forged.document("demo:alpha", |d| relist(d, "1.1.0", |listing| listing.imports.clear())));
    assert_eq!(rule.await, "the document of `demo:alpha` is not what the events up to 6 make of it");
}

#[tokio::test]
async fn a_changed_release_is_refused() {
    let rule = rule(|forged| {
        forged.document("demo:alpha", |d| relist(d, "1.0.0", |listing| listing.artifact.digest = Digest::of(b"other")));
    });
    assert_eq!(rule.await, "`demo:alpha` 1.0.0 has changed");
}

#[tokio::test]
async fn a_release_that_vanished_is_refused() {
    let rule = rule(|forged| {
        forged.document("demo:alpha", |document| {
            document.releases.remove(&version("1.0.0"));
        });
    });
    assert_eq!(rule.await, "`demo:alpha` 1.0.0 has vanished");
}

#[tokio::test]
async fn a_plugin_that_vanished_is_refused() {
    let rule = rule(|forged| {
        forged.rebin(&bin("demo:beta")).remove("index/demo/beta.json");
        forged.documents.remove("demo:beta");
    });
    assert_eq!(rule.await, format!("`index/demo/beta.json` has vanished from `{}`", bin("demo:beta")));
}

#[tokio::test]
async fn a_yank_that_is_taken_back_without_an_event_is_refused() {
    let rule =
        rule(|forged| forged.document("demo:beta", |d| relist(d, "1.0.0", |listing| listing.state = State::Listed)));
    assert_eq!(rule.await, "the document of `demo:beta` is not what the events up to 6 make of it");
}

#[tokio::test]
async fn words_that_no_release_says_are_refused() {
    let rule =
        rule(|forged| forged.document("demo:alpha", |document| document.about.description = "Free money".into()));
    assert_eq!(rule.await, "the document of `demo:alpha` is not what the events up to 6 make of it");
}

#[tokio::test]
async fn an_event_that_the_index_leaves_out_is_refused() {
    let rule = rule(|forged| {
        forged.rebin(&bin("demo:gamma")).remove("index/demo/gamma.json");
        forged.documents.remove("demo:gamma");
    });
    assert_eq!(rule.await, "the events up to 6 change `demo:gamma`, and the snapshot does not");
}

#[tokio::test]
async fn a_target_that_is_no_document_is_refused() {
    let rule = rule(|forged| {
        forged.rebin(&bin("demo:gamma")).insert("index/demo/../x.json".into(), Target::of(b"x"));
    });
    assert_eq!(rule.await, "`index/demo/../x.json` is not the document of a plugin");
}

#[tokio::test]
async fn a_bin_that_is_older_than_it_was_is_refused() {
    // `demo:beta` was yanked by event 4; the bin from before would list it again.
    let role = bin("demo:beta");
    let rule = rule(|forged| {
        forged.versions.insert(bin("demo:beta"), 3);
    });
    assert_eq!(rule.await, format!("`{role}` was at version 4, and is gone or older"));
}

#[tokio::test]
async fn a_snapshot_with_another_chain_is_refused() {
    let error = verdict(|forged| forged.head.head = Digest::of(b"another past")).await;
    assert!(
        matches!(&error, IndexerError::Forked { seq: 6, signed, .. } if *signed == Digest::of(b"another past").to_string()),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_snapshot_from_after_the_end_of_the_ledger_is_refused() {
    let error = verdict(|forged| forged.head.seq = 7).await;
    assert!(matches!(error, IndexerError::Behind { ledger: 6, signed: 7 }), "{error:?}");
}

#[tokio::test]
async fn a_snapshot_by_other_keys_is_refused_as_a_client_would() {
    let error = verdict(|forged| forged.seed = 66).await;
    let IndexerError::Trust(source) = &error else { panic!("{error:?}") };
    assert_eq!(source.to_string(), "snapshot: signed by 0 of the keys that root 1 names, 1 are needed");
}

#[tokio::test]
async fn a_clock_that_went_far_back_is_refused() {
    let mut world = World::with([namespace("demo")]).await;
    let blobs = world.tree().await;
    world.index(&blobs).await.expect("an index");
    let signed_at = world.now();
    world.commit(released(&[("demo:alpha", "1.0.0")])).await;
    world.upload(&blobs).await;
    let run = world.indexer(&blobs).run().await.expect("a run").expect("something new");
    let signer = world.signer(&blobs);
    let error = signer.sign(run.snapshot, signed_at.plus(-601)).await.expect_err("a clock far back");
    assert_eq!(
        error.to_string(),
        "the signer refuses snapshot 3: the clock says 2026-11-18T10:58:39Z, and the last signature was made at \
         2026-11-18T11:08:40Z"
    );
    let signed = signer.sign(run.snapshot, signed_at.plus(-600)).await.expect("a clock a little back");
    assert_eq!(signed, Signed::Moved(NonZeroU64::new(3).expect("a version")));
}

#[tokio::test]
async fn a_snapshot_is_signed_once_and_again_after_a_day() {
    let world = World::with([namespace("demo"), released(&[("demo:alpha", "1.0.0")])]).await;
    let blobs = world.tree().await;
    let signer = world.signer(&blobs);
    assert_eq!(signer.refresh(world.now()).await.expect("nothing to sign"), Signed::Already);
    let run = world.indexer(&blobs).run().await.expect("a run").expect("something new");
    let moved = |n| Signed::Moved(NonZeroU64::new(n).expect("a version"));
    assert_eq!(signer.sign(run.snapshot, world.now()).await.expect("a signature"), moved(3));
    assert_eq!(signer.sign(run.snapshot, world.now()).await.expect("no signature"), Signed::Already);
    assert_eq!(signer.refresh(world.now().plus(DAY - 1)).await.expect("no signature"), Signed::Already);
    assert_eq!(signer.refresh(world.now().plus(DAY)).await.expect("a signature"), moved(4));
    assert_eq!(signer.refresh(world.now().plus(DAY + 1)).await.expect("no signature"), Signed::Already);
    let timestamp = signed(&blobs, &BlobKey::Public(PublicPath::Timestamp)).await;
    assert_eq!(timestamp["expires"], world.now().plus(8 * DAY).to_string());
    assert_eq!(world.read_as_client(&blobs).await, 3);
}
