//! The bytes of a publish: found, checked against what the records say, moved to where they stay.

use std::collections::BTreeMap;

use bytes::Bytes;
use stoa_core::{attestation::Envelope, digest::Digest, release::BlobRef};
use stoa_store::blobs::{BlobError, BlobKey, ETag, Put, UploadId};

use crate::{
    App,
    problem::{Code, Problem, storage_full},
    publish::{facts, id::PublishId, set::Candidate, signing},
};

/// Where the bytes of a publish are looked for, besides `store/`.
#[derive(Debug)]
pub(crate) enum Source {
    /// In the places where this publish's uploads go.
    Uploads(PublishId),
    /// They came with the request; digests and sizes are checked.
    Request(BTreeMap<Digest, Bytes>),
}

/// Where checked bytes are, until they are moved.
#[derive(Debug)]
pub(crate) enum Origin {
    /// In `store/`: they stay there.
    Stored,
    /// In `upload/`, under this tag.
    Uploaded(UploadId, ETag),
    /// In the request.
    Sent(Bytes),
}

/// A blob whose bytes are what its record says.
#[derive(Debug)]
pub(crate) struct Checked {
    blob: BlobRef,
    origin: Origin,
}

/// Checks all blobs of a release, the component by inspecting it.
pub(crate) async fn check(
    app: &App,
    source: &Source,
    candidate: &Candidate,
) -> Result<(facts::Facts, Vec<Checked>), Problem> {
    let release = &candidate.release;
    let mut checked = Vec::new();
    let room = app.reserve(release.artifact.size).await;
    let (bytes, origin) = read(app, source, release.artifact).await?;
    checked.push(Checked { blob: release.artifact, origin });
    let inspected = release.clone();
    // Seconds of work for the largest components: other requests go on meanwhile. A request that is given up does not
    // end the work, so the room goes with the bytes.
    let inspection = tokio::task::spawn_blocking(move || {
        let facts = facts::check(&inspected, &bytes);
        drop((bytes, room));
        facts
    });
    let facts = inspection.await.map_err(|error| Problem::internal(&error))??;

    let (_, origin) = read(app, source, release.wit).await?;
    checked.push(Checked { blob: release.wit, origin });
    if let Some(readme) = release.readme {
        let (bytes, origin) = read(app, source, readme).await?;
        if let Err(error) = std::str::from_utf8(&bytes) {
            let detail = format!("the readme of `{}` {} is not UTF-8: {error}", release.id, release.version);
            return Err(Problem::new(Code::ReadmeNotText, detail));
        }
        checked.push(Checked { blob: readme, origin });
    }
    Ok((facts, checked))
}

/// Checks what is attested of a release: gives its signature, whose keys are judged elsewhere.
pub(crate) async fn check_attested(
    app: &App,
    source: &Source,
    candidate: &Candidate,
) -> Result<(Option<Envelope>, Vec<Checked>), Problem> {
    let (mut envelope, mut checked) = (None, Vec::new());
    if let Some(blob) = candidate.attestations.signature {
        let (bytes, origin) = read(app, source, blob).await?;
        envelope = Some(signing::read(candidate, &bytes)?);
        checked.push(Checked { blob, origin });
    }
    if let Some(blob) = candidate.attestations.provenance {
        let (bytes, origin) = read(app, source, blob).await?;
        signing::check_provenance(candidate, &bytes)?;
        checked.push(Checked { blob, origin });
    }
    Ok((envelope, checked))
}

/// Moves checked bytes to `store/`. Bytes that are there already are the same: only checked bytes get there.
pub(crate) async fn keep(app: &App, checked: &[Checked]) -> Result<(), Problem> {
    for Checked { blob, origin } in checked {
        let to = BlobKey::Store(blob.digest);
        let put = match origin {
            Origin::Stored => Ok(Put::Exists),
            Origin::Uploaded(id, tag) => app.blobs.copy_new(&BlobKey::Upload(*id), tag, &to).await,
            Origin::Sent(bytes) => app.blobs.put_new(&to, bytes.clone()).await,
        };
        match put {
            Ok(Put::Created | Put::Exists) => {}
            // Whoever finished the same publish meanwhile has moved them. Otherwise the bytes that were checked are
            // not there any more.
            Err(BlobError::Missing(_) | BlobError::Precondition { .. }) => {
                let moved = app.blobs.head(&to).await.map_err(|error| blob_problem(&error))?;
                moved.ok_or_else(|| missing(*blob))?;
            }
            Err(error) => return Err(blob_problem(&error)),
        }
    }
    Ok(())
}

/// Whether what was kept is all there still: nothing named it, and garbage has been collected meanwhile.
pub(crate) async fn still_kept(app: &App, checked: &[Checked]) -> Result<bool, Problem> {
    for Checked { blob, .. } in checked {
        let there = app.blobs.head(&BlobKey::Store(blob.digest)).await.map_err(|error| blob_problem(&error))?;
        if there.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Removes a publish's uploads. A failure is no fault of the publish: what is left expires within a day.
pub(crate) async fn remove_uploads(app: &App, publish: PublishId, blobs: &[BlobRef]) {
    for blob in blobs {
        let key = BlobKey::Upload(publish.upload(&blob.digest));
        if let Err(error) = app.blobs.delete(&key).await {
            tracing::warn!(%key, %error, "an upload stays behind");
        }
    }
}

async fn read(app: &App, source: &Source, blob: BlobRef) -> Result<(Bytes, Origin), Problem> {
    if let Some(bytes) = stored(app, blob).await? {
        return Ok((bytes, Origin::Stored));
    }
    match source {
        Source::Request(sent) => {
            let bytes = sent.get(&blob.digest).ok_or_else(|| missing(blob))?;
            check_bytes(blob, bytes)?;
            Ok((bytes.clone(), Origin::Sent(bytes.clone())))
        }
        Source::Uploads(publish) => {
            let id = publish.upload(&blob.digest);
            let key = BlobKey::Upload(id);
            let Some((bytes, tag)) = fetch(app, &key, blob).await? else {
                // Whoever finished the same publish since the look above has moved them.
                let bytes = stored(app, blob).await?.ok_or_else(|| missing(blob))?;
                return Ok((bytes, Origin::Stored));
            };
            if let Err(problem) = check_bytes(blob, &bytes) {
                // Its place takes one upload only: without this nobody could send the right bytes.
                app.blobs.delete(&key).await.map_err(|error| blob_problem(&error))?;
                return Err(problem);
            }
            Ok((bytes, Origin::Uploaded(id, tag)))
        }
    }
}

/// The bytes in `store/`, where they are there.
async fn stored(app: &App, blob: BlobRef) -> Result<Option<Bytes>, Problem> {
    let key = BlobKey::Store(blob.digest);
    match fetch(app, &key, blob).await? {
        Some((bytes, _)) if Digest::of(&bytes) == blob.digest => Ok(Some(bytes)),
        // Only checked bytes get there: the storage has changed them.
        Some(_) => Err(Problem::internal(&std::io::Error::other(format!("`{key}` is damaged")))),
        None => Ok(None),
    }
}

async fn fetch(app: &App, key: &BlobKey, blob: BlobRef) -> Result<Option<(Bytes, ETag)>, Problem> {
    match app.blobs.get(key, blob.size).await {
        Ok(found) => Ok(found.map(|found| (found.bytes, found.tag))),
        Err(BlobError::TooLarge { size, .. }) => Err(wrong_size(blob, size)),
        Err(error) => Err(blob_problem(&error)),
    }
}

/// Checks that bytes are the ones that a record means.
pub(crate) fn check_bytes(blob: BlobRef, bytes: &[u8]) -> Result<(), Problem> {
    if bytes.len() as u64 != blob.size {
        return Err(wrong_size(blob, bytes.len() as u64));
    }
    wrong_digest(blob, Digest::of(bytes))
}

/// Checks the digest of bytes that have the right size.
pub(crate) fn wrong_digest(blob: BlobRef, found: Digest) -> Result<(), Problem> {
    if found == blob.digest {
        return Ok(());
    }
    let detail = format!("the bytes sent for the blob {} have the digest {found}", blob.digest);
    Err(Problem::new(Code::BlobDigest, detail).with("blob", blob.digest.to_string()))
}

/// The refusal of bytes of another size.
pub(crate) fn wrong_size(blob: BlobRef, found: u64) -> Problem {
    let detail = format!("the blob {} has {found} bytes, and its record says {}", blob.digest, blob.size);
    Problem::new(Code::BlobSize, detail).with("blob", blob.digest.to_string())
}

fn missing(blob: BlobRef) -> Problem {
    let detail = format!("the blob {} ({} bytes) is not here", blob.digest, blob.size);
    Problem::new(Code::BlobMissing, detail).with("blob", blob.digest.to_string())
}

/// A failure of the blobs as an answer.
pub(crate) fn blob_problem(error: &BlobError) -> Problem {
    match error {
        BlobError::Engine { .. } if storage_full(error) => Problem::logged(Code::StorageFull, error),
        BlobError::Engine { .. } => Problem::logged(Code::Unavailable, error),
        BlobError::Upload(error) => Problem::new(Code::UploadRefused, error.to_string()),
        BlobError::UploadElsewhere(_) => Problem::new(Code::UploadRefused, error.to_string()),
        _ => Problem::internal(error),
    }
}
