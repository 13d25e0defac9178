//! Calls and those who make them: queues, pools, tokens, and callers that go away.

use stoa_loader::{
    CancelToken, Event, Events, Host, Limits, LoaderError, Phase, Plugin,
    plan::Instances,
    testing::{Faults, PlanBuilder, census},
};

use tokio::task::JoinHandle;

use crate::{
    calls::{Outcome, wave},
    guests,
};

type Error = Box<dyn std::error::Error + Send + Sync>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_a_stateless_plugin_are_inside_at_the_same_time_as_many_as_its_pool_has() -> Outcome {
    let folder = tempfile::tempdir()?;
    for (instances, ceiling, inside) in [
        (Instances::Stateless(Some(3)), 4, 3),
        (Instances::Stateless(Some(3)), 2, 2),
        (Instances::Stateless(None), 2, 2),
        (Instances::One, 4, 1),
    ] {
        let faults = Faults::new();
        let limits = Limits { pool: ceiling, ..Limits::default() };
        let host = Host::<()>::builder().limits(limits).faults(faults.clone()).build()?;
        let plan = PlanBuilder::new(folder.path()).plugin("demo:leaf", "1.0.0", &guests::leaf()).instances(instances);
        host.apply(plan.build()?).await?.all()?;
        let gate = faults.hold("demo:leaf", Phase::Run)?;
        let leaf = host.plugin("demo:leaf")?;
        let calls: Vec<_> = (0..4)
            .map(|_| {
                let leaf = leaf.clone();
                tokio::spawn(async move { leaf.call_wave("bump()").await })
            })
            .collect();
        // One after the other they would never all come.
        gate.arrived(inside).await;
        assert_eq!(census(&host).instances, inside, "{instances:?} of {ceiling}");
        gate.open();
        let mut sum = 0;
        for call in calls {
            sum += usize::from(wave(&call.await??) == "ok(1)");
        }
        assert!(sum <= inside, "{sum} calls were the first of an instance, and there are {inside}");
        assert_eq!(census(&host).instances, inside, "the instances stay");
        assert_eq!(host.memory_used(), inside << 16);
    }
    Ok(())
}

/// A host with one plugin, where calls can be held inside.
async fn busy(limits: Limits, instances: Instances) -> Result<(Host<()>, Faults, tempfile::TempDir), Error> {
    let (folder, faults) = (tempfile::tempdir()?, Faults::new());
    let host = Host::<()>::builder().limits(limits).faults(faults.clone()).build()?;
    let plan = PlanBuilder::new(folder.path())
        .plugin("demo:leaf", "1.0.0", &guests::leaf())
        .instances(instances)
        .plugin("demo:relay", "1.0.0", &guests::relay())
        .depends_on("demo:leaf", &["demo:leaf/api@1.0.0"])
        .plugin("demo:other", "1.0.0", &guests::leaf());
    host.apply(plan.build()?).await?.all()?;
    Ok((host, faults, folder))
}

/// Waits until so many calls wait for `plugin`.
async fn waiting(plugin: &Plugin<()>, count: usize) -> Outcome {
    while plugin.vitals()?.waiting != count {
        tokio::task::yield_now().await;
    }
    Ok(())
}

fn spawn(plugin: &Plugin<()>, text: &'static str) -> JoinHandle<Result<String, LoaderError>> {
    let plugin = plugin.clone();
    tokio::spawn(async move { Ok(wave(&plugin.call_wave(text).await?)) })
}

/// How often memory was lost so far.
fn losses(events: &mut Events) -> usize {
    std::iter::from_fn(|| events.try_next()).filter(|event| matches!(event, Event::StateLost { .. })).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_calls_wait_for_a_busy_plugin_and_the_next_is_told_that_it_is_unavailable() -> Outcome {
    let (host, faults, _folder) = busy(Limits::default(), Instances::One).await?;
    let leaf = host.plugin("demo:leaf")?;
    let gate = faults.hold("demo:leaf", Phase::Run)?;
    let inside = spawn(&leaf, "bump()");
    gate.arrived(1).await;
    let queue: Vec<_> = (0..64).map(|_| spawn(&leaf, "bump()")).collect();
    waiting(&leaf, 64).await?;
    assert_eq!(leaf.vitals()?.busy, 1);

    let error = leaf.call_wave("bump()").await.expect_err("64 wait");
    assert_eq!(error.to_string(), "demo:leaf is busy and 64 calls wait for it already");
    assert_eq!(error.code(), "unavailable");
    // To a plugin it is a value, and it goes on.
    assert_eq!(wave(&host.plugin("demo:relay")?.call_wave("bump()").await?), "err(unavailable)");
    gate.open();
    assert_eq!(inside.await??, "ok(1)");
    let mut answers = Vec::new();
    for call in queue {
        answers.push(call.await??);
    }
    answers.sort_by_key(|answer| (answer.len(), answer.clone()));
    let all: Vec<_> = (2..=65).map(|n| format!("ok({n})")).collect();
    assert_eq!(answers, all, "each of them was served, and once");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_thousand_calls_that_were_dropped_none_is_lost() -> Outcome {
    let (host, faults, _folder) = busy(Limits { waiters: 1000, ..Limits::default() }, Instances::One).await?;
    let mut events = host.events();
    for (name, held) in [("demo:leaf", "demo:leaf"), ("demo:relay", "demo:leaf")] {
        let (plugin, before) = (host.plugin(name)?, census(&host));
        let gate = faults.hold(held, Phase::Run)?;
        for n in 0..1000 {
            let mut call = Box::pin(plugin.call_wave("bump()"));
            assert!(futures::poll!(call.as_mut()).is_pending(), "the one that is inside is held");
            drop(call);
            if n == 0 {
                gate.arrived(1).await;
            }
        }
        waiting(&plugin, 999).await?;
        gate.open();
        faults.clear();
        // It comes after them.
        let sum = if name == "demo:leaf" { "ok(1001)" } else { "ok(2002)" };
        assert_eq!(wave(&plugin.call_wave("bump()").await?), sum, "{name}");
        assert_eq!(losses(&mut events), 0);
        assert_eq!(census(&host), before);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_cancelled_while_it_waits_costs_nothing_and_one_that_is_inside_the_memory() -> Outcome {
    let (host, faults, _folder) = busy(Limits::default(), Instances::One).await?;
    let mut events = host.events();
    let leaf = host.plugin("demo:leaf")?;
    let gate = faults.hold("demo:leaf", Phase::Run)?;
    let (first, second) = (CancelToken::new(), CancelToken::new());
    let inside = spawn(&leaf.clone().cancelled_by(&first), "bump()");
    gate.arrived(1).await;
    let queued = spawn(&leaf.clone().cancelled_by(&second), "bump()");
    waiting(&leaf, 1).await?;

    second.cancel();
    let told = "demo:leaf: demo:leaf/api@1.0.0.bump was cancelled";
    assert_eq!(queued.await?.expect_err("it was cancelled").to_string(), told);
    assert_eq!(leaf.vitals()?.waiting, 0);
    let late = leaf.clone().cancelled_by(&second).call_wave("bump()").await;
    assert_eq!(late.expect_err("it was cancelled before").to_string(), told);
    assert_eq!((losses(&mut events), gate.count()), (0, 1), "neither of them came inside");

    first.cancel();
    assert_eq!(inside.await?.expect_err("it was cancelled").to_string(), told);
    assert_eq!(losses(&mut events), 1);
    gate.open();
    assert_eq!(wave(&leaf.call_wave("bump()").await?), "ok(1)", "it begins anew");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trap_among_a_thousand_calls_ends_one_of_them_and_is_nothing_to_other_plugins() -> Outcome {
    let (host, faults, _folder) = busy(Limits { waiters: 1000, ..Limits::default() }, Instances::One).await?;
    let mut events = host.events();
    let (leaf, other) = (host.plugin("demo:leaf")?, host.plugin("demo:other")?);
    let gate = faults.hold("demo:leaf", Phase::Run)?;
    let mut calls = Vec::new();
    for n in 0..1000 {
        calls.push(spawn(&leaf, if n == 400 { "trap()" } else { "bump()" }));
        // In this order: the first is inside, the others in its queue.
        match n {
            0 => gate.arrived(1).await,
            n => waiting(&leaf, n).await?,
        }
    }
    let beside: Vec<_> = (0..64).map(|_| spawn(&other, "bump()")).collect();
    gate.open();
    for (n, call) in calls.into_iter().enumerate() {
        match n {
            400 => assert_eq!(call.await?.expect_err("it traps").code(), "trapped"),
            n => assert_eq!(call.await??, format!("ok({})", if n < 400 { n + 1 } else { n - 400 })),
        }
    }
    let mut sum = 0;
    for call in beside {
        sum += usize::from(call.await??.starts_with("ok("));
    }
    assert_eq!(sum, 64);
    assert_eq!(wave(&other.call_wave("bump()").await?), "ok(65)");
    assert_eq!(losses(&mut events), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trap_in_one_instance_of_a_pool_leaves_the_others_their_memory() -> Outcome {
    let (host, faults, _folder) = busy(Limits::default(), Instances::Stateless(Some(4))).await?;
    let leaf = host.plugin("demo:leaf")?;
    let four = async || -> Result<Vec<String>, Error> {
        let gate = faults.hold("demo:leaf", Phase::Run)?;
        let calls: Vec<_> = (0..4).map(|_| spawn(&leaf, "bump()")).collect();
        gate.arrived(4).await;
        gate.open();
        let mut answers = Vec::new();
        for call in calls {
            answers.push(call.await??);
        }
        answers.sort();
        faults.clear();
        Ok(answers)
    };
    assert_eq!(four().await?, ["ok(1)", "ok(1)", "ok(1)", "ok(1)"], "one in each");
    assert_eq!(leaf.call_wave("trap()").await.expect_err("it traps").code(), "trapped");
    assert_eq!(census(&host).instances, 5, "three of four, the relay, and the other one");
    assert_eq!(four().await?, ["ok(1)", "ok(2)", "ok(2)", "ok(2)"]);
    Ok(())
}
