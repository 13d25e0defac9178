//! `[config]`: what whoever runs the host can set.

use std::collections::BTreeMap;

use toml::de::DeValue;

use super::{MAX_ENTRIES, text::ConfigKey};
use crate::reader::{self, Reader, Section, choice, integer, kind};

/// A text's default is at most this many bytes.
const MAX_DEFAULT: usize = 4096;

/// The type of a setting, with its default if it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingValue {
    /// `type = "string"`.
    Text(Option<String>),
    /// `type = "integer"`: 64 bits with sign.
    Integer(Option<i64>),
    /// `type = "boolean"`.
    Boolean(Option<bool>),
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    value: SettingValue,
    secret: bool,
}

impl Setting {
    /// Its type and default.
    pub fn value(&self) -> &SettingValue {
        &self.value
    }

    /// Whether its value must not be shown or logged. Then it is a text without a default.
    pub fn is_secret(&self) -> bool {
        self.secret
    }
}

pub(super) fn read(reader: &mut Reader<'_>, section: &Section<'_, '_>) -> BTreeMap<ConfigKey, Setting> {
    let mut found = BTreeMap::new();
    let entries = section.entries(reader);
    if entries.len() > MAX_ENTRIES {
        let message = format!("has {} entries: at most {MAX_ENTRIES} are allowed", entries.len());
        reader.problem(section.line(), "config", message);
    }
    for (name, line, value) in entries {
        let key = name.parse::<ConfigKey>().map_err(|error| reader.problem(line, "config", error));
        let table = reader::table(reader, line, section.at(&reader::shown(name)), value);
        let setting = table.and_then(|table| setting(reader, table));
        found.extend(key.ok().zip(setting));
    }
    found
}

fn setting(reader: &mut Reader<'_>, mut table: Section<'_, '_>) -> Option<Setting> {
    let types = [("string", SettingType::Text), ("integer", SettingType::Integer), ("boolean", SettingType::Boolean)];
    if table.value(reader, "type").is_none() {
        reader.problem(table.line(), table.at("type"), "is missing");
    }
    let ty = choice(reader, &mut table, "type", &types);
    let secret = table.flag(reader, "secret");
    let value = ty.and_then(|ty| default(reader, &mut table, ty));
    if secret && !matches!(value, Some(SettingValue::Text(None)) | None) {
        reader.problem(table.line(), table.at("secret"), "is for a string without a default: a default is public");
    }
    table.finish(reader);
    Some(Setting { value: value?, secret })
}

#[derive(Clone, Copy)]
enum SettingType {
    Text,
    Integer,
    Boolean,
}

fn default(reader: &mut Reader<'_>, table: &mut Section<'_, '_>, ty: SettingType) -> Option<SettingValue> {
    let Some((line, value)) = table.value(reader, "default") else {
        return Some(match ty {
            SettingType::Text => SettingValue::Text(None),
            SettingType::Integer => SettingValue::Integer(None),
            SettingType::Boolean => SettingValue::Boolean(None),
        });
    };
    let (default, wanted) = match (ty, value.get_ref()) {
        (SettingType::Text, DeValue::String(text)) if text.len() > MAX_DEFAULT => {
            let message = format!("has {} bytes: at most {MAX_DEFAULT} are allowed", text.len());
            reader.problem(line, table.at("default"), message);
            return None;
        }
        (SettingType::Text, DeValue::String(text)) => (Some(SettingValue::Text(Some(text.to_string()))), "a string"),
        (SettingType::Boolean, DeValue::Boolean(flag)) => (Some(SettingValue::Boolean(Some(*flag))), "true or false"),
        (SettingType::Integer, DeValue::Integer(_)) => {
            (integer(value).map(|number| SettingValue::Integer(Some(number))), "a number of 64 bits")
        }
        (SettingType::Text, _) => (None, "a string"),
        (SettingType::Boolean, _) => (None, "true or false"),
        (SettingType::Integer, _) => (None, "a number"),
    };
    if default.is_none() {
        reader.problem(line, table.at("default"), format!("is {}, not {wanted}", kind(value)));
    }
    default
}
