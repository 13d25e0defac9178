//! `stoa fetch`.

use serde_json::json;
use stoa_core::resolve::Mode;
use stoa_loader::Fetched;

use super::lock::Files;
use crate::{
    args,
    progress::Spinner,
    report::{DIM, Failure, GOOD, Output},
};

pub(crate) async fn run(args: &args::Fetch, output: Output) -> Result<(), Failure> {
    let paths = args.locking.of(&args.files);
    let files = Files::read(&paths)?;
    files.locked(&paths)?;
    let registry = files.open(&paths).await?;
    let spinner = Spinner::start(output, "checking the lock against the signed index");
    let (resolution, _) = files.resolve(&registry, Mode::Locked, paths.offline, output).await?;
    drop(spinner);
    // Before anything moves on the terminal again: this may ask.
    registry.grants(&resolution).await.map_err(super::explain)?;
    let spinner = Spinner::start(output, "fetching components");
    let progress = |fetched| {
        if let Fetched::Component { id, .. } = fetched {
            spinner.say(format!("fetched {id}"));
        }
    };
    registry.plan(&resolution, &files.wanted, progress).await.map_err(super::explain)?;
    drop(spinner);
    let count = resolution.plugins.len();
    let bytes: u64 = resolution.plugins.iter().map(|plugin| plugin.listing.artifact.size).sum();
    let text =
        format!("{GOOD}verified{GOOD:#} {count} plugins, {bytes} bytes {DIM}{} requests{DIM:#}", registry.requests());
    output.result(text, &json!({"plugins": count, "bytes": bytes, "requests": registry.requests()}));
    Ok(())
}
