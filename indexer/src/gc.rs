//! Garbage: what is collected, and what stays for which reason.
//!
//! Time decides about comfort only: how long a host that synced once may go on reading, how long a begun publish may
//! rely on bytes that are there already. What the registry itself needs is told by places in the log and by names:
//!
//! - **Trust files and documents** carry the seq of their last event. Above the signed head they belong to a run that may
//!   be under way: they stay. Up to it, no run that can still be signed makes anything but what the served snapshot lists.
//! - **Older snapshots** stay while a host may be reading along them (`looks.rs` has how that is known).
//! - **Stored blobs** go if no event names them, and then by way of [`stoa_store::sweep`].
//! - **Killed releases** lose their blobs, stored and public, once no snapshot that stays lists them, and once an event says
//!   so (`killed.rs`).
//! - Other artifacts, offline roles, pages, assets and the archive of the log are never collected.

mod killed;
mod looks;
mod named;
mod reach;
mod report;
mod stored;

use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use stoa_core::{
    document::Document,
    event::Head,
    path::PublicPath,
    publisher::Publishers,
    time::{DAY, Time},
};
use stoa_store::{
    blobs::{Area, BlobKey, Blobs, EngineError, Listed},
    ledger::{Ledger, LedgerError},
    sweep::{Claims, Kills},
};

use crate::{error::IndexerError, run::continued, tree::Tree};
use looks::Looks;
use named::Named;
use reach::{Judgement, Reach};
pub use report::{Group, Keep, Report, Tally};

/// Hosts that synced within this time find what they may ask for: 7 days, as long as a timestamp is good.
pub const GRACE: i64 = 7 * DAY;
/// Uploads expire in a day; one that nobody claims goes after twice that, so that two clocks may differ.
const UPLOADS_LAST: i64 = 2 * DAY;
/// Clocks may differ by so much: 10 minutes.
const CLOCK_SLACK: i64 = 10 * 60;
/// Rows of a listing read at a time.
const ROWS: usize = 1000;
/// Objects read or deleted at a time.
const PARALLEL: usize = 16;

/// Whether another collector may be at work on the same registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// One may be. A sweep that one of them began is respected until it has given up.
    Possible,
    /// None is: the caller holds a lock that every collector of this registry takes. A sweep under way is a dead one's.
    Excluded,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// For how long, in seconds, what was served stays. Zero cuts off every host that did not sync since.
    pub grace: i64,
    /// Changes nothing, and reports what would go.
    pub rehearse: bool,
    /// Whether another collector may be at work.
    pub others: Others,
}

/// Why nothing, or nothing more, was collected. What was deleted until then was garbage.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GcError {
    /// The index can not be read, or does not hold.
    #[error(transparent)]
    Index(#[from] IndexerError),
    /// The claims of begun publishes can not be read.
    #[error("the begun publishes can not be read")]
    Claims(#[source] EngineError),
    /// The end of killed releases can not be recorded.
    #[error("the end of killed releases can not be recorded")]
    Kills(#[source] EngineError),
    /// Nothing is signed: nobody can say what is garbage.
    #[error("there is no signed index: what it reaches can not be told")]
    Unsigned,
    /// The clock contradicts what was signed.
    #[error("the clock says {now}, and {what} {at}: nothing was collected")]
    Clock {
        /// What the clock says.
        now: Time,
        /// What it contradicts.
        what: &'static str,
        /// The other time.
        at: Time,
    },
    /// The archive of the log has events that the ledger has not: some were lost, and may be brought back.
    #[error("the archive has event {archived}, and the ledger ends at {ledger}: nothing was collected")]
    Lost {
        /// The last event of the archive.
        archived: u64,
        /// The ledger's last event.
        ledger: u64,
    },
    /// Another collector is at work, or died without a lock that would show it.
    #[error("another collector is at work; by {until} it has ended or given up")]
    Busy {
        /// From then on its sweep is taken for dead.
        until: Time,
    },
}

impl From<LedgerError> for GcError {
    fn from(error: LedgerError) -> Self {
        Self::Index(error.into())
    }
}

impl From<stoa_store::blobs::BlobError> for GcError {
    fn from(error: stoa_store::blobs::BlobError) -> Self {
        Self::Index(error.into())
    }
}

/// Collects the garbage of one registry. Needs no key.
#[derive(Clone)]
pub struct Collector {
    ledger: Arc<dyn Ledger>,
    tree: Tree,
    claims: Arc<dyn Claims>,
    kills: Arc<dyn Kills>,
    /// The first root: what a client pins.
    root: Arc<[u8]>,
}

impl std::fmt::Debug for Collector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Collector")
    }
}

/// What a run rests on, read before anything else.
struct Ground {
    now: Time,
    order: Order,
    /// Where the signed index ends.
    signed: Head,
    /// The served snapshot.
    snapshot: u64,
}

impl Ground {
    /// What was put later than this is young, and stays.
    fn young(&self) -> Time {
        self.now.plus(-self.order.grace)
    }
}

impl Collector {
    /// A collector for the registry with this first root, whose begun publishes `claims` knows, and whose killed releases
    /// `kills`.
    pub fn new(
        ledger: Arc<dyn Ledger>,
        blobs: Arc<dyn Blobs>,
        claims: Arc<dyn Claims>,
        kills: Arc<dyn Kills>,
        root: &[u8],
    ) -> Self {
        Self { ledger, tree: Tree::new(blobs), claims, kills, root: root.into() }
    }

    /// Collects once.
    ///
    /// It may run beside publishes, indexers and other collectors, and be cut off anywhere.
    ///
    /// # Errors
    /// [`GcError`]. What was deleted until then was garbage.
    pub async fn run(&self, order: Order, now: Time) -> Result<Report, GcError> {
        let ground = self.ground(order, now).await?;
        let looks = Looks::read(&*self.ledger, now).await?;
        let floor = looks.floor(&ground);
        let mut report = Report::new(ground.signed.seq, floor);
        self.check_archive(&mut report).await?;
        let named = self.purge_killed(&ground, floor).await?;
        self.collect_public(&ground, floor, &named, &mut report).await?;
        self.collect_stored(&ground, named, &mut report).await?;
        self.collect_uploads(&ground, &mut report).await?;
        if !order.rehearse {
            looks.note(&*self.ledger, &ground).await?;
        }
        Ok(report)
    }

    /// Reads the pointer as a client would, and holds it against ledger and clock.
    async fn ground(&self, order: Order, now: Time) -> Result<Ground, GcError> {
        let (_, pointer) = self.tree.timestamp().await?.ok_or(GcError::Unsigned)?;
        let clock = |what, at| Err(GcError::Clock { now, what, at });
        if now >= pointer.expires {
            return clock("the signed index ran out at", pointer.expires);
        }
        let signed_at = pointer.expires.plus(-stoa_core::index::TIMESTAMP_LIFETIME);
        if now.plus(CLOCK_SLACK) < signed_at {
            return clock("the index was signed at", signed_at);
        }
        let client = self.tree.read_as_client(&self.root, &Default::default(), now).await?;
        let covered = client.snapshot().and_then(|snapshot| Some((snapshot.version(), snapshot.head()?)));
        let (snapshot, head) = covered.ok_or(GcError::Unsigned)?;
        let signed = continued(&*self.ledger, head.seq, head.head).await?;
        if now.plus(CLOCK_SLACK) < signed.time {
            return clock("the last signed event is of", signed.time);
        }
        Ok(Ground { now, order, signed, snapshot })
    }

    /// What lost events name is garbage to the ledger, and may be needed to replay them.
    async fn check_archive(&self, report: &mut Report) -> Result<(), GcError> {
        let rows = self.rows(Area::Events).await?;
        rows.iter().for_each(|row| report.keep(Group::Events, Keep::Permanent, row.size));
        let archived =
            rows.iter().filter_map(|row| if let BlobKey::Event(seq) = row.key { Some(seq) } else { None }).max();
        // Read after the listing: what is archived was in the ledger before.
        let ledger = self.ledger.head().await?.seq;
        match archived.filter(|archived| *archived > ledger) {
            Some(archived) => Err(GcError::Lost { archived, ledger }),
            None => Ok(()),
        }
    }

    async fn collect_public(
        &self,
        ground: &Ground,
        floor: u64,
        named: &Named,
        report: &mut Report,
    ) -> Result<(), GcError> {
        let rows = self.rows(Area::Public).await?;
        let reach = Reach::of(&self.tree, ground, floor, &rows).await?;
        let (mut going, mut asked) = (Vec::new(), Vec::new());
        for row in rows {
            let BlobKey::Public(path) = &row.key else { continue };
            if matches!(path, PublicPath::Artifact(digest) if named.is_gone(digest)) {
                // It goes with the stored one, if that may go.
                continue;
            }
            match reach.judge(path, row.modified) {
                Judgement::Keep(group, why) => report.keep(group, why, row.size),
                Judgement::Collect(group) => going.push((group, row)),
                Judgement::Ask => asked.push(row),
            }
        }
        let asked: Vec<_> = asked.into_iter().map(|row| self.ask(&reach, row)).collect();
        let answers: Vec<_> = stream::iter(asked).buffered(PARALLEL).try_collect().await?;
        for (row, stays) in answers {
            match stays {
                Some(why) => report.keep(Group::Documents, why, row.size),
                None => going.push((Group::Documents, row)),
            }
        }
        // Snapshots before what they list, bins before documents: a snapshot that is still there has all of it.
        for group in [Group::Snapshots, Group::Bins, Group::Documents] {
            let rows: Vec<_> = going.iter().filter(|(found, _)| *found == group).map(|(_, row)| row).collect();
            self.delete(ground, group, rows, report).await?;
        }
        Ok(())
    }

    /// Reads a document that nothing reaches, for the seq that it carries. Gives why it stays, if it does.
    async fn ask(&self, reach: &Reach, row: Listed) -> Result<(Listed, Option<Keep>), GcError> {
        let blob = self.tree.blobs.get(&row.key, u64::MAX).await?;
        let seq = blob.and_then(|blob| match &row.key {
            BlobKey::Public(PublicPath::Document(id, _)) => Some(Document::read(id, &blob.bytes).ok()?.seq),
            BlobKey::Public(PublicPath::Publishers(namespace, _)) => {
                Some(Publishers::read(namespace, &blob.bytes).ok()?.seq)
            }
            _ => None,
        });
        // Of a newer format, damaged, or gone meanwhile.
        let stays = seq.map_or(Some(Keep::Unknown), |seq| reach.document(seq));
        Ok((row, stays))
    }

    async fn collect_uploads(&self, ground: &Ground, report: &mut Report) -> Result<(), GcError> {
        let rows = self.rows(Area::Upload).await?;
        let claimed = self.claims.claimed(ground.now).await.map_err(GcError::Claims)?;
        let mut going = Vec::new();
        for row in &rows {
            match row.key {
                BlobKey::Upload(id) if claimed.uploads.contains(&id) => {
                    report.keep(Group::Uploads, Keep::Claimed, row.size);
                }
                _ if row.modified.plus(UPLOADS_LAST) > ground.now => report.keep(Group::Uploads, Keep::Young, row.size),
                _ => going.push(row),
            }
        }
        self.delete(ground, Group::Uploads, going, report).await
    }

    async fn delete(
        &self,
        ground: &Ground,
        group: Group,
        rows: Vec<&Listed>,
        report: &mut Report,
    ) -> Result<(), GcError> {
        if !ground.order.rehearse {
            let deletions: Vec<_> = rows.iter().map(|row| self.tree.blobs.delete(&row.key)).collect();
            stream::iter(deletions).buffer_unordered(PARALLEL).try_collect::<()>().await?;
        }
        rows.iter().for_each(|row| report.collect(group, row.size));
        Ok(())
    }

    /// An area's listing, whole.
    async fn rows(&self, area: Area) -> Result<Vec<Listed>, GcError> {
        let mut rows: Vec<Listed> = Vec::new();
        loop {
            let page = self.tree.blobs.list(area, rows.last().map(|row| &row.key), ROWS).await?;
            let full = page.len() == ROWS;
            rows.extend(page);
            if !full {
                return Ok(rows);
            }
        }
    }
}
