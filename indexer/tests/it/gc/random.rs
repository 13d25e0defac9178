//! Random histories with collectors at random points and clocks that step.

use proptest::prelude::*;
use stoa_core::time::DAY;
use stoa_indexer::gc::{GRACE, GcError};
use stoa_store::memory::MemoryBlobs;

use super::{AT_ONCE, USUAL, collect, collector, index, read_along, rebuilt, served};
use crate::{
    history::{Deed, Model, deed},
    world::{World, immutable},
};

#[derive(Debug, Clone)]
enum Step {
    Deed(Deed),
    Index,
    /// Time passes, in hours.
    Wait(i64),
    /// Somebody collects whose clock is wrong by so many hours.
    Collect(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => deed().prop_map(Step::Deed),
        3 => Just(Step::Index),
        3 => (1i64..60).prop_map(Step::Wait),
        4 => prop_oneof![3 => Just(0i64), 1 => -30i64..30, 1 => Just(24 * 400)].prop_map(Step::Collect),
    ]
}

/// Hosts, by when they synced and what was served then.
struct Hosts(Vec<(i64, u64)>);

impl Hosts {
    async fn sync(&mut self, world: &World, blobs: &MemoryBlobs) {
        self.0.push((world.now().unix(), served(blobs).await));
    }

    /// All that synced within the grace, less what wrong clocks took of it, read along.
    async fn read(&self, world: &World, blobs: &MemoryBlobs, wrong_by: i64) {
        let since = world.now().unix() - GRACE + wrong_by;
        for (_, snapshot) in self.0.iter().filter(|(synced, _)| *synced >= since) {
            read_along(blobs, *snapshot).await;
        }
    }
}

async fn check(steps: &[Step]) {
    let (mut world, mut model) = (World::begun().await, Model::default());
    let blobs = world.tree().await;
    index(&world, &blobs).await;
    let (mut hosts, mut wrong_by) = (Hosts(Vec::new()), 0);
    hosts.sync(&world, &blobs).await;
    for step in steps {
        match step {
            Step::Deed(deed) => drop(world.commit(model.fact(deed)).await),
            Step::Index => index(&world, &blobs).await,
            Step::Wait(hours) => {
                world.wait(hours * 60 * 60);
                world.signer(&blobs).refresh(world.now()).await.expect("a fresh signature");
            }
            Step::Collect(hours) => {
                blobs.stop_clock(world.now());
                let seconds = hours * 60 * 60;
                match collector(&world, &blobs).run(USUAL, world.now().plus(seconds)).await {
                    // A look at a wrong time and a count from a wrong time: each takes of the grace what it is wrong by.
                    Ok(_) => wrong_by = wrong_by.max(2 * seconds.abs()),
                    // Who collected ahead of time may have recorded a purge then: the right clock is behind the log.
                    Err(GcError::Clock { .. }) => assert!(seconds != 0 || wrong_by > 0, "the right clock is refused"),
                    Err(error) => panic!("{error:?}"),
                }
                hosts.read(&world, &blobs, wrong_by).await;
            }
        }
        hosts.sync(&world, &blobs).await;
    }
    if wrong_by > 0 {
        // Until the log is not ahead of the right clock any more.
        world.wait(wrong_by / 2);
    }
    index(&world, &blobs).await;
    collect(&world, &blobs, USUAL).await;
    hosts.read(&world, &blobs, wrong_by).await;
    // What the served snapshot reaches, and history: to the byte what a rebuild from the first event makes.
    world.wait(DAY);
    // The first collection may make kills final, which is an event more; the second one has nothing to add.
    for _ in 0..2 {
        index(&world, &blobs).await;
        collect(&world, &blobs, AT_ONCE).await;
    }
    assert_eq!(immutable(&blobs).await, rebuilt(&world).await);
    assert_eq!(world.read_as_client(&blobs).await, world.ledger_head().await);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn whoever_collects_whenever_hosts_read_on_and_the_tree_is_what_a_rebuild_makes(
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(check(&steps));
    }
}
