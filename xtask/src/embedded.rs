//! Example plugins in languages whose components bring their runtime along: JavaScript and Python.
//!
//! The tools are installed from lock files with digests ([`crate::packages`]).
//! Two builds of one source differ, so a component is an entry of the cache too, named by all that it is made of:
//! what was tested is what is published, and whoever changes nothing builds nothing.

mod npm;
mod pip;
mod source;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::background::Background;
use crate::cache::Cache;
use crate::failure::{Failure, Outcome};
use crate::guests;
use crate::packages::Manager;
use crate::phases::seconds;
use crate::place;
use crate::tool::Tool;
use source::Source;

/// Goes up when the same tools and sources are to make another component.
const RECIPE: u32 = 1;
/// Components that are kept of one plugin: those of a few branches.
const KEPT: usize = 4;

/// A language whose plugins are built by tools that are not cargo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    JavaScript,
    Python,
}

impl Language {
    pub(crate) const ALL: [Self; 2] = [Self::JavaScript, Self::Python];

    /// How the command line says it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::JavaScript => "js",
            Self::Python => "py",
        }
    }

    /// Who installs its tools. A plugin whose folder has that one's lock file is written in this language.
    fn manager(self) -> Manager {
        match self {
            Self::JavaScript => Manager::Npm,
            Self::Python => Manager::Pip,
        }
    }

    /// Reads a list such as `js,py`.
    pub(crate) fn parse_list(list: &str) -> Result<Vec<Self>, String> {
        let one = |word: &str| {
            let found = Self::ALL.into_iter().find(|language| language.word() == word);
            found.ok_or_else(|| format!("`{word}` is no language of the examples; those beside Rust are js and py"))
        };
        list.split(',').map(one).collect()
    }

    /// Runs the own tests of its plugins: those whose names contain a filter, or all.
    pub(crate) fn test(self, filters: &[String]) -> Outcome {
        for plugin in plugins(self)? {
            match self {
                Self::JavaScript => npm::test(&plugin, filters)?,
                Self::Python => pip::test(&plugin, filters)?,
            }
        }
        Ok(())
    }

    fn build(self) -> Outcome {
        for plugin in plugins(self)? {
            build(self, &plugin)?;
        }
        Ok(())
    }
}

/// Begins to build the plugins of these languages, each language in a thread of its own.
pub(crate) fn start(languages: &[Language]) -> Background<()> {
    Background::start(languages.iter().map(|&language| move || language.build()))
}

/// The folders of the plugins that are written in a language, sorted.
fn plugins(language: Language) -> Outcome<Vec<PathBuf>> {
    let mut folders: Vec<_> = guests::manifests(&place::plugins())?.into_iter().map(|m| m.with_file_name("")).collect();
    folders.retain(|folder| folder.join(language.manager().lock()).is_file());
    Ok(folders)
}

/// Builds one plugin, unless the cache has its component, and puts it where its manifest says.
fn build(language: Language, plugin: &Path) -> Outcome {
    let cache = language.manager().cache();
    let source = Source::read(plugin)?;
    let name = plugin.file_name().unwrap_or_default().to_string_lossy();
    let file = format!("{name}.wasm");
    let prefix = format!("component-{name}-");
    let entry = format!("{prefix}{}", source.fingerprint(&format!("recipe {RECIPE} for {}", language.word())));
    // Looked for and copied within the turn: another process may be removing old ones.
    if !cache.dir().join(&entry).join(&file).is_file() {
        let tools = language.manager().installed(plugin)?;
        make(language, &source, &tools, &cache, &entry, &file)?;
    }
    let turn = cache.turn()?;
    let made = fs::read(cache.dir().join(&entry).join(&file));
    turn.forget_all_but(KEPT, &prefix)?;
    drop(turn);
    let made = made.map_err(|error| Failure::io("read", &cache.dir().join(&entry), &error))?;
    place_component(&plugin.join("target").join(&file), &made)?;
    eprintln!("guests: {}", guests::inspect(&plugin.join("plugin.toml"))?);
    Ok(())
}

/// Makes the component out of a copy of its sources, and nothing else: what the entry is not named by can not get in.
fn make(language: Language, source: &Source, tools: &Path, cache: &Cache, entry: &str, file: &str) -> Outcome {
    let turn = cache.turn()?;
    if cache.dir().join(entry).join(file).is_file() {
        return Ok(());
    }
    let started = Instant::now();
    let unfinished = turn.begin()?;
    let stage = unfinished.join("stage");
    source.copy(&stage)?;
    let output = unfinished.join(file);
    let built = match language {
        Language::JavaScript => npm::build(&stage, tools, &output),
        Language::Python => pip::build(&stage, tools, &output),
    };
    built.map_err(|failure| {
        let broken = format!("if the tools are damaged, remove {}, and they are installed again", tools.display());
        failure.or_fix(broken)
    })?;
    // Not the user's folder: the runtime inside was built on another machine, and names folders of that one, whose user
    // can be called the same.
    guests::refuse_folders(&output, [place::root(), cache.dir().to_owned()])?;
    fs::remove_dir_all(&stage).map_err(|error| Failure::io("remove", &stage, &error))?;
    turn.finish(&unfinished, entry)?;
    eprintln!("{}: built {file} in {}", language.word(), seconds(started.elapsed()));
    Ok(())
}

/// Writes a component to its place if another is there, whole or not at all.
fn place_component(path: &Path, bytes: &[u8]) -> Outcome {
    if fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    let folder = path.with_file_name("");
    fs::create_dir_all(&folder).map_err(|error| Failure::io("make", &folder, &error))?;
    let new = path.with_extension(format!("new-{}", std::process::id()));
    fs::write(&new, bytes).map_err(|error| Failure::io("write", &new, &error))?;
    fs::rename(&new, path).map_err(|error| Failure::io("write", path, &error))
}

/// A program that sees nothing of this machine but its search path: builds take pictures of their memory, and what
/// stands in the environment would stand in the component.
fn alone(program: impl AsRef<Path>, stage: &Path) -> Tool {
    Tool::new(program.as_ref()).only_path().env("HOME", stage).env("LC_ALL", "C.UTF-8").dir(stage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_languages_is_read_and_an_unknown_one_is_named() {
        assert_eq!(Language::parse_list("js,py"), Ok(Language::ALL.to_vec()));
        assert_eq!(Language::parse_list("py"), Ok(vec![Language::Python]));
        assert_eq!(
            Language::parse_list("js,go"),
            Err("`go` is no language of the examples; those beside Rust are js and py".into())
        );
    }

    #[test]
    fn each_language_has_the_plugins_whose_folders_have_its_lock_file() {
        let names = |language| -> Vec<_> {
            let folders = plugins(language).expect("read");
            folders.iter().map(|f| f.file_name().expect("a name").to_string_lossy().into_owned()).collect()
        };
        assert_eq!(names(Language::JavaScript), ["highlight"]);
        assert_eq!(names(Language::Python), ["wordcount"]);
    }
}
