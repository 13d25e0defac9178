//! Killed releases: when their bytes may go, and the event that says so first.

use std::collections::BTreeSet;

use stoa_core::{event::MAX_RELEASES_PER_EVENT, lock::Exact, time::DAY};
use stoa_store::{ledger::LedgerError, sweep::Sweep};

use super::{Collector, GcError, Ground, Others, named::Named};

/// From so long after its sentence on, in seconds, a collector without a lock is taken for dead.
pub(super) const LEASE: i64 = DAY;

impl Collector {
    /// Reads the log, and makes the kills final that every snapshot from `floor` on knows of. Deletes nothing.
    ///
    /// What the event says may not be contradicted by a publish that commits at that moment and names the same bytes: they
    /// are condemned while it is decided.
    pub(super) async fn purge_killed(&self, ground: &Ground, floor: u64) -> Result<Named, GcError> {
        let mut named = Named::default();
        self.catch_up(&mut named).await?;
        let due: Vec<Exact> = named.due(floor);
        if ground.order.rehearse {
            named.suppose(&due.into_iter().collect());
            return Ok(named);
        }
        let mut sweep = match due.is_empty() {
            true => return Ok(named),
            false => Sweep::read(&*self.ledger, ground.now).await?,
        };
        if let Some(until) =
            sweep.until().filter(|until| ground.order.others == Others::Possible && ground.now < *until)
        {
            return Err(GcError::Busy { until });
        }
        let until = ground.now.plus(LEASE);
        for releases in due.chunks(MAX_RELEASES_PER_EVENT) {
            let releases: BTreeSet<Exact> = releases.iter().cloned().collect();
            let passed = sweep.condemn(&*self.ledger, named.only_of(&releases), until, ground.now).await;
            sweep = passed.map_err(|error| match error {
                LedgerError::Conflict { .. } => GcError::Busy { until },
                error => error.into(),
            })?;
            // Whoever relied on one of the blobs has committed before the sentence, and is seen now, or waits for its end.
            self.catch_up(&mut named).await?;
            let blobs = named.only_of(&releases);
            let claimed = self.claims.claimed(ground.now).await.map_err(GcError::Claims)?.blobs;
            if !claimed.is_disjoint(&blobs) {
                // A publish was begun that relies on some of it: another day.
                continue;
            }
            if !self.kills.purge(&releases, &blobs, ground.now).await.map_err(GcError::Kills)? {
                tracing::info!(releases = releases.len(), "killed releases were restored at this moment, and stay");
            }
        }
        sweep.lift(&*self.ledger, ground.now).await?;
        self.catch_up(&mut named).await?;
        Ok(named)
    }
}
