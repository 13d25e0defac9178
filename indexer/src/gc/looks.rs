//! When which snapshot was served: the only witness that a snapshot is served no more.
//!
//! No file says when a snapshot was replaced. It was written before it was served, perhaps long before: a run that died
//! before the pointer moved may be completed weeks later. So each collector notes what it found served, and when;
//! everything older than what was served a grace period ago was replaced before that.

use serde::{Deserialize, Serialize};
use stoa_core::{canonical, time::Time};
use stoa_store::ledger::{Action, Expect, ItemKey, Ledger, LedgerError, OperationId, Transaction, Write};

use super::{CLOCK_SLACK, Ground};

/// Two looks that are noted are at least this far apart, in seconds: 6 hours.
const APART: i64 = 6 * 60 * 60;
/// So many are kept: two months and more.
const MOST: usize = 256;

/// What collectors found served, oldest first, with what a write of it expects.
pub(super) struct Looks {
    list: List,
    expect: Expect,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    format: u32,
    looks: Vec<Look>,
}

/// At `at` this snapshot, or a newer one, was served: no older one was from then on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Look {
    at: Time,
    snapshot: u64,
}

fn key() -> Result<ItemKey, LedgerError> {
    Ok(ItemKey::new("garbage", "looks")?)
}

impl Looks {
    pub(super) async fn read(ledger: &dyn Ledger, now: Time) -> Result<Self, LedgerError> {
        match ledger.get(&key()?, now).await? {
            // Looks that can not be read are looks that nobody had: more is kept.
            Some(item) => {
                let list = serde_json::from_slice(&item.value).unwrap_or_default();
                Ok(Self { list, expect: Expect::Revision(item.revision) })
            }
            None => Ok(Self { list: List::default(), expect: Expect::Absent }),
        }
    }

    /// The oldest snapshot along which a host may be reading that synced within the grace period; 0 where that is not
    /// known.
    pub(super) fn floor(&self, ground: &Ground) -> u64 {
        if ground.order.grace == 0 {
            return ground.snapshot;
        }
        let before = ground.now.plus(-ground.order.grace).plus(-CLOCK_SLACK);
        let Some(last) = self.list.looks.iter().rposition(|look| look.at <= before) else { return 0 };
        // A tree that was put back served older ones again: then a later look saw less than an earlier one.
        self.list.looks[last..].iter().map(|look| look.snapshot).fold(ground.snapshot, u64::min)
    }

    /// Notes what is served now. Losing a race is no loss: another collector has noted it.
    pub(super) async fn note(mut self, ledger: &dyn Ledger, ground: &Ground) -> Result<(), LedgerError> {
        let looks = &mut self.list.looks;
        if looks.last().is_some_and(|last| ground.now < last.at.plus(APART)) {
            return Ok(());
        }
        looks.push(Look { at: ground.now, snapshot: ground.snapshot });
        looks.drain(..looks.len().saturating_sub(MOST));
        self.list.format = 1;
        let value = canonical::to_bytes(&self.list).map_err(|error| LedgerError::Event(error.into()))?;
        let write = Write { key: key()?, expect: self.expect, action: Action::Put { value, expires: None } };
        let operation = OperationId::random().map_err(|e| LedgerError::engine("reading random bytes", e))?;
        match ledger.commit(&Transaction { operation, draft: None, writes: vec![write] }, ground.now).await {
            Ok(_) | Err(LedgerError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
