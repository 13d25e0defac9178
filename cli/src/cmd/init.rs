//! `stoa init`.

use serde_json::json;

use crate::{
    args::Init,
    progress::Spinner,
    report::{DIM, Failure, GOOD, NAME, Output, WARN},
    server,
};

pub(crate) async fn run(args: &Init, output: Output) -> Result<(), Failure> {
    let spinner = Spinner::start(output, "making keys and the first signed index");
    let made = server::init(&args.dir, &args.name, super::now()).await?;
    drop(spinner);
    let (root, offline) = (made.root.display(), made.offline_keys.display());
    let text = format!(
        "{GOOD}made{GOOD:#} a registry in {NAME}{}{NAME:#}\n\n\
         {WARN}admin key{WARN:#}, shown once:\n  {}\n\n\
         root to be pinned by hosts: {root}\n  {DIM}SHA-256 {}{DIM:#}\n\
         {WARN}offline keys{WARN:#}: move {offline} to other machines; a running registry does not need them\n\n\
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
