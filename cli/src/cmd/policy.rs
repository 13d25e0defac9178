//! `stoa policy`, and where a policy comes from.

use std::{collections::BTreeMap, fmt::Write as _, io::ErrorKind, path::Path};

use serde_json::{Value, json};
use stoa_core::{
    capability::{Grants, Needs},
    document::{Document, Listing},
    lock::Exact,
    policy::{Check, Decision, MAX_POLICY_BYTES, Outcome, Policy, Refusal, Rule, Verdict},
    resolve::Mode,
};

use super::lock::Files;
use crate::{
    args::{HostFiles, PluginAt, PolicyCommand},
    cmd, host,
    progress::Spinner,
    report::{BAD, DIM, Failure, GOOD, NAME, Output, WARN, chain, harmless},
};

/// The policy in `named`, which must be there, or in `policy.toml` beside the list of plugins, which need not.
pub(crate) fn load(named: Option<&Path>, wanted: &Path) -> Result<Option<Policy>, Failure> {
    let beside = wanted.with_file_name("policy.toml");
    let path = named.unwrap_or(&beside);
    let shown = path.display().to_string();
    let text = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == ErrorKind::NotFound && named.is_none() => return Ok(None),
        Err(e) => return Err(Failure::new(format!("the policy `{shown}` can not be read: {e}")).code("policy-unread")),
    };
    let text = String::from_utf8(text).map_err(|_| Failure::new(format!("the policy `{shown}` is not UTF-8 text")))?;
    // What can not be read refuses everything: a policy that is passed over in silence protects nobody.
    let refuse = |e: stoa_core::policy::PolicyError| {
        Failure::new(e.to_string())
            .code("policy-invalid")
            .hint(format!("correct the file; every line is named. A policy has at most {MAX_POLICY_BYTES} bytes"))
    };
    Policy::parse(&shown, &text).map(Some).map_err(refuse)
}

/// What the policy refused: the code of the first refusal, and what would satisfy each.
pub(crate) fn refused(error: &stoa_loader::PlanningError, refusals: &[Refusal]) -> Failure {
    with_hints(Failure::new(chain(error)), refusals)
}

fn with_hints(failure: Failure, refusals: &[Refusal]) -> Failure {
    let mut hints: Vec<String> = refusals.iter().map(Refusal::hint).collect();
    hints.dedup();
    hints.truncate(3);
    hints.push("`stoa policy explain PLUGIN` shows every rule".to_owned());
    let failure = failure.hint(hints.join("\n      "));
    match refusals.first() {
        Some(first) => failure.code(first.code()),
        None => failure,
    }
}

pub(crate) async fn run(command: &PolicyCommand, output: Output) -> Result<(), Failure> {
    match command {
        PolicyCommand::Check { files } => check(files, output).await,
        PolicyCommand::Explain { plugin, files } => explain(plugin, files, output).await,
    }
}

async fn check(args: &HostFiles, output: Output) -> Result<(), Failure> {
    let Some(policy) = load(args.policy.as_deref(), &args.wanted)? else {
        return Err(Failure::new("there is no policy to check: no `policy.toml` lies beside the list of plugins")
            .code("policy-absent")
            .hint("--policy names another file; without one, everything that the registry has signed may run"));
    };
    let rules = policy.rules().len();
    let valid = format!("{GOOD}valid{GOOD:#} {NAME}{}{NAME:#}, rules: {rules}", harmless(policy.file()));
    let files = match std::fs::exists(&args.lock) {
        Ok(true) => Files::read(args)?,
        _ => {
            let text = format!("{valid} {DIM}(no `{}` to check against them){DIM:#}", args.lock.display());
            output.result(text, &json!({"policy": policy.file(), "rules": rules, "plugins": null}));
            return Ok(());
        }
    };
    let registry = files.open(args).await?;
    let spinner = Spinner::start(output, "checking what is locked against the policy");
    let (resolution, _) = files.resolve(&registry, Mode::Locked, args.offline, output).await?;
    drop(spinner);
    let count = resolution.plugins.len();
    let decisions = resolution.plugins.iter().map(|p| policy.decide(&p.id, &Needs::of(&p.listing), &Grants::none()));
    let decisions: Vec<_> = decisions.collect();
    let obstacles: Vec<_> = decisions.iter().flat_map(Decision::obstacles).collect();
    if let Some(first) = obstacles.first() {
        let lines: Vec<_> = obstacles.iter().map(ToString::to_string).collect();
        return Err(Failure::new(lines.join("\n  ")).code(first.code()).hint(first.hint()));
    }
    let open: BTreeMap<_, _> = decisions.iter().map(|d| (d.id().to_string(), d.open())).collect();
    let open = open.into_iter().filter(|(_, open)| !open.is_empty());
    let open: BTreeMap<_, Vec<_>> = open.map(|(id, open)| (id, open.capabilities().cloned().collect())).collect();
    let mut text = format!("{valid}, locked plugins that keep them: {count}");
    for (id, open) in &open {
        let open = harmless(&Grants::new(open.iter().cloned()).to_string());
        text += &format!("\n{WARN}somebody has to agree{WARN:#} that {NAME}{id}{NAME:#} may have {open}");
    }
    output.result(text, &json!({"policy": policy.file(), "rules": rules, "plugins": count, "open": open}));
    Ok(())
}

async fn explain(plugin: &PluginAt, args: &HostFiles, output: Output) -> Result<(), Failure> {
    let files = Files::read(args)?;
    let registry = files.open(args).await?;
    let spinner = Spinner::start(output, "reading the signed index");
    let snapshot = host::sync(&registry, args.offline, output).await?;
    let document = snapshot.document(&plugin.id).await?;
    drop(spinner);
    let Some(document) = document else {
        let message = format!("{} has no plugin `{}`: the signed index proves it", registry.address(), plugin.id);
        return Err(Failure::new(message).code("plugin-absent"));
    };
    let (release, listing) = pick(plugin, &files, &document)?;
    let policy = registry.policy();
    let evidence = snapshot.evidence(&release, listing, &document.standing(&release.version)).await?;
    let verdict = policy.judge(&release, &evidence, cmd::now());
    let decision = policy.decide(&release.id, &Needs::of(listing), &Grants::none());
    let text = format!("{}{}", text(policy, &verdict), below(&decision));
    let mut json = json(policy, &verdict);
    json["capabilities"] = super::caps::decided_json(&decision);
    output.result(text, &json);
    Ok(())
}

/// What the policy says of its capabilities, below what it says of the release.
fn below(decision: &Decision) -> String {
    let lines = super::caps::decided(decision);
    if lines.is_empty() { lines } else { format!("\n{DIM}capabilities{DIM:#}\n{}", lines.trim_end()) }
}

/// The release that is meant: the named version, the locked one, or the newest.
pub(super) fn pick<'d>(
    plugin: &PluginAt,
    files: &Files,
    document: &'d Document,
) -> Result<(Exact, &'d Listing), Failure> {
    let locked = files.lock.as_ref().and_then(|lock| lock.entries.get(&plugin.id)).map(|entry| &entry.version);
    let version = plugin.version.as_ref().or(locked).or_else(|| document.newest().map(|(version, _)| version));
    let found = version.and_then(|version| document.releases.get_key_value(version));
    let (version, listing) = found.ok_or_else(|| {
        let version = version.map_or_else(|| "that is not yanked".to_owned(), ToString::to_string);
        Failure::new(format!("`{}` has no release {version}", plugin.id)).code("release-absent")
    })?;
    Ok((Exact { id: plugin.id.clone(), version: version.clone() }, listing))
}

fn text(policy: &Policy, verdict: &Verdict) -> String {
    let mut out = format!("{NAME}{}{NAME:#}\n", verdict.release());
    let mut refusals = verdict.refusals().into_iter();
    for check in verdict.checks() {
        // Writing to a string can not fail.
        let _ = match &check.outcome {
            Outcome::Allowed => writeln!(out, "  {GOOD}✓{GOOD:#} {}: it is allowed", place(policy, check)),
            Outcome::Met(requirement) => {
                writeln!(out, "  {GOOD}✓{GOOD:#} {}: it has to {requirement}, and that is so", place(policy, check))
            }
            Outcome::Refused(why) => {
                let hint = refusals.next().map(|refusal| refusal.hint()).unwrap_or_default();
                let place = place(policy, check);
                writeln!(
                    out,
                    "  {BAD}✗{BAD:#} {place}: {}\n      {WARN}hint{WARN:#}: {hint}",
                    harmless(&why.to_string())
                )
            }
        };
    }
    for rule in others(policy, verdict) {
        let _ =
            writeln!(out, "  {DIM}- {} ({}:{}) is not about it{DIM:#}", rule.id, harmless(policy.file()), rule.line);
    }
    for notice in verdict.notices() {
        let _ = writeln!(out, "  {WARN}note{WARN:#}: {notice}");
    }
    out += &match verdict.allows() {
        true => format!("{GOOD}may run{GOOD:#}"),
        false => format!("{BAD}may not run{BAD:#}"),
    };
    out
}

fn place(policy: &Policy, check: &Check) -> String {
    match check.rule() {
        Some((id, line)) => format!("{id} ({}:{line})", harmless(policy.file())),
        None => harmless(policy.file()),
    }
}

/// The rules that are not about the release.
fn others<'p>(policy: &'p Policy, verdict: &Verdict) -> impl Iterator<Item = &'p Rule> {
    let id = verdict.release().id.clone();
    policy.rules().iter().filter(move |rule| !rule.matches.takes(&id))
}

fn json(policy: &Policy, verdict: &Verdict) -> Value {
    let mut refusals = verdict.refusals().into_iter();
    let checks = verdict.checks().iter().map(|check| {
        let rule = check.rule().map(|(id, line)| json!({"id": id.as_str(), "line": line}));
        match &check.outcome {
            Outcome::Allowed => json!({"rule": rule, "outcome": "allowed"}),
            Outcome::Met(requirement) => json!({"rule": rule, "outcome": "met", "requirement": requirement.key()}),
            Outcome::Refused(why) => {
                let refusal = refusals.next();
                let (code, hint) = (refusal.as_ref().map(Refusal::code), refusal.as_ref().map(Refusal::hint));
                json!({"rule": rule, "outcome": "refused", "code": code, "why": why.to_string(), "hint": hint})
            }
        }
    });
    json!({
        "release": verdict.release(), "policy": policy.file(), "allows": verdict.allows(),
        "checks": checks.collect::<Vec<_>>(),
    })
}
