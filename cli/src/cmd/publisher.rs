//! `stoa publisher`: the keys that a namespace's releases are signed with.

use std::{fmt::Write as _, path::Path};

use serde_json::{Value, json};
use stoa_core::{
    id::Namespace,
    publisher::{Change, Publishers, Statement},
    trust::{KeyId, SecretKey},
};

use crate::{
    api::Api,
    args::{self, PublisherCommand},
    host,
    keyfile::{Keeping, KeyFile, WORK},
    report::{DIM, Failure, GOOD, NAME, Output, WARN, harmless},
};

pub(crate) async fn run(command: &PublisherCommand, output: Output) -> Result<(), Failure> {
    match command {
        PublisherCommand::New { file, plain_for_demos } => new(file, *plain_for_demos, output),
        PublisherCommand::List { namespace, registry } => list(namespace, registry, output).await,
        PublisherCommand::Add { namespace, key, sign, access } => {
            let key = signing_key(key)?;
            let change = Change::Add { key: key.public().clone() };
            state(namespace, access, change, Some(key), sign.as_deref(), output).await
        }
        PublisherCommand::Rotate { namespace, key, sign, access } => {
            let (key, old) = (signing_key(key)?, signing_key(sign)?);
            let change = Change::Rotate { key: key.public().clone(), replaces: old.id().clone() };
            state(namespace, access, change, Some(key), Some(sign), output).await
        }
        PublisherCommand::Revoke { namespace, key, reason, sign, access } => match sign {
            None => revoke_as_operator(namespace, key, reason, access, output).await,
            Some(sign) => {
                let change = Change::Revoke { key: key.clone(), reason: reason.clone() };
                state(namespace, access, change, None, Some(sign), output).await
            }
        },
        PublisherCommand::Demand { namespace, off, sign, access } => {
            let change = Change::Demand { signatures: !off };
            state(namespace, access, change, None, Some(sign), output).await
        }
    }
}

/// The key of a file that `stoa publisher new` wrote.
pub(crate) fn signing_key(path: &Path) -> Result<SecretKey, Failure> {
    KeyFile::read(path)?.unlock()
}

fn new(file: &Path, plain: bool, output: Output) -> Result<(), Failure> {
    let keeping = if plain { Keeping::PlainForDemos } else { Keeping::Passphrase(WORK) };
    let key = KeyFile::generate(file, None, keeping)?.public();
    let id = key.id().ok_or_else(|| Failure::new("the key has no id"))?;
    let text = format!(
        "{GOOD}made{GOOD:#} the key {NAME}{}{NAME:#} in {}\n{DIM}register it: stoa publisher add NAMESPACE --key {}{DIM:#}",
        id,
        file.display(),
        file.display()
    );
    output.result(text, &json!({"id": id, "key": key}));
    Ok(())
}

/// Signs a change and sends it. What it names the registry by is the root that is pinned here, never what the API says.
async fn state(
    namespace: &Namespace,
    access: &args::PublisherAccess,
    change: Change,
    own: Option<SecretKey>,
    sign: Option<&Path>,
    output: Output,
) -> Result<(), Failure> {
    let registry = host::first_root(&host::open(&access.registry, output).await?)?;
    let api = api(access)?;
    let path = format!("namespaces/{namespace}/publishers");
    let before: Publishers = serde_json::from_value(api.get(&path).await?)?;
    let other = sign.map(signing_key).transpose()?;
    let keys: Vec<&SecretKey> = own.iter().chain(&other).collect();
    let number = before.number.saturating_add(1);
    let statement = Statement { format: 1, registry, namespace: namespace.clone(), number, change };
    let envelope = statement.sign(&keys)?;
    let answer = api.post(&path, &serde_json::to_value(&envelope)?).await?;
    output.result(shown(&serde_json::from_value(answer.clone())?), &answer);
    Ok(())
}

async fn revoke_as_operator(
    namespace: &Namespace,
    key: &KeyId,
    reason: &str,
    access: &args::PublisherAccess,
    output: Output,
) -> Result<(), Failure> {
    let path = format!("namespaces/{namespace}/publishers/{key}/revoke");
    let answer = api(access)?.post(&path, &json!({"reason": reason})).await?;
    output.result(shown(&serde_json::from_value(answer.clone())?), &answer);
    Ok(())
}

fn api(access: &args::PublisherAccess) -> Result<Api, Failure> {
    let key = access.api_key.as_deref();
    let key = key.ok_or_else(|| {
        Failure::new("this needs an API key that publishes in the whole namespace")
            .hint("give --api-key, or set STOA_API_KEY")
    })?;
    Api::new(&access.registry.registry, Some(key))
}

async fn list(namespace: &Namespace, registry: &args::Registry, output: Output) -> Result<(), Failure> {
    let opened = host::open(registry, output).await?;
    let snapshot = host::sync(&opened, registry.offline, output).await?;
    match snapshot.publishers(namespace).await? {
        Some(publishers) => {
            let json: Value = serde_json::to_value(&publishers)?;
            output.result(shown(&publishers), &json);
        }
        None => output.result(format!("`{namespace}` has no keys: the signed index proves it"), &Value::Null),
    }
    Ok(())
}

fn shown(publishers: &Publishers) -> String {
    let demands =
        if publishers.demanded.is_some() { "every release has to be signed" } else { "signatures are optional" };
    let mut text = format!("{NAME}{}{NAME:#} {DIM}{demands}{DIM:#}", publishers.namespace);
    for (id, key) in &publishers.keys {
        let state = match &key.ended {
            None => format!("counts from {} on", key.usable_at),
            Some(ended) => match &ended.revoked {
                Some(reason) => format!("{WARN}revoked{WARN:#} at {}: {}", ended.at, harmless(reason)),
                None => format!("replaced at {}", ended.at),
            },
        };
        let _infallible = write!(text, "\n  {id}  {state}");
    }
    text
}
