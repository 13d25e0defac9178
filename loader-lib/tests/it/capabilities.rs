//! What each capability gives, tried by a plugin that has it and by one that has not.

use std::{error::Error, path::Path, sync::Arc, sync::Mutex};

use stoa_core::{
    capability::Needs,
    interface::TypeHash,
    policy::Policy,
    release::{Import, Provider},
};
use stoa_loader::{
    Host, HostBuilder, LoaderError, Plugin,
    consent::{Answer, Consent, Nobody, Question},
    plan::ConfigValue,
    testing::PlanBuilder,
};

use crate::{
    calls::{Outcome, wave},
    guests as others,
};

mod consents;
mod guests;

fn policy(rules: &str) -> Policy {
    Policy::parse("policy.toml", &format!("version = 1\n{rules}")).unwrap_or_else(|e| panic!("{e}"))
}

/// A policy with one rule for everybody, which says `what`.
fn saying(what: &str) -> Policy {
    policy(&format!("[[rule]]\nid = \"it\"\nmatch = {{ plugin = \"*\" }}\n{what}\n"))
}

/// The only plugin of a host that is built so.
async fn alone(host: HostBuilder<()>, plan: PlanBuilder) -> Result<Plugin<()>, Box<dyn Error + Send + Sync>> {
    let plan = plan.build()?;
    let id = plan.plugins().last().ok_or("no plugin")?.id.to_string();
    let host = host.build()?;
    host.apply(plan).await?.all()?;
    Ok(host.plugin(&id)?)
}

/// Why the plan's plugins do not run in a host that is built so: code, message, hint of the first.
async fn refusal(host: HostBuilder<()>, plan: PlanBuilder) -> Result<String, Box<dyn Error + Send + Sync>> {
    let host = host.build()?;
    let applied = host.apply(plan.build()?).await?;
    let (_, error) = applied.failures().next().ok_or("nothing failed")?;
    let hint = match &**error {
        LoaderError::Grants { source, .. } => format!("\nhint: {}", source.hint()),
        _ => String::new(),
    };
    Ok(format!("{}: {}{hint}", error.code(), error.chain()))
}

async fn says(plugin: &Plugin<()>, call: &str) -> Result<String, Box<dyn Error + Send + Sync>> {
    Ok(wave(&plugin.call_wave(call).await?))
}

fn looker(folder: &Path, asks: &[&str]) -> PlanBuilder {
    PlanBuilder::new(folder).plugin("demo:looker", "1.0.0", &guests::looker("0.2.0")).asks(asks)
}

fn with_surroundings() -> HostBuilder<()> {
    let environment = [("LANG", "de"), ("TOKEN", "secret")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    Host::builder().environment(environment).arguments(["editor".to_owned(), "--fast".to_owned()])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_sees_the_variables_it_was_granted_and_no_others() -> Outcome {
    let folder = tempfile::tempdir()?;
    let asks = ["env:LANG", "env:HOME"];
    let granted = with_surroundings().policy(saying(r#"grant = ["env"]"#));
    let plugin = alone(granted, looker(folder.path(), &asks)).await?;
    assert_eq!(says(&plugin, "env()").await?, r#"[("LANG", "de")]"#, "and HOME is not set in this host");
    let denied = with_surroundings().policy(saying(r#"deny = ["env:LANG"]"#));
    let plugin = alone(denied.consent(|_: &Question| Answer::Without), looker(folder.path(), &asks)).await?;
    assert_eq!(says(&plugin, "env()").await?, "[]");
    // What it does not ask for it does not have, whatever is granted.
    let generous = with_surroundings().policy(saying(r#"grant = ["env", "args"]"#));
    let plugin = alone(generous, looker(folder.path(), &[])).await?;
    assert_eq!(says(&plugin, "env()").await?, "[]");
    assert_eq!(says(&plugin, "args()").await?, "[]");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_sees_the_command_line_only_where_it_was_granted() -> Outcome {
    let folder = tempfile::tempdir()?;
    let granted = with_surroundings().policy(saying(r#"grant = ["args"]"#));
    let plugin = alone(granted, looker(folder.path(), &["args"])).await?;
    assert_eq!(says(&plugin, "args()").await?, r#"["editor", "--fast"]"#);
    let denied = with_surroundings().policy(saying(r#"deny = ["args"]"#));
    assert_eq!(says(&alone(denied, looker(folder.path(), &["args"])).await?, "args()").await?, "[]");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_is_coarse_unless_the_real_one_is_granted_and_stands_still_where_it_is_denied() -> Outcome {
    let folder = tempfile::tempdir()?;
    let number = |text: String| text.parse::<u64>();
    let coarse = alone(Host::builder(), looker(folder.path(), &[])).await?;
    let wall = says(&coarse, "wall()").await?;
    assert!(wall.ends_with("000000)"), "milliseconds and no finer: {wall}");
    assert_eq!(number(says(&coarse, "mono()").await?)? % 1_000_000, 0);
    assert_eq!(says(&coarse, "step()").await?, "1000000");

    let real = Host::builder().policy(saying(r#"grant = ["clock:real"]"#));
    let real = alone(real, looker(folder.path(), &["clock:real"])).await?;
    assert_eq!(says(&real, "step()").await?, "1");
    let mut times = Vec::new();
    for _ in 0..8 {
        times.push(number(says(&real, "mono()").await?)?);
    }
    assert!(times.iter().any(|time| time % 1_000_000 != 0), "finer than milliseconds: {times:?}");

    let denied = alone(Host::builder().policy(saying(r#"deny = ["clock"]"#)), looker(folder.path(), &[])).await?;
    assert_eq!(says(&denied, "wall()").await?, "(0, 0)");
    assert_eq!(says(&denied, "mono()").await?, "0");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_numbers_are_real_ones_unless_seeded_ones_are_granted_and_never_pretended() -> Outcome {
    let folder = tempfile::tempdir()?;
    let secure = alone(Host::builder(), looker(folder.path(), &[])).await?;
    let (one, other) = (says(&secure, "random()").await?, says(&secure, "random()").await?);
    assert_ne!(one, other);
    let seeded = Host::builder().policy(saying(r#"grant = ["random"]"#));
    let seeded = alone(seeded, looker(folder.path(), &["random:seeded"])).await?;
    let said = says(&seeded, "random()").await?;
    assert_ne!(said, says(&seeded, "random()").await?);
    let policy = || saying(r#"grant = ["random"]"#);
    let again = alone(Host::builder().policy(policy()), looker(folder.path(), &["random:seeded"])).await?;
    assert_eq!(says(&again, "random()").await?, said, "a new instance gets the same numbers");
    let denied = Host::builder().policy(saying("deny = [\"random\"]\nreason = \"Nothing here needs keys\""));
    insta::assert_snapshot!(refusal(denied, looker(folder.path(), &[])).await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_and_a_newer_interface_meet_the_same_grants() -> Outcome {
    let folder = tempfile::tempdir()?;
    for version in ["0.2.0", "0.2.6"] {
        let plan = || PlanBuilder::new(folder.path()).plugin("demo:looker", "1.0.0", &guests::looker(version));
        let granted = with_surroundings().policy(saying(r#"grant = ["env:LANG"]"#));
        let plugin = alone(granted, plan().asks(&["env:LANG"])).await?;
        assert_eq!(says(&plugin, "env()").await?, r#"[("LANG", "de")]"#, "{version}");
        assert_eq!(says(&alone(with_surroundings(), plan()).await?, "env()").await?, "[]", "{version}");
    }
    Ok(())
}

/// A folder with `photos/cat` in it, a file beside it, and a link to that folder.
fn album() -> std::io::Result<tempfile::TempDir> {
    let root = tempfile::tempdir()?;
    std::fs::create_dir(root.path().join("photos"))?;
    std::fs::write(root.path().join("photos/cat"), "meow")?;
    std::fs::write(root.path().join("diary"), "dear")?;
    std::os::unix::fs::symlink("photos", root.path().join("link"))?;
    std::os::unix::fs::symlink("../diary", root.path().join("photos/out"))?;
    Ok(root)
}

/// The answer of a clerk, with the name of the error.
async fn clerk(plugin: &Plugin<()>, call: &str) -> Result<String, Box<dyn Error + Send + Sync>> {
    let said = says(plugin, call).await?;
    let number = said.strip_prefix("err(").and_then(|rest| rest.strip_suffix(')'));
    Ok(match number.map(str::parse::<usize>) {
        Some(Ok(99)) => "no folder".to_owned(),
        Some(number) => guests::FILE_ERRORS[number?].to_owned(),
        None => said,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_reads_below_the_folder_it_was_granted_and_nowhere_else() -> Outcome {
    let (folder, root) = (tempfile::tempdir()?, album()?);
    let plan = || {
        let plan = PlanBuilder::new(folder.path()).plugin("demo:clerk", "1.0.0", &guests::clerk());
        plan.asks(&["fs.read:data:/photos"])
    };
    let granted = Host::builder().root("data", root.path()).policy(saying(r#"grant = ["fs.read:data:/"]"#));
    let plugin = alone(granted, plan()).await?;
    assert_eq!(says(&plugin, "folder()").await?, r#""/data/photos""#);
    assert_eq!(clerk(&plugin, r#"read("cat")"#).await?, "ok([109, 101, 111, 119])");
    for (path, error) in
        [("../diary", "not-permitted"), ("/etc/passwd", "not-permitted"), ("out", "not-permitted"), ("dog", "no-entry")]
    {
        assert_eq!(clerk(&plugin, &format!("read(\"{path}\")")).await?, error, "{path}");
    }
    assert_eq!(clerk(&plugin, r#"write("new")"#).await?, "not-permitted");
    assert!(!root.path().join("photos/new").exists());

    let denied = Host::builder().root("data", root.path()).policy(saying(r#"deny = ["fs.*"]"#));
    assert_eq!(clerk(&alone(denied, plan()).await?, r#"read("cat")"#).await?, "no folder");
    // A host that has no such folder has nothing to give.
    let without = Host::builder().policy(saying(r#"grant = ["fs.read:data:/"]"#));
    assert_eq!(clerk(&alone(without, plan()).await?, r#"read("cat")"#).await?, "no folder");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_writes_only_where_writing_was_granted() -> Outcome {
    let (folder, root) = (tempfile::tempdir()?, album()?);
    let plan = PlanBuilder::new(folder.path()).plugin("demo:clerk", "1.0.0", &guests::clerk());
    let granted = Host::builder().root("data", root.path()).policy(saying(r#"grant = ["fs.write:data:/photos"]"#));
    let plugin = alone(granted, plan.asks(&["fs.write:data:/photos"])).await?;
    assert_eq!(clerk(&plugin, r#"write("new")"#).await?, "ok([])");
    assert_eq!(std::fs::read_to_string(root.path().join("photos/new"))?, "new");
    assert_eq!(clerk(&plugin, r#"write("out")"#).await?, "not-permitted");
    assert_eq!(std::fs::read_to_string(root.path().join("diary"))?, "dear");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_in_the_way_of_a_granted_folder_is_not_followed() -> Outcome {
    let (folder, root) = (tempfile::tempdir()?, album()?);
    let plan = PlanBuilder::new(folder.path()).plugin("demo:clerk", "1.0.0", &guests::clerk());
    let host = Host::builder().root("data", root.path()).policy(saying(r#"grant = ["fs.read"]"#));
    let said = refusal(host, plan.asks(&["fs.read:data:/link"])).await?;
    insta::assert_snapshot!(said, @"folder: demo:clerk was granted the folder data:/link, which can not be opened: Not a directory (os error 20)");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_whose_settings_are_denied_has_none() -> Outcome {
    let folder = tempfile::tempdir()?;
    let plan = || {
        let plan = PlanBuilder::new(folder.path()).plugin("demo:citizen", "1.0.0", &others::citizen());
        plan.config("word", ConfigValue::Text("stoa".into()))
    };
    let plugin = alone(Host::builder(), plan()).await?;
    assert_eq!(says(&plugin, "word()").await?, r#"some(text("stoa"))"#);
    let plugin = alone(Host::builder().policy(saying(r#"deny = ["config"]"#)), plan()).await?;
    assert_eq!(says(&plugin, "word()").await?, "none");
    Ok(())
}

// One thread, so that the subscriber of this test hears the plugin and no other test does.
#[tokio::test]
async fn a_plugin_that_may_not_log_is_not_heard() -> Outcome {
    let folder = tempfile::tempdir()?;
    for (rules, heard) in [("", 2), ("[[rule]]\nid = \"quiet\"\nmatch = { plugin = \"*\" }\ndeny = [\"log\"]", 0)] {
        let lines = crate::authority::Lines::default();
        let _listening = tracing::subscriber::set_default(lines.clone());
        let host = Host::<()>::builder().policy(policy(rules)).build()?;
        let plan = PlanBuilder::new(folder.path()).plugin("demo:citizen", "1.0.0", &others::citizen()).plugin(
            "demo:printer",
            "1.0.0",
            &others::printer(),
        );
        host.apply(plan.build()?).await?.all()?;
        host.plugin("demo:printer")?.call_wave("print()").await?;
        assert_eq!(lines.count(), heard);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_may_not_call_another_is_told_so() -> Outcome {
    let folder = tempfile::tempdir()?;
    let plan = |trap: bool| {
        let plan = PlanBuilder::new(folder.path()).plugin("demo:leaf", "1.0.0", &others::leaf()).plugin(
            "demo:relay",
            "1.0.0",
            &others::relay(),
        );
        let on = ["demo:leaf/api@1.0.0"];
        if trap { plan.depends_or_traps_on("demo:leaf", &on) } else { plan.depends_on("demo:leaf", &on) }
    };
    assert_eq!(says(&alone(Host::builder(), plan(false)).await?, "bump()").await?, "ok(1)");
    let denying = || Host::builder().policy(saying(r#"deny = ["calls:demo:leaf"]"#));
    assert_eq!(says(&alone(denying(), plan(false)).await?, "bump()").await?, "err(denied)");
    let error = alone(denying(), plan(true)).await?.call_wave("bump()").await.map(drop).expect_err("it traps");
    assert_eq!(
        error.chain(),
        "demo:relay: demo:relay/api@1.0.0.bump trapped because demo:leaf, which it depends on, failed: \
         demo:relay may not call demo:leaf: that was not granted"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interface_of_the_host_is_linked_only_to_those_who_were_granted_it() -> Outcome {
    let folder = tempfile::tempdir()?;
    let offering = || {
        Host::builder().provide("acme:web/kv@1.0.0", |linker| {
            linker.instance("acme:web/kv@1.0.0")?.func_wrap("get", |_, (): ()| Ok((7u32,)))
        })
    };
    let plan = || PlanBuilder::new(folder.path()).plugin("demo:user", "1.0.0", &guests::user_of_the_host());
    assert_eq!(says(&alone(offering(), plan()).await?, "go()").await?, "7");
    let denied = refusal(offering().policy(saying(r#"deny = ["host:acme:web"]"#)), plan()).await?;
    let asked = refusal(offering().policy(saying(r#"ask = ["host"]"#)), plan()).await?;
    let unasked = offering().policy(saying(r#"ask = ["host"]"#)).consent(|_: &Question| Answer::Without);
    let unasked = refusal(unasked, plan()).await?;
    insta::assert_snapshot!(format!("{denied}\n{asked}"));
    assert_eq!(asked, unasked, "it can not do without");
    let agreed = offering().policy(saying(r#"ask = ["host"]"#)).consent(|_: &Question| Answer::Agree);
    assert_eq!(says(&alone(agreed, plan()).await?, "go()").await?, "7");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_policy_leaves_open_is_asked_and_refused_where_nobody_agrees() -> Outcome {
    let folder = tempfile::tempdir()?;
    let asks = ["env:LANG", "args", "clock:coarse"];
    let said = refusal(with_surroundings().consent(Nobody), looker(folder.path(), &asks)).await?;
    insta::assert_snapshot!(said);
    let questions = Arc::new(Mutex::new(Vec::new()));
    let heard = questions.clone();
    let asking = move |answer: Answer| {
        let heard = heard.clone();
        move |question: &Question| {
            heard.lock().expect("no panic").push(question.to_string());
            answer
        }
    };
    let agreed = alone(with_surroundings().consent(asking(Answer::Agree)), looker(folder.path(), &asks)).await?;
    assert_eq!(says(&agreed, "env()").await?, r#"[("LANG", "de")]"#);
    let without = alone(with_surroundings().consent(asking(Answer::Without)), looker(folder.path(), &asks)).await?;
    assert_eq!(says(&without, "env()").await?, "[]");
    let question = "demo:looker@1.0.0 asks for `args`, `env:LANG`";
    assert_eq!(*questions.lock().expect("no panic"), [question, question], "what is usual is not asked about");
    Ok(())
}

/// The needs of an index that lists these imports.
fn listing(imports: &[(&str, Provider)]) -> Needs {
    let imports: Vec<_> = imports
        .iter()
        .map(|(name, from)| Import {
            name: name.parse().unwrap_or_else(|e| panic!("{e}")),
            types: TypeHash::of(name),
            from: *from,
        })
        .collect();
    Needs::default().importing(&imports, &Default::default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_that_imports_other_things_than_the_index_lists_is_refused() -> Outcome {
    let folder = tempfile::tempdir()?;
    let offering = || {
        Host::builder().provide("acme:web/kv@1.0.0", |linker| {
            linker.instance("acme:web/kv@1.0.0")?.func_wrap("get", |_, (): ()| Ok((7u32,)))
        })
    };
    let plan = |needs: &Needs| {
        PlanBuilder::new(folder.path()).plugin("demo:user", "1.0.0", &guests::user_of_the_host()).listed(needs)
    };
    let kv = ("acme:web/kv@1.0.0", Provider::Host);
    assert_eq!(says(&alone(offering(), plan(&listing(&[kv]))).await?, "go()").await?, "7");
    let lies: [&[(&str, Provider)]; 4] = [
        &[],
        &[kv, ("wasi:cli/environment@0.2.0", Provider::Wasi)],
        &[("acme:web/kv@1.0.0", Provider::Types)],
        &[("acme:web/kv@1.1.0", Provider::Host)],
    ];
    let mut said = Vec::new();
    for lie in lies {
        said.push(refusal(offering(), plan(&listing(lie))).await?);
    }
    let typed = PlanBuilder::new(folder.path()).plugin("demo:typed", "1.0.0", &guests::typed());
    let typed = typed.listed(&listing(&[("stoa:plugin/types@0.1.0", Provider::Convention)]));
    // Types alone lead nowhere, as what an index calls them does not.
    alone(Host::builder(), typed).await?;
    insta::assert_snapshot!(said.join("\n"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compiled_code_that_is_kept_is_scanned_as_well() -> Outcome {
    let (folder, code) = (tempfile::tempdir()?, tempfile::tempdir()?);
    for _ in 0..2 {
        let host = Host::builder().code_cache(code.path()).provide("acme:web/kv@1.0.0", |linker| {
            linker.instance("acme:web/kv@1.0.0")?.func_wrap("get", |_, (): ()| Ok((7u32,)))
        });
        let plan = PlanBuilder::new(folder.path()).plugin("demo:user", "1.0.0", &guests::user_of_the_host());
        let said = refusal(host, plan.listed(&Needs::default())).await?;
        assert_eq!(
            said,
            "other-imports: demo:user is not what the signed index lists: it imports acme:web/kv@1.0.0, which is not listed"
        );
    }
    Ok(())
}

/// A consent that must not be asked.
struct Unasked;

impl Consent for Unasked {
    fn answer(&self, question: &Question) -> Answer {
        panic!("it asks: {question}")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_usual_asks_nobody() -> Outcome {
    let folder = tempfile::tempdir()?;
    let asks = ["clock:coarse", "random:secure"];
    let plugin = alone(with_surroundings().consent(Unasked), looker(folder.path(), &asks)).await?;
    assert_eq!(says(&plugin, "env()").await?, "[]");
    Ok(())
}
