//! Publishing over HTTP: begin, upload, finish; or all at once.

use std::collections::BTreeMap;

use axum::extract::State;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stoa_core::{digest::Digest, id::PluginId, release::BlobRef, time::Time, version::Version};
use stoa_store::upload::PresignedUpload;

use super::extract::{Segments, parse};
use crate::{
    App,
    auth::Caller,
    body::Json,
    items,
    problem::{Code, Problem},
    publish::{
        blobs::{Source, check_bytes},
        flow::{self, Progress, Visible},
        id::PublishId,
        set::{Attested, Set},
    },
    state::PublishItem,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Begin {
    releases: Vec<Value>,
    /// What is attested of them, by plugin: blobs like the others.
    #[serde(default)]
    attestations: Attested,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Inline {
    releases: Vec<Value>,
    #[serde(default)]
    attestations: Attested,
    /// The blobs in base64, by digest. Those that the registry has may be left out.
    blobs: BTreeMap<Digest, String>,
}

/// Where a publish stands.
#[derive(Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub(super) enum Answer {
    /// Uploads are missing, or everything is here and it can be finished.
    Open { id: PublishId, expires_at: Time, missing: Vec<Missing> },
    /// All releases are visible.
    Published {
        id: PublishId,
        /// The last event that the releases are in: visible to clients once the signed index covers it.
        seq: u64,
        releases: Vec<Published>,
    },
}

#[derive(Serialize)]
pub(super) struct Missing {
    digest: Digest,
    size: u64,
    upload: Upload,
}

/// One HTTP request that sends a blob: this method, address and headers, and the bytes as the body.
#[derive(Serialize)]
pub(super) struct Upload {
    method: &'static str,
    url: String,
    headers: BTreeMap<String, String>,
}

#[derive(Serialize)]
pub(super) struct Published {
    id: PluginId,
    version: Version,
    record: Digest,
    artifact: BlobRef,
    seq: u64,
}

type Answered = Result<axum::Json<Answer>, Problem>;

/// Begins a publish.
pub(super) async fn begin(State(app): State<App>, caller: Caller, Json(body): Json<Begin>) -> Answered {
    let set = Set::read(body.releases, body.attestations, app.config.max_artifact_bytes)?;
    set.blobs()?;
    flow::begin(&app, &caller, &set).await.map(answer)
}

/// Shows where a publish stands.
pub(super) async fn show(State(app): State<App>, caller: Caller, Segments(id): Segments<String>) -> Answered {
    let (item, set) = find(&app, &caller, &id).await?;
    flow::progress(&app, &item, &set).await.map(answer)
}

/// Finishes a publish.
pub(super) async fn finish(State(app): State<App>, caller: Caller, Segments(id): Segments<String>) -> Answered {
    let (item, set) = find(&app, &caller, &id).await?;
    let visible = flow::finish(&app, &caller, &set, Source::Uploads(item.id)).await?;
    Ok(answer(Progress::Published(item.id, visible)))
}

/// Publishes all at once.
pub(super) async fn inline(State(app): State<App>, caller: Caller, Json(body): Json<Inline>) -> Answered {
    let set = Set::read(body.releases, body.attestations, app.config.max_artifact_bytes)?;
    let sent = decode(body.blobs, &set.blobs()?)?;
    let id = PublishId::of(caller.id(), set.records());
    let visible = flow::finish(&app, &caller, &set, Source::Request(sent)).await?;
    Ok(answer(Progress::Published(id, visible)))
}

/// The begun publish of this name, if the caller began it: to anyone else there is none.
async fn find(app: &App, caller: &Caller, id: &str) -> Result<(PublishItem, Set), Problem> {
    let id: PublishId = parse(id)?;
    let found = items::get::<PublishItem>(app.ledger.as_ref(), id, app.clock.now()).await?;
    let own = found.map(|kept| kept.value).filter(|item| item.key == *caller.id());
    let item =
        own.ok_or_else(|| Problem::new(Code::PublishUnknown, format!("there is no publish {id} of this key")))?;
    let set = Set::new(item.releases.clone(), item.attestations.clone(), app.config.max_artifact_bytes)?;
    Ok((item, set))
}

fn decode(sent: BTreeMap<Digest, String>, wanted: &[BlobRef]) -> Result<BTreeMap<Digest, Bytes>, Problem> {
    let mut blobs = BTreeMap::new();
    for (digest, text) in sent {
        let Some(blob) = wanted.iter().find(|blob| blob.digest == digest) else {
            return Err(Problem::new(Code::BlobUnasked, format!("no record of the set names the blob {digest}")));
        };
        let bytes = STANDARD
            .decode(text)
            .map_err(|error| Problem::new(Code::BlobMalformed, format!("the blob {digest} is not base64: {error}")))?;
        check_bytes(*blob, &bytes)?;
        blobs.insert(digest, Bytes::from(bytes));
    }
    Ok(blobs)
}

fn answer(progress: Progress<'_>) -> axum::Json<Answer> {
    axum::Json(match progress {
        Progress::Open(open) => Answer::Open {
            id: open.id,
            expires_at: open.expires_at,
            missing: open.missing.into_iter().map(|(blob, upload)| missing(blob, upload)).collect(),
        },
        Progress::Published(id, visible) => Answer::Published {
            id,
            seq: visible.iter().map(|visible| visible.seq).max().unwrap_or_default(),
            releases: visible.iter().map(published).collect(),
        },
    })
}

fn missing(blob: BlobRef, upload: PresignedUpload) -> Missing {
    let PresignedUpload { method, url, headers } = upload;
    let upload = Upload { method, url, headers: headers.into_iter().collect() };
    Missing { digest: blob.digest, size: blob.size, upload }
}

fn published(visible: &Visible<'_>) -> Published {
    let release = &visible.candidate.release;
    Published {
        id: release.id.clone(),
        version: release.version.clone(),
        record: visible.candidate.record.digest,
        artifact: release.artifact,
        seq: visible.seq,
    }
}
