//! `stoa publish`.

use std::{path::PathBuf, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};
use stoa_core::release::Release;
use stoa_loader::{Refresh, Registry};

use crate::{
    api::Api,
    args::Publish,
    cmd::publisher::signing_key,
    host,
    package::Package,
    progress::Spinner,
    report::{DIM, Failure, GOOD, NAME, Output, WARN},
};

/// Sets whose bytes take at most this much are sent in one request. Base64 makes 4 of 3, and the API takes
/// 4 MiB; records and JSON need some room.
const INLINE_BYTES: u64 = 2_900_000;
/// How long the index may take to cover a release before waiting is given up.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn run(args: &Publish, output: Output) -> Result<(), Failure> {
    let mut packages = read(&args.dirs, output)?;
    supply(&mut packages, args)?;
    if args.dry_run {
        let (text, json) = checked(&packages)?;
        output.result(text, &json);
        return Ok(());
    }
    let api = Api::new(&args.registry.registry, Some(required(args.api_key.as_deref())?))?;
    // Opened before anything is sent: a wrong root is found out while nothing has happened.
    let registry =
        if args.wait || args.sign.is_some() { Some(host::open(&args.registry, output).await?) } else { None };
    if let (Some(path), Some(registry)) = (&args.sign, &registry) {
        let key = signing_key(path)?;
        // The pinned root names the registry: what is signed is of no use in another one.
        let root = host::first_root(registry)?;
        packages.iter_mut().try_for_each(|package| package.sign(root, &key))?;
    }
    let registry = registry.filter(|_| args.wait);
    let spinner = Spinner::start(output, "publishing");
    let published = publish(&api, &packages, &spinner).await?;
    if let Some(registry) = &registry {
        spinner.say("waiting for the signed index");
        wait(registry, published.seq).await?;
    }
    drop(spinner);
    let text = shown(&packages, published.seq, args.wait);
    output.result(text, &published.answer);
    Ok(())
}

fn supply(packages: &mut [Package], args: &Publish) -> Result<(), Failure> {
    match (&args.provenance, packages) {
        (None, _) => Ok(()),
        (Some(provenance), [package]) => package.supply(provenance),
        (Some(_), packages) => Err(Failure::new(format!("one provenance for {} plugins", packages.len()))
            .hint("publish the plugin with a provenance on its own")),
    }
}

fn attested(packages: &[Package]) -> Value {
    let some = packages.iter().filter(|package| !package.attestations.is_empty());
    some.map(|package| (package.release.id.to_string(), json!(package.attestations))).collect::<Map<_, _>>().into()
}

fn required(key: Option<&str>) -> Result<&str, Failure> {
    key.ok_or_else(|| Failure::new("publishing needs an API key").hint("give --api-key, or set STOA_API_KEY"))
}

/// Reads and checks all folders, in order of id as a set has them.
pub(crate) fn read(dirs: &[PathBuf], output: Output) -> Result<Vec<Package>, Failure> {
    let packages: Result<Vec<Package>, Failure> = dirs.iter().map(|dir| Package::read(dir)).collect();
    let mut packages = packages?;
    packages.sort_by(|a, b| a.release.id.cmp(&b.release.id));
    for package in &packages {
        for warning in &package.warnings {
            output.note(format_args!("{WARN}warning{WARN:#}: {}: {warning}", package.release.id));
        }
    }
    Ok(packages)
}

fn checked(packages: &[Package]) -> Result<(String, Value), Failure> {
    let mut lines = Vec::new();
    let mut rows = Vec::new();
    for Package { release, .. } in packages {
        let record = release.blob()?.digest;
        lines.push(format!(
            "{GOOD}ready{GOOD:#} {NAME}{}@{}{NAME:#} {DIM}record {record}{DIM:#}",
            release.id, release.version
        ));
        rows.push(json!({"record_sha256": record, "record": release}));
    }
    Ok((lines.join("\n"), json!({"releases": rows})))
}

/// What the registry took.
#[derive(Debug)]
pub(crate) struct Published {
    /// The event that made it visible in the log.
    pub(crate) seq: u64,
    /// The API's answer.
    pub(crate) answer: Value,
}

/// Publishes a set: in one request where it is small, else in three steps.
pub(crate) async fn publish(api: &Api, packages: &[Package], spinner: &Spinner) -> Result<Published, Failure> {
    let bytes: u64 = packages.iter().flat_map(|package| &package.blobs).map(|(blob, _)| blob.size).sum();
    let answer =
        if bytes <= INLINE_BYTES { inline(api, packages).await? } else { steps(api, packages, spinner).await? };
    let seq = answer.get("seq").and_then(Value::as_u64);
    let seq = seq.ok_or_else(|| Failure::new("the registry did not say which event the release became"))?;
    Ok(Published { seq, answer })
}

fn records(packages: &[Package]) -> Vec<&Release> {
    packages.iter().map(|package| &package.release).collect()
}

async fn inline(api: &Api, packages: &[Package]) -> Result<Value, Failure> {
    let blobs = packages.iter().flat_map(|package| &package.blobs);
    let blobs: Map<String, Value> =
        blobs.map(|(blob, bytes)| (blob.digest.to_string(), STANDARD.encode(bytes).into())).collect();
    api.post(
        "publishes/inline",
        &json!({"releases": records(packages), "attestations": attested(packages), "blobs": blobs}),
    )
    .await
}

async fn steps(api: &Api, packages: &[Package], spinner: &Spinner) -> Result<Value, Failure> {
    let open =
        api.post("publishes", &json!({"releases": records(packages), "attestations": attested(packages)})).await?;
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    if text(&open, "state") == "published" {
        return Ok(open);
    }
    let missing = open.get("missing").and_then(Value::as_array).cloned().unwrap_or_default();
    for (place, blob) in missing.iter().enumerate() {
        let digest = text(blob, "digest");
        spinner.say(format!("uploading {} of {}", place + 1, missing.len()));
        let found = packages.iter().flat_map(|package| &package.blobs).find(|(b, _)| b.digest.to_string() == digest);
        let (_, bytes) =
            found.ok_or_else(|| Failure::new(format!("the registry asks for a blob that is not ours: {digest}")))?;
        api.upload(blob.get("upload").unwrap_or(&Value::Null), bytes.clone()).await?;
    }
    spinner.say("checking at the registry");
    api.post(&format!("publishes/{}/finish", text(&open, "id")), &json!({})).await
}

/// Waits until the signed index covers event `seq`.
pub(crate) async fn wait(registry: &Registry, seq: u64) -> Result<u64, Failure> {
    let until = tokio::time::Instant::now() + PATIENCE;
    let mut pause = Duration::from_millis(20);
    loop {
        let signed = registry.sync(Refresh::Always).await?.seq().await;
        if signed >= seq {
            return Ok(signed);
        }
        if tokio::time::Instant::now() >= until {
            return Err(Failure::new(format!(
                "the release is accepted as event {seq}, and after {} s the signed index covers event {signed}",
                PATIENCE.as_secs()
            ))
            .hint("nothing is lost: the index will follow; ask the registry's operator if it does not"));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(1));
    }
}

fn shown(packages: &[Package], seq: u64, signed: bool) -> String {
    let state = if signed { "signed" } else { "accepted" };
    let line = |package: &Package| {
        let Release { id, version, artifact, .. } = &package.release;
        format!(
            "{GOOD}published{GOOD:#} {NAME}{id}@{version}{NAME:#} {DIM}{} bytes, {state} as event {seq}{DIM:#}",
            artifact.size
        )
    };
    packages.iter().map(line).collect::<Vec<_>>().join("\n")
}
