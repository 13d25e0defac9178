//! The keys that a namespace's publishers sign with.

use axum::extract::State;
use serde::Deserialize;
use stoa_core::{
    attestation::Envelope,
    digest::Digest,
    event::{ActorId, Draft, Fact},
    id::Namespace,
    publisher::{Publishers, Statement},
    trust::KeyId,
};
use stoa_store::ledger::{Expect, Ledger};

use super::extract::{Segments, parse};
use crate::{
    App,
    auth::Caller,
    body::Json,
    change::{self, Keys},
    items::{self, Kept, Outcome, operation},
    problem::{Code, Problem},
    scope::Need,
    state::{NamespaceItem, PublishersItem},
};

type Answer = Result<axum::Json<Publishers>, Problem>;

/// How many times a change is decided anew because others changed the namespace.
const ATTEMPTS: usize = 16;

/// What the registry is named by in what publishers sign: the digest of its first root.
pub(crate) async fn registry_id(ledger: &dyn Ledger) -> Result<Option<Digest>, Problem> {
    let first = ledger.events(0, 1).await.map_err(|error| items::ledger_problem(&error))?.into_iter().next();
    Ok(first.and_then(|event| match &event.event().fact {
        Fact::Genesis { offline, .. } => {
            offline.iter().find(|role| role.role == "root" && role.version.get() == 1).map(|role| role.digest)
        }
        _ => None,
    }))
}

/// Shows the keys of a namespace.
pub(super) async fn show(State(app): State<App>, Segments(namespace): Segments<String>) -> Answer {
    let namespace: Namespace = parse(&namespace)?;
    let (before, _) = kept(&app, &namespace).await?;
    Ok(axum::Json(before))
}

/// Takes a signed statement. One that was accepted already is answered again.
pub(super) async fn state(
    State(app): State<App>,
    caller: Caller,
    Segments(namespace): Segments<String>,
    Json(envelope): Json<Envelope>,
) -> Answer {
    let namespace: Namespace = parse(&namespace)?;
    caller.may(Need::Namespace(&namespace))?;
    let number = Statement::read(&envelope).map_err(|error| refused(&error))?.number;
    let fact = Fact::PublisherStated { namespace: namespace.clone(), statement: envelope };
    change(&app, &caller, &namespace, fact, |before| before.number >= number).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reason {
    reason: String,
}

/// Revokes a key as the operator: for holders that lost all of theirs.
pub(super) async fn revoke(
    State(app): State<App>,
    caller: Caller,
    Segments((namespace, key)): Segments<(String, String)>,
    Json(body): Json<Reason>,
) -> Answer {
    caller.may(Need::Admin)?;
    let (namespace, key): (Namespace, KeyId) = (parse(&namespace)?, parse(&key)?);
    let fact = Fact::PublisherKeyRevoked { namespace: namespace.clone(), key: key.clone(), reason: body.reason };
    let revoked = |before: &Publishers| {
        let ended = before.keys.get(key.as_str()).and_then(|key| key.ended.as_ref());
        ended.is_some_and(|ended| ended.revoked.is_some())
    };
    change(&app, &caller, &namespace, fact, revoked).await
}

async fn change(
    app: &App,
    caller: &Caller,
    namespace: &Namespace,
    fact: Fact,
    done: impl Fn(&Publishers) -> bool,
) -> Answer {
    for _ in 0..ATTEMPTS {
        let now = app.clock.now();
        let head = app.ledger.head().await.map_err(|error| items::ledger_problem(&error))?;
        let (before, expect) = kept(app, namespace).await?;
        let keys = Keys { fact: &fact, after: head.seq, at: now.max(head.time) };
        let changed = match keys.changed(before.clone()) {
            Ok(changed) => changed,
            // The answer to a request that was sent again; the log says whether it was this very statement.
            Err(_) if done(&before) && recorded(app, &fact).await? => return Ok(axum::Json(before)),
            Err(error) => return Err(refused(&error)),
        };
        let actor: ActorId = caller.actor();
        let draft = Draft { actor, fact: fact.clone(), private: None };
        let parts = [namespace.to_string(), head.seq.to_string(), caller.id().to_string()];
        let writes = vec![change::publishers_write(&changed, expect)?];
        let operation = operation("publishers", &parts)?;
        if let Outcome::Done = items::commit(app.ledger.as_ref(), operation, Some(draft), writes, now).await? {
            app.bell.ring();
            return Ok(axum::Json(changed));
        }
    }
    Err(Problem::new(Code::Contended, format!("the keys of `{namespace}` met changes by others {ATTEMPTS} times")))
}

/// Whether the log has this very fact.
async fn recorded(app: &App, fact: &Fact) -> Result<bool, Problem> {
    const PAGE: usize = 128;
    let mut after = 0;
    loop {
        let events = app.ledger.events(after, PAGE).await.map_err(|error| items::ledger_problem(&error))?;
        let Some(last) = events.last() else { return Ok(false) };
        after = last.event().seq;
        if events.iter().any(|event| event.event().fact == *fact) {
            return Ok(true);
        }
    }
}

fn refused(error: &stoa_core::publisher::PublisherError) -> Problem {
    Problem::new(Code::StatementRefused, error.to_string())
}

async fn kept(app: &App, namespace: &Namespace) -> Result<(Publishers, Expect), Problem> {
    let (ledger, now) = (app.ledger.as_ref(), app.clock.now());
    if items::get::<NamespaceItem>(ledger, namespace, now).await?.is_none() {
        return Err(Problem::new(Code::NamespaceUnknown, format!("there is no namespace `{namespace}`")));
    }
    match items::get::<PublishersItem>(ledger, namespace, now).await? {
        Some(Kept { value, revision }) => Ok((value.publishers, Expect::Revision(revision))),
        None => {
            let named = registry_id(ledger).await?;
            let unnamed = || Problem::new(Code::StatementRefused, "the registry has no first root to be named by");
            Ok((Publishers::none(named.ok_or_else(unnamed)?, namespace.clone()), Expect::Absent))
        }
    }
}
