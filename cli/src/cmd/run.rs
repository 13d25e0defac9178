//! `stoa run`.

use std::{collections::BTreeMap, path::Path, time::Duration};

use serde_json::json;
use stoa_core::{
    resolve::ResolveOptions,
    wanted::{Want, Wanted},
};
use stoa_loader::{Host, component::Val};

use super::policy;
use crate::{
    args::Run,
    host,
    progress::Spinner,
    report::{DIM, Failure, NAME, Output},
};

pub(crate) async fn run(args: &Run, output: Output) -> Result<(), Failure> {
    let policy = policy::load(args.policy.as_deref(), Path::new("plugins.toml"))?;
    let registry = host::open(&args.registry, output).await?.with_policy(policy.unwrap_or_default());
    let spinner = Spinner::start(output, "reading the signed index");
    let snapshot = host::sync(&registry, args.registry.offline, output).await?;
    let host = host::host(&registry)?;
    let wanted = Wanted::new(BTreeMap::new(), vec![Want::new(args.plugin.id.clone(), args.plugin.version.clone())])?;
    let options = ResolveOptions::new("main".parse()?);
    spinner.say(format!("resolving {}", args.plugin.id));
    let resolution =
        snapshot.resolve(&wanted, None, &host.offer().to_core(), &options).await.map_err(super::explain)?;
    spinner.say("fetching components");
    let plan = registry.plan(&resolution, &wanted, |_| ()).await.map_err(super::explain)?;
    spinner.say("compiling");
    host.apply(plan).await?.all()?;
    spinner.say(format!("calling {}", args.invoke));
    let plugin = host.plugin(&args.plugin.id.to_string())?;
    let version = plugin.version()?;
    let answer = plugin.call_wave(&args.invoke).await;
    drop(spinner);
    end(host).await;
    let answer = wave(&answer?)?;
    output.note(format_args!("{DIM}{NAME}{}@{version}{NAME:#}{DIM}{DIM:#}", args.plugin.id));
    output.result(&answer, &json!({"plugin": args.plugin.id, "version": version, "result": answer}));
    Ok(())
}

/// Results as WAVE, one a line.
pub(crate) fn wave(values: &[Val]) -> Result<String, Failure> {
    let texts: Result<Vec<String>, _> = values.iter().map(Val::to_wave).collect();
    Ok(texts.map_err(|e| Failure::new(format!("the result has no text form: {e}")))?.join("\n"))
}

pub(crate) async fn end(host: Host<()>) {
    host.shutdown(Duration::from_secs(2)).await;
}
