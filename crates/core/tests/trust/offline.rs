//! What a cache is worth without a network.

use stoa_core::{
    time::DAY,
    trust::{Outcome, Staleness, Step, TrustError, Updater},
};

use crate::{
    client::Client,
    repo::{MARKDOWN, Repo, now},
};

fn open(client: &Client) -> Result<Updater, TrustError> {
    Updater::offline(&client.pinned, client.cache.clone(), client.now, client.config)
}

/// A registry without a single file: whatever is asked for is not there.
fn silence(repo: &Repo) -> Repo {
    Repo { files: Default::default(), ..repo.clone() }
}

#[test]
fn a_plugin_that_was_looked_up_once_is_found_without_a_request() {
    let repo = Repo::with_markdown();
    let mut client = Client::up_to_date(&repo);
    let mut updater = open(&client).expect("a good cache");
    assert_eq!(updater.next(), Step::Done(Outcome::Unchanged));
    assert!(client.find(&silence(&repo), &mut updater, MARKDOWN).expect("cached").is_some());
    assert_eq!(client.log, [""; 0]);
}

#[test]
fn a_role_that_is_not_cached_is_named() {
    let repo = Repo::with_markdown();
    let mut client = Client::up_to_date(&repo);
    let mut updater = open(&client).expect("a good cache");
    let role = repo.bins.name_of("index/demo/absent.json");
    let answer = client.find(&silence(&repo), &mut updater, "index/demo/absent.json");
    assert_eq!(answer, Err(TrustError::NotCached { role }));
}

#[test]
fn a_big_cache_is_offered_role_by_role() {
    let repo = Repo::with_markdown();
    let mut client = Client::up_to_date(&repo);
    let kept = client.cache.clone();
    client.cache.roles.retain(|role, _| role == "timestamp" || role == "snapshot");
    let mut updater = open(&client).expect("a good cache");
    let mut lookup = updater.lookup(MARKDOWN);
    let mut read = Vec::new();
    let found = loop {
        match lookup.next(&mut updater).expect("cached") {
            Step::Done(found) => break found,
            Step::Fetch { file, .. } => {
                // Another role's bytes, and damaged ones, are turned down.
                assert!(!lookup.offer(&mut updater, &kept.roles["snapshot"]));
                assert!(!lookup.offer(&mut updater, &kept.roles[&file.role][1..]));
                assert!(lookup.offer(&mut updater, &kept.roles[&file.role]));
                read.push(file.role);
            }
        }
    };
    assert!(found.is_some());
    assert_eq!(read, ["targets", "index", &repo.bins.name_of(MARKDOWN)]);
    assert_eq!(updater.take_writes(), [], "what came from the cache need not go back there");
}

#[test]
fn expiry_is_told_and_is_no_error() {
    let repo = Repo::with_markdown();
    let mut client = Client::up_to_date(&repo);
    client.now = now().plus(20 * DAY);
    let since = now().plus(7 * DAY);
    let mut updater = open(&client).expect("a good cache");
    assert_eq!(updater.next(), Step::Done(Outcome::Stale { since }));
    assert_eq!(updater.staleness(client.now), Staleness::Stale { since });
    assert!(client.find(&silence(&repo), &mut updater, MARKDOWN).expect("cached").is_some());
}

#[test]
fn a_role_that_expired_first_makes_the_set_stale_once_it_is_used() {
    let mut repo = Repo::with_markdown();
    repo.bump("index");
    repo.put_pointers();
    let tomorrow = now().plus(DAY);
    repo.edit("index", |signed| signed["expires"] = serde_json::json!(tomorrow));
    let mut client = Client::up_to_date(&repo);
    client.now = now().plus(2 * DAY);
    let mut updater = open(&client).expect("a good cache");
    assert_eq!(updater.staleness(client.now), Staleness::Current);
    client.find(&silence(&repo), &mut updater, MARKDOWN).expect("cached");
    assert_eq!(updater.staleness(client.now), Staleness::Stale { since: tomorrow });
}

#[test]
fn a_snapshot_that_could_not_be_had_leaves_the_old_one_in_use_and_says_so() {
    let mut repo = Repo::with_markdown();
    let mut client = Client::up_to_date(&repo);
    repo.publish(MARKDOWN, b"markdown 2");
    repo.files.remove("3.snapshot.json");
    client.refresh(&repo).expect_err("no snapshot");
    assert_eq!(client.cache.roles["timestamp"], repo.file("timestamp"), "the floor rises");
    let mut updater = open(&client).expect("the old snapshot");
    assert_eq!(updater.staleness(client.now), Staleness::Superseded { held: 2, listed: 3 });
    let found = client.find(&silence(&repo), &mut updater, MARKDOWN).expect("cached").expect("cached");
    assert_eq!(found.length, b"markdown 1".len() as u64);
}

#[test]
fn a_connection_that_breaks_before_the_snapshot_leaves_the_cache_as_it_was() {
    let mut repo = Repo::with_markdown();
    let client = Client::up_to_date(&repo);
    repo.publish(MARKDOWN, b"markdown 2");
    let mut updater = Updater::open(&client.pinned, client.cache.clone(), now(), client.config).expect("a good cache");
    updater.receive(None).expect("no newer root");
    updater.receive(Some(repo.file("timestamp"))).expect("a newer timestamp");
    assert_eq!(updater.take_writes(), []);
    // A second attempt of the same process has not forgotten it.
    updater.begin(now());
    updater.receive(None).expect("no newer root");
    updater.receive(Some(repo.file("timestamp"))).expect("the same timestamp");
    updater.receive(Some(repo.file("snapshot"))).expect("its snapshot");
    let written: Vec<_> = updater.take_writes().into_iter().map(|write| format!("{write:?}")).collect();
    assert_eq!(written.len(), 2);
    assert!(written[0].contains("\"snapshot\"") && written[1].contains("\"timestamp\""));
}

#[test]
fn a_snapshot_that_is_not_the_timestamps_own_is_refused() {
    let mut repo = Repo::with_markdown();
    let mut client = Client::up_to_date(&repo);
    // Signed again with the same version: another document, which the timestamp never listed.
    repo.edit("snapshot", |signed| signed["x"] = serde_json::json!("other"));
    client.cache.roles.insert("snapshot".into(), repo.file("snapshot").to_vec());
    let error = open(&client).expect_err("another snapshot");
    let other = repo.file("snapshot").len() as u64;
    assert_eq!(
        error,
        TrustError::Length { role: "snapshot".into(), listed: other - b",\"x\":\"other\"".len() as u64, found: other }
    );
}

#[test]
fn damage_to_any_cached_file_is_found_and_healed_by_a_refresh() {
    let repo = Repo::with_markdown();
    let whole = Client::up_to_date(&repo);
    for role in whole.cache.roles.keys() {
        let mut client = whole.clone();
        let bytes = client.cache.roles.get_mut(role).expect("cached");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        assert!(client.refresh_and_find(&repo, MARKDOWN).expect("healed").is_some(), "{role}");
        assert_eq!(client.cache.roles, whole.cache.roles, "{role}");
    }
}
