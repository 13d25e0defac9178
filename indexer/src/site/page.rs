//! What templates receive: every choice made, every list sorted, every text composed.

use serde::Serialize;
use stoa_core::{
    document::State,
    id::PluginId,
    interface::ExternName,
    release::{BlobRef, Export, Import, Kind, OnFailure, Provider},
    version::Version,
};

use super::{
    Readme, SiteConfig,
    capability::{Capabilities, Line, Weight},
    example::example_call,
    format::{self, Html},
    install::Install,
    view::{Card, DependencyRow, Dependent, FrontPage, PluginPage, VersionRow},
    wit,
};

/// With more plugins than this, the front page begins with the newest.
const FEW: usize = 9;
/// How many are newest: one or two rows of cards.
const NEWEST: usize = 6;
/// How many versions are shown before the rest is folded away.
const RECENT: usize = 8;

#[derive(Serialize)]
pub(crate) struct Front<'v> {
    seq: u64,
    updated: Option<String>,
    versions: u64,
    example: Option<(&'v PluginId, Install)>,
    newest: Vec<CardView<'v>>,
    all: Vec<CardView<'v>>,
}

#[derive(Serialize, Clone)]
struct CardView<'v> {
    id: &'v PluginId,
    description: &'v str,
    version: &'v Version,
    interface: bool,
    hint: Option<Hint>,
    keywords: String,
    notice: Option<&'static str>,
    updated: String,
}

#[derive(Serialize, Clone)]
struct Hint {
    words: String,
    weight: Weight,
}

impl<'v> Front<'v> {
    pub(crate) fn of(config: &SiteConfig, page: &'v FrontPage) -> Self {
        let mut cards: Vec<&Card> = page.cards.iter().collect();
        cards.sort_by(|a, b| (b.seq, &a.id).cmp(&(a.seq, &b.id)));
        let newest =
            if cards.len() > FEW { cards.iter().take(NEWEST).map(|card| CardView::of(card)).collect() } else { vec![] };
        cards.sort_by(|a, b| a.id.cmp(&b.id));
        let example = page
            .featured
            .as_ref()
            .map(|featured| (&featured.id, Install::of(config, &featured.id, &featured.version, Some(&featured.call))));
        Self {
            seq: page.seq,
            updated: page.updated.map(|time| time.to_string()),
            versions: cards.iter().map(|card| card.versions as u64).sum(),
            example,
            newest,
            all: cards.into_iter().map(CardView::of).collect(),
        }
    }
}

impl<'v> CardView<'v> {
    fn of(card: &'v Card) -> Self {
        Self {
            id: &card.id,
            description: &card.description,
            version: &card.version,
            interface: card.kind == Kind::Interface,
            hint: hint(card.kind, &card.capabilities),
            keywords: card.keywords.join(" "),
            notice: match card.state {
                State::Listed => None,
                _ => Some("yanked"),
            },
            updated: card.updated.to_string(),
        }
    }
}

/// Nothing runs of an interface, so it has no capabilities to speak of.
fn hint(kind: Kind, capabilities: &Capabilities) -> Option<Hint> {
    (kind == Kind::Plugin).then(|| Hint { words: capabilities.hint(), weight: capabilities.weight() })
}

#[derive(Serialize)]
pub(crate) struct Plugin<'v> {
    id: &'v PluginId,
    description: &'v str,
    version: &'v Version,
    interface: bool,
    license: &'v str,
    repository: Option<&'v str>,
    /// `repository` again where a browser may follow it, and its text without the scheme.
    source: Option<(&'v str, &'v str)>,
    keywords: &'v [String],
    categories: &'v [String],
    readme: Option<Html>,
    readme_is_cut: bool,
    notice: Option<Notice>,
    install: Install,
    exports: Vec<ExportView<'v>>,
    imports: Vec<ImportView<'v>>,
    wit: Option<Html>,
    /// Whether no part of the WIT is shown before the whole.
    wit_is_open: bool,
    tracks: &'v [String],
    hint: Option<Hint>,
    sentence: &'static str,
    capabilities: Vec<Line>,
    reasons: Vec<(&'v str, &'v str)>,
    /// Whether to speak of calls between plugins at all.
    calls: bool,
    dependencies: Vec<DependencyView<'v>>,
    dependents: Vec<&'v Dependent>,
    shown: Option<VersionView<'v>>,
    recent: Vec<VersionView<'v>>,
    older: Vec<VersionView<'v>>,
    count: usize,
}

#[derive(Serialize)]
struct Notice {
    title: String,
    reason: String,
    advice: String,
}

#[derive(Serialize)]
struct ExportView<'v> {
    #[serde(flatten)]
    export: &'v Export,
    wit: Option<Html>,
}

#[derive(Serialize)]
struct ImportView<'v> {
    #[serde(flatten)]
    import: &'v Import,
    provider: &'static str,
}

#[derive(Serialize)]
struct DependencyView<'v> {
    id: &'v PluginId,
    requirement: String,
    listed: bool,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct VersionView<'v> {
    version: &'v Version,
    prerelease: bool,
    published_at: String,
    seq: u64,
    artifact: &'v BlobRef,
    record: String,
    yanked: Option<&'v str>,
    is_shown: bool,
}

impl<'v> Plugin<'v> {
    pub(crate) fn of(config: &SiteConfig, page: &'v PluginPage) -> Self {
        let exports: Vec<ExportView<'_>> = page.exports.iter().map(|export| ExportView::of(export, page)).collect();
        let (recent, older) = versions(page);
        let capabilities = Capabilities::of(&page.imports);
        Self {
            id: &page.id,
            description: &page.description,
            version: &page.version,
            interface: page.kind == Kind::Interface,
            license: &page.license,
            repository: page.repository.as_deref(),
            source: page.repository.as_deref().and_then(link),
            keywords: &page.keywords,
            categories: &page.categories,
            readme: page.readme.as_ref().map(|readme| Html(readme.html().to_owned())),
            readme_is_cut: page.readme.as_ref().is_some_and(Readme::is_cut),
            notice: notice(page),
            install: Install::of(config, &page.id, &page.version, call(page).as_deref()),
            imports: page.imports.iter().map(ImportView::of).collect(),
            wit: page.wit.as_deref().map(wit::highlight),
            wit_is_open: exports.iter().all(|export| export.wit.is_none()),
            exports,
            tracks: &page.tracks,
            hint: hint(page.kind, &capabilities),
            sentence: capabilities.sentence(),
            capabilities: capabilities.lines(),
            reasons: page.reasons.iter().map(|(name, reason)| (name.as_str(), reason.as_str())).collect(),
            calls: page.kind == Kind::Plugin || !(page.dependencies.is_empty() && page.dependents.is_empty()),
            dependencies: sorted(&page.dependencies, |row| &row.id).into_iter().map(DependencyView::of).collect(),
            dependents: sorted(&page.dependents, |row| &row.id),
            shown: page.versions.iter().find(|row| row.version == page.version).map(|row| VersionView::of(row, page)),
            count: page.versions.len(),
            recent,
            older,
        }
    }
}

fn sorted<'v, T, K: Ord + 'v>(rows: &'v [T], key: impl Fn(&'v T) -> &'v K) -> Vec<&'v T> {
    let mut rows: Vec<&T> = rows.iter().collect();
    rows.sort_by_key(|row| key(row));
    rows
}

/// The versions from the highest down, in two parts.
fn versions(page: &PluginPage) -> (Vec<VersionView<'_>>, Vec<VersionView<'_>>) {
    let mut rows = sorted(&page.versions, |row| &row.version);
    rows.reverse();
    let mut views: Vec<_> = rows.into_iter().map(|row| VersionView::of(row, page)).collect();
    // Folding away one or two saves no room.
    let cut = if views.len() > RECENT + 2 { RECENT } else { views.len() };
    let older = views.split_off(cut);
    (views, older)
}

/// `url` and its text where a browser may follow it: a manifest comes from strangers, and `javascript:` is
/// an address too.
fn link(url: &str) -> Option<(&str, &str)> {
    let text = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let plain = !text.is_empty() && !text.contains(|c: char| c.is_control() || c.is_whitespace());
    plain.then(|| (url, text.trim_end_matches('/')))
}

/// The example given, else one made up.
fn call(page: &PluginPage) -> Option<String> {
    if page.kind == Kind::Interface {
        return None;
    }
    page.call.clone().or_else(|| example_call(page.wit.as_deref()?, &page.exports))
}

fn notice(page: &PluginPage) -> Option<Notice> {
    let row = page.versions.iter().find(|row| row.version == page.version)?;
    let State::Yanked { reason, at } = &row.state else { return None };
    let listed = page.versions.iter().any(|row| row.state == State::Listed);
    let advice = match listed {
        true => "New resolutions choose another version. Lock files that name this one still work.",
        false => "No version is left for new resolutions. Lock files that name one still work.",
    };
    Some(Notice {
        title: format!("Version {} was yanked on {}", page.version, format::date(&at.to_string())),
        reason: reason.clone(),
        advice: advice.to_owned(),
    })
}

impl<'v> ExportView<'v> {
    fn of(export: &'v Export, page: &PluginPage) -> Self {
        let name = export.name.to_string();
        let block = page.wit.as_deref().and_then(|wit| match &export.name {
            ExternName::Interface(_) => wit::interface(wit, &name),
            ExternName::Plain(_) => wit::exported_function(wit, &name),
        });
        Self { export, wit: block.as_deref().map(wit::highlight) }
    }
}

impl<'v> ImportView<'v> {
    fn of(import: &'v Import) -> Self {
        let provider = match import.from {
            Provider::Dependency => "a dependency",
            Provider::Host => "the host program",
            Provider::Convention => "every Stoa host",
            Provider::Wasi => "WASI, granted by policy",
            Provider::Types => "nobody: types alone",
        };
        Self { import, provider }
    }
}

impl<'v> DependencyView<'v> {
    fn of(row: &'v DependencyRow) -> Self {
        let mut notes = Vec::new();
        if row.dependency.optional {
            notes.push("optional".to_owned());
        }
        if row.dependency.on_failure == OnFailure::Trap {
            notes.push("stops its caller when it fails".to_owned());
        }
        notes.extend(row.dependency.for_interfaces.iter().map(|name| format!("answers {name}")));
        Self { id: &row.id, requirement: row.dependency.version.to_string(), listed: row.listed, notes }
    }
}

impl<'v> VersionView<'v> {
    fn of(row: &'v VersionRow, page: &PluginPage) -> Self {
        Self {
            version: &row.version,
            prerelease: row.version.is_prerelease(),
            published_at: row.published_at.to_string(),
            seq: row.seq,
            artifact: &row.artifact,
            record: row.record.to_string(),
            yanked: match &row.state {
                State::Yanked { reason, .. } => Some(reason),
                _ => None,
            },
            is_shown: row.version == page.version,
        }
    }
}
