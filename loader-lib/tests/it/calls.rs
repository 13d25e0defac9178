//! What becomes of calls: between plugins, and of those that go wrong.

use std::{
    error::Error,
    path::Path,
    time::{Duration, Instant},
};

use stoa_loader::{
    CallError, Event, Events, Host, Limits, LoaderError, Plan,
    component::Val,
    limits::{Exceeded, Limit, Wishes},
    testing::PlanBuilder,
};

use crate::guests;

pub(crate) type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

const LEAF: &str = "demo:leaf/api@1.0.0";

fn plan(folder: &Path) -> PlanBuilder {
    PlanBuilder::new(folder).plugin("demo:leaf", "1.0.0", &guests::leaf())
}

fn with_relay(plan: PlanBuilder) -> Result<Plan, Box<dyn Error + Send + Sync>> {
    plan.plugin("demo:relay", "1.0.0", &guests::relay()).depends_on("demo:leaf", &[LEAF]).build()
}

async fn host_of(plan: Plan, limits: Limits) -> Result<Host<()>, LoaderError> {
    let host = Host::<()>::builder().limits(limits).build()?;
    host.apply(plan).await?.all()?;
    Ok(host)
}

pub(crate) fn wave(values: &[Val]) -> String {
    values.iter().map(|value| value.to_wave().expect("text")).collect::<Vec<_>>().join(" ")
}

/// The next loss of memory that is told.
async fn next_loss(events: &mut Events) -> (String, &'static str) {
    loop {
        match events.next().await {
            Some(Event::StateLost { plugin, code, .. }) => return (plugin.to_string(), code),
            Some(_) => {}
            None => panic!("the host is gone"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_can_be_made_typed_with_values_and_in_text() -> Outcome {
    let folder = tempfile::tempdir()?;
    let host = host_of(with_relay(plan(folder.path()))?, Limits::default()).await?;
    let relay = host.plugin("demo:relay")?;

    let bump = relay.func::<(), (Result<u32, CallError>,)>("demo:relay/api@1.0.0", "bump")?;
    assert_eq!(bump.call(()).await?.0.map_err(|e| e.to_string()), Ok(1));
    let echoed = relay.call_dyn("echo", &[Val::String("hi".into())]).await?;
    assert_eq!(wave(&echoed), r#"ok("hi")"#);
    assert_eq!(wave(&relay.call_wave(r##"echo("# Hi\n")"##).await?), r##"ok("# Hi\n")"##);
    assert_eq!(wave(&host.plugin("demo:leaf")?.call_wave("api.bump()").await?), "ok(2)");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_does_not_fit_is_refused_and_costs_nothing() -> Outcome {
    let folder = tempfile::tempdir()?;
    let host = host_of(with_relay(plan(folder.path()))?, Limits::default()).await?;
    let leaf = host.plugin("demo:leaf")?;
    leaf.call_wave("bump()").await?;

    let mut refusals = Vec::new();
    refusals.push(leaf.call_wave("bum()").await.expect_err("no such function").to_string());
    refusals.push(leaf.call_wave("echo(1)").await.expect_err("a number").to_string());
    refusals.push(leaf.call_wave("echo").await.expect_err("no call").to_string());
    refusals.push(leaf.call_dyn("echo", &[Val::U32(1)]).await.expect_err("a number").to_string());
    refusals.push(leaf.call_dyn("echo", &[]).await.expect_err("nothing").to_string());
    let wrong = leaf.func::<(), (u32,)>(LEAF, "bump")?.call(()).await.expect_err("another type");
    assert_eq!(wrong.code(), "signature");
    refusals.push(host.plugin("demo:none").map(drop).expect_err("no such plugin").to_string());
    insta::assert_snapshot!(refusals.join("\n"), @"
    demo:leaf has no function bum; it exports demo:leaf/api@1.0.0.bump, demo:leaf/api@1.0.0.trap, demo:leaf/api@1.0.0.spin, demo:leaf/api@1.0.0.toil, demo:leaf/api@1.0.0.grow, demo:leaf/api@1.0.0.deep, demo:leaf/api@1.0.0.echo, demo:leaf/api@1.0.0.weigh
    `echo(1)` is not a call in WAVE: invalid value type at 5..6
    `echo` is not a call in WAVE: it has no `(`
    demo:leaf: demo:leaf/api@1.0.0.echo has other types than the call: `1` is given where a string belongs
    demo:leaf: demo:leaf/api@1.0.0.echo has other types than the call: parameters: 1, given: 0
    this host has no plugin demo:none
    ");
    assert_eq!(wave(&leaf.call_wave("bump()").await?), "ok(2)", "the plugin kept its memory");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trap_in_a_dependency_leaves_its_caller_alive() -> Outcome {
    let folder = tempfile::tempdir()?;
    let host = host_of(with_relay(plan(folder.path()))?, Limits::default()).await?;
    let mut events = host.events();
    let relay = host.plugin("demo:relay")?;
    assert_eq!(wave(&relay.call_wave("own()").await?), "1");
    assert_eq!(wave(&relay.call_wave("bump()").await?), "ok(1)");

    assert_eq!(wave(&relay.call_wave("trap()").await?), "err(trapped)");
    assert_eq!(next_loss(&mut events).await, ("demo:leaf".to_owned(), "trapped"));
    assert_eq!(wave(&relay.call_wave("own()").await?), "2", "the caller kept its memory");
    assert_eq!(wave(&relay.call_wave("bump()").await?), "ok(1)", "the callee begins anew");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dependency_may_be_declared_to_take_its_caller_down() -> Outcome {
    let folder = tempfile::tempdir()?;
    let plan = plan(folder.path()).plugin("demo:relay", "1.0.0", &guests::relay());
    let host = host_of(plan.depends_or_traps_on("demo:leaf", &[LEAF]).build()?, Limits::default()).await?;
    let relay = host.plugin("demo:relay")?;
    assert_eq!(wave(&relay.call_wave("own()").await?), "1");

    let error = relay.call_wave("trap()").await.expect_err("the caller goes down too");
    assert!(matches!(&error, LoaderError::DependencyFailed { source, .. } if source.code() == "trapped"), "{error:?}");
    assert_eq!(
        error.to_string(),
        "demo:relay: demo:relay/api@1.0.0.trap trapped because demo:leaf, which it depends on, failed"
    );
    assert_eq!(wave(&relay.call_wave("own()").await?), "1", "the caller begins anew");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endless_loop_ends_by_guest_time() -> Outcome {
    let folder = tempfile::tempdir()?;
    let limits = Limits { guest_time: Duration::from_millis(50), ..Limits::default() };
    let host = host_of(with_relay(plan(folder.path()))?, limits).await?;
    let error = host.plugin("demo:leaf")?.call_wave("spin()").await.expect_err("it never ends by itself");
    assert_eq!(error.to_string(), "demo:leaf: demo:leaf/api@1.0.0.spin ran for more than 50ms of guest time");

    // The caller waits as long, and is not charged for it: its own limit is the same.
    let relay = host.plugin("demo:relay")?;
    assert_eq!(wave(&relay.call_wave("own()").await?), "1");
    assert_eq!(wave(&relay.call_wave("spin()").await?), "err(timeout)");
    assert_eq!(wave(&relay.call_wave("own()").await?), "2");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endless_loop_of_large_copies_ends_by_guest_time_too() -> Outcome {
    let folder = tempfile::tempdir()?;
    let limits = Limits { guest_time: Duration::from_millis(50), ..Limits::default() };
    let host = host_of(plan(folder.path()).plugin("demo:copier", "1.0.0", &guests::copier()).build()?, limits).await?;
    let error = host.plugin("demo:copier")?.call_wave("copy()").await.expect_err("it never ends by itself");
    assert_eq!(error.to_string(), "demo:copier: demo:copier/api@1.0.0.copy ran for more than 50ms of guest time");
    assert_eq!(wave(&host.plugin("demo:leaf")?.call_wave("bump()").await?), "ok(1)");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_ends_a_call_and_travels_to_the_plugins_it_calls() -> Outcome {
    let folder = tempfile::tempdir()?;
    let host = host_of(with_relay(plan(folder.path()))?, Limits::default()).await?;
    let mut events = host.events();
    let limit = Duration::from_millis(60);

    let began = Instant::now();
    let leaf = host.plugin("demo:leaf")?.within(limit);
    let error = leaf.call_wave("spin()").await.expect_err("it never ends by itself");
    assert_eq!(
        error.to_string(),
        "demo:leaf: demo:leaf/api@1.0.0.spin did not finish before its deadline (60ms after the call began)"
    );
    assert_eq!(next_loss(&mut events).await, ("demo:leaf".to_owned(), "deadline"));

    // The callee has 2 s of its own, but ends with its caller's 60 ms.
    let relay = host.plugin("demo:relay")?.within(limit);
    let outcome = relay.call_wave("spin()").await;
    assert!(
        outcome.as_ref().is_ok_and(|values| wave(values) == "err(timeout)")
            || outcome.as_ref().is_err_and(|e| e.code() == "deadline"),
        "{outcome:?}"
    );
    assert_eq!(next_loss(&mut events).await, ("demo:leaf".to_owned(), "deadline"));
    assert!(began.elapsed() < Duration::from_secs(2), "took {:?}", began.elapsed());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_stops_growing_at_the_plugins_limit() -> Outcome {
    let folder = tempfile::tempdir()?;
    let wishes = Wishes { memory: Some(1 << 20), ..Wishes::default() };
    let host = host_of(plan(folder.path()).wishes(wishes).build()?, Limits::default()).await?;
    let mut events = host.events();
    // 16 pages of 64 KiB are 1 MiB.
    assert_eq!(wave(&host.plugin("demo:leaf")?.call_wave("grow()").await?), "ok(16)");
    assert_eq!(host.memory_used(), 1 << 20);
    match events.next().await {
        Some(Event::Limited { plugin, exceeded }) => {
            assert_eq!(plugin.to_string(), "demo:leaf");
            assert_eq!(exceeded, Exceeded::new(Limit::Memory, 1 << 20, 17 << 16));
        }
        other => panic!("{other:?}"),
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endless_recursion_traps_and_the_host_lives() -> Outcome {
    let folder = tempfile::tempdir()?;
    let host = host_of(with_relay(plan(folder.path()))?, Limits::default()).await?;
    let leaf = host.plugin("demo:leaf")?;
    let error = leaf.call_wave("deep()").await.expect_err("the stack ends");
    assert_eq!(error.code(), "trapped");
    assert!(error.chain().contains("call stack exhausted"), "{}", error.chain());
    assert_eq!(wave(&leaf.call_wave("bump()").await?), "ok(1)");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_gives_up_costs_the_plugin_nothing() -> Outcome {
    let folder = tempfile::tempdir()?;
    let host = host_of(with_relay(plan(folder.path()))?, Limits::default()).await?;
    let leaf = host.plugin("demo:leaf")?;
    assert_eq!(wave(&leaf.call_wave("bump()").await?), "ok(1)");

    let patience = Duration::from_millis(1);
    let gave_up = tokio::time::timeout(patience, leaf.call_wave("toil()")).await;
    assert_eq!(gave_up.map_err(|_| "gave up").err(), Some("gave up"));
    // The call went on without its caller: it counts as the second.
    assert_eq!(wave(&leaf.call_wave("bump()").await?), "ok(3)");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_bytes_than_allowed_are_answered_with_too_large() -> Outcome {
    let folder = tempfile::tempdir()?;
    let limits = Limits { call_bytes: 1000, ..Limits::default() };
    let host = host_of(with_relay(plan(folder.path()))?, limits).await?;
    let relay = host.plugin("demo:relay")?;
    let call = |n: usize| format!("echo({:?})", "x".repeat(n));
    // The host's own call is refused as an error.
    let error = relay.call_wave(&call(2000)).await.expect_err("too much");
    assert_eq!(
        error.to_string(),
        "demo:relay: demo:relay/api@1.0.0.echo was handed 2008 bytes or more: the limit `message` is 1000B"
    );
    assert_eq!(wave(&relay.call_wave(&call(900)).await?), format!("ok({:?})", "x".repeat(900)));

    // Between plugins it is a value: here the callee allows less than its caller.
    let wishes = Wishes { call_bytes: Some(100), ..Wishes::default() };
    host.apply(with_relay(plan(folder.path()).wishes(wishes))?).await?.all()?;
    assert_eq!(wave(&relay.call_wave(&call(900)).await?), "err(too-large(100))");
    let bytes = |n: usize| format!("weigh([{}])", vec!["7"; n].join(", "));
    assert_eq!(wave(&relay.call_wave(&bytes(90)).await?), "ok(90)");
    assert_eq!(wave(&relay.call_wave(&bytes(900)).await?), "err(too-large(100))");
    assert_eq!(wave(&relay.call_wave("bump()").await?), "ok(1)");
    Ok(())
}
