//! Name → bytes is a function of the log's prefix: whoever folds it, however it is cut, wherever a run stops.

use std::collections::BTreeMap;

use proptest::prelude::*;
use stoa_core::{event::Fact, standing::Measure};
use stoa_store::{blobs::Area, memory::MemoryBlobs};

use crate::world::{
    World, files, flawed, flawless, immutable, namespace, released, restored, taken_down, unyanked, writes, yanked,
};

const PLUGINS: [&str; 5] = ["demo:alpha", "demo:beta", "demo:gamma", "other:alpha", "other:delta"];

/// Something that somebody does; it is made possible by what came before.
#[derive(Debug, Clone)]
pub(crate) enum Deed {
    Namespace,
    /// Publishes the next version of each plugin whose bit is set, all at once.
    Release(u8),
    /// Yanks the n-th release that is listed, counted around.
    Yank(usize),
    /// Takes the n-th yank back.
    Unyank(usize),
    /// Takes the n-th release down, or its plugin has a flaw that others have had.
    Stand(usize, Said),
}

/// What is said of a release.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Said {
    Quarantined,
    Killed,
    Restored,
    Flawed,
    Flawless,
}

const SAID: [Said; 5] = [Said::Quarantined, Said::Killed, Said::Restored, Said::Flawed, Said::Flawless];

pub(crate) fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        1 => Just(Deed::Namespace),
        5 => (1u8..32).prop_map(Deed::Release),
        2 => any::<usize>().prop_map(Deed::Yank),
        1 => any::<usize>().prop_map(Deed::Unyank),
        3 => (any::<usize>(), prop::sample::select(SAID.to_vec())).prop_map(|(n, said)| Deed::Stand(n, said)),
    ]
}

/// Turns deeds into facts that the API would have let through.
#[derive(Default)]
pub(crate) struct Model {
    namespaces: usize,
    /// Whether each release is listed.
    releases: BTreeMap<(&'static str, String), bool>,
    versions: BTreeMap<&'static str, u32>,
}

impl Model {
    pub(crate) fn fact(&mut self, deed: &Deed) -> Fact {
        match deed {
            Deed::Release(bits) => self.release(*bits),
            Deed::Yank(n) => self.turn(*n, true).unwrap_or_else(|| self.namespace()),
            Deed::Unyank(n) => self.turn(*n, false).unwrap_or_else(|| self.namespace()),
            Deed::Stand(n, said) => self.stand(*n, *said).unwrap_or_else(|| self.namespace()),
            Deed::Namespace => self.namespace(),
        }
    }

    fn stand(&self, n: usize, said: Said) -> Option<Fact> {
        let (name, version) = self.releases.keys().nth(n.checked_rem(self.releases.len())?)?;
        Some(match said {
            Said::Quarantined => taken_down(name, Some(version), Measure::Quarantine),
            Said::Killed => taken_down(name, Some(version), Measure::Kill),
            Said::Restored => restored(name, Some(version)),
            Said::Flawed => flawed(name, "CVE-2026-1"),
            Said::Flawless => flawless(name, "CVE-2026-1"),
        })
    }

    fn namespace(&mut self) -> Fact {
        self.namespaces += 1;
        namespace(&format!("space-n{}", self.namespaces))
    }

    fn release(&mut self, bits: u8) -> Fact {
        let chosen = PLUGINS.iter().enumerate().filter(|(at, _)| bits & (1 << at) != 0);
        let mut set = Vec::new();
        for (_, name) in chosen {
            let minor = self.versions.entry(name).or_default();
            set.push((*name, format!("1.{minor}.0")));
            *minor += 1;
        }
        self.releases.extend(set.iter().map(|(name, version)| ((*name, version.clone()), true)));
        let set: Vec<_> = set.iter().map(|(name, version)| (*name, version.as_str())).collect();
        released(&set)
    }

    fn turn(&mut self, n: usize, listed: bool) -> Option<Fact> {
        let mut candidates: Vec<_> = self.releases.iter_mut().filter(|(_, state)| **state == listed).collect();
        let count = candidates.len();
        let ((name, version), state) = candidates.get_mut(n.checked_rem(count)?)?;
        **state = !listed;
        Some(if listed { yanked(name, version) } else { unyanked(name, version) })
    }
}

/// Indexes with two indexers: the first is stopped before one of its writes, the second does all of the work,
/// and then the first goes on.
async fn interleaved(world: &World, stop_at: usize) -> MemoryBlobs {
    let rehearsal = world.tree().await;
    world.indexer(&rehearsal).run().await.expect("a run");
    let planned = writes(&rehearsal);
    let (call, name) = planned[stop_at % planned.len()].clone();

    let blobs = world.tree().await;
    let mut stopped = blobs.hooks().stop_before(call, name);
    let (first, second) = (world.indexer(&blobs), world.indexer(&blobs));
    let slow = tokio::spawn(async move { first.run().await });
    stopped.reached().await;
    let run = second.run().await.expect("the second run").expect("something new");
    world.signer(&blobs).sign(&run.proposal, world.now()).await.expect("a signature");
    stopped.release();
    let late = slow.await.expect("a task").expect("the first run").expect("something new");
    assert_eq!(late, run, "both made the same");
    blobs
}

async fn check(deeds: &[(Deed, bool)], stop_at: usize) {
    let (mut world, mut model) = (World::begun().await, Model::default());
    let batched = world.tree().await;
    for (deed, then_index) in deeds {
        world.commit(model.fact(deed)).await;
        if *then_index {
            world.upload(&batched).await;
            world.index(&batched).await.expect("an index");
        }
    }
    world.upload(&batched).await;
    world.index(&batched).await.expect("an index");

    let rebuilt = world.tree().await;
    world.index(&rebuilt).await.expect("a rebuild");
    let (step_by_step, at_once) = (immutable(&batched).await, immutable(&rebuilt).await);
    for (path, bytes) in &at_once {
        // At the head both have the same files; the steps have others besides, of heads that were.
        assert_eq!(step_by_step.get(path), Some(bytes), "{path}");
    }
    let head = deeds.len() as u64 + 1;
    assert_eq!(world.read_as_client(&batched).await, head);
    assert_eq!(world.read_as_client(&rebuilt).await, head);

    let before = files(&batched, Area::Public).await;
    assert_eq!(world.indexer(&batched).run().await.expect("a run"), None, "nothing is new");
    world.index(&batched).await.expect("an index");
    assert_eq!(files(&batched, Area::Public).await, before, "a second run changes nothing");

    let raced = interleaved(&world, stop_at).await;
    assert_eq!(immutable(&raced).await, at_once, "two at once make what one makes");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_rebuild_gives_every_file_the_same_bytes(
        deeds in prop::collection::vec((deed(), any::<bool>()), 1..24),
        stop_at in any::<usize>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(check(&deeds, stop_at));
    }
}
