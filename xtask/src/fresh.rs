//! Files in the repository that are copies of others: written by one command, checked by CI.

use std::fs;
use std::path::Path;

use crate::failure::{Failure, Outcome};
use crate::place;

/// A file, and the places that have a copy of it, all from the repository's folder.
struct Copies {
    of: &'static str,
    at: &'static [&'static str],
}

/// WIT has no way to fetch what it depends on, so each plugin keeps it, as a plugin anywhere would.
const ALL: [Copies; 3] = [
    Copies {
        of: "crates/core/wit/stoa-plugin.wit",
        at: &[
            "examples/plugins/highlight/wit/deps/stoa-plugin.wit",
            "examples/plugins/markdown/wit/deps/stoa-plugin.wit",
            "examples/plugins/site/wit/deps/stoa-plugin.wit",
            "examples/plugins/slugify/wit/deps/stoa-plugin.wit",
            "examples/plugins/wordcount/wit/deps/stoa-plugin.wit",
        ],
    },
    Copies {
        of: "examples/plugins/markdown/wit/markdown.wit",
        at: &["examples/plugins/site/wit/deps/demo-markdown.wit"],
    },
    Copies { of: "examples/plugins/slugify/wit/slugify.wit", at: &["examples/plugins/site/wit/deps/demo-slugify.wit"] },
];

/// Writes every copy again that differs.
pub(crate) fn write() -> Outcome {
    for (of, at) in differing(&place::root(), &ALL)? {
        let (from, to) = (place::root().join(of), place::root().join(at));
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder).map_err(|error| Failure::io("make", folder, &error))?;
        }
        fs::copy(&from, &to).map_err(|error| Failure::io("write", &to, &error))?;
        eprintln!("fresh: wrote {at} from {of}");
    }
    Ok(())
}

/// Refuses copies that differ.
pub(crate) fn check() -> Outcome {
    let differing = differing(&place::root(), &ALL)?;
    if differing.is_empty() {
        return Ok(());
    }
    let lines: Vec<_> = differing.iter().map(|(of, at)| format!("{at} is no longer a copy of {of}")).collect();
    Err(Failure::new(lines.join("\n")).fix("cargo xtask fresh"))
}

/// Original and copy of each pair that differs, or whose copy is missing.
fn differing(root: &Path, all: &[Copies]) -> Outcome<Vec<(&'static str, &'static str)>> {
    let mut found = Vec::new();
    for Copies { of, at } in all {
        let original = root.join(of);
        let bytes = fs::read(&original).map_err(|error| Failure::io("read", &original, &error))?;
        found.extend(at.iter().filter(|at| fs::read(root.join(at)).ok().as_ref() != Some(&bytes)).map(|at| (*of, *at)));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_and_a_missing_copy_are_both_found() {
        let root = std::env::temp_dir().join(format!("xtask-fresh-{}", std::process::id()));
        fs::create_dir_all(&root).expect("made");
        for (name, text) in [("original", "a"), ("same", "a"), ("changed", "b")] {
            fs::write(root.join(name), text).expect("written");
        }
        let all = [Copies { of: "original", at: &["same", "changed", "missing"] }];
        assert_eq!(differing(&root, &all).expect("compared"), [("original", "changed"), ("original", "missing")]);
        let gone = differing(&root, &[Copies { of: "gone", at: &["same"] }]).expect_err("no original");
        assert!(gone.to_string().starts_with(&format!("can't read {}/gone: ", root.display())), "{gone}");
        fs::remove_dir_all(&root).expect("removed");
    }
}
