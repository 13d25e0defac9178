//! What the program says when it refuses: the thing, the rule, the value, and what to try.

use std::fs;

use crate::process::{Stage, assert_said};

#[test]
fn each_refusal_names_the_thing_the_rule_and_what_to_try() {
    let Some(stage) = Stage::new() else { return };
    let server = stage.serve();
    let (url, key) = (server.url.clone(), stage.author(&server));
    let answer = stage.plugin("answer", "1.0.0", 41, 0);
    stage.publish(&url, &key, &[&answer]).json();
    let cache = stage.path("c");
    let mut said = String::new();
    let mut case = |what: &str, refusal: String| said += &format!("## {what}\n{refusal}\n");

    case("no root", stage.run(["info", "demo:answer", "--registry", &url, "--cache", &cache]).refusal());
    let other = "0".repeat(64);
    let args = ["info", "demo:answer", "--registry", &url, "--cache", &cache, "--root-sha256", &other];
    case("another root", stage.run(args).refusal());
    case("an unknown plugin", stage.host(&url, &cache, &["info", "demo:nothing"]).refusal());
    case("an unknown plugin, run", stage.host(&url, &cache, &["run", "demo:nothing", "--invoke", "f()"]).refusal());
    case("no such function", stage.host(&url, &cache, &["run", "demo:answer", "--invoke", "sub(1)"]).refusal());
    case("a wrong argument", stage.host(&url, &cache, &["run", "demo:answer", "--invoke", "add(true)"]).refusal());

    let publish = ["publish", &answer, "--api-key"];
    let with_key = |key: &'static str| stage.host(&url, &cache, &[&publish[..], &[key]].concat()).refusal();
    case("something else than a key", with_key("hunter2"));
    case("a key with a typo", with_key("stoa_0000000000000000_0000000000000000000000000000000000000000000"));
    let other = Stage::new().expect("the program").admin_key;
    case("another registry's key", stage.host(&url, &cache, &[&publish[..], &[&other]].concat()).refusal());
    let elsewhere = stage.plugin("elsewhere", "1.0.0", 1, 0);
    let manifest = format!("{elsewhere}/plugin.toml");
    let text = fs::read_to_string(&manifest).expect("a manifest").replace("demo:elsewhere", "other:elsewhere");
    fs::write(&manifest, text).expect("a manifest");
    case("another's namespace", stage.host(&url, &cache, &["publish", &elsewhere, "--api-key", &key]).refusal());
    case("no plugin.toml", stage.host(&url, &cache, &["publish", "registry", "--api-key", &key]).refusal());

    case("a folder with a registry", stage.run(["init", "--dir", "registry"]).refusal());
    case("a folder without one", stage.run(["serve", "--dir", "nothing"]).refusal());
    case("no list of plugins", stage.run(["lock"]).refusal());

    server.stop();
    let run = ["run", "demo:answer", "--invoke", "add(1)"];
    let away = stage.host(&url, &stage.path("empty"), &run).refusal();
    case("no server and no copy", away);
    assert_said("refusals", &said, &stage);
}

#[test]
fn refusals_about_yanked_releases_show_the_reason() {
    let Some(stage) = Stage::new() else { return };
    let server = stage.serve();
    let (url, key) = (server.url.clone(), stage.author(&server));
    stage.publish(&url, &key, &[&stage.plugin("answer", "1.0.0", 41, 0)]).json();
    let (cache, mut said) = (stage.path("c"), String::new());
    let mut case = |what: &str, refusal: String| said += &format!("## {what}\n{refusal}\n");

    let yank = |release, key| {
        let args = ["yank", release, "--reason", "adds too much", "--api-key", key];
        stage.host(&url, &cache, &args)
    };
    case("a release that is not there", yank("demo:answer@1.0.1", &key).refusal());
    assert!(yank("demo:answer@1.0.0", &key).status.success());
    assert!(yank("demo:answer@1.0.0", &key).status.success(), "a yank can be repeated");
    server.stop();
    // The start of a server brings the index to the ledger's head.
    let server = stage.serve();
    let run = ["run", "demo:answer", "--invoke", "add(1)"];
    case("a yanked plugin", stage.host(&server.url, &stage.path("fresh"), &run).refusal());
    assert_said("refusals-about-yanked-releases", &said, &stage);
}
