//! The steps of a publish, in their order.

use std::collections::BTreeSet;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use stoa_core::{
    digest::Digest,
    event::Fact,
    release::BlobRef,
    time::{DAY, Time},
};
use stoa_store::{
    blobs::BlobKey,
    ledger::{Expect, OperationId},
    sweep::Sweep,
    upload::{PresignedUpload, UploadGrant},
};

use crate::{
    App,
    auth::Caller,
    items::{self, Outcome, event_after, operation},
    problem::{Code, Problem},
    publish::{
        blobs::{self, Source, blob_problem},
        fence,
        gather::{Gathered, gather},
        id::PublishId,
        plan, rules,
        set::{Candidate, Set, attested},
        signing, uses,
    },
    routes::registry_id,
    scope::Need,
    state::PublishItem,
};

/// How long a begun publish lasts, in seconds: as long as uploads are kept.
const LIFETIME: i64 = DAY;
/// How many times a publish is decided anew because others changed its plugin. Each time somebody else has
/// made progress.
const ATTEMPTS: usize = 64;
/// How many times the bytes of a publish are checked anew because old ones that it relied on were removed.
const ROUNDS: usize = 4;
/// How many questions to the blob store are under way at once.
const QUESTIONS: usize = 8;

/// A publish that waits for uploads.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) id: PublishId,
    pub(crate) expires_at: Time,
    /// What is not here yet, and where it is sent to.
    pub(crate) missing: Vec<(BlobRef, PresignedUpload)>,
}

/// A release that is visible, and since which event.
#[derive(Debug)]
pub(crate) struct Visible<'s> {
    pub(crate) candidate: &'s Candidate,
    pub(crate) seq: u64,
}

/// What became of a publish.
#[derive(Debug)]
pub(crate) enum Progress<'s> {
    Open(Open),
    Published(PublishId, Vec<Visible<'s>>),
}

/// Begins a publish, or the same one again.
pub(crate) async fn begin<'s>(app: &App, caller: &Caller, set: &'s Set) -> Result<Progress<'s>, Problem> {
    check_scopes(caller, set)?;
    let id = PublishId::of(caller.id(), set.records());
    let now = app.clock.now();
    let gathered = gather(app.ledger.as_ref(), set, now).await?;
    let fresh = rules::fresh(set, &gathered.known)?;
    if fresh.is_empty() {
        return Ok(Progress::Published(id, visible(app, set, &gathered).await?));
    }
    let expires_at = now.plus(LIFETIME);
    let releases = set.candidates().iter().map(|candidate| candidate.release.clone()).collect();
    let (key, attestations) = (caller.id().clone(), set.attestations());
    let item = PublishItem { format: 1, id, key, releases, attestations, expires_at };
    let write = items::put(id, &item, Expect::Any, Some(expires_at))?;
    let operation = OperationId::random().map_err(|error| Problem::internal(&error))?;
    match items::commit(app.ledger.as_ref(), operation, None, vec![write], now).await? {
        Outcome::Done => open(app, id, &fresh, expires_at).await.map(Progress::Open),
        // Nothing was expected of the item and the operation is new.
        Outcome::Stale => Err(Problem::new(Code::Contended, format!("publish {id} is being changed"))),
    }
}

/// Where a begun publish stands.
pub(crate) async fn progress<'s>(app: &App, item: &PublishItem, set: &'s Set) -> Result<Progress<'s>, Problem> {
    let gathered = gather(app.ledger.as_ref(), set, app.clock.now()).await?;
    let fresh = rules::fresh(set, &gathered.known)?;
    if fresh.is_empty() {
        return Ok(Progress::Published(item.id, visible(app, set, &gathered).await?));
    }
    open(app, item.id, &fresh, item.expires_at).await.map(Progress::Open)
}

/// Makes a set visible whose bytes are all in place; one that is visible already is no fault.
pub(crate) async fn finish<'s>(
    app: &App,
    caller: &Caller,
    set: &'s Set,
    source: Source,
) -> Result<Vec<Visible<'s>>, Problem> {
    check_scopes(caller, set)?;
    let publish = Publish {
        app,
        caller,
        set,
        id: PublishId::of(caller.id(), set.records()),
        blobs: set.blobs()?.iter().map(|blob| blob.digest).collect(),
    };
    for _ in 0..ROUNDS {
        if let Some(visible) = publish.decide(&source).await? {
            return Ok(visible);
        }
    }
    let detail = format!("old bytes that publish {} relied on were removed {ROUNDS} times", publish.id);
    Err(Problem::new(Code::Contended, detail))
}

/// A publish that is being finished.
struct Publish<'p, 's> {
    app: &'p App,
    caller: &'p Caller,
    set: &'s Set,
    id: PublishId,
    /// What has to be in `store/` when it commits.
    blobs: BTreeSet<Digest>,
}

impl<'s> Publish<'_, 's> {
    /// What the ledger knows, and the sweep that its blobs have nothing to fear from.
    async fn look(&self) -> Result<(Gathered, Sweep), Problem> {
        let gathered = gather(self.app.ledger.as_ref(), self.set, self.app.clock.now());
        // Read at the same time: what changed in between, the commit finds out.
        futures::try_join!(gathered, fence::clear(self.app, &self.blobs))
    }

    /// Checks the bytes and commits. `None` where garbage collection took some of the bytes meanwhile.
    async fn decide(&self, source: &Source) -> Result<Option<Vec<Visible<'s>>>, Problem> {
        let (app, set) = (self.app, self.set);
        let (mut gathered, mut sweep) = self.look().await?;
        let fresh = rules::fresh(set, &gathered.known)?;
        let (mut facts, mut proofs, mut checked) = (plan::Facts::new(), signing::Proofs::new(), Vec::new());
        for candidate in &fresh {
            let (found, blobs) = blobs::check(app, source, candidate).await?;
            facts.insert(candidate.release.id.clone(), found);
            checked.extend(blobs);
            let (envelope, blobs) = blobs::check_attested(app, source, candidate).await?;
            proofs.extend(envelope.map(|envelope| (candidate.release.id.clone(), envelope)));
            checked.extend(blobs);
        }
        let registry = if proofs.is_empty() { None } else { registry_id(app.ledger.as_ref()).await? };
        signing::judge(&fresh, &gathered.known, &proofs, registry, gathered.at)?;
        uses::check(&fresh, set, &gathered.known, &facts)?;
        plan::check_history(&fresh, &gathered.known, &facts)?;
        // From here on something stays: only a race that is lost, or a crash, leaves bytes that nobody names, and
        // those are found by garbage collection. Deleting them here could take them from a publish of the same
        // bytes that is just being decided.
        blobs::keep(app, &checked).await?;
        for _ in 0..ATTEMPTS {
            let fresh = rules::fresh(set, &gathered.known)?;
            if fresh.is_empty() {
                clean_up(app, self.id, set, source).await?;
                return visible(app, set, &gathered).await.map(Some);
            }
            plan::check_history(&fresh, &gathered.known, &facts)?;
            signing::judge(&fresh, &gathered.known, &proofs, registry, gathered.at)?;
            self.commit(&fresh, &gathered, &facts, &sweep).await?;
            let before = sweep;
            (gathered, sweep) = self.look().await?;
            if sweep != before && !blobs::still_kept(app, &checked).await? {
                return Ok(None);
            }
        }
        Err(Problem::new(Code::Contended, format!("publish {} met changes by others {ATTEMPTS} times", self.id)))
    }

    async fn commit(
        &self,
        fresh: &[&Candidate],
        gathered: &Gathered,
        facts: &plan::Facts,
        sweep: &Sweep,
    ) -> Result<(), Problem> {
        let (draft, mut writes) = plan::transaction(self.caller.actor(), fresh, gathered, facts)?;
        writes.push(sweep.unchanged());
        let operation = operation("publish", &[self.id.to_string()])?;
        let ledger = self.app.ledger.as_ref();
        if let Outcome::Done =
            items::commit(ledger, operation, Some(draft), writes, self.app.clock.now().max(gathered.at)).await?
        {
            self.app.bell.ring();
        }
        Ok(())
    }
}

async fn clean_up(app: &App, id: PublishId, set: &Set, source: &Source) -> Result<(), Problem> {
    if matches!(source, Source::Uploads(_)) {
        blobs::remove_uploads(app, id, &set.blobs()?).await;
    }
    Ok(())
}

fn check_scopes(caller: &Caller, set: &Set) -> Result<(), Problem> {
    set.candidates().iter().try_for_each(|candidate| caller.may(Need::Publish(&candidate.release.id)))
}

async fn open(app: &App, id: PublishId, fresh: &[&Candidate], expires_at: Time) -> Result<Open, Problem> {
    let releases = fresh.iter().map(|candidate| candidate.release.clone()).collect();
    let blobs = Set::new(releases, attested(fresh), app.config.max_artifact_bytes)?.blobs()?;
    // Read after the publish was recorded, which spares its blobs from later sweeps, and before they are looked for.
    let sweep = &fence::read(app).await?;
    let asked = stream::iter(blobs).map(|blob| async move {
        let grant =
            UploadGrant { id: id.upload(&blob.digest), digest: blob.digest, size: blob.size, expires: expires_at };
        let stays = !sweep.condemned().contains(&blob.digest);
        if (stays && is_here(app, &BlobKey::Store(blob.digest), blob).await?)
            || is_here(app, &BlobKey::Upload(grant.id), blob).await?
        {
            return Ok(None);
        }
        let mut upload = app.blobs.presign_upload(&grant).await.map_err(|error| blob_problem(&error))?;
        if upload.url.starts_with('/') {
            upload.url.insert_str(0, &app.config.api_base_url);
        }
        Ok(Some((blob, upload)))
    });
    let missing: Vec<_> = asked.buffered(QUESTIONS).try_collect().await?;
    Ok(Open { id, expires_at, missing: missing.into_iter().flatten().collect() })
}

async fn is_here(app: &App, key: &BlobKey, blob: BlobRef) -> Result<bool, Problem> {
    match app.blobs.head(key).await.map_err(|error| blob_problem(&error))? {
        Some(meta) if meta.size == blob.size => Ok(true),
        Some(meta) => Err(blobs::wrong_size(blob, meta.size)),
        None => Ok(false),
    }
}

/// Each release of a set that is published, with the place of its event.
async fn visible<'s>(app: &App, set: &'s Set, gathered: &Gathered) -> Result<Vec<Visible<'s>>, Problem> {
    let mut visible = Vec::new();
    for candidate in set.candidates() {
        let release = &candidate.release;
        let after = gathered.known.releases.get(&release.id).map_or(0, |item| item.after);
        let event = event_after(app.ledger.as_ref(), after, |fact| {
            matches!(fact, Fact::Released { releases, .. }
                if releases.iter().any(|found| found.id == release.id && found.version == release.version))
        });
        visible.push(Visible { candidate, seq: event.await?.event().seq });
    }
    Ok(visible)
}
