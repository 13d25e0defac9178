//! A host's policy, from the file to what is refused before it is fetched.

use std::fs;

use crate::process::{Ran, Server, Stage, assert_said};

/// A host that wants `demo:answer`, in a folder of its own.
pub(crate) struct Host<'s> {
    stage: &'s Stage,
    folder: String,
}

impl<'s> Host<'s> {
    pub(crate) fn new(stage: &'s Stage, server: &Server, name: &str, wanted: &str) -> Self {
        let folder = stage.path(name);
        fs::create_dir(&folder).expect("a new folder");
        let wanted = format!(
            "[registries.main]\nurl = \"{}\"\nroot-sha256 = \"{}\"\n\n[plugins]\n{wanted}\n",
            server.url, stage.fingerprint
        );
        fs::write(format!("{folder}/plugins.toml"), wanted).expect("a list");
        Self { stage, folder }
    }

    pub(crate) fn file(&self, name: &str) -> String {
        format!("{}/{name}", self.folder)
    }

    pub(crate) fn policy(&self, rules: &str) {
        fs::write(self.file("policy.toml"), format!("version = 1\n{rules}")).expect("a policy");
    }

    pub(crate) fn stoa(&self, command: &[&str]) -> Ran {
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
    assert_eq!(codes, ["P002", "P006", "P007", "P009"], "{explained}");
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

/// A plugin of the author's that asks for these capabilities.
fn asking(stage: &Stage, version: &str, capabilities: &str) -> String {
    let folder = stage.plugin("answer", version, 41, 0);
    let manifest = format!("{folder}/plugin.toml");
    let text = fs::read_to_string(&manifest).expect("a manifest");
    fs::write(&manifest, format!("{text}\n[capabilities]\n{capabilities}")).expect("a manifest");
    folder
}

#[test]
fn an_update_that_reaches_further_or_lost_its_signature_is_locked_only_when_it_is_accepted() {
    let Some(stage) = Stage::new() else { return };
    let server = stage.serve();
    let key = stage.author(&server);
    let host = Host::new(&stage, &server, "host", "\"demo:answer\" = \"^1\"");
    let publish = |folder: &str| {
        stage.publish(&server.url, &key, &[folder]).json();
        // What was read less than a minute ago is not asked for again.
        let _none_yet = fs::remove_dir_all(host.file("cache"));
    };
    let locked = || fs::read_to_string(host.file("plugins.lock")).expect("a lock");
    let mut said = String::new();
    let mut case = |what: &str, text: &str| said += &format!("## {what}\n{text}\n");

    // What it reaches is granted, so that only the lock asks.
    host.policy(
        "\n[[rule]]\nid = \"counted\"\nmatch = { plugin = \"demo:answer\" }\n\
         grant = [\"http.out:https://collector.example\"]\n",
    );
    publish(&asking(&stage, "1.0.0", "clock = { allow = [\"coarse\"], reason = \"Shows the time\" }\n"));
    host.stoa(&["lock"]).text();
    publish(&asking(
        &stage,
        "1.1.0",
        "clock = { allow = [\"coarse\"], reason = \"Shows the time\" }\n\
         http.out = { allow = [\"https://collector.example\"], reason = \"Counts its users\" }\n",
    ));
    let before = locked();
    case("wider", &host.stoa(&["update"]).refusal());
    assert_eq!(locked(), before, "nothing was changed");
    host.stoa(&["fetch"]).text();
    case("another is accepted", &host.stoa(&["update", "--accept", "demo:other"]).refusal());
    case("accepted", &host.stoa(&["update", "--accept", "demo:answer"]).text());
    host.stoa(&["fetch"]).text();

    publish(&asking(&stage, "1.2.0", "clock = { allow = [\"coarse\"], reason = \"Shows the time\" }\n"));
    case("narrower", &host.stoa(&["update"]).text());

    // As if a lock had been made while the publisher signed.
    let signed = locked().replace("publisher = \"none\"", &format!("publisher = \"{}\"", "5".repeat(64)));
    fs::write(host.file("plugins.lock"), &signed).expect("a lock");
    case("fetch, the signature is gone", &host.stoa(&["fetch"]).refusal());
    case("lock, the signature is gone", &host.stoa(&["lock"]).refusal());
    assert_eq!(locked(), signed, "nothing was changed");
    host.stoa(&["lock", "--accept", "demo:answer"]).text();
    assert!(locked().contains("publisher = \"none\""));
    host.stoa(&["fetch"]).text();
    assert_said("what-an-update-asks", &said, &stage);
}

#[test]
fn what_a_plugin_asks_for_is_shown_agreed_to_and_asked_again_only_when_it_grows() {
    let Some(stage) = Stage::new() else { return };
    let server = stage.serve();
    let key = stage.author(&server);
    let host = Host::new(&stage, &server, "host", "\"demo:answer\" = \"^1\"");
    let publish = |version: &str, capabilities: &str| {
        stage.publish(&server.url, &key, &[&asking(&stage, version, capabilities)]).json();
        // What was read less than a minute ago is not asked for again.
        let _none_yet = fs::remove_dir_all(host.file("cache"));
    };
    let mut said = String::new();
    let mut case = |what: &str, text: &str| said += &format!("## {what}\n{text}\n");
    let web = |origins: &str| format!("http.out = {{ allow = [{origins}], reason = \"Looks things up\" }}\n");
    let lang = "env = { allow = [\"LANG\"], reason = \"Speaks the user's language\" }\n";

    publish("1.0.0", &(web("\"https://api.a.example\"") + lang));
    host.stoa(&["lock"]).text();
    case("nobody has agreed", &host.stoa(&["fetch"]).refusal());
    assert_eq!(host.fetched(), 1, "the root alone: nothing of it was fetched");
    let run = ["run", "demo:answer", "--invoke", "add(1)"];
    let run = |url: &str| stage.host(url, &host.file("cache"), &run);
    case("run", &run(&server.url).refusal());
    case("caps", &host.stoa(&["caps", "demo:answer"]).text());
    case("agree", &host.stoa(&["caps", "demo:answer", "--agree"]).text());
    case("agree twice", &host.stoa(&["caps", "demo:answer", "--agree"]).text());
    case("caps, agreed", &host.stoa(&["caps", "demo:answer"]).text());
    host.stoa(&["fetch"]).text();
    assert_eq!(run(&server.url).text(), "42\n");

    publish("1.1.0", &web("\"https://api.a.example\""));
    host.stoa(&["update"]).text();
    host.stoa(&["fetch"]).text();

    publish("1.2.0", &web("\"https://api.a.example\", \"https://*.b.example\""));
    case("an update that grows", &host.stoa(&["update"]).refusal());
    host.stoa(&["update", "--accept", "demo:answer"]).text();
    case("what grew is asked", &host.stoa(&["fetch"]).refusal());
    case("the difference", &host.stoa(&["caps", "demo:answer@1.2.0", "--from", "1.1.0"]).text());
    case("and back", &host.stoa(&["caps", "demo:answer@1.1.0", "--from", "1.0.0"]).text());
    let told = host.stoa(&["caps", "demo:answer", "--from", "1.1.0", "--json"]).json();
    assert_eq!(told["differences"]["added"], serde_json::json!(["http.out:https://*.b.example"]), "{told}");
    assert_eq!(told["open"].as_array().map(Vec::len), Some(2), "{told}");

    host.policy(
        "\n[[rule]]\nid = \"api\"\nmatch = { plugin = \"demo:*\" }\ngrant = [\"http.out:https://api.a.example\"]\n\n\
         [[rule]]\nid = \"no-b\"\nmatch = { plugin = \"*\" }\ndeny = [\"http.out:https://*.b.example\"]\nreason = \"Not ours\"\n",
    );
    case("caps under a policy", &host.stoa(&["caps", "demo:answer"]).text());
    case("explain", &host.stoa(&["policy", "explain", "demo:answer"]).text());
    host.stoa(&["fetch"]).text();
    case("check", &host.stoa(&["policy", "check"]).text());
    fs::remove_file(host.file("policy.toml")).expect("the policy");
    case("check of what is open", &{
        host.policy("\n[[rule]]\nid = \"people\"\nmatch = { plugin = \"*\" }\nask = [\"http.out\"]\n");
        host.stoa(&["policy", "check"]).text()
    });
    case("what a rule demands", &host.stoa(&["fetch"]).refusal());
    case("revoke", &host.stoa(&["caps", "demo:answer", "--revoke"]).text());
    assert_said("what-a-plugin-asks-for", &said, &stage);
}
