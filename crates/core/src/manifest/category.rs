//! Shelves of the marketplace.

use std::{fmt, str::FromStr};

use super::text::{TextError, refuse};

/// A shelf of the marketplace.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Category(&'static str);

impl Category {
    /// The shelves, sorted. A list that grows: none is ever taken away.
    pub const ALL: [&'static str; 20] = [
        "audio",
        "automation",
        "communication",
        "data",
        "developer-tools",
        "documents",
        "education",
        "finance",
        "games",
        "graphics",
        "integration",
        "language",
        "monitoring",
        "network",
        "science",
        "security",
        "storage",
        "text",
        "video",
        "web",
    ];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl FromStr for Category {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        match Self::ALL.iter().find(|name| **name == text) {
            Some(name) => Ok(Self(name)),
            None => refuse(text, format!("is not a category; there are {}", Self::ALL.join(", "))),
        }
    }
}

text_type!(Category);
