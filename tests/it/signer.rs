//! `stoa serve --no-signer` and `stoa signer`: two processes, each with its own keys.

use std::{fs, path::Path, time::Duration};

use serde_json::Value;

use crate::process::{Server, Stage, status};

/// The last event that a running registry says is signed, and its troubles.
fn health(server: &Server) -> Value {
    let (head, body) = server.get("api/v1/health");
    assert_eq!(status(&head), 200, "{head}");
    serde_json::from_slice(&body).expect("JSON")
}

/// The last event that the pointer covers.
fn signed(server: &Server) -> u64 {
    let (_, body) = server.get("trust/timestamp.json");
    let timestamp: Value = serde_json::from_slice(&body).expect("JSON");
    timestamp["signed"]["meta"]["snapshot.json"]["version"].as_u64().expect("a version")
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..400 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("{what} does not come");
}

/// Publishes without waiting for the index. Gives the event.
fn publish(stage: &Stage, server: &Server, key: &str, folder: &str) -> u64 {
    let args = ["publish", "--json", "--api-key", key, folder];
    let done = stage.host(&server.url, &stage.path("cache-of-the-author"), &args).json();
    done["seq"].as_u64().unwrap_or_else(|| panic!("{done}"))
}

#[test]
fn a_signer_in_its_own_process_signs_what_is_proposed_and_what_waited_while_it_was_gone() {
    let Some(stage) = Stage::new() else { return };
    // Neither finds the keys of the other.
    let keys = Path::new(&stage.registry()).join("keys");
    fs::rename(keys.join("signer"), stage.path("keys-of-the-signer")).expect("a rename");
    let refused = stage.run(["serve", "--dir", &stage.registry()]).refusal();
    assert!(refused.contains("keys/signer/timestamp.key` can not be read"), "{refused}");

    let server = stage.serve_with(&["--no-signer"]);
    fs::rename(keys.join("indexer"), stage.path("keys-of-the-indexer")).expect("a rename");
    let author = stage.author(&server);
    let seq = publish(&stage, &server, &author, &stage.plugin("one", "1.0.0", 1, 0));
    assert!(signed(&server) < seq, "nobody signs yet");

    let keys_of_the_signer = stage.path("keys-of-the-signer");
    let signer = stage.signer(&keys_of_the_signer);
    wait_until("a signature", || signed(&server) == seq);
    wait_until("a good health", || health(&server)["status"] == "ok");
    let other = stage.run(["signer", "--dir", &stage.registry(), "--keys", &keys_of_the_signer]).refusal();
    assert!(other.contains("is in use"), "{other}");

    // Killed while proposals come in one after the other, and started again.
    let two = stage.plugin("two", "1.0.0", 2, 0);
    let three = stage.plugin("three", "1.0.0", 3, 0);
    publish(&stage, &server, &author, &two);
    signer.kill();
    let last = publish(&stage, &server, &author, &three);
    wait_until("a word on the silent signer", || {
        let told = health(&server);
        let trouble = &told["troubles"][0];
        told["status"] == "degraded" && trouble["part"] == "index" && trouble["state"] == "late"
    });
    assert!(signed(&server) < last, "what was accepted waits");
    let signer = stage.signer(&keys_of_the_signer);
    wait_until("a signature", || signed(&server) == last);
    wait_until("a good health", || health(&server)["status"] == "ok");
    let shown = stage.host(&server.url, &stage.path("cache-of-a-host"), &["info", "--json", "demo:three"]).json();
    assert_eq!(shown["signed_seq"], last);

    assert_eq!(signer.stop().code(), Some(0));
    assert_eq!(server.stop().code(), Some(0));
}
