//! `stoa keys`: ceremonies, from the first key to the last renewal.

use std::{
    io::IsTerminal as _,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use stoa_core::{
    digest::Digest,
    time::DAY,
    trust::{
        PublicKey,
        ceremony::{CeremonyError, KeyRole, Offer, OfflineDocument},
    },
};

use crate::{
    args::{KeysCommand, OfferFile},
    keyfile::{Keeping, KeyFile},
    progress::Spinner,
    report::{BAD, DIM, Failure, GOOD, NAME, Output, WARN},
    server::{self, Change, Imported},
};

/// A file of a ceremony is read up to here; the format's own bound is lower.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

pub(crate) async fn run(command: &KeysCommand, output: Output) -> Result<(), Failure> {
    match command {
        KeysCommand::Generate { role, out, plain_for_demos, work_factor } => {
            let keeping = if *plain_for_demos { Keeping::PlainForDemos } else { Keeping::Passphrase(*work_factor) };
            generate(*role, out, keeping, output)
        }
        KeysCommand::Public { key } => public(key, output),
        KeysCommand::Begin { root_keys, targets_keys, threshold, offer } => {
            let (root, targets) = (publics(root_keys)?, publics(targets_keys)?);
            let expires = super::now().plus(i64::from(offer.days) * DAY);
            hand_out(&server::begin(&offer.dir, root, targets, *threshold, expires)?, offer, output)
        }
        KeysCommand::Add { role, keys, threshold, offer } => {
            if keys.is_empty() && threshold.is_none() {
                return Err(Failure::new("nothing is to be added: name a `--key`, a `--threshold`, or both"));
            }
            let change = Change::Add { role: *role, keys: publics(keys)?, threshold: *threshold };
            propose(change, offer, output).await
        }
        KeysCommand::Remove { role, key_id, threshold, offer } => {
            let change = Change::Remove { role: *role, key: key_id.clone(), threshold: *threshold };
            propose(change, offer, output).await
        }
        KeysCommand::Rotate { role, old, key, offer } => {
            let change = match (old, key) {
                (Some(old), Some(key)) => {
                    Change::Replace { role: *role, old: old.clone(), new: KeyFile::read(key)?.public() }
                }
                _ => Change::RotateOnline { role: *role },
            };
            propose(change, offer, output).await
        }
        KeysCommand::Renew { documents, offer } => {
            let named = |document: &OfflineDocument| {
                documents.is_empty() || documents.iter().any(|name| name == document.name())
            };
            let documents = OfflineDocument::ALL.into_iter().filter(named).collect();
            propose(Change::Renew { documents }, offer, output).await
        }
        KeysCommand::Review { ceremony } => {
            let offer = read(ceremony)?;
            output.result(description(&offer), &summary(&offer));
            Ok(())
        }
        KeysCommand::Sign { ceremony, key, root_sha256, yes, dry_run } => {
            let asking = if *yes { Asking::No } else { Asking::Terminal };
            sign(ceremony, key, *root_sha256, asking, *dry_run, output)
        }
        KeysCommand::Import { ceremonies, dir, dry_run } => import(dir, ceremonies, *dry_run, output).await,
    }
}

fn generate(role: KeyRole, out: &Path, keeping: Keeping, output: Output) -> Result<(), Failure> {
    let key = KeyFile::generate(out, Some(role), keeping)?;
    let id = key.public().id().map(|id| id.short()).unwrap_or_default();
    let shown = out.display();
    let how = match keeping {
        Keeping::Passphrase(_) => "its passphrase opens it, and nothing else: there is no way around it".to_owned(),
        Keeping::PlainForDemos => {
            format!("{BAD}it is a plain file{BAD:#}: whoever reads it has the key. For demonstrations alone")
        }
    };
    let text = format!(
        "{GOOD}made{GOOD:#} the {role} key {NAME}{id}{NAME:#} in {NAME}{shown}{NAME:#}\n{how}\n\
         keep a second copy in another place; give away what {NAME}stoa keys public {shown}{NAME:#} prints"
    );
    output.result(text, &json!({"role": role.name(), "key_id": key.public().id(), "file": out}));
    Ok(())
}

fn public(path: &Path, output: Output) -> Result<(), Failure> {
    let key = KeyFile::read(path)?;
    let json = json!({"role": key.role().map(KeyRole::name), "key_id": key.public().id(), "public": key.public()});
    output.result(key.public_text().trim_end(), &json);
    Ok(())
}

fn publics(paths: &[PathBuf]) -> Result<Vec<PublicKey>, Failure> {
    paths.iter().map(|path| Ok(KeyFile::read(path)?.public())).collect()
}

async fn propose(change: Change, file: &OfferFile, output: Output) -> Result<(), Failure> {
    let offer = server::propose(&file.dir, change, file.days, super::now()).await?;
    hand_out(&offer, file, output)
}

fn hand_out(offer: &Offer, file: &OfferFile, output: Output) -> Result<(), Failure> {
    let out = file.out.display();
    let next = match file.dry_run {
        true => format!("{WARN}nothing was written{WARN:#} (--dry-run)"),
        false => {
            server::write_file(&file.out, &offer.to_bytes())?;
            format!(
                "{GOOD}wrote{GOOD:#} {NAME}{out}{NAME:#}. Nothing of the registry has changed yet. Next: each signer runs, \
                 on a machine of their own,\n  {NAME}stoa keys sign {out} --key KEY{NAME:#}"
            )
        }
    };
    let mut json = summary(offer);
    json["file"] = if file.dry_run { Value::Null } else { json!(file.out) };
    output.result(format!("{}\n\n{next}", description(offer)), &json);
    Ok(())
}

/// Whether a person is asked before a key is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asking {
    Terminal,
    No,
}

fn sign(
    path: &Path,
    key: &Path,
    root: Option<Digest>,
    asking: Asking,
    dry_run: bool,
    output: Output,
) -> Result<(), Failure> {
    let mut offer = read(path)?;
    if let Some(expected) = root.filter(|expected| offer.registry() != Some(*expected)) {
        let found = offer.registry().map_or("no registry yet".to_owned(), |found| format!("the one with root {found}"));
        return Err(Failure::new(format!("this ceremony is of {found}, and not of the one with root {expected}")));
    }
    let key = KeyFile::read(key)?;
    let id = key.public().id().ok_or_else(|| Failure::new("the key has no id"))?;
    if !offer.quorums().iter().any(|quorum| quorum.signers.keys().contains_key(&id)) {
        return Err(CeremonyError::NotASigner(id).into());
    }
    output.note(format_args!("{}\n", description(&offer)));
    if key.is_plain() {
        output.note(format_args!("{BAD}this key is a plain file{BAD:#}: whoever reads it can sign as well"));
    }
    if dry_run {
        output.result(format!("{WARN}nothing was signed{WARN:#} (--dry-run)"), &summary(&offer));
        return Ok(());
    }
    if asking == Asking::Terminal {
        confirm(&offer)?;
    }
    let signed = offer.sign(&key.unlock()?)?;
    server::write_file(path, &offer.to_bytes())?;
    let signed = signed.iter().map(|document| document.name()).collect::<Vec<_>>().join(", ");
    let text = format!(
        "{GOOD}signed{GOOD:#} {signed} of the ceremony {NAME}{}{NAME:#} with key {NAME}{}{NAME:#}\n{}",
        offer.id(),
        id.short(),
        quorums(&offer)
    );
    output.result(text, &summary(&offer));
    Ok(())
}

/// A signature is for good. The number that is typed is what the signers have compared.
fn confirm(offer: &Offer) -> Result<(), Failure> {
    let terminal = console::Term::stderr();
    if !terminal.is_term() || !std::io::stdin().is_terminal() {
        return Err(Failure::new("there is no terminal to confirm at").hint("`--yes` signs without being asked"));
    }
    let id = offer.id();
    let last = id.rsplit('-').next().unwrap_or(&id);
    terminal.write_str(&format!("to sign, type the last four characters of {id}: "))?;
    match terminal.read_line()?.trim() == last {
        true => Ok(()),
        false => Err(Failure::new("that is another ceremony's: nothing was signed")),
    }
}

async fn import(dir: &Path, paths: &[PathBuf], dry_run: bool, output: Output) -> Result<(), Failure> {
    let offer = merged(paths)?.ok_or_else(|| Failure::new("no ceremony was named"))?;
    output.note(format_args!("{}\n", description(&offer)));
    let spinner = Spinner::start(output, "checking signatures, putting the documents in place, signing the index");
    let imported = server::import(dir, &offer, dry_run, super::now()).await?;
    drop(spinner);
    let mut json = summary(&offer);
    let (text, outcome) = match imported {
        Imported::Already => (format!("{GOOD}it is in place already{GOOD:#}: nothing was changed"), "already"),
        Imported::Rehearsed => (
            format!("{WARN}nothing was changed{WARN:#} (--dry-run): enough have signed, it can be imported"),
            "rehearsed",
        ),
        Imported::Done { seq, online, signed } => {
            json["seq"] = json!(seq);
            json["online_keys"] = json!(online);
            let mut text = format!("{GOOD}in place{GOOD:#}, by event {seq} of the log");
            if !online.is_empty() {
                text += &format!("\nnew online keys: {}; the old ones are gone from this folder", online.join(", "));
            }
            text += match signed {
                true => "\nthe index is signed: clients see it at their next refresh",
                false => "\nthe running registry signs the index within a minute",
            };
            (text, "done")
        }
    };
    json["outcome"] = json!(outcome);
    output.result(text, &json);
    Ok(())
}

/// The copies of one ceremony, with all their signatures; `None` where no file is named.
pub(crate) fn merged(paths: &[PathBuf]) -> Result<Option<Offer>, Failure> {
    let mut all: Option<Offer> = None;
    for path in paths {
        let offer = read(path)?;
        match &mut all {
            Some(all) => {
                all.merge(&offer).map_err(|e| Failure::from(e).hint(format!("see `{}`", path.display())))?;
            }
            None => all = Some(offer),
        }
    }
    Ok(all)
}

fn read(path: &Path) -> Result<Offer, Failure> {
    use std::io::Read as _;
    let shown = path.display();
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path);
    file.and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes))
        .map_err(|e| Failure::new(format!("`{shown}` can not be read: {e}")))?;
    Offer::read(&bytes).map_err(|error| {
        let error = Failure::from(error);
        Failure { message: format!("`{shown}` is refused: {}", error.message), ..error }
            .hint("get the file again from whoever made it; sign nothing of this one")
    })
}

/// What a ceremony changes, to whom it matters, and who has signed: all of it computed from its documents.
fn description(offer: &Offer) -> String {
    let registry = match offer.registry() {
        Some(root) => format!("of the registry with the first root {NAME}{root}{NAME:#}"),
        None => "that begins a registry".to_owned(),
    };
    let mut lines = vec![format!("ceremony {NAME}{}{NAME:#} {registry}", offer.id()), "it changes".to_owned()];
    lines.extend(offer.changes().iter().map(|change| format!("  {change}")));
    lines.push("it matters to".to_owned());
    lines.extend(offer.effects().iter().map(|effect| format!("  {effect}")));
    lines.push(quorums(offer));
    lines.join("\n")
}

fn quorums(offer: &Offer) -> String {
    let quorums = offer.quorums();
    let mut lines = vec!["signatures".to_owned()];
    lines.extend(quorums.iter().map(|quorum| {
        let style = if quorum.is_met() { GOOD } else { DIM };
        format!("  {style}{quorum}{style:#}")
    }));
    if quorums.iter().all(|quorum| quorum.is_met()) {
        let next = if offer.before().is_some() { "stoa keys import" } else { "stoa init --ceremony" };
        lines.push(format!("{GOOD}enough have signed{GOOD:#}: it comes into force with `{next}`"));
    }
    lines.join("\n")
}

fn summary(offer: &Offer) -> Value {
    let documents: Vec<_> = offer
        .documents()
        .map(|(document, terms)| json!({"document": document.name(), "version": terms.version, "expires": terms.expires}))
        .collect();
    let quorums: Vec<_> = offer
        .quorums()
        .into_iter()
        .map(|quorum| {
            json!({
                "document": quorum.document.name(), "by": quorum.by, "threshold": quorum.signers.threshold(),
                "signed": quorum.signed, "missing": quorum.missing().collect::<Vec<_>>(), "met": quorum.is_met(),
            })
        })
        .collect();
    json!({
        "ceremony": offer.id(), "registry": offer.registry(), "documents": documents,
        "changes": offer.changes().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "effects": offer.effects(), "quorums": quorums,
    })
}
