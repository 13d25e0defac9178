//! Who answers an import, and what is refused.

use stoa_core::{
    classify::{ClassifyError, ImportClass, classify},
    component::Inspection,
    manifest::Manifest,
    release::{Export, Import},
};

use crate::build::{inspect_wat, inspect_wit};

/// A manifest with more tables.
fn manifest(more: &str) -> Manifest {
    let about = "[plugin]\nid = \"demo:site\"\nversion = \"1.0.0\"\ndescription = \"A\"\nlicense = \"MIT\"\n";
    Manifest::parse(&format!("manifest = 1\n{about}{more}")).expect("the manifest is sound")
}

/// Imports of every class: the world of a plugin that depends on another, a host, the conventions and WASI.
fn site() -> Inspection {
    inspect_wit(
        "package demo:site@1.0.0;
         world w {
             import demo:markdown/render@1.2.0;
             import acme:fmt/formatter;
             import acme:editor/buffer@1.4.0;
             import acme:geo/types@2.0.0;
             import stoa:plugin/log@0.1.0;
             import wasi:cli/environment@0.2.6;
             export run: func();
         }
         package demo:markdown@1.2.0 {
             interface render {
                 use stoa:plugin/types@0.1.0.{call-error};
                 use acme:geo/types@2.0.0.{point};
                 render: func(text: string, at: point) -> result<string, call-error>;
             }
         }
         package acme:fmt { interface formatter {
             use stoa:plugin/types@0.1.0.{call-error};
             variant error { syntax(u32), call(call-error) }
             format: func(text: string) -> result<string, error>;
         } }
         package acme:editor@1.4.0 { interface buffer {
             resource text { constructor(); length: func() -> u32; }
             insert: func(into: borrow<text>, what: string);
         } }
         package acme:geo@2.0.0 { interface types { record point { x: s32, y: s32 } } }
         package wasi:cli@0.2.6 { interface environment { get-arguments: func() -> list<string>; } }",
    )
}

const DECLARED: &str = "[dependencies]\n\"demo:markdown\" = \"^1\"\n\"demo:pretty\" = { version = \"^1\", for = [\"acme:fmt/formatter\"] }\n[host]\n\"acme:editor\" = \"*\"\n";

fn errors(component: &Inspection, manifest: &Manifest) -> String {
    let errors = classify(component, manifest).expect_err("must be refused");
    let line = |error: &ClassifyError| format!("{error}\n  help: {}", error.hint().unwrap_or_default());
    errors.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn each_import_has_who_answers_it() {
    let classified = classify(&site(), &manifest(DECLARED)).expect("all is declared");
    let lines: Vec<_> =
        classified.imports.iter().map(|i| format!("{} {} {:?}", i.name, i.type_hash, i.class)).collect();
    insta::assert_snapshot!(lines.join("\n"));
    assert_eq!(classified.unused, []);
}

#[test]
fn what_nobody_is_declared_for_is_refused_with_what_to_write() {
    insta::assert_snapshot!(errors(&site(), &manifest("")));
}

#[test]
fn what_is_declared_and_never_imported_is_worth_a_warning() {
    let more = "[dependencies]\n\"demo:unused\" = \"^1\"\n\"demo:markdown\" = { version = \"^1\", for = [\"demo:other/x\"] }\n\
                \"demo:pretty\" = { version = \"^1\", for = [\"acme:fmt/formatter\"] }\n[host]\n\"acme:editor\" = \"*\"\n\"acme:none\" = \"*\"\n";
    let classified = classify(&site(), &manifest(more)).expect("all is declared");
    let lines: Vec<_> = classified.unused.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn another_plugin_s_package_makes_it_a_provider_only_where_it_is_declared_for_the_interface() {
    let component = inspect_wit(
        "package demo:site; world w { import acme:fmt/formatter; }
         package acme:fmt { interface formatter {
             use stoa:plugin/types@0.1.0.{call-error};
             format: func() -> result<_, call-error>;
         } }",
    );
    let both = "[dependencies]\n\"acme:fmt\" = \"^1\"\n\"demo:pretty\" = { version = \"^1\", for = [\"acme:fmt/formatter\"] }\n";
    let pretty = "demo:pretty".parse().expect("an id");
    let classified = classify(&component, &manifest(both)).expect("all is declared");
    assert_eq!(classified.imports[0].class, ImportClass::Dependency(pretty));
    let name = component.imports()[0].name().as_interface().expect("an interface").clone();
    let neither = manifest("[dependencies]\n\"demo:pretty\" = \"^1\"\n");
    assert_eq!(classify(&component, &neither), Err(vec![ClassifyError::Undeclared { name }]));
}

#[test]
fn between_plugins_only_values_cross_and_failure_has_a_place() {
    let component = inspect_wit(
        "package demo:site;
         world w { import acme:blobs/blobs; }
         package acme:blobs { interface blobs {
             use stoa:plugin/types@0.1.0.{call-error};
             resource blob { size: func() -> u32; }
             lend: func(b: borrow<blob>) -> result<u32, call-error>;
             count: func() -> u32;
             sum: func(of: list<u32>) -> result<u64, string>;
             good: func() -> result<u64, call-error>;
         } }",
    );
    insta::assert_snapshot!(errors(&component, &manifest("[dependencies]\n\"acme:blobs\" = \"^1\"\n")));
}

#[test]
fn a_function_without_a_place_for_failure_needs_on_failure_trap() {
    let component = inspect_wit(
        "package demo:site; world w { import acme:sum/sum; }
         package acme:sum { interface sum { sum: func(of: list<u32>) -> u64; } }",
    );
    let plugin: stoa_core::id::PluginId = "acme:sum".parse().expect("an id");
    let name = "acme:sum/sum".parse().expect("a name");
    let error = ClassifyError::NoCallError { name, plugin: plugin.clone(), function: "sum".into() };
    let plain = manifest("[dependencies]\n\"acme:sum\" = \"^1\"\n");
    assert_eq!(classify(&component, &plain), Err(vec![error]));
    let trap = manifest("[dependencies]\n\"acme:sum\" = { version = \"^1\", on-failure = \"trap\" }\n");
    let classes = classify(&component, &trap).map(|c| c.imports.into_iter().map(|i| i.class).collect::<Vec<_>>());
    assert_eq!(classes, Ok(vec![ImportClass::Dependency(plugin)]));
}

#[test]
fn types_of_a_dependency_or_a_convention_need_nobody() {
    let component = inspect_wit(
        "package demo:site;
         world w { import acme:geo/types@1.0.0; import acme:geo/area@1.0.0; import stoa:plugin/types@0.1.0; }
         package acme:geo@1.0.0 {
             interface types { record point { x: s32, y: s32 } }
             interface area {
                 use types.{point};
                 use stoa:plugin/types@0.1.0.{call-error};
                 area: func(of: list<point>) -> result<u64, call-error>;
             }
         }",
    );
    let declared = manifest("[dependencies]\n\"acme:geo\" = \"^1\"\n[build]\ncomponent = \"site.wasm\"\n");
    let classified = classify(&component, &declared).expect("all is declared");
    let record: Vec<_> =
        classified.imports.iter().map(Import::from).map(|i| format!("{} {:?}", i.name, i.from)).collect();
    assert_eq!(
        record,
        ["acme:geo/area@1.0.0 Dependency", "acme:geo/types@1.0.0 Types", "stoa:plugin/types@0.1.0 Types"]
    );
}

#[test]
fn a_resource_alone_does_not_pass_as_an_interface_of_types() {
    let text = "(component (import \"acme:blobs/types\" (instance (export \"blob\" (type (sub resource))))))";
    let component = inspect_wat(text).expect("sound");
    let name = "acme:blobs/types".parse().expect("a name");
    assert_eq!(classify(&component, &manifest("")), Err(vec![ClassifyError::Undeclared { name }]));
    insta::assert_snapshot!(errors(&component, &manifest("[dependencies]\n\"acme:blobs\" = \"^1\"\n")));
}

#[test]
fn imports_that_only_look_like_conventions_are_refused() {
    let cases = [
        "(component (import \"stoa:plugin/log@0.1.0\" (instance (export \"log\" (func (param \"text\" string))))))",
        "(component (import \"stoa:plugin/log@0.2.0\" (instance)))",
        "(component (import \"stoa:plugin/lifecycle@0.1.0\" (instance)))",
        "(component (import \"stoa:secrets/all@0.1.0\" (instance)))",
        "(component (import \"shout\" (func)))",
    ];
    let found: Vec<_> = cases.iter().map(|text| errors(&inspect_wat(text).expect(text), &manifest(""))).collect();
    insta::assert_snapshot!(found.join("\n"));
}

#[test]
fn a_plain_type_needs_nobody() {
    let component =
        inspect_wat("(component (type $t (record (field \"a\" u8))) (import \"t\" (type (eq $t))))").expect("sound");
    assert_eq!(classify(&component, &manifest("")).map(|c| c.imports), Ok(Vec::new()));
}

#[test]
fn a_later_patch_of_the_conventions_stands_in_for_this_one() {
    let text =
        "(component (import \"stoa:plugin/config@0.1.7\" (instance (export \"keys\" (func (result (list string)))))))";
    let classified = classify(&inspect_wat(text).expect("sound"), &manifest("")).expect("a convention");
    assert_eq!(classified.imports[0].class, ImportClass::Convention);
}

#[test]
fn hooks_that_a_host_could_not_call_are_refused() {
    let sound = inspect_wit(
        "package demo:site; world w { export stoa:plugin/lifecycle@0.1.0; export stoa:plugin/health@0.1.0; }",
    );
    assert_eq!(classify(&sound, &manifest("")).map(|c| c.imports), Ok(Vec::new()));
    let half = inspect_wat(
        "(component (core module $m (func (export \"f\"))) (core instance $i (instantiate $m))
            (func $f (canon lift (core func $i \"f\"))) (instance $h (export \"shutdown\" (func $f)))
            (export \"stoa:plugin/lifecycle@0.1.0\" (instance $h)))",
    )
    .expect("sound");
    insta::assert_snapshot!(errors(&half, &manifest("")));
}

#[test]
fn a_record_lists_exported_functions_beside_interfaces() {
    let component =
        inspect_wit("package demo:site; interface api { f: func(); } world w { export api; export render: func(); }");
    let exports: Vec<_> =
        component.exports().iter().filter_map(Export::of).map(|export| export.name.to_string()).collect();
    assert_eq!(exports, ["demo:site/api", "render"]);
}
