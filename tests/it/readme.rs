//! The README's commands work, and print what it shows.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use stoa_core::manifest::Manifest;

use crate::process::{skip, stoa};

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository").to_owned()
}

/// The fenced blocks of a Markdown text: language and content.
pub(crate) fn blocks(markdown: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in markdown.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(language)) => open = Some((language.to_owned(), String::new())),
            (Some(_), Some(_)) => found.extend(open.take()),
            (Some((_, content)), None) => *content += &format!("{line}\n"),
            (None, None) => {}
        }
    }
    found
}

/// The names of the steps in the README's picture of the demo: `✓ NAME   TIME ms  DETAIL`.
fn steps_of(output: &str) -> Vec<String> {
    let rows = output.lines().filter_map(|line| line.strip_prefix("✓ "));
    rows.map(|row| row.split("  ").next().unwrap_or(row).to_owned()).collect()
}

/// The first component of a plugin in Rust that is not built, if any: the demo needs no others.
fn unbuilt(plugins: &Path) -> Option<PathBuf> {
    let folders = fs::read_dir(plugins).expect("the examples").map(|entry| entry.expect("an entry").path());
    let rust = folders.filter(|folder| folder.join("Cargo.toml").is_file());
    let manifests = rust.filter_map(|folder| Some((fs::read_to_string(folder.join("plugin.toml")).ok()?, folder)));
    let components = manifests.map(|(text, folder)| {
        let manifest = Manifest::parse(&text).expect("an example's manifest");
        folder.join(manifest.build().component.as_ref().expect("an example's component").as_str())
    });
    let components: Vec<PathBuf> = components.collect();
    assert!(components.len() >= 3, "{components:?}");
    components.into_iter().find(|path| !path.is_file())
}

#[test]
fn the_demo_of_the_readme_runs_and_has_the_steps_that_it_shows() {
    let readme = fs::read_to_string(repository().join("README.md")).expect("the README");
    let blocks = blocks(&readme);
    let at = blocks.iter().position(|(language, content)| language == "sh" && content.trim() == "cargo demo");
    let at = at.expect("the README shows `cargo demo` in a block of its own");
    let shown = steps_of(&blocks[at + 1].1);
    assert!(shown.len() >= 10, "the block after it shows the steps: {shown:?}");
    // `cargo demo` is `cargo xtask demo`, which builds the guests and runs this:
    let alias = fs::read_to_string(repository().join(".cargo/config.toml")).expect("the aliases");
    assert!(alias.contains("demo = \"run --quiet --package xtask -- demo\""), "{alias}");
    let Some(stoa) = stoa() else { return };
    let plugins = repository().join("examples/plugins");
    if let Some(path) = unbuilt(&plugins) {
        return skip(&format!("`{}` is not built: `cargo xtask guests` does", path.display()));
    }
    let output = Command::new(stoa).args(["demo", "--once", "--json", "--plugins"]).arg(plugins).output();
    let output = output.expect("the program runs");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(output.status.success(), "{json:#}");
    assert_eq!(json["ok"], true, "{json:#}");
    let steps = json["steps"].as_array().expect("steps");
    let names: Vec<_> = steps.iter().map(|step| step["name"].as_str().expect("a name").replace('`', "")).collect();
    let shown: Vec<_> = shown.into_iter().map(|name| name.replace('`', "")).collect();
    assert_eq!(names, shown, "the README shows the steps that there are");
    assert!(steps.iter().all(|step| step["ok"] == true), "{json:#}");
}

#[test]
fn every_command_in_the_readme_is_one_that_the_program_has() {
    let readme = fs::read_to_string(repository().join("README.md")).expect("the README");
    let blocks = blocks(&readme);
    let lines = blocks.iter().filter(|(language, _)| language == "sh").flat_map(|(_, content)| content.lines());
    let commands: Vec<Vec<&str>> = lines
        .filter_map(|line| line.strip_prefix("stoa "))
        .map(|rest| rest.split_whitespace().take_while(|word| word.bytes().all(|b| b.is_ascii_lowercase())).collect())
        .collect();
    assert!(commands.len() >= 3, "{commands:?}");
    let Some(stoa) = stoa() else { return };
    for words in commands {
        // A last word may be an argument (`stoa namespace create demo`): the help of what it belongs to will do.
        let output = Command::new(&stoa).args(&words).arg("--help").output().expect("the program runs");
        assert!(output.status.success(), "`stoa {}`: {}", words.join(" "), String::from_utf8_lossy(&output.stderr));
    }
}
