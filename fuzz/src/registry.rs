//! A small good registry: two roots, 16 bins, one plugin. Seeds of keys are fixed, so inputs stay meaningful.

use std::{collections::BTreeMap, num::NonZeroU64, sync::LazyLock};

use serde_json::{Value, json};
use stoa_core::{
    canonical,
    digest::Digest,
    time::{DAY, Time},
    trust::{
        Bins, BitLength, Head, SecretKey,
        writer::{self, RootSigners, Signers, Target, Terms},
    },
};

/// The plugin's target path.
pub const MARKDOWN: &str = "index/demo/markdown.json";

/// 2026-11-23T08:00:00Z.
pub fn now() -> Time {
    Time::from_unix(1_795_420_800)
}

/// The one key of every role: a document that any role's keys signed is then one that its own keys signed.
fn key() -> SecretKey {
    SecretKey::from_seed([1; 32])
}

fn terms(version: u64) -> Terms {
    Terms { version: NonZeroU64::new(version).expect("from 1"), expires: now().plus(365 * DAY) }
}

/// The registry's files by name.
pub static GOOD: LazyLock<BTreeMap<String, Vec<u8>>> = LazyLock::new(|| {
    let (key, one) = (key(), || Signers::one(&key()));
    let bins = Bins::new("bin", BitLength::new(4).expect("bits"));
    let mut files = BTreeMap::new();
    for version in [1, 2] {
        let signers = RootSigners { root: one(), timestamp: one(), snapshot: one(), targets: one() };
        files.insert(format!("{version}.root.json"), writer::root(terms(version), &signers).sign(&[&key]));
    }
    files.insert("1.targets.json".into(), writer::targets(terms(1), &one(), &one()).sign(&[&key]));
    files.insert("1.index.json".into(), writer::index(terms(1), &one(), &bins).sign(&[&key]));
    files.insert("1.catalog.json".into(), writer::catalog(terms(1), &BTreeMap::new()).sign(&[&key]));
    let listed = BTreeMap::from([(MARKDOWN.to_owned(), Target::of(b"a document"))]);
    let mut versions = BTreeMap::new();
    for role in ["targets", "index", "catalog"] {
        versions.insert(role.to_owned(), NonZeroU64::MIN);
    }
    for bin in bins.names() {
        let none = BTreeMap::new();
        let targets = if bin == bins.name_of(MARKDOWN) { &listed } else { &none };
        files.insert(format!("1.{bin}.json"), writer::bin(terms(1), &bin, targets).sign(&[&key]));
        versions.insert(bin, NonZeroU64::MIN);
    }
    let head = Head { seq: 1, head: Digest::of(b"event 1"), format: 1 };
    let snapshot = writer::snapshot(terms(1), &head, &versions).sign(&[&key]);
    let timestamp = writer::timestamp(terms(1), NonZeroU64::MIN, &snapshot).sign(&[&key]);
    files.insert("1.snapshot.json".into(), snapshot);
    files.insert("timestamp.json".into(), timestamp);
    files
});

/// Any JSON, signed by the key of every role; `None` where it has no canonical form.
pub fn sign(signed: &Value) -> Option<Vec<u8>> {
    let payload = canonical::to_signed_bytes(signed).ok()?;
    let signature = json!({"keyid": key().id(), "sig": key().sign(&payload)});
    canonical::to_bytes(&json!({"signatures": [signature], "signed": signed})).ok()
}
