//! What a user has agreed to, in a file of their own.
//!
//! It is no part of a lock: a lock is shared with everybody who runs the same host, and what one of them agreed to is
//! not agreed to by the others.

use std::{
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use stoa_core::{
    capability::{Capability, Grants},
    digest::Digest,
    id::PluginId,
    lock::Publisher,
};

use super::{Answer, Consent, Question};

/// A file is at most this long (1 MiB): some thousand agreements.
pub const MAX_BYTES: u64 = 1024 * 1024;

/// Why what was agreed to can not be read or kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConsentError {
    /// The file can not be used.
    #[error("what was agreed to can not be kept in {path}")]
    File {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file has another form. It is not passed over: what it says may have been taken back by somebody.
    #[error("{path} is not a file of what was agreed to: {why}")]
    Form {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// There is no folder for a user's settings.
    #[error("there is no folder for what was agreed to: neither XDG_CONFIG_HOME nor HOME is set")]
    NoFolder,
}

/// One plugin of one publisher in one registry, and capabilities that it may have together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agreement {
    /// The plugin.
    pub plugin: PluginId,
    /// The SHA-256 of the pinned root of its registry.
    pub registry: Digest,
    /// Whose signature it bears.
    pub publisher: Publisher,
    /// The capabilities, sorted.
    pub capabilities: Vec<Capability>,
    /// [`Grants::digest`] of them: two of these with the same digest say the same.
    pub digest: Digest,
}

impl Agreement {
    /// What would be agreed to by agreeing to `question`; `None` where nobody stands for the plugin.
    pub fn to(question: &Question) -> Option<Self> {
        let voucher = question.voucher()?;
        let (registry, publisher) = (voucher.registry, voucher.publisher);
        let capabilities = question.capabilities().capabilities().cloned().collect();
        let digest = question.capabilities().digest();
        Some(Self { plugin: question.id().clone(), registry, publisher, capabilities, digest })
    }

    fn is_about(&self, other: &Self) -> bool {
        (&self.plugin, self.registry, self.publisher) == (&other.plugin, other.registry, other.publisher)
    }

    fn grants(&self) -> Grants {
        self.capabilities.iter().cloned().collect()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    version: u32,
    #[serde(default, rename = "agreement")]
    agreements: Vec<Agreement>,
}

/// The file of what a user has agreed to.
#[derive(Debug, Clone)]
pub struct Consents {
    path: PathBuf,
}

impl Consents {
    /// The file at `path`, which need not be there yet.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The user's own: `stoa/consents.toml` in `XDG_CONFIG_HOME`, else in `~/.config`.
    ///
    /// # Errors
    /// [`ConsentError::NoFolder`].
    pub fn user() -> Result<Self, ConsentError> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let folder = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")));
        folder.map(|folder| Self::at(folder.join("stoa/consents.toml"))).ok_or(ConsentError::NoFolder)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All that was agreed to, sorted by plugin.
    ///
    /// # Errors
    /// [`ConsentError`].
    pub fn all(&self) -> Result<Vec<Agreement>, ConsentError> {
        let form = |why: String| ConsentError::Form { path: self.path.display().to_string(), why };
        let file = match std::fs::File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(self.refused(source)),
        };
        let mut text = String::new();
        file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(|source| self.refused(source))?;
        if text.len() as u64 > MAX_BYTES {
            return Err(form(format!("it has more than {MAX_BYTES} bytes")));
        }
        let read: Form = toml::from_str(&text).map_err(|error| form(error.message().to_owned()))?;
        if read.version != 1 {
            return Err(form(format!("its version is {}, and 1 is known", read.version)));
        }
        match read.agreements.iter().find(|one| one.grants().digest() != one.digest) {
            Some(changed) => {
                Err(form(format!("an agreement to {} has another digest than its capabilities", changed.plugin)))
            }
            None => Ok(read.agreements),
        }
    }

    /// Whether one agreement has all that `question` asks for. Several do not count together: who agreed to files for one
    /// version, and to the network for another, has not agreed to both at once.
    ///
    /// # Errors
    /// [`ConsentError`].
    pub fn has(&self, question: &Question) -> Result<bool, ConsentError> {
        let Some(asked) = Agreement::to(question) else { return Ok(false) };
        let covers = |one: &Agreement| one.is_about(&asked) && question.capabilities().within(&one.grants());
        Ok(self.all()?.iter().any(covers))
    }

    /// Keeps an agreement. What it covers of the same plugin goes.
    ///
    /// # Errors
    /// [`ConsentError`].
    pub fn add(&self, agreement: Agreement) -> Result<(), ConsentError> {
        let _one_at_a_time = self.locked()?;
        let mut all = self.all()?;
        let grants = agreement.grants();
        all.retain(|one| !(one.is_about(&agreement) && one.grants().within(&grants)));
        all.push(agreement);
        self.write(all)
    }

    /// Takes back all that was agreed to of a plugin. Gives how much that was.
    ///
    /// # Errors
    /// [`ConsentError`].
    pub fn revoke(&self, plugin: &PluginId) -> Result<usize, ConsentError> {
        let _one_at_a_time = self.locked()?;
        let mut all = self.all()?;
        let before = all.len();
        all.retain(|one| one.plugin != *plugin);
        let gone = before - all.len();
        if gone > 0 {
            self.write(all)?;
        }
        Ok(gone)
    }

    fn refused(&self, source: io::Error) -> ConsentError {
        ConsentError::File { path: self.path.display().to_string(), source }
    }

    /// Two programs that add at the same time would otherwise each lose what the other added.
    fn locked(&self) -> Result<std::fs::File, ConsentError> {
        let lock = || {
            std::fs::create_dir_all(self.folder())?;
            let file = std::fs::File::create(self.path.with_extension("lock"))?;
            file.lock()?;
            Ok(file)
        };
        lock().map_err(|source| self.refused(source))
    }

    fn folder(&self) -> &Path {
        self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    fn write(&self, mut agreements: Vec<Agreement>) -> Result<(), ConsentError> {
        agreements.sort_by(|one, other| (&one.plugin, &one.digest).cmp(&(&other.plugin, &other.digest)));
        let text = toml::to_string(&Form { version: 1, agreements })
            .map_err(|error| ConsentError::Form { path: self.path.display().to_string(), why: error.to_string() })?;
        let whole = || {
            let mut file = tempfile::NamedTempFile::new_in(self.folder())?;
            file.write_all(text.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(&self.path).map(drop).map_err(|error| error.error)
        };
        whole().map_err(|source| self.refused(source))
    }
}

/// Somebody who is asked only what was not agreed to before.
#[derive(Debug, Clone)]
pub struct Kept<C> {
    consents: Consents,
    then: C,
}

impl<C: Consent> Kept<C> {
    /// Looks into `consents`, then asks `then` and keeps what it agrees to.
    pub fn new(consents: Consents, then: C) -> Self {
        Self { consents, then }
    }
}

impl<C: Consent> Consent for Kept<C> {
    fn answer(&self, question: &Question) -> Answer {
        match self.consents.has(question) {
            Ok(true) => return Answer::Agree,
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "what was agreed to before does not count"),
        }
        let answer = self.then.answer(question);
        if let (Answer::Agree, Some(agreement)) = (answer, Agreement::to(question))
            && let Err(error) = self.consents.add(agreement)
        {
            tracing::warn!(%error, "this will be asked again");
        }
        answer
    }
}
