//! What plugins print: lines for whoever runs the host, never bytes for a terminal.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;
use stoa_core::id::PluginId;
use tokio::io::AsyncWrite;
use wasmtime_wasi::{
    async_trait,
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamResult},
};

use crate::{
    event::{Bell, Event},
    limits::{Exceeded, Limit, Limits, Rate, TOLD_EVERY, Totals},
};

/// What a line costs whoever keeps it, beside its text: time, level, names. Counted too, so that a flood of empty lines
/// is one.
const OVERHEAD: u64 = 64;
/// How much more than in a second all plugins may log at once after a pause.
const TOTAL_BURST: u64 = 4;
/// Longer lines are cut into pieces of this many bytes.
const LINE: usize = 8 * 1024;

/// How much a line matters, in the words of `stoa:plugin/log`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

/// The way out for all that one plugin writes, at a bounded rate over all its instances.
#[derive(Debug)]
pub(crate) struct Output {
    plugin: PluginId,
    allowed: Exceeded,
    own: Mutex<Own>,
    /// What all plugins of the host share.
    shared: Arc<Mutex<Rate>>,
    bell: Bell,
}

#[derive(Debug)]
struct Own {
    rate: Rate,
    dropped: u64,
    told: Option<Instant>,
}

impl Output {
    pub(crate) fn new(plugin: PluginId, limits: &Limits, shared: Arc<Mutex<Rate>>, bell: Bell) -> Self {
        let rate = Rate::new(limits.log_rate, limits.log_burst, Instant::now());
        let allowed = Exceeded { limit: Limit::LogRate, allowed: limits.log_rate, wanted: None };
        Self { plugin, allowed, own: Mutex::new(Own { rate, dropped: 0, told: None }), shared, bell }
    }

    /// Whose it is.
    pub(crate) fn plugin(&self) -> &PluginId {
        &self.plugin
    }

    /// What all plugins of a host may log together.
    pub(crate) fn shared_rate(totals: &Totals) -> Arc<Mutex<Rate>> {
        let burst = totals.log_rate.saturating_mul(TOTAL_BURST);
        Arc::new(Mutex::new(Rate::new(totals.log_rate, burst, Instant::now())))
    }

    /// Whether `bytes` more may be written `now`, and how many were dropped since the last that might.
    fn admit(&self, bytes: u64, now: Instant) -> Option<u64> {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        // Its own first: what a plugin may not write costs the others nothing.
        let fits =
            own.rate.take(bytes, now) && self.shared.lock().unwrap_or_else(PoisonError::into_inner).take(bytes, now);
        if fits {
            return Some(std::mem::take(&mut own.dropped));
        }
        own.dropped = own.dropped.saturating_add(bytes);
        if own.told.is_none_or(|told| now.saturating_duration_since(told) >= TOLD_EVERY) {
            own.told = Some(now);
            self.bell.ring(Event::Limited { plugin: self.plugin.clone(), exceeded: self.allowed });
        }
        None
    }

    /// Logs `text`, escaped so that it can neither break out of its line nor steer a terminal.
    pub(crate) fn line(&self, level: Level, source: &'static str, text: &str, fields: &[(String, String)]) {
        let size = text.len() + fields.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        let Some(dropped) = self.admit(size as u64 + OVERHEAD, Instant::now()) else { return };
        let plugin = &self.plugin;
        if dropped > 0 {
            tracing::warn!(target: "plugin", %plugin, dropped, "the plugin wrote faster than is kept; bytes dropped");
        }
        let text = text.escape_debug().to_string();
        let fields = fields.iter().map(|(n, v)| format!("{}={}", n.escape_debug(), v.escape_debug()));
        let fields = fields.collect::<Vec<_>>().join(" ");
        match level {
            Level::Trace => tracing::trace!(target: "plugin", %plugin, source, fields, "{text}"),
            Level::Debug => tracing::debug!(target: "plugin", %plugin, source, fields, "{text}"),
            Level::Info => tracing::info!(target: "plugin", %plugin, source, fields, "{text}"),
            Level::Warn => tracing::warn!(target: "plugin", %plugin, source, fields, "{text}"),
            Level::Error => tracing::error!(target: "plugin", %plugin, source, fields, "{text}"),
        }
    }
}

/// The least level of plugins' lines that anybody keeps.
pub(crate) fn threshold() -> Option<Level> {
    use tracing::Level as L;
    let kept = [
        (tracing::enabled!(target: "plugin", L::TRACE), Level::Trace),
        (tracing::enabled!(target: "plugin", L::DEBUG), Level::Debug),
        (tracing::enabled!(target: "plugin", L::INFO), Level::Info),
        (tracing::enabled!(target: "plugin", L::WARN), Level::Warn),
    ];
    kept.into_iter().find(|(kept, _)| *kept).map(|(_, level)| level)
}

/// A plugin's standard output or error. All streams opened on it share one unfinished line.
#[derive(Clone)]
pub(crate) struct Stdio(Arc<Lines>);

struct Lines {
    output: Arc<Output>,
    source: &'static str,
    level: Level,
    unfinished: Mutex<Vec<u8>>,
}

impl Stdio {
    pub(crate) fn stdout(output: &Arc<Output>) -> Self {
        Self::new(output, "stdout", Level::Info)
    }

    pub(crate) fn stderr(output: &Arc<Output>) -> Self {
        Self::new(output, "stderr", Level::Warn)
    }

    fn new(output: &Arc<Output>, source: &'static str, level: Level) -> Self {
        Self(Arc::new(Lines { output: output.clone(), source, level, unfinished: Mutex::default() }))
    }
}

impl Lines {
    fn take(&self, bytes: &[u8]) {
        let mut unfinished = self.unfinished.lock().unwrap_or_else(PoisonError::into_inner);
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            unfinished.extend_from_slice(piece);
            if unfinished.ends_with(b"\n") || unfinished.len() >= LINE {
                self.write(&unfinished);
                unfinished.clear();
            }
        }
    }

    fn write(&self, text: &[u8]) {
        for line in text.chunks(LINE) {
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            self.output.line(self.level, self.source, &String::from_utf8_lossy(line), &[]);
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let rest = std::mem::take(self.unfinished.get_mut().unwrap_or_else(PoisonError::into_inner));
        self.write(&rest);
    }
}

impl IsTerminal for Stdio {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Stdio {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for Stdio {
    async fn ready(&mut self) {}
}

impl OutputStream for Stdio {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.0.take(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 * 1024)
    }
}

impl AsyncWrite for Stdio {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.0.take(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn output(limits: &Limits, totals: &Totals) -> Output {
        let shared = Output::shared_rate(totals);
        Output::new("demo:a".parse().expect("an id"), limits, shared, Bell::new())
    }

    #[test]
    fn a_plugin_that_writes_too_fast_loses_what_is_too_much_and_its_host_hears_of_it_once_a_second() {
        let limits = Limits::default();
        let output = output(&limits, &Totals::default());
        let mut events = output.bell.listen();
        let burst = limits.log_burst;
        let began = Instant::now();
        assert_eq!(output.admit(burst, began), Some(0));
        for _ in 0..1000 {
            assert_eq!(output.admit(burst, began), None);
        }
        let later = began + Duration::from_secs(1);
        assert_eq!(output.admit(1, later), Some(1000 * burst), "it may go on, and hears what was lost");
        assert_eq!(output.admit(burst, later), None);
        let told: Vec<_> = std::iter::from_fn(|| events.try_next()).collect();
        assert!(
            matches!(told.as_slice(), [Event::Limited { exceeded, .. }, Event::Limited { .. }]
                if (exceeded.limit, exceeded.allowed) == (Limit::LogRate, limits.log_rate)),
            "{told:?}"
        );
    }

    #[test]
    fn all_plugins_share_what_a_host_takes() {
        let totals = Totals { log_rate: 100, ..Totals::default() };
        let one = output(&Limits::default(), &totals);
        let two = Output::new("demo:b".parse().expect("an id"), &Limits::default(), one.shared.clone(), Bell::new());
        let began = Instant::now();
        assert_eq!(one.admit(300, began), Some(0));
        assert_eq!(two.admit(101, began), None);
        assert_eq!(two.admit(100, began), Some(101));
        assert_eq!(one.admit(1, began), None);
        assert_eq!(one.admit(1, began + Duration::from_secs(1)), Some(1));
    }
}
