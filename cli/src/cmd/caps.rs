//! `stoa caps`.

use std::fmt::Write as _;

use serde_json::{Value, json};
use stoa_core::{
    capability::{Capability, Grants, Needs},
    lock::{Exact, Publisher},
    policy::{Decided, Decision, Ruling},
};
use stoa_loader::{
    Depth, Registry,
    consent::{Agreement, Question},
};

use super::{lock::Files, policy::pick};
use crate::{
    args::{Caps, PluginAt},
    consent, host,
    progress::Spinner,
    report::{BAD, DIM, Failure, GOOD, NAME, Output, WARN, chain, harmless},
};

/// What is told of a release.
struct Asked {
    release: Exact,
    publisher: Publisher,
    needs: Needs,
    decision: Decision,
    question: Question,
    agreed: bool,
    /// The release that it is compared with, and what that one needs.
    before: Option<(Exact, Needs)>,
}

pub(crate) async fn run(args: &Caps, output: Output) -> Result<(), Failure> {
    if args.revoke {
        return revoke(args, output);
    }
    let files = Files::read(&args.files)?;
    let registry = files.open(&args.files).await?;
    let asked = read(args, &files, &registry, output).await?;
    if args.agree {
        return agree(&asked, output);
    }
    output.result(text(&asked), &json(&asked));
    Ok(())
}

async fn read(args: &Caps, files: &Files, registry: &Registry, output: Output) -> Result<Asked, Failure> {
    let plugin = &args.plugin;
    let _spinner = Spinner::start(output, "reading the signed index");
    let snapshot = host::sync(registry, args.files.offline, output).await?;
    let Some(document) = snapshot.document(&plugin.id).await? else {
        let message = format!("{} has no plugin `{}`: the signed index proves it", registry.address(), plugin.id);
        return Err(Failure::new(message).code("plugin-absent"));
    };
    let (release, listing) = pick(plugin, files, &document)?;
    let attested = snapshot.attested(&release.id, &release.version, listing, Depth::Signature).await?;
    let locked = files.lock.as_ref().and_then(|lock| lock.entries.get(&release.id)).map(|entry| entry.publisher);
    let publisher = attested.publisher(locked);
    let needs = Needs::of(listing);
    let before = match &args.from {
        Some(version) => {
            let at = PluginAt { id: plugin.id.clone(), version: Some(version.clone()) };
            let (release, listing) = pick(&at, files, &document)?;
            Some((release, Needs::of(listing)))
        }
        None => None,
    };
    let open = registry.policy().decide(&release.id, &needs, &Grants::none());
    let question = Question::new(release.clone(), Some(registry.voucher(publisher)), &open);
    let agreed = consent::file().and_then(|file| file.has(&question)).map_err(failed)?;
    let decision = if agreed { registry.policy().decide(&release.id, &needs, &open.open()) } else { open };
    Ok(Asked { release, publisher, needs, decision, question, agreed, before })
}

fn failed(error: stoa_loader::consent::ConsentError) -> Failure {
    Failure::new(chain(&error)).code("consent-file")
}

fn agree(asked: &Asked, output: Output) -> Result<(), Failure> {
    let release = &asked.release;
    if let Some(obstacle) = asked.decision.obstacles().first() {
        return Err(Failure::new(obstacle.to_string()).code(obstacle.code()).hint(obstacle.hint()));
    }
    let file = consent::file().map_err(failed)?;
    let capabilities = asked.question.capabilities();
    let kept = !asked.agreed && !capabilities.is_empty();
    if let Some(agreement) = Agreement::to(&asked.question).filter(|_| kept) {
        file.add(agreement).map_err(failed)?;
    }
    let text = match (kept, asked.agreed) {
        (true, _) => {
            format!("{GOOD}agreed{GOOD:#} {NAME}{release}{NAME:#} may have {}", harmless(&capabilities.to_string()))
        }
        (_, true) => format!("{GOOD}agreed before{GOOD:#} {NAME}{release}{NAME:#} asks for no more"),
        _ => format!("{GOOD}nothing to agree to{GOOD:#} of {NAME}{release}{NAME:#}"),
    };
    output.result(text, &json!({"release": release, "agreed": capabilities_of(capabilities), "file": file.path()}));
    Ok(())
}

fn revoke(args: &Caps, output: Output) -> Result<(), Failure> {
    let id = &args.plugin.id;
    let file = consent::file().map_err(failed)?;
    let gone = file.revoke(id).map_err(failed)?;
    let text = format!("{GOOD}taken back{GOOD:#} agreements about {NAME}{id}{NAME:#}: {gone}");
    output.result(text, &json!({"plugin": id, "revoked": gone, "file": file.path()}));
    Ok(())
}

/// The capabilities that two releases do not share: those of the first alone, those of the second alone.
fn differ(before: &Needs, now: &Needs) -> (Grants, Grants) {
    let (before, now) = (before.all(), now.all());
    (before.beyond(&now), now.beyond(&before))
}

fn text(asked: &Asked) -> String {
    let mut out = format!("{NAME}{}{NAME:#}\n", asked.release);
    if let Some((release, needs)) = &asked.before {
        let (gone, new) = differ(needs, &asked.needs);
        for (sign, style, list) in [("+", WARN, new), ("-", GOOD, gone)] {
            for capability in list.capabilities() {
                // Writing to a string can not fail.
                let _ = writeln!(out, "  {style}{sign}{style:#} {}", harmless(&capability.to_string()));
            }
        }
        let same = asked.needs.all() == needs.all();
        let _ = writeln!(
            out,
            "{DIM}{} {}{DIM:#}",
            if same { "nothing differs from" } else { "compared with" },
            release.version
        );
    }
    out += &decided(&asked.decision);
    out + &verdict(asked)
}

/// What is decided of each capability, a line each.
pub(super) fn decided(decision: &Decision) -> String {
    let mut out = String::new();
    for item in decision.items() {
        let by = harmless(&decision.said_by(&item.by));
        let why = if item.asked { "it asks" } else { "it imports" };
        let capability = harmless(&item.capability.to_string());
        let line = match (item.ruling, item.granted.as_slice()) {
            (Ruling::Granted, _) => format!("{GOOD}✓{GOOD:#} {capability} {DIM}({why}) {by}{DIM:#}"),
            (ruling, parts) => {
                let (style, sign) = if ruling == Ruling::Open { (WARN, "?") } else { (BAD, "✗") };
                let part = match parts {
                    [] => String::new(),
                    parts => format!(", but for {}", harmless(&Grants::new(parts.iter().cloned()).to_string())),
                };
                format!("{style}{sign}{style:#} {capability} {DIM}({why}) {by}{DIM:#}{part}")
            }
        };
        let _ = writeln!(out, "  {line}");
    }
    for obstacle in decision.obstacles() {
        let _ = writeln!(out, "  {BAD}{}{BAD:#}: {}", obstacle.code(), harmless(&obstacle.to_string()));
    }
    out
}

fn verdict(asked: &Asked) -> String {
    let open = asked.decision.open();
    match (asked.decision.obstacles().is_empty(), open.is_empty()) {
        (false, _) => format!("{BAD}can not be linked{BAD:#}"),
        (_, true) => format!("{GOOD}has{GOOD:#} {}", harmless(&asked.decision.grants().to_string())),
        _ => {
            let hint = asked.question.hint();
            format!("{WARN}somebody has to agree{WARN:#} to {}\n{hint}", harmless(&open.to_string()))
        }
    }
}

fn capabilities_of(grants: &Grants) -> Vec<&Capability> {
    grants.capabilities().collect()
}

/// The same for programs.
pub(super) fn decided_json(decision: &Decision) -> Value {
    let one = |item: &Decided| {
        let ruling = match item.ruling {
            Ruling::Granted => "granted",
            Ruling::Open => "ask",
            Ruling::Denied => "denied",
        };
        json!({
            "capability": item.capability, "asked": item.asked, "ruling": ruling, "granted": item.granted,
            "by": decision.said_by(&item.by),
        })
    };
    decision.items().iter().map(one).collect()
}

fn json(asked: &Asked) -> Value {
    let differences = asked.before.as_ref().map(|(release, needs)| {
        let (gone, new) = differ(needs, &asked.needs);
        json!({"from": release.version, "added": capabilities_of(&new), "removed": capabilities_of(&gone)})
    });
    json!({
        "release": asked.release, "publisher": asked.publisher, "capabilities": decided_json(&asked.decision),
        "unknown": asked.needs.unknown().collect::<Vec<_>>(),
        "obstacles": asked.decision.obstacles().iter().map(|o| json!({"code": o.code(), "why": o.to_string()})).collect::<Vec<_>>(),
        "open": capabilities_of(&asked.decision.open()), "digest": asked.decision.grants().digest(),
        "differences": differences,
    })
}
