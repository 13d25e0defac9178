//! What a host reads of a registry, what it refuses, and what it keeps.

mod mirror;
mod policy;
mod runtime;
mod signed;
mod takedown;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use mirror::{BEGINNING, Mirror, Published, Tamper, chain, id};
use stoa_core::{
    digest::Digest,
    index::TIMESTAMP_LIFETIME,
    lock::Lock,
    offer::Offer,
    release::BlobRef,
    resolve::{Mode, ResolveOptions},
    time::{DAY, Time},
    trust::{Attack, Outcome, Staleness},
    wanted::{Want, Wanted},
};
use stoa_loader::{
    Cache, Freshness, Refresh, Registry, RegistryError, TrustRoot, plan::Origin, transport::NoConnection,
};

const ADDRESS: &str = "https://plugins.example";
const ALPHA: &str = "demo:alpha";

fn bytes_at(origin: &Origin) -> Vec<u8> {
    match origin {
        Origin::File(path) => std::fs::read(path).expect("a component"),
        other => panic!("{other:?}"),
    }
}

fn now() -> Time {
    Time::from_unix(BEGINNING + 3600)
}

async fn open(mirror: &Arc<Mirror>, cache: &Path) -> Registry {
    let root = TrustRoot::pinned(mirror.root());
    let cache = Cache::at(cache).expect("a cache");
    Registry::open_through(ADDRESS, mirror.clone(), root, cache).await.expect("a registry").with_clock(now)
}

/// Syncs, reads the document of `name` and its newest component. Gives the newest version.
async fn read(registry: &Registry, name: &str) -> Result<Option<String>, RegistryError> {
    let snapshot = registry.sync(Refresh::Always).await?;
    let Some(document) = snapshot.document(&id(name)).await? else { return Ok(None) };
    let (version, listing) = document.newest().expect("a listed release");
    registry.fetch(listing.artifact).await?;
    Ok(Some(version.to_string()))
}

/// Every file of the cache. When the registry was asked last, and since when it lags, are no verified copies and change
/// by themselves.
fn files(cache: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![cache.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with("checked-at") && !path.ends_with("older-since") {
                let name = path.strip_prefix(cache).expect("a path below").display().to_string();
                found.insert(name, std::fs::read(&path).expect("a file"));
            }
        }
    }
    found
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

#[tokio::test]
async fn a_cold_read_asks_once_for_each_file_on_the_way() {
    let (mirror, cache) = (Mirror::with(&[(ALPHA, "1.0.0")]), folder());
    let registry = open(&mirror, cache.path()).await;
    assert_eq!(read(&registry, ALPHA).await.expect("a plugin").as_deref(), Some("1.0.0"));
    let asked: Vec<_> = mirror.asked().into_iter().map(|request| request.kind).collect();
    assert_eq!(
        asked,
        ["root", "timestamp", "snapshot", "targets", "index", "bin", "document", "artifact"],
        "and nothing twice"
    );
    assert_eq!(registry.requests(), 8);
}

#[tokio::test]
async fn nothing_changed_takes_two_requests_and_no_body() {
    let (mirror, cache) = (Mirror::with(&[(ALPHA, "1.0.0")]), folder());
    read(&open(&mirror, cache.path()).await, ALPHA).await.expect("a plugin");
    mirror.forget();
    // Another process, which has only the cache.
    let registry = open(&mirror, cache.path()).await;
    let snapshot = registry.sync(Refresh::Always).await.expect("an index");
    assert_eq!(snapshot.outcome(), Some(&Outcome::Unchanged));
    assert!(snapshot.document(&id(ALPHA)).await.expect("a document").is_some());
    let asked: Vec<_> = mirror.asked().into_iter().map(|r| (r.kind, r.body, r.not_modified)).collect();
    assert_eq!(asked, [("root", 0, false), ("timestamp", 0, true)]);
}

#[tokio::test]
async fn ones_own_plugin_changed_takes_five_requests_and_another_one_three() {
    let (mirror, cache) = (Mirror::with(&[(ALPHA, "1.0.0"), ("demo:beta", "1.0.0")]), folder());
    let registry = open(&mirror, cache.path()).await;
    read(&registry, ALPHA).await.expect("a plugin");

    mirror.publish(ALPHA, "1.1.0");
    mirror.forget();
    let snapshot = registry.sync(Refresh::Always).await.expect("an index");
    assert!(matches!(snapshot.outcome(), Some(Outcome::Fresh { head: Some(_) })), "{:?}", snapshot.outcome());
    let document = snapshot.document(&id(ALPHA)).await.expect("a document").expect("a plugin");
    assert_eq!(document.releases.len(), 2);
    let asked: Vec<_> = mirror.asked().into_iter().map(|request| request.kind).collect();
    assert_eq!(asked, ["root", "timestamp", "snapshot", "bin", "document"]);

    mirror.publish("demo:beta", "1.1.0");
    mirror.forget();
    let snapshot = registry.sync(Refresh::Always).await.expect("an index");
    assert_eq!(snapshot.document(&id(ALPHA)).await.expect("a document"), Some(document));
    let asked: Vec<_> = mirror.asked().into_iter().map(|request| request.kind).collect();
    assert_eq!(asked, ["root", "timestamp", "snapshot"]);
}

#[tokio::test]
async fn a_plugin_that_is_not_there_is_provably_absent() {
    let (mirror, cache) = (Mirror::with(&[(ALPHA, "1.0.0")]), folder());
    let registry = open(&mirror, cache.path()).await;
    assert_eq!(read(&registry, "demo:nothing").await.expect("an answer"), None);
}

#[tokio::test]
async fn an_answer_younger_than_a_minute_is_not_asked_for_again() {
    let (mirror, cache) = (Mirror::with(&[(ALPHA, "1.0.0")]), folder());
    open(&mirror, cache.path()).await.sync(Refresh::Always).await.expect("an index");
    mirror.forget();
    let registry = open(&mirror, cache.path()).await;
    registry.sync(Refresh::IfStale).await.expect("an index");
    assert_eq!(mirror.asked().len(), 0);
    let later = registry.with_clock(|| now().plus(60));
    later.sync(Refresh::IfStale).await.expect("an index");
    assert_eq!(mirror.asked().len(), 2);
}

#[tokio::test]
async fn a_locked_install_from_a_warm_cache_takes_no_request() {
    let (mirror, cache) = (Mirror::with(&[(ALPHA, "1.0.0"), ("demo:beta", "1.0.0")]), folder());
    let wanted = Wanted::new(BTreeMap::new(), vec![Want::new(id(ALPHA), "^1".parse().expect("a requirement"))]);
    let (wanted, offer) = (wanted.expect("a wish"), Offer::new());
    let options = |mode| ResolveOptions::new("main".parse().expect("a name")).with_mode(mode);
    let registry = open(&mirror, cache.path()).await;
    let snapshot = registry.sync(Refresh::Always).await.expect("an index");
    let resolution = snapshot.resolve(&wanted, None, &offer, &options(Mode::Keep)).await.expect("a resolution");
    let lock = resolution.lock(snapshot.lock_header(&offer).await).print();
    registry.plan(&resolution, &wanted, |_| ()).await.expect("a plan");

    mirror.publish(ALPHA, "1.1.0");
    mirror.forget();
    let root = TrustRoot::Sha256(Digest::of(&mirror.root()));
    // A fingerprint is enough only where its root is kept: one request, once.
    Registry::open_through(ADDRESS, mirror.clone(), root.clone(), Cache::at(cache.path()).expect("a cache"))
        .await
        .expect("a registry");
    assert_eq!(mirror.asked().into_iter().map(|request| request.kind).collect::<Vec<_>>(), ["root"]);

    let offline = Registry::open_offline(ADDRESS, root, Cache::at(cache.path()).expect("a cache"));
    let offline = offline.await.expect("a registry").with_clock(now);
    let snapshot = offline.cached().await.expect("the kept index");
    let lock = Lock::parse(&lock).expect("a lock");
    let locked = snapshot.resolve(&wanted, Some(&lock), &offer, &options(Mode::Locked)).await.expect("the lock holds");
    let plan = offline.plan(&locked, &wanted, |_| ()).await.expect("a plan");
    assert_eq!(plan.plugins()[0].version.to_string(), "1.0.0");
    let component = bytes_at(&plan.plugins()[0].origin);
    assert_eq!(component, mirror::component(ALPHA, "1.0.0"));
    assert_eq!(offline.requests(), 0);
    assert_eq!(mirror.asked().len(), 1, "nothing since");
}

/// What a host that knows version 1.0.0 says when version 1.1.0 comes with a byte flipped in one file.
async fn flipped(kind: &'static str) -> String {
    let (mirror, cache) = (Mirror::with(&[(ALPHA, "1.0.0")]), folder());
    let registry = open(&mirror, cache.path()).await;
    // Static roles are fetched once: a host that knows them does not ask again.
    let cold = matches!(kind, "targets" | "index");
    match cold {
        true => registry.sync(Refresh::Always).await.map(drop).expect("an index"),
        false => read(&registry, ALPHA).await.map(drop).expect("a plugin"),
    }
    mirror.publish(ALPHA, "1.1.0");
    let before = files(cache.path());
    mirror.tamper(kind, Tamper::Flip);
    let error = read(&registry, ALPHA).await.expect_err("a flipped byte");

    let (after, good) = (files(cache.path()), mirror.published_files());
    for (name, bytes) in &after {
        if before.get(name) != Some(bytes) && !name.ends_with(".tag") {
            assert!(good.contains(bytes), "{kind}: `{name}` was kept, and is none of the registry's files");
        }
    }
    if kind == "timestamp" {
        assert_eq!(after, before, "nothing was accepted, so nothing was written");
    }
    assert!(before.keys().all(|name| after.contains_key(name)), "nothing that was kept is lost");

    // A process that begins with this cache finds the registry as it is.
    mirror.honest();
    let again = open(&mirror, cache.path()).await;
    assert_eq!(read(&again, ALPHA).await.expect("a good mirror").as_deref(), Some("1.1.0"), "{kind}");
    chain(&error)
}

#[tokio::test]
async fn a_flipped_byte_in_any_file_is_refused_by_file_and_check() {
    let kinds = ["timestamp", "snapshot", "targets", "index", "bin", "document", "artifact"];
    let mut lines = Vec::new();
    for kind in kinds {
        lines.push(format!("{kind}: {}", flipped(kind).await));
    }
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"([0-9a-f]{8})[0-9a-f]{56}", "$1");
    settings.bind(|| insta::assert_snapshot!(lines.join("\n")));
}

#[tokio::test]
async fn a_tag_that_came_with_forged_bytes_does_not_keep_an_old_pointer() {
    let (mirror, cache) = (Mirror::with(&[(ALPHA, "1.0.0")]), folder());
    let registry = open(&mirror, cache.path()).await;
    read(&registry, ALPHA).await.expect("a plugin");
    mirror.publish(ALPHA, "1.1.0");
    // The bytes are forged, the header is the good one: so does a proxy that changes bodies.
    mirror.tamper("timestamp", Tamper::Flip);
    read(&registry, ALPHA).await.expect_err("a flipped byte");
    mirror.honest();
    assert_eq!(read(&registry, ALPHA).await.expect("a plugin").as_deref(), Some("1.1.0"));
}

#[tokio::test]
async fn an_older_pointer_changes_nothing_and_says_so() {
    let (mirror, cache) = (Mirror::with(&[(ALPHA, "1.0.0")]), folder());
    let older = mirror.timestamp();
    mirror.publish(ALPHA, "1.1.0");
    let registry = open(&mirror, cache.path()).await;
    assert_eq!(read(&registry, ALPHA).await.expect("a plugin").as_deref(), Some("1.1.0"));
    let before = files(cache.path());
    mirror.tamper("timestamp", Tamper::Replace(older));
    let snapshot = registry.sync(Refresh::Always).await.expect("what is held stays");
    assert_eq!(snapshot.outcome(), Some(&Outcome::OlderPointer { served: 1, held: 2 }));
    assert_eq!(snapshot.document(&id(ALPHA)).await.expect("a document").expect("a plugin").releases.len(), 2);
    let mut after = files(cache.path());
    after.retain(|name, _| !name.ends_with(".tag"));
    assert!(after.iter().all(|(name, bytes)| before.get(name) == Some(bytes)));
    mirror.honest();
    mirror.forget();
    registry.sync(Refresh::Always).await.expect("an index");
    let again = registry.sync(Refresh::Always).await.expect("an index");
    assert_eq!(again.outcome(), Some(&Outcome::Unchanged));
}

#[tokio::test]
async fn an_older_pointer_is_told_from_the_first_time_it_was_seen_over_processes() {
    let (mirror, cache) = (Mirror::with(&[(ALPHA, "1.0.0")]), folder());
    let older = mirror.timestamp();
    mirror.publish(ALPHA, "1.1.0");
    read(&open(&mirror, cache.path()).await, ALPHA).await.expect("a plugin");
    mirror.tamper("timestamp", Tamper::Replace(older));
    let seen = |clock: fn() -> Time| {
        let (mirror, path) = (mirror.clone(), cache.path().to_owned());
        async move {
            let registry = open(&mirror, &path).await.with_clock(clock);
            let freshness = registry.sync(Refresh::Always).await.expect("what is held stays").freshness().await;
            (freshness, freshness.lasts(clock()))
        }
    };
    let first = Freshness::OlderPointer { served: 1, held: 2, since: now() };
    assert_eq!(seen(now).await, (first, false));
    assert_eq!(seen(|| now().plus(600)).await, (first, false), "an edge may lag");
    assert_eq!(seen(|| now().plus(601)).await, (first, true));
    mirror.honest();
    assert_eq!(seen(|| now().plus(700)).await, (Freshness::Unchanged, false));
    mirror.publish(ALPHA, "1.2.0");
    assert_eq!(seen(|| now().plus(800)).await, (Freshness::Fresh, false));
}

#[tokio::test]
async fn beyond_its_time_an_index_chooses_nothing_new_and_what_is_locked_still_runs() {
    let (mirror, cache) = (Mirror::with(&[(ALPHA, "1.0.0")]), folder());
    let wanted = Wanted::new(BTreeMap::new(), vec![Want::new(id(ALPHA), "^1".parse().expect("a requirement"))]);
    let (wanted, offer) = (wanted.expect("a wish"), Offer::new());
    let options = |mode| ResolveOptions::new("main".parse().expect("a name")).with_mode(mode);
    let registry = open(&mirror, cache.path()).await;
    let snapshot = registry.sync(Refresh::Always).await.expect("an index");
    let resolution = snapshot.resolve(&wanted, None, &offer, &options(Mode::Keep)).await.expect("a resolution");
    let lock = Lock::parse(&resolution.lock(snapshot.lock_header(&offer).await).print()).expect("a lock");

    let after = |clock: fn() -> Time, tightened: Option<u64>, lock: Option<Lock>, mode| {
        let (mirror, path, wanted, offer) = (mirror.clone(), cache.path().to_owned(), wanted.clone(), offer.clone());
        async move {
            let registry = open(&mirror, &path).await.with_clock(clock);
            let registry = match tightened {
                Some(seconds) => registry.with_max_stale(seconds),
                None => registry,
            };
            let kept = registry.cached().await.expect("the kept index");
            let found = kept.resolve(&wanted, lock.as_ref(), &offer, &options(mode)).await;
            found.map(|found| found.plugins.len()).map_err(|error| error.to_string())
        }
    };
    // The pointer expires 7 days after the beginning; the clock of these tests stands an hour after it.
    let month: fn() -> Time = || Time::from_unix(BEGINNING + TIMESTAMP_LIFETIME + 30 * DAY);
    let later: fn() -> Time = || Time::from_unix(BEGINNING + TIMESTAMP_LIFETIME + 30 * DAY + 1);
    let refused = "the verified index expired 30 days ago, and new versions are chosen only up to 30 days after that";
    assert_eq!(after(month, None, None, Mode::Keep).await, Ok(1));
    assert_eq!(after(later, None, None, Mode::Keep).await, Err(refused.to_owned()));
    assert_eq!(after(later, None, Some(lock.clone()), Mode::Locked).await, Ok(1));
    assert_eq!(after(later, None, Some(lock.clone()), Mode::Keep).await, Ok(1), "the lock holds as it is");
    // A host may ask for less, and not for more.
    let tight = "the verified index expired 30 days ago, and new versions are chosen only up to 1 days after that";
    assert_eq!(after(month, Some(86_400), None, Mode::Keep).await, Err(tight.to_owned()));
    assert_eq!(after(later, Some(u64::MAX), None, Mode::Keep).await, Err(refused.to_owned()));
}

#[tokio::test]
async fn another_root_than_the_pinned_one_is_refused() {
    let (mirror, other) = (Mirror::with(&[(ALPHA, "1.0.0")]), Mirror::of_another(&[(ALPHA, "1.0.0")]));
    let cache = folder();
    let pinned = Digest::of(&mirror.root());
    let cache_at = || Cache::at(cache.path()).expect("a cache");
    let error = Registry::open_through(ADDRESS, other.clone(), TrustRoot::Sha256(pinned), cache_at()).await;
    let found = Digest::of(&other.root());
    assert_eq!(
        error.expect_err("another root").to_string(),
        format!("the first root of {ADDRESS} has the SHA-256 {found}, and {pinned} is pinned")
    );
    assert_eq!(files(cache.path()), BTreeMap::new());

    // With the bytes pinned no root is fetched; everything that the other keys signed is refused.
    let registry = Registry::open_through(ADDRESS, other.clone(), TrustRoot::pinned(mirror.root()), cache_at());
    let error = read(&registry.await.expect("a registry").with_clock(now), ALPHA).await.expect_err("other keys");
    assert_eq!(
        chain(&error),
        "`trust/timestamp.json` is refused: timestamp: signed by 0 of the keys that root 1 names, 1 are needed"
    );
}

#[tokio::test]
async fn the_first_root_is_believed_only_when_asked_to() {
    let (mirror, cache) = (Mirror::with(&[(ALPHA, "1.0.0")]), folder());
    let cache = Cache::at(cache.path()).expect("a cache");
    let registry = Registry::open_through(ADDRESS, mirror.clone(), TrustRoot::OnFirstUse, cache).await;
    let registry = registry.expect("a registry").with_clock(now);
    assert_eq!(registry.fingerprint(), Digest::of(&mirror.root()));
    assert_eq!(read(&registry, ALPHA).await.expect("a plugin").as_deref(), Some("1.0.0"));
}

#[tokio::test]
async fn more_bytes_than_a_file_may_have_are_refused_whoever_counts() {
    // The transport stops at the bound that it is given; where it does not, the bytes are refused all the same.
    let said = |tamper, kind| async move {
        let (mirror, cache) = (Mirror::with(&[(ALPHA, "1.0.0")]), folder());
        mirror.tamper(kind, tamper);
        let registry = open(&mirror, cache.path()).await;
        chain(&read(&registry, ALPHA).await.expect_err("too many bytes"))
    };
    let mut lines = Vec::new();
    for kind in ["timestamp", "snapshot", "bin", "document", "artifact"] {
        lines.push(format!("{kind}, cut by the transport: {}", said(Tamper::Endless, kind).await));
        lines.push(format!("{kind}, not cut: {}", said(Tamper::EndlessAndUncut, kind).await));
    }
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"([0-9a-f]{8})[0-9a-f]{56}", "$1");
    settings.bind(|| insta::assert_snapshot!(lines.join("\n")));
}

#[tokio::test]
async fn an_endless_body_over_http_is_cut_at_the_bound() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let served = Arc::new(AtomicI64::new(0));
    let count = served.clone();
    let server = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        loop {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut request = [0; 4096];
            let read = stream.read(&mut request).await.expect("a request");
            let root = String::from_utf8_lossy(&request[..read]).contains("root.json");
            let head = if root { "404 Not Found\r\ncontent-length: 0" } else { "200 OK\r\nconnection: close" };
            stream.write_all(format!("HTTP/1.1 {head}\r\n\r\n").as_bytes()).await.expect("a head");
            while !root && stream.write_all(&[b' '; 1024]).await.is_ok() {
                count.fetch_add(1024, Ordering::Relaxed);
            }
        }
    });
    let (mirror, cache) = (Mirror::with(&[(ALPHA, "1.0.0")]), folder());
    let cache = Cache::at(cache.path()).expect("a cache");
    let registry = Registry::open(&address, TrustRoot::pinned(mirror.root()), cache).await.expect("a registry");
    let error = registry.sync(Refresh::Always).await.expect_err("an endless file");
    assert_eq!(error.to_string(), format!("{address}/trust/timestamp.json is longer than the 16384 bytes it may have"));
    // What fits into the buffers of two sockets on this machine besides.
    assert!(served.load(Ordering::Relaxed) < 64 * 1024 * 1024);
    server.abort();
}

#[tokio::test]
async fn offline_with_nothing_kept_names_what_is_missing() {
    let (mirror, cache) = (Mirror::with(&[(ALPHA, "1.0.0")]), folder());
    let cache_at = || Cache::at(cache.path()).expect("a cache");
    let registry = Registry::open_offline(ADDRESS, TrustRoot::pinned(mirror.root()), cache_at()).await;
    let error = registry.expect("a registry").cached().await.map(drop).expect_err("nothing is kept");
    assert_eq!(error.to_string(), format!("nothing verified is kept of {ADDRESS}: it was never read with this cache"));
    let fingerprint = TrustRoot::Sha256(Digest::of(&mirror.root()));
    let error = Registry::open_offline(ADDRESS, fingerprint, cache_at()).await.expect_err("no root is kept");
    assert_eq!(error.to_string(), "trust/1.root.json is needed, and no connection may be opened");
}

#[tokio::test]
async fn offline_the_kept_index_serves_and_a_component_that_was_never_fetched_is_named() {
    let (mirror, cache) = (Mirror::with(&[(ALPHA, "1.0.0")]), folder());
    let registry = open(&mirror, cache.path()).await;
    let snapshot = registry.sync(Refresh::Always).await.expect("an index");
    snapshot.document(&id(ALPHA)).await.expect("a document").expect("a plugin");
    let root = TrustRoot::pinned(mirror.root());
    let offline = Registry::open_through(ADDRESS, Arc::new(NoConnection), root, registry.cache().clone()).await;
    let offline = offline.expect("a registry").with_clock(now);
    let kept = offline.cached().await.expect("the kept index");
    let document = kept.document(&id(ALPHA)).await.expect("a document").expect("a plugin");
    let (_, listing) = document.newest().expect("a release");
    let error = offline.fetch(listing.artifact).await.expect_err("it was never fetched");
    let digest = listing.artifact.digest;
    assert_eq!(error.to_string(), format!("artifacts/sha256/{digest} is needed, and no connection may be opened"));
}

#[tokio::test]
async fn an_index_that_expired_offline_is_read_and_called_stale() {
    let (mirror, cache) = (Mirror::with(&[(ALPHA, "1.0.0")]), folder());
    read(&open(&mirror, cache.path()).await, ALPHA).await.expect("a plugin");
    let registry = open(&mirror, cache.path()).await.with_clock(|| now().plus(TIMESTAMP_LIFETIME));
    let kept = registry.cached().await.expect("the kept index");
    assert!(matches!(kept.staleness().await, Staleness::Stale { .. }), "{:?}", kept.staleness().await);
    assert!(kept.document(&id(ALPHA)).await.expect("a document").is_some());
}

#[tokio::test]
async fn damaged_files_of_the_cache_are_fetched_again() {
    let (mirror, cache) = (Mirror::with(&[(ALPHA, "1.0.0")]), folder());
    read(&open(&mirror, cache.path()).await, ALPHA).await.expect("a plugin");
    let whole = files(cache.path());
    // The tag is no copy of anything: without it the pointer is fetched whole.
    for (name, bytes) in &whole {
        for damaged in [Vec::new(), [b"x", &bytes[1..]].concat(), bytes[..bytes.len() / 2].to_vec()] {
            std::fs::write(cache.path().join(name), damaged).expect("damage");
            let registry = open(&mirror, cache.path()).await;
            let found = read(&registry, ALPHA).await;
            let found = found.unwrap_or_else(|error| panic!("{name}: {}", chain(&error)));
            assert_eq!(found.as_deref(), Some("1.0.0"), "{name}");
            assert_eq!(files(cache.path()), whole, "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_registries_share_a_cache_while_the_index_moves() {
    let (mirror, cache) = (Mirror::with(&[(ALPHA, "1.0.0"), ("demo:beta", "1.0.0")]), folder());
    let reader = |name: &'static str| {
        let (mirror, path) = (mirror.clone(), cache.path().to_owned());
        tokio::spawn(async move {
            for _ in 0..12 {
                // A new process each time: all that it knows is in the folder.
                let registry = open(&mirror, &path).await;
                read(&registry, name).await.unwrap_or_else(|error| panic!("{}", chain(&error))).expect("a plugin");
                mirror.publish_next(name);
            }
        })
    };
    let (alpha, beta) = (reader(ALPHA), reader("demo:beta"));
    alpha.await.expect("the first");
    beta.await.expect("the second");
    let registry = open(&mirror, cache.path()).await;
    assert_eq!(read(&registry, ALPHA).await.expect("a plugin").as_deref(), Some("1.12.0"));
    assert_eq!(read(&registry, "demo:beta").await.expect("a plugin").as_deref(), Some("1.12.0"));
    let good = mirror.published_files();
    for (name, bytes) in files(cache.path()).iter().filter(|(name, _)| !name.ends_with(".tag")) {
        assert!(good.contains(bytes), "`{name}` is none of the registry's files");
    }
}

#[tokio::test]
async fn a_file_that_the_index_names_and_the_registry_lacks_is_named() {
    let (mirror, cache) = (Mirror::with(&[(ALPHA, "1.0.0")]), folder());
    let registry = open(&mirror, cache.path()).await;
    mirror.tamper("artifact", Tamper::Gone);
    let error = read(&registry, ALPHA).await.expect_err("no component");
    assert_eq!(error.attack(), Some(Attack::Withholding));
    let file = format!("artifacts/sha256/{}", BlobRef::of(&mirror::component(ALPHA, "1.0.0")).digest);
    assert_eq!(error.to_string(), format!("`{file}` is named by the signed index and is not there"));
}

#[tokio::test]
async fn a_cache_that_can_not_be_written_fails_no_read_and_keeps_no_half() {
    let (mirror, cache) = (Mirror::with(&[(ALPHA, "1.0.0")]), folder());
    // Files where folders have to be: nothing can be written below them, by any user.
    for name in ["trust", "index", "artifacts"] {
        std::fs::write(cache.path().join(name), b"").expect("a file");
    }
    let before = files(cache.path());
    let registry = open(&mirror, cache.path()).await;
    let snapshot = registry.sync(Refresh::Always).await.expect("an index");
    let document = snapshot.document(&id(ALPHA)).await.expect("a document").expect("a plugin");
    let (_, listing) = document.newest().expect("a listed release");
    assert_eq!(registry.read(listing.artifact).await.expect("a component"), mirror::component(ALPHA, "1.0.0"));

    let wanted = Wanted::new(BTreeMap::new(), vec![Want::new(id(ALPHA), "^1".parse().expect("a requirement"))]);
    let wanted = wanted.expect("a wish");
    let options = ResolveOptions::new("main".parse().expect("a name"));
    let resolution = snapshot.resolve(&wanted, None, &Offer::new(), &options).await.expect("a resolution");
    let plan = registry.plan(&resolution, &wanted, |_| {}).await.expect("a plan");
    assert_eq!(plan.plugins()[0].origin, Origin::Held(mirror::component(ALPHA, "1.0.0").into()));
    let error = registry.fetch(listing.artifact).await.expect_err("no place for a file");
    assert!(matches!(error, RegistryError::Cache(stoa_loader::CacheError::Io { .. })), "{error:?}");

    // What was seen is remembered as long as the registry is open, and nothing of it lies on the disk.
    assert_eq!(registry.cached().await.expect("the held index").seq().await, snapshot.seq().await);
    assert_eq!(files(cache.path()), before);
}

#[test]
fn the_fixture_keeps_its_two_plugins_in_two_bins() {
    // Otherwise "another plugin changed" would change the bin of one's own.
    let Published { bins, .. } = mirror::published(&[(ALPHA, "1.0.0"), ("demo:beta", "1.0.0")]);
    assert_eq!(bins.len(), 2, "{bins:?}");
}
