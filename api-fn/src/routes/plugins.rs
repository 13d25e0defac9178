//! Plugins and releases as the ledger has them, yanking, and certifying.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use stoa_core::{
    digest::Digest,
    event::{Draft, Fact, check_reason},
    id::PluginId,
    release::{BlobRef, Kind},
    standing::check_level,
    time::Time,
    version::Version,
};

use super::{
    extract::{Segments, parse},
    takedowns,
};
use crate::{
    App,
    auth::Caller,
    body::Json,
    change::{Turn, Verb},
    items::{self, Kept, Outcome, event_after, operation},
    problem::{Code, Problem},
    scope::Need,
    standing::{self, Subject},
    state::{CertifiedItem, PluginItem, ReleaseItem, TakedownItem},
};

#[derive(Serialize)]
pub(super) struct Plugin {
    id: PluginId,
    kind: Kind,
    /// In order of precedence, yanked ones too.
    versions: Vec<Version>,
    /// How it was taken down as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    takedown: Option<takedowns::Shown>,
}

#[derive(Serialize)]
pub(super) struct Release {
    id: PluginId,
    version: Version,
    /// `listed`, `yanked`, `quarantined` or `killed`: the last that holds.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    artifact: BlobRef,
    record: Digest,
    /// The event that published it.
    seq: u64,
    /// The event that yanked it.
    #[serde(skip_serializing_if = "Option::is_none")]
    yanked_seq: Option<u64>,
    /// How it was taken down, by itself or with its plugin.
    #[serde(skip_serializing_if = "Option::is_none")]
    takedown: Option<takedowns::Shown>,
    /// To which level it was certified.
    #[serde(skip_serializing_if = "Option::is_none")]
    certified: Option<Certified>,
}

/// That a release was certified.
#[derive(Serialize)]
struct Certified {
    level: u8,
    reason: String,
    /// The event.
    seq: u64,
}

/// Shows a plugin.
pub(super) async fn show(
    State(app): State<App>,
    Segments((namespace, name)): Segments<(String, String)>,
) -> Result<axum::Json<Plugin>, Problem> {
    let id = PluginId::new(parse(&namespace)?, parse(&name)?);
    let PluginItem { id, kind, versions, takedown, .. } = plugin(&app, &id).await?.value;
    let takedown = match takedown {
        Some(item) => Some(takedowns::shown(app.ledger.as_ref(), Subject { id: &id, version: None }, &item).await?),
        None => None,
    };
    Ok(axum::Json(Plugin { id, kind, versions: versions.into_iter().collect(), takedown }))
}

/// Shows a release.
pub(super) async fn show_version(
    State(app): State<App>,
    Segments(place): Segments<(String, String, String)>,
) -> Result<axum::Json<Release>, Problem> {
    let (id, version) = place_of(&place)?;
    let whole = plugin(&app, &id).await?.value.takedown;
    let item = release(&app, &id, &version).await?.value;
    shown(&app, id, item, whole).await.map(axum::Json)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reason {
    reason: String,
}

/// Yanks a release; one that is yanked already stays so, with the reason it has.
pub(super) async fn yank(
    State(app): State<App>,
    caller: Caller,
    Segments(place): Segments<(String, String, String)>,
    Json(body): Json<Reason>,
) -> Result<axum::Json<Release>, Problem> {
    change(&app, &caller, &place, Verb::Yank, &body.reason).await.map(axum::Json)
}

/// Takes a yank back; a release that is not yanked stays so.
pub(super) async fn unyank(
    State(app): State<App>,
    caller: Caller,
    Segments(place): Segments<(String, String, String)>,
    Json(body): Json<Reason>,
) -> Result<axum::Json<Release>, Problem> {
    change(&app, &caller, &place, Verb::Unyank, &body.reason).await.map(axum::Json)
}

/// How many times a change is decided anew because others changed the plugin.
const ATTEMPTS: usize = 64;

async fn change(
    app: &App,
    caller: &Caller,
    place: &(String, String, String),
    verb: Verb,
    reason: &str,
) -> Result<Release, Problem> {
    let (id, version) = place_of(place)?;
    caller.may(Need::Yank(&id))?;
    check_reason(reason).map_err(|rule| Problem::new(Code::ReasonInvalid, rule))?;
    for _ in 0..ATTEMPTS {
        // Before the items, so that the event lies after it.
        let after = app.ledger.head().await.map_err(|error| items::ledger_problem(&error))?.seq;
        let (plugin, release) = (plugin(app, &id).await?, release(app, &id, &version).await?);
        if (verb == Verb::Yank) == release.value.yanked.is_some() {
            return shown(app, id, release.value, plugin.value.takedown).await;
        }
        let turn = Turn { id: &id, version: &version, verb, reason, after };
        let whole = plugin.value.takedown.clone();
        if let Outcome::Done = commit(app, caller, &turn, plugin, &release).await? {
            app.bell.ring();
            let changed = turn.release(&release.value);
            return shown(app, id, changed, whole).await;
        }
    }
    Err(Problem::new(Code::Contended, format!("`{id}` {version} met changes by others {ATTEMPTS} times")))
}

async fn commit(
    app: &App,
    caller: &Caller,
    turn: &Turn<'_>,
    plugin: Kept<PluginItem>,
    release: &Kept<ReleaseItem>,
) -> Result<Outcome, Problem> {
    let writes = turn.writes(plugin, release)?;
    let draft = Draft { actor: caller.actor(), fact: turn.fact(), private: None };
    // Yank, unyank and yank again start from different revisions: three operations.
    let parts = [turn.id.to_string(), turn.version.to_string(), release.revision.to_string()];
    items::commit(app.ledger.as_ref(), operation("yank", &parts)?, Some(draft), writes, app.clock.now()).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Certification {
    /// 0 takes a certification back.
    level: u8,
    reason: String,
}

/// Certifies a release, to another level than before or for the first time, or takes that back. What is certified to this
/// level already stays as it is, with the reason it has.
pub(super) async fn certify(
    State(app): State<App>,
    caller: Caller,
    Segments(place): Segments<(String, String, String)>,
    Json(Certification { level, reason }): Json<Certification>,
) -> Result<axum::Json<Release>, Problem> {
    caller.may(Need::Admin)?;
    let (id, version) = place_of(&place)?;
    check_level(level).map_err(|rule| Problem::new(Code::LevelInvalid, rule))?;
    check_reason(&reason).map_err(|rule| Problem::new(Code::ReasonInvalid, rule))?;
    for _ in 0..ATTEMPTS {
        // Before the items, so that the event lies after it.
        let after = app.ledger.head().await.map_err(|error| items::ledger_problem(&error))?.seq;
        let (plugin, release) = (plugin(&app, &id).await?, release(&app, &id, &version).await?);
        let whole = plugin.value.takedown.clone();
        if level == release.value.certified.as_ref().map_or(0, |certified| certified.level) {
            return shown(&app, id, release.value, whole).await.map(axum::Json);
        }
        let item = CertifiedItem { level, reason: reason.clone(), after };
        let (changed, writes) = standing::certified(plugin, &release, (level > 0).then_some(item))?;
        let fact = Fact::Certified { id: id.clone(), version: version.clone(), level, reason: reason.clone() };
        let draft = Draft { actor: caller.actor(), fact, private: None };
        let parts = [id.to_string(), version.to_string(), release.revision.to_string()];
        let operation = operation("certify", &parts)?;
        let now = app.clock.now();
        if let Outcome::Done = items::commit(app.ledger.as_ref(), operation, Some(draft), writes, now).await? {
            app.bell.ring();
            return shown(&app, id, changed, whole).await.map(axum::Json);
        }
    }
    Err(Problem::new(Code::Contended, format!("`{id}` {version} met changes by others {ATTEMPTS} times")))
}

fn place_of((namespace, name, version): &(String, String, String)) -> Result<(PluginId, Version), Problem> {
    Ok((PluginId::new(parse(namespace)?, parse(name)?), parse(version)?))
}

/// The plugin that an address names.
pub(super) fn id_of((namespace, name): &(String, String)) -> Result<PluginId, Problem> {
    Ok(PluginId::new(parse(namespace)?, parse(name)?))
}

pub(super) async fn plugin(app: &App, id: &PluginId) -> Result<Kept<PluginItem>, Problem> {
    let found = items::get::<PluginItem>(app.ledger.as_ref(), id, app.clock.now()).await?;
    found.ok_or_else(|| Problem::new(Code::PluginUnknown, format!("there is no plugin `{id}`")))
}

pub(super) async fn release(app: &App, id: &PluginId, version: &Version) -> Result<Kept<ReleaseItem>, Problem> {
    let now: Time = app.clock.now();
    let found = items::get::<ReleaseItem>(app.ledger.as_ref(), (id, version), now).await?;
    found.ok_or_else(|| Problem::new(Code::VersionUnknown, format!("`{id}` has no version {version}")))
}

async fn shown(app: &App, id: PluginId, item: ReleaseItem, whole: Option<TakedownItem>) -> Result<Release, Problem> {
    let ledger = app.ledger.as_ref();
    let published = event_after(ledger, item.after, |fact| {
        matches!(fact, Fact::Released { releases, .. }
            if releases.iter().any(|found| found.id == id && found.version == item.version))
    });
    let seq = published.await?.event().seq;
    let yanked_seq = match &item.yanked {
        None => None,
        Some(yanked) => {
            let event = event_after(
                ledger,
                yanked.after,
                |fact| matches!(fact, Fact::Yanked { id: found, version, .. } if *found == id && *version == item.version),
            );
            Some(event.await?.event().seq)
        }
    };
    let certified = match &item.certified {
        None => None,
        Some(CertifiedItem { level, reason, after }) => {
            let event = event_after(ledger, *after, |fact| {
                matches!(fact, Fact::Certified { id: found, version, level: to, .. }
                    if *found == id && *version == item.version && to == level)
            });
            Some(Certified { level: *level, reason: reason.clone(), seq: event.await?.event().seq })
        }
    };
    // The stronger of the two, and its own where both are the same.
    let (subject, takedown) = match (&item.takedown, &whole) {
        (Some(own), Some(whole)) if whole.measure > own.measure => (None, Some(whole)),
        (None, whole) => (None, whole.as_ref()),
        (own, _) => (Some(&item.version), own.as_ref()),
    };
    let takedown = match takedown {
        Some(item) => Some(takedowns::shown(ledger, Subject { id: &id, version: subject }, item).await?),
        None => None,
    };
    let yanked = if item.yanked.is_some() { "yanked" } else { "listed" };
    Ok(Release {
        state: takedown.as_ref().map_or(yanked, takedowns::Shown::state),
        takedown,
        reason: item.yanked.map(|yanked| yanked.reason),
        version: item.version,
        artifact: item.artifact,
        record: item.record,
        seq,
        yanked_seq,
        certified,
        id,
    })
}
