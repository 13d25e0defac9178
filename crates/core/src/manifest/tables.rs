//! The tables of a manifest whose keys are fixed.

use super::{
    category::Category,
    text::{BuildPath, Description, FilePath, Keyword, License, Repository},
    units::{ByteSize, Millis},
};
use crate::reader::{Reader, Section, bounded_list, choice, within};
use crate::{
    id::PluginId,
    interface::PlainName,
    limits::{Limit, Row, Unit, Wishes},
    release::{Kind, Reload},
    version::Version,
};

/// `[plugin]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// Whose it is and what it is called.
    pub id: PluginId,
    /// The version being released.
    pub version: Version,
    /// A plugin unless said otherwise.
    pub kind: Kind,
    /// What it does.
    pub description: Description,
    /// Under which terms.
    pub license: License,
    /// Where its source is.
    pub repository: Option<Repository>,
    /// Words to be found by, at most 8, in the author's order.
    pub keywords: Vec<Keyword>,
    /// Shelves of the marketplace, at most 3, in the author's order.
    pub categories: Vec<Category>,
    /// A Markdown file.
    pub readme: Option<FilePath>,
    /// An SVG or PNG file.
    pub icon: Option<FilePath>,
}

/// `[build]`: where building leaves things. Not published.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Build {
    /// The component, or a core module that carries its world.
    pub component: Option<BuildPath>,
    /// The folder of its WIT.
    pub wit: Option<BuildPath>,
    /// The world in it.
    pub world: Option<PlainName>,
}

/// `[runtime]`: how instances may be treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuntimeWishes {
    /// Calls do not depend on earlier calls.
    pub stateless: bool,
    /// How many instances at most: 1 to 64, above 1 only if stateless.
    pub pool: Option<u32>,
    /// How a newer version takes over.
    pub reload: Reload,
    /// The form of the plugin's stored state, from 1.
    pub state_schema: Option<u32>,
}

pub(super) fn read_about(reader: &mut Reader<'_>, mut section: Section<'_, '_>) -> Option<About> {
    let id = section.required(reader, "id");
    let version = section.required(reader, "version");
    let kind = choice(reader, &mut section, "kind", &[("plugin", Kind::Plugin), ("interface", Kind::Interface)]);
    let description = section.required(reader, "description");
    let license = section.required(reader, "license");
    let repository = section.parsed(reader, "repository");
    let keywords = bounded_list(reader, &mut section, "keywords", 8);
    let categories = bounded_list(reader, &mut section, "categories", 3);
    let readme = section.parsed(reader, "readme");
    let icon: Option<FilePath> = section.parsed(reader, "icon");
    if let (Some(icon), Some((line, _))) = (&icon, section.value(reader, "icon"))
        && ![".svg", ".png"].iter().any(|end| icon.as_str().ends_with(end))
    {
        reader.problem(line, "plugin.icon", format!("`{icon}` is not an .svg or .png file"));
    }
    section.finish(reader);
    Some(About {
        id: id?,
        version: version?,
        kind: kind.unwrap_or(Kind::Plugin),
        description: description?,
        license: license?,
        repository,
        keywords,
        categories,
        readme,
        icon,
    })
}

pub(super) fn read_build(reader: &mut Reader<'_>, mut section: Section<'_, '_>) -> Build {
    let build = Build {
        component: section.parsed(reader, "component"),
        wit: section.parsed(reader, "wit"),
        world: section.parsed(reader, "world"),
    };
    section.finish(reader);
    build
}

/// `[limits]`: what the plugin wishes to have at most. A host decides.
pub(super) fn read_limits(reader: &mut Reader<'_>, mut section: Section<'_, '_>) -> Wishes {
    let mut wishes = Wishes::default();
    for limit in Limit::ALL.iter().copied().filter(|limit| limit.row().wish) {
        if let Some(value) = read_limit(reader, &mut section, &limit.row()) {
            wishes = wishes.with(limit, value);
        }
    }
    section.finish(reader);
    wishes
}

fn read_limit(reader: &mut Reader<'_>, section: &mut Section<'_, '_>, row: &Row) -> Option<u64> {
    match row.unit {
        Unit::Bytes | Unit::Rate => {
            let bounds = (ByteSize::from_bytes(row.least), ByteSize::from_bytes(row.most));
            within(reader, section, row.name, bounds).map(ByteSize::bytes)
        }
        Unit::Time => {
            let bounds = (Millis::from_millis(row.least), Millis::from_millis(row.most));
            within(reader, section, row.name, bounds).map(Millis::millis)
        }
        Unit::Count => {
            let number = |value| u32::try_from(value).unwrap_or(u32::MAX);
            section.number(reader, row.name, number(row.least)..number(row.most.saturating_add(1))).map(u64::from)
        }
    }
}

pub(super) fn read_runtime(reader: &mut Reader<'_>, section: Option<Section<'_, '_>>) -> RuntimeWishes {
    let mut wishes = RuntimeWishes { stateless: false, pool: None, reload: Reload::default(), state_schema: None };
    let Some(mut section) = section else { return wishes };
    wishes.stateless = section.flag(reader, "stateless");
    wishes.pool = section.number(reader, "pool", 1..65);
    let reloads = [("shadow", Reload::Shadow), ("stop-start", Reload::StopStart)];
    wishes.reload = choice(reader, &mut section, "reload", &reloads).unwrap_or_default();
    wishes.state_schema = section.number(reader, "state-schema", 1..u32::MAX);
    if let (Some(pool @ 2..), false, Some((line, _))) = (wishes.pool, wishes.stateless, section.value(reader, "pool")) {
        let message = format!("is {pool}, but without `stateless = true` there is one instance, which keeps its state");
        reader.problem(line, "runtime.pool", message);
    }
    section.finish(reader);
    wishes
}
