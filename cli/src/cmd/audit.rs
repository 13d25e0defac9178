//! `stoa audit`.

use std::{fmt::Write as _, process::ExitCode};

use serde_json::{Value, json};
use stoa_core::{
    advisory::Severity,
    id::PluginId,
    lock::Exact,
    resolve::Known,
    standing::{Open, Standing},
};

use super::lock::Files;
use crate::{
    args::{AuditCommand, HostFiles},
    host,
    progress::Spinner,
    report::{BAD, DIM, Failure, GOOD, NAME, Output, WARN, harmless},
};

/// How the program ends where there is something to do: not 1, which says that it could not look.
const SOMETHING_TO_DO: u8 = 5;

pub(crate) async fn run(command: &AuditCommand, output: Output) -> Result<ExitCode, Failure> {
    let AuditCommand::Advisories { files, deny } = command;
    advisories(files, *deny, output).await
}

/// What is known of one locked release.
struct Finding {
    release: Exact,
    /// `None`: the registry has no such release.
    standing: Option<Standing>,
}

impl Finding {
    fn asks_for(&self, deny: Severity) -> bool {
        let Some(standing) = &self.standing else { return true };
        standing.takedown.is_some() || standing.advisories.iter().any(|open| open.advisory.content.severity >= deny)
    }

    fn quiet(&self) -> bool {
        self.standing.as_ref().is_some_and(|standing| *standing == Standing::default())
    }
}

/// Holds a lock against the index, whatever else of the lock holds: one that has to change is audited as well.
async fn advisories(args: &HostFiles, deny: Severity, output: Output) -> Result<ExitCode, Failure> {
    let files = Files::read(args)?;
    let Some(lock) = &files.lock else {
        return Err(Failure::new(format!("there is no `{}` to audit", args.lock.display()))
            .hint("run `stoa lock` first; --lock names another file"));
    };
    let registry = files.open(args).await?;
    let spinner = Spinner::start(output, "reading the signed index");
    let snapshot = host::sync(&registry, args.offline, output).await?;
    let ids: Vec<PluginId> = lock.entries.keys().cloned().collect();
    let documents = snapshot.documents(|_| ids.clone()).await?;
    let seq = snapshot.seq().await;
    drop(spinner);
    if let Some((id, _)) = documents.iter().find(|(_, known)| **known == Known::NotKept) {
        return Err(Failure::new(format!("nothing verified is kept of `{id}`, so that it can not be audited offline"))
            .code("not-kept")
            .hint("audit once with a connection"));
    }
    let finding = |(id, entry): (&PluginId, &stoa_core::lock::Entry)| {
        let release = Exact { id: id.clone(), version: entry.version.clone() };
        let standing = match documents.get(id) {
            Some(Known::Document(document)) if document.releases.contains_key(&entry.version) => {
                Some(document.standing(&entry.version))
            }
            _ => None,
        };
        Finding { release, standing }
    };
    let findings: Vec<Finding> = lock.entries.iter().map(finding).collect();
    let todo = findings.iter().filter(|finding| finding.asks_for(deny)).count();
    output.result(text(&findings, todo, seq), &report(&findings, deny, seq));
    Ok(if todo == 0 { ExitCode::SUCCESS } else { ExitCode::from(SOMETHING_TO_DO) })
}

fn text(findings: &[Finding], todo: usize, seq: u64) -> String {
    let mut out = String::new();
    for finding in findings.iter().filter(|finding| !finding.quiet()) {
        let _infallible = writeln!(out, "{NAME}{}{NAME:#}", finding.release);
        let Some(standing) = &finding.standing else {
            let _infallible = writeln!(out, "  {BAD}gone{BAD:#}: the registry has no such release");
            continue;
        };
        if let Some(takedown) = &standing.takedown {
            let _infallible = writeln!(out, "  {BAD}{}{BAD:#}", harmless(&takedown.to_string()));
        }
        standing.advisories.iter().for_each(|open| advisory(&mut out, open));
    }
    let count = findings.len();
    let _infallible = match todo {
        0 => write!(out, "{GOOD}nothing to do{GOOD:#}: {count} locked releases"),
        todo => write!(out, "{BAD}{todo} of {count}{BAD:#} locked releases have something to do"),
    };
    let _infallible = write!(out, "  {DIM}signed up to event {seq}{DIM:#}");
    out
}

fn advisory(out: &mut String, open: &Open) {
    let Open { advisory, fixed_in } = open;
    let content = &advisory.content;
    let aliases: String = content.aliases.iter().map(|alias| format!(" {alias}")).collect();
    let fix = fixed_in.as_ref().map_or_else(|| "no release without it".to_owned(), |fixed| format!("fixed in {fixed}"));
    let _infallible = writeln!(
        out,
        "  {WARN}{}{WARN:#} {}{DIM}{aliases}{DIM:#}: {}; {fix}\n    {DIM}{} (says {}){DIM:#}",
        content.severity,
        advisory.id,
        harmless(content.summary.as_str()),
        content.link,
        content.issuer,
    );
}

fn report(findings: &[Finding], deny: Severity, seq: u64) -> Value {
    let open = |open: &Open| json!({"advisory": open.advisory, "fixed_in": open.fixed_in});
    let one = |finding: &Finding| {
        let standing = finding.standing.as_ref();
        json!({
            "release": finding.release,
            "known": standing.is_some(),
            "denied": finding.asks_for(deny),
            "takedown": standing.and_then(|standing| standing.takedown.as_ref()),
            "advisories": standing.map(|s| s.advisories.iter().map(open).collect::<Vec<_>>()).unwrap_or_default(),
        })
    };
    let denied = findings.iter().filter(|finding| finding.asks_for(deny)).count();
    json!({
        "signed_seq": seq, "deny": deny, "releases": findings.len(), "denied": denied,
        "findings": findings.iter().filter(|finding| !finding.quiet()).map(one).collect::<Vec<_>>(),
    })
}
