//! `demo:markdown`: Markdown to HTML that is safe to put into a page.
//!
//! [`html`] has the work; this file only connects it to the interface `demo:markdown/render`.

mod html;

mod bindings {
    wit_bindgen::generate!({ world: "markdown", path: "wit", generate_all });
}

use bindings::exports::demo::markdown::render::{Guest, RenderError};

/// The longest text that is rendered, in bytes: 1 MiB, far above any page that a person reads.
const MAX_BYTES: u32 = 1 << 20;

struct Markdown;

impl Guest for Markdown {
    fn render(markdown: String) -> Result<String, RenderError> {
        if markdown.len() > MAX_BYTES as usize {
            return Err(RenderError::TooLong(MAX_BYTES));
        }
        Ok(html::render(&markdown))
    }
}

bindings::export!(Markdown with_types_in bindings);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_at_the_limit_is_rendered_and_one_byte_more_is_refused_with_the_limit() {
        let at_limit = "a".repeat(MAX_BYTES as usize);
        assert_eq!(Markdown::render(at_limit.clone()).expect("rendered").len(), at_limit.len() + "<p></p>\n".len());
        match Markdown::render(at_limit + "a") {
            Err(RenderError::TooLong(limit)) => assert_eq!(limit, 1_048_576),
            other => panic!("expected too-long, got {other:?}"),
        }
    }
}
