//! Where a component was built, as SLSA provenance says it.
//!
//! Sources: SLSA provenance v1 and v0.2, and the workflow build types that are published for both. What is read here are
//! claims: this checks that they are about the component in hand, and not who made them.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::{AttestationError, MAX_PROVENANCE_BYTES, STATEMENT_TYPE, strict};
use crate::{digest::Digest, reader::shown};

/// How a predicate type of SLSA provenance begins; its version follows.
const SLSA: &str = "https://slsa.dev/provenance/";

/// Where a component was built. A part that its provenance does not say is empty, and equals nothing that can be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    /// The builder that attests it, by its address.
    pub builder: String,
    /// The repository with the source, by its address.
    pub repository: String,
    /// The workflow that built it, as a path in the repository.
    pub workflow: String,
}

impl Provenance {
    /// Reads a provenance: a DSSE envelope, or a bundle that has one as `dsseEnvelope`, over an in-toto statement of SLSA
    /// provenance one of whose subjects is `artifact`.
    ///
    /// Its own signature is not looked at: neither registry nor host has roots of builders. That somebody stands for it has
    /// to come from elsewhere, as from a publisher whose signature covers its digest.
    ///
    /// # Errors
    /// [`AttestationError`].
    pub fn read(bytes: &[u8], artifact: &Digest) -> Result<Self, AttestationError> {
        let statement = statement(bytes)?;
        let predicate_type = statement.get("predicateType").and_then(Value::as_str).unwrap_or("none");
        let Some(version) = predicate_type.strip_prefix(SLSA) else {
            let what = format!("`{}` is no SLSA provenance", predicate_type.escape_default());
            return Err(AttestationError::Malformed(what));
        };
        let subjects = statement.get("subject").and_then(Value::as_array);
        let digests = |subject: &Value| subject.pointer("/digest/sha256").and_then(Value::as_str).map(str::to_owned);
        let found: Vec<String> = subjects.into_iter().flatten().filter_map(digests).collect();
        if !found.contains(&artifact.to_string()) {
            let found = found.first().map_or("none".to_owned(), |first| first.chars().take(80).collect());
            return Err(AttestationError::Differs { member: "the component", found, expected: artifact.to_string() });
        }
        let say = |pointer: &str| statement.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(match version.split('.').next() {
            Some("v1") => Self {
                builder: say("/predicate/runDetails/builder/id"),
                repository: say("/predicate/buildDefinition/externalParameters/workflow/repository"),
                workflow: say("/predicate/buildDefinition/externalParameters/workflow/path"),
            },
            _ => Self {
                builder: say("/predicate/builder/id"),
                repository: repository(&say("/predicate/invocation/configSource/uri")).to_owned(),
                workflow: say("/predicate/invocation/configSource/entryPoint"),
            },
        })
    }
}

/// What it says, as what follows "it was built".
impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [("from", &self.repository), ("by", &self.workflow), ("on", &self.builder)];
        let said = parts.iter().filter(|(_, part)| !part.is_empty());
        let said: Vec<String> = said.map(|(how, part)| format!("{how} {}", shown(part))).collect();
        match said.is_empty() {
            true => f.write_str("at a place that its provenance does not name"),
            false => f.write_str(&said.join(" ")),
        }
    }
}

/// v0.2 writes an SPDX download location, `git+https://git.example/demo/markdown@refs/heads/main`; v1 the address alone.
fn repository(location: &str) -> &str {
    let address = location.strip_prefix("git+").unwrap_or(location);
    // Not the `@` of a user's name: what is cut off follows the path.
    match address.rsplit_once('@') {
        Some((repository, revision)) if revision.starts_with("refs/") || !revision.contains('/') => repository,
        _ => address,
    }
}

fn statement(bytes: &[u8]) -> Result<Value, AttestationError> {
    let value = strict(bytes, MAX_PROVENANCE_BYTES)?;
    let envelope = value.get("dsseEnvelope").unwrap_or(&value);
    let text = |member| envelope.get(member).and_then(Value::as_str);
    match text("payloadType") {
        Some(STATEMENT_TYPE) => {}
        found => {
            let found = found.unwrap_or("none").chars().take(80).collect();
            return Err(AttestationError::PayloadType { found, expected: STATEMENT_TYPE });
        }
    }
    let payload = text("payload").and_then(|payload| STANDARD.decode(payload).ok());
    let malformed = || AttestationError::Malformed("`payload` is not base64".to_owned());
    strict(&payload.ok_or_else(malformed)?, MAX_PROVENANCE_BYTES)
}

/// Checks a provenance that a publisher supplies, as [`Provenance::read`] does.
///
/// # Errors
/// [`AttestationError`].
pub fn check_provenance(bytes: &[u8], artifact: &Digest) -> Result<(), AttestationError> {
    Provenance::read(bytes, artifact).map(drop)
}
