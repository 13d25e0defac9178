//! The WIT that this crate carries, and the WIT that components carry.

use stoa_core::{
    component::{CallError, ComponentKind, ExternShape},
    interface::STOA_PLUGIN_WIT,
};

use crate::build::{inspect, inspect_wit, package};

#[test]
fn the_conventions_hold_the_interfaces_that_the_loader_looks_for() {
    let inspection = inspect(&package(STOA_PLUGIN_WIT)).expect("the package is sound");
    assert_eq!(inspection.kind(), ComponentKind::WitPackage);
    let lines: Vec<_> = inspection.exports().iter().map(|e| format!("{} {}", e.name(), e.type_hash())).collect();
    insta::assert_snapshot!(lines.join("\n"));
    for export in inspection.exports() {
        let ExternShape::Interface(interface) = export.shape() else { panic!("{} is no interface", export.name()) };
        assert!(interface.is_bridge_safe(), "{}", export.name());
    }
}

#[test]
fn call_error_is_known_by_its_structure() {
    let inspection = inspect_wit(
        "package demo:a;
         interface calls {
             use stoa:plugin/types@0.1.0.{call-error};
             variant own-error { bad(string), call(call-error) }
             variant misnamed { failed(call-error) }
             whole: func() -> result<string, call-error>;
             case: func() -> result<string, own-error>;
             other-name: func() -> result<string, misnamed>;
             ok-side: func() -> result<call-error, string>;
             bare: func() -> call-error;
             none: func();
         }
         world w { export calls; }",
    );
    let export = &inspection.exports()[0];
    let found: Vec<_> = export.functions().map(|(name, f)| (name, f.call_error())).collect();
    let expected = [
        ("bare", None),
        ("case", Some(CallError::Case)),
        ("none", None),
        ("ok-side", None),
        ("other-name", None),
        ("whole", Some(CallError::Whole)),
    ];
    assert_eq!(found, expected.map(|(name, error)| (name.to_owned(), error)));
}

#[test]
fn a_component_s_wit_is_printed_with_the_packages_it_uses() {
    let inspection = inspect_wit(
        "package demo:a@1.2.0;
         interface render { use stoa:plugin/types@0.1.0.{call-error}; render: func(text: string) -> result<string, call-error>; }
         world w { import wasi:cli/environment@0.2.6; export render; export plain: func(a: u8); }
         package wasi:cli@0.2.6 { interface environment { get-arguments: func() -> list<string>; } }",
    );
    insta::assert_snapshot!(inspection.wit());
    assert_eq!(inspection.tracks(), ["wasi:0.2"]);
    assert_eq!(inspection.kind(), ComponentKind::Component);
}
