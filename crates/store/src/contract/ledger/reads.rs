//! Reads, lists and the passing of time.

use super::{
    Action, Expect, Write, at, check, genesis, key, purged, put, record, refusal, there, transaction, value, write,
};
use crate::{contract::Place, ledger::Ledger};

/// A put that is there until `expires` seconds.
fn until(sort: &str, expect: Expect, expires: i64) -> Write {
    let action = Action::Put { value: b"v".to_vec(), expires: Some(at(expires)) };
    Write { key: key("p", sort), expect, action }
}

async fn sorts(ledger: &dyn Ledger, partition: &str, after: Option<&str>, limit: usize, now: i64) -> Vec<String> {
    let rows = ledger.list(partition, after, limit, at(now)).await.expect("a list");
    rows.into_iter().map(|(key, _)| key.sort().to_owned()).collect()
}

pub async fn items_are_answered_in_the_order_of_their_keys(place: &impl Place<dyn Ledger>) {
    let ledger = place.open().await;
    let keys = ["b", "a", "none", "b"].map(|sort| key("p", sort));
    write(&*ledger, "w", vec![put(key("p", "a"), Expect::Any, "1"), put(key("p", "b"), Expect::Any, "2")], at(0)).await;
    let items = ledger.get_many(&keys, at(0)).await.expect("a read");
    let values: Vec<_> = items.into_iter().map(|item| item.map(|item| item.value)).collect();
    assert_eq!(values, [Some(b"2".to_vec()), Some(b"1".to_vec()), None, Some(b"2".to_vec())]);
    assert_eq!(ledger.get_many(&[], at(0)).await.expect("a read"), []);
}

pub async fn an_expired_item_is_absent_to_reads_lists_and_conditions(place: &impl Place<dyn Ledger>) {
    let (ledger, k) = (place.open().await, key("p", "s"));
    write(&*ledger, "a", vec![until("s", Expect::Absent, 10)], at(0)).await;
    assert_eq!(value(&*ledger, &k, at(9)).await, there("v", 1));
    assert_eq!(sorts(&*ledger, "p", None, 10, 9).await, ["s"]);
    assert_eq!(value(&*ledger, &k, at(10)).await, None);
    assert_eq!(sorts(&*ledger, "p", None, 10, 10).await, [""; 0]);
    for (expect, message) in [
        (Expect::Present, "`p/s` is absent, and it was expected to be present"),
        (Expect::Revision(1), "`p/s` is absent, and it was expected to be at revision 1"),
    ] {
        let tried = transaction("b", None, vec![check(k.clone(), expect)]);
        assert_eq!(refusal(&*ledger, &tried, at(10)).await, message);
        write(&*ledger, &format!("c-{expect}").replace(' ', "-"), vec![check(k.clone(), expect)], at(9)).await;
    }
}

pub async fn an_expired_item_begins_again(place: &impl Place<dyn Ledger>) {
    let (ledger, k) = (place.open().await, key("p", "s"));
    write(&*ledger, "a", vec![until("s", Expect::Absent, 10)], at(0)).await;
    write(&*ledger, "b", vec![until("s", Expect::Revision(1), 10)], at(1)).await;
    assert_eq!(value(&*ledger, &k, at(9)).await, there("v", 2));
    write(&*ledger, "c", vec![until("s", Expect::Absent, 20)], at(10)).await;
    assert_eq!(value(&*ledger, &k, at(19)).await, there("v", 1));
    // Without a condition a write does not look at what is there: it may count on.
    write(&*ledger, "d", vec![put(k.clone(), Expect::Any, "w")], at(20)).await;
    let (text, revision) = value(&*ledger, &k, at(30)).await.expect("an item");
    assert!(text == "w" && (1..=2).contains(&revision), "`{text}` at revision {revision}");
}

pub async fn a_list_has_one_partition_in_order_of_bytes(place: &impl Place<dyn Ledger>) {
    let ledger = place.open().await;
    let order = ["!", "-", "1", "10", "2", "A", "B", "_", "a", "a-", "aa", "~"];
    let mut writes: Vec<_> = order.iter().rev().map(|sort| put(key("p", sort), Expect::Absent, "v")).collect();
    writes.extend(["o", "p!", "pp", "P"].map(|partition| put(key(partition, "x"), Expect::Absent, "v")));
    write(&*ledger, "w", writes, at(0)).await;
    assert_eq!(sorts(&*ledger, "p", None, 100, 0).await, order);
    assert_eq!(sorts(&*ledger, "pp", None, 100, 0).await, ["x"]);
    assert_eq!(sorts(&*ledger, "q", None, 100, 0).await, [""; 0]);
}

pub async fn a_list_goes_on_after_a_key(place: &impl Place<dyn Ledger>) {
    let ledger = place.open().await;
    let writes = ["a", "b", "c", "d"].map(|sort| put(key("p", sort), Expect::Absent, "v")).to_vec();
    write(&*ledger, "w", writes, at(0)).await;
    assert_eq!(sorts(&*ledger, "p", None, 2, 0).await, ["a", "b"]);
    assert_eq!(sorts(&*ledger, "p", Some("b"), 2, 0).await, ["c", "d"]);
    assert_eq!(sorts(&*ledger, "p", Some("bb"), 1, 0).await, ["c"]);
    assert_eq!(sorts(&*ledger, "p", Some("d"), 2, 0).await, [""; 0]);
    assert_eq!(sorts(&*ledger, "p", None, 0, 0).await, [""; 0]);
}

pub async fn a_list_finds_what_lies_behind_expired_items(place: &impl Place<dyn Ledger>) {
    let ledger = place.open().await;
    let mut writes: Vec<_> = (0..50).map(|n| until(&format!("{n:02}"), Expect::Absent, 10)).collect();
    writes.extend(["50", "51", "52"].map(|sort| put(key("p", sort), Expect::Absent, "v")));
    write(&*ledger, "w", writes, at(0)).await;
    assert_eq!(sorts(&*ledger, "p", None, 2, 10).await, ["50", "51"]);
    assert_eq!(sorts(&*ledger, "p", Some("07"), 10, 10).await, ["50", "51", "52"]);
    assert_eq!(sorts(&*ledger, "p", None, 2, 9).await, ["00", "01"]);
}

pub async fn a_list_of_large_items_is_whole(place: &impl Place<dyn Ledger>) {
    let ledger = place.open().await;
    for number in 0..9 {
        let action = Action::Put { value: vec![number; 300 * 1024], expires: None };
        let large = Write { key: key("p", &number.to_string()), expect: Expect::Absent, action };
        write(&*ledger, &number.to_string(), vec![large], at(0)).await;
    }
    let rows = ledger.list("p", None, 100, at(0)).await.expect("a list");
    let found: Vec<_> = rows.iter().map(|(key, item)| (key.sort(), item.value[0], item.value.len())).collect();
    let sorts = ["0", "1", "2", "3", "4", "5", "6", "7", "8"];
    let expected: Vec<_> = (0..).zip(sorts).map(|(number, sort)| (sort, number, 300 * 1024)).collect();
    assert_eq!(found, expected);
}

pub async fn what_is_the_ledgers_own_is_not_listed(place: &impl Place<dyn Ledger>) {
    let ledger = place.open().await;
    record(&*ledger, "a", genesis(), at(0)).await;
    let refused = ledger.list("!event", None, 10, at(0)).await.map_err(|e| e.to_string());
    assert_eq!(refused, Err("the partition `!event` is the ledger's own: no other may begin with `!`".into()));
}

pub async fn events_are_answered_in_order_and_in_parts(place: &impl Place<dyn Ledger>) {
    let ledger = place.open().await;
    record(&*ledger, "1", genesis(), at(0)).await;
    for number in 2..=12 {
        record(&*ledger, &number.to_string(), purged(number), at(0)).await;
    }
    let places = async |after, limit| {
        let events = ledger.events(after, limit).await.expect("events");
        events.iter().map(|event| event.event().seq).collect::<Vec<_>>()
    };
    assert_eq!(places(0, 3).await, [1, 2, 3]);
    assert_eq!(places(8, 3).await, [9, 10, 11]);
    assert_eq!(places(11, 3).await, [12]);
    assert_eq!(places(12, 3).await, [0; 0]);
    assert_eq!(places(0, 0).await, [0; 0]);
    assert_eq!(places(u64::MAX, 3).await, [0; 0]);
}
