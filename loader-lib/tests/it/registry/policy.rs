//! A registry under a policy.

use stoa_core::{
    lock::{Lock, Publisher},
    policy::Policy,
    resolve::Resolution,
};
use stoa_loader::PlanningError;

use super::*;

fn policy(rules: &str) -> Policy {
    Policy::parse("policy.toml", &format!("version = 1\n{rules}")).expect("a policy")
}

fn denying(pattern: &str) -> Policy {
    policy(&format!("[[rule]]\nid = \"never\"\nmatch = {{ plugin = \"{pattern}\" }}\ndeny = true\n"))
}

pub(super) fn wanted() -> Wanted {
    let want = Want::new(id(ALPHA), "^1".parse().expect("a requirement"));
    Wanted::new(BTreeMap::new(), vec![want]).expect("a wish")
}

pub(super) async fn choose(registry: &Registry, lock: Option<&Lock>, mode: Mode) -> Result<Resolution, PlanningError> {
    let snapshot = registry.sync(Refresh::IfStale).await?;
    let options = ResolveOptions::new("main".parse().expect("a name")).with_mode(mode);
    snapshot.resolve(&wanted(), lock, &Offer::new(), &options).await
}

pub(super) async fn lock_of(registry: &Registry, resolution: &Resolution) -> Lock {
    let snapshot = registry.cached().await.expect("an index");
    resolution.lock(snapshot.lock_header(&Offer::new()).await)
}

/// The codes of a refusal by policy.
#[track_caller]
pub(super) fn codes<T: std::fmt::Debug>(refused: Result<T, PlanningError>) -> Vec<&'static str> {
    match refused {
        Err(PlanningError::Policy(refusals)) => refusals.iter().map(|refusal| refusal.code()).collect(),
        other => panic!("not refused by the policy: {other:?}"),
    }
}

#[tokio::test]
async fn what_a_policy_refuses_is_not_fetched_in_any_mode() {
    let (mirror, cache) = (Mirror::with(&[(ALPHA, "1.0.0")]), folder());
    let free = open(&mirror, cache.path()).await;
    let resolution = choose(&free, None, Mode::Keep).await.expect("a resolution");
    let lock = lock_of(&free, &resolution).await;

    let bound = open(&mirror, cache.path()).await.with_policy(denying("demo:*"));
    for (lock, mode) in
        [(None, Mode::Keep), (Some(&lock), Mode::Keep), (Some(&lock), Mode::UpdateAll), (Some(&lock), Mode::Locked)]
    {
        assert_eq!(codes(choose(&bound, lock, mode.clone()).await), ["P001"], "{mode:?}");
    }
    // A resolution that was made without the policy is no way around it.
    assert_eq!(codes(bound.plan(&resolution, &wanted(), |_| ()).await), ["P001"]);
    assert!(!mirror.asked().iter().any(|request| request.kind == "artifact"), "nothing was fetched");

    let root = TrustRoot::pinned(mirror.root());
    let offline = Registry::open_offline(ADDRESS, root, Cache::at(cache.path()).expect("a cache")).await;
    let offline = offline.expect("a registry").with_clock(now).with_policy(denying(ALPHA));
    let snapshot = offline.cached().await.expect("the kept index");
    let options = ResolveOptions::new("main".parse().expect("a name")).with_mode(Mode::Locked);
    assert_eq!(codes(snapshot.resolve(&wanted(), Some(&lock), &Offer::new(), &options).await), ["P001"]);

    let other = open(&mirror, cache.path()).await.with_policy(denying("acme:*"));
    other.plan(&resolution, &wanted(), |_| ()).await.expect("a plan");
    assert_eq!(mirror.asked().iter().filter(|request| request.kind == "artifact").count(), 1);
}

static CLOCK: AtomicI64 = AtomicI64::new(0);

#[tokio::test]
async fn a_cooldown_chooses_the_newest_release_that_is_old_enough() {
    let (mirror, cache) = (Mirror::with(&[(ALPHA, "1.0.0"), (ALPHA, "1.1.0")]), folder());
    let cooldown = policy("[[rule]]\nid = \"settled\"\nmatch = { plugin = \"*\" }\nrequire = { age = \"1h\" }\n");
    let registry = open(&mirror, cache.path()).await.with_policy(cooldown);
    let registry = registry.with_clock(|| Time::from_unix(CLOCK.load(Ordering::SeqCst)));
    CLOCK.store(BEGINNING + 10, Ordering::SeqCst);
    let document = registry.sync(Refresh::Always).await.expect("an index").document(&id(ALPHA)).await;
    let document = document.expect("a document").expect("a plugin");
    let public: Vec<i64> = document.releases.values().map(|listing| listing.published_at.unix()).collect();
    assert!(public[0] < public[1], "{public:?}");

    let mut chosen = Vec::new();
    for at in [public[0] + 3599, public[0] + 3600, public[1] + 3600] {
        CLOCK.store(at, Ordering::SeqCst);
        chosen.push(match choose(&registry, None, Mode::Keep).await {
            Ok(resolution) => resolution.plugins[0].version.to_string(),
            refused => codes(refused).join(" "),
        });
    }
    assert_eq!(chosen, ["P007", "1.0.0", "1.1.0"]);
}

#[tokio::test]
async fn nothing_is_fetched_while_an_update_needs_consent() {
    let (mirror, cache) = (Mirror::with(&[(ALPHA, "1.0.0")]), folder());
    let registry = open(&mirror, cache.path()).await;
    let resolution = choose(&registry, None, Mode::Keep).await.expect("a resolution");
    let mut lock = lock_of(&registry, &resolution).await;
    lock.entries.get_mut(&id(ALPHA)).expect("an entry").publisher = Publisher::Key(Digest::of(b"a key"));

    let mut resolution = choose(&registry, Some(&lock), Mode::Keep).await.expect("a resolution");
    let asks = match registry.plan(&resolution, &wanted(), |_| ()).await {
        Err(PlanningError::Consent(asks)) => asks,
        other => panic!("not asked: {other:?}"),
    };
    assert_eq!(asks.iter().map(|ask| ask.release.id.clone()).collect::<Vec<_>>(), [id(ALPHA)]);
    assert!(!mirror.asked().iter().any(|request| request.kind == "artifact"), "nothing was fetched");
    assert!(resolution.accept(&id(ALPHA)));
    registry.plan(&resolution, &wanted(), |_| ()).await.expect("a plan");
}
