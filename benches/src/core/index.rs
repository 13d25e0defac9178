//! A run of the indexer over ten thousand plugins on the disk: all of them, and one release more.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};
use stoa_core::{
    digest::Digest,
    event::{ActorId, Draft, Fact},
    path::PublicPath,
    proposal::{IndexKeys, SignerKeys},
    time::Time,
    trust::SecretKey,
};
use stoa_corpus::{Corpus, Tree};
use stoa_indexer::{
    Follower, Signing,
    site::{Site, SiteConfig},
};
use stoa_store::{
    blobs::{BlobKey, Blobs as _, Put},
    folder::FolderBlobs,
    ledger::{Ledger as _, OperationId, Transaction},
    sqlite::SqliteLedger,
};

use super::{Outcome, Row, child, floor, peak, told};

const PLUGINS: usize = 10_000;
const BIN_BITS: u8 = 8;
/// Rounds of each, which begin with the same files.
const ROUNDS: usize = 3;
/// How long ago the log began.
const AGE: i64 = 3_600;

/// The keys of the corpus's trees, which everybody knows.
fn keys() -> (IndexKeys, SignerKeys) {
    let key = |seed| SecretKey::from_seed([seed; 32]);
    (IndexKeys { snapshot: key(3), catalog: key(4) }, SignerKeys { timestamp: key(5), bins: key(6) })
}

fn now() -> Outcome<i64> {
    Ok(i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?)
}

/// Times of runs, with the lower bound of each: the bytes of all files that a run made, hashed and written.
pub(super) fn rows() -> Outcome<Vec<Row>> {
    let dir = tempfile::tempdir()?;
    let corpus = Corpus::new(1, PLUGINS);
    let runtime = tokio::runtime::Runtime::new()?;
    eprintln!("index: {PLUGINS} plugins are recorded");
    let begun = dir.path().join("begun");
    runtime.block_on(begin(&begun, &corpus))?;

    let one = || (Vec::new(), Vec::new(), 0_u64, 0_usize, 0_u64);
    let (mut whole, mut more) = (one(), one());
    for round in 0..ROUNDS {
        let place = dir.path().join(format!("round-{round}"));
        copy(&begun, &place)?;
        let fresh = measure(&place, &dir.path().join("floor"), &mut whole)?;
        runtime.block_on(record(&place, &corpus, fresh))?;
        measure(&place, &dir.path().join("floor"), &mut more)?;
        fs::remove_dir_all(&place)?;
        eprintln!("index: round {} of {ROUNDS} done", round + 1);
    }
    let row = |what: String, (found, least, peak, files, bytes): (Vec<Duration>, Vec<Duration>, u64, usize, u64)| Row {
        what,
        found,
        bound: "its files, hashed and written one by one".to_owned(),
        least,
        note: format!("{files} files, {bytes} B; {} MiB of memory at the most", peak >> 20),
        target: None,
    };
    Ok(vec![
        row(format!("index run over {PLUGINS} plugins, with pages"), whole),
        row("index run over one release more, with pages".to_owned(), more),
    ])
}

type Measured = (Vec<Duration>, Vec<Duration>, u64, usize, u64);

/// One run in a process of its own, and its lower bound. Gives the log's length.
fn measure(place: &Path, floor: &Path, measured: &mut Measured) -> Outcome<u64> {
    let before = listing(place)?;
    let answer = child(&["core-index", &text(place)])?;
    let made: Vec<Vec<u8>> = listing(place)?
        .into_iter()
        .filter(|file| !before.contains(file))
        .map(|(path, _)| fs::read(path))
        .collect::<Result<_, _>>()?;
    measured.0.push(told(&answer, "wall_ns")?);
    measured.1.push(floor::keep(&made, floor)?);
    fs::remove_dir_all(floor)?;
    measured.2 = measured.2.max(answer["peak"].as_u64().unwrap_or_default());
    measured.3 = made.len();
    measured.4 = made.iter().map(|bytes| bytes.len() as u64).sum();
    answer["seq"].as_u64().ok_or_else(|| "the run did not say how far it came".into())
}

/// Files of the tree with the moment they were written: those that a run makes or replaces differ.
fn listing(place: &Path) -> Outcome<std::collections::BTreeSet<(PathBuf, SystemTime)>> {
    let files = floor::files(&place.join("blobs"))?;
    files.into_iter().map(|path| Ok((path.clone(), fs::metadata(&path)?.modified()?))).collect()
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn copy(from: &Path, to: &Path) -> Outcome<()> {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status()?;
    copied.success().then_some(()).ok_or_else(|| format!("`cp -a`: {copied}").into())
}

/// A registry with the releases recorded and their blobs kept, and nothing of the index.
async fn begin(place: &Path, corpus: &Corpus) -> Outcome<()> {
    fs::create_dir_all(place)?;
    let (ledger, blobs) = open(place).await?;
    let began = Time::from_unix(now()? - AGE);
    let tree = Tree::begin(BIN_BITS, began);
    fs::write(place.join("root.json"), tree.root())?;
    for (path, bytes) in tree.files() {
        let _new: Put = blobs.put_new(&BlobKey::Public(path.parse::<PublicPath>()?), bytes.clone().into()).await?;
    }
    let genesis = tree.events().first().ok_or("a log begins")?.event().fact.clone();
    let facts = std::iter::once(genesis).chain(corpus.released(0..corpus.plugins(), "1.0.0"));
    for (n, fact) in facts.enumerate() {
        commit(&ledger, fact, n, began).await?;
    }
    for n in 0..corpus.plugins() {
        keep(&blobs, corpus, n, "1.0.0").await?;
    }
    Ok(())
}

/// One release more.
async fn record(place: &Path, corpus: &Corpus, seq: u64) -> Outcome<()> {
    let (ledger, blobs) = open(place).await?;
    keep(&blobs, corpus, 7, "1.1.0").await?;
    for fact in corpus.released([7], "1.1.0") {
        commit(&ledger, fact, usize::try_from(seq)?, Time::from_unix(now()?)).await?;
    }
    Ok(())
}

async fn keep(blobs: &FolderBlobs, corpus: &Corpus, n: usize, version: &str) -> Outcome<()> {
    let stoa_corpus::Blobs { artifact, wit, readme } = corpus.blobs(n, version);
    for bytes in [artifact, wit, readme] {
        let _new: Put = blobs.put_new(&BlobKey::Store(Digest::of(&bytes)), bytes.into()).await?;
    }
    Ok(())
}

async fn commit(ledger: &SqliteLedger, fact: Fact, n: usize, at: Time) -> Outcome<()> {
    let draft = Draft { actor: ActorId::registry(), fact, private: None };
    let operation: OperationId = format!("bench-{n}").parse()?;
    ledger.commit(&Transaction { operation, draft: Some(draft), writes: vec![] }, at).await?;
    Ok(())
}

async fn open(place: &Path) -> Outcome<(SqliteLedger, FolderBlobs)> {
    Ok((SqliteLedger::open(&place.join("ledger.sqlite")).await?, FolderBlobs::open(&place.join("blobs")).await?))
}

/// `core-index DIR`: index, pointer and pages at the head of that registry, and what that took.
pub(crate) fn one_run(args: &[&str]) -> Outcome<()> {
    let [place] = args else { return Err("usage: stoa-benches core-index DIR".into()) };
    let place = Path::new(place);
    let runtime = tokio::runtime::Runtime::new()?;
    let answer: Value = runtime.block_on(async {
        let (ledger, blobs) = open(place).await?;
        let (index, signer) = keys();
        let config = SiteConfig { name: "Stoa".into(), base: "/".into(), url: None, api: None, root: None };
        let root = fs::read(place.join("root.json"))?;
        let signing = Signing::Here(Box::new(signer));
        let follower = Follower::new(Arc::new(ledger), Arc::new(blobs), index, signing, &root, Site::new(config));
        let began = Instant::now();
        let seq = follower.catch_up(Time::from_unix(now()?)).await?;
        follower.update_pages().await?;
        let wall = began.elapsed();
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(
            json!({"wall_ns": u64::try_from(wall.as_nanos())?, "seq": seq, "peak": peak()}),
        )
    })?;
    println!("{answer}");
    Ok(())
}
