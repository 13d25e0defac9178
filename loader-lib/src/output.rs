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

/// Bytes a plugin may log per second, and at once after a pause: a page of text a second for good, and a
/// long backtrace now and then.
const PER_SECOND: f64 = 64.0 * 1024.0;
const BURST: f64 = 256.0 * 1024.0;
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
    rate: Mutex<Rate>,
}

#[derive(Debug)]
struct Rate {
    left: f64,
    at: Instant,
    dropped: u64,
}

impl Output {
    pub(crate) fn new(plugin: PluginId) -> Self {
        Self { plugin, rate: Mutex::new(Rate { left: BURST, at: Instant::now(), dropped: 0 }) }
    }

    /// Whether `bytes` more may be written now, and how many were dropped since the last that might.
    fn admit(&self, bytes: usize) -> Option<u64> {
        let mut rate = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        rate.left = (rate.left + now.duration_since(rate.at).as_secs_f64() * PER_SECOND).min(BURST);
        rate.at = now;
        if rate.left < bytes as f64 {
            rate.dropped += bytes as u64;
            return None;
        }
        rate.left -= bytes as f64;
        Some(std::mem::take(&mut rate.dropped))
    }

    /// Logs `text`, escaped so that it can neither break out of its line nor steer a terminal.
    pub(crate) fn line(&self, level: Level, source: &'static str, text: &str, fields: &[(String, String)]) {
        let size = text.len() + fields.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        let Some(dropped) = self.admit(size.max(1)) else { return };
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
    use super::*;

    #[test]
    fn a_plugin_that_writes_too_fast_loses_what_is_too_much() {
        let output = Output::new("demo:a".parse().expect("an id"));
        let burst = BURST as usize;
        assert_eq!(output.admit(burst), Some(0));
        assert_eq!(output.admit(burst), None);
        assert_eq!(output.admit(burst), None);
        std::thread::sleep(std::time::Duration::from_millis(20));
        assert_eq!(output.admit(1), Some(2 * burst as u64), "it may go on, and hears what was lost");
    }
}
