//! A host's policy, from the file to what is refused before it is fetched.

use std::fs;

use crate::process::{Ran, Server, Stage, assert_said};

/// A host that wants `demo:answer`, in a folder of its own.
struct Host<'s> {
    stage: &'s Stage,
    folder: String,
}

impl<'s> Host<'s> {
    fn new(stage: &'s Stage, server: &Server, name: &str, wanted: &str) -> Self {
        let folder = stage.path(name);
        fs::create_dir(&folder).expect("a new folder");
        let wanted = format!(
            "[registries.main]\nurl = \"{}\"\nroot-sha256 = \"{}\"\n\n[plugins]\n{wanted}\n",
            server.url, stage.fingerprint
        );
        fs::write(format!("{folder}/plugins.toml"), wanted).expect("a list");
        Self { stage, folder }
    }

    fn file(&self, name: &str) -> String {
        format!("{}/{name}", self.folder)
    }

    fn policy(&self, rules: &str) {
        fs::write(self.file("policy.toml"), format!("version = 1\n{rules}")).expect("a policy");
    }

    fn stoa(&self, command: &[&str]) -> Ran {
        let [wanted, lock, cache] = ["plugins.toml", "plugins.lock", "cache"].map(|name| self.file(name));
        let files = ["--wanted", &wanted, "--lock", &lock, "--cache", &cache];
        self.stage.run(command.iter().copied().chain(files))
    }

    fn fetched(&self) -> usize {
        fs::read_dir(self.file("cache/artifacts")).map_or(0, |folder| folder.count())
    }
}

const DENY: &str =
    "\n[[rule]]\nid = \"no-demos\"\nmatch = { plugin = \"demo:*\" }\ndeny = true\nreason = \"Not in production\"\n";

#[test]
fn what_a_policy_refuses_is_neither_locked_nor_fetched_nor_run() {
    let Some(stage) = Stage::new() else { return };
    let server = stage.serve();
    let key = stage.author(&server);
    stage.publish(&server.url, &key, &[&stage.plugin("answer", "1.0.0", 41, 0)]).json();
    let host = Host::new(&stage, &server, "host", "\"demo:answer\" = \"^1\"");
    let mut said = String::new();
    let mut case = |what: &str, text: &str| said += &format!("## {what}\n{text}\n");

    host.policy(DENY);
    case("lock", &host.stoa(&["lock"]).refusal());
    assert!(!fs::exists(host.file("plugins.lock")).expect("a folder"), "nothing is locked");

    // Locked while nothing was demanded: the policy comes later, and holds all the same.
    fs::remove_file(host.file("policy.toml")).expect("the policy");
    host.stoa(&["lock"]).text();
    let before = host.fetched();
    host.policy(DENY);
    case("fetch what is locked", &host.stoa(&["fetch"]).refusal());
    case("offline too", &host.stoa(&["fetch", "--offline"]).refusal());
    assert_eq!(host.fetched(), before, "nothing was fetched");
    case("check", &host.stoa(&["policy", "check"]).refusal());
    case("explain", &host.stoa(&["policy", "explain", "demo:answer"]).text());

    let elsewhere = host.file("policy.toml");
    let run = ["run", "demo:answer", "--invoke", "add(1)", "--policy", &elsewhere];
    case("run", &stage.host(&server.url, &host.file("cache"), &run).refusal());
    assert_eq!(host.fetched(), before, "nothing was fetched");

    host.policy("\n[[rule]]\nid = \"trusted\"\nmatch = { plugin = \"demo:*\" }\nallow = true\n");
    case("check, allowed", &host.stoa(&["policy", "check"]).text());
    host.stoa(&["fetch"]).text();
    assert!(host.fetched() > before, "now it was");
    assert_said("what-a-policy-refuses", &said, &stage);
}

#[test]
fn a_requirement_without_evidence_in_the_index_is_refused_and_says_so() {
    let Some(stage) = Stage::new() else { return };
    let server = stage.serve();
    let key = stage.author(&server);
    stage.publish(&server.url, &key, &[&stage.plugin("answer", "1.0.0", 41, 0)]).json();
    let host = Host::new(&stage, &server, "host", "\"demo:answer\" = \"^1\"");
    let mut said = String::new();
    let mut case = |what: &str, text: &str| said += &format!("## {what}\n{text}\n");
    host.policy(
        "unlisted = \"deny\"\n\n[[rule]]\nid = \"proven\"\nmatch = { plugin = \"*\", except = [\"acme:*\"] }\n\
         [rule.require]\nage = \"3d\"\nprovenance = { repository = \"https://git.example/demo/answer\" }\n\
         certification = 2\n\n[[rule]]\nid = \"acme\"\nmatch = { plugin = \"acme:*\" }\nrequire = { signature = true }\n",
    );
    case("lock", &host.stoa(&["lock"]).refusal());
    case("explain", &host.stoa(&["policy", "explain", "demo:answer@1.0.0"]).text());
    let explained = host.stoa(&["policy", "explain", "demo:answer", "--json"]).json();
    let codes: Vec<_> = explained["checks"].as_array().expect("checks").iter().map(|check| &check["code"]).collect();
    assert_eq!(codes, ["P002", "P003", "P007", "P003"], "{explained}");
    assert_said("a-requirement-without-evidence", &said, &stage);
}

#[test]
fn a_policy_that_can_not_be_read_refuses_everything() {
    let Some(stage) = Stage::new() else { return };
    let server = stage.serve();
    let key = stage.author(&server);
    stage.publish(&server.url, &key, &[&stage.plugin("answer", "1.0.0", 41, 0)]).json();
    let host = Host::new(&stage, &server, "host", "\"demo:answer\" = \"^1\"");
    let mut said = String::new();
    let mut case = |what: &str, text: &str| said += &format!("## {what}\n{text}\n");
    host.policy("[[rule]]\nid = \"a\"\nmatch = { plugin = \"*\" }\nrequire = { signd = true }\n");
    case("a typing error", &host.stoa(&["lock"]).refusal());
    case("check", &host.stoa(&["policy", "check"]).refusal());
    case("a file that is not there", &host.stoa(&["lock", "--policy", "nowhere.toml"]).refusal());
    fs::write(host.file("policy.toml"), b"version = 1 # \xff").expect("a policy");
    case("no text", &host.stoa(&["lock"]).refusal());
    fs::remove_file(host.file("policy.toml")).expect("the policy");
    case("check of nothing", &host.stoa(&["policy", "check"]).refusal());
    assert_said("a-policy-that-can-not-be-read", &said, &stage);
}
