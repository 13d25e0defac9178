//! Changes at once.

use std::{collections::BTreeSet, sync::Arc};

use tokio::task::JoinSet;

use super::{Expect, at, chain, commit, genesis, key, persist, purged, put, record, there, transaction, value, write};
use crate::{
    contract::Place,
    ledger::{Ledger, LedgerError},
};

const TASKS: u64 = 16;
const EACH: u64 = 4;

/// Handles for sixteen tasks: each two share one, so that both races within a process and between two are run.
async fn handles(place: &impl Place<dyn Ledger>) -> Vec<(u64, Arc<dyn Ledger>)> {
    let mut handles = Vec::new();
    for task in (0..TASKS).step_by(2) {
        let ledger = place.open().await;
        handles.push((task, Arc::clone(&ledger)));
        handles.push((task + 1, ledger));
    }
    handles
}

pub async fn of_sixteen_who_commit_at_once_each_lands_once(place: &impl Place<dyn Ledger>) {
    record(&*place.open().await, "genesis", genesis(), at(0)).await;
    let mut tasks = JoinSet::new();
    for (task, ledger) in handles(place).await {
        tasks.spawn(async move {
            let mut places = Vec::new();
            for each in 0..EACH {
                let number = task * EACH + each;
                let item = put(key("p", &number.to_string()), Expect::Absent, "v");
                let change = transaction(&number.to_string(), Some(purged(number)), vec![item]);
                let committed = persist(&*ledger, &change, at(0)).await.expect("a commit");
                places.push(committed.event.expect("an event").event().seq);
            }
            places
        });
    }
    let places: BTreeSet<u64> = tasks.join_all().await.into_iter().flatten().collect();
    let ledger = place.open().await;
    let events = chain(&*ledger).await;
    assert_eq!(events.len() as u64, 1 + TASKS * EACH);
    assert_eq!(places, (2..=1 + TASKS * EACH).collect());
    let facts: BTreeSet<&[u8]> = events.iter().map(|event| event.bytes()).collect();
    assert_eq!(facts.len(), events.len());
    assert_eq!(ledger.list("p", None, 1000, at(0)).await.expect("a list").len() as u64, TASKS * EACH);
}

pub async fn of_sixteen_who_expect_the_same_one_succeeds(place: &impl Place<dyn Ledger>) {
    let ledger = place.open().await;
    record(&*ledger, "genesis", genesis(), at(0)).await;
    write(&*ledger, "first", vec![put(key("p", "s"), Expect::Absent, "first")], at(0)).await;
    let mut tasks = JoinSet::new();
    for (task, ledger) in handles(place).await {
        tasks.spawn(async move {
            let item = put(key("p", "s"), Expect::Revision(1), &task.to_string());
            let outcome =
                persist(&*ledger, &transaction(&task.to_string(), Some(purged(task)), vec![item]), at(0)).await;
            match outcome {
                Ok(_) => Some(task),
                Err(LedgerError::Conflict { found: Some(2), .. }) => None,
                Err(other) => panic!("{other:?}"),
            }
        });
    }
    let winners: Vec<u64> = tasks.join_all().await.into_iter().flatten().collect();
    let [winner] = winners[..] else { panic!("{winners:?} all succeeded") };
    assert_eq!(value(&*ledger, &key("p", "s"), at(0)).await, there(&winner.to_string(), 2));
    assert_eq!(chain(&*ledger).await.len(), 2);
}

pub async fn sixteen_repetitions_at_once_are_carried_out_once(place: &impl Place<dyn Ledger>) {
    let ledger = place.open().await;
    record(&*ledger, "genesis", genesis(), at(0)).await;
    let change = transaction("once", Some(purged(1)), vec![put(key("p", "s"), Expect::Any, "v")]);
    let mut tasks = JoinSet::new();
    for (_, ledger) in handles(place).await {
        let change = change.clone();
        tasks.spawn(async move { persist(&*ledger, &change, at(0)).await.expect("a commit") });
    }
    let answers = tasks.join_all().await;
    assert_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1);
    let events = chain(&*ledger).await;
    assert_eq!(events.len(), 2);
    assert!(answers.iter().all(|answer| answer.event.as_ref() == Some(&events[1])));
    assert_eq!(value(&*ledger, &key("p", "s"), at(0)).await, there("v", 1));
}

pub async fn a_commit_that_nobody_waits_for_is_undone_or_whole(place: &impl Place<dyn Ledger>) {
    let ledger = place.open().await;
    record(&*ledger, "genesis", genesis(), at(0)).await;
    for number in 0..24u64 {
        let item = put(key("p", &number.to_string()), Expect::Absent, "v");
        let change = transaction(&number.to_string(), Some(purged(number)), vec![item]);
        let (theirs, ours) = (Arc::clone(&ledger), change.clone());
        let task = tokio::spawn(async move { theirs.commit(&ours, at(0)).await });
        // Dropped at another point each time: at once, after some turns, or when it is over.
        for _ in 0..number {
            tokio::task::yield_now().await;
        }
        task.abort();
        // The outcome is what a caller does not have who went away.
        let _ = task.await;
        commit(&*ledger, &change, at(0)).await;
    }
    assert_eq!(chain(&*ledger).await.len(), 25);
    let rows = ledger.list("p", None, 100, at(0)).await.expect("a list");
    assert_eq!(rows.iter().map(|(_, item)| item.revision).collect::<Vec<_>>(), [1; 24]);
}
