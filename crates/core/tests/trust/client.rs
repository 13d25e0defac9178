//! A client with a cache, and the log of what it asked for.

use stoa_core::{
    time::Time,
    trust::{CachedTrust, Config, Lookup, Outcome, Step, TargetFile, TrustError, TrustFile, Updater},
};

use crate::repo::{Repo, now};

#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) pinned: Vec<u8>,
    pub(crate) cache: CachedTrust,
    pub(crate) now: Time,
    pub(crate) config: Config,
    /// The files asked for, by name; absent ones with a `?`.
    pub(crate) log: Vec<String>,
}

impl Client {
    /// Pins root 1 of `repo` and has an empty cache.
    pub(crate) fn new(repo: &Repo) -> Self {
        let pinned = repo.files["1.root.json"].clone();
        Self { pinned, cache: CachedTrust::default(), now: now(), config: Config::default(), log: Vec::new() }
    }

    /// One that has refreshed and knows the bin of every target.
    pub(crate) fn up_to_date(repo: &Repo) -> Self {
        let mut client = Self::new(repo);
        let (_, mut updater) = client.refresh(repo).expect("a good repository");
        for path in repo.targets.keys() {
            client.find(repo, &mut updater, path).expect("a good repository").expect("a target");
        }
        client.log.clear();
        client
    }

    /// Opens the cache and refreshes; the cache is written whatever comes of it.
    pub(crate) fn refresh(&mut self, repo: &Repo) -> Result<(Outcome, Updater), TrustError> {
        let mut updater = Updater::open(&self.pinned, self.cache.clone(), self.now, self.config)?;
        let outcome = self.run(repo, &mut updater);
        outcome.map(|outcome| (outcome, updater))
    }

    /// Runs a refresh to its end.
    pub(crate) fn run(&mut self, repo: &Repo, updater: &mut Updater) -> Result<Outcome, TrustError> {
        let outcome = loop {
            match updater.next() {
                Step::Done(outcome) => break Ok(outcome),
                Step::Fetch { file, .. } => {
                    if let Err(error) = updater.receive(self.get(repo, &file)) {
                        break Err(error);
                    }
                }
            }
        };
        self.write(updater);
        outcome
    }

    /// Runs a lookup to its end.
    pub(crate) fn find(
        &mut self,
        repo: &Repo,
        updater: &mut Updater,
        path: &str,
    ) -> Result<Option<TargetFile>, TrustError> {
        let lookup = updater.lookup(path);
        self.walk(repo, updater, lookup)
    }

    pub(crate) fn walk(
        &mut self,
        repo: &Repo,
        updater: &mut Updater,
        mut lookup: Lookup,
    ) -> Result<Option<TargetFile>, TrustError> {
        let found = loop {
            match lookup.next(updater) {
                Err(error) => break Err(error),
                Ok(Step::Done(found)) => break Ok(found),
                Ok(Step::Fetch { file, .. }) => {
                    let answer = self.get(repo, &file);
                    if let Err(error) = lookup.receive(updater, answer) {
                        break Err(error);
                    }
                }
            }
        };
        self.write(updater);
        found
    }

    /// Refreshes, then looks one path up.
    pub(crate) fn refresh_and_find(&mut self, repo: &Repo, path: &str) -> Result<Option<TargetFile>, TrustError> {
        let (_, mut updater) = self.refresh(repo)?;
        self.find(repo, &mut updater, path)
    }

    fn get<'r>(&mut self, repo: &'r Repo, file: &TrustFile) -> Option<&'r [u8]> {
        let found = repo.files.get(&file.to_string()).map(Vec::as_slice);
        self.log.push(if found.is_some() { file.to_string() } else { format!("{file}?") });
        found
    }

    fn write(&mut self, updater: &mut Updater) {
        for write in updater.take_writes() {
            self.cache.apply(write);
        }
    }
}
