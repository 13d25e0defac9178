//! Plugins in languages whose components have a whole engine in them: large, and slow to compile once.

use std::time::Instant;

use stoa_core::resolve::Mode;
use stoa_loader::{Host, Plan, Refresh};

use super::{
    server::Server,
    steps::{Done, Stage, choose, shown, size},
};
use crate::{cmd, report::DIM};

/// A plugin, and what the demo asks it for.
#[derive(Debug)]
pub(super) struct Other {
    plugin: &'static str,
    language: &'static str,
    call: &'static str,
    /// The name of the step that calls it.
    pub(super) step: &'static str,
}

/// All of them.
pub(super) const ALL: [Other; 2] = [
    Other {
        plugin: "demo:highlight",
        language: "JavaScript",
        call: "highlight(\"let x = 1 < 2;\", \"js\")",
        step: "call demo:highlight",
    },
    Other {
        plugin: "demo:wordcount",
        language: "Python",
        call: "count(\"To be, or not to be.\", 2)",
        step: "call demo:wordcount",
    },
];

/// The plugins in a running host, and the plan by which they can be started again.
pub(super) struct Started {
    host: Host<()>,
    plan: Plan,
}

impl Stage {
    /// Resolves, fetches and compiles them, at the same time.
    pub(super) async fn start_others(&self, server: &Server) -> Done<Started> {
        let registry = self.open(&server.url(), false).await?;
        let online =
            choose(&registry, &ALL.each_ref().map(|other| other.plugin), Refresh::Always, None, Mode::Keep).await?;
        let plan = registry.plan(&online.resolution, &online.wanted, |_| ()).await.map_err(cmd::explain)?;
        let host = self.host(&registry)?;
        host.apply(plan.clone()).await?.all()?;
        let parts = ALL.iter().map(|other| {
            let resolved = online.resolution.plugins.iter().find(|resolved| resolved.id.to_string() == other.plugin);
            let bytes = resolved.map_or(0, |resolved| resolved.listing.artifact.size);
            format!("{} {DIM}{} {}{DIM:#}", other.plugin, other.language, size(bytes))
        });
        let detail = format!("{}, once for this machine", parts.collect::<Vec<_>>().join(", "));
        Ok((Started { host, plan }, detail))
    }

    pub(super) async fn call_other(&self, started: &Started, other: &Other) -> Done<()> {
        let values = started.host.plugin(other.plugin)?.call_wave(other.call).await?;
        Ok(((), shown(&values)))
    }

    /// A new host finds the compiled code.
    pub(super) async fn restart_others(&self, started: Started) -> Done<()> {
        let Started { host, plan } = started;
        cmd::run::end(host).await;
        let registry = self.open("http://127.0.0.1", true).await?;
        let again = self.host(&registry)?;
        let began = Instant::now();
        again.apply(plan).await?.all()?;
        let ready = began.elapsed().as_millis();
        for other in &ALL {
            again.plugin(other.plugin)?.call_wave(other.call).await?;
        }
        cmd::run::end(again).await;
        Ok(((), format!("a new host has both ready in {ready} ms, from the compiled code that was kept")))
    }
}
