//! The contract of [`Ledger`].
#![expect(missing_docs, reason = "the name of a case says what holds")]

mod bounds;
mod changes;
mod model;
mod races;
mod reads;

use stoa_core::{
    digest::Digest,
    event::{ActorId, Draft, Fact, PrivatePart, Sealed},
    time::Time,
};

use crate::ledger::{Action, Committed, Expect, Item, ItemKey, Ledger, LedgerError, Transaction, Write};

pub use model::check_history;

super::suite! { ($) ledger_contract in ledger:
    changes {
        a_new_ledger_has_no_head_and_no_events,
        an_event_follows_the_one_before,
        a_put_counts_the_revision,
        a_change_without_an_event_leaves_the_chain_alone,
        an_item_that_is_not_as_expected_is_named_and_nothing_is_written,
        the_first_item_that_is_not_as_expected_is_the_one_named,
        a_check_writes_nothing,
        a_deleted_key_begins_again,
        the_same_operation_is_answered_again_and_not_carried_out_again,
        an_operation_that_changed_only_state_is_answered_again,
        another_salt_does_not_make_another_operation,
        an_operation_id_is_not_given_to_another_transaction,
        an_operation_is_forgotten_after_a_day,
        a_refused_operation_can_be_tried_again,
        an_event_is_never_earlier_than_the_one_before,
        an_epoch_jumps_past_what_was_lost,
        a_private_part_is_kept_apart_and_can_be_erased,
        what_was_committed_is_there_after_a_restart,
    }
    bounds {
        ninety_nine_items_are_one_transaction_and_a_hundred_are_too_many,
        the_head_the_event_and_its_private_part_count_as_keys,
        a_key_is_there_once,
        a_check_expects_something,
        a_value_has_at_most_350_kib,
        a_transaction_has_at_most_one_mib,
        an_event_has_at_most_64_kib,
        an_event_that_breaks_its_own_rules_is_refused,
        a_read_has_at_most_a_hundred_keys,
    }
    reads {
        items_are_answered_in_the_order_of_their_keys,
        an_expired_item_is_absent_to_reads_lists_and_conditions,
        an_expired_item_begins_again,
        a_list_has_one_partition_in_order_of_bytes,
        a_list_goes_on_after_a_key,
        a_list_finds_what_lies_behind_expired_items,
        a_list_of_large_items_is_whole,
        what_is_the_ledgers_own_is_not_listed,
        events_are_answered_in_order_and_in_parts,
    }
    races {
        of_sixteen_who_commit_at_once_each_lands_once,
        of_sixteen_who_expect_the_same_one_succeeds,
        sixteen_repetitions_at_once_are_carried_out_once,
        a_commit_that_nobody_waits_for_is_undone_or_whole,
    }
    model {
        random_histories_are_as_in_the_model,
    }
}

/// A moment of the tests' own time.
fn at(seconds: i64) -> Time {
    Time::from_unix(1_700_000_000 + seconds)
}

fn key(partition: &str, sort: &str) -> ItemKey {
    ItemKey::new(partition, sort).expect("a key")
}

fn put(key: ItemKey, expect: Expect, value: &str) -> Write {
    Write { key, expect, action: Action::Put { value: value.into(), expires: None } }
}

fn delete(key: ItemKey, expect: Expect) -> Write {
    Write { key, expect, action: Action::Delete }
}

fn check(key: ItemKey, expect: Expect) -> Write {
    Write { key, expect, action: Action::Check }
}

fn draft(fact: Fact) -> Draft {
    Draft { actor: ActorId::registry(), fact, private: None }
}

fn genesis() -> Draft {
    draft(Fact::Genesis { bin_bits: 8, offline: Vec::new() })
}

/// A fact that may be told any number of times; `number` makes it another one.
fn purged(number: u64) -> Draft {
    draft(Fact::Purged { releases: Vec::new(), blobs: vec![Digest::of(&number.to_be_bytes())] })
}

fn private(content: &str) -> PrivatePart {
    PrivatePart { salt: Digest::of(content.as_bytes()).as_bytes().to_owned(), content: content.to_owned() }
}

fn transaction(operation: &str, draft: Option<Draft>, writes: Vec<Write>) -> Transaction {
    Transaction { operation: operation.parse().expect("an id"), draft, writes }
}

/// Commits what has to succeed.
async fn commit(ledger: &dyn Ledger, transaction: &Transaction, now: Time) -> Committed {
    ledger.commit(transaction, now).await.expect("a commit")
}

/// Commits state that has to succeed.
async fn write(ledger: &dyn Ledger, operation: &str, writes: Vec<Write>, now: Time) {
    let committed = commit(ledger, &transaction(operation, None, writes), now).await;
    assert_eq!(committed, Committed { event: None, replayed: false });
}

/// Commits an event that has to succeed.
async fn record(ledger: &dyn Ledger, operation: &str, draft: Draft, now: Time) -> Sealed {
    let committed = commit(ledger, &transaction(operation, Some(draft), Vec::new()), now).await;
    assert!(!committed.replayed);
    committed.event.expect("an event")
}

/// The message of a refusal.
async fn refusal(ledger: &dyn Ledger, transaction: &Transaction, now: Time) -> String {
    match ledger.commit(transaction, now).await {
        Ok(committed) => panic!("it was carried out: {committed:?}"),
        Err(error) => error.to_string(),
    }
}

async fn value(ledger: &dyn Ledger, key: &ItemKey, now: Time) -> Option<(String, u64)> {
    let item = ledger.get(key, now).await.expect("a read")?;
    Some((String::from_utf8(item.value).expect("text"), item.revision))
}

fn there(value: &str, revision: u64) -> Option<(String, u64)> {
    Some((value.to_owned(), revision))
}

fn item(value: &str, revision: u64) -> Item {
    Item { value: value.into(), revision, expires: None }
}

/// All events, after a check that each follows the one before and that the last is the head.
async fn chain(ledger: &dyn Ledger) -> Vec<Sealed> {
    let (events, mut head) = (ledger.events(0, 10_000).await.expect("events"), stoa_core::event::Head::none());
    for event in &events {
        assert_eq!(event.follows(&head), Ok(()));
        head = event.head();
    }
    assert_eq!(ledger.head().await.expect("a head"), head);
    events
}

/// Commits, and repeats it with the same id for as long as the ledger is busy.
async fn persist(ledger: &dyn Ledger, transaction: &Transaction, now: Time) -> Result<Committed, LedgerError> {
    loop {
        match ledger.commit(transaction, now).await {
            Err(LedgerError::Busy { .. }) => tokio::task::yield_now().await,
            outcome => return outcome,
        }
    }
}
