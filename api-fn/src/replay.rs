//! Appending archived events to a ledger that lacks them.
//!
//! The archive has events and no state. What the API had written beside each event follows from the fact, from the state
//! before it and from the blobs of its releases; so [`append`] plans it by the very code that plans a request, and appends
//! the very same bytes. State equals what the API left, but for two marks that only shorten a search: `after` of a release
//! or a yank is the place before its event, where the API may have written an earlier one; `created_at` of a namespace is
//! its event's time. Private state (API keys, open publishes) is not in the log, and is not made.

use std::collections::{BTreeMap, BTreeSet};

use stoa_core::{
    advisory::{Advisory, AdvisoryId},
    component::InspectError,
    digest::Digest,
    event::{Event, EventError, Fact, Sealed},
    id::{Namespace, PluginId},
    publisher::{PublisherError, Publishers, Statement},
    release::{BlobRef, Release},
    version::Version,
};
use stoa_store::{
    blobs::{BlobError, BlobKey, Blobs},
    ledger::{Expect, Ledger, LedgerError, OperationId, Transaction, Write},
};

use crate::{
    change::{self, Keys, Turn, Verb},
    items::{self, Kept},
    problem::{Code, Problem},
    publish::{
        facts,
        gather::gather,
        plan,
        set::{Attested, Candidate, Set},
    },
    purge,
    standing::{self, Change, Ground, Subject, advisory_writes},
    state::{AdvisoryItem, CertifiedItem, PluginItem, PublishersItem, ReleaseItem},
};

/// Why an archived event was not appended; nothing was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// It does not follow the ledger's head.
    #[error(transparent)]
    Place(#[from] EventError),
    /// A blob that it names is not in `store/`.
    #[error("event {seq} names the blob {digest}, which is not there")]
    Missing {
        /// The event.
        seq: u64,
        /// The blob.
        digest: Digest,
    },
    /// A component that was accepted once is not accepted by this program.
    #[error("the component {digest} of event {seq} can not be read")]
    Component {
        /// The event.
        seq: u64,
        /// The component.
        digest: Digest,
        /// Why.
        source: InspectError,
    },
    /// The fact does not fit the state: the archive is not one that the API wrote.
    #[error("event {seq} does not fit the state before it")]
    State {
        /// The event.
        seq: u64,
        /// Why.
        source: Box<Problem>,
    },
    /// It speaks of a release that is not there.
    #[error("event {seq} speaks of `{id}` {version}, which is not there")]
    Unknown {
        /// The event.
        seq: u64,
        /// The plugin.
        id: PluginId,
        /// The version.
        version: Version,
    },
    /// The event is of a kind that this program does not know.
    #[error("event {0} is of a kind that this program does not know")]
    Kind(u64),
    /// The ledger.
    #[error("the ledger did not take an archived event")]
    Ledger(#[from] LedgerError),
    /// The blobs.
    #[error("the blobs of an archived event can not be read")]
    Blobs(#[from] BlobError),
}

/// Appends `event`, which follows the head of `ledger`, with everything that the API had written beside it. The blobs
/// of its releases have to be in `store/`, but for those that are `gone`: purged by a later event. Nobody else may write
/// to the ledger meanwhile.
///
/// # Errors
/// [`ReplayError`]; nothing was written.
pub async fn append(
    ledger: &dyn Ledger,
    blobs: &dyn Blobs,
    event: &Sealed,
    gone: &BTreeSet<Digest>,
) -> Result<(), ReplayError> {
    let head = ledger.head().await?;
    event.follows(&head)?;
    let (seq, now) = (event.event().seq, event.event().time);
    let writes = Planning { ledger, blobs, event, gone }.writes().await?;
    let draft = event.event().draft();
    // Before anything is written: the ledger will seal these very bytes.
    if Event::seal(&draft, &head, now)? != *event {
        let rule = "it is not what a ledger makes of its fact".to_owned();
        return Err(ReplayError::Place(EventError::Fact { seq, rule }));
    }
    let operation: OperationId = items::operation("replay", &[seq.to_string(), head.hash.to_string()])
        .map_err(|problem| ReplayError::State { seq, source: Box::new(problem) })?;
    ledger.commit(&Transaction { operation, draft: Some(draft), writes }, now).await?;
    Ok(())
}

struct Planning<'a> {
    ledger: &'a dyn Ledger,
    blobs: &'a dyn Blobs,
    event: &'a Sealed,
    gone: &'a BTreeSet<Digest>,
}

impl Planning<'_> {
    fn state(&self, problem: Problem) -> ReplayError {
        ReplayError::State { seq: self.event.event().seq, source: Box::new(problem) }
    }

    async fn writes(&self) -> Result<Vec<Write>, ReplayError> {
        let event = self.event.event();
        match &event.fact {
            Fact::Genesis { .. } | Fact::OfflineInstalled { .. } | Fact::Epoch { .. } => Ok(Vec::new()),
            Fact::Purged { releases, .. } => {
                let releases = releases.iter().cloned().collect();
                let planned = purge::plan(self.ledger, &releases, event.time).await;
                planned.map(|planned| planned.writes).map_err(|problem| self.state(problem))
            }
            Fact::NamespaceCreated { namespace } => {
                let item = change::namespace_item(namespace, event.actor.clone(), event.time);
                change::namespace_writes(&item).map_err(|problem| self.state(problem))
            }
            Fact::Released { releases, attestations } => self.released(releases, attestations).await,
            Fact::PublisherStated { namespace, .. } | Fact::PublisherKeyRevoked { namespace, .. } => {
                self.keys(namespace).await
            }
            Fact::Yanked { id, version, reason } => self.turned(id, version, Verb::Yank, reason).await,
            Fact::Unyanked { id, version, reason } => self.turned(id, version, Verb::Unyank, reason).await,
            Fact::TakenDown { id, version, measure, cause, reason } => {
                let change = Change::TakeDown { measure: *measure, cause: *cause, reason };
                self.moved(Subject { id, version: version.as_ref() }, change).await
            }
            Fact::Restored { id, version, reason } => {
                self.moved(Subject { id, version: version.as_ref() }, Change::Restore { reason }).await
            }
            Fact::Appealed { id, version, reason } => {
                self.moved(Subject { id, version: version.as_ref() }, Change::Appeal { reason }).await
            }
            Fact::Certified { id, version, level, reason } => {
                let (plugin, release) = (self.plugin(id).await?, self.release(id, version).await?);
                let after = event.seq.saturating_sub(1);
                let item = CertifiedItem { level: *level, reason: reason.clone(), after };
                let planned = standing::certified(plugin, &release, (*level > 0).then_some(item));
                planned.map(|(_, writes)| writes).map_err(|problem| self.state(problem))
            }
            Fact::AdvisoryPublished { id, advisory } => self.advised(id, &advisory.id, Some(advisory)).await,
            Fact::AdvisoryWithdrawn { id, advisory, .. } => self.advised(id, advisory, None).await,
            _ => Err(ReplayError::Kind(event.seq)),
        }
    }

    async fn keys(&self, namespace: &Namespace) -> Result<Vec<Write>, ReplayError> {
        let (ledger, event) = (self.ledger, self.event.event());
        let kept: Option<Kept<PublishersItem>> =
            items::get(ledger, namespace, event.time).await.map_err(|problem| self.state(problem))?;
        let refused = |error: PublisherError| self.state(Problem::new(Code::StatementRefused, error.to_string()));
        let (before, expect) = match (kept, &event.fact) {
            (Some(kept), _) => (kept.value.publishers, Expect::Revision(kept.revision)),
            (None, Fact::PublisherStated { statement, .. }) => {
                let said = Statement::read(statement).map_err(refused)?;
                (Publishers::none(said.registry, namespace.clone()), Expect::Absent)
            }
            (None, _) => {
                let problem = Problem::new(Code::StatementRefused, format!("`{namespace}` has no keys"));
                return Err(self.state(problem));
            }
        };
        let keys = Keys { fact: &event.fact, after: event.seq.saturating_sub(1), at: event.time };
        let changed = keys.changed(before).map_err(refused)?;
        change::publishers_write(&changed, expect).map(|write| vec![write]).map_err(|problem| self.state(problem))
    }

    async fn released(&self, releases: &[Release], attestations: &Attested) -> Result<Vec<Write>, ReplayError> {
        let event = self.event.event();
        let set = Set::accepted(releases.to_vec(), attestations.clone()).map_err(|problem| self.state(problem))?;
        let mut found = BTreeMap::new();
        for candidate in set.candidates() {
            let release = &candidate.release;
            found.insert(release.id.clone(), self.facts(candidate).await?);
        }
        let gathered = gather(self.ledger, &set, event.time).await.map_err(|problem| self.state(problem))?;
        let fresh: Vec<_> = set.candidates().iter().collect();
        let planned = plan::transaction(event.actor.clone(), &fresh, &gathered, &found);
        planned.map(|(_, writes)| writes).map_err(|problem| self.state(problem))
    }

    /// What the API had found in the component, after a check that everything which the release names is there.
    async fn facts(&self, candidate: &Candidate) -> Result<facts::Facts, ReplayError> {
        let seq = self.event.event().seq;
        let release = &candidate.release;
        for blob in candidate.blobs() {
            let there = self.blobs.head(&BlobKey::Store(blob.digest)).await?;
            let purged = there.is_none() && self.gone.contains(&blob.digest);
            if !purged && there.is_none_or(|meta| meta.size != blob.size) {
                return Err(ReplayError::Missing { seq, digest: blob.digest });
            }
        }
        let BlobRef { digest, size } = release.artifact;
        let missing = ReplayError::Missing { seq, digest };
        let component = match self.blobs.get(&BlobKey::Store(digest), size).await? {
            Some(component) => component.bytes,
            // The purge that follows takes what is known of its functions, too.
            None if self.gone.contains(&digest) => return Ok(facts::Facts::default()),
            None => return Err(missing),
        };
        if Digest::of(&component) != digest {
            return Err(ReplayError::Missing { seq, digest });
        }
        let inspected = tokio::task::spawn_blocking(move || facts::exported(&component)).await;
        let exports = inspected
            .map_err(|error| self.state(Problem::internal(&error)))?
            .map_err(|source| ReplayError::Component { seq, digest, source })?;
        Ok(facts::Facts { exports, ..facts::Facts::default() })
    }

    /// The item of the plugin that the event speaks of.
    async fn plugin(&self, id: &PluginId) -> Result<Kept<PluginItem>, ReplayError> {
        let event = self.event.event();
        let found = items::get(self.ledger, id, event.time).await.map_err(|problem| self.state(problem))?;
        found.ok_or_else(|| self.state(Problem::new(Code::PluginUnknown, format!("there is no plugin `{id}`"))))
    }

    /// The item of the release that the event speaks of.
    async fn release(&self, id: &PluginId, version: &Version) -> Result<Kept<ReleaseItem>, ReplayError> {
        let event = self.event.event();
        let found = items::get(self.ledger, (id, version), event.time).await.map_err(|problem| self.state(problem))?;
        found.ok_or_else(|| ReplayError::Unknown { seq: event.seq, id: id.clone(), version: version.clone() })
    }

    async fn moved(&self, subject: Subject<'_>, change: Change<'_>) -> Result<Vec<Write>, ReplayError> {
        let event = self.event.event();
        let plugin = self.plugin(subject.id).await?;
        let release = match subject.version {
            Some(version) => Some(self.release(subject.id, version).await?),
            None => None,
        };
        let planned = Ground { plugin, release }.writes(subject, change, event.seq.saturating_sub(1));
        planned.map(|(_, writes)| writes).map_err(|problem| self.state(problem))
    }

    /// `None`: it was withdrawn.
    async fn advised(
        &self,
        id: &PluginId,
        name: &AdvisoryId,
        advisory: Option<&Advisory>,
    ) -> Result<Vec<Write>, ReplayError> {
        let event = self.event.event();
        let plugin = self.plugin(id).await?;
        let found = items::get(self.ledger, (id, name), event.time).await;
        let before: Option<Kept<AdvisoryItem>> = found.map_err(|problem| self.state(problem))?;
        let known = || before.as_ref().map(|before| before.value.advisory.clone());
        let said = advisory
            .cloned()
            .or_else(known)
            .ok_or_else(|| self.state(Problem::new(Code::AdvisoryUnknown, format!("`{id}` has no advisory {name}"))))?;
        let withdrawn = advisory.is_none();
        let item = AdvisoryItem { format: 1, advisory: said, withdrawn, after: event.seq.saturating_sub(1) };
        advisory_writes(plugin, before.as_ref(), &item).map_err(|problem| self.state(problem))
    }

    async fn turned(
        &self,
        id: &PluginId,
        version: &Version,
        verb: Verb,
        reason: &str,
    ) -> Result<Vec<Write>, ReplayError> {
        let (ledger, event) = (self.ledger, self.event.event());
        let unknown = || ReplayError::Unknown { seq: event.seq, id: id.clone(), version: version.clone() };
        let plugin: Option<Kept<PluginItem>> =
            items::get(ledger, id, event.time).await.map_err(|problem| self.state(problem))?;
        let release: Option<Kept<ReleaseItem>> =
            items::get(ledger, (id, version), event.time).await.map_err(|problem| self.state(problem))?;
        let (plugin, release) = plugin.zip(release).ok_or_else(unknown)?;
        let after = ledger.head().await?.seq;
        let turn = Turn { id, version, verb, reason, after };
        turn.writes(plugin, &release).map_err(|problem| self.state(problem))
    }
}
