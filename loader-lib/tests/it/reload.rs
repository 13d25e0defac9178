//! From one set of plugins to the next.

use std::time::Duration;

use stoa_loader::{
    Event, Host, LoaderError, Outcome as Became, Plan,
    limits::Wishes,
    plan::{ConfigValue, Reload},
    testing::PlanBuilder,
};

use crate::{
    calls::{Outcome, wave},
    guests,
};

const LEAF: &str = "demo:leaf/api@1.0.0";

fn plan(folder: &tempfile::TempDir, leaf: &[u8]) -> Result<Plan, Box<dyn std::error::Error + Send + Sync>> {
    PlanBuilder::new(folder.path())
        .plugin("demo:leaf", "1.0.0", leaf)
        .plugin("demo:relay", "1.0.0", &guests::relay())
        .depends_on("demo:leaf", &[LEAF])
        .build()
}

async fn call(host: &Host<()>, plugin: &str, text: &str) -> Result<String, LoaderError> {
    Ok(wave(&host.plugin(plugin)?.call_wave(text).await?))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_did_not_change_keeps_its_memory_and_meets_the_new_one() -> Outcome {
    let folder = tempfile::tempdir()?;
    let host = Host::<()>::builder().build()?;
    host.apply(plan(&folder, &guests::leaf_of("1.0.0", 1))?).await?.all()?;
    assert_eq!(call(&host, "demo:relay", "own()").await?, "1");
    assert_eq!(call(&host, "demo:relay", "bump()").await?, "ok(1)");
    assert_eq!(call(&host, "demo:relay", "bump()").await?, "ok(2)");

    let applied = host.apply(plan(&folder, &guests::leaf_of("1.0.0", 2))?).await?;
    let became: Vec<_> = applied.plugins.iter().map(|(plugin, outcome)| format!("{plugin}: {outcome:?}")).collect();
    assert_eq!(became, ["demo:leaf: Reloaded", "demo:relay: Unchanged"]);
    assert_eq!(call(&host, "demo:relay", "own()").await?, "2", "the relay kept its memory");
    assert_eq!(call(&host, "demo:relay", "bump()").await?, "ok(1)", "and calls the new leaf");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_version_that_fails_leaves_the_old_one_running() -> Outcome {
    let folder = tempfile::tempdir()?;
    let host = Host::<()>::builder().build()?;
    host.apply(plan(&folder, &guests::leaf())?).await?.all()?;
    assert_eq!(call(&host, "demo:relay", "bump()").await?, "ok(1)");

    let applied = host.apply(plan(&folder, &guests::wanting())?).await?;
    let kept = applied.plugins.iter().map(|(plugin, outcome)| match outcome {
        Became::KeptOld(error) => format!("{plugin}: kept, {}", error.code()),
        other => format!("{plugin}: {other:?}"),
    });
    assert_eq!(kept.collect::<Vec<_>>(), ["demo:leaf: kept, unknown-import", "demo:relay: Unchanged"]);
    assert_eq!(call(&host, "demo:relay", "bump()").await?, "ok(2)", "the old one goes on with its memory");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_lost_its_provider_in_another_shape_fails_instead_of_calling_it() -> Outcome {
    let folder = tempfile::tempdir()?;
    let host = Host::<()>::builder().build()?;
    host.apply(plan(&folder, &guests::leaf())?).await?.all()?;
    let applied = host.apply(plan(&folder, &guests::leaf_of("2.0.0", 0))?).await?;
    let failures: Vec<_> = applied.failures().map(|(plugin, error)| format!("{plugin}: {}", error.code())).collect();
    assert_eq!(failures, ["demo:relay: incompatible"]);
    assert_eq!(call(&host, "demo:leaf", "bump()").await?, "ok(1)");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handles_outlive_reloads_and_removals() -> Outcome {
    let folder = tempfile::tempdir()?;
    let host = Host::<()>::builder().build()?;
    host.apply(plan(&folder, &guests::leaf())?).await?.all()?;
    let relay = host.plugin("demo:relay")?;
    let mut events = host.events();

    host.apply(PlanBuilder::new(folder.path()).plugin("demo:leaf", "1.0.0", &guests::leaf()).build()?).await?.all()?;
    let error = relay.call_wave("own()").await.expect_err("it was removed");
    assert_eq!(error.to_string(), "this host has no plugin demo:relay");
    while !matches!(events.next().await, Some(Event::Removed { plugin }) if plugin.to_string() == "demo:relay") {}

    host.apply(plan(&folder, &guests::leaf())?).await?.all()?;
    assert_eq!(wave(&relay.call_wave("own()").await?), "1");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_under_way_finishes_with_the_plugins_it_began_with() -> Outcome {
    let folder = tempfile::tempdir()?;
    let host = Host::<()>::builder().build()?;
    host.apply(plan(&folder, &guests::leaf_of("1.0.0", 1))?).await?.all()?;
    assert_eq!(call(&host, "demo:leaf", "bump()").await?, "ok(1)");
    let leaf = host.plugin("demo:leaf")?;
    let toiling = tokio::spawn(async move { leaf.call_wave("toil()").await });
    tokio::time::sleep(Duration::from_millis(10)).await;

    host.apply(plan(&folder, &guests::leaf_of("1.0.0", 2))?).await?.all()?;
    assert_eq!(call(&host, "demo:leaf", "bump()").await?, "ok(1)", "the new one serves at once");
    assert_eq!(wave(&toiling.await??), "ok(2)", "the old one finished");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changed_limits_or_configuration_are_a_reload() -> Outcome {
    let folder = tempfile::tempdir()?;
    let host = Host::<()>::builder().build()?;
    let plan = || PlanBuilder::new(folder.path()).plugin("demo:leaf", "1.0.0", &guests::leaf());
    host.apply(plan().build()?).await?.all()?;
    let wishes = Wishes { memory: Some(1 << 20), ..Wishes::default() };
    for changed in [plan().wishes(wishes), plan().config("key", ConfigValue::Boolean(true))] {
        assert_eq!(call(&host, "demo:leaf", "bump()").await?, "ok(1)");
        let applied = host.apply(changed.build()?).await?;
        assert!(matches!(applied.plugins.as_slice(), [(_, Became::Reloaded)]), "{applied:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_stops_before_it_starts_ends_before_the_next_begins() -> Outcome {
    let folder = tempfile::tempdir()?;
    // The host holds memory for one instance only, so two at a time can not be.
    let host = Host::<()>::builder().total_memory(1 << 16).build()?;
    let plan = |salt| {
        PlanBuilder::new(folder.path())
            .plugin("demo:leaf", "1.0.0", &guests::leaf_of("1.0.0", salt))
            .reload(Reload::StopStart)
            .build()
    };
    host.apply(plan(1)?).await?.all()?;
    host.apply(plan(2)?).await?.all()?;
    assert_eq!(call(&host, "demo:leaf", "bump()").await?, "ok(1)");
    assert_eq!(host.memory_used(), 1 << 16);

    let shadow = PlanBuilder::new(folder.path()).plugin("demo:leaf", "1.0.0", &guests::leaf_of("1.0.0", 3));
    let applied = host.apply(shadow.build()?).await?;
    let failures: Vec<_> = applied.failures().map(|(_, error)| error.code()).collect();
    assert_eq!(failures, ["limit-total-memory"], "a shadow needs memory beside the old one");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_shutdown_nothing_runs_and_nothing_is_held() -> Outcome {
    let folder = tempfile::tempdir()?;
    let host = Host::<()>::builder().build()?;
    host.apply(plan(&folder, &guests::leaf())?).await?.all()?;
    let leaf = host.plugin("demo:leaf")?;
    let spinning = {
        let leaf = leaf.clone();
        tokio::spawn(async move { leaf.call_wave("spin()").await })
    };
    tokio::time::sleep(Duration::from_millis(20)).await;

    host.shutdown(Duration::from_millis(50)).await;
    assert_eq!(spinning.await?.expect_err("it never ends by itself").code(), "cut-off");
    assert_eq!(host.memory_used(), 0);
    assert_eq!(leaf.call_wave("bump()").await.expect_err("it is gone").code(), "shut-down");
    assert_eq!(host.apply(Plan::default()).await.expect_err("it is over").code(), "shut-down");
    Ok(())
}
