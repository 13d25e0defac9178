//! Takedowns and advisories, as a host meets them.

use stoa_core::{
    event::Fact,
    lock::Lock,
    resolve::{Resolution, ResolveError},
    standing::{Cause, Measure},
};
use stoa_loader::{Fetched, Plan, PlanningError};

use super::*;

fn taken_down(version: Option<&str>, measure: Measure) -> Fact {
    let version = version.map(|version| version.parse().expect("a version"));
    Fact::TakenDown { id: id(ALPHA), version, measure, cause: Cause::Malware, reason: "it mines coins".into() }
}

fn restored() -> Fact {
    let version = Some("1.0.0".parse().expect("a version"));
    Fact::Restored { id: id(ALPHA), version, reason: "a false alarm".into() }
}

fn wanted() -> Wanted {
    let want = Want::new(id(ALPHA), "^1".parse().expect("a requirement"));
    Wanted::new(BTreeMap::new(), vec![want]).expect("a wish")
}

async fn choose(registry: &Registry, refresh: Refresh, lock: Option<&Lock>, mode: Mode) -> Result<Resolution, String> {
    let snapshot = registry.sync(refresh).await.expect("an index");
    let options = ResolveOptions::new("main".parse().expect("a name")).with_mode(mode);
    snapshot.resolve(&wanted(), lock, &Offer::new(), &options).await.map_err(|error| match error {
        PlanningError::Resolve(error @ ResolveError::Killed(_)) => error.to_string(),
        PlanningError::Resolve(error) => format!("{}: {error}", error.code()),
        other => panic!("{other:?}"),
    })
}

async fn plan(registry: &Registry, resolution: &Resolution) -> (Result<Plan, String>, Vec<String>) {
    let told = std::sync::Mutex::new(Vec::new());
    let tell = |fetched| {
        if let Fetched::Quarantined(down) = fetched {
            told.lock().expect("no panic").push(down.to_string());
        }
    };
    let plan = registry.plan(resolution, &wanted(), tell).await.map_err(|error| match error {
        PlanningError::TakenDown(_) => error.to_string(),
        other => panic!("{other:?}"),
    });
    (plan, told.into_inner().expect("no panic"))
}

async fn lock_of(registry: &Registry, resolution: &Resolution) -> Lock {
    let snapshot = registry.cached().await.expect("an index");
    resolution.lock(snapshot.lock_header(&Offer::new()).await)
}

/// A host that has fetched and locked `demo:alpha` 1.0.0.
async fn settled(mirror: &Arc<Mirror>, cache: &Path) -> (Registry, Resolution, Lock) {
    let registry = open(mirror, cache).await;
    let resolution = choose(&registry, Refresh::Always, None, Mode::Keep).await.expect("a resolution");
    registry.plan(&resolution, &wanted(), |_| ()).await.expect("a plan");
    let lock = lock_of(&registry, &resolution).await;
    (registry, resolution, lock)
}

const KILLED: &str = "`demo:alpha@1.0.0` was killed 2026-11-18 (malware: \"it mines coins\")";
const QUARANTINED: &str = "`demo:alpha@1.0.0` was quarantined 2026-11-18 (malware: \"it mines coins\")";

static CLOCK: AtomicI64 = AtomicI64::new(0);

#[tokio::test]
async fn a_kill_is_effective_within_one_ttl_of_the_pointer_and_costs_five_requests() {
    let (mirror, cache) = (Mirror::with(&[(ALPHA, "1.0.0")]), folder());
    let began = now().unix();
    CLOCK.store(began, Ordering::SeqCst);
    let (registry, resolution, lock) = settled(&mirror, cache.path()).await;
    let registry = registry.with_clock(|| Time::from_unix(CLOCK.load(Ordering::SeqCst)));
    mirror.say(taken_down(Some("1.0.0"), Measure::Kill));
    mirror.forget();

    // The last second of a pointer that came just before.
    CLOCK.store(began + 59, Ordering::SeqCst);
    choose(&registry, Refresh::IfStale, Some(&lock), Mode::Locked).await.expect("it is not known yet");
    assert_eq!(mirror.asked().len(), 0);
    CLOCK.store(began + 60, Ordering::SeqCst);
    let refused = choose(&registry, Refresh::IfStale, Some(&lock), Mode::Locked).await.expect_err("it is known");
    assert_eq!(refused, format!("the lock names what nobody may load any more: {KILLED}"));
    let asked: Vec<_> = mirror.asked().into_iter().map(|request| request.kind).collect();
    assert_eq!(asked, ["root", "timestamp", "snapshot", "bin", "document"]);
    // What was resolved before it was known is no way around.
    assert_eq!(plan(&registry, &resolution).await.0, Err(KILLED.to_owned()));
}

#[tokio::test]
async fn a_killed_release_is_loaded_by_nobody_who_has_synced_offline_and_locked_and_cached_too() {
    let (mirror, cache) = (Mirror::with(&[(ALPHA, "1.0.0")]), folder());
    let (registry, resolution, lock) = settled(&mirror, cache.path()).await;
    mirror.say(taken_down(None, Measure::Kill));
    let offline = || async {
        let root = TrustRoot::pinned(mirror.root());
        let cache = Cache::at(cache.path()).expect("a cache");
        Registry::open_offline(ADDRESS, root, cache).await.expect("a registry").with_clock(now)
    };
    // Who has not heard of it goes on.
    let away = offline().await;
    let before = choose(&away, Refresh::Never, Some(&lock), Mode::Locked).await.expect("it is not known here");
    assert_eq!(plan(&away, &before).await.0.map(|plan| plan.plugins().len()), Ok(1));

    let snapshot = registry.sync(Refresh::Always).await.expect("an index");
    snapshot.document(&id(ALPHA)).await.expect("a document");
    let away = offline().await;
    let refused = choose(&away, Refresh::Never, Some(&lock), Mode::Locked).await.expect_err("it is known");
    assert_eq!(refused, format!("the lock names what nobody may load any more: {KILLED}"));
    let nothing = choose(&away, Refresh::Never, Some(&lock), Mode::Keep).await.expect_err("no other version");
    assert!(nothing.starts_with("R001"), "{nothing}");
    assert_eq!(plan(&away, &resolution).await.0, Err(KILLED.to_owned()));
    assert_eq!(away.requests(), 0);
}

#[tokio::test]
async fn a_quarantined_release_goes_on_where_it_is_kept_and_is_fetched_nowhere() {
    let (mirror, cache, empty) = (Mirror::with(&[(ALPHA, "1.0.0")]), folder(), folder());
    let (registry, _, lock) = settled(&mirror, cache.path()).await;
    mirror.say(taken_down(Some("1.0.0"), Measure::Quarantine));
    mirror.forget();
    let kept = choose(&registry, Refresh::Always, Some(&lock), Mode::Locked).await.expect("it is locked");
    let (went_on, told) = plan(&registry, &kept).await;
    let went_on = went_on.expect("a plan");
    assert_eq!(told, [QUARANTINED]);
    let measure = went_on.plugins()[0].quarantined.as_ref().map(|takedown| takedown.measure);
    assert_eq!(measure, Some(Measure::Quarantine), "the host can tell its user");

    // The same lock on another machine: chosen, for it is locked, and not fetched.
    let newcomer = open(&mirror, empty.path()).await;
    let chosen = choose(&newcomer, Refresh::Always, Some(&lock), Mode::Locked).await.expect("it is locked");
    assert_eq!(plan(&newcomer, &chosen).await.0, Err(format!("{QUARANTINED}, and nobody fetches it")));
    let refused = choose(&newcomer, Refresh::Never, None, Mode::Keep).await.expect_err("nothing to choose");
    assert!(refused.contains("can not be used: quarantined 2026-11-18"), "{refused}");
    assert!(!mirror.asked().iter().any(|request| request.kind == "artifact"), "nothing was fetched");

    let strict =
        "version = 1\n[[rule]]\nid = \"calm\"\nmatch = { plugin = \"*\" }\nrequire = { quarantine = \"none\" }\n";
    let strict = stoa_core::policy::Policy::parse("policy.toml", strict).expect("a policy");
    let strict = open(&mirror, cache.path()).await.with_policy(strict);
    match strict.plan(&kept, &wanted(), |_| ()).await {
        Err(PlanningError::Policy(refusals)) => assert_eq!(refusals[0].code(), "P020"),
        other => panic!("a policy can refuse it: {other:?}"),
    }

    mirror.say(restored());
    let back = choose(&newcomer, Refresh::Always, None, Mode::Keep).await.expect("it is restored");
    assert!(plan(&newcomer, &back).await.0.is_ok(), "and fetched");
}

#[tokio::test]
async fn an_older_pointer_brings_nothing_back_that_was_taken_down() {
    let (mirror, cache) = (Mirror::with(&[(ALPHA, "1.0.0")]), folder());
    let (registry, _, lock) = settled(&mirror, cache.path()).await;
    let older = mirror.timestamp();
    mirror.say(taken_down(Some("1.0.0"), Measure::Kill));
    choose(&registry, Refresh::Always, Some(&lock), Mode::Locked).await.expect_err("it is known");
    mirror.tamper("timestamp", Tamper::Replace(older));
    for registry in [registry, open(&mirror, cache.path()).await] {
        let snapshot = registry.sync(Refresh::Always).await.expect("what is held stays");
        assert_eq!(snapshot.outcome(), Some(&Outcome::OlderPointer { served: 1, held: 2 }));
        let refused = choose(&registry, Refresh::Always, Some(&lock), Mode::Locked).await.expect_err("it is known");
        assert_eq!(refused, format!("the lock names what nobody may load any more: {KILLED}"));
    }
}
