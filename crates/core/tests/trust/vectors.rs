//! Documents that other implementations wrote.
//!
//! Provenance: `vectors/python-tuf-7.0.0` is the registry of [`Repo::with_one_online_key`], written by python-tuf
//! 7.0.0 (`Metadata.sign`, `JSONSerializer(compact=True)`) from the same facts and ed25519 seeds; of its sixteen
//! bins only the one that is not empty is kept. `vectors/securesystemslib-1.4.0.json` holds a value with awkward
//! strings, the SHA-256 of its `encode_canonical`, the key of seed 1 with its id, and the signature that
//! `CryptoSigner.sign` makes over the canonical form.

use serde_json::Value;
use stoa_core::{canonical, digest::Digest, trust::PublicKey};

use crate::repo::{Repo, key};

macro_rules! python_tuf {
    ($($name:literal)*) => { [$(($name, include_str!(concat!("vectors/python-tuf-7.0.0/", $name)))),*] };
}

const PYTHON_TUF: [(&str, &str); 7] = python_tuf!(
    "1.root.json" "5.targets.json" "5.index.json" "1.catalog.json" "2.bin-a.json" "2.snapshot.json" "timestamp.json"
);

#[test]
fn the_writer_gives_byte_for_byte_what_python_tuf_gives() {
    let repo = Repo::with_one_online_key();
    for (name, theirs) in PYTHON_TUF {
        assert_eq!(String::from_utf8_lossy(&repo.files[name]), theirs, "{name}");
    }
}

#[test]
fn canonical_form_key_id_and_signature_are_those_of_securesystemslib() {
    let text = include_str!("vectors/securesystemslib-1.4.0.json");
    let vector: Value = serde_json::from_str(text).expect("JSON");
    let payload = canonical::to_signed_bytes(&vector["value"]).expect("integers");
    assert_eq!(Digest::of(&payload).to_string(), vector["canonical_sha256"]);
    assert_eq!(key(1).id().as_str(), vector["keyid"]);
    assert_eq!(key(1).sign(&payload).as_str(), vector["sig"]);
    let public: PublicKey = serde_json::from_value(vector["key"].clone()).expect("a key");
    assert_eq!(&public, key(1).public());
    assert!(public.verify(&payload, &key(1).sign(&payload)));
}
