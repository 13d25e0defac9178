//! The marketplace, drawn from fixtures.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use stoa_core::path::PublicPath;
use stoa_indexer::site::{Site, SiteConfig, view::PluginPage};

mod fixture;

/// Every file of the site of `pages`, by path.
fn tree(site: &Site, pages: &[PluginPage]) -> BTreeMap<PublicPath, Vec<u8>> {
    let mut files: BTreeMap<_, _> = site.assets().into_iter().collect();
    let front = fixture::front(pages.iter().map(fixture::card).collect());
    files.insert(PublicPath::Front, site.front(&front).expect("a front page").into_bytes());
    files.insert(PublicPath::NotFound, site.not_found().expect("a page").into_bytes());
    for page in pages {
        files.insert(PublicPath::Plugin(page.id.clone()), site.plugin(page).expect("a page").into_bytes());
    }
    files
}

/// The values of an attribute, in order.
fn values<'h>(html: &'h str, attribute: &str) -> Vec<&'h str> {
    let start = format!(" {attribute}=\"");
    html.split(&start).skip(1).map(|rest| rest.split('"').next().unwrap_or("")).collect()
}

#[test]
fn the_front_page_of_a_small_registry() {
    let cards = fixture::pages().iter().map(fixture::card).collect();
    insta::assert_snapshot!(fixture::site().front(&fixture::front(cards)).expect("a page"));
}

#[test]
fn the_front_page_of_an_empty_registry() {
    insta::assert_snapshot!(fixture::site().front(&fixture::front(vec![])).expect("a page"));
}

#[test]
fn the_page_of_a_plugin_with_everything() {
    insta::assert_snapshot!(fixture::site().plugin(&fixture::markdown()).expect("a page"));
}

#[test]
fn the_page_of_a_plugin_with_dependencies() {
    insta::assert_snapshot!(fixture::site().plugin(&fixture::demo_site()).expect("a page"));
}

#[test]
fn the_page_of_a_plugin_that_was_yanked_and_asks_for_much() {
    insta::assert_snapshot!(fixture::site().plugin(&fixture::heavy()).expect("a page"));
}

#[test]
fn the_page_of_a_plugin_with_known_flaws_and_a_version_in_quarantine() {
    insta::assert_snapshot!(fixture::site().plugin(&fixture::flawed()).expect("a page"));
}

#[test]
fn the_page_of_what_is_in_quarantine_shows_no_way_to_get_it() {
    let html = fixture::site().plugin(&fixture::quarantined()).expect("a page");
    for way in ["stoa run", "plugins.toml", "plugin.toml", "href=\"/artifacts/"] {
        assert!(!html.contains(way), "{way} is on the page:\n{html}");
    }
    insta::assert_snapshot!(html);
}

#[test]
fn the_page_of_what_was_killed_tells_of_that_and_has_no_word_of_its_author() {
    let html = fixture::site().plugin(&fixture::killed()).expect("a page");
    for word in ["BUY-NOW", "buy-now", "malware.example", "stoa run", "plugins.toml", "href=\"/artifacts/"] {
        assert!(!html.contains(word), "{word} is on the page:\n{html}");
    }
    insta::assert_snapshot!(html);
}

#[test]
fn the_page_of_an_interface() {
    insta::assert_snapshot!(fixture::site().plugin(&fixture::interface()).expect("a page"));
}

#[test]
fn the_page_of_a_plugin_that_tries_to_break_out() {
    let html = fixture::site().plugin(&fixture::hostile()).expect("a page");
    for wall in ["<script>", "<img", " onerror=\"", " onmouseover=\"", "href=\"javascript"] {
        assert!(!html.contains(wall), "{wall} came through:\n{html}");
    }
    insta::assert_snapshot!(html);
}

#[test]
fn the_page_for_addresses_that_lead_nowhere() {
    insta::assert_snapshot!(fixture::site().not_found().expect("a page"));
}

#[test]
fn the_newest_lead_where_there_are_many() {
    let site = fixture::site();
    let heads = |n| {
        let html = site.front(&fixture::front(fixture::many(n))).expect("a page");
        (html.contains("id=\"newest\""), html.matches("<li class=\"card\">").count())
    };
    assert_eq!(
        [0, 1, 3, 9, 10, 500].map(heads),
        [(false, 0), (false, 1), (false, 3), (false, 9), (true, 16), (true, 506)]
    );
}

#[test]
fn order_of_the_input_changes_nothing() {
    let site = fixture::site();
    let mut cards = fixture::many(40);
    let forward = site.front(&fixture::front(cards.clone())).expect("a page");
    cards.reverse();
    assert_eq!(site.front(&fixture::front(cards)).expect("a page"), forward);
    let mut page = fixture::markdown();
    let forward = site.plugin(&page).expect("a page");
    page.versions.reverse();
    page.dependents.reverse();
    assert_eq!(site.plugin(&page).expect("a page"), forward);
}

/// Also leaves the tree in the target folder, to look at with a browser.
#[test]
fn every_link_within_the_site_leads_somewhere() {
    let files = tree(&fixture::site(), &fixture::pages());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("site");
    for (path, bytes) in &files {
        let file = folder.join(path.to_string());
        fs::create_dir_all(file.parent().expect("a folder")).expect("made");
        fs::write(file, bytes).expect("written");
    }
    let big = fixture::site().front(&fixture::front(fixture::many(500))).expect("a page");
    fs::write(folder.join("500.html"), big).expect("written");
    let empty = fixture::site().front(&fixture::front(vec![])).expect("a page");
    fs::write(folder.join("0.html"), empty).expect("written");

    let pages: Vec<_> = files.iter().filter(|(path, _)| path.content_type().starts_with("text/html")).collect();
    assert_eq!(pages.len(), 10);
    for (path, bytes) in pages {
        let html = std::str::from_utf8(bytes).expect("UTF-8");
        for href in values(html, "href") {
            let (target, fragment) = href.split_once('#').map_or((href, None), |(target, name)| (target, Some(name)));
            let Some(inside) = target.strip_prefix('/') else {
                assert!(target.is_empty() || target.starts_with("https://"), "{path} links to {href}");
                check_fragment(path, html, fragment);
                continue;
            };
            let inside = inside.split('?').next().unwrap_or("");
            let file =
                if inside.is_empty() || inside.ends_with('/') { format!("{inside}index.html") } else { inside.into() };
            let file: PublicPath = file.parse().unwrap_or_else(|e| panic!("{path} links to {href}: {e}"));
            if matches!(file, PublicPath::Artifact(_) | PublicPath::Timestamp | PublicPath::WellKnown) {
                continue;
            }
            // The fixtures name one dependent that they have no page for.
            let known =
                files.get(&file).or_else(|| files.get(&PublicPath::Front).filter(|_| href.contains("blog-engine")));
            let found = known.unwrap_or_else(|| panic!("{path} links to {href}, which is no file"));
            check_fragment(path, std::str::from_utf8(found).unwrap_or(""), fragment);
        }
    }
}

fn check_fragment(path: &PublicPath, html: &str, fragment: Option<&str>) {
    if let Some(name) = fragment {
        assert_eq!(values(html, "id").iter().filter(|id| **id == name).count(), 1, "{path} links to #{name}");
    }
}

/// What the content security policy of [`PublicPath::security_headers`] would refuse anyway.
#[test]
fn pages_load_nothing_but_their_own_assets_and_hold_no_inline_style_or_script() {
    let site = fixture::site();
    let assets: BTreeSet<String> = site.assets().iter().map(|(path, _)| format!("/{path}")).collect();
    let mut pages = fixture::pages();
    pages.push(fixture::hostile());
    for (path, bytes) in tree(&site, &pages) {
        let text = String::from_utf8(bytes).expect("UTF-8");
        if !path.content_type().starts_with("text/html") {
            assert!(!text.replace("http://www.w3.org/2000/svg", "").contains("//www."), "{path}");
            assert!(!text.contains("url("), "{path}");
            continue;
        }
        let loaded: BTreeSet<String> = values(&text, "src").into_iter().map(String::from).collect();
        assert!(loaded.is_subset(&assets), "{path} loads {loaded:?}");
        assert_eq!(text.matches("<script").count(), 1, "{path}");
        for refused in [" style=\"", "<style", "<iframe", "<img", "<object", "javascript:alert(1)\""] {
            assert!(!text.contains(refused), "{path} has {refused}");
        }
        let ids = values(&text, "id");
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{path} gives an id twice: {ids:?}");
    }
}

#[test]
fn assets_are_small_and_named_by_their_bytes() {
    let limit = |path: &str| match path.rsplit('.').next() {
        Some("css") => 16 * 1024,
        Some("js") => 4 * 1024,
        _ => 1024,
    };
    for (path, bytes) in fixture::site().assets() {
        let name = path.to_string();
        assert_eq!(name.parse(), Ok(path));
        assert!(bytes.len() <= limit(&name), "{name} has {} bytes", bytes.len());
        assert!(name.contains(&stoa_core::digest::Digest::of(&bytes).short(8)), "{name}");
    }
}

/// HTML that is safe comes from Rust as such; a template that vouches for text would undo the escaping.
#[test]
fn no_template_vouches_for_text() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../site-templates");
    let mut seen = 0;
    for entry in fs::read_dir(folder).expect("the templates") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "html") {
            let text = fs::read_to_string(&path).expect("a template");
            assert!(!text.contains("safe") && !text.contains("autoescape"), "{}", path.display());
            seen += 1;
        }
    }
    assert_eq!(seen, 6);
}

#[test]
fn a_featured_plugin_without_a_call_is_only_loaded() {
    let mut page = fixture::front(fixture::pages().iter().map(fixture::card).collect());
    page.featured.as_mut().expect("a featured plugin").call = String::new();
    let html = fixture::site().front(&page).expect("a page");
    assert!(!html.contains("stoa run") && html.contains("&quot;demo:markdown&quot; = &quot;^1&quot;"), "{html}");
}

#[test]
fn a_registry_in_a_folder_of_another_site_links_into_that_folder() {
    let config =
        SiteConfig { name: "A <b> & \"c\"".into(), base: "/shop/plugins".into(), url: None, api: None, root: None };
    let html = Site::new(config).plugin(&fixture::markdown()).expect("a page");
    let outside: Vec<&str> = values(&html, "href")
        .into_iter()
        .filter(|href| href.starts_with('/') && !href.starts_with("/shop/plugins/"))
        .collect();
    assert_eq!(outside, Vec::<&str>::new());
    assert!(html.contains("<title>demo:markdown 1.2.0 · A &lt;b&gt; &amp; &quot;c&quot;</title>"), "{html}");
}
