//! What went wrong, and what to do about it.

use std::fmt;
use std::io;
use std::path::Path;

/// The result of anything that xtask does.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// A message for the person at the keyboard, and where there is one, the fix.
#[derive(Debug)]
pub(crate) struct Failure {
    what: String,
    fix: Option<String>,
}

impl Failure {
    /// A failure without a known fix.
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), fix: None }
    }

    /// A file or folder that could not be read or written; `did` says what was tried, as in `read`.
    pub(crate) fn io(did: &str, path: &Path, error: &io::Error) -> Self {
        Self::new(format!("can't {did} {}: {error}", path.display()))
    }

    /// The same with what to try.
    pub(crate) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// The same with what to try, unless something better is known.
    pub(crate) fn or_fix(self, fix: impl Into<String>) -> Self {
        if self.fix.is_some() { self } else { self.fix(fix) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        match &self.fix {
            Some(fix) => write!(f, "\n  fix: {fix}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fix_stands_on_a_line_of_its_own() {
        assert_eq!(Failure::new("it broke").to_string(), "it broke");
        assert_eq!(Failure::new("it broke").fix("mend it").to_string(), "it broke\n  fix: mend it");
        assert_eq!(Failure::new("it broke").or_fix("a").or_fix("b").to_string(), "it broke\n  fix: a");
    }
}
