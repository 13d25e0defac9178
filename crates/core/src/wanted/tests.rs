use super::*;

const EXAMPLE: &str = r#"
[registries.main]
url = "https://registry.example"
root-sha256 = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"

[plugins]
"demo:site" = "^1"
"acme:report" = { version = "~2.1", registry = "main", optional = true }

[plugins."demo:draft"]
path = "../draft"
config = { depth = 3, tags = ["a", "b"], ratio = 0.5 }
enabled = false
"#;

#[test]
fn plugins_keep_the_order_and_the_lines_of_the_file() {
    let wanted = Wanted::parse(EXAMPLE).expect("a plugins.toml");
    let rows: Vec<_> = wanted.plugins().iter().map(|want| (want.id.to_string(), want.line)).collect();
    assert_eq!(rows, [("demo:site".into(), Some(7)), ("acme:report".into(), Some(8)), ("demo:draft".into(), Some(10))]);
}

#[test]
fn an_entry_says_all_that_the_file_says() {
    let wanted = Wanted::parse(EXAMPLE).expect("a plugins.toml");
    let id: PluginId = "demo:draft".parse().expect("an id");
    let draft = wanted.get(&id).expect("an entry");
    assert_eq!(draft.path.as_deref(), Some("../draft"));
    assert_eq!((draft.enabled, draft.optional, &draft.version), (false, false, &None));
    assert_eq!(serde_json::json!(draft.config), serde_json::json!({"depth": 3, "tags": ["a", "b"], "ratio": 0.5}));
    let report = wanted.get(&"acme:report".parse().expect("an id")).expect("an entry");
    assert_eq!(report.version, Some("~2.1".parse().expect("a requirement")));
    assert_eq!((report.optional, report.registry.as_ref().map(Name::as_str)), (true, Some("main")));
    assert_eq!(wanted.registries().values().next().map(|r| r.url.as_str()), Some("https://registry.example"));
}

#[test]
fn a_refusal_names_the_line_the_thing_and_the_rule() {
    let cases = [
        "[plugins]\n\"demo:a\" = { version = \"1\", pth = \"x\" }",
        "[plugin]\n\"demo:a\" = \"1\"",
        "[plugins]\n\n\"Demo:a\" = \"1\"",
        "[plugins]\n\"demo:a\" = \"newest\"",
        "[plugins]\n\"demo:a\" = 1",
        "[plugins]\n\"demo:a\" = { optional = true }",
        "[plugins]\n\"demo:a\" = \"1\"\n\"demo:a\" = \"2\"",
        "[plugins]\n\"demo:a\" = { version = \"1\", registry = \"other\" }",
        "[plugins]\n\"demo:a\" = { version = \"1\", config = { day = 2026-01-01 } }",
        "[plugins]\n\"demo:a\" = { version = \"1\", config = { limit = inf } }",
        "[registries.main]\nurl = \"ftp://x\"\nroot-sha256 = \"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\"",
        "[registries.main]\nurl = \"https://x\"\nroot-sha256 = \"4413\"",
        "[plugins\n",
    ];
    let messages: Vec<String> = cases
        .iter()
        .map(|text| match Wanted::parse(text) {
            Ok(wanted) => panic!("accepted: {wanted:?}"),
            Err(error) => format!("{text}\n=> {error}\n"),
        })
        .collect();
    insta::assert_snapshot!(messages.join("\n"));
}

#[test]
fn bounds_are_refused_by_value() {
    let many: String = (0..=MAX_WANTED_PLUGINS).map(|n| format!("\"demo:p{n}\" = \"1\"\n")).collect();
    let error = Wanted::parse(&format!("[plugins]\n{many}"));
    assert_eq!(error, Err(WantedError::TooMany { what: "plugins", count: 2049, max: 2048 }));
    assert_eq!(Wanted::parse(&" ".repeat(MAX_WANTED_BYTES + 1)), Err(WantedError::TooLarge(1024 * 1024 + 1)));
}
