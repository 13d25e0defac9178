//! The set of records that a publish makes visible together: read from JSON, canonical, within bounds.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use stoa_core::{
    attestation::Attestations,
    canonical,
    digest::Digest,
    event::{ActorId, Draft, Event, EventError, Fact, Head, MAX_RELEASES_PER_EVENT},
    id::{Namespace, PluginId},
    release::{BlobRef, MAX_README_BYTES, MAX_WIT_BYTES, Release, ReleaseError},
    time::Time,
    version::Version,
};

use crate::{
    problem::{Code, Problem},
    publish::{about, signing},
};

/// A set has plugins of at most this many namespaces: each that has keys is a condition of the transaction.
pub const MAX_NAMESPACES: usize = 16;

/// What is attested of the releases of a set, by plugin.
pub type Attested = BTreeMap<PluginId, Attestations>;

/// 1 to [`MAX_RELEASES_PER_EVENT`] valid records, sorted by plugin, no plugin twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set(Vec<Candidate>);

/// A record together with its own digest and length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The record.
    pub release: Release,
    /// Its canonical bytes as a blob.
    pub record: BlobRef,
    /// What is attested of it.
    pub attestations: Attestations,
}

impl Set {
    /// Reads a set as a client sends it, in any order.
    ///
    /// # Errors
    /// A [`Problem`] that names the first record at fault and the rule.
    pub fn read(values: Vec<Value>, attestations: Attested, max_artifact_bytes: u64) -> Result<Self, Problem> {
        // Before any record is looked at: ten thousand of them should cost no more than twenty.
        check_size(values.len())?;
        let records = values.into_iter().enumerate();
        let releases = records.map(|(place, sent)| read_record(place, sent)).collect::<Result<Vec<_>, _>>()?;
        Self::new(releases, attestations, max_artifact_bytes)
    }

    /// The set of these records.
    ///
    /// # Errors
    /// As [`Set::read`].
    pub fn new(mut releases: Vec<Release>, attestations: Attested, max_artifact_bytes: u64) -> Result<Self, Problem> {
        check_size(releases.len())?;
        releases.sort_by(|a, b| a.id.cmp(&b.id));
        if let Some(pair) = releases.windows(2).find(|pair| pair[0].id == pair[1].id) {
            let (id, one, other) = (&pair[0].id, &pair[0].version, &pair[1].version);
            return Err(Problem::new(Code::SetRepeats, format!("`{id}` stands in the set as {one} and as {other}")));
        }
        releases.iter().try_for_each(|release| check_record(release, max_artifact_bytes))?;
        if let Some(id) = attestations.keys().find(|id| !releases.iter().any(|release| release.id == **id)) {
            return Err(Problem::new(Code::AttestationInvalid, format!("`{id}` is attested, and is not in the set")));
        }
        check_event(&releases, &attestations)?;
        let set = Self::accepted(releases, attestations)?;
        set.0.iter().try_for_each(signing::check_sizes)?;
        let namespaces = set.namespaces().len();
        if namespaces > MAX_NAMESPACES {
            let detail =
                format!("the set has plugins of {namespaces} namespaces: at most {MAX_NAMESPACES} go together");
            return Err(Problem::new(Code::SetSize, detail));
        }
        Ok(set)
    }

    /// The set of records that an event has: they were judged when it was accepted.
    pub(crate) fn accepted(releases: Vec<Release>, mut attestations: Attested) -> Result<Self, Problem> {
        let one = |release: Release| {
            let attested = attestations.remove(&release.id).unwrap_or_default();
            Candidate::new(release, attested)
        };
        releases.into_iter().map(one).collect::<Result<_, _>>().map(Self)
    }

    /// The namespaces of its plugins.
    pub(crate) fn namespaces(&self) -> BTreeSet<&Namespace> {
        self.0.iter().map(|candidate| candidate.release.id.namespace()).collect()
    }

    /// What is attested of its records.
    pub(crate) fn attestations(&self) -> Attested {
        attested(&self.0.iter().collect::<Vec<_>>())
    }

    /// The records, sorted by plugin.
    pub fn candidates(&self) -> &[Candidate] {
        &self.0
    }

    /// The record of this plugin.
    pub fn get(&self, id: &PluginId) -> Option<&Candidate> {
        self.0.binary_search_by(|candidate| candidate.release.id.cmp(id)).ok().map(|place| &self.0[place])
    }

    /// The digests of the records, in order.
    pub fn records(&self) -> impl Iterator<Item = &Digest> {
        self.0.iter().map(|candidate| &candidate.record.digest)
    }

    /// All blobs that the records name, sorted, each once.
    ///
    /// # Errors
    /// [`Code::RecordInvalid`] where two records give one digest two sizes.
    pub fn blobs(&self) -> Result<Vec<BlobRef>, Problem> {
        let mut blobs: Vec<BlobRef> = self.0.iter().flat_map(Candidate::blobs).collect();
        blobs.sort();
        blobs.dedup();
        match blobs.windows(2).find(|pair| pair[0].digest == pair[1].digest) {
            None => Ok(blobs),
            Some(pair) => {
                let (digest, one, other) = (pair[0].digest, pair[0].size, pair[1].size);
                let detail = format!("the blob {digest} has {one} bytes in one place and {other} in another");
                Err(Problem::new(Code::RecordInvalid, detail))
            }
        }
    }
}

/// What is attested of these candidates, as an event has it.
pub(crate) fn attested(candidates: &[&Candidate]) -> Attested {
    let some = candidates.iter().filter(|candidate| !candidate.attestations.is_empty());
    some.map(|candidate| (candidate.release.id.clone(), candidate.attestations.clone())).collect()
}

impl Candidate {
    /// All blobs that it names, with those of its attestations.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = BlobRef> {
        self.release.blobs().chain(self.attestations.blobs())
    }

    fn new(release: Release, attestations: Attestations) -> Result<Self, Problem> {
        let record = release.blob().map_err(|error| Problem::new(Code::RecordInvalid, error.to_string()))?;
        Ok(Self { release, record, attestations })
    }
}

fn check_size(count: usize) -> Result<(), Problem> {
    if (1..=MAX_RELEASES_PER_EVENT).contains(&count) {
        return Ok(());
    }
    let detail = format!("the set has {count} releases: 1 to {MAX_RELEASES_PER_EVENT} are published together");
    Err(Problem::new(Code::SetSize, detail))
}

/// Reads one record and checks that it says nothing but its canonical form. What a publisher signed and what
/// the registry hashes would otherwise be two things: `"optional": false` and silence read the same.
fn read_record(place: usize, sent: Value) -> Result<Release, Problem> {
    let invalid =
        |rule: &dyn std::fmt::Display| Problem::new(Code::RecordInvalid, format!("releases[{place}]: {rule}"));
    let bytes = canonical::to_bytes(&sent).map_err(|error| invalid(&error))?;
    check_names(place, &sent)?;
    let release: Release = serde_json::from_value(sent.clone()).map_err(|error| {
        let text = error.to_string();
        // The one kind of serde's errors that only its words tell apart.
        let code = if text.starts_with("unknown field") { Code::MemberUnknown } else { Code::RecordInvalid };
        Problem::new(code, format!("releases[{place}]: {text}"))
    })?;
    let canonical = release.to_bytes().map_err(|error| invalid(&error))?;
    if canonical == bytes {
        return Ok(release);
    }
    let canonical: Value = serde_json::from_slice(&canonical).map_err(|error| invalid(&error))?;
    let place = difference(&sent, &canonical).unwrap_or_default();
    let detail = format!("the record of `{}` writes `{place}` otherwise than its canonical form", release.id);
    Err(Problem::new(Code::RecordNotCanonical, detail).with("member", place))
}

/// What plugin and version a record is of, before anything else of it is read.
fn check_names(place: usize, sent: &Value) -> Result<(), Problem> {
    let text = |member: &str| sent.get(member).and_then(Value::as_str);
    let refuse = |code, member: &str, rule: String| {
        Err(Problem::new(code, format!("releases[{place}].{member}: {rule}")).with("member", member))
    };
    if let Some(Err(error)) = text("id").map(str::parse::<PluginId>) {
        // Letters of other alphabets look like the ones that are allowed.
        return refuse(Code::NameInvalid, "id", error.to_string().chars().map(ascii).collect());
    }
    match text("version").map(str::parse::<Version>) {
        Some(Err(error)) => refuse(Code::VersionInvalid, "version", error.to_string()),
        _ => Ok(()),
    }
}

fn ascii(character: char) -> String {
    if character.is_ascii() { character.to_string() } else { character.escape_unicode().to_string() }
}

fn record_problem(error: &ReleaseError) -> Problem {
    let code = match error {
        ReleaseError::TooLarge { .. } => Code::RecordTooLarge,
        _ => Code::RecordInvalid,
    };
    Problem::new(code, error.to_string())
}

/// Where two values first differ, as `member.member`; `None` where they are equal.
fn difference(one: &Value, other: &Value) -> Option<String> {
    match (one, other) {
        _ if one == other => None,
        (Value::Object(one), Value::Object(other)) => {
            let names = one.keys().chain(other.keys().filter(|name| !one.contains_key(*name)));
            names.into_iter().find_map(|name| match (one.get(name), other.get(name)) {
                (Some(one), Some(other)) => match difference(one, other)?.as_str() {
                    "" => Some(name.clone()),
                    rest => Some(format!("{name}.{rest}")),
                },
                _ => Some(name.clone()),
            })
        }
        _ => Some(String::new()),
    }
}

fn check_record(release: &Release, max_artifact_bytes: u64) -> Result<(), Problem> {
    // The type does not hold all bounds.
    release.check().map_err(|error| record_problem(&error))?;
    about::check(release)?;
    let (id, version) = (&release.id, &release.version);
    let bound = |code, what: &str, blob: BlobRef, limit: u64| {
        let code = match blob.size {
            0 => Code::BlobEmpty,
            size if size > limit => code,
            _ => return Ok(()),
        };
        let detail = format!("the {what} of `{id}` {version} has {} bytes: 1 to {limit} are accepted", blob.size);
        Err(Problem::new(code, detail))
    };
    bound(Code::ArtifactTooLarge, "component", release.artifact, max_artifact_bytes)?;
    bound(Code::WitTooLarge, "WIT", release.wit, MAX_WIT_BYTES)?;
    if let Some(readme) = release.readme {
        bound(Code::ReadmeTooLarge, "readme", readme, MAX_README_BYTES)?;
    }
    if release.dependencies.contains_key(id) {
        return Err(Problem::new(Code::DependencySelf, format!("`{id}` {version} depends on `{id}`")));
    }
    Ok(())
}

/// Checks that one event can carry all records, whatever its place in the log will be.
fn check_event(releases: &[Release], attestations: &Attested) -> Result<(), Problem> {
    let actor = "k".repeat(64).parse().unwrap_or_else(|_| ActorId::registry());
    let draft = Draft {
        actor,
        fact: Fact::Released { releases: releases.to_vec(), attestations: attestations.clone() },
        private: None,
    };
    // The longest numbers that a place can have.
    let head = Head { seq: u64::MAX - 1, hash: Digest::from_bytes([0xff; 32]), time: Time::MAX };
    match Event::seal(&draft, &head, Time::MAX) {
        Ok(_) => Ok(()),
        Err(error @ EventError::TooLarge(_)) => Err(Problem::new(Code::EventTooLarge, error.to_string())),
        Err(error) => Err(Problem::new(Code::RecordInvalid, error.to_string())),
    }
}
