//! One file in place of another, and files by other hands.

use serde_json::{Value, json};
use stoa_core::{canonical, digest::Digest, trust::TrustError};

use super::{Flaw, bin, flaw, serve, sign_as, threshold};
use crate::repo::{MARKDOWN, key, sign_value};

pub(super) fn mixes() -> Vec<Flaw> {
    vec![
        flaw(
            "skipped-root",
            |r| {
                r.put_root(3, &[1, 2]);
                let skipped = r.file("root").to_vec();
                r.files.insert("2.root.json".into(), skipped);
            },
            |_| TrustError::RootVersion { expected: 2, found: 3 },
        ),
        flaw(
            "snapshot-of-another-version",
            |r| r.edit("snapshot", |signed| signed["version"] = json!(4)),
            |_| TrustError::Version { role: "snapshot".into(), listed: 3, found: 4 },
        ),
        flaw(
            "bin-of-another-version",
            |r| r.edit(&bin(r), |signed| signed["version"] = json!(2)),
            |r| TrustError::Version { role: bin(r), listed: 3, found: 2 },
        ),
        flaw(
            "snapshot-of-another-length",
            |r| {
                let mut longer = r.file("snapshot").to_vec();
                longer.truncate(longer.len() - 1);
                r.files.insert(r.name("snapshot"), longer);
            },
            |r| {
                let listed = r.file("snapshot").len() as u64 + 1;
                TrustError::Length { role: "snapshot".into(), listed, found: listed - 1 }
            },
        ),
        flaw(
            "snapshot-of-another-hash",
            |r| {
                let mut other = r.file("snapshot").to_vec();
                other.rotate_left(1);
                r.files.insert(r.name("snapshot"), other);
            },
            |r| {
                let mut listed = r.file("snapshot").to_vec();
                listed.rotate_right(1);
                let hash = |bytes: &[u8]| Digest::of(bytes).to_string();
                TrustError::Hash { role: "snapshot".into(), listed: hash(&listed), found: hash(r.file("snapshot")) }
            },
        ),
        flaw(
            "bin-of-another-hash",
            |r| {
                let file = format!("{}.json", bin(r));
                r.edit("snapshot", |signed| signed["meta"][file]["hashes"] = json!({"sha256": Digest::of(b"other")}));
            },
            |r| {
                let (listed, found) = (Digest::of(b"other").to_string(), Digest::of(r.file(&bin(r))).to_string());
                TrustError::Hash { role: bin(r), listed, found }
            },
        ),
        flaw(
            "swapped-bin-of-the-same-version",
            // An empty bin, signed by the right key for the right version: the plugin would seem not to exist.
            |r| {
                let (own, other) = (bin(r), r.bins.names().find(|name| *name != bin(r)).expect("16 bins"));
                r.put_bin(&other, 3);
                r.files.insert(r.name(&own), r.file(&other).to_vec());
            },
            |r| TrustError::WrongRole { role: bin(r), found: r.bins.names().find(|name| *name != bin(r)) },
        ),
        flaw(
            "targets-in-place-of-index",
            // The same keys and version; it delegates to `index`, which would count as visited: again absent.
            |r| {
                r.bump("targets");
                r.bump("index");
                r.put_pointers();
                r.files.insert("6.index.json".into(), r.file("targets").to_vec());
            },
            |_| TrustError::WrongRole { role: "index".into(), found: Some("targets".into()) },
        ),
        flaw(
            "nameless-bin",
            |r| r.edit(&bin(r), |signed| drop(signed.as_object_mut().expect("signed").remove("stoa"))),
            |r| TrustError::WrongRole { role: bin(r), found: None },
        ),
        flaw(
            "snapshot-as-timestamp",
            |r| {
                let mut document: Value = serde_json::from_slice(r.file("timestamp")).expect("JSON");
                document["signed"]["_type"] = json!("snapshot");
                serve(r, "timestamp", sign_value(&document["signed"], &[r.seeds.timestamp]));
            },
            |_| TrustError::Type { role: "timestamp".into(), expected: "timestamp", found: "snapshot".into() },
        ),
    ]
}

pub(super) fn forgeries() -> Vec<Flaw> {
    vec![
        flaw(
            "root-without-the-old-keys",
            |r| {
                r.seeds.root = vec![7, 8, 9];
                r.put_root(2, &[7, 8]);
                r.seeds.root = vec![1, 2, 3];
            },
            |_| threshold("root", "root 1", 0, 2),
        ),
        flaw(
            "root-without-the-new-keys",
            |r| {
                r.seeds.root = vec![7, 8, 9];
                r.put_root(2, &[1, 2, 7]);
                r.seeds.root = vec![1, 2, 3];
            },
            |_| threshold("root", "root 2", 1, 2),
        ),
        flaw("root-below-its-threshold", |r| r.put_root(2, &[3]), |_| threshold("root", "root 1", 1, 2)),
        flaw("forged-timestamp", |r| sign_as(r, "timestamp", &[5]), |_| threshold("timestamp", "root 1", 0, 1)),
        flaw("forged-snapshot", |r| sign_as(r, "snapshot", &[6]), |_| threshold("snapshot", "root 1", 0, 1)),
        flaw(
            "forged-targets",
            |r| {
                r.bump("targets");
                r.put_pointers();
                sign_as(r, "targets", &[5]);
            },
            |_| threshold("targets", "root 1", 0, 1),
        ),
        flaw(
            "forged-index",
            |r| {
                r.bump("index");
                r.put_pointers();
                sign_as(r, "index", &[5]);
            },
            |_| threshold("index", "targets", 0, 1),
        ),
        flaw("forged-bin", |r| sign_as(r, &bin(r), &[4]), |r| threshold(&bin(r), "index", 0, 2)),
        flaw(
            "tampered-bin",
            |r| r.tamper(&bin(r), |document| document["signed"]["targets"][MARKDOWN]["length"] = json!(1)),
            |r| threshold(&bin(r), "index", 0, 2),
        ),
        flaw(
            "signature-of-other-bytes",
            |r| r.tamper("timestamp", |document| document["signatures"][0]["sig"] = json!(key(6).sign(b"other"))),
            |_| threshold("timestamp", "root 1", 0, 1),
        ),
        flaw(
            "unsigned-timestamp",
            |r| r.tamper("timestamp", |document| document["signatures"] = json!([])),
            |_| threshold("timestamp", "root 1", 0, 1),
        ),
        flaw(
            "unknown-scheme",
            |r| {
                r.put_root(2, &[1, 2]);
                // The id stays right, so that only the scheme is in question.
                r.edit("root", |signed| {
                    let described = json!({"keytype": "lattice", "scheme": "x", "keyval": {"public": "00"}});
                    let id = Digest::of(&canonical::to_signed_bytes(&described).expect("text")).to_string();
                    signed["roles"]["timestamp"]["keyids"] = json!([id]);
                    signed["keys"][id] = described;
                });
                // And a signature under that id is there.
                r.tamper("timestamp", |document| {
                    let described = json!({"keytype": "lattice", "scheme": "x", "keyval": {"public": "00"}});
                    let id = Digest::of(&canonical::to_signed_bytes(&described).expect("text")).to_string();
                    document["signatures"][0]["keyid"] = json!(id);
                });
            },
            |_| threshold("timestamp", "root 2", 0, 1),
        ),
        flaw(
            "signature-given-twice",
            |r| {
                r.tamper("timestamp", |document| {
                    let again = document["signatures"][0].clone();
                    document["signatures"].as_array_mut().expect("signatures").push(again);
                });
            },
            |_| TrustError::RepeatedSignature { role: "timestamp".into(), key: key(6).id().clone() },
        ),
    ]
}
