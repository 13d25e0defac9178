//! What a plugin is made of: the files of its folder that get into the component, or decide how it is built.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cache;
use crate::failure::{Failure, Outcome};

/// Files and folders that are about a plugin and not in it. Hidden ones are left out too.
const BESIDE: [&str; 7] = ["README.md", "plugin.toml", "target", "node_modules", "test", "tests", "__pycache__"];

/// The files, with paths from the plugin's folder, sorted.
pub(super) struct Source(Vec<(PathBuf, String)>);

impl Source {
    pub(super) fn read(plugin: &Path) -> Outcome<Self> {
        let mut files = Vec::new();
        collect(plugin, Path::new(""), &mut files)?;
        files.sort();
        Ok(Self(files))
    }

    /// A name for these files together with what is done with them.
    pub(super) fn fingerprint(&self, recipe: &str) -> String {
        let files = self.0.iter().flat_map(|(path, text)| [format!("{} {}", path.display(), text.len()), text.clone()]);
        let lines: Vec<String> = std::iter::once(recipe.to_owned()).chain(files).collect();
        cache::fingerprint(lines.iter().map(String::as_str))
    }

    /// Writes them into a new folder.
    pub(super) fn copy(&self, to: &Path) -> Outcome {
        for (path, text) in &self.0 {
            let path = to.join(path);
            let folder = path.with_file_name("");
            fs::create_dir_all(&folder).map_err(|error| Failure::io("make", &folder, &error))?;
            fs::write(&path, text).map_err(|error| Failure::io("write", &path, &error))?;
        }
        Ok(())
    }
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<(PathBuf, String)>) -> Outcome {
    let dir = root.join(folder);
    let entries = fs::read_dir(&dir).map_err(|error| Failure::io("read", &dir, &error))?;
    for entry in entries {
        let entry = entry.map_err(|error| Failure::io("read", &dir, &error))?;
        let name = entry.file_name();
        if name.to_string_lossy().starts_with('.') || BESIDE.iter().any(|beside| name == *beside) {
            continue;
        }
        let path = folder.join(&name);
        if entry.path().is_dir() {
            collect(root, &path, files)?;
        } else {
            let text = fs::read_to_string(entry.path()).map_err(|error| Failure::io("read", &entry.path(), &error))?;
            files.push((path, text));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_has_another_name_when_a_file_of_it_changes_and_not_when_one_beside_it_does() {
        let root = std::env::temp_dir().join(format!("xtask-source-{}", std::process::id()));
        fs::remove_dir_all(&root).ok();
        for (path, text) in [("src/a.js", "1"), ("wit/w.wit", "w"), ("README.md", "r"), ("test/a.test.js", "t")] {
            fs::create_dir_all(root.join(path).with_file_name("")).expect("made");
            fs::write(root.join(path), text).expect("written");
        }
        let name = |recipe| Source::read(&root).expect("read").fingerprint(recipe);
        let first = name("1");
        fs::write(root.join("README.md"), "other").expect("written");
        fs::write(root.join("test/a.test.js"), "other").expect("written");
        assert_eq!(name("1"), first);
        assert_ne!(name("2"), first);
        fs::write(root.join("wit/w.wit"), "v").expect("written");
        assert_ne!(name("1"), first);

        Source::read(&root).expect("read").copy(&root.join("target/copy")).expect("copied");
        assert_eq!(fs::read_to_string(root.join("target/copy/src/a.js")).expect("read"), "1");
        assert!(!root.join("target/copy/README.md").exists());
        fs::remove_dir_all(&root).expect("removed");
    }
}
