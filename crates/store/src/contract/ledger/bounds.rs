//! What the strictest engine refuses, and so every other.

use stoa_core::{
    digest::Digest,
    event::{Event, EventError, Fact, Head},
};

use super::{
    Action, Expect, Write, at, chain, check, commit, draft, genesis, key, private, purged, put, record, refusal,
    transaction, write,
};
use crate::{
    contract::Place,
    ledger::{ITEM_OVERHEAD, Ledger, LedgerError, MAX_TRANSACTION, MAX_VALUE, plan},
};

fn puts(count: usize) -> Vec<Write> {
    (0..count).map(|number| put(key("p", &format!("{number:03}")), Expect::Absent, "v")).collect()
}

pub async fn ninety_nine_items_are_one_transaction_and_a_hundred_are_too_many(place: &impl Place<dyn Ledger>) {
    let ledger = place.open().await;
    let message = refusal(&*ledger, &transaction("a", None, puts(100)), at(0)).await;
    assert_eq!(message, "101 keys in one request, the ledger's own included: at most 100 are possible");
    write(&*ledger, "b", puts(99), at(0)).await;
    assert_eq!(ledger.list("p", None, 200, at(0)).await.expect("a list").len(), 99);
}

pub async fn the_head_the_event_and_its_private_part_count_as_keys(place: &impl Place<dyn Ledger>) {
    let ledger = place.open().await;
    let mut with_private = genesis();
    with_private.private = Some(private("who").into());
    for (draft, count) in [(genesis(), 98), (with_private.clone(), 97)] {
        let message = refusal(&*ledger, &transaction("a", Some(draft), puts(count)), at(0)).await;
        assert_eq!(message, "101 keys in one request, the ledger's own included: at most 100 are possible");
    }
    assert_eq!(ledger.head().await.expect("a head"), Head::none());
    commit(&*ledger, &transaction("a", Some(with_private), puts(96)), at(0)).await;
    assert_eq!(chain(&*ledger).await.len(), 1);
}

pub async fn a_key_is_there_once(place: &impl Place<dyn Ledger>) {
    let ledger = place.open().await;
    let twice = vec![check(key("p", "s"), Expect::Absent), put(key("p", "s"), Expect::Any, "v")];
    let message = refusal(&*ledger, &transaction("a", None, twice), at(0)).await;
    assert_eq!(message, "`p/s` is in the transaction twice: a condition rides on its write");
}

pub async fn a_check_expects_something(place: &impl Place<dyn Ledger>) {
    let ledger = place.open().await;
    let nothing = vec![check(key("p", "s"), Expect::Any)];
    let message = refusal(&*ledger, &transaction("a", None, nothing), at(0)).await;
    assert_eq!(message, "the check of `p/s` expects nothing: leave it out");
}

fn long(sort: &str, length: usize) -> Write {
    Write { key: key("p", sort), expect: Expect::Absent, action: Action::Put { value: vec![7; length], expires: None } }
}

pub async fn a_value_has_at_most_350_kib(place: &impl Place<dyn Ledger>) {
    let ledger = place.open().await;
    let message = refusal(&*ledger, &transaction("a", None, vec![long("s", MAX_VALUE + 1)]), at(0)).await;
    assert_eq!(message, "`p/s` has 358401 bytes: at most 358400 are possible");
    write(&*ledger, "a", vec![long("s", MAX_VALUE)], at(0)).await;
    let item = ledger.get(&key("p", "s"), at(0)).await.expect("a read").expect("an item");
    assert_eq!(item.value, vec![7; MAX_VALUE]);
}

pub async fn a_transaction_has_at_most_one_mib(place: &impl Place<dyn Ledger>) {
    let ledger = place.open().await;
    // The operation's own item is the rest of the sum; what it takes shows in the refusal.
    let all = [long("a", MAX_VALUE), long("b", MAX_VALUE), long("c", MAX_VALUE)];
    let Err(LedgerError::TooLarge { what, found, limit }) =
        ledger.commit(&transaction("a", None, all.to_vec()), at(0)).await
    else {
        panic!("a transaction of more than 1 MiB was taken");
    };
    assert_eq!((what.as_str(), limit), ("the transaction", MAX_TRANSACTION));
    assert!(found > 3 * (MAX_VALUE + 2 + ITEM_OVERHEAD), "the operation's item counts");
    let fits =
        |over: usize| vec![long("a", MAX_VALUE), long("b", MAX_VALUE), long("c", MAX_VALUE + limit + over - found)];
    let message = refusal(&*ledger, &transaction("a", None, fits(1)), at(0)).await;
    assert_eq!(message, "the transaction has 1048577 bytes: at most 1048576 are possible");
    write(&*ledger, "a", fits(0), at(0)).await;
    assert_eq!(ledger.list("p", None, 10, at(0)).await.expect("a list").len(), 3);
}

pub async fn an_event_has_at_most_64_kib(place: &impl Place<dyn Ledger>) {
    let ledger = place.open().await;
    let first = record(&*ledger, "genesis", genesis(), at(0)).await;
    let blobs = |count: u64| {
        draft(Fact::Purged { releases: Vec::new(), blobs: (0..count).map(|n| Digest::of(&n.to_be_bytes())).collect() })
    };
    // 67 bytes for each digest: `"` + 64 digits + `",`.
    let (fits, too_long) = (blobs(970), blobs(980));
    let refused = ledger.commit(&transaction("a", Some(too_long.clone()), Vec::new()), at(1)).await;
    let Err(LedgerError::Event(EventError::TooLarge(length))) = refused else { panic!("{refused:?}") };
    assert_eq!(Event::seal(&too_long, &first.head(), at(1)), Err(EventError::TooLarge(length)));
    record(&*ledger, "a", fits, at(1)).await;
    assert_eq!(chain(&*ledger).await.len(), 2);
}

pub async fn an_event_that_breaks_its_own_rules_is_refused(place: &impl Place<dyn Ledger>) {
    let ledger = place.open().await;
    let message = refusal(&*ledger, &transaction("a", Some(purged(1)), Vec::new()), at(0)).await;
    assert_eq!(message, "event 1: the first event, and no other, is the genesis");
    assert_eq!(ledger.get(&plan::head_key(), at(0)).await.expect("a read"), None);
}

pub async fn a_read_has_at_most_a_hundred_keys(place: &impl Place<dyn Ledger>) {
    let ledger = place.open().await;
    let keys: Vec<_> = (0..101).map(|number| key("p", &number.to_string())).collect();
    assert_eq!(ledger.get_many(&keys[..100], at(0)).await.expect("a read"), vec![None; 100]);
    let refused = ledger.get_many(&keys, at(0)).await.map_err(|e| e.to_string());
    assert_eq!(refused, Err("101 keys in one request, the ledger's own included: at most 100 are possible".into()));
}
