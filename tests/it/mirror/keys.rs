//! What holders of the registry's keys can make of a copy.

use std::fs;

use serde_json::{Value, json};
use stoa_core::{canonical, digest::Digest, trust::SecretKey};

use super::refused;
use crate::{
    process::{Stage, assert_said},
    tree::{Served, Tree},
};

/// A key of the stage's registry, such as `indexer/snapshot`.
fn key(stage: &Stage, name: &str) -> SecretKey {
    let text = fs::read_to_string(stage.dir.path().join(format!("registry/keys/{name}.key"))).expect("a key");
    let mut seed = [0; 32];
    for (at, byte) in seed.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text.trim()[2 * at..2 * at + 2], 16).expect("hexadecimal");
    }
    SecretKey::from_seed(seed)
}

/// A trust file with another signed part.
fn signed(file: &[u8], keys: &[&SecretKey], change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut file: Value = serde_json::from_slice(file).expect("JSON");
    let mut signed = file["signed"].take();
    change(&mut signed);
    let payload = canonical::to_bytes(&signed).expect("integers");
    let sign = |key: &&SecretKey| json!({"keyid": key.id().as_str(), "sig": key.sign(&payload).as_str()});
    let signatures: Vec<Value> = keys.iter().map(sign).collect();
    canonical::to_bytes(&json!({"signatures": signatures, "signed": signed})).expect("integers")
}

impl Tree {
    fn sign_bin(&mut self, id: &str, keys: &[&SecretKey; 2], change: impl FnOnce(&mut Value)) {
        let path = self.bin_of(id);
        self.edit(&path, |bytes| *bytes = signed(bytes, keys, change));
    }

    /// Another document of `demo:answer`, in its bin.
    fn sign_document(&mut self, keys: &[&SecretKey; 2], change: impl FnOnce(&mut Value)) {
        let mut document = self.json(&self.document_of("demo:answer"));
        change(&mut document);
        let bytes = canonical::to_bytes(&document).expect("integers");
        let (digest, length) = (Digest::of(&bytes).to_string(), bytes.len());
        self.put(&format!("index/demo/{digest}.answer.json"), bytes);
        self.sign_bin("demo:answer", keys, |bin| {
            bin["targets"]["index/demo/answer.json"] = json!({"length": length, "hashes": {"sha256": digest}});
        });
    }
}

/// What a thief of both keys of bins, who can write to the bucket, makes of it.
type Crime = (&'static str, fn(&mut Tree, &[&SecretKey; 2]));

const CRIMES: [Crime; 6] = [
    ("the record of another release", |tree, keys| {
        let other = tree.json(&tree.document_of("demo:a"))["releases"][0]["record"].clone();
        tree.sign_document(keys, |document| document["releases"][0]["record"] = other);
    }),
    ("a document of an event to come", |tree, keys| tree.sign_document(keys, |document| document["seq"] = json!(99))),
    ("a document of nothing", |tree, keys| tree.sign_document(keys, |document| *document = json!({}))),
    ("a readme of a terabyte", |tree, keys| {
        tree.sign_document(keys, |document| document["about"]["readme"]["size"] = json!(1_u64 << 40));
    }),
    ("a target where nobody looks for it", |tree, keys| {
        let target = json!({"length": 1, "hashes": {"sha256": Digest::of(b"x").to_string()}});
        tree.sign_bin("demo:b", keys, |bin| bin["targets"]["index/demo/answer.json"] = target);
    }),
    ("a target that is no document", |tree, keys| {
        let target = json!({"length": 1, "hashes": {"sha256": Digest::of(b"x").to_string()}});
        tree.sign_bin("demo:answer", keys, |bin| bin["targets"]["../../etc/passwd"] = target);
    }),
];

#[test]
fn promises_that_a_thief_of_both_keys_of_bins_breaks_are_named() {
    let Some(stage) = Stage::new() else { return };
    let (_server, _) = stage.with_three_plugins();
    let whole = Tree::settled(&stage, 4);
    let [first, second] = ["indexer/snapshot", "signer/bins"].map(|name| key(&stage, name));
    let mut said = String::new();
    for (number, (crime, commit)) in CRIMES.iter().enumerate() {
        let mut tree = whole.clone();
        commit(&mut tree, &[&first, &second]);
        let folder = format!("copy-{number}");
        tree.write(&stage.dir.path().join(&folder));
        let (code, message) = refused(&stage.verify(&folder));
        said.push_str(&format!("{crime}\n  {code}: {message}\n"));
        let (mirrored, _) = refused(&stage.mirror(&Served::start(tree).url, &format!("mirror-{number}")));
        assert_eq!(mirrored, code, "{crime}");
    }
    assert_said("what-a-thief-of-both-keys-of-bins-breaks", &said, &stage);
}

#[test]
fn a_new_root_is_mirrored_with_the_pointer_and_leads_on_from_the_pinned_one() {
    let Some(stage) = Stage::new() else { return };
    let (_server, _) = stage.with_three_plugins();
    let mut tree = Tree::settled(&stage, 4);
    let source = Served::start(tree.clone());
    stage.mirror(&source.url, "mirror").json();
    let people = ["offline/root-1", "offline/root-3"].map(|name| key(&stage, name));
    let second = signed(tree.file("trust/1.root.json"), &people.each_ref(), |root| root["version"] = json!(2));
    tree.put("trust/2.root.json", second);
    source.serve(tree.clone());
    source.asked();
    let made = stage.mirror(&source.url, "mirror").json();
    assert_eq!(source.asked(), ["trust/2.root.json", "trust/3.root.json", "trust/timestamp.json"]);
    assert_eq!(made["copied"], 1, "{made}");
    assert_eq!(stage.verify("mirror").json()["requests"], 1 + 2 + 2 + 259 + 3 + 12);
    stage.mirror(&source.url, "mirror").json();
    assert_eq!(source.asked(), ["trust/3.root.json", "trust/timestamp.json"], "the chain that is there is not fetched");
}
