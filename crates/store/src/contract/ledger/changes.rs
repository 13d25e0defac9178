//! Changes one after the other.

use stoa_core::{
    event::{Fact, Head},
    time::DAY,
};

use super::{
    Committed, Expect, at, chain, check, commit, delete, draft, genesis, item, key, private, purged, put, record,
    refusal, there, transaction, value, write,
};
use crate::{contract::Place, ledger::Ledger};

pub async fn a_new_ledger_has_no_head_and_no_events(place: &impl Place<dyn Ledger>) {
    let ledger = place.open().await;
    assert_eq!(ledger.head().await.expect("a head"), Head::none());
    assert_eq!(ledger.events(0, 10).await.expect("events"), []);
    assert_eq!(ledger.private_part(1).await.expect("a read"), None);
    assert_eq!(ledger.get(&key("p", "s"), at(0)).await.expect("a read"), None);
    assert_eq!(ledger.list("p", None, 10, at(0)).await.expect("a list"), []);
}

pub async fn an_event_follows_the_one_before(place: &impl Place<dyn Ledger>) {
    let ledger = place.open().await;
    let first = record(&*ledger, "a", genesis(), at(5)).await;
    let second = record(&*ledger, "b", purged(1), at(6)).await;
    assert_eq!((first.event().seq, first.event().time), (1, at(5)));
    assert_eq!((second.event().seq, second.event().time), (2, at(6)));
    assert_eq!(second.follows(&first.head()), Ok(()));
    assert_eq!(chain(&*ledger).await, [first, second]);
}

pub async fn a_put_counts_the_revision(place: &impl Place<dyn Ledger>) {
    let (ledger, k) = (place.open().await, key("p", "s"));
    let expected = [Expect::Absent, Expect::Revision(1), Expect::Present, Expect::Any];
    for (revision, expect) in (1..).zip(expected) {
        let text = format!("v{revision}");
        write(&*ledger, &text, vec![put(k.clone(), expect, &text)], at(0)).await;
        assert_eq!(value(&*ledger, &k, at(0)).await, there(&text, revision));
    }
    let other = key("p", "other");
    write(&*ledger, "other", vec![put(other.clone(), Expect::Any, "x")], at(0)).await;
    assert_eq!(value(&*ledger, &other, at(0)).await, there("x", 1));
}

pub async fn a_change_without_an_event_leaves_the_chain_alone(place: &impl Place<dyn Ledger>) {
    let ledger = place.open().await;
    let event = record(&*ledger, "a", genesis(), at(0)).await;
    write(&*ledger, "b", vec![put(key("p", "s"), Expect::Absent, "v")], at(0)).await;
    assert_eq!(chain(&*ledger).await, [event]);
}

pub async fn an_item_that_is_not_as_expected_is_named_and_nothing_is_written(place: &impl Place<dyn Ledger>) {
    let ledger = place.open().await;
    let event = record(&*ledger, "genesis", genesis(), at(0)).await;
    let (old, new) = (key("p", "old"), key("p", "new"));
    write(&*ledger, "old", vec![put(old.clone(), Expect::Absent, "v")], at(0)).await;
    let cases = [
        (put(old.clone(), Expect::Absent, "x"), "`p/old` is at revision 1, and it was expected to be absent"),
        (
            put(old.clone(), Expect::Revision(2), "x"),
            "`p/old` is at revision 1, and it was expected to be at revision 2",
        ),
        (put(new.clone(), Expect::Present, "x"), "`p/new` is absent, and it was expected to be present"),
        (put(new.clone(), Expect::Revision(1), "x"), "`p/new` is absent, and it was expected to be at revision 1"),
        (delete(new.clone(), Expect::Present), "`p/new` is absent, and it was expected to be present"),
        (delete(old.clone(), Expect::Revision(9)), "`p/old` is at revision 1, and it was expected to be at revision 9"),
        (check(old.clone(), Expect::Absent), "`p/old` is at revision 1, and it was expected to be absent"),
        (check(new.clone(), Expect::Present), "`p/new` is absent, and it was expected to be present"),
    ];
    for (index, (write, message)) in cases.into_iter().enumerate() {
        let beside = put(key("p", "beside"), Expect::Absent, "x");
        let tried = transaction(&format!("try-{index}"), Some(purged(1)), vec![beside, write]);
        assert_eq!(refusal(&*ledger, &tried, at(1)).await, message);
    }
    assert_eq!(ledger.list("p", None, 10, at(1)).await.expect("a list"), [(old, item("v", 1))]);
    assert_eq!(chain(&*ledger).await, [event]);
}

pub async fn the_first_item_that_is_not_as_expected_is_the_one_named(place: &impl Place<dyn Ledger>) {
    let ledger = place.open().await;
    let writes = ["c", "a", "b"].map(|sort| check(key("p", sort), Expect::Present)).to_vec();
    let message = refusal(&*ledger, &transaction("a", Some(genesis()), writes), at(0)).await;
    assert_eq!(message, "`p/c` is absent, and it was expected to be present");
}

pub async fn a_check_writes_nothing(place: &impl Place<dyn Ledger>) {
    let (ledger, there_is, there_is_not) = (place.open().await, key("p", "is"), key("p", "is-not"));
    write(&*ledger, "a", vec![put(there_is.clone(), Expect::Absent, "v")], at(0)).await;
    let checks = vec![check(there_is.clone(), Expect::Revision(1)), check(there_is_not.clone(), Expect::Absent)];
    write(&*ledger, "b", checks, at(0)).await;
    assert_eq!(value(&*ledger, &there_is, at(0)).await, there("v", 1));
    assert_eq!(value(&*ledger, &there_is_not, at(0)).await, None);
}

pub async fn a_deleted_key_begins_again(place: &impl Place<dyn Ledger>) {
    let (ledger, k) = (place.open().await, key("p", "s"));
    write(&*ledger, "a", vec![put(k.clone(), Expect::Absent, "1")], at(0)).await;
    write(&*ledger, "b", vec![put(k.clone(), Expect::Present, "2")], at(0)).await;
    write(&*ledger, "c", vec![delete(k.clone(), Expect::Revision(2))], at(0)).await;
    assert_eq!(value(&*ledger, &k, at(0)).await, None);
    write(&*ledger, "d", vec![delete(k.clone(), Expect::Any)], at(0)).await;
    write(&*ledger, "e", vec![put(k.clone(), Expect::Absent, "3")], at(0)).await;
    assert_eq!(value(&*ledger, &k, at(0)).await, there("3", 1));
}

pub async fn the_same_operation_is_answered_again_and_not_carried_out_again(place: &impl Place<dyn Ledger>) {
    let (ledger, k) = (place.open().await, key("p", "s"));
    record(&*ledger, "genesis", genesis(), at(0)).await;
    // Both the condition and the head have moved on when it is repeated.
    let operation = transaction("once", Some(purged(1)), vec![put(k.clone(), Expect::Absent, "v")]);
    let first = commit(&*ledger, &operation, at(1)).await;
    record(&*ledger, "next", purged(2), at(2)).await;
    let again = commit(&*ledger, &operation, at(3)).await;
    assert_eq!(again, Committed { event: first.event, replayed: true });
    assert_eq!(value(&*ledger, &k, at(3)).await, there("v", 1));
    assert_eq!(chain(&*ledger).await.len(), 3);
    let elsewhere = place.open().await;
    assert_eq!(commit(&*elsewhere, &operation, at(4)).await, again);
}

pub async fn an_operation_that_changed_only_state_is_answered_again(place: &impl Place<dyn Ledger>) {
    let (ledger, k) = (place.open().await, key("p", "s"));
    let operation = transaction("once", None, vec![put(k.clone(), Expect::Any, "v")]);
    assert_eq!(commit(&*ledger, &operation, at(0)).await, Committed { event: None, replayed: false });
    assert_eq!(commit(&*ledger, &operation, at(0)).await, Committed { event: None, replayed: true });
    assert_eq!(value(&*ledger, &k, at(0)).await, there("v", 1));
}

pub async fn another_salt_does_not_make_another_operation(place: &impl Place<dyn Ledger>) {
    let ledger = place.open().await;
    record(&*ledger, "genesis", genesis(), at(0)).await;
    let with = |part| {
        let mut draft = purged(1);
        draft.private = Some(private(part).into());
        transaction("once", Some(draft), Vec::new())
    };
    let first = commit(&*ledger, &with("from one address"), at(1)).await;
    let again = commit(&*ledger, &with("from another"), at(2)).await;
    assert_eq!(again, Committed { event: first.event, replayed: true });
    assert_eq!(ledger.private_part(2).await.expect("a read"), Some(private("from one address")));
}

pub async fn an_operation_id_is_not_given_to_another_transaction(place: &impl Place<dyn Ledger>) {
    let (ledger, k) = (place.open().await, key("p", "s"));
    record(&*ledger, "genesis", genesis(), at(0)).await;
    let writes = vec![put(k.clone(), Expect::Any, "v")];
    commit(&*ledger, &transaction("once", Some(purged(1)), writes.clone()), at(0)).await;
    let others = [
        transaction("once", Some(purged(2)), writes.clone()),
        transaction("once", None, writes),
        transaction("once", Some(purged(1)), vec![put(k.clone(), Expect::Any, "w")]),
        transaction("once", Some(purged(1)), vec![put(k.clone(), Expect::Present, "v")]),
        transaction("once", Some(purged(1)), vec![put(key("p", "t"), Expect::Any, "v")]),
        transaction("once", Some(purged(1)), vec![delete(k.clone(), Expect::Any)]),
        transaction("once", Some(purged(1)), Vec::new()),
    ];
    for other in others {
        let message = refusal(&*ledger, &other, at(1)).await;
        assert_eq!(message, "operation `once` was another transaction: an id is never used twice", "{other:?}");
    }
    assert_eq!(value(&*ledger, &k, at(1)).await, there("v", 1));
    assert_eq!(chain(&*ledger).await.len(), 2);
}

pub async fn an_operation_is_forgotten_after_a_day(place: &impl Place<dyn Ledger>) {
    let (ledger, k) = (place.open().await, key("p", "s"));
    let operation = transaction("once", None, vec![put(k.clone(), Expect::Any, "v")]);
    commit(&*ledger, &operation, at(0)).await;
    assert!(commit(&*ledger, &operation, at(DAY - 1)).await.replayed);
    assert!(!commit(&*ledger, &operation, at(DAY)).await.replayed);
    assert_eq!(value(&*ledger, &k, at(DAY)).await, there("v", 2));
}

pub async fn a_refused_operation_can_be_tried_again(place: &impl Place<dyn Ledger>) {
    let (ledger, k) = (place.open().await, key("p", "s"));
    let operation = transaction("a", Some(genesis()), vec![check(k.clone(), Expect::Present)]);
    let message = refusal(&*ledger, &operation, at(0)).await;
    assert_eq!(message, "`p/s` is absent, and it was expected to be present");
    write(&*ledger, "b", vec![put(k, Expect::Absent, "v")], at(0)).await;
    let committed = commit(&*ledger, &operation, at(1)).await;
    assert_eq!((committed.replayed, committed.event.map(|e| e.event().seq)), (false, Some(1)));
}

pub async fn an_event_is_never_earlier_than_the_one_before(place: &impl Place<dyn Ledger>) {
    let ledger = place.open().await;
    record(&*ledger, "a", genesis(), at(100)).await;
    assert_eq!(record(&*ledger, "b", purged(1), at(3)).await.event().time, at(100));
    assert_eq!(record(&*ledger, "c", purged(2), at(101)).await.event().time, at(101));
    assert_eq!(chain(&*ledger).await.len(), 3);
}

pub async fn an_epoch_jumps_past_what_was_lost(place: &impl Place<dyn Ledger>) {
    let ledger = place.open().await;
    record(&*ledger, "a", genesis(), at(0)).await;
    let epoch = draft(Fact::Epoch { lost_after: 40, reason: "the disk was lost".into() });
    assert_eq!(record(&*ledger, "b", epoch, at(1)).await.event().seq, 41);
    assert_eq!(record(&*ledger, "c", purged(1), at(2)).await.event().seq, 42);
    let places: Vec<u64> = chain(&*ledger).await.iter().map(|event| event.event().seq).collect();
    assert_eq!(places, [1, 41, 42]);
}

pub async fn a_private_part_is_kept_apart_and_can_be_erased(place: &impl Place<dyn Ledger>) {
    let ledger = place.open().await;
    record(&*ledger, "a", genesis(), at(0)).await;
    let (mut draft, part) = (purged(1), private("203.0.113.7"));
    draft.private = Some(part.clone().into());
    let event = record(&*ledger, "b", draft, at(1)).await;
    assert_eq!(event.event().private, Some(part.commitment()));
    assert!(!String::from_utf8_lossy(event.bytes()).contains("203.0.113.7"));
    assert_eq!(ledger.private_part(1).await.expect("a read"), None);
    assert_eq!(ledger.private_part(2).await.expect("a read"), Some(part));
    for _ in 0..2 {
        ledger.erase_private(2).await.expect("an erasure");
        assert_eq!(ledger.private_part(2).await.expect("a read"), None);
    }
    assert_eq!(chain(&*ledger).await[1], event);
}

pub async fn what_was_committed_is_there_after_a_restart(place: &impl Place<dyn Ledger>) {
    let (ledger, k) = (place.open().await, key("p", "s"));
    let mut first = genesis();
    first.private = Some(private("who").into());
    let operation = transaction("a", Some(first), vec![put(k.clone(), Expect::Absent, "v")]);
    let committed = commit(&*ledger, &operation, at(0)).await;
    drop(ledger);
    let ledger = place.open().await;
    assert_eq!(chain(&*ledger).await, committed.event.as_slice());
    assert_eq!(value(&*ledger, &k, at(0)).await, there("v", 1));
    assert_eq!(ledger.private_part(1).await.expect("a read"), Some(private("who")));
    assert_eq!(commit(&*ledger, &operation, at(0)).await, Committed { event: committed.event, replayed: true });
    record(&*ledger, "b", purged(1), at(0)).await;
    assert_eq!(chain(&*ledger).await.len(), 2);
}
