//! The life of plugins: their phases, what happens when one fails, hangs or is cancelled, and that all is returned.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use proptest::prelude::*;
use stoa_loader::{
    Applied, ApplyOptions, CancelToken, End, Event, Events, Host, Outcome as Became, Phase, Plan, State, Totals,
    plan::{Fetch, Origin, Reload},
    testing::{Census, Faults, PlanBuilder, census},
};
use tempfile::TempDir;

use crate::{
    calls::{Outcome, wave},
    guests,
};

type Error = Box<dyn std::error::Error + Send + Sync>;

const LEAF: &str = "demo:leaf/api@1.0.0";
/// The phases on the way up in which a plugin can be held or can fail.
const UP: [Phase; 7] =
    [Phase::Discover, Phase::Resolve, Phase::Fetch, Phase::Compile, Phase::Wait, Phase::Link, Phase::Start];

fn host(faults: &Faults) -> Result<Host<()>, Error> {
    Ok(Host::<()>::builder().faults(faults.clone()).build()?)
}

/// Plugins that do nothing, each with those that it depends on.
fn idle(folder: &TempDir, plugins: &[(&str, &[&str])]) -> Result<Plan, Error> {
    let nothing = wat::parse_str("(component)")?;
    let plan = plugins.iter().fold(PlanBuilder::new(folder.path()), |plan, (id, on)| {
        on.iter().fold(plan.plugin(id, "1.0.0", &nothing), |plan, on| plan.depends_on(on, &[]))
    });
    plan.build()
}

fn leaf_and_relay(folder: &TempDir) -> Result<Plan, Error> {
    PlanBuilder::new(folder.path())
        .plugin("demo:leaf", "1.0.0", &guests::leaf())
        .plugin("demo:relay", "1.0.0", &guests::relay())
        .depends_on("demo:leaf", &[LEAF])
        .build()
}

fn became(applied: &Applied) -> Vec<String> {
    let one = |outcome: &Became| match outcome {
        Became::Failed(error) => format!("failed, {}", error.code()),
        Became::KeptOld(error) => format!("kept, {}", error.code()),
        other => format!("{other:?}").to_lowercase(),
    };
    applied.plugins.iter().map(|(plugin, outcome)| format!("{plugin}: {}", one(outcome))).collect()
}

/// The states that each plugin has come to, in order, of all that was told so far.
fn lives(events: &mut Events) -> BTreeMap<String, Vec<State>> {
    let mut lives: BTreeMap<String, Vec<State>> = BTreeMap::new();
    while let Some(event) = events.try_next() {
        if let Event::Entered { plugin, state, .. } = event {
            lives.entry(plugin.to_string()).or_default().push(state);
        }
    }
    lives
}

/// Waits until a plugin comes to a state.
async fn until(events: &mut Events, id: &str, wanted: State) {
    loop {
        match events.next().await.expect("the host is there") {
            Event::Entered { plugin, state, .. } if plugin.to_string() == id && state == wanted => return,
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plugins_that_do_not_depend_on_each_other_are_in_every_phase_at_the_same_time() -> Outcome {
    for phase in UP {
        let folder = tempfile::tempdir()?;
        let faults = Faults::new();
        let (one, two) = (faults.hold("demo:one", phase)?, faults.hold("demo:two", phase)?);
        let (host, plan) = (host(&faults)?, idle(&folder, &[("demo:one", &[]), ("demo:two", &[])])?);
        let applying = tokio::spawn(async move { host.apply(plan).await });
        // Each is there before the other may go on: one after the other they would never both come.
        one.arrived(1).await;
        two.arrived(1).await;
        one.open();
        two.open();
        assert_eq!(became(&applying.await??), ["demo:one: loaded", "demo:two: loaded"], "{phase}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_is_fetched_and_compiled_before_and_linked_after_those_it_depends_on_run() -> Outcome {
    let folder = tempfile::tempdir()?;
    let faults = Faults::new();
    let (gate, host) = (faults.hold("demo:leaf", Phase::Start)?, host(&faults)?);
    let mut events = host.events();
    let plan = leaf_and_relay(&folder)?;
    let applying = tokio::spawn(async move { host.apply(plan).await });
    gate.arrived(1).await;
    // The relay comes as far as it can while the leaf is held in its last phase.
    until(&mut events, "demo:relay", State::In(Phase::Wait)).await;
    gate.open();
    assert_eq!(became(&applying.await??), ["demo:leaf: loaded", "demo:relay: loaded"]);
    let mut order = Vec::new();
    while let Some(event) = events.try_next() {
        if let Event::Entered { plugin, state, .. } = event {
            order.push(format!("{plugin} {state}"));
        }
    }
    let order: Vec<_> = order.iter().skip_while(|told| *told != "demo:leaf run").cloned().collect();
    assert_eq!(order, ["demo:leaf run", "demo:relay link", "demo:relay start", "demo:relay run"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_life_is_told_from_its_beginning_to_its_end() -> Outcome {
    let folder = tempfile::tempdir()?;
    let host = host(&Faults::new())?;
    let mut events = host.events();
    host.apply(leaf_and_relay(&folder)?).await?.all()?;
    host.shutdown(Duration::from_secs(5)).await;
    let told: Vec<_> = lives(&mut events)
        .into_iter()
        .map(|(plugin, states)| {
            let states: Vec<_> = states.iter().map(ToString::to_string).collect();
            format!("{plugin}: {}", states.join(" "))
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"), @"
    demo:leaf: discover resolve fetch compile wait link start run drain stop stopped
    demo:relay: discover resolve fetch compile wait link start run drain stop stopped
    ");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn progress_counts_to_the_number_of_plugins() -> Outcome {
    let folder = tempfile::tempdir()?;
    let host = host(&Faults::new())?;
    let mut events = host.events();
    let plan = idle(&folder, &[("demo:one", &[]), ("demo:two", &["demo:one"]), ("demo:three", &[])])?;
    host.apply(plan).await?.all()?;
    let mut progress = Vec::new();
    while let Some(event) = events.try_next() {
        if let Event::Progress { settled, of } = event {
            progress.push((settled, of));
        }
    }
    assert_eq!(progress, [(1, 3), (2, 3), (3, 3)]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_blocked_is_told_by_whom_and_the_way_there() -> Outcome {
    let folder = tempfile::tempdir()?;
    let faults = Faults::new();
    faults.fail("demo:a", Phase::Fetch)?;
    let plan = idle(
        &folder,
        &[("demo:a", &[]), ("demo:b", &["demo:a"]), ("demo:c", &["demo:b"]), ("demo:d", &["demo:c"]), ("demo:e", &[])],
    )?;
    let applied = host(&faults)?.apply(plan).await?;
    let told: Vec<_> = applied.failures().map(|(_, error)| error.chain()).collect();
    insta::assert_snapshot!(told.join("\n"), @"
    demo:a: a fault was injected in the phase `fetch`
    demo:b is not loaded because demo:a, which it depends on, is not: demo:a: a fault was injected in the phase `fetch`
    demo:c is not loaded because demo:a, which it depends on through demo:b, is not: demo:a: a fault was injected in the phase `fetch`
    demo:d is not loaded because demo:a, which it depends on through demo:c and demo:b, is not: demo:a: a fault was injected in the phase `fetch`
    ");
    Ok(())
}

/// A graph of `size` plugins, where `seed` says what each depends on: up to three before it.
fn graph(size: usize, seed: u64) -> Vec<Vec<usize>> {
    // Knuth's linear congruential generator: enough to be irregular.
    let mut state = seed;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    (0..size)
        .map(|n| {
            let mut on: Vec<usize> = (0..if n == 0 { 0 } else { next(4).min(n) }).map(|_| next(n)).collect();
            on.sort_unstable();
            on.dedup();
            on
        })
        .collect()
}

fn plan_of(folder: &TempDir, graph: &[Vec<usize>]) -> Result<Plan, Error> {
    let nothing = wat::parse_str("(component)")?;
    let plan = graph.iter().enumerate().fold(PlanBuilder::new(folder.path()), |plan, (n, on)| {
        let plan = plan.plugin(&format!("demo:n{n}"), "1.0.0", &nothing);
        on.iter().fold(plan, |plan, on| plan.depends_on(&format!("demo:n{on}"), &[]))
    });
    plan.build()
}

/// Which do not run, where `failing` fail.
fn without(graph: &[Vec<usize>], failing: &[usize]) -> Vec<usize> {
    let mut gone: Vec<usize> = Vec::new();
    for (n, on) in graph.iter().enumerate() {
        if failing.contains(&n) || on.iter().any(|on| gone.contains(on)) {
            gone.push(n);
        }
    }
    gone
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_of_any_of_a_hundred_plugins_blocks_exactly_those_that_depend_on_it() -> Outcome {
    let folder = tempfile::tempdir()?;
    let graph = graph(100, 7);
    let faults = Faults::new();
    let host = host(&faults)?;
    let whole = plan_of(&folder, &graph)?;
    host.apply(whole.clone()).await?.all()?;
    for n in 0..graph.len() {
        let gone = without(&graph, &[n]);
        let rest = whole.plugins().iter().enumerate().filter(|(n, _)| !gone.contains(n));
        // What stays runs on: only those in question are loaded again.
        faults.clear();
        host.apply(Plan::new(rest.map(|(_, plugin)| plugin.clone()).collect())?).await?.all()?;
        faults.fail(&format!("demo:n{n}"), UP[n % UP.len()])?;
        let applied = host.apply(whole.clone()).await?;
        let down: Vec<usize> = applied
            .failures()
            .map(|(plugin, error)| {
                let this = plugin.to_string().trim_start_matches("demo:n").parse().expect("a number");
                assert_eq!(error.code(), if this == n { "fault" } else { "blocked" });
                this
            })
            .collect();
        assert_eq!(down, gone, "of plugin {n}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn whatever_fails_wherever_the_rest_runs_in_an_order_that_keeps_to_the_dependencies(
        seed in any::<u64>(),
        failing in prop::collection::btree_map(0..12usize, 0..UP.len(), 0..4),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads");
        runtime.block_on(async {
            let folder = tempfile::tempdir().expect("a folder");
            let graph = graph(12, seed);
            let faults = Faults::new();
            for (n, phase) in &failing {
                faults.fail(&format!("demo:n{n}"), UP[*phase]).expect("an id");
            }
            let host = host(&faults).expect("a host");
            let mut events = host.events();
            let applied = host.apply(plan_of(&folder, &graph).expect("a plan")).await.expect("applied");
            let gone = without(&graph, &failing.keys().copied().collect::<Vec<_>>());
            let down: Vec<_> = applied.failures().map(|(plugin, _)| plugin.to_string()).collect();
            let expected: Vec<_> = gone.iter().map(|n| format!("demo:n{n}")).collect();
            assert_eq!(down, expected);

            // All that was told, in order: each plugin runs after those it depends on, and each life is one of the machine.
            let mut running = Vec::new();
            let mut lives: BTreeMap<String, Vec<State>> = BTreeMap::new();
            while let Some(event) = events.try_next() {
                let Event::Entered { plugin, state, .. } = event else { continue };
                lives.entry(plugin.to_string()).or_default().push(state);
                if state == State::In(Phase::Link) {
                    let n: usize = plugin.to_string().trim_start_matches("demo:n").parse().expect("a number");
                    assert!(graph[n].iter().all(|on| running.contains(on)), "{plugin} was linked before its dependencies ran");
                }
                if state == State::In(Phase::Run) {
                    running.push(plugin.to_string().trim_start_matches("demo:n").parse::<usize>().expect("a number"));
                }
            }
            for (plugin, life) in lives {
                let phases: Vec<_> = Phase::ALL.into_iter().map(State::In).take(life.len()).collect();
                match life.split_last().expect("a state") {
                    (State::In(Phase::Run), _) => assert_eq!(life, phases),
                    (State::Ended(End::Failed | End::Blocked), before) => assert_eq!(before, &phases[..before.len()]),
                    (other, _) => panic!("{plugin} stays in {other}"),
                }
            }
            host.shutdown(Duration::from_secs(5)).await;
            assert_eq!(census(&host), Census::default());
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_hangs_in_any_phase_is_given_up_and_the_others_run() -> Outcome {
    let mut told = Vec::new();
    for phase in UP {
        let folder = tempfile::tempdir()?;
        let faults = Faults::new();
        let _never_opened = faults.hold("demo:hangs", phase)?;
        // A second, within which all others are compiled even by a busy machine.
        let totals = Totals { compile_time: Duration::from_secs(1), ..Totals::default() };
        let host = Host::<()>::builder().faults(faults.clone()).totals(totals).build()?;
        let plan = idle(&folder, &[("demo:hangs", &[]), ("demo:waits", &["demo:hangs"]), ("demo:other", &[])])?;
        // The others are there already, so that a slow machine takes no time of theirs.
        let other = Plan::new(
            plan.plugins().iter().filter(|plugin| plugin.dependencies.is_empty()).skip(1).cloned().collect(),
        )?;
        host.apply(other).await?.all()?;
        let options = ApplyOptions::new().deadline(Duration::from_millis(30));
        let applied = host.apply_with(plan, options).await?;
        assert_eq!(became(&applied)[1..], ["demo:waits: failed, blocked", "demo:other: unchanged"], "{phase}");
        told.extend(applied.failures().take(1).map(|(_, error)| error.to_string()));
    }
    insta::assert_snapshot!(told.join("\n"), @"
    demo:hangs took longer than 30ms to load, and was in the phase `discover` when its time was up
    demo:hangs took longer than 30ms to load, and was in the phase `resolve` when its time was up
    demo:hangs took longer than 30ms to load, and was in the phase `fetch` when its time was up
    demo:hangs: compiling its 8 bytes took longer than 1s; it goes on, so a later try may find it done
    demo:hangs took longer than 30ms to load, and was in the phase `wait` when its time was up
    demo:hangs took longer than 30ms to load, and was in the phase `link` when its time was up
    demo:hangs took longer than 30ms to load, and was in the phase `start` when its time was up
    ");
    Ok(())
}

/// A plugin that stops before its successor starts is on its way out when the plan is cancelled, or out of time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_on_its_way_out_goes_on_to_its_end_when_its_plan_is_given_up() -> Outcome {
    let folder = tempfile::tempdir()?;
    let plan = |salt| {
        PlanBuilder::new(folder.path())
            .plugin("demo:leaf", "1.0.0", &guests::leaf_of("1.0.0", salt))
            .reload(Reload::StopStart)
            .build()
    };
    for phase in [Phase::Drain, Phase::Stop] {
        for (given_up_by, code) in [("cancelling", "load-cancelled"), ("time", "load-deadline")] {
            let faults = Faults::new();
            let host = host(&faults)?;
            host.apply(plan(1)?).await?.all()?;
            let mut events = host.events();
            let gate = faults.hold("demo:leaf", phase)?;
            let token = CancelToken::new();
            let deadline = Duration::from_millis(if given_up_by == "time" { 100 } else { 30_000 });
            let (options, next) = (ApplyOptions::new().cancelled_by(&token).deadline(deadline), plan(2)?);
            let applying = {
                let host = host.clone();
                tokio::spawn(async move { host.apply_with(next, options).await })
            };
            gate.arrived(1).await;
            if given_up_by == "cancelling" {
                token.cancel();
            }
            let told = match applying.await? {
                Ok(applied) => applied.failures().next().ok_or("the new one can not start")?.1.code(),
                Err(error) => error.code(),
            };
            assert_eq!(told, code, "{phase}, {given_up_by}");
            gate.open();
            until(&mut events, "demo:leaf", State::Ended(End::Stopped)).await;
            host.shutdown(Duration::from_secs(5)).await;
            assert_eq!(census(&host), Census::default(), "{phase}, {given_up_by}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelled_in_any_phase_what_ran_goes_on_and_what_was_started_is_gone() -> Outcome {
    let folder = tempfile::tempdir()?;
    for phase in UP {
        let faults = Faults::new();
        let host = host(&faults)?;
        host.apply(PlanBuilder::new(folder.path()).plugin("demo:leaf", "1.0.0", &guests::leaf()).build()?)
            .await?
            .all()?;
        let leaf = host.plugin("demo:leaf")?;
        assert_eq!(wave(&leaf.call_wave("bump()").await?), "ok(1)");
        let before = census(&host);

        let mut events = host.events();
        let gate = faults.hold("demo:hangs", phase)?;
        let plan = idle(&folder, &[("demo:leaf", &[]), ("demo:hangs", &[])])?;
        let token = CancelToken::new();
        let options = ApplyOptions::new().cancelled_by(&token);
        let applying = {
            let host = host.clone();
            tokio::spawn(async move { host.apply_with(plan, options).await })
        };
        gate.arrived(1).await;
        // The new leaf runs already, beside the old one.
        until(&mut events, "demo:leaf", State::In(Phase::Run)).await;
        token.cancel();
        assert_eq!(applying.await?.expect_err("it was cancelled").code(), "load-cancelled", "{phase}");
        assert_eq!(wave(&leaf.call_wave("bump()").await?), "ok(2)", "{phase}: the old one kept its memory");
        drop(gate);
        let lives = lives(&mut events);
        assert_eq!(lives["demo:hangs"].last(), Some(&State::Ended(End::Cancelled)), "{phase}");
        assert_eq!(lives["demo:leaf"].last(), Some(&State::Ended(End::Stopped)), "{phase}");
        let now = census(&host);
        // A compilation goes on by itself.
        assert_eq!(now.components, before.components, "{phase}");
        assert_eq!(
            (now.stores, now.instances, now.memory),
            (before.stores, before.instances, before.memory),
            "{phase}"
        );
        assert_eq!(host.plugins().len(), 1);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compilations_that_were_given_up_keep_nobody_from_compiling_until_there_are_too_many() -> Outcome {
    let folder = tempfile::tempdir()?;
    let faults = Faults::new();
    let host = host(&faults)?;
    let mut gates = Vec::new();
    // Two compile at a time, and four that were given up may go on.
    for pair in [["demo:a", "demo:b"], ["demo:c", "demo:d"]] {
        let token = CancelToken::new();
        let held = [faults.hold(pair[0], Phase::Compile)?, faults.hold(pair[1], Phase::Compile)?];
        let plan = idle(&folder, &[(pair[0], &[]), (pair[1], &[])])?;
        let applying = {
            let (host, options) = (host.clone(), ApplyOptions::new().cancelled_by(&token));
            tokio::spawn(async move { host.apply_with(plan, options).await })
        };
        for gate in &held {
            gate.arrived(1).await;
        }
        token.cancel();
        assert_eq!(applying.await?.expect_err("it was cancelled").code(), "load-cancelled");
        if pair[0] == "demo:a" {
            // Both turns were held by those that hang.
            host.apply(idle(&folder, &[("demo:other", &[])])?).await?.all()?;
        }
        gates.extend(held);
    }
    assert_eq!(census(&host).compilations, 4, "they go on");
    let applied = host.apply(idle(&folder, &[("demo:more", &[])])?).await?;
    let told: Vec<_> = applied.failures().map(|(_, error)| error.to_string()).collect();
    assert_eq!(told, ["demo:more: it is not compiled while 4 compilations that were given up still go on"]);

    drop(gates);
    while census(&host).compilations > 0 {
        tokio::task::yield_now().await;
    }
    host.apply(idle(&folder, &[("demo:more", &[])])?).await?.all()?;
    Ok(())
}

/// A registry that has lost a component.
#[derive(Debug)]
struct Lost;

#[async_trait::async_trait]
impl Fetch for Lost {
    async fn fetch(&self) -> Result<Origin, stoa_loader::Cause> {
        Err("it is not there".into())
    }
}

/// A registry that has it.
#[derive(Debug)]
struct Kept(Vec<u8>);

#[async_trait::async_trait]
impl Fetch for Kept {
    async fn fetch(&self) -> Result<Origin, stoa_loader::Cause> {
        Ok(Origin::Held(self.0.clone().into()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_that_can_not_be_fetched_blocks_its_dependents_and_others_are_fetched_and_run() -> Outcome {
    let folder = tempfile::tempdir()?;
    let plan = PlanBuilder::new(folder.path())
        .plugin("demo:leaf", "1.0.0", &guests::leaf())
        .fetched(Arc::new(Lost))
        .plugin("demo:relay", "1.0.0", &guests::relay())
        .depends_on("demo:leaf", &[LEAF])
        .plugin("demo:other", "1.0.0", &guests::leaf_of("1.0.0", 1))
        .fetched(Arc::new(Kept(guests::leaf_of("1.0.0", 1))))
        .plugin("demo:liar", "1.0.0", &guests::leaf_of("1.0.0", 2))
        .fetched(Arc::new(Kept(guests::leaf())));
    let host = host(&Faults::new())?;
    let applied = host.apply(plan.build()?).await?;
    assert_eq!(
        became(&applied),
        [
            "demo:leaf: failed, fetch",
            "demo:relay: failed, blocked",
            "demo:other: loaded",
            "demo:liar: failed, artifact-changed"
        ]
    );
    assert_eq!(wave(&host.plugin("demo:other")?.call_wave("bump()").await?), "ok(1)");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plugins_end_in_reverse_and_one_that_hangs_takes_nothing_from_the_others() -> Outcome {
    let folder = tempfile::tempdir()?;
    let faults = Faults::new();
    let (_never_opened, host) = (faults.hold("demo:top", Phase::Stop)?, host(&faults)?);
    let plan = idle(
        &folder,
        &[("demo:base", &[]), ("demo:middle", &["demo:base"]), ("demo:top", &["demo:middle"]), ("demo:other", &[])],
    )?;
    host.apply(plan).await?.all()?;
    let mut events = host.events();
    host.shutdown(Duration::from_millis(100)).await;
    let mut order = Vec::new();
    while let Some(event) = events.try_next() {
        match event {
            Event::Entered { plugin, state: State::In(Phase::Stop), .. } => order.push(format!("{plugin} stops")),
            Event::Removed { plugin } => order.push(format!("{plugin} is gone")),
            _ => {}
        }
    }
    order.retain(|told| !told.starts_with("demo:other"));
    assert_eq!(
        order,
        [
            "demo:top stops",
            "demo:top is gone",
            "demo:middle stops",
            "demo:middle is gone",
            "demo:base stops",
            "demo:base is gone"
        ]
    );
    assert_eq!(census(&host), Census::default());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replaced_and_removed_plugins_return_all_that_they_held() -> Outcome {
    let folder = tempfile::tempdir()?;
    let host = host(&Faults::new())?;
    let plan =
        |salt| PlanBuilder::new(folder.path()).plugin("demo:leaf", "1.0.0", &guests::leaf_of("1.0.0", salt)).build();
    let mut events = host.events();
    for salt in 0..5 {
        host.apply(plan(salt)?).await?.all()?;
        if salt > 0 {
            until(&mut events, "demo:leaf", State::Ended(End::Stopped)).await;
        }
        // One page of 64 KiB.
        let one = Census { components: 1, stores: 1, instances: 1, memory: 1 << 16, ..Census::default() };
        wait_for(&host, one).await;
    }
    host.apply(Plan::default()).await?.all()?;
    wait_for(&host, Census::default()).await;
    Ok(())
}

/// Waits until a host holds just that: a slot goes with the last who knows it, which may be a task that ends.
async fn wait_for(host: &Host<()>, wanted: Census) {
    while census(host) != wanted {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_also_ends_what_a_reload_left_running() -> Outcome {
    let folder = tempfile::tempdir()?;
    let faults = Faults::new();
    let host = host(&faults)?;
    let plan =
        |salt| PlanBuilder::new(folder.path()).plugin("demo:leaf", "1.0.0", &guests::leaf_of("1.0.0", salt)).build();
    host.apply(plan(1)?).await?.all()?;
    let inside = faults.hold("demo:leaf", Phase::Run)?;
    let leaf = host.plugin("demo:leaf")?;
    let held = tokio::spawn(async move { leaf.call_wave("bump()").await });
    inside.arrived(1).await;
    // The old one drains for as long as the call is inside.
    host.apply(plan(2)?).await?.all()?;
    assert_eq!(census(&host).instances, 2);
    host.shutdown(Duration::from_millis(50)).await;
    assert_eq!(held.await?.expect_err("it was inside").code(), "cut-off");
    wait_for(&host, Census::default()).await;
    Ok(())
}
