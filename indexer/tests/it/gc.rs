//! Garbage goes; what anyone may still ask for stays, whenever the collector comes and whatever stops it.

mod killed;
mod random;
mod runs;
mod stored;

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use stoa_core::{
    digest::Digest,
    event::{ActorId, Draft, Fact},
    lock::Exact,
    path::PublicPath,
    time::{DAY, Time},
};
use stoa_indexer::{
    IndexerError,
    gc::{Collector, GRACE, GcError, Group, Keep, Order, Others, Report},
};
use stoa_store::{
    blobs::{Area, BlobKey, Blobs as _, EngineError},
    ledger::{Ledger as _, OperationId, Transaction},
    memory::{Call, MemoryBlobs, MemoryLedger},
    sweep::{Claimed, Claims, Kills},
};

use crate::world::{Files, World, files, id, immutable, namespace, public, released, signed, yanked};

/// What begun publishes claim, as a test says it.
#[derive(Debug, Clone, Default)]
struct Says(Claimed);

#[async_trait]
impl Claims for Says {
    async fn claimed(&self, _now: Time) -> Result<Claimed, EngineError> {
        Ok(self.0.clone())
    }
}

/// Records what is purged as the API does, without the state beside it.
#[derive(Debug)]
struct Ends(Arc<MemoryLedger>);

#[async_trait]
impl Kills for Ends {
    async fn purge(
        &self,
        releases: &BTreeSet<Exact>,
        blobs: &BTreeSet<Digest>,
        now: Time,
    ) -> Result<bool, EngineError> {
        let (releases, blobs) = (releases.iter().cloned().collect(), blobs.iter().copied().collect());
        let draft = Draft { actor: ActorId::registry(), fact: Fact::Purged { releases, blobs }, private: None };
        let operation = OperationId::random()?;
        self.0.commit(&Transaction { operation, draft: Some(draft), writes: vec![] }, now).await?;
        Ok(true)
    }
}

/// After the usual grace.
const USUAL: Order = Order { grace: GRACE, rehearse: false, others: Others::Possible };
/// With no regard for any host.
const AT_ONCE: Order = Order { grace: 0, ..USUAL };

fn collector(world: &World, blobs: &MemoryBlobs) -> Collector {
    claimed(world, blobs, Says::default())
}

/// A collector beside publishes that claim this.
fn claimed(world: &World, blobs: &MemoryBlobs, says: Says) -> Collector {
    let ends = Arc::new(Ends(world.ledger.clone()));
    Collector::new(world.ledger.clone(), Arc::new(blobs.clone()), Arc::new(says), ends, &world.root())
}

async fn collect(world: &World, blobs: &MemoryBlobs, order: Order) -> Report {
    blobs.stop_clock(world.now());
    collector(world, blobs).run(order, world.now()).await.expect("a collection")
}

/// Indexes as of now.
async fn index(world: &World, blobs: &MemoryBlobs) {
    blobs.stop_clock(world.now());
    world.upload(blobs).await;
    world.index(blobs).await.expect("an index");
    world.signer(blobs).refresh(world.now()).await.expect("a fresh signature");
}

async fn served(blobs: &MemoryBlobs) -> u64 {
    let timestamp = signed(blobs, &BlobKey::Public(PublicPath::Timestamp)).await;
    timestamp["meta"]["snapshot.json"]["version"].as_u64().expect("a version")
}

/// Reads everything that a host may ask for that synced while snapshot `version` was served.
async fn read_along(blobs: &MemoryBlobs, version: u64) {
    let snapshot = signed(blobs, &public(version, "snapshot")).await;
    for (file, meta) in snapshot["meta"].as_object().expect("roles") {
        let role = file.strip_suffix(".json").expect("a file");
        let listed = signed(blobs, &public(meta["version"].as_u64().expect("a version"), role)).await;
        for (path, target) in listed["targets"].as_object().expect("targets") {
            let digest: Digest = target["hashes"]["sha256"].as_str().expect("a digest").parse().expect("a digest");
            let (namespace, name) = path["index/".len()..].split_once('/').expect("a document");
            let id = id(&format!("{namespace}:{}", name.trim_end_matches(".json")));
            let found =
                blobs.get(&BlobKey::Public(PublicPath::Document(id, digest)), 1 << 20).await.expect("an answer");
            let found = found.unwrap_or_else(|| panic!("snapshot {version} lists `{path}`, and it is gone"));
            assert_eq!(Digest::of(&found.bytes), digest, "{path}");
        }
    }
}

/// The versions of the snapshots that lie there.
async fn snapshots(blobs: &MemoryBlobs) -> BTreeSet<u64> {
    let rows = blobs.list(Area::Public, None, usize::MAX).await.expect("a list");
    let version = |key| match key {
        BlobKey::Public(PublicPath::Role(file)) if file.role == "snapshot" => Some(file.version),
        _ => None,
    };
    rows.into_iter().filter_map(|row| version(row.key)).collect()
}

/// What a rebuild of the whole log makes in an empty place.
async fn rebuilt(world: &World) -> Files {
    let blobs = world.tree().await;
    world.index(&blobs).await.expect("a rebuild");
    immutable(&blobs).await
}

fn deletions(blobs: &MemoryBlobs) -> Vec<String> {
    let calls = blobs.hooks().calls().into_iter();
    calls.filter(|(call, _)| *call == Call::Delete).map(|(_, path)| path).collect()
}

/// A day with one release of each day's own, indexed, for `days` days; collected every day.
async fn days(world: &mut World, blobs: &MemoryBlobs, days: std::ops::Range<u32>, order: Order) {
    for day in days {
        world.commit(released(&[("demo:alpha", &format!("1.{day}.0"))])).await;
        index(world, blobs).await;
        collect(world, blobs, order).await;
        world.wait(DAY - 60);
    }
}

#[tokio::test]
async fn a_host_reads_on_for_a_week_and_older_snapshots_go_with_what_only_they_list() {
    let mut world = World::with([namespace("demo")]).await;
    let blobs = world.tree().await;
    // Event 3 on day 0, event 22 on day 19.
    days(&mut world, &blobs, 0..20, USUAL).await;
    assert_eq!(served(&blobs).await, 22);
    // On day 19 the last look that is more than a week and ten minutes old was on day 11: it saw 14 served.
    assert_eq!(snapshots(&blobs).await, (14..=22).collect());
    for version in 14..=22 {
        read_along(&blobs, version).await;
    }
    let report = collect(&world, &blobs, USUAL).await;
    let tally = |group| (report.stays(group).files, report.goes(group).files);
    // A day has passed since: one snapshot with its bin and document.
    assert_eq!((report.signed, report.floor), (22, 15));
    assert_eq!(tally(Group::Snapshots), (8, 1));
    // The bin of each snapshot, three that never changed, and the catalog.
    assert_eq!(tally(Group::Bins), (8 + 3 + 1, 1));
    assert_eq!(tally(Group::Documents), (8, 1));
    assert_eq!(report.kept[&Group::Snapshots][&Keep::Served].files, 1);
    assert_eq!(report.kept[&Group::Snapshots][&Keep::Grace].files, 7);
    assert_eq!((tally(Group::Artifacts), tally(Group::Events)), ((61, 0), (22, 0)), "history is never collected");
    assert_eq!(world.read_as_client(&blobs).await, 22);
}

#[tokio::test]
async fn snapshots_go_before_bins_and_bins_before_documents() {
    let mut world = World::with([namespace("demo")]).await;
    let blobs = world.tree().await;
    for patch in 0..3 {
        world.commit(released(&[("demo:alpha", &format!("1.0.{patch}"))])).await;
        index(&world, &blobs).await;
    }
    blobs.hooks().forget();
    collect(&world, &blobs, AT_ONCE).await;
    let deleted = deletions(&blobs);
    let kind = |path: &String| match () {
        () if path.ends_with(".snapshot.json") => 0,
        () if path.starts_with("public/trust/") => 1,
        () => 2,
    };
    assert_eq!(deleted.iter().map(kind).collect::<Vec<_>>(), [0, 0, 1, 1, 2, 2], "{deleted:#?}");
}

#[tokio::test]
async fn a_rehearsal_tells_what_goes_and_removes_and_notes_nothing() {
    let mut world = World::with([namespace("demo"), released(&[("demo:alpha", "1.0.0")])]).await;
    let blobs = world.tree().await;
    index(&world, &blobs).await;
    world.commit(yanked("demo:alpha", "1.0.0")).await;
    index(&world, &blobs).await;
    let before = files(&blobs, Area::Public).await;
    let rehearsed = collect(&world, &blobs, Order { rehearse: true, ..AT_ONCE }).await;
    assert_eq!(files(&blobs, Area::Public).await, before);
    let done = collect(&world, &blobs, AT_ONCE).await;
    assert_eq!(rehearsed, done);
    assert_eq!((done.goes(Group::Snapshots).files, done.goes(Group::Documents).files), (1, 1));
    let again = collect(&world, &blobs, AT_ONCE).await;
    assert!(again.collected.values().all(|tally| tally.files == 0), "{again:?}");
}

#[tokio::test]
async fn pages_can_be_made_anew_from_every_document_that_they_list() {
    let mut world = World::with([namespace("demo"), released(&[("demo:alpha", "1.0.0")])]).await;
    let blobs = world.tree().await;
    blobs.stop_clock(world.now());
    world.follow(&blobs).await.expect("index and pages");
    world.commit(released(&[("demo:alpha", "1.1.0")])).await;
    // Indexed, and the pages not written yet.
    index(&world, &blobs).await;
    let report = collect(&world, &blobs, AT_ONCE).await;
    assert_eq!(report.kept[&Group::Documents][&Keep::Pages].files, 1);
    world.follow(&blobs).await.expect("pages");
    let report = collect(&world, &blobs, AT_ONCE).await;
    assert_eq!((report.stays(Group::Documents).files, report.goes(Group::Documents).files), (1, 1));
}

#[tokio::test]
async fn a_clock_that_contradicts_what_was_signed_collects_nothing() {
    let mut world = World::with([namespace("demo"), released(&[("demo:alpha", "1.0.0")])]).await;
    let blobs = world.tree().await;
    index(&world, &blobs).await;
    world.commit(yanked("demo:alpha", "1.0.0")).await;
    index(&world, &blobs).await;
    let before = files(&blobs, Area::Public).await;
    let (collector, now) = (collector(&world, &blobs), world.now());
    for (skew, message) in [
        (
            -DAY,
            "the clock says 2026-11-17T11:10:40Z, and the index was signed at 2026-11-18T11:10:40Z: nothing was collected",
        ),
        (
            7 * DAY,
            "the clock says 2026-11-25T11:10:40Z, and the signed index ran out at 2026-11-25T11:10:40Z: nothing was collected",
        ),
        (
            400 * DAY,
            "the clock says 2027-12-23T11:10:40Z, and the signed index ran out at 2026-11-25T11:10:40Z: nothing was collected",
        ),
    ] {
        let refused = collector.run(AT_ONCE, now.plus(skew)).await;
        assert_eq!(refused.map_err(|error| error.to_string()), Err(message.to_owned()));
    }
    assert_eq!(files(&blobs, Area::Public).await, before);
}

#[tokio::test]
async fn a_ledger_that_is_not_the_signed_one_collects_nothing() {
    let world = World::with([namespace("demo"), released(&[("demo:alpha", "1.0.0")])]).await;
    let blobs = world.tree().await;
    let unsigned = collector(&world, &blobs).run(AT_ONCE, world.now()).await;
    assert!(matches!(unsigned, Err(GcError::Unsigned)), "{unsigned:?}");
    index(&world, &blobs).await;
    let before = (files(&blobs, Area::Public).await, files(&blobs, Area::Store).await);
    // Put back from a copy that lacks the last event: to it, every blob of the release is garbage.
    let behind = World::with([namespace("demo")]).await;
    let refused = collector(&behind, &blobs).run(AT_ONCE, world.now()).await;
    assert!(matches!(refused, Err(GcError::Index(IndexerError::Behind { ledger: 2, signed: 3 }))), "{refused:?}");
    let forked = World::with([namespace("demo"), released(&[("demo:beta", "1.0.0")])]).await;
    let refused = collector(&forked, &blobs).run(AT_ONCE, world.now()).await;
    assert!(matches!(refused, Err(GcError::Index(IndexerError::Forked { seq: 3, .. }))), "{refused:?}");
    assert_eq!((files(&blobs, Area::Public).await, files(&blobs, Area::Store).await), before);
}

#[tokio::test]
async fn a_ledger_that_lacks_archived_events_collects_nothing() {
    let world = World::with([namespace("demo"), released(&[("demo:alpha", "1.0.0")])]).await;
    let blobs = world.tree().await;
    index(&world, &blobs).await;
    // Nothing tells what event 4 names; a replay may need it.
    crate::world::put(&blobs, &BlobKey::Event(4), b"{}").await;
    crate::world::put(&blobs, &BlobKey::Store(Digest::of(b"of event 4")), b"of event 4").await;
    let refused = collector(&world, &blobs).run(AT_ONCE, world.now()).await;
    assert!(matches!(refused, Err(GcError::Lost { archived: 4, ledger: 3 })), "{refused:?}");
    assert_eq!(files(&blobs, Area::Store).await.len(), 4);
}
