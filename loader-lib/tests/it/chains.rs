//! Chains of calls, through plugins and through functions of the host: what travels along them, and what bounds them.

use std::{
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use crate::{
    calls::{Outcome, wave},
    guests,
};
use futures::future::BoxFuture;
use stoa_loader::{
    CallContext, CancelToken, Event, Events, Host, Limits, LoaderError, Phase, Plan,
    limits::Wishes,
    plan::Instances,
    testing::{Faults, Gate, PlanBuilder},
};

type Error = Box<dyn std::error::Error + Send + Sync>;

const LEAF: &str = "demo:leaf/api@1.0.0";
/// Long enough for whatever a busy machine has to do before, since what is held never comes back by itself.
const SHORT: Duration = Duration::from_millis(60);

/// What `acme:host/back@1.0.0.call` does.
type Back = dyn Fn(Host<()>) -> BoxFuture<'static, String> + Send + Sync;

/// A host whose plugins can call back, and what came of that.
struct House {
    host: Host<()>,
    faults: Faults,
    folder: tempfile::TempDir,
    noted: Arc<Mutex<Vec<String>>>,
}

impl House {
    fn new(
        limits: Limits,
        back: impl Fn(Host<()>) -> BoxFuture<'static, String> + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let (noted, faults) = (Arc::new(Mutex::new(Vec::new())), Faults::new());
        let itself = Arc::new(OnceLock::<Host<()>>::new());
        let (notes, me, back) = (noted.clone(), itself.clone(), Arc::<Back>::from(Box::new(back) as Box<Back>));
        let host = Host::<()>::builder()
            .limits(limits)
            .faults(faults.clone())
            .provide("acme:host/back@1.0.0", move |linker| {
                let (notes, me, back) = (notes.clone(), me.clone(), back.clone());
                linker.instance("acme:host/back@1.0.0")?.func_wrap_async("call", move |_, (): ()| {
                    let (notes, back) = (notes.clone(), back.clone());
                    let host = me.get().expect("the host is built before it is called").clone();
                    Box::new(async move {
                        let note = back(host).await;
                        notes.lock().expect("no panic").push(note);
                        Ok(())
                    })
                })
            })
            .build()?;
        itself.set(host.clone()).map_err(drop).expect("set once");
        Ok(Self { host, faults, folder: tempfile::tempdir()?, noted })
    }

    /// One whose plugins have nothing to call back.
    fn quiet(limits: Limits) -> Result<Self, Error> {
        Self::new(limits, |_| Box::pin(async { "nothing".to_owned() }))
    }

    fn plan(&self) -> PlanBuilder {
        PlanBuilder::new(self.folder.path())
    }

    async fn load(&self, plan: Plan) -> Outcome {
        Ok(self.host.apply(plan).await?.all()?)
    }

    fn noted(&self) -> Vec<String> {
        self.noted.lock().expect("no panic").clone()
    }

    async fn call(&self, plugin: &str, text: &str) -> Result<String, LoaderError> {
        told(&self.host, plugin, text).await
    }

    /// A call that is inside `plugin` and stays there.
    async fn held(&self, plugin: &str) -> Result<Gate, Error> {
        Ok(self.faults.hold(plugin, Phase::Run)?)
    }
}

async fn told(host: &Host<()>, plugin: &str, text: &str) -> Result<String, LoaderError> {
    Ok(wave(&host.plugin(plugin)?.call_wave(text).await?))
}

/// Calls `text` on `plugin`, as a function of the host does.
fn calls(plugin: &'static str, text: &'static str) -> impl Fn(Host<()>) -> BoxFuture<'static, String> + Send + Sync {
    move |host| Box::pin(async move { told(&host, plugin, text).await.unwrap_or_else(|error| error.to_string()) })
}

/// What was lost so far: each plugin with what it was lost by, sorted.
fn losses(events: &mut Events) -> Vec<String> {
    let mut lost = Vec::new();
    while let Some(event) = events.try_next() {
        if let Event::StateLost { cause, .. } = event {
            lost.push(cause);
        }
    }
    lost.sort();
    lost
}

/// `demo:n2` to `demo:n{count}`, each passing `function` on to the one before it, and the last of them to `demo:leaf`.
fn chain(plan: PlanBuilder, function: &str, count: usize) -> PlanBuilder {
    let plan = plan.plugin("demo:leaf", "1.0.0", &guests::leaf());
    (2..=count).fold(plan, |plan, n| {
        let (id, interface) = (format!("demo:n{n}"), format!("demo:n{n}/api@1.0.0"));
        let (on, from) = match n {
            2 => ("demo:leaf".to_owned(), LEAF.to_owned()),
            n => (format!("demo:n{}", n - 1), format!("demo:n{}/api@1.0.0", n - 1)),
        };
        plan.plugin(&id, "1.0.0", &guests::hop(&from, function, &interface)).depends_on(&on, &[&from])
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_seventeenth_plugin_of_a_chain_is_denied_and_the_sixteen_before_it_go_on() -> Outcome {
    let house = House::quiet(Limits::default())?;
    house.load(chain(house.plan(), "bump", 20).build()?).await?;
    let mut events = house.host.events();
    assert_eq!(house.call("demo:n16", "bump()").await?, "ok(1)");
    assert_eq!(house.call("demo:n17", "bump()").await?, "err(denied)");
    assert_eq!(house.call("demo:n20", "bump()").await?, "err(denied)");
    assert_eq!(house.call("demo:n16", "bump()").await?, "ok(2)", "the leaf was called by nobody else");
    assert_eq!(losses(&mut events), [""; 0]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endless_recursion_at_the_end_of_the_longest_chain_ends_there() -> Outcome {
    let house = House::quiet(Limits::default())?;
    house.load(chain(house.plan(), "deep", 16).build()?).await?;
    let mut events = house.host.events();
    assert_eq!(house.call("demo:n16", "deep()").await?, "err(trapped)");
    let lost = losses(&mut events);
    assert_eq!(lost.len(), 1, "only the last of the chain: {lost:?}");
    assert!(lost[0].starts_with("demo:leaf: demo:leaf/api@1.0.0.deep trapped: "), "{lost:?}");
    assert!(lost[0].ends_with("wasm trap: call stack exhausted"), "{lost:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_circle_through_a_function_of_the_host_and_a_plugin_is_answered_with_reentrant() -> Outcome {
    let house = House::new(Limits::default(), calls("demo:caller", "bump()"))?;
    let plan = house
        .plan()
        .plugin("demo:leaf", "1.0.0", &guests::leaf_that_calls_back())
        .plugin("demo:caller", "1.0.0", &guests::passes_on("1.0.0"))
        .depends_on("demo:leaf", &[LEAF]);
    house.load(plan.build()?).await?;
    let mut events = house.host.events();
    // leaf calls the host, which calls caller, which calls leaf.
    assert_eq!(house.call("demo:leaf", "bump()").await?, "ok(1)");
    assert_eq!(house.noted(), ["err(reentrant)"]);
    assert_eq!(losses(&mut events), [""; 0], "all of them go on");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_waits_for_a_call_is_not_called_by_it_whether_or_not_it_has_idle_instances() -> Outcome {
    for instances in [Instances::One, Instances::Stateless(Some(4))] {
        let house = House::new(Limits::default(), calls("demo:leaf", "bump()"))?;
        let plan = house.plan().plugin("demo:leaf", "1.0.0", &guests::leaf_that_calls_back()).instances(instances);
        house.load(plan.build()?).await?;
        assert_eq!(house.call("demo:leaf", "bump()").await?, "ok(1)");
        assert_eq!(house.noted(), ["demo:leaf was called while it waits for that very call: demo:leaf > demo:leaf"]);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_goes_on_in_a_task_that_a_function_of_the_host_hands_its_work_to() -> Outcome {
    let back = |host: Host<()>| -> BoxFuture<'static, String> {
        Box::pin(async move {
            let context = CallContext::current().expect("a call is under way");
            let way: Vec<_> = context.plugins().iter().map(ToString::to_string).collect();
            let work = async move { told(&host, "demo:leaf", "bump()").await };
            let outcome = tokio::spawn(context.scope(work)).await.expect("no panic");
            format!("{}: {}", way.join(" > "), outcome.unwrap_or_else(|error| error.to_string()))
        })
    };
    let house = House::new(Limits::default(), back)?;
    let plan = house
        .plan()
        .plugin("demo:leaf", "1.0.0", &guests::leaf_that_calls_back())
        .plugin("demo:caller", "1.0.0", &guests::passes_on("1.0.0"))
        .depends_on("demo:leaf", &[LEAF]);
    house.load(plan.build()?).await?;
    assert_eq!(house.call("demo:caller", "bump()").await?, "ok(1)");
    assert_eq!(
        house.noted(),
        ["demo:caller > demo:leaf: demo:leaf was called while it waits for that very call: \
          demo:caller > demo:leaf > demo:leaf"]
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_deadline_of_a_root_call_ends_the_calls_that_it_led_to_through_plugins() -> Outcome {
    let house = House::quiet(Limits::default())?;
    house.load(chain(house.plan(), "bump", 4).build()?).await?;
    let mut events = house.host.events();
    let _never_opened = house.held("demo:leaf").await?;
    let root = house.host.plugin("demo:n4")?.within(SHORT);
    // Each of them learns of it at the same moment: whoever is first gives the next a value, or is ended itself.
    let outcome = root.call_wave("bump()").await.map(|values| wave(&values)).map_err(|error| error.to_string());
    let ended = "demo:n4: demo:n4/api@1.0.0.bump did not finish before its deadline (60ms after the call began)";
    assert!(outcome == Ok("err(timeout)".to_owned()) || outcome == Err(ended.to_owned()), "{outcome:?}");
    let lost = losses(&mut events);
    assert!(
        lost.contains(
            &"demo:leaf: demo:leaf/api@1.0.0.bump did not finish before its deadline (60ms after the call began)"
                .to_owned()
        ),
        "it has 10 s of its own: {lost:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_deadline_of_a_root_call_ends_the_calls_that_it_led_to_through_the_host() -> Outcome {
    let house = House::new(Limits::default(), calls("demo:other", "bump()"))?;
    let plan = house.plan().plugin("demo:leaf", "1.0.0", &guests::leaf_that_calls_back()).plugin(
        "demo:other",
        "1.0.0",
        &guests::leaf(),
    );
    house.load(plan.build()?).await?;
    let mut events = house.host.events();
    let _never_opened = house.held("demo:other").await?;
    let leaf = house.host.plugin("demo:leaf")?.within(SHORT);
    let outcome = leaf.call_wave("bump()").await.map(|values| wave(&values)).map_err(|error| error.to_string());
    let ended = "demo:leaf: demo:leaf/api@1.0.0.bump did not finish before its deadline (60ms after the call began)";
    assert!(outcome == Ok("ok(1)".to_owned()) || outcome == Err(ended.to_owned()), "{outcome:?}");
    // The inner call is a task of its own, and ends by itself.
    loop {
        match events.next().await.expect("the host is there") {
            Event::StateLost { plugin, cause, .. } if plugin.to_string() == "demo:other" => {
                assert_eq!(
                    cause,
                    "demo:other: demo:leaf/api@1.0.0.bump did not finish before its deadline (60ms after the call began)"
                );
                return Ok(());
            }
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callee_that_uses_up_its_own_limit_leaves_its_caller_the_rest_of_its_time() -> Outcome {
    let house = House::quiet(Limits::default())?;
    let short = Wishes { deadline: Some(SHORT), ..Default::default() };
    let plan = house
        .plan()
        .plugin("demo:leaf", "1.0.0", &guests::leaf())
        .wishes(short)
        .plugin("demo:relay", "1.0.0", &guests::relay())
        .depends_on("demo:leaf", &[LEAF]);
    house.load(plan.build()?).await?;
    let mut events = house.host.events();
    let _never_opened = house.held("demo:leaf").await?;
    assert_eq!(house.call("demo:relay", "own()").await?, "1");
    assert_eq!(house.call("demo:relay", "bump()").await?, "err(timeout)");
    assert_eq!(house.call("demo:relay", "own()").await?, "2", "it kept its memory");
    assert_eq!(losses(&mut events).len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_ends_all_calls_that_the_cancelled_one_led_to_and_no_others() -> Outcome {
    let house = House::new(Limits::default(), calls("demo:n3", "bump()"))?;
    // top calls the host, which calls n3, which calls n2, which calls leaf.
    let plan = chain(house.plan(), "bump", 3).plugin("demo:top", "1.0.0", &guests::leaf_that_calls_back());
    house.load(plan.plugin("demo:other", "1.0.0", &guests::leaf()).build()?).await?;
    let mut events = house.host.events();
    let (inside, other) = (house.held("demo:leaf").await?, house.held("demo:other").await?);
    let token = CancelToken::new();
    let cancelled = {
        let top = house.host.plugin("demo:top")?.cancelled_by(&token);
        tokio::spawn(async move { top.call_wave("bump()").await })
    };
    let bystander = {
        let other = house.host.plugin("demo:other")?.cancelled_by(&CancelToken::new());
        tokio::spawn(async move { other.call_wave("bump()").await })
    };
    inside.arrived(1).await;
    other.arrived(1).await;
    token.cancel();
    let error = cancelled.await?.expect_err("it was cancelled");
    assert_eq!(error.to_string(), "demo:top: demo:leaf/api@1.0.0.bump was cancelled");
    other.open();
    assert_eq!(wave(&bystander.await??), "ok(1)");

    // The call that the host made is a task of its own; it is over when the last of its plugins is lost.
    let mut lost = Vec::new();
    while lost.len() < 4 {
        if let Some(Event::StateLost { plugin, code, .. }) = events.next().await {
            lost.push(format!("{plugin} {code}"));
        }
    }
    lost.sort();
    assert_eq!(lost, ["demo:leaf cancelled", "demo:n2 cancelled", "demo:n3 cancelled", "demo:top cancelled"]);
    inside.open();
    assert_eq!(house.call("demo:top", "bump()").await?, "ok(1)", "each begins anew");
    assert_eq!(house.noted(), ["ok(1)"]);
    Ok(())
}
