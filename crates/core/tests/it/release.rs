//! What a record is refused for.

use serde_json::{Value, json};
use stoa_core::{digest::Digest, release::Release};

fn record(dependency: &Value) -> Vec<u8> {
    let blob = json!({"digest": Digest::of(b"x"), "size": 1});
    let record = json!({
        "format": 1,
        "id": "demo:markdown",
        "version": "1.0.0",
        "kind": "plugin",
        "artifact": blob,
        "wit": blob,
        "description": "Markdown to HTML",
        "license": "MIT",
        "dependencies": {"demo:slugify": dependency},
    });
    record.to_string().into_bytes()
}

fn read(named: &str) -> Result<Vec<String>, String> {
    let release = Release::read(&record(&json!({"version": "^1.0.0", "for": ["acme:fmt/first", named]})));
    let release = release.map_err(|error| error.to_string())?;
    Ok(release.dependencies.into_values().flat_map(|dependency| dependency.for_interfaces).collect())
}

#[test]
fn what_a_dependency_is_for_is_an_interface_of_no_particular_version() {
    assert_eq!(read("acme:fmt/formatter"), Ok(vec!["acme:fmt/first".to_owned(), "acme:fmt/formatter".to_owned()]));
    let refusals = [
        ("acme:fmt/formatter@1.2.0", "`acme:fmt/formatter@1.2.0` has a version: write `acme:fmt/formatter`"),
        (
            "acme:fmt",
            "`acme:fmt` is not an interface: write it `namespace:package/interface@1.2.0`, with or without the version",
        ),
        (
            "acme:fmt/for matter",
            "`for matter` in `acme:fmt/for matter` is not a WIT name: words of letters and digits joined by single `-`",
        ),
    ];
    for (named, rule) in refusals {
        assert_eq!(read(named), Err(format!("the record of `demo:markdown`: the `for` of `demo:slugify`: {rule}")));
    }
}
