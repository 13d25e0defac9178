//! What somebody who stole a key can do to a client, and what not. Whoever stole keys can write to the bucket as well.

use serde_json::json;
use stoa_core::{
    time::DAY,
    trust::{Outcome, TargetFile, TrustError},
};

use crate::{
    client::Client,
    repo::{MARKDOWN, Repo, now},
};

/// What a client sees after the thief was at work: how its refresh ended, and what it is told of the plugin.
fn sees(client: &mut Client, repo: &Repo) -> Result<(Outcome, Option<TargetFile>), TrustError> {
    let (outcome, mut updater) = client.refresh(repo)?;
    Ok((outcome, client.find(repo, &mut updater, MARKDOWN)?))
}

fn is(found: &Option<TargetFile>, document: &[u8]) -> bool {
    found.as_ref().is_some_and(|found| found.hashes.check(document).is_ok())
}

/// Signs `role` with the keys that the thief has: anybody can write files, but only with those it counts.
fn without(repo: &mut Repo, stolen: impl FnOnce(&mut Repo)) {
    let true_keys = repo.seeds.clone();
    stolen(repo);
    repo.seeds = true_keys;
}

#[test]
fn a_thief_of_the_timestamp_key_can_hold_the_registry_still_and_nothing_else() {
    let mut repo = Repo::with_markdown();
    let held = repo.clone();
    let mut client = Client::up_to_date(&repo);
    repo.publish(MARKDOWN, b"markdown 2");
    // The old snapshot under a fresh pointer: accepted, since nothing newer was seen. This is the freeze that the
    // key can do for as long as it is not rotated.
    let mut thief = held.clone();
    thief.put_timestamp();
    thief.edit("timestamp", |signed| signed["expires"] = json!(now().plus(3650 * DAY)));
    let (outcome, found) = sees(&mut client, &thief).expect("frozen, and not forged");
    assert_eq!(outcome, Outcome::Unchanged);
    assert!(is(&found, b"markdown 1"));

    // Once the true snapshot was seen there is no way back to the old one.
    let mut seen = Client::up_to_date(&repo);
    let mut back = held.clone();
    back.versions.insert("timestamp".into(), 90);
    back.put_timestamp();
    let refused = TrustError::Rollback { role: "snapshot".into(), by: "timestamp 91".into(), trusted: 3, found: 2 };
    assert_eq!(sees(&mut seen, &back), Err(refused));

    // Nor can a snapshot of the thief's own be signed.
    let mut forged = repo.clone();
    without(&mut forged, |forged| {
        forged.seeds.online = 66;
        forged.publish(MARKDOWN, b"evil");
    });
    let refused = TrustError::Threshold { role: "snapshot".into(), by: "root 1".into(), valid: 0, needed: 1 };
    assert_eq!(sees(&mut Client::up_to_date(&repo), &forged), Err(refused.clone()));
    assert_eq!(sees(&mut Client::new(&repo), &forged), Err(refused));
}

#[test]
fn a_thief_of_the_indexers_key_moves_no_pointer() {
    let repo = Repo::with_markdown();
    let mut client = Client::up_to_date(&repo);
    // Bins and a snapshot of the thief's own, rightly signed, and a pointer that is not.
    let mut thief = repo.clone();
    without(&mut thief, |thief| {
        thief.seeds.timestamp = 66;
        thief.publish(MARKDOWN, b"evil");
    });
    let refused = TrustError::Threshold { role: "timestamp".into(), by: "root 1".into(), valid: 0, needed: 1 };
    assert_eq!(sees(&mut client, &thief), Err(refused));
    // Under the true pointer they are just files that nobody names.
    thief.files.insert("timestamp.json".into(), repo.file("timestamp").to_vec());
    let (outcome, found) = sees(&mut client, &thief).expect("the true pointer");
    assert_eq!(outcome, Outcome::Unchanged);
    assert!(is(&found, b"markdown 1"));
}

#[test]
fn a_thief_of_the_indexers_key_and_the_bucket_can_swap_no_bin() {
    // The snapshot lists bins by version alone: what holds is the second signature.
    let repo = Repo::with_markdown();
    let mut keeper = Client::up_to_date(&repo);
    for role in [repo.bins.name_of(MARKDOWN), "catalog".to_owned()] {
        let mut thief = repo.clone();
        without(&mut thief, |thief| {
            thief.seeds.bins = Some(66);
            thief.edit(&role, |signed| {
                signed["targets"][MARKDOWN] = json!({"length": 4, "hashes": {"sha256": "0".repeat(64)}})
            });
        });
        let (_, found) = sees(&mut keeper, &thief).expect("what is kept is used");
        assert!(is(&found, b"markdown 1"));
        let path = if role == "catalog" { "search/x" } else { MARKDOWN };
        let mut client = Client::new(&thief);
        let (_, mut updater) = client.refresh(&thief).expect("the pointers are true");
        let by = if role == "catalog" { "targets" } else { "index" };
        let refused = TrustError::Threshold { role, by: by.into(), valid: 1, needed: 2 };
        assert_eq!(client.find(&thief, &mut updater, path), Err(refused));
    }
}

#[test]
fn a_thief_of_the_signers_keys_can_make_no_bin_and_no_snapshot() {
    let repo = Repo::with_markdown();
    let mut thief = repo.clone();
    without(&mut thief, |thief| {
        thief.seeds.online = 66;
        thief.publish(MARKDOWN, b"evil");
    });
    let refused = TrustError::Threshold { role: "snapshot".into(), by: "root 1".into(), valid: 0, needed: 1 };
    assert_eq!(sees(&mut Client::new(&repo), &thief), Err(refused));
    let (mut swapped, bin) = (repo.clone(), repo.bins.name_of(MARKDOWN));
    without(&mut swapped, |thief| {
        thief.seeds.online = 66;
        thief.edit(&bin, |signed| signed["targets"][MARKDOWN]["length"] = json!(4));
    });
    let refused = TrustError::Threshold { role: bin, by: "index".into(), valid: 1, needed: 2 };
    assert_eq!(sees(&mut Client::new(&repo), &swapped), Err(refused));
}

#[test]
fn a_thief_of_all_online_keys_can_not_take_back_what_a_client_has_seen_and_a_new_root_ends_it() {
    let mut repo = Repo::with_markdown();
    repo.publish(MARKDOWN, b"markdown 2");
    let mut client = Client::up_to_date(&repo);

    // Another past at the same place of the log.
    let mut rewritten = repo.clone();
    rewritten.edit("snapshot", |signed| {
        signed["stoa"]["head"] = json!("1".repeat(64));
        signed["version"] = json!(4);
    });
    rewritten.versions.insert("snapshot".into(), 4);
    let moved = rewritten.files["3.snapshot.json"].clone();
    rewritten.files.insert("4.snapshot.json".into(), moved);
    rewritten.put_timestamp();
    let error = sees(&mut client.clone(), &rewritten).expect_err("history was rewritten");
    assert!(matches!(&error, TrustError::HeadFork { trusted, .. } if trusted.seq == 3), "{error:?}");

    // A false release on top of the true ones: nothing a client can tell from a true one. The operator can.
    let mut thief = repo.clone();
    thief.publish(MARKDOWN, b"evil");
    let (_, found) = sees(&mut client, &thief).expect("signed by the keys in charge");
    assert!(is(&found, b"evil"));

    // The offline keys name other online keys: what the thief signed counts no more, higher versions or not.
    (repo.seeds.online, repo.seeds.timestamp, repo.seeds.bins) = (15, 16, Some(18));
    repo.put_root(2, &[1, 2]);
    for role in ["targets", "index"] {
        repo.bump(role);
    }
    for bin in repo.bins.clone().names() {
        repo.put_bin(&bin, 3);
    }
    repo.put_catalog(3, &Default::default());
    repo.put_pointers();
    let (_, found) = sees(&mut client, &repo).expect("recovered");
    assert!(is(&found, b"markdown 2"));
}

#[test]
fn a_thief_of_the_targets_key_needs_the_snapshot_and_timestamp_keys_too() {
    let repo = Repo::with_markdown();
    let mut thief = repo.clone();
    without(&mut thief, |thief| {
        // Its own bins' key, delegated by an index that is rightly signed, under pointers that are not.
        (thief.seeds.online, thief.seeds.timestamp) = (66, 67);
        thief.bump("index");
        thief.publish(MARKDOWN, b"evil");
    });
    let refused = TrustError::Threshold { role: "timestamp".into(), by: "root 1".into(), valid: 0, needed: 1 };
    assert_eq!(sees(&mut Client::up_to_date(&repo), &thief), Err(refused.clone()));
    assert_eq!(sees(&mut Client::new(&repo), &thief), Err(refused));
}

#[test]
fn a_thief_of_one_root_key_of_three_can_sign_no_root() {
    let repo = Repo::with_markdown();
    for stolen in [1, 2, 3] {
        let mut thief = repo.clone();
        thief.put_root(2, &[stolen]);
        let refused = TrustError::Threshold { role: "root".into(), by: "root 1".into(), valid: 1, needed: 2 };
        assert_eq!(sees(&mut Client::up_to_date(&repo), &thief), Err(refused));
    }
}

#[test]
fn a_thief_of_two_root_keys_is_the_registry() {
    // Nothing in the format helps here: hosts have to pin another root.
    let repo = Repo::with_markdown();
    let mut client = Client::up_to_date(&repo);
    let mut thief = repo.clone();
    (thief.seeds.online, thief.seeds.timestamp, thief.seeds.targets) = (66, 67, 68);
    thief.put_root(2, &[1, 2]);
    for role in ["targets", "index"] {
        thief.bump(role);
    }
    for bin in thief.bins.clone().names() {
        thief.put_bin(&bin, 9);
    }
    thief.put_catalog(9, &Default::default());
    thief.publish(MARKDOWN, b"evil");
    let (_, found) = sees(&mut client, &thief).expect("signed by the keys in charge");
    assert!(is(&found, b"evil"));
}
