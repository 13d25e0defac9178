//! The log as it is: its end, and its events.

use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::header;
use serde::{Deserialize, Serialize};
use stoa_core::event::Head;

use super::extract::{Parameters, Taken};
use crate::{
    App,
    items::ledger_problem,
    problem::{Code, Problem},
    pulse::{Shown, Trouble},
};

/// A page has at most so many events.
const MAX_EVENTS: usize = 200;
/// A page has at most so many bytes of events (4 MiB): a Lambda function answers with 6 MB at the most.
const MAX_BYTES: usize = 4 * 1024 * 1024;

#[derive(Serialize)]
pub(super) struct Health {
    /// `ok`, or `degraded` where there are troubles.
    status: &'static str,
    version: &'static str,
    head: Head,
    /// The last event that the signed index covers; `None` where it is made elsewhere.
    signed: Option<Signed>,
    troubles: Vec<Trouble>,
}

#[derive(Serialize)]
struct Signed {
    seq: u64,
}

/// Says that the ledger answers, how far it is, and what is wrong elsewhere. That is no failure of this request: what
/// is signed can be read, whatever does not follow.
pub(super) async fn health(State(app): State<App>) -> Result<axum::Json<Health>, Problem> {
    let head = app.ledger.head().await.map_err(|error| ledger_problem(&error))?;
    let Shown { signed, troubles } = app.pulse.shown(app.clock.now());
    let status = if troubles.is_empty() { "ok" } else { "degraded" };
    let signed = signed.map(|seq| Signed { seq });
    Ok(axum::Json(Health { status, version: env!("CARGO_PKG_VERSION"), head, signed, troubles }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    #[serde(default)]
    after: u64,
    #[serde(default)]
    limit: Option<usize>,
}

impl Taken for Page {
    const NAMES: &'static str = "`after`, a place in the log from 0 on, and `limit`, 1 to 200";
}

/// Some events, each exactly as the next one's `prev` names it.
pub(super) async fn events(State(app): State<App>, Parameters(page): Parameters<Page>) -> Result<Response, Problem> {
    let limit = page.limit.unwrap_or(MAX_EVENTS);
    if !(1..=MAX_EVENTS).contains(&limit) {
        let detail = format!("`limit` is {limit}: 1 to {MAX_EVENTS} are possible");
        return Err(Problem::new(Code::ParameterInvalid, detail));
    }
    let events = app.ledger.events(page.after, limit).await.map_err(|error| ledger_problem(&error))?;
    let mut body = b"{\"events\":[".to_vec();
    let mut last = page.after;
    for (index, event) in events.iter().enumerate() {
        // One event is at most 64 KiB, so the first always fits.
        if body.len() + event.bytes().len() > MAX_BYTES {
            break;
        }
        if index > 0 {
            body.push(b',');
        }
        body.extend_from_slice(event.bytes());
        last = event.event().seq;
    }
    body.extend_from_slice(format!("],\"last\":{last}}}").as_bytes());
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}
