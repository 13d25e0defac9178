//! The lines a reader copies.

use serde::Serialize;
use stoa_core::{id::PluginId, version::Version};

use super::{
    SiteConfig,
    format::{Escaped, Html},
};

/// What to type or paste to use a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Install {
    /// The requirement that asks for what is compatible with a version.
    pub(crate) requirement: String,
    /// The shell line, one line, its option marked as one that must not break. `None` for what can not be run.
    pub(crate) run: Option<Html>,
    /// Tells the command line which registry is meant, and what to trust. `None` without an address.
    pub(crate) setup: Option<String>,
    /// The part of a host's `plugins.toml`.
    pub(crate) host: String,
    /// The same without the registry: for a host that has one.
    pub(crate) entry: String,
    /// The part of another plugin's `plugin.toml`.
    pub(crate) dependency: String,
}

impl Install {
    pub(crate) fn of(config: &SiteConfig, id: &PluginId, version: &Version, call: Option<&str>) -> Self {
        let requirement = compatible(version);
        let run = call.filter(|call| !call.is_empty()).and_then(quoted).map(|call| {
            Html(format!("stoa run {id}@{} <span>--invoke</span> {}", Escaped(&requirement), Escaped(&call)))
        });
        let entry = format!("\"{id}\" = \"{requirement}\"");
        let mut host = String::new();
        if let Some(url) = &config.url {
            host.push_str(&format!("[registries.main]\nurl = {}\n", toml_string(url)));
            if let Some(root) = &config.root {
                host.push_str(&format!("root-sha256 = \"{root}\"\n"));
            }
            host.push('\n');
        }
        let dependency = format!("[dependencies]\n{entry}");
        let entry = format!("[plugins]\n{entry}");
        host.push_str(&entry);
        let setup = config.url.as_deref().zip(config.root).and_then(|(url, root)| {
            let url = quoted(url)?;
            Some(format!("export STOA_REGISTRY={url} STOA_ROOT_SHA256={root}"))
        });
        Self { requirement, setup, run, host, entry, dependency }
    }
}

/// `^1`, or `^0.3` where a minor version breaks, or exactly a pre-release, which no range meets.
fn compatible(version: &Version) -> String {
    let parts = version.as_semver();
    match (parts.major, parts.minor) {
        _ if version.is_prerelease() => format!("={version}"),
        (0, 0) => format!("^{version}"),
        (0, minor) => format!("^0.{minor}"),
        (major, _) => format!("^{major}"),
    }
}

/// `call` as one word of a POSIX shell; `None` where it has characters that a terminal would act on or that
/// would show other than they are: readers paste this line.
fn quoted(call: &str) -> Option<String> {
    let plain = call.chars().all(|c| !c.is_control() && !is_format(c));
    plain.then(|| format!("'{}'", call.replace('\'', "'\\''")))
}

/// Characters that reorder or hide others (Unicode Bidi_Control, zero width, line and paragraph separators).
fn is_format(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// A TOML basic string.
fn toml_string(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_requirement_asks_for_what_is_compatible() {
        let of = |text: &str| compatible(&text.parse().expect("a version"));
        assert_eq!(["1.4.2", "0.3.1", "0.0.4", "2.0.0-rc.1"].map(of), ["^1", "^0.3", "^0.0.4", "=2.0.0-rc.1"]);
    }

    #[test]
    fn a_call_stays_one_harmless_word() {
        assert_eq!(quoted("render(\"# Hi\")").as_deref(), Some("'render(\"# Hi\")'"));
        assert_eq!(quoted("x'; rm -rf ~; '").as_deref(), Some(r"'x'\''; rm -rf ~; '\'''"));
        assert_eq!(quoted("x\nrm -rf ~"), None);
        assert_eq!(quoted("x\u{202e}y"), None);
    }
}
