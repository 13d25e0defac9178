use std::time::{Duration, Instant};

use super::*;

fn html(markdown: &str) -> String {
    Readme::from_markdown(markdown).html
}

#[test]
fn common_markdown_comes_out_whole() {
    let text = "# Title\n\nSee [usage](#usage), <b>bold</b>, a `<tag>` and ![a chart](https://x.example/c.png).\n\n\
        [![build](https://x.example/b.svg)](https://x.example/ci)\n\n## Usage\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\n\
        - [x] done\n- [ ] open\n\n> [!WARNING]\n> Careful.\n\n```rust\nlet x = 1 < 2;\n```\n\n## Usage\n\nNote[^1].\n\n[^1]: The note.\n";
    insta::assert_snapshot!(html(text));
}

#[test]
fn hostile_markdown_and_html_come_out_inert() {
    let text = "<script>alert(1)</script>\n\n[a](javascript:alert(1)) [b](JaVaScRiPt:alert(1)) [c](data:text/html,x) [d](../up) [e](//x.example)\n\n\
        <img src=x onerror=alert(1)> <a href=\"javascript:alert(1)\" onclick=\"alert(1)\">x</a> <svg onload=alert(1)>\n\n\
        <iframe src=\"https://x.example\"></iframe>\n\n<form action=\"https://x.example\"><input name=q></form>\n\n\
        <style>*{display:none}</style>\n\n<h1 id=\"top\" style=\"position:fixed\" class=\"notice\">Fake</h1>\n\n\
        ![\"onload=alert(1)](https://x.example/\"onload=alert(1))\n\n<b>never closed\n\n# \"><script>alert(1)</script>\n";
    insta::assert_snapshot!(html(text));
}

#[test]
fn a_readme_beyond_the_limit_is_cut_at_a_line() {
    let line = "All work and no play.\n";
    let long = Readme::from_markdown(&line.repeat(20_000));
    assert!(long.is_cut());
    assert_eq!(long.html().matches("no play.").count(), MAX_README_BYTES as usize / line.len());
    assert!(!Readme::from_markdown(line).is_cut());
    // Not one line break, and the limit in the middle of a character.
    let one_line = Readme::from_markdown(&"é".repeat(200_000).replacen('é', "xé", 1));
    assert_eq!(one_line.html().matches('é').count(), (MAX_README_BYTES as usize - 1) / 2);
}

/// Each is 256 KiB that cost a naive renderer seconds or gigabytes.
#[test]
fn pathological_readmes_are_rendered_fast_and_stay_small() {
    let fill = |unit: &str| unit.repeat(MAX_README_BYTES as usize / unit.len());
    let half = |unit: &str| unit.repeat(MAX_README_BYTES as usize / 2 / unit.len());
    let tags: String = (0..20_000).map(|n| format!("<b a{n}>")).collect();
    let cases = [
        ("quotes", fill(">")),
        ("spaced quotes", fill("> ")),
        ("items", half("- ") + &half("\n")),
        ("numbers", half("1. ") + &half("\n")),
        ("brackets", fill("[")),
        ("images", fill("![")),
        ("emphasis", fill("*a **b _c ")),
        ("headings", fill("# a\n")),
        ("divs", fill("<div>")),
        ("inline tags", fill("x <b>")),
        ("open tags, then paragraphs", tags + &half("<p>")),
        ("tables", fill("|a") + "\n" + &"|-".repeat(100)),
        ("references", format!("[a]: https://x.example/{}\n\n", half("b")) + &half("[a] ")),
        ("footnotes", fill("[^a]")),
        ("back ticks", fill("`a``")),
        ("entities", fill("&#")),
    ];
    for (name, text) in cases {
        let before = Instant::now();
        let html = html(&text);
        let took = before.elapsed();
        assert!(took < Duration::from_secs(10), "{name} took {took:?}");
        assert!(html.len() < 12 << 20, "{name} became {} bytes", html.len());
    }
}

#[test]
fn deep_nesting_becomes_flat_or_plain() {
    assert!(html(&format!("{}deep", ">".repeat(40))).starts_with("<pre>&gt;&gt;"));
    let lists: String = (0..100).map(|depth| format!("{}- item {depth}\n", "  ".repeat(depth))).collect();
    let rendered = html(&lists);
    assert!(rendered.contains("item 99"));
    assert!(rendered.matches("<ul>").count() <= 32, "{}", rendered.matches("<ul>").count());
}
