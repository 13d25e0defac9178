//! What a person reads when there is no answer.

use stoa_core::resolve::{Bar, Mode, ResolveError, ResolveOptions, resolve};

use crate::{
    case::{Case, assert_short, yank},
    world::{World, options, parse},
};

fn report(world: &str, wanted: &str) -> String {
    Case::of(world, wanted).report()
}

#[test]
fn an_unknown_plugin() {
    let case = Case::of("absent demo:markdwon\ndemo:markdown 1.0.0", "demo:markdwon ^1");
    insta::assert_snapshot!(Case { meant: Some("demo:markdown"), ..case }.report());
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
    let world = "demo:x 1.0.0\n    needs demo:b *\ndemo:b 1.0.0\n    needs demo:c *\ndemo:c 1.2.0\n    needs demo:a *\ndemo:a 1.0.0\n    needs demo:b *";
    let before = format!("{world}\ndemo:c 1.1.0");
    insta::assert_snapshot!([report(world, "demo:x *"), report(&before, "demo:x *")].join("\n"));
}

#[test]
fn a_budget_that_is_used_up_is_no_proof_and_says_how_far_it_came() {
    let case = Case::of(
        "demo:a 1.0.0\n    needs demo:b ^1\ndemo:a 2.0.0\n    needs demo:b ^2\ndemo:b 1.0.0\ndemo:c 1.0.0\n    needs demo:b ^1\n\
         demo:b 2.0.0",
        "demo:a *\ndemo:c *",
    );
    let small = |budget| Case { options: ResolveOptions { budget, ..options() }, ..case.clone() };
    let reports: Vec<_> = [1, 3, 5].map(small).iter().map(Case::report).collect();
    insta::assert_snapshot!(reports.join("\n"));
    // The same registry, the same wishes, the same end: decisions are counted, not timed.
    assert_eq!(small(5).resolve(), small(5).resolve());
}

#[test]
fn documents_that_are_not_here() {
    let case = Case::of("demo:a 1.0.0\n    needs demo:b *", "demo:a *");
    assert_eq!(case.resolve(), Err(ResolveError::Unfetched(vec![parse("demo:b")])));
    insta::assert_snapshot!(Case { online: World::of("demo:b 1.0.0").documents, ..case }.report());
}

#[test]
fn nothing_is_kept_of_a_plugin_and_no_connection_may_be_opened() {
    let case = Case::of("demo:a 1.0.0\n    needs demo:b ^1\nnot-kept demo:b", "demo:a ^1");
    insta::assert_snapshot!(Case { online: World::of("demo:b 1.0.0").documents, ..case }.report());
}

#[test]
fn a_component_is_not_kept_and_no_connection_may_be_opened() {
    let case = Case::of("demo:a 1.0.0\ndemo:a 2.0.0", "demo:a ^2").bar("demo:a", "2.0.0", Bar::NotKept);
    insta::assert_snapshot!(case.report());
}

#[test]
fn the_only_version_is_in_a_newer_format() {
    let one = report("newer demo:a 2.0.0", "demo:a ^2");
    let other = report("demo:a 1.0.0\nnewer demo:a 2.0.0\nnewer demo:a 2.1.0", "demo:a ^2");
    let passed_over = report("demo:a 2.0.0\n    track wasi:0.3\nnewer demo:a 2.1.0", "demo:a ^2");
    let dependency = report("demo:b 1.0.0\n    needs demo:a ^2\nnewer demo:a 2.1.0", "demo:b *");
    insta::assert_snapshot!([one, other, passed_over, dependency].join("\n"));
}

#[test]
fn a_policy_bars_every_version() {
    let bar = |why: &str, hint: &str| Bar::Policy { why: why.to_owned(), hint: hint.to_owned() };
    let one = Case::of("demo:a 1.0.0\n    needs demo:b ^1\ndemo:b 1.0.0", "demo:a ^1").bar(
        "demo:b",
        "1.0.0",
        bar(
            "`demo:b` is denied; so says the rule `no-b` (policy.toml:3)",
            "use another plugin; only a change of the rule lets it through",
        ),
    );
    let too_new = || bar("it has to be public for 3d", "wait until 2026-05-06T00:00:00Z, or ask for an older version");
    let two = Case::of("demo:a 0.9.0\ndemo:a 1.0.0\ndemo:a 1.1.0", "demo:a ^1").bar("demo:a", "1.0.0", too_new()).bar(
        "demo:a",
        "1.1.0",
        too_new(),
    );
    insta::assert_snapshot!([one.report(), two.report()].join("\n"));
}

#[test]
fn exactly_another_version_was_asked_for() {
    let precise = || Bar::Precise(parse("2.0.0"));
    let case = Case::of("demo:a 1.0.0\ndemo:a 1.1.0\ndemo:a 2.0.0", "demo:a ^1");
    insta::assert_snapshot!(case.bar("demo:a", "1.0.0", precise()).bar("demo:a", "1.1.0", precise()).report());
}

#[test]
fn several_wishes_that_nothing_grants() {
    let world = "demo:a 1.0.0\n    needs demo:x *\ndemo:b 1.0.0\n    needs demo:y *\nabsent demo:x\nabsent demo:y";
    insta::assert_snapshot!(report(world, "demo:a *\ndemo:b *"));
}

#[test]
fn a_host_that_lacks_several_things() {
    let world = "offers acme:web/kv@1.0.0\ndemo:a 1.0.0\n    host acme:web/kv@1.2.0 a\n    host acme:web/http@1.0.0 a\n    track wasi:0.3";
    insta::assert_snapshot!(report(world, "demo:a *"));
}

#[test]
fn a_lock_that_does_not_fit_any_more() {
    let world = World::of("demo:a 1.0.0\ndemo:a 2.0.0");
    let case = Case { lock: Some(world.lock("demo:a ^1")), ..Case::of("demo:a 1.0.0\ndemo:a 2.0.0", "demo:a ^2") };
    let options = options().with_mode(Mode::Locked);
    let stale = Case { options: options.clone(), ..case.clone() }.report();
    let none = Case { options, lock: None, ..case }.report();
    insta::assert_snapshot!([stale, none].join("\n"));
}

#[test]
fn the_locked_release_is_yanked_and_an_update_has_nothing_else() {
    let world = World::of("demo:a 1.0.0");
    let mut case = Case { lock: Some(world.lock("demo:a ^1")), ..Case::of("demo:a 1.0.0", "demo:a ^1") };
    yank(&mut case.world, "demo:a", "1.0.0");
    assert!(case.resolve().is_ok(), "the lock holds");
    case.options = options().with_mode(Mode::Update([parse("demo:a")].into()));
    insta::assert_snapshot!(case.report());
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

#[test]
fn no_message_has_more_than_three_sentences() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/resolve/snapshots");
    let mut reports: Vec<String> = Vec::new();
    for file in std::fs::read_dir(folder).expect("a folder") {
        let text = std::fs::read_to_string(file.expect("an entry").path()).expect("a snapshot");
        let mut inside = false;
        for line in text.lines() {
            inside = line.starts_with("error[") || (inside && line.starts_with("  "));
            match reports.last_mut().filter(|_| !line.starts_with("error[")) {
                _ if !inside => {}
                Some(report) => *report = format!("{report}\n{line}"),
                None => reports.push(line.to_owned()),
            }
        }
    }
    assert!(reports.len() > 40, "{}", reports.len());
    reports.iter().for_each(|report| assert_short(report));
}
