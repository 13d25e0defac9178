//! The small texts of a manifest, each with its own rule.

use std::{fmt, str::FromStr};

use crate::{reader::shown, text::hidden};

/// Why a text breaks its rule. The message begins with a verb: the key stands before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TextError(pub(crate) String);

/// Refuses with a message that names the value.
pub(crate) fn refuse<T>(text: &str, rule: impl fmt::Display) -> Result<T, TextError> {
    Err(TextError(format!("`{}` {rule}", shown(text))))
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = TextError;

            fn from_str(text: &str) -> Result<Self, TextError> {
                let check: fn(&str) -> Result<(), TextError> = $check;
                check(text).map(|()| Self(text.to_owned()))
            }
        }

        text_type!($name);
    };
}

text! {
    /// What a plugin does, in one line of 1 to 200 characters.
    Description, |text| line(text, 200)
}
text! {
    /// Why a plugin asks for a capability, in one line of 1 to 200 characters. Shown to whoever decides.
    Reason, |text| line(text, 200)
}
text! {
    /// A word to be found by: 1 to 32 of `a-z`, `0-9` and `-`.
    Keyword, |text| {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (1..=32).contains(&text.len()) && text.bytes().all(allowed) {
            return Ok(());
        }
        refuse(text, "is not a keyword: 1 to 32 characters of a-z, 0-9 and -")
    }
}
text! {
    /// An SPDX license expression of at most 64 characters: `MIT OR Apache-2.0`.
    ///
    /// Its form is checked, not that the licenses exist: the SPDX list grows every quarter.
    License, license
}
text! {
    /// The address of a source repository: `https://`, a host, at most 256 characters of ASCII.
    Repository, repository
}
text! {
    /// A file beside the manifest: a relative path with `/`, of at most 256 characters, that stays in its folder.
    FilePath, |text| path(text, false)
}
text! {
    /// A file that building leaves anywhere: as [`FilePath`], and `..` may lead out of the folder.
    BuildPath, |text| path(text, true)
}
text! {
    /// The key of a setting: `[a-z][a-z0-9]*(-[a-z0-9]+)*`, at most 64 characters.
    ConfigKey, |text| {
        let word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let begins = text.starts_with(|c: char| c.is_ascii_lowercase());
        if text.len() <= 64 && begins && text.split('-').all(word) {
            return Ok(());
        }
        refuse(text, "is not a key: words of a-z and 0-9 joined by single -, a letter first, at most 64 characters")
    }
}

/// One line that means what it looks like.
fn line(text: &str, max: usize) -> Result<(), TextError> {
    let count = text.chars().count();
    if text.trim().is_empty() {
        return Err(TextError("is empty".to_owned()));
    }
    if count > max {
        return Err(TextError(format!("has {count} characters: at most {max} are allowed")));
    }
    if text != text.trim() {
        return Err(TextError("begins or ends with a space".to_owned()));
    }
    match hidden(text) {
        Some('\n' | '\r') => Err(TextError("has more than one line".to_owned())),
        Some(c) => Err(TextError(format!("has the invisible character U+{:04X}", u32::from(c)))),
        None => Ok(()),
    }
}

/// SPDX specification 2.3, annex D, without `LicenseRef-`: `AND`, `OR`, `WITH`, `+`, parentheses.
fn license(text: &str) -> Result<(), TextError> {
    if text.len() > 64 {
        return Err(TextError(format!("has {} characters: at most 64 are allowed", text.len())));
    }
    let spaced = text.replace('(', " ( ").replace(')', " ) ");
    let mut tokens = spaced.split_whitespace().peekable();
    // Whether an operand must come next, and how many parentheses are open.
    let (mut operand, mut open) = (true, 0_u32);
    while let Some(token) = tokens.next() {
        let fits = match token {
            "(" => operand,
            ")" => !operand && open > 0,
            "AND" | "OR" => !operand,
            "WITH" => !operand && tokens.next().is_some_and(license_id),
            id => operand && license_id(id),
        };
        if !fits {
            return refuse(text, format!("is not an SPDX expression at `{token}`: write it as in `MIT OR Apache-2.0`"));
        }
        match token {
            "(" => open += 1,
            ")" => open -= 1,
            "WITH" => {}
            _ => operand = matches!(token, "AND" | "OR"),
        }
    }
    if operand || open > 0 {
        return refuse(text, "is not an SPDX expression: it ends too early");
    }
    Ok(())
}

fn license_id(text: &str) -> bool {
    let id = text.strip_suffix('+').unwrap_or(text);
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
    !matches!(id, "" | "AND" | "OR" | "WITH") && id.bytes().all(allowed)
}

fn repository(text: &str) -> Result<(), TextError> {
    let Some(rest) = text.strip_prefix("https://") else {
        return refuse(text, "is not an address that begins with https://");
    };
    if text.len() > 256 {
        return Err(TextError(format!("has {} characters: at most 256 are allowed", text.len())));
    }
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let named = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':'));
    // Pages put the address into an attribute; quotes and angle brackets belong percent-encoded.
    let plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\'' | b'<' | b'>' | b'`' | b'\\');
    if named && rest.bytes().all(plain) {
        return Ok(());
    }
    refuse(text, "is not an address: it needs a host name, and no user, spaces or quotes")
}

fn path(text: &str, may_leave: bool) -> Result<(), TextError> {
    if text.is_empty() || text.len() > 256 {
        return Err(TextError(format!("has {} characters: a path has 1 to 256", text.len())));
    }
    if text.starts_with('/') || text.contains(['\\', ':']) || text.chars().any(char::is_control) {
        return refuse(text, "is not a relative path with `/` between its parts");
    }
    if text.split('/').any(|part| part.is_empty() || part == ".") {
        return refuse(text, "has an empty part or a `.`");
    }
    if !may_leave && text.split('/').any(|part| part == "..") {
        return refuse(text, "leads out of the plugin's folder");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message<T: FromStr<Err = TextError>>(text: &str) -> Option<String> {
        text.parse::<T>().err().map(|error| error.to_string())
    }

    #[test]
    fn licenses_have_the_form_of_spdx_expressions() {
        for text in ["MIT", "MIT OR Apache-2.0", "GPL-2.0+ WITH Classpath-exception-2.0", "(MIT AND (0BSD OR ISC))"] {
            assert_eq!(message::<License>(text), None, "{text}");
        }
        let early = |text| Some(format!("`{text}` is not an SPDX expression: it ends too early"));
        let at = |text, token| {
            Some(format!("`{text}` is not an SPDX expression at `{token}`: write it as in `MIT OR Apache-2.0`"))
        };
        assert_eq!(message::<License>(""), early(""));
        assert_eq!(message::<License>("MIT OR"), early("MIT OR"));
        assert_eq!(message::<License>("(MIT"), early("(MIT"));
        assert_eq!(message::<License>("MIT)"), at("MIT)", ")"));
        assert_eq!(message::<License>("MIT Apache-2.0"), at("MIT Apache-2.0", "Apache-2.0"));
        assert_eq!(message::<License>("MIT/Apache-2.0"), at("MIT/Apache-2.0", "MIT/Apache-2.0"));
        assert_eq!(message::<License>("MIT WITH OR"), at("MIT WITH OR", "WITH"));
    }

    #[test]
    fn a_line_means_what_it_looks_like() {
        assert_eq!(message::<Description>("Turns Markdown into HTML – safely"), None);
        assert_eq!(message::<Description>(&"é".repeat(200)), None);
        let cases = [
            ("", "is empty"),
            ("a\nb", "has more than one line"),
            (" a", "begins or ends with a space"),
            ("a\u{202e}b", "has the invisible character U+202E"),
            ("a\u{1b}[31m", "has the invisible character U+001B"),
        ];
        for (text, expected) in cases {
            assert_eq!(message::<Description>(text).as_deref(), Some(expected));
        }
        let long = message::<Description>(&"é".repeat(201));
        assert_eq!(long.as_deref(), Some("has 201 characters: at most 200 are allowed"));
    }

    #[test]
    fn a_path_stays_in_its_folder_unless_it_is_of_a_build() {
        assert_eq!(message::<FilePath>("docs/README.md"), None);
        assert_eq!(message::<BuildPath>("../target/a.wasm"), None);
        let cases = [
            ("../x", "`../x` leads out of the plugin's folder"),
            ("a/../../x", "`a/../../x` leads out of the plugin's folder"),
            ("/etc/passwd", "`/etc/passwd` is not a relative path with `/` between its parts"),
            ("C:x", "`C:x` is not a relative path with `/` between its parts"),
            ("a\\b", "`a\\b` is not a relative path with `/` between its parts"),
            ("a//b", "`a//b` has an empty part or a `.`"),
            ("", "has 0 characters: a path has 1 to 256"),
        ];
        for (text, expected) in cases {
            assert_eq!(message::<FilePath>(text).as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_repository_is_a_plain_https_address() {
        assert_eq!(message::<Repository>("https://example.com/a/b?c=d#e"), None);
        for text in ["https://", "https://user@example.com/", "https://example.com/a b", "https://example.com/\"x"] {
            let expected = format!("`{text}` is not an address: it needs a host name, and no user, spaces or quotes");
            assert_eq!(message::<Repository>(text), Some(expected));
        }
        let expected = "`http://example.com` is not an address that begins with https://";
        assert_eq!(message::<Repository>("http://example.com").as_deref(), Some(expected));
    }
}
