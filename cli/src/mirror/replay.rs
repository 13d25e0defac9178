//! Whether a copy is what the log makes.
//!
//! The index is a function of the log (`stoa_core::index`), signatures apart: a fold of the archived events gives what
//! snapshot, bins and catalog have to say, and with them the digest of every document. Signatures are not compared: those of
//! the copy are verified from the pinned root.

use std::{num::NonZeroU64, path::Path, sync::Arc};

use serde_json::Value;
use stoa_core::{
    event::Sealed,
    index::{Base, Fold, IndexError},
    path::{PublicPath, RoleFile},
    time::Time,
    trust::Config,
};
use stoa_loader::transport::{Answer, Folder as Tree, Transport as _};

use super::{Fault, Pinned, Walk};
use crate::{progress::Spinner, report::chain};

/// An event is at most this long (64 KiB).
const MAX_EVENT_BYTES: u64 = 64 * 1024;

/// What was compared.
#[derive(Debug)]
pub(crate) struct Replayed {
    pub(crate) events: u64,
    pub(crate) seq: u64,
    pub(crate) files: u64,
}

/// Folds the events in `archive` up to the one that the copy in `dir` covers, and compares.
pub(crate) async fn replay(
    archive: &Path,
    dir: &Path,
    root: &Pinned,
    spinner: &Spinner,
    now: Time,
) -> Result<Replayed, Fault> {
    let tree = Arc::new(Tree::new(dir));
    let (updater, _) = Walk::new(tree.clone(), None, spinner).index(root, now).await?;
    let head = updater.snapshot().and_then(|snapshot| snapshot.head()).cloned();
    let head = head.ok_or_else(|| Fault::Archive("the copy bears no head of a log".to_owned()))?;
    let mut fold = Fold::begin(Base::default());
    let mut events = 0;
    let mut last = None;
    for seq in places(archive)?.into_iter().filter(|seq| *seq <= head.seq) {
        let event = read(archive, seq)?;
        let broken = |error: IndexError| Fault::Archive(format!("event {seq}: {}", chain(&error)));
        fold.take(&event).map_err(broken)?;
        (events, last) = (events + 1, Some(event.head()));
        spinner.say(format!("events: {events}"));
    }
    match last {
        Some(last) if last.seq == head.seq && last.hash == head.head => {}
        Some(last) if last.seq == head.seq => {
            let why = format!("event {} has the hash {} in the archive", head.seq, last.hash);
            return Err(Fault::Replay { file: format!("trust/{}.snapshot.json", head.seq), why });
        }
        last => {
            let ends = last.map_or(0, |last| last.seq);
            return Err(Fault::Archive(format!("it ends at event {ends}, and the copy covers event {}", head.seq)));
        }
    }
    let revision = fold.finish().map_err(|error| Fault::Archive(chain(&error)))?;
    let roles = revision.roles.into_iter().map(|(file, document)| (PublicPath::Role(file), document.into_bytes()));
    let made: Vec<_> = revision.files.into_iter().chain(roles).collect();
    let mut files = 0;
    for (path, bytes) in &made {
        // Older revisions of a role are no part of what the pointer reaches; a fold makes the newest alone.
        compare(&tree, path, bytes).await?;
        files += 1;
        spinner.say(format!("files: {files} of {}", made.len()));
    }
    Ok(Replayed { events, seq: head.seq, files })
}

/// Trust files are compared without their signatures, all others byte for byte.
async fn compare(tree: &Tree, path: &PublicPath, made: &[u8]) -> Result<(), Fault> {
    let file = path.to_string();
    let limit = Config::default().limits.targets_bytes.max(made.len() as u64);
    let bytes = match tree.get(path, limit, None).await? {
        Answer::Found { bytes, .. } => bytes,
        Answer::NotModified | Answer::Absent => return Err(Fault::Missing { file, by: "the log".to_owned() }),
    };
    let same = match path {
        PublicPath::Role(RoleFile { .. }) => signed(&bytes).is_some_and(|there| signed(made) == Some(there)),
        _ => bytes == made,
    };
    if same { Ok(()) } else { Err(Fault::Replay { file, why: "it says something else".to_owned() }) }
}

fn signed(bytes: &[u8]) -> Option<Value> {
    let mut file: Value = serde_json::from_slice(bytes).ok()?;
    Some(file.get_mut("signed")?.take())
}

/// The places of the archived events, in order. Names that are none, links and folders are passed over.
fn places(archive: &Path) -> Result<Vec<u64>, Fault> {
    let unreadable = |error| Fault::Archive(format!("`{}` can not be read: {error}", archive.display()));
    let mut places = Vec::new();
    for entry in std::fs::read_dir(archive).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name();
        let place = name.to_str().and_then(|name| name.strip_suffix(".json")).filter(|digits| digits.len() == 10);
        if entry.file_type().map_err(unreadable)?.is_file() {
            places.extend(place.and_then(|digits| digits.parse::<NonZeroU64>().ok()).map(NonZeroU64::get));
        }
    }
    places.sort_unstable();
    Ok(places)
}

fn read(archive: &Path, seq: u64) -> Result<Sealed, Fault> {
    use std::io::Read as _;
    let path = archive.join(format!("{seq:010}.json"));
    let unreadable = |error| Fault::Archive(format!("`{}` can not be read: {error}", path.display()));
    let mut bytes = Vec::new();
    let file = std::fs::File::open(&path).map_err(unreadable)?;
    file.take(MAX_EVENT_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    let event = Sealed::read(&bytes).map_err(|error| Fault::Archive(format!("event {seq}: {}", chain(&error))))?;
    if event.event().seq != seq {
        return Err(Fault::Archive(format!("`{}` has event {}", path.display(), event.event().seq)));
    }
    Ok(event)
}
