//! Refreshes that go well, and what they ask for.

use stoa_core::{
    time::DAY,
    trust::{CacheWrite, Outcome, Staleness, Step, TrustError, Updater},
};

use crate::{
    client::Client,
    repo::{MARKDOWN, Repo, now},
};

#[test]
fn a_first_refresh_asks_for_the_next_root_the_timestamp_and_its_snapshot() {
    let repo = Repo::with_markdown();
    let mut client = Client::new(&repo);
    let (outcome, updater) = client.refresh(&repo).expect("a good repository");
    assert_eq!(outcome, Outcome::Fresh { head: Some(repo.head()) });
    assert_eq!(client.log, ["2.root.json?", "timestamp.json", "2.snapshot.json"]);
    assert_eq!(updater.staleness(now()), Staleness::Current);
}

#[test]
fn nothing_new_costs_two_requests() {
    let repo = Repo::with_markdown();
    let mut client = Client::up_to_date(&repo);
    let (outcome, mut updater) = client.refresh(&repo).expect("a good repository");
    let found = client.find(&repo, &mut updater, MARKDOWN).expect("a good repository");
    assert_eq!(outcome, Outcome::Unchanged);
    assert!(found.is_some());
    assert_eq!(client.log, ["2.root.json?", "timestamp.json"]);
}

#[test]
fn a_timestamp_that_was_only_signed_again_changes_nothing() {
    let mut repo = Repo::with_markdown();
    let mut client = Client::up_to_date(&repo);
    repo.put_timestamp();
    let (outcome, _) = client.refresh(&repo).expect("a good repository");
    assert_eq!(outcome, Outcome::Unchanged);
    assert_eq!(client.log, ["2.root.json?", "timestamp.json"]);
    assert_eq!(client.cache.roles["timestamp"], repo.file("timestamp"));
}

#[test]
fn another_plugin_costs_the_snapshot_and_ones_own_its_bin_too() {
    let mut repo = Repo::with_markdown();
    let mut client = Client::up_to_date(&repo);
    repo.publish("index/demo/slugify.json", b"slugify 1");
    assert_ne!(repo.bins.name_of(MARKDOWN), repo.bins.name_of("index/demo/slugify.json"));
    client.refresh_and_find(&repo, MARKDOWN).expect("a good repository");
    assert_eq!(client.log, ["2.root.json?", "timestamp.json", "3.snapshot.json"]);

    client.log.clear();
    repo.publish(MARKDOWN, b"markdown 2");
    client.refresh_and_find(&repo, MARKDOWN).expect("a good repository");
    let bin = format!("4.{}.json", repo.bins.name_of(MARKDOWN));
    assert_eq!(client.log, ["2.root.json?", "timestamp.json", "4.snapshot.json", &bin]);
}

#[test]
fn the_cache_holds_the_served_bytes_and_the_pointer_is_written_last() {
    let mut repo = Repo::with_markdown();
    // White space that no writer of ours would write: nothing may be serialized anew.
    let mut served = repo.file("timestamp").to_vec();
    served.extend(b" \n");
    repo.files.insert("timestamp.json".into(), served);
    repo.put_root(2, &[1, 3]);
    let mut updater =
        Updater::open(&repo.files["1.root.json"], Default::default(), now(), Default::default()).expect("a root");
    while let Step::Fetch { file, .. } = updater.next() {
        updater.receive(repo.files.get(&file.to_string()).map(Vec::as_slice)).expect("a good repository");
    }
    let role = |role: &str| CacheWrite::Role { role: role.into(), bytes: repo.file(role).to_vec() };
    let root = CacheWrite::Root { version: 2, bytes: repo.file("root").to_vec() };
    assert_eq!(updater.take_writes(), [root, role("snapshot"), role("timestamp")]);
    assert_eq!(updater.take_writes(), []);
}

#[test]
fn an_older_valid_timestamp_keeps_what_is_held() {
    let mut repo = Repo::with_markdown();
    let edge = repo.file("timestamp").to_vec();
    repo.publish(MARKDOWN, b"markdown 2");
    let mut client = Client::up_to_date(&repo);
    let before = client.cache.roles.clone();
    repo.files.insert("timestamp.json".into(), edge);
    let (outcome, mut updater) = client.refresh(&repo).expect("no attack");
    assert_eq!(outcome, Outcome::OlderPointer { served: 2, held: 3 });
    assert_eq!(client.cache.roles, before);
    let found = client.find(&repo, &mut updater, MARKDOWN).expect("held").expect("held");
    assert_eq!(found.length, b"markdown 2".len() as u64);
}

#[test]
fn a_registry_that_nobody_signs_any_more_is_stale_since_its_timestamp() {
    let repo = Repo::with_markdown();
    let mut client = Client::up_to_date(&repo);
    client.now = now().plus(8 * DAY);
    let since = now().plus(7 * DAY);
    let (outcome, updater) = client.refresh(&repo).expect("stale is no error");
    assert_eq!(outcome, Outcome::Stale { since });
    assert_eq!(updater.staleness(client.now), Staleness::Stale { since });
}

#[test]
fn one_updater_refreshes_many_times() {
    let mut repo = Repo::with_markdown();
    let mut client = Client::new(&repo);
    let (_, mut updater) = client.refresh(&repo).expect("a good repository");
    client.find(&repo, &mut updater, MARKDOWN).expect("found");
    client.log.clear();
    repo.publish("index/demo/slugify.json", b"slugify 1");
    updater.begin(now().plus(60));
    assert_eq!(client.run(&repo, &mut updater), Ok(Outcome::Fresh { head: Some(repo.head()) }));
    client.find(&repo, &mut updater, MARKDOWN).expect("found").expect("found");
    assert_eq!(client.log, ["2.root.json?", "timestamp.json", "3.snapshot.json"]);
}

#[test]
fn a_new_version_replaces_the_one_that_an_updater_holds() {
    let mut repo = Repo::with_markdown();
    let mut client = Client::new(&repo);
    let (_, mut updater) = client.refresh(&repo).expect("a good repository");
    client.find(&repo, &mut updater, MARKDOWN).expect("found");
    repo.publish(MARKDOWN, b"markdown 2");
    updater.begin(now());
    client.run(&repo, &mut updater).expect("a good repository");
    let found = client.find(&repo, &mut updater, MARKDOWN).expect("found").expect("found");
    assert_eq!(found.hashes.check(b"markdown 2"), Ok(()));
}

#[test]
fn a_snapshot_of_the_same_version_and_other_bytes_is_fetched() {
    let mut repo = Repo::with_markdown();
    let mut client = Client::up_to_date(&repo);
    repo.edit("snapshot", |signed| signed["x"] = serde_json::json!("other"));
    let (outcome, _) = client.refresh(&repo).expect("a good repository");
    assert_eq!(outcome, Outcome::Fresh { head: Some(repo.head()) });
    assert_eq!(client.cache.roles["snapshot"], repo.file("snapshot"));
}

#[test]
fn a_snapshot_that_has_expired_in_the_cache_is_not_used() {
    let mut repo = Repo::with_markdown();
    let tomorrow = now().plus(DAY);
    repo.edit("snapshot", |signed| signed["expires"] = serde_json::json!(tomorrow));
    let mut client = Client::up_to_date(&repo);
    client.now = now().plus(2 * DAY);
    let (role, now) = ("snapshot".to_owned(), client.now);
    let error = TrustError::Expired { role, version: 2, expires: tomorrow, now };
    assert_eq!(client.refresh(&repo).err(), Some(error));
}

#[test]
fn a_role_that_expires_between_two_refreshes_is_not_used() {
    let mut repo = Repo::with_markdown();
    repo.bump("index");
    repo.put_pointers();
    let tomorrow = now().plus(DAY);
    repo.edit("index", |signed| signed["expires"] = serde_json::json!(tomorrow));
    let mut client = Client::new(&repo);
    let (_, mut updater) = client.refresh(&repo).expect("a good repository");
    client.find(&repo, &mut updater, MARKDOWN).expect("found");
    let later = now().plus(2 * DAY);
    updater.begin(later);
    client.run(&repo, &mut updater).expect("a good repository");
    let error = TrustError::Expired { role: "index".into(), version: 6, expires: tomorrow, now: later };
    assert_eq!(client.find(&repo, &mut updater, MARKDOWN), Err(error));
}

#[test]
fn an_older_timestamp_is_no_news_where_the_held_one_has_expired() {
    let mut repo = Repo::with_markdown();
    let edge = repo.file("timestamp").to_vec();
    repo.put_timestamp();
    let mut client = Client::up_to_date(&repo);
    repo.files.insert("timestamp.json".into(), edge);
    client.now = now().plus(8 * DAY);
    let (outcome, _) = client.refresh(&repo).expect("stale is no error");
    assert_eq!(outcome, Outcome::Stale { since: now().plus(7 * DAY) });
}

#[test]
fn a_refresh_that_failed_answers_no_lookup() {
    let mut repo = Repo::with_markdown();
    let mut client = Client::new(&repo);
    let (_, mut updater) = client.refresh(&repo).expect("a good repository");
    client.find(&repo, &mut updater, MARKDOWN).expect("found");
    repo.files.remove("timestamp.json");
    updater.begin(now());
    client.run(&repo, &mut updater).expect_err("no timestamp");
    assert_eq!(client.find(&repo, &mut updater, MARKDOWN), Err(TrustError::NotRefreshed));
}
