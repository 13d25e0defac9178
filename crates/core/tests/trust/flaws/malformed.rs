//! Bytes that are no document, too many of them, or none.

use serde_json::json;
use stoa_core::trust::TrustError;

use super::{Flaw, absent, bin, flaw, serve, shape};

pub(super) fn malformed() -> Vec<Flaw> {
    vec![
        flaw(
            "truncated-timestamp",
            |r| serve(r, "timestamp", r.file("timestamp")[..100].to_vec()),
            |_| TrustError::Json {
                role: "timestamp".into(),
                reason: "EOF while parsing a string at line 1 column 100".into(),
            },
        ),
        flaw(
            "endless-timestamp",
            |r| serve(r, "timestamp", vec![b' '; 16_385]),
            |_| TrustError::TooLarge { role: "timestamp".into(), found: 16_385, max: 16_384 },
        ),
        flaw(
            "endless-snapshot",
            |r| {
                let mut longer = r.file("snapshot").to_vec();
                longer.push(b' ');
                r.files.insert(r.name("snapshot"), longer);
            },
            |r| {
                let found = r.file("snapshot").len() as u64;
                TrustError::TooLarge { role: "snapshot".into(), found, max: found - 1 }
            },
        ),
        flaw(
            "endless-root",
            |r| drop(r.files.insert("2.root.json".into(), vec![b'['; 512_001])),
            |_| TrustError::TooLarge { role: "root".into(), found: 512_001, max: 512_000 },
        ),
        flaw(
            "endless-bin",
            |r| serve(r, &bin(r), vec![b' '; 5_000_001]),
            |r| TrustError::TooLarge { role: bin(r), found: 5_000_001, max: 5_000_000 },
        ),
        flaw(
            "bin-beyond-its-listed-length",
            |r| {
                let (file, length) = (format!("{}.json", bin(r)), r.file(&bin(r)).len());
                r.edit("snapshot", |signed| signed["meta"][file]["length"] = json!(length));
                serve(r, &bin(r), [r.file(&bin(r)), b" "].concat());
            },
            |r| {
                let found = r.file(&bin(r)).len() as u64;
                TrustError::TooLarge { role: bin(r), found, max: found - 1 }
            },
        ),
        flaw(
            "deeply-nested",
            |r| drop(r.files.insert("2.root.json".into(), vec![b'['; 512_000])),
            |_| TrustError::TooDeep { role: "root".into() },
        ),
        flaw(
            "duplicate-keys",
            |r| {
                let text = String::from_utf8(r.file("timestamp").to_vec()).expect("JSON");
                serve(r, "timestamp", text.replacen("\"version\":", "\"version\":1,\"version\":", 1));
            },
            |_| TrustError::DuplicateKey { role: "timestamp".into(), key: "version".into() },
        ),
        flaw(
            "fractional-version",
            |r| {
                let text = String::from_utf8(r.file("timestamp").to_vec()).expect("JSON");
                serve(r, "timestamp", text.replace("\"version\":3}}", "\"version\":3.0}}"));
            },
            |r| {
                let text = String::from_utf8(r.file("timestamp").to_vec()).expect("JSON");
                let column = text.find("3.0}}").expect("the fraction") + 3;
                let reason = format!("`3` is not an integer of 64 bits at line 1 column {column}");
                TrustError::Json { role: "timestamp".into(), reason }
            },
        ),
        flaw(
            "no-document",
            |r| serve(r, "timestamp", "[]"),
            |_| shape("timestamp", "a signed document is an object of `signatures` and `signed`"),
        ),
        flaw(
            "version-0",
            |r| r.edit("timestamp", |signed| signed["version"] = json!(0)),
            |_| shape("timestamp", "invalid value: integer `0`, expected a nonzero u64"),
        ),
        flaw(
            "missing-version",
            |r| r.edit("timestamp", |signed| drop(signed.as_object_mut().expect("signed").remove("version"))),
            |_| shape("timestamp", "missing field `version`"),
        ),
        flaw(
            "expires-with-an-offset",
            |r| r.edit("timestamp", |signed| signed["expires"] = json!("2030-01-01T00:00:00+00:00")),
            |_| {
                let rule = "is not a UTC time in whole seconds, as in `2026-11-23T08:00:00Z`";
                shape("timestamp", &format!("`2030-01-01T00:00:00+00:00` {rule}"))
            },
        ),
        flaw(
            "specification-2",
            |r| r.edit("timestamp", |signed| signed["spec_version"] = json!("2.0.0")),
            |_| TrustError::SpecVersion { role: "timestamp".into(), found: "2.0.0".into() },
        ),
        flaw("hidden-timestamp", |r| drop(r.files.remove("timestamp.json")), |_| absent("timestamp", None)),
        flaw("hidden-snapshot", |r| drop(r.files.remove("3.snapshot.json")), |_| absent("snapshot", Some(3))),
        flaw("hidden-bin", |r| drop(r.files.remove(&r.name(&bin(r)))), |r| absent(&bin(r), Some(3))),
    ]
}
