//! What holds for every policy, release and moment.

use proptest::{collection::vec, option, prelude::*, sample::subsequence};
use stoa_core::{
    advisory::Severity,
    lock::Exact,
    policy::{Advisory, Evidence, Policy, Provenance},
    time::{DAY, Time},
};

use crate::judge::{PUBLISHED, exact, key};

const NAMES: [&str; 3] = ["alice", "bob", "carol"];
const PATTERNS: [&str; 5] = ["*", "demo:*", "acme:*", "demo:a", "acme:b"];

/// A rule without its id, as text.
fn rules() -> impl Strategy<Value = String> {
    let keys = subsequence(NAMES.to_vec(), 1..=3).prop_map(|names| {
        let keys: Vec<_> = names.into_iter().map(|name| format!("\"{}\"", key(name))).collect();
        format!("keys = [{}]", keys.join(", "))
    });
    let requirement = prop_oneof![
        Just("signature = true".to_owned()),
        Just("advisories = \"none\"".to_owned()),
        Just("quarantine = \"none\"".to_owned()),
        (1..10).prop_map(|level| format!("certification = {level}")),
        (1..10).prop_map(|days| format!("age = \"{days}d\"")),
        (0..3).prop_map(|n| format!("provenance = {{ repository = \"https://git.example/{n}\" }}")),
        keys,
    ];
    let effect = prop_oneof![
        1 => Just("deny = true".to_owned()),
        2 => Just("allow = true".to_owned()),
        4 => requirement.prop_map(|text| format!("require = {{ {text} }}")),
    ];
    let except = subsequence(PATTERNS[1..].to_vec(), 0..3).prop_map(|names| {
        let names: Vec<_> = names.into_iter().map(|name| format!("\"{name}\"")).collect();
        format!("except = [{}]", names.join(", "))
    });
    (0..PATTERNS.len(), except, effect)
        .prop_map(|(n, except, effect)| format!("match = {{ plugin = \"{}\", {except} }}\n{effect}\n", PATTERNS[n]))
}

fn evidence() -> impl Strategy<Value = Evidence> {
    let keys = subsequence(NAMES.to_vec(), 0..=2).prop_map(|names| names.into_iter().map(key).collect());
    let built = |n: u32| Provenance {
        builder: "https://builder.example".into(),
        repository: format!("https://git.example/{n}"),
        workflow: "ci.yml".into(),
    };
    let advisory =
        |n: u32| Advisory { id: format!("A-{n}"), severity: Severity::Medium, summary: String::new(), fixed_in: None };
    (
        option::of(keys),
        option::of(vec((0..3u32).prop_map(built), 0..2)),
        option::of(vec((0..9u32).prop_map(advisory), 0..2)),
        option::of(any::<bool>()),
        option::of(0..10u32),
    )
        .prop_map(|(publisher_keys, provenance, advisories, quarantined, certification)| Evidence {
            published_at: Time::from_unix(PUBLISHED),
            publisher_keys,
            provenance,
            advisories,
            quarantined,
            certification,
        })
}

fn release() -> impl Strategy<Value = Exact> {
    prop_oneof![Just("demo:a@1.0.0"), Just("demo:c@2.0.0"), Just("acme:b@0.1.0"), Just("other:d@1.0.0-rc.1")]
        .prop_map(exact)
}

fn moment() -> impl Strategy<Value = Time> {
    (-2..12i64).prop_map(|days| Time::from_unix(PUBLISHED + days * DAY))
}

fn policy(unlisted: bool, rules: &[String]) -> Policy {
    let head = if unlisted { "version = 1\nunlisted = \"deny\"\n" } else { "version = 1\n" };
    let rules = rules.iter().enumerate().map(|(n, rule)| format!("[[rule]]\nid = \"r{n}\"\n{rule}"));
    Policy::parse("policy.toml", &format!("{head}{}", rules.collect::<String>())).unwrap_or_else(|e| panic!("{e}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn one_more_rule_that_denies_or_requires_never_allows_more(
        unlisted: bool, rules in vec(rules(), 0..5), more in rules(), evidence in evidence(), release in release(),
        now in moment(),
    ) {
        prop_assume!(!more.contains("allow = true"));
        let before = policy(unlisted, &rules).judge(&release, &evidence, now);
        let after = policy(unlisted, &[&rules[..], &[more]].concat()).judge(&release, &evidence, now);
        prop_assert!(before.allows() || !after.allows());
    }

    #[test]
    fn the_order_of_rules_decides_nothing(
        unlisted: bool, (rules, shuffled) in vec(rules(), 0..6).prop_flat_map(|r| (Just(r.clone()), Just(r).prop_shuffle())),
        evidence in evidence(), release in release(), now in moment(),
    ) {
        let verdict = |rules: &[String]| {
            let refusals = policy(unlisted, rules).judge(&release, &evidence, now).refusals();
            let mut reasons: Vec<_> = refusals.iter().map(|refusal| refusal.why().to_string()).collect();
            reasons.sort();
            reasons
        };
        prop_assert_eq!(verdict(&rules), verdict(&shuffled));
    }

    #[test]
    fn a_denial_refuses_whatever_else_is_said(
        unlisted: bool, rules in vec(rules(), 0..5), evidence in evidence(), release in release(), now in moment(),
    ) {
        let deny = format!("match = {{ plugin = \"{}\" }}\ndeny = true\n", release.id);
        let refusals = policy(unlisted, &[&rules[..], &[deny]].concat()).judge(&release, &evidence, now).refusals();
        prop_assert!(!refusals.is_empty());
        prop_assert!(refusals.iter().all(|refusal| refusal.code() == "P001"));
    }

    #[test]
    fn knowing_less_never_allows_more(
        unlisted: bool, rules in vec(rules(), 0..5), evidence in evidence(), release in release(), now in moment(),
    ) {
        let policy = policy(unlisted, &rules);
        let less = Evidence::published(evidence.published_at);
        prop_assert!(policy.judge(&release, &evidence, now).allows() || !policy.judge(&release, &less, now).allows());
    }

    #[test]
    fn what_is_refused_says_why_and_what_is_allowed_does_not(
        unlisted: bool, rules in vec(rules(), 0..5), evidence in evidence(), release in release(), now in moment(),
    ) {
        let verdict = policy(unlisted, &rules).judge(&release, &evidence, now);
        prop_assert_eq!(verdict.allows(), verdict.refusals().is_empty());
        prop_assert!(verdict.refusals().iter().all(|refusal| !refusal.hint().is_empty()));
    }
}
