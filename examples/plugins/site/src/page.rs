//! The page around the text: one HTML file that needs no other.

use crate::outline::{Heading, escape};

/// A contents list that has a single line says nothing that the page does not.
const FEWEST_CONTENTS: usize = 2;

/// Readable on a telephone and on paper, in light and in dark.
const STYLE: &str = "\
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent); }
body { font: 1.0625rem/1.6 system-ui, sans-serif; max-width: 42rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1, h2, h3, h4, h5, h6 { line-height: 1.25; margin: 2em 0 0.5em; text-wrap: balance; }
h1 { margin-top: 0; }
nav { border-block: 1px solid var(--line); padding: 0.5rem 0; margin: 1.5rem 0; }
nav ol { list-style: none; margin: 0; padding-left: 1.25rem; }
nav > ol { padding-left: 0; }
pre { overflow-x: auto; padding: 1rem; border: 1px solid var(--line); border-radius: 0.5rem; }
code { font: 0.9em ui-monospace, monospace; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
th, td { border: 1px solid var(--line); padding: 0.35rem 0.75rem; }
blockquote { margin-inline: 0; padding-left: 1rem; border-left: 4px solid var(--line); }
img { max-width: 100%; }
@media print { nav { break-after: avoid; } body { max-width: none; } }
";

/// A whole page. `body` is HTML, `title` is text.
pub(crate) fn html(title: &str, body: &str, headings: &[Heading]) -> String {
    let name = escape(title);
    // A text that begins with its own title needs no second one.
    let titled =
        headings.first().is_some_and(|first| first.level == 1 && first.text == title && body.starts_with("<h1"));
    let heading = if titled { String::new() } else { format!("<h1>{name}</h1>\n") };
    let below_title = &headings[usize::from(titled)..];
    let mut contents = String::new();
    if below_title.len() >= FEWEST_CONTENTS {
        contents.push_str("<nav aria-label=\"Contents\">");
        list(&mut contents, below_title);
        contents.push_str("</nav>\n");
    }
    // With a title of its own in the body, the contents come after that title.
    let (lead, rest) =
        if titled { body.split_at(body.find("</h1>").map_or(0, |end| end + "</h1>".len())) } else { ("", body) };
    format!(
        "<!doctype html>\n<html>\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{name}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n{heading}{lead}{contents}<main>\n{}</main>\n</body>\n</html>\n",
        rest.trim_start()
    )
}

/// A list of links, with a list in each item for the deeper headings that follow it.
///
/// Levels only grow on the way in, so it is at most six lists deep whatever the text looks like.
fn list(out: &mut String, headings: &[Heading]) {
    if headings.is_empty() {
        return;
    }
    out.push_str("<ol>");
    let mut rest = headings;
    while let [item, following @ ..] = rest {
        let (inner, after) =
            following.split_at(following.iter().take_while(|heading| heading.level > item.level).count());
        out.push_str(&format!("<li><a href=\"#{}\">{}</a>", escape(&item.anchor), escape(&item.text)));
        list(out, inner);
        out.push_str("</li>");
        rest = after;
    }
    out.push_str("</ol>");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headings(levels: &[(u8, &str)]) -> Vec<Heading> {
        let heading = |&(level, text): &(u8, &str)| Heading { level, text: text.into(), anchor: text.to_lowercase() };
        levels.iter().map(heading).collect()
    }

    fn contents(page: &str) -> Option<&str> {
        page.split_once("<nav aria-label=\"Contents\">")?.1.split_once("</nav>").map(|(contents, _)| contents)
    }

    #[test]
    fn contents_are_nested_by_level_even_where_levels_are_skipped() {
        let page = html("T", "", &headings(&[(3, "A"), (2, "B"), (4, "C"), (3, "D"), (2, "E")]));
        let link = |text: &str| format!("<a href=\"#{}\">{text}</a>", text.to_lowercase());
        assert_eq!(
            contents(&page).expect("contents"),
            format!(
                "<ol><li>{}</li><li>{}<ol><li>{}</li><li>{}</li></ol></li><li>{}</li></ol>",
                link("A"),
                link("B"),
                link("C"),
                link("D"),
                link("E")
            )
        );
    }

    #[test]
    fn one_heading_makes_no_contents() {
        assert_eq!(contents(&html("T", "", &headings(&[(2, "A")]))), None);
    }

    #[test]
    fn a_text_that_begins_with_its_title_keeps_it_above_the_contents() {
        let body = "<h1 id=\"t\">T</h1>\n<h2 id=\"a\">A</h2>\n<h2 id=\"b\">B</h2>\n";
        let page = html("T", body, &headings(&[(1, "T"), (2, "A"), (2, "B")]));
        assert_eq!(page.matches("<h1").count(), 1);
        assert!(page.contains("<h1 id=\"t\">T</h1><nav"), "{page}");
        assert_eq!(contents(&page).expect("contents").matches("<li>").count(), 2);
    }

    #[test]
    fn a_title_and_headings_cannot_break_out_of_their_place() {
        let page = html("<b>\"&", "", &headings(&[(2, "<i>"), (2, "B")]));
        assert!(page.contains("<title>&lt;b&gt;&quot;&amp;</title>"), "{page}");
        assert!(page.contains("<a href=\"#&lt;i&gt;\">&lt;i&gt;</a>"), "{page}");
    }
}
