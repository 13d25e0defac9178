//! `stoa serve` as a process of its own.

use std::{path::Path, process::Stdio, time::Duration};

use tokio::process::{Child, Command};

use crate::report::Failure;

/// How long the server may take to say that it is ready, and to end after a signal.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server. Killed when it is dropped, so that no demo leaves one behind.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    url: String,
}

impl Server {
    /// Starts the server of the registry in `dir` on a free port of the loopback interface.
    pub(super) async fn start(dir: &Path) -> Result<Self, Failure> {
        let ready = dir.with_extension("address");
        let _left_by_an_earlier_one = std::fs::remove_file(&ready);
        let log = std::fs::File::create(dir.with_extension("log"))?;
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", "--listen", "127.0.0.1:0", "--dir"])
            .arg(dir)
            .arg("--ready-file")
            .arg(&ready)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()?;
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            if let Ok(address) = std::fs::read_to_string(&ready) {
                return Ok(Self { child, url: address.trim().to_owned() });
            }
            let ended = child.try_wait()?;
            if ended.is_some() || tokio::time::Instant::now() >= until {
                let said = std::fs::read_to_string(dir.with_extension("log")).unwrap_or_default();
                let what = ended.map_or("is not ready in time".to_owned(), |status| format!("ended with {status}"));
                return Err(Failure::new(format!("`stoa serve` {what}: {}", said.trim())));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Where it is.
    pub(super) fn url(&self) -> String {
        self.url.clone()
    }

    /// Its process id.
    pub(super) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Ends it as an operator would, by SIGTERM, and waits until it is gone.
    pub(super) async fn stop(&mut self) -> Result<String, Failure> {
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
        let pid = pid.ok_or_else(|| Failure::new("the server has ended by itself"))?;
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)
            .map_err(|e| Failure::new(format!("the server can not be stopped: {e}")))?;
        match tokio::time::timeout(PATIENCE, self.child.wait()).await {
            Ok(status) if status.as_ref().is_ok_and(std::process::ExitStatus::success) => {
                Ok(format!("process {} ended cleanly after SIGTERM", pid.as_raw_nonzero()))
            }
            Ok(status) => Err(Failure::new(format!("the server ended with {}", status?))),
            Err(_) => Err(Failure::new(format!("the server did not end within {} s", PATIENCE.as_secs()))),
        }
    }
}
