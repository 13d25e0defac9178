//! Each reason to refuse a component, with the message that its author reads.

use std::error::Error;

use stoa_core::component::{InspectError, InspectLimits, Inspection};

use crate::build::{component, inspect, inspect_wat};

/// The error of `bytes`, which must have one.
fn refusal(bytes: &[u8]) -> InspectError {
    inspect(bytes).expect_err("must be refused")
}

fn message(error: &InspectError) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

/// A section: id, length in LEB128, contents.
fn section(id: u8, contents: &[u8]) -> Vec<u8> {
    let mut bytes = vec![id];
    leb(contents.len(), &mut bytes);
    bytes.extend(contents);
    bytes
}

fn leb(mut number: usize, out: &mut Vec<u8>) {
    loop {
        let low = u8::try_from(number & 0x7f).expect("7 bits");
        number >>= 7;
        if number == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
const MODULE: &[u8] = b"\0asm\x01\0\0\0";

#[test]
fn what_is_not_a_component_is_told_by_its_first_bytes() {
    let cases: [&[u8]; 9] = [
        b"",
        b"\0as",
        b"PK\x03\x04 a zip archive",
        b"(component)",
        b"\n  ;; text\n(component)",
        b"\x7fELF\x02\x01\x01\0",
        MODULE,
        b"\0asm\x0e\0\x01\0",
        b"\0asm\x0d\0",
    ];
    let messages: Vec<_> = cases.iter().map(|bytes| message(&refusal(bytes))).collect();
    insta::assert_snapshot!(messages.join("\n"));
}

#[test]
fn size_is_checked_before_anything_else() {
    let limits = InspectLimits { bytes: 7, ..InspectLimits::default() };
    assert_eq!(Inspection::of(COMPONENT, &limits), Err(InspectError::TooLarge { bytes: 8, max: 7 }));
    // Even of something that is no component.
    assert_eq!(Inspection::of(&[0; 9], &limits), Err(InspectError::TooLarge { bytes: 9, max: 7 }));
}

#[test]
fn ten_thousand_nested_components_are_refused_at_the_limit() {
    let mut bytes = COMPONENT.to_vec();
    for _ in 0..10_000 {
        bytes = [COMPONENT, &section(4, &bytes)].concat();
    }
    let error = InspectError::TooDeep { what: "modules and components", depth: 17, max: 16 };
    assert_eq!(refusal(&bytes), error);
}

#[test]
fn ten_thousand_modules_side_by_side_are_refused_at_the_limit() {
    let bytes = [COMPONENT, &section(1, MODULE).repeat(10_000)].concat();
    let what = "modules, components and instances";
    assert_eq!(refusal(&bytes), InspectError::TooMany { what, count: 2_001, max: 2_000 });
}

#[test]
fn types_nested_in_types_are_refused_before_a_parser_recurses_into_them() {
    // Each level: "the next type is a component type (or an instance type) with 1 declaration, a type".
    for opens in [0x41, 0x42] {
        let mut types = vec![1];
        types.extend([opens, 1, 1].repeat(300_000));
        types.extend([opens, 0]);
        let error = InspectError::TooDeep { what: "types", depth: 17, max: 16 };
        assert_eq!(refusal(&[COMPONENT, &section(7, &types)].concat()), error);
    }
}

#[test]
fn a_data_segment_that_claims_four_gibibytes_is_not_believed() {
    // One active segment at 0 whose length says 4 GiB - 1, with one byte there.
    let data = [1, 0, 0x41, 0, 0x0b, 0xff, 0xff, 0xff, 0xff, 0x0f, 7];
    let module = [MODULE, &section(5, &[1, 0, 1]), &section(11, &data)].concat();
    let bytes = [COMPONENT, &section(1, &module)].concat();
    let message = "unexpected end-of-file".to_owned();
    assert_eq!(refusal(&bytes), InspectError::Invalid { message, offset: bytes.len() - 1 });
}

#[test]
fn a_section_that_claims_four_gibibytes_is_not_believed() {
    let module = [MODULE, &[11, 0xff, 0xff, 0xff, 0xff, 0x0f][..]].concat();
    let InspectError::Invalid { message, .. } = refusal(&[COMPONENT, &section(1, &module)].concat()) else {
        panic!("another error");
    };
    insta::assert_snapshot!(message);
}

#[test]
fn data_within_the_file_is_bounded_too() {
    let bytes =
        wat::parse_str(format!(r#"(component (core module (memory 1) (data (i32.const 0) "{}")))"#, "x".repeat(1000)))
            .expect("well-formed");
    let limits = InspectLimits { data_bytes: 1000, ..InspectLimits::default() };
    // 1000 bytes and 7 that say so.
    let error = InspectError::TooMany { what: "bytes of data segments", count: 1007, max: 1000 };
    assert_eq!(Inspection::of(&bytes, &limits), Err(error));
}

#[test]
fn four_gibibytes_of_initial_memory_are_refused() {
    let error = inspect_wat("(component (core module (memory 65536)))").expect_err("must be refused");
    let (count, max) = (4 << 30, 1 << 30);
    assert_eq!(error, InspectError::TooMany { what: "bytes of initial memory", count, max });
}

#[test]
fn a_huge_table_is_refused() {
    let error = inspect_wat("(component (core module (table 1000001 funcref)))").expect_err("must be refused");
    assert_eq!(error, InspectError::TooMany { what: "initial table elements", count: 1_000_001, max: 1_000_000 });
}

#[test]
fn ten_megabytes_of_wit_are_refused_by_their_size() {
    // A vector of 600,000 types, each a record with one field named by 10 bytes.
    let mut types = Vec::new();
    leb(600_000, &mut types);
    types.extend([&[0x72, 1, 10][..], b"abcdefghij", &[0x7d]].concat().repeat(600_000));
    let error = InspectError::TooMany { what: "bytes of WIT", count: 8_400_003, max: 1024 * 1024 };
    assert_eq!(refusal(&[COMPONENT, &section(7, &types)].concat()), error);
}

#[test]
fn docs_count_as_wit() {
    let name = wit_parser::PackageMetadata::SECTION_NAME;
    let mut contents = vec![u8::try_from(name.len()).expect("short")];
    contents.extend(name.as_bytes());
    contents.extend(vec![b' '; 2 * 1024 * 1024]);
    let error = InspectError::TooMany { what: "bytes of WIT", count: 2 * 1024 * 1024, max: 1024 * 1024 };
    assert_eq!(refusal(&[COMPONENT, &section(0, &contents)].concat()), error);
}

#[test]
fn too_many_types_functions_and_crossings_are_refused_by_count() {
    let types = [&[0xd1, 0x86, 0x03][..], &[0x7d].repeat(50_001)].concat();
    let what = "types in components";
    let error = InspectError::TooMany { what, count: 50_001, max: 50_000 };
    assert_eq!(refusal(&[COMPONENT, &section(7, &types)].concat()), error);

    let limits = InspectLimits { functions: 1, crossings: 0, ..InspectLimits::default() };
    let two = wat::parse_str("(component (core module (func) (func)))").expect("well-formed");
    let error = InspectError::TooMany { what: "functions", count: 2, max: 1 };
    assert_eq!(Inspection::of(&two, &limits), Err(error));

    let what = "functions that cross between components and modules";
    let error = InspectError::TooMany { what, count: 1, max: 0 };
    let lifted = component("package t:t; world w { export f: func(); }");
    assert_eq!(Inspection::of(&lifted, &InspectLimits { functions: 9, ..limits }), Err(error));
}

#[test]
fn a_type_that_doubles_at_each_line_is_refused_when_it_is_defined() {
    let mut text = String::from("(component (type $t0 (tuple u8 u8))");
    for n in 1..18 {
        text += &format!("(type $t{n} (tuple $t{} $t{}))", n - 1, n - 1);
    }
    let error = inspect_wat(&(text + ")")).expect_err("must be refused");
    // Type n has 2^(n + 2) - 1 nodes: the fifteenth is the first with more than 100,000.
    assert_eq!(error, InspectError::TypeTooComplex { name: "type 15".into(), max: 100_000 });
}

#[test]
fn instantiating_something_large_many_times_is_refused() {
    let mut text = String::from("(component (type $t0 (tuple u8 u8))");
    for n in 1..14 {
        text += &format!("(type $t{n} (tuple $t{} $t{}))", n - 1, n - 1);
    }
    text += "(type $f (func (param \"a\" $t13))) (import \"f\" (func $g (type $f)))";
    text += "(component $c (import \"f\" (func (type $f))))";
    text += &"(instance (instantiate $c (with \"f\" (func $g))))".repeat(100);
    let error = inspect_wat(&(text + ")")).expect_err("must be refused");
    // The component's type has 1 node, the function's 1 and the tuple's 2^15 - 1: 31 of them are more than a million.
    let what = "imports, exports and nodes of their types in what it instantiates";
    assert_eq!(error, InspectError::TooMany { what, count: 31 * 32_769, max: 1_000_000 });

    let exports: String = (0..1_000).map(|n| format!("(func (export \"f{n}\"))")).collect();
    let instances = "(core instance (instantiate $m))".repeat(1_001);
    let error =
        inspect_wat(&format!("(component (core module $m {exports}) {instances})")).expect_err("must be refused");
    assert_eq!(error, InspectError::TooMany { what, count: 1_001_000, max: 1_000_000 });
}

#[test]
fn a_long_name_is_refused_wherever_it_stands() {
    let long = "a".repeat(300);
    let start = "a".repeat(80);
    let wats = [
        format!("(component (type (record (field \"{long}\" u8))))"),
        format!("(component (type (enum \"{long}\")))"),
        format!("(component (type (func (param \"{long}\" u8))))"),
        format!("(component (type (instance (export \"{long}\" (func)))))"),
    ];
    for text in wats {
        let error = inspect_wat(&text).expect_err("must be refused");
        assert_eq!(error, InspectError::NameTooLong { start: start.clone(), bytes: 300, max: 256 });
    }
    let error = inspect_wat(&format!("(component (import \"{long}\" (func)))")).expect_err("must be refused");
    assert_eq!(error, InspectError::Name(stoa_core::interface::NameError::Length(start, 300)));
}

#[test]
fn features_that_hosts_do_not_enable_are_named() {
    let cases = [
        "(component (core module (memory i64 1)))",
        "(component (core module (memory 1 1 shared)))",
        "(component (core module (table 1 externref)))",
        "(component (core module (type (struct))))",
        "(component (core module (tag)))",
        "(component (core module (func (param v128) (result v128) local.get 0 local.get 0 i8x16.relaxed_swizzle)))",
        "(component (type (stream u8)))",
        "(component (type (future)))",
        "(component (type (func async)))",
        "(component (type error-context))",
        "(component (type (list u8 4)))",
        "(component (import \"a\" (value u8)))",
        "(component (core module (func i32.const 0 i32.const 0 i32.add)))",
        "(component (import \"a\" (func)) (import \"a\" (func)))",
    ];
    let messages: Vec<_> = cases
        .iter()
        .map(|text| message(&inspect_wat(text).expect_err(text)).replace("(at byte ", "(at byte N|"))
        .map(|line| line.split("N|").next().unwrap_or_default().to_owned())
        .collect();
    insta::assert_snapshot!(messages.join("\n"));
}

#[test]
fn imports_and_exports_that_no_host_can_use_are_refused_by_name() {
    let cases = [
        "(component (import \"m\" (core module)))",
        "(component (import \"c\" (component)))",
        "(component (component $c) (export \"c\" (component $c)))",
        "(component (import \"a:b/c\" (instance (export \"d\" (core module)))))",
        "(component (import \"a:b/c\" (instance (export \"d\" (instance)))))",
        "(component (import \"a:b/c\" (func)))",
        "(component (import \"url=<https://example.com>\" (func)))",
        "(component (import \"locked-dep=<a:b@1.0.0>\" (instance)))",
        "(component (import \"wasi:http/types@0.3.0\" (instance)))",
        "(component (import \"wasi:cli/environment@0.2.0-rc-2023-12-05\" (instance)))",
        "(component (import \"wasi:io/streams\" (instance)))",
    ];
    let messages: Vec<_> = cases.iter().map(|text| message(&inspect_wat(text).expect_err(text))).collect();
    insta::assert_snapshot!(messages.join("\n"));
}

#[test]
fn a_component_that_wit_can_not_express_is_refused_without_a_panic() {
    let cases = [
        // An instance exported under a second name: its resource would appear twice.
        "(component (import \"a:b/c\" (instance $i (export \"r\" (type (sub resource))))) (export \"a:b/d\" (instance $i)))",
        // A method of a resource that another interface defines: an assertion of the decoder fails.
        "(component (import \"a:b/c\" (instance $i (export \"r\" (type (sub resource))))) (alias export $i \"r\" (type $r))
            (import \"a:b/d\" (instance (alias outer 1 $r (type $s)) (export \"q\" (type $q (eq $s)))
                (export \"[method]q.f\" (func (param \"self\" (borrow $q)))))))",
        // A type exported at top level.
        "(component (type $t u8) (export \"t\" (type $t)))",
    ];
    let messages: Vec<_> = cases.iter().map(|text| message(&inspect_wat(text).expect_err(text))).collect();
    insta::assert_snapshot!(messages.join("\n"));
}
