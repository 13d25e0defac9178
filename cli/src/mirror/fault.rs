//! What can be wrong with a copy of a registry.

use std::{io, path::PathBuf};

use stoa_core::{
    document::DocumentError,
    publisher::PublisherError,
    time::Time,
    trust::{Attack, TrustError},
};
use stoa_loader::transport::TransportError;

use crate::report::{Failure, chain};

/// The first thing that is wrong. Each has a stable code, which `docs/operating/mirrors.md` lists.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// Nothing came, or something that is no answer.
    #[error(transparent)]
    Source(#[from] TransportError),
    /// A trust file is not what the pinned root leads to.
    #[error("`{file}` is refused")]
    Trust {
        file: String,
        #[source]
        source: Box<TrustError>,
    },
    /// What is served has expired, and there is nothing newer.
    #[error("`trust/timestamp.json` expired at {0}")]
    Expired(Time),
    /// The source is behind what the copy has seen.
    #[error("`trust/timestamp.json` is version {served}, and version {held} was verified before")]
    OlderPointer { served: u64, held: u64 },
    /// A file that a verified one names.
    #[error("`{file}` is named by {by} and is not there")]
    Missing { file: String, by: String },
    /// A file has more or fewer bytes than a verified one says.
    #[error("`{file}` has {found} bytes, and {by} names {expected}")]
    Length { file: String, by: String, expected: u64, found: u64 },
    /// A file has other bytes than a verified one says.
    #[error("`{file}` has other bytes than {by} names")]
    Digest { file: String, by: String },
    /// A blob is larger than any that a registry takes.
    #[error("`{file}` should have {size} bytes, and a file of a registry has at most {limit}")]
    TooLarge { file: String, size: u64, limit: u64 },
    /// A document that does not hold what documents promise.
    #[error("`{file}` is no document of its plugin")]
    Document {
        file: String,
        #[source]
        source: Box<DocumentError>,
    },
    /// The keys of a namespace are none, or a signature of a release does not hold or is not there.
    #[error("`{file}` is refused")]
    Publishers {
        /// The file.
        file: String,
        /// What is wrong with it.
        source: Box<PublisherError>,
    },
    /// A record that does not hold what records promise, or is of another release.
    #[error("`{file}` is not the record of {release}: {rule}")]
    Record { file: String, release: String, rule: String },
    /// A target that this program can not copy.
    #[error("`{role}` lists `{target}`, which is no file that this program knows")]
    UnknownTarget { role: String, target: String },
    /// A target that no client would find.
    #[error("`{role}` lists `{target}`, and no client looks for it there")]
    Misplaced { role: String, target: String },
    /// A document of an event that the snapshot does not cover.
    #[error("`{file}` is of event {seq}, and the snapshot covers those up to {head}")]
    BeyondHead { file: String, seq: u64, head: u64 },
    /// A file that the log would make otherwise.
    #[error("`{file}` is not what the log makes: {why}")]
    Replay { file: String, why: String },
    /// The archive of events.
    #[error("the archive of events: {0}")]
    Archive(String),
    /// A folder that is not a copy of this registry.
    #[error("`{}` {rule}", path.display())]
    Folder { path: PathBuf, rule: &'static str },
    /// A file or folder of the copy.
    #[error("`{path}` can not be {did}")]
    Disk {
        path: String,
        did: &'static str,
        #[source]
        source: io::Error,
    },
}

impl Fault {
    /// A stable word for programs.
    pub(crate) fn code(&self) -> String {
        match self {
            // What is no attack is a misuse of the updater, and there is none.
            Self::Trust { source, .. } => {
                return format!("refused-{}", source.attack().unwrap_or(Attack::Malformed));
            }
            Self::Source(TransportError::TooLong { .. }) => "too-long",
            Self::Source(_) => "unreachable",
            Self::Expired(_) => "expired",
            Self::OlderPointer { .. } => "older-pointer",
            Self::Missing { .. } => "missing-file",
            Self::Length { .. } => "other-length",
            Self::Digest { .. } => "other-bytes",
            Self::TooLarge { .. } => "too-large",
            Self::Document { .. } => "bad-document",
            Self::Publishers { .. } => "bad-signature",
            Self::Record { .. } => "bad-record",
            Self::UnknownTarget { .. } => "unknown-target",
            Self::Misplaced { .. } => "misplaced-target",
            Self::BeyondHead { .. } => "beyond-head",
            Self::Replay { .. } => "replay-differs",
            Self::Archive(_) => "archive",
            Self::Folder { .. } => "other-folder",
            Self::Disk { .. } => "disk",
        }
        .to_owned()
    }

    fn hint(&self) -> &'static str {
        match self {
            Self::Source(TransportError::TooLong { .. }) | Self::Trust { .. } => {
                "the copy, or whoever stands in its way, is not to be trusted; tell the registry's operator"
            }
            Self::Source(_) => "try again: what was copied and verified is not copied again",
            Self::Expired(_) => {
                "the registry signs a new one every day: bring the copy up to date, or set the clock right"
            }
            Self::OlderPointer { .. } => {
                "an edge of a CDN may lag for a minute: try again; where it lasts, the registry is being rolled back"
            }
            Self::Missing { .. } | Self::Length { .. } | Self::Digest { .. } => {
                "`stoa mirror` from a whole copy heals a mirror"
            }
            Self::UnknownTarget { .. } => "a newer `stoa` may know it",
            Self::Archive(_) => "name the folder `events/` of a registry or of its backup",
            Self::Folder { .. } => "name a new folder, or an earlier mirror of the same registry",
            Self::Disk { .. } => "the pointer of the copy was not touched: what it led to before is whole",
            _ => "tell the registry's operator",
        }
    }

    /// As the command line prints it.
    pub(crate) fn told(self) -> Failure {
        Failure::new(chain(&self)).code(self.code()).hint(self.hint())
    }
}

#[cfg(test)]
mod tests {
    use stoa_core::id::PluginId;

    use super::*;

    /// One of each.
    fn all() -> Vec<Fault> {
        let text = || "x".to_owned();
        let id: PluginId = "demo:x".parse().expect("an id");
        let source = TransportError::Offline { address: text() };
        vec![
            Fault::Source(source),
            Fault::Source(TransportError::TooLong { address: text(), limit: 1 }),
            Fault::Expired(Time::from_unix(0)),
            Fault::OlderPointer { served: 1, held: 2 },
            Fault::Missing { file: text(), by: text() },
            Fault::Length { file: text(), by: text(), expected: 1, found: 2 },
            Fault::Digest { file: text(), by: text() },
            Fault::TooLarge { file: text(), size: 2, limit: 1 },
            Fault::Document { file: text(), source: Box::new(DocumentError::TooLarge { id, size: 2 }) },
            Fault::Publishers { file: text(), source: Box::new(PublisherError::Unreadable(text())) },
            Fault::Record { file: text(), release: text(), rule: text() },
            Fault::UnknownTarget { role: text(), target: text() },
            Fault::Misplaced { role: text(), target: text() },
            Fault::BeyondHead { file: text(), seq: 2, head: 1 },
            Fault::Replay { file: text(), why: text() },
            Fault::Archive(text()),
            Fault::Folder { path: "x".into(), rule: "x" },
            Fault::Disk { path: text(), did: "read", source: io::ErrorKind::NotFound.into() },
        ]
    }

    #[test]
    fn the_page_about_mirrors_lists_every_code_and_no_other() {
        let page = include_str!("../../../docs/operating/mirrors.md");
        let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
        let mut listed: Vec<_> = rows.filter(|code| *code != "refused-ATTACK").map(str::to_owned).collect();
        let mut codes: Vec<_> = all().iter().map(Fault::code).collect();
        listed.sort();
        codes.sort();
        assert_eq!(listed, codes);
    }
}
