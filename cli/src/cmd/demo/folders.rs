//! Which plugins the demo publishes.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use stoa_core::{id::PluginId, manifest::Manifest};

use crate::report::Failure;

/// The folders below `dir` that hold a plugin, sorted.
pub(super) fn all(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = std::fs::read_dir(dir)
        .map_err(|e| Failure::new(format!("the folder `{}` can not be read: {e}", dir.display())))?;
    let mut folders: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.join("plugin.toml").is_file()).collect();
    folders.sort();
    if folders.is_empty() {
        return Err(Failure::new(format!("no folder below `{}` has a plugin.toml", dir.display())));
    }
    Ok(folders)
}

/// The folder of one plugin, and those of all that it calls, sorted.
pub(super) fn of(dir: &Path, plugin: &str) -> Result<Vec<PathBuf>, Failure> {
    let mut found: BTreeMap<PluginId, (PathBuf, Manifest)> = BTreeMap::new();
    for folder in all(dir)? {
        let path = folder.join("plugin.toml");
        let unreadable = |e: &dyn std::fmt::Display| Failure::new(format!("`{}` can not be read: {e}", path.display()));
        let text = std::fs::read_to_string(&path).map_err(|e| unreadable(&e))?;
        let manifest = Manifest::parse(&text).map_err(|e| unreadable(&e))?;
        found.insert(manifest.plugin().id.clone(), (folder, manifest));
    }
    let root: PluginId = plugin.parse()?;
    if !found.contains_key(&root) {
        return Err(Failure::new(format!("no folder below `{}` has {plugin}", dir.display())));
    }
    let mut needed = BTreeSet::from([root.clone()]);
    let mut open = vec![root];
    // What is needed and not here is for the registry to say.
    while let Some((_, manifest)) = open.pop().and_then(|id| found.get(&id)) {
        open.extend(manifest.dependencies().keys().filter(|id| needed.insert((*id).clone())).cloned());
    }
    let mut folders: Vec<PathBuf> =
        found.into_iter().filter(|(id, _)| needed.contains(id)).map(|(_, (folder, _))| folder).collect();
    folders.sort();
    Ok(folders)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folders: &[PathBuf]) -> Vec<String> {
        folders.iter().map(|f| f.file_name().expect("a name").to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn a_plugin_brings_what_it_calls_and_nothing_else() {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/plugins");
        assert_eq!(names(&of(&examples, "demo:site").expect("found")), ["markdown", "site", "slugify"]);
        assert_eq!(names(&of(&examples, "demo:slugify").expect("found")), ["slugify"]);
        assert_eq!(names(&all(&examples).expect("found")), ["highlight", "markdown", "site", "slugify", "wordcount"]);
    }

    #[test]
    fn a_plugin_that_is_not_there_is_named() {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/plugins");
        let failure = of(&examples, "demo:nothing").expect_err("refused");
        assert_eq!(failure.message, format!("no folder below `{}` has demo:nothing", examples.display()));
    }
}
