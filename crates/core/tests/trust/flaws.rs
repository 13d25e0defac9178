//! The table of flaws: what was done to the files of a registry, and the one error that a client gives for it.
//!
//! The client has the registry as it was at event 2. Then a new version of the plugin is published, and the
//! flaw is put in. The client refreshes and looks the plugin up.

mod malformed;
mod mixed;
mod odd;
mod old;

use std::sync::LazyLock;

use serde_json::{Value, json};
use stoa_core::{
    digest::Digest,
    trust::{Head, TrustError, TrustFile},
};

use crate::{
    client::Client,
    repo::{MARKDOWN, Repo, now, sign_value},
};

pub(crate) fn all() -> Vec<Flaw> {
    let tables = [
        old::freezes(),
        old::rollbacks(),
        mixed::mixes(),
        mixed::forgeries(),
        odd::odd_keys_and_roles(),
        malformed::malformed(),
    ];
    tables.into_iter().flatten().collect()
}

/// The registry at event 2, and a client that has seen it.
static BEFORE: LazyLock<(Client, Repo)> = LazyLock::new(|| {
    let repo = Repo::with_markdown();
    (Client::up_to_date(&repo), repo)
});

impl Flaw {
    /// The client, and the registry with the flaw.
    pub(crate) fn stage(&self) -> (Client, Repo) {
        let (client, mut repo) = BEFORE.clone();
        repo.publish(MARKDOWN, b"markdown 2");
        (self.put)(&mut repo);
        (client, repo)
    }

    /// What the client says to `repo`, which has the flaw.
    pub(crate) fn error(&self, repo: &Repo) -> TrustError {
        (self.error)(repo)
    }
}

/// What is wrong, how it comes about, and what a client says.
pub(crate) struct Flaw {
    pub(crate) name: &'static str,
    put: fn(&mut Repo),
    error: fn(&Repo) -> TrustError,
}

fn flaw(name: &'static str, put: fn(&mut Repo), error: fn(&Repo) -> TrustError) -> Flaw {
    Flaw { name, put, error }
}

/// The bin of the plugin in question. At event 2 and 3 its version is 2 and 3.
fn bin(repo: &Repo) -> String {
    repo.bins.name_of(MARKDOWN)
}

/// A new version of `role` with another signed part, listed by new pointers.
fn publish_edited(repo: &mut Repo, role: &str, change: impl FnOnce(&mut Value)) {
    repo.bump(role);
    repo.put_pointers();
    repo.edit(role, change);
}

fn expire(signed: &mut Value) {
    signed["expires"] = json!(now());
}

fn expired(role: &str, version: u64) -> TrustError {
    TrustError::Expired { role: role.into(), version, expires: now(), now: now() }
}

/// Signs a role's current file with other keys.
fn sign_as(repo: &mut Repo, role: &str, seeds: &[u8]) {
    let document: Value = serde_json::from_slice(repo.file(role)).expect("JSON");
    repo.files.insert(repo.name(role), sign_value(&document["signed"], seeds));
    if role == "snapshot" {
        repo.put_timestamp();
    }
}

fn threshold(role: &str, by: &str, valid: u64, needed: u64) -> TrustError {
    TrustError::Threshold { role: role.into(), by: by.into(), valid, needed }
}

fn shape(role: &str, reason: &str) -> TrustError {
    TrustError::Shape { role: role.into(), reason: reason.into() }
}

fn absent(role: &str, version: Option<u64>) -> TrustError {
    TrustError::Absent { file: TrustFile { role: role.into(), version } }
}

fn head(seq: u64, of: u64) -> Head {
    Head { seq, head: Digest::of(&of.to_be_bytes()), format: 1 }
}

/// Serves `text` as a role's file. The snapshot gets a timestamp that lists it.
fn serve(repo: &mut Repo, role: &str, text: impl Into<Vec<u8>>) {
    repo.files.insert(repo.name(role), text.into());
    if role == "snapshot" {
        repo.put_timestamp();
    }
}
