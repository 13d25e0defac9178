//! Broken and hostile registries, one flaw each.

use std::collections::BTreeSet;

use stoa_core::{
    time::DAY,
    trust::{Attack, TrustError},
};

use crate::{
    client::Client,
    flaws::all,
    misuse,
    repo::{MARKDOWN, Repo, now},
};

#[test]
fn every_flaw_is_refused_by_its_own_check() {
    for flaw in all() {
        let (mut client, repo) = flaw.stage();
        let answer = client.refresh_and_find(&repo, MARKDOWN);
        assert_eq!(answer, Err(flaw.error(&repo)), "{}", flaw.name);
    }
}

#[test]
fn nothing_that_was_refused_is_kept() {
    for flaw in all() {
        let (mut client, repo) = flaw.stage();
        let before = client.cache.roles.clone();
        let error = client.refresh_and_find(&repo, MARKDOWN).expect_err(flaw.name);
        for (role, bytes) in &client.cache.roles {
            // What came before the flaw was good and is kept; the refused file is not.
            let good = Some(bytes) == before.get(role) || *bytes == repo.file(role);
            assert!(good, "{}: {role}", flaw.name);
        }
        let said = error.to_string();
        let refused = said.split([':', ' ']).next().expect("a role");
        // A root that takes keys out of use takes what they signed with it.
        let kept = client.cache.roles.get(refused);
        assert!(kept.is_none() || kept == before.get(refused), "{}: {refused}", flaw.name);
        // An expired root is trusted all the same: what it expired in favour of is signed by its keys.
        let trusted = refused != "root" || matches!(error, TrustError::Expired { .. });
        assert!(trusted || client.cache.roots.is_empty(), "{}", flaw.name);
    }
}

#[test]
fn after_every_flaw_a_good_mirror_serves_the_same_client() {
    for flaw in all() {
        let (mut client, repo) = flaw.stage();
        client.refresh_and_find(&repo, MARKDOWN).expect_err(flaw.name);
        let good = repo.healed(client.cache.roots.keys().next_back().copied().unwrap_or(1));
        let found = client.refresh_and_find(&good, MARKDOWN);
        let length = found.expect(flaw.name).expect(flaw.name).length;
        assert_eq!(length, b"markdown 2".len() as u64, "{}", flaw.name);
    }
}

#[test]
fn every_refusal_says_who_what_and_why() {
    let flaws = all().into_iter().map(|flaw| {
        let (_, repo) = flaw.stage();
        (flaw.name, flaw.error(&repo))
    });
    let row = |(name, error): (&str, TrustError)| {
        let sign = error.attack().map_or("no attack".to_owned(), |attack| attack.to_string());
        format!("{name}: {sign}\n    {error}")
    };
    let said: Vec<_> = flaws.chain(misuse::all()).map(row).collect();
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn every_error_there_is_has_a_row() {
    let source = include_str!("../../src/trust/error.rs");
    let body = source.split("pub enum TrustError {").nth(1).expect("the enum").split("\n}").next().expect("its end");
    let declared: BTreeSet<_> = body
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()))
        .map(|line| line.trim_end_matches([' ', '{', ',']))
        .collect();
    let rows = all().into_iter().map(|flaw| flaw.error(&flaw.stage().1)).chain(misuse::all().map(|(_, error)| error));
    let hit: BTreeSet<_> =
        rows.map(|error| format!("{error:?}").split(' ').next().expect("a name").to_owned()).collect();
    let hit: BTreeSet<_> = hit.iter().map(String::as_str).collect();
    assert_eq!(hit, declared);
    assert!(declared.len() > 30, "the source is read as expected");
}

#[test]
fn every_attack_of_the_list_is_tried_and_has_a_word_and_a_sentence() {
    let tried: BTreeSet<_> = all().into_iter().filter_map(|flaw| flaw.error(&flaw.stage().1).attack()).collect();
    assert_eq!(tried, Attack::ALL.into_iter().collect());
    let words: BTreeSet<_> = Attack::ALL.into_iter().map(Attack::code).collect();
    let sentences: BTreeSet<_> = Attack::ALL.into_iter().map(Attack::sentence).collect();
    assert_eq!((words.len(), sentences.len()), (Attack::ALL.len(), Attack::ALL.len()), "each has its own");
}

#[test]
fn a_clock_far_ahead_refuses_a_first_look_and_loses_nothing_that_is_held() {
    let repo = Repo::with_markdown();
    let far = now().plus(20 * 365 * DAY);
    let mut fresh = Client::new(&repo);
    fresh.now = far;
    let expires = now().plus(365 * DAY);
    let expired = TrustError::Expired { role: "root".into(), version: 1, expires, now: far };
    assert_eq!(fresh.refresh_and_find(&repo, MARKDOWN), Err(expired.clone()));

    let mut client = Client::up_to_date(&repo);
    let held = client.cache.clone();
    client.now = far;
    assert_eq!(client.refresh_and_find(&repo, MARKDOWN), Err(expired));
    assert_eq!(client.cache, held);
    // The clock is set right: everything is as it was, and costs what it costs when nothing changed.
    (client.now, client.log) = (now(), Vec::new());
    assert!(client.refresh_and_find(&repo, MARKDOWN).expect("a good repository").is_some());
    assert_eq!(client.log, ["2.root.json?", "timestamp.json"]);
}

#[test]
fn a_clock_far_back_sees_nothing_expired() {
    let repo = Repo::with_markdown();
    let mut client = Client::new(&repo);
    client.now = now().plus(-3650 * DAY);
    assert!(client.refresh_and_find(&repo, MARKDOWN).expect("nothing has expired yet").is_some());
}
