//! Random histories, carried out by an adapter and by a model that is plain enough to be right.

use std::{collections::BTreeMap, sync::Arc};

use stoa_core::{
    event::{Event, Head, Private, PrivatePart, Sealed},
    time::{DAY, Time},
};

use super::{
    Action, Committed, Expect, Item, ItemKey, Ledger, LedgerError, Transaction, Write, at, genesis, key, private,
    purged, transaction,
};
use crate::contract::{Choices, Place, noise};

/// Runs a few histories that are the same each time.
pub async fn random_histories_are_as_in_the_model(place: &impl Place<dyn Ledger>) {
    // One store has one history: it goes on where the one before ended.
    check_history(place, &noise(1, 1500)).await;
}

/// Carries out the history that `bytes` choose, upon an empty store, and compares every answer and all that is there
/// with the model.
///
/// # Panics
/// Where they differ.
pub async fn check_history(place: &impl Place<dyn Ledger>, bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let (mut ledger, mut model) = (place.open().await, Model::default());
    let mut history: Vec<Transaction> = Vec::new();
    let mut clock = 0;
    while !choices.is_over() {
        match choices.pick(16) {
            0 => clock += i64::from(choices.pick(4)),
            1 => clock -= i64::from(choices.pick(4)),
            2 if choices.pick(4) == 0 => clock += DAY,
            3 => ledger = place.open().await,
            4 => {
                let seq = u64::from(choices.pick(20));
                ledger.erase_private(seq).await.expect("an erasure");
                model.private.remove(&seq);
            }
            5 if !history.is_empty() => {
                let again = usize::from(choices.pick(255)) % history.len();
                step(&ledger, &mut model, &history[again], at(clock)).await;
            }
            6 if !history.is_empty() => {
                let taken = usize::from(choices.pick(255)) % history.len();
                let other =
                    Transaction { operation: history[taken].operation.clone(), ..some(&mut choices, &model, 0, clock) };
                step(&ledger, &mut model, &other, at(clock)).await;
            }
            _ => {
                let new = some(&mut choices, &model, history.len(), clock);
                step(&ledger, &mut model, &new, at(clock)).await;
                history.push(new);
            }
        }
    }
    compare(&*ledger, &model, at(clock)).await;
}

fn keys() -> Vec<ItemKey> {
    ["p", "q"].into_iter().flat_map(|p| ["a", "b", "c"].map(|s| key(p, s))).collect()
}

fn some(choices: &mut Choices<'_>, model: &Model, number: usize, clock: i64) -> Transaction {
    let draft = match (choices.pick(4), model.events.is_empty()) {
        (0 | 1, true) => Some(genesis()),
        (0 | 1, false) => {
            let mut draft = purged(number as u64);
            draft.private = (choices.pick(2) == 0).then(|| private(&number.to_string()).into());
            Some(draft)
        }
        _ => None,
    };
    let writes = (0..choices.pick(5)).map(|_| some_write(choices, model, number, clock)).collect();
    transaction(&format!("operation-{number}"), draft, writes)
}

fn some_write(choices: &mut Choices<'_>, model: &Model, number: usize, clock: i64) -> Write {
    let keys = keys();
    let key = keys[usize::from(choices.pick(6))].clone();
    let alive = model.alive(&key, at(clock));
    let expect = match choices.pick(12) {
        0 => Expect::Absent,
        1 => Expect::Present,
        2 => Expect::Revision(u64::from(choices.pick(4))),
        3 | 4 => Expect::Any,
        // Mostly what holds, for otherwise no transaction of several writes would.
        5 | 6 => alive.map_or(Expect::Absent, |_| Expect::Present),
        _ => alive.map_or(Expect::Absent, |item| Expect::Revision(item.revision)),
    };
    let action = match choices.pick(8) {
        0 => Action::Check,
        1 | 2 => Action::Delete,
        _ => Action::Put {
            value: format!("value {number}").into_bytes(),
            expires: (choices.pick(3) == 0).then(|| at(clock + i64::from(choices.pick(5)))),
        },
    };
    Write { key, expect, action }
}

/// The ledger as a few maps. What expired stays in it.
#[derive(Default)]
struct Model {
    items: BTreeMap<ItemKey, Item>,
    answers: BTreeMap<String, (Transaction, Option<Sealed>, Time)>,
    events: Vec<Sealed>,
    private: BTreeMap<u64, PrivatePart>,
}

impl Model {
    fn alive(&self, key: &ItemKey, now: Time) -> Option<&Item> {
        self.items.get(key).filter(|item| item.expires.is_none_or(|expires| expires > now))
    }

    fn head(&self) -> Head {
        self.events.last().map_or_else(Head::none, Sealed::head)
    }

    /// Carries a transaction out. With it: the keys whose revision is the adapter's to choose.
    fn commit(&mut self, change: &Transaction, now: Time) -> Result<(Committed, Vec<ItemKey>), LedgerError> {
        for (index, write) in change.writes.iter().enumerate() {
            if change.writes[..index].iter().any(|before| before.key == write.key) {
                return Err(LedgerError::DuplicateKey(write.key.clone()));
            }
            if write.expect == Expect::Any && write.action == Action::Check {
                return Err(LedgerError::EmptyCheck(write.key.clone()));
            }
        }
        if let Some((before, event, forgotten)) = self.answers.get(change.operation.as_str())
            && now < *forgotten
        {
            return match same(before, change) {
                true => Ok((Committed { event: event.clone(), replayed: true }, Vec::new())),
                false => Err(LedgerError::OperationReused(change.operation.clone())),
            };
        }
        // A genesis that comes second is refused for itself, whatever else is wrong.
        let event = change.draft.as_ref().map(|draft| Event::seal(draft, &self.head(), now)).transpose()?;
        for write in &change.writes {
            let found = self.alive(&write.key, now).map(|item| item.revision);
            let holds = match write.expect {
                Expect::Any => true,
                Expect::Absent => found.is_none(),
                Expect::Present => found.is_some(),
                Expect::Revision(revision) => found == Some(revision),
            };
            if !holds {
                return Err(LedgerError::Conflict { key: write.key.clone(), expected: write.expect, found });
            }
        }
        let free = change.writes.iter().filter_map(|write| self.apply(write, now)).collect();
        if let Some(event) = &event {
            let part = change.draft.as_ref().and_then(|draft| draft.private.as_ref());
            if let Some(part) = part.and_then(Private::kept) {
                self.private.insert(event.event().seq, part.clone());
            }
            self.events.push(event.clone());
        }
        self.answers.insert(change.operation.to_string(), (change.clone(), event.clone(), now.plus(DAY)));
        Ok((Committed { event, replayed: false }, free))
    }

    fn apply(&mut self, write: &Write, now: Time) -> Option<ItemKey> {
        match &write.action {
            Action::Check => None,
            Action::Delete => {
                self.items.remove(&write.key);
                None
            }
            Action::Put { value, expires } => {
                let alive = self.alive(&write.key, now).map_or(0, |item| item.revision);
                let left_over = alive == 0 && self.items.contains_key(&write.key);
                let item = Item { value: value.clone(), revision: alive + 1, expires: *expires };
                self.items.insert(write.key.clone(), item);
                (left_over && write.expect == Expect::Any).then(|| write.key.clone())
            }
        }
    }
}

/// Whether two transactions differ in nothing but what their event keeps private.
fn same(a: &Transaction, b: &Transaction) -> bool {
    let public = |change: &Transaction| change.draft.as_ref().map(|draft| (draft.actor.clone(), draft.fact.clone()));
    public(a) == public(b) && a.writes == b.writes
}

async fn step(ledger: &Arc<dyn Ledger>, model: &mut Model, change: &Transaction, now: Time) {
    let found = ledger.commit(change, now).await;
    match (found, model.commit(change, now)) {
        (Ok(found), Ok((expected, free))) => {
            assert_eq!(found, expected, "{change:?} at {now}");
            for key in free {
                // Long before it expires, for a clock that goes back may bring it to life again.
                let item = ledger.get(&key, Time::from_unix(0)).await.expect("a read");
                if let (Some(item), Some(ours)) = (item, model.items.get_mut(&key)) {
                    assert!(item.revision >= 1);
                    ours.revision = item.revision;
                }
            }
        }
        // Their `Debug` has every field, and they hold foreign errors that can not be compared.
        (Err(found), Err(expected)) => assert_eq!(format!("{found:?}"), format!("{expected:?}"), "{change:?} at {now}"),
        (found, expected) => panic!("{found:?} and not {expected:?} for {change:?} at {now}"),
    }
}

async fn compare(ledger: &dyn Ledger, model: &Model, now: Time) {
    let expected: Vec<_> = keys().iter().map(|key| model.alive(key, now).cloned()).collect();
    assert_eq!(ledger.get_many(&keys(), now).await.expect("a read"), expected);
    for partition in ["p", "q"] {
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let page = ledger.list(partition, after.as_deref(), 2, now).await.expect("a list");
            let full = page.len() == 2;
            after = page.last().map(|(key, _)| key.sort().to_owned());
            listed.extend(page);
            if !full {
                break;
            }
        }
        let alive = keys().into_iter().filter(|key| key.partition() == partition);
        let expected: Vec<_> = alive.filter_map(|key| Some((key.clone(), model.alive(&key, now)?.clone()))).collect();
        assert_eq!(listed, expected);
    }
    assert_eq!(super::chain(ledger).await, model.events);
    for event in &model.events {
        let seq = event.event().seq;
        assert_eq!(ledger.private_part(seq).await.expect("a read").as_ref(), model.private.get(&seq));
    }
}
