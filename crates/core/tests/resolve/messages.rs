//! What a person reads when there is no answer.

use stoa_core::resolve::{Mode, ResolveError, ResolveOptions, resolve};

use crate::world::{World, options, parse, wishes};

fn report(world: &str, wanted: &str) -> String {
    World::of(world).failure(wanted).report()
}

#[test]
fn an_unknown_plugin() {
    insta::assert_snapshot!(report("absent demo:markdwon", "demo:markdwon ^1"));
}

#[test]
fn no_version_meets_the_wish() {
    insta::assert_snapshot!(report("demo:a 1.0.0\ndemo:a 1.1.0\ndemo:a 1.2.0\ndemo:a 1.3.0", "demo:a ^9"));
}

#[test]
fn only_a_prerelease_meets_the_wish() {
    insta::assert_snapshot!(report("demo:a 1.0.0\ndemo:a 2.0.0-rc.1\ndemo:a 2.0.0-rc.2", "demo:a ^2"));
}

#[test]
fn there_are_only_prereleases() {
    insta::assert_snapshot!(report("demo:a 0.1.0-alpha.1", "demo:a *"));
}

#[test]
fn the_only_version_is_yanked() {
    insta::assert_snapshot!(report("demo:a 1.0.0\ndemo:a 2.0.0 yanked crashes on \u{1b}[2Jempty page", "demo:a ^2"));
}

#[test]
fn every_matching_version_is_yanked() {
    let world = "demo:a 2.0.0 yanked one\ndemo:a 2.1.0 yanked two\ndemo:a 2.2.0 yanked three\ndemo:a 2.3.0 yanked four\ndemo:a 1.0.0";
    insta::assert_snapshot!(report(world, "demo:a ^2"));
}

#[test]
fn a_dependency_needs_a_newer_host() {
    insta::assert_snapshot!(report(
        "
offers acme:web/kv@1.4.2
acme:report 2.0.4
    needs acme:pdf ^2
acme:report 2.1.0
    needs acme:pdf ^3
acme:pdf 2.9.0
acme:pdf 2.9.1 yanked crashes on empty page
acme:pdf 3.0.0
    host acme:web/kv@1.6.0 a
acme:pdf 3.1.0
    host acme:web/kv@1.7.0 a
acme:pdf 3.2.0 yanked crashes on empty page
",
        "acme:report ^2.1"
    ));
}

#[test]
fn a_host_without_the_interface() {
    insta::assert_snapshot!(report("demo:a 1.0.0\n    host acme:web/kv@1.0.0 b", "demo:a *"));
}

#[test]
fn a_host_without_state() {
    insta::assert_snapshot!(report(
        "offers stoa:plugin/log@0.1.0\ndemo:a 1.0.0\n    convention stoa:plugin/log@0.1.0\n    convention stoa:plugin/state@0.1.0",
        "demo:a *"
    ));
}

#[test]
fn a_host_without_the_track() {
    insta::assert_snapshot!(report(
        "offers-track wasi:0.2\ndemo:a 1.0.0\n    track wasi:0.3\ndemo:a 0.9.0",
        "demo:a ^1"
    ));
}

#[test]
fn two_wishes_that_need_different_majors() {
    insta::assert_snapshot!(report(
        "demo:a 1.0.0\n    needs demo:c ^1\ndemo:b 1.0.0\n    needs demo:c ^2\ndemo:b 0.9.0\n    needs demo:c ^1\ndemo:c 1.0.0\ndemo:c 2.0.0",
        "demo:a ^1\ndemo:b ^1"
    ));
}

#[test]
fn a_wish_against_a_dependency() {
    insta::assert_snapshot!(report(
        "demo:a 1.0.0\n    needs demo:c ^1\ndemo:a 1.1.0\n    needs demo:c ^1\ndemo:a 1.2.0\n    needs demo:c ^1\ndemo:c 1.0.0\ndemo:c 2.0.0",
        "demo:a ^1\ndemo:c ^2"
    ));
}

#[test]
fn a_dependency_that_does_not_exist() {
    insta::assert_snapshot!(report("demo:a 1.0.0\n    needs demo:gone ^1\nabsent demo:gone", "demo:a *"));
}

#[test]
fn a_dependency_whose_interface_is_too_old_or_of_another_track() {
    insta::assert_snapshot!(report(
        "
demo:a 1.0.0
    needs demo:b ^1
    imports demo:b/x@1.2.0 a
demo:b 1.0.0
    exports demo:b/x@1.1.0 a
demo:b 1.1.0
    exports demo:b/x@2.0.0 a
",
        "demo:a *"
    ));
}

#[test]
fn a_dependency_that_exports_something_else() {
    insta::assert_snapshot!(report(
        "demo:a 1.0.0\n    needs demo:b ^1\n    imports demo:b/x@1.0.0 a\ndemo:b 1.0.0\n    exports demo:b/y@1.0.0 a",
        "demo:a *"
    ));
}

#[test]
fn an_optional_dependency_that_is_there_in_another_version() {
    insta::assert_snapshot!(report(
        "demo:a 1.0.0\n    needs demo:b ^1 optional\ndemo:b 1.0.0\ndemo:b 2.0.0",
        "demo:a *\ndemo:b ^2"
    ));
}

#[test]
fn an_interface_package() {
    insta::assert_snapshot!(report("demo:wit 1.0.0 interface", "demo:wit *"));
}

#[test]
fn a_plugin_that_needs_itself() {
    insta::assert_snapshot!(report("demo:a 1.0.0\n    needs demo:a ^1", "demo:a *"));
}

#[test]
fn every_version_fails_for_a_reason_of_its_own() {
    insta::assert_snapshot!(report(
        "
demo:a 1.0.0
    needs demo:b ^1
demo:a 1.1.0
    needs demo:c ^1
demo:a 1.2.0
    track wasi:0.3
demo:b 2.0.0
absent demo:c
",
        "demo:a ^1"
    ));
}

#[test]
fn a_long_chain() {
    insta::assert_snapshot!(report(
        "
demo:a 1.0.0
    needs demo:b ^1
demo:b 1.0.0
    needs demo:c ^1
demo:c 1.0.0
    needs demo:d ^1
demo:d 1.0.0
    needs demo:e ^1
demo:e 1.0.0
    needs demo:f ^2
demo:f 1.0.0
",
        "demo:a ^1"
    ));
}

#[test]
fn a_circle() {
    insta::assert_snapshot!(report(
        "demo:x 1.0.0\n    needs demo:b *\ndemo:b 1.0.0\n    needs demo:c *\ndemo:c 1.2.0\n    needs demo:a *\ndemo:a 1.0.0\n    needs demo:b *",
        "demo:x *"
    ));
}

#[test]
fn a_budget_that_is_used_up_is_no_proof() {
    let world = World::of("demo:a 1.0.0\n    needs demo:b *\ndemo:b 1.0.0");
    let options = ResolveOptions { budget: 2, ..options() };
    let error = resolve(&wishes("demo:a *"), None, &world.offer, &world.documents, &options);
    assert_eq!(error, Err(ResolveError::GaveUp { decisions: 2 }));
    insta::assert_snapshot!(ResolveError::GaveUp { decisions: 2 }.report());
}

#[test]
fn documents_that_are_not_here() {
    let world = World::of("demo:a 1.0.0\n    needs demo:b *");
    assert_eq!(world.failure("demo:a *"), ResolveError::Unfetched(vec![parse("demo:b")]));
    insta::assert_snapshot!(world.failure("demo:a *").report());
}

#[test]
fn a_plugin_of_another_registry() {
    let wanted = stoa_core::wanted::Wanted::parse(
        "[registries.other]\nurl = \"https://other.example\"\nroot-sha256 = \"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\"\n\
         [plugins]\n\"demo:a\" = { version = \"1\", registry = \"other\" }",
    )
    .expect("a plugins.toml");
    let world = World::of("demo:a 1.0.0");
    let error = resolve(&wanted, None, &world.offer, &world.documents, &options()).expect_err("another registry");
    insta::assert_snapshot!(error.report());
}

#[test]
fn the_machine_form_is_the_whole_proof() {
    let world = World::of(
        "demo:a 1.0.0\n    needs demo:c ^1\ndemo:b 1.0.0\n    needs demo:c ^2 optional\ndemo:b 1.1.0\n    track wasi:0.3\n\
         demo:c 1.0.0\ndemo:c 1.1.0 yanked broken\ndemo:c 2.0.0",
    );
    match world.resolve("demo:a ^1\ndemo:b ^1", None, Mode::Keep) {
        Err(ResolveError::Unsatisfiable(explanation)) => insta::assert_json_snapshot!(explanation.proof()),
        other => panic!("{other:?}"),
    }
}
