//! Every crate of the workspace takes part in its lints.

use super::Text;
use crate::failure::Outcome;

/// Checks the manifest of every crate, also of the example plugins, whose workspace has lints of its own.
pub(crate) fn check(texts: &[Text]) -> Outcome {
    super::refuse(broken(texts), "add to that manifest:\n\n[lints]\nworkspace = true")
}

fn broken(texts: &[Text]) -> Vec<String> {
    let manifests = texts.iter().filter(|file| file.path.ends_with("Cargo.toml") && has_table(&file.text, "package"));
    let without = manifests.filter(|file| !takes_part(&file.text));
    without.map(|file| format!("{} does not take part in the workspace's lints", file.path)).collect()
}

fn has_table(manifest: &str, name: &str) -> bool {
    manifest.lines().any(|line| line.trim() == format!("[{name}]"))
}

fn takes_part(manifest: &str) -> bool {
    let mut behind = manifest.lines().map(str::trim).skip_while(|line| *line != "[lints]").skip(1);
    behind.find(|line| !line.is_empty() && !line.starts_with('#')) == Some("workspace = true")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_without_the_lints_is_named_and_a_workspace_needs_none() {
        let text = |path: &str, text: &str| Text { path: path.into(), text: text.into() };
        let texts = [
            text("Cargo.toml", "[workspace]\n"),
            text("a/Cargo.toml", "[package]\nname = \"a\"\n\n[lints]\nworkspace = true\n"),
            text("b/Cargo.toml", "[package]\nname = \"b\"\n\n[lints.rust]\nunsafe_code = \"deny\"\n"),
            text("c/Cargo.toml", "[package]\nname = \"c\"\n\n[lints]\n\n[dependencies]\n"),
        ];
        assert_eq!(
            broken(&texts),
            [
                "b/Cargo.toml does not take part in the workspace's lints",
                "c/Cargo.toml does not take part in the workspace's lints",
            ]
        );
    }
}
