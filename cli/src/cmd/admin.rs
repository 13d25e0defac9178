//! `stoa namespace` and `stoa key`: what an operator does once, over the same API as everybody.

use serde_json::{Value, json};

use crate::{
    api::Api,
    args::{Admin, KeyCommand, NamespaceCommand},
    report::{DIM, Failure, GOOD, NAME, Output, WARN},
};

pub(crate) fn api(admin: &Admin) -> Result<Api, Failure> {
    let key = admin.api_key.as_deref();
    let key = key.ok_or_else(|| {
        Failure::new("this needs an API key with the scope admin").hint("give --api-key, or set STOA_API_KEY")
    })?;
    Api::new(&admin.registry, Some(key))
}

fn text<'a>(answer: &'a Value, name: &str) -> &'a str {
    answer.get(name).and_then(Value::as_str).unwrap_or_default()
}

pub(crate) async fn namespace(command: &NamespaceCommand, output: Output) -> Result<(), Failure> {
    let NamespaceCommand::Create { name, admin } = command;
    let answer = api(admin)?.post("namespaces", &json!({"namespace": name})).await?;
    output.result(format!("{GOOD}made{GOOD:#} the namespace {NAME}{name}{NAME:#}"), &answer);
    Ok(())
}

pub(crate) async fn key(command: &KeyCommand, output: Output) -> Result<(), Failure> {
    match command {
        KeyCommand::Create { label, scopes, expires_at, admin } => {
            let mut body = json!({"label": label, "scopes": scopes});
            if let Some(at) = expires_at {
                body["expires_at"] = json!(at);
            }
            let answer = api(admin)?.post("keys", &body).await?;
            let (key, id) = (text(&answer, "key"), text(&answer, "id"));
            let shown = format!("{WARN}API key{WARN:#}, shown once:\n  {key}\n{DIM}id {id}{DIM:#}");
            output.result(shown, &answer);
        }
        KeyCommand::Revoke { id, admin } => {
            let plain = !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric());
            if !plain {
                return Err(Failure::new(format!("`{}` is not the id of a key", id.escape_default()))
                    .hint("it is the part of the key between the first two `_`"));
            }
            let answer = api(admin)?.delete(&format!("keys/{id}")).await?;
            output.result(format!("{GOOD}revoked{GOOD:#} the key {NAME}{id}{NAME:#}"), &answer);
        }
    }
    Ok(())
}
