//! What is wrong with a manifest.

use std::fmt;

use crate::reader::Problem;

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
