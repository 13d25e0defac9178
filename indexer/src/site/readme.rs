//! Readmes: Markdown from strangers into HTML that can do no harm.
//!
//! Two walls. First, only what [`Writer`] understands of the Markdown reaches the HTML, within bounds that keep
//! the work linear. Second, the result passes through ammonia, which allows a short list of elements.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use ammonia::{Builder, UrlRelative};
use pulldown_cmark::{Options, Parser};
use stoa_core::release::MAX_README_BYTES;

use super::format::Escaped;

mod writer;

use writer::Writer;

/// A line may open at most this many quotes and list items. Each one costs work on every later line, so a
/// readme that goes deeper (nobody reads it) is shown as plain text instead.
const MAX_NESTING: usize = 32;
/// What ids of headings begin with, so that a readme can not take the ids of the page.
const ID_PREFIX: &str = "readme-";

/// A sanitized readme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readme {
    html: String,
    cut: bool,
}

impl Readme {
    /// Renders `markdown`: CommonMark with tables, footnotes, task lists, strikethrough and alerts.
    ///
    /// What it never lets through: scripts, styles, frames, forms, event handlers, addresses other than `https:`,
    /// `http:` and `mailto:`. Images become links, since a page loads nothing from elsewhere; relative links
    /// lose their target. Beyond [`MAX_README_BYTES`] it is cut at the end of a line, and the page says so.
    pub fn from_markdown(markdown: &str) -> Self {
        let limit = usize::try_from(MAX_README_BYTES).unwrap_or(usize::MAX);
        let (text, cut) = match markdown.len() > limit {
            true => (first_lines(markdown, limit), true),
            false => (markdown, false),
        };
        let raw = match text.lines().any(|line| nesting(line) > MAX_NESTING) {
            true => format!("<pre>{}</pre>", Escaped(text)),
            false => Writer::new(Parser::new_ext(text, options())).html(),
        };
        Self { html: clean(&raw), cut }
    }

    /// The HTML: safe to put into an element as it is.
    pub fn html(&self) -> &str {
        &self.html
    }

    /// Whether it was longer than [`MAX_README_BYTES`].
    pub fn is_cut(&self) -> bool {
        self.cut
    }
}

fn options() -> Options {
    Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_GFM
}

/// The longest prefix of whole lines that fits `limit` bytes.
fn first_lines(text: &str, limit: usize) -> &str {
    let end = (0..=limit).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let head = &text[..end];
    head.rfind('\n').map_or(head, |newline| &head[..newline])
}

/// How many quotes and list items a line opens before its first other character, at the most.
fn nesting(line: &str) -> usize {
    let mut depth = 0;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '>' => depth += 1,
            '-' | '*' | '+' | '.' | ')' if chars.peek().is_none_or(|next| next.is_whitespace()) => depth += 1,
            c if c.is_whitespace() || c.is_ascii_digit() => {}
            _ => break,
        }
    }
    depth
}

/// The second wall. Also used for each block of raw HTML alone, so that what one leaves open ends with it.
fn clean(html: &str) -> String {
    SANITIZER.clean(html).to_string()
}

static SANITIZER: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut builder = Builder::empty();
    builder
        .tags(HashSet::from([
            "a",
            "abbr",
            "b",
            "blockquote",
            "br",
            "code",
            "dd",
            "del",
            "div",
            "dl",
            "dt",
            "em",
            "h3",
            "h4",
            "h5",
            "h6",
            "hr",
            "i",
            "ins",
            "kbd",
            "li",
            "mark",
            "ol",
            "p",
            "pre",
            "q",
            "s",
            "samp",
            "small",
            "strong",
            "sub",
            "sup",
            "table",
            "tbody",
            "td",
            "th",
            "thead",
            "tr",
            "u",
            "ul",
            "var",
        ]))
        .clean_content_tags(HashSet::from(["script", "style", "iframe", "object", "noscript", "template", "title"]))
        .tag_attributes(HashMap::from([
            ("a", HashSet::from(["href", "title", "aria-label"])),
            ("ol", HashSet::from(["start"])),
            ("td", HashSet::from(["colspan", "rowspan"])),
            ("th", HashSet::from(["colspan", "rowspan"])),
            ("h3", HashSet::from(["id"])),
            ("h4", HashSet::from(["id"])),
            ("h5", HashSet::from(["id"])),
            ("h6", HashSet::from(["id"])),
            ("div", HashSet::from(["id"])),
        ]))
        .tag_attribute_values(HashMap::from([
            ("pre", HashMap::from([("tabindex", HashSet::from(["0"]))])),
            ("div", HashMap::from([("tabindex", HashSet::from(["0"]))])),
        ]))
        .allowed_classes(HashMap::from([
            ("a", HashSet::from(["anchor"])),
            ("div", HashSet::from(["scroll", "footnote-definition"])),
            ("li", HashSet::from(["task"])),
            ("sup", HashSet::from(["footnote-reference", "footnote-definition-label"])),
            ("td", HashSet::from(["center", "right"])),
            ("th", HashSet::from(["center", "right"])),
            ("blockquote", HashSet::from(writer::ALERTS)),
        ]))
        .url_schemes(HashSet::from(["https", "http", "mailto"]))
        .url_relative(UrlRelative::Custom(Box::new(fragment)))
        .id_prefix(Some(ID_PREFIX))
        .link_rel(Some("nofollow noopener noreferrer"));
    builder
});

/// Of links without a scheme, those within the readme stay.
fn fragment(url: &str) -> Option<Cow<'_, str>> {
    let name = url.strip_prefix('#').filter(|name| !name.is_empty())?;
    match name.starts_with(ID_PREFIX) {
        true => Some(url.into()),
        false => Some(format!("#{ID_PREFIX}{name}").into()),
    }
}

#[cfg(test)]
mod tests;
