//! A ledger upon an engine that writes a few items at once, all or nothing, and locks nothing.
//!
//! That is DynamoDB's shape: `BatchGetItem`, `TransactWriteItems` with a reason for each item, `Query`.

use std::time::Duration;

use async_trait::async_trait;
use stoa_core::{
    event::{Head, PrivatePart, Sealed},
    time::Time,
};

use super::{
    Action, Committed, Expect, Item, ItemKey, Ledger, LedgerError, MAX_KEYS, Transaction, Write,
    plan::{self, HeadItem, Next, Plan, Verdict},
};

/// How often a commit is tried before it is reported as busy. With waits of at most 64 ms, and of 32 ms on average,
/// that is within a second.
const ATTEMPTS: u32 = 32;

/// What became of some writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transacted {
    /// All took effect.
    Done,
    /// None took effect; a verdict for each, in their order.
    Refused(Vec<Verdict>),
    /// None took effect, for another transaction was under way on one of the items.
    Contended,
}

/// Items of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The items in order of their sort keys' bytes, expired ones included.
    pub items: Vec<(ItemKey, Item)>,
    /// Whether more may follow after the last one.
    pub more: bool,
}

/// An engine that writes a few items at once, all or nothing. It knows nothing of events.
#[async_trait]
pub trait Engine: Send + Sync {
    /// The items with these keys, in their order, expired or not; strongly consistent. Keys may repeat.
    ///
    /// # Errors
    /// [`LedgerError::Engine`].
    async fn read(&self, keys: &[ItemKey]) -> Result<Vec<Option<Item>>, LedgerError>;

    /// Carries out all writes if all conditions hold, and none otherwise. Items that expired at `now` are absent.
    ///
    /// A put writes revision 1 upon [`Expect::Absent`], the expected one + 1 upon [`Expect::Revision`], and otherwise
    /// one more than what the item has, expired or not. `name` is for the engine's own records.
    ///
    /// # Errors
    /// [`LedgerError::Engine`] where it is not known what became of the writes.
    async fn transact(&self, name: &str, writes: &[Write], now: Time) -> Result<Transacted, LedgerError>;

    /// At most `limit` items of a partition, those after `after`; strongly consistent.
    ///
    /// # Errors
    /// [`LedgerError::Engine`].
    async fn query(&self, partition: &str, after: Option<&str>, limit: usize) -> Result<Page, LedgerError>;
}

/// The ledger upon such an engine.
#[derive(Debug, Clone)]
pub struct Optimistic<E> {
    engine: E,
}

impl<E: Engine> Optimistic<E> {
    /// A ledger upon `engine`.
    pub fn new(engine: E) -> Self {
        Self { engine }
    }

    /// The engine below.
    pub fn engine(&self) -> &E {
        &self.engine
    }

    async fn one(&self, key: ItemKey) -> Result<Option<Item>, LedgerError> {
        Ok(self.engine.read(&[key]).await?.into_iter().next().flatten())
    }

    async fn head_item(&self) -> Result<HeadItem, LedgerError> {
        plan::read_head(self.one(plan::head_key()).await?.as_ref())
    }

    /// The answer that was kept for the operation; `None` where there is none.
    async fn replay(&self, transaction: &Transaction, now: Time) -> Result<Option<Committed>, LedgerError> {
        let kept = self.one(plan::operation_key(&transaction.operation)).await?;
        let Some(kept) = kept.filter(|item| item.alive(now)) else {
            return Ok(None);
        };
        let event = match plan::answered(transaction, &kept)? {
            None => None,
            Some(seq) => {
                let key = plan::event_key(seq);
                let item = self.one(key.clone()).await?;
                let item = item.ok_or_else(|| LedgerError::corrupt(key.to_string(), "it is not there"))?;
                Some(plan::read_event(&key, &item)?)
            }
        };
        Ok(Some(Committed { event, replayed: true }))
    }

    /// One attempt; `None` where another change came first.
    async fn attempt(&self, transaction: &Transaction, now: Time) -> Result<Option<Committed>, LedgerError> {
        let head = match transaction.draft {
            Some(_) => self.head_item().await?,
            // Without an event the head is neither read nor written.
            None => HeadItem { head: Head::none(), revision: 0 },
        };
        let plan = match Plan::of(transaction, &head, now) {
            Ok(plan) => plan,
            Err(refused @ LedgerError::Event(_)) => {
                return self.replay(transaction, now).await?.map(Some).ok_or(refused);
            }
            Err(refused) => return Err(refused),
        };
        match self.engine.transact(transaction.operation.as_str(), plan.writes(), now).await? {
            Transacted::Done => Ok(Some(Committed { event: plan.into_event(), replayed: false })),
            Transacted::Contended => Ok(None),
            Transacted::Refused(verdicts) => match plan.judge(&verdicts)? {
                Next::Again => Ok(None),
                Next::Replay => self.replay(transaction, now).await,
            },
        }
    }

    /// All pages of a query until `limit` items passed `keep`.
    async fn collect(
        &self,
        partition: &str,
        after: Option<&str>,
        limit: usize,
        keep: impl Fn(&Item) -> bool + Send,
    ) -> Result<Vec<(ItemKey, Item)>, LedgerError> {
        let (mut found, mut after) = (Vec::new(), after.map(str::to_owned));
        while found.len() < limit {
            let page = self.engine.query(partition, after.as_deref(), limit - found.len()).await?;
            after = page.items.last().map(|(key, _)| key.sort().to_owned()).or(after);
            found.extend(page.items.into_iter().filter(|(_, item)| keep(item)));
            if !page.more {
                break;
            }
        }
        Ok(found)
    }
}

/// Waits a random time of at most 2, 4, 8 … 64 ms, so that those who met do not meet again.
async fn back_off(attempt: u32) {
    let most = 1u64 << attempt.clamp(1, 6);
    // Without randomness all wait equally long, which is slower and still right.
    let wait = getrandom::u64().map_or(most, |random| random % (most + 1));
    tokio::time::sleep(Duration::from_millis(wait)).await;
}

#[async_trait]
impl<E: Engine> Ledger for Optimistic<E> {
    async fn commit(&self, transaction: &Transaction, now: Time) -> Result<Committed, LedgerError> {
        for attempt in 1..=ATTEMPTS {
            if let Some(committed) = self.attempt(transaction, now).await? {
                return Ok(committed);
            }
            back_off(attempt).await;
        }
        Err(LedgerError::Busy { attempts: ATTEMPTS })
    }

    async fn get_many(&self, keys: &[ItemKey], now: Time) -> Result<Vec<Option<Item>>, LedgerError> {
        if keys.len() > MAX_KEYS {
            return Err(LedgerError::TooManyKeys { found: keys.len() });
        }
        let items = self.engine.read(keys).await?;
        Ok(items.into_iter().map(|item| item.filter(|item| item.alive(now))).collect())
    }

    async fn list(
        &self,
        partition: &str,
        after: Option<&str>,
        limit: usize,
        now: Time,
    ) -> Result<Vec<(ItemKey, Item)>, LedgerError> {
        ItemKey::new(partition, "any")?;
        self.collect(partition, after, limit, |item| item.alive(now)).await
    }

    async fn head(&self) -> Result<Head, LedgerError> {
        Ok(self.head_item().await?.head)
    }

    async fn events(&self, after: u64, limit: usize) -> Result<Vec<Sealed>, LedgerError> {
        let after = plan::event_key(after);
        let items = self.collect(plan::EVENTS, Some(after.sort()), limit, |_| true).await?;
        let events: Vec<Sealed> =
            items.iter().map(|(key, item)| plan::read_event(key, item)).collect::<Result<_, _>>()?;
        plan::check_chain(&events)?;
        Ok(events)
    }

    async fn private_part(&self, seq: u64) -> Result<Option<PrivatePart>, LedgerError> {
        let item = self.one(plan::private_key(seq)).await?;
        item.map(|item| plan::read_private(seq, &item)).transpose()
    }

    async fn erase_private(&self, seq: u64) -> Result<(), LedgerError> {
        let write = Write { key: plan::private_key(seq), expect: Expect::Any, action: Action::Delete };
        for attempt in 1..=ATTEMPTS {
            let now = Time::from_unix(0);
            if self.engine.transact("erase-private", std::slice::from_ref(&write), now).await? == Transacted::Done {
                return Ok(());
            }
            back_off(attempt).await;
        }
        Err(LedgerError::Busy { attempts: ATTEMPTS })
    }
}
