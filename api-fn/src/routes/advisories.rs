//! Advisories: what is known of flaws.

use std::str::FromStr;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use stoa_core::{
    advisory::{Advisory, AdvisoryId, Content, Issuer},
    event::{Draft, Fact, check_reason},
    id::PluginId,
};

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
    standing::advisory_writes,
    state::AdvisoryItem,
};

/// How many times a change is decided anew because others changed the plugin.
const ATTEMPTS: usize = 64;

#[derive(Serialize)]
pub(super) struct Answer {
    plugin: PluginId,
    advisory: Advisory,
    withdrawn: bool,
    /// The last event about it.
    seq: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body {
    #[serde(default)]
    id: Option<String>,
    severity: String,
    summary: String,
    affected: Vec<String>,
    #[serde(default)]
    fixed: Vec<String>,
    link: String,
    #[serde(default)]
    aliases: Vec<String>,
}

impl Body {
    fn content(&self, issuer: Issuer) -> Result<Content, Problem> {
        let content = Content {
            issuer,
            severity: member("severity", &self.severity)?,
            summary: member("summary", &self.summary)?,
            affected: members("affected", &self.affected)?,
            fixed: members("fixed", &self.fixed)?,
            link: member("link", &self.link)?,
            aliases: members("aliases", &self.aliases)?,
        };
        content.check().map_err(invalid)?;
        Ok(content)
    }
}

fn invalid(rule: String) -> Problem {
    Problem::new(Code::AdvisoryInvalid, rule)
}

fn member<T: FromStr<Err: std::fmt::Display>>(name: &str, text: &str) -> Result<T, Problem> {
    text.parse().map_err(|error: T::Err| invalid(format!("`{name}`: {error}")).with("member", name))
}

fn members<T: FromStr<Err: std::fmt::Display>>(name: &str, texts: &[String]) -> Result<Vec<T>, Problem> {
    texts.iter().map(|text| member(name, text)).collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reason {
    reason: String,
}

/// Makes a flaw known, or says anew what is known of it. The same again is the same.
pub(super) async fn publish(
    State(app): State<App>,
    caller: Caller,
    Segments(place): Segments<(String, String)>,
    Json(body): Json<Body>,
) -> Result<axum::Json<Answer>, Problem> {
    let plugin = plugins::id_of(&place)?;
    let issuer = issuer(&caller, &plugin)?;
    let content = body.content(issuer)?;
    let id = match &body.id {
        Some(id) => member("id", id)?,
        None => AdvisoryId::made_of(&plugin, &content, app.clock.now()),
    };
    let advisory = Advisory { id, content };
    let decide = |before: Option<&AdvisoryItem>| {
        let open = before.filter(|before| !before.withdrawn);
        if open.is_some_and(|open| open.advisory == advisory) {
            return Ok(None);
        }
        let known = before.is_some() || body.id.is_none();
        if advisory.id.is_own() && !known {
            return Err(invalid(format!("`id`: the registry itself makes ids such as `{}`: give none", advisory.id)));
        }
        if let Some(open) = open {
            check_issuer(issuer, &open.advisory)?;
        }
        let fact = Fact::AdvisoryPublished { id: plugin.clone(), advisory: advisory.clone() };
        Ok(Some((fact, advisory.clone(), false)))
    };
    change(&app, &caller, &plugin, &advisory.id, decide).await
}

/// Withdraws an advisory; one that was withdrawn stays so.
pub(super) async fn withdraw(
    State(app): State<App>,
    caller: Caller,
    Segments((namespace, name, id)): Segments<(String, String, String)>,
    Json(body): Json<Reason>,
) -> Result<axum::Json<Answer>, Problem> {
    let plugin = plugins::id_of(&(namespace, name))?;
    let issuer = issuer(&caller, &plugin)?;
    let id: AdvisoryId = parse(&id)?;
    check_reason(&body.reason).map_err(|rule| Problem::new(Code::ReasonInvalid, rule))?;
    let decide = |before: Option<&AdvisoryItem>| {
        let unknown = || Problem::new(Code::AdvisoryUnknown, format!("`{plugin}` has no advisory {id}"));
        let before = before.ok_or_else(unknown)?;
        if before.withdrawn {
            return Ok(None);
        }
        check_issuer(issuer, &before.advisory)?;
        let fact = Fact::AdvisoryWithdrawn { id: plugin.clone(), advisory: id.clone(), reason: body.reason.clone() };
        Ok(Some((fact, before.advisory.clone(), true)))
    };
    change(&app, &caller, &plugin, &id, decide).await
}

/// In whose name the caller speaks.
fn issuer(caller: &Caller, plugin: &PluginId) -> Result<Issuer, Problem> {
    caller.may(Need::Publish(plugin))?;
    Ok(if caller.may(Need::Admin).is_ok() { Issuer::Registry } else { Issuer::Publisher })
}

fn check_issuer(issuer: Issuer, open: &Advisory) -> Result<(), Problem> {
    match (issuer, open.content.issuer) {
        (Issuer::Publisher, Issuer::Registry) => {
            Err(Problem::new(Code::AdvisoryForeign, format!("{} is the registry's", open.id)))
        }
        _ => Ok(()),
    }
}

/// Decides by the advisory as it is now, until that holds: what is recorded, and whether it is withdrawn then; nothing
/// where it is so already.
async fn change(
    app: &App,
    caller: &Caller,
    plugin: &PluginId,
    id: &AdvisoryId,
    decide: impl Fn(Option<&AdvisoryItem>) -> Result<Option<(Fact, Advisory, bool)>, Problem>,
) -> Result<axum::Json<Answer>, Problem> {
    for _ in 0..ATTEMPTS {
        let now = app.clock.now();
        // Before the items, so that the event lies after it.
        let after = app.ledger.head().await.map_err(|error| items::ledger_problem(&error))?.seq;
        let kept = plugins::plugin(app, plugin).await?;
        let before = items::get::<AdvisoryItem>(app.ledger.as_ref(), (plugin, id), now).await?;
        let Some((fact, advisory, withdrawn)) = decide(before.as_ref().map(|kept| &kept.value))? else {
            let before = before.ok_or_else(|| Problem::new(Code::AdvisoryUnknown, format!("there is no {id}")))?;
            return answer(app, plugin, before.value).await;
        };
        let item = AdvisoryItem { format: 1, advisory, withdrawn, after };
        let revision = before.as_ref().map_or(0, |before| before.revision).to_string();
        let parts = [plugin.to_string(), id.to_string(), withdrawn.to_string(), kept.revision.to_string(), revision];
        let writes = advisory_writes(kept, before.as_ref(), &item)?;
        let draft = Draft { actor: caller.actor(), fact, private: None };
        let operation = operation("advisory", &parts)?;
        if let Outcome::Done = items::commit(app.ledger.as_ref(), operation, Some(draft), writes, now).await? {
            app.bell.ring();
            return answer(app, plugin, item).await;
        }
    }
    Err(Problem::new(Code::Contended, format!("`{plugin}` met changes by others {ATTEMPTS} times")))
}

async fn answer(app: &App, plugin: &PluginId, item: AdvisoryItem) -> Result<axum::Json<Answer>, Problem> {
    let AdvisoryItem { advisory, withdrawn, after, .. } = item;
    let event = event_after(app.ledger.as_ref(), after, |fact| match fact {
        Fact::AdvisoryPublished { id, advisory: found } => !withdrawn && id == plugin && *found == advisory,
        Fact::AdvisoryWithdrawn { id, advisory: found, .. } => withdrawn && id == plugin && *found == advisory.id,
        _ => false,
    });
    let seq = event.await?.event().seq;
    Ok(axum::Json(Answer { plugin: plugin.clone(), advisory, withdrawn, seq }))
}
