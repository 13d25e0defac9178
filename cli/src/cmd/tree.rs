//! `stoa tree`: what a lock names, from what the host asks for downwards. It reads two files and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use stoa_core::{id::PluginId, lock::Lock, version::Version, wanted::Want};

use super::lock::Files;
use crate::{
    args,
    report::{DIM, Failure, GOOD, NAME, Output, WARN},
};

pub(crate) fn run(args: &args::Tree, output: Output) -> Result<(), Failure> {
    let files = Files::read(&args.files)?;
    let lock = files.locked(&args.files)?;
    let wishes: Vec<&Want> = files.wanted.plugins().iter().filter(|want| want.enabled).collect();
    let mut drawing = Drawing { lock, shown: BTreeSet::new(), lines: Vec::new(), repeated: false };
    drawing.lines.push(format!("{NAME}{}{NAME:#}", args.files.wanted.display()));
    for (at, want) in wishes.iter().enumerate() {
        drawing.wish(want, at + 1 == wishes.len());
    }
    let unneeded: Vec<&PluginId> = lock.entries.keys().filter(|id| !drawing.shown.contains(id)).collect();
    for id in &unneeded {
        drawing.lines.push(format!("{WARN}nothing needs{WARN:#} {NAME}{id}{NAME:#} any more: `stoa lock` drops it"));
    }
    if drawing.repeated {
        drawing.lines.push(format!("{DIM}{REPEATED} what it calls is shown above{DIM:#}"));
    }
    let roots = wishes.iter().map(|want| {
        let requirement = want.version.as_ref().map(ToString::to_string);
        let locked = lock.entries.get(&want.id).map(|entry| &entry.version);
        json!({"id": want.id, "requirement": requirement, "optional": want.optional, "path": want.path, "version": locked})
    });
    let plugins: BTreeMap<String, _> = lock
        .entries
        .iter()
        .map(|(id, entry)| (id.to_string(), json!({"version": entry.version, "dependencies": entry.dependencies})))
        .collect();
    let json = json!({"roots": roots.collect::<Vec<_>>(), "plugins": plugins, "unneeded": unneeded});
    output.result(drawing.lines.join("\n"), &json);
    Ok(())
}

/// Stands behind a plugin whose dependencies were drawn already.
const REPEATED: &str = "(*)";

struct Drawing<'l> {
    lock: &'l Lock,
    shown: BTreeSet<PluginId>,
    lines: Vec<String>,
    /// Whether anything was drawn without what it calls.
    repeated: bool,
}

impl Drawing<'_> {
    fn wish(&mut self, want: &Want, last: bool) {
        let requirement = want.version.as_ref().map(|version| format!(" {DIM}{version}{DIM:#}")).unwrap_or_default();
        let (branch, below) = branches("", last);
        if let Some(path) = &want.path {
            self.lines.push(format!("{branch}{NAME}{}{NAME:#} {DIM}from {path}, in no lock{DIM:#}", want.id));
            return;
        }
        match self.lock.entries.get(&want.id) {
            Some(entry) => self.plugin(&want.id, &entry.version, &requirement, &branch, &below),
            None => {
                let what = if want.optional { "left out" } else { "not locked: run `stoa lock`" };
                self.lines.push(format!("{branch}{NAME}{}{NAME:#}{requirement} {WARN}{what}{WARN:#}", want.id));
            }
        }
    }

    fn plugin(&mut self, id: &PluginId, version: &Version, asked: &str, branch: &str, below: &str) {
        let arrow = if asked.is_empty() { "" } else { " →" };
        let mut line = format!("{branch}{NAME}{id}{NAME:#}{asked}{arrow} {GOOD}{version}{GOOD:#}");
        let dependencies: Vec<_> = match self.lock.entries.get(id) {
            Some(entry) => entry.dependencies.iter().collect(),
            None => Vec::new(),
        };
        // A lock may be edited by hand and name a circle: each plugin is drawn out once.
        let first = self.shown.insert(id.clone());
        if !first && !dependencies.is_empty() {
            line.push_str(&format!(" {DIM}{REPEATED}{DIM:#}"));
            self.repeated = true;
        }
        self.lines.push(line);
        if first {
            for (at, (dependency, version)) in dependencies.iter().enumerate() {
                let (branch, below) = branches(below, at + 1 == dependencies.len());
                self.plugin(dependency, version, "", &branch, &below);
            }
        }
    }
}

/// What stands before a line, and before the lines below it.
fn branches(before: &str, last: bool) -> (String, String) {
    match last {
        true => (format!("{before}└── "), format!("{before}    ")),
        false => (format!("{before}├── "), format!("{before}│   ")),
    }
}
