//! Breakers between real plugins: who is refused, how it is told, and how a plugin comes back.

use std::time::Duration;

use stoa_loader::{
    BreakerRules, BreakerState, CallError, Caller, Event, Events, Host, Limits, LoaderError, Phase,
    component::Val,
    limits::Wishes,
    plan::Instances,
    testing::{Clock, Faults, PlanBuilder},
};
use tempfile::TempDir;

use crate::{
    calls::{Outcome, wave},
    guests,
};

type Error = Box<dyn std::error::Error + Send + Sync>;

const LEAF: &str = "demo:leaf/api@1.0.0";

/// A host whose breakers go by a clock that stands still.
struct Ward {
    host: Host<()>,
    clock: Clock,
    faults: Faults,
    folder: TempDir,
}

impl Ward {
    fn new() -> Result<Self, Error> {
        Self::with(Limits::default(), BreakerRules::default())
    }

    fn with(limits: Limits, rules: BreakerRules) -> Result<Self, Error> {
        let (clock, faults) = (Clock::manual(), Faults::new());
        let builder = Host::<()>::builder().limits(limits).breaker(rules).clock(clock.clone()).faults(faults.clone());
        Ok(Self { host: builder.build()?, clock, faults, folder: tempfile::tempdir()? })
    }

    fn plan(&self) -> PlanBuilder {
        PlanBuilder::new(self.folder.path()).plugin("demo:leaf", "1.0.0", &guests::leaf())
    }

    async fn load(&self, plan: PlanBuilder) -> Outcome {
        Ok(self.host.apply(plan.build()?).await?.all()?)
    }

    async fn call(&self, plugin: &str, text: &str) -> Result<String, LoaderError> {
        Ok(wave(&self.host.plugin(plugin)?.call_wave(text).await?))
    }

    fn after(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

/// Two callers of the leaf, each with a call that traps in it.
fn callers(plan: PlanBuilder) -> PlanBuilder {
    let relay = guests::relay();
    plan.plugin("demo:one", "1.0.0", &relay)
        .depends_on("demo:leaf", &[LEAF])
        .plugin("demo:two", "1.0.0", &relay)
        .depends_on("demo:leaf", &[LEAF])
        .plugin("demo:three", "1.0.0", &relay)
        .depends_on("demo:leaf", &[LEAF])
}

fn told(events: &mut Events) -> Vec<String> {
    let mut told = Vec::new();
    while let Some(event) = events.try_next() {
        match event {
            Event::Breaker { plugin, caller, state, .. } => {
                let caller = caller.map_or("everybody".to_owned(), |caller| caller.to_string());
                told.push(format!("{plugin}, {caller}: {state}"));
            }
            Event::StateLost { plugin, code, .. } => told.push(format!("{plugin} lost: {code}")),
            _ => {}
        }
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_makes_a_plugin_trap_is_refused_and_others_are_not() -> Outcome {
    let ward = Ward::new()?;
    ward.load(callers(ward.plan())).await?;
    for _ in 0..5 {
        assert_eq!(ward.call("demo:one", "trap()").await?, "err(trapped)");
    }
    let mut events = ward.host.events();
    // To the caller it is a value with the time to wait, even for a call that would do no harm.
    assert_eq!(ward.call("demo:one", "bump()").await?, "err(circuit-open(1000))");
    let bump = ward.host.plugin("demo:one")?.func::<(), (Result<u32, CallError>,)>("demo:relay/api@1.0.0", "bump")?;
    assert_eq!(bump.call(()).await?.0, Err(CallError::CircuitOpen(1000)));
    assert_eq!(ward.call("demo:two", "bump()").await?, "ok(1)");
    assert_eq!(ward.call("demo:leaf", "bump()").await?, "ok(2)", "the host is another caller");
    assert_eq!(told(&mut events), [""; 0], "nobody was called by the one who is refused");

    let vitals = ward.host.plugin("demo:leaf")?.vitals()?;
    let [(caller, circuit)] = vitals.callers.as_slice() else { panic!("{vitals:?}") };
    assert_eq!(caller.to_string(), "demo:one");
    assert_eq!((circuit.state, circuit.failures, circuit.refused), (BreakerState::Open, 5, 2));
    assert_eq!(
        circuit.reason.as_ref().map(ToString::to_string).as_deref(),
        Some("5 calls in a row failed, the last by `trapped`")
    );
    assert_eq!((vitals.breaker.state, vitals.calls, vitals.losses), (BreakerState::Closed, 7, 5));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_whose_calls_fail_is_told_why_and_for_how_long() -> Outcome {
    let ward = Ward::new()?;
    ward.load(callers(ward.plan())).await?;
    for _ in 0..5 {
        assert_eq!(ward.call("demo:leaf", "trap()").await.expect_err("it traps").code(), "trapped");
    }
    let leaf = ward.host.plugin("demo:leaf")?;
    let bump = leaf.func::<(), (Result<u32, CallError>,)>(LEAF, "bump")?;
    let refusals = [
        leaf.call_wave("bump()").await.map(drop).expect_err("text"),
        leaf.call_dyn("bump", &[]).await.map(drop).expect_err("values"),
        bump.call(()).await.map(drop).expect_err("typed"),
    ];
    for error in &refusals {
        assert!(
            matches!(error, LoaderError::Breaker { retry_in, .. } if *retry_in == Duration::from_secs(1)),
            "{error:?}"
        );
        assert_eq!(error.code(), "circuit-open");
        assert_eq!(
            error.to_string(),
            "demo:leaf takes no calls from the host for another 1s: 5 calls in a row failed, the last by `trapped`"
        );
    }
    assert_eq!(ward.call("demo:one", "bump()").await?, "ok(1)");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_works_again_is_found_by_one_call_in_a_fresh_instance() -> Outcome {
    let ward = Ward::new()?;
    ward.load(ward.plan().instances(Instances::Stateless(Some(2)))).await?;
    // The first instance stays, while the second one traps.
    let gate = ward.faults.hold("demo:leaf", Phase::Run)?;
    let leaf = ward.host.plugin("demo:leaf")?;
    let held = tokio::spawn(async move { leaf.call_wave("bump()").await });
    gate.arrived(1).await;
    ward.faults.clear();
    for _ in 0..5 {
        assert_eq!(ward.call("demo:leaf", "trap()").await.expect_err("it traps").code(), "trapped");
    }
    gate.open();
    assert_eq!(wave(&held.await??), "ok(1)");
    assert_eq!(ward.call("demo:leaf", "bump()").await.expect_err("it is open").code(), "circuit-open");

    ward.after(1);
    let mut events = ward.host.events();
    let gate = ward.faults.hold("demo:leaf", Phase::Run)?;
    let leaf = ward.host.plugin("demo:leaf")?;
    let probe = tokio::spawn(async move { leaf.call_wave("bump()").await });
    gate.arrived(1).await;
    let error = ward.call("demo:leaf", "bump()").await.expect_err("one at a time");
    assert_eq!(
        error.to_string(),
        "demo:leaf takes no calls from the host for another 100ms: 5 calls in a row failed, the last by `trapped`"
    );
    gate.open();
    assert_eq!(wave(&probe.await??), "ok(1)", "the instance from before was not used");
    assert_eq!(ward.call("demo:leaf", "bump()").await?, "ok(2)");
    assert_eq!(told(&mut events), ["demo:leaf, the host: half-open", "demo:leaf, the host: closed"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_fails_for_two_callers_is_closed_to_all() -> Outcome {
    let ward = Ward::new()?;
    ward.load(callers(ward.plan())).await?;
    let mut events = ward.host.events();
    for caller in ["demo:one", "demo:two"] {
        for _ in 0..5 {
            assert_eq!(ward.call(caller, "trap()").await?, "err(trapped)");
        }
    }
    assert_eq!(ward.call("demo:three", "bump()").await?, "err(circuit-open(1000))");
    let error = ward.call("demo:leaf", "bump()").await.expect_err("it is open");
    assert_eq!(
        error.to_string(),
        "demo:leaf takes no calls for another 1s: it fails for demo:one and demo:two, the last time by `trapped`"
    );
    ward.after(1);
    assert_eq!(ward.call("demo:three", "bump()").await?, "ok(1)");
    assert_eq!(ward.call("demo:leaf", "bump()").await?, "ok(2)");
    assert_eq!(ward.call("demo:one", "trap()").await?, "err(trapped)");
    assert_eq!(ward.call("demo:one", "bump()").await?, "err(circuit-open(2000))", "twice as long");
    let circuits: Vec<_> = told(&mut events).into_iter().filter(|told| !told.contains("lost")).collect();
    assert_eq!(
        circuits,
        [
            "demo:leaf, demo:one: open",
            "demo:leaf, demo:two: open",
            "demo:leaf, everybody: open",
            "demo:leaf, everybody: half-open",
            "demo:leaf, everybody: closed",
            "demo:leaf, demo:one: half-open",
            "demo:leaf, demo:one: open",
            "demo:leaf, everybody: open",
        ]
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_hangs_is_at_fault_and_who_waits_for_it_is_not() -> Outcome {
    let rules = BreakerRules { in_a_row: 1, ..BreakerRules::default() };
    let ward = Ward::with(Limits::default(), rules)?;
    let short = |millis| Wishes { deadline: Some(Duration::from_millis(millis)), ..Wishes::default() };
    let plan = PlanBuilder::new(ward.folder.path())
        .plugin("demo:leaf", "1.0.0", &guests::leaf())
        .wishes(short(100))
        .plugin("demo:one", "1.0.0", &guests::relay())
        .depends_on("demo:leaf", &[LEAF]);
    ward.load(plan).await?;
    let _never_opened = ward.faults.hold("demo:leaf", Phase::Run)?;
    assert_eq!(ward.call("demo:one", "own()").await?, "1");
    // The host's patience ends before the plugin's own limit: that is nobody's fault.
    let one = ward.host.plugin("demo:one")?.within(Duration::from_millis(20));
    let _ = one.call_wave("bump()").await;
    // And here the plugin has all the time that it may take.
    assert_eq!(ward.call("demo:one", "bump()").await?, "err(timeout)");
    assert_eq!(ward.call("demo:one", "bump()").await?, "err(circuit-open(1000))");
    ward.call("demo:one", "own()").await?;
    let circuits: Vec<_> = ward
        .host
        .vitals()
        .into_iter()
        .map(|vitals| {
            let failed = vitals.callers.iter().filter(|(_, of)| of.failures > 0);
            let failures: Vec<_> = failed.map(|(caller, of)| format!("{caller}: {}", of.failures)).collect();
            format!("{} {}", vitals.plugin, failures.join(", "))
        })
        .collect();
    assert_eq!(circuits, ["demo:leaf demo:one: 1", "demo:one "]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_whose_dependency_takes_it_down_is_not_at_fault() -> Outcome {
    let ward = Ward::with(Limits::default(), BreakerRules { in_a_row: 1, ..BreakerRules::default() })?;
    let plan = ward.plan().plugin("demo:one", "1.0.0", &guests::relay()).depends_or_traps_on("demo:leaf", &[LEAF]);
    ward.load(plan).await?;
    for _ in 0..3 {
        assert_eq!(ward.call("demo:one", "trap()").await.expect_err("both go").code(), "dependency-failed");
    }
    assert_eq!(ward.call("demo:one", "own()").await?, "1");
    let of = |plugin: &str| -> Result<Vec<(Caller, u64)>, Error> {
        let vitals = ward.host.plugin(plugin)?.vitals()?;
        Ok(vitals.callers.into_iter().map(|(caller, circuit)| (caller, circuit.failures)).collect())
    };
    assert_eq!(of("demo:one")?, []);
    assert_eq!(of("demo:leaf")?, [(Caller::Plugin("demo:one".parse()?), 1)], "then it was not called any more");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_says_nothing_of_a_plugin_opens_nothing() -> Outcome {
    let limits = Limits { call_bytes: 1000, ..Limits::default() };
    let ward = Ward::with(limits, BreakerRules { in_a_row: 1, of_last_20: 1, ..BreakerRules::default() })?;
    ward.load(callers(ward.plan())).await?;
    let leaf = ward.host.plugin("demo:leaf")?;
    let large = "x".repeat(2000);
    for _ in 0..3 {
        assert_eq!(
            leaf.call_dyn("echo", &[Val::String(large.clone())]).await.expect_err("it is too large").code(),
            "too-large"
        );
        assert_eq!(leaf.call_dyn("echo", &[Val::U8(1)]).await.expect_err("a number").code(), "signature");
        assert_eq!(leaf.call_wave("none()").await.expect_err("no function").code(), "unknown-function");
        assert_eq!(ward.call("demo:one", "echo(\"hi\")").await?, "ok(\"hi\")");
    }
    let vitals = leaf.vitals()?;
    assert_eq!((vitals.breaker.opened, vitals.callers.len(), vitals.losses), (0, 0, 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_can_not_be_started_again_is_tried_less_and_less_and_comes_back() -> Outcome {
    let ward = Ward::new()?;
    // Its second start fails, and so on until the host says otherwise.
    let plan = PlanBuilder::new(ward.folder.path()).plugin("demo:moody", "1.0.0", &guests::moody());
    let fail = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (clock, failing) = (ward.clock.clone(), fail.clone());
    let host = Host::<()>::builder()
        .clock(clock)
        .provide("acme:host/mood@1.0.0", move |linker| {
            let failing = failing.clone();
            linker
                .instance("acme:host/mood@1.0.0")?
                .func_wrap("bad", move |_, (): ()| Ok((u32::from(failing.load(std::sync::atomic::Ordering::SeqCst)),)))
        })
        .build()?;
    host.apply(plan.build()?).await?.all()?;
    let moody = host.plugin("demo:moody")?;
    let bump = async || moody.call_wave("bump()").await.map(|values| wave(&values)).map_err(|error| error.to_string());
    assert_eq!(bump().await, Ok("1".to_owned()));

    fail.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(moody.call_wave("trap()").await.expect_err("it traps").code(), "trapped");
    for _ in 0..3 {
        assert_eq!(bump().await, Err("demo:moody can not be instantiated".to_owned()));
    }
    for (seconds, count) in [(1, 3), (2, 4), (4, 5)] {
        assert_eq!(
            bump().await,
            Err(format!(
                "demo:moody takes no calls for another {seconds}s: it could not be started {count} times, \
                 the last by `instantiate`"
            ))
        );
        ward.after(seconds);
        if seconds < 4 {
            assert_eq!(bump().await, Err("demo:moody can not be instantiated".to_owned()));
        }
    }
    fail.store(false, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(bump().await, Ok("1".to_owned()));
    assert_eq!(bump().await, Ok("2".to_owned()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_can_tell_is_asked_whether_it_works_before_it_is_called_again() -> Outcome {
    let ward = Ward::new()?;
    let sick = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let (clock, state) = (ward.clock.clone(), sick.clone());
    let host = Host::<()>::builder()
        .clock(clock)
        .provide("acme:host/mood@1.0.0", move |linker| {
            let state = state.clone();
            linker
                .instance("acme:host/mood@1.0.0")?
                .func_wrap("bad", move |_, (): ()| Ok((u32::from(state.load(std::sync::atomic::Ordering::SeqCst)),)))
        })
        .build()?;
    let plan = PlanBuilder::new(ward.folder.path()).plugin("demo:patient", "1.0.0", &guests::patient());
    host.apply(plan.build()?).await?.all()?;
    let patient = host.plugin("demo:patient")?;
    let bump =
        async || patient.call_wave("bump()").await.map(|values| wave(&values)).map_err(|error| error.to_string());
    assert_eq!(bump().await, Ok("1".to_owned()), "nobody asks while it works");
    for _ in 0..5 {
        assert_eq!(patient.call_wave("trap()").await.expect_err("it traps").code(), "trapped");
    }
    let mut events = host.events();
    ward.after(1);
    assert_eq!(bump().await, Err("demo:patient says that it does not work: no\\u{7}pulse".to_owned()));
    assert_eq!(
        bump().await,
        Err("demo:patient takes no calls from the host for another 2s: \
             the call that tried whether it works again failed by `unhealthy`"
            .to_owned())
    );
    ward.after(2);
    sick.store(false, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(bump().await, Ok("1".to_owned()), "in another instance");
    assert_eq!(
        told(&mut events),
        [
            "demo:patient, the host: half-open",
            "demo:patient lost: unhealthy",
            "demo:patient, the host: open",
            "demo:patient, the host: half-open",
            "demo:patient, the host: closed",
        ]
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_version_begins_with_closed_circuits_and_one_that_fails_to_load_changes_none() -> Outcome {
    let ward = Ward::new()?;
    ward.load(ward.plan()).await?;
    for _ in 0..5 {
        assert_eq!(ward.call("demo:leaf", "trap()").await.expect_err("it traps").code(), "trapped");
    }
    let broken = PlanBuilder::new(ward.folder.path()).plugin("demo:leaf", "1.0.1", &guests::wanting());
    let applied = ward.host.apply(broken.build()?).await?;
    let failures: Vec<_> = applied.failures().map(|(_, error)| error.code()).collect();
    assert_eq!(failures, ["unknown-import"]);
    assert_eq!(ward.call("demo:leaf", "bump()").await.expect_err("the old one goes on").code(), "circuit-open");
    ward.load(PlanBuilder::new(ward.folder.path()).plugin("demo:leaf", "1.0.1", &guests::leaf_of("1.0.0", 1))).await?;
    assert_eq!(ward.call("demo:leaf", "bump()").await?, "ok(1)");
    Ok(())
}
