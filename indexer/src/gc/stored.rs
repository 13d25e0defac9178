//! Stored blobs that no event names.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream};
use stoa_core::{digest::Digest, path::PublicPath};
use stoa_store::{
    blobs::{Area, BlobKey, Listed},
    ledger::LedgerError,
    sweep::{MAX_CONDEMNED, Sweep},
};

use super::{Collector, GcError, Ground, Group, Keep, Others, PARALLEL, Report, killed::LEASE, named::Named};

/// So long does a collector delete upon one sentence: a 24th of the lease, so that no clock and no pause of the machine
/// that is less than a day makes it delete what it has lost.
const DELETES: Duration = Duration::from_secs(60 * 60);
/// Events read at a time.
const EVENTS: usize = 512;

/// What became of a blob that was to go.
enum Fate {
    Stays(Keep),
    /// Whether there was a public copy, which went too.
    Went {
        public: bool,
    },
}

fn digest(row: &Listed) -> Option<Digest> {
    if let BlobKey::Store(digest) = row.key { Some(digest) } else { None }
}

impl Collector {
    pub(super) async fn collect_stored(
        &self,
        ground: &Ground,
        named: Named,
        report: &mut Report,
    ) -> Result<(), GcError> {
        let rows = self.rows(Area::Store).await?;
        let claimed = self.claims.claimed(ground.now).await.map_err(GcError::Claims)?.blobs;
        let mut going = Vec::new();
        for row in rows {
            match digest(&row) {
                Some(digest) if named.needs(&digest) => report.keep(Group::Stored, Keep::Named, row.size),
                Some(digest) if claimed.contains(&digest) => report.keep(Group::Stored, Keep::Claimed, row.size),
                _ if row.modified > ground.young() => report.keep(Group::Stored, Keep::Young, row.size),
                _ => going.push(row),
            }
        }
        if ground.order.rehearse {
            for row in &going {
                let public = digest(row).is_some_and(|digest| named.is_gone(&digest));
                public.then(|| report.collect(Group::Artifacts, row.size));
                report.collect(Group::Stored, row.size);
            }
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
                match outcome? {
                    (size, Fate::Stays(why)) => report.keep(Group::Stored, why, size),
                    (size, Fate::Went { public }) => {
                        public.then(|| report.collect(Group::Artifacts, size));
                        report.collect(Group::Stored, size);
                    }
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
    ) -> Result<(u64, Fate), GcError> {
        let stays = match digest(row) {
            Some(digest) if named.needs(&digest) => Some(Keep::Named),
            Some(digest) if claimed.contains(&digest) => Some(Keep::Claimed),
            // Looked at before each deletion, not once for all.
            _ if began.elapsed() > DELETES => Some(Keep::Later),
            _ => None,
        };
        if let Some(why) = stays {
            return Ok((row.size, Fate::Stays(why)));
        }
        let mut public = false;
        if let Some(digest) = digest(row).filter(|digest| named.is_gone(digest)) {
            // First the public copy: who finds the stored one knows that there may be a public one still.
            let key = BlobKey::Public(PublicPath::Artifact(digest));
            public = self.tree.blobs.head(&key).await?.is_some();
            self.tree.blobs.delete(&key).await?;
        }
        self.tree.blobs.delete(&row.key).await?;
        Ok((row.size, Fate::Went { public }))
    }

    /// Reads the events that are new.
    pub(super) async fn catch_up(&self, named: &mut Named) -> Result<(), GcError> {
        loop {
            let events = self.ledger.events(named.seq, EVENTS).await?;
            named.take(&events);
            if events.len() < EVENTS {
                return Ok(());
            }
        }
    }
}
