//! `demo:slugify`: titles to names for files, addresses and anchors.
//!
//! [`slug`] has the work; this file only connects it to the interface `demo:slugify/slug`.

mod slug;

mod bindings {
    wit_bindgen::generate!({ world: "slugify", path: "wit", generate_all });
}

use bindings::exports::demo::slugify::slug::{Guest, SlugError};

/// The longest text that is looked at, in bytes. A title of several pages is a mistake of the caller.
const MAX_BYTES: u32 = 4096;

struct Slugify;

impl Guest for Slugify {
    fn slugify(text: String) -> Result<String, SlugError> {
        if text.len() > MAX_BYTES as usize {
            return Err(SlugError::TooLong(MAX_BYTES));
        }
        slug::slugify(&text).ok_or(SlugError::NothingLeft)
    }
}

bindings::export!(Slugify with_types_in bindings);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_at_the_limit_has_a_slug_and_one_byte_more_is_refused_with_the_limit() {
        assert_eq!(Slugify::slugify("a ".repeat(2048)).expect("a slug").len(), 79);
        match Slugify::slugify("a".repeat(4097)) {
            Err(SlugError::TooLong(limit)) => assert_eq!(limit, 4096),
            other => panic!("expected too-long, got {other:?}"),
        }
    }

    #[test]
    fn a_text_without_letters_or_digits_is_refused() {
        for text in ["", " ", "?!", "---", "\u{301}"] {
            assert!(matches!(Slugify::slugify(text.into()), Err(SlugError::NothingLeft)), "{text:?}");
        }
    }
}
