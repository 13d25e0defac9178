//! `stoa signer`: the signer as a process of its own, which holds its keys and none of the indexer's.

use std::time::Duration;

use stoa_core::time::Time;
use stoa_indexer::{IndexerError, Signer, Waiting};
use stoa_store::{blobs::ETag, exclusive::Exclusive};

use super::{
    keys::{Holder, signer_keys},
    left::{Left, require_whole},
    registry::{Layout, Registry, write_file},
    serve::Ending,
};
use crate::{
    args,
    cmd::now,
    report::{DIM, Failure, GOOD, Output, chain},
};

/// It looks this often whether a proposal waits.
const LOOK: Duration = Duration::from_secs(1);
/// After failures it looks less and less often, up to this.
const RAREST: Duration = Duration::from_secs(60);
/// Whether the pointer has to be signed anew is looked at this often, in seconds.
const REFRESH: i64 = 60;

/// Signs what is proposed in the registry at `args.dir`, until a signal ends it.
pub(crate) async fn signer(args: &args::Signer, output: Output) -> Result<(), Failure> {
    let layout = Layout::new(&args.dir);
    let name = layout.read_settings()?.name;
    let folder = args.keys.clone().unwrap_or_else(|| Holder::Signer.folder(&args.dir));
    let keys = signer_keys(&folder)?;
    let _alone = alone(&layout)?;
    let registry = Registry::open(&layout).await?;
    let root = layout.read_root()?;
    require_whole(&*registry.ledger, &Left::new(&args.dir))
        .await
        .map_err(|older| older.hint(format!("`stoa recover --dir {}` says what can be done", args.dir.display())))?;
    let (ledger, blobs) = (registry.ledger.clone(), registry.blobs.clone());
    let mut looking = Looking {
        signer: Signer::new(ledger, blobs.clone(), keys, &root),
        waiting: Waiting::new(blobs),
        seen: None,
        refreshed: None,
    };
    let text =
        format!("{GOOD}{name}{GOOD:#} is signed\n{DIM}folder {}\nstop it with Ctrl-C{DIM:#}", args.dir.display());
    let mut announced = false;
    let mut patience = LOOK;
    // Before anybody is told that it is ready: whoever is told may send the signal at once.
    let mut end = Ending::listen()?;
    loop {
        // A signature that has begun is ended before a signal is heeded: it takes no time worth speaking of.
        match looking.look(now()).await {
            Ok(()) => patience = LOOK,
            Err(
                error @ (IndexerError::Diverged { .. } | IndexerError::Forked { .. } | IndexerError::Behind { .. }),
            ) => {
                // To go on would sign what contradicts what is signed already.
                tracing::error!(error = %chain(&error), "ALARM: signing has stopped; reading goes on");
                return Err(error.into());
            }
            Err(error) => {
                patience = (patience * 2).min(RAREST);
                tracing::error!(error = %chain(&error), seconds = patience.as_secs(), "nothing was signed; trying again");
            }
        }
        if !std::mem::replace(&mut announced, true) {
            if let Some(file) = &args.ready_file {
                write_file(file, b"ready\n")?;
            }
            output.result(&text, &serde_json::json!({"ready": true}));
        }
        tokio::select! {
            () = tokio::time::sleep(patience) => {}
            () = end.come() => break,
        }
    }
    output.note(format_args!("{DIM}stopped{DIM:#}"));
    Ok(())
}

/// The right to be the signer's process, or to be sure that there is none.
pub(super) fn alone(layout: &Layout) -> Result<Exclusive, Failure> {
    let folder = layout.signer();
    std::fs::create_dir_all(&folder)
        .map_err(|e| Failure::new(format!("the folder `{}` can not be made: {e}", folder.display())))?;
    Ok(Exclusive::take(&folder)?)
}

struct Looking {
    signer: Signer,
    waiting: Waiting,
    /// The proposal that was signed last.
    seen: Option<ETag>,
    refreshed: Option<Time>,
}

impl Looking {
    async fn look(&mut self, now: Time) -> Result<(), IndexerError> {
        if let Some((tag, proposal)) = self.waiting.take(self.seen.as_ref()).await? {
            let signed = self.signer.sign(&proposal, now).await?;
            tracing::info!(seq = proposal.head().seq, ?signed, "a proposal was signed");
            self.seen = Some(tag);
        }
        if self.refreshed.is_none_or(|at| now >= at.plus(REFRESH)) {
            self.signer.refresh(now).await?;
            self.refreshed = Some(now);
        }
        Ok(())
    }
}
