//! Who asks: the API key of a request, and what it allows.

use std::collections::BTreeSet;

use axum::extract::FromRequestParts;
use http::{HeaderMap, header, request::Parts};
use stoa_core::{event::ActorId, time::Time};
use stoa_store::ledger::{Expect, Ledger};

use crate::{
    App,
    items::{self, Outcome, operation},
    problem::{Code, Problem},
    scope::{Need, Scope},
    state::KeyItem,
    token::{KeyId, Token},
};

/// A label is at most this long, in characters.
pub const MAX_LABEL: usize = 100;

/// The holder of a valid API key.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    id: KeyId,
    scopes: BTreeSet<Scope>,
}

impl Caller {
    /// The public name of the key.
    pub(crate) fn id(&self) -> &KeyId {
        &self.id
    }

    /// Who they are in the log.
    pub(crate) fn actor(&self) -> ActorId {
        self.id.actor()
    }

    /// Checks that the key allows what the request needs.
    pub(crate) fn may(&self, need: Need<'_>) -> Result<(), Problem> {
        if need.met_by(&self.scopes) {
            return Ok(());
        }
        let detail = format!("the key {} does not have the scope `{need}`", self.id);
        Err(Problem::new(Code::ScopeMissing, detail).with("scope", need.to_string()))
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let token = bearer(&parts.headers)?;
        let now = app.clock.now();
        let kept = items::get::<KeyItem>(app.ledger.as_ref(), token.id(), now).await?;
        let unknown = || Problem::new(Code::KeyUnknown, "the registry has no API key with this id and secret");
        let key = kept.ok_or_else(unknown)?.value;
        // Before anything else is said of the key: only its holder learns that it has expired.
        if !key.hash.admits(&token) {
            return Err(unknown());
        }
        check_times(&key, now)?;
        Ok(Self { id: key.id, scopes: key.scopes })
    }
}

fn bearer(headers: &HeaderMap) -> Result<Token, Problem> {
    let missing = |detail: &str| Problem::new(Code::KeyMissing, detail);
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or_else(|| missing("the request has no `Authorization` header"))?;
    if values.next().is_some() {
        return Err(missing("the request has more than one `Authorization` header"));
    }
    // The value itself is never repeated: it may be a secret meant for someone else.
    let text = value.to_str().map_err(|_| missing("the `Authorization` header is not plain text"))?;
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(missing("the `Authorization` header is of another scheme than `Bearer`"));
    }
    token.trim().parse().map_err(|error: crate::token::TokenError| Problem::new(Code::KeyMalformed, error.to_string()))
}

/// Checks that a key is neither revoked nor expired.
pub(crate) fn check_times(key: &KeyItem, now: Time) -> Result<(), Problem> {
    if let Some(at) = key.revoked_at {
        return Err(Problem::new(Code::KeyRevoked, format!("the key {} was revoked at {at}", key.id)));
    }
    match key.expires_at {
        Some(at) if now >= at => Err(Problem::new(Code::KeyExpired, format!("the key {} expired at {at}", key.id))),
        _ => Ok(()),
    }
}

/// What a new key is to be.
#[derive(Debug, Clone)]
pub(crate) struct NewKey {
    pub(crate) label: String,
    pub(crate) scopes: BTreeSet<Scope>,
    pub(crate) expires_at: Option<Time>,
    pub(crate) created_by: ActorId,
}

/// Makes a key and keeps what is kept of it. The token is in no other place from here on.
pub(crate) async fn create_key(ledger: &dyn Ledger, new: NewKey, now: Time) -> Result<(Token, KeyItem), Problem> {
    // Two of 2^48 ids meet after some ten million keys; the condition makes that a second attempt, not a mix-up.
    for _ in 0..3 {
        let token = Token::generate().map_err(|error| Problem::internal(&error))?;
        let item = KeyItem {
            format: 1,
            id: token.id().clone(),
            hash: token.hash(),
            last_four: token.last_four(),
            label: new.label.clone(),
            scopes: new.scopes.clone(),
            created_by: new.created_by.clone(),
            created_at: now,
            expires_at: new.expires_at,
            revoked_at: None,
        };
        let write = items::put(token.id(), &item, Expect::Absent, None)?;
        let id = operation("create-key", &[item.id.to_string()])?;
        if let Outcome::Done = items::commit(ledger, id, None, vec![write], now).await? {
            return Ok((token, item));
        }
    }
    Err(Problem::new(Code::Contended, "three new ids of API keys were all taken"))
}

/// Makes the first key of a registry: scope `admin`, no expiry. `stoa init` prints it once.
///
/// # Errors
/// A [`Problem`] where the ledger or the operating system's randomness failed.
pub async fn bootstrap_admin_key(ledger: &dyn Ledger, now: Time) -> Result<Token, Problem> {
    admin_key(ledger, "first key of the registry", now).await
}

/// Makes a key like the first one, for a registry whose keys are lost: they are not in the log, which a ledger can be
/// replayed from. Whoever can write to the ledger's file can have one.
///
/// # Errors
/// As [`bootstrap_admin_key`].
pub async fn recovery_admin_key(ledger: &dyn Ledger, now: Time) -> Result<Token, Problem> {
    admin_key(ledger, "made after a loss of the ledger", now).await
}

async fn admin_key(ledger: &dyn Ledger, label: &str, now: Time) -> Result<Token, Problem> {
    let new = NewKey {
        label: label.to_owned(),
        scopes: BTreeSet::from([Scope::Admin]),
        expires_at: None,
        created_by: ActorId::registry(),
    };
    create_key(ledger, new, now).await.map(|(token, _)| token)
}
