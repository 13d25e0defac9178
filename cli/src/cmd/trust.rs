//! `stoa trust`: what the signed index costs, and when it expires.

mod plan;

use std::{path::Path, process::ExitCode};

use serde_json::json;
use stoa_core::time::{DAY, Time};

pub(crate) use plan::plan;

use crate::{
    report::{BAD, DIM, Failure, GOOD, NAME, Output, WARN},
    server::{self, Due, RoleStatus},
};

/// Something expires soon, for a monitor.
const SOON: u8 = 3;
/// Something has expired.
const EXPIRED: u8 = 4;

/// Prints the calendar of a registry as it stands at `at`.
pub(crate) async fn status(dir: &Path, at: Time, output: Output) -> Result<ExitCode, Failure> {
    let lines = server::status(dir, at).await?;
    let due = lines.iter().map(|line| line.due).max().unwrap_or(Due::Good);
    let mut text: Vec<String> = lines.iter().map(|line| status_line(line, at)).collect();
    text.push(String::new());
    text.push(match due {
        Due::Good => format!("{GOOD}all good{GOOD:#} at {at}"),
        Due::Soon => format!(
            "{WARN}something expires soon{WARN:#}: `stoa keys renew` is for root, targets and index; all else the \
             registry signs anew by itself, as long as it runs"
        ),
        Due::Expired => format!(
            "{BAD}something has expired{BAD:#}: clients keep what they hold and refuse anything newer, until it is renewed"
        ),
    });
    let json = json!({"at": at, "due": due_name(due), "roles": lines.iter().map(status_json).collect::<Vec<_>>()});
    output.result(text.join("\n"), &json);
    Ok(match due {
        Due::Good => ExitCode::SUCCESS,
        Due::Soon => ExitCode::from(SOON),
        Due::Expired => ExitCode::from(EXPIRED),
    })
}

fn due_name(due: Due) -> &'static str {
    match due {
        Due::Good => "good",
        Due::Soon => "soon",
        Due::Expired => "expired",
    }
}

fn status_line(line: &RoleStatus, at: Time) -> String {
    let RoleStatus { role, version, expires, due, signers } = line;
    let days = (expires.unix() - at.unix()).div_euclid(DAY);
    let (style, when) = match due {
        Due::Good => (GOOD, format!("{days} days left")),
        Due::Soon => (WARN, format!("{days} days left")),
        Due::Expired => (BAD, "expired".to_owned()),
    };
    let keys: Vec<String> = signers.keys().keys().map(|id| id.short()).collect();
    format!(
        "{NAME}{role}{NAME:#} {version}, {style}{when}{style:#} ({expires})\n  {DIM}signed by {} of {}: {}{DIM:#}",
        signers.threshold(),
        keys.len(),
        keys.join(" ")
    )
}

fn status_json(line: &RoleStatus) -> serde_json::Value {
    json!({
        "role": line.role, "version": line.version, "expires": line.expires, "due": due_name(line.due),
        "threshold": line.signers.threshold(), "keys": line.signers.keys().keys().collect::<Vec<_>>(),
    })
}
