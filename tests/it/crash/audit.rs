//! What has to hold whenever a process is gone: read from what it left, as strangers would.

use std::collections::{BTreeMap, BTreeSet};

use stoa_core::{
    digest::Digest,
    document::{self, Document, State},
    event::Sealed,
    id::PluginId,
    path::{Cache, PublicPath},
    trust::{CachedTrust, Config, Step, TrustFile, Updater},
};
use stoa_store::blobs::{Area, BlobKey};

use super::machine::{Process, Refusal, now, root};

/// What a client sees that has nothing but the first root.
#[derive(Debug, PartialEq)]
pub(crate) struct Seen {
    /// The last event that the signed index covers.
    pub(crate) seq: u64,
    pub(crate) documents: BTreeMap<PluginId, Document>,
}

/// Checks that the signed index is whole and is the log up to its place; that the API shows the log to its end;
/// that the log hangs together. Gives what a client sees.
pub(crate) async fn audit(process: &Process) -> Seen {
    let events = process.ledger.events(0, 10_000).await.expect("a log that hangs together");
    assert_eq!(events.last().map(Sealed::head), Some(process.ledger.head().await.expect("a head")));
    let ids: BTreeSet<PluginId> = events.iter().flat_map(|event| document::touched(event.event())).collect();
    let seen = read(process, &ids).await;
    let covered: Vec<&Sealed> = events.iter().filter(|event| event.event().seq <= seen.seq).collect();
    assert_eq!(seen.documents, folded(&covered, &ids), "the signed index is the log up to event {}", seen.seq);
    shows(process, &ids, &folded(&events.iter().collect::<Vec<_>>(), &ids)).await;
    seen
}

/// The documents that these events make.
fn folded(events: &[&Sealed], ids: &BTreeSet<PluginId>) -> BTreeMap<PluginId, Document> {
    let one = |id: &PluginId| {
        let fold = |before, event: &&Sealed| Document::apply(before, id, event.event());
        Some((id.clone(), events.iter().try_fold(None, fold).expect("events that fold")?))
    };
    ids.iter().filter_map(one).collect()
}

/// Reads as a client does: everything from the pinned root on is verified, and every blob that a document names is
/// there with its digest.
async fn read(process: &Process, ids: &BTreeSet<PluginId>) -> Seen {
    let mut client = Updater::open(root(), CachedTrust::default(), now(), Config::default()).expect("a root");
    while let Step::Fetch { file, max_bytes, .. } = client.next() {
        client.receive(fetch(process, &file, max_bytes).await.as_deref()).expect("a file that the keys vouch for");
    }
    let mut documents = BTreeMap::new();
    for id in ids {
        let mut lookup = client.lookup(&PublicPath::target_path(id));
        let target = loop {
            match lookup.next(&mut client).expect("a lookup") {
                Step::Done(target) => break target,
                Step::Fetch { file, max_bytes, .. } => {
                    let bytes = fetch(process, &file, max_bytes).await;
                    lookup.receive(&mut client, bytes.as_deref()).expect("a role that the keys vouch for");
                }
            }
        };
        let Some(target) = target else { continue };
        let digest = target.hashes.sha256().expect("a SHA-256");
        let bytes = public(process, PublicPath::Document(id.clone(), digest)).await.expect("a listed document");
        assert_eq!((Digest::of(&bytes), bytes.len() as u64), (digest, target.length), "{id}");
        let document = Document::read(id, &bytes).expect("a document");
        for listing in document.releases.values() {
            for named in [listing.artifact.digest, listing.record, document.about.wit.digest] {
                let bytes = public(process, PublicPath::Artifact(named)).await.expect("what a document names");
                assert_eq!(Digest::of(&bytes), named, "{id}");
            }
        }
        documents.insert(id.clone(), document);
    }
    let seq = client.snapshot().and_then(|snapshot| snapshot.head()).expect("a signed place").seq;
    Seen { seq, documents }
}

async fn fetch(process: &Process, file: &TrustFile, max_bytes: u64) -> Option<Vec<u8>> {
    let key = BlobKey::Public(file.path().expect("a public file"));
    process.blobs.get(&key, max_bytes).await.expect("an answer").map(|blob| blob.bytes.to_vec())
}

async fn public(process: &Process, path: PublicPath) -> Option<Vec<u8>> {
    let blob = process.blobs.get(&BlobKey::Public(path), 1 << 27).await.expect("an answer");
    blob.map(|blob| blob.bytes.to_vec())
}

/// The API's own items say what the log says: all of a release or nothing of it.
async fn shows(process: &Process, ids: &BTreeSet<PluginId>, expected: &BTreeMap<PluginId, Document>) {
    for id in ids {
        let path = format!("/api/v1/plugins/{}/{}", id.namespace(), id.name());
        let shown = process.get(&path).await.expect("a plugin that the log has");
        let versions =
            shown["versions"].as_array().expect("a list").iter().map(|v| v.as_str().expect("text").to_owned());
        let Document { releases, takedown: of_all, .. } = &expected[id];
        let known: BTreeSet<String> = releases.keys().map(ToString::to_string).collect();
        assert_eq!(versions.collect::<BTreeSet<_>>(), known, "{id}");
        for (version, listing) in releases {
            let shown = process.get(&format!("{path}/{version}")).await.expect("a version that the log has");
            let state = match (listing.takedown.as_ref().or(of_all.as_ref()), &listing.state) {
                (Some(takedown), _) => takedown.measure.state(),
                (None, State::Yanked { .. }) => "yanked",
                _ => "listed",
            };
            let (seq, record) = (listing.seq.into(), listing.record.to_string().into());
            assert_eq!((&shown["seq"], &shown["record"], &shown["state"]), (&seq, &record, &state.into()), "{id}");
        }
    }
    let unheard_of = process.get("/api/v1/plugins/demo/unheard-of").await;
    assert_eq!(unheard_of, Err(Refusal("plugin-unknown".to_owned())));
}

/// What may never change: files with immutable names, the archive of the log, checked bytes.
pub(crate) async fn immutable(process: &Process) -> BTreeMap<String, bytes::Bytes> {
    let mut files = process.files(&[Area::Public, Area::Events, Area::Store]).await;
    files.retain(|path, _| match path.strip_prefix("public/") {
        Some(path) => path.parse::<PublicPath>().is_ok_and(|path| path.cache() == Cache::Immutable),
        None => true,
    });
    files
}

/// Nothing that was immutable before is gone or has other bytes.
pub(crate) fn assert_kept(before: &BTreeMap<String, bytes::Bytes>, after: &BTreeMap<String, bytes::Bytes>) {
    for (path, bytes) in before {
        assert!(after.get(path) == Some(bytes), "`{path}` has changed or is gone");
    }
}
