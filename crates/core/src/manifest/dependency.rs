//! `[dependencies]`.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use toml::de::DeValue;

use super::{MAX_ENTRIES, tables::About};
use crate::reader::{self, Reader, Section, Value, choice};
use crate::{
    id::PluginId,
    interface::InterfaceName,
    release::{self, OnFailure},
    version::VersionReq,
};

/// A plugin that this one calls.
///
/// Written `"^1"`, or as a table when there is more to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Dependency {
    /// The versions that will do.
    pub version: VersionReq,
    /// Whether the plugin also works without it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    /// Interfaces of other WIT packages that it provides, without versions, sorted.
    #[serde(rename = "for", skip_serializing_if = "Vec::is_empty")]
    pub for_interfaces: Vec<InterfaceName>,
    /// What becomes of this plugin when a call to it fails.
    #[serde(skip_serializing_if = "OnFailure::is_default")]
    pub on_failure: OnFailure,
}

impl From<VersionReq> for Dependency {
    fn from(version: VersionReq) -> Self {
        Self { version, optional: false, for_interfaces: Vec::new(), on_failure: OnFailure::default() }
    }
}

impl From<&Dependency> for release::Dependency {
    fn from(dependency: &Dependency) -> Self {
        Self {
            version: dependency.version.clone(),
            optional: dependency.optional,
            for_interfaces: dependency.for_interfaces.iter().map(ToString::to_string).collect(),
            on_failure: dependency.on_failure,
        }
    }
}

impl<'de> Deserialize<'de> for Dependency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Short(VersionReq),
            Long(Long),
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields)]
        struct Long {
            version: VersionReq,
            #[serde(default)]
            optional: bool,
            #[serde(default, rename = "for")]
            for_interfaces: Vec<InterfaceName>,
            #[serde(default)]
            on_failure: OnFailure,
        }
        Ok(match Form::deserialize(deserializer)? {
            Form::Short(version) => version.into(),
            Form::Long(Long { version, optional, for_interfaces, on_failure }) => {
                Self { version, optional, for_interfaces, on_failure }
            }
        })
    }
}

pub(super) fn read(
    reader: &mut Reader<'_>,
    section: &Section<'_, '_>,
    plugin: Option<&About>,
) -> BTreeMap<PluginId, Dependency> {
    let mut found = BTreeMap::new();
    let mut claimed: BTreeMap<InterfaceName, PluginId> = BTreeMap::new();
    let entries = section.entries(reader);
    if entries.len() > MAX_ENTRIES {
        let message = format!("has {} entries: at most {MAX_ENTRIES} are allowed", entries.len());
        reader.problem(section.line(), "dependencies", message);
    }
    for (name, line, value) in entries {
        let at = section.at(&reader::shown(name));
        let id: PluginId = match name.parse() {
            Ok(id) => id,
            Err(error) => {
                reader.problem(line, "dependencies", error);
                continue;
            }
        };
        if plugin.is_some_and(|plugin| plugin.id == id) {
            reader.problem(line, &at, "is this plugin itself");
        }
        let Some(dependency) = entry(reader, line, at.clone(), value) else { continue };
        for interface in &dependency.for_interfaces {
            if let Some(other) = claimed.insert(interface.clone(), id.clone()) {
                reader.problem(line, format!("{at}.for"), format!("names `{interface}`, which `{other}` is also for"));
            }
        }
        found.insert(id, dependency);
    }
    found
}

fn entry(reader: &mut Reader<'_>, line: usize, at: String, value: Value<'_, '_>) -> Option<Dependency> {
    if let DeValue::String(_) = value.get_ref() {
        return reader::parse::<VersionReq>(reader, line, &at, value).map(Dependency::from);
    }
    let mut section = reader::table(reader, line, at, value)?;
    let version: Option<VersionReq> = section.required(reader, "version");
    let optional = section.flag(reader, "optional");
    let mut for_interfaces: Vec<InterfaceName> = section.list(reader, "for");
    let choices = [("value", OnFailure::Value), ("trap", OnFailure::Trap)];
    let on_failure = choice(reader, &mut section, "on-failure", &choices).unwrap_or_default();
    check_for(reader, &section, &for_interfaces, line);
    section.finish(reader);
    for_interfaces.sort_unstable();
    for_interfaces.dedup();
    Some(Dependency { version: version?, optional, for_interfaces, on_failure })
}

fn check_for(reader: &mut Reader<'_>, section: &Section<'_, '_>, interfaces: &[InterfaceName], line: usize) {
    if interfaces.len() > MAX_ENTRIES {
        let message = format!("has {} items: at most {MAX_ENTRIES} are allowed", interfaces.len());
        reader.problem(line, section.at("for"), message);
    }
    for interface in interfaces {
        if interface.version().is_some() {
            let hint =
                Some(format!("write `{}`: the component says which version it imports", interface.unversioned()));
            reader.hinted(line, section.at("for"), format!("names `{interface}` with a version"), hint);
        }
        if matches!(interface.package().namespace(), "wasi" | "stoa") {
            reader.problem(line, section.at("for"), format!("names `{interface}`, which only hosts provide"));
        }
    }
}
