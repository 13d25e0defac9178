//! What a host does with a lock after it was made: newer versions, why something is in it, and the tree of it.

use std::fs;

use serde_json::Value;

use crate::{
    policy::Host,
    process::{Server, Stage, assert_said},
};

/// A registry in which `demo:site` calls `demo:markdown`, and both call `demo:slugify`.
struct Registry<'s> {
    stage: &'s Stage,
    server: &'s Server,
    key: String,
}

impl Registry<'_> {
    fn publish(&self, name: &str, version: &str, dependencies: &str) {
        let folder = self.stage.plugin(name, version, 1, 0);
        let manifest = format!("{folder}/plugin.toml");
        let text = fs::read_to_string(&manifest).expect("a manifest");
        fs::write(&manifest, format!("{text}\n[dependencies]\n{dependencies}")).expect("a manifest");
        self.stage.publish(&self.server.url, &self.key, &[&folder]).json();
    }

    fn begin(&self) {
        self.publish("slugify", "1.0.0", "");
        self.publish("markdown", "1.0.0", "\"demo:slugify\" = \">=1.0, <1.2\"\n");
        self.publish("site", "1.0.0", "\"demo:markdown\" = \"^1\"\n\"demo:slugify\" = \"^1\"\n");
    }

    fn grow(&self) {
        self.publish("slugify", "1.1.0", "");
        self.publish("slugify", "1.2.0", "");
        self.publish("markdown", "1.1.0", "\"demo:slugify\" = \">=1.0, <1.2\"\n");
    }
}

#[test]
fn a_lock_is_updated_as_a_whole_or_for_one_plugin_and_tells_why_each_is_in_it() {
    let Some(stage) = Stage::new() else { return };
    let server = stage.serve();
    let registry = Registry { stage: &stage, server: &server, key: stage.author(&server) };
    registry.begin();
    let host = Host::new(&stage, &server, "host", "\"demo:site\" = \"^1\"\n\"demo:markdown\" = \"^1\"");
    let locked = || fs::read_to_string(host.file("plugins.lock")).expect("a lock");
    let mut said = String::new();
    let mut case = |what: &str, text: &str| said += &format!("## {what}\n{text}\n");

    case("tree without a lock", &host.stoa(&["tree"]).refusal());
    case("lock", &host.stoa(&["lock"]).text());
    case("tree", &host.stoa(&["tree"]).text());
    case("why", &host.stoa(&["why", "demo:slugify"]).text());
    registry.grow();
    let before = locked();
    case("lock keeps what is locked", &host.stoa(&["lock"]).text());
    assert_eq!(locked(), before);

    // An update asks the registry, whatever was read a moment ago.
    case("update, not yet", &host.stoa(&["update", "--dry-run"]).text());
    assert_eq!(locked(), before, "nothing is written");
    case("update of one", &host.stoa(&["update", "-p", "demo:slugify"]).text());
    case("update", &host.stoa(&["update"]).text());
    case("update once more", &host.stoa(&["update"]).text());
    case("why, held back", &host.stoa(&["why", "demo:slugify"]).text());
    let why: Value = host.stoa(&["why", "demo:slugify", "--json"]).json();
    assert_eq!((&why["version"], &why["newer"]), (&"1.1.0".into(), &"1.2.0".into()), "{why}");
    let takes: Vec<&Value> =
        why["asked_for_by"].as_array().expect("a list").iter().map(|by| &by["takes_newer"]).collect();
    assert_eq!(takes, [&Value::from(true), &Value::from(false)], "{why}");
    case("why, wished", &host.stoa(&["why", "demo:markdown"]).text());
    let tree = host.stoa(&["tree", "--json"]).json();
    assert_eq!(tree["plugins"]["demo:site"]["dependencies"]["demo:slugify"], "1.1.0", "{tree}");

    case("why of what nobody has", &host.stoa(&["why", "demo:nothing"]).refusal());
    case("update of what nobody has", &host.stoa(&["update", "-p", "demo:nothing"]).refusal());
    assert_said("updates", &said, &stage);
}

#[test]
fn locked_changes_nothing_frozen_asks_nobody_and_offline_goes_by_what_is_kept() {
    let Some(stage) = Stage::new() else { return };
    let server = stage.serve();
    let registry = Registry { stage: &stage, server: &server, key: stage.author(&server) };
    registry.begin();
    let host = Host::new(&stage, &server, "host", "\"demo:slugify\" = \"^1\"");
    let mut said = String::new();
    let mut case = |what: &str, text: &str| said += &format!("## {what}\n{text}\n");
    case("frozen, before anything is kept", &host.stoa(&["lock", "--frozen"]).refusal());
    case("locked, without a lock", &host.stoa(&["lock", "--locked"]).refusal());
    host.stoa(&["lock"]).text();
    let before = fs::read_to_string(host.file("plugins.lock")).expect("a lock");
    case("locked", &host.stoa(&["lock", "--locked"]).text());
    case("fetch, frozen, and nothing is kept", &host.stoa(&["fetch", "--frozen"]).refusal());
    host.stoa(&["fetch", "--locked"]).text();

    // The host asks for more: the lock is stale.
    let wanted = fs::read_to_string(host.file("plugins.toml")).expect("a list");
    fs::write(host.file("plugins.toml"), format!("{wanted}\"demo:site\" = \"^1\"\n")).expect("a list");
    for flag in ["--locked", "--frozen"] {
        case(&format!("stale, {flag}"), &host.stoa(&["lock", flag]).refusal());
        case(&format!("fetch of what is stale, {flag}"), &host.stoa(&["fetch", flag]).refusal());
    }
    assert_eq!(fs::read_to_string(host.file("plugins.lock")).expect("a lock"), before, "nothing changed");
    case("a tree of what is stale", &host.stoa(&["tree"]).text());
    fs::write(host.file("plugins.toml"), wanted).expect("a list");

    // The registry is gone: what needs it says so, what does not goes on.
    drop(server);
    for command in
        [vec!["lock", "--frozen"], vec!["fetch", "--frozen"], vec!["fetch", "--offline"], vec!["lock", "--offline"]]
    {
        host.stoa(&command).text();
    }
    case("update, offline", &host.stoa(&["update", "--offline"]).text());
    case("why, offline", &host.stoa(&["why", "demo:slugify", "--offline"]).text());
    case("tree, which needs nobody", &host.stoa(&["tree"]).text());
    assert_said("locked-frozen-offline", &said, &stage);
}
