//! `demo:site`: whole pages out of Markdown, with the help of `demo:markdown` and `demo:slugify`.
//!
//! [`page`] and [`outline`] have the work. This file connects them to the interface `demo:site/pages` and
//! to the two plugins, and turns what those answer, or that they don't, into values.

mod outline;
mod page;

mod bindings {
    wit_bindgen::generate!({ world: "site", path: "wit", generate_all });
}

use bindings::demo::markdown::render::{self, RenderError};
use bindings::demo::slugify::slug::{self, SlugError};
use bindings::exports::demo::site::pages::{FailedCall, Guest, Heading, PageRecord, SiteError};
use bindings::stoa::plugin::types::CallError;

struct Site;

impl Guest for Site {
    fn page(title: String, markdown: String) -> Result<PageRecord, SiteError> {
        build(&title, &markdown, render::render, slug::slugify)
    }
}

bindings::export!(Site with_types_in bindings);

/// Builds a page with the two plugins given as functions, so that tests can stand in for them.
fn build(
    title: &str,
    markdown: &str,
    render: impl Fn(&str) -> Result<String, RenderError>,
    slugify: impl Fn(&str) -> Result<String, SlugError>,
) -> Result<PageRecord, SiteError> {
    let title = title.trim();
    let name = slugify(title).map_err(|error| match error {
        SlugError::NothingLeft => SiteError::NoTitle,
        SlugError::TooLong(limit) => SiteError::TooLong(limit),
        SlugError::Call(reason) => failed("demo:slugify", reason),
    })?;
    let body = render(markdown).map_err(|error| match error {
        RenderError::TooLong(limit) => SiteError::TooLong(limit),
        RenderError::Call(reason) => failed("demo:markdown", reason),
    })?;
    // A heading that has no slug is no reason to have no page.
    let outline = outline::add_anchors(&body, |words| match slugify(words) {
        Ok(slug) => Ok(Some(slug)),
        Err(SlugError::NothingLeft | SlugError::TooLong(_)) => Ok(None),
        Err(SlugError::Call(reason)) => Err(failed("demo:slugify", reason)),
    })?;
    Ok(PageRecord {
        title: title.to_owned(),
        file_name: format!("{name}.html"),
        html: page::html(title, &outline.html, &outline.headings),
        contents: outline.headings.into_iter().map(Heading::from).collect(),
    })
}

fn failed(plugin: &str, reason: CallError) -> SiteError {
    SiteError::Dependency(FailedCall { plugin: plugin.to_owned(), reason })
}

impl From<outline::Heading> for Heading {
    fn from(heading: outline::Heading) -> Self {
        Self { level: heading.level, text: heading.text, anchor: heading.anchor }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stands in for `demo:markdown`: every line is a paragraph, or a heading if it begins with `#`.
    fn lines(markdown: &str) -> Result<String, RenderError> {
        let line = |line: &str| match line.strip_prefix("# ") {
            Some(words) => format!("<h2>{words}</h2>\n"),
            None => format!("<p>{line}</p>\n"),
        };
        Ok(markdown.lines().map(line).collect())
    }

    /// Stands in for `demo:slugify`: knows ASCII, and is cut off when it meets `boom`.
    fn ascii(text: &str) -> Result<String, SlugError> {
        match text {
            "boom" => Err(SlugError::Call(CallError::CircuitOpen(250))),
            _ if !text.contains(|c: char| c.is_ascii_alphanumeric()) => Err(SlugError::NothingLeft),
            _ => Ok(text.to_ascii_lowercase().replace(' ', "-")),
        }
    }

    #[test]
    fn a_page_has_a_file_name_anchors_and_contents() {
        let page = build(" My Page ", "# One\ntext\n# ???", lines, ascii).expect("a page");
        assert_eq!((page.title.as_str(), page.file_name.as_str()), ("My Page", "my-page.html"));
        let contents: Vec<_> = page.contents.iter().map(|h| (h.level, h.text.as_str(), h.anchor.as_str())).collect();
        assert_eq!(contents, [(2, "One", "one"), (2, "???", "section")]);
        assert!(page.html.contains("<h2 id=\"one\">One</h2>\n<p>text</p>"), "{}", page.html);
    }

    #[test]
    fn a_title_without_letters_is_refused() {
        assert!(matches!(build("?!", "", lines, ascii), Err(SiteError::NoTitle)));
    }

    #[test]
    fn a_text_too_long_for_a_dependency_is_too_long_here_with_the_same_limit() {
        let refuse = |_: &str| Err(RenderError::TooLong(7));
        assert!(matches!(build("a", "b", refuse, ascii), Err(SiteError::TooLong(7))));
    }

    #[test]
    fn a_dependency_that_gives_no_answer_is_named_with_its_reason() {
        match build("a", "# boom", lines, ascii) {
            Err(SiteError::Dependency(FailedCall { plugin, reason: CallError::CircuitOpen(250) })) => {
                assert_eq!(plugin, "demo:slugify");
            }
            other => panic!("expected a failed dependency, got {other:?}"),
        }
        let trap = |_: &str| Err(RenderError::Call(CallError::Trapped));
        match build("a", "b", trap, ascii) {
            Err(SiteError::Dependency(FailedCall { plugin, reason: CallError::Trapped })) => {
                assert_eq!(plugin, "demo:markdown");
            }
            other => panic!("expected a failed dependency, got {other:?}"),
        }
    }
}
