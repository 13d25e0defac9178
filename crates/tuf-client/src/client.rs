//! An update and downloads: asks for what core's client wants, and keeps what it accepts.

use std::{fs, path::Path};

use stoa_core::{
    time::Time,
    trust::{Config, Lookup, Outcome, Profile, Step, TargetFile, TrustFile, Updater, quote},
};

use crate::{
    Failure,
    ecdsa::SCHEMES,
    folder::{Folder, put},
    http,
};

/// The most bytes of a target that lists more than any under test has: 64 MiB.
const MAX_TARGET: u64 = 64 << 20;

/// A client whose top-level roles are up to date.
pub(crate) struct Client {
    folder: Folder,
    metadata_url: String,
    updater: Updater,
}

impl Client {
    /// Brings the top-level roles up to date (sections 5.1 to 5.6). What was accepted is kept, whatever comes
    /// after it.
    pub(crate) fn refresh(folder: Folder, metadata_url: &str, now: Time) -> Result<Self, Failure> {
        let mut config = Config::new(Profile::AnyTuf);
        config.schemes = SCHEMES;
        let updater = Updater::open(&folder.pinned()?, folder.cached()?, now, config);
        let updater = updater.map_err(|error| error.to_string())?;
        let mut client = Self { folder, metadata_url: metadata_url.to_owned(), updater };
        let outcome = client.keep(|client| client.run())?;
        match outcome {
            Outcome::Fresh { .. } | Outcome::Unchanged => {}
            // Normal at an edge that lags, and for the specification an end of the update (5.4.3, 5.4.4).
            Outcome::OlderPointer { served, held } => {
                return Err(format!("timestamp: version {served} is served, and {held} was trusted before"));
            }
            Outcome::Stale { since } => return Err(format!("nothing newer than what expired at {since}")),
        }
        let nothing = client.updater.lookup_nothing();
        client.keep(|client| client.walk(nothing))?;
        Ok(client)
    }

    fn run(&mut self) -> Result<Outcome, Failure> {
        loop {
            match self.updater.next() {
                Step::Done(outcome) => return Ok(outcome),
                Step::Fetch { file, max_bytes, .. } => {
                    let answer = self.get(&file, max_bytes)?;
                    self.updater.receive(answer.as_deref()).map_err(|error| error.to_string())?;
                }
            }
        }
    }

    fn walk(&mut self, mut lookup: Lookup) -> Result<Option<TargetFile>, Failure> {
        loop {
            match lookup.next(&mut self.updater).map_err(|error| error.to_string())? {
                Step::Done(found) => return Ok(found),
                Step::Fetch { file, max_bytes, .. } => {
                    let cached = self.folder.role(&file.role)?;
                    if cached.is_some_and(|bytes| lookup.offer(&mut self.updater, &bytes)) {
                        continue;
                    }
                    let answer = self.get(&file, max_bytes)?;
                    lookup.receive(&mut self.updater, answer.as_deref()).map_err(|error| error.to_string())?;
                }
            }
        }
    }

    /// Does something, then writes what was accepted on the way, also before a failure.
    fn keep<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, Failure>) -> Result<T, Failure> {
        let result = work(self);
        let writes = self.updater.take_writes();
        self.folder.apply(writes)?;
        result
    }

    fn get(&self, file: &TrustFile, max: u64) -> Result<Option<Vec<u8>>, Failure> {
        http::get(&join(&self.metadata_url, &file.to_string()), max)
    }

    /// Finds a target and puts its bytes into `dir` (section 5.7), unless they are there.
    pub(crate) fn download(&mut self, path: &str, base_url: &str, dir: &Path) -> Result<(), Failure> {
        let lookup = self.updater.lookup(path);
        let target = self.keep(|client| client.walk(lookup))?;
        let target = target.ok_or_else(|| format!("`{path}` is not a target of this repository"))?;
        let place = dir.join(quote(path));
        if fs::read(&place).is_ok_and(|bytes| check(path, &target, &bytes).is_ok()) {
            return Ok(());
        }
        if target.length > MAX_TARGET {
            return Err(format!("`{path}` has {} bytes, at most {MAX_TARGET} are read", target.length));
        }
        let url = join(base_url, &http::quote_path(&self.served_as(path, &target)));
        let bytes = http::get(&url, target.length)?.ok_or_else(|| format!("`{url}` is not there"))?;
        check(path, &target, &bytes)?;
        put(&place, &bytes)
    }

    /// Section 6.2: with consistent snapshots a target's name begins with its hash.
    fn served_as(&self, path: &str, target: &TargetFile) -> String {
        let hash = target.hashes.sha256().map(|digest| digest.to_string()).or_else(|| target.hashes.sha512());
        match hash.filter(|_| self.updater.root().consistent_snapshot()) {
            None => path.to_owned(),
            Some(hash) => match path.rsplit_once('/') {
                Some((folder, name)) => format!("{folder}/{hash}.{name}"),
                None => format!("{hash}.{path}"),
            },
        }
    }
}

/// Section 5.7.3: the bytes are those that the trusted role lists.
fn check(path: &str, target: &TargetFile, bytes: &[u8]) -> Result<(), Failure> {
    if bytes.len() as u64 != target.length {
        return Err(format!("`{path}` has {} bytes or more, where {} are listed", bytes.len(), target.length));
    }
    let checked = target.hashes.check(bytes);
    checked.map_err(|(listed, found)| format!("`{path}`: its hash is {found}, where {listed} is listed"))
}

fn join(base: &str, name: &str) -> String {
    format!("{}/{name}", base.trim_end_matches('/'))
}
