//! `stoa init`.

use serde_json::json;

use crate::{
    args::Init,
    progress::Spinner,
    report::{BAD, DIM, Failure, GOOD, NAME, Output, WARN},
    server::{self, Beginning},
};

pub(crate) async fn run(args: &Init, output: Output) -> Result<(), Failure> {
    let beginning = match super::keys::merged(&args.ceremonies)? {
        Some(offer) => Beginning::Signed(Box::new(offer)),
        None => Beginning::KeysHere,
    };
    let spinner = Spinner::start(output, "making keys and the first signed index");
    let made = server::init(&args.dir, &args.name, beginning, super::now()).await?;
    drop(spinner);
    let root = made.root.display();
    let offline = match &made.offline_keys {
        Some(folder) => {
            let folder = folder.display();
            format!(
                "{BAD}the offline keys are plain files, all in {folder}{BAD:#}: whoever reads that folder can become this \
                 registry,\nfor everyone who pins its root. Good for a first look. For a registry that others trust, begin \
                 anew with\n{NAME}stoa keys begin{NAME:#}; at least move each key to another machine, a running registry \
                 does not need them"
            )
        }
        None => "the offline keys were never here: keep it so".to_owned(),
    };
    let text = format!(
        "{GOOD}made{GOOD:#} a registry in {NAME}{}{NAME:#}\n\n\
         {WARN}admin key{WARN:#}, shown once:\n  {}\n\n\
         root to be pinned by hosts: {root}\n  {DIM}SHA-256 {}{DIM:#}\n\
         {offline}\n\n\
         run it with {NAME}stoa serve --dir {}{NAME:#}",
        args.dir.display(),
        made.admin_key,
        made.fingerprint,
        args.dir.display(),
    );
    output.result(
        text,
        &json!({
            "dir": args.dir, "admin_key": made.admin_key, "root": made.root,
            "root_sha256": made.fingerprint, "offline_keys": made.offline_keys,
        }),
    );
    Ok(())
}
