//! What each rule refuses, and how it says so.

use std::{collections::BTreeSet, fmt::Write as _};

use stoa_core::{
    advisory::Severity,
    digest::Digest,
    lock::Exact,
    policy::{Advisory, Evidence, Policy, Provenance, Verdict},
    time::{DAY, Time},
};

pub(crate) const PUBLISHED: i64 = 1_795_000_000;

pub(crate) fn exact(text: &str) -> Exact {
    text.parse().expect("a release")
}

pub(crate) fn key(name: &str) -> Digest {
    Digest::of(name.as_bytes())
}

/// A release that shows everything.
pub(crate) fn spotless() -> Evidence {
    Evidence {
        published_at: Time::from_unix(PUBLISHED),
        publisher_keys: Some(BTreeSet::from([key("alice")])),
        provenance: Some(vec![Provenance {
            builder: "https://builder.example/v1".into(),
            repository: "https://git.example/demo/markdown".into(),
            workflow: ".github/workflows/release.yml".into(),
        }]),
        advisories: Some(Vec::new()),
        quarantined: Some(false),
        certification: Some(3),
    }
}

fn now() -> Time {
    Time::from_unix(PUBLISHED + 2 * DAY)
}

/// A policy with one rule for all plugins, with these lines.
fn rule(lines: &str) -> Policy {
    policy(&format!("[[rule]]\nid = \"the-rule\"\nmatch = {{ plugin = \"*\" }}\n{lines}\n"))
}

fn policy(rules: &str) -> Policy {
    Policy::parse("policy.toml", &format!("version = 1\n{rules}")).unwrap_or_else(|e| panic!("{e}"))
}

fn judge(policy: &Policy, evidence: &Evidence) -> Verdict {
    policy.judge(&exact("demo:markdown@1.0.0"), evidence, now())
}

/// What a policy says, with codes and hints.
fn told(verdict: &Verdict) -> String {
    let mut out = String::new();
    for refusal in verdict.refusals() {
        writeln!(out, "[{}] {refusal}\n  hint: {}", refusal.code(), refusal.hint()).expect("a string");
    }
    for notice in verdict.notices() {
        writeln!(out, "note: {notice}").expect("a string");
    }
    out
}

#[test]
fn each_refusal_names_rule_file_and_line_and_what_would_satisfy_it() {
    let alice = key("alice");
    let bob = key("bob");
    let mut said = String::new();
    let mut case = |what: &str, policy: Policy, evidence: Evidence| {
        let verdict = judge(&policy, &evidence);
        assert!(!verdict.allows(), "{what}");
        write!(said, "## {what}\n{}", told(&verdict)).expect("a string");
    };
    let unsigned = || Evidence { publisher_keys: Some(BTreeSet::new()), ..spotless() };
    let signature = || rule("require = { signature = true }");
    let keys = || rule(&format!("require = {{ keys = [\"{bob}\"] }}"));
    let origin = || rule("require = { provenance = { repository = \"https://git.example/demo/other\" } }");
    let unknown = || Evidence::published(Time::from_unix(PUBLISHED));

    case("denied", rule("deny = true\nreason = \"We had a fire\""), spotless());
    case("unlisted", policy("unlisted = \"deny\""), spotless());
    case("unsigned", signature(), unsigned());
    case("signatures unknown", signature(), unknown());
    case("another key", keys(), spotless());
    case("a key, and unsigned", keys(), unsigned());
    case("keys unknown", keys(), unknown());
    let four: Vec<_> = ["a", "b", "c", "d"].map(|name| format!("\"{}\"", key(name))).into();
    case("none of four keys", rule(&format!("require = {{ keys = [{}] }}", four.join(", "))), spotless());
    case("built elsewhere", origin(), spotless());
    case("built nowhere", origin(), Evidence { provenance: Some(Vec::new()), ..spotless() });
    case("provenance unknown", origin(), unknown());
    let elsewhere = "require = { provenance = { repository = \"https://git.example/demo/markdown\", \
                     workflow = \"ci.yml\", builder = \"https://builder.example/v1\" } }";
    case("by another workflow", rule(elsewhere), spotless());
    case("too new", rule("require = { age = \"3d\" }"), spotless());
    let advisories = |fixes: &[(&str, Option<&str>)]| {
        let advisory = |(id, fixed): &(&str, Option<&str>)| Advisory {
            id: (*id).to_owned(),
            severity: Severity::High,
            summary: "It reads what it should not".to_owned(),
            fixed_in: fixed.map(|version| version.parse().expect("a version")),
        };
        Evidence { advisories: Some(fixes.iter().map(advisory).collect()), ..spotless() }
    };
    let none = || rule("require = { advisories = \"none\" }");
    case("an advisory", none(), advisories(&[("STOA-2026-0001", Some("1.0.1"))]));
    let five = [("A-1", Some("1.2.0")), ("A-2", Some("1.10.0")), ("A-3", None), ("A-4", None), ("A-5\u{1b}[2J", None)];
    case("five advisories", none(), advisories(&five));
    case("advisories unknown", none(), unknown());
    let certified = || rule("require = { certification = 4 }");
    let calm = || rule("require = { quarantine = \"none\" }");
    case("quarantined", calm(), Evidence { quarantined: Some(true), ..spotless() });
    case("quarantine unknown", calm(), unknown());
    case("certified too low", certified(), spotless());
    case("not certified", certified(), Evidence { certification: Some(0), ..spotless() });
    case("certification unknown", certified(), unknown());
    case("two things at once", rule("require = { signature = true, age = \"30min\", certification = 9 }"), unsigned());
    said = said.replace(&alice.short(16), "ALICE").replace(&bob.short(16), "BOB");
    insta::assert_snapshot!(said);
}

#[test]
fn a_release_that_shows_everything_may_run_under_every_requirement() {
    let keys = format!("keys = [\"{}\", \"{}\"]", key("bob"), key("alice"));
    let rule = rule(&format!(
        "[rule.require]\nsignature = true\n{keys}\nage = \"2d\"\nadvisories = \"none\"\nquarantine = \"none\"\n\
         certification = 3\n\
         provenance = {{ repository = \"https://git.example/demo/markdown\", workflow = \".github/workflows/release.yml\" }}"
    ));
    let verdict = judge(&rule, &spotless());
    assert_eq!(told(&verdict), "");
    assert!(verdict.allows());
    assert_eq!(verdict.checks().len(), 7, "{verdict:?}");
}

#[test]
fn a_denial_wins_over_all_other_rules_and_is_all_that_is_said() {
    let rules = [
        "[[rule]]\nid = \"ours\"\nmatch = { plugin = \"demo:markdown\" }\nallow = true\n",
        "[[rule]]\nid = \"never\"\nmatch = { plugin = \"demo:*\" }\ndeny = true\n",
        "[[rule]]\nid = \"signed\"\nmatch = { plugin = \"*\" }\nrequire = { signature = true }\n",
    ];
    for order in [[0, 1, 2], [1, 0, 2], [2, 1, 0]] {
        let verdict = judge(&policy(&order.map(|n| rules[n]).concat()), &Evidence::published(now()));
        let codes: Vec<_> = verdict.refusals().iter().map(|refusal| refusal.code()).collect();
        assert_eq!(codes, ["P001"]);
    }
}

#[test]
fn a_rule_is_about_its_pattern_but_for_its_exceptions() {
    let policy = policy(
        "[[rule]]\nid = \"a\"\nmatch = { plugin = \"demo:*\", except = [\"demo:markdown\", \"acme:*\"] }\ndeny = true\n",
    );
    let allows = |id: &str| policy.judge(&exact(id), &spotless(), now()).allows();
    let releases = ["demo:markdown@1.0.0", "demo:markdown-x@1.0.0", "demo:site@1.0.0-rc.1", "demos:a@1.0.0"];
    assert_eq!(releases.map(allows), [true, false, false, true]);
}

#[test]
fn where_unlisted_plugins_are_denied_a_requirement_alone_lets_none_through() {
    let listed =
        "unlisted = \"deny\"\n[[rule]]\nid = \"signed\"\nmatch = { plugin = \"*\" }\nrequire = { signature = true }\n";
    let codes = |rules: &str| -> Vec<_> {
        judge(&policy(rules), &spotless()).refusals().iter().map(|refusal| refusal.code()).collect()
    };
    assert_eq!(codes(listed), ["P002"]);
    let named = format!("{listed}[[rule]]\nid = \"demo\"\nmatch = {{ plugin = \"demo:*\" }}\nallow = true\n");
    assert_eq!(codes(&named), [""; 0]);
}

#[test]
fn a_cooldown_ends_to_the_second_and_a_clock_that_runs_behind_does_not_end_it() {
    let policy = rule("require = { age = \"3d\" }");
    let allows = |now: i64| policy.judge(&exact("demo:a@1.0.0"), &spotless(), Time::from_unix(now)).allows();
    assert!(allows(PUBLISHED + 3 * DAY));
    assert!(!allows(PUBLISHED + 3 * DAY - 1));
    assert!(!allows(PUBLISHED - 10 * DAY), "a release from the future");
    let end = Evidence::published(Time::MAX);
    assert!(!policy.judge(&exact("demo:a@1.0.0"), &end, Time::MAX).allows(), "time ends before the cooldown");
}

#[test]
fn an_open_advisory_is_told_also_where_no_rule_asks_for_it() {
    let advisory = Advisory {
        id: "STOA-2026-0001".into(),
        severity: Severity::Low,
        summary: "It is slow\u{1b}[2J".into(),
        fixed_in: Some("1.0.1".parse().expect("a version")),
    };
    let verdict = judge(&Policy::default(), &Evidence { advisories: Some(vec![advisory]), ..spotless() });
    assert!(verdict.allows());
    assert_eq!(
        told(&verdict),
        "note: `demo:markdown@1.0.0` has the open advisory STOA-2026-0001 (low): It is slow[2J; fixed in 1.0.1\n"
    );
}
