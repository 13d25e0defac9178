//! Markdown events in, HTML out, with everything dangerous taken out in between.
//!
//! The events are filtered before there is any HTML, so nothing has to be found and removed from a
//! string again: what reaches the writer is text, structure, and addresses of allowed schemes.

use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};

/// Schemes that a link may name. Images may name the first two.
const SCHEMES: [&str; 3] = ["http", "https", "mailto"];

/// Renders a text of any length.
pub(crate) fn render(markdown: &str) -> String {
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut out = String::with_capacity(markdown.len() * 3 / 2);
    html::push_html(&mut out, Safe::new(Parser::new_ext(markdown, options)));
    out
}

/// The events of a parser without HTML and without forbidden addresses.
struct Safe<'a, I> {
    events: I,
    /// One entry for each link or image that is open: whether its tags were left out.
    left_out: Vec<bool>,
    /// The lines of the HTML block that is open.
    block: Option<CowStr<'a>>,
}

impl<'a, I: Iterator<Item = Event<'a>>> Safe<'a, I> {
    fn new(events: I) -> Self {
        Self { events, left_out: Vec::new(), block: None }
    }

    /// Remembers whether a link or image keeps its tags, and gives the event on if it does.
    fn keep_if(&mut self, allowed: bool, event: Event<'a>) -> Option<Event<'a>> {
        self.left_out.push(!allowed);
        allowed.then_some(event)
    }

    /// What is left of one event, if anything is.
    fn filter(&mut self, event: Event<'a>) -> Option<Event<'a>> {
        match event {
            Event::Start(Tag::Link { ref dest_url, .. }) => {
                let allowed = is_allowed(dest_url, &SCHEMES);
                self.keep_if(allowed, event)
            }
            Event::Start(Tag::Image { ref dest_url, .. }) => {
                let allowed = is_allowed(dest_url, &SCHEMES[..2]);
                self.keep_if(allowed, event)
            }
            Event::End(TagEnd::Link | TagEnd::Image) => {
                let left_out = self.left_out.pop().unwrap_or(false);
                (!left_out).then_some(event)
            }
            Event::Start(Tag::HtmlBlock) => {
                self.block = Some(CowStr::Borrowed(""));
                None
            }
            Event::Html(line) => {
                let block = self.block.take().unwrap_or(CowStr::Borrowed(""));
                self.block = Some(if block.is_empty() { line } else { format!("{block}{line}").into() });
                None
            }
            // Nothing but a comment: its writer did not mean it to be seen.
            Event::End(TagEnd::HtmlBlock) => {
                let block = self.block.take().unwrap_or(CowStr::Borrowed(""));
                (!is_comment(&block)).then(|| Event::Text(format!("{}\n", block.trim_end()).into()))
            }
            Event::InlineHtml(html) => (!is_comment(&html)).then_some(Event::Text(html)),
            other => Some(other),
        }
    }
}

impl<'a, I: Iterator<Item = Event<'a>>> Iterator for Safe<'a, I> {
    type Item = Event<'a>;

    fn next(&mut self) -> Option<Event<'a>> {
        loop {
            let event = self.events.next()?;
            if let Some(kept) = self.filter(event) {
                return Some(kept);
            }
        }
    }
}

/// Whether an address is relative or its scheme is one of `schemes`.
///
/// A scheme is what stands before the first `:`, if no `/`, `?` or `#` comes first (RFC 3986, section
/// 4.2). Browsers skip control characters and spaces when they look for one, so a `java\tscript:` is
/// JavaScript to them: any such character in that place makes the address forbidden.
fn is_allowed(address: &str, schemes: &[&str]) -> bool {
    let Some(end) = address.find([':', '/', '?', '#']) else { return true };
    if !address[end..].starts_with(':') {
        return true;
    }
    schemes.iter().any(|scheme| scheme.eq_ignore_ascii_case(&address[..end]))
}

/// Whether this is one HTML comment and nothing else.
fn is_comment(html: &str) -> bool {
    let inner = html.trim().strip_prefix("<!--").and_then(|rest| rest.strip_suffix("-->"));
    inner.is_some_and(|inner| !inner.contains("-->"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_emphasis_and_code_become_their_elements() {
        assert_eq!(
            render("# Hi\n\n*a* **b** ~~c~~ `d < e`\n"),
            "<h1>Hi</h1>\n<p><em>a</em> <strong>b</strong> <del>c</del> <code>d &lt; e</code></p>\n"
        );
    }

    #[test]
    fn a_table_and_a_task_list_are_rendered() {
        let out = render("| a | b |\n| - | -: |\n| 1 | 2 |\n\n- [x] done\n- [ ] open\n");
        assert!(out.contains("<th>a</th><th style=\"text-align: right\">b</th>"), "{out}");
        assert!(out.contains("<input disabled=\"\" type=\"checkbox\" checked=\"\"/>\ndone"), "{out}");
    }

    #[test]
    fn html_in_the_text_comes_out_as_text() {
        assert_eq!(
            render("<script>alert(1)</script>\n\nx <b onclick=\"y\">z</b>\n"),
            "&lt;script&gt;alert(1)&lt;/script&gt;\n<p>x &lt;b onclick=\"y\"&gt;z&lt;/b&gt;</p>\n"
        );
    }

    #[test]
    fn a_comment_is_not_shown_unless_something_follows_it() {
        assert_eq!(render("<!-- a\nb -->\n\nc <!-- d -->e\n"), "<p>c e</p>\n");
        assert_eq!(
            render("<!-- a --><script>1</script><!-- b -->\n"),
            "&lt;!-- a --&gt;&lt;script&gt;1&lt;/script&gt;&lt;!-- b --&gt;\n"
        );
    }

    #[test]
    fn a_link_to_a_forbidden_scheme_loses_its_address_and_keeps_its_words() {
        for address in
            ["javascript:alert(1)", "JavaScript:alert(1)", "data:text/html,x", "vbscript:x", "&#106;avascript:x"]
        {
            assert_eq!(render(&format!("[*a* b]({address})")), "<p><em>a</em> b</p>\n", "{address}");
        }
        assert_eq!(render("<javascript:alert(1)>"), "<p>javascript:alert(1)</p>\n");
        assert_eq!(render("[a](<java\tscript:x>)"), "<p>a</p>\n");
        assert_eq!(render("[a](< javascript:x>)"), "<p>a</p>\n");
    }

    #[test]
    fn allowed_and_relative_addresses_stay() {
        for address in [
            "https://example.org/a?b=c:d#e",
            "HTTP://example.org",
            "mailto:a@example.org",
            "../a:b",
            "#c:d",
            "?q=a:b",
            "a",
        ] {
            assert_eq!(render(&format!("[t]({address})")), format!("<p><a href=\"{address}\">t</a></p>\n"));
        }
    }

    #[test]
    fn an_image_in_a_link_is_left_out_by_itself() {
        assert_eq!(
            render("[![alt](mailto:x)](https://example.org)"),
            "<p><a href=\"https://example.org\">alt</a></p>\n"
        );
        assert_eq!(render("[![alt](i.png)](data:x)"), "<p><img src=\"i.png\" alt=\"alt\" /></p>\n");
    }

    #[test]
    fn footnotes_link_there_and_are_listed() {
        let out = render("a[^1]\n\n[^1]: b\n");
        assert!(out.contains("<sup class=\"footnote-reference\"><a href=\"#1\">1</a></sup>"), "{out}");
        assert!(out.contains("<div class=\"footnote-definition\" id=\"1\">"), "{out}");
    }
}
