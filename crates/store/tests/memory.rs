//! Races, failures and budgets, made deterministic by the adapters in memory.

use std::{error::Error as _, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use stoa_core::{
    digest::Digest,
    event::{ActorId, Draft, Fact},
    path::PublicPath,
    time::Time,
};
use stoa_store::{
    blobs::{BlobError, BlobKey, Blobs, Precondition, Put},
    ledger::{
        Action, Expect, Item, ItemKey, Ledger, LedgerError, Transaction, Write,
        optimistic::{Engine, Optimistic, Page, Transacted},
        plan::{self, Verdict},
    },
    memory::{Call, MemoryBlobs, MemoryEngine, MemoryLedger},
    upload::UploadSecret,
};

fn now() -> Time {
    Time::from_unix(1_700_000_000)
}

fn draft(fact: Fact) -> Draft {
    Draft { actor: ActorId::registry(), fact, private: None }
}

fn purged(name: &str) -> Option<Draft> {
    Some(draft(Fact::Purged { releases: Vec::new(), blobs: vec![Digest::of(name.as_bytes())] }))
}

fn put(sort: &str, expect: Expect) -> Write {
    let key = ItemKey::new("p", sort).expect("a key");
    Write { key, expect, action: Action::Put { value: b"v".to_vec(), expires: None } }
}

fn change(operation: &str, draft: Option<Draft>, writes: Vec<Write>) -> Transaction {
    Transaction { operation: operation.parse().expect("an id"), draft, writes }
}

/// A ledger with its first event, its calls forgotten.
async fn begun() -> MemoryLedger {
    let ledger = MemoryLedger::in_memory();
    let genesis = draft(Fact::Genesis { bin_bits: 8, offline: Vec::new() });
    ledger.commit(&change("genesis", Some(genesis), Vec::new()), now()).await.expect("a commit");
    ledger.hooks().forget();
    ledger
}

#[tokio::test]
async fn a_commit_with_an_event_costs_a_read_and_a_transaction_and_one_without_only_that() {
    let ledger = begun().await;
    ledger.commit(&change("a", purged("a"), vec![put("s", Expect::Absent)]), now()).await.expect("a commit");
    assert_eq!(ledger.hooks().calls(), [(Call::Read, "!head/head".into()), (Call::Transact, "a".into())]);
    ledger.hooks().forget();
    ledger.commit(&change("b", None, vec![put("s", Expect::Present)]), now()).await.expect("a commit");
    assert_eq!(ledger.hooks().calls(), [(Call::Transact, "b".into())]);
}

#[tokio::test]
async fn a_writer_that_was_overtaken_at_the_head_lands_behind() {
    let ledger = begun().await;
    let mut slow = ledger.hooks().stop_before(Call::Transact, "slow");
    let theirs = ledger.clone();
    let task = tokio::spawn(async move { theirs.commit(&change("slow", purged("slow"), Vec::new()), now()).await });
    slow.reached().await;
    let fast = ledger.commit(&change("fast", purged("fast"), Vec::new()), now()).await.expect("a commit");
    slow.release();
    let slow = task.await.expect("a task").expect("a commit");
    let (fast, slow) = (fast.event.expect("an event"), slow.event.expect("an event"));
    assert_eq!((fast.event().seq, slow.event().seq), (2, 3));
    assert_eq!(slow.follows(&fast.head()), Ok(()));
    let attempts = ledger.hooks().calls().into_iter().filter(|call| *call == (Call::Transact, "slow".into()));
    assert_eq!(attempts.count(), 2);
}

#[tokio::test]
async fn a_writer_whose_item_changed_meanwhile_is_refused_and_not_tried_again() {
    let ledger = begun().await;
    let mut slow = ledger.hooks().stop_before(Call::Transact, "slow");
    let theirs = ledger.clone();
    let writes = vec![put("s", Expect::Absent)];
    let task = tokio::spawn(async move { theirs.commit(&change("slow", purged("slow"), writes), now()).await });
    slow.reached().await;
    ledger.commit(&change("fast", purged("fast"), vec![put("s", Expect::Absent)]), now()).await.expect("a commit");
    ledger.hooks().forget();
    slow.release();
    let refused = task.await.expect("a task").map_err(|e| e.to_string());
    assert_eq!(refused, Err("`p/s` is at revision 1, and it was expected to be absent".into()));
    assert_eq!(ledger.hooks().counts().into_iter().collect::<Vec<_>>(), []);
    assert_eq!(ledger.head().await.expect("a head").seq, 2);
}

#[tokio::test]
async fn a_lost_answer_is_had_by_repeating() {
    let ledger = begun().await;
    let once = change("once", purged("once"), vec![put("s", Expect::Absent)]);
    ledger.hooks().lose_answer(Call::Transact, "once");
    let lost = ledger.commit(&once, now()).await.expect_err("no answer");
    assert_eq!(lost.to_string(), "the ledger's engine failed at a transaction");
    assert_eq!(lost.source().map(ToString::to_string).as_deref(), Some("the test lost the answer"));
    let again = ledger.commit(&once, now()).await.expect("an answer");
    assert_eq!((again.replayed, again.event.map(|event| event.event().seq)), (true, Some(2)));
    assert_eq!(ledger.events(0, 10).await.expect("events").len(), 2);
}

#[tokio::test]
async fn the_lost_answer_to_the_first_event_is_had_by_repeating_after_others() {
    let ledger = begun().await;
    ledger.commit(&change("a", purged("a"), Vec::new()), now()).await.expect("a commit");
    // A genesis can not be planned upon this head; it was answered all the same.
    let genesis = draft(Fact::Genesis { bin_bits: 8, offline: Vec::new() });
    let again = ledger.commit(&change("genesis", Some(genesis), Vec::new()), now()).await.expect("an answer");
    assert_eq!((again.replayed, again.event.map(|event| event.event().seq)), (true, Some(1)));
}

#[tokio::test]
async fn a_commit_that_failed_left_nothing_and_can_be_repeated() {
    let ledger = begun().await;
    let once = change("once", purged("once"), vec![put("s", Expect::Absent)]);
    ledger.hooks().fail(Call::Transact, "once");
    let failed = ledger.commit(&once, now()).await.expect_err("a failure");
    assert_eq!(failed.source().map(ToString::to_string).as_deref(), Some("the test made it fail"));
    assert_eq!(ledger.head().await.expect("a head").seq, 1);
    assert!(!ledger.commit(&once, now()).await.expect("a commit").replayed);
}

#[tokio::test]
async fn an_event_beyond_the_head_is_damage_and_not_overwritten() {
    let ledger = begun().await;
    let stray = Write {
        key: plan::event_key(2),
        expect: Expect::Absent,
        action: Action::Put { value: b"{}".to_vec(), expires: None },
    };
    let written = ledger.engine().transact("stray", &[stray], now()).await.expect("a write");
    assert_eq!(written, Transacted::Done);
    let refused = ledger.commit(&change("a", purged("a"), Vec::new()), now()).await.map_err(|e| e.to_string());
    let key = "!event/00000000000000000002";
    assert_eq!(refused, Err(format!("the ledger is damaged: {key}: it lies beyond the head")));
    let refused = ledger.events(1, 10).await.map_err(|e| e.to_string());
    assert_eq!(
        refused,
        Err(format!(
            "the ledger is damaged: {key}: not an event of format 1: missing field `format` at line 1 column 2"
        ))
    );
}

#[tokio::test]
async fn an_engine_gives_a_verdict_for_each_item_and_writes_none_of_them() {
    let engine = MemoryEngine::default();
    let first = [put("a", Expect::Absent), put("b", Expect::Any)];
    assert_eq!(engine.transact("1", &first, now()).await.expect("an answer"), Transacted::Done);
    let second = [put("a", Expect::Revision(1)), put("b", Expect::Absent), put("c", Expect::Present)];
    let verdicts = vec![Verdict::Holds, Verdict::Failed(Some(1)), Verdict::Failed(None)];
    assert_eq!(engine.transact("2", &second, now()).await.expect("an answer"), Transacted::Refused(verdicts));
    let keys: Vec<_> = second.into_iter().map(|write| write.key).collect();
    let item = || Some(Item { value: b"v".to_vec(), revision: 1, expires: None });
    assert_eq!(engine.read(&keys).await.expect("a read"), [item(), item(), None]);
}

/// An engine on which another transaction is always under way.
struct Crowded(MemoryEngine);

#[async_trait]
impl Engine for Crowded {
    async fn read(&self, keys: &[ItemKey]) -> Result<Vec<Option<Item>>, LedgerError> {
        self.0.read(keys).await
    }

    async fn transact(&self, _: &str, _: &[Write], _: Time) -> Result<Transacted, LedgerError> {
        Ok(Transacted::Contended)
    }

    async fn query(&self, partition: &str, after: Option<&str>, limit: usize) -> Result<Page, LedgerError> {
        self.0.query(partition, after, limit).await
    }
}

#[tokio::test]
async fn a_ledger_that_is_always_contended_is_reported_as_busy() {
    let ledger = Optimistic::new(Crowded(MemoryEngine::default()));
    let refused = ledger.commit(&change("a", None, vec![put("s", Expect::Absent)]), now()).await;
    let message = refused.map_err(|e| e.to_string());
    assert_eq!(message, Err("the ledger is busy: 32 attempts met other changes".into()));
}

fn blobs() -> Arc<MemoryBlobs> {
    Arc::new(MemoryBlobs::new(UploadSecret::from_bytes([0; 32])))
}

#[tokio::test]
async fn an_indexer_that_lost_the_race_for_the_pointer_finds_the_winners() {
    let (blobs, pointer) = (blobs(), BlobKey::Public(PublicPath::Timestamp));
    let first = blobs.put_if(&pointer, Bytes::from("1"), &Precondition::Absent).await.expect("a put");
    let mut loser = blobs.hooks().stop_before(Call::PutIf, pointer.to_string());
    let (theirs, expected) = (Arc::clone(&blobs), Precondition::Tag(first));
    let (key, ours) = (pointer.clone(), expected.clone());
    let task = tokio::spawn(async move { theirs.put_if(&key, Bytes::from("loser"), &ours).await });
    loser.reached().await;
    let won = blobs.put_if(&pointer, Bytes::from("winner"), &expected).await.expect("a put");
    loser.release();
    let refused = task.await.expect("a task");
    let Err(BlobError::Precondition { found, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(found, Some(won));
    assert_eq!(blobs.get(&pointer, 10).await.expect("a read").expect("content").bytes, Bytes::from("winner"));
}

#[tokio::test]
async fn a_write_stopped_before_its_answer_is_seen_by_others() {
    let (blobs, key) = (blobs(), BlobKey::Event(1));
    let mut stopped = blobs.hooks().stop_after(Call::PutNew, key.to_string());
    let (theirs, path) = (Arc::clone(&blobs), key.clone());
    let task = tokio::spawn(async move { theirs.put_new(&path, Bytes::from("1")).await });
    stopped.reached().await;
    assert_eq!(blobs.put_new(&key, Bytes::from("2")).await.expect("a put"), Put::Exists);
    stopped.release();
    assert_eq!(task.await.expect("a task").expect("a put"), Put::Created);
}

#[tokio::test]
async fn a_put_whose_answer_was_lost_can_be_repeated() {
    let (blobs, key) = (blobs(), BlobKey::Event(1));
    blobs.hooks().lose_answer(Call::PutNew, key.to_string());
    let lost = blobs.put_new(&key, Bytes::from("1")).await.expect_err("no answer");
    assert_eq!(lost.to_string(), "PutNew of `events/0000000001.json` failed");
    assert_eq!(blobs.put_new(&key, Bytes::from("1")).await.expect("a put"), Put::Exists);
    assert_eq!(blobs.hooks().count(Call::PutNew), 2);
}

#[tokio::test]
async fn calls_that_meet_take_effect_only_once_all_have_come() {
    let ledger = begun().await;
    ledger.hooks().meet(Call::Transact, 2);
    let commit = |name: &'static str| {
        let theirs = ledger.clone();
        async move { theirs.commit(&change(name, None, vec![put(name, Expect::Absent)]), now()).await }
    };
    let mut first = Box::pin(commit("first"));
    tokio::select! {
        biased;
        answer = &mut first => panic!("it did not wait: {answer:?}"),
        () = std::future::ready(()) => {}
    }
    let key = ItemKey::new("p", "first").expect("a key");
    assert_eq!(ledger.get(&key, now()).await.expect("an answer"), None);
    let (first, second) = tokio::join!(first, commit("second"));
    assert!(!first.expect("a commit").replayed && !second.expect("a commit").replayed);
    assert!(ledger.get(&key, now()).await.expect("an answer").is_some());
    commit("third").await.expect("nobody is waited for any more");
}
