//! The ledger in memory: DynamoDB's shape, without DynamoDB.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use stoa_core::time::Time;

use super::{Call, Hooks};
use crate::ledger::{
    Action, Expect, Item, ItemKey, LedgerError, Write,
    optimistic::{Engine, Optimistic, Page, Transacted},
    plan::Verdict,
};

/// A ledger in memory.
pub type MemoryLedger = Optimistic<MemoryEngine>;

impl MemoryLedger {
    /// An empty ledger.
    pub fn in_memory() -> Self {
        Self::new(MemoryEngine::default())
    }

    /// A ledger of its own with the same items, as a copy of a disk has them, and with no strings on it.
    #[must_use]
    pub fn fork(&self) -> Self {
        let items = Arc::new(Mutex::new(self.engine().lock().clone()));
        Self::new(MemoryEngine { items, hooks: Hooks::default() })
    }

    /// What a test can do to it.
    pub fn hooks(&self) -> &Hooks {
        &self.engine().hooks
    }
}

/// Items in memory, written a few at once. A clone holds the same items, as another process would.
#[derive(Debug, Clone, Default)]
pub struct MemoryEngine {
    items: Arc<Mutex<BTreeMap<ItemKey, Item>>>,
    hooks: Hooks,
}

impl MemoryEngine {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ItemKey, Item>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failure(what: &str) -> impl FnOnce(&'static str) -> LedgerError + Send {
    move |why| LedgerError::engine(what, why)
}

/// A page is cut after this many bytes of values, as DynamoDB cuts a query after 1 MB.
const PAGE_BYTES: usize = 1 << 20;

#[async_trait]
impl Engine for MemoryEngine {
    async fn read(&self, keys: &[ItemKey]) -> Result<Vec<Option<Item>>, LedgerError> {
        let name = keys.first().map(ToString::to_string).unwrap_or_default();
        let effect = || {
            let items = self.lock();
            Ok(keys.iter().map(|key| items.get(key).cloned()).collect())
        };
        self.hooks.run(Call::Read, &name, effect, failure("a read")).await
    }

    async fn transact(&self, name: &str, writes: &[Write], now: Time) -> Result<Transacted, LedgerError> {
        let effect = || {
            let mut items = self.lock();
            let verdicts: Vec<Verdict> = writes.iter().map(|write| judge(write, items.get(&write.key), now)).collect();
            if verdicts.iter().any(|verdict| *verdict != Verdict::Holds) {
                return Ok(Transacted::Refused(verdicts));
            }
            for write in writes {
                apply(&mut items, write);
            }
            Ok(Transacted::Done)
        };
        self.hooks.run(Call::Transact, name, effect, failure("a transaction")).await
    }

    async fn query(&self, partition: &str, after: Option<&str>, limit: usize) -> Result<Page, LedgerError> {
        let effect = || {
            let from = match after {
                Some(sort) => Bound::Excluded(ItemKey::stored(partition.to_owned(), sort.to_owned())),
                None => Bound::Included(ItemKey::stored(partition.to_owned(), String::new())),
            };
            let items = self.lock();
            let within = items.range((from, Bound::Unbounded)).take_while(|(key, _)| key.partition() == partition);
            let (mut page, mut bytes) = (Page { items: Vec::new(), more: false }, 0);
            for (key, item) in within {
                if page.items.len() == limit || bytes > PAGE_BYTES {
                    page.more = true;
                    break;
                }
                bytes += item.value.len();
                page.items.push((key.clone(), item.clone()));
            }
            Ok(page)
        };
        self.hooks.run(Call::Query, partition, effect, failure("a query")).await
    }
}

fn judge(write: &Write, item: Option<&Item>, now: Time) -> Verdict {
    let found = item.filter(|item| item.alive(now)).map(|item| item.revision);
    if write.expect.holds(found) { Verdict::Holds } else { Verdict::Failed(found) }
}

fn apply(items: &mut BTreeMap<ItemKey, Item>, write: &Write) {
    match &write.action {
        Action::Check => {}
        Action::Delete => {
            items.remove(&write.key);
        }
        Action::Put { value, expires } => {
            let revision = match write.expect {
                Expect::Absent => 1,
                // What is stored counts, expired or not: an update expression can not tell.
                Expect::Revision(_) | Expect::Present | Expect::Any => {
                    items.get(&write.key).map_or(1, |item| item.revision + 1)
                }
            };
            items.insert(write.key.clone(), Item { value: value.clone(), revision, expires: *expires });
        }
    }
}
