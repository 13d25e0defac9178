//! The main job: from an empty folder to a verified call, on to a yank, and on without the server.

use std::fs;

use crate::process::Stage;

/// A host that wants `demo:answer`, in a folder of its own.
fn host_folder(stage: &Stage, name: &str, url: &str) -> [String; 3] {
    let folder = stage.dir.path().join(name);
    fs::create_dir(&folder).expect("a new folder");
    let wanted = format!(
        "[registries.main]\nurl = \"{url}\"\nroot-sha256 = \"{}\"\n\n[plugins]\n\"demo:answer\" = \"^1\"\n",
        stage.fingerprint
    );
    fs::write(folder.join("plugins.toml"), wanted).expect("a list");
    ["plugins.toml", "plugins.lock", "cache"].map(|file| folder.join(file).to_str().expect("text").to_owned())
}

/// `stoa lock` or `stoa fetch` of a host.
fn with_files<'a>(command: &'a str, [wanted, lock, cache]: &'a [String; 3]) -> Vec<&'a str> {
    vec![command, "--json", "--wanted", wanted, "--lock", lock, "--cache", cache]
}

#[test]
fn a_plugin_goes_from_its_author_to_a_host_and_stays_there_when_the_server_is_gone() {
    let Some(stage) = Stage::new() else { return };
    let server = stage.serve();
    let (url, key) = (server.url.clone(), stage.author(&server));

    let published = stage.publish(&url, &key, &[&stage.plugin("answer", "1.0.0", 41, 0)]).json();
    assert_eq!((published["seq"].as_u64(), published["state"].as_str()), (Some(3), Some("published")), "{published}");

    // `--wait` ended when the index covered it: a host that has read nothing before sees it at once.
    let shown = stage.host(&url, &stage.path("c"), &["info", "--json", "demo:answer"]).json();
    assert_eq!(shown["document"]["releases"][0]["version"], "1.0.0", "{shown}");
    // Pages follow the index, and `--wait` does not wait for them.
    let shows = || String::from_utf8_lossy(&server.get("plugins/demo/answer/").1).contains("Adds 41 to a number");
    let shown = (0..100).any(|_| {
        shows() || {
            std::thread::sleep(std::time::Duration::from_millis(100));
            false
        }
    });
    assert!(shown, "the plugin gets a page");

    let host = host_folder(&stage, "host", &url);
    let locked = stage.run(with_files("lock", &host)).json();
    assert_eq!(locked["added"], serde_json::json!(["demo:answer@1.0.0"]), "{locked}");
    let fetched = stage.run(with_files("fetch", &host)).json();
    assert_eq!(fetched["plugins"], 1, "{fetched}");
    let call = ["run", "--json", "demo:answer@^1", "--invoke", "add(1)"];
    assert_eq!(stage.host(&url, &host[2], &call).json()["result"], "42");

    assert_eq!(server.stop().code(), Some(0), "SIGTERM ends it cleanly");
    let offline = with_files("fetch", &host).into_iter().chain(["--offline"]);
    let fetched = stage.run(offline).json();
    assert_eq!((fetched["plugins"].as_u64(), fetched["requests"].as_u64()), (Some(1), Some(0)), "{fetched}");
    let call = [&call[..], &["--offline"]].concat();
    assert_eq!(stage.host(&url, &host[2], &call).json()["result"], "42", "from the cache, with nobody to ask");
}

#[test]
fn a_yanked_release_is_not_chosen_any_more_and_a_lock_that_names_it_holds() {
    let Some(stage) = Stage::new() else { return };
    let server = stage.serve();
    let (url, key) = (server.url.clone(), stage.author(&server));
    stage.publish(&url, &key, &[&stage.plugin("answer", "1.0.0", 41, 0)]).json();
    let host = host_folder(&stage, "host", &url);
    stage.run(with_files("lock", &host)).json();

    let yank = ["yank", "--json", "demo:answer@1.0.0", "--reason", "adds too much", "--api-key", &key];
    let yanked = stage.host(&url, &stage.path("c"), &yank).json();
    assert_eq!((&yanked["state"], &yanked["yanked_seq"]), (&"yanked".into(), &4.into()), "{yanked}");
    wait_for(&stage, &url, 4);

    let newcomer = host_folder(&stage, "newcomer", &url);
    let refused = stage.run(with_files("lock", &newcomer)).status;
    assert_eq!(refused.code(), Some(1), "nothing that is not yanked is left to choose");
    // The same newcomer with the lock of the first host: the lock still holds, from an empty cache.
    fs::copy(&host[1], &newcomer[1]).expect("a copy");
    assert_eq!(stage.run(with_files("fetch", &newcomer)).json()["plugins"], 1);

    let back = ["unyank", "--json", "demo:answer@1.0.0", "--reason", "it is right", "--api-key", &key];
    assert_eq!(stage.host(&url, &stage.path("c"), &back).json()["state"], "listed");
    wait_for(&stage, &url, 5);
    let another = host_folder(&stage, "another", &url);
    assert_eq!(stage.run(with_files("lock", &another)).json()["added"], serde_json::json!(["demo:answer@1.0.0"]));
}

/// Waits until the signed index covers event `seq`, as a host that has read nothing before.
fn wait_for(stage: &Stage, url: &str, seq: u64) {
    for attempt in 0..100 {
        let cache = stage.path(&format!("cache-{attempt}"));
        let shown = stage.host(url, &cache, &["info", "--json", "demo:answer"]).json();
        if shown["signed_seq"].as_u64() >= Some(seq) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("the signed index does not come to event {seq}");
}

#[test]
fn two_plugins_published_together_become_visible_in_one_event() {
    let Some(stage) = Stage::new() else { return };
    let server = stage.serve();
    let key = stage.author(&server);
    let dirs = [stage.plugin("answer", "1.0.0", 41, 0), stage.plugin("other", "0.1.0", 1, 0)];
    let published = stage.publish(&server.url, &key, &[&dirs[0], &dirs[1]]).json();
    assert_eq!(published["seq"], 3, "{published}");
    for name in ["demo:answer", "demo:other"] {
        let shown = stage.host(&server.url, &stage.path("c"), &["info", "--json", name]).json();
        assert_eq!(shown["document"]["seq"], 3, "{shown}");
    }
    // What one of the two breaks, neither gets: `answer` is new, `other` is there already.
    let again = [stage.plugin("answer", "1.1.0", 42, 0), dirs[1].clone()];
    fs::write(format!("{}/README.md", again[1]), "# another readme\n").expect("a readme");
    let refused = stage.publish(&server.url, &key, &[&again[0], &again[1]]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let (_, log) = server.get("api/v1/events");
    let log: serde_json::Value = serde_json::from_slice(&log).expect("JSON");
    assert_eq!(log["last"], 3, "nothing was recorded: {log}");
}
