//! `stoa backup`, `stoa restore`, `stoa recover`.

use serde_json::json;

use crate::{
    args::{Backup, Recover, Restore},
    progress::Spinner,
    report::{DIM, Failure, GOOD, NAME, Output, WARN},
    server::{self, Loss, Signing},
};

pub(crate) async fn backup(args: &Backup, output: Output) -> Result<(), Failure> {
    let spinner = Spinner::start(output, "copying the ledger, and what it names and the backup lacks");
    let made = server::backup(&args.dir, &args.to, !args.without_keys, super::now()).await?;
    drop(spinner);
    let keys = match made.keys {
        true => format!("{WARN}the online keys are in it{WARN:#}: keep it as you keep the registry"),
        false => {
            "the online keys are not in it: keep copies of `keys/indexer/` and `keys/signer/` elsewhere".to_owned()
        }
    };
    let text = format!(
        "{GOOD}backed up{GOOD:#} {NAME}{}{NAME:#} to {NAME}{}{NAME:#} {DIM}up to event {}{DIM:#}\n\
         {DIM}{} blobs, {} of them new ({} bytes){DIM:#}\n{keys}",
        args.dir.display(),
        args.to.display(),
        made.seq,
        made.blobs,
        made.copied,
        made.copied_bytes,
    );
    output.result(
        text,
        &json!({
            "to": args.to, "seq": made.seq, "blobs": made.blobs, "copied": made.copied,
            "copied_bytes": made.copied_bytes, "keys": made.keys,
        }),
    );
    Ok(())
}

pub(crate) async fn restore(args: &Restore, output: Output) -> Result<(), Failure> {
    let spinner = Spinner::start(output, "copying, replaying what came after, signing the index");
    let made = server::restore(&args.from, &args.to, args.newer.as_deref(), super::now()).await?;
    drop(spinner);
    let to = args.to.display();
    let mut text = format!("{GOOD}restored{GOOD:#} {NAME}{to}{NAME:#} {DIM}up to event {}{DIM:#}", made.seq);
    if made.replayed > 0 {
        text += &format!("\n{DIM}{} events came from an archive{DIM:#}", made.replayed);
    }
    if let Some(key) = &made.admin_key {
        text += &format!("\n\n{}\n", new_key(key));
    }
    text += &match &made.signed {
        Signing::Done => format!("\nrun it with {NAME}stoa serve --dir {to}{NAME:#}"),
        Signing::NoKeys => format!(
            "\n{WARN}the online keys are missing{WARN:#}: put them to {to}/keys/indexer/ and {to}/keys/signer/, then run it with \
             {NAME}stoa serve --dir {to}{NAME:#}"
        ),
        Signing::Lost(why) => format!(
            "\n{WARN}events are lost{WARN:#}: {why}\nit does not start as it is; find them, or give them up, with \
             {NAME}stoa recover --dir {to}{NAME:#}"
        ),
    };
    let (signed, lost) = match &made.signed {
        Signing::Done => (true, None),
        Signing::NoKeys => (false, None),
        Signing::Lost(why) => (false, Some(why)),
    };
    output.result(
        text,
        &json!({
            "to": args.to, "seq": made.seq, "replayed": made.replayed, "admin_key": made.admin_key,
            "signed": signed, "lost": lost,
        }),
    );
    Ok(())
}

fn new_key(key: &str) -> String {
    format!("{WARN}new admin key{WARN:#}, shown once (the old keys were in the ledger that is lost):\n  {key}")
}

pub(crate) async fn recover(args: &Recover, output: Output) -> Result<(), Failure> {
    let spinner = Spinner::start(output, "replaying what is left, signing the index");
    let loss = Loss { newer: args.newer.as_deref(), reason: args.reason.as_deref(), lost_after: args.lost_after };
    let made = server::recover(&args.dir, &loss, super::now()).await?;
    drop(spinner);
    let what = match made.epoch {
        Some((epoch, last)) => format!(
            "{WARN}what came after event {last} is given up{WARN:#}: the log goes on with the epoch, event {epoch}"
        ),
        None => "nothing is lost".to_owned(),
    };
    let text = format!(
        "{GOOD}recovered{GOOD:#} {NAME}{}{NAME:#} {DIM}up to event {}; {} events came from an archive{DIM:#}\n{what}",
        args.dir.display(),
        made.seq,
        made.replayed,
    );
    let text = match &made.admin_key {
        Some(key) => format!("{text}\n\n{}", new_key(key)),
        None => text,
    };
    let epoch = made.epoch.map(|(epoch, last)| json!({"seq": epoch, "last_before": last}));
    output.result(
        text,
        &json!({
            "dir": args.dir, "seq": made.seq, "replayed": made.replayed, "admin_key": made.admin_key, "epoch": epoch,
        }),
    );
    Ok(())
}
