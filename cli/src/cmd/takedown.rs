//! `stoa takedown`.

use serde_json::{Value, json};
use stoa_core::standing::Measure;

use super::admin;
use crate::{
    api::Api,
    args::{Accusation, Objection, PluginAt, TakedownCommand},
    report::{BAD, DIM, Failure, GOOD, NAME, Output, WARN},
};

pub(crate) async fn run(command: &TakedownCommand, output: Output) -> Result<(), Failure> {
    match command {
        TakedownCommand::Quarantine(args) => take_down(args, Measure::Quarantine, output).await,
        TakedownCommand::Kill(args) => take_down(args, Measure::Kill, output).await,
        TakedownCommand::Restore(args) => object(args, "restore", output).await,
        TakedownCommand::Appeal(args) => object(args, "appeal", output).await,
    }
}

async fn take_down(args: &Accusation, measure: Measure, output: Output) -> Result<(), Failure> {
    let mut body = json!({"measure": measure, "cause": args.cause, "reason": args.reason});
    name_version(&mut body, &args.plugin);
    let answer = admin::api(&args.admin)?.post(&path(&args.plugin, "takedown"), &body).await?;
    // What stands is told, which may be what somebody did before.
    let done = answer.pointer("/takedown/measure").and_then(Value::as_str).unwrap_or_default();
    let style = if done == "kill" { BAD } else { WARN };
    let state = if done == "kill" { Measure::Kill } else { Measure::Quarantine }.state();
    let seq = answer.pointer("/takedown/seq").and_then(Value::as_u64).unwrap_or_default();
    let text = format!("{style}{state}{style:#} {NAME}{}{NAME:#} {DIM}event {seq}{DIM:#}", shown(&args.plugin));
    output.result(text, &answer);
    Ok(())
}

async fn object(args: &Objection, verb: &str, output: Output) -> Result<(), Failure> {
    let mut body = json!({"reason": args.reason});
    name_version(&mut body, &args.plugin);
    let api = Api::new(&args.registry.registry, args.registry.api_key.as_deref())?;
    let answer = api.post(&path(&args.plugin, verb), &body).await?;
    let done = if verb == "restore" { "restored" } else { "appealed" };
    output.result(format!("{GOOD}{done}{GOOD:#} {NAME}{}{NAME:#}", shown(&args.plugin)), &answer);
    Ok(())
}

fn path(plugin: &PluginAt, verb: &str) -> String {
    format!("plugins/{}/{}/{verb}", plugin.id.namespace(), plugin.id.name())
}

fn name_version(body: &mut Value, plugin: &PluginAt) {
    if let Some(version) = &plugin.version {
        body["version"] = json!(version);
    }
}

fn shown(plugin: &PluginAt) -> String {
    match &plugin.version {
        Some(version) => format!("{}@{version}", plugin.id),
        None => plugin.id.to_string(),
    }
}
