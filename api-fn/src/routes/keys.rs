//! API keys.

use std::collections::BTreeSet;

use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use stoa_core::{event::ActorId, time::Time};
use stoa_store::ledger::{Expect, Ledger};

use super::extract::{Parameters, Segments, Taken, parse};
use crate::{
    App,
    auth::{Caller, MAX_LABEL, NewKey, check_times, create_key},
    body::Json,
    items::{self, Kept, Outcome, operation},
    problem::{Code, Problem},
    scope::{Need, Scope},
    state::KeyItem,
    token::KeyId,
};

/// A page of keys has at most so many.
const PAGE: usize = 100;
/// A key has at most so many scopes.
const MAX_SCOPES: usize = 50;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Create {
    label: String,
    scopes: BTreeSet<Scope>,
    #[serde(default)]
    expires_at: Option<Time>,
}

/// A key without its secret.
#[derive(Serialize)]
pub(super) struct Shown {
    id: KeyId,
    label: String,
    last_four: String,
    scopes: BTreeSet<Scope>,
    created_by: ActorId,
    created_at: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<Time>,
}

/// A key with its secret: shown once, when it is made.
#[derive(Serialize)]
pub(super) struct Created {
    key: String,
    #[serde(flatten)]
    shown: Shown,
}

/// Makes a key. This is the one request that is not safe to repeat: a lost answer leaves a key whose secret
/// nobody has, to be found in the list and revoked.
pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    Json(body): Json<Create>,
) -> Result<(StatusCode, axum::Json<Created>), Problem> {
    caller.may(Need::Admin)?;
    let now = app.clock.now();
    check(&body, now)?;
    let Create { label, scopes, expires_at } = body;
    let new = NewKey { label, scopes, expires_at, created_by: caller.actor() };
    let (token, item) = create_key(app.ledger.as_ref(), new, now).await?;
    Ok((StatusCode::CREATED, axum::Json(Created { key: token.reveal(), shown: shown(item) })))
}

fn check(body: &Create, now: Time) -> Result<(), Problem> {
    let refuse = |detail: String| Err(Problem::new(Code::JsonShape, detail));
    let length = body.label.chars().count();
    if !(1..=MAX_LABEL).contains(&length) || body.label.chars().any(char::is_control) {
        return refuse(format!("the label has {length} characters: it is one line of 1 to {MAX_LABEL}"));
    }
    let count = body.scopes.len();
    if !(1..=MAX_SCOPES).contains(&count) {
        return refuse(format!("the key would have {count} scopes: 1 to {MAX_SCOPES} are possible"));
    }
    match body.expires_at {
        Some(at) if at <= now => {
            Err(Problem::new(Code::ExpiryInvalid, format!("the key would expire at {at}; it is {now}")))
        }
        _ => Ok(()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    #[serde(default)]
    after: Option<String>,
}

impl Taken for Page {
    const NAMES: &'static str = "`after`, the id of a key";
}

/// Some keys, in order of their ids.
#[derive(Serialize)]
pub(super) struct Keys {
    keys: Vec<Shown>,
    /// What `after` is for the next page; nothing on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<KeyId>,
}

/// Lists keys.
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Parameters(page): Parameters<Page>,
) -> Result<axum::Json<Keys>, Problem> {
    caller.may(Need::Admin)?;
    let after: Option<KeyId> = page.after.as_deref().map(parse).transpose()?;
    let after = after.map(|id| id.to_string());
    let (ledger, now) = (app.ledger.as_ref(), app.clock.now());
    let found: Vec<Kept<KeyItem>> = items::list(ledger, KeyItem::PARTITION, after.as_deref(), PAGE, now).await?;
    let next = if found.len() == PAGE { found.last().map(|kept| kept.value.id.clone()) } else { None };
    Ok(axum::Json(Keys { keys: found.into_iter().map(|kept| shown(kept.value)).collect(), next }))
}

/// How many times a revocation is decided anew because others changed the keys that it rests on.
const ATTEMPTS: usize = 16;

/// Revokes a key; one that is revoked already stays as it was. The last key that administers the registry is kept:
/// without it nobody could make another.
pub(super) async fn revoke(
    State(app): State<App>,
    caller: Caller,
    Segments(id): Segments<String>,
) -> Result<axum::Json<Shown>, Problem> {
    caller.may(Need::Admin)?;
    let id: KeyId = parse(&id)?;
    let (ledger, now) = (app.ledger.as_ref(), app.clock.now());
    for _ in 0..ATTEMPTS {
        let found = items::get::<KeyItem>(ledger, &id, now).await?;
        let unknown = || Problem::new(Code::KeyIdUnknown, format!("there is no API key {id}"));
        let kept = found.ok_or_else(unknown)?;
        if kept.value.revoked_at.is_some() {
            return Ok(axum::Json(shown(kept.value)));
        }
        // That another administrator stays is a condition of the same transaction: of two keys that revoke each
        // other at once, one remains.
        let stays = if administers(&kept.value, now) { Some(other_admin(ledger, &id, now).await?) } else { None };
        let mut parts = vec![id.to_string(), kept.revision.to_string()];
        parts.extend(stays.iter().flat_map(|stays| [stays.value.id.to_string(), stays.revision.to_string()]));
        let item = KeyItem { revoked_at: Some(now), ..kept.value };
        let mut writes = vec![items::put(&id, &item, Expect::Revision(kept.revision), None)?];
        if let Some(Kept { value, revision }) = stays {
            writes.push(items::check::<KeyItem>(&value.id, Expect::Revision(revision))?);
        }
        if let Outcome::Done = items::commit(ledger, operation("revoke-key", &parts)?, None, writes, now).await? {
            return Ok(axum::Json(shown(item)));
        }
    }
    Err(Problem::new(Code::Contended, format!("the key {id} is being changed by others")))
}

/// Whether the key administers the registry at this moment.
fn administers(key: &KeyItem, now: Time) -> bool {
    key.scopes.contains(&Scope::Admin) && check_times(key, now).is_ok()
}

/// A key other than `id` that administers the registry: the one that does so the longest.
async fn other_admin(ledger: &dyn Ledger, id: &KeyId, now: Time) -> Result<Kept<KeyItem>, Problem> {
    let (mut after, mut best) = (None::<String>, None::<Kept<KeyItem>>);
    loop {
        let page: Vec<Kept<KeyItem>> = items::list(ledger, KeyItem::PARTITION, after.as_deref(), PAGE, now).await?;
        let is_last = page.len() < PAGE;
        after = page.last().map(|kept| kept.value.id.to_string());
        let others = page.into_iter().filter(|kept| kept.value.id != *id && administers(&kept.value, now));
        best = best.into_iter().chain(others).max_by_key(|kept| kept.value.expires_at.unwrap_or(Time::MAX));
        if is_last {
            let detail = || format!("the key {id} is the only valid one with the scope `admin`");
            return best.ok_or_else(|| Problem::new(Code::LastAdminKey, detail()));
        }
    }
}

fn shown(item: KeyItem) -> Shown {
    let KeyItem { id, label, last_four, scopes, created_by, created_at, expires_at, revoked_at, .. } = item;
    Shown { id, label, last_four, scopes, created_by, created_at, expires_at, revoked_at }
}
