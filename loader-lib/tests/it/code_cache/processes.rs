//! Several processes with one cache: real ones, each this very program with one test to run.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use stoa_loader::{
    Event, Host, Phase, Totals,
    testing::{Faults, PlanBuilder},
};
use tokio::time::sleep;

use super::{Error, plan};
use crate::{
    calls::{Outcome, wave},
    guests,
};

/// The folder that tells a process that it is one of those.
const FOLDER: &str = "STOA_TEST_PROCESS_FOLDER";
/// What it is called, and its file in that folder.
const NAME: &str = "STOA_TEST_PROCESS_NAME";
/// This one compiles only when the file `go` is there.
const HOLDER: &str = "holder";
/// How often files are looked at.
const LOOK: Duration = Duration::from_millis(10);

/// Loads and calls `demo:leaf` with the cache in `FOLDER`, and writes down what happens as it happens.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a process of its own, which other tests begin"]
async fn process() -> Outcome {
    let folder = PathBuf::from(env::var_os(FOLDER).ok_or("other tests begin it")?);
    let name = env::var(NAME)?;
    let faults = Faults::new();
    let gate = faults.hold("demo:leaf", Phase::Compile)?;
    let host = Host::<()>::builder().code_cache(folder.join("cache")).faults(faults.clone()).build()?;
    let told = folder.join(&name);
    let mut events = host.events();
    let writing = {
        let told = told.clone();
        tokio::spawn(async move {
            while let Some(event) = events.next().await {
                match event {
                    Event::Compiled { .. } => line(&told, "compiles")?,
                    Event::CompilingElsewhere { process, .. } => line(&told, &format!("waits for {process:?}"))?,
                    Event::CodeRejected { .. } | Event::CodeNotKept { .. } => line(&told, &format!("{event:?}"))?,
                    Event::Loaded { .. } => return Ok(()),
                    _ => {}
                }
            }
            Ok::<_, std::io::Error>(())
        })
    };
    if name == HOLDER {
        let (folder, told) = (folder.clone(), told.clone());
        tokio::spawn(async move {
            gate.arrived(1).await;
            line(&told, "holds")?;
            until(|| folder.join("go").exists()).await;
            gate.open();
            Ok::<_, std::io::Error>(())
        });
    } else {
        drop(gate);
    }
    let components = tempfile::tempdir()?;
    host.apply(plan(components.path())?).await?.all()?;
    writing.await??;
    line(&told, &format!("answers {}", wave(&host.plugin("demo:leaf")?.call_wave("bump()").await?)))?;
    Ok(())
}

fn line(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    writeln!(fs::File::options().create(true).append(true).open(path)?, "{text}")
}

async fn until(found: impl Fn() -> bool) {
    while !found() {
        sleep(LOOK).await;
    }
}

struct Process {
    child: Child,
    told: PathBuf,
}

impl Process {
    fn begin(folder: &Path, name: &str) -> Result<Self, Error> {
        let mut command = Command::new(env::current_exe()?);
        command.args(["--exact", "code_cache::processes::process", "--ignored", "--nocapture"]);
        command.env(FOLDER, folder).env(NAME, name).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self { child: command.spawn()?, told: folder.join(name) })
    }

    fn told(&self) -> Vec<String> {
        fs::read_to_string(&self.told).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    async fn until(&self, what: &str) {
        until(|| self.told().iter().any(|line| line.starts_with(what))).await;
    }

    /// What it told, after it has ended well.
    fn end(mut self) -> Result<Vec<String>, Error> {
        let status = self.child.wait()?;
        assert!(status.success(), "{status}: {:?}", self.told());
        Ok(self.told())
    }
}

fn leases(folder: &Path) -> Result<Vec<String>, Error> {
    let names = fs::read_dir(folder.join("cache"))?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let names = names.collect::<Result<Vec<_>, Error>>()?;
    Ok(names.into_iter().filter(|name| name.ends_with(".lease")).collect())
}

#[tokio::test]
async fn of_several_processes_one_compiles_and_the_others_wait_for_what_it_makes() -> Outcome {
    let folder = tempfile::tempdir()?;
    let holder = Process::begin(folder.path(), HOLDER)?;
    holder.until("holds").await;
    let waiting = format!("waits for Some({})", holder.child.id());
    let others = ["a", "b", "c"].map(|name| Process::begin(folder.path(), name));
    let others = others.into_iter().collect::<Result<Vec<_>, _>>()?;
    for other in &others {
        other.until(&waiting).await;
    }
    line(&folder.path().join("go"), "")?;
    assert_eq!(holder.end()?, ["holds", "compiles", "answers ok(1)"]);
    for other in others {
        assert_eq!(other.end()?, [waiting.as_str(), "answers ok(1)"]);
    }
    assert_eq!(leases(folder.path())?, Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn the_lease_of_a_process_that_was_killed_ends_with_it() -> Outcome {
    let folder = tempfile::tempdir()?;
    let mut holder = Process::begin(folder.path(), HOLDER)?;
    holder.until("holds").await;
    let other = Process::begin(folder.path(), "other")?;
    other.until("waits").await;
    holder.child.kill()?;
    holder.child.wait()?;
    assert_eq!(other.end()?[1..], ["compiles", "answers ok(1)"]);
    assert_eq!(leases(folder.path())?, Vec::<String>::new());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_stands_still_is_not_waited_for_longer_than_compiling_may_take() -> Outcome {
    let folder = tempfile::tempdir()?;
    let faults = Faults::new();
    let gate = faults.hold("demo:leaf", Phase::Compile)?;
    let cache = folder.path().join("cache");
    let stuck = Host::<()>::builder().code_cache(&cache).faults(faults).build()?;
    let applying = tokio::spawn({
        let (host, plan) = (stuck.clone(), plan(folder.path())?);
        async move { host.apply(plan).await }
    });
    gate.arrived(1).await;
    let totals = Totals { compile_time: Duration::from_secs(1), ..Totals::default() };
    let host = Host::<()>::builder().code_cache(&cache).totals(totals).build()?;
    let mut events = host.events();
    host.apply(plan(folder.path())?).await?.all()?;
    let mut reasons = Vec::new();
    while let Some(event) = events.try_next() {
        if let Event::CodeNotKept { reason, .. } = event {
            reasons.push(reason);
        }
    }
    assert_eq!(reasons, [format!("process {} has been at it for more than 1s", std::process::id())]);
    // What is waited for is kept all the same.
    gate.open();
    applying.await??.all()?;
    assert_eq!(super::load(plan(folder.path())?, &cache).await?, Vec::<String>::new());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_plugins_of_the_same_bytes_are_compiled_once() -> Outcome {
    let folder = tempfile::tempdir()?;
    let host = Host::<()>::builder().code_cache(folder.path().join("cache")).build()?;
    let mut events = host.events();
    let plan = PlanBuilder::new(folder.path()).plugin("demo:one", "1.0.0", &guests::leaf()).plugin(
        "demo:two",
        "1.0.0",
        &guests::leaf(),
    );
    host.apply(plan.build()?).await?.all()?;
    let mut compiled = 0;
    while let Some(event) = events.try_next() {
        compiled += usize::from(matches!(event, Event::Compiled { .. }));
    }
    assert_eq!(compiled, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compilation_that_nobody_waits_for_any_more_goes_to_the_cache() -> Outcome {
    let folder = tempfile::tempdir()?;
    let cache = folder.path().join("cache");
    let faults = Faults::new();
    let gate = faults.hold("demo:leaf", Phase::Compile)?;
    let host = Host::<()>::builder().code_cache(&cache).faults(faults).build()?;
    let mut events = host.events();
    let token = stoa_loader::CancelToken::new();
    let options = stoa_loader::ApplyOptions::new().cancelled_by(&token);
    let applying = tokio::spawn({
        let (host, plan) = (host.clone(), plan(folder.path())?);
        async move { host.apply_with(plan, options).await }
    });
    gate.arrived(1).await;
    token.cancel();
    assert_eq!(applying.await?.expect_err("it was cancelled").code(), "load-cancelled");
    gate.open();
    while !matches!(events.next().await, Some(Event::Compiled { .. })) {}
    // Whoever comes while it is being written waits for that.
    assert_eq!(super::load(plan(folder.path())?, &cache).await?, Vec::<String>::new());
    Ok(())
}
