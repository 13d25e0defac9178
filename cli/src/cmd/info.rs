//! `stoa info`.

use std::fmt::Write as _;

use serde_json::{Value, json};
use stoa_core::{
    document::{Document, Listing, State},
    release::Provider,
};

use crate::{
    args::Info,
    host,
    progress::Spinner,
    report::{DIM, Failure, NAME, Output, WARN, harmless},
};

/// How many versions are shown to people; programs get all.
const SHOWN: usize = 12;

pub(crate) async fn run(args: &Info, output: Output) -> Result<(), Failure> {
    let registry = host::open(&args.registry, output).await?;
    let spinner = Spinner::start(output, "reading the signed index");
    let snapshot = host::sync(&registry, args.registry.offline, output).await?;
    let document = snapshot.document(&args.plugin).await?;
    let seq = snapshot.seq().await;
    drop(spinner);
    let Some(document) = document else {
        let message = format!("{} has no plugin `{}`: the signed index proves it", registry.address(), args.plugin);
        return Err(Failure::new(message).code("plugin-absent"));
    };
    output.result(text(&document, seq), &json(&document, seq)?);
    Ok(())
}

fn text(document: &Document, seq: u64) -> String {
    let about = &document.about;
    let mut text = format!(
        "{NAME}{}{NAME:#} {}  {DIM}{}{DIM:#}\n{}\n",
        document.id,
        about.version,
        harmless(&about.license),
        harmless(&about.description)
    );
    if let Some(repository) = &about.repository {
        let _infallible = writeln!(text, "{DIM}{}{DIM:#}", harmless(repository));
    }
    if let Some((_, newest)) = document.newest() {
        for export in &newest.exports {
            let _infallible = writeln!(text, "  exports {}", export.name);
        }
        for (id, dependency) in &newest.dependencies {
            let _infallible = writeln!(text, "  calls   {id} {}", dependency.version);
        }
        for import in &newest.imports {
            let _infallible = writeln!(text, "  imports {} {DIM}from {}{DIM:#}", import.name, provider(import.from));
        }
    }
    let _infallible = writeln!(text);
    for (version, listing) in document.releases.iter().rev().take(SHOWN) {
        let _infallible = writeln!(
            text,
            "  {version:<14} {}  {:>9} bytes  {}",
            listing.published_at,
            listing.artifact.size,
            state(listing)
        );
    }
    if let Some(more) = document.releases.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        let _infallible = writeln!(text, "  {DIM}and {more} more: --json shows all{DIM:#}");
    }
    let _infallible = write!(text, "{DIM}signed up to event {seq}{DIM:#}");
    text
}

fn provider(from: Provider) -> &'static str {
    match from {
        Provider::Dependency => "a dependency",
        Provider::Host => "the host",
        Provider::Convention => "every host",
        Provider::Wasi => "WASI, as policy grants",
        Provider::Types => "nobody: it has types only",
    }
}

fn state(listing: &Listing) -> String {
    match &listing.state {
        State::Yanked { reason, .. } => format!("{WARN}yanked{WARN:#}: {}", harmless(reason)),
        _ => format!("{DIM}{}{DIM:#}", listing.artifact.digest.short(16)),
    }
}

fn json(document: &Document, seq: u64) -> Result<Value, Failure> {
    let document: Value = serde_json::from_slice(&document.to_bytes()?)?;
    Ok(json!({"signed_seq": seq, "document": document}))
}
