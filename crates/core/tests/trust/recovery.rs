//! Keys change: sleeping clients, fast-forward attacks, floors.

use stoa_core::trust::{Bins, BitLength, CacheWrite, CachedTrust, Outcome, TrustError, Updater, writer};

use crate::{
    client::Client,
    repo::{MARKDOWN, Repo, now, sign, signers, terms},
};

#[test]
fn a_sleeping_client_walks_the_chain_of_roots_and_keeps_it() {
    let mut repo = Repo::with_markdown();
    let mut client = Client::up_to_date(&repo);
    // One key after the other is replaced, until none of the pinned ones is left.
    for (version, (root, signed_by)) in
        [(vec![1, 2, 7], vec![1, 2]), (vec![1, 8, 7], vec![1, 2, 7]), (vec![9, 8, 7], vec![1, 7, 8, 9])]
            .into_iter()
            .enumerate()
    {
        repo.seeds.root = root;
        repo.put_root(version as u64 + 2, &signed_by);
    }
    let (_, updater) = client.refresh(&repo).expect("an unbroken chain");
    assert_eq!(updater.root().version(), 4);
    assert_eq!(client.cache.roots.keys().copied().collect::<Vec<_>>(), [2, 3, 4]);
    client.log.clear();
    client.refresh(&repo).expect("the chain is in the cache");
    assert_eq!(client.log, ["5.root.json?", "timestamp.json"]);
}

#[test]
fn damaged_history_is_fetched_again_from_where_it_breaks() {
    let mut repo = Repo::with_markdown();
    (2..=4).for_each(|version| repo.put_root(version, &[1, 2]));
    let mut client = Client::up_to_date(&repo);
    client.cache.roots.insert(3, b"{}".to_vec());
    client.refresh(&repo).expect("a good repository");
    assert_eq!(client.log[..3], ["3.root.json", "4.root.json", "5.root.json?"]);
    assert_eq!(client.cache.roots[&3], repo.files["3.root.json"]);
}

#[test]
fn a_newer_pinned_root_makes_older_history_needless() {
    let mut repo = Repo::with_markdown();
    (2..=3).for_each(|version| repo.put_root(version, &[1, 2]));
    let mut client = Client::up_to_date(&repo);
    client.pinned = repo.file("root").to_vec();
    client.cache.roots.clear();
    assert_eq!(client.refresh(&repo).expect("a good repository").0, Outcome::Unchanged);
}

/// The thief of the online and timestamp keys pushes all versions up.
fn fast_forwarded() -> (Repo, Client) {
    let mut stolen = Repo::with_markdown();
    stolen.seq = 1_000_000;
    stolen.versions.insert("timestamp".into(), 1_000_000);
    stolen.publish(MARKDOWN, b"evil");
    let client = Client::up_to_date(&stolen);
    (Repo::with_markdown(), client)
}

#[test]
fn after_a_fast_forward_the_true_registry_looks_rolled_back() {
    let (repo, mut client) = fast_forwarded();
    let outcome = client.refresh(&repo).expect("an older pointer is no error").0;
    assert_eq!(outcome, Outcome::OlderPointer { served: 2, held: 1_000_001 });
}

#[test]
fn a_root_that_rotates_the_stolen_keys_recovers_from_a_fast_forward() {
    let (mut repo, mut client) = fast_forwarded();
    (repo.seeds.online, repo.seeds.timestamp) = (15, 16);
    repo.put_root(2, &[1, 2]);
    ["targets", "index", "catalog"].iter().for_each(|role| repo.bump(role));
    repo.bins.clone().names().for_each(|bin| repo.bump(&bin));
    repo.put_pointers();
    let found = client.refresh_and_find(&repo, MARKDOWN).expect("the floors fell").expect("a target");
    assert_eq!(found.length, b"markdown 1".len() as u64);
    assert_eq!(client.cache.roles["timestamp"], repo.file("timestamp"));
}

#[test]
fn rotating_one_of_the_two_keys_lowers_both_floors_even_over_a_crash() {
    let (mut repo, client) = fast_forwarded();
    repo.seeds.online = 15;
    repo.put_root(2, &[1, 2]);
    ["targets", "index", "catalog"].iter().for_each(|role| repo.bump(role));
    repo.bins.clone().names().for_each(|bin| repo.bump(&bin));
    repo.put_pointers();
    let mut updater = Updater::open(&client.pinned, client.cache.clone(), now(), client.config).expect("a root");
    updater.receive(Some(repo.file("root"))).expect("a newer root");
    let remove = |role: &str| CacheWrite::Remove { role: role.into() };
    let root = CacheWrite::Root { version: 2, bytes: repo.file("root").to_vec() };
    let writes = updater.take_writes();
    assert_eq!(writes, [remove("timestamp"), remove("snapshot"), root]);
    // Wherever a crash cuts the writes, the next run recovers.
    for written in 0..=writes.len() {
        let mut client = client.clone();
        writes[..written].iter().cloned().for_each(|write| client.cache.apply(write));
        assert!(client.refresh_and_find(&repo, MARKDOWN).expect("the floors fell").is_some(), "{written}");
    }
}

#[test]
fn a_root_that_only_adds_a_key_lowers_no_floor() {
    let mut repo = Repo::with_markdown();
    let mut old = repo.clone();
    repo.publish(MARKDOWN, b"markdown 2");
    let mut client = Client::up_to_date(&repo);
    old.put_root(2, &[1, 2]);
    old.edit("root", |signed| {
        let added = crate::repo::key(26);
        signed["keys"][added.id().as_str()] = serde_json::json!(added.public());
        let ids = signed["roles"]["timestamp"]["keyids"].as_array_mut().expect("ids");
        ids.push(serde_json::json!(added.id()));
    });
    let outcome = client.refresh(&old).expect("an older pointer is no error").0;
    assert_eq!(outcome, Outcome::OlderPointer { served: 2, held: 3 });
}

/// A root that wants two signatures of the timestamp, where what came before has one, and takes no key away.
fn raise_threshold(repo: &mut Repo) {
    repo.put_root(2, &[1, 2]);
    repo.edit("root", |signed| {
        let added = crate::repo::key(26);
        signed["keys"][added.id().as_str()] = serde_json::json!(added.public());
        let role = &mut signed["roles"]["timestamp"];
        role["keyids"].as_array_mut().expect("ids").push(serde_json::json!(added.id()));
        role["threshold"] = serde_json::json!(2);
    });
}

fn sign_timestamp_twice(repo: &mut Repo) {
    let document: serde_json::Value = serde_json::from_slice(repo.file("timestamp")).expect("JSON");
    repo.files.insert("timestamp.json".into(), crate::repo::sign_value(&document["signed"], &[6, 26]));
}

#[test]
fn a_root_that_raises_a_threshold_lowers_no_floor_now_or_at_a_later_start() {
    let mut repo = Repo::with_markdown();
    let mut old = repo.clone();
    repo.publish(MARKDOWN, b"markdown 2");
    let mut client = Client::up_to_date(&repo);
    raise_threshold(&mut old);
    sign_timestamp_twice(&mut old);
    let error = TrustError::Rollback { role: "timestamp".into(), by: "the registry".into(), trusted: 3, found: 2 };
    assert_eq!(client.refresh(&old).err(), Some(error.clone()));
    assert_eq!(client.cache.roots.keys().copied().collect::<Vec<_>>(), [2]);
    assert_eq!(client.refresh(&old).err(), Some(error), "the raised threshold comes from the cache now");
    let opened = Updater::offline(&client.pinned, client.cache.clone(), now(), client.config);
    assert_eq!(opened.err(), Some(TrustError::NotCached { role: "timestamp".into() }), "a floor is not in use");
}

#[test]
fn a_timestamp_that_is_signed_again_for_a_raised_threshold_is_taken() {
    let mut repo = Repo::with_markdown();
    let mut client = Client::up_to_date(&repo);
    raise_threshold(&mut repo);
    sign_timestamp_twice(&mut repo);
    assert_eq!(client.refresh(&repo).expect("a good registry").0, Outcome::Unchanged);
    assert_eq!(client.cache.roles["timestamp"], repo.file("timestamp"), "the new signatures are kept");
    Updater::offline(&client.pinned, client.cache.clone(), now(), client.config).expect("in use again");
}

#[test]
fn damaged_root_history_loses_no_floor() {
    let mut repo = Repo::with_markdown();
    let mut old = repo.clone();
    for repo in [&mut repo, &mut old] {
        (repo.seeds.online, repo.seeds.timestamp) = (15, 16);
        repo.put_root(2, &[1, 2]);
        repo.bump("catalog");
        repo.put_pointers();
    }
    repo.publish(MARKDOWN, b"markdown 2");
    let mut client = Client::new(&repo);
    client.refresh(&repo).expect("a good registry");
    client.cache.roots.insert(2, b"{}".to_vec());
    let outcome = client.refresh(&old).expect("an older pointer is no error").0;
    assert!(matches!(outcome, Outcome::OlderPointer { .. }), "{outcome:?}");
}

#[test]
fn expired_floors_still_hold() {
    let mut repo = Repo::with_markdown();
    let mut attack = repo.clone();
    repo.publish(MARKDOWN, b"markdown 2");
    let mut client = Client::up_to_date(&repo);
    // A month later the mirror has an old snapshot under a new timestamp.
    client.now = now().plus(30 * stoa_core::time::DAY);
    attack.versions.insert("timestamp".into(), 50);
    attack.put_timestamp();
    let later = client.now.plus(60);
    attack.edit("timestamp", |signed| signed["expires"] = serde_json::json!(later));
    let error = TrustError::Rollback { role: "snapshot".into(), by: "timestamp 51".into(), trusted: 3, found: 2 };
    assert_eq!(client.refresh(&attack).err(), Some(error));
}

#[test]
fn a_cache_signed_by_other_keys_sets_no_floor() {
    let repo = Repo::with_markdown();
    let mut other = Repo::with_markdown();
    other.seeds.timestamp = 16;
    other.versions.insert("timestamp".into(), 900);
    other.put_timestamp();
    other.seeds.online = 15;
    other.seq = 900;
    other.put_pointers();
    for role in ["timestamp", "snapshot"] {
        let mut client = Client::new(&repo);
        let foreign = other.file(role).to_vec();
        client.cache = CachedTrust { roles: [(role.to_owned(), foreign)].into(), ..CachedTrust::default() };
        let outcome = client.refresh(&repo).expect("a good repository").0;
        assert_eq!(outcome, Outcome::Fresh { head: Some(repo.head()) }, "{role}");
    }
}

#[test]
fn a_held_index_is_verified_again_when_targets_names_another_key() {
    let mut repo = Repo::with_markdown();
    let mut client = Client::new(&repo);
    let (_, mut updater) = client.refresh(&repo).expect("a good repository");
    client.find(&repo, &mut updater, MARKDOWN).expect("found");
    let (catalog, index) = (signers(&[5], 1), signers(&[15], 1));
    repo.put("targets", 6, sign(writer::targets(terms(6, 365), &catalog, &index), &[4]));
    repo.seq += 1;
    repo.put_pointers();
    updater.begin(now());
    client.run(&repo, &mut updater).expect("a good repository");
    let error = TrustError::Threshold { role: "index".into(), by: "targets".into(), valid: 0, needed: 1 };
    assert_eq!(client.find(&repo, &mut updater, MARKDOWN), Err(error));
}

#[test]
fn held_targets_are_verified_again_when_a_root_names_another_key() {
    let mut repo = Repo::with_markdown();
    let mut client = Client::new(&repo);
    let (_, mut updater) = client.refresh(&repo).expect("a good repository");
    client.find(&repo, &mut updater, MARKDOWN).expect("found");
    repo.seeds.targets = 14;
    repo.put_root(2, &[1, 2]);
    updater.begin(now());
    assert_eq!(client.run(&repo, &mut updater), Ok(Outcome::Unchanged));
    let error = TrustError::Threshold { role: "targets".into(), by: "root 2".into(), valid: 0, needed: 1 };
    assert_eq!(client.find(&repo, &mut updater, MARKDOWN), Err(error));
}

#[test]
fn a_resized_index_finds_what_the_old_one_had() {
    let mut repo = Repo::with_markdown();
    let mut client = Client::up_to_date(&repo);
    // Another prefix, because the names of the old bins stay listed.
    repo.bins = Bins::new("bins-b", BitLength::new(6).expect("6 bits"));
    repo.seq += 1;
    repo.bump("index");
    let seq = repo.seq;
    repo.bins.clone().names().for_each(|bin| repo.put_bin(&bin, seq));
    repo.put_pointers();
    assert!(client.refresh_and_find(&repo, MARKDOWN).expect("a good repository").is_some());
    let bin = format!("3.{}.json", repo.bins.name_of(MARKDOWN));
    assert_eq!(client.log, ["2.root.json?", "timestamp.json", "3.snapshot.json", "6.index.json", &bin]);
}

#[test]
fn a_snapshot_that_was_listed_but_never_served_sets_a_floor() {
    let mut repo = Repo::with_markdown();
    let mut client = Client::up_to_date(&repo);
    let mut broken = repo.clone();
    broken.publish(MARKDOWN, b"markdown 2");
    broken.files.remove("3.snapshot.json");
    client.refresh(&broken).expect_err("no snapshot");
    repo.versions.insert("timestamp".into(), 50);
    repo.put_timestamp();
    let error = TrustError::Rollback { role: "snapshot".into(), by: "timestamp 51".into(), trusted: 3, found: 2 };
    assert_eq!(client.refresh(&repo).err(), Some(error));
}

#[test]
fn a_cached_snapshot_sets_a_floor_also_where_the_timestamp_was_lost() {
    let mut repo = Repo::with_markdown();
    let mut old = repo.clone();
    repo.publish(MARKDOWN, b"markdown 2");
    let mut client = Client::up_to_date(&repo);
    client.cache.roles.remove("timestamp");
    old.put_timestamp();
    let error = TrustError::Rollback { role: "snapshot".into(), by: "timestamp 3".into(), trusted: 3, found: 2 };
    assert_eq!(client.refresh(&old).err(), Some(error));
}
