//! What a plugin is given of what it needs, and what holds for every policy.

use std::fmt::Write as _;

use proptest::{collection::vec, prelude::*, sample::select};
use stoa_core::{
    capability::{Capability, CapabilityPattern, Grants, Needs, Reach},
    policy::{Decision, Policy, Ruling},
    release::{Import, Provider},
};

fn cap(text: &str) -> Capability {
    text.parse().unwrap_or_else(|e| panic!("{e}"))
}

fn grants(texts: &[&str]) -> Grants {
    texts.iter().map(|text| cap(text)).collect()
}

fn needs(asks: &[&str], imports: &[(&str, Provider)]) -> Needs {
    let asks: Vec<String> = asks.iter().map(|ask| (*ask).to_owned()).collect();
    let import = |(name, from): &(&str, Provider)| Import {
        name: name.parse().expect("an interface name"),
        types: "00000000000000aa".parse().expect("a hash"),
        from: *from,
    };
    let imports: Vec<_> = imports.iter().map(import).collect();
    let leaf = [("demo:leaf".parse().expect("an id"), dependency())].into();
    Needs::default().asking(&asks).importing(&imports, &leaf)
}

fn dependency() -> stoa_core::release::Dependency {
    serde_json::from_value(serde_json::json!({"version": "^1"})).expect("a dependency")
}

fn policy(text: &str) -> Policy {
    Policy::parse("policy.toml", &format!("version = 1\n{text}")).unwrap_or_else(|e| panic!("{e}"))
}

fn decide(policy: &Policy, needs: &Needs, consented: &Grants) -> Decision {
    policy.decide(&"demo:album".parse().expect("an id"), needs, consented)
}

/// The decision, a need a line.
fn told(decision: &Decision) -> String {
    let mut out = String::new();
    for item in decision.items() {
        let parts: Vec<_> = item.granted.iter().map(ToString::to_string).collect();
        let by = decision.said_by(&item.by);
        writeln!(out, "{:?} {} [{}] by {by}", item.ruling, item.capability, parts.join(", ")).expect("a string");
    }
    for obstacle in decision.obstacles() {
        writeln!(out, "[{}] {obstacle}\n  hint: {}", obstacle.code(), obstacle.hint()).expect("a string");
    }
    writeln!(out, "= {}", decision.grants()).expect("a string");
    out
}

const IMPORTS: [(&str, Provider); 7] = [
    ("acme:web/kv@1.0.0", Provider::Host),
    ("demo:leaf/api@1.0.0", Provider::Dependency),
    ("stoa:plugin/log@0.1.0", Provider::Convention),
    ("stoa:plugin/types@0.1.0", Provider::Types),
    ("wasi:clocks/wall-clock@0.2.6", Provider::Wasi),
    ("wasi:filesystem/types@0.2.6", Provider::Wasi),
    ("wasi:random/random@0.2.6", Provider::Wasi),
];
const ASKS: [&str; 4] =
    ["env:LANG", "fs.write:data:/photos", "http.out:https://*.acme.example", "http.out:https://api.other.example"];

const RULES: &str = r#"
[[rule]]
id = "std"
match = { plugin = "*" }
grant = ["env:LANG", "http.out:https://api.acme.example", "fs.read"]

[[rule]]
id = "no-other"
match = { plugin = "demo:*" }
deny = ["http.out:https://*.other.example"]
reason = "They log what they are asked"

[[rule]]
id = "a-human-sees-writes"
match = { plugin = "*" }
ask = ["fs.write"]
"#;

#[test]
fn without_a_policy_what_reaches_outside_is_asked_for_and_the_rest_is_granted() {
    insta::assert_snapshot!(told(&decide(&Policy::default(), &needs(&ASKS, &IMPORTS), &Grants::none())));
}

#[test]
fn rules_deny_then_ask_then_grant_and_what_is_left_is_asked_for() {
    let policy = policy(RULES);
    let decision = decide(&policy, &needs(&ASKS, &IMPORTS), &Grants::none());
    insta::assert_snapshot!(told(&decision));
    assert_eq!(decision.open(), grants(&["fs.write:data:/photos", "http.out:https://*.acme.example"]));
    let agreed = decide(&policy, &needs(&ASKS, &IMPORTS), &decision.open());
    assert!(agreed.open().is_empty() && agreed.grants().covers(&cap("fs.write:data:/photos/2026")));
    assert!(!agreed.grants().covers(&cap("http.out:https://api.other.example")), "consent overrides no denial");
}

#[test]
fn where_nothing_else_is_granted_consent_is_not_asked_for() {
    let policy = policy(&format!("ungranted = \"deny\"\n{RULES}"));
    let decision = decide(&policy, &needs(&ASKS, &IMPORTS), &grants(&["http.out:https://*.acme.example"]));
    // A rule that asks asks all the same.
    assert_eq!(decision.open(), grants(&["fs.write:data:/photos"]));
    assert!(decision.grants().covers(&cap("http.out:https://api.acme.example")));
    assert!(!decision.grants().covers(&cap("http.out:https://www.acme.example")));
}

#[test]
fn what_can_not_be_told_to_a_plugin_keeps_it_from_running() {
    let policy = policy("[[rule]]\nid = \"none\"\nmatch = { plugin = \"*\" }\ndeny = [\"*\"]\n");
    let decision = decide(&policy, &needs(&["env:LANG", "teleport:home", "random"], &IMPORTS), &Grants::none());
    insta::assert_snapshot!(told(&decision));
}

#[test]
fn addresses_beside_the_internet_are_let_through_by_rules_alone() {
    let text = "[[rule]]\nid = \"intranet\"\nmatch = { plugin = \"*\" }\naddresses = [\"private\"]\n";
    let asks = needs(&["http.out:http://wiki.intra.example"], &[]);
    let reach = |policy: &Policy| {
        let grants = decide(policy, &asks, &asks.all()).grants();
        [Reach::Public, Reach::Private, Reach::Loopback, Reach::Never].map(|reach| grants.reaches(reach))
    };
    assert_eq!(reach(&Policy::default()), [true, false, false, false]);
    assert_eq!(reach(&policy(text)), [true, true, false, false]);
}

#[test]
fn mistakes_in_lists_of_capabilities_are_named() {
    let text = r#"version = 1
ungranted = "allow"
[[rule]]
id = "a"
match = { plugin = "*" }
grant = ["*", "http.ou", "log:x"]
ask = []
deny = ["net.*", "net.*"]
addresses = ["link-local"]
[[rule]]
id = "b"
match = { plugin = "*" }
deny = true
grant = ["log"]
"#;
    let error = Policy::parse("policy.toml", text).expect_err("no policy");
    insta::assert_snapshot!(error.to_string());
}

#[test]
fn the_digest_of_grants_stays() {
    let all =
        grants(&["log", "http.out:https://*.a.example", "http.out:https://b.a.example"]).reaching([Reach::Private]);
    // `printf '{"addresses":["private"],"capabilities":["http.out:https://*.a.example","log"],"format":1}' | sha256sum`
    insta::assert_snapshot!(all.digest(), @"c3eddecdfafd87dd08a672a143640992f9e277f22eeb7cdd54e322eb6f2493cc");
    assert_eq!(
        all,
        grants(&["http.out:https://*.a.example", "log"]).reaching([Reach::Private, Reach::Public, Reach::Never])
    );
}

#[test]
fn what_an_author_may_not_have_meant_is_told_when_it_is_published() {
    let odd = needs(&["env:LANG", "net.tcp:*:443"], &[("wasi:http/outgoing-handler@0.2.6", Provider::Wasi)]);
    let said: Vec<_> = odd.oddities().iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(said.join("\n"));
    assert_eq!(needs(&ASKS[..2], &[IMPORTS[5], ("wasi:cli/environment@0.2.6", Provider::Wasi)]).oddities(), []);
}

const CAPABILITIES: [&str; 22] = [
    "args",
    "calls:demo:leaf",
    "clock:coarse",
    "clock:real",
    "config",
    "env:LANG",
    "fs.read:data:/",
    "fs.read:data:/a",
    "fs.write:data:/",
    "fs.write:data:/a/b",
    "host:acme:web",
    "host:acme:web/kv",
    "http.out:https://*.a.example",
    "http.out:https://*.b.a.example",
    "http.out:https://c.b.a.example",
    "http.out:http://a.example",
    "log",
    "net.tcp:*:443",
    "net.tcp:a.example:*",
    "net.tcp:a.example:443",
    "random:secure",
    "random:seeded",
];
const PATTERNS: [&str; 9] = ["fs.*", "net.*", "fs.read", "fs.write", "http.out", "clock", "random", "host", "calls"];

fn capability() -> impl Strategy<Value = Capability> {
    select(&CAPABILITIES[..]).prop_map(cap)
}

fn some() -> impl Strategy<Value = Grants> {
    vec(capability(), 0..6).prop_map(Grants::from_iter)
}

fn pattern() -> impl Strategy<Value = &'static str> {
    prop_oneof![3 => select(&CAPABILITIES[..]), 1 => select(&PATTERNS[..])]
}

/// A rule for all plugins, without its id.
fn rule() -> impl Strategy<Value = String> {
    let list = |key: &'static str| {
        vec(pattern(), 0..3).prop_map(move |mut list| {
            list.sort_unstable();
            list.dedup();
            let quoted: Vec<_> = list.iter().map(|text| format!("\"{text}\"")).collect();
            if list.is_empty() { String::new() } else { format!("{key} = [{}]\n", quoted.join(", ")) }
        })
    };
    (list("deny"), list("ask"), list("grant"))
        .prop_map(|(deny, ask, grant)| format!("allow = true\n{deny}{ask}{grant}"))
}

fn with_rules(deny: bool, rules: &[String]) -> Policy {
    let rules = rules.iter().enumerate();
    let rules = rules.map(|(n, rule)| format!("[[rule]]\nid = \"r{n}\"\nmatch = {{ plugin = \"*\" }}\n{rule}"));
    policy(&format!("ungranted = \"{}\"\n{}", if deny { "deny" } else { "ask" }, rules.collect::<String>()))
}

fn anything() -> impl Strategy<Value = Needs> {
    let asks = vec(select(&CAPABILITIES[..]), 0..6).prop_map(|asks| {
        // What authors can not ask for would be unknown, which is another test's matter.
        asks.into_iter().filter(|ask| Capability::asked(ask).is_ok()).collect::<Vec<_>>()
    });
    let imports = vec(select(&IMPORTS[..]), 0..4);
    (asks, imports).prop_map(|(asks, mut imports)| {
        imports.sort();
        imports.dedup();
        needs(&asks, &imports)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn to_cover_is_an_order_and_to_meet_its_greatest_lower_bound(a in capability(), b in capability(), c in capability()) {
        prop_assert!(a.covers(&a));
        prop_assert!(!(a.covers(&b) && b.covers(&a)) || a == b);
        prop_assert!(!(a.covers(&b) && b.covers(&c)) || a.covers(&c));
        prop_assert_eq!(a.meet(&b), b.meet(&a));
        if let Some(met) = a.meet(&b) {
            prop_assert!(a.covers(&met) && b.covers(&met));
            prop_assert!(!(a.covers(&c) && b.covers(&c)) || met.covers(&c));
        } else {
            prop_assert!(!(a.covers(&c) && b.covers(&c)));
        }
        // What reaches all of another reaches whatever that one touches.
        prop_assert!(!(a.covers(&b) && b.touches(&c)) || a.touches(&c));
    }

    #[test]
    fn grants_are_ordered_and_have_one_digest_each(a in some(), b in some(), c in some()) {
        let both = a.and(&b);
        prop_assert!(a.within(&both) && b.within(&both));
        prop_assert_eq!(a.and(&b), b.and(&a));
        prop_assert!(!(a.within(&b) && b.within(&c)) || a.within(&c));
        prop_assert_eq!(a.within(&b) && b.within(&a), a == b);
        prop_assert_eq!(a.digest() == b.digest(), a == b);
        prop_assert_eq!(a.within(&b), a.beyond(&b).is_empty());
        prop_assert_eq!(&a.and(&b.beyond(&a)), &both);
    }

    #[test]
    fn nothing_that_a_rule_denies_is_granted_whatever_else_is_said(
        deny: bool, rules in vec(rule(), 0..4), denied in pattern(), needs in anything(), consented in some(),
    ) {
        let rules = [&rules[..], &[format!("deny = [\"{denied}\"]\n")]].concat();
        let pattern: CapabilityPattern = denied.parse().expect("a pattern");
        let decision = decide(&with_rules(deny, &rules), &needs, &consented);
        prop_assert!(!decision.grants().capabilities().any(|granted| pattern.is_touched_by(granted)));
    }

    #[test]
    fn only_what_is_needed_is_granted_and_only_by_somebody(
        deny: bool, rules in vec(rule(), 0..4), needs in anything(), consented in some(),
    ) {
        let policy = with_rules(deny, &rules);
        let decision = decide(&policy, &needs, &consented);
        let grants = decision.grants();
        prop_assert!(grants.within(&needs.all()));
        let patterns: Vec<_> = policy.rules().iter().flat_map(|rule| &rule.capabilities.grant).collect();
        let usual = Grants::usual();
        for granted in decision.items().iter().flat_map(|item| item.granted.iter().map(move |one| (item, one))) {
            let (item, one) = granted;
            let by_rule = patterns.iter().any(|pattern| pattern.meet(one).as_ref() == Some(one));
            prop_assert!(by_rule || consented.covers(one) || usual.covers(one) || !item.asked, "{one}");
        }
    }

    #[test]
    fn one_more_denial_never_grants_more_a_question_what_was_agreed_to_and_one_more_grant_or_consent_never_less(
        deny: bool, rules in vec(rule(), 0..4), one in pattern(), needs in anything(), consented in some(), more in some(),
    ) {
        let grants = |key: &str, consented: &Grants| {
            let more = if key.is_empty() { String::new() } else { format!("{key} = [\"{one}\"]\n") };
            let rules = [&rules[..], &[format!("allow = true\n{more}")]].concat();
            decide(&with_rules(deny, &rules), &needs, consented).grants()
        };
        let before = grants("", &consented);
        prop_assert!(grants("deny", &consented).within(&before));
        // Where nothing is granted by default, a rule that asks lets a person grant what nobody else could.
        prop_assert!(grants("ask", &consented).within(&before.and(&consented)));
        prop_assert!(before.within(&grants("grant", &consented)));
        prop_assert!(before.within(&grants("", &consented.and(&more))));
    }

    #[test]
    fn the_order_of_rules_decides_nothing_about_capabilities(
        deny: bool, (rules, shuffled) in vec(rule(), 0..5).prop_flat_map(|r| (Just(r.clone()), Just(r).prop_shuffle())),
        needs in anything(), consented in some(),
    ) {
        let rulings = |rules: &[String]| {
            let decision = decide(&with_rules(deny, rules), &needs, &consented);
            let items: Vec<_> = decision.items().iter().map(|item| (item.ruling, item.granted.clone())).collect();
            (items, decision.grants().digest())
        };
        prop_assert_eq!(rulings(&rules), rulings(&shuffled));
    }

    #[test]
    fn agreeing_to_what_is_open_leaves_nothing_open(deny: bool, rules in vec(rule(), 0..4), needs in anything(), consented in some()) {
        let policy = with_rules(deny, &rules);
        let open = decide(&policy, &needs, &consented).open();
        let agreed = decide(&policy, &needs, &consented.and(&open));
        prop_assert!(agreed.items().iter().all(|item| item.ruling != Ruling::Open));
        prop_assert!(open.within(&agreed.grants()));
    }
}
