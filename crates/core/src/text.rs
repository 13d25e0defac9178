//! Text: types whose whole being is one piece of it, and what no line for people may hide.

/// The first character of `text` that is not seen, or that makes others read otherwise than they are written:
/// control characters, zero-width characters, separators of lines, and bidirectional controls (CVE-2021-42574).
pub(crate) fn hidden(text: &str) -> Option<char> {
    let hidden = |c: &char| {
        c.is_control()
            || matches!(c, '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
            || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    text.chars().find(hidden)
}

/// Gives a type that has `Display` and `FromStr` a `Debug` of the same text, and serde through the parser:
/// nothing enters from a document that the parser would refuse.
macro_rules! text_type {
    ($name:ident) => {
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
