//! Tables of what must not happen name the test that tries each row: a row without one, or with one that is gone, is refused.

use super::Text;
use crate::failure::{Failure, Outcome};

/// A table whose rows name their tests.
struct Table {
    /// The page that it is on.
    page: &'static str,
    /// How it begins.
    head: &'static str,
    /// The column of the tests, from 0.
    tests: usize,
}

const THREATS: Table = Table { page: "docs/trust.md", head: "| who holds what |", tests: 3 };
const FAULTS: Table = Table { page: "docs/loader-faults.md", head: "| fault |", tests: 2 };
/// The word of a row that nothing can try.
const OUT_OF_SCOPE: &str = "out of scope";

/// Checks the threat model.
pub(crate) fn check(texts: &[Text]) -> Outcome {
    THREATS.check(texts)
}

/// Checks the faults of the loader.
pub(crate) fn check_faults(texts: &[Text]) -> Outcome {
    FAULTS.check(texts)
}

impl Table {
    fn check(&self, texts: &[Text]) -> Outcome {
        let page = texts.iter().find(|file| file.path == self.page);
        let page = page.ok_or_else(|| Failure::new(format!("{} is not there", self.page)))?;
        let broken = self.broken(&page.text, texts)?;
        super::refuse(broken, "name in the last column, in backticks, a test that tries the row")
    }

    fn broken(&self, text: &str, texts: &[Text]) -> Outcome<Vec<String>> {
        let Self { page, head, tests } = self;
        let sources: Vec<_> = texts.iter().filter(|file| file.path.ends_with(".rs")).collect();
        let is_test = |name: &str| {
            let declared = format!("fn {name}(");
            sources.iter().any(|file| file.text.contains(&declared))
        };
        let rows: Vec<_> = text
            .lines()
            .skip_while(|line| !line.starts_with(head))
            .skip(2)
            .take_while(|line| line.starts_with('|'))
            .collect();
        if rows.is_empty() {
            return Err(Failure::new(format!("{page} has no table that begins with `{head}`")));
        }
        let mut broken = Vec::new();
        for row in rows.into_iter().filter(|row| !row.contains(OUT_OF_SCOPE)) {
            let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
            let who = cells.first().copied().unwrap_or_default();
            let names: Vec<_> = cells.get(*tests).copied().unwrap_or_default().split('`').skip(1).step_by(2).collect();
            if names.is_empty() {
                broken.push(format!("{page}: no test tries `{who}`"));
            }
            let gone = names.into_iter().filter(|name| !is_test(name));
            broken.extend(gone.map(|name| format!("{page}: `{who}` names the test `{name}`, which is not there")));
        }
        Ok(broken)
    }
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
            THREATS.broken(page, &[source]).expect("a table"),
            [
                "docs/trust.md: `a mirror` names the test `it_is_gone`, which is not there",
                "docs/trust.md: no test tries `a thief`"
            ]
        );
    }

    #[test]
    fn a_page_without_the_table_is_refused() {
        let failure = THREATS.broken("text\n", &[]).expect_err("no table").to_string();
        assert_eq!(failure, "docs/trust.md has no table that begins with `| who holds what |`");
    }
}
