//! What publishers sign, as a host sees it: what a namespace demands, who signed, and where it was built.

use stoa_core::{
    attestation::{Attestations, Envelope, ReleaseClaim, STATEMENT_TYPE},
    event::Fact,
    lock::Publisher,
    policy::Policy,
    publisher::{Change, Publishers, Statement},
    release::Release,
    trust::SecretKey,
};
use stoa_loader::PlanningError;

use super::{
    mirror::{component, release},
    policy::{choose, codes, lock_of},
    *,
};

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed([seed; 32])
}

/// What is signed of `1.1.0` and the like: the namespace's statements, and releases.
struct Author<'m> {
    mirror: &'m Mirror,
    number: std::cell::Cell<u64>,
}

impl<'m> Author<'m> {
    fn of(mirror: &'m Mirror) -> Self {
        Self { mirror, number: Default::default() }
    }

    fn registry(&self) -> Digest {
        Digest::of(&self.mirror.root())
    }

    fn state(&self, change: Change, keys: &[&SecretKey]) {
        self.number.set(self.number.get() + 1);
        let (namespace, number) = ("demo".parse().expect("a namespace"), self.number.get());
        let statement = Statement { format: 1, registry: self.registry(), namespace, number, change };
        let statement = statement.sign(keys).expect("a statement");
        let namespace = "demo".parse().expect("a namespace");
        self.mirror.record(Fact::PublisherStated { namespace, statement }, &[]);
    }

    fn add(&self, key: &SecretKey) {
        self.state(Change::Add { key: key.public().clone() }, &[key]);
    }

    fn demand(&self, key: &SecretKey) {
        self.state(Change::Demand { signatures: true }, &[key]);
    }

    fn claim(&self, release: &Release, provenance: Option<&[u8]>) -> ReleaseClaim {
        ReleaseClaim {
            registry: self.registry(),
            id: release.id.clone(),
            version: release.version.clone(),
            artifact: release.artifact.digest,
            record: release.blob().expect("a record").digest,
            provenance: provenance.map(Digest::of),
        }
    }

    /// `demo:alpha` in this version, signed by `keys` where there are some, with this provenance.
    fn publish(&self, version: &str, keys: &[&SecretKey], provenance: Option<&[u8]>) {
        let release = release(ALPHA, version);
        let claim = self.claim(&release, provenance);
        let envelope = claim.sign(keys).expect("a signature").to_bytes().expect("bytes");
        let signature = (!keys.is_empty()).then_some(&envelope[..]);
        let blobs: Vec<&[u8]> = signature.into_iter().chain(provenance).collect();
        let attestations =
            Attestations { signature: signature.map(BlobRef::of), provenance: provenance.map(BlobRef::of) };
        let attested = (!attestations.is_empty()).then(|| (release.id.clone(), attestations));
        let attestations = attested.into_iter().collect();
        self.mirror.record(Fact::Released { releases: vec![release], attestations }, &blobs);
    }
}

/// What a builder says of `demo:alpha` in this version.
fn provenance(version: &str, repository: &str) -> Vec<u8> {
    let workflow = serde_json::json!({"repository": repository, "path": ".github/workflows/release.yml"});
    let statement = serde_json::json!({
        "_type": "https://in-toto.io/Statement/v1", "predicateType": "https://slsa.dev/provenance/v1",
        "subject": [{"name": "alpha.wasm", "digest": {"sha256": Digest::of(&component(ALPHA, version))}}],
        "predicate": {"buildDefinition": {"externalParameters": {"workflow": workflow}},
            "runDetails": {"builder": {"id": "https://builder.example/v1"}}},
    });
    // Signed by a builder whom nobody here knows: its signature is not looked at.
    Envelope::sign(STATEMENT_TYPE, statement.to_string().as_bytes(), &[&key(99)]).to_bytes().expect("bytes")
}

/// The refusal of a release that bears no signature.
#[track_caller]
fn demanded<T: std::fmt::Debug>(refused: Result<T, PlanningError>) -> String {
    match refused {
        Err(PlanningError::Registry(error @ RegistryError::Unsigned { .. })) => {
            assert_eq!(error.attack(), Some(Attack::Forgery));
            chain(&error)
        }
        other => panic!("not refused for want of a signature: {other:?}"),
    }
}

/// The keys of `demo` as a demand of event 2 would leave them.
fn demanding(mirror: &Mirror) -> Publishers {
    let (first, registry) = (key(1), Digest::of(&mirror.root()));
    let say = |number, change| {
        let namespace = "demo".parse().expect("a namespace");
        Statement { format: 1, registry, namespace, number, change }.sign(&[&first]).expect("a statement")
    };
    let none = Publishers::none(registry, "demo".parse().expect("a namespace"));
    let added = none.state(&say(1, Change::Add { key: first.public().clone() }), 1, Time::from_unix(BEGINNING));
    let demand = say(2, Change::Demand { signatures: true });
    added.expect("a key").state(&demand, 2, Time::from_unix(BEGINNING)).expect("a demand")
}

#[tokio::test]
async fn an_unsigned_release_of_a_namespace_that_demands_signatures_is_refused_before_it_is_fetched_and_offline_too() {
    // Events 2 and 3. The honest fold stops at such a release: it takes a thief of all online keys to list it.
    let (mirror, cache) = (Mirror::with(&[("demo:beta", "1.0.0"), (ALPHA, "1.0.0")]), folder());
    let free = open(&mirror, cache.path()).await;
    let resolution = choose(&free, None, Mode::Keep).await.expect("nothing is demanded");
    let lock = lock_of(&free, &resolution).await;
    mirror.forge(demanding(&mirror));
    mirror.forget();

    let cache = folder();
    let registry = open(&mirror, cache.path()).await;
    registry.sync(Refresh::Always).await.expect("an index");
    let said = "`demo:alpha` 1.0.0 is refused: it bears no signature, and event 2 demands one of every later release of \
                `demo`";
    for (lock, mode) in
        [(None, Mode::Keep), (Some(&lock), Mode::Keep), (Some(&lock), Mode::UpdateAll), (Some(&lock), Mode::Locked)]
    {
        assert_eq!(demanded(choose(&registry, lock, mode.clone()).await), said, "{mode:?}");
    }
    assert!(!mirror.asked().iter().any(|request| request.kind == "artifact"), "nothing was fetched");

    let root = TrustRoot::pinned(mirror.root());
    let offline = Registry::open_offline(ADDRESS, root, Cache::at(cache.path()).expect("a cache")).await;
    let offline = offline.expect("a registry").with_clock(now);
    let snapshot = offline.cached().await.expect("the kept index");
    let options = ResolveOptions::new("main".parse().expect("a name")).with_mode(Mode::Locked);
    assert_eq!(demanded(snapshot.resolve(&policy::wanted(), Some(&lock), &Offer::new(), &options).await), said);
}

#[tokio::test]
async fn what_was_released_before_signatures_were_demanded_is_taken_and_later_only_what_is_signed() {
    let (mirror, cache) = (Mirror::with(&[]), folder());
    let (author, first) = (Author::of(&mirror), key(1));
    author.publish("1.0.0", &[], None);
    author.add(&first);
    author.demand(&first);
    let registry = open(&mirror, cache.path()).await;
    let chosen = choose(&registry, None, Mode::Keep).await.expect("a resolution");
    assert_eq!(
        (chosen.plugins[0].version.to_string().as_str(), chosen.plugins[0].publisher),
        ("1.0.0", Publisher::None)
    );
    author.publish("1.1.0", &[&first], None);
    registry.sync(Refresh::Always).await.expect("an index");
    let chosen = choose(&registry, None, Mode::Keep).await.expect("a resolution");
    let publisher = Publisher::Key(first.id().as_str().parse().expect("a digest"));
    assert_eq!((chosen.plugins[0].version.to_string().as_str(), chosen.plugins[0].publisher), ("1.1.0", publisher));
    // A key that is revoked later flags what it signed: it is not unsigned, and demands take it; nobody stands for it.
    author.state(Change::Revoke { key: first.id().clone(), reason: "it leaked".into() }, &[&first]);
    registry.sync(Refresh::Always).await.expect("an index");
    let chosen = choose(&registry, None, Mode::Keep).await.expect("a resolution");
    assert_eq!(
        (chosen.plugins[0].version.to_string().as_str(), chosen.plugins[0].publisher),
        ("1.1.0", Publisher::None)
    );
    let bound = open(&mirror, cache.path()).await.with_policy(requiring("signature = true"));
    assert_eq!(codes(choose(&bound, None, Mode::Keep).await), ["P004"]);
}

#[tokio::test]
async fn a_signature_of_a_key_that_waits_or_is_revoked_is_refused_by_the_host_itself() {
    for (seed, why) in [(2, "counts from"), (3, "was revoked by event 5"), (4, "`demo` has no key")] {
        let (mirror, cache) = (Mirror::with(&[]), folder());
        let (author, first) = (Author::of(&mirror), key(1));
        author.add(&first);
        author.add(&key(2));
        author.state(Change::Add { key: key(3).public().clone() }, &[&key(3), &first]);
        author.state(Change::Revoke { key: key(3).id().clone(), reason: "it leaked".into() }, &[&first]);
        // Past the API, which refuses it.
        author.publish("1.0.0", &[&key(seed)], None);
        let registry = open(&mirror, cache.path()).await;
        let refused = match choose(&registry, None, Mode::Keep).await {
            Err(PlanningError::Registry(error @ RegistryError::Signature { .. })) => chain(&error),
            other => panic!("not refused: {other:?}"),
        };
        assert!(refused.contains(why), "{refused}");
        assert!(!mirror.asked().iter().any(|request| request.kind == "artifact" && request.body > 5000));
    }
}

fn requiring(what: &str) -> Policy {
    let rule =
        format!("version = 1\n[[rule]]\nid = \"proven\"\nmatch = {{ plugin = \"*\" }}\nrequire = {{ {what} }}\n");
    Policy::parse("policy.toml", &rule).expect("a policy")
}

const REPOSITORY: &str = "https://git.example/demo/alpha";

#[tokio::test]
async fn a_provenance_counts_where_its_publisher_signed_it_and_says_the_place() {
    let wanted =
        format!("provenance = {{ repository = \"{REPOSITORY}\", workflow = \".github/workflows/release.yml\" }}");
    let theirs = provenance("1.0.0", REPOSITORY);
    let elsewhere = provenance("1.0.0", "https://git.example/fork/alpha");
    let first = key(1);
    type Case<'c> = (&'c str, &'c [&'c SecretKey], Option<&'c [u8]>, &'c [&'c str]);
    let cases: [Case<'_>; 4] = [
        ("signed", &[&first], Some(&theirs), &[]),
        ("built elsewhere", &[&first], Some(&elsewhere), &["P006"]),
        ("nobody signed it", &[], Some(&theirs), &["P006"]),
        ("there is none", &[&first], None, &["P006"]),
    ];
    for (case, keys, provenance, refused) in cases {
        let (mirror, cache) = (Mirror::with(&[]), folder());
        let author = Author::of(&mirror);
        author.add(&first);
        author.publish("1.0.0", keys, provenance);
        let registry = open(&mirror, cache.path()).await.with_policy(requiring(&wanted));
        let found = match choose(&registry, None, Mode::Keep).await {
            Ok(chosen) => {
                let built = chosen.plugins[0].provenance.clone().expect("it was looked for");
                assert_eq!(built[0].repository, REPOSITORY, "{case}");
                vec![]
            }
            error => codes(error),
        };
        assert_eq!(found, refused, "{case}");
        // And so it is offline, from what the cache has: the component too, by a host without the policy.
        let free = open(&mirror, cache.path()).await;
        let kept = choose(&free, None, Mode::Keep).await.expect("a resolution");
        free.plan(&kept, &policy::wanted(), |_| ()).await.expect("a plan");
        let root = TrustRoot::pinned(mirror.root());
        let offline = Registry::open_offline(ADDRESS, root, Cache::at(cache.path()).expect("a cache")).await;
        let offline = offline.expect("a registry").with_clock(now).with_policy(requiring(&wanted));
        let snapshot = offline.cached().await.expect("the kept index");
        let options = ResolveOptions::new("main".parse().expect("a name"));
        let again = snapshot.resolve(&policy::wanted(), None, &Offer::new(), &options).await;
        assert_eq!(again.map(|_| vec![]).unwrap_or_else(|error| codes::<()>(Err(error))), refused, "{case}, offline");
    }
}

#[tokio::test]
async fn a_provenance_of_another_component_is_refused_though_its_publisher_signed_it() {
    let (mirror, cache) = (Mirror::with(&[]), folder());
    let (author, first) = (Author::of(&mirror), key(1));
    author.add(&first);
    // The API refuses it; a thief of the ledger need not ask.
    author.publish("1.0.0", &[&first], Some(&provenance("0.9.0", REPOSITORY)));
    let wanted = requiring(&format!("provenance = {{ repository = \"{REPOSITORY}\" }}"));
    let registry = open(&mirror, cache.path()).await.with_policy(wanted);
    match choose(&registry, None, Mode::Keep).await {
        Err(PlanningError::Registry(error @ RegistryError::Provenance { .. })) => {
            assert!(chain(&error).contains("what is signed has the component"), "{}", chain(&error));
        }
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn keys_are_read_once_a_namespace_and_not_again_while_nothing_changes() {
    let (mirror, cache) = (Mirror::with(&[]), folder());
    let (author, first) = (Author::of(&mirror), key(1));
    author.add(&first);
    author.demand(&first);
    author.publish("1.0.0", &[&first], None);
    choose(&open(&mirror, cache.path()).await, None, Mode::Keep).await.expect("a resolution");
    let asked: Vec<_> = mirror.asked().into_iter().map(|request| request.kind).collect();
    assert_eq!(asked.iter().filter(|kind| **kind == "keys").count(), 1, "{asked:?}");
    mirror.forget();
    let registry = open(&mirror, cache.path()).await;
    registry.sync(Refresh::Always).await.expect("an index");
    choose(&registry, None, Mode::Keep).await.expect("a resolution");
    let asked: Vec<_> = mirror.asked().into_iter().map(|request| request.kind).collect();
    assert_eq!(asked, ["root", "timestamp"]);
}
