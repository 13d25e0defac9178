//! The headings of rendered HTML: found, named, and given anchors.
//!
//! The HTML comes from `demo:markdown`, which writes headings as `<h2>` without attributes and lets no
//! HTML of the text's author through, so a plain search finds the headings and nothing else.

use std::collections::BTreeSet;

/// A heading with the anchor it got.
#[derive(Debug, PartialEq)]
pub(crate) struct Heading {
    /// 1 to 6.
    pub(crate) level: u8,
    /// The words, without markup.
    pub(crate) text: String,
    /// Unlike every other anchor of the page.
    pub(crate) anchor: String,
}

/// HTML whose headings have anchors, and those headings.
#[derive(Debug)]
pub(crate) struct Outline {
    /// The HTML with an `id` in each heading.
    pub(crate) html: String,
    /// The headings in the order of the HTML.
    pub(crate) headings: Vec<Heading>,
}

/// Gives each heading the anchor that `slug` makes of its words, or `section` where that is none.
///
/// # Errors
/// The first one that `slug` gives.
pub(crate) fn add_anchors<E>(html: &str, slug: impl Fn(&str) -> Result<Option<String>, E>) -> Result<Outline, E> {
    let mut outline = Outline { html: String::with_capacity(html.len() + 1024), headings: Vec::new() };
    let mut taken = BTreeSet::new();
    let mut rest = html;
    while let Some(found) = next_heading(rest) {
        let text = words(found.inner);
        let anchor = free(slug(&text)?.unwrap_or_else(|| "section".to_owned()), &mut taken);
        outline.html.push_str(found.before);
        // A slug has letters, digits and hyphens only; escaped all the same, since another plugin made it.
        outline.html.push_str(&format!("<h{} id=\"{}\">{}", found.level, escape(&anchor), found.inner));
        outline.headings.push(Heading { level: found.level, text, anchor });
        rest = found.after;
    }
    outline.html.push_str(rest);
    Ok(outline)
}

/// A heading in HTML. `after` begins with its end tag.
struct Found<'a> {
    before: &'a str,
    level: u8,
    inner: &'a str,
    after: &'a str,
}

/// The first heading that has both its tags.
fn next_heading(html: &str) -> Option<Found<'_>> {
    let mut from = 0;
    while let Some(at) = html[from..].find("<h") {
        let start = from + at;
        from = start + 2;
        let Some((digit @ b'1'..=b'6', b'>')) =
            html.as_bytes().get(from).copied().zip(html.as_bytes().get(from + 1).copied())
        else {
            continue;
        };
        let inner = &html[from + 2..];
        let end = inner.find(&format!("</h{}>", digit as char))?;
        return Some(Found { before: &html[..start], level: digit - b'0', inner: &inner[..end], after: &inner[end..] });
    }
    None
}

/// The text of HTML: no tags, and the four entities that a renderer writes turned back.
fn words(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut inside_tag = false;
    for c in html.chars() {
        match c {
            '<' => inside_tag = true,
            '>' if inside_tag => inside_tag = false,
            _ if !inside_tag => text.push(c),
            _ => {}
        }
    }
    // The ampersand last, or `&amp;lt;` would become `<`.
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&").trim().to_owned()
}

/// The first of `slug`, `slug-2`, `slug-3` … that is not taken, which then is.
fn free(slug: String, taken: &mut BTreeSet<String>) -> String {
    let mut anchor = slug.clone();
    let mut number = 2;
    while !taken.insert(anchor.clone()) {
        anchor = format!("{slug}-{number}");
        number += 1;
    }
    anchor
}

/// Text that may stand in HTML, also in an attribute.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outline(html: &str) -> Outline {
        add_anchors(html, |words| Ok::<_, ()>((words != "?").then(|| words.to_lowercase().replace(' ', "-"))))
            .expect("an outline")
    }

    #[test]
    fn a_heading_gets_an_anchor_and_its_words_lose_their_markup() {
        let outline = outline("<p>a</p>\n<h2>The <em>first</em> &amp;lt;b&gt;</h2>\n<p>c</p>\n");
        assert_eq!(
            outline.headings,
            [Heading { level: 2, text: "The first &lt;b>".into(), anchor: "the-first-&lt;b>".into() }]
        );
        assert_eq!(
            outline.html,
            "<p>a</p>\n<h2 id=\"the-first-&amp;lt;b&gt;\">The <em>first</em> &amp;lt;b&gt;</h2>\n<p>c</p>\n"
        );
    }

    #[test]
    fn the_same_words_get_numbers_and_never_the_anchor_of_another_heading() {
        let outline = outline("<h1>a</h1><h2>a 2</h2><h3>a</h3><h4>?</h4><h5>?</h5>");
        let anchors: Vec<_> = outline.headings.iter().map(|heading| heading.anchor.as_str()).collect();
        assert_eq!(anchors, ["a", "a-2", "a-3", "section", "section-2"]);
    }

    #[test]
    fn what_only_looks_like_a_heading_stays_as_it_is() {
        for html in ["<hr /><header>x</header>", "<h7>x</h7>", "<h2>never ended", "<p>&lt;h2&gt;x&lt;/h2&gt;</p>", "<h"]
        {
            let outline = outline(html);
            assert_eq!((outline.html.as_str(), outline.headings.len()), (html, 0));
        }
    }

    #[test]
    fn an_error_of_the_slug_ends_the_work() {
        assert_eq!(add_anchors("<h1>a</h1>", |_| Err::<Option<String>, _>("no")).expect_err("refused"), "no");
    }
}
