//! Who serves which import, and which ties are refused.

use stoa_loader::{Host, LoaderError, Outcome as Became, testing::PlanBuilder};

use crate::{calls::Outcome, guests};

const LEAF: &str = "demo:leaf/api@1.0.0";

/// What becomes of a plan whose last plugin can not be linked.
async fn refusal(plan: PlanBuilder) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let host = Host::<()>::builder().build()?;
    let applied = host.apply(plan.build()?).await?;
    let (_, error) = applied.failures().last().ok_or("nothing failed")?;
    Ok(format!("{}: {error}", error.code()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn imports_that_nobody_provides_are_all_named() -> Outcome {
    let folder = tempfile::tempdir()?;
    let plan = PlanBuilder::new(folder.path()).plugin("demo:wanting", "1.0.0", &guests::wanting());
    insta::assert_snapshot!(refusal(plan).await?, @r#"unknown-import: demo:wanting imports acme:none/such@1.0.0, stoa:plugin/state@9.0.0, wasi:http/outgoing-handler@0.2.0, which neither this host nor a plugin it depends on provides"#);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_is_not_bound_to_a_plugin_that_was_not_resolved_for_it() -> Outcome {
    let folder = tempfile::tempdir()?;
    // The leaf is there and exports what is imported, but no edge says that it provides it.
    let plan = PlanBuilder::new(folder.path()).plugin("demo:leaf", "1.0.0", &guests::leaf()).plugin(
        "demo:relay",
        "1.0.0",
        &guests::relay(),
    );
    insta::assert_snapshot!(refusal(plan).await?, @r#"unknown-import: demo:relay imports demo:leaf/api@1.0.0, which neither this host nor a plugin it depends on provides"#);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_with_another_version_type_or_function_is_refused() -> Outcome {
    let folder = tempfile::tempdir()?;
    let call_error = guests::bump_with_call_error();
    let more = format!(r#"{call_error} (export "more" (func))"#);
    let cases: [(&str, &str, &str); 6] = [
        ("1.0.0", "1.1.0", &call_error),
        ("2.0.0", "1.0.0", &call_error),
        ("1.0.0", "1.0.0", &more),
        ("1.0.0", "1.0.0", r#"(export "bump" (func (param "x" u32)))"#),
        ("1.0.0", "1.0.0", r#"(export "bump" (func (result (result u32 (error string)))))"#),
        ("1.0.0", "1.0.0", r#"(export "thing" (type (sub resource))) (export "bump" (func (result string)))"#),
    ];
    let mut refusals = Vec::new();
    for (exported, imported, text) in cases {
        let plan = PlanBuilder::new(folder.path())
            .plugin("demo:leaf", "1.0.0", &guests::leaf_of(exported, 0))
            .plugin("demo:caller", "1.0.0", &guests::caller_of(imported, text))
            .depends_on("demo:leaf", &[&format!("demo:leaf/api@{imported}")])
            .answered_by(&format!("demo:leaf/api@{imported}"), &format!("demo:leaf/api@{exported}"));
        refusals.push(refusal(plan).await?);
    }
    insta::assert_snapshot!(refusals.join("\n"), @r#"
    incompatible: demo:caller imports demo:leaf/api@1.1.0 from demo:leaf: it is bound to demo:leaf/api@1.0.0, which does not serve it
    incompatible: demo:caller imports demo:leaf/api@1.0.0 from demo:leaf: it is bound to demo:leaf/api@2.0.0, which does not serve it
    incompatible: demo:caller imports demo:leaf/api@1.0.0.more from demo:leaf: demo:leaf/api@1.0.0 has no such function
    incompatible: demo:caller imports demo:leaf/api@1.0.0.bump from demo:leaf: its parameters have other names or types
    incompatible: demo:caller imports demo:leaf/api@1.0.0.bump from demo:leaf: its result has another type
    incompatible: demo:caller imports demo:leaf/api@1.0.0.thing from demo:leaf: a resource can not cross between plugins, only values can
    "#);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_minor_version_of_an_interface_serves_an_older_import() -> Outcome {
    let folder = tempfile::tempdir()?;
    let plan = PlanBuilder::new(folder.path())
        .plugin("demo:leaf", "1.4.0", &guests::leaf_of("1.4.0", 0))
        .plugin("demo:relay", "1.0.0", &guests::relay())
        .depends_on("demo:leaf", &[LEAF])
        .answered_by(LEAF, "demo:leaf/api@1.4.0");
    let host = Host::<()>::builder().build()?;
    host.apply(plan.build()?).await?.all()?;
    assert_eq!(crate::calls::wave(&host.plugin("demo:relay")?.call_wave("bump()").await?), "ok(1)");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_versions_of_an_interface_the_resolved_one_answers_and_no_other() -> Outcome {
    let folder = tempfile::tempdir()?;
    let plan = |export: &str| {
        PlanBuilder::new(folder.path())
            .plugin("demo:leaf", "1.0.0", &guests::leaf_of_two("1.0.0", "1.2.0"))
            .plugin("demo:caller", "1.0.0", &guests::passes_on("1.0.0"))
            .depends_on("demo:leaf", &[LEAF])
            .answered_by(LEAF, export)
    };
    let host = Host::<()>::builder().build()?;
    for (export, answer) in [("demo:leaf/api@1.2.0", "ok(2)"), (LEAF, "ok(1)")] {
        host.apply(plan(export).build()?).await?.all()?;
        let caller = host.plugin("demo:caller")?;
        assert_eq!(crate::calls::wave(&caller.call_wave("bump()").await?), answer, "bound to {export}");
    }
    insta::assert_snapshot!(refusal(plan("demo:leaf/api@1.1.0")).await?, @"incompatible: demo:caller imports demo:leaf/api@1.0.0 from demo:leaf: it is bound to demo:leaf/api@1.1.0, and the plugin exports demo:leaf/api@1.0.0, demo:leaf/api@1.2.0");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_that_can_not_tell_failures_needs_a_dependency_that_traps() -> Outcome {
    let folder = tempfile::tempdir()?;
    let plan = PlanBuilder::new(folder.path()).plugin("demo:leaf", "1.0.0", &guests::plain()).plugin(
        "demo:caller",
        "1.0.0",
        &guests::caller_of("1.0.0", r#"(export "bump" (func (result string)))"#),
    );
    insta::assert_snapshot!(refusal(plan.depends_on("demo:leaf", &[LEAF])).await?, @r#"incompatible: demo:caller imports demo:leaf/api@1.0.0.bump from demo:leaf: its result can not hold a call-error, so the dependency needs on-failure = "trap""#);

    let plan = PlanBuilder::new(folder.path()).plugin("demo:leaf", "1.0.0", &guests::plain()).plugin(
        "demo:caller",
        "1.0.0",
        &guests::caller_of("1.0.0", r#"(export "bump" (func (result string)))"#),
    );
    let host = Host::<()>::builder().build()?;
    host.apply(plan.depends_or_traps_on("demo:leaf", &[LEAF]).build()?).await?.all()?;
    assert_eq!(crate::calls::wave(&host.plugin("demo:caller")?.call_wave("go()").await?), "7");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_depends_on_a_plugin_that_fails_is_blocked_and_the_rest_runs() -> Outcome {
    let folder = tempfile::tempdir()?;
    let plan = PlanBuilder::new(folder.path())
        .plugin("demo:leaf", "1.0.0", b"not a component")
        .plugin("demo:relay", "1.0.0", &guests::relay())
        .depends_on("demo:leaf", &[LEAF])
        .plugin("demo:probe", "1.0.0", &guests::probe());
    let host = Host::<()>::builder().build()?;
    let applied = host.apply(plan.build()?).await?;
    let became: Vec<_> = applied
        .plugins
        .iter()
        .map(|(plugin, outcome)| match outcome {
            Became::Failed(error) => format!("{plugin}: {error}"),
            other => format!("{plugin}: {other:?}"),
        })
        .collect();
    insta::assert_snapshot!(became.join("\n"), @r#"
    demo:leaf: demo:leaf: its component is not compiled
    demo:relay: demo:relay is not loaded because demo:leaf, which it depends on, is not
    demo:probe: Loaded
    "#);
    let error = host.plugin("demo:relay").map(drop).expect_err("it is blocked");
    assert!(matches!(&error, LoaderError::NotLoaded { source, .. } if source.code() == "blocked"), "{error:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn implementors_come_in_the_order_of_the_hosts_list() -> Outcome {
    let folder = tempfile::tempdir()?;
    let plan = PlanBuilder::new(folder.path())
        .plugin("demo:first", "1.0.0", &guests::leaf_of("1.0.0", 1))
        .rank(2)
        .plugin("demo:second", "1.0.0", &guests::leaf_of("1.2.0", 2))
        .rank(1)
        .plugin("demo:third", "1.0.0", &guests::leaf_of("2.0.0", 3))
        .rank(0);
    let host = Host::<()>::builder().build()?;
    host.apply(plan.build()?).await?.all()?;
    let found = host.implementors("demo:leaf/api@^1")?;
    let names: Vec<_> = found.iter().map(|found| format!("{} {}", found.plugin().id(), found.interface())).collect();
    assert_eq!(names, ["demo:second demo:leaf/api@1.2.0", "demo:first demo:leaf/api@1.0.0"]);
    for implementor in found {
        assert_eq!(crate::calls::wave(&implementor.call_dyn("bump", &[]).await?), "ok(1)");
    }
    Ok(())
}
