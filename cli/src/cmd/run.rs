//! `stoa run`.

use std::{collections::BTreeMap, path::Path, time::Duration};

use serde_json::{Value, json};
use stoa_core::{
    resolve::ResolveOptions,
    wanted::{Want, Wanted},
};
use stoa_loader::{Host, component::Val};

use super::{policy, vitals};
use crate::{
    args::Run,
    host,
    progress::Spinner,
    report::{DIM, Failure, NAME, Output, harmless},
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
    drop(spinner);
    // Before anything moves on the terminal again: this may ask.
    registry.grants(&resolution).await.map_err(super::explain)?;
    let spinner = Spinner::start(output, "fetching components");
    let plan = registry.plan(&resolution, &wanted, |_| ()).await.map_err(super::explain)?;
    spinner.say("compiling");
    host.apply(plan).await?.all()?;
    let plugin = host.plugin(&args.plugin.id.to_string())?;
    let version = plugin.version()?;
    let mut answers = Vec::new();
    for call in &args.invoke {
        spinner.say(format!("calling {call}"));
        answers.push(match plugin.call_wave(call).await {
            Ok(values) => wave(&values),
            Err(error) => Err(Failure::from(error)),
        });
    }
    drop(spinner);
    let vitals = args.vitals.then(|| host.vitals());
    end(host).await;

    let name = format!("{DIM}{NAME}{}@{version}{NAME:#}{DIM}{DIM:#}", args.plugin.id);
    let mut told = json!({"plugin": args.plugin.id, "version": version});
    if let Some(vitals) = &vitals {
        told["vitals"] = vitals.iter().map(vitals::json).collect();
    }
    let told_as_text = |mut lines: Vec<String>| {
        lines.extend(vitals.iter().flatten().map(ToString::to_string));
        lines.join("\n")
    };
    if args.invoke.len() == 1
        && let Some(answer) = answers.pop()
    {
        let answer = answer.inspect_err(|_| vitals.iter().flatten().for_each(|vitals| output.note(vitals)))?;
        output.note(name);
        told["result"] = json!(answer);
        output.result(told_as_text(vec![answer]), &told);
        return Ok(());
    }
    output.note(name);
    // Each of them tells how it went.
    told["results"] = answers.iter().map(result).collect();
    let lines = answers.iter().map(|answer| match answer {
        Ok(answer) => answer.clone(),
        Err(failure) => harmless(&failure.to_string()),
    });
    output.result(told_as_text(lines.collect()), &told);
    Ok(())
}

fn result(answer: &Result<String, Failure>) -> Value {
    match answer {
        Ok(answer) => json!({"result": answer}),
        Err(failure) => json!({"error": failure.to_string()}),
    }
}

/// Results as WAVE, one a line.
pub(crate) fn wave(values: &[Val]) -> Result<String, Failure> {
    let texts: Result<Vec<String>, _> = values.iter().map(Val::to_wave).collect();
    Ok(texts.map_err(|e| Failure::new(format!("the result has no text form: {e}")))?.join("\n"))
}

pub(crate) async fn end(host: Host<()>) {
    host.shutdown(Duration::from_secs(2)).await;
}
