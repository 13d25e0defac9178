//! `stoa advisory`.

use serde_json::{Value, json};

use crate::{
    api::Api,
    args::{AdvisoryCommand, NewAdvisory, Speaker},
    report::{DIM, Failure, GOOD, NAME, Output},
};

pub(crate) async fn run(command: &AdvisoryCommand, output: Output) -> Result<(), Failure> {
    match command {
        AdvisoryCommand::Publish(args) => publish(args, output).await,
        AdvisoryCommand::Withdraw { plugin, id, reason, registry } => {
            let path = format!("plugins/{}/{}/advisories/{id}/withdraw", plugin.namespace(), plugin.name());
            let answer = api(registry)?.post(&path, &json!({"reason": reason})).await?;
            output.result(text("withdrew", &answer), &answer);
            Ok(())
        }
    }
}

async fn publish(args: &NewAdvisory, output: Output) -> Result<(), Failure> {
    let mut aliases = args.alias.clone();
    aliases.sort();
    aliases.dedup();
    let mut body = json!({
        "severity": args.severity, "summary": args.summary, "affected": args.affected, "fixed": args.fixed,
        "link": args.link, "aliases": aliases,
    });
    if let Some(id) = &args.id {
        body["id"] = json!(id);
    }
    let path = format!("plugins/{}/{}/advisories", args.plugin.namespace(), args.plugin.name());
    let answer = api(&args.registry)?.post(&path, &body).await?;
    output.result(text("published", &answer), &answer);
    Ok(())
}

fn api(speaker: &Speaker) -> Result<Api, Failure> {
    Api::new(&speaker.registry, speaker.api_key.as_deref())
}

fn text(verb: &str, answer: &Value) -> String {
    let id = answer.pointer("/advisory/id").and_then(Value::as_str).unwrap_or_default();
    let plugin = answer.get("plugin").and_then(Value::as_str).unwrap_or_default();
    let seq = answer.get("seq").and_then(Value::as_u64).unwrap_or_default();
    format!("{GOOD}{verb}{GOOD:#} {NAME}{id}{NAME:#} of {plugin} {DIM}event {seq}{DIM:#}")
}
