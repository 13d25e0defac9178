//! Errors that need more than a changed file: bounds, other profiles, offline caches, calls out of order.

use serde_json::json;
use stoa_core::trust::{CachedTrust, Config, TrustError, Updater};

use crate::{
    client::Client,
    repo::{MARKDOWN, Repo, now},
};

type Row = (&'static str, TrustError);

/// The rows of this file, each asserted by the test of its name.
pub(crate) fn all() -> impl Iterator<Item = Row> {
    [
        ("endless-roots", TrustError::TooManyRoots { max: 3 }),
        ("unlisted-index", TrustError::NotListed { role: "index".into(), snapshot: 2 }),
        ("endless-delegations", TrustError::TooManyDelegations { target: MARKDOWN.into(), max: 1 }),
        ("offline-without-a-timestamp", TrustError::NotCached { role: "timestamp".into() }),
        ("lookup-before-refresh", TrustError::NotRefreshed),
        ("unasked-bytes", TrustError::NothingAsked),
    ]
    .into_iter()
}

fn row(name: &str) -> TrustError {
    all().find(|row| row.0 == name).expect("a row").1
}

fn open(repo: &Repo) -> Updater {
    Updater::open(&repo.files["1.root.json"], CachedTrust::default(), now(), Config::default()).expect("a good root")
}

#[test]
fn a_chain_of_roots_without_end_is_left_and_gone_on_with_later() {
    let mut repo = Repo::with_markdown();
    for version in 2..=8 {
        repo.put_root(version, &[2, 3]);
    }
    let mut client = Client::new(&repo);
    client.config.limits.roots = 3;
    assert_eq!(client.refresh(&repo).err(), Some(row("endless-roots")));
    assert_eq!(client.refresh(&repo).err(), Some(row("endless-roots")));
    let (_, updater) = client.refresh(&repo).expect("the end of the chain");
    assert_eq!(updater.root().version(), 8);
}

#[test]
fn a_role_that_the_snapshot_does_not_list_is_not_even_asked_for() {
    let mut repo = Repo::with_markdown();
    repo.edit("snapshot", |signed| drop(signed["meta"].as_object_mut().expect("meta").remove("index.json")));
    let mut client = Client::new(&repo);
    assert_eq!(client.refresh_and_find(&repo, MARKDOWN), Err(row("unlisted-index")));
    assert_eq!(client.log.last().map(String::as_str), Some("5.targets.json"));
}

#[test]
fn beyond_the_bound_of_delegations_absence_is_not_claimed() {
    let repo = Repo::with_markdown();
    let mut client = Client::new(&repo);
    client.config.limits.delegations = 1;
    assert_eq!(client.refresh_and_find(&repo, MARKDOWN), Err(row("endless-delegations")));
    client.config.limits.delegations = 2;
    assert!(client.refresh_and_find(&repo, MARKDOWN).expect("index and a bin").is_some());
}

#[test]
fn an_empty_cache_is_no_use_offline() {
    let repo = Repo::with_markdown();
    let pinned = &repo.files["1.root.json"];
    let opened = Updater::offline(pinned, CachedTrust::default(), now(), Config::default());
    assert_eq!(opened.err(), Some(row("offline-without-a-timestamp")));
}

#[test]
fn a_lookup_before_a_refresh_is_refused() {
    let mut updater = open(&Repo::with_markdown());
    let mut lookup = updater.lookup(MARKDOWN);
    assert_eq!(lookup.next(&mut updater), Err(row("lookup-before-refresh")));
}

#[test]
fn bytes_that_nobody_asked_for_are_refused() {
    let repo = Repo::with_markdown();
    let (_, mut updater) = Client::new(&repo).refresh(&repo).expect("a good repository");
    assert_eq!(updater.receive(Some(b"{}")), Err(row("unasked-bytes")));
    let mut lookup = updater.lookup(MARKDOWN);
    assert_eq!(lookup.receive(&mut updater, Some(b"{}")), Err(row("unasked-bytes")));
}

#[test]
fn a_pinned_root_that_is_damaged_opens_nothing() {
    let mut repo = Repo::with_markdown();
    repo.tamper("root", |document| document["signed"]["version"] = json!(2));
    let opened = Updater::open(repo.file("root"), CachedTrust::default(), now(), Config::default());
    let error = TrustError::Threshold { role: "root".into(), by: "root 2".into(), valid: 0, needed: 2 };
    assert_eq!(opened.err(), Some(error));
}
