//! One process a registry, and what its address answers.

use crate::process::{Stage, status};

#[test]
fn a_second_server_on_one_folder_is_refused_and_names_the_first() {
    let Some(stage) = Stage::new() else { return };
    let server = stage.serve();
    let second = stage.run(["serve", "--listen", "127.0.0.1:0", "--dir", "registry"]).refusal();
    assert_eq!(second, format!("error: `registry` is in use by process {}\n", server.pid()));
    assert_eq!(status(&server.get("trust/timestamp.json").0), 200, "the first goes on");
    assert_eq!(server.stop().code(), Some(0));
    let third = stage.serve();
    assert_eq!(third.stop().code(), Some(0), "what the first held is free again");
}

#[test]
fn a_server_that_was_killed_leaves_a_registry_that_serves_again() {
    let Some(stage) = Stage::new() else { return };
    let server = stage.serve();
    let key = stage.author(&server);
    stage.publish(&server.url, &key, &[&stage.plugin("answer", "1.0.0", 41, 0)]).json();
    // SIGKILL: nothing is ended in order.
    drop(server);
    let server = stage.serve();
    let call = ["run", "--json", "demo:answer", "--invoke", "add(1)"];
    assert_eq!(stage.host(&server.url, &stage.path("c"), &call).json()["result"], "42");
}

#[test]
fn files_are_served_with_the_headers_that_their_path_decides() {
    let Some(stage) = Stage::new() else { return };
    let server = stage.serve();
    let key = stage.author(&server);
    stage.publish(&server.url, &key, &[&stage.plugin("answer", "1.0.0", 41, 0)]).json();
    let shown = stage.host(&server.url, &stage.path("c"), &["info", "--json", "demo:answer"]).json();
    let digest = shown["document"]["releases"][0]["artifact"].as_str().expect("a digest").to_owned();
    for path in ["trust/timestamp.json", "trust/1.root.json", "index.html", &format!("artifacts/sha256/{digest}")] {
        let (head, _) = server.get(path);
        assert_eq!(status(&head), 200, "{path}: {head}");
        let decided: stoa_core::path::PublicPath = path.parse().expect("a public path");
        let mut expected = vec![
            format!("content-type: {}", decided.content_type()),
            format!("cache-control: {}", decided.cache().header()),
            "x-content-type-options: nosniff".to_owned(),
        ];
        expected.extend(decided.security_headers().iter().map(|(name, value)| format!("{name}: {value}")));
        for line in expected {
            assert!(head.contains(&format!("\r\n{}\r\n", line.to_lowercase())), "{path} lacks `{line}`: {head}");
        }
    }
    let (head, _) = server.get("trust/2.root.json");
    assert_eq!(status(&head), 404);
    assert!(head.contains(stoa_core::path::not_found_cache("trust/2.root.json")), "{head}");
    // What is not public is not there, by whatever spelling.
    for path in ["../ledger.db", "%2e%2e/ledger.db", "store/sha256/", "keys/", "lock", "root.json"] {
        assert_eq!(status(&server.get(path).0), 404, "{path}");
    }
}

#[test]
fn api_addresses_with_variables_are_read() {
    let Some(stage) = Stage::new() else { return };
    let server = stage.serve();
    let key = stage.author(&server);
    stage.publish(&server.url, &key, &[&stage.plugin("answer", "1.0.0", 41, 0)]).json();
    for (path, expected) in [
        ("api/v1/namespaces/demo", 200),
        ("api/v1/namespaces/nothing", 404),
        ("api/v1/plugins/demo/answer", 200),
        ("api/v1/plugins/demo/answer/1.0.0", 200),
        ("api/v1/plugins/demo/answer/1.0.1", 404),
        ("api/v1/nothing/at/all", 404),
    ] {
        let (head, body) = server.get(path);
        assert_eq!(status(&head), expected, "{path}: {}", String::from_utf8_lossy(&body));
    }
}
