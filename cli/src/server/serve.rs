//! `stoa serve`: API, indexer, signer, website and public tree behind one address.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use axum::Router;
use stoa_api::{
    ApiConfig, App, Bell, Clock,
    pulse::{Part, Pulse},
};
use stoa_core::time::Time;
use stoa_indexer::{Follower, IndexerError, Signing};
use stoa_store::{
    exclusive::Exclusive,
    ledger::{OperationId, Transaction},
};
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::{Notify, oneshot},
    time::Instant,
};

use super::{
    front::{Bounds, Front, make_room},
    keys::{Holder, indexer_keys, signer_keys},
    left::{Left, require_whole},
    pace::Pace,
    registry::{Layout, Registry, write_file},
    shelf::Shelf,
};
use crate::{
    args::Serve,
    report::{DIM, Failure, GOOD, NAME, Output, chain},
};

/// The indexer looks at the ledger this often even if nothing rang: a bell may be lost.
const SWEEP: Duration = Duration::from_secs(60);
/// After the first failure it looks again so soon, then half as often each time.
const FIRST_RETRY: Duration = Duration::from_secs(2);
/// While the signer, as another process, has not signed yet, it is looked for again so soon.
const LOOK_FOR_SIGNER: Duration = Duration::from_secs(1);
/// While pages fail, or requests find no room, they are tried again this often.
const OTHER_RETRY: Duration = Duration::from_secs(5);
/// A signer that signs nothing for so long is told of.
const SILENT: Duration = Duration::from_secs(5);
/// How long a start waits for the index.
const FIRST_LOOK: Duration = Duration::from_secs(5);
/// How long connections have to end after a signal.
const DRAIN: Duration = Duration::from_secs(10);

/// Wakes the indexer. It carries nothing: what there is to do, the ledger says.
#[derive(Debug, Clone, Default)]
struct Wake(Arc<Notify>);

impl Bell for Wake {
    fn ring(&self) {
        self.0.notify_one();
    }
}

#[derive(Debug)]
struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Time {
        crate::cmd::now()
    }
}

/// Runs the registry in `args.dir` until a signal ends it.
pub(crate) async fn serve(args: &Serve, output: Output) -> Result<(), Failure> {
    let layout = Layout::new(&args.dir);
    let settings = layout.read_settings()?;
    let _alone = Exclusive::take(layout.dir())?;
    let registry = Registry::open(&layout).await?;
    let root = layout.read_root()?;
    let listener = TcpListener::bind(args.listen).await.map_err(|e| {
        Failure::new(format!("`{}` can not be listened on: {e}", args.listen))
            .hint("another program may use the port; `--listen 127.0.0.1:0` takes a free one")
    })?;
    let address = listener.local_addr()?;
    let url = args.public_url.clone().unwrap_or_else(|| format!("http://{address}"));
    super::import::resume(&layout, &registry, &settings.name, true, SystemClock.now()).await?;
    let follower = follower(args, &registry, &settings.name, &root, &url)?;
    let wake = Wake::default();
    let hint = format!(
        "`stoa recover --dir {}` replays what an archive has, and says how to give up the rest",
        shown(&args.dir)
    );
    require_whole(&*registry.ledger, &Left::new(&args.dir)).await.map_err(|older| older.hint(hint.clone()))?;
    first_look(&follower, &wake).await.map_err(|lost| lost.hint(hint))?;
    let pulse = Pulse::default();
    let api = api(&registry, layout.dir(), &url, wake.clone(), pulse.clone());
    let front = Front { api, shelf: Arc::new(Shelf::new(registry.blobs.clone())), bounds: bounds(args, output) };
    let pages = Wake::default();
    let projecting = tokio::spawn(project(follower.clone(), pages.clone(), pulse.clone()));
    let indexing = tokio::spawn(follow(follower, registry.clone(), wake, pages, pulse));
    let collecting = tokio::spawn(super::gc::daily(registry.collector(&root), layout.clone()));
    // Before anybody is told that it is ready: whoever is told may send the signal at once.
    let end = Ending::listen()?;
    announce(args, &settings.name, address, &url, output)?;
    drain(front, listener, end, output).await?;
    // Whatever is committed and not yet visible becomes so at the next start.
    indexing.abort();
    projecting.abort();
    collecting.abort();
    let _cancelled = tokio::join!(indexing, projecting, collecting);
    // The last connection to close writes the log of changes back: the ledger is one file afterwards.
    drop(registry);
    output.note(format_args!("{DIM}stopped{DIM:#}"));
    Ok(())
}

/// What follows the ledger. The signer's keys are not even looked for where another process has them.
fn follower(args: &Serve, registry: &Registry, name: &str, root: &[u8], url: &str) -> Result<Follower, Failure> {
    let signing = match args.no_signer {
        true => Signing::Elsewhere,
        false => Signing::Here(Box::new(signer_keys(&Holder::Signer.folder(&args.dir))?)),
    };
    Ok(registry.follower_signed_by(name, indexer_keys(&args.dir)?, signing, root, Some(url)))
}

fn api(registry: &Registry, folder: &Path, url: &str, wake: Wake, pulse: Pulse) -> Router {
    let config = ApiConfig {
        api_base_url: format!("{}/api", url.trim_end_matches('/')),
        // The disk that will hold the upload has to have room for it; `/tmp` often lies in memory.
        spool: folder.to_owned(),
        ..ApiConfig::default()
    };
    let mut app =
        App::new(registry.ledger.clone(), registry.blobs.clone(), Arc::new(wake), Arc::new(SystemClock), config);
    app.pulse = pulse;
    stoa_api::router(app)
}

/// What was asked for, as far as the system allows it.
fn bounds(args: &Serve, output: Output) -> Bounds {
    let connections = make_room(args.max_connections);
    if connections < args.max_connections {
        output.note(format_args!(
            "the system allows open files for {connections} connections, and not for {}; `ulimit -n` is the bound",
            args.max_connections
        ));
    }
    Bounds { connections, patience: Duration::from_secs(args.patience) }
}

/// Brings the index to the ledger's head before the first request, where that takes no time worth speaking of.
/// Reading goes on also where it can not follow: what is signed already is there.
///
/// Where the ledger does not have what was signed, nothing is served: whatever it accepted would be lost as well.
async fn first_look(follower: &Follower, wake: &Wake) -> Result<(), Failure> {
    // Cut off anywhere, a run leaves whole what was signed, and the next one goes on from there.
    match tokio::time::timeout(FIRST_LOOK, follower.catch_up(SystemClock.now())).await {
        Ok(Ok(seq)) => tracing::debug!(seq, "the index is signed"),
        Ok(Err(error @ (IndexerError::Behind { .. } | IndexerError::Forked { .. }))) => {
            return Err(error.into());
        }
        Ok(Err(error)) => tracing::error!(error = %chain(&error), "the index can not follow the ledger"),
        Err(_) => tracing::info!("the index follows the ledger while requests are answered"),
    }
    wake.ring();
    Ok(())
}

/// Follows the ledger: a burst of changes at once, a load in batches.
async fn follow(follower: Follower, registry: Registry, wake: Wake, pages: Wake, pulse: Pulse) {
    let _told = Told { part: Part::Index, pulse: pulse.clone() };
    let mut patience = SWEEP;
    let mut unsigned_since = None;
    let mut pace = Pace::rested(Instant::now());
    loop {
        // Changes that come while it waits here share the next run.
        tokio::time::sleep_until(pace.ready_at()).await;
        tokio::select! {
            () = wake.0.notified() => {}
            () = tokio::time::sleep(patience) => {}
        }
        pace.begin(Instant::now());
        match follower.catch_up(SystemClock.now()).await {
            Ok(seq) => {
                patience = wait_for_signer(&registry, seq, &mut unsigned_since, &pulse).await;
                pages.ring();
                tracing::debug!(seq, "the index is signed");
            }
            Err(
                error @ (IndexerError::Diverged { .. } | IndexerError::Forked { .. } | IndexerError::Behind { .. }),
            ) => {
                // To go on would sign what contradicts what is signed already.
                tracing::error!(error = %chain(&error), "ALARM: indexing has stopped; reading goes on");
                pulse.stopped(Part::Index, error.to_string(), SystemClock.now());
                return;
            }
            Err(error) => {
                // A full disk does not get emptier by being asked every second. A bell says that something could be
                // written, and is not waited out.
                patience = if pulse.troubles(Part::Index) { (patience * 2).min(SWEEP) } else { FIRST_RETRY };
                pulse.fails(Part::Index, &error, SystemClock.now());
                tracing::error!(error = %chain(&error), seconds = patience.as_secs(), "the index could not follow the ledger; trying again");
            }
        }
        if pulse.troubles(Part::Storage) {
            try_storage(&registry, &pulse).await;
        }
        if pulse.troubles(Part::Storage) || pulse.troubles(Part::Pages) {
            patience = patience.min(OTHER_RETRY);
        }
    }
}

/// Tells how far the index is signed, and gives how long to sleep: where the signer is another process, it is looked for
/// again soon, and after a while its silence is told.
async fn wait_for_signer(registry: &Registry, signed: u64, since: &mut Option<Instant>, pulse: &Pulse) -> Duration {
    let behind = registry.ledger.head().await.is_ok_and(|head| head.seq > signed);
    if !behind {
        *since = None;
        pulse.signed(signed, SystemClock.now());
        return SWEEP;
    }
    match since.get_or_insert_with(Instant::now).elapsed() > SILENT {
        true => pulse.waits(Part::Index, format!("the signer has signed up to event {signed}"), SystemClock.now()),
        false => pulse.signed(signed, SystemClock.now()),
    }
    LOOK_FOR_SIGNER
}

/// Writes something to each store, after requests could not.
async fn try_storage(registry: &Registry, pulse: &Pulse) {
    let tried: Result<(), Failure> = async {
        registry.blobs.probe().await?;
        let operation = OperationId::random()?;
        registry.ledger.commit(&Transaction { operation, draft: None, writes: vec![] }, SystemClock.now()).await?;
        Ok(())
    }
    .await;
    if tried.is_ok() {
        pulse.works(Part::Storage);
        tracing::info!("something can be stored again");
    }
}

/// Tells of a task that ends by a panic.
struct Told {
    part: Part,
    pulse: Pulse,
}

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.pulse.stopped(self.part, "it ended by a fault of the program", SystemClock.now());
        }
    }
}

/// Writes pages after the index, in a task of its own: however many there are, the pointer does not wait.
async fn project(follower: Follower, wake: Wake, pulse: Pulse) {
    let _told = Told { part: Part::Pages, pulse: pulse.clone() };
    loop {
        wake.0.notified().await;
        match follower.update_pages().await {
            Ok(()) => pulse.works(Part::Pages),
            Err(error) => {
                pulse.fails(Part::Pages, &error, SystemClock.now());
                tracing::error!(error = %chain(&error), "the pages could not be written; the next look tries again");
            }
        }
    }
}

fn announce(args: &Serve, name: &str, address: SocketAddr, url: &str, output: Output) -> Result<(), Failure> {
    if let Some(file) = &args.ready_file {
        write_file(file, format!("http://{address}\n").as_bytes())?;
    }
    let text = format!(
        "{GOOD}{name}{GOOD:#} is open at {NAME}{url}{NAME:#}\n{DIM}marketplace and index {url}/\nAPI {url}/api/v1/\n\
         folder {}\nstop it with Ctrl-C{DIM:#}",
        shown(&args.dir)
    );
    output.result(text, &serde_json::json!({"ready": true, "url": url, "address": address.to_string()}));
    Ok(())
}

fn shown(dir: &Path) -> String {
    dir.display().to_string()
}

/// The signals that end a server. Listened for from the moment on that this is made.
pub(super) struct Ending {
    term: Signal,
    interrupt: Signal,
}

impl Ending {
    pub(super) fn listen() -> std::io::Result<Self> {
        Ok(Self { term: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    pub(super) async fn come(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Serves until a signal, then gives connections some time to end. A second signal ends them at once.
async fn drain(front: Front, listener: TcpListener, mut end: Ending, output: Output) -> Result<(), Failure> {
    let (told, tell) = oneshot::channel();
    let served = front.serve(listener, async {
        let _sent_or_gone = tell.await;
    });
    let late = async {
        end.come().await;
        output.note(format_args!("{DIM}ending the open connections …{DIM:#}"));
        let _heard = told.send(());
        tokio::select! {
            () = tokio::time::sleep(DRAIN) => {}
            () = end.come() => {}
        }
    };
    tokio::select! {
        result = served => result.map_err(Failure::from),
        () = late => Ok(()),
    }
}
