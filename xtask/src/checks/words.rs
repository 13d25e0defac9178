//! Words that no file of the repository may have.

use super::Text;
use crate::failure::Outcome;

/// Checks every text file.
pub(crate) fn check(texts: &[Text]) -> Outcome {
    super::refuse(
        broken(texts),
        "write a path from the repository's folder, and leave registries to the tools that know them",
    )
}

/// Folders of somebody's machine, and hosts of package registries: a file that has one works nowhere else.
/// In pieces, since this file is checked too.
fn forbidden() -> Vec<String> {
    let folders = ["work", "root"].map(|name| format!("/{name}/"));
    let hosts = [
        ["static.rust", "-lang.org"],
        ["static.crates", ".io"],
        ["index.crates", ".io"],
        ["deb.debian", ".org"],
        ["registry.npmjs", ".org"],
        ["files.pythonhosted", ".org"],
        ["pypi", ".org"],
        ["proxy.golang", ".org"],
    ];
    folders.into_iter().chain(hosts.map(|pieces| pieces.concat())).collect()
}

fn broken(texts: &[Text]) -> Vec<String> {
    let forbidden = forbidden();
    let mut broken = Vec::new();
    for file in texts {
        for (index, line) in file.text.lines().enumerate() {
            let found = forbidden.iter().find(|word| has(line, word));
            broken.extend(found.map(|word| format!("{}:{} has `{word}`", file.path, index + 1)));
        }
    }
    broken
}

/// Whether a line has the word. A folder counts only where a path begins: `.github/work/` is another one.
fn has(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !word.starts_with('/')
            || !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '}' | ')'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_a_machine_and_hosts_of_registries_are_found_with_their_line() {
        let [work, root] = ["work", "root"].map(|name| format!("/{name}/"));
        let host = ["deb.debian", ".org"].concat();
        let text = format!("fine\nsee {work}main\nsub{work}main and \"{root}.cargo\"\nget {host}/debian\n");
        assert_eq!(
            broken(&[Text { path: "a.md".into(), text }]),
            [format!("a.md:2 has `{work}`"), format!("a.md:3 has `{root}`"), format!("a.md:4 has `{host}`")]
        );
    }
}
