//! The table.

use std::{
    thread,
    time::{Duration, Instant, SystemTime},
};

use serde_json::{Value, json};
use stoa_api::problem::Code;
use stoa_core::{release::BlobRef, time::Time};

use super::{
    Bench, Row,
    sample::{
        Sample, exporting, four_gibibytes_of_data, naming_itself, ten_megabytes_of_wit, ten_thousand_modules,
        ten_thousand_nested_components, wat,
    },
    wire::{Answer, Body},
};
use crate::process::Stage;

const MIB: u64 = 1024 * 1024;

/// Every flaw.
pub(super) fn all(bench: &Bench) -> Vec<Row> {
    let mut rows = artifacts();
    rows.extend(disagreements());
    rows.extend(names());
    rows.extend(blobs());
    rows.extend(uploads());
    rows.extend(keys(bench));
    rows
}

fn inline(flaw: &'static str, code: Code, sample: Sample) -> Row {
    Row::new(flaw, code, move |bench| bench.inline(&sample))
}

/// Bytes that are no component which a registry takes.
fn artifacts() -> Vec<Row> {
    let bytes = |flaw, code, bytes: &[u8]| inline(flaw, code, Sample::bytes(bytes));
    let sound = exporting("f");
    vec![
        bytes("a text", Code::ArtifactNotWasm, b"Hello"),
        bytes("WebAssembly text", Code::ArtifactNotWasm, b"(component)"),
        bytes("a core module", Code::ArtifactCoreModule, &wat("(module)")),
        bytes("an ELF", Code::ArtifactMachineCode, b"\x7fELF\x02\x01\x01\0"),
        bytes("half a component", Code::ComponentInvalid, &sound[..sound.len() / 2]),
        bytes("10,000 nested components", Code::ComponentBounds, &ten_thousand_nested_components()),
        bytes("10,000 modules", Code::ComponentBounds, &ten_thousand_modules()),
        bytes("a data segment that claims 4 GiB", Code::ComponentInvalid, &four_gibibytes_of_data()),
        bytes("4 GiB of memory", Code::ComponentBounds, &wat("(component (core module (memory 65536)))")),
        Row::new("10 MB of WIT in a component", Code::ComponentBounds, |bench| {
            let sample = Sample::bytes(&ten_megabytes_of_wit());
            let (id, address) = bench.begin(&sample);
            assert_eq!(bench.upload(&address, Body::Whole(&sample.blobs[0])).status, 204);
            bench.finish(&id)
        }),
        bytes("a thread's memory", Code::ComponentFeature, &wat("(component (core module (memory 1 1 shared)))")),
        bytes("an imported module", Code::ComponentInterface, &wat("(component (import \"m\" (core module)))")),
        bytes(
            "WASI 0.3",
            Code::ImportUnsupported,
            &wat("(component (import \"wasi:cli/environment@0.3.0\" (instance)))"),
        ),
        bytes("an unclassified import", Code::ImportUnclassified, &wat("(component (import \"f\" (func)))")),
    ]
}

/// Components that are fine, and records that say something else of them.
fn disagreements() -> Vec<Row> {
    let importing = || Sample::of(wat("(component (import \"acme:web/kv@1.0.0\" (instance (export \"get\" (func)))))"));
    let mut taken_for_wasi = importing();
    taken_for_wasi.record["imports"][0]["from"] = json!("wasi");
    let other = json!([{"name": "demo:sample/api@1.0.0", "types": "0000000000000000"}]);
    vec![
        inline("an import that the record hides", Code::ImportsDiffer, importing().without("imports")),
        inline("an import said to be WASI's", Code::ImportUnclassified, taken_for_wasi),
        inline("an export that the record hides", Code::ExportsDiffer, Sample::sound().without("exports")),
        inline("an export of other types", Code::ExportsDiffer, Sample::sound().with("exports", other)),
        inline("a track too many", Code::TracksDiffer, Sample::sound().with("tracks", json!(["wasi:0.2"]))),
        inline("another kind", Code::ArtifactKind, Sample::sound().with("kind", json!("interface"))),
        inline("another id inside", Code::NameDiffers, Sample::of(naming_itself("demo:other", None))),
        inline("another version inside", Code::NameDiffers, Sample::of(naming_itself("sample", Some("9.9.9")))),
    ]
}

/// What a record says of itself.
fn names() -> Vec<Row> {
    let with = |flaw, code, member, value: Value| inline(flaw, code, Sample::sound().with(member, value));
    let id = |flaw, id: &str| with(flaw, Code::NameInvalid, "id", json!(id));
    vec![
        with("an unknown member", Code::MemberUnknown, "licence", json!("MIT")),
        id("a path for a name", "demo:../../etc/passwd"),
        id("a control character in a name", "demo:sam\u{0}ple"),
        id("a name that reads backwards", "demo:\u{202e}elpmas"),
        id("a name with another alphabet's letter", "demo:s\u{430}mple"),
        id("a reserved word", "demo:con"),
        id("a name of 65 characters", &format!("demo:{}", "a".repeat(65))),
        id("a name that differs by case", "demo:Known"),
        with("a name that looks like another", Code::NameConfusable, "id", json!("demo:kn0wn")),
        with("a version with build metadata", Code::VersionInvalid, "version", json!("1.0.0+linux")),
        with("a version that is none", Code::VersionInvalid, "version", json!("1.0")),
        with("another's namespace", Code::ScopeMissing, "id", json!("acme:sample")),
        with("text that hides a line", Code::RecordInvalid, "description", json!("one\ntwo")),
    ]
}

/// Bytes that are not what a record names.
fn blobs() -> Vec<Row> {
    let sized = |flaw, code, member: &str, size: u64| {
        let mut sample = Sample::sound();
        sample.record[member]["size"] = json!(size);
        Row::new(flaw, code, move |bench| bench.post("publishes", &sample.begin()))
    };
    let mut flipped = Sample::sound();
    flipped.record["artifact"]["digest"] = json!("00".repeat(32));
    let mut named = flipped.inline();
    let bytes = named["blobs"].as_object_mut().expect("an object").remove(&Sample::sound().artifact());
    named["blobs"]["00".repeat(32)] = bytes.expect("the component");
    let mut longer = Sample::sound();
    longer.record["artifact"]["size"] = json!(5);
    vec![
        Row::new("a wrong digest", Code::BlobDigest, move |bench| bench.post("publishes/inline", &named)),
        inline("a wrong size", Code::BlobSize, longer),
        inline("another WIT", Code::WitDiffers, {
            let mut sample = Sample::sound().with("wit", json!(BlobRef::of(b"package demo:other;")));
            sample.blobs[1] = b"package demo:other;".to_vec();
            sample
        }),
        sized("an empty component", Code::BlobEmpty, "artifact", 0),
        sized("a component of 300 MiB", Code::ArtifactTooLarge, "artifact", 300 * MIB),
        sized("a WIT of 10 MB", Code::WitTooLarge, "wit", 10_000_000),
        Row::new("300 MiB in one request", Code::BodyTooLarge, |bench| {
            bench.api("POST", "publishes/inline", &bench.key, Body::Announced(300 * MIB))
        }),
        Row::new("300 MiB in one request, in pieces", Code::BodyTooLarge, |bench| {
            bench.api("POST", "publishes/inline", &bench.key, Body::Chunked(300 * MIB))
        }),
        Row::new("half of a request", Code::BodyIncomplete, |bench| {
            let body = Sample::sound().inline().to_string();
            bench.api("POST", "publishes/inline", &bench.key, Body::Half(body.as_bytes()))
        }),
        Row::new("a finish without the uploads", Code::BlobMissing, |bench| {
            let (id, _) = bench.begin(&Sample::sound());
            bench.finish(&id)
        }),
    ]
}

/// What is sent to an address for one component.
fn uploads() -> Vec<Row> {
    let to = |flaw, code, send: fn(&Bench, &str, &[u8]) -> Answer| {
        Row::new(flaw, code, move |bench| {
            let sample = Sample::sound();
            let (_, address) = bench.begin(&sample);
            send(bench, &address, &sample.blobs[0])
        })
    };
    vec![
        to("an upload with a wrong digest", Code::BlobDigest, |bench, address, bytes| {
            bench.upload(address, Body::Whole(&vec![0; bytes.len()]))
        }),
        to("an upload that is too short", Code::BlobSize, |bench, address, bytes| {
            bench.upload(address, Body::Whole(&bytes[1..]))
        }),
        to("an upload of 300 MiB", Code::BlobSize, |bench, address, _| {
            bench.upload(address, Body::Announced(300 * MIB))
        }),
        to("an upload of 300 MiB, in pieces", Code::BlobSize, |bench, address, _| {
            bench.upload(address, Body::Chunked(300 * MIB))
        }),
        Row::new("300 MiB in pieces, where 128 are awaited", Code::BlobSize, |bench| {
            let artifact = json!({"digest": "11".repeat(32), "size": 128 * MIB});
            let (_, address) = bench.begin(&Sample::sound().with("artifact", artifact));
            bench.upload(&address, Body::Chunked(300 * MIB))
        }),
        to("half an upload", Code::BodyIncomplete, |bench, address, bytes| bench.upload(address, Body::Half(bytes))),
        to("an upload to an address that was changed", Code::UploadRefused, |bench, address, bytes| {
            bench.upload(&address.replace("size=", "size=1"), Body::Whole(bytes))
        }),
    ]
}

/// Keys that do not open.
fn keys(bench: &Bench) -> Vec<Row> {
    let by = |flaw, code, key: String| {
        Row::new(flaw, code, move |bench| {
            let body = Sample::sound().inline().to_string();
            bench.api("POST", "publishes/inline", &key, Body::Whole(body.as_bytes()))
        })
    };
    let text = |made: &Value, member: &str| made[member].as_str().expect("text").to_owned();
    let revoked = bench.make_key(&["publish:demo"], ("label", json!("revoked")));
    let path = format!("keys/{}", text(&revoked, "id"));
    let gone = bench.api("DELETE", &path, &bench.stage.admin_key, Body::Whole(b""));
    assert_eq!(gone.status, 200, "{}", gone.body);
    let foreign = Stage::new().expect("the program").admin_key;
    let mut typo = bench.key.clone();
    let last = if typo.pop() == Some('0') { '1' } else { '0' };
    typo.push(last);
    vec![
        Row::new("no key", Code::KeyMissing, |bench| {
            let body = Sample::sound().inline().to_string();
            let headers = [("content-type", "application/json")];
            let body = Body::Whole(body.as_bytes());
            super::send(&bench.server.url, "POST", "/api/v1/publishes/inline", &headers, body)
        }),
        by("a malformed key", Code::KeyMalformed, "stoa_hunter2".to_owned()),
        by("a key with a typing error", Code::KeyMalformed, typo),
        by("a key of another registry", Code::KeyUnknown, foreign),
        by("a revoked key", Code::KeyRevoked, text(&revoked, "key")),
        by("an expired key", Code::KeyExpired, expired(bench)),
        by("a key for something else", Code::ScopeMissing, {
            text(&bench.make_key(&["publish:demo:known"], ("label", json!("narrow"))), "key")
        }),
    ]
}

/// A key whose time has just run out.
fn expired(bench: &Bench) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock after 1970").as_secs();
    let soon = Time::from_unix(i64::try_from(now).expect("a time") + 2);
    let made = bench.make_key(&["publish:demo"], ("expires_at", json!(soon.to_string())));
    let key = made["key"].as_str().expect("a key").to_owned();
    let until = Instant::now() + Duration::from_secs(20);
    let empty = json!({"releases": []}).to_string();
    while bench.api("POST", "publishes", &key, Body::Whole(empty.as_bytes())).body["code"] != "key-expired" {
        assert!(Instant::now() < until, "the key does not expire");
        thread::sleep(Duration::from_millis(20));
    }
    key
}
