//! Core decides and never does: its sources name nothing that reads the world.
//!
//! Clippy's bans in crates/core/clippy.toml know single functions; whole modules of std are looked for here.

use super::{Text, code_lines};
use crate::failure::Outcome;

/// What core's code must not name, and what it uses instead.
const NEVER: [(&str, &str); 8] = [
    ("std::fs", "bytes arrive as arguments"),
    ("std::net", "a caller fetches, and hands in bytes"),
    ("std::env", "a caller reads the environment"),
    ("std::process", "a caller runs programs"),
    ("std::thread", "core has no threads"),
    ("SystemTime::now", "time arrives as `now`"),
    ("Instant::now", "time arrives as `now`"),
    ("getrandom", "randomness arrives as bytes"),
];

/// Maps without an order. Where nothing is ever listed from one, the file says so to clippy, with a reason.
const UNORDERED: [&str; 2] = ["HashMap", "HashSet"];

/// Checks core's sources without their tests.
pub(crate) fn check(texts: &[Text]) -> Outcome {
    super::refuse(broken(texts), "hand it in from the crate that calls core; an ordered map is BTreeMap or BTreeSet")
}

fn broken(texts: &[Text]) -> Vec<String> {
    let is_source =
        |path: &str| path.starts_with("crates/core/src/") && path.ends_with(".rs") && !path.ends_with("/tests.rs");
    let mut broken = Vec::new();
    for file in texts.iter().filter(|file| is_source(&file.path)) {
        let explained = file.text.contains("expect(clippy::disallowed_types, reason");
        for (number, line) in code_lines(&file.text) {
            let never = NEVER.iter().find(|(name, _)| line.contains(name));
            broken.extend(never.map(|(name, instead)| format!("{}:{number} names {name}: {instead}", file.path)));
            let unordered = UNORDERED.iter().find(|name| !explained && line.contains(**name));
            broken.extend(
                unordered
                    .map(|name| format!("{}:{number} names {name}: output must not depend on hash order", file.path)),
            );
        }
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &str, text: &str) -> Text {
        Text { path: path.into(), text: text.into() }
    }

    #[test]
    fn what_reads_the_world_is_named_with_its_line_and_what_to_use_instead() {
        let source = "use std::env;\n// std::fs\nfn f() { let t = SystemTime::now(); }\n#[cfg(test)]\nmod tests { use std::fs; }\n";
        assert_eq!(
            broken(&[text("crates/core/src/a.rs", source)]),
            [
                "crates/core/src/a.rs:1 names std::env: a caller reads the environment",
                "crates/core/src/a.rs:3 names SystemTime::now: time arrives as `now`",
            ]
        );
        assert_eq!(
            broken(&[text("crates/core/tests/it/a.rs", source), text("crates/store/src/a.rs", source)]),
            Vec::<String>::new()
        );
    }

    #[test]
    fn an_unordered_map_needs_a_reason() {
        let line = "type M = HashMap<u8, u8>;\n";
        assert_eq!(
            broken(&[text("crates/core/src/a.rs", line)]),
            ["crates/core/src/a.rs:1 names HashMap: output must not depend on hash order"]
        );
        let explained = format!("#![expect(clippy::disallowed_types, reason = \"looked up, never listed\")]\n{line}");
        assert_eq!(broken(&[text("crates/core/src/a.rs", &explained)]), Vec::<String>::new());
    }
}
