//! Namespaces.

use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use stoa_core::{
    event::{Draft, Fact},
    id::Namespace,
    time::Time,
};

use super::extract::{Segments, parse};
use crate::{
    App,
    auth::Caller,
    body::Json,
    change,
    items::{self, Kept, Outcome, operation},
    problem::{Code, Problem},
    scope::Need,
    skeleton::Skeleton,
    state::{Among, NameItem, NamespaceItem},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Create {
    namespace: Namespace,
}

#[derive(Serialize)]
pub(super) struct Shown {
    namespace: Namespace,
    created_at: Time,
}

type Answer = Result<(StatusCode, axum::Json<Shown>), Problem>;

/// Creates a namespace. The same key may say so again: it gets the same answer.
pub(super) async fn create(State(app): State<App>, caller: Caller, Json(body): Json<Create>) -> Answer {
    caller.may(Need::Admin)?;
    let Create { namespace } = body;
    let now = app.clock.now();
    // Once around for a request that lost against the same name, or one like it.
    for _ in 0..2 {
        if let Some(exists) = existing(&app, &namespace, now).await? {
            if exists.created_by == caller.actor() {
                return Ok((StatusCode::OK, shown(exists)));
            }
            let detail = format!("the namespace `{namespace}` was created at {}", exists.created_at);
            return Err(Problem::new(Code::NamespaceExists, detail));
        }
        let item = change::namespace_item(&namespace, caller.actor(), now);
        if let Outcome::Done = commit(&app, &caller, &item, now).await? {
            app.bell.ring();
            return Ok((StatusCode::CREATED, shown(item)));
        }
    }
    Err(Problem::new(Code::Contended, format!("the namespace `{namespace}` is being changed by others")))
}

/// The namespace, if it exists already, unless one that looks like it does.
async fn existing(app: &App, namespace: &Namespace, now: Time) -> Result<Option<NamespaceItem>, Problem> {
    if let Some(found) = items::get::<NamespaceItem>(app.ledger.as_ref(), namespace, now).await? {
        return Ok(Some(found.value));
    }
    let skeleton = Skeleton::of(namespace.as_str());
    let name = (Among::Namespaces, &skeleton);
    let Some(Kept { value: like, .. }) = items::get::<NameItem>(app.ledger.as_ref(), name, now).await? else {
        return Ok(None);
    };
    let detail = format!("`{namespace}` would be taken for the namespace `{}`, which exists", like.name);
    Err(Problem::new(Code::NamespaceConfusable, detail).with("exists", like.name.to_string()))
}

async fn commit(app: &App, caller: &Caller, item: &NamespaceItem, now: Time) -> Result<Outcome, Problem> {
    let namespace = &item.namespace;
    let fact = Fact::NamespaceCreated { namespace: namespace.clone() };
    let draft = Draft { actor: caller.actor(), fact, private: None };
    let operation = operation("create-namespace", &[namespace.to_string(), caller.id().to_string()])?;
    items::commit(app.ledger.as_ref(), operation, Some(draft), change::namespace_writes(item)?, now).await
}

/// Shows a namespace.
pub(super) async fn show(State(app): State<App>, Segments(namespace): Segments<String>) -> Answer {
    let namespace: Namespace = parse(&namespace)?;
    let found = items::get::<NamespaceItem>(app.ledger.as_ref(), &namespace, app.clock.now()).await?;
    let unknown = || Problem::new(Code::NamespaceUnknown, format!("there is no namespace `{namespace}`"));
    Ok((StatusCode::OK, shown(found.ok_or_else(unknown)?.value)))
}

fn shown(item: NamespaceItem) -> axum::Json<Shown> {
    axum::Json(Shown { namespace: item.namespace, created_at: item.created_at })
}
