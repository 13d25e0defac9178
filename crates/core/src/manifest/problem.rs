//! What is wrong with a manifest.

use std::fmt;

/// One thing wrong with a manifest.
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

/// Why text is not a manifest: every problem, by line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ManifestError {
    problems: Vec<Problem>,
}

impl ManifestError {
    pub(super) fn new(problems: Vec<Problem>) -> Self {
        Self { problems }
    }

    /// The problems, at least one, by line.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.problems.iter().map(Problem::to_string).collect();
        write!(f, "the manifest is not valid: {}", lines.join("\n"))
    }
}
