//! The format reference says what the code says.

use std::{fs, path::Path};

use stoa_api::{problem::Code, routes::ROUTES};

fn reference() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/format/api.md");
    fs::read_to_string(path).expect("docs/format/api.md")
}

#[test]
fn the_reference_lists_every_route_with_its_scope_and_no_other() {
    let listed: Vec<String> = reference()
        .lines()
        .filter(|line| line.starts_with("| `") && line.contains("/api/v1/"))
        .map(str::to_owned)
        .collect();
    let rows: Vec<String> =
        ROUTES.iter().map(|route| format!("| `{} /api{}` | {} |", route.method, route.path, route.scope)).collect();
    assert_eq!(listed.len(), rows.len());
    for (listed, row) in listed.iter().zip(rows) {
        assert!(listed.starts_with(&row), "the reference says\n{listed}\nand the router\n{row}");
    }
}

#[test]
fn the_reference_lists_every_code_with_its_status_and_title_and_no_other() {
    let text = reference();
    let (_, table) = text.split_once("## Codes").expect("a section of codes");
    let listed: Vec<&str> = table.lines().filter(|line| line.starts_with("| `")).collect();
    let rows: Vec<String> =
        Code::ALL.iter().map(|code| format!("| `{code}` | {} | {} |", code.status().as_u16(), code.title())).collect();
    assert_eq!(listed, rows);
}
