//! What plugins are given: decided by a policy, and by a person where that leaves something open.

use std::{fmt, sync::Arc};

use stoa_core::{
    capability::{Grants, Needs},
    digest::Digest,
    id::PluginId,
    lock::{Exact, Publisher},
    policy::{Obstacle, Policy},
};

use crate::consent::{Answer, Consent, Nobody, Question};

/// What is known of a plugin before its component is here: what it needs, and who says so.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Charter {
    needs: Needs,
    listed: Option<Listed>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Listed {
    grants: Grants,
    by: Voucher,
}

/// Who stands for a plugin: two of one name from other registries, or of other publishers, are others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voucher {
    /// The SHA-256 of the pinned root of its registry.
    pub registry: Digest,
    /// Whose signature it bears.
    pub publisher: Publisher,
}

impl Charter {
    /// A plugin that asks for `needs`, of whose imports nobody has said anything: then what its component imports is
    /// decided on by itself.
    pub fn asking(needs: &Needs) -> Self {
        Self { needs: needs.without_imports(), listed: None }
    }

    /// A plugin of a signed index, which lists all that it needs, with what was decided on that.
    pub(crate) fn listed(needs: Needs, grants: Grants, by: Voucher) -> Self {
        Self { needs, listed: Some(Listed { grants, by }) }
    }

    /// What it asks for and, where they are listed, what its imports lead to.
    pub fn needs(&self) -> &Needs {
        &self.needs
    }

    /// Whether its imports are listed.
    pub fn is_listed(&self) -> bool {
        self.listed.is_some()
    }

    /// Who stands for it.
    pub(crate) fn voucher(&self) -> Option<&Voucher> {
        self.listed.as_ref().map(|listed| &listed.by)
    }

    /// What was decided before its component was here.
    pub(crate) fn grants(&self) -> Option<&Grants> {
        self.listed.as_ref().map(|listed| &listed.grants)
    }
}

/// Why a plugin is not given what it can not do without.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GrantError {
    /// The policy denies it, or it asks for what this program does not know.
    #[error("{}", obstacles(.0))]
    Refused(Vec<Obstacle>),
    /// Nobody has agreed to it.
    #[error("{0}, and nobody has agreed to that")]
    Open(Box<Question>),
}

impl GrantError {
    /// A stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused(obstacles) => obstacles.first().map_or("P011", Obstacle::code),
            Self::Open(_) => "P013",
        }
    }

    /// What to try.
    pub fn hint(&self) -> String {
        match self {
            Self::Refused(obstacles) => obstacles.first().map(Obstacle::hint).unwrap_or_default(),
            Self::Open(question) => question.hint(),
        }
    }
}

fn obstacles(all: &[Obstacle]) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  ")
}

/// Who decides.
#[derive(Clone)]
pub(crate) struct Authority {
    pub(crate) policy: Policy,
    pub(crate) consent: Arc<dyn Consent>,
}

impl Default for Authority {
    /// No rules, and nobody to ask.
    fn default() -> Self {
        Self { policy: Policy::default(), consent: Arc::new(Nobody) }
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl Authority {
    /// What `release` is given of `needs`.
    ///
    /// # Errors
    /// [`GrantError`].
    pub(crate) async fn decide(
        &self,
        release: &Exact,
        needs: &Needs,
        voucher: Option<&Voucher>,
    ) -> Result<Grants, GrantError> {
        let id: &PluginId = &release.id;
        let decision = self.policy.decide(id, needs, &Grants::none());
        let obstacles = decision.obstacles();
        if !obstacles.is_empty() {
            return Err(GrantError::Refused(obstacles));
        }
        let open = decision.open();
        if open.is_empty() {
            return Ok(decision.grants());
        }
        let question = Question::new(release.clone(), voucher.cloned(), &decision);
        let (consent, asked) = (self.consent.clone(), question.clone());
        // A person takes their time: not on a thread that others wait for.
        let answer = tokio::task::spawn_blocking(move || consent.answer(&asked)).await.unwrap_or(Answer::Refuse);
        match answer {
            Answer::Agree => Ok(self.policy.decide(id, needs, &open).grants()),
            Answer::Without if question.can_do_without() => Ok(decision.grants()),
            Answer::Without | Answer::Refuse => Err(GrantError::Open(Box::new(question))),
        }
    }
}
