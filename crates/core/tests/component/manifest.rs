//! Manifests: one that says everything, and files named for their flaw.

use stoa_core::{
    manifest::{Dependency, MAX_BYTES, Manifest},
    release::OnFailure,
};

/// What a reader of the message sees.
fn complaints(text: &str) -> String {
    let error = Manifest::parse(text).expect_err("the manifest must be refused");
    error.problems().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

macro_rules! refused {
    ($($test:ident: $file:literal,)*) => {$(
        #[test]
        fn $test() {
            insta::assert_snapshot!(complaints(include_str!(concat!("manifests/", $file))));
        }
    )*};
}

refused! {
    unknown_keys_are_named_with_line_table_and_the_nearest_key: "unknown-keys.toml",
    values_of_another_type_are_named: "wrong-types.toml",
    values_out_of_bounds_are_named_with_their_bound: "out-of-bounds.toml",
    an_interface_has_nothing_to_run: "interface.toml",
    what_is_not_toml_is_told_by_line: "not-toml.toml",
    an_empty_file_lacks_all_that_is_required: "empty.toml",
    a_plugin_does_not_depend_on_itself: "itself.toml",
}

#[test]
fn a_manifest_that_says_everything_is_read_whole() {
    let manifest = Manifest::parse(include_str!("manifests/whole.toml")).expect("the manifest is sound");
    insta::assert_snapshot!(format!("{manifest:#?}"));
}

#[test]
fn the_shortest_manifest_has_four_keys() {
    let text = "manifest = 1\n[plugin]\nid = \"demo:a\"\nversion = \"1.0.0\"\ndescription = \"A\"\nlicense = \"MIT\"\n";
    let manifest = Manifest::parse(text).expect("the manifest is sound");
    assert_eq!(manifest.plugin().id.to_string(), "demo:a");
    assert!(manifest.dependencies().is_empty() && manifest.capabilities().is_empty() && manifest.config().is_empty());
}

#[test]
fn the_manifests_of_the_examples_are_sound() {
    let examples = [
        include_str!("../../../../examples/plugins/markdown/plugin.toml"),
        include_str!("../../../../examples/plugins/slugify/plugin.toml"),
        include_str!("../../../../examples/plugins/site/plugin.toml"),
    ];
    for text in examples {
        assert_eq!(Manifest::parse(text).err(), None);
    }
}

#[test]
fn a_huge_manifest_is_refused_before_it_is_read() {
    let text = "#".repeat(MAX_BYTES + 1);
    assert_eq!(complaints(&text), "line 1: the manifest has 65537 bytes: at most 65536 are allowed");
}

#[test]
fn too_many_dependencies_are_refused() {
    let mut text = String::from("manifest = 1\n[dependencies]\n");
    for n in 0..65 {
        text += &format!("\"demo:a{n}\" = \"*\"\n");
    }
    assert!(complaints(&text).contains("line 2: `dependencies` has 65 entries: at most 64 are allowed"));
}

#[test]
fn a_dependency_is_written_short_or_long() {
    let short: Dependency = serde_json::from_str("\"^1\"").expect("short form");
    let long: Dependency = serde_json::from_str("{\"version\": \"^1\"}").expect("long form");
    assert_eq!(short, long);
    let text = "{\"version\":\"^1\",\"optional\":true,\"for\":[\"demo:fmt/check\"],\"on-failure\":\"trap\"}";
    let whole: Dependency = serde_json::from_str(text).expect("long form");
    assert_eq!((whole.optional, whole.on_failure), (true, OnFailure::Trap));
    assert_eq!(serde_json::to_string(&whole).ok().as_deref(), Some(text));
}

proptest::proptest! {
    #[test]
    fn a_changed_manifest_never_panics(at in 0_usize..1200, byte in 0_u8..128) {
        let mut bytes = include_bytes!("manifests/whole.toml").to_vec();
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(text) = String::from_utf8(bytes)
            && let Err(error) = Manifest::parse(&text)
        {
            proptest::prop_assert!(!error.problems().is_empty());
            proptest::prop_assert!(error.problems().is_sorted_by_key(|problem| problem.line));
        }
    }
}
