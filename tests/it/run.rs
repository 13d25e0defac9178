//! `stoa run`: calls, and how plugins did.

use std::fs;

use crate::process::Stage;

/// `demo:fickle`, whose `bump` counts and whose `trap` traps.
const FICKLE: &str = r#"(component
    (core module $m
        (global $sum (mut i32) (i32.const 0))
        (func (export "trap") unreachable)
        (func (export "bump") (result i32)
            (global.set $sum (i32.add (global.get $sum) (i32.const 1)))
            (global.get $sum)))
    (core instance $i (instantiate $m))
    (func $trap (canon lift (core func $i "trap")))
    (func $bump (result u32) (canon lift (core func $i "bump")))
    (instance $api (export "bump" (func $bump)) (export "trap" (func $trap)))
    (export "demo:fickle/api@1.0.0" (instance $api)))"#;

#[test]
fn calls_are_made_in_turn_and_a_plugin_that_goes_on_failing_is_seen_to_be_left_alone() {
    let Some(stage) = Stage::new() else { return };
    let server = stage.serve();
    let (url, key) = (server.url.clone(), stage.author(&server));
    let folder = stage.plugin("fickle", "1.0.0", 0, 0);
    fs::write(format!("{folder}/fickle.wasm"), wat::parse_str(FICKLE).expect("a component")).expect("a component");
    stage.publish(&url, &key, &[&folder]).json();
    let cache = stage.path("c");
    let run = |more: &[&str]| stage.host(&url, &cache, &[&["run", "demo:fickle"], more].concat());

    let told = run(&["--json", "--vitals", "--invoke", "bump()", "--invoke", "bump()"]).json();
    let results: Vec<_> = told["results"].as_array().expect("several").iter().map(|told| &told["result"]).collect();
    assert_eq!(results, ["1", "2"], "in one instance");
    assert_eq!(told["vitals"][0]["calls"], 2);
    assert_eq!(told["vitals"][0]["breaker"]["state"], "closed");

    let traps = ["--invoke", "trap()"].repeat(5);
    let seen = run(&[&["--vitals"][..], &traps, &["--invoke", "bump()"]].concat()).text();
    assert!(seen.contains("demo:fickle: demo:fickle/api@1.0.0.trap trapped"), "{seen}");
    assert!(seen.contains("demo:fickle takes no calls from the host for another "), "{seen}");
    assert!(seen.contains("demo:fickle 1.0.0: 5 calls, 5 instances lost, closed\n  the host: open for "), "{seen}");
    assert!(seen.contains("(5 failures, 1 refused): 5 calls in a row failed, the last by `trapped`"), "{seen}");
    let refusal = run(&["--vitals", "--invoke", "trap()"]).refusal();
    assert!(refusal.contains("demo:fickle 1.0.0: 1 calls, 1 instances lost, closed"), "{refusal}");
    server.stop();
}
