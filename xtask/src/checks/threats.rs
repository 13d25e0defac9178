//! The threat model names the test that tries each row: a row without one, or with one that is gone, is refused.

use super::Text;
use crate::failure::{Failure, Outcome};

/// The page with the table.
const PAGE: &str = "docs/trust.md";
/// How the table begins, and the word of a row that nothing can try.
const HEAD: &str = "| who holds what |";
const OUT_OF_SCOPE: &str = "out of scope";

/// Checks the table.
pub(crate) fn check(texts: &[Text]) -> Outcome {
    let page =
        texts.iter().find(|file| file.path == PAGE).ok_or_else(|| Failure::new(format!("{PAGE} is not there")))?;
    super::refuse(broken(&page.text, texts)?, "name in the last column, in backticks, a test that tries the row")
}

fn broken(page: &str, texts: &[Text]) -> Outcome<Vec<String>> {
    let sources: Vec<_> = texts.iter().filter(|file| file.path.ends_with(".rs")).collect();
    let is_test = |name: &str| {
        let declared = format!("fn {name}(");
        sources.iter().any(|file| file.text.contains(&declared))
    };
    let rows: Vec<_> = page
        .lines()
        .skip_while(|line| !line.starts_with(HEAD))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .collect();
    if rows.is_empty() {
        return Err(Failure::new(format!("{PAGE} has no table that begins with `{HEAD}`")));
    }
    let mut broken = Vec::new();
    for row in rows.into_iter().filter(|row| !row.contains(OUT_OF_SCOPE)) {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let who = cells.first().copied().unwrap_or_default();
        let tests: Vec<_> = cells.get(3).copied().unwrap_or_default().split('`').skip(1).step_by(2).collect();
        if tests.is_empty() {
            broken.push(format!("{PAGE}: no test tries `{who}`"));
        }
        let gone = tests.into_iter().filter(|name| !is_test(name));
        broken.extend(gone.map(|name| format!("{PAGE}: `{who}` names the test `{name}`, which is not there")));
    }
    Ok(broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_without_a_test_and_one_whose_test_is_gone_are_named() {
        let page = "\
text
| who holds what | can | can not | tried by |
|---|---|---|---|
| a mirror | a | b | `it_is_tried`, `it_is_gone` |
| a thief | a | b | |
| the user | all | out of scope | |

| another | table |
";
        let source = Text { path: "a/b.rs".into(), text: "fn it_is_tried() {}\n".into() };
        assert_eq!(
            broken(page, &[source]).expect("a table"),
            [
                "docs/trust.md: `a mirror` names the test `it_is_gone`, which is not there",
                "docs/trust.md: no test tries `a thief`"
            ]
        );
    }

    #[test]
    fn a_page_without_the_table_is_refused() {
        let failure = broken("text\n", &[]).expect_err("no table").to_string();
        assert_eq!(failure, "docs/trust.md has no table that begins with `| who holds what |`");
    }
}
