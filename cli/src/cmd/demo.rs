//! `stoa demo`: the main job, from an empty folder to a verified call, as strangers would do it.

mod folders;
mod others;
mod server;
mod steps;
mod table;

use std::{path::PathBuf, process::ExitCode, time::Instant};

use serde_json::{Value, json};

use crate::{
    args::Demo,
    progress::Spinner,
    report::{BAD, DIM, Failure, GOOD, NAME, Output},
};
use steps::Stage;

/// One step, as it went.
#[derive(Debug)]
struct Step {
    name: &'static str,
    ok: bool,
    ms: u64,
    detail: String,
}

/// Runs the steps, in order, and stops at the first that fails.
#[derive(Debug)]
struct Run {
    output: Output,
    steps: Vec<Step>,
}

impl Run {
    /// Does one step and prints its row at once.
    async fn step<T>(
        &mut self,
        name: &'static str,
        work: impl Future<Output = Result<(T, String), Failure>>,
    ) -> Option<T> {
        if self.failed() {
            return None;
        }
        let spinner = Spinner::start(self.output, name);
        let began = Instant::now();
        let outcome = work.await;
        let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        drop(spinner);
        let (value, ok, detail) = match outcome {
            Ok((value, detail)) => (Some(value), true, detail),
            Err(failure) => {
                let hint = failure.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
                (None, false, format!("{}{hint}", failure.message))
            }
        };
        let step = Step { name, ok, ms, detail };
        if self.output == Output::Text {
            crate::report::line(table::row(&step));
        }
        self.steps.push(step);
        value
    }

    fn failed(&self) -> bool {
        self.steps.iter().any(|step| !step.ok)
    }

    fn json(&self) -> Value {
        let step = |step: &Step| json!({"name": step.name, "ok": step.ok, "ms": step.ms, "detail": step.detail});
        json!({"steps": self.steps.iter().map(step).collect::<Vec<_>>(), "ok": !self.failed()})
    }
}

pub(crate) async fn run(args: &Demo, output: Output) -> Result<ExitCode, Failure> {
    let folder = Folder::make(args)?;
    let plugins = if args.all { folders::all(&args.plugins)? } else { folders::of(&args.plugins, steps::PLUGIN)? };
    if output == Output::Text {
        let shown = folder.path().display();
        crate::report::line(format!("{NAME}a whole registry on this machine{NAME:#} {DIM}in {shown}{DIM:#}\n"));
    }
    let mut run = Run { output, steps: Vec::new() };
    let stage = Stage::new(folder.path(), plugins, args.code_cache.clone());
    all(&mut run, &stage, args.all).await;
    let failed = run.failed();
    if output == Output::Json {
        crate::report::line(run.json());
    } else {
        crate::report::line(table::verdict(&run.steps));
    }
    if args.once || failed {
        return Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS });
    }
    keep_serving(&stage, output).await?;
    Ok(ExitCode::SUCCESS)
}

/// The steps. Values flow from one to the next, so a failed step ends the run.
async fn all(run: &mut Run, stage: &Stage, others: bool) -> Option<()> {
    let made = run.step("make a registry", stage.init()).await?;
    let mut server = run.step("start `stoa serve`", stage.serve()).await?;
    let key = run.step("make a namespace and a key", stage.namespace(&server, &made)).await?;
    let seq = run.step("publish over HTTP", stage.publish(&server, &key)).await?;
    run.step("wait for the signed index", stage.wait(&server, seq)).await?;
    let online = run.step("pin the root, sync, resolve", stage.resolve(&server)).await?;
    let plan = run.step("fetch and verify", stage.fetch(&server, &online)).await?;
    let host = run.step("compile and start", stage.start(plan)).await?;
    let answer = run.step("call demo:site", stage.call(host)).await?;
    if others {
        let host = run.step("compile their engines", stage.start_others(&server)).await?;
        for other in &others::ALL {
            run.step(other.step, stage.call_other(&host, other)).await?;
        }
        run.step("start them again", stage.restart_others(host)).await?;
    }
    run.step("stop the server", async { server.stop().await.map(|detail| ((), detail)) }).await?;
    run.step("again, offline", stage.offline(&server, &answer)).await?;
    run.step("tamper with a copy", stage.tamper()).await?;
    Some(())
}

/// The registry goes on until a signal; its marketplace is there to be looked at.
async fn keep_serving(stage: &Stage, output: Output) -> Result<(), Failure> {
    let (mut server, _) = stage.serve().await?;
    let url = server.url();
    output.note(format_args!("\n{GOOD}marketplace{GOOD:#} {NAME}{url}/{NAME:#}"));
    output.note(format_args!("{DIM}plugin page {url}/plugins/demo/site/   API {url}/api/v1/health{DIM:#}"));
    output.note(format_args!("{DIM}Ctrl-C ends it{DIM:#}"));
    let ended = tokio::signal::ctrl_c().await;
    let stopped = server.stop().await;
    ended?;
    stopped.map(drop)
}

/// Where the demo works: a folder that was asked for, or one of its own that is removed afterwards.
#[derive(Debug)]
enum Folder {
    Kept(PathBuf),
    Own(tempfile::TempDir),
}

impl Folder {
    fn make(args: &Demo) -> Result<Self, Failure> {
        match &args.dir {
            Some(dir) => {
                std::fs::create_dir_all(dir)
                    .map_err(|e| Failure::new(format!("the folder `{}` can not be made: {e}", dir.display())))?;
                Ok(Self::Kept(dir.clone()))
            }
            None => Ok(Self::Own(tempfile::Builder::new().prefix("stoa-demo-").tempdir()?)),
        }
    }

    fn path(&self) -> &std::path::Path {
        match self {
            Self::Kept(path) => path,
            Self::Own(dir) => dir.path(),
        }
    }
}

/// What a failing demo shows in red.
const REFUSED: anstyle::Style = BAD;
