//! What each client asks for, and what that takes: cold, nothing new, something new.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use super::{
    Outcome,
    clock::Took,
    readers::Reader,
    scene::Scene,
    server::{Server, Site},
};

/// Rounds that count, of each case and client. One more goes before.
const ROUNDS: usize = 11;

/// What a client finds, and what it had before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    /// It has nothing but the pinned root.
    Cold,
    /// It read the index before, and nothing was published since.
    Unchanged,
    /// One of its plugins has a new release, and nothing else was published.
    Changed,
    /// As [`Self::Changed`], after a day of others' releases.
    Day,
}

impl Case {
    pub(super) const ALL: [Self; 4] = [Self::Cold, Self::Unchanged, Self::Changed, Self::Day];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Unchanged => "nothing changed",
            Self::Changed => "one changed",
            Self::Day => "one changed, a day of others'",
        }
    }

    fn site(self, scene: &Scene) -> &Arc<Site> {
        match self {
            Self::Cold | Self::Unchanged => &scene.published,
            Self::Changed => &scene.changed,
            Self::Day => &scene.day,
        }
    }
}

/// A case for one client. What it asks for is the same in every round.
pub(super) struct Row {
    pub(super) case: Case,
    pub(super) reader: &'static str,
    pub(super) asked: Asked,
    pub(super) took: Vec<Took>,
}

/// Answers and the bytes of their bodies, as they travelled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) requests: usize,
    pub(super) bytes: u64,
    /// Of which below `trust/`.
    pub(super) trust_bytes: u64,
}

/// Where clients keep what they read. Everything is in `folder`.
pub(super) struct Stage<'a> {
    folder: &'a Path,
    scene: &'a Scene,
    server: &'a Server,
}

impl<'a> Stage<'a> {
    pub(super) fn new(folder: &'a Path, scene: &'a Scene, server: &'a Server) -> Outcome<Self> {
        let stage = Self { folder, scene, server };
        fs::create_dir_all(folder)?;
        fs::write(stage.root(), &scene.root)?;
        Ok(stage)
    }

    pub(super) fn root(&self) -> PathBuf {
        self.folder.join("1.root.json")
    }

    /// What a client has kept that read the published index.
    pub(super) fn warm(&self, reader: &Reader) -> PathBuf {
        self.folder.join(format!("{}-warm", reader.name()))
    }

    /// Every case for every client. Rounds take turns, so that whatever else the machine does befalls all.
    pub(super) fn run(&self, readers: &[Reader]) -> Outcome<Vec<Row>> {
        for reader in readers {
            self.read(Case::Cold, reader, &self.warm(reader))?;
        }
        let mut rows = Vec::new();
        for case in Case::ALL {
            let mut of_case: Vec<Row> = Vec::new();
            for round in 0..=ROUNDS {
                let mut seen = None;
                for (n, reader) in readers.iter().enumerate() {
                    let (asked, took, saw) = self.round(case, reader)?;
                    agree("what two clients see", seen.get_or_insert_with(|| saw.clone()), &saw)?;
                    if round == 0 {
                        of_case.push(Row { case, reader: reader.name(), asked, took: Vec::new() });
                        continue;
                    }
                    agree("what a client asks for in two rounds", &of_case[n].asked, &asked)?;
                    of_case[n].took.push(took);
                }
            }
            rows.extend(of_case);
        }
        Ok(rows)
    }

    fn round(&self, case: Case, reader: &Reader) -> Outcome<(Asked, Took, Seen)> {
        let state = self.folder.join("state");
        if state.exists() {
            fs::remove_dir_all(&state)?;
        }
        if case == Case::Cold {
            fs::create_dir(&state)?;
        } else {
            // With links as they are: python-tuf has one to its root.
            let copied = Command::new("cp").arg("-a").arg(self.warm(reader)).arg(&state).status()?;
            copied.success().then_some(()).ok_or_else(|| format!("`cp -a`: {copied}"))?;
        }
        self.read(case, reader, &state)
    }

    fn read(&self, case: Case, reader: &Reader, state: &Path) -> Outcome<(Asked, Took, Seen)> {
        self.server.show(case.site(self.scene));
        self.server.take_served();
        let read = reader.read(&self.root(), state, &self.server.url, &self.scene.own)?;
        let took = read.took();
        let mut asked = Asked::default();
        for served in self.server.take_served() {
            asked.requests += 1;
            asked.bytes += served.body;
            asked.trust_bytes += if served.path.starts_with("trust/") { served.body } else { 0 };
        }
        if let Some((path, _)) = read.seen.iter().find(|(_, seq)| seq.is_none()) {
            return Err(format!("{} finds no `{path}`", reader.name()).into());
        }
        Ok((asked, took, read.seen))
    }
}

type Seen = BTreeMap<String, Option<u64>>;

fn agree<T: PartialEq + std::fmt::Debug>(what: &str, one: &T, other: &T) -> Outcome<()> {
    if one == other { Ok(()) } else { Err(format!("{what} is not the same: {one:?} and {other:?}").into()) }
}
