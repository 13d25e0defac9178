//! Taking plugins and releases down, contradicting that, and restoring them.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use stoa_core::{
    event::{Draft, Fact, check_reason},
    id::PluginId,
    standing::{Cause, Measure},
    version::Version,
};
use stoa_store::ledger::Ledger;

use super::{
    extract::{Segments, parse},
    plugins,
};
use crate::{
    App,
    auth::Caller,
    body::Json,
    items::{self, Outcome, event_after, operation},
    problem::{Code, Problem},
    scope::Need,
    standing::{Change, Ground, Subject},
    state::TakedownItem,
};

/// How many times a change is decided anew because others changed the plugin.
const ATTEMPTS: usize = 64;

#[derive(Serialize)]
pub(super) struct Answer {
    id: PluginId,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<Version>,
    takedown: Option<Shown>,
}

/// How something was taken down.
#[derive(Serialize)]
pub(super) struct Shown {
    measure: Measure,
    cause: Cause,
    reason: String,
    /// The event.
    seq: u64,
    appealed: bool,
    /// Whether its bytes were deleted.
    purged: bool,
}

impl Shown {
    /// What a release is of which this was done.
    pub(super) fn state(&self) -> &'static str {
        self.measure.state()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Takedown {
    #[serde(default)]
    version: Option<String>,
    measure: String,
    cause: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Why {
    #[serde(default)]
    version: Option<String>,
    reason: String,
}

/// Takes a release down, or the whole plugin. What is taken down so already stays as it is.
pub(super) async fn take_down(
    State(app): State<App>,
    caller: Caller,
    Segments(place): Segments<(String, String)>,
    Json(body): Json<Takedown>,
) -> Result<axum::Json<Answer>, Problem> {
    caller.may(Need::Admin)?;
    let measure: Measure = parse(&body.measure)?;
    let cause: Cause = body
        .cause
        .parse()
        .map_err(|error: stoa_core::manifest::TextError| Problem::new(Code::CauseInvalid, error.to_string()))?;
    let reason = &body.reason;
    change(&app, &caller, &place, body.version.as_deref(), Change::TakeDown { measure, cause, reason }).await
}

/// Restores it. What is not taken down stays as it is.
pub(super) async fn restore(
    State(app): State<App>,
    caller: Caller,
    Segments(place): Segments<(String, String)>,
    Json(body): Json<Why>,
) -> Result<axum::Json<Answer>, Problem> {
    caller.may(Need::Admin)?;
    change(&app, &caller, &place, body.version.as_deref(), Change::Restore { reason: &body.reason }).await
}

/// Records that its publisher contradicts. What was appealed already stays as it is.
pub(super) async fn appeal(
    State(app): State<App>,
    caller: Caller,
    Segments(place): Segments<(String, String)>,
    Json(body): Json<Why>,
) -> Result<axum::Json<Answer>, Problem> {
    caller.may(Need::Publish(&plugins::id_of(&place)?))?;
    change(&app, &caller, &place, body.version.as_deref(), Change::Appeal { reason: &body.reason }).await
}

async fn change(
    app: &App,
    caller: &Caller,
    place: &(String, String),
    version: Option<&str>,
    change: Change<'_>,
) -> Result<axum::Json<Answer>, Problem> {
    let id = plugins::id_of(place)?;
    let version: Option<Version> = version.map(parse).transpose()?;
    let subject = Subject { id: &id, version: version.as_ref() };
    let (Change::TakeDown { reason, .. } | Change::Restore { reason } | Change::Appeal { reason }) = change;
    check_reason(reason).map_err(|rule| Problem::new(Code::ReasonInvalid, rule))?;
    for _ in 0..ATTEMPTS {
        // Before the items, so that the event lies after it.
        let after = app.ledger.head().await.map_err(|error| items::ledger_problem(&error))?.seq;
        let plugin = plugins::plugin(app, &id).await?;
        let release = match &version {
            Some(version) => Some(plugins::release(app, &id, version).await?),
            None => None,
        };
        let ground = Ground { plugin, release };
        if !ground.changes(subject, change)? {
            return answer(app, subject, ground.takedown()).await;
        }
        let (changed, writes) = ground.writes(subject, change, after)?;
        let draft = Draft { actor: caller.actor(), fact: subject.fact(change), private: None };
        let revision = ground.release.as_ref().map_or(0, |release| release.revision);
        let parts =
            [subject.to_string(), change.name().to_owned(), ground.plugin.revision.to_string(), revision.to_string()];
        let operation = operation("takedown", &parts)?;
        let now = app.clock.now();
        if let Outcome::Done = items::commit(app.ledger.as_ref(), operation, Some(draft), writes, now).await? {
            app.bell.ring();
            return answer(app, subject, changed.takedown()).await;
        }
    }
    Err(Problem::new(Code::Contended, format!("{subject} met changes by others {ATTEMPTS} times")))
}

async fn answer(
    app: &App,
    subject: Subject<'_>,
    takedown: Option<&TakedownItem>,
) -> Result<axum::Json<Answer>, Problem> {
    let takedown = match takedown {
        Some(item) => Some(shown(app.ledger.as_ref(), subject, item).await?),
        None => None,
    };
    Ok(axum::Json(Answer { id: subject.id.clone(), version: subject.version.cloned(), takedown }))
}

/// How something was taken down, with the event that did it.
pub(super) async fn shown(ledger: &dyn Ledger, subject: Subject<'_>, item: &TakedownItem) -> Result<Shown, Problem> {
    let event = event_after(ledger, item.after, |fact| {
        matches!(fact, Fact::TakenDown { id, version, measure, .. }
            if id == subject.id && version.as_ref() == subject.version && *measure == item.measure)
    });
    let TakedownItem { measure, cause, appealed, purged, .. } = *item;
    Ok(Shown { measure, cause, reason: item.reason.clone(), seq: event.await?.event().seq, appealed, purged })
}
