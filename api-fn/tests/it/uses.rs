//! A caller is published only where its dependencies export what it calls.

use serde_json::json;
use stoa_api::problem::Code;

use crate::support::{Plugin, Registry, component};

const API: &str = "demo:markdown/api@1.0.0";

fn markdown(version: &str, exports: &[(&str, &[&str])]) -> Plugin {
    Plugin::of("demo:markdown", version, component(&[], exports))
}

/// `demo:site` 1.0.0, which calls these functions of an interface: `name()` or `name(u64)`.
fn site(requirement: &str, interface: &str, functions: &[&str]) -> Plugin {
    let member = |function: &&str| {
        let (name, parameter) = function.split_once('(').unwrap_or((function, ""));
        let parameter = if parameter.is_empty() { "" } else { "(param \"x\" u64)" };
        format!("(export \"{name}\" (func {parameter} (result u32)))")
    };
    let members: String = functions.iter().map(member).collect();
    let text = format!("(component (import \"{interface}\" (instance {members})))");
    let mut plugin = Plugin::of("demo:site", "1.0.0", wat::parse_str(&text).expect("a component"));
    plugin.record["imports"][0]["from"] = json!("dependency");
    plugin.with("dependencies", json!({"demo:markdown": {"version": requirement, "on_failure": "trap"}}))
}

#[tokio::test]
async fn a_caller_of_one_function_of_two_is_published() {
    let registry = Registry::new().await;
    registry.publish(&[&markdown("1.0.0", &[(API, &["render", "toc"])])]).await.ok();
    registry.publish(&[&site("^1", API, &["render"])]).await.ok();
}

#[tokio::test]
async fn a_function_that_no_release_exports_as_it_is_called_is_named() {
    let registry = Registry::new().await;
    registry.publish(&[&markdown("1.0.0", &[(API, &["render"])])]).await.ok();
    registry.publish(&[&markdown("1.1.0", &[("demo:markdown/api@1.1.0", &["render", "toc"])])]).await.ok();
    let before = registry.listing().await;
    let mut details = Vec::new();
    for plugin in [
        site("^1", API, &["index"]),
        site("^1", API, &["render(u64)"]),
        site("^1", "demo:markdown/api@1.2.0", &["render"]),
        site("^1", "demo:markdown/other@1.0.0", &["render"]),
        site("=1.0.0", API, &["toc"]),
    ] {
        let body = registry.publish(&[&plugin]).await.refused(Code::DependencyTypesDiffer);
        details.push(format!("{}\n  {} {}", body["detail"], body["interface"], body["function"]));
    }
    insta::assert_snapshot!(details.join("\n"));
    assert_eq!(registry.listing().await, before);
    // The newer release of the same track serves older imports with what it added.
    registry.publish(&[&site("^1", API, &["toc"])]).await.ok();
}

#[tokio::test]
async fn one_release_that_meets_the_requirement_is_enough() {
    let registry = Registry::new().await;
    registry.publish(&[&markdown("1.0.0", &[(API, &["render"])])]).await.ok();
    registry.publish(&[&markdown("2.0.0", &[("demo:markdown/api@2.0.0", &["other"])])]).await.ok();
    registry.publish(&[&site(">=1", API, &["render"])]).await.ok();
}

#[tokio::test]
async fn a_release_of_the_same_set_counts() {
    let registry = Registry::new().await;
    registry.publish(&[&markdown("1.0.0", &[(API, &["render"])])]).await.ok();
    let newer = markdown("1.1.0", &[(API, &["render", "toc"])]);
    let body = registry.publish(&[&site("^1", API, &["index"]), &newer]).await.refused(Code::DependencyTypesDiffer);
    assert_eq!(
        body["detail"],
        "`demo:site` 1.0.0 calls `index` of `demo:markdown/api@1.0.0`, which `demo:markdown` 1.1.0, the newest release \
         that meets ^1, does not export"
    );
    registry.publish(&[&site("^1", API, &["toc"]), &newer]).await.ok();
}

#[tokio::test]
async fn types_alone_need_no_export_and_are_nobodys() {
    let registry = Registry::new().await;
    registry.publish(&[&markdown("1.0.0", &[(API, &["render"])])]).await.ok();
    let text = "(component (import \"demo:markdown/types@1.0.0\"
        (instance (type $p (record (field \"x\" u8))) (export \"p\" (type (eq $p))))))";
    let mut plugin = Plugin::of("demo:site", "1.0.0", wat::parse_str(text).expect("a component"))
        .with("dependencies", json!({"demo:markdown": {"version": "^1"}}));
    plugin.record["imports"][0]["from"] = json!("dependency");
    let body = registry.publish(&[&plugin]).await.refused(Code::ImportUnclassified);
    assert_eq!(
        body["detail"],
        "the record of `demo:site` 1.0.0 says that a dependency answers the import `demo:markdown/types@1.0.0`; by its \
         name and the dependencies it is nobody (it is types alone)"
    );
    plugin.record["imports"][0]["from"] = json!("types");
    registry.publish(&[&plugin]).await.ok();
}

#[tokio::test]
async fn a_function_at_top_level_stands_in_the_record() {
    let registry = Registry::new().await;
    let text = "(component (core module $m (func (export \"f\"))) (core instance $i (instantiate $m))
        (func $f (canon lift (core func $i \"f\"))) (export \"render\" (func $f)))";
    let plugin = Plugin::of("demo:markdown", "1.0.0", wat::parse_str(text).expect("a component"));
    assert_eq!(plugin.record["exports"][0]["name"], "render");
    let mut silent = plugin.clone();
    silent.record.as_object_mut().expect("an object").remove("exports");
    let body = registry.publish(&[&silent]).await.refused(Code::ExportsDiffer);
    assert_eq!(
        body["detail"],
        "the component of `demo:markdown` 1.0.0 exports `render`, which its record does not list"
    );
    registry.publish(&[&plugin]).await.ok();
}
