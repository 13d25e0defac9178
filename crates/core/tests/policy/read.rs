//! What a `policy.toml` may say.

use stoa_core::policy::{Effect, MAX_POLICY_BYTES, Policy, Unlisted};

/// Every key that there is.
pub(crate) const WHOLE: &str = r#"version = 1
unlisted = "deny"
ungranted = "deny"

[[rule]]
id = "everything"
match = { plugin = "*", except = ["acme:*", "demo:markdown"] }
reason = "Bad releases are mostly found within days"
allow = true
[rule.require]
signature = true
keys = ["44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"]
provenance = { repository = "https://example.com/demo/site", workflow = ".github/workflows/release.yml", builder = "https://example.com/builder" }
age = "3d"
advisories = "none"
certification = 2

[[rule]]
id = "never"
match = { plugin = "coin:*" }
deny = true

[[rule]]
id = "reach"
match = { plugin = "*" }
deny = ["net.*", "host:acme:web/kv", "*"]
ask = ["fs.write"]
grant = ["log", "clock:coarse", "http.out:https://*.acme.example"]
addresses = ["loopback", "private"]
"#;

fn problems(text: &str) -> String {
    match Policy::parse("policy.toml", text) {
        Ok(policy) => panic!("accepted: {policy:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_policy_with_every_key_is_read() {
    let policy = Policy::parse("policy.toml", WHOLE).expect("a policy");
    assert_eq!(policy.unlisted(), Unlisted::Deny);
    insta::assert_debug_snapshot!(policy.rules());
}

#[test]
fn without_rules_all_is_allowed() {
    let policy = Policy::parse("policy.toml", "version = 1\n").expect("a policy");
    assert_eq!((policy.unlisted(), policy.rules()), (Unlisted::Allow, &[][..]));
}

#[test]
fn every_mistake_is_named_with_its_line_and_the_nearest_key() {
    let file = r#"version = 2
unlistd = "deny"
unlisted = "maybe"

[[rule]]
id = "Not a name"
match = { plugins = "*" }
deny = true

[[rule]]
id = "both"
match = { plugin = "*" }
deny = true
allow = true

[[rule]]
id = "nothing"
match = { plugin = "demo:*" }

[[rule]]
id = "no"
match = { plugin = "de*:x" }
deny = false
allow = "yes"

[[rule]]
id = "twice"
match = { plugin = "*", except = ["*"] }
require = { signatur = true, age = "3 days", advisories = "few", certification = 0, keys = [] }

[[rule]]
id = "twice"
match = { plugin = "demo:a" }
require = { provenance = { repo = "https://example.com" }, keys = ["abc"] }

[[rule]]
id = "empty"
match = { plugin = "demo:a" }
require = {}

[[rule]]
deny = true
"#;
    insta::assert_snapshot!(problems(file));
}

#[test]
fn what_is_no_policy_at_all_is_refused() {
    let rule = "[[rule]]\nid = \"a\"\nmatch = { plugin = \"*\" }\ndeny = true\n";
    let many = format!("version = 1\n{}", rule.repeat(257));
    let names: Vec<_> = (0..65).map(|n| format!("\"demo:n{n}\"")).collect();
    let excepts = format!(
        "version = 1\n[[rule]]\nid = \"a\"\nmatch = {{ plugin = \"*\", except = [{}] }}\ndeny = true\n",
        names.join(", ")
    );
    let cases = ["", "version = ", "version = 1\nrule = 3\n", "version = 1\nrule = [3]\n", &many, &excepts];
    let said: Vec<String> = cases.iter().map(|text| problems(text)).collect();
    insta::assert_snapshot!(said.join("\n--\n"));
    let long = format!("{}\n", "#".repeat(MAX_POLICY_BYTES));
    assert_eq!(
        problems(&long),
        "policy.toml is not a policy: line 1: the file has 262145 bytes: at most 262144 are allowed"
    );
}

#[test]
fn a_name_of_a_file_reaches_no_terminal_as_it_is() {
    let error = Policy::parse("a\u{1b}[31m.toml", "").expect_err("no policy").to_string();
    assert!(error.starts_with("a[31m.toml is not a policy: "), "{error}");
}

#[test]
fn the_line_of_a_rule_is_that_of_its_table() {
    let policy = Policy::parse("policy.toml", WHOLE).expect("a policy");
    let lines: Vec<_> = policy.rules().iter().map(|rule| rule.line).collect();
    assert_eq!(lines, [5, 18, 23]);
    assert_eq!(policy.rules()[1].effect, Effect::Deny);
}
