//! Each limit has a guest that tries to exceed it. It is told by the limit's own error, and its neighbour, which runs in the
//! same host, goes on with its memory.

mod gluttons;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use stoa_loader::{
    Admission, BreakerRules, Event, Host, Limits, LoaderError, Totals,
    limits::{Limit, Scope, Wishes},
    testing::PlanBuilder,
};

use crate::{
    calls::{Outcome, wave},
    guests,
};

type Error = Box<dyn std::error::Error + Send + Sync>;

const GLUTTON: &str = "demo:glutton/api@1.0.0";

/// Limits that are met soon.
fn tight() -> Limits {
    Limits {
        memory: 4 << 20,
        table_elements: 1000,
        guest_time: Duration::from_millis(30),
        deadline: Duration::from_secs(1),
        init_guest_time: Duration::from_millis(40),
        init_deadline: Duration::from_millis(300),
        result_bytes: 1000,
        call_bytes: 1000,
        host_call_bytes: 64 << 10,
        handles: 100,
        random_bytes: 64,
        ..Limits::default()
    }
}

/// A host with a neighbour that counts its calls, and who is to be tried.
struct Street {
    host: Host<()>,
    folder: tempfile::TempDir,
    bumps: u32,
}

impl Street {
    async fn new(limits: Limits) -> Result<Self, Error> {
        // A glutton fails more often in a row than a breaker bears; here each of its calls is to run.
        let patient = BreakerRules { in_a_row: u32::MAX, of_last_20: u32::MAX, ..BreakerRules::default() };
        let host = Host::<()>::builder().limits(limits).breaker(patient).build()?;
        let street = Self { host, folder: tempfile::tempdir()?, bumps: 0 };
        street.host.apply(street.plan().build()?).await?.all()?;
        Ok(street)
    }

    fn plan(&self) -> PlanBuilder {
        PlanBuilder::new(self.folder.path()).plugin("demo:leaf", "1.0.0", &guests::leaf())
    }

    /// The neighbour has lost nothing.
    async fn neighbour(&mut self) -> Outcome {
        self.bumps += 1;
        let answer = self.host.plugin("demo:leaf")?.call_wave("bump()").await?;
        assert_eq!(wave(&answer), format!("ok({})", self.bumps));
        Ok(())
    }

    /// What becomes of a plugin that can not start.
    async fn start(&mut self, component: &[u8]) -> Result<Arc<LoaderError>, Error> {
        let plan = self.plan().plugin("demo:glutton", "1.0.0", component).build()?;
        let applied = self.host.apply(plan).await?;
        let mut failures = applied.failures().map(|(plugin, error)| (plugin.to_string(), error.clone()));
        let (Some((plugin, error)), None) = (failures.next(), failures.next()) else { panic!("{applied:?}") };
        assert_eq!(plugin, "demo:glutton");
        self.neighbour().await?;
        Ok(error)
    }
}

fn told(error: &LoaderError) -> String {
    format!("{}: {error}", error.code())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_wants_too_much_gets_the_error_of_its_limit_and_its_neighbour_goes_on() -> Outcome {
    let mut street = Street::new(tight()).await?;
    let plan = street.plan().plugin("demo:glutton", "1.0.0", &gluttons::glutton()).build()?;
    street.host.apply(plan).await?.all()?;
    let glutton = street.host.plugin("demo:glutton")?;

    let mut lines = Vec::new();
    for call in ["hog()", "hoard()", "spin()", "sleep()", "handles()", "streams()", "dice(65)", "give(2000)"] {
        let error = glutton.call_wave(call).await.expect_err(call);
        lines.push(format!("{call} {}", told(&error)));
        street.neighbour().await?;
    }
    // As Rust types, where nothing but the engine counts.
    let give = glutton.func::<(u32,), (Vec<u8>,)>(GLUTTON, "give")?;
    assert_eq!(give.call((1000,)).await?.0.len(), 1000);
    lines.push(format!("give(70000), typed {}", told(&give.call((70_000,)).await.expect_err("too long"))));
    street.neighbour().await?;
    let shout = glutton.func::<(u32,), (u32,)>(GLUTTON, "shout")?;
    assert_eq!(shout.call((65_000,)).await?, (65_000,));
    lines.push(format!("shout(70000), typed {}", told(&shout.call((70_000,)).await.expect_err("too loud"))));
    street.neighbour().await?;
    // It is none the worse for it.
    assert_eq!(wave(&glutton.call_wave("dice(64)").await?), "64");

    insta::assert_snapshot!(lines.join("\n"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_can_not_start_within_its_limits_gets_their_error_and_its_neighbour_goes_on() -> Outcome {
    let mut street = Street::new(tight()).await?;
    let sleep = "(call $block (call $after (i64.const 1000000000000)))";
    let mut lines = Vec::new();
    for (name, component) in [
        ("memory", gluttons::module("(memory 100)", 1)),
        ("memories", gluttons::module("(memory 10)", 7)),
        ("tables", gluttons::module("(table 1001 funcref)", 1)),
        ("instances", gluttons::module("", 65)),
        ("init spins", gluttons::starting("(loop $for-ever (br $for-ever))")),
        ("init sleeps", gluttons::starting(sleep)),
    ] {
        let error = street.start(&component).await?;
        lines.push(format!("{name}: {}", told(&error)));
    }
    insta::assert_snapshot!(lines.join("\n"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_is_refused_memory_may_go_on_without_and_its_host_hears_of_it_once() -> Outcome {
    let mut street = Street::new(tight()).await?;
    let plan = street.plan().plugin("demo:glutton", "1.0.0", &gluttons::glutton()).build()?;
    street.host.apply(plan).await?.all()?;
    let mut events = street.host.events();
    let glutton = street.host.plugin("demo:glutton")?;
    assert_eq!(wave(&glutton.call_wave("hold()").await?), "64", "4 MiB are 64 pages of 64 KiB");
    assert_eq!(wave(&glutton.call_wave("rows()").await?), "1000");
    street.neighbour().await?;
    let mut refused = Vec::new();
    while let Some(event) = events.try_next() {
        match event {
            Event::Limited { plugin, exceeded } => refused.push(format!("{plugin}: {exceeded}")),
            other => panic!("{other:?}"),
        }
    }
    insta::assert_snapshot!(refused.join("\n"), @r"
    demo:glutton: the limit `memory` is 4MiB, and 4160KiB would be needed
    demo:glutton: the limit `tables` is 1000, and 1100 would be needed
    ");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_lines_is_cut_to_its_rate_and_its_host_hears_of_it() -> Outcome {
    let mut street = Street::new(Limits { guest_time: Duration::from_secs(5), ..tight() }).await?;
    let plan = street.plan().plugin("demo:glutton", "1.0.0", &gluttons::glutton()).build()?;
    street.host.apply(plan).await?.all()?;
    let mut events = street.host.events();
    // 10 MB, of which at most 256 KiB and what a second allows are kept.
    let glutton = street.host.plugin("demo:glutton")?;
    assert_eq!(wave(&glutton.call_wave("chatter(10000)").await?), "7");
    street.neighbour().await?;
    match events.try_next() {
        Some(Event::Limited { plugin, exceeded }) => {
            assert_eq!((plugin.to_string().as_str(), exceeded.limit), ("demo:glutton", Limit::LogRate));
        }
        other => panic!("{other:?}"),
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_plugins_that_grow_together_stay_within_what_their_host_gives() -> Outcome {
    const TOTAL: u64 = 32 << 20;
    let folder = tempfile::tempdir()?;
    let host = Host::<()>::builder().limits(tight()).total_memory(TOTAL).build()?;
    let declares = Wishes { memory: Some(1 << 20), ..Wishes::default() };
    let mut plan =
        PlanBuilder::new(folder.path()).plugin("demo:modest", "1.0.0", &gluttons::glutton()).wishes(declares);
    for n in 0..50 {
        plan = plan.plugin(&format!("demo:hog-n{n}"), "1.0.0", &gluttons::glutton());
    }
    host.apply(plan.build()?).await?.all()?;
    let all = (0..50).map(|n| host.plugin(&format!("demo:hog-n{n}"))).collect::<Result<Vec<_>, _>>()?;
    let mut calls = Vec::new();
    for hog in &all {
        let hog = hog.clone();
        calls.push(tokio::spawn(async move { hog.call_wave("hold()").await }));
    }
    let mut short = None;
    for (hog, call) in all.iter().zip(calls) {
        let pages = wave(&call.await??);
        short = short.or((pages != "64").then_some(hog));
    }
    assert!(host.memory_used() as u64 <= TOTAL, "{} of {TOTAL}", host.memory_used());
    // They have taken what there is, so one more page is refused by the host's limit and not by the plugin's own.
    let mut events = host.events();
    let error = short.ok_or("not all of them can have 4 MiB")?.call_wave("hog()").await.expect_err("nothing is left");
    assert_eq!(error.code(), "limit-total-memory");
    assert!(matches!(events.try_next(), Some(Event::Limited { exceeded, .. }) if exceeded.limit == Limit::TotalMemory));
    // Who declared what it needs has it.
    assert_eq!(wave(&host.plugin("demo:modest")?.call_wave("hold()").await?), "16");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plugins_are_admitted_by_the_sum_of_what_they_declare() -> Outcome {
    let folder = tempfile::tempdir()?;
    let plugin = |plan: PlanBuilder, id: &str, memory: Option<u64>| {
        plan.plugin(id, "1.0.0", &guests::leaf()).wishes(Wishes {
            memory,
            table_elements: Some(0),
            ..Wishes::default()
        })
    };
    let failures = async |host: &Host<()>, plan: PlanBuilder| -> Result<Vec<String>, Error> {
        let applied = host.apply(plan.build()?).await?;
        Ok(applied.failures().map(|(_, error)| told(error)).collect())
    };
    let host = Host::<()>::builder().total_memory(5 << 20).build()?;
    let plan = || PlanBuilder::new(folder.path());
    let two = |plan| plugin(plugin(plan, "demo:a", Some(2 << 20)), "demo:b", Some(2 << 20));
    let three = plugin(plugin(two(plan()), "demo:c", Some(2 << 20)), "demo:d", None);
    assert_eq!(
        failures(&host, three).await?,
        ["admission: demo:c does not fit: the limit `total-memory` is 5MiB, and 6MiB would be needed"]
    );
    assert_eq!(
        wave(&host.plugin("demo:d")?.call_wave("bump()").await?),
        "ok(1)",
        "who declares nothing shares the rest"
    );

    // Its place is free again as soon as one has ended.
    host.apply(plugin(plan(), "demo:a", Some(2 << 20)).build()?).await?.all()?;
    let mut tries = 0;
    while !failures(&host, plugin(two(plan()), "demo:c", Some(1 << 20))).await?.is_empty() {
        tries += 1;
        assert!(tries < 1000, "what was removed keeps its place");
        tokio::task::yield_now().await;
    }

    let strict = Host::<()>::builder().total_memory(100 << 20).admission(Admission::Everyone).build()?;
    let undeclared = plugin(plugin(plan(), "demo:a", None), "demo:b", None);
    assert_eq!(
        failures(&strict, undeclared).await?,
        ["admission: demo:b does not fit: the limit `total-memory` is 100MiB, and 128MiB would be needed"]
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_between_plugins_share_what_may_be_under_way() -> Outcome {
    let folder = tempfile::tempdir()?;
    let host = Host::<()>::builder().totals(Totals { call_bytes: 100, ..Totals::default() }).build()?;
    let plan = PlanBuilder::new(folder.path())
        .plugin("demo:leaf", "1.0.0", &guests::leaf())
        .plugin("demo:relay", "1.0.0", &guests::relay())
        .depends_on("demo:leaf", &["demo:leaf/api@1.0.0"]);
    host.apply(plan.build()?).await?.all()?;
    let relay = host.plugin("demo:relay")?;
    let echo = |length: usize| format!("echo({:?})", "x".repeat(length));
    assert_eq!(wave(&relay.call_wave(&echo(200)).await?), "err(unavailable)");
    assert_eq!(wave(&relay.call_wave(&echo(90)).await?), format!("ok({:?})", "x".repeat(90)), "nothing is kept");
    assert_eq!(wave(&relay.call_wave("own()").await?), "1");
    Ok(())
}

#[tokio::test]
async fn a_host_beyond_a_hard_maximum_is_not_built() {
    let limits = Limits { memory: 1 << 40, ..Limits::default() };
    let error = Host::<()>::builder().limits(limits).build().map(drop).expect_err("a plugin has 4 GiB at most");
    assert_eq!(told(&error), "limits: the limit `memory` is 1024GiB: at most 4GiB can be set");
}

/// Where each limit is tried. What is not here has no guest that tries to exceed it.
#[test]
fn every_limit_is_tried_by_a_guest() {
    const TRIED: &[(Limit, &str)] = &[
        (Limit::Memory, "hog(), memory"),
        (Limit::Tables, "hoard(), tables"),
        (Limit::Instances, "instances"),
        (Limit::GuestTime, "spin()"),
        (Limit::InitGuestTime, "init spins"),
        (Limit::Deadline, "sleep()"),
        (Limit::InitDeadline, "init sleeps"),
        (Limit::CallBytes, "calls.rs: more_bytes_than_allowed_are_answered_with_too_large"),
        (Limit::ResultBytes, "give()"),
        (Limit::HostCallBytes, "shout()"),
        (Limit::Handles, "handles(), streams()"),
        (Limit::Pool, "callers.rs: calls_of_a_stateless_plugin_are_inside_at_the_same_time_as_many_as_its_pool_has"),
        (
            Limit::Waiters,
            "callers.rs: sixty_four_calls_wait_for_a_busy_plugin_and_the_next_is_told_that_it_is_unavailable",
        ),
        (Limit::LogRate, "chatter()"),
        (Limit::LogBurst, "chatter()"),
        (Limit::RandomBytes, "dice()"),
    ];
    // No plugin is given these interfaces yet.
    const LATER: &[Limit] = &[Limit::HttpBody, Limit::HttpRequests, Limit::State];
    let tried: BTreeSet<_> = TRIED.iter().map(|(limit, _)| *limit).chain(LATER.iter().copied()).collect();
    let all = Limit::ALL.iter().copied().filter(|limit| limit.row().scope == Scope::Plugin).collect();
    assert_eq!(tried, all);
}
