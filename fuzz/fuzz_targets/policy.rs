//! A policy of any bytes, and what it says of a release: reading it never panics, and a rule that denies is never
//! outweighed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stoa_core::{
    policy::{Effect, Evidence, Policy},
    time::Time,
};

fuzz_target!(|text: &str| {
    let Ok(policy) = Policy::parse("policy.toml", text) else { return };
    let bytes = text.as_bytes();
    let moment =
        |n: usize| Time::from_unix(bytes.iter().rev().skip(n).take(8).fold(0, |n, b| (n << 8) | i64::from(*b)));
    let evidence = Evidence::published(moment(0));
    for id in ["demo:a", "acme:b"] {
        let release = format!("{id}@1.0.0").parse().expect("a release");
        let verdict = policy.judge(&release, &evidence, moment(8));
        let denied = policy.rules().iter().any(|rule| rule.effect == Effect::Deny && rule.matches.takes(&release.id));
        assert!(!(denied && verdict.allows()));
        assert_eq!(verdict.allows(), verdict.refusals().is_empty());
        for refusal in verdict.refusals() {
            assert!(!refusal.to_string().chars().any(char::is_control), "{refusal}");
            assert!(!refusal.hint().is_empty());
        }
    }
});
