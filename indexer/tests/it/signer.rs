//! The signer believes nothing: what a thief of the indexer's keys could write, and what becomes of it.

use std::{collections::BTreeMap, num::NonZeroU64};

use serde_json::json;
use stoa_core::{
    digest::Digest,
    document::{Document, State},
    index::bin_of,
    path::PublicPath,
    proposal::Proposal,
    time::{DAY, Time},
    trust::{
        BitLength, Head, SecretKey, TrustError,
        writer::{self, Target, Terms, Unsigned},
    },
};
use stoa_indexer::{IndexerError, Signed};
use stoa_store::{
    blobs::{Area, BlobKey, Blobs as _},
    memory::MemoryBlobs,
};

use crate::world::{
    BEGINNING, BIN_BITS, World, files, id, key, keys, namespace, public, put, released, signed, yanked,
};

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
        // A bin that the log changes has its version already: what it lists is the one lie.
        self.versions.entry(role.to_owned()).and_modify(|version| {
            if *version <= 4 {
                *version = self.head.seq;
            }
        });
        self.bins.get_mut(role).expect("a bin")
    }

    /// Writes the documents, as the indexer may, and signs what the forger has to tell.
    async fn propose(&self, blobs: &MemoryBlobs) -> Proposal {
        for document in self.documents.values() {
            let bytes = document.to_bytes().expect("bytes");
            let path = PublicPath::Document(document.id.clone(), Digest::of(&bytes));
            write_new(blobs, &BlobKey::Public(path), &bytes).await;
        }
        let roles: BTreeMap<String, NonZeroU64> =
            self.versions.iter().map(|(role, version)| (role.clone(), number(*version))).collect();
        let mut signatures = serde_json::Map::new();
        let mut sign = |role: &str, document: &Unsigned, key: &SecretKey| {
            let signature = json!({"keyid": key.id(), "sig": key.sign(&document.payload())});
            signatures.insert(role.to_owned(), signature);
        };
        for (role, version) in roles.iter().filter(|(role, _)| role.starts_with("bin-")) {
            sign(role, &self.bin(role, version.get()), &key(self.seed));
        }
        sign("catalog", &writer::catalog(self.terms(self.versions["catalog"]), &BTreeMap::new()), &keys().catalog);
        sign("snapshot", &writer::snapshot(self.terms(self.head.seq), &self.head, &roles), &key(self.seed));
        let (head, seq) = (self.head.head, self.head.seq);
        let wire = json!({"format": 1, "head": head, "seq": seq, "signatures": signatures});
        Proposal::read(wire.to_string().as_bytes()).expect("a proposal")
    }

    fn bin(&self, role: &str, version: u64) -> Unsigned {
        writer::bin(self.terms(version), role, &self.bins[role])
    }

    /// As the log gives them: it says when each event was.
    fn terms(&self, version: u64) -> Terms {
        let event = i64::try_from(version - 1).expect("a small number");
        Terms { version: number(version), expires: Time::from_unix(BEGINNING + 60 * event).plus(3650 * DAY) }
    }
}

fn number(version: u64) -> NonZeroU64 {
    NonZeroU64::new(version).expect("from 1")
}

async fn write_new(blobs: &MemoryBlobs, key: &BlobKey, bytes: &[u8]) {
    let _created_or_there = blobs.put_new(key, bytes.to_vec().into()).await.expect("a put");
}

async fn pointer(blobs: &MemoryBlobs) -> Option<bytes::Bytes> {
    let blob = blobs.get(&BlobKey::Public(PublicPath::Timestamp), u64::MAX).await.expect("an answer");
    blob.map(|blob| blob.bytes)
}

/// Events up to 4 are signed; events 5 and 6, a second version of `demo:alpha` and a new plugin, are not.
async fn before_the_theft() -> (World, MemoryBlobs) {
    let alpha = released(&[("demo:alpha", "1.0.0"), ("demo:beta", "1.0.0")]);
    let mut world = World::with([namespace("demo"), alpha, yanked("demo:beta", "1.0.0")]).await;
    let blobs = world.tree().await;
    world.index(&blobs).await.expect("an index");
    world.commit(released(&[("demo:alpha", "1.1.0")])).await;
    world.commit(released(&[("demo:gamma", "1.0.0")])).await;
    world.upload(&blobs).await;
    (world, blobs)
}

/// What the signer says to the forger's proposal: what is left of the registry is what it was before.
async fn verdict(forge: impl FnOnce(&mut Forged)) -> IndexerError {
    let (world, blobs) = before_the_theft().await;
    // As far as an honest indexer goes.
    world.indexer(&blobs).run().await.expect("a run");
    let before = trust_files(&blobs).await;
    let mut forged = Forged::from(&world).await;
    forge(&mut forged);
    let proposal = forged.propose(&blobs).await;
    let error = world.signer(&blobs).sign(&proposal, world.now()).await.expect_err("a refusal");
    assert_eq!(trust_files(&blobs).await, before, "neither the pointer nor a name below it has changed");
    error
}

async fn trust_files(blobs: &MemoryBlobs) -> crate::world::Files {
    let mut found = files(blobs, Area::Public).await;
    found.retain(|path, _| path.starts_with("public/trust/"));
    found
}

/// The role for which too few have signed what the log makes of it.
async fn refused(forge: impl FnOnce(&mut Forged)) -> String {
    match verdict(forge).await {
        IndexerError::Trust(TrustError::Threshold { role, valid, needed, .. }) => {
            // A snapshot has no second key, and of a bin's two the signer's is one.
            let expected = if role == "snapshot" { (0, 1) } else { (1, 2) };
            assert_eq!((valid, needed), expected, "{role}");
            role
        }
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
    let (world, blobs) = before_the_theft().await;
    world.indexer(&blobs).run().await.expect("a run");
    let proposal = Forged::from(&world).await.propose(&blobs).await;
    let signed = world.signer(&blobs).sign(&proposal, world.now()).await.expect("a signature");
    assert_eq!(signed, Signed::Moved(number(6)));
    assert_eq!(world.read_as_client(&blobs).await, 6);
}

#[tokio::test]
async fn a_release_that_is_not_in_the_ledger_is_refused() {
    let role = refused(|forged| {
        forged.document("demo:gamma", |document| {
            let listing = document.releases[&version("1.0.0")].clone();
            document.releases.insert(version("6.6.6"), listing);
        });
    });
    assert_eq!(role.await, bin("demo:gamma"));
}

#[tokio::test]
async fn a_new_release_with_other_bytes_or_at_another_time_is_refused() {
    let other = Digest::of(b"other bytes");
    let change = |change: fn(&mut stoa_core::document::Listing, Digest)| {
        refused(move |forged| forged.document("demo:gamma", |d| relist(d, "1.0.0", |listing| change(listing, other))))
    };
    let expected = bin("demo:gamma");
    assert_eq!(change(|listing, other| listing.artifact.digest = other).await, expected);
    assert_eq!(change(|listing, _| listing.artifact.size += 1).await, expected);
    assert_eq!(change(|listing, other| listing.record = other).await, expected);
    assert_eq!(change(|listing, _| listing.published_at = listing.published_at.plus(1)).await, expected);
}

#[tokio::test]
async fn a_new_release_that_is_listed_as_asking_for_less_than_its_record_is_refused() {
    let role =
        refused(|forged| forged.document("demo:gamma", |d| relist(d, "1.0.0", |listing| listing.imports.clear())));
    assert_eq!(role.await, bin("demo:gamma"));
}

#[tokio::test]
async fn a_changed_release_is_refused() {
    let role = refused(|forged| {
        forged.document("demo:alpha", |d| relist(d, "1.0.0", |listing| listing.artifact.digest = Digest::of(b"other")));
    });
    assert_eq!(role.await, bin("demo:alpha"));
}

#[tokio::test]
async fn a_release_that_vanished_is_refused() {
    let role = refused(|forged| {
        forged.document("demo:alpha", |document| {
            document.releases.remove(&version("1.0.0"));
        });
    });
    assert_eq!(role.await, bin("demo:alpha"));
}

/// Whether `demo:beta` has a bin of its own or shares one that changes: then no version tells of the lie.
fn role_of_beta() -> String {
    let role = bin("demo:beta");
    if role == bin("demo:alpha") || role == bin("demo:gamma") { role } else { "snapshot".to_owned() }
}

#[tokio::test]
async fn a_plugin_that_vanished_is_refused() {
    let role = refused(|forged| {
        forged.rebin(&bin("demo:beta")).remove("index/demo/beta.json");
        forged.documents.remove("demo:beta");
    });
    assert_eq!(role.await, role_of_beta());
}

#[tokio::test]
async fn a_yank_that_is_taken_back_without_an_event_is_refused() {
    let role =
        refused(|forged| forged.document("demo:beta", |d| relist(d, "1.0.0", |listing| listing.state = State::Listed)));
    assert_eq!(role.await, role_of_beta());
}

#[tokio::test]
async fn words_that_no_release_says_are_refused() {
    let role =
        refused(|forged| forged.document("demo:alpha", |document| document.about.description = "Free money".into()));
    assert_eq!(role.await, bin("demo:alpha"));
}

#[tokio::test]
async fn an_event_that_the_index_leaves_out_is_refused() {
    let role = refused(|forged| {
        forged.rebin(&bin("demo:gamma")).remove("index/demo/gamma.json");
        forged.documents.remove("demo:gamma");
    });
    assert_eq!(role.await, bin("demo:gamma"));
}

#[tokio::test]
async fn a_target_that_is_no_document_is_refused() {
    let role = refused(|forged| {
        forged.rebin(&bin("demo:gamma")).insert("index/demo/../x.json".into(), Target::of(b"x"));
    });
    assert_eq!(role.await, bin("demo:gamma"));
}

#[tokio::test]
async fn a_bin_that_is_older_than_it_was_is_refused() {
    // `demo:beta` was yanked by event 4; the bin from before would list it again.
    let role = refused(|forged| {
        forged.versions.insert(bin("demo:beta"), 3);
    });
    assert_eq!(role.await, "snapshot");
}

#[tokio::test]
async fn a_proposal_without_a_signature_that_is_needed_is_refused() {
    let (world, blobs) = before_the_theft().await;
    let proposal = world.indexer(&blobs).run().await.expect("a run").expect("something new").proposal;
    let mut wire: serde_json::Value = serde_json::from_slice(&proposal.to_bytes()).expect("JSON");
    let signatures = wire["signatures"].as_object_mut().expect("an object");
    signatures.remove(&bin("demo:gamma")).expect("a signature");
    let less = Proposal::read(wire.to_string().as_bytes()).expect("a proposal");
    let error = world.signer(&blobs).sign(&less, world.now()).await.expect_err("a refusal");
    let role = bin("demo:gamma");
    assert_eq!(
        error.to_string(),
        format!("the proposal for event 6 has no signature for `{role}`, which the log changes")
    );
}

#[tokio::test]
async fn a_document_or_an_artifact_that_is_not_there_is_not_pointed_at() {
    for gone in ["index/demo/", "artifacts/"] {
        let (world, blobs) = before_the_theft().await;
        let before = files(&blobs, Area::Public).await;
        let proposal = world.indexer(&blobs).run().await.expect("a run").expect("something new").proposal;
        let after = files(&blobs, Area::Public).await;
        let new = |path: &&String| path.starts_with(&format!("public/{gone}")) && !before.contains_key(*path);
        let path = after.keys().find(new).expect("a new file").clone();
        blobs.delete(&path.parse().expect("a key")).await.expect("a deletion");
        let error = world.signer(&blobs).sign(&proposal, world.now()).await.expect_err("a refusal");
        assert!(matches!(&error, IndexerError::Missing(missing) if path.ends_with(missing)), "{error:?}");
        assert_eq!(world.read_as_client(&blobs).await, 4);
    }
}

#[tokio::test]
async fn a_bin_that_a_thief_swapped_is_not_signed_into_the_next_one() {
    // The thief has the indexer's key and the bucket. What lies there under its one signature lists a plugin that nobody
    // published; the indexer reads it for good, and proposes the next bin with it.
    let (mut world, blobs) = before_the_theft().await;
    world.index(&blobs).await.expect("an index");
    let mut forged = Forged::from(&world).await;
    let (role, version) = (bin("demo:beta"), forged.versions[&bin("demo:beta")]);
    forged.bins.get_mut(&role).expect("a bin").insert("index/demo/evil.json".into(), Target::of(b"evil"));
    let swapped = forged.bin(&role, version).sign(&[&keys().snapshot]);
    let name = public(version, &role);
    blobs.delete(&name).await.expect("a deletion");
    put(&blobs, &name, &swapped).await;
    world.commit(released(&[("demo:beta", "1.1.0")])).await;
    world.upload(&blobs).await;
    let before = trust_files(&blobs).await;
    let proposal = world.indexer(&blobs).run().await.expect("a run").expect("something new").proposal;
    let error = world.signer(&blobs).sign(&proposal, world.now()).await.expect_err("a refusal");
    let threshold = |role: &str| TrustError::Threshold { role: role.into(), by: "index".into(), valid: 1, needed: 2 };
    assert!(matches!(&error, IndexerError::Trust(found) if *found == threshold(&role)), "{error:?}");
    assert_eq!(trust_files(&blobs).await, before);
}

#[tokio::test]
async fn a_pointer_that_a_thief_put_there_is_neither_signed_anew_nor_built_upon() {
    let (world, blobs) = before_the_theft().await;
    let proposal = world.indexer(&blobs).run().await.expect("a run").expect("something new").proposal;
    let mut forged = Forged::from(&world).await;
    forged.bins.values_mut().for_each(BTreeMap::clear);
    let roles = forged.versions.iter().map(|(role, version)| (role.clone(), number(*version))).collect();
    let snapshot = writer::snapshot(forged.terms(6), &forged.head, &roles);
    let snapshot = Unsigned::sign(snapshot, &[&keys().snapshot]);
    put(&blobs, &public(9, "snapshot"), &snapshot).await;
    let terms = Terms { version: number(u64::MAX), expires: world.now() };
    let timestamp = writer::timestamp(terms, number(9), &snapshot).sign(&[&keys().snapshot]);
    let key = BlobKey::Public(PublicPath::Timestamp);
    blobs.delete(&key).await.expect("a deletion");
    put(&blobs, &key, &timestamp).await;

    let signer = world.signer(&blobs);
    assert_eq!(signer.refresh(world.now()).await.expect("nothing to sign"), Signed::Already);
    assert_eq!(pointer(&blobs).await.as_deref(), Some(timestamp.as_slice()));
    // The next true proposal heals it: the version counts events, and not from what the thief wrote.
    assert_eq!(signer.sign(&proposal, world.now()).await.expect("a signature"), Signed::Moved(number(6)));
    assert_eq!(world.read_as_client(&blobs).await, 6);
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
    let error = signer.sign(&run.proposal, signed_at.plus(-601)).await.expect_err("a clock far back");
    assert_eq!(
        error.to_string(),
        "the signer refuses snapshot 3: the clock says 2026-11-18T10:58:39Z, and the last signature was made at \
         2026-11-18T11:08:40Z"
    );
    let signed = signer.sign(&run.proposal, signed_at.plus(-600)).await.expect("a clock a little back");
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
    assert_eq!(signer.sign(&run.proposal, world.now()).await.expect("a signature"), moved(3));
    assert_eq!(signer.sign(&run.proposal, world.now()).await.expect("no signature"), Signed::Already);
    assert_eq!(signer.refresh(world.now().plus(DAY - 1)).await.expect("no signature"), Signed::Already);
    assert_eq!(signer.refresh(world.now().plus(DAY)).await.expect("a signature"), moved(4));
    assert_eq!(signer.refresh(world.now().plus(DAY + 1)).await.expect("no signature"), Signed::Already);
    let timestamp = signed(&blobs, &BlobKey::Public(PublicPath::Timestamp)).await;
    assert_eq!(timestamp["expires"], world.now().plus(8 * DAY).to_string());
    assert_eq!(world.read_as_client(&blobs).await, 3);
}
