//! `stoa cache`: what people see of compiled code.

use std::{fs, path::Path};

use serde_json::json;

use crate::process::Stage;

/// The file of this kind in a cache with one compiled component.
fn file(folder: &Path, kind: &str) -> std::path::PathBuf {
    let mut paths = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    paths.find(|path| path.extension().is_some_and(|found| found == kind)).expect("a file of this kind")
}

#[test]
fn compiled_code_is_listed_checked_and_removed() {
    let Some(stage) = Stage::new() else { return };
    let server = stage.serve();
    let (url, key) = (server.url.clone(), stage.author(&server));
    let folder = stage.plugin("answer", "1.0.0", 41, 0);
    let published = stage.publish(&url, &key, &[&folder]).json();
    let cache = stage.path("c");
    let run = || assert_eq!(stage.host(&url, &cache, &["run", "demo:answer", "--invoke", "add(1)"]).text(), "42\n");
    let look = |args: &[&str]| stage.run([&["cache"][..], args, &["--json", "--cache", &cache]].concat());
    run();

    let listed = look(&["ls"]).json();
    let entry = &listed["entries"][0];
    assert_eq!(entry["artifact"], published["releases"][0]["artifact"]["digest"], "{listed}");
    assert_eq!((&entry["scan"]["version"], &entry["scan"]["said"]["functions"]), (&json!(1), &json!(1)));
    assert_eq!((&entry["hold"], &entry["wrong"], &listed["put_aside"]), (&json!(null), &json!(null), &json!([])));
    assert_eq!(entry["bytes"], listed["bytes"]);
    let text = stage.run(["cache", "ls", "--cache", &cache]).text();
    assert!(text.contains("1 compiled, 0 put aside, "), "{text}");
    assert_eq!(look(&["verify"]).json()["checked"], 1);

    let code = file(Path::new(&cache).join("aot").as_path(), "code");
    let mut bytes = fs::read(&code).expect("code");
    bytes[5000] ^= 1;
    fs::write(&code, bytes).expect("other code");
    let verified = look(&["verify"]);
    assert_eq!(verified.status.code(), Some(5), "{verified:?}");
    let key = &listed["entries"][0]["key"];
    let found: serde_json::Value = serde_json::from_str(&verified.stdout).expect("JSON");
    assert_eq!(found["put_aside"], json!([{"key": key, "reason": "the code has a wrong MAC"}]));
    assert_eq!(look(&["ls"]).json()["put_aside"].as_array().map(Vec::len), Some(2));

    run();
    assert_eq!(look(&["verify"]).json()["checked"], 1, "it was compiled again");
    let pruned = look(&["prune"]).json();
    assert_eq!((&pruned["entries"], &pruned["others"]), (&json!(0), &json!(2)), "what was put aside");
    let pruned = look(&["prune", "--max-size", "0B"]).json();
    assert_eq!((&pruned["entries"], &pruned["left"], &pruned["in_use"]), (&json!(1), &json!(0), &json!(0)));
    run();
    assert_eq!(server.stop().code(), Some(0));
}
