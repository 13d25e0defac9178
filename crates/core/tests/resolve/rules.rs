//! What is chosen, and what an answer says of it.

use std::collections::BTreeSet;

use stoa_core::{
    id::PluginId,
    lock::Exact,
    release::OnFailure,
    resolve::{Bar, Change, Diff, Known, Mode, Source, reachable},
};

use crate::world::{World, names, options, parse, wishes};

const SITE: &str = "
demo:site 1.0.0
    needs demo:markdown ^1
    needs demo:slugify ^0.2 trap
    imports demo:markdown/render@1.0.0 a
    imports demo:slugify/slug@0.2.0 b
demo:markdown 1.0.0
    exports demo:markdown/render@1.0.0 a
demo:markdown 1.1.0
    exports demo:markdown/render@1.1.0 a
demo:slugify 0.2.1
    exports demo:slugify/slug@0.2.0 b
demo:slugify 0.3.0
    exports demo:slugify/slug@0.3.0 b
";

#[test]
fn plugins_come_in_load_order_in_the_newest_versions_that_do() {
    let chosen = World::of(SITE).chosen("demo:site ^1");
    assert_eq!(chosen.last().map(String::as_str), Some("demo:site@1.0.0"));
    assert_eq!(
        BTreeSet::from_iter(chosen),
        BTreeSet::from(["demo:markdown@1.1.0", "demo:site@1.0.0", "demo:slugify@0.2.1"].map(str::to_owned))
    );
}

#[test]
fn an_edge_names_the_exact_import_and_export() {
    let resolution = World::of(SITE).resolve("demo:site ^1", None, Mode::Keep).expect("a resolution");
    let site = resolution.plugins.iter().find(|plugin| plugin.id == parse("demo:site")).expect("the site");
    let edges: Vec<_> = site
        .edges
        .iter()
        .map(|edge| {
            let bindings: Vec<_> = edge.bindings.iter().map(|b| format!("{} <- {}", b.import, b.export)).collect();
            (edge.dependency.to_string(), bindings.join(", "), edge.on_failure)
        })
        .collect();
    assert_eq!(
        edges,
        [
            (
                "demo:markdown".to_owned(),
                "demo:markdown/render@1.0.0 <- demo:markdown/render@1.1.0".to_owned(),
                OnFailure::Value
            ),
            (
                "demo:slugify".to_owned(),
                "demo:slugify/slug@0.2.0 <- demo:slugify/slug@0.2.0".to_owned(),
                OnFailure::Trap
            ),
        ]
    );
}

#[test]
fn an_export_of_the_same_name_wins_over_a_higher_one() {
    let world = World::of(
        "
demo:a 1.0.0
    needs demo:b ^1
    imports demo:b/x@1.0.0 a
demo:b 1.0.0
    exports demo:b/x@1.0.0 c
    exports demo:b/x@1.1.0 a
",
    );
    let resolution = world.resolve("demo:a *", None, Mode::Keep).expect("a resolution");
    let bindings: Vec<_> = resolution.plugins.iter().flat_map(|p| &p.edges).flat_map(|e| &e.bindings).collect();
    assert_eq!(bindings.iter().map(|b| b.export.to_string()).collect::<Vec<_>>(), ["demo:b/x@1.0.0"]);
}

#[test]
fn another_namespace_s_interface_is_bound_only_where_the_caller_says_for() {
    let provider = "
acme:fast 1.0.0
    exports acme:fmt/formatter@1.0.0 a
";
    let said = World::of(&format!(
        "demo:a 1.0.0\n    needs acme:fast ^1 for=acme:fmt/formatter\n    imports acme:fmt/formatter@1.0.0 a\n{provider}"
    ));
    assert_eq!(said.chosen("demo:a *"), ["acme:fast@1.0.0", "demo:a@1.0.0"]);
    let unsaid =
        World::of(&format!("demo:a 1.0.0\n    needs acme:fast ^1\n    imports acme:fmt/formatter@1.0.0 a\n{provider}"));
    let message = unsaid.failure("demo:a *").to_string();
    assert!(
        message.contains("it imports acme:fmt/formatter@1.0.0, and none of its dependencies provides that"),
        "{message}"
    );
}

#[test]
fn a_caller_of_one_function_out_of_two_is_answered_by_the_whole_interface() {
    // The toolchain dropped a function from the import, so that it has another hash than any export.
    let world = World::of(
        "
demo:a 1.0.0
    needs demo:b ^1
    imports demo:b/x@1.0.0 a
demo:b 1.0.0
    exports demo:b/x@1.0.0 c
",
    );
    assert_eq!(world.chosen("demo:a *"), ["demo:b@1.0.0", "demo:a@1.0.0"]);
}

#[test]
fn an_import_of_types_alone_needs_no_export_and_no_host() {
    let world = World::of(
        "
demo:a 1.0.0
    needs demo:b ^1
    types demo:b/types@1.0.0
    types acme:geo/types@1.0.0
    types stoa:plugin/types@0.1.0
demo:b 1.0.0
",
    );
    assert_eq!(world.chosen("demo:a *"), ["demo:b@1.0.0", "demo:a@1.0.0"]);
}

#[test]
fn a_function_added_in_a_minor_version_keeps_older_callers() {
    let world = World::of(
        "
demo:a 1.0.0
    needs demo:b ^1
    imports demo:b/x@1.0.0 a
demo:b 1.0.0
    exports demo:b/x@1.0.0 a
demo:b 1.1.0
    exports demo:b/x@1.1.0 c
demo:b 1.2.0
",
    );
    assert_eq!(world.chosen("demo:a *"), ["demo:b@1.1.0", "demo:a@1.0.0"]);
}

#[test]
fn among_higher_exports_one_with_the_very_types_of_the_import_wins() {
    let world = World::of(
        "
demo:a 1.0.0
    needs demo:b ^1
    imports demo:b/x@1.0.0 a
demo:b 1.0.0
    exports demo:b/x@1.1.0 a
    exports demo:b/x@1.2.0 c
    exports demo:b/x@2.0.0 a
",
    );
    let resolution = world.resolve("demo:a *", None, Mode::Keep).expect("a resolution");
    let bindings: Vec<_> = resolution.plugins.iter().flat_map(|p| &p.edges).flat_map(|e| &e.bindings).collect();
    assert_eq!(bindings.iter().map(|b| b.export.to_string()).collect::<Vec<_>>(), ["demo:b/x@1.1.0"]);
}

#[test]
fn the_solver_goes_back_where_the_newest_versions_do_not_fit_together() {
    let world = World::of(
        "
demo:a 2.0.0
    needs demo:c ^2
demo:a 1.0.0
    needs demo:c ^1
demo:b 1.0.0
    needs demo:c ^1
demo:c 1.5.0
demo:c 2.0.0
",
    );
    assert_eq!(
        BTreeSet::from_iter(world.chosen("demo:a *\ndemo:b *")),
        BTreeSet::from(["demo:a@1.0.0", "demo:b@1.0.0", "demo:c@1.5.0"].map(str::to_owned))
    );
}

#[test]
fn prereleases_are_chosen_only_where_named() {
    let world = World::of("demo:a 1.0.0\ndemo:a 1.1.0-rc.1\ndemo:a 2.0.0-beta.1");
    assert_eq!(world.chosen("demo:a *"), ["demo:a@1.0.0"]);
    assert_eq!(world.chosen("demo:a ^1"), ["demo:a@1.0.0"]);
    assert_eq!(world.chosen("demo:a >=1.1.0-rc.1, <2"), ["demo:a@1.1.0-rc.1"]);
    assert_eq!(world.chosen("demo:a =2.0.0-beta.1"), ["demo:a@2.0.0-beta.1"]);
}

#[test]
fn a_host_answers_by_version_and_track() {
    let world = World::of(
        "
offers acme:web/kv@1.4.0 a
offers stoa:plugin/log@0.1.0
offers-track wasi:0.2
demo:a 1.0.0
    host acme:web/kv@1.3.0 b
    track wasi:0.2
    convention stoa:plugin/log@0.1.0
demo:a 1.2.0
    host acme:web/kv@1.5.0 a
demo:a 1.3.0
    track wasi:0.3
demo:a 1.4.0
    host acme:web/http@1.0.0 a
demo:a 1.5.0
    convention stoa:plugin/log@0.9.0
",
    );
    assert_eq!(world.chosen("demo:a *"), ["demo:a@1.0.0"]);
}

#[test]
fn an_optional_dependency_brings_nothing_in() {
    let world = World::of(
        "demo:a 1.0.0\n    needs demo:b ^1 optional\n    imports demo:b/x@1.0.0 a\ndemo:b 1.0.0\n    exports demo:b/x@1.0.0 a\n",
    );
    assert_eq!(world.chosen("demo:a *"), ["demo:a@1.0.0"]);
    assert_eq!(world.chosen("demo:a *\ndemo:b *"), ["demo:b@1.0.0", "demo:a@1.0.0"]);
}

#[test]
fn an_optional_dependency_that_is_there_must_fit() {
    let world = World::of(
        "demo:a 1.0.0\n    needs demo:b ^1 optional\ndemo:b 1.0.0\ndemo:b 2.0.0\ndemo:c 1.0.0\n    needs demo:b *",
    );
    assert_eq!(world.chosen("demo:a *\ndemo:c *").first().map(String::as_str), Some("demo:b@1.0.0"));
    assert_eq!(world.chosen("demo:c *").first().map(String::as_str), Some("demo:b@2.0.0"));
}

#[test]
fn an_optional_wish_is_left_out_only_where_nothing_grants_it() {
    let world = World::of(
        "
demo:a 2.0.0
    needs demo:c ^2
demo:a 1.0.0
    needs demo:c ^1
demo:b 1.0.0
    needs demo:c ^1
demo:c 1.0.0
demo:c 2.0.0
",
    );
    let both =
        world.resolve("demo:a *\ndemo:b { version = \"*\", optional = true }", None, Mode::Keep).expect("a resolution");
    assert_eq!(
        BTreeSet::from_iter(names(&both)),
        BTreeSet::from(["demo:a@1.0.0", "demo:b@1.0.0", "demo:c@1.0.0"].map(str::to_owned))
    );
    let one = world
        .resolve("demo:a ^2\ndemo:b { version = \"*\", optional = true }", None, Mode::Keep)
        .expect("a resolution");
    assert_eq!(names(&one), ["demo:c@2.0.0", "demo:a@2.0.0"]);
    let left_out: Vec<_> = one.left_out.iter().map(|l| format!("{}: {}", l.id, l.why)).collect();
    insta::assert_snapshot!(left_out.join("\n"));
}

#[test]
fn a_plugin_that_is_not_enabled_is_not_resolved() {
    let world = World::of("demo:a 1.0.0");
    assert_eq!(world.chosen("demo:a *\ndemo:b { version = \"*\", enabled = false }"), ["demo:a@1.0.0"]);
}

#[test]
fn a_plugin_from_a_folder_comes_from_the_caller_and_is_in_no_lock() {
    let world = World::of("demo:a 1.0.0-dev\n    needs demo:b ^1\ndemo:b 1.0.0");
    let wanted = "demo:a { path = \"../a\" }";
    let resolution = world.resolve(wanted, None, Mode::Keep).expect("a resolution");
    let sources: Vec<_> = resolution.plugins.iter().map(|p| p.source.clone()).collect();
    assert_eq!(sources, [Source::Registry(parse("main")), Source::Path("../a".into())]);
    let lock = resolution.lock(world.header());
    assert_eq!(lock.entries.keys().map(PluginId::to_string).collect::<Vec<_>>(), ["demo:b"]);
    let again = world.resolve(wanted, Some(&lock), Mode::Locked).expect("the lock fits");
    assert_eq!((names(&again), again.diff.is_empty()), (names(&resolution), true));
}

#[test]
fn the_difference_to_the_lock_is_named() {
    let world = World::of("demo:a 1.0.0\ndemo:a 1.1.0\ndemo:b 1.0.0\ndemo:c 1.0.0");
    let lock = world.lock("demo:a =1.0.0\ndemo:b *");
    let resolution = world.resolve("demo:a ^1.1\ndemo:c *", Some(&lock), Mode::Keep).expect("a resolution");
    let exact = |text: &str| parse::<Exact>(text);
    assert_eq!(
        resolution.diff,
        Diff {
            added: vec![exact("demo:c@1.0.0")],
            removed: vec![exact("demo:b@1.0.0")],
            changed: vec![Change { id: parse("demo:a"), from: parse("1.0.0"), to: parse("1.1.0") }],
        }
    );
}

#[test]
fn documents_are_named_level_by_level() {
    let world = World::of(
        "
demo:a 1.0.0
    needs demo:b ^1
    needs demo:z ^1 optional
demo:a 2.0.0
    needs demo:old *
demo:b 1.0.0
    needs demo:c ^1
demo:b 2.0.0
    needs demo:d ^1
demo:b 1.1.0 yanked broken
    needs demo:e ^1
demo:c 1.0.0
",
    );
    let (wanted, mut documents, mut levels) = (wishes("demo:a ^1"), Default::default(), Vec::new());
    loop {
        let missing = reachable(&wanted, None, &documents);
        if missing.is_empty() {
            break;
        }
        levels.push(missing.iter().map(PluginId::to_string).collect::<Vec<_>>());
        documents.extend(missing.into_iter().map(|id| {
            let known = world.documents.get(&id).cloned().unwrap_or(Known::Absent);
            (id, known)
        }));
    }
    assert_eq!(levels, [["demo:a"], ["demo:b"], ["demo:c"]]);
}

#[test]
fn a_lock_names_all_documents_in_one_round() {
    let world =
        World::of("demo:a 1.0.0\n    needs demo:b ^1\ndemo:b 1.0.0\n    needs demo:c ^1\ndemo:c 1.0.0\ndemo:x 1.0.0");
    let lock = world.lock("demo:a *\ndemo:x *");
    let names: Vec<_> = reachable(&wishes("demo:a *"), Some(&lock), &Default::default());
    assert_eq!(names.iter().map(PluginId::to_string).collect::<Vec<_>>(), ["demo:a", "demo:b", "demo:c"]);
}

fn too_new() -> Bar {
    Bar::Policy { why: "it is too new".to_owned(), hint: "wait until tomorrow".to_owned() }
}

#[test]
fn what_is_barred_is_passed_over_and_where_nothing_else_is_left_the_reason_is_told() {
    let world = World::of("demo:a 1.0.0\n    needs demo:b ^1\ndemo:b 1.0.0\ndemo:b 1.1.0\n");
    let barred = |versions: &[&str]| {
        let versions = versions.iter().map(|version| (parse(version), too_new())).collect();
        options().with_barred([(parse("demo:b"), versions)].into())
    };
    let resolve = |versions: &[&str], mode| {
        let lock = world.lock("demo:a ^1");
        let options = barred(versions).with_mode(mode);
        stoa_core::resolve::resolve(&wishes("demo:a ^1"), Some(&lock), &world.offer, &world.documents, &options)
    };
    assert_eq!(names(&resolve(&["1.1.0"], Mode::Keep).expect("a resolution")), ["demo:b@1.0.0", "demo:a@1.0.0"]);
    // The locked mode chooses nothing, and so has nothing to pass over.
    assert_eq!(names(&resolve(&["1.1.0"], Mode::Locked).expect("a resolution")), ["demo:b@1.1.0", "demo:a@1.0.0"]);
    let error = resolve(&["1.0.0", "1.1.0"], Mode::Keep).expect_err("nothing is left");
    insta::assert_snapshot!(error.report());
}
