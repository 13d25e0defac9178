//! Publishing while garbage is collected: [`stoa_store::sweep`] has the rules.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use stoa_core::{attestation::Attestations, digest::Digest, time::Time};
use stoa_store::{
    blobs::EngineError,
    ledger::Ledger,
    sweep::{Claimed, Claims, Sweep},
};

use crate::{
    App,
    items::{self, ledger_problem},
    problem::{Code, Problem},
    state::PublishItem,
};

/// How often a publish looks whether its blobs are condemned no more: for 4 s and more. A sentence lasts for as long as
/// a hundred deletions.
const LOOKS: u32 = 40;
/// How long it waits in between.
const PAUSE: Duration = Duration::from_millis(100);
/// Begun publishes that are read at a time.
const PAGE: usize = 64;

/// The sweep as it is now.
pub(crate) async fn read(app: &App) -> Result<Sweep, Problem> {
    Sweep::read(app.ledger.as_ref(), app.clock.now()).await.map_err(|error| ledger_problem(&error))
}

/// The sweep as it is once none of `blobs` is condemned.
pub(crate) async fn clear(app: &App, blobs: &BTreeSet<Digest>) -> Result<Sweep, Problem> {
    let mut sweep = read(app).await?;
    for _ in 0..LOOKS {
        if sweep.condemned().is_disjoint(blobs) {
            return Ok(sweep);
        }
        tokio::time::sleep(PAUSE).await;
        sweep = read(app).await?;
    }
    let digest = sweep.condemned().intersection(blobs).next().map(Digest::to_string).unwrap_or_default();
    let until = sweep.until().map(|time| format!(", until {time} at the latest")).unwrap_or_default();
    Err(Problem::new(Code::Contended, format!("old bytes of the blob {digest} are just being removed{until}")))
}

/// The publishes that were begun with this registry's API.
#[derive(Clone)]
pub struct OpenPublishes(Arc<dyn Ledger>);

impl OpenPublishes {
    /// Those in `ledger`.
    pub fn new(ledger: Arc<dyn Ledger>) -> Self {
        Self(ledger)
    }
}

impl std::fmt::Debug for OpenPublishes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OpenPublishes")
    }
}

#[async_trait]
impl Claims for OpenPublishes {
    async fn claimed(&self, now: Time) -> Result<Claimed, EngineError> {
        let (mut claimed, mut after) = (Claimed::default(), None::<String>);
        loop {
            let page =
                items::list::<PublishItem>(&*self.0, PublishItem::PARTITION, after.as_deref(), PAGE, now).await?;
            for item in page.iter().map(|kept| &kept.value) {
                let releases = item.releases.iter().flat_map(stoa_core::release::Release::blobs);
                for blob in releases.chain(item.attestations.values().flat_map(Attestations::blobs)) {
                    claimed.blobs.insert(blob.digest);
                    claimed.uploads.insert(item.id.upload(&blob.digest));
                }
            }
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(last.value.id.to_string()),
                _ => return Ok(claimed),
            }
        }
    }
}
