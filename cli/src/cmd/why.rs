//! `stoa why`: who needs a plugin that is locked, and who decides which version of it.

use std::collections::{BTreeMap, VecDeque};

use serde_json::json;
use stoa_core::{
    id::PluginId,
    resolve::{Mode, Resolved},
    version::{Version, VersionReq},
    wanted::Wanted,
};

use super::lock::{Files, not_locked};
use crate::{
    args, host,
    progress::Spinner,
    report::{DIM, Failure, GOOD, NAME, Output, WARN},
};

pub(crate) async fn run(args: &args::Why, output: Output) -> Result<(), Failure> {
    let files = Files::read(&args.files)?;
    let id = &args.plugin;
    if !files.locked(&args.files)?.entries.contains_key(id) {
        return Err(not_locked(id, &args.files));
    }
    let registry = files.open(&args.files).await?;
    let spinner = Spinner::start(output, "reading the signed index");
    let (resolution, _) = files.resolve(&registry, Mode::Locked, args.files.offline, output).await?;
    let document = host::sync(&registry, args.files.offline, output).await?.document(id).await?;
    drop(spinner);
    let plugins: BTreeMap<&PluginId, &Resolved> =
        resolution.plugins.iter().map(|plugin| (&plugin.id, plugin)).collect();
    let Some(chosen) = plugins.get(id) else { return Err(not_locked(id, &args.files)) };
    let reasons = reasons(id, &files.wanted, &plugins);
    let newest = document.as_ref().and_then(|document| document.newest()).map(|(version, _)| version.clone());
    let newer = newest.filter(|newest| *newest > chosen.version);
    let holding: Vec<&Reason> = reasons
        .iter()
        .filter(|reason| newer.as_ref().is_some_and(|newest| !reason.requirement.matches(newest)))
        .collect();

    let mut lines = vec![format!("{NAME}{id}{NAME:#} {GOOD}{}{GOOD:#}", chosen.version)];
    for reason in &reasons {
        let chain: Vec<String> = reason.chain.iter().map(ToString::to_string).collect();
        let which = if reason.chain.len() > 1 { ", which" } else { "" };
        let optional = if reason.optional { ", where it is there" } else { "" };
        lines.push(format!(
            "  {}{which} asks for {NAME}{}{NAME:#}{optional}",
            chain.join(&format!(" {DIM}→{DIM:#} ")),
            reason.requirement
        ));
    }
    if let Some(newer) = &newer {
        lines.push(match holding.as_slice() {
            [] => format!("{newer} is newer, and fits what is asked for: `stoa update -p {id}` tries it"),
            held => {
                let held: Vec<String> = held.iter().map(|reason| reason.asker()).collect();
                format!("{WARN}{newer} is newer{WARN:#}, and is not what {} for", asks(&held))
            }
        });
    }
    let json = json!({
        "id": id, "version": chosen.version, "newer": newer,
        "asked_for_by": reasons.iter().map(|reason| json!({
            "chain": reason.chain.iter().map(Step::json).collect::<Vec<_>>(),
            "requirement": reason.requirement, "optional": reason.optional,
            "takes_newer": newer.as_ref().map(|newer| reason.requirement.matches(newer)),
        })).collect::<Vec<_>>(),
    });
    output.result(lines.join("\n"), &json);
    Ok(())
}

fn asks(who: &[String]) -> String {
    match who {
        [one] => format!("{one} asks"),
        many => format!("{} ask", many.join(" and ")),
    }
}

/// Somebody who asks for the plugin, and the shortest way to them from what the host asks for.
struct Reason {
    /// The host first.
    chain: Vec<Step>,
    requirement: VersionReq,
    /// Whether it is a requirement only where the plugin is there for another reason.
    optional: bool,
}

#[derive(Clone)]
enum Step {
    Host,
    Plugin(PluginId, Version),
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Host => f.write_str("the host"),
            Self::Plugin(id, version) => write!(f, "{id} {version}"),
        }
    }
}

impl Step {
    fn json(&self) -> serde_json::Value {
        match self {
            Self::Host => json!("host"),
            Self::Plugin(id, version) => json!(format!("{id}@{version}")),
        }
    }
}

impl Reason {
    fn asker(&self) -> String {
        self.chain.last().map(ToString::to_string).unwrap_or_default()
    }
}

/// Everybody who asks for `id`, each with one way to them: there may be very many ways.
fn reasons(id: &PluginId, wanted: &Wanted, plugins: &BTreeMap<&PluginId, &Resolved>) -> Vec<Reason> {
    let mut found = Vec::new();
    let wishes = wanted.plugins().iter().filter(|want| want.enabled && plugins.contains_key(&want.id));
    let mut ways: BTreeMap<&PluginId, Vec<Step>> = BTreeMap::new();
    let mut queue = VecDeque::new();
    for want in wishes {
        if want.id == *id {
            let requirement = want.version.clone().unwrap_or(VersionReq::ANY);
            found.push(Reason { chain: vec![Step::Host], requirement, optional: false });
        }
        ways.insert(&want.id, vec![Step::Host]);
        queue.push_back(&want.id);
    }
    while let Some(at) = queue.pop_front() {
        let Some(plugin) = plugins.get(at) else { continue };
        let mut chain = ways.get(at).cloned().unwrap_or_default();
        chain.push(Step::Plugin(plugin.id.clone(), plugin.version.clone()));
        for (dependency, asked) in &plugin.listing.dependencies {
            if dependency == id {
                let (requirement, optional) = (asked.version.clone(), asked.optional);
                found.push(Reason { chain: chain.clone(), requirement, optional });
            }
            if let Some((known, _)) = plugins.get_key_value(dependency).filter(|_| !asked.optional)
                && !ways.contains_key(known)
            {
                ways.insert(known, chain.clone());
                queue.push_back(known);
            }
        }
    }
    found
}
