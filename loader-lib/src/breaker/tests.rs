use proptest::prelude::*;

use super::*;
use crate::event::Events;

/// A breaker with a clock that stands still, whose plugin has 10 s for a call and 30 s for a start.
struct Bench {
    breaker: Arc<Breaker>,
    clock: Clock,
    events: Events,
}

fn plugin(name: &str) -> Caller {
    Caller::Plugin(format!("demo:{name}").parse().expect("an id"))
}

impl Bench {
    fn new(rules: BreakerRules) -> Self {
        let (clock, bell) = (Clock::manual(), Bell::new());
        let events = bell.listen();
        let (call, start) = (Duration::from_secs(10), Duration::from_secs(30));
        let id = "demo:leaf".parse().expect("an id");
        Self { breaker: Breaker::new(id, rules, clock.clone(), bell, call, start), clock, events }
    }

    fn ask(&self, caller: &Caller) -> Result<Pass, String> {
        self.breaker.ask(|| caller.clone()).map_err(|error| error.to_string())
    }

    /// A call of `caller` that ends so; the refusal where it is not let through.
    fn call(&self, caller: &Caller, verdict: Verdict) -> Result<(), String> {
        self.ask(caller).map(|pass| pass.note(|| caller.clone(), verdict))
    }

    fn calls(&self, caller: &Caller, count: usize, verdict: Verdict) {
        for n in 0..count {
            assert_eq!(self.call(caller, verdict), Ok(()), "call {n}");
        }
    }

    fn after(&self, millis: u64) -> &Self {
        self.clock.advance(Duration::from_millis(millis));
        self
    }

    /// What was told of circuits so far.
    fn told(&mut self) -> Vec<String> {
        let mut told = Vec::new();
        while let Some(event) = self.events.try_next() {
            if let Event::Breaker { caller, state, reason, retry_in, .. } = event {
                let of = caller.map_or("all".to_owned(), |caller| caller.to_string());
                let wait = retry_in.map(|wait| format!(" for {wait:?}")).unwrap_or_default();
                let why = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
                told.push(format!("{of}: {state}{wait}{why}"));
            }
        }
        told
    }
}

const TRAP: Verdict = Verdict::Bad("trapped");

#[test]
fn five_failures_in_a_row_open_a_circuit_for_their_caller_and_nobody_else() {
    let mut bench = Bench::new(BreakerRules::default());
    let (bad, other) = (plugin("bad"), plugin("other"));
    bench.calls(&bad, 4, TRAP);
    bench.calls(&bad, 1, Verdict::Good);
    bench.calls(&bad, 5, TRAP);
    assert_eq!(
        bench.call(&bad, TRAP),
        Err("demo:leaf takes no calls from demo:bad for another 1s: 5 calls in a row failed, the last by `trapped`"
            .into())
    );
    bench.calls(&other, 1, Verdict::Good);
    bench.calls(&Caller::Host, 1, Verdict::Good);
    assert_eq!(bench.told(), ["demo:bad: open for 1s: 5 calls in a row failed, the last by `trapped`"]);
}

#[test]
fn half_of_the_last_twenty_open_a_circuit() {
    let bench = Bench::new(BreakerRules::default());
    let caller = plugin("flaky");
    // 9 of 20 do not, however long.
    for _ in 0..3 {
        bench.calls(&caller, 4, TRAP);
        bench.calls(&caller, 5, Verdict::Good);
        bench.calls(&caller, 5, Verdict::Good);
        bench.calls(&caller, 1, TRAP);
        bench.calls(&caller, 5, Verdict::Good);
        bench.after(60_000);
    }
    for _ in 0..9 {
        bench.calls(&caller, 1, TRAP);
        bench.calls(&caller, 1, Verdict::Good);
    }
    bench.calls(&caller, 1, TRAP);
    assert_eq!(
        bench.call(&caller, TRAP),
        Err("demo:leaf takes no calls from demo:flaky for another 1s: 10 of the last 20 calls failed, the last by `trapped`"
            .into())
    );
}

#[test]
fn more_restarts_than_there_are_in_the_budget_open_a_circuit() {
    let bench = Bench::new(BreakerRules::default());
    let caller = plugin("costly");
    // One of five: neither many in a row nor half of them.
    for _ in 0..20 {
        bench.calls(&caller, 1, TRAP);
        bench.calls(&caller, 4, Verdict::Good);
    }
    // One comes back every three seconds.
    bench.after(3000);
    bench.calls(&caller, 1, TRAP);
    bench.calls(&caller, 4, Verdict::Good);
    bench.calls(&caller, 1, TRAP);
    assert_eq!(
        bench.call(&caller, Verdict::Good),
        Err("demo:leaf takes no calls from demo:costly for another 1s: \
             more than 20 instances were lost within 60s, the last by `trapped`"
            .into())
    );
}

#[test]
fn an_open_circuit_lets_one_call_try_and_closes_when_that_works() {
    let mut bench = Bench::new(BreakerRules::default());
    let caller = Caller::Host;
    bench.calls(&caller, 5, TRAP);
    assert!(bench.after(999).ask(&caller).is_err_and(|told| told.contains("for another 1ms:")));
    let probe = bench.after(1).ask(&caller).expect("its time is up");
    assert!(probe.is_probe());
    assert!(bench.ask(&caller).is_err_and(|told| told.contains("for another 100ms:")), "one at a time");
    // A call that began before it opened says nothing now.
    bench.breaker.note(caller.clone(), None, Verdict::Good);
    assert!(bench.ask(&caller).is_err_and(|told| told.contains("for another 100ms:")));
    probe.note(|| caller.clone(), Verdict::Good);
    assert!(!bench.ask(&caller).expect("it is closed").is_probe());
    assert_eq!(
        bench.told(),
        [
            "the host: open for 1s: 5 calls in a row failed, the last by `trapped`",
            "the host: half-open for 100ms: 5 calls in a row failed, the last by `trapped`",
            "the host: closed: 5 calls in a row failed, the last by `trapped`",
        ]
    );
    bench.calls(&caller, 4, TRAP);
    assert!(bench.ask(&caller).is_ok(), "it counts from 0 again");
}

#[test]
fn a_circuit_is_open_twice_as_long_each_time_and_as_at_first_after_a_quiet_minute() {
    let bench = Bench::new(BreakerRules::default());
    let caller = plugin("bad");
    bench.calls(&caller, 5, TRAP);
    for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
        let wait = format!("for another {seconds}s:");
        assert!(bench.ask(&caller).is_err_and(|told| told.contains(&wait)), "{wait}");
        bench.after(seconds * 1000);
        bench.calls(&caller, 1, TRAP);
    }
    bench.after(60_000);
    bench.calls(&caller, 1, Verdict::Good);
    bench.after(61_000);
    bench.calls(&caller, 5, TRAP);
    assert!(bench.ask(&caller).is_err_and(|told| told.contains("for another 1s:")));
}

#[test]
fn a_probe_that_says_nothing_leaves_the_next_one_to_try() {
    let bench = Bench::new(BreakerRules::default());
    let caller = plugin("bad");
    bench.calls(&caller, 5, TRAP);
    bench.after(1000);
    drop(bench.ask(&caller).expect("a probe"));
    bench.calls(&caller, 1, Verdict::Neutral);
    // It hung for less than is its own.
    bench.calls(&caller, 1, Verdict::Hung(Duration::from_secs(1)));
    assert!(bench.ask(&caller).expect("a probe").is_probe());
}

#[test]
fn a_deadline_counts_when_the_plugin_has_used_up_a_limit_of_its_own() {
    let bench = Bench::new(BreakerRules { in_a_row: 1, restarts: 1000, ..BreakerRules::default() });
    let (patient, hasty) = (plugin("patient"), plugin("hasty"));
    // 8.9 s in calls of 100 ms, and then some: nine tenths of 10 s are one failure.
    bench.calls(&hasty, 89, Verdict::Hung(Duration::from_millis(100)));
    assert!(bench.ask(&hasty).is_ok());
    bench.calls(&hasty, 1, Verdict::Hung(Duration::from_millis(100)));
    assert!(bench.ask(&hasty).is_err_and(|told| told.contains("1 calls in a row failed, the last by `deadline`")));
    let bench = Bench::new(BreakerRules { in_a_row: 1, ..BreakerRules::default() });
    bench.calls(&patient, 1, Verdict::Hung(Duration::from_millis(9999)));
    assert!(bench.ask(&patient).is_err_and(|told| told.contains("1 calls in a row failed, the last by `deadline`")));
}

#[test]
fn a_caller_that_cuts_off_calls_loses_its_own_way_in_and_two_of_them_take_nothing_from_others() {
    let mut bench = Bench::new(BreakerRules::default());
    for caller in [plugin("hasty"), plugin("hastier")] {
        bench.calls(&caller, 20, Verdict::Cut);
        bench.calls(&caller, 1, Verdict::Hung(Duration::from_millis(1)));
        let told = bench.call(&caller, Verdict::Good).expect_err("21 are too many");
        assert!(told.ends_with("for another 1s: more than 20 calls were cut off inside within 60s"), "{told}");
    }
    bench.calls(&plugin("other"), 1, Verdict::Good);
    assert!(bench.told().iter().all(|told| !told.starts_with("all:")));
}

#[test]
fn a_plugin_that_fails_for_two_callers_is_closed_to_all_until_one_of_them_finds_it_working() {
    let mut bench = Bench::new(BreakerRules::default());
    let (one, two, third) = (plugin("one"), plugin("two"), plugin("third"));
    bench.calls(&one, 5, TRAP);
    bench.calls(&third, 1, Verdict::Good);
    bench.calls(&two, 5, TRAP);
    assert_eq!(
        bench.call(&third, Verdict::Good),
        Err("demo:leaf takes no calls for another 1s: it fails for demo:one and demo:two, the last time by `trapped`"
            .into())
    );
    bench.after(1000);
    bench.calls(&third, 1, Verdict::Good);
    assert!(!bench.ask(&third).expect("closed").is_probe());
    assert!(bench.ask(&one).expect("a probe of its own circuit").is_probe());
    let told = bench.told();
    assert_eq!(
        told[2..5],
        [
            "all: open for 1s: it fails for demo:one and demo:two, the last time by `trapped`",
            "all: half-open for 100ms: it fails for demo:one and demo:two, the last time by `trapped`",
            "all: closed: it fails for demo:one and demo:two, the last time by `trapped`",
        ],
        "{told:?}"
    );
}

#[test]
fn a_failure_that_was_long_ago_says_nothing_with_one_of_today() {
    let bench = Bench::new(BreakerRules::default());
    bench.calls(&plugin("one"), 5, TRAP);
    bench.after(61_000);
    bench.calls(&plugin("two"), 5, TRAP);
    bench.calls(&plugin("third"), 1, Verdict::Good);
}

#[test]
fn a_plugin_that_does_not_start_three_times_is_closed_to_all_and_starts_that_work_count_from_0() {
    let bench = Bench::new(BreakerRules::default());
    let fails = Verdict::NotStarted("init");
    bench.calls(&Caller::Host, 2, fails);
    bench.calls(&Caller::Host, 1, TRAP);
    bench.calls(&plugin("one"), 1, fails);
    bench.calls(&plugin("two"), 1, fails);
    bench.calls(&Caller::Host, 1, fails);
    for wait in ["1s", "2s", "4s"] {
        let told = bench.call(&plugin("other"), Verdict::Good).expect_err("it does not start");
        assert!(
            told.starts_with(&format!("demo:leaf takes no calls for another {wait}: it could not be started ")),
            "{told}"
        );
        bench.after(4000);
        bench.calls(&plugin("other"), 1, fails);
    }
}

#[test]
fn a_start_that_is_cut_short_by_its_callers_says_nothing_until_a_limit_of_its_own_is_used_up() {
    let bench = Bench::new(BreakerRules { starts: 1, ..BreakerRules::default() });
    let hasty = plugin("hasty");
    bench.calls(&hasty, 26, Verdict::StartHung(Duration::from_secs(1)));
    assert!(bench.ask(&plugin("other")).is_ok());
    bench.calls(&hasty, 1, Verdict::StartHung(Duration::from_secs(1)));
    assert!(bench.ask(&plugin("other")).is_err_and(|told| told.ends_with("it could not be started: `deadline`")));
}

#[test]
fn a_probe_needs_an_instance_that_was_made_after_the_circuit_opened() {
    let bench = Bench::new(BreakerRules::default());
    let caller = plugin("bad");
    let before = bench.breaker.openings();
    bench.calls(&caller, 5, TRAP);
    let after = bench.breaker.openings();
    let probe = bench.after(1000).ask(&caller).expect("a probe");
    assert_eq!((probe.may_use(before), probe.may_use(after)), (false, true));
    assert!(
        bench.ask(&plugin("other")).expect("no probe").may_use(before),
        "who meets no failures needs nothing fresh"
    );
}

#[test]
fn refusals_and_failures_are_counted() {
    let bench = Bench::new(BreakerRules::default());
    let caller = plugin("bad");
    bench.calls(&caller, 5, TRAP);
    for _ in 0..3 {
        assert!(bench.ask(&caller).is_err());
    }
    let (whole, callers) = bench.breaker.vitals();
    assert_eq!((whole.state, whole.opened, whole.refused), (BreakerState::Closed, 0, 0));
    let [(name, edge)] = callers.as_slice() else { panic!("{callers:?}") };
    assert_eq!(*name, caller);
    assert_eq!((edge.state, edge.failures, edge.refused, edge.opened), (BreakerState::Open, 5, 3, 1));
    assert_eq!(edge.retry_in, Some(Duration::from_secs(1)));
}

fn verdicts() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        3 => Just(Verdict::Good),
        4 => Just(TRAP),
        1 => Just(Verdict::Cut),
        1 => Just(Verdict::Neutral),
        1 => (0..20_000u64).prop_map(|millis| Verdict::Hung(Duration::from_millis(millis))),
    ]
}

proptest! {
    #[test]
    fn whatever_one_caller_does_to_a_plugin_another_one_gets_through(
        done in prop::collection::vec((verdicts(), 0..3000u64), 0..300)
    ) {
        let bench = Bench::new(BreakerRules::default());
        let (hostile, other) = (plugin("hostile"), plugin("other"));
        for (verdict, millis) in done {
            let _ = bench.call(&hostile, verdict);
            prop_assert_eq!(bench.call(&other, Verdict::Good), Ok(()));
            bench.after(millis);
        }
        prop_assert_eq!(bench.breaker.vitals().0.opened, 0);
    }

    #[test]
    fn a_circuit_never_has_two_probes_and_always_opens_again_to_one(
        done in prop::collection::vec((0..3usize, verdicts(), any::<bool>(), 0..90_000u64), 0..200)
    ) {
        let bench = Bench::new(BreakerRules::default());
        let callers = [Caller::Host, plugin("one"), plugin("two")];
        let mut under_way: Vec<(usize, Pass)> = Vec::new();
        for (who, verdict, begins, millis) in done {
            bench.after(millis);
            if begins || under_way.is_empty() {
                if let Ok(pass) = bench.ask(&callers[who]) {
                    let probes = |side: fn(&Probe) -> bool, who: usize| {
                        under_way.iter().filter(|(of, pass)| *of == who && pass.probe.as_deref().is_some_and(side)).count()
                    };
                    let new = pass.probe.as_deref();
                    prop_assert!(!(new.is_some_and(|p| p.edge) && probes(|p| p.edge, who) > 0));
                    let whole: usize = (0..3).map(|of| probes(|p| p.whole, of)).sum();
                    prop_assert!(!(new.is_some_and(|p| p.whole) && whole > 0));
                    under_way.push((who, pass));
                }
            } else {
                let (who, pass) = under_way.swap_remove(who % under_way.len());
                pass.note(|| callers[who].clone(), verdict);
            }
        }
        under_way.clear();
        bench.after(60_000);
        for caller in &callers {
            prop_assert_eq!(bench.call(caller, Verdict::Good), Ok(()), "its time is up and nobody is trying");
        }
        // And whoever found it working, it is quiet again after as many calls as are remembered.
        for caller in &callers {
            bench.calls(caller, 20, Verdict::Good);
        }
        prop_assert!(bench.ask(&Caller::Host).is_ok_and(|pass| !pass.is_probe()));
        prop_assert!(!bench.breaker.alert.load(SeqCst));
    }
}
