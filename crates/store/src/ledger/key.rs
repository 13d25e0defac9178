//! Names of items and of operations.

use std::{fmt, str::FromStr};

/// A partition's name is at most this long, in bytes: half of DynamoDB's 2048, so that an adapter can put a
/// prefix before it.
pub const MAX_PARTITION: usize = 1024;
/// A sort key is at most this long, in bytes: half of DynamoDB's 1024.
pub const MAX_SORT: usize = 512;
/// An operation id is at most this long, in bytes.
pub const MAX_OPERATION: usize = 64;

/// What the partitions of the ledger's own begin with: the log, its head, private parts, operations. No caller
/// can name one.
const OWN: char = '!';

/// The name of an item: a partition, within which items are listed, and a sort key, by whose bytes they are
/// ordered. Both have at least one character, all of them visible ASCII.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemKey {
    partition: String,
    sort: String,
}

/// Why two texts do not name an item.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A part is empty or too long.
    #[error("the {part} `{text}` has {length} bytes: 1 to {limit} are possible")]
    Length {
        /// `partition` or `sort key`.
        part: &'static str,
        /// Its first characters.
        text: String,
        /// Its length in bytes.
        length: usize,
        /// The longest possible.
        limit: usize,
    },
    /// A part has a space, a control character or something beyond ASCII.
    #[error("the {part} `{text}` has other characters than visible ASCII")]
    Characters {
        /// `partition` or `sort key`.
        part: &'static str,
        /// Its first characters.
        text: String,
    },
    /// The partition is one of the ledger's own.
    #[error("the partition `{0}` is the ledger's own: no other may begin with `{OWN}`")]
    Own(String),
}

impl ItemKey {
    /// The name of an item.
    ///
    /// # Errors
    /// [`KeyError`] where a part is empty, longer than [`MAX_PARTITION`] or [`MAX_SORT`], has other characters
    /// than visible ASCII, or where the partition begins with `!`.
    pub fn new(partition: impl Into<String>, sort: impl Into<String>) -> Result<Self, KeyError> {
        let (partition, sort) = (partition.into(), sort.into());
        check("partition", &partition, MAX_PARTITION)?;
        check("sort key", &sort, MAX_SORT)?;
        if partition.starts_with(OWN) {
            return Err(KeyError::Own(partition));
        }
        Ok(Self { partition, sort })
    }

    /// The name of an item of the ledger's own.
    pub(crate) fn own(partition: &str, sort: String) -> Self {
        Self { partition: format!("{OWN}{partition}"), sort }
    }

    /// A name as an engine keeps it, be it a caller's or the ledger's own.
    pub(crate) fn stored(partition: String, sort: String) -> Self {
        Self { partition, sort }
    }

    /// The partition.
    pub fn partition(&self) -> &str {
        &self.partition
    }

    /// The sort key.
    pub fn sort(&self) -> &str {
        &self.sort
    }

    /// What the name counts towards the size of a transaction.
    pub(crate) fn len(&self) -> usize {
        self.partition.len() + self.sort.len()
    }
}

fn check(part: &'static str, text: &str, limit: usize) -> Result<(), KeyError> {
    let shown = || text.chars().take(80).collect();
    if text.is_empty() || text.len() > limit {
        return Err(KeyError::Length { part, text: shown(), length: text.len(), limit });
    }
    if !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(KeyError::Characters { part, text: shown() });
    }
    Ok(())
}

impl fmt::Display for ItemKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.partition, self.sort)
    }
}

impl fmt::Debug for ItemKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The id of one attempt to change something, repeated when its answer was lost: 1 to [`MAX_OPERATION`]
/// characters of visible ASCII.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId(String);

impl OperationId {
    /// A new id that no other operation has: 128 random bits.
    ///
    /// # Errors
    /// The operating system's, where it has no randomness to give.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self(format!("{:032x}", u128::from_be_bytes(bytes))))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Text that is not an operation id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an operation id: 1 to {MAX_OPERATION} characters of visible ASCII")]
pub struct OperationIdError(String);

impl FromStr for OperationId {
    type Err = OperationIdError;

    fn from_str(text: &str) -> Result<Self, OperationIdError> {
        if text.is_empty() || text.len() > MAX_OPERATION || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(OperationIdError(text.chars().take(80).collect()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_at_their_bounds_are_names_and_beyond_them_are_not() {
        let name =
            |partition: usize, sort: usize| ItemKey::new("p".repeat(partition), "s".repeat(sort)).map(|k| k.len());
        assert_eq!(name(1, 1), Ok(2));
        assert_eq!(name(MAX_PARTITION, MAX_SORT), Ok(MAX_PARTITION + MAX_SORT));
        let length = |part, character: &str, length: usize, limit| {
            Err(KeyError::Length { part, text: character.repeat(length.min(80)), length, limit })
        };
        assert_eq!(name(0, 1), length("partition", "p", 0, MAX_PARTITION));
        assert_eq!(name(1, 0), length("sort key", "s", 0, MAX_SORT));
        assert_eq!(name(MAX_PARTITION + 1, 1), length("partition", "p", MAX_PARTITION + 1, MAX_PARTITION));
        assert_eq!(name(1, MAX_SORT + 1), length("sort key", "s", MAX_SORT + 1, MAX_SORT));
    }

    #[test]
    fn a_refusal_names_the_part_and_the_rule() {
        let cases = [
            ("a b", "s", "the partition `a b` has other characters than visible ASCII"),
            ("p", "é", "the sort key `é` has other characters than visible ASCII"),
            ("p", "a\nb", "the sort key `a\nb` has other characters than visible ASCII"),
            ("!log", "s", "the partition `!log` is the ledger's own: no other may begin with `!`"),
        ];
        for (partition, sort, message) in cases {
            assert_eq!(ItemKey::new(partition, sort).map_err(|e| e.to_string()), Err(message.to_owned()));
        }
    }

    #[test]
    fn an_operation_id_reads_back_as_itself() {
        let id = OperationId::random().expect("randomness");
        assert_eq!(id.as_str().len(), 32);
        assert_eq!(id.to_string().parse(), Ok(id));
        for text in ["", "a b", &"x".repeat(65)] {
            assert_eq!(text.parse::<OperationId>(), Err(OperationIdError(text.to_owned())));
        }
    }
}
