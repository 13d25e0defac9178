//! What is wrong with a file that people write.

use std::fmt;

/// One thing wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// The key with its table: `plugin.license`. Empty for the file as a whole.
    pub at: String,
    /// What is wrong with it: a predicate of which `at` is the subject.
    pub message: String,
    /// What to try.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        match (self.at.as_str(), self.message.starts_with('`')) {
            ("", _) => f.write_str(&self.message)?,
            (at, true) => write!(f, "`{at}`: {}", self.message)?,
            (at, false) => write!(f, "`{at}` {}", self.message)?,
        }
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}
