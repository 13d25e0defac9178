//! `stoa mirror`, `stoa verify`, `stoa replay`.

use std::{path::Path, sync::Arc, time::Instant};

use serde_json::json;
use stoa_loader::transport::{self, Transport};

use crate::{
    args::{Mirror, Pin, Replay, Verify},
    mirror::{self, Counts, Fault, Folder, Pinned, Walk},
    progress::Spinner,
    report::{DIM, Failure, GOOD, NAME, Output},
};

/// Why a mirror has no pages: nobody signs them, and they speak of the registry's own address.
const NO_PAGES: &str = "pages are no part of a mirror: nothing vouches for them";

pub(crate) async fn mirror(args: &Mirror, output: Output) -> Result<(), Failure> {
    let source = source(&args.from)?;
    let pinned = pinned(&args.pin, &*source, Some(&args.to)).await?;
    let folder = Folder::open(&args.to, &pinned).map_err(Fault::told)?;
    let spinner = Spinner::start(output, "");
    let started = Instant::now();
    let made =
        Walk::new(source.clone(), Some(&folder), &spinner).run(&pinned, super::now()).await.map_err(Fault::told)?;
    drop(spinner);
    let requests = source.requests();
    let text = format!(
        "{GOOD}mirrored{GOOD:#} {NAME}{}{NAME:#} to {NAME}{}{NAME:#} {DIM}up to event {}{DIM:#}\n\
         {DIM}{}; {} of them new ({} bytes), in {requests} requests and {:.1} s\n{NO_PAGES}{DIM:#}",
        args.from,
        args.to.display(),
        made.seq,
        files(&made),
        made.copied,
        made.copied_bytes,
        started.elapsed().as_secs_f64(),
    );
    let mut json = as_json(&made, requests);
    json["from"] = json!(args.from);
    json["to"] = json!(args.to);
    json["copied"] = json!(made.copied);
    json["copied_bytes"] = json!(made.copied_bytes);
    json["skipped"] = json!([{"what": "pages", "why": NO_PAGES}]);
    output.result(text, &json);
    Ok(())
}

pub(crate) async fn verify(args: &Verify, output: Output) -> Result<(), Failure> {
    let source = source(&args.place)?;
    let pinned = pinned(&args.pin, &*source, None).await?;
    let spinner = Spinner::start(output, "");
    let seen = Walk::new(source.clone(), None, &spinner).run(&pinned, super::now()).await.map_err(Fault::told)?;
    drop(spinner);
    let text = format!(
        "{GOOD}verified{GOOD:#} {NAME}{}{NAME:#} {DIM}up to event {}{DIM:#}\n{DIM}{}{DIM:#}",
        args.place,
        seen.seq,
        files(&seen)
    );
    let mut json = as_json(&seen, source.requests());
    json["place"] = json!(args.place);
    output.result(text, &json);
    Ok(())
}

pub(crate) async fn replay(args: &Replay, output: Output) -> Result<(), Failure> {
    let tree = transport::Folder::new(&args.dir);
    let pinned = pinned(&args.pin, &tree, None).await?;
    let spinner = Spinner::start(output, "");
    let seen = mirror::replay(&args.events, &args.dir, &pinned, &spinner, super::now()).await.map_err(Fault::told)?;
    drop(spinner);
    let text = format!(
        "{GOOD}the same{GOOD:#}: {NAME}{}{NAME:#} is what the log makes {DIM}up to event {}{DIM:#}\n\
         {DIM}{} events, {} files; trust files compared without their signatures{DIM:#}",
        args.dir.display(),
        seen.seq,
        seen.events,
        seen.files
    );
    let (events, dir) = (&args.events, &args.dir);
    output.result(
        text,
        &json!({
            "archive": events, "dir": dir, "seq": seen.seq, "events": seen.events, "files": seen.files,
        }),
    );
    Ok(())
}

fn files(counts: &Counts) -> String {
    let Counts { trust, documents, blobs, .. } = counts;
    format!("{trust} signed roles, {documents} documents, {blobs} records, components and other blobs")
}

fn as_json(counts: &Counts, requests: u64) -> serde_json::Value {
    let Counts { seq, trust, documents, blobs, .. } = counts;
    json!({"seq": seq, "roles": trust, "documents": documents, "blobs": blobs, "requests": requests})
}

/// An address, or a folder.
fn source(place: &str) -> Result<Arc<dyn Transport>, Failure> {
    if place.contains("://") {
        return Ok(transport::by_address(place)?);
    }
    if !Path::new(place).is_dir() {
        return Err(Failure::new(format!("`{place}` is neither an address nor a folder"))
            .hint("write an address with its scheme, as in `https://plugins.example`"));
    }
    Ok(Arc::new(transport::Folder::new(place)))
}

/// The root that the command line pins. By its digest alone, its bytes come from the copy or from the source.
async fn pinned(pin: &Pin, source: &dyn Transport, copy: Option<&Path>) -> Result<Pinned, Failure> {
    if let Some(path) = &pin.root {
        let bytes = std::fs::read(path);
        let bytes = bytes.map_err(|e| Failure::new(format!("the root `{}` can not be read: {e}", path.display())))?;
        return Pinned::bytes(bytes).map_err(Fault::told);
    }
    let digest = pin.root_sha256.ok_or_else(|| Failure::new("no root of trust is named"))?;
    if let Some(copy) = copy.filter(|copy| copy.is_dir())
        && let Ok(kept) = Pinned::fetched(digest, &transport::Folder::new(copy)).await
    {
        return Ok(kept);
    }
    Pinned::fetched(digest, source).await.map_err(Fault::told)
}
