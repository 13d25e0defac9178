//! WIT as HTML: words marked for the style sheet, and the one interface out of a component's printed WIT.

use super::format::{Escaped, Html};

const KEYWORDS: &[&str] = &[
    "package",
    "interface",
    "world",
    "func",
    "import",
    "export",
    "use",
    "type",
    "record",
    "variant",
    "enum",
    "flags",
    "resource",
    "static",
    "constructor",
    "async",
    "include",
    "with",
    "as",
    "from",
];
const TYPES: &[&str] = &[
    "u8",
    "u16",
    "u32",
    "u64",
    "s8",
    "s16",
    "s32",
    "s64",
    "f32",
    "f64",
    "bool",
    "char",
    "string",
    "list",
    "option",
    "result",
    "tuple",
    "borrow",
    "own",
    "future",
    "stream",
    "error-context",
    "self",
];
/// WIT beyond this is shown without marks (64 KiB): a page stays light.
const MAX_MARKED_BYTES: usize = 64 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Space,
    Comment,
    Word,
    Other,
}

/// Cuts `text` into tokens; together they are `text` again.
fn tokens(text: &str) -> impl Iterator<Item = (Token, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '%');
        let run = |keep: &dyn Fn(char) -> bool| rest.find(|c| !keep(c)).unwrap_or(rest.len());
        let (token, length) = match first {
            c if c.is_whitespace() => (Token::Space, run(&char::is_whitespace)),
            '/' if rest.starts_with("//") => (Token::Comment, run(&|c| c != '\n')),
            '/' if rest.starts_with("/*") => (Token::Comment, rest.find("*/").map_or(rest.len(), |end| end + 2)),
            c if c.is_ascii_alphabetic() || c == '%' => (Token::Word, run(&word)),
            c => (Token::Other, c.len_utf8()),
        };
        let (piece, after) = rest.split_at(length);
        rest = after;
        Some((token, piece))
    })
}

/// `text` escaped, with `<span>`s of the classes `k` (keyword), `t` (type), `f` (name of a function) and `c` (comment).
pub(crate) fn highlight(text: &str) -> Html {
    if text.len() > MAX_MARKED_BYTES {
        return Html(Escaped(text).to_string());
    }
    let mut out = String::with_capacity(text.len() * 2);
    let all: Vec<_> = tokens(text).collect();
    for (at, (token, piece)) in all.iter().enumerate() {
        let class = match token {
            Token::Comment => Some("c"),
            Token::Word if names_function(&all[at + 1..]) => Some("f"),
            // `list: func()` and a field named `type` are names, not words of the language.
            Token::Word if all.get(at + 1).is_some_and(|(_, next)| *next == ":") => None,
            Token::Word if KEYWORDS.contains(piece) => Some("k"),
            Token::Word if TYPES.contains(piece) => Some("t"),
            _ => None,
        };
        let escaped = Escaped(piece);
        match class {
            Some(class) => out.push_str(&format!("<span class=\"{class}\">{escaped}</span>")),
            None => out.push_str(&escaped.to_string()),
        }
    }
    Html(out)
}

/// Whether `: func`, `: async func` or `: static func` follows.
fn names_function(after: &[(Token, &str)]) -> bool {
    let mut words = after.iter().filter(|(token, _)| *token != Token::Space).map(|(_, piece)| *piece);
    words.next() == Some(":")
        && words.by_ref().find(|word| !matches!(*word, "async" | "static")).is_some_and(|word| word == "func")
}

/// The block `interface NAME { … }` that the interface `name` (`ns:package/interface@version`) has in `text`, with its doc
/// comment, moved to the left margin. `None` where it is not there: a world may export plain functions.
pub(crate) fn interface(text: &str, name: &str) -> Option<String> {
    let (package, rest) = name.split_once('/')?;
    let (interface, version) = rest.split_once('@').map_or((rest, None), |(name, version)| (name, Some(version)));
    let package = version.map_or(package.to_owned(), |version| format!("{package}@{version}"));
    let body = block(text, &format!("package {package} {{"))
        .or_else(|| text.contains(&format!("package {package};")).then_some(text))?;
    block(body, &format!("interface {interface} {{")).map(dedent)
}

/// The line `export NAME: func(…) -> …;` that a world in `text` has for the function `name`.
pub(crate) fn exported_function(text: &str, name: &str) -> Option<String> {
    let heads = [format!("export {name}: "), format!("export %{name}: ")];
    let mut lines = text.lines().map(str::trim);
    lines.find(|line| heads.iter().any(|head| line.starts_with(head))).map(str::to_owned)
}

/// The lines from the one that is `head` (comments above it included) to its closing brace.
fn block<'t>(text: &'t str, head: &str) -> Option<&'t str> {
    let mut start = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim();
        if trimmed.starts_with(head) {
            let from = start.unwrap_or(at);
            return Some(&text[from..closing(text, at)?]);
        }
        let above = trimmed.starts_with("//") || trimmed.starts_with('@');
        start = if above { start.or(Some(at)) } else { None };
        at += line.len();
    }
    None
}

/// The end of the block whose `{` is the first after `from`.
fn closing(text: &str, from: usize) -> Option<usize> {
    let (mut depth, mut at) = (0_usize, from);
    for (token, piece) in tokens(&text[from..]) {
        at += piece.len();
        match (token, piece) {
            (Token::Other, "{") => depth += 1,
            (Token::Other, "}") => match depth.checked_sub(1)? {
                0 => return Some(at),
                left => depth = left,
            },
            _ => {}
        }
    }
    None
}

fn dedent(block: &str) -> String {
    let filled = || block.lines().filter(|line| !line.trim().is_empty());
    let margin = filled().map(|line| line.len() - line.trim_start().len()).min().unwrap_or(0);
    let lines: Vec<&str> = block.lines().map(|line| line.get(margin..).unwrap_or("")).collect();
    lines.join("\n")
}

/// The functions of an interface block that can be called without a resource: each with its parameters' types,
/// as written and without spaces.
pub(crate) fn functions(block: &str) -> Vec<(&str, Vec<String>)> {
    let all: Vec<_> = tokens(block).filter(|(token, _)| !matches!(token, Token::Space | Token::Comment)).collect();
    let mut depth = 0_usize;
    let mut found = Vec::new();
    for (at, (token, piece)) in all.iter().enumerate() {
        match (token, *piece) {
            (Token::Other, "{") => depth += 1,
            (Token::Other, "}") => depth = depth.saturating_sub(1),
            // Deeper than the interface itself lie the methods of a resource.
            (Token::Word, name) if depth == 1 && names_function(&all[at + 1..]) => {
                found.push((name.trim_start_matches('%'), parameters(&all[at + 1..])));
            }
            _ => {}
        }
    }
    found
}

/// The types between the first `(` of `after` and its `)`.
fn parameters(after: &[(Token, &str)]) -> Vec<String> {
    let (mut depth, mut types, mut current) = (0_usize, Vec::new(), None::<String>);
    for (_, piece) in after.iter().skip_while(|(_, piece)| *piece != "(").skip(1) {
        match *piece {
            ")" => break,
            "," if depth == 0 => types.extend(current.take()),
            ":" if depth == 0 && current.is_none() => current = Some(String::new()),
            piece => {
                match piece {
                    "<" => depth += 1,
                    ">" => depth = depth.saturating_sub(1),
                    _ => {}
                }
                if let Some(text) = &mut current {
                    text.push_str(piece);
                }
            }
        }
    }
    types.extend(current);
    types
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIT: &str = "package root:component;\n\nworld root {\n  export demo:markdown/render@1.0.0;\n}\n\
        package demo:markdown@1.0.0 {\n  /// Markdown in, HTML out { not a block.\n  interface render {\n    \
        type x = list<u8>;\n\n    render: func(text: string) -> result<string>;\n  }\n\n  interface other {\n  }\n}\n";

    #[test]
    fn the_block_of_an_interface_comes_with_its_comment() {
        insta::assert_snapshot!(interface(WIT, "demo:markdown/render@1.0.0").expect("found"), @r"
        /// Markdown in, HTML out { not a block.
        interface render {
          type x = list<u8>;

          render: func(text: string) -> result<string>;
        }
        ");
        assert_eq!(interface(WIT, "demo:markdown/none@1.0.0"), None);
        assert_eq!(interface(WIT, "demo:markdown/render@2.0.0"), None);
        assert_eq!(interface("package a:b {", "a:b/c"), None);
    }

    #[test]
    fn a_function_of_the_world_is_the_line_that_exports_it() {
        let text = "world root {\n  export demo:a/b;\n  export render: func(text: string) -> string;\n  export %list: func();\n}\n";
        assert_eq!(exported_function(text, "render").as_deref(), Some("export render: func(text: string) -> string;"));
        assert_eq!(exported_function(text, "list").as_deref(), Some("export %list: func();"));
        assert_eq!(exported_function(text, "rend"), None);
    }

    #[test]
    fn functions_come_with_the_types_of_their_parameters() {
        let block = "interface x { record r { a: u8 } resource b { get: func() } %list: func(); \
            put: async func(key: string, pairs: list<tuple<u8, string>>, /* why */ how: option<r>) -> result<_, string>; }";
        let types = ["string", "list<tuple<u8,string>>", "option<r>"].map(String::from).to_vec();
        assert_eq!(functions(block), [("list", vec![]), ("put", types)]);
    }

    #[test]
    fn marks_never_change_the_text() {
        let hostile = "interface <script> { type: func(a: list<u8>) } // \"quoted\" & 'so'\n/* open \u{e9}";
        let Html(html) = highlight(hostile);
        insta::assert_snapshot!(html);
        assert!(!html.contains("<script"));
    }
}
