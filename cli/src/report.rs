//! How the command line speaks: results on standard output, everything else on standard error.

use std::{error::Error, fmt};

use anstyle::{AnsiColor, Style};
use stoa_core::trust::Attack;
use stoa_loader::{RegistryError, TransportError};

/// Green: done. Red: refused. Yellow: look here. Dim: detail.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default().bold();
pub(crate) const NAME: Style = AnsiColor::Cyan.on_default();
pub(crate) const DIM: Style = Style::new().dimmed();

/// What went wrong, and what to try. The whole chain of causes is printed here and nowhere else.
#[derive(Debug)]
pub(crate) struct Failure {
    /// A stable code, where the cause has one.
    pub(crate) code: Option<String>,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { code: None, message: message.into(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// Something is not kept that would have to be asked for.
    pub(crate) fn offline(self) -> Self {
        self.code("not-kept").hint(
            "it is not in the cache: give the command once without `--offline` or `--frozen`, or `stoa fetch` before the \
             connection goes",
        )
    }

    /// What came from a registry was refused: says what that may mean, and that nothing of it was taken.
    pub(crate) fn refused(self, attack: Attack) -> Self {
        let next = match attack {
            Attack::Freeze => "set the clock right, or tell the registry's operator",
            Attack::Withholding => "try again or another mirror, and tell the registry's operator",
            _ => "try another mirror, and tell the registry's operator",
        };
        let hint = format!("{}; nothing of it was taken, verified copies stay as they were; {next}", attack.sentence());
        self.code(format!("refused-{attack}")).hint(hint)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl<E: Error + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        let failure = Self::new(chain(&error));
        let registry = (&error as &dyn Error).downcast_ref();
        match (registry, registry.and_then(RegistryError::attack)) {
            (Some(RegistryError::OtherRoot { .. }), _) => failure.code("refused-root").hint(
                "compare the pinned root with what the registry's operator published: a registry that was made anew \
                 has another one, and so has somebody who stands in its place",
            ),
            (Some(RegistryError::Unsigned { .. }), Some(attack)) => {
                let hint = "its publisher signs every release and has not signed this one: somebody else released it; nothing \
                            of it was taken; take an earlier version (`stoa lock` keeps what is locked), and tell the \
                            publisher and the registry's operator";
                failure.refused(attack).code("refused-unsigned").hint(hint)
            }
            (_, Some(attack)) => failure.refused(attack),
            _ if is_offline(&error) => failure.offline(),
            _ => failure,
        }
    }
}

/// Whether nothing but a connection that may not be opened stands in the way.
pub(crate) fn is_offline(error: &(dyn Error + 'static)) -> bool {
    let offline = |error: &TransportError| matches!(error, TransportError::Offline { .. });
    let mut next = Some(error);
    while let Some(error) = next {
        let transport = error.downcast_ref::<TransportError>();
        if transport.is_some_and(offline)
            || matches!(error.downcast_ref(), Some(RegistryError::Transport(error)) if offline(error))
        {
            return true;
        }
        next = error.source();
    }
    false
}

/// An error and its causes on one line, each once.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

/// `text` without anything that a terminal acts on: plugins and registries write parts of it.
///
/// Control characters but the line feed, and characters that reorder or hide others, are shown as escapes.
pub(crate) fn harmless(text: &str) -> String {
    let acts = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match acts(c) {
            true => out.extend(c.escape_default()),
            false => out.push(c),
        }
    }
    out
}

/// Bytes for people: `999 B`, `1.5 kB`, `12.3 MB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    // In tenths of the unit, rounded.
    let (mut tenths, mut unit) = ((bytes + 50) / 100, 0);
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        (tenths, unit) = ((tenths + 500) / 1000, unit + 1);
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// Whether people or programs read the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    Text,
    Json,
}

impl Output {
    /// Prints a result: `text` for people, `json` for programs.
    pub(crate) fn result(self, text: impl fmt::Display, json: &serde_json::Value) {
        match self {
            Self::Text => line(text),
            Self::Json => line(json),
        }
    }

    /// Says something on the way, for people only.
    pub(crate) fn note(self, text: impl fmt::Display) {
        if self == Self::Text {
            anstream::eprintln!("{text}");
        }
    }

    /// Prints a failure.
    pub(crate) fn failure(self, failure: &Failure) {
        match self {
            Self::Text => {
                let code = failure.code.as_deref().map(|code| format!("[{code}]")).unwrap_or_default();
                anstream::eprintln!("{BAD}error{code}{BAD:#}: {}", harmless(&failure.message));
                if let Some(hint) = &failure.hint {
                    anstream::eprintln!("{WARN}hint{WARN:#}: {}", harmless(hint));
                }
            }
            Self::Json => {
                let error = serde_json::json!({
                    "error": {"code": failure.code, "message": failure.message, "hint": failure.hint}
                });
                line(error);
            }
        }
    }
}

/// A line on standard output. A reader that has seen enough (`stoa … | head`) is no failure.
pub(crate) fn line(text: impl fmt::Display) {
    use std::io::Write as _;
    let _gone = writeln!(anstream::stdout(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the disk is full")]
    struct Inner;

    #[derive(Debug, thiserror::Error)]
    #[error("`x` could not be written")]
    struct Outer(#[source] Inner);

    #[test]
    fn what_a_terminal_acts_on_is_shown_and_not_done() {
        let text = "a\nb \u{1b}]0;owned\u{7}\u{1b}[2K\r \u{202e}c\u{9b}m é";
        assert_eq!(harmless(text), "a\nb \\u{1b}]0;owned\\u{7}\\u{1b}[2K\\r \\u{202e}c\\u{9b}m é");
    }

    #[test]
    fn the_chain_of_causes_is_one_line() {
        assert_eq!(chain(&Outer(Inner)), "`x` could not be written: the disk is full");
        assert_eq!(Failure::from(Outer(Inner)).message, "`x` could not be written: the disk is full");
    }

    #[test]
    fn sizes_are_rounded_to_a_tenth_of_their_unit() {
        let sizes = [0, 999, 1000, 1549, 1550, 999_949, 999_950, 12_345_678, 1_500_000_000_000_000].map(size);
        let expected = ["0 B", "999 B", "1.0 kB", "1.5 kB", "1.6 kB", "999.9 kB", "1.0 MB", "12.3 MB", "1500.0 TB"];
        assert_eq!(sizes, expected);
    }
}
