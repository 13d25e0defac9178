//! Releases as an author's tools would send them, and components with one flaw each.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use stoa_core::{
    component::{InspectLimits, Inspection},
    digest::Digest,
    release::BlobRef,
};

const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
const MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// A release of `demo:sample` 1.0.0.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) record: Value,
    pub(crate) blobs: Vec<Vec<u8>>,
}

impl Sample {
    /// One without a flaw.
    pub(crate) fn sound() -> Self {
        Self::of(exporting("f"))
    }

    /// The release of a sound component.
    pub(crate) fn of(wasm: Vec<u8>) -> Self {
        let seen = Inspection::of(&wasm, &InspectLimits::default()).expect("a component");
        let row = |e: &stoa_core::component::Extern| json!({"name": e.name(), "types": e.type_hash()});
        let imports = seen.imports().iter().map(|import| {
            let mut row = row(import);
            row["from"] = json!("host");
            row
        });
        let (imports, exports): (Vec<_>, Vec<_>) = (imports.collect(), seen.exports().iter().map(row).collect());
        let mut sample = Self::saying(wasm, seen.wit().as_bytes());
        for (name, list) in [("imports", imports), ("exports", exports)] {
            if !list.is_empty() {
                sample.record[name] = json!(list);
            }
        }
        sample
    }

    /// The release of any bytes, whose record says nothing but their digest and size.
    pub(crate) fn bytes(bytes: &[u8]) -> Self {
        Self::saying(bytes.to_vec(), b"package demo:sample;")
    }

    fn saying(wasm: Vec<u8>, wit: &[u8]) -> Self {
        let record = json!({
            "format": 1, "id": "demo:sample", "version": "1.0.0", "kind": "plugin",
            "artifact": BlobRef::of(&wasm), "wit": BlobRef::of(wit), "description": "A sample", "license": "MIT",
        });
        Self { record, blobs: vec![wasm, wit.to_vec()] }
    }

    pub(crate) fn with(mut self, member: &str, value: Value) -> Self {
        self.record[member] = value;
        self
    }

    pub(crate) fn without(mut self, member: &str) -> Self {
        self.record.as_object_mut().expect("an object").remove(member);
        self
    }

    /// The digest of its component.
    pub(crate) fn artifact(&self) -> String {
        self.record["artifact"]["digest"].as_str().expect("a digest").to_owned()
    }

    /// The body that publishes it in one request.
    pub(crate) fn inline(&self) -> Value {
        let blobs: BTreeMap<String, String> =
            self.blobs.iter().map(|bytes| (Digest::of(bytes).to_string(), STANDARD.encode(bytes))).collect();
        json!({"releases": [self.record], "blobs": blobs})
    }

    /// The body that begins its publish.
    pub(crate) fn begin(&self) -> Value {
        json!({"releases": [self.record]})
    }
}

pub(crate) fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("well-formed")
}

/// A component that exports one function.
pub(crate) fn exporting(function: &str) -> Vec<u8> {
    wat(&format!(
        r#"(component (core module $m (func (export "f") (result i32) i32.const 7))
            (core instance $i (instantiate $m))
            (func $f (result u32) (canon lift (core func $i "f")))
            (instance $api (export "{function}" (func $f)))
            (export "demo:sample/api@1.0.0" (instance $api)))"#
    ))
}

/// A component that says in its own metadata what it is called, and which version it is.
pub(crate) fn naming_itself(name: &str, version: Option<&str>) -> Vec<u8> {
    let mut bytes = wat(&format!("(component (@name \"{name}\"))"));
    if let Some(version) = version {
        bytes.extend(section(0, &[&[7][..], b"version", version.as_bytes()].concat()));
    }
    bytes
}

pub(crate) fn ten_thousand_nested_components() -> Vec<u8> {
    (0..10_000).fold(COMPONENT.to_vec(), |inner, _| [COMPONENT, &section(4, &inner)].concat())
}

pub(crate) fn ten_thousand_modules() -> Vec<u8> {
    [COMPONENT, &section(1, MODULE).repeat(10_000)].concat()
}

/// One data segment at 0 whose length says 4 GiB - 1, with one byte there.
pub(crate) fn four_gibibytes_of_data() -> Vec<u8> {
    let data = [1, 0, 0x41, 0, 0x0b, 0xff, 0xff, 0xff, 0xff, 0x0f, 7];
    let module = [MODULE, &section(5, &[1, 0, 1]), &section(11, &data)].concat();
    [COMPONENT, &section(1, &module)].concat()
}

/// 720,000 types, each a record with one field named by 10 bytes.
pub(crate) fn ten_megabytes_of_wit() -> Vec<u8> {
    const TYPES: usize = 720_000;
    let mut types = leb128(TYPES);
    types.extend([&[0x72, 1, 10][..], b"abcdefghij", &[0x7d]].concat().repeat(TYPES));
    [COMPONENT, &section(7, &types)].concat()
}

/// A section: id, length, contents.
fn section(id: u8, contents: &[u8]) -> Vec<u8> {
    [&[id][..], &leb128(contents.len()), contents].concat()
}

fn leb128(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(number & 0x7f).expect("7 bits");
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}
