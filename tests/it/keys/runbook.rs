//! `docs/operating/keys.md`, run line by line.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Command};

use serde_json::Value;

use crate::{
    backup::versions,
    process::Stage,
    readme::{blocks, repository},
};

/// Stands before the program: answers for the person at the terminal, and makes guesses cheap.
const SHIM: &str = r#"#!/bin/sh
case "$1 $2" in
  "keys sign") exec "$STOA" "$@" --yes ;;
  "keys generate") exec "$STOA" "$@" --work-factor 10 ;;
  *) exec "$STOA" "$@" ;;
esac
"#;

#[test]
fn the_runbook_works_from_the_first_line_to_the_last() {
    let Some(mut stage) = Stage::bare() else { return };
    let text = fs::read_to_string(repository().join("docs/operating/keys.md")).expect("the runbook");
    let blocks: Vec<String> =
        blocks(&text).into_iter().filter(|(kind, _)| kind == "sh").map(|(_, text)| text).collect();
    assert!(blocks.len() >= 11, "{} blocks", blocks.len());
    let bin = stage.dir.path().join("bin");
    fs::create_dir(&bin).expect("a folder");
    fs::write(bin.join("stoa"), SHIM).expect("a shim");
    fs::set_permissions(bin.join("stoa"), fs::Permissions::from_mode(0o755)).expect("a mode");
    fs::write(stage.dir.path().join("passphrase"), "correct horse battery staple\n").expect("a file");
    let path = std::env::var("PATH").expect("a path");
    let shell = bin.clone();
    let run = move |stage: &Stage, block: &str| {
        let output = Command::new("sh")
            .args(["-eu", "-c", block])
            .current_dir(stage.dir.path())
            .env("PATH", format!("{}:{path}", shell.display()))
            .env("STOA", stage.program())
            .env("STOA_KEY_PASSPHRASE_FILE", stage.dir.path().join("passphrase"))
            .env("NO_COLOR", "1")
            .output()
            .expect("a shell");
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{block}\n{out}{}", String::from_utf8_lossy(&output.stderr));
        out
    };
    let begins = blocks.iter().position(|block| block.contains("stoa init")).expect("a registry begins");
    let (begin, change) = blocks.split_at(begins + 1);
    let said: String = begin.iter().map(|block| run(&stage, block)).collect();
    let key = said.lines().map(str::trim).find(|line| line.starts_with("stoa_")).expect("an admin key").to_owned();
    assert!(!stage.dir.path().join("registry/keys/offline").exists(), "no offline key was ever here");

    // The first release, and a host that has seen nothing but the first root.
    stage.admin_key = key;
    let author = {
        let server = stage.serve();
        let author = stage.author(&server);
        stage.publish(&server.url, &author, &[&stage.plugin("answer", "1.0.0", 41, 0)]).json();
        assert_eq!(stage.known(&server.url, "old").1, versions(&["1.0.0"]));
        author
    };
    for block in change {
        run(&stage, block);
    }
    let status: Value = stage.run(["trust", "status", "--json", "--dir", "registry"]).json();
    let version = |name: &str| {
        let role = status["roles"].as_array().expect("roles").iter().find(|role| role["role"] == name);
        role.expect("a role")["version"].as_u64().expect("a version")
    };
    assert_eq!([version("root"), version("targets"), version("index")], [7, 6, 6], "{status:#}");
    let server = stage.serve();
    stage.publish(&server.url, &author, &[&stage.plugin("answer", "1.1.0", 42, 0)]).json();
    for cache in ["old", "new"] {
        assert_eq!(stage.known(&server.url, cache).1, versions(&["1.0.0", "1.1.0"]), "{cache}");
    }
}
