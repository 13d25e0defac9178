//! What plugins are given: nothing but a way to log, their configuration, and a life.

use std::sync::{Arc, Mutex};

use stoa_loader::{Host, plan::ConfigValue, testing::PlanBuilder};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

use crate::{
    calls::{Outcome, wave},
    guests,
};

/// Keeps the lines that plugins wrote.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.lock().expect("no panic").len()
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "plugin"
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &Event<'_>) {
        struct Text(String);
        impl Visit for Text {
            fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
                if matches!(field.name(), "message" | "plugin") {
                    self.0 += &format!(" {value:?}");
                }
            }
        }
        let mut text = Text(event.metadata().level().to_string());
        event.record(&mut text);
        self.0.lock().expect("no panic").push(text.0);
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wasi_is_linked_and_grants_nothing() -> Outcome {
    let folder = tempfile::tempdir()?;
    let host = Host::<()>::builder().build()?;
    host.apply(PlanBuilder::new(folder.path()).plugin("demo:probe", "1.0.0", &guests::probe()).build()?)
        .await?
        .all()?;
    let probe = host.plugin("demo:probe")?;
    assert!(std::env::vars().count() > 0, "this process has an environment to leak");
    for function in ["env()", "args()", "dirs()"] {
        assert_eq!(wave(&probe.call_wave(function).await?), "0", "{function}");
    }
    Ok(())
}

// One thread, so that the subscriber of this test hears the plugin and no other test does.
#[tokio::test]
async fn a_plugin_logs_reads_its_configuration_and_says_goodbye() -> Outcome {
    let lines = Lines::default();
    let _listening = tracing::subscriber::set_default(lines.clone());
    let folder = tempfile::tempdir()?;
    let host = Host::<()>::builder().name("test/1.0.0").build()?;
    let plan = PlanBuilder::new(folder.path())
        .plugin("demo:citizen", "1.0.0", &guests::citizen())
        .config("word", ConfigValue::Text("stoa".into()));
    host.apply(plan.build()?).await?.all()?;
    let citizen = host.plugin("demo:citizen")?;
    assert_eq!(wave(&citizen.call_wave("word()").await?), r#"some(text("stoa"))"#);
    host.shutdown(std::time::Duration::from_secs(5)).await;
    // The second line holds an escape sequence, which must not reach a terminal as it is.
    let expected = ["INFO demo:citizen demo:citizen", r"WARN goodbye\u{1b}[31m demo:citizen"];
    assert_eq!(*lines.0.lock().expect("no panic"), expected);
    Ok(())
}

#[tokio::test]
async fn what_a_plugin_prints_is_logged_by_lines() -> Outcome {
    let lines = Lines::default();
    let _listening = tracing::subscriber::set_default(lines.clone());
    let folder = tempfile::tempdir()?;
    let host = Host::<()>::builder().build()?;
    let plan = PlanBuilder::new(folder.path()).plugin("demo:printer", "1.0.0", &guests::printer());
    host.apply(plan.build()?).await?.all()?;
    let printer = host.plugin("demo:printer")?;
    printer.call_wave("print()").await?;
    printer.call_wave("print()").await?;
    host.shutdown(std::time::Duration::from_secs(5)).await;
    let expected = ["INFO hello demo:printer", "INFO worhello demo:printer", "INFO wor demo:printer"];
    assert_eq!(*lines.0.lock().expect("no panic"), expected);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_may_refuse_to_start() -> Outcome {
    let folder = tempfile::tempdir()?;
    let host = Host::<()>::builder().build()?;
    let plan = PlanBuilder::new(folder.path())
        .plugin("demo:citizen", "1.0.0", &guests::citizen())
        .config("refuse", ConfigValue::Boolean(true));
    let error = host.apply(plan.build()?).await?.all().expect_err("it refuses");
    assert_eq!(error.chain(), "demo:citizen is not loaded: demo:citizen refuses to start: not today");
    Ok(())
}

#[test]
fn a_program_without_a_runtime_uses_the_blocking_host() -> Outcome {
    let folder = tempfile::tempdir()?;
    let error = Host::<()>::builder().build().map(drop).expect_err("no runtime");
    assert_eq!(error.code(), "no-runtime");
    let host = stoa_loader::blocking::Host::build(Host::<()>::builder())?;
    host.apply(PlanBuilder::new(folder.path()).plugin("demo:leaf", "1.0.0", &guests::leaf()).build()?)?.all()?;
    let leaf = host.plugin("demo:leaf")?;
    assert_eq!(wave(&leaf.call_wave("bump()")?), "ok(1)");
    let bump = leaf.func::<(), (Result<u32, stoa_loader::CallError>,)>("demo:leaf/api@1.0.0", "bump")?;
    assert_eq!(bump(())?.0, Ok(2));
    Ok(())
}
