//! The first wall: Markdown events into HTML.

use std::collections::BTreeMap;

use pulldown_cmark::{Alignment, BlockQuoteKind, CowStr, Event, HeadingLevel, Tag, TagEnd, html};

use super::{super::format::Escaped, clean};

/// Elements may lie this deep; deeper ones are left out and their text kept. Browsers stop at 512.
const MAX_DEPTH: usize = 64;
/// A block of raw HTML has at most this many tags: tags left open are opened again in each later paragraph of
/// the block, so its HTML could grow as the square. 128 x 128 elements at the worst.
const MAX_RAW_TAGS: usize = 256;
/// Classes of the alerts `> [!NOTE]` …, as the Markdown crate writes them.
pub(super) const ALERTS: [&str; 5] = [
    "markdown-alert-note",
    "markdown-alert-tip",
    "markdown-alert-important",
    "markdown-alert-warning",
    "markdown-alert-caution",
];
/// Raw HTML within a line: these elements, without attributes; of others only the text stays.
const INLINE: &[&str] =
    &["b", "code", "del", "em", "i", "ins", "kbd", "mark", "q", "s", "small", "strong", "sub", "sup", "u", "var"];

/// Turns events into HTML, within bounds.
pub(super) struct Writer<'t, I> {
    events: I,
    out: Vec<Event<'t>>,
    depth: usize,
    /// Raw inline elements that are open in the block at hand.
    open: Vec<&'static str>,
    /// The raw HTML block at hand.
    raw: Option<String>,
    /// How many links and images are open; only the outermost is written, since no link may lie in another.
    links: usize,
    /// Where the heading at hand began in `out`, and its text.
    heading: Option<(usize, String)>,
    /// The heading ids given, and the last number put behind each.
    ids: BTreeMap<String, usize>,
    /// The alignments of the table at hand, the column, and the element of its cells.
    table: (Vec<Alignment>, usize, &'static str),
}

impl<'t, I: Iterator<Item = Event<'t>>> Writer<'t, I> {
    pub(super) fn new(events: I) -> Self {
        Self {
            events,
            out: Vec::new(),
            depth: 0,
            open: Vec::new(),
            raw: None,
            links: 0,
            heading: None,
            ids: BTreeMap::new(),
            table: (Vec::new(), 0, "th"),
        }
    }

    pub(super) fn html(mut self) -> String {
        while let Some(event) = self.events.next() {
            match event {
                Event::Start(tag) => {
                    self.depth += 1;
                    if self.depth <= MAX_DEPTH {
                        self.start(tag);
                    }
                }
                Event::End(tag) => {
                    if self.depth <= MAX_DEPTH {
                        self.end(tag);
                    }
                    self.depth -= 1;
                }
                other => self.leaf(other),
            }
        }
        let mut html = String::new();
        html::push_html(&mut html, self.out.into_iter());
        html
    }

    fn raw(&mut self, html: impl Into<CowStr<'t>>) {
        self.out.push(Event::Html(html.into()));
    }

    fn start(&mut self, tag: Tag<'t>) {
        match tag {
            Tag::Heading { .. } => {
                self.heading = Some((self.out.len(), String::new()));
                // The place of the opening tag, which bears an id made of the words to come.
                self.raw("");
            }
            // Long lines scroll, so the keyboard must reach the block.
            Tag::CodeBlock(_) => self.raw("<pre tabindex=\"0\"><code>"),
            Tag::HtmlBlock => self.raw = Some(String::new()),
            Tag::Link { .. } | Tag::Image { .. } if self.links > 0 => self.links += 1,
            Tag::Link { dest_url, title, .. } => self.link(&dest_url, &title),
            // A page loads nothing from elsewhere, so an image is shown as a link with its alternative text.
            Tag::Image { dest_url, title, .. } => self.link(&dest_url, &title),
            Tag::Table(alignments) => {
                self.table = (alignments, 0, "th");
                self.raw("<div class=\"scroll\" tabindex=\"0\"><table>");
            }
            Tag::TableHead => self.raw("<thead><tr>"),
            Tag::TableRow => {
                self.table.1 = 0;
                self.raw("<tr>");
            }
            Tag::TableCell => {
                let (alignments, column, element) = &self.table;
                let class = match alignments.get(*column) {
                    Some(Alignment::Center) => " class=\"center\"",
                    Some(Alignment::Right) => " class=\"right\"",
                    _ => "",
                };
                self.raw(format!("<{element}{class}>"));
                self.table.1 += 1;
            }
            Tag::BlockQuote(Some(kind)) => {
                let at = alert(kind);
                self.raw(format!("<blockquote class=\"{}\"><p><strong>{}</strong></p>", ALERTS[at.0], at.1));
            }
            other => self.out.push(Event::Start(other)),
        }
    }

    fn end(&mut self, tag: TagEnd) {
        if matches!(tag, TagEnd::Paragraph | TagEnd::Heading(_) | TagEnd::Item | TagEnd::TableCell) {
            while let Some(element) = self.open.pop() {
                self.raw(format!("</{element}>"));
            }
        }
        match tag {
            TagEnd::Heading(level) => self.end_heading(level),
            TagEnd::HtmlBlock => {
                let block = self.raw.take().unwrap_or_default();
                match block.matches('<').count() > MAX_RAW_TAGS {
                    true => self.raw(format!("<pre>{}</pre>", Escaped(&block))),
                    false => self.raw(clean(&block)),
                }
            }
            TagEnd::Link | TagEnd::Image => {
                self.links = self.links.saturating_sub(1);
                if self.links == 0 {
                    self.raw("</a>");
                }
            }
            TagEnd::CodeBlock => self.raw("</code></pre>\n"),
            TagEnd::Table => self.raw("</tbody></table></div>"),
            TagEnd::TableHead => {
                self.table.2 = "td";
                self.raw("</tr></thead><tbody>");
            }
            TagEnd::TableRow => self.raw("</tr>"),
            TagEnd::TableCell => self.raw(format!("</{}>", self.table.2)),
            TagEnd::BlockQuote(Some(_)) => self.raw("</blockquote>"),
            other => self.out.push(Event::End(other)),
        }
    }

    fn leaf(&mut self, event: Event<'t>) {
        if let (Some((_, words)), Event::Text(text) | Event::Code(text)) = (&mut self.heading, &event) {
            words.push_str(text);
        }
        match event {
            Event::Html(html) => match &mut self.raw {
                Some(block) => block.push_str(&html),
                None => self.out.push(Event::Text(html)),
            },
            Event::Text(text) if self.raw.is_some() => {
                if let Some(block) = &mut self.raw {
                    block.push_str(&text);
                }
            }
            Event::InlineHtml(html) => self.inline(&html),
            Event::TaskListMarker(done) => self.task(done),
            other => self.out.push(other),
        }
    }

    /// A box in front of a task, in place of the list's own mark.
    fn task(&mut self, done: bool) {
        let item = self.out.iter_mut().rev().take(2).find(|event| matches!(event, Event::Start(Tag::Item)));
        if let Some(item) = item {
            *item = Event::Html("<li class=\"task\">".into());
        }
        self.out.push(Event::Text(if done { "☑ " } else { "☐ " }.into()));
    }

    fn link(&mut self, url: &str, title: &str) {
        self.links = 1;
        self.raw(format!("<a href=\"{}\" title=\"{}\">", Escaped(url), Escaped(title)).replace(" title=\"\"", ""));
    }

    fn inline(&mut self, html: &str) {
        let name = html.trim_matches(['<', '>', '/', ' ']);
        let known = INLINE.iter().copied().find(|element| element.eq_ignore_ascii_case(name));
        match known {
            Some(element) if html.starts_with("</") && self.open.last() == Some(&element) => {
                self.open.pop();
                self.raw(format!("</{element}>"));
            }
            Some(_) if html.starts_with("</") => {}
            Some(element) if self.open.len() + self.depth < MAX_DEPTH => {
                self.open.push(element);
                self.raw(format!("<{element}>"));
            }
            None if name.eq_ignore_ascii_case("br") => self.raw("<br>"),
            _ => {}
        }
    }

    /// Headings begin two levels down, below the page's own, and bear an id and a link to themselves.
    fn end_heading(&mut self, level: HeadingLevel) {
        let Some((at, words)) = self.heading.take() else { return };
        let id = self.id(&words);
        let level = (level as usize + 2).min(6);
        self.out[at] = Event::Html(format!("<h{level} id=\"{id}\">").into());
        self.raw(format!("<a class=\"anchor\" href=\"#{id}\" aria-label=\"Link to this heading\">#</a></h{level}>\n"));
    }

    /// The words in lower case, joined by `-`; where that is taken, the first free of `-1`, `-2` …
    fn id(&mut self, words: &str) -> String {
        let lower = words.to_lowercase();
        let parts: Vec<&str> = lower.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty()).collect();
        let slug: String = parts.join("-").chars().take(80).collect();
        let slug = if slug.is_empty() { "section".to_owned() } else { slug };
        let mut id = slug.clone();
        while self.ids.contains_key(&id) {
            let again = self.ids.entry(slug.clone()).or_default();
            *again += 1;
            id = format!("{slug}-{again}");
        }
        self.ids.insert(id.clone(), 0);
        id
    }
}

/// The place of an alert in [`ALERTS`], and its title.
fn alert(kind: BlockQuoteKind) -> (usize, &'static str) {
    match kind {
        BlockQuoteKind::Note => (0, "Note"),
        BlockQuoteKind::Tip => (1, "Tip"),
        BlockQuoteKind::Important => (2, "Important"),
        BlockQuoteKind::Warning => (3, "Warning"),
        BlockQuoteKind::Caution => (4, "Caution"),
    }
}
