//! Values as readers see them: escaped text, sizes, dates, counts.

use std::fmt;

use minijinja::{AutoEscape, Error, Output, State, escape_formatter, value::Value};
use serde::{Serialize, Serializer};

/// Text escaped for HTML, in elements and in quoted attributes.
///
/// The engine's own escape turns `/` into an entity as well, which protects nothing there and makes every
/// link in the source of a page unreadable.
pub(crate) struct Escaped<'t>(pub(crate) &'t str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(['&', '<', '>', '"', '\'']) {
            f.write_str(&rest[..at])?;
            f.write_str(match rest.as_bytes()[at] {
                b'&' => "&amp;",
                b'<' => "&lt;",
                b'>' => "&gt;",
                b'"' => "&quot;",
                _ => "&#39;",
            })?;
            rest = &rest[at + 1..];
        }
        f.write_str(rest)
    }
}

/// HTML made here, which templates write as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Html(pub(crate) String);

impl Serialize for Html {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Value::from_safe_string(self.0.clone()).serialize(serializer)
    }
}

/// Writes a value into a template: strings through [`Escaped`], all else as the engine does.
pub(crate) fn formatter(out: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    match value.as_str() {
        Some(text) if !value.is_safe() && *state.auto_escape() == AutoEscape::Html => {
            fmt::Write::write_fmt(out, format_args!("{}", Escaped(text))).map_err(Error::from)
        }
        _ => escape_formatter(out, state, value),
    }
}

/// A length in bytes, with three significant digits at the most: `812 B`, `44.1 KB`, `12.0 MB` (powers of 1000).
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    // Tenths in whole numbers: a page must not depend on how a platform rounds.
    let mut tenths = bytes.saturating_add(50) / 100;
    let mut unit = 0;
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        tenths = (tenths + 500) / 1000;
        unit += 1;
    }
    match (tenths / 10, tenths % 10) {
        (whole @ 100.., tenth) => format!("{} {}", whole + u64::from(tenth >= 5), UNITS[unit]),
        (whole, tenth) => format!("{whole}.{tenth} {}", UNITS[unit]),
    }
}

/// The day of a time such as `2026-11-23T08:00:00Z`, for people: `23 Nov 2026`. Other text stays as it is.
pub(crate) fn date(time: &str) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let day = time.split('T').next().unwrap_or(time);
    let mut parts = day.splitn(3, '-');
    let (year, month, day) = (parts.next(), parts.next(), parts.next());
    let month = month.and_then(|month| month.parse::<usize>().ok()).and_then(|month| MONTHS.get(month.wrapping_sub(1)));
    match (year, month, day) {
        (Some(year), Some(month), Some(day)) => format!("{} {month} {year}", day.trim_start_matches('0')),
        _ => time.to_owned(),
    }
}

/// An address that may break after each `/`, so that it needs not break within words.
pub(crate) fn breakable(address: &str) -> Value {
    let parts: Vec<String> = address.split_inclusive('/').map(|part| Escaped(part).to_string()).collect();
    Value::from_safe_string(parts.join("<wbr>"))
}

/// `1 plugin`, `2 plugins`.
pub(crate) fn count(n: u64, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_at_most_three_digits() {
        let shown = [0, 999, 1000, 44_123, 99_960, 99_950, 100_499, 999_949, 999_999, 12_000_000, 128 << 20].map(size);
        assert_eq!(
            shown,
            [
                "0 B", "999 B", "1.0 KB", "44.1 KB", "100 KB", "100 KB", "101 KB", "1000 KB", "1.0 MB", "12.0 MB",
                "134 MB"
            ]
        );
    }

    #[test]
    fn dates_are_for_people() {
        assert_eq!(date("2026-11-03T08:00:00Z"), "3 Nov 2026");
        assert_eq!(date("soon"), "soon");
    }

    #[test]
    fn all_five_are_escaped() {
        assert_eq!(Escaped("<a href=\"x/y\" b='&'>é").to_string(), "&lt;a href=&quot;x/y&quot; b=&#39;&amp;&#39;&gt;é");
    }
}
