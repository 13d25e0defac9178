//! What keeps a collector of garbage and those who rely on stored blobs apart.
//!
//! A blob in `store/` that no event names may go, unless somebody relies on it at that very moment: a publish that found
//! its bytes there and is about to commit. Neither side can lock the other out, and a blob store compares nothing when it
//! deletes. So they meet in the ledger, at one item that lists what is condemned:
//!
//! - The collector condemns some digests, **then** reads which blobs events and begun publishes name, deletes the rest,
//!   and lifts the sentence when the last deletion was answered.
//! - A publish reads the item, **then** sees that its blobs are there, and commits only if the item is still the one
//!   that it read. While one of its own blobs is condemned it waits; blobs of others do not concern it.
//!
//! A commit before the sentence is seen by the collector; one after it fails, looks again, and finds what is really there.

use std::collections::BTreeSet;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use stoa_core::{canonical, digest::Digest, lock::Exact, time::Time};

use crate::{
    blobs::{EngineError, UploadId},
    ledger::{Action, Expect, ItemKey, Ledger, LedgerError, OperationId, Transaction, Write},
};

/// So many digests are condemned at once: who waits for their end waits for as many deletions, a second or so.
pub const MAX_CONDEMNED: usize = 128;

/// The item as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sweep {
    key: ItemKey,
    /// `None` before the first sweep. The item is never deleted, so that its revision never comes again.
    revision: Option<u64>,
    sentence: Sentence,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sentence {
    format: u32,
    condemned: BTreeSet<Digest>,
    /// When the collector that passed it has given up at the latest; `None` where it was lifted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<Time>,
}

impl Sweep {
    /// Reads the item.
    ///
    /// # Errors
    /// [`LedgerError::Corrupt`], [`LedgerError::Engine`].
    pub async fn read(ledger: &dyn Ledger, now: Time) -> Result<Self, LedgerError> {
        let key = ItemKey::new("garbage", "sweep")?;
        let Some(item) = ledger.get(&key, now).await? else {
            return Ok(Self { key, revision: None, sentence: Sentence::default() });
        };
        let sentence =
            serde_json::from_slice(&item.value).map_err(|error| LedgerError::corrupt(key.to_string(), error))?;
        Ok(Self { key, revision: Some(item.revision), sentence })
    }

    /// The digests that the collector may be deleting right now.
    pub fn condemned(&self) -> &BTreeSet<Digest> {
        &self.sentence.condemned
    }

    /// When the collector under way has given up at the latest; `None` where none is.
    pub fn until(&self) -> Option<Time> {
        self.sentence.until
    }

    /// The condition that the item is still the one that was read: what a commit that relies on stored blobs carries.
    pub fn unchanged(&self) -> Write {
        Write { key: self.key.clone(), expect: self.expect(), action: Action::Check }
    }

    /// Condemns these digests, some [`MAX_CONDEMNED`], in place of those that were.
    ///
    /// # Errors
    /// [`LedgerError::Conflict`] where another collector came first, [`LedgerError::TooLarge`] where the item can not
    /// hold them.
    pub async fn condemn(
        self,
        ledger: &dyn Ledger,
        condemned: BTreeSet<Digest>,
        until: Time,
        now: Time,
    ) -> Result<Self, LedgerError> {
        self.replace(ledger, Sentence { format: 1, condemned, until: Some(until) }, now).await
    }

    /// Lifts the sentence. Only for the collector that passed it, after its last deletion was answered.
    ///
    /// # Errors
    /// As [`Sweep::condemn`].
    pub async fn lift(self, ledger: &dyn Ledger, now: Time) -> Result<Self, LedgerError> {
        self.replace(ledger, Sentence { format: 1, ..Sentence::default() }, now).await
    }

    fn expect(&self) -> Expect {
        self.revision.map_or(Expect::Absent, Expect::Revision)
    }

    async fn replace(self, ledger: &dyn Ledger, sentence: Sentence, now: Time) -> Result<Self, LedgerError> {
        let value = canonical::to_bytes(&sentence).map_err(|error| LedgerError::Event(error.into()))?;
        let operation = OperationId::random().map_err(|e| LedgerError::engine("reading random bytes", e))?;
        let write =
            Write { key: self.key.clone(), expect: self.expect(), action: Action::Put { value, expires: None } };
        let transaction = Transaction { operation, draft: None, writes: vec![write] };
        let mut answer = ledger.commit(&transaction, now).await;
        if let Err(LedgerError::Engine { .. }) = &answer {
            // The answer was lost, perhaps: under the same id it is given again.
            answer = ledger.commit(&transaction, now).await;
        }
        answer?;
        let revision = self.revision.map_or(1, |revision| revision + 1);
        Ok(Self { revision: Some(revision), sentence, key: self.key })
    }
}

/// What begun publishes are about to rely on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claimed {
    /// Blobs that their records name.
    pub blobs: BTreeSet<Digest>,
    /// Where their uploads are.
    pub uploads: BTreeSet<UploadId>,
}

/// Knows the publishes that were begun.
#[async_trait]
pub trait Claims: Send + Sync {
    /// What they are about to rely on.
    ///
    /// # Errors
    /// The engine's.
    async fn claimed(&self, now: Time) -> Result<Claimed, EngineError>;
}

/// Makes kills final.
#[async_trait]
pub trait Kills: Send + Sync {
    /// Records that these releases, all of which are killed, lose these blobs for good. Nothing may be deleted before.
    /// Gives whether it did: one of them may have been restored meanwhile.
    ///
    /// # Errors
    /// The engine's; nothing was recorded, or it was and the answer is lost.
    async fn purge(&self, releases: &BTreeSet<Exact>, blobs: &BTreeSet<Digest>, now: Time)
    -> Result<bool, EngineError>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryLedger;

    const NOW: Time = Time::MAX;

    fn digests(count: usize) -> BTreeSet<Digest> {
        (0..count).map(|n| Digest::of(&n.to_be_bytes())).collect()
    }

    async fn commit(ledger: &MemoryLedger, write: Write) -> Result<(), LedgerError> {
        let operation = OperationId::random().expect("randomness");
        ledger.commit(&Transaction { operation, draft: None, writes: vec![write] }, NOW).await.map(drop)
    }

    #[tokio::test]
    async fn whoever_read_the_item_before_a_sentence_or_its_end_can_not_commit() {
        let ledger = MemoryLedger::in_memory();
        let before = Sweep::read(&ledger, NOW).await.expect("nothing yet");
        assert_eq!((before.condemned(), before.until()), (&BTreeSet::new(), None));
        commit(&ledger, before.unchanged()).await.expect("nothing has changed");

        let passed = before.clone().condemn(&ledger, digests(2), NOW, NOW).await.expect("a sentence");
        assert_eq!(Sweep::read(&ledger, NOW).await.expect("the item"), passed);
        let during = commit(&ledger, before.unchanged()).await.map_err(|e| e.to_string());
        assert_eq!(during, Err("`garbage/sweep` is at revision 1, and it was expected to be absent".to_owned()));

        let lifted = passed.clone().lift(&ledger, NOW).await.expect("the end");
        assert_eq!((lifted.condemned(), lifted.until()), (&BTreeSet::new(), None));
        let after = commit(&ledger, passed.unchanged()).await.map_err(|e| e.to_string());
        assert_eq!(after, Err("`garbage/sweep` is at revision 2, and it was expected to be at revision 1".to_owned()));
        commit(&ledger, lifted.unchanged()).await.expect("nothing has changed");
    }

    #[tokio::test]
    async fn of_two_collectors_one_condemns() {
        let ledger = MemoryLedger::in_memory();
        let read = Sweep::read(&ledger, NOW).await.expect("nothing yet");
        let first = read.clone().condemn(&ledger, digests(1), NOW, NOW).await.expect("a sentence");
        let second = read.condemn(&ledger, digests(2), NOW, NOW).await.map_err(|e| e.to_string());
        assert_eq!(second, Err("`garbage/sweep` is at revision 1, and it was expected to be absent".to_owned()));
        assert_eq!(Sweep::read(&ledger, NOW).await.expect("the item"), first);
    }
}
