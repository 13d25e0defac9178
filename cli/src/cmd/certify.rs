//! `stoa certify`.

use serde_json::{Value, json};

use super::admin;
use crate::{
    args::Certify,
    report::{DIM, Failure, GOOD, NAME, Output, WARN},
};

pub(crate) async fn run(args: &Certify, output: Output) -> Result<(), Failure> {
    let (id, version) = (&args.release.id, &args.release.version);
    let path = format!("plugins/{}/{}/{version}/certify", id.namespace(), id.name());
    let answer = admin::api(&args.admin)?.post(&path, &json!({"level": args.level, "reason": args.reason})).await?;
    // What stands is told, with the reason it had before.
    let level = answer.pointer("/certified/level").and_then(Value::as_u64);
    let seq = answer.pointer("/certified/seq").and_then(Value::as_u64);
    let text = match (level, seq) {
        (Some(level), Some(seq)) => {
            format!("{GOOD}certified to level {level}{GOOD:#} {NAME}{id}@{version}{NAME:#} {DIM}event {seq}{DIM:#}")
        }
        _ => format!("{WARN}not certified{WARN:#} {NAME}{id}@{version}{NAME:#}"),
    };
    output.result(text, &answer);
    Ok(())
}
