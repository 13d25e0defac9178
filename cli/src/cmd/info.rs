//! `stoa info`.

use std::fmt::Write as _;

use serde_json::{Value, json};
use stoa_core::{
    advisory::Content,
    document::{Document, Listing, State},
    id::PluginId,
    publisher::Publishers,
    release::Provider,
    standing,
    time::Time,
    trust::KeyId,
    version::Version,
};
use stoa_loader::{Attested, Depth, RegistryError, Snapshot};

use crate::{
    args::Info,
    host,
    progress::Spinner,
    report::{BAD, DIM, Failure, GOOD, NAME, Output, WARN, chain, harmless},
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
    let attested = match document.newest() {
        Some((version, listing)) => Some(Standing::of(&snapshot, &args.plugin, version, listing).await?),
        None => None,
    };
    output.result(text(&document, attested.as_ref(), seq), &json(&document, attested.as_ref(), seq)?);
    Ok(())
}

/// Who stands for the newest release.
struct Standing {
    version: Version,
    attested: Attested,
    /// The keys of the namespace, where it has some.
    publishers: Option<Publishers>,
    /// Why it could not be verified: what it takes is not kept, and there is no connection.
    unread: Option<String>,
}

impl Standing {
    async fn of(snapshot: &Snapshot<'_>, id: &PluginId, version: &Version, listing: &Listing) -> Result<Self, Failure> {
        let read = async || {
            let publishers = snapshot.publishers(id.namespace()).await?;
            Ok((publishers, snapshot.attested(id, version, listing, Depth::Provenance).await?))
        };
        let version = version.clone();
        match read().await {
            Ok((publishers, attested)) => Ok(Self { version, attested, publishers, unread: None }),
            Err(RegistryError::Transport(away)) => {
                let attested = Attested::default();
                Ok(Self { version, attested, publishers: None, unread: Some(chain(&away)) })
            }
            Err(refused) => Err(refused.into()),
        }
    }

    /// A line for each key that signed, and one for where it was built.
    fn lines(&self) -> Vec<String> {
        if let Some(why) = &self.unread {
            return vec![format!("{WARN}signature not verified{WARN:#}: {why}")];
        }
        let Some(signed) = &self.attested.signed else {
            let demands = self.publishers.as_ref().and_then(|publishers| publishers.demanded);
            return vec![match demands {
                Some(since) => format!("{WARN}unsigned{WARN:#}: from before event {since}, which demands signatures"),
                None => format!("{WARN}unsigned{WARN:#}: its publisher has not signed it"),
            }];
        };
        let key = |id: &KeyId| {
            let since = self.since(id).map_or_else(String::new, |since| format!(" {DIM}counts since {since}{DIM:#}"));
            match signed.flagged.iter().find(|(flagged, _)| flagged == id) {
                Some((_, reason)) => {
                    format!("signed by {id}{since}, {WARN}revoked since{WARN:#}: {}", harmless(reason))
                }
                None => format!("signed by {id}{since}"),
            }
        };
        let built = self.attested.provenance.as_ref();
        let built = built.map(|provenance| {
            let built = harmless(&provenance.to_string());
            format!("built {built} {DIM}as its publisher signed; the builder's own signature is not judged{DIM:#}")
        });
        signed.keys.iter().map(key).chain(built).collect()
    }

    fn since(&self, id: &KeyId) -> Option<Time> {
        self.publishers.as_ref()?.keys.get(id.as_str()).map(|key| key.usable_at)
    }

    fn json(&self) -> Value {
        let signed = self.attested.signed.as_ref();
        let keys = signed.map(|signed| {
            let one = |id: &KeyId| {
                let revoked = signed.flagged.iter().find(|(flagged, _)| flagged == id).map(|(_, reason)| reason);
                json!({"key": id, "since": self.since(id), "revoked": revoked})
            };
            signed.keys.iter().map(one).collect::<Vec<_>>()
        });
        let provenance = self.attested.provenance.as_ref();
        let built = provenance
            .map(|said| json!({"builder": said.builder, "repository": said.repository, "workflow": said.workflow}));
        json!({
            "version": self.version, "verified": self.unread.is_none(), "signed_by": keys, "built": built,
            "demanded_since": self.publishers.as_ref().and_then(|publishers| publishers.demanded),
        })
    }
}

fn text(document: &Document, standing: Option<&Standing>, seq: u64) -> String {
    let about = &document.about;
    // What was taken down does not speak for itself.
    let silenced = document.takedown_of(&about.version).is_some();
    let description = if silenced { String::new() } else { format!("{}\n", harmless(&about.description)) };
    let mut text = format!(
        "{NAME}{}{NAME:#} {}  {DIM}{}{DIM:#}\n{description}",
        document.id,
        about.version,
        harmless(&about.license),
    );
    if let Some(takedown) = &document.takedown {
        let _infallible = writeln!(text, "{BAD}{}{BAD:#}, with all its versions", harmless(&takedown.to_string()));
    }
    if let Some(repository) = about.repository.as_ref().filter(|_| !silenced) {
        let _infallible = writeln!(text, "{DIM}{}{DIM:#}", harmless(repository));
    }
    if let Some((_, newest)) = document.newest() {
        if let Some(certified) = &newest.certified {
            let _infallible = writeln!(
                text,
                "  {GOOD}certified to level {}{GOOD:#} {}",
                certified.level,
                harmless(&certified.reason)
            );
        }
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
    for line in standing.map(Standing::lines).unwrap_or_default() {
        let _infallible = writeln!(text, "  {line}");
    }
    let _infallible = writeln!(text);
    for (version, listing) in document.releases.iter().rev().take(SHOWN) {
        let _infallible = writeln!(
            text,
            "  {version:<14} {}  {:>9} bytes  {:<8}  {}",
            listing.published_at,
            listing.artifact.size,
            if listing.attestations.signature.is_some() { "signed" } else { "unsigned" },
            state(&document.standing(version), listing)
        );
    }
    if let Some(more) = document.releases.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        let _infallible = writeln!(text, "  {DIM}and {more} more: --json shows all{DIM:#}");
    }
    for listed in document.advisories.values() {
        let Content { severity, summary, affected, link, .. } = &listed.advisory.content;
        let affected: Vec<String> = affected.iter().map(ToString::to_string).collect();
        let _infallible = writeln!(
            text,
            "  {WARN}{} ({severity}){WARN:#} {}: {}\n    {DIM}{link}{DIM:#}",
            listed.advisory.id,
            affected.join(" or "),
            harmless(summary.as_str()),
        );
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

fn state(standing: &standing::Standing, listing: &Listing) -> String {
    let advisories: Vec<String> = standing
        .advisories
        .iter()
        .map(|open| format!("{} {}", open.advisory.content.severity, open.advisory.id))
        .collect();
    let flaws = match advisories.is_empty() {
        true => String::new(),
        false => format!("  {WARN}{}{WARN:#}", advisories.join(", ")),
    };
    if let Some(takedown) = &standing.takedown {
        return format!("{BAD}{}{BAD:#}{flaws}", harmless(&takedown.to_string()));
    }
    let state = match &listing.state {
        State::Yanked { reason, .. } => format!("{WARN}yanked{WARN:#}: {}", harmless(reason)),
        _ => format!("{DIM}{}{DIM:#}", listing.artifact.digest.short(16)),
    };
    format!("{state}{flaws}")
}

fn json(document: &Document, standing: Option<&Standing>, seq: u64) -> Result<Value, Failure> {
    let document: Value = serde_json::from_slice(&document.to_bytes()?)?;
    Ok(json!({"signed_seq": seq, "document": document, "newest": standing.map(Standing::json)}))
}
