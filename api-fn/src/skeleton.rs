//! Names that people take for one another.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is left of a name when everything that a hurried eye overlooks is taken away. Two names with one
/// skeleton do not live side by side: two namespaces, or two plugins of a namespace.
///
/// The steps, for a name of the grammar `[a-z][a-z0-9]*(-[a-z][a-z0-9]*)*`:
/// 1. `0` becomes `o`, `1` becomes `l`; then `rn` becomes `m`, `vv` becomes `w`.
/// 2. The hyphens go.
/// 3. A letter that is repeated stands once, but not within the number at the end of a word:
///    `base10` and `base100` are two names.
///
/// `i` and `l` are left apart: `mail` and `mall` are both words. Other scripts can not occur in names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Skeleton(String);

impl Skeleton {
    /// The skeleton of a name.
    pub fn of(name: &str) -> Self {
        let mut letters: Vec<(char, bool)> = Vec::new();
        for word in name.split('-') {
            let head = word.trim_end_matches(|c: char| c.is_ascii_digit());
            let number = &word[head.len()..];
            let head = fold_digits(head).replace("rn", "m").replace("vv", "w");
            letters.extend(head.chars().map(|letter| (letter, false)));
            letters.extend(fold_digits(number).chars().map(|letter| (letter, true)));
        }
        letters.dedup_by(|next, before| next.0 == before.0 && !next.1);
        Self(letters.into_iter().map(|(letter, _)| letter).collect())
    }
}

impl fmt::Display for Skeleton {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn fold_digits(text: &str) -> String {
    text.replace('0', "o").replace('1', "l")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_alike_have_one_skeleton() {
        for (one, other) in [
            ("markdown", "mark-down"),
            ("markdown", "markd0wn"),
            ("markdown", "rnarkdown"),
            ("util", "uti1"),
            ("hello", "he11o"),
            ("hello", "helo"),
            ("web", "vveb"),
            ("pdf-fold", "pdffold"),
            ("base10", "base1o"),
        ] {
            assert_eq!(Skeleton::of(one), Skeleton::of(other), "{one} and {other}");
        }
    }

    #[test]
    fn names_that_differ_to_the_eye_keep_their_own() {
        for (one, other) in
            [("base10", "base100"), ("v1", "v2"), ("v1", "v11"), ("v10-x", "v100-x"), ("mail", "mall"), ("a", "b")]
        {
            assert_ne!(Skeleton::of(one), Skeleton::of(other), "{one} and {other}");
        }
    }
}
