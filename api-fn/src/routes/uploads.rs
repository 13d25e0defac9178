//! Uploads that this process takes itself: the embedded registry's. On S3 they never come here.

use std::time::Duration;

use axum::{
    body::Body,
    extract::{RawQuery, State},
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use stoa_core::release::BlobRef;
use stoa_store::{
    blobs::{BlobKey, Put, UploadId},
    upload::UploadGrant,
};

use super::extract::{Segments, parse};
use crate::{
    App,
    body::Pieces,
    problem::{Code, Problem},
    publish::blobs::{blob_problem, wrong_digest, wrong_size},
    spool::Spool,
};

/// A sender has this long, and as much more as its bytes take at [`SLOWEST`].
const GRACE: Duration = Duration::from_secs(60);
/// The slowest line that an upload is taken from, in bytes a second.
const SLOWEST: u64 = 32 * 1024;

/// Takes an upload to the place that its address names. The address is the authorization: it was signed for
/// these very bytes. Sending the same again is no fault.
pub(super) async fn put(
    State(app): State<App>,
    Segments(id): Segments<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Problem> {
    let id: UploadId = parse(&id)?;
    let query = query.unwrap_or_default();
    let grant = app.blobs.verify_upload(id, &query, app.clock.now()).map_err(|error| blob_problem(&error))?;
    check_length(&headers, &grant)?;
    let allowed = GRACE + Duration::from_secs(grant.size / SLOWEST);
    let taken = tokio::time::timeout(allowed, take(&app, &grant, body)).await;
    taken.map_err(|_| {
        let detail = format!("the {} bytes of the upload did not come within {} s", grant.size, allowed.as_secs());
        Problem::new(Code::BodySlow, detail)
    })??;
    Ok(StatusCode::NO_CONTENT)
}

/// Refuses a body of the wrong length before any of it is read.
fn check_length(headers: &HeaderMap, grant: &UploadGrant) -> Result<(), Problem> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    match announced {
        Some(length) if length != grant.size => Err(wrong_size(blob(grant), length)),
        _ => Ok(()),
    }
}

async fn take(app: &App, grant: &UploadGrant, body: Body) -> Result<(), Problem> {
    let _alone = app.transfers.alone(grant.id).await;
    let spool = receive(app, grant, body).await?;
    // Only from here on, where no client is waited for, memory is held.
    let room = app.reserve(grant.size).await;
    let bytes = spool.read().await?;
    match app.blobs.put_new(&BlobKey::Upload(grant.id), bytes).await {
        // What is there passed the same check.
        Ok(Put::Created | Put::Exists) => {}
        Err(error) => return Err(blob_problem(&error)),
    }
    drop(room);
    Ok(())
}

async fn receive(app: &App, grant: &UploadGrant, body: Body) -> Result<Spool, Problem> {
    let mut pieces = Pieces::new(body, grant.size, app.config.body_idle);
    let mut spool = Spool::new(&app.config.spool).await?;
    while let Some(piece) = next(&mut pieces, grant).await? {
        spool.push(&piece).await?;
    }
    if spool.length() != grant.size {
        return Err(wrong_size(blob(grant), spool.length()));
    }
    wrong_digest(blob(grant), spool.digest())?;
    Ok(spool)
}

/// The next piece. More bytes than granted are a blob of the wrong size: the route as such takes larger ones.
async fn next(pieces: &mut Pieces, grant: &UploadGrant) -> Result<Option<Bytes>, Problem> {
    pieces.next().await.map_err(|problem| match problem.code() {
        Code::BodyTooLarge => {
            let detail = format!("the blob {} has {} bytes, and more were sent", grant.digest, grant.size);
            Problem::new(Code::BlobSize, detail).with("blob", grant.digest.to_string())
        }
        _ => problem,
    })
}

fn blob(grant: &UploadGrant) -> BlobRef {
    BlobRef { digest: grant.digest, size: grant.size }
}
