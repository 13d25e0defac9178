//! `stoa yank` and `stoa unyank`.

use serde_json::{Value, json};

use crate::{
    api::Api,
    args::Yank,
    report::{DIM, Failure, GOOD, NAME, Output},
};

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Yank,
    Unyank,
}

pub(crate) async fn run(args: &Yank, verb: Verb, output: Output) -> Result<(), Failure> {
    let api = Api::new(&args.registry.registry, args.api_key.as_deref())?;
    let (id, version) = (&args.release.id, &args.release.version);
    let word = match verb {
        Verb::Yank => "yank",
        Verb::Unyank => "unyank",
    };
    let path = format!("plugins/{}/{}/{version}/{word}", id.namespace(), id.name());
    let answer = api.post(&path, &json!({"reason": args.reason})).await?;
    let seq = answer.get("yanked_seq").and_then(Value::as_u64).map(|seq| format!("event {seq}")).unwrap_or_default();
    let text = format!("{GOOD}{word}ed{GOOD:#} {NAME}{id}@{version}{NAME:#} {DIM}{seq}{DIM:#}");
    output.result(text, &answer);
    Ok(())
}
