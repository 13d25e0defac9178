//! What hashes depend on, what they do not, and what may cross between plugins.

use stoa_core::component::{ExternShape, InterfaceShape};

use crate::build::{inspect, inspect_wat, inspect_wit, package};

/// The one interface of a package made of `body`.
fn interface(body: &str) -> InterfaceShape {
    let inspection = inspect(&package(&format!("package t:t@1.0.0; interface i {{ {body} }}"))).expect("sound");
    let ExternShape::Interface(interface) = inspection.exports()[0].shape() else { panic!("no interface") };
    interface.clone()
}

#[test]
fn a_hash_does_not_change_from_release_to_release() {
    let cases = [
        ("f: func();", "empty function"),
        ("f: func(a: u8, b: list<string>) -> option<tuple<char, f64>>;", "anonymous types"),
        ("record r { a: u8, b: string } enum e { x, y } flags g { p, q } f: func(r: r) -> result<e, g>;", "named"),
        ("variant v { a, b(u32) } type t = list<v>; f: func() -> result<_, t>;", "alias and result without value"),
        ("resource res { constructor(a: u8); read: func() -> list<u8>; make: static func() -> res; }", "resource"),
    ];
    let lines: Vec<_> = cases.iter().map(|(body, what)| format!("{} {what}", interface(body).hash())).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn order_of_declaration_and_docs_do_not_count() {
    let one = interface("record r { a: u8 } enum e { x } f: func(r: r) -> e; g: func();");
    let two = interface("/// Docs.\n g: func(); enum e { x } f: func(r: r) -> e; /// More.\n record r { a: u8 }");
    assert_eq!(one.hash(), two.hash());
}

#[test]
fn the_version_of_the_package_does_not_count_and_neither_does_that_of_packages_it_uses() {
    let of = |version: &str, used: &str| {
        let text = format!(
            "package t:t@{version}; interface i {{ use u:u/i@{used}.{{r}}; f: func() -> r; }}
             package u:u@{used} {{ interface i {{ record r {{ a: u8 }} }} }}"
        );
        inspect(&package(&text)).expect("sound").exports()[0].type_hash()
    };
    assert_eq!(of("1.0.0", "1.0.0"), of("1.4.2", "2.0.0"));
}

#[test]
fn every_part_of_a_structure_counts() {
    let base = "record r { a: u8, b: u8 } variant v { x, y(u8) } f: func(p: r) -> v;";
    let changes = [
        ("b: u8 }", "b: u16 }"),
        ("a: u8, b: u8", "b: u8, a: u8"),
        ("a: u8,", "c: u8,"),
        ("x, y(u8)", "x, y"),
        ("x, y(u8)", "y(u8), x"),
        ("x, y(u8)", "x, y(u8), z"),
        ("(p: r)", "(q: r)"),
        ("(p: r)", "(p: option<r>)"),
        (" -> v;", ";"),
        ("f: func", "g: func"),
        ("f: func", "e: func(); f: func"),
    ];
    let mut hashes = vec![interface(base).hash()];
    hashes.extend(changes.map(|(from, to)| interface(&base.replace(from, to)).hash()));
    let count = hashes.len();
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), count, "two of the structures have one hash");
}

#[test]
fn an_import_that_uses_part_of_an_interface_is_satisfied_by_the_whole() {
    let whole = interface("record r { a: u8 } f: func(r: r); g: func(); h: func();");
    let part = interface("record r { a: u8 } f: func(r: r);");
    let changed = interface("record r { a: u16 } f: func(r: r); k: func();");
    assert_ne!(whole.hash(), part.hash());
    assert_eq!(part.missing_from(&whole), Vec::<&str>::new());
    assert_eq!(whole.missing_from(&part), ["g", "h"]);
    assert_eq!(changed.missing_from(&whole), ["f", "k"]);
}

#[test]
fn only_values_cross_between_plugins_and_the_blocker_is_named() {
    let shape = interface(
        "resource blob { constructor(); read: func() -> u8; count: static func() -> u32; }
         record holder { inner: list<option<own-blob>> }
         type own-blob = blob;
         plain: func(a: list<tuple<string, u32>>) -> result<f64, string>;
         takes: func(b: borrow<blob>);
         nested: func(h: holder);",
    );
    let found: Vec<_> = shape.functions().iter().map(|(name, f)| (name.as_str(), f.blocker())).collect();
    let expected = [
        ("[constructor]blob", Some("own<blob>")),
        ("[method]blob.read", Some("borrow<blob>")),
        ("[static]blob.count", Some("resource blob")),
        ("nested", Some("own<blob>")),
        ("plain", None),
        ("takes", Some("borrow<blob>")),
    ];
    assert_eq!(found, expected);
    assert_eq!(shape.resources(), ["blob", "own-blob"]);
    assert!(!shape.is_bridge_safe());
    assert!(interface("plain: func() -> string;").is_bridge_safe());
}

#[test]
fn imports_and_exports_are_listed_by_name_with_what_they_are() {
    let inspection = inspect_wit(
        "package t:t@1.0.0;
         interface zebra { f: func() -> u8; }
         interface apple { record r { a: u8 } g: func() -> r; }
         world w { import zebra; import apple; import host-log: func(a: string); export zebra; export run: func(); }",
    );
    let names = |externs: &[stoa_core::component::Extern]| -> Vec<String> {
        externs.iter().map(|e| e.name().to_string()).collect()
    };
    assert_eq!(names(inspection.imports()), ["t:t/apple@1.0.0", "t:t/zebra@1.0.0", "host-log"]);
    assert_eq!(names(inspection.exports()), ["t:t/zebra@1.0.0", "run"]);
    let zebra = inspection.exports()[0].name().clone();
    let imported = inspection.imports().iter().find(|import| *import.name() == zebra).map(|i| i.type_hash());
    assert_eq!(inspection.export(&zebra).map(|export| export.type_hash()), imported);
}

#[test]
fn counts_include_nested_modules_and_components() {
    let inspection = inspect_wat(
        r#"(component
            (core module (type (func)) (memory 2) (table 5 funcref) (func (type 0)) (func (type 0)) (data (i32.const 0) "abc"))
            (component (core module (memory 1)) (component)))"#,
    )
    .expect("sound");
    let counts = inspection.counts();
    let found = (counts.modules, counts.components, counts.depth, counts.functions, counts.types);
    assert_eq!(found, (2, 3, 3, 2, 1));
    assert_eq!((counts.initial_memory, counts.table_elements), (3 * 64 * 1024, 5));
    // Count, flags, offset expression (3 bytes), length, "abc".
    assert_eq!(counts.data_bytes, 1 + 1 + 3 + 1 + 3);
}

#[test]
fn name_and_version_come_from_the_component_s_own_metadata() {
    let mut bytes = wat::parse_str("(component $demo (core module $inner))").expect("well-formed");
    // A custom section (id 0): length, name length, name, contents.
    bytes.extend(b"\x00\x0d\x07version1.2.3");
    let inspection = inspect(&bytes).expect("sound");
    assert_eq!((inspection.name(), inspection.version()), (Some("demo"), Some("1.2.3")));
    let plain = inspect_wat("(component (core module $inner))").expect("sound");
    assert_eq!((plain.name(), plain.version()), (None, None));
}
