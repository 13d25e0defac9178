//! Programs that xtask runs: shown before they run, and named when they fail.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::{Failure, Outcome};

/// A program with its arguments.
pub(crate) struct Tool {
    command: Command,
}

impl Tool {
    /// A program that is found on the path.
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        command.stdin(Stdio::null());
        Self { command }
    }

    /// The cargo that runs xtask, so that no other toolchain gets mixed in.
    pub(crate) fn cargo() -> Self {
        Self::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
    }

    /// The compiler that cargo would use here.
    pub(crate) fn rustc() -> Self {
        Self::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub(crate) fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(args);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Leaves it nothing of the environment but where programs are.
    pub(crate) fn only_path(mut self) -> Self {
        self.command.env_clear();
        if let Some(path) = std::env::var_os("PATH") {
            self.command.env("PATH", path);
        }
        self
    }

    /// Makes cargo keep everything it compiles in one folder, also where the user told it to keep what
    /// lies between source and result elsewhere.
    pub(crate) fn target(self, dir: impl AsRef<OsStr>) -> Self {
        let dir = dir.as_ref().to_owned();
        self.env("CARGO_TARGET_DIR", &dir).env("CARGO_BUILD_BUILD_DIR", dir)
    }

    pub(crate) fn dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// The command as one would type it, without its environment and with program paths cut to names.
    pub(crate) fn shown(&self) -> String {
        let program = Path::new(self.command.get_program());
        let mut shown = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
        for arg in self.command.get_args() {
            shown.push(' ');
            shown.push_str(&arg.to_string_lossy());
        }
        shown
    }

    /// Runs with the terminal's output, and fails unless the program succeeds.
    pub(crate) fn run(self) -> Outcome {
        let shown = self.shown();
        let status = self.status()?;
        if status.success() { Ok(()) } else { Err(Failure::new(format!("`{shown}` failed: {status}"))) }
    }

    /// Runs with the terminal's input and output, whatever comes of it.
    pub(crate) fn status(mut self) -> Outcome<ExitStatus> {
        let shown = self.shown();
        eprintln!("  $ {shown}");
        self.command.stdin(Stdio::inherit());
        self.command.status().map_err(|error| not_started(&shown, &error))
    }

    /// What the program prints. What it says on its error output is part of the failure, if it fails.
    pub(crate) fn read(mut self) -> Outcome<String> {
        let shown = self.shown();
        let output = self.command.output().map_err(|error| not_started(&shown, &error))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(Failure::new(format!("`{shown}` failed: {}\n{}", output.status, said.trim())));
        }
        String::from_utf8(output.stdout).map_err(|_| Failure::new(format!("`{shown}` printed what is not UTF-8")))
    }

    /// Starts it with a pipe to read from, its error output on the terminal.
    pub(crate) fn start(mut self) -> Outcome<Child> {
        let shown = self.shown();
        eprintln!("  $ {shown}");
        self.command.stdout(Stdio::piped()).spawn().map_err(|error| not_started(&shown, &error))
    }

    /// Runs it to its end or the limit's, whichever comes first, and fails in the second case too.
    pub(crate) fn run_within(mut self, limit: Duration) -> Outcome {
        let shown = self.shown();
        eprintln!("  $ {shown}");
        let mut child = self.command.spawn().map_err(|error| not_started(&shown, &error))?;
        let started = Instant::now();
        loop {
            match child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => return Err(Failure::new(format!("`{shown}` failed: {status}"))),
                Ok(None) if started.elapsed() < limit => thread::sleep(Duration::from_millis(50)),
                Ok(None) => {
                    let ended = child.kill().and_then(|()| child.wait());
                    let ended =
                        ended.map_or_else(|error| format!(", and could not be ended: {error}"), |_| String::new());
                    return Err(Failure::new(format!("`{shown}` took longer than {} s{ended}", limit.as_secs())));
                }
                Err(error) => return Err(not_started(&shown, &error)),
            }
        }
    }
}

/// How often something is tried that needs the network.
const TRIES: u32 = 3;

/// Does something that needs the network until it succeeds, at most [`TRIES`] times, with a longer pause each time.
pub(crate) fn again(mut work: impl FnMut() -> Outcome) -> Outcome {
    for tried in 1..TRIES {
        match work() {
            Ok(()) => return Ok(()),
            Err(failure) => eprintln!("{failure}\n  once more ({tried} of {} times failed)", TRIES),
        }
        thread::sleep(Duration::from_secs(2 * u64::from(tried)));
    }
    work()
}

fn not_started(shown: &str, error: &io::Error) -> Failure {
    Failure::new(format!("`{shown}` can't be run: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_fails_is_named_with_its_status() {
        let failure = Tool::new("/bin/sh").args(["-c", "exit 3"]).run().expect_err("fails");
        assert_eq!(failure.to_string(), "`sh -c exit 3` failed: exit status: 3");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let failure = Tool::new("no-such-program").arg("x").read().expect_err("fails");
        assert!(failure.to_string().starts_with("`no-such-program x` can't be run: "), "{failure}");
    }

    #[test]
    fn what_goes_on_failing_is_tried_three_times() {
        let mut tries = 0;
        let failure = again(|| {
            tries += 1;
            Err(Failure::new(format!("no {tries}")))
        });
        assert_eq!((tries, failure.expect_err("fails").to_string()), (3, "no 3".into()));
    }

    #[test]
    fn a_program_alone_sees_nothing_but_the_search_path() {
        let said = Tool::new("env").only_path().env("ONE", "1").read().expect("runs");
        let names: Vec<_> = said.lines().filter_map(|line| line.split('=').next()).collect();
        assert!(names.contains(&"ONE") && names.iter().all(|name| ["ONE", "PATH"].contains(name)), "{names:?}");
    }

    #[test]
    fn a_program_that_takes_too_long_is_ended() {
        let started = Instant::now();
        let failure = Tool::new("sleep").arg("60").run_within(Duration::from_millis(100)).expect_err("fails");
        assert_eq!(failure.to_string(), "`sleep 60` took longer than 0 s");
        assert!(started.elapsed() < Duration::from_secs(30));
    }
}
