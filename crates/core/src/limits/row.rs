//! A row of the table, and how its numbers are counted.

use std::{fmt, time::Duration};

use super::Limit;
use crate::manifest::{ByteSize, Millis};

/// How a limit is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Bytes per second.
    Rate,
    /// Milliseconds.
    Time,
    /// Things.
    Count,
}

impl Unit {
    /// `value` with its unit, in the largest that divides it.
    pub fn show(self, value: u64) -> String {
        match self {
            Self::Bytes => ByteSize::from_bytes(value).to_string(),
            Self::Rate => format!("{}/s", ByteSize::from_bytes(value)),
            Self::Time => Millis::from_millis(value).to_string(),
            Self::Count => value.to_string(),
        }
    }
}

/// Who shares a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Each plugin has its own.
    Plugin,
    /// All plugins of a host draw on one.
    Host,
}

/// All that is fixed about a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Its name: in errors, in documentation, and, where it can be wished for, in a manifest.
    pub name: &'static str,
    /// What is counted.
    pub meaning: &'static str,
    /// How.
    pub unit: Unit,
    /// Who shares it.
    pub scope: Scope,
    /// What holds where nothing is said.
    pub default: u64,
    /// The least that a manifest may wish for.
    pub least: u64,
    /// The hard maximum: what no host and no manifest may set.
    pub most: u64,
    /// Whether a manifest may wish for less under `[limits]`.
    pub wish: bool,
    /// Where it is enforced.
    pub held_by: &'static str,
    /// The code of the error that exceeding it gives.
    pub code: &'static str,
}

impl Limit {
    /// The limit that a manifest calls `name`.
    pub fn wished(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|limit| limit.row().wish && limit.row().name == name)
    }

    /// The names of all limits that a manifest may wish for, as the table has them.
    pub fn wishes() -> impl Iterator<Item = &'static str> {
        Self::ALL.iter().map(|limit| limit.row()).filter(|row| row.wish).map(|row| row.name)
    }

    /// `value` with the unit of this limit.
    pub fn show(self, value: u64) -> String {
        self.row().unit.show(value)
    }

    /// `value` within the hard maximum.
    pub(super) fn checked(self, value: u64) -> Result<(), OutOfBounds> {
        if value <= self.row().most { Ok(()) } else { Err(OutOfBounds { limit: self, value }) }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().name)
    }
}

/// A host's limit beyond its hard maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the limit `{limit}` is {}: at most {} can be set", .limit.show(*.value), .limit.show(.limit.row().most))]
pub struct OutOfBounds {
    /// The limit.
    pub limit: Limit,
    /// What it was set to.
    pub value: u64,
}

/// What a limit is set to, as its field holds it.
pub(super) trait Amount: Copy + Ord {
    fn of(number: u64) -> Self;
    fn number(self) -> u64;
}

impl Amount for u64 {
    fn of(number: u64) -> Self {
        number
    }
    fn number(self) -> u64 {
        self
    }
}

impl Amount for Duration {
    fn of(number: u64) -> Self {
        Self::from_millis(number)
    }
    fn number(self) -> u64 {
        // Rounded up: a limit below a millisecond is not none.
        u64::try_from(self.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
    }
}
