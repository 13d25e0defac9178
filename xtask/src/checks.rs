//! Rules of the repository that no compiler knows, each checked by a function that names what breaks it.

pub(crate) mod imports;
pub(crate) mod lock;
pub(crate) mod members;
pub(crate) mod sans_io;
pub(crate) mod snapshots;
pub(crate) mod threats;
pub(crate) mod words;

use std::fs;

use crate::failure::{Failure, Outcome};
use crate::place;
use crate::tool::Tool;

/// A file of the repository that is text.
pub(crate) struct Text {
    /// Its path from the repository's folder, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Every text file that git has or would add, sorted by path.
pub(crate) fn texts() -> Outcome<Vec<Text>> {
    let listed = Tool::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .dir(place::root())
        .read()?;
    let mut texts = Vec::new();
    for path in listed.split('\0').filter(|path| !path.is_empty()) {
        // Listed and yet not there: deleted, and not yet staged.
        let Ok(bytes) = fs::read(place::root().join(path)) else { continue };
        if let Ok(text) = String::from_utf8(bytes) {
            texts.push(Text { path: path.to_owned(), text });
        }
    }
    texts.sort_by(|a, b| a.path.cmp(&b.path));
    texts.dedup_by(|a, b| a.path == b.path);
    Ok(texts)
}

/// Fails with one line for each thing that breaks a rule, if there is any.
pub(crate) fn refuse(broken: Vec<String>, fix: &str) -> Outcome {
    if broken.is_empty() { Ok(()) } else { Err(Failure::new(broken.join("\n")).fix(fix)) }
}

/// The lines of a Rust file that are code for production, numbered from 1: comments are left out, and so
/// is everything from the line that begins the file's tests.
pub(crate) fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let production = text.lines().take_while(|line| line.trim() != "#[cfg(test)]");
    let numbered = production.enumerate().map(|(index, line)| (index + 1, line));
    numbered.map(|(number, line)| (number, line.split("//").next().unwrap_or(line)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_tests_are_no_code() {
        let text = "//! std::fs\nuse a; // std::fs\n#[cfg(test)]\nmod tests {}\n";
        let lines: Vec<_> = code_lines(text).filter(|(_, line)| !line.is_empty()).collect();
        assert_eq!(lines, [(2, "use a; ")]);
    }

    #[test]
    fn this_file_is_among_the_texts() {
        let texts = texts().expect("listed");
        assert!(texts.iter().any(|text| text.path == "xtask/src/checks.rs" && text.text.contains("fn texts()")));
    }
}
