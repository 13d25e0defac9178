//! Stored blobs that no event names.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream};
use stoa_core::{
    attestation::Attestations,
    digest::Digest,
    event::{Fact, Sealed},
    time::DAY,
};
use stoa_store::{
    blobs::{Area, BlobKey, Listed},
    ledger::LedgerError,
    sweep::{MAX_CONDEMNED, Sweep},
};

use super::{Collector, GcError, Ground, Group, Keep, Others, PARALLEL, Report};

/// From so long after its sentence on, in seconds, a collector without a lock is taken for dead.
const LEASE: i64 = DAY;
/// So long does a collector delete upon one sentence: a 24th of the lease, so that no clock and no pause of the machine
/// that is less than a day makes it delete what it has lost.
const DELETES: Duration = Duration::from_secs(60 * 60);
/// Events read at a time.
const EVENTS: usize = 512;

/// The blobs that events name, up to one place of the log.
#[derive(Default)]
struct Named {
    digests: BTreeSet<Digest>,
    seq: u64,
}

impl Named {
    fn take(&mut self, events: &[Sealed]) {
        for event in events {
            if let Fact::Released { releases, attestations } = &event.event().fact {
                self.digests.extend(attestations.values().flat_map(Attestations::blobs).map(|blob| blob.digest));
                self.digests.extend(releases.iter().flat_map(|release| release.blobs()).map(|blob| blob.digest));
            }
            self.seq = event.event().seq;
        }
    }
}

fn digest(row: &Listed) -> Option<Digest> {
    if let BlobKey::Store(digest) = row.key { Some(digest) } else { None }
}

impl Collector {
    pub(super) async fn collect_stored(&self, ground: &Ground, report: &mut Report) -> Result<(), GcError> {
        let rows = self.rows(Area::Store).await?;
        let mut named = Named::default();
        self.catch_up(&mut named).await?;
        let claimed = self.claims.claimed(ground.now).await.map_err(GcError::Claims)?.blobs;
        let mut going = Vec::new();
        for row in rows {
            match digest(&row) {
                Some(digest) if named.digests.contains(&digest) => report.keep(Group::Stored, Keep::Named, row.size),
                Some(digest) if claimed.contains(&digest) => report.keep(Group::Stored, Keep::Claimed, row.size),
                _ if row.modified > ground.young() => report.keep(Group::Stored, Keep::Young, row.size),
                _ => going.push(row),
            }
        }
        if ground.order.rehearse {
            going.iter().for_each(|row| report.collect(Group::Stored, row.size));
            return Ok(());
        }
        self.sweep(ground, &going, named, report).await
    }

    /// Condemns, looks again, deletes, lifts. Where a step fails the sentence stands: a deletion whose answer was lost
    /// may still come true.
    async fn sweep(
        &self,
        ground: &Ground,
        going: &[Listed],
        mut named: Named,
        report: &mut Report,
    ) -> Result<(), GcError> {
        let ledger = &*self.ledger;
        let mut sweep = Sweep::read(ledger, ground.now).await?;
        let others = sweep.until().filter(|until| ground.order.others == Others::Possible && ground.now < *until);
        match others {
            Some(until) if !going.is_empty() => return Err(GcError::Busy { until }),
            // The sentence of a dead one is lifted also where nothing else is to be done.
            None if sweep.until().is_some() || !going.is_empty() => {}
            _ => return Ok(()),
        }
        let until = ground.now.plus(LEASE);
        let began = Instant::now();
        for rows in going.chunks(MAX_CONDEMNED) {
            if began.elapsed() > DELETES {
                rows.iter().for_each(|row| report.keep(Group::Stored, Keep::Later, row.size));
                continue;
            }
            let condemned = rows.iter().filter_map(digest).collect();
            let passed = sweep.condemn(ledger, condemned, until, ground.now).await;
            sweep = passed.map_err(|error| match error {
                LedgerError::Conflict { .. } => GcError::Busy { until },
                error => error.into(),
            })?;
            // Whoever relied on one of them has committed before the sentence, and is seen now, or never commits.
            self.catch_up(&mut named).await?;
            let claimed = self.claims.claimed(ground.now).await.map_err(GcError::Claims)?.blobs;
            let deletions: Vec<_> = rows.iter().map(|row| self.carry_out(row, &named, &claimed, began)).collect();
            // All are answered before the first failure is told: none comes true when this run has ended.
            let outcomes: Vec<_> = stream::iter(deletions).buffer_unordered(PARALLEL).collect().await;
            for outcome in outcomes {
                let (size, stays) = outcome?;
                match stays {
                    Some(why) => report.keep(Group::Stored, why, size),
                    None => report.collect(Group::Stored, size),
                }
            }
        }
        sweep.lift(ledger, ground.now).await?;
        Ok(())
    }

    async fn carry_out(
        &self,
        row: &Listed,
        named: &Named,
        claimed: &BTreeSet<Digest>,
        began: Instant,
    ) -> Result<(u64, Option<Keep>), GcError> {
        let stays = match digest(row) {
            Some(digest) if named.digests.contains(&digest) => Some(Keep::Named),
            Some(digest) if claimed.contains(&digest) => Some(Keep::Claimed),
            // Looked at before each deletion, not once for all.
            _ if began.elapsed() > DELETES => Some(Keep::Later),
            _ => None,
        };
        if stays.is_none() {
            self.tree.blobs.delete(&row.key).await?;
        }
        Ok((row.size, stays))
    }

    /// Reads the events that are new.
    async fn catch_up(&self, named: &mut Named) -> Result<(), GcError> {
        loop {
            let events = self.ledger.events(named.seq, EVENTS).await?;
            named.take(&events);
            if events.len() < EVENTS {
                return Ok(());
            }
        }
    }
}
