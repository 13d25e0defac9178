//! What can not be published: each with its code, and without leaving anything behind.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use stoa_api::{ApiConfig, problem::Code, token::Token};
use stoa_core::release::BlobRef;

use crate::support::{Answer, Plugin, Registry, component, inline, pretty};

fn markdown() -> Plugin {
    Plugin::simple("demo:markdown", "1.0.0")
}

/// The answers to some publishes by name, as one text; checks that none of them left anything.
async fn bodies(cases: Vec<(&str, Code, Value)>) -> String {
    let registry = Registry::new().await;
    let facts = registry.facts().await;
    let mut text = String::new();
    for (name, code, body) in cases {
        let answer = registry.post("/api/v1/publishes/inline", &registry.demo, body).await;
        assert_eq!(answer.body["code"], code.as_str(), "{name}: {}", answer.body);
        text += &format!("{name}: {}\n\n", pretty(&answer.refused(code)));
        assert_eq!(registry.listing().await, "", "{name}");
        assert_eq!(registry.facts().await, facts, "{name}");
    }
    text
}

/// A publish of `plugin` in which something is changed afterwards.
fn changed(plugin: &Plugin, change: impl FnOnce(&mut Value)) -> Value {
    let mut body = inline(&[plugin]);
    change(&mut body);
    body
}

/// A publish whose component is these bytes, with a record that says so.
fn of_bytes(bytes: &[u8]) -> Value {
    let mut plugin = markdown().with("artifact", json!(BlobRef::of(bytes)));
    plugin.wasm = bytes.to_vec();
    inline(&[&plugin])
}

#[tokio::test]
async fn sets_that_are_none() {
    let plugin = markdown();
    let with = |member: &str, value: Value| inline(&[&plugin.clone().with(member, value)]);
    let other = plugin.clone().with("version", json!("1.0.1"));
    let many: Vec<_> = (0..21).map(|_| plugin.record.clone()).collect();
    let reasons = |count: usize| -> Value {
        let one = |n| (format!("env:VARIABLE_{n}"), json!("x".repeat(200)));
        (0..count).map(one).collect::<serde_json::Map<_, _>>().into()
    };
    let heavy = |n: usize| {
        Plugin::simple(&format!("demo:{}", "abcdefg".get(n..=n).unwrap_or("z")), "1.0.0")
            .with("capabilities", reasons(65))
    };
    let heavy: Vec<_> = (0..5).map(heavy).collect();
    let text = bodies(vec![
        ("no release", Code::SetSize, json!({"releases": [], "blobs": {}})),
        ("twenty-one releases", Code::SetSize, json!({"releases": many, "blobs": {}})),
        ("two versions of one plugin", Code::SetRepeats, inline(&[&plugin, &other])),
        ("a record that is no object", Code::RecordInvalid, json!({"releases": [1], "blobs": {}})),
        ("another format", Code::RecordInvalid, with("format", json!(2))),
        ("an unknown member", Code::MemberUnknown, with("licence", json!("MIT"))),
        ("a fraction", Code::RecordInvalid, with("limits", json!({"memory": 1.5}))),
        ("a path for a name", Code::NameInvalid, with("id", json!("demo:../markdown"))),
        ("a control character in a name", Code::NameInvalid, with("id", json!("demo:mark\u{0}down"))),
        ("build metadata", Code::VersionInvalid, with("version", json!("1.0.0+linux"))),
        (
            "another format in the second place",
            Code::RecordInvalid,
            json!({"releases": [plugin.record, 1], "blobs": {}}),
        ),
        ("a description of two lines", Code::RecordInvalid, with("description", json!("one\ntwo"))),
        ("text that reads backwards", Code::RecordInvalid, with("description", json!("a\u{202e}b"))),
        ("no license", Code::RecordInvalid, with("license", json!("Do what you want"))),
        ("a script for a repository", Code::RecordInvalid, with("repository", json!("javascript:alert(1)"))),
        ("nine keywords", Code::RecordInvalid, with("keywords", json!(["a", "b", "c", "d", "e", "f", "g", "h", "i"]))),
        ("a shelf that is none", Code::RecordInvalid, with("categories", json!(["everything"]))),
        ("a capability that is none", Code::RecordInvalid, with("capabilities", json!({"root": "Because"}))),
        ("a scope that is none", Code::RecordInvalid, with("capabilities", json!({"http.out:*": "Because"}))),
        ("no reason", Code::RecordInvalid, with("capabilities", json!({"random": ""}))),
        ("a limit that is none", Code::RecordInvalid, with("limits", json!({"disk": 1}))),
        ("a limit beyond its bounds", Code::RecordInvalid, with("limits", json!({"memory": 1024}))),
        ("a thousand instances", Code::RecordInvalid, with("runtime", json!({"stateless": true, "pool": 1000}))),
        ("an empty list written out", Code::RecordNotCanonical, with("keywords", json!([]))),
        (
            "a default written out",
            Code::RecordNotCanonical,
            with("dependencies", json!({"demo:slugify": {"version": "^1", "optional": false}})),
        ),
        (
            "a requirement with spaces",
            Code::RecordNotCanonical,
            with("dependencies", json!({"demo:x": {"version": "^ 1"}})),
        ),
        ("a record of 20 KB", Code::RecordTooLarge, with("capabilities", reasons(100))),
        ("five records of 15 KB", Code::EventTooLarge, inline(&heavy.iter().collect::<Vec<_>>())),
        (
            "a dependency on itself",
            Code::DependencySelf,
            with("dependencies", json!({"demo:markdown": {"version": "^1"}})),
        ),
        (
            "an unknown dependency",
            Code::DependencyUnknown,
            with("dependencies", json!({"demo:nothing": {"version": "^1"}})),
        ),
    ])
    .await;
    insta::assert_snapshot!(text);
}

#[tokio::test]
async fn blobs_that_are_not_what_the_records_say() {
    let plugin = markdown().with_readme(b"# Markdown\n");
    let artifact = plugin.record["artifact"]["digest"].as_str().expect("a digest").to_owned();
    let wit = plugin.record["wit"]["digest"].as_str().expect("a digest").to_owned();
    let sized = |member: &str, size: u64| {
        let digest = plugin.record[member]["digest"].clone();
        inline(&[&plugin.clone().with(member, json!({"digest": digest, "size": size}))])
    };
    let text = bodies(vec![
        (
            "no component",
            Code::BlobMissing,
            changed(&plugin, |body| {
                body["blobs"].as_object_mut().expect("an object").remove(&artifact);
            }),
        ),
        ("another size", Code::BlobSize, sized("artifact", 5)),
        ("an empty component", Code::BlobEmpty, sized("artifact", 0)),
        ("a component of 300 MiB", Code::ArtifactTooLarge, sized("artifact", 300 << 20)),
        ("a WIT of 10 MB", Code::WitTooLarge, sized("wit", 10_000_000)),
        ("a readme of 1 MiB", Code::ReadmeTooLarge, sized("readme", 1 << 20)),
        (
            "another component",
            Code::BlobDigest,
            changed(&plugin, |body| {
                let mut bytes = plugin.wasm.clone();
                bytes[0] ^= 1;
                body["blobs"][&artifact] = json!(STANDARD.encode(bytes));
            }),
        ),
        ("no base64", Code::BlobMalformed, changed(&plugin, |body| body["blobs"][&wit] = json!("***"))),
        (
            "a blob nobody asked for",
            Code::BlobUnasked,
            changed(&plugin, |body| body["blobs"]["00".repeat(32)] = json!("")),
        ),
        ("a readme in Latin-1", Code::ReadmeNotText, inline(&[&markdown().with_readme(b"caf\xe9")])),
    ])
    .await;
    insta::assert_snapshot!(text);
}

#[tokio::test]
async fn artifacts_that_are_no_components_or_other_ones() {
    let plugin = markdown();
    let export = |name: &str, types: &str| json!([{"name": name, "types": types}]);
    let other_types = export("demo:markdown/api@1.0.0", "0000000000000000");
    let with = |member: &str, value: Value| inline(&[&plugin.clone().with(member, value)]);
    let import = |from: &str| {
        let mut plugin = Plugin::of("demo:markdown", "1.0.0", component(&["acme:web/kv@1.0.0"], &[]));
        plugin.record["imports"][0]["from"] = json!(from);
        inline(&[&plugin])
    };
    let hidden = {
        let mut plugin = Plugin::of("demo:markdown", "1.0.0", component(&["acme:web/kv@1.0.0"], &[]));
        plugin.record.as_object_mut().expect("an object").remove("imports");
        inline(&[&plugin])
    };
    let wat = |text: &str| of_bytes(&wat::parse_str(text).expect("well-formed"));
    let other_wit = {
        let mut plugin = plugin.clone().with("wit", json!(BlobRef::of(b"package demo:other;")));
        plugin.wit = b"package demo:other;".to_vec();
        inline(&[&plugin])
    };
    let named = component_with_metadata("demo:other", None);
    let versioned = component_with_metadata("root-component", Some("9.9.9"));
    let text = bodies(vec![
        ("a text", Code::ArtifactNotWasm, of_bytes(b"Hello")),
        ("WebAssembly text", Code::ArtifactNotWasm, of_bytes(b"(component)")),
        ("an ELF", Code::ArtifactMachineCode, of_bytes(b"\x7fELF\x02\x01\x01\0")),
        ("a core module", Code::ArtifactCoreModule, wat("(module)")),
        ("half a component", Code::ComponentInvalid, of_bytes(&plugin.wasm[..plugin.wasm.len() / 2])),
        ("WASI 0.3", Code::ImportUnsupported, wat("(component (import \"wasi:cli/environment@0.3.0\" (instance)))")),
        ("a WIT package", Code::ArtifactKind, inline(&[&markdown().with("kind", json!("interface"))])),
        ("an import without a package", Code::ImportUnclassified, wat("(component (import \"f\" (func)))")),
        (
            "a convention that is none",
            Code::ConventionUnknown,
            wat("(component (import \"stoa:plugin/log@0.2.0\" (instance)))"),
        ),
        (
            "a convention with another type",
            Code::ConventionDiffers,
            wat("(component (import \"stoa:plugin/log@0.1.0\" (instance (export \"log\" (func)))))"),
        ),
        ("a hook that a host could not call", Code::ConventionDiffers, inline(&[&half_a_hook()])),
        ("a resource between plugins", Code::CallNotValues, calling("(export \"blob\" (type (sub resource)))")),
        (
            "a call that can not say that it failed",
            Code::CallWithoutError,
            calling("(export \"get\" (func (result u32)))"),
        ),
        ("two dependencies for one interface", Code::ImportUnclassified, for_both()),
        ("an import hidden in the record", Code::ImportsDiffer, hidden),
        ("a host's import said to be a dependency's", Code::ImportUnclassified, import("dependency")),
        ("a host's import said to be WASI's", Code::ImportUnclassified, import("wasi")),
        (
            "no exports in the record",
            Code::ExportsDiffer,
            changed(&plugin, |body| {
                body["releases"][0].as_object_mut().expect("an object").remove("exports");
            }),
        ),
        (
            "an export too many",
            Code::ExportsDiffer,
            with("exports", export("demo:other/api@1.0.0", "0000000000000000")),
        ),
        ("other types", Code::ExportsDiffer, with("exports", other_types)),
        ("a track too many", Code::TracksDiffer, with("tracks", json!(["wasi:0.2"]))),
        ("another WIT", Code::WitDiffers, other_wit),
        (
            "the name of another plugin inside",
            Code::NameDiffers,
            inline(&[&Plugin::of("demo:markdown", "1.0.0", named)]),
        ),
        ("another version inside", Code::NameDiffers, inline(&[&Plugin::of("demo:markdown", "1.0.0", versioned)])),
    ])
    .await;
    insta::assert_snapshot!(text);
}

/// A plugin that exports `lifecycle` without `init`.
fn half_a_hook() -> Plugin {
    let text = "(component (core module $m (func (export \"f\"))) (core instance $i (instantiate $m))
        (func $f (canon lift (core func $i \"f\"))) (instance $h (export \"shutdown\" (func $f)))
        (export \"stoa:plugin/lifecycle@0.1.0\" (instance $h)))";
    Plugin::of("demo:markdown", "1.0.0", wat::parse_str(text).expect("well-formed"))
}

/// Two plugins, of which one imports an interface with these members from the other.
fn calling(members: &str) -> Value {
    let text = format!("(component (import \"demo:markdown/api@1.0.0\" (instance {members})))");
    let mut site = Plugin::of("demo:site", "1.0.0", wat::parse_str(text).expect("well-formed"));
    site.record["imports"][0]["from"] = json!("dependency");
    let site = site.with("dependencies", json!({"demo:markdown": {"version": "^1"}}));
    inline(&[&markdown(), &site])
}

/// A plugin two of whose dependencies are said to be for what it imports.
fn for_both() -> Value {
    let mut site = Plugin::of("demo:site", "1.0.0", component(&["acme:web/kv@1.0.0"], &[]));
    site.record["imports"][0]["from"] = json!("dependency");
    let both = json!({"version": "^1", "for": ["acme:web/kv"], "on_failure": "trap"});
    let site = site.with("dependencies", json!({"demo:markdown": both.clone(), "demo:slugify": both}));
    inline(&[&markdown(), &Plugin::simple("demo:slugify", "1.0.0"), &site])
}

/// A component that says in its own metadata what it is called: a `component-name` section, and a `version`
/// section as tools write it.
fn component_with_metadata(name: &str, version: Option<&str>) -> Vec<u8> {
    let mut bytes = wat::parse_str(format!("(component (@name \"{name}\"))")).expect("well-formed");
    if let Some(version) = version {
        let content = [&[7][..], b"version", version.as_bytes()].concat();
        bytes.push(0);
        bytes.push(u8::try_from(content.len()).expect("short"));
        bytes.extend(content);
    }
    bytes
}

#[tokio::test]
async fn what_the_ledger_has_against_it() {
    let registry = Registry::new().await;
    let plugin = markdown();
    registry.publish(&[&plugin]).await.ok();
    let (listing, facts) = (registry.listing().await, registry.facts().await);
    let other = Plugin::of("demo:markdown", "1.0.0", component(&[], &[("demo:markdown/api@1.0.0", &["other"])]));
    let reworded = plugin.clone().with("description", json!("Another description"));
    let interface = plugin.clone().with("version", json!("1.0.1")).with("kind", json!("interface"));
    let needs = |id: &str, version: &str| json!({id: {"version": version}});
    let site = |dependencies: Value| Plugin::simple("demo:site", "1.0.0").with("dependencies", dependencies);
    let admin = registry.admin.clone();
    let stranger = Token::new([0xbb; 6], [3; 32]);
    registry.add_key(&stranger, &["publish:acme", "yank:demo"]).await;
    let mut text = String::new();
    let mut note = |name: &str, answer: Answer, code: Code| {
        assert_eq!(answer.body["code"], code.as_str(), "{name}: {}", answer.body);
        text += &format!("{name}: {}\n\n", pretty(&answer.refused(code)));
    };
    note("another component", registry.publish(&[&other]).await, Code::VersionExists);
    note("another record", registry.publish(&[&reworded]).await, Code::VersionExists);
    note("another kind", registry.publish(&[&interface]).await, Code::KindDiffers);
    note("an unmet dependency", registry.publish(&[&site(needs("demo:markdown", "^2"))]).await, Code::DependencyUnmet);
    let foreign = Plugin::simple("acme:markdown", "1.0.0");
    note("no namespace", registry.publish_as(&[&foreign], &admin).await, Code::NamespaceUnknown);
    note("another's namespace", registry.publish_as(&[&other], &stranger).await, Code::ScopeMissing);
    insta::assert_snapshot!(text);
    assert_eq!((registry.listing().await, registry.facts().await), (listing, facts));
}

#[tokio::test]
async fn a_minor_release_keeps_what_the_one_before_exports() {
    let registry = Registry::new().await;
    let release =
        |version: &str, exports: &[(&str, &[&str])]| Plugin::of("demo:markdown", version, component(&[], exports));
    let api = "demo:markdown/api@1.0.0";
    registry.publish(&[&release("1.0.0", &[(api, &["render", "toc"])])]).await.ok();
    let mut details = Vec::new();
    for (version, exports) in [
        ("1.0.1", [(api, &["render"][..])]),
        ("1.1.0", [(api, &["render", "toc(u64)"][..])]),
        ("1.1.0", [("demo:markdown/other@1.0.0", &["render", "toc"][..])]),
        ("1.1.0", [("demo:markdown/api@2.0.0", &["render", "toc"][..])]),
    ] {
        let body = registry.publish(&[&release(version, &exports)]).await.refused(Code::ApiBroken);
        details.push(body["detail"].as_str().expect("text").to_owned());
    }
    insta::assert_snapshot!(details.join("\n"));
    // More functions, a newer version of the same track, another interface: all that is free. So is a new major.
    registry.publish(&[&release("1.1.0", &[("demo:markdown/api@1.1.0", &["render", "toc", "new"])])]).await.ok();
    registry.publish(&[&release("1.2.0-rc.1", &[(api, &["other"])])]).await.ok();
    registry.publish(&[&release("2.0.0", &[("demo:markdown/api@2.0.0", &["render"])])]).await.ok();
    registry.publish(&[&release("1.0.1", &[(api, &["render", "toc"])])]).await.ok();
    let body = registry.publish(&[&release("1.2.0", &[(api, &["render", "toc"])])]).await.refused(Code::ApiBroken);
    assert_eq!(body["before"], "1.1.0", "a pre-release promises nothing");
}

#[tokio::test]
async fn a_finish_without_its_uploads_names_the_one_that_is_missing() {
    let registry = Registry::new().await;
    let plugin = markdown();
    let begun = registry.post("/api/v1/publishes", &registry.demo, json!({"releases": [plugin.record]})).await.ok();
    let id = begun["id"].as_str().expect("an id");
    let body = registry.finish(id).await.refused(Code::BlobMissing);
    assert_eq!(body["blob"], plugin.record["artifact"]["digest"]);
    assert_eq!(registry.listing().await, "");
}

#[tokio::test]
async fn a_component_that_is_no_component_leaves_its_upload_and_nothing_else() {
    let registry = Registry::new().await;
    let mut plugin = markdown().with("artifact", json!(BlobRef::of(b"Hello")));
    plugin.wasm = b"Hello".to_vec();
    let begun = registry.post("/api/v1/publishes", &registry.demo, json!({"releases": [plugin.record]})).await.ok();
    for missing in begun["missing"].as_array().expect("a list") {
        registry.upload(missing, &plugin.blob(&missing["digest"])).await;
    }
    let uploads = registry.listing().await;
    registry.finish(begun["id"].as_str().expect("an id")).await.refused(Code::ArtifactNotWasm);
    assert_eq!(registry.listing().await, uploads, "uploads expire within a day");
    assert!(uploads.lines().all(|line| line.starts_with("upload/")), "{uploads}");
}

#[tokio::test]
async fn a_registry_may_take_smaller_components_only() {
    let registry = Registry::with(ApiConfig { max_artifact_bytes: 100, ..ApiConfig::default() }).await;
    let body = registry.publish(&[&markdown()]).await.refused(Code::ArtifactTooLarge);
    assert!(body["detail"].as_str().is_some_and(|detail| detail.ends_with("1 to 100 are accepted")), "{body}");
}
