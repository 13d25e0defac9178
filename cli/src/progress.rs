//! What is going on, while it is going on: for people at a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::report::Output;

/// A line that moves while something takes time, and is gone when it is done.
#[derive(Debug)]
pub(crate) struct Spinner(ProgressBar);

impl Spinner {
    /// Begins to say `text`. Nothing is shown to programs, nor where standard error is no terminal.
    pub(crate) fn start(output: Output, text: impl Into<String>) -> Self {
        let bar = match output {
            Output::Text => ProgressBar::new_spinner(),
            Output::Json => ProgressBar::hidden(),
        };
        if let Ok(style) = ProgressStyle::with_template("{spinner:.cyan} {msg} {elapsed:.dim}") {
            bar.set_style(style.tick_strings(&["◐", "◓", "◑", "◒", " "]));
        }
        bar.set_message(text.into());
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(bar)
    }

    /// Says something else from now on.
    pub(crate) fn say(&self, text: impl Into<String>) {
        self.0.set_message(text.into());
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
