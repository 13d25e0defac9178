//! Publishers sign with their own keys; hosts, mirrors and programs of others verify it.

use std::{fs, path::Path, process::Command};

use serde_json::Value;
use stoa_core::digest::Digest;

use crate::process::{Ran, Stage};

/// A new key in a file, and its id.
fn key(stage: &Stage, name: &str) -> (String, String) {
    let file = stage.path(name);
    let made = stage.run(["publisher", "new", "--json", "--plain-for-demos", &file]).json();
    let id = made["id"].as_str().expect("an id").to_owned();
    (file, id)
}

fn publisher(stage: &Stage, url: &str, api_key: &str, args: &[&str]) -> Ran {
    let all: Vec<&str> = [&["publisher", args[0], "--json"], &args[1..], &["--api-key", api_key]].concat();
    stage.host(url, &stage.path("cache-of-the-author"), &all)
}

fn publish(stage: &Stage, url: &str, api_key: &str, args: &[&str]) -> Ran {
    let all: Vec<&str> = [&["publish", "--json", "--wait", "--api-key", api_key], args].concat();
    stage.host(url, &stage.path("cache-of-the-author"), &all)
}

/// The document of `demo` as the signed index has it.
fn keys(stage: &Stage, url: &str) -> Value {
    stage.host(url, &stage.path("cache-of-a-reader"), &["publisher", "list", "--json", "demo"]).json()
}

#[test]
fn a_signed_release_runs_and_a_stolen_key_is_replaced_revoked_and_flagged() {
    let Some(stage) = Stage::new() else { return };
    let server = stage.serve();
    let (url, author) = (server.url.as_str(), stage.author(&server));
    let (first, first_id) = key(&stage, "first.key");
    let (second, second_id) = key(&stage, "second.key");
    let (stolen, stolen_id) = key(&stage, "stolen.key");
    publisher(&stage, url, &author, &["add", "demo", "--key", &first]).json();
    publisher(&stage, url, &author, &["demand", "demo", "--sign", &first]).json();
    let plugin = stage.plugin("answer", "1.0.0", 41, 0);
    let unsigned = publish(&stage, url, &author, &[&plugin]);
    assert!(unsigned.stdout.contains("\"signature-missing\""), "{unsigned:?}");
    publish(&stage, url, &author, &[&plugin, "--sign", &first]).json();
    let call = ["run", "--json", "demo:answer", "--invoke", "add(1)"];
    assert_eq!(stage.host(url, &stage.path("c"), &call).json()["result"], "42");

    // Rotated: the old key signs nothing more, what it signed goes on.
    publisher(&stage, url, &author, &["rotate", "demo", "--key", &second, "--sign", &first]).json();
    let next = stage.plugin("answer", "1.1.0", 41, 0);
    let refused = publish(&stage, url, &author, &[&next, "--sign", &first]);
    assert!(refused.stdout.contains("\"signature-refused\"") && refused.stdout.contains("was replaced"), "{refused:?}");
    publish(&stage, url, &author, &[&next, "--sign", &second]).json();

    // Who steals the API key can register a key of their own: it waits, where everybody sees it.
    publisher(&stage, url, &author, &["add", "demo", "--key", &stolen]).json();
    let bad = stage.plugin("answer", "1.2.0", 40, 0);
    let refused = publish(&stage, url, &author, &[&bad, "--sign", &stolen]);
    assert!(refused.stdout.contains("\"signature-refused\"") && refused.stdout.contains("counts from"), "{refused:?}");
    let reason = ["--reason", "nobody of us made it"];
    let revoke = [&["revoke", "demo", &stolen_id][..], &reason, &["--sign", &second]].concat();
    publisher(&stage, url, &author, &revoke).json();

    // The operator revokes the last key; what it signed runs on, and is flagged.
    let admin = stage.admin_key.clone();
    publisher(&stage, url, &admin, &["revoke", "demo", &second_id, "--reason", "its holder lost it"]).json();
    let call = ["run", "--json", "-v", "demo:answer", "--invoke", "add(1)"];
    let ran = stage.host(url, &stage.path("another"), &call);
    assert!(ran.stderr.contains("a key that signed the release was revoked since"), "{ran:?}");
    assert_eq!(ran.json()["result"], "42");
    let keys = keys(&stage, url);
    let ended = |id: &str| keys["keys"][id]["ended"]["revoked"].clone();
    assert_eq!((ended(&first_id), ended(&second_id)), (Value::Null, "its holder lost it".into()));
    assert_eq!(ended(&stolen_id), "nobody of us made it");
    assert_eq!(keys["registry"], stage.fingerprint.as_str());
}

#[test]
fn a_signature_that_was_exchanged_is_refused_by_hosts_and_by_a_mirror() {
    let Some(stage) = Stage::new() else { return };
    let server = stage.serve();
    let (url, author) = (server.url.as_str(), stage.author(&server));
    let (first, _) = key(&stage, "first.key");
    publisher(&stage, url, &author, &["add", "demo", "--key", &first]).json();
    let plugin = stage.plugin("answer", "1.0.0", 41, 0);
    publish(&stage, url, &author, &[&plugin, "--sign", &first]).json();
    let mirror = ["mirror", "--json", url, &stage.path("mirror"), "--root", &stage.root()];
    assert!(stage.run(mirror).json()["seq"].as_u64() >= Some(4));
    let signature = signature(&stage, url);
    let copy = stage.path(&format!("mirror/artifacts/sha256/{signature}"));
    let envelope = fs::read_to_string(&copy).expect("the mirror has the signature");
    assert!(envelope.contains("payloadType"));
    fs::write(&copy, envelope.replace('A', "B")).expect("a file");
    let verify = ["verify", "--json", &stage.path("mirror"), "--root", &stage.root()];
    let refused = stage.run(verify);
    assert!(!refused.status.success() && refused.stdout.contains(&signature), "{refused:?}");
}

/// The digest of the signature of the one release of `demo:answer`.
fn signature(stage: &Stage, url: &str) -> String {
    let info = stage.host(url, &stage.path("cache-of-a-reader"), &["info", "--json", "demo:answer"]).json();
    info["document"]["releases"][0]["signature"][0].as_str().expect("a signature").to_owned()
}

#[test]
fn securesystemslib_verifies_what_a_publisher_signed_in_interop() {
    let Some(stage) = Stage::new() else { return };
    let packages =
        std::env::var_os("STOA_PYTHON_TUF").filter(|folder| Path::new(folder).is_dir()).unwrap_or_else(|| {
            panic!("STOA_PYTHON_TUF names no folder with securesystemslib: `cargo xtask test interop` installs it")
        });
    let server = stage.serve();
    let (url, author) = (server.url.as_str(), stage.author(&server));
    let ((first, id), (_, other)) = (key(&stage, "first.key"), key(&stage, "other.key"));
    publisher(&stage, url, &author, &["add", "demo", "--key", &first]).json();
    let plugin = stage.plugin("answer", "1.0.0", 41, 0);
    publish(&stage, url, &author, &[&plugin, "--sign", &first]).json();
    let read = |envelope: &str, keys: &Value| -> Value {
        let (envelope_file, keys_file) = (stage.path("envelope.json"), stage.path("keys.json"));
        fs::write(&envelope_file, envelope).expect("a file");
        fs::write(&keys_file, keys.to_string()).expect("a file");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/dsse.py");
        let mut command = Command::new("python3");
        command.arg(script).args([&envelope_file, &keys_file]);
        let ran = command.env("PYTHONPATH", &packages).env("PYTHONDONTWRITEBYTECODE", "1").output().expect("python3");
        serde_json::from_slice(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
    };
    let keys = keys(&stage, url);
    let (_, envelope) = server.get(&format!("artifacts/sha256/{}", signature(&stage, url)));
    let envelope = String::from_utf8(envelope).expect("text");
    let seen = read(&envelope, &keys);
    assert_eq!((&seen["keys"][0], &seen["type"]), (&Value::from(id), &"application/vnd.in-toto+json".into()));
    let component = fs::read(format!("{plugin}/answer.wasm")).expect("a component");
    assert_eq!(seen["statement"]["subject"][0]["name"], "demo:answer@1.0.0");
    assert_eq!(seen["statement"]["subject"][0]["digest"]["sha256"], Digest::of(&component).to_string());
    assert_eq!(seen["statement"]["predicate"]["registry"]["root"]["sha256"], stage.fingerprint.as_str());
    // What is changed, or signed by a key that the namespace does not have, it refuses as we do.
    let json: Value = serde_json::from_str(&envelope).expect("JSON");
    let mut changed = json.clone();
    let payload = json["payload"].as_str().expect("text");
    changed["payload"] = format!("{}{}", &payload[..payload.len() - 4], "fQ==").into();
    assert_eq!(read(&changed.to_string(), &keys)["refused"], "VerificationError");
    // The same key under the id of another.
    let mut lying = keys.clone();
    lying["keys"] = serde_json::json!({other: keys["keys"][&seen["keys"][0].as_str().expect("an id")]});
    assert_eq!(read(&envelope, &lying)["refused"], "VerificationError");
}
